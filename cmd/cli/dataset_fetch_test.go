package cli

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
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
		// The server is believed, and a size that can hardly be right is said.
		doubts := func(text string) int {
			return strings.Count(text, " octets; all captures of its class but the last have 2048000000")
		}
		if stdout != want.String() || doubts(stderr) != 2 || strings.Count(stderr, "\n") != 2 {
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
		if !strings.HasPrefix(stdout, "there ") || strings.Contains(stdout, hexSum(first)) || doubts(stderr) != 2 || !strings.Contains(stderr, "\n2 files were there already") {
			t.Errorf("again: %s%s", stdout, stderr)
		}
		stdout, _ = run(t, ExitDone, "dataset", "fetch", "dos-syn_flood", "--files", "2,3", "--from", from, "-o", dir, "--check", "--json")
		for i, l := range decoded[loadedJSON](t, stdout) {
			if l.How != "there" || l.SHA256 != hexSum([][]byte{first, second}[i]) || l.Error != nil || len(l.Doubts) != 1 || doubts(l.Doubts[0]) != 1 || l.Class != "DoS-SYN_Flood" {
				t.Errorf("%+v", l)
			}
		}
		stdout, _ = run(t, ExitDone, "dataset", "fetch", "dos-syn_flood", "--files", "2,3", "--from", from, "-o", dir, "--dry-run")
		if strings.Count(stdout, "there *") != 2 || doubts(stdout) != 2 {
			t.Errorf("the plan is\n%s", stdout)
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
		kept := map[int]int{2: len(good) - 30, 4: len(good), 5: 24}[i]
		if r := results[i]; r.Kept != int64(kept) || r.Tries != 1 || kept > 0 && r.Loaded != r.Kept {
			t.Errorf("file %d: %+v, want %d octets kept", i, r, kept)
		}
	}
	if !strings.Contains(stderr, "7 of 8 files are not there") {
		t.Errorf("stderr %s", stderr)
	}
	want := []string{"PCAP/DoS-SYN_Flood/.DoS-SYN_Flood2.pcap.part", "PCAP/DoS-SYN_Flood/.DoS-SYN_Flood2.pcap.part.json",
		"PCAP/DoS-SYN_Flood/.DoS-SYN_Flood4.pcap.part", "PCAP/DoS-SYN_Flood/.DoS-SYN_Flood4.pcap.part.json",
		"PCAP/DoS-SYN_Flood/.DoS-SYN_Flood5.pcap.part", "PCAP/DoS-SYN_Flood/.DoS-SYN_Flood5.pcap.part.json", "PCAP/DoS-SYN_Flood/DoS-SYN_Flood7.pcap"}
	if got := filesBelow(t, dir); strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("there are %q", got)
	}
	// What is damaged is there for who wants it, and nothing is loaded for that.
	m.mu.Lock()
	m.asked = nil
	m.mu.Unlock()
	stdout, stderr = run(t, ExitDone, "dataset", "fetch", "DoS-SYN_Flood", "--files", "4", "--keep-damaged", "--from", m.URL+"/cic/", "-o", dir)
	if !strings.Contains(stdout, hexSum(damaged)) || !strings.Contains(stderr, "its check fails") || len(m.asked) > 0 {
		t.Errorf("asked for %q: %s%s", m.asked, stdout, stderr)
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
	for _, args := range [][]string{{"ALL"}, {"all", "XSS"}} {
		if same, _ := run(t, ExitDone, append([]string{"dataset", "fetch", "--dry-run", "-o", dir}, args...)...); strings.Count(same, "\n") != strings.Count(stdout, "\n") {
			t.Errorf("%q: %s", args, same)
		}
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
		{[]string{"XSS", "--files", "7"}, "no file 7"},
		{[]string{"XSS", "benign", "--files", "3,99"}, "no file 99: the last of these classes is 3"},
		{[]string{"all", "--files", "2-99"}, "no file 99: the last of these classes is 28"},
		{[]string{"XSS", "--files", "0,,1"}, "numbers and ranges"},
		{[]string{"XSS", "--files", "3-"}, "numbers and ranges"},
		{[]string{"XSS", "--files", "no such name"}, "no file of these classes"},
		{[]string{"XSS", "--from", "https://x/{path}#y"}, "no #"},
		{[]string{"XSS", "--from", "https://{class}/{file}"}, "braces in the host"},
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

// What is there, by its size: right, doubtful, or not there at all.
func TestDatasetFetchLeftovers(t *testing.T) {
	table := func(class string) cic.File {
		c, _ := cic.Find(class)
		return c.Tables()[0]
	}
	m := newMirror(t, nil)
	dir := t.TempDir()
	fits, small, empty := table("Uploading_Attack"), table("XSS"), table("Backdoor_Malware")
	for f, octets := range map[cic.File]int64{fits: fits.Estimate, small: 1000, empty: 0} {
		path := filepath.Join(dir, filepath.FromSlash(f.Path))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, make([]byte, octets), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"dataset", "fetch", "--tables", fits.Class, small.Class, empty.Class, "--from", m.URL + "/cic", "-o", dir, "--json"}
	stdout, stderr := run(t, ExitFailed, args...)
	got := decoded[loadedJSON](t, stdout)
	if got[0].How != "there" || got[1].How != "there" || len(got[1].Doubts) != len(got[0].Doubts)+1 || got[2].Error == nil {
		t.Errorf("%+v", got)
	}
	for text, want := range map[string]int{"It has 1000 octets; listed are about": 1, "is there and empty": 1, "2 files were there already": 1, "It has": 1} {
		if strings.Count(stderr, text) != want {
			t.Errorf("not %d times %q in %s", want, text, stderr)
		}
	}
	stdout, _ = run(t, ExitDone, append(args, "--dry-run")...)
	if plans := decoded[planJSON](t, stdout); !plans[0].There || plans[0].Doubt != "" || !plans[1].There || plans[1].Doubt == "" || plans[2].There || plans[2].Doubt != "" {
		t.Errorf("%+v", plans)
	}
	// A size that the class's totals leave is a doubt too, each time.
	path := filepath.Join(dir, "PCAP", "Benign_Final", "BenignTraffic3.pcap")
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, make([]byte, 1000), 0o666); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, stderr = run(t, ExitDone, "dataset", "fetch", "benign", "--files", "3", "--from", m.URL+"/cic", "-o", dir); !strings.Contains(stderr, "leaves 853841091 for it") {
			t.Errorf("stderr %s", stderr)
		}
	}
}

// Folders for files that do not come do not stay, others do.
func TestDatasetFetchLeavesNoEmptyFolders(t *testing.T) {
	m := newMirror(t, nil)
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "PCAP"), 0o777); err != nil {
		t.Fatal(err)
	}
	for _, o := range []string{dir, filepath.Join(dir, "new")} {
		run(t, ExitFailed, "dataset", "fetch", "benign", "xss", "--from", m.URL+"/cic", "-o", o)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != "PCAP" {
		t.Errorf("there are %v, %v", entries, err)
	}
	if entries, err = os.ReadDir(filepath.Join(dir, "PCAP")); err != nil || len(entries) > 0 {
		t.Errorf("there are %v, %v", entries, err)
	}
}

// Each file of a mirror that is gone would cost all tries.
func TestDatasetFetchWithoutAServer(t *testing.T) {
	m := newMirror(t, nil)
	m.Close()
	stdout, stderr := run(t, ExitFailed, "dataset", "fetch", "benign", "--from", m.URL+"/cic", "-o", t.TempDir(), "--retries", "1", "--json")
	var tries []int
	for _, l := range decoded[loadedJSON](t, stdout) {
		tries = append(tries, l.Tries)
	}
	if fmt.Sprint(tries) != "[2 1 1 1]" || strings.Count(stderr, "tried once only") != 1 || !strings.Contains(stderr, "cannot be reached") {
		t.Errorf("tries %v, stderr %s", tries, stderr)
	}
}

// full is an output without room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestDatasetFetchOutputFails(t *testing.T) {
	m := newMirror(t, map[string][]byte{"PCAP/DoS-SYN_Flood/DoS-SYN_Flood2.pcap": smallCapture(t, 10), "PCAP/DoS-SYN_Flood/DoS-SYN_Flood3.pcap": smallCapture(t, 10)})
	for _, more := range []string{"--json", "--json=false"} {
		m.mu.Lock()
		m.asked = nil
		m.mu.Unlock()
		var stderr bytes.Buffer
		a := &app{Program: program(), stdout: full{}, stderr: &stderr, stdin: strings.NewReader("")}
		code := a.run(t.Context(), []string{"dataset", "fetch", "DoS-SYN_Flood", "--files", "2,3", "--from", m.URL + "/cic", "-o", t.TempDir(), more})
		if code != ExitFailed || !strings.Contains(stderr.String(), "standard output: no space left") || strings.Contains(stderr.String(), "not there") || len(m.asked) != 1 {
			t.Errorf("exit code %d, asked for %q, stderr %s", code, m.asked, &stderr)
		}
	}
}

func TestDatasetFetchTellsNoPassword(t *testing.T) {
	m := newMirror(t, map[string][]byte{"PCAP/DoS-SYN_Flood/DoS-SYN_Flood2.pcap": smallCapture(t, 10)})
	from := strings.Replace(m.URL, "://", "://me:secret@", 1)
	for _, args := range [][]string{{"--json"}, {"--dry-run"}, {"--dry-run", "--json"}, {}} {
		args = append([]string{"dataset", "fetch", "DoS-SYN_Flood", "--files", "2,3", "--from", from + "/cic", "-o", t.TempDir()}, args...)
		_, stdout, stderr := runIn(t.Context(), strings.NewReader(""), args...)
		if strings.Contains(stdout+stderr, "secret") || !strings.Contains(stdout, "DoS-SYN_Flood2.pcap") {
			t.Errorf("%q: %s%s", args, stdout, stderr)
		}
	}
	if _, stderr := run(t, ExitUsage, "dataset", "fetch", "XSS", "--from", from+"/{path}#"); strings.Contains(stderr, "secret") {
		t.Errorf("stderr %s", stderr)
	}
}
