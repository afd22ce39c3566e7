package scenario

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"pcaplab/datasets/pcapio"
	"pcaplab/datasets/synth"
	"pcaplab/parse"
	"pcaplab/replay/external"
)

var testEngines = []parse.Engine{parse.DirectEngine()}

// TestMain is also the measuring process of a run, and a program that counts a capture on its standard input.
func TestMain(m *testing.M) {
	if served, err := Serve(testEngines); served {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if len(os.Args) > 1 && os.Args[1] == "count-capture" {
		os.Exit(countCapture())
	}
	os.Exit(m.Run())
}

func countCapture() int {
	r, err := pcapio.NewReader(os.Stdin, "stdin")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	packets, tcp := 0, 0
	var f parse.Frame
	for r.Next(&f) == nil {
		packets++
		if len(f.Data) > 23 && f.Data[23] == 6 {
			tcp++
		}
	}
	fmt.Println(packets, tcp)
	return 0
}

func small() Scenario {
	return Scenario{Name: "small", WindowSeconds: 5, Rows: []Row{
		{Name: "udp", Side: "A", Kind: "udp", BitPerSecond: 1e6, Payload: 1000, Seconds: 0.2},
		{Name: "lo", Side: "B", Kind: "udp", Link: "loopback", BitPerSecond: 1e7, Payload: 32768, Seconds: 0.2},
		{Name: "tcp", Side: "A", Kind: "tcp", BitPerSecond: 1e6, Seconds: 0.2},
		{Name: "syn", Side: "B", Kind: "syn", PPS: 500, Seconds: 0.2, Unlimited: true},
	}}
}

// measure runs a plan and returns its records.
func measure(t *testing.T, r *Run) []Record {
	t.Helper()
	if err := r.Header.Plan.Check(r.Engines); err != nil {
		t.Fatal(err)
	}
	if err := r.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	var records []Record
	r.OnRecord = func(rec *Record) error { records = append(records, *rec); return nil }
	if err := r.Measure(t.Context()); err != nil {
		t.Fatal(err)
	}
	return records
}

func TestEveryPacketIsCountedOnce(t *testing.T) {
	for _, inProcess := range []bool{true, false} {
		t.Run(fmt.Sprintf("in process %v", inProcess), func(t *testing.T) {
			if !inProcess && runtime.GOOS == "windows" {
				t.Skip("no measuring processes here")
			}
			r := &Run{Engines: testEngines,
				Header: Header{Plan: Plan{InProcess: inProcess, Scenario: small(), Engines: []string{"direct"}, Repeats: 2, Seed: 7}}}
			records := measure(t, r)
			if len(records) != len(r.Trials()) || len(records) != 10 {
				t.Fatalf("%d records of %d trials, want 10", len(records), len(r.Trials()))
			}
			for _, rec := range records {
				row := r.row(rec.Row)
				if rec.Closed {
					if rec.Result.Delivered == 0 || rec.Counts.Packets != rec.Result.Delivered {
						t.Errorf("closed loop of %s: %d delivered, %d counted", rec.Row, rec.Result.Delivered, rec.Counts.Packets)
					}
					continue
				}
				want, err := row.Stream().Count()
				if err != nil {
					t.Fatal(err)
				}
				if rec.Result.Offered != want.Frames || rec.Counts.Packets+rec.Result.Dropped != want.Frames {
					t.Errorf("%s: offered %d, dropped %d, counted %d; the stream has %d", rec.Row, rec.Result.Offered, rec.Result.Dropped,
						rec.Counts.Packets, want.Frames)
				}
				if rec.Result.Dropped == 0 && *rec.Counts.TCP != want.TCP {
					t.Errorf("%s: %d TCP, the stream has %d", rec.Row, *rec.Counts.TCP, want.TCP)
				}
				if slices.Contains(rec.Marks, MarkMiscounts) {
					t.Errorf("%s: marks %v", rec.Row, rec.Marks)
				}
			}
		})
	}
}

func TestSameSeedSameTraffic(t *testing.T) {
	row := small().Rows[0]
	sum := func(seed uint64) (sum uint64) {
		tr, err := openTraffic(t.Context(), &row, seed)
		if err != nil {
			t.Fatal(err)
		}
		defer tr.close()
		src, err := tr.source(0)
		if err != nil {
			t.Fatal(err)
		}
		var f parse.Frame
		for src.Next(&f) == nil {
			for _, b := range f.Data {
				sum = sum*31 + uint64(b)
			}
		}
		return sum
	}
	if first, again := sum(1), sum(1); first != again {
		t.Error("the same seed gives other frames")
	}
	if sum(1) == sum(2) {
		t.Error("another seed gives the same frames")
	}
}

func TestRunGoesOnWithWhatIsLeft(t *testing.T) {
	r := &Run{Engines: testEngines,
		Header: Header{Plan: Plan{InProcess: true, Scenario: small(), Engines: []string{"direct"}, Repeats: 1}}}
	all := measure(t, r)
	r.Done = all[:3]
	rest := measure(t, r)
	if len(rest) != len(all)-3 {
		t.Fatalf("%d trials were run again, want %d", len(rest), len(all)-3)
	}
	for i := range rest {
		if rest[i].Trial != all[i+3].Trial {
			t.Errorf("trial %d is %v, want %v", i, rest[i].Trial, all[i+3].Trial)
		}
	}
	if r.Expected() < 0 {
		t.Error("negative time expected")
	}
}

func TestCancelledRunKeepsItsRecords(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := &Run{Engines: testEngines,
		Header: Header{Plan: Plan{InProcess: true, Scenario: small(), Engines: []string{"direct"}, Repeats: 1}}}
	if err := r.Header.Plan.Check(testEngines); err != nil {
		t.Fatal(err)
	}
	if err := r.Begin(ctx); err != nil {
		t.Fatal(err)
	}
	n := 0
	r.OnRecord = func(*Record) error {
		if n++; n == 2 {
			cancel()
		}
		return nil
	}
	if err := r.Measure(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that of the context", err)
	}
	if n != 2 {
		t.Errorf("%d records, want 2", n)
	}
}

func TestPlanNamesFaults(t *testing.T) {
	p := Plan{Scenario: small(), Engines: []string{"direct", "direct", "nosuch"}, Queue: "much", Clock: "sundial",
		Commands: []string{"direct=cat", "bad"}}
	err := p.Check(testEngines)
	for _, want := range []string{"named twice", `no engine "nosuch"`, "repeats 0", "much", "sundial", "NAME=COMMAND", "direct is the name of an engine"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
}

func TestCaptureRows(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.pcap")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w, err := pcapio.NewWriter(f, pcapio.WriterConfig{Link: parse.LinkEthernet})
	if err != nil {
		t.Fatal(err)
	}
	src, err := synth.New("iot-1", 1)
	if err != nil {
		t.Fatal(err)
	}
	var frame parse.Frame
	for range 300 {
		if err := errors.Join(src.Next(&frame), w.WriteFrame(&frame)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Flush(), f.Close()); err != nil {
		t.Fatal(err)
	}
	s := Scenario{Name: "captures", Rows: []Row{
		{Name: "once", Kind: KindCapture, Capture: path},
		{Name: "fast", Kind: KindCapture, Capture: path, PPS: 1000},
		{Name: "looped", Kind: KindCapture, Capture: path, PPS: 1000, Seconds: 0.5},
		{Name: "bits", Kind: KindCapture, Capture: path, BitPerSecond: 1e9},
		{Name: "cut", Kind: KindCapture, Capture: path, PPS: 1000, CutSeconds: 0.1},
		{Name: "cut late", Kind: KindCapture, Capture: path, PPS: 1000, CutSeconds: 10},
	}}
	r := &Run{Engines: testEngines, Header: Header{Plan: Plan{InProcess: true, Scenario: s, Engines: []string{"direct"}, Repeats: 1}}}
	want := map[string]uint64{"once": 300, "fast": 300, "looped": 500, "bits": 300, "cut": 100, "cut late": 300}
	for _, rec := range measure(t, r) {
		if len(rec.Marks) > 0 && !slices.Equal(rec.Marks, []string{"feed-limited"}) {
			t.Errorf("%s: marks %v", rec.Row, rec.Marks)
		}
		if rec.Cost.PeakOctets != nil && *rec.Cost.PeakOctets != *rec.Usage.EnginePeakOctets {
			t.Errorf("%s: peak of %d octets with the capture in it", rec.Row, *rec.Cost.PeakOctets)
		}
		if got := rec.Counts.Packets + rec.Result.Dropped; got != want[rec.Row] {
			t.Errorf("%s: %d packets, want %d", rec.Row, got, want[rec.Row])
		}
	}
	r.Done = []Record{{}}
	if err := os.Chtimes(path, time.Time{}, time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if err := r.Begin(t.Context()); err == nil || !strings.Contains(err.Error(), "must not be pooled") {
		t.Errorf("a capture that has changed: error %v", err)
	}
	s.Rows[0].Capture = filepath.Join(dir, "missing.pcap")
	r.Header.Plan.Scenario = s
	if err := r.Begin(t.Context()); err == nil || !strings.Contains(err.Error(), "missing.pcap") {
		t.Errorf("error %v, want one that names the file", err)
	}
}

func TestOtherProgramsCountTheSame(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip(external.ErrNotSupported)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := small()
	r := &Run{Engines: testEngines, Header: Header{Plan: Plan{InProcess: true, Scenario: s, Engines: []string{"direct", "mine"}, Repeats: 1,
		Commands: []string{fmt.Sprintf("mine='%s' count-capture", program)}, Queue: "100000"}}}
	records := measure(t, r)
	counts := map[string]map[string]uint64{}
	for _, rec := range records {
		if rec.Closed {
			continue
		}
		if counts[rec.Row] == nil {
			counts[rec.Row] = map[string]uint64{}
		}
		counts[rec.Row][rec.Engine] = rec.Counts.Packets
		if rec.Engine == "mine" {
			if rec.Program == nil || rec.Cost.TrafficCPU == nil || rec.Cost.PeakOctets == nil || *rec.Cost.PeakOctets <= 0 || rec.Cost.StartUpNs <= 0 {
				t.Errorf("%s: the cost of the program is not known: %+v", rec.Row, rec.Cost)
			}
			if rec.Clock != "system" {
				t.Errorf("%s: clock %s", rec.Row, rec.Clock)
			}
		}
	}
	for row, c := range counts {
		if c["mine"] != c["direct"] || c["mine"] == 0 {
			t.Errorf("%s: the program counts %d packets, this one %d", row, c["mine"], c["direct"])
		}
	}
}

func TestProgramsThatFailLeaveRecordsAndAreTriedAgain(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip(external.ErrNotSupported)
	}
	s := small()
	s.Rows = s.Rows[:2]
	r := &Run{Engines: testEngines, Header: Header{Plan: Plan{InProcess: true, Scenario: s, Engines: []string{"direct", "mute", "dead"}, Repeats: 1,
		Commands: []string{"mute=sh -c 'cat > /dev/null'", "dead=sh -c 'echo no >&2; exit 3'"}}}}
	records := measure(t, r)
	if len(records) != 6 {
		t.Fatalf("%d records, want 6", len(records))
	}
	for _, rec := range records {
		want := map[string]string{"direct": "", "mute": "printed no counts", "dead": "exit status 3"}[rec.Engine]
		if want == "" && rec.Failure != "" || !strings.Contains(rec.Failure, want) {
			t.Errorf("%s: failure %q, want %q", rec.Engine, rec.Failure, want)
		}
		if failed := slices.Contains(rec.Marks, MarkFailed); failed != (want != "") {
			t.Errorf("%s: marks %v", rec.Engine, rec.Marks)
		}
	}
	r.Done = records
	if again := measure(t, r); len(again) != 4 {
		t.Errorf("%d trials are tried again, want the 4 that failed", len(again))
	}
}

func TestMissingProgramsAreLeftOut(t *testing.T) {
	p := Plan{InProcess: true, Scenario: small(), Engines: []string{"direct", "gone"}, Repeats: 1, Commands: []string{"gone=/no/such/program"}}
	r := &Run{Engines: testEngines, Header: Header{Plan: p}}
	if err := r.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(r.Header.Missing) != 1 || r.Header.Missing[0].Engine != "gone" || !strings.Contains(r.Header.Missing[0].Why, "/no/such/program") {
		t.Errorf("missing: %v", r.Header.Missing)
	}
	for _, trial := range r.Trials() {
		if trial.Engine == "gone" {
			t.Errorf("trial %v of a program that is not there", trial)
		}
	}
	r.Header.Plan.Engines = []string{"gone"}
	if err := r.Begin(t.Context()); err == nil {
		t.Error("a run without any engine begins")
	}
}

func TestTrialsAreRepeatByRepeat(t *testing.T) {
	p := Plan{Scenario: small(), Engines: []string{"a", "b"}, Repeats: 2}
	trials := p.Trials()
	if len(trials) != 20 {
		t.Fatalf("%d trials, want 20", len(trials))
	}
	if want := []Trial{{"udp", "a", 1, false}, {"udp", "b", 1, false}}; !reflect.DeepEqual(trials[:2], want) {
		t.Errorf("first trials %v, want %v", trials[:2], want)
	}
	if last := trials[19]; last != (Trial{"syn", "b", 2, true}) {
		t.Errorf("last trial %v", last)
	}
}

func TestLength(t *testing.T) {
	if l := (&Row{Kind: "udp", Datagrams: 1000, Payload: 148, BitPerSecond: 2e6}).Length(); l != 592*time.Millisecond {
		t.Errorf("1000 x 148 B at 2 Mbit/s last %v, want 592 ms", l)
	}
}
