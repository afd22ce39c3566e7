package main

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"pcaplab/datasets/pcapio"
	"pcaplab/parse"
)

func TestNearestRank(t *testing.T) {
	hundred := make([]int64, 100)
	for i := range hundred {
		hundred[i] = int64(i + 1)
	}
	for _, tt := range []struct {
		name   string
		sorted []int64
		q      float64
		want   int64
	}{
		{"one value", []int64{7}, 0.99, 7},
		{"median of two is the lower", []int64{1, 2}, 0.5, 1},
		{"median of three", []int64{1, 2, 9}, 0.5, 2},
		{"p50 of a hundred", hundred, 0.5, 50},
		{"p90 of a hundred", hundred, 0.9, 90},
		{"p99 of a hundred", hundred, 0.99, 99},
		{"p100", hundred, 1, 100},
		{"p0", hundred, 0, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := nearest(tt.sorted, tt.q); got != tt.want {
				t.Errorf("%d, want %d", got, tt.want)
			}
		})
	}
}

// atGaps returns times of arrival with gaps that repeat.
func atGaps(n int, gaps ...int64) []int64 {
	at := []int64{1_700_000_000_000_000_000}
	for i := range n - 1 {
		at = append(at, at[i]+gaps[i%len(gaps)])
	}
	return at
}

func TestPacing(t *testing.T) {
	for _, tt := range []struct {
		name string
		at   []int64
		gap  float64
		want map[string]float64
	}{
		{"perfect", atGaps(1001, 10_000), 10_000, map[string]float64{
			"rate_ppm": 0, "gap_p50_ns": 0, "gap_p90_ns": 0, "gap_p99_ns": 0, "gap_worst_ns": 0, "median_gap_ns": 10_000,
			"median_gap_off_ns": 0}},
		// The mean is right and yet nearly all frames come in bunches.
		{"bunches of ten", atGaps(1001, 100, 100, 100, 100, 100, 100, 100, 100, 100, 99_100), 10_000, map[string]float64{
			"rate_ppm": 0, "gap_p50_ns": 9900, "gap_p90_ns": 9900, "gap_p99_ns": 89_100, "gap_worst_ns": 89_100, "median_gap_ns": 100,
			"median_gap_off_ns": -9900}},
		{"slow by 1000 ppm", atGaps(1001, 10_010), 10_000, map[string]float64{
			"rate_ppm": -999.000999, "gap_p50_ns": 10, "gap_p90_ns": 10, "gap_p99_ns": 10, "gap_worst_ns": 10, "median_gap_ns": 10_010,
			"median_gap_off_ns": 10}},
		{"a fraction of a nanosecond", atGaps(4, 333_333, 333_333, 333_334), 1e9 / 3000., map[string]float64{
			"rate_ppm": 0, "gap_p50_ns": 0, "gap_p90_ns": 1, "gap_p99_ns": 1, "gap_worst_ns": 1, "median_gap_ns": 333_333,
			"median_gap_off_ns": -1. / 3}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := pacing(tt.at, tt.gap)
			if err != nil {
				t.Fatal(err)
			}
			near(t, got, tt.want)
		})
	}
	if _, err := pacing([]int64{1}, 1); err == nil {
		t.Error("one frame has a gap")
	}
}

func near(t *testing.T, got, want map[string]float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("metrics %v, want %v", got, want)
	}
	for name, w := range want {
		if g, there := got[name]; !there || math.Abs(g-w) > 1e-6*max(1, math.Abs(w)) {
			t.Errorf("%s is %v, want %v", name, g, w)
		}
	}
}

func TestTiming(t *testing.T) {
	pass := []int64{5000, 6000, 6000, 9000}
	for _, tt := range []struct {
		name   string
		at     []int64
		passes [][]int64
		want   map[string]float64
	}{
		{"perfect", []int64{100, 1100, 1100, 4100}, [][]int64{pass}, map[string]float64{
			"drift_ns": 0, "late_p50_ns": 0, "late_p99_ns": 0, "late_worst_ns": 0}},
		{"late on the way, right at the end", []int64{100, 1400, 1400, 4100}, [][]int64{pass}, map[string]float64{
			"drift_ns": 0, "late_p50_ns": 0, "late_p99_ns": 300, "late_worst_ns": 300}},
		{"early counts too", []int64{100, 1100, 1100, 3900}, [][]int64{pass}, map[string]float64{
			"drift_ns": -200, "late_p50_ns": 0, "late_p99_ns": 200, "late_worst_ns": 200}},
		{"drifts add up over passes, pauses do not", []int64{0, 1000, 1000, 4050, 9050, 10050, 10050, 13110}, [][]int64{pass, pass},
			map[string]float64{"drift_ns": 110, "late_p50_ns": 0, "late_p99_ns": 60, "late_worst_ns": 60, "pause_ns": 5000}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := timing(tt.at, tt.passes)
			if err != nil {
				t.Fatal(err)
			}
			near(t, got, tt.want)
		})
	}
	for name, at := range map[string][]int64{"fewer": {1, 2, 3}, "more": {1, 2, 3, 4, 5}} {
		if _, err := timing(at, [][]int64{pass}); err == nil {
			t.Errorf("%s frames than recorded are judged", name)
		}
	}
}

func TestSeenLeavesTheEdgesOut(t *testing.T) {
	for _, tt := range []struct {
		name  string
		at    []int64
		count []int
		want  float64
	}{
		{"steady", []int64{0, 1e6, 2e6, 3e6, 4e6}, []int{0, 400, 1400, 2400, 2500}, 1e6},
		{"looked late for the end", []int64{0, 1e6, 2e6, 3e6, 9e9}, []int{0, 400, 1400, 2400, 2500}, 1e6},
		{"started late", []int64{0, 7e9, 7e9 + 1e6, 7e9 + 2e6}, []int{0, 10, 1010, 1500}, 1e6},
		{"too short to see", []int64{0, 1e6}, []int{0, 100}, 0},
		{"one look between", []int64{0, 1e6, 2e6}, []int{0, 50, 100}, 0},
		{"nothing", nil, nil, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := seen(tt.at, tt.count); math.Abs(got-tt.want) > 1e-6 {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

func TestDrop(t *testing.T) {
	second := int64(time.Second)
	for _, tt := range []struct {
		name string
		run  record
		want string
	}{
		{"quiet", record{WallNs: second, StealNs: tick, Switches: 10}, ""},
		{"at the bounds", record{WallNs: 10 * second, StealNs: 10 * tick, Switches: 500}, ""},
		{"stolen from", record{WallNs: 10 * second, StealNs: 11 * tick}, "steal"},
		{"two ticks of a short one", record{WallNs: second, StealNs: 2 * tick}, "steal"},
		{"switched out", record{WallNs: 10 * second, Switches: 501}, "involuntary switches"},
		{"a few switches of a short one", record{WallNs: second / 100, Switches: 10}, ""},
		{"failed and disturbed", record{WallNs: second, StealNs: second, Failed: "exit status 1"}, "failed"},
		{"not all received", record{WallNs: second, Missed: 1}, "missed by the receiver"},
		{"octets need no quiet", record{WallNs: second, StealNs: second, Switches: 1e6, Metrics: map[string]float64{"faults": 0}}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.run.drop(1, 50)
			if tt.run.Dropped != tt.want {
				t.Errorf("%q, want %q", tt.run.Dropped, tt.want)
			}
		})
	}
}

// runsOf makes runs of a side, one for each value; none is a run that is dropped.
func runsOf(side string, ours bool, metric string, values ...float64) []record {
	var runs []record
	for round, v := range values {
		r := record{Side: side, Ours: ours, Round: round, Metrics: map[string]float64{metric: v}}
		if math.IsNaN(v) {
			r.Dropped, r.Metrics[metric] = "steal", 1e9
		}
		runs = append(runs, r)
	}
	return runs
}

func TestJudge(t *testing.T) {
	join := func(runs ...[]record) (all []record) {
		for _, r := range runs {
			all = append(all, r...)
		}
		return all
	}
	yes, no := true, false
	for _, tt := range []struct {
		name string
		bar  bar
		runs []record
		want verdict
	}{
		{"ratio of rounds, not of medians", least("seen_pps", xdp, debian, 1.6),
			join(runsOf(xdp, true, "seen_pps", 200, 160, 900), runsOf(debian, false, "seen_pps", 100, 100, 900)),
			verdict{Ours: xdp, OursMedian: 200, PeerMedian: 100, Median: 1.6, Least: 1, Most: 2, Kept: 3, Of: 3, Met: &yes}},
		{"either side takes its round along", least("seen_pps", xdp, debian, 1.6),
			join(runsOf(xdp, true, "seen_pps", none, 150, 100, 170), runsOf(debian, false, "seen_pps", 1, 100, none, 100)),
			verdict{Ours: xdp, OursMedian: 160, PeerMedian: 100, Median: 1.6, Least: 1.5, Most: 1.7, Kept: 2, Of: 4, Met: &yes}},
		{"nothing kept", least("seen_pps", xdp, debian, 1.6),
			join(runsOf(xdp, true, "seen_pps", none, 150), runsOf(debian, false, "seen_pps", 100, none)),
			verdict{Ours: xdp, OursMedian: number(none), PeerMedian: number(none), Median: number(none), Least: number(none),
				Most: number(none), Of: 2}},
		{"the best of ours", least("seen_pps", best, debian, 1.6),
			join(runsOf(mmsg, true, "seen_pps", 110, 500, 110), runsOf(xdp, true, "seen_pps", 150, 150, 150),
				runsOf(debian, false, "seen_pps", 100, 100, 100)),
			verdict{Ours: xdp, OursMedian: 150, PeerMedian: 100, Median: 1.5, Least: 1.5, Most: 1.5, Kept: 3, Of: 3, Met: &no}},
		{"at most", most("cpu_ns", xdp, debian, 0.75),
			join(runsOf(xdp, true, "cpu_ns", 75, 74), runsOf(debian, false, "cpu_ns", 100, 100)),
			verdict{Ours: xdp, OursMedian: 74.5, PeerMedian: 100, Median: 0.745, Least: 0.74, Most: 0.75, Kept: 2, Of: 2, Met: &yes}},
		{"to either side of nothing", within("rate_ppm", plain, 10), runsOf(plain, true, "rate_ppm", -30, 20, 5),
			verdict{Ours: plain, OursMedian: 5, PeerMedian: number(none), Median: 20, Least: 5, Most: 30, Kept: 3, Of: 3, Met: &no}},
		{"no bar", most("cpu_ns", xdp, debian, none), join(runsOf(xdp, true, "cpu_ns", 50), runsOf(debian, false, "cpu_ns", 100)),
			verdict{Ours: xdp, OursMedian: 50, PeerMedian: 100, Median: 0.5, Least: 0.5, Most: 0.5, Kept: 1, Of: 1}},
		{"one fault is too many", within("faults", xdp, 0), runsOf(xdp, true, "faults", 0, 0, 1),
			verdict{Ours: xdp, PeerMedian: number(none), Most: 1, Kept: 3, Of: 3, Met: &no}},
		{"no fault", within("faults", xdp, 0), runsOf(xdp, true, "faults", 0, 0),
			verdict{Ours: xdp, PeerMedian: number(none), Kept: 2, Of: 2, Met: &yes}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := benchCase{name: "case", bars: []bar{tt.bar}}
			got := k.judge(tt.runs)[0]
			tt.want.Case, tt.want.Metric, tt.want.Peer = "case", tt.bar.metric, tt.bar.peer
			if !math.IsNaN(tt.bar.limit) {
				tt.want.Bar = tt.bar.limitText()
			}
			if a, b := line(t, got), line(t, tt.want); a != b {
				t.Errorf("\n%s\nwant\n%s", a, b)
			}
		})
	}
}

func line(t *testing.T, v verdict) string {
	t.Helper()
	var b bytes.Buffer
	for _, n := range []*number{&v.OursMedian, &v.PeerMedian, &v.Median, &v.Least, &v.Most} {
		*n = number(math.Round(float64(*n)*1e12) / 1e12)
	}
	if err := writeJSON(&b, []verdict{v}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestOrderIsReversedEachRound(t *testing.T) {
	var got []string
	sides := []side{{name: "a"}, {name: "b"}, {name: "c"}}
	for round := range 3 {
		for _, s := range inOrder(sides, round) {
			got = append(got, s.name)
		}
	}
	if s := strings.Join(got, ""); s != "abccbaabc" {
		t.Errorf("order %s", s)
	}
}

func TestReadsWhatSendersSay(t *testing.T) {
	const tcpreplay = "Actual: 1000000 packets (60000000 bytes) sent in 1.23 seconds\n" +
		"Rated: 48780487.8 Bps, 390.24 Mbps, 813008.13 pps\n" +
		"Flows: 1024 flows, 832.52 fps, 1000000 unique flow packets, 0 unique non-flow packets\n"
	for _, tt := range []struct {
		name, out, failed string
		said              int
		pps               float64
	}{
		{"tcpreplay", tcpreplay, "", 1_000_000, 813008.13},
		{"a warning before", "Warning in send\n" + tcpreplay, "", 1_000_000, 813008.13},
		{"nothing", "", "does not say", 0, 0},
		{"an error", "a\nb\nc\nno such interface\n", "no such interface", 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := record{Metrics: make(map[string]float64)}
			r.read([]byte(tt.out))
			if r.Said != tt.said || r.Metrics["said_pps"] != tt.pps || !strings.Contains(r.Failed, tt.failed) || (tt.failed == "") != (r.Failed == "") {
				t.Errorf("%+v", r)
			}
		})
	}
	r := record{Failed: "exit status 1", Metrics: make(map[string]float64)}
	if r.read([]byte("why\n")); r.Failed != "exit status 1: why" {
		t.Errorf("failed: %q", r.Failed)
	}
}

// TestFramesAreWhatTheyClaim holds the frames to gopacket, and their numbers to what the receiver reads.
func TestFramesAreWhatTheyClaim(t *testing.T) {
	seen := make(map[string]bool)
	for _, size := range []int{64, 65, 512, 1400} {
		for _, seq := range []int{0, 1, 1023, 1024, 65535, 65536, 999_999} {
			data := capture{size: size}.frame(seq, make([]byte, mtu))
			if len(data) != size-4 || sequence(data) != seq || sequence(data[:headersLen+4]) != seq {
				t.Fatalf("size %d, number %d: %d octets, number %d", size, seq, len(data), sequence(data))
			}
			p := gopacket.NewPacket(data, layers.LayerTypeEthernet, gopacket.Default)
			udp, isUDP := p.Layer(layers.LayerTypeUDP).(*layers.UDP)
			ip, isIP := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
			if p.ErrorLayer() != nil || !isUDP || !isIP {
				t.Fatalf("size %d, number %d: %v", size, seq, p)
			}
			if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
				t.Fatal(err)
			}
			buf, options := gopacket.NewSerializeBuffer(), gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
			if err := gopacket.SerializeLayers(buf, options, ip, udp, gopacket.Payload(udp.Payload)); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(buf.Bytes(), data[14:]) {
				t.Errorf("size %d, number %d:\n%x\ngopacket makes\n%x", size, seq, data[14:], buf.Bytes())
			}
			seen[ip.SrcIP.String()+udp.SrcPort.String()] = true
		}
	}
	if len(seen) != 4 { // flows 0, 1, 1023 and, of 999,999, 575
		t.Errorf("%d flows", len(seen))
	}
	if sequence(make([]byte, 60)) != -1 || sequence(nil) != -1 {
		t.Error("a foreign frame has a number")
	}
}

func TestBurstyTimes(t *testing.T) {
	whole := capture{size: 64, frames: burstCount, bursty: true}
	at := whole.times()
	if span := at[len(at)-1] - at[0]; at[0] != epoch || math.Abs(float64(span-burstTotal)) > 1 {
		t.Errorf("from %d, %d us", at[0], span)
	}
	pauses := 0
	for i := 1; i < len(at); i++ {
		if at[i] < at[i-1] {
			t.Fatalf("time goes back at frame %d", i)
		}
		if at[i]-at[i-1] >= burstPause {
			pauses++
		}
	}
	if pauses != (burstCount-1)/burst {
		t.Errorf("%d pauses", pauses)
	}
	var joined []int64
	k := benchCase{loops: 2, captures: []capture{whole.part(0, 3), whole.part(1, 3), whole.part(2, 3)}}
	for _, c := range k.captures {
		joined = append(joined, c.times()...)
	}
	if !reflect.DeepEqual(joined, at) {
		t.Error("the parts are not the whole")
	}
	if n := k.packets(); n != 2*burstCount || k.number(0) != 0 || k.number(n-1) != burstCount-1 || k.number(burstCount) != 0 ||
		k.number(burstCount/2) != burstCount/2 {
		t.Errorf("%d packets, numbers %d, %d", n, k.number(0), k.number(n-1))
	}
	if p := k.passes(); len(p) != 6 || len(p[5]) != k.captures[2].frames || p[3][0] != at[0]*1000 {
		t.Errorf("%d passes", len(p))
	}
}

func TestCapturesHoldTheFrames(t *testing.T) {
	made := newCaptures(t.TempDir())
	film := capture{size: 512, frames: 100}.part(1, 3)
	if err := made.make(t.Context(), film); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(made.path(film))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := pcapio.NewReader(f, f.Name())
	if err != nil {
		t.Fatal(err)
	}
	var got parse.Frame
	n, times := 0, film.times()
	for ; r.Next(&got) == nil; n++ {
		if want := film.frame(film.first+n, make([]byte, mtu)); !bytes.Equal(got.Data, want) || got.UnixNano != times[n]*1000 {
			t.Fatalf("frame %d differs", n)
		}
	}
	if n != film.frames || film.first != 33 || film.frames != 33 {
		t.Errorf("%d frames from %d, want %d", n, film.first, film.frames)
	}
	path := made.path(film)
	if err := made.drop([]benchCase{{captures: []capture{film}}}); err != nil || made.path(film) == "" {
		t.Errorf("a capture that is needed is removed (%v)", err)
	}
	if err := made.drop(nil); err != nil || made.path(film) != "" {
		t.Errorf("a capture that is not needed stays (%v)", err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("its file: %v", err)
	}
}

func TestCasesAreWhole(t *testing.T) {
	for _, cfg := range []config{
		{pcaplab: "p", peer: "t", rounds: 1},
		{pcaplab: "p", peer: "t", newer: "n", rounds: 1, quick: true},
		{peer: "t", rounds: 1, control: true},
	} {
		if err := cfg.choose("", nil); err != nil {
			t.Fatal(err)
		}
		for _, k := range cfg.cases {
			sides := map[string]bool{best: true, "": true}
			for _, s := range k.sides {
				if sides[s.name] {
					t.Errorf("%s: two sides %s", k.name, s.name)
				}
				sides[s.name] = true
				if s.ours != strings.HasPrefix(s.name, "pcaplab") {
					t.Errorf("%s, %s: ours %t", k.name, s.name, s.ours)
				}
			}
			for _, b := range k.bars {
				if !sides[b.ours] || !sides[b.peer] {
					t.Errorf("%s: %v compares sides that there are not", k.name, b)
				}
			}
			if k.packets() == 0 || k.loops == 0 {
				t.Errorf("%s: %d packets in %d passes", k.name, k.packets(), k.loops)
			}
		}
	}
	for _, tt := range []struct {
		name, only string
		rest       []string
		says       string
	}{
		{"no such case", "top-9", nil, "there are top-64"},
		{"no regexp", "(", nil, "-cases"},
		{"an argument", "", []string{"x"}, "only flags"},
	} {
		cfg := config{rounds: 1}
		if err := cfg.choose(tt.only, tt.rest); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: error %v", tt.name, err)
		}
	}
}

// TestOutput holds what is printed and written to what was measured, in a case with a failed and a lossy run.
func TestOutput(t *testing.T) {
	cfg := config{pcaplab: "p", peer: "t"}
	k := cfg.topSpeedCase(64, 100)
	runs := append(runsOf(debian, false, "seen_pps", 100_000, 110_000, none), runsOf(xdp, true, "seen_pps", 200_000, 220_000, 1)...)
	for i := range runs {
		runs[i].Wanted, runs[i].Said, runs[i].Delivered, runs[i].WallNs = 100, 100, 100, 1e9
	}
	runs[1].Delivered = 93
	runs[5].Failed, runs[5].Dropped, runs[5].Argv = "exit status 1: no such interface", "failed", []string{"p", "replay"}
	var text bytes.Buffer
	verdicts := k.judge(runs)
	if err := writeCase(&text, k, runs, verdicts); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"60 in the capture", "2 of 3", "2.000", "met", ">= 1.6 x", "not judged", "delivered 93", "no such interface", "p replay",
		"1 for failed, 1 for steal",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in\n%s", want, text.String())
		}
	}
	var lines bytes.Buffer
	if err := writeJSON(&lines, verdicts); err != nil {
		t.Fatal(err)
	}
	for _, l := range strings.Split(strings.TrimSpace(lines.String()), "\n") {
		if !json.Valid([]byte(l)) {
			t.Errorf("not JSON: %s", l)
		}
	}
}
