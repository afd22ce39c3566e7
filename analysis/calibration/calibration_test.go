package calibration

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pcaplab/parse"
	"pcaplab/replay"
	"pcaplab/replay/meter"
	"pcaplab/replay/meter/kernel"
	"pcaplab/replay/trial"
)

func pointer[T any](v T) *T { return &v }

// measured is a kit of two engines without doubts. Repeat r of cell i took 100*(i+1)+r ns a packet, of which 5 the feed's.
func measured(t testing.TB, quick bool) Measured {
	t.Helper()
	begin := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	settings, plan := Timing([]string{"direct", "other"}, quick)
	settings, err := settings.Normalize()
	if err != nil {
		t.Fatal(err)
	}
	m := Measured{
		Started: begin, Ended: begin.Add(90 * time.Second),
		Header: trial.Header{
			Schema: trial.Schema, Version: "v1", Settings: settings, Plan: plan, Caches: Caches,
			Captures:    []trial.Capture{{Name: Traffic, Path: "/home/somebody/x", SHA256: trafficSHA256, Frames: trafficFrames, Octets: 7e6, WireOctets: 7e6}},
			Environment: meter.Environment{OS: "linux", Arch: "arm64", Bits: 64, Governor: "performance"},
		},
	}
	i := 0
	for _, size := range plan.Sizes {
		for _, cache := range plan.Caches {
			cell := trial.Cell{Size: size, Cache: cache, Workers: 1}
			for r := range plan.Repeats {
				for e, engine := range plan.Engines {
					cell.Engine = engine
					ns := time.Duration(100*(i+e+1) + r)
					rec := trial.Record{
						Schema: trial.Schema, Kind: trial.KindService, Cell: cell, Repeat: r + 1, WorkingSet: 64 << 10,
						Result:   replay.Result{Served: 1000, Delivered: 1000, Busy: 1000 * ns, Elapsed: 1000 * ns, FeedTime: 5000},
						Counters: parse.Counters{Frames: 1000, Octets: 64000},
						Usage: meter.Usage{WallNs: 1e8, ProcessCPUNs: pointer(int64(1100 * ns)), HeapAllocs: 2000, HeapAllocOctets: 32000,
							GCCycles: 3, CalibrationBeforeNs: 20000, CalibrationAfterNs: 21000, StealNs: pointer(int64(0))},
					}
					warm := rec
					warm.Kind = trial.KindWarmUp
					m.Timing = append(m.Timing, warm, rec)
				}
			}
			i += len(plan.Engines)
		}
	}
	for _, engine := range plan.Engines {
		m.Counting = append(m.Counting,
			trial.Record{Kind: trial.KindWarmUp, Cell: trial.Cell{Engine: engine}, Counters: parse.Counters{Frames: 9}},
			trial.Record{Kind: trial.KindService, Cell: trial.Cell{Engine: engine}, Counters: trafficCounts})
	}
	m.Kernels = kernel.Results{Version: kernel.Version, PageOctets: 4096}
	for _, k := range kernel.Kernels() {
		m.Kernels.Kernels = append(m.Kernels.Kernels, kernel.Result{
			Kind: k.Kind, Name: k.Name, Octets: k.Octets, Ops: k.Ops, Rounds: 10, MinNS: 1, MedianNS: 1.5, CPUNS: pointer(1.25),
			Checksum: fmt.Sprintf("%016x", k.Checksum),
		})
	}
	return m
}

// trafficCounts are what is in the traffic: countsSHA256 is their digest.
var trafficCounts = parse.Counters{
	Frames: 20000, Octets: 7708823, WireOctets: 7708823, Ethernet: 20000, VLAN: 1070, LLC: 95, ARP: 689, IPv4: 16710, IPv6: 2290, IPv6Extension: 23, Fragments: 599, FragmentRest: 361, TCP: 11303, UDP: 6287, ICMP: 480, ICMPv6: 379, IGMP: 190, NoL3: 311,
}

func made(t testing.TB, m Measured) *File {
	t.Helper()
	f, err := New(m)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func written(t testing.TB, f *File) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestKitIsWhatTheMethodSays(t *testing.T) {
	engines := make([]string, 11)
	for i := range engines {
		engines[i] = fmt.Sprint("e", i)
	}
	parsers := make([]parse.Engine, 11)
	for i := range parsers {
		parsers[i] = parse.Engine{Name: engines[i]}
	}
	for _, test := range []struct {
		quick   bool
		cells   int
		repeats int
		most    time.Duration // of engines and micro-kernels, on a VM
	}{
		{false, 11 * 4 * 2, 3, 2 * time.Minute},
		{true, 11 * 2 * 2, 1, 16 * time.Second},
	} {
		settings, plan := Timing(engines, test.quick)
		s := &trial.Study{Engines: parsers, Header: trial.Header{Settings: settings, Plan: plan}}
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
		if n := len(plan.Engines) * len(plan.Sizes) * len(plan.Caches) * len(plan.Workers); n != test.cells || plan.Repeats != test.repeats {
			t.Errorf("%d cells, %d repeats", n, plan.Repeats)
		}
		if plan.Search != trial.SearchNone || len(plan.Rates) != 0 || plan.Quick != test.quick {
			t.Errorf("not closed loop alone: %+v", plan)
		}
		kernels := Kernels(test.quick)
		if d := s.Expected() + kernels.Expected(); d > test.most {
			t.Errorf("quick %v: about %v, more than %v", test.quick, d, test.most)
		}
		settings, plan = Counting(engines)
		s = &trial.Study{Engines: parsers, Header: trial.Header{Settings: settings, Plan: plan}}
		if err := s.Check(); err != nil || settings.Passes != 1 {
			t.Errorf("counting: %v, %d passes", err, settings.Passes)
		}
	}
}

func TestNewTakesWhatWasMeasured(t *testing.T) {
	f := made(t, measured(t, false))
	if len(f.Doubts) != 0 {
		t.Errorf("doubts of nothing: %q", f.Doubts)
	}
	if len(f.Cells) != 2*4*2 || f.Elapsed != 90*time.Second || f.Traffic.Path != "" {
		t.Errorf("%d cells, %v, path %q", len(f.Cells), f.Elapsed, f.Traffic.Path)
	}
	c, ok := f.Cell("other", "64", "hot") // the sixth
	if !ok {
		t.Fatal("a cell is missing")
	}
	want := Sample{Packets: 1000, NS: 601, FeedNS: 5, CPUNS: pointer(1.1 * 601), Allocs: 2, AllocOctets: 32, GCCycles: 3}
	got := c.Samples[1]
	if math.Abs(*got.CPUNS-*want.CPUNS) > 1 {
		t.Errorf("CPU %v ns, want %v", *got.CPUNS, *want.CPUNS)
	}
	got.CPUNS, want.CPUNS = nil, nil
	if got != want || c.Octets != 64 || c.WorkingSet != 64<<10 {
		t.Errorf("%+v of %+v, want %+v", got, c, want)
	}
	s, ok := f.NS("other", "64", "hot")
	if !ok || s.N != 3 || s.Median != 601 || s.Min != 600 || s.Max != 602 {
		t.Errorf("%+v, %v", s, ok)
	}
	if s, ok := f.CPUNS("other", "64", "hot"); !ok || s.N != 3 || math.Abs(s.Median-661) > 1 {
		t.Errorf("CPU %+v, %v", s, ok)
	}
	if _, ok := f.NS("other", "65", "hot"); ok {
		t.Error("a size that was not measured is there")
	}
	if _, ok := f.CPUNS("none", "64", "hot"); ok {
		t.Error("an engine that was not measured is there")
	}
	if len(f.Counts) != 2 || f.Counts[1].Counters != trafficCounts || f.Counts[1].SHA256 != countsSHA256 {
		t.Errorf("%+v", f.Counts)
	}
}

func TestCPUIsMissingWhereItWasNotRead(t *testing.T) {
	m := measured(t, true)
	for i := range m.Timing {
		m.Timing[i].Usage.ProcessCPUNs = nil
	}
	f := made(t, m)
	if s, ok := f.CPUNS("direct", "64", "hot"); ok {
		t.Errorf("%+v", s)
	}
	if !bytes.Contains(written(t, f), []byte(`"cpu_ns": null`)) {
		t.Error("what was not read is not null")
	}
}

func TestNewRefusesWhatIsNotTheKit(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(m *Measured)
		want   string
	}{
		{"other traffic", func(m *Measured) { m.Header.Captures[0].SHA256 = "00" }, "traffic is not that of kit"},
		{"no traffic", func(m *Measured) { m.Header.Captures = nil }, "traffic is not that of kit"},
		{"the last repeat is missing", func(m *Measured) { m.Timing = m.Timing[:len(m.Timing)-2] }, "other, size 1518, cold: 2 samples of 3"},
		{"nothing was timed", func(m *Measured) { m.Timing = nil }, "direct, size captured, hot: not measured"},
		{"nothing was counted", func(m *Measured) { m.Counting = nil }, `counts of engines [], but costs of ["direct" "other"]`},
		{"half a pass", func(m *Measured) { m.Counting[1].Counters.Frames = 10000 }, "are of 10000 frames"},
		{"no kernels", func(m *Measured) { m.Kernels.Kernels = nil }, "are missing"},
		{"kernels of another version", func(m *Measured) { m.Kernels.Version++ }, "micro-kernels of version"},
		{"a kernel that computed otherwise", func(m *Measured) { m.Kernels.Kernels[3].Checksum = "0000000000000001" }, "not the kit's work"},
		{"a kernel twice", func(m *Measured) { m.Kernels.Kernels[3] = m.Kernels.Kernels[2] }, "there twice"},
		{"a kernel without time", func(m *Measured) { m.Kernels.Kernels[3].MinNS = 0 }, "least 0 ns"},
		{"a kernel with a median below the least", func(m *Measured) { m.Kernels.Kernels[3].MedianNS = 0.5 }, "median 0.5 ns"},
		{"another plan", func(m *Measured) { m.Header.Plan.Trial = time.Second }, "not those of kit"},
		{"stages", func(m *Measured) { m.Header.Settings.Stages = []string{"flow"} }, "not those of kit"},
		{"another seed", func(m *Measured) { m.Header.Settings.Seed = 2 }, "not those of kit"},
		{"working sets for other caches", func(m *Measured) { m.Header.Caches.L2 *= 2 }, "not those of kit"},
		{"a clock that went back", func(m *Measured) { m.Ended = m.Started.Add(-1) }, "took -1ns"},
		{"no engines", func(m *Measured) { m.Header.Plan.Engines = nil }, "no engine"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := measured(t, false)
			test.change(&m)
			if f, err := New(m); err == nil || f != nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}

func TestDoubts(t *testing.T) {
	each := func(m *Measured, change func(i int, r *trial.Record)) {
		for i := range m.Timing {
			change(i, &m.Timing[i])
		}
	}
	for _, test := range []struct {
		name   string
		change func(m *Measured)
		want   string
	}{
		{"in process", func(m *Measured) { m.Header.InProcess = true }, "in one process"},
		{"counts", func(m *Measured) { m.Counting[3].Counters.TCP++ }, "engine other counts the traffic otherwise"},
		{"skipped kernel", func(m *Measured) {
			m.Kernels.Kernels = slices.DeleteFunc(m.Kernels.Kernels, func(r kernel.Result) bool { return r.Name == "chase-64MiB" })
			m.Kernels.Skipped = []string{"chase-64MiB: needs much"}
		}, "micro-kernel chase-64MiB: needs much"},
		{"virtual", func(m *Measured) { m.Header.Environment.Virtual = pointer(true) }, "virtual machine"},
		{"32 bits", func(m *Measured) { m.Header.Environment.Bits, m.Header.Environment.KernelArch = 32, "aarch64" }, "32-bit program"},
		{"emulated", func(m *Measured) { m.Header.Environment.KernelArch = "x86_64" }, "for arm64 on a kernel for x86_64"},
		{"emulated, 32 bits", func(m *Measured) {
			e := &m.Header.Environment
			e.Arch, e.Bits, e.KernelArch = "arm", 32, "x86_64"
		}, "for arm on a kernel for x86_64"},
		{"governor", func(m *Measured) { m.Header.Environment.Governor = "ondemand" }, "governor ondemand"},
		{"governor that a program sets", func(m *Measured) { m.Header.Environment.Governor = "userspace" }, "governor userspace"},
		{"governor of one vendor's kernel", func(m *Measured) { m.Header.Environment.Governor = "interactive" }, "governor interactive"},
		{"large cache", func(m *Measured) {
			m.Header.Environment.Caches = []meter.Cache{{Level: 3, Type: "Unified", Octets: 256 << 20}}
		}, "last-level cache has 268435456"},
		{"throttled", func(m *Measured) {
			each(m, func(i int, r *trial.Record) { r.Usage.Throttled = pointer(i < 3) })
		}, "held back (heat or voltage) in 3 trials"},
		{"steal", func(m *Measured) {
			each(m, func(_ int, r *trial.Record) { r.Usage.StealNs = pointer(int64(2e6)) })
		}, "gave 2.0 %"},
		{"clock", func(m *Measured) { m.Timing[7].Usage.CalibrationAfterNs = 40000 }, "up to 100 % longer"},
		{"marks", func(m *Measured) {
			each(m, func(i int, r *trial.Record) {
				if r.Cell.Engine == "direct" {
					r.Marks = []string{trial.MarkFeedLimited}
				}
			})
		}, "8 of 16 cells are marked feed-limited: the feed took"},
		{"spread", func(m *Measured) { m.Timing[1].Result.Busy *= 2 }, "repeats of 1 of 16 cells differ by more than 25 %"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := measured(t, false)
			test.change(&m)
			f := made(t, m)
			if len(f.Doubts) != 1 || !strings.Contains(f.Doubts[0], test.want) {
				t.Errorf("%q, want one with %q", f.Doubts, test.want)
			}
		})
	}
	unknown := measured(t, false)
	unknown.Header.Environment.Governor = ""
	if f := made(t, unknown); len(f.Doubts) != 0 {
		t.Errorf("a governor that cannot be read: %q", f.Doubts)
	}
	if f := made(t, measured(t, true)); len(f.Doubts) != 1 || !strings.HasPrefix(f.Doubts[0], "quick: ") {
		t.Errorf("quick: %q", f.Doubts)
	}
}

func TestEveryMarkIsExplained(t *testing.T) {
	for _, m := range []string{trial.MarkFeedLimited, trial.MarkHostLimited, trial.MarkHostBusy, trial.MarkThrottled, trial.MarkLLC, trial.MarkUnsent, trial.MarkUndecoded} {
		if markWords[m] == "" {
			t.Errorf("%s is not", m)
		}
	}
}

func TestConditions(t *testing.T) {
	m := measured(t, false)
	f := made(t, m)
	if c := f.Conditions; c.TemperatureBeforeMilliC != nil || c.TemperatureMaxMilliC != nil || c.ThrottledTrials != nil {
		t.Errorf("known without having been read: %+v", c)
	}
	if c := f.Conditions; c.LoopMinNs != 20000 || c.LoopMaxNs != 21000 || c.WallNs != int64(len(m.Timing))*1e8 {
		t.Errorf("%+v", c)
	}
	for i, milli := range []int64{50000, 61000, 58000} {
		m.Timing[i].Usage.TemperatureBeforeMilliC = pointer(milli - 500)
		m.Timing[i].Usage.TemperatureAfterMilliC = pointer(milli)
	}
	m.Timing[1].Usage.Throttled = pointer(false)
	f = made(t, m)
	c := f.Conditions
	if *c.TemperatureBeforeMilliC != 49500 || *c.TemperatureAfterMilliC != 58000 || *c.TemperatureMaxMilliC != 61000 || *c.ThrottledTrials != 0 {
		t.Errorf("%+v", c)
	}
}

func TestFileRoundTrips(t *testing.T) {
	for _, quick := range []bool{false, true} {
		f := made(t, measured(t, quick))
		text := written(t, f)
		path := filepath.Join(t.TempDir(), "c.json")
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
		again, err := ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(f, again) {
			t.Errorf("read\n%+v\nwritten\n%+v", again, f)
		}
		if !bytes.Equal(text, written(t, again)) {
			t.Error("written again it is another file")
		}
		if bytes.Contains(text, []byte("somebody")) {
			t.Error("it holds a path of the user's machine")
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, text); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(&compact); err != nil {
			t.Errorf("without spaces: %v", err)
		}
	}
	if _, err := ReadFile(filepath.Join(t.TempDir(), "none")); !os.IsNotExist(err) {
		t.Errorf("no file: %v", err)
	}
}

// signed changes the stored calibration and gives it the sum that is then right.
func signed(t testing.TB, text []byte, old, new string) []byte {
	t.Helper()
	var e envelope
	if err := json.Unmarshal(text, &e); err != nil {
		t.Fatal(err)
	}
	var body bytes.Buffer
	if err := json.Compact(&body, e.Calibration); err != nil {
		t.Fatal(err)
	}
	changed := bytes.Replace(body.Bytes(), []byte(old), []byte(new), 1)
	if bytes.Equal(changed, body.Bytes()) {
		t.Fatalf("%q is not in it", old)
	}
	sum := sha256.Sum256(changed)
	e.Calibration, e.SHA256 = changed, hex.EncodeToString(sum[:])
	out, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestReadRefuses(t *testing.T) {
	good := written(t, made(t, measured(t, false)))
	replaced := func(old, new string) []byte {
		changed := bytes.Replace(good, []byte(old), []byte(new), 1)
		if bytes.Equal(changed, good) {
			t.Fatalf("%q is not in the file", old)
		}
		return changed
	}
	for _, test := range []struct {
		name string
		text []byte
		want string
	}{
		{"nothing", nil, "not a calibration, or not all of it"},
		{"half of it", good[:len(good)/2], "not a calibration, or not all of it"},
		{"two of them", slices.Concat(good, good), "not a calibration, or not all of it"},
		{"a study", []byte(`{"schema":1,"version":"x"}`), `format is ""`},
		{"JSON of no object", []byte(`[1]`), "not a calibration"},
		{"no body", []byte(`{"format":"pcaplab calibration","schema":1,"kit":1,"sha256":""}`), "calibration: "},
		{"another schema", replaced(`"schema": 1,`, `"schema": 2,`), "schema 2, and this program reads 1"},
		{"another kit", replaced(`"kit": 1,`, `"kit": 7,`), "kit 7, and this program's is 1"},
		{"one digit", replaced(`"ns": 100,`, `"ns": 101,`), "changed or damaged"},
		{"its sum", replaced(`"sha256": "`, `"sha256": "x`), "changed or damaged"},
		{"a cell renamed", signed(t, good, `"engine":"other","size":"64","cache":"hot"`, `"engine":"other","size":"65","cache":"hot"`), "other, size 64, hot: not measured"},
		{"a time of nothing", signed(t, good, `"ns":100,`, `"ns":0,`), "0 ns each"},
		{"a negative time", signed(t, good, `"feed_ns":5,`, `"feed_ns":-5,`), "a sample of"},
		{"a time of another kind", signed(t, good, `"ns":100,`, `"ns":"100",`), "cannot unmarshal"},
		{"a time beyond numbers", signed(t, good, `"ns":100,`, `"ns":1e999,`), "cannot unmarshal"},
		{"a count", signed(t, good, `"counters":{"frames":20000,"octets":7`, `"counters":{"frames":20000,"octets":8`), "counts of engine direct: SHA-256 is"},
		{"a null body", []byte(`{"format":"pcaplab calibration","schema":1,"kit":1,"sha256":"74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b","calibration":null}`),
			"traffic is not that of kit"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, err := Read(bytes.NewReader(test.text))
			if err == nil || f != nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}

func TestReadRefusesLargeInput(t *testing.T) {
	if _, err := Read(spaces{}); err == nil || !strings.Contains(err.Error(), "no calibration is that large") {
		t.Errorf("%v", err)
	}
}

// spaces is endless.
type spaces struct{}

func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func FuzzRead(f *testing.F) {
	good := written(f, made(f, measured(f, true)))
	f.Add(good)
	f.Add(good[:100])
	f.Add([]byte(`{"format":"pcaplab calibration","schema":1,"kit":1,"sha256":"","calibration":{"cells":[{}]}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		// The sum would keep the fuzzer out: what it makes is also read under a right one.
		var e envelope
		if json.Unmarshal(text, &e) == nil && e.Calibration != nil {
			var body bytes.Buffer
			if json.Compact(&body, e.Calibration) == nil {
				sum := sha256.Sum256(body.Bytes())
				e.Format, e.Schema, e.Kit, e.SHA256 = format, Schema, Kit, hex.EncodeToString(sum[:])
				if out, err := json.Marshal(e); err == nil {
					text = out
				}
			}
		}
		file, err := Read(bytes.NewReader(text))
		if err != nil {
			return
		}
		again, err := Read(bytes.NewReader(written(t, file)))
		if err != nil {
			t.Fatalf("what was read cannot be read again: %v", err)
		}
		if !reflect.DeepEqual(file, again) {
			t.Error("what was read is another file when written and read again")
		}
	})
}
