package cli

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"pcaplab/datasets/cic"
	"pcaplab/datasets/pcapio"
	"pcaplab/parse"
)

// smallCapture makes a capture that no one would take for another.
func smallCapture(t *testing.T, packets int) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := pcapio.NewWriter(&b, pcapio.WriterConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range packets {
		f := parse.Frame{UnixNano: int64(i) * 1e6, Data: bytes.Repeat([]byte{byte(i), byte(i >> 8)}, 30), WireLen: 60, Link: parse.LinkEthernet}
		if err := w.WriteFrame(&f); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// mirror serves files by their paths in the published tree.
type mirror struct {
	*httptest.Server
	mu     sync.Mutex
	agents map[string]bool
	asked  []string
	before func(w http.ResponseWriter, r *http.Request) (done bool)
}

func newMirror(t *testing.T, files map[string][]byte) *mirror {
	m := &mirror{agents: make(map[string]bool)}
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.mu.Lock()
		m.agents[r.UserAgent()] = true
		m.asked = append(m.asked, r.URL.RequestURI())
		m.mu.Unlock()
		if m.before != nil && m.before(w, r) {
			return
		}
		path := strings.TrimPrefix(r.URL.Path, "/cic/")
		if f := r.URL.Query().Get("f"); f != "" {
			path = f
		}
		content, ok := files[path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("ETag", `"1"`)
		http.ServeContent(w, r, "", time.Unix(0, 0), bytes.NewReader(content))
	}))
	t.Cleanup(m.Close)
	return m
}

func hexSum(content []byte) string {
	s := sha256.Sum256(content)
	return hex.EncodeToString(s[:])
}

func filesBelow(t *testing.T, dir string) (list []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			list = append(list, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestDatasetFetch(t *testing.T) {
	first, second := smallCapture(t, 100), smallCapture(t, 200)
	m := newMirror(t, map[string][]byte{
		"PCAP/DoS-SYN_Flood/DoS-SYN_Flood2.pcap": first,
		"PCAP/DoS-SYN_Flood/DoS-SYN_Flood3.pcap": second,
	})
	for _, from := range []string{m.URL + "/cic", m.URL + "/cic/", m.URL + "/?f={path}", m.URL + "/cic/PCAP/{class}/{file}"} {
		dir := filepath.Join(t.TempDir(), "new")
		stdout, stderr := run(t, ExitDone, "dataset", "fetch", "dos-syn_flood", "--files", "2-3", "--from", from, "-o", dir)
		var want strings.Builder
		for i, content := range [][]byte{first, second} {
			path := filepath.Join(dir, "PCAP", "DoS-SYN_Flood", fmt.Sprintf("DoS-SYN_Flood%d.pcap", i+2))
			fmt.Fprintf(&want, "whole    %11d  %s  %s\n", len(content), hexSum(content), path)
			if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, content) {
				t.Errorf("%s holds %d octets, %v", path, len(got), err)
			}
		}
		if stdout != want.String() || stderr != "" {
			t.Errorf("stdout\n%s\nwant\n%s\nstderr %s", stdout, &want, stderr)
		}
		if got := filesBelow(t, dir); len(got) != 2 {
			t.Errorf("there are %q", got)
		}
		// Again: nothing is asked for, and with --check what is there is read.
		m.mu.Lock()
		m.asked = nil
		m.mu.Unlock()
		stdout, stderr = run(t, ExitDone, "dataset", "fetch", "dos-syn_flood", "--files", "[23].pcap$", "--from", from, "-o", dir)
		if !strings.HasPrefix(stdout, "there ") || strings.Contains(stdout, hexSum(first)) || !strings.HasPrefix(stderr, "2 files were there already") {
			t.Errorf("again: %s%s", stdout, stderr)
		}
		stdout, _ = run(t, ExitDone, "dataset", "fetch", "dos-syn_flood", "--files", "2,3", "--from", from, "-o", dir, "--check", "--json")
		for i, l := range decoded[loadedJSON](t, stdout) {
			if l.How != "there" || l.SHA256 != hexSum([][]byte{first, second}[i]) || l.Error != nil || len(l.Doubts) != 0 || l.Class != "DoS-SYN_Flood" {
				t.Errorf("%+v", l)
			}
		}
		if len(m.asked) > 0 {
			t.Errorf("asked for %q", m.asked)
		}
	}
	if want := "pcaplab/" + version(); len(m.agents) != 1 || !m.agents[want] {
		t.Errorf("user agents %v, want %s", m.agents, want)
	}
}

func TestDatasetFetchGoesOnAfterAWrongFile(t *testing.T) {
	good := smallCapture(t, 100)
	damaged := bytes.Clone(good)
	copy(damaged[24+76*50+8:], "\xff\xff\xff\x7f\xff\xff\xff\x7f")
	m := newMirror(t, map[string][]byte{
		"PCAP/DoS-SYN_Flood/DoS-SYN_Flood.pcap":  good, // not of the size that is known
		"PCAP/DoS-SYN_Flood/DoS-SYN_Flood2.pcap": good[:len(good)-30],
		"PCAP/DoS-SYN_Flood/DoS-SYN_Flood3.pcap": []byte("<html><title>Please register</title>"),
		"PCAP/DoS-SYN_Flood/DoS-SYN_Flood4.pcap": damaged,
		"PCAP/DoS-SYN_Flood/DoS-SYN_Flood5.pcap": good[:24],
		"PCAP/DoS-SYN_Flood/DoS-SYN_Flood7.pcap": good,
	})
	dir := t.TempDir()
	stdout, stderr := run(t, ExitFailed, "dataset", "fetch", "DoS-SYN_Flood", "--from", m.URL+"/cic/", "-o", dir, "--json")
	results := decoded[loadedJSON](t, stdout)
	for i, want := range []string{"2048000026", "404", "record 100 at offset 7548", "Please register", "record 51", "no packet", "404", ""} {
		got := ""
		if e := results[i].Error; e != nil {
			got = *e
		}
		if (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("file %d: error %q, want %q in it", i, got, want)
		}
		if !strings.Contains(stderr, want) {
			t.Errorf("stderr does not say %q", want)
		}
	}
	if !strings.Contains(stderr, "7 of 8 files are not there") {
		t.Errorf("stderr %s", stderr)
	}
	want := []string{"PCAP/DoS-SYN_Flood/.DoS-SYN_Flood2.pcap.part", "PCAP/DoS-SYN_Flood/.DoS-SYN_Flood2.pcap.part.json",
		"PCAP/DoS-SYN_Flood/.DoS-SYN_Flood5.pcap.part", "PCAP/DoS-SYN_Flood/.DoS-SYN_Flood5.pcap.part.json", "PCAP/DoS-SYN_Flood/DoS-SYN_Flood7.pcap"}
	if got := filesBelow(t, dir); strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("there are %q", got)
	}
	// Errors are said even when nothing else is.
	if _, stderr := run(t, ExitFailed, "-q", "dataset", "fetch", "DoS-SYN_Flood", "--files", "1,6", "--from", m.URL+"/cic/", "-o", dir); strings.Count(stderr, "404") != 2 {
		t.Errorf("stderr %s", stderr)
	}
}

func TestDatasetFetchInterrupted(t *testing.T) {
	content := smallCapture(t, 5000)
	m := newMirror(t, map[string][]byte{"PCAP/DoS-SYN_Flood/DoS-SYN_Flood2.pcap": content})
	ctx, cancel := context.WithCancel(t.Context())
	var once sync.Once
	m.before = func(w http.ResponseWriter, r *http.Request) (done bool) {
		once.Do(func() {
			w.Header().Set("ETag", `"1"`)
			w.Header().Set("Content-Length", fmt.Sprint(len(content)))
			w.Write(content[:100_000])
			w.(http.Flusher).Flush()
			// The program is interrupted when it has something.
			part := filepath.Join("PCAP", "DoS-SYN_Flood", ".DoS-SYN_Flood2.pcap.part")
			for r.Context().Err() == nil {
				if info, err := os.Stat(part); err == nil && info.Size() > 1000 {
					cancel()
					<-r.Context().Done()
				}
				time.Sleep(time.Millisecond)
			}
			done = true
		})
		return done
	}
	t.Chdir(t.TempDir())
	args := []string{"dataset", "fetch", "DoS-SYN_Flood", "--files", "2", "--from", m.URL + "/cic/"}
	code, stdout, stderr := runIn(ctx, strings.NewReader(""), args...)
	if code != ExitInterrupted || stdout != "" || !strings.Contains(stderr, "goes on from here") {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
	stdout, _ = run(t, ExitDone, append(args, "--dry-run")...)
	if !strings.Contains(stdout, "begun") {
		t.Errorf("the plan is\n%s", stdout)
	}
	stdout, _ = run(t, ExitDone, args...)
	if !strings.HasPrefix(stdout, "resumed ") || !strings.Contains(stdout, hexSum(content)) {
		t.Errorf("stdout %s", stdout)
	}
}

func TestDatasetFetchTables(t *testing.T) {
	const head = "Header_Length,Protocol Type\n"
	m := newMirror(t, map[string][]byte{
		"CSV/CSV/DDoS-PSHACK_FLOOD/DDoS-PSHACK_Flood.pcap.csv":  []byte(head + "1,2\n"),
		"CSV/CSV/DDoS-PSHACK_FLOOD/DDoS-PSHACK_Flood1.pcap.csv": []byte(head + "1,"),
		"CSV/CSV/DDoS-PSHACK_FLOOD/DDoS-PSHACK_Flood2.pcap.csv": []byte("flow_duration,Header_Length\n"),
		"CSV/CSV/DoS-UDP_Flood/DoS-UDP_Flood8.pcap.csv":         []byte(head + "1,"), // is published so
	})
	stdout, stderr := run(t, ExitFailed, "dataset", "fetch", "--tables", "ddos-pshack_flood", "dos-udp_flood", "--files", "(Flood[12]?.pcap|UDP_Flood8)", "--from", m.URL+"/cic", "-o", t.TempDir(), "--json", "--retries", "0")
	var got []string
	for _, r := range decoded[loadedJSON](t, stdout) {
		text := r.How
		if r.Error != nil {
			_, text, _ = strings.Cut(*r.Error, r.URL+": ")
			text, _, _ = strings.Cut(text, " (")
		}
		got = append(got, filepath.Base(r.File)+" "+text)
	}
	want := []string{"DDoS-PSHACK_Flood.pcap.csv whole", "DDoS-PSHACK_Flood1.pcap.csv cut short: it ends in the middle of a row",
		`DDoS-PSHACK_Flood2.pcap.csv not the file it is for: its first line is no head of a table of 39 columns: "flow_duration,Header_Length\n"; what came is removed`,
		"DoS-UDP_Flood.pcap.csv the server answers 404 Not Found", "DoS-UDP_Flood1.pcap.csv the server answers 404 Not Found", "DoS-UDP_Flood2.pcap.csv the server answers 404 Not Found",
		"DoS-UDP_Flood8.pcap.csv whole"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if !strings.Contains(stderr, "listed are about") {
		t.Errorf("a size far from the listed one is not said: %s", stderr)
	}
}

// A derived size is no reason to refuse a file, but is said.
func TestDatasetFetchDerivedSize(t *testing.T) {
	content := smallCapture(t, 10)
	m := newMirror(t, map[string][]byte{"PCAP/Benign_Final/BenignTraffic3.pcap": content})
	_, stderr := run(t, ExitDone, "dataset", "fetch", "benign", "--files", "3", "--from", m.URL+"/cic", "-o", t.TempDir())
	if !strings.Contains(stderr, "leaves 853841091 for it") {
		t.Errorf("stderr %s", stderr)
	}
}

func TestDatasetFetchPlan(t *testing.T) {
	dir := t.TempDir()
	stdout, _ := run(t, ExitDone, "dataset", "fetch", "--dry-run", "all", "-o", dir)
	if !strings.Contains(stdout, "309 files, about 547.7 GiB to load; free in "+dir) || !strings.Contains(stdout, "download.php?file=PCAP%2FXSS%2FXSS.pcap") {
		t.Errorf("stdout %s", stdout)
	}
	if got := filesBelow(t, dir); len(got) > 0 {
		t.Errorf("there are %q", got)
	}
	stdout, _ = run(t, ExitDone, "dataset", "fetch", "--dry-run", "--json", "all", "--from", "http://h/")
	var octets int64
	plans := decoded[planJSON](t, stdout)
	for _, p := range plans {
		octets += p.Estimate
		if p.URL != "http://h/"+p.Path {
			t.Errorf("%+v", p)
		}
	}
	if len(plans) != 309 || fileSize(octets) != "547.7 GiB" {
		t.Errorf("%d files of %d octets", len(plans), octets)
	}
	stdout, _ = run(t, ExitDone, "dataset", "fetch", "--dry-run", "--tables", "all")
	if !strings.Contains(stdout, "309 files, about 8.3 GiB") { // 8,529 MiB
		t.Errorf("stdout %s", stdout)
	}
}

func TestDatasetFetchUsage(t *testing.T) {
	for _, x := range []struct {
		args []string
		want string
	}{
		{[]string{}, "no class"},
		{[]string{"XXX"}, "did you mean XSS"},
		{[]string{"all", "nothing of the kind"}, "no class"},
		{[]string{"XSS", "--files", "3-1"}, "3-1"},
		{[]string{"XSS", "--files", "99999999999999999999"}, "99999999999999999999"},
		{[]string{"XSS", "--files", "("}, "regular expression"},
		{[]string{"XSS", "--files", "7"}, "no file"},
		{[]string{"XSS", "--from", "mirror"}, "http"},
		{[]string{"XSS", "--from", "https://x/?f="}, "{path}"},
		{[]string{"XSS", "--retries", "-1"}, "--retries"},
		{[]string{"XSS", "--stall", "0s"}, "--stall"},
	} {
		if stdout, stderr := run(t, ExitUsage, append([]string{"dataset", "fetch"}, x.args...)...); stdout != "" || !strings.Contains(stderr, x.want) {
			t.Errorf("%q: %q, %q: want %q", x.args, stdout, stderr, x.want)
		}
	}
}

// Where the size is known the server is not believed, and nothing is loaded for nothing.
func TestDatasetFetchKnownSizes(t *testing.T) {
	c, _ := cic.Find("XSS")
	m := newMirror(t, nil)
	m.before = func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Content-Length", fmt.Sprint(c.Captures()[0].Octets))
		w.Write(make([]byte, 2000))
		return true
	}
	dir := t.TempDir()
	_, stderr := run(t, ExitFailed, "dataset", "fetch", "xss", "--from", m.URL+"/cic", "-o", dir)
	if !strings.Contains(stderr, "is not a capture") || len(filesBelow(t, dir)) > 0 {
		t.Errorf("%q, stderr %s", filesBelow(t, dir), stderr)
	}
}
