// Package pagetest looks at pages in a headless Chromium, for tests: what a page complains about, what it asks the network
// for, what overlaps or is cut, how it looks. It speaks the DevTools protocol over two pipes, so it needs no port.
package pagetest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// patience is how long an answer may take. A machine may be busy with other things: nothing is concluded from slowness.
const patience = 2 * time.Minute

// Browser is a running Chromium.
type Browser struct {
	dir  string // what it saves, and its profile
	out  *os.File
	mu   sync.Mutex
	last int
	wait map[int]chan answer
	on   func(event) // called from the reader
	dead error
}

type answer struct {
	Result json.RawMessage
	Error  *struct{ Message string }
}

type event struct {
	Session string
	Method  string
	Params  json.RawMessage
}

// Start starts the browser that PCAPLAB_CHROMIUM names, or the first of chromium, chromium-browser and google-chrome, and ends
// it with the test. The test is skipped where there is none.
func Start(t testing.TB) *Browser {
	t.Helper()
	program := os.Getenv("PCAPLAB_CHROMIUM")
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if program == "" {
			program, _ = exec.LookPath(name)
		}
	}
	if program == "" {
		t.Skip("no chromium, chromium-browser or google-chrome on PATH, and PCAPLAB_CHROMIUM names none")
	}
	b := &Browser{dir: t.TempDir(), wait: map[int]chan answer{}}
	theirIn, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	in, theirOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	b.out = out
	args := []string{"--headless=new", "--remote-debugging-pipe", "--disable-gpu", "--no-first-run", "--no-default-browser-check",
		"--disable-background-networking", "--disable-component-update", "--disable-extensions", "--disable-sync", "--disable-dev-shm-usage",
		"--disable-breakpad", "--hide-scrollbars", "--force-color-profile=srgb", "--user-data-dir=" + filepath.Join(b.dir, "profile")}
	if os.Getuid() == 0 {
		args = append(args, "--no-sandbox")
	}
	cmd := exec.Command(program, append(args, "about:blank")...)
	cmd.ExtraFiles = []*os.File{theirIn, theirOut} // 3 and 4
	cmd.Env = append(os.Environ(), "HOME="+b.dir, "XDG_CONFIG_HOME="+b.dir, "XDG_CACHE_HOME="+b.dir)
	var said bytes.Buffer
	cmd.Stderr = &said
	cmd.WaitDelay = patience
	if err := cmd.Start(); err != nil {
		t.Skipf("%s does not start: %v", program, err)
	}
	theirIn.Close()
	theirOut.Close()
	read := make(chan struct{})
	go func() {
		defer close(read)
		b.read(in)
	}()
	t.Cleanup(func() {
		_, _ = b.ask("", "Browser.close", nil)
		out.Close()
		timer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		timer.Stop()
		<-read
		in.Close()
	})
	if _, err := b.ask("", "Browser.getVersion", nil); err != nil {
		t.Fatalf("%s does not answer: %v\n%s", program, err, said.String())
	}
	return b
}

// read takes answers and events until the browser is gone.
func (b *Browser) read(in *os.File) {
	r := bufio.NewReaderSize(in, 1<<20)
	for {
		line, err := r.ReadBytes(0)
		if err != nil {
			b.mu.Lock()
			b.dead = errors.New("the browser is gone")
			for id, c := range b.wait {
				delete(b.wait, id)
				close(c)
			}
			b.mu.Unlock()
			return
		}
		var m struct {
			ID        int
			SessionID string
			Method    string
			Params    json.RawMessage
			answer
		}
		if json.Unmarshal(line[:len(line)-1], &m) != nil {
			continue
		}
		b.mu.Lock()
		c, on := b.wait[m.ID], b.on
		delete(b.wait, m.ID)
		b.mu.Unlock()
		switch {
		case m.ID != 0 && c != nil:
			c <- m.answer
		case m.ID == 0 && on != nil:
			on(event{m.SessionID, m.Method, m.Params})
		}
	}
}

// ask sends a request and waits for its answer.
func (b *Browser) ask(session, method string, params any) (json.RawMessage, error) {
	if params == nil {
		params = struct{}{}
	}
	b.mu.Lock()
	if b.dead != nil {
		b.mu.Unlock()
		return nil, b.dead
	}
	b.last++
	id, c := b.last, make(chan answer, 1)
	b.wait[id] = c
	b.mu.Unlock()
	m, err := json.Marshal(struct {
		ID        int    `json:"id"`
		SessionID string `json:"sessionId,omitempty"`
		Method    string `json:"method"`
		Params    any    `json:"params"`
	}{id, session, method, params})
	if err != nil {
		return nil, err
	}
	if _, err := b.out.Write(append(m, 0)); err != nil {
		return nil, err
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case a, ok := <-c:
		switch {
		case !ok:
			return nil, fmt.Errorf("%s: the browser is gone", method)
		case a.Error != nil:
			return nil, fmt.Errorf("%s: %s", method, a.Error.Message)
		}
		return a.Result, nil
	case <-timer.C:
		return nil, fmt.Errorf("%s: no answer within %v", method, patience)
	}
}
