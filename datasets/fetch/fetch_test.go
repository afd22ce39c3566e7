package fetch_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pcaplab/datasets/fetch"
	"pcaplab/datasets/flock"
)

// request asks a server for the file x.pcap in a new folder, without long waits.
func request(t *testing.T, s *server) fetch.Request {
	return fetch.Request{URL: s.URL + "/x.pcap", Path: filepath.Join(t.TempDir(), "x.pcap"), Backoff: time.Microsecond, Stall: time.Minute, Verify: whole}
}

func names(t *testing.T, r fetch.Request) string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(r.Path))
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return strings.Join(list, " ")
}

const (
	onlyFile = "x.pcap"
	onlyPart = ".x.pcap.part .x.pcap.part.json"
)

func mustHold(t *testing.T, path string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s holds %d octets that are not the %d of the file", path, len(got), len(want))
	}
}

func TestRightInTheEnd(t *testing.T) {
	file := capture(1, 100_000)
	other := capture(2, 100_000)
	for _, x := range []struct {
		name   string
		octets bool // known
		sum    bool // known
		script []answer
		how    string
		tries  int
	}{
		{"a good server", true, true, []answer{{}}, fetch.Whole, 1},
		{"a good server, nothing known", false, false, []answer{{}}, fetch.Whole, 1},
		{"in chunks", false, false, []answer{{length: "chunked"}}, fetch.Whole, 1},
		{"without a length", true, false, []answer{{length: "close"}}, fetch.Whole, 1},
		{"cut twice", true, true, []answer{{cut: 30_000}, {cut: 40_000}, {}}, fetch.Resumed, 3},
		{"cut, nothing known", false, false, []answer{{cut: 30_000}, {}}, fetch.Resumed, 2},
		{"cut, dates for versions", false, false, []answer{{cut: 30_000, date: true}, {date: true}}, fetch.Resumed, 2},
		{"cut within a chunk", false, false, []answer{{cut: 30_000, length: "chunked"}, {length: "chunked"}}, fetch.Resumed, 2},
		{"cut without a length, size known", true, false, []answer{{cut: 30_000, length: "close"}, {}}, fetch.Resumed, 2},
		{"cut without a length, nothing known", false, false, []answer{{cut: 30_000, length: "close"}, {}}, fetch.Resumed, 2},
		{"cut before the head is whole", false, false, []answer{{cut: 500}, {}}, fetch.Whole, 2},
		{"no ranges", false, false, []answer{{cut: 30_000, noRange: true}, {noRange: true}}, fetch.Resumed, 2},
		{"no ranges, no versions", false, false, []answer{{cut: 30_000, noRange: true, noTag: true}, {noRange: true, noTag: true}}, fetch.Resumed, 2},
		{"no ranges, cut sooner the next time", false, false, []answer{{cut: 60_000, noRange: true}, {cut: 20_000, noRange: true}, {}}, fetch.Resumed, 3},
		{"no versions, another file the next time", false, false, []answer{{cut: 30_000, noTag: true, version: 1}, {noTag: true}}, fetch.Resumed, 2},
		{"ranges without versions, SHA-256 known", true, true, []answer{{cut: 30_000, noTag: true}, {noTag: true}}, fetch.Resumed, 2},
		{"another version between", false, false, []answer{{cut: 30_000, version: 1}, {}}, fetch.Whole, 2},
		{"another version between, no ranges", false, false, []answer{{cut: 30_000, version: 1, noRange: true}, {noRange: true}}, fetch.Whole, 2},
		{"another version under the same name", true, true, []answer{{cut: 30_000, version: 1, sameTag: true}, {sameTag: true}}, fetch.Whole, 3},
		{"another file without versions, SHA-256 known", true, true, []answer{{cut: 30_000, version: 1, noTag: true}, {noTag: true}}, fetch.Whole, 3},
		{"announces too much", true, true, []answer{{cut: 30_000}, {lie: 500}, {}}, fetch.Resumed, 3},
		{"a range from elsewhere", false, false, []answer{{cut: 30_000}, {from: 5}, {}}, fetch.Resumed, 3},
		{"a range of nonsense", false, false, []answer{{cut: 30_000}, {say: "bytes 30000-x/100000"}, {}}, fetch.Resumed, 3},
		{"a range of another size", false, false, []answer{{cut: 30_000}, {say: "bytes 30000-99999/100001"}, {}}, fetch.Resumed, 3},
		{"a range in small pieces", false, false, []answer{{cut: 30_000}, {atMost: 25_000}}, fetch.Resumed, 4},
		{"a range of unknown end", false, false, []answer{{cut: 30_000}, {say: "bytes 30000-99999/*"}}, fetch.Resumed, 2},
		{"500 and 503", true, true, []answer{{status: 500}, {status: 503, header: "Retry-After: 0\r\n"}, {}}, fetch.Whole, 3},
		{"too many requests", true, true, []answer{{status: 429}, {}}, fetch.Whole, 2},
		{"500 in the middle", true, true, []answer{{cut: 30_000}, {status: 502}, {}}, fetch.Resumed, 3},
		{"nothing at all once", true, true, []answer{{cut: 1}, {}}, fetch.Whole, 2},
	} {
		t.Run(x.name, func(t *testing.T) {
			s := serve(t, [][]byte{file, other}, x.script...)
			r := request(t, s)
			if x.octets {
				r.Octets = int64(len(file))
			}
			if x.sum {
				r.SHA256, r.Verify = strings.ToUpper(sum(file)), nil
			}
			result, err := fetch.Get(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			if result.How != x.how || result.Tries != x.tries || result.Octets != int64(len(file)) || result.SHA256 != sum(file) {
				t.Errorf("%+v, want %s in %d tries", result, x.how, x.tries)
			}
			mustHold(t, r.Path, file)
			if got := names(t, r); got != onlyFile {
				t.Errorf("there are %s", got)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	file := capture(1, 100_000)
	cut := file[:60_000]
	for _, x := range []struct {
		name   string
		octets int64
		sum    string
		script []answer
		want   string // in the error
		kind   error
		left   string
		tries  int
	}{
		{"no such file", 0, "", []answer{{status: 404}}, "404 Not Found", nil, "", 1},
		{"a form in front", 0, "", []answer{{status: 403, body: titled("Register first")}}, `"Register first"`, nil, "", 1},
		{"500 for ever", 0, "", []answer{{status: 500}}, "500", nil, "", 4},
		{"come back tomorrow", 0, "", []answer{{status: 503, header: "Retry-After: 86400\r\n"}}, "24h0m0s", nil, "", 1},
		{"a page instead", 0, "", []answer{{body: titled("Request   access")}}, `"Request access"`, fetch.ErrWrong, "", 1},
		{"a page without a title instead", 0, "", []answer{{body: []byte("<html>no</html>")}}, "a web page came instead of ", fetch.ErrWrong, "", 1},
		{"a page instead, the size known", 100_000, "", []answer{{body: titled("Request access")}}, `"Request access"`, fetch.ErrWrong, "", 1},
		{"packed though asked not to", 0, "", []answer{{header: "Content-Encoding: gzip\r\n"}}, "gzip", fetch.ErrWrong, "", 1},
		{"nothing", 0, "", []answer{{body: []byte{}}}, "nothing came", fetch.ErrWrong, "", 1},
		{"nothing, in chunks", 0, "", []answer{{body: []byte{}, length: "chunked"}}, "nothing came", fetch.ErrWrong, "", 1},
		{"text", 0, "", []answer{{body: []byte("not here")}}, `"not here"`, fetch.ErrWrong, "", 1},
		{"too short", 100_000, "", []answer{{body: cut}}, "60000 octets, known are 100000", fetch.ErrWrong, "", 1},
		{"too long", 90_000, "", []answer{{}}, "100000 octets, known are 90000", fetch.ErrWrong, "", 1},
		{"too long, without saying so", 90_000, "", []answer{{length: "chunked"}}, "more than the 90000", fetch.ErrWrong, "", 1},
		{"too short, without saying so", 100_000, "", []answer{{body: cut, length: "chunked"}}, "60000 of 100000", nil, onlyPart, 4},
		{"cut at the server", 0, "", []answer{{body: cut}}, "60000 of 100000", fetch.ErrCut, onlyPart, 1},
		{"the rest is of another size", 100_000, sum(file), []answer{{cut: 50_000, noTag: true}, {noTag: true, body: append(bytes.Clone(file), 1)}}, "100001 octets, known are 100000", fetch.ErrWrong, onlyPart, 2},
		{"another content", 100_000, sum(cut), []answer{{}}, sum(file), fetch.ErrWrong, "", 1},
		{"another content, put together", 100_000, sum(cut), []answer{{cut: 50_000}, {}}, sum(file), fetch.ErrWrong, "", 3},
		{"announces too much for ever", 0, "", []answer{{lie: 500}}, "broken off after 100000 of 100500", nil, onlyPart, 4},
		{"always cut at the same place", 0, "", []answer{{cut: 60_000, noRange: true}}, "broken off after 60000 of 100000", nil, onlyPart, 4},
		{"not even a connection's worth", 0, "", []answer{{cut: 1}}, "EOF", nil, "", 4},
	} {
		t.Run(x.name, func(t *testing.T) {
			s := serve(t, [][]byte{file}, x.script...)
			r := request(t, s)
			r.Octets, r.SHA256, r.Retries = x.octets, x.sum, 3
			result, err := fetch.Get(t.Context(), r)
			if result.Tries != x.tries || (result.Kept > 0) != (x.left != "") || result.Octets != 0 {
				t.Errorf("%+v", result)
			}
			if err == nil || !strings.Contains(err.Error(), x.want) || x.kind != nil && !errors.Is(err, x.kind) {
				t.Errorf("error %v: want one that says %q, and is %v", err, x.want, x.kind)
			}
			if err != nil && (!strings.Contains(err.Error(), r.Path) || !strings.Contains(err.Error(), r.URL)) {
				t.Errorf("error %v does not say what and where from", err)
			}
			if got := names(t, r); got != x.left {
				t.Errorf("there are %q, want %q", got, x.left)
			}
			if got := len(s.requests()); got != x.tries {
				t.Errorf("%d requests, want %d", got, x.tries)
			}
		})
	}
}

// A later call goes on where the first was interrupted, and asks for the rest of the same version only.
func TestResumesAfterAnInterruption(t *testing.T) {
	file := capture(3, 100_000)
	s := serve(t, [][]byte{file}, answer{cut: 40_000, stall: true}, answer{})
	r := request(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	r.Progress = func(done, total int64) {
		if total != 100_000 {
			t.Errorf("of %d octets", total)
		}
		if done >= 40_000 {
			cancel()
		}
	}
	if _, err := fetch.Get(ctx, r); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "40000 octets are kept") {
		t.Fatalf("error %v", err)
	}
	if got := names(t, r); got != onlyPart {
		t.Errorf("there are %q", got)
	}
	r.Progress = nil
	result, err := fetch.Get(t.Context(), r)
	if err != nil || result.How != fetch.Resumed || result.Loaded != 60_000 {
		t.Errorf("%+v, %v: want 60000 octets loaded", result, err)
	}
	mustHold(t, r.Path, file)
	if last := s.requests()[1]; last.Get("Range") != "bytes=40000-" || last.Get("If-Range") != `"v0"` || last.Get("Accept-Encoding") != "identity" {
		t.Errorf("asked with %v", last)
	}
}

// What a kill or a power cut may have left behind the last save is not trusted.
func TestWhatWasNotSavedIsNotKept(t *testing.T) {
	file := capture(3, 100_000)
	s := serve(t, [][]byte{file}, answer{})
	for _, x := range []struct {
		name, state string
		part        []byte
	}{
		{"zeros behind", `{"url":"%s","etag":"\"v0\"","octets":100000,"kept":30000}`, append(bytes.Clone(file[:30_000]), make([]byte, 20_000)...)},
		{"no state", "", make([]byte, 20_000)},
		{"a broken state", `{"url":"%s`, make([]byte, 20_000)},
		{"a negative size", `{"url":"%s","etag":"\"v0\"","octets":100000,"kept":-1}`, make([]byte, 20_000)},
		{"shorter than noted", `{"url":"%s","etag":"\"v0\"","octets":100000,"kept":50000}`, file[:30_000]},
		{"of another address", `{"url":"%s0","etag":"\"v0\"","octets":100000,"kept":20000}`, make([]byte, 20_000)},
	} {
		t.Run(x.name, func(t *testing.T) {
			r := request(t, s)
			part := filepath.Join(filepath.Dir(r.Path), ".x.pcap.part")
			if err := os.WriteFile(part, x.part, 0o666); err != nil {
				t.Fatal(err)
			}
			if x.state != "" {
				if err := os.WriteFile(part+".json", []byte(strings.Replace(x.state, "%s", r.URL, 1)), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := fetch.Get(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			mustHold(t, r.Path, file)
			if got := names(t, r); got != onlyFile {
				t.Errorf("there are %q", got)
			}
		})
	}
}

// A file that is cut at the server is loaded when it has been mended there.
func TestCutFileIsLoadedWhenMended(t *testing.T) {
	file := capture(4, 100_000)
	for _, noRange := range []bool{false, true} {
		s := serve(t, [][]byte{file, file[:60_000]}, answer{version: 1, noRange: noRange}, answer{version: 1, noRange: noRange}, answer{noRange: noRange})
		r := request(t, s)
		for range 2 {
			if _, err := fetch.Get(t.Context(), r); !errors.Is(err, fetch.ErrCut) {
				t.Errorf("error %v, want that it is cut", err)
			}
			if got := names(t, r); got != onlyPart {
				t.Errorf("there are %q", got)
			}
		}
		if _, err := fetch.Get(t.Context(), r); err != nil {
			t.Error(err)
		}
		mustHold(t, r.Path, file)
	}
}

func TestStalledIsTriedAgain(t *testing.T) {
	file := capture(5, 100_000)
	s := serve(t, [][]byte{file}, answer{cut: 30_000, stall: true}, answer{})
	r := request(t, s)
	r.Stall = 300 * time.Millisecond
	r.Retries = 1000 // on a machine so busy that good answers stall too
	var notes []string
	r.Note = func(text string) { notes = append(notes, text) }
	if _, err := fetch.Get(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	mustHold(t, r.Path, file)
	if len(notes) == 0 || !strings.Contains(notes[0], "nothing came for 300ms") {
		t.Errorf("notes %q", notes)
	}
}

// answering is a transport without a network: each function answers one request, the last all further ones.
type answering struct {
	answers []func(ctx context.Context) (*http.Response, error)
	asked   int
}

func (a *answering) RoundTrip(r *http.Request) (*http.Response, error) {
	if c := httptrace.ContextClientTrace(r.Context()); c != nil && c.GotConn != nil {
		c.GotConn(httptrace.GotConnInfo{})
	}
	a.asked++
	return a.answers[min(a.asked, len(a.answers))-1](r.Context())
}

// sending answers with a file.
func sending(file []byte, body io.Reader) *http.Response {
	return &http.Response{StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, ContentLength: int64(len(file)), Body: io.NopCloser(body),
		Header: http.Header{"Etag": {`"v0"`}}}
}

// slow is a body of 1000 octets at a time, with a wait before each.
type slow struct {
	ctx  context.Context
	body *bytes.Reader
	wait func(left int) time.Duration
}

func (s *slow) Read(p []byte) (int, error) {
	select {
	case <-time.After(s.wait(s.body.Len())):
		return s.body.Read(p[:min(len(p), 1000)])
	case <-s.ctx.Done():
		return 0, s.ctx.Err()
	}
}

// A server may be as slow as it likes, as long as something comes. The clock is not the real one.
func TestSlowServer(t *testing.T) {
	file := capture(5, 30_000)
	for _, x := range []struct {
		name  string
		first time.Duration // before the answer, the first time
		wait  func(left int) time.Duration
		tries int
	}{
		{"always just in time", 59 * time.Second, func(int) time.Duration { return 59 * time.Second }, 1},
		{"too late once", 0, func(left int) time.Duration {
			if left == 10_000 {
				return 61 * time.Second
			}
			return 59 * time.Second
		}, 2},
		{"no answer at first", 61 * time.Second, func(int) time.Duration { return 0 }, 2},
	} {
		t.Run(x.name, func(t *testing.T) {
			r := fetch.Request{URL: "http://h/x.pcap", Path: filepath.Join(t.TempDir(), "x.pcap"), Verify: whole}
			synctest.Test(t, func(t *testing.T) {
				server := &answering{answers: []func(context.Context) (*http.Response, error){
					func(ctx context.Context) (*http.Response, error) {
						select {
						case <-time.After(x.first):
							return sending(file, &slow{ctx, bytes.NewReader(file), x.wait}), nil
						case <-ctx.Done():
							return nil, ctx.Err()
						}
					},
					func(context.Context) (*http.Response, error) { return sending(file, bytes.NewReader(file)), nil },
				}}
				r.Client = &http.Client{Transport: server}
				result, err := fetch.Get(t.Context(), r)
				if err != nil || result.Tries != x.tries || server.asked != x.tries {
					t.Fatalf("%+v, %v, %d requests: want %d", result, err, server.asked, x.tries)
				}
			})
			mustHold(t, r.Path, file)
		})
	}
}

func TestThereAlready(t *testing.T) {
	file := capture(6, 50_000)
	bad := bytes.Clone(file)
	bad[40_000] ^= 1
	s := serve(t, [][]byte{file}, answer{})
	for _, x := range []struct {
		name    string
		content []byte
		recheck bool
		octets  int64
		sum     string
		how     string
	}{
		{"right in size", file, false, 50_000, sum(file), fetch.There},
		{"size not known", file, false, 0, "", fetch.There},
		{"right, read", file, true, 50_000, sum(file), fetch.There},
		{"right by its own check", file, true, 0, "", fetch.There},
		{"wrong in size", file[:40_000], false, 50_000, sum(file), fetch.Whole},
		{"wrong, read", bad, true, 50_000, sum(file), fetch.Whole},
		{"wrong by its own check", file[:40_000], true, 0, "", fetch.Whole},
		{"a page, read", titled("x"), true, 0, "", fetch.Whole},
		{"empty, read", nil, true, 0, "", fetch.Whole},
		{"empty", nil, false, 0, "", fetch.Whole},
	} {
		t.Run(x.name, func(t *testing.T) {
			r := request(t, s)
			r.Octets, r.SHA256, r.Recheck = x.octets, x.sum, x.recheck
			if err := os.WriteFile(r.Path, x.content, 0o666); err != nil {
				t.Fatal(err)
			}
			before := len(s.requests())
			result, err := fetch.Get(t.Context(), r)
			if err != nil || result.How != x.how || (len(s.requests()) > before) != (x.how == fetch.Whole) {
				t.Fatalf("%+v, %v: want %s", result, err, x.how)
			}
			if (result.SHA256 == "") != (x.how == fetch.There && !x.recheck) {
				t.Errorf("SHA-256 %q", result.SHA256)
			}
			mustHold(t, r.Path, file)
		})
	}
	t.Run("wrong, and no better to be had", func(t *testing.T) {
		s := serve(t, [][]byte{file}, answer{status: 404})
		r := request(t, s)
		r.Octets = 60_000
		if err := os.WriteFile(r.Path, file, 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := fetch.Get(t.Context(), r); err == nil {
			t.Error("no error")
		}
		mustHold(t, r.Path, file)
	})
	t.Run("a folder", func(t *testing.T) {
		r := request(t, s)
		r.Path = filepath.Dir(r.Path)
		if _, err := fetch.Get(t.Context(), r); err == nil || !strings.Contains(err.Error(), "no file") {
			t.Errorf("error %v", err)
		}
	})
}

func TestNoRoom(t *testing.T) {
	file := capture(7, 50_000)
	s := serve(t, [][]byte{file}, answer{})
	defer fetch.SetFree(49_999)()
	r := request(t, s)
	if _, err := fetch.Get(t.Context(), r); !errors.Is(err, fetch.ErrSpace) || !strings.Contains(err.Error(), "50000") {
		t.Errorf("error %v", err)
	}
	if got := names(t, r); got != "" {
		t.Errorf("there are %q", got)
	}
	fetch.SetFree(50_000)
	if _, err := fetch.Get(t.Context(), r); err != nil {
		t.Error(err)
	}
}

func TestFree(t *testing.T) {
	free, err := fetch.Free(t.TempDir())
	if err != nil || free < -1 || free == 0 {
		t.Errorf("%d, %v", free, err)
	}
	if free, err = fetch.Free(filepath.Join(t.TempDir(), "none")); free != -1 {
		t.Errorf("of a folder that is not there: %d, %v", free, err)
	}
}

// Two at once: one loads, the other is told so.
func TestTwoAtOnce(t *testing.T) {
	if !flock.Here {
		t.Skip("no locks on this system")
	}
	file := capture(8, 50_000)
	s := serve(t, [][]byte{file}, answer{cut: 20_000, stall: true})
	r := request(t, s)
	r.Retries = -1
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	begun, ended := make(chan struct{}), make(chan error, 1)
	first := r
	var once sync.Once
	first.Progress = func(int64, int64) { once.Do(func() { close(begun) }) }
	go func() {
		_, err := fetch.Get(ctx, first)
		ended <- err
	}()
	select {
	case <-begun:
	case err := <-ended:
		t.Fatal(err)
	}
	r.Stall = time.Second // what it takes to see that it was not told
	if _, err := fetch.Get(t.Context(), r); !errors.Is(err, fetch.ErrBusy) {
		t.Errorf("error %v, want %v", err, fetch.ErrBusy)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if got := names(t, r); got != onlyPart {
		t.Errorf("there are %q", got)
	}
}

// Many at once: one loads; each other is told so, or finds the file.
func TestManyAtOnce(t *testing.T) {
	if !flock.Here {
		t.Skip("no locks on this system")
	}
	file := capture(9, 300_000)
	rounds := 30
	if testing.Short() {
		rounds = 5
	}
	for range rounds {
		s := serve(t, [][]byte{file}, answer{})
		r := request(t, s)
		var wait sync.WaitGroup
		var loaded, there, busy atomic.Int32
		for range 16 {
			wait.Go(func() {
				result, err := fetch.Get(t.Context(), r)
				switch {
				case errors.Is(err, fetch.ErrBusy):
					busy.Add(1)
				case err != nil:
					t.Error(err)
				case result.How == fetch.There:
					there.Add(1)
				default:
					loaded.Add(1)
				}
			})
		}
		wait.Wait()
		if loaded.Load() != 1 || len(s.requests()) != 1 {
			t.Errorf("%d loaded it with %d requests, %d found it, %d were told", loaded.Load(), len(s.requests()), there.Load(), busy.Load())
		}
		mustHold(t, r.Path, file)
		if got := names(t, r); got != onlyFile {
			t.Errorf("there are %q", got)
		}
	}
}

// A whole file whose check fails is not lost, and named on demand without another request.
func TestDamaged(t *testing.T) {
	file := capture(13, 100_000)
	bad := append(bytes.Clone(file), 1) // one octet too much, of itself
	for _, x := range []struct {
		name   string
		script []answer
		second int64 // octets loaded by the second call
	}{
		{"at once", []answer{{}}, 0},
		{"without versions", []answer{{noTag: true, noRange: true}}, 100_001},
		{"put together", []answer{{cut: 40_000}, {}}, 0},
	} {
		t.Run(x.name, func(t *testing.T) {
			s := serve(t, [][]byte{bad, file}, x.script...)
			r := request(t, s)
			result, err := fetch.Get(t.Context(), r)
			if !errors.Is(err, fetch.ErrDamaged) || !strings.Contains(err.Error(), "octets too much") || !strings.Contains(err.Error(), "all 100001 octets are kept") {
				t.Fatalf("error %v", err)
			}
			if result.Kept != 100_001 || result.Loaded < 100_001 || result.Tries == 0 || names(t, r) != onlyPart {
				t.Errorf("%+v, there are %q", result, names(t, r))
			}
			if result, err = fetch.Get(t.Context(), r); !errors.Is(err, fetch.ErrDamaged) || result.Loaded != x.second {
				t.Errorf("again: %+v, %v, want %d octets loaded", result, err, x.second)
			}
			before := len(s.requests())
			r.Damaged = true
			result, err = fetch.Get(t.Context(), r)
			if err != nil || result.Loaded != 0 || len(s.requests()) != before || len(result.Doubts) != 1 || !strings.Contains(result.Doubts[0], "octets too much") {
				t.Errorf("on demand: %+v, %v", result, err)
			}
			mustHold(t, r.Path, bad)
			if got := names(t, r); got != onlyFile {
				t.Errorf("there are %q", got)
			}
			r.Recheck = true
			if result, err = fetch.Get(t.Context(), r); err != nil || result.How != fetch.There || len(result.Doubts) != 1 {
				t.Errorf("read again: %+v, %v", result, err)
			}
		})
	}
	t.Run("mended", func(t *testing.T) {
		s := serve(t, [][]byte{bad, file}, answer{}, answer{version: 1})
		r := request(t, s)
		if _, err := fetch.Get(t.Context(), r); !errors.Is(err, fetch.ErrDamaged) {
			t.Errorf("error %v", err)
		}
		if _, err := fetch.Get(t.Context(), r); err != nil {
			t.Error(err)
		}
		mustHold(t, r.Path, file)
	})
}

// Nobody listens: that is told from what a server answers.
func TestUnreached(t *testing.T) {
	s := serve(t, [][]byte{nil}, answer{})
	r := request(t, s)
	r.Retries = 2
	s.Close()
	result, err := fetch.Get(t.Context(), r)
	if !errors.Is(err, fetch.ErrUnreached) || result.Tries != 3 {
		t.Errorf("%+v, %v", result, err)
	}
	s = serve(t, [][]byte{nil}, answer{status: 500})
	r = request(t, s)
	r.Retries = 2
	if result, err = fetch.Get(t.Context(), r); err == nil || errors.Is(err, fetch.ErrUnreached) || result.Tries != 3 {
		t.Errorf("of a server that answers: %+v, %v", result, err)
	}
}

func TestRedirects(t *testing.T) {
	file := capture(14, 1000)
	s := serve(t, [][]byte{file}, answer{})
	asked := 0
	loop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked++; r.URL.Path == "/once.pcap" {
			http.Redirect(w, r, s.URL+"/x.pcap", http.StatusFound)
			return
		}
		http.Redirect(w, r, r.URL.Path, http.StatusFound)
	}))
	defer loop.Close()
	r := request(t, s)
	r.URL = loop.URL + "/x.pcap"
	if result, err := fetch.Get(t.Context(), r); err == nil || !strings.Contains(err.Error(), "in a circle") || result.Tries != 1 || asked != 10 {
		t.Errorf("%+v, %v, %d requests", result, err, asked)
	}
	r.URL = loop.URL + "/once.pcap"
	if _, err := fetch.Get(t.Context(), r); err != nil {
		t.Error(err)
	}
	mustHold(t, r.Path, file)
}

// A password is sent and told nobody.
func TestPassword(t *testing.T) {
	file := capture(15, 100_000)
	s := serve(t, [][]byte{file}, answer{cut: 50_000}, answer{status: 403})
	r := request(t, s)
	r.URL = strings.Replace(r.URL, "://", "://me:secret@", 1)
	var told []string
	r.Note = func(text string) { told = append(told, text) }
	_, err := fetch.Get(t.Context(), r)
	if err == nil {
		t.Fatal("no error")
	}
	told = append(told, err.Error())
	text, err := os.ReadFile(fetch.PartOf(r.Path) + ".json")
	if err != nil {
		t.Fatal(err)
	}
	if told := strings.Join(append(told, string(text)), "\n"); strings.Contains(told, "secret") || strings.Contains(told, "me:") {
		t.Error(told)
	}
	if got := s.requests()[0].Get("Authorization"); !strings.HasPrefix(got, "Basic ") {
		t.Errorf("authorization %q", got)
	}
	for address, want := range map[string]string{
		"http://me:secret@h/x": "http://h/x", "http://me@h": "http://h", "http://h/a@b": "http://h/a@b", "https://me:s@c@h?f={path}": "https://h?f={path}",
		"h": "h", "": "", "http://": "http://",
	} {
		if got := fetch.Shown(address); got != want {
			t.Errorf("%s is shown as %s, want %s", address, got, want)
		}
	}
}

// What another program has loaded between the look and the lock is found, and not loaded again.
func TestLoadedMeanwhile(t *testing.T) {
	file := capture(9, 50_000)
	s := serve(t, [][]byte{file}, answer{})
	r := request(t, s)
	r.Octets = int64(len(file))
	if err := os.WriteFile(r.Path, file[:10], 0o666); err != nil {
		t.Fatal(err)
	}
	other := r
	r.Note = func(string) { // what is there is wrong
		if result, err := fetch.Get(t.Context(), other); err != nil || result.How != fetch.Whole {
			t.Errorf("%+v, %v", result, err)
		}
	}
	result, err := fetch.Get(t.Context(), r)
	if err != nil || result.How != fetch.There || len(s.requests()) != 1 || names(t, r) != onlyFile {
		t.Errorf("%+v, %v, %d requests, there are %s", result, err, len(s.requests()), names(t, r))
	}
}

// Notes that a kill has left half made go with the part.
func TestLeftNotes(t *testing.T) {
	file := capture(9, 50_000)
	for _, x := range []struct {
		script answer
		left   string
	}{{answer{}, onlyFile}, {answer{status: 404}, ""}} {
		s := serve(t, [][]byte{file}, x.script)
		r := request(t, s)
		if err := os.WriteFile(fetch.PartOf(r.Path)+".json.new0123", []byte("{"), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := fetch.Get(t.Context(), r); (err == nil) != (x.left != "") {
			t.Error(err)
		}
		if got := names(t, r); got != x.left {
			t.Errorf("there are %q, want %q", got, x.left)
		}
	}
}

func TestBadRequests(t *testing.T) {
	for _, r := range []fetch.Request{
		{URL: "ftp://h/x", Path: "x"}, {URL: "h/x", Path: "x"}, {URL: "http://\x7f", Path: "x"}, {URL: "http://", Path: "x"},
		{URL: "http://h/x", Path: "x", SHA256: "12"}, {URL: "http://h/x", Path: "x", SHA256: strings.Repeat("g", 64)},
		{URL: "http://127.0.0.1:1/x", Path: filepath.Join(t.TempDir(), "none", "x")},
	} {
		if _, err := fetch.Get(t.Context(), r); err == nil {
			t.Errorf("%+v is taken", r)
		}
	}
}

// The server cuts where it likes, sometimes refuses ranges, sometimes lies, and the file changes between tries: what is there
// in the end is one version, whole, or nothing.
func TestRightOrRefused(t *testing.T) {
	seeds := uint64(120)
	if testing.Short() {
		seeds = 40
	}
	if s := os.Getenv("PCAPLAB_FETCH_SEEDS"); s != "" { // for a long run by hand
		n, err := strconv.ParseUint(s, 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		seeds = n
	}
	outcomes := make(map[string]int)
	for seed := range seeds {
		random := rand.New(rand.NewPCG(seed, 1))
		versions := make([][]byte, 3)
		size := 12 + random.IntN(60_000)
		for i := range versions {
			if random.IntN(2) == 0 {
				size = 12 + random.IntN(60_000)
			}
			versions[i] = capture(3*seed+uint64(i), size)
			if i > 0 { // versions begin alike
				same := versions[i-1][12:]
				copy(versions[i][12:12+random.IntN(len(versions[i])-11)], same)
			}
		}
		sums := random.IntN(2) == 0
		trusty := !sums // without a SHA-256 nobody can tell what a server mixes under one tag
		kind := answer{noRange: random.IntN(3) == 0, noTag: random.IntN(4) == 0, date: random.IntN(4) == 0, sameTag: !trusty && random.IntN(3) == 0}
		script := make([]answer, 1+random.IntN(12))
		for i := range script {
			a := kind
			a.version = max(0, random.IntN(6)-3)
			a.length = []string{"", "", "", "chunked", "close"}[random.IntN(5)]
			if a.noTag && trusty && random.IntN(2) == 0 {
				a.noRange = false
			}
			switch random.IntN(12) {
			case 0:
				a.status = []int{500, 502, 503, 429, 408}[random.IntN(5)]
			case 1:
				a.lie = random.IntN(2000) - 1000
			case 2:
				a.from = random.IntN(2000) - 1000
			case 3:
				a.say = []string{"bytes 5-9/10", "bytes */7", "bytes 0-0/1", "x"}[random.IntN(4)]
			case 4:
				a.noRange = true
			case 5:
				a.atMost = 1 + random.IntN(10_000)
			case 6:
				a.body = titled("busy")
			case 7:
				a.announce = 1 + random.IntN(60_000)
			}
			if random.IntN(3) > 0 {
				a.cut = 1 + random.IntN(size)
			}
			if a.length == "" && len(versions[a.version])+a.lie < 0 {
				a.lie = 0
			}
			script[i] = a
		}
		s := serve(t, versions, script...)
		r := request(t, s)
		r.Retries = 4
		want := versions
		if sums {
			r.SHA256, r.Octets, want = sum(versions[0]), int64(len(versions[0])), versions[:1]
		} else if random.IntN(3) == 0 {
			r.Octets = int64(len(versions[0]))
		}
		var last error
		for range 3 {
			result, err := fetch.Get(t.Context(), r)
			last = err
			got := names(t, r)
			if err != nil {
				outcomes["refused"]++
				if got != "" && got != onlyPart {
					t.Fatalf("seed %d: after %v there are %q", seed, err, got)
				}
				continue
			}
			content, err := os.ReadFile(r.Path)
			if err != nil || got != onlyFile {
				t.Fatalf("seed %d: there are %q, %v", seed, got, err)
			}
			right := false
			for _, v := range want {
				right = right || bytes.Equal(content, v)
			}
			if !right || result.SHA256 != sum(content) || result.Octets != int64(len(content)) {
				t.Fatalf("seed %d: %d octets are of no version: %+v", seed, len(content), result)
			}
			outcomes[result.How]++
			break
		}
		if last == nil {
			continue
		}
		// However it went before, a good server ends it.
		good := kind
		good.sameTag = false
		s.mu.Lock()
		s.script, s.seen = []answer{good}, nil
		s.mu.Unlock()
		if _, err := fetch.Get(t.Context(), r); err != nil {
			t.Fatalf("seed %d: with a good server: %v", seed, err)
		}
		mustHold(t, r.Path, versions[0])
		outcomes["mended"]++
	}
	t.Logf("%v", outcomes)
	for _, outcome := range []string{"refused", fetch.Whole, fetch.Resumed, "mended"} {
		if outcomes[outcome] == 0 {
			t.Errorf("never %s", outcome)
		}
	}
}

// A server that is not the one it says it is does not get better by asking again.
func TestStrangerIsNotAskedAgain(t *testing.T) {
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	r := fetch.Request{URL: s.URL + "/x.pcap", Path: filepath.Join(t.TempDir(), "x.pcap"), Note: func(text string) { t.Error(text) }}
	if _, err := fetch.Get(t.Context(), r); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("error %v", err)
	}
}

// The library's own server is one more witness of how ranges work.
func TestAgainstServeContent(t *testing.T) {
	folder := t.TempDir()
	file := capture(10, 200_000)
	if err := os.WriteFile(filepath.Join(folder, "x.pcap"), file, 0o666); err != nil {
		t.Fatal(err)
	}
	old := time.Unix(1_600_000_000, 0)
	if err := os.Chtimes(filepath.Join(folder, "x.pcap"), old, old); err != nil {
		t.Fatal(err)
	}
	s := serve(t, [][]byte{file}, answer{})
	files := http.FileServer(http.Dir(folder))
	tries := 0
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if tries++; tries < 5 {
			w = &breaking{w, 40_000}
		}
		files.ServeHTTP(w, r)
	})
	r := request(t, s)
	r.Octets, r.SHA256 = int64(len(file)), sum(file)
	result, err := fetch.Get(t.Context(), r)
	if err != nil || result.How != fetch.Resumed || result.Tries != 5 || result.Loaded != int64(len(file)) {
		t.Errorf("%+v, %v", result, err)
	}
	mustHold(t, r.Path, file)
}

// breaking ends a connection after some octets.
type breaking struct {
	http.ResponseWriter
	left int
}

func (b *breaking) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		n, _ := b.ResponseWriter.Write(p[:len(p)+b.left])
		if f, ok := b.ResponseWriter.(http.Flusher); ok {
			f.Flush()
		}
		_ = n
		panic(http.ErrAbortHandler)
	}
	return b.ResponseWriter.Write(p)
}

// Memory does not grow with the file.
func TestMemoryIsFlat(t *testing.T) {
	octets := func(n int) int64 {
		file := capture(11, n)
		server := &answering{answers: []func(context.Context) (*http.Response, error){
			func(context.Context) (*http.Response, error) { return sending(file, bytes.NewReader(file)), nil }}}
		r := fetch.Request{URL: "http://h/x.pcap", Path: filepath.Join(t.TempDir(), "x.pcap"), SHA256: sum(file), Client: &http.Client{Transport: server}}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := fetch.Get(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		return int64(after.TotalAlloc - before.TotalAlloc)
	}
	octets(1 << 20) // what is made once
	small, large := octets(1<<20), octets(17<<20)
	if large > small+1<<19 {
		t.Errorf("%d octets for 1 MiB, %d for 17 MiB", small, large)
	}
}

// A kill loses little of a large file: what is there is made sure of on the way.
func TestSavesOnTheWay(t *testing.T) {
	file := make([]byte, 33<<20)
	copy(file, capture(12, 12))
	s := serve(t, [][]byte{file}, answer{})
	r := request(t, s)
	r.Octets, r.SHA256 = int64(len(file)), sum(file)
	state := filepath.Join(filepath.Dir(r.Path), ".x.pcap.part.json")
	kept := ""
	r.Progress = func(done, total int64) {
		if done == total {
			text, _ := os.ReadFile(state)
			kept = string(text)
		}
	}
	if _, err := fetch.Get(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	var note struct{ Kept int64 }
	if err := json.Unmarshal([]byte(kept), &note); err != nil || note.Kept < 32<<20 {
		t.Errorf("at the end %q, %v: want 32 MiB kept", kept, err)
	}
}

func TestContentRange(t *testing.T) {
	for _, x := range []struct {
		header          string
		from, to, total int64
		ok              bool
	}{
		{"bytes 5-9/10", 5, 9, 10, true},
		{"bytes 5-9/*", 5, 9, -1, true},
		{"bytes */10", -1, -1, 10, true},
		{"bytes 5-/10", 0, 0, 0, false},
		{"bytes 5-9", 0, 0, 0, false},
		{"bytes +5-9/10", 0, 0, 0, false},
		{"bytes -5-9/10", 0, 0, 0, false},
		{"bytes 5-9/99999999999999999999", 0, 0, 0, false},
		{"octets 5-9/10", 0, 0, 0, false},
		{"", 0, 0, 0, false},
	} {
		from, to, total, ok := fetch.ContentRange(http.Header{"Content-Range": {x.header}})
		if ok != x.ok || ok && (from != x.from || to != x.to || total != x.total) {
			t.Errorf("%q: %d %d %d %v", x.header, from, to, total, ok)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2023, 1, 2, 3, 4, 5, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, " 7 ": 7 * time.Second, "-7": 0, "soon": 0, "99999999999": 0,
		"Mon, 02 Jan 2023 03:05:05 GMT": time.Minute, "Mon, 02 Jan 2023 03:00:05 GMT": 0,
	} {
		if got := fetch.RetryAfter(http.Header{"Retry-After": {header}}, now); got != want {
			t.Errorf("%q: %v, want %v", header, got, want)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add("bytes 5-9/10", "x.pcap", []byte("\xd4\xc3\xb2\xa1"))
	f.Add("bytes */*", "x.csv", titled("\xff İ"))
	f.Add("bytes --/", "x.zst", []byte("<TITLE"))
	f.Add("bytes 1-0/0", "x", []byte{})
	f.Fuzz(func(t *testing.T, header, name string, head []byte) {
		if from, to, total, ok := fetch.ContentRange(http.Header{"Content-Range": {header}}); ok && (from < -1 || to < -1 || total < -1) {
			t.Errorf("%q: %d %d %d", header, from, to, total)
		}
		if err := fetch.WrongHead(name, head); err != nil && !errors.Is(err, fetch.ErrWrong) {
			t.Error(err)
		}
		fetch.RetryAfter(http.Header{"Retry-After": {header}}, time.Unix(0, 0))
	})
}
