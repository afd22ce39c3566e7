package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"pcaplab/replay/trial"
)

// serving starts a server in this process and returns its ends, and a function that waits for it.
func serving(t *testing.T, ctx context.Context) (to io.WriteCloser, from io.Reader, wait func() error) {
	t.Helper()
	t.Chdir(t.TempDir())
	requests, to := io.Pipe()
	from, responses := io.Pipe()
	ended := make(chan error, 1)
	a := &app{Program: program(), stderr: io.Discard}
	go func() {
		err := a.serve(ctx, requests, responses)
		responses.CloseWithError(io.EOF)
		requests.CloseWithError(io.ErrClosedPipe)
		ended <- err
	}()
	return to, from, func() error {
		select {
		case err := <-ended:
			return err
		case <-time.After(time.Minute):
			t.Fatal("the server does not end")
			return nil
		}
	}
}

func tinyJob(t *testing.T) *job {
	t.Helper()
	j := &job{Sources: sources([]string{"synth:iot-1:2000"})}
	j.Header.Plan = trial.Plan{
		Engines: []string{"direct"}, Sizes: []string{"captured", "128"}, Caches: []string{trial.CacheAsIs}, Trial: 2 * time.Millisecond,
		Rates: []trial.Rate{{Value: 0.5, OfService: true}},
	}
	j.Header.Settings.Seed, j.Header.InProcess = 1, true
	return j
}

func TestServedStudyIsWhatTheSameStudyIsHere(t *testing.T) {
	to, from, wait := serving(t, context.Background())
	j := tinyJob(t)
	var header trial.Header
	var kinds []string
	resized := 0
	err := exchange(request{Job: j}, to, from, func(v response) error {
		switch {
		case v.Ready != nil:
			header = v.Ready.Header
		case v.Record != nil:
			kinds = append(kinds, v.Record.Cell.Size+" "+v.Record.Kind)
		case v.Resized != nil:
			resized++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	to.Close()
	if err := wait(); err != nil {
		t.Fatal(err)
	}
	want := "captured warm-up,captured service,captured trial,128 warm-up,128 service,128 trial"
	if got := strings.Join(kinds, ","); got != want {
		t.Errorf("records %s, want %s", got, want)
	}
	if len(header.Captures) != 1 || header.Captures[0].Frames != 2000 || header.Environment.GoVersion == "" || resized != 1 {
		t.Errorf("header %+v, %d resized", header.Captures, resized)
	}
}

func TestServedFaultsComeBack(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(*job)
		want  string
		usage bool
	}{
		{"unknown engine", func(j *job) { j.Header.Plan.Engines = []string{"none"} }, "none", true},
		{"missing capture under the user's name", func(j *job) {
			j.Sources = []source{{Name: "my capture.pcap", File: "0123456789"}}
		}, "my capture.pcap", false},
		{"another board", func(j *job) { j.Header.Environment.OS, j.Header.Environment.CPU = "linux", "other" }, "must not be pooled", false},
		{"another capture", func(j *job) { j.Header.Captures = []trial.Capture{{SHA256: "00"}} }, "SHA-256", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			to, from, wait := serving(t, context.Background())
			j := tinyJob(t)
			tt.spoil(j)
			err := exchange(request{Job: j}, to, from, func(response) error { return nil })
			var usage usageError
			if err == nil || !strings.Contains(err.Error(), tt.want) || errors.As(err, &usage) != tt.usage {
				t.Errorf("error %v, want %q, usage %v", err, tt.want, tt.usage)
			}
			to.Close()
			if err := wait(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestServerEndsWithItsConnection(t *testing.T) {
	to, from, wait := serving(t, context.Background())
	j := tinyJob(t)
	j.Header.Plan.Trial = time.Minute
	gone := errors.New("enough")
	err := exchange(request{Job: j}, to, from, func(v response) error {
		if v.Ready != nil {
			return gone
		}
		return nil
	})
	if !errors.Is(err, gone) {
		t.Fatal(err)
	}
	go io.Copy(io.Discard, from)
	to.Close()
	if err := wait(); err == nil || !strings.Contains(err.Error(), "connection is gone") {
		t.Errorf("ended with %v", err)
	}
}

func TestSilenceEndsAServer(t *testing.T) {
	in, out := io.Pipe()
	defer out.Close()
	ctx, cancel := context.WithCancelCause(context.Background())
	go watch(in, 20*time.Millisecond, cancel)
	<-ctx.Done()
	if err := context.Cause(ctx); !strings.Contains(err.Error(), "nothing heard") {
		t.Error(err)
	}
	in.Close()
}

func TestTaggedLinesSayTheirHost(t *testing.T) {
	var out bytes.Buffer
	w := tagged(&out, `pi@"x"`)
	e := json.NewEncoder(w)
	for _, v := range []any{map[string]int{"a": 1}, map[string]string{"b": "{"}} {
		if err := e.Encode(v); err != nil {
			t.Fatal(err)
		}
	}
	var got []map[string]any
	for d := json.NewDecoder(&out); d.More(); {
		var v map[string]any
		if err := d.Decode(&v); err != nil {
			t.Fatal(err)
		}
		got = append(got, v)
	}
	if len(got) != 2 || got[0]["host"] != `pi@"x"` || got[0]["a"] != 1.0 || got[1]["b"] != "{" {
		t.Errorf("lines %v", got)
	}
}

func TestErrorsNameThePlaceOnce(t *testing.T) {
	p := place{name: "re"}
	for _, tt := range []struct{ name, err, want string }{
		{"of something else", "request: EOF", "re: request: EOF"},
		{"named already", "re: request: EOF", "re: request: EOF"},
	} {
		if got := p.named(errors.New(tt.err)).Error(); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// All parts of the bar must be there before the first of them moves, and more trial time than expected is not more than all.
func TestProgressOfSeveralStudies(t *testing.T) {
	visits := make([]*visit, 20)
	a := &app{Program: program(), stderr: io.Discard}
	for i := range visits {
		visits[i] = &visit{a: a, place: place{name: "h", bench: atOnce{}}, job: *tinyJob(t)}
	}
	if err := a.atEach(context.Background(), visits); err != nil {
		t.Fatal(err)
	}
	for i, v := range visits {
		if v.bar.all.bars[i] != v.bar || v.bar.share > 1 {
			t.Errorf("bar %d: %+v", i, v.bar)
		}
	}
}

// atOnce is a bench that shows progress at once.
type atOnce struct{}

func (atOnce) study(_ context.Context, _ *job, e *events) error {
	e.progress(trial.Progress{Cells: 1, MeasuredTime: time.Hour})
	e.progress(trial.Progress{Cells: 1, Done: 1, MeasuredTime: 2 * time.Hour})
	return nil
}

func (atOnce) answer(context.Context, question) (json.RawMessage, error) { return nil, nil }

// FuzzExchange feeds what a board, or something in its place, may answer.
func FuzzExchange(f *testing.F) {
	for _, s := range []string{"", "{}", `{"done":true}`, `{"error":{"text":"x"}}`, "Welcome!\n{}", `{"record":{}}{"done":true}`, `{"answer":null}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		err := exchange(request{}, io.Discard, strings.NewReader(s), func(response) error { return nil })
		if err == nil && !strings.Contains(strings.ToLower(s), "done") && !strings.Contains(s, `\u`) {
			t.Errorf("%q passes for a whole answer", s)
		}
	})
}
