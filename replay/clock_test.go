package replay

import (
	"runtime"
	"testing"
	"time"
)

func TestClocks(t *testing.T) {
	for _, name := range []string{"system", "warp", "cpu"} {
		t.Run(name, func(t *testing.T) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			c, err := NewClock(name)
			if err != nil {
				if name == "cpu" && runtime.GOOS != "linux" {
					t.Skip(err)
				}
				t.Fatal(err)
			}
			wait := 2 * time.Millisecond
			if name != "system" {
				wait = time.Hour // skipped
			}
			last := c.Now()
			for range 3 {
				target := last + wait
				called, now := c.WaitUntil(target)
				if called < last || called >= target || now < target {
					t.Fatalf("called at %v after %v, woke at %v for %v", called, last, now, target)
				}
				if called, again := c.WaitUntil(target); called < now || again != called {
					t.Fatalf("waiting for what has passed at %v: called %v, woke %v", now, called, again)
				}
				last = c.Now()
				if last < now {
					t.Fatalf("time went back from %v to %v", now, last)
				}
			}
		})
	}
	if _, err := NewClock("sundial"); err == nil {
		t.Error("there is a sundial")
	}
}
