// Package pagetest looks at pages in a headless Chromium, for tests: what a page complains about, what it asks the network
// for, what overlaps or is cut, how it looks. It speaks the DevTools protocol over two pipes, so it needs no port.
package pagetest

import (
	"bufio"
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
// it with the test. The test is skipped where there is none, or none that runs; one that was named must run. Give it only pages
// of our own: it runs without its sandbox, which needs rights that test machines may not have.
func Start(t testing.TB) *Browser {
	t.Helper()
	program := os.Getenv("PCAPLAB_CHROMIUM")
	give := t.Skipf
	if program != "" {
		give = t.Fatalf
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if program == "" {
			program, _ = exec.LookPath(name)
		}
	}
	if program == "" {
		t.Skip("no chromium, chromium-browser or google-chrome on PATH, and PCAPLAB_CHROMIUM names none")
	}
	// Not t.TempDir: what is left of a browser may write into its profile for a moment longer, and must not fail the test.
	dir, err := os.MkdirTemp("", "pagetest")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	b := &Browser{dir: dir, wait: map[int]chan answer{}}
	said, err := os.Create(filepath.Join(dir, "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
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
		"--disable-breakpad", "--disable-background-timer-throttling", "--disable-backgrounding-occluded-windows",
		"--disable-renderer-backgrounding", "--no-sandbox", "--hide-scrollbars", "--force-color-profile=srgb", "--user-data-dir=" + filepath.Join(dir, "profile")}
	cmd := exec.Command(program, append(args, "about:blank")...)
	cmd.ExtraFiles = []*os.File{theirIn, theirOut} // 3 and 4
	cmd.Env = append(os.Environ(), "HOME="+b.dir, "XDG_CONFIG_HOME="+b.dir, "XDG_CACHE_HOME="+b.dir)
	cmd.Stderr = said
	err = cmd.Start()
	theirIn.Close()
	theirOut.Close()
	if err != nil {
		out.Close()
		in.Close()
		give("%s does not start: %v", program, err)
	}
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
		text, _ := os.ReadFile(said.Name())
		give("%s does not answer: %v\n%s", program, err, text)
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
