package quality_test

import (
	"context"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pcaplab/analysis/score"
	"pcaplab/datasets/arena"
	"pcaplab/parse"
	"pcaplab/parse/feature"
	"pcaplab/parse/model"
	"pcaplab/replay"
	"pcaplab/replay/quality"
)

// slow is a clock that a parser of its own moves on: each frame takes service.
type slow struct {
	now     time.Duration
	service time.Duration
	direct  parse.Engine
}

func (c *slow) Now() time.Duration { return c.now }

func (c *slow) WaitUntil(t time.Duration) (called, now time.Duration) {
	called, c.now = c.now, max(c.now, t)
	return called, c.now
}

func (c *slow) engine() parse.Engine {
	return parse.Engine{Name: "slow", New: func(l parse.LinkType) (parse.Parser, error) {
		p, err := c.direct.New(l)
		return &slowParser{c, p}, err
	}}
}

type slowParser struct {
	clock *slow
	parse.Parser
}

func (p *slowParser) Parse(f *parse.Frame, out *parse.Packet) error {
	p.clock.now += p.clock.service
	return p.Parser.Parse(f, out)
}

// byRate is a model that calls what comes quickly an attack.
type byRate struct{ from float64 }

func (m byRate) Columns() []string   { return []string{"Rate"} }
func (m byRate) Width() int          { return 1 }
func (m byRate) Classes() []string   { return []string{"Benign", "Attack"} }
func (m byRate) Probabilities() bool { return false }
func (m byRate) Clone() model.Model  { return m }
func (m byRate) Predict(x, _ []float64) (int, error) {
	if x[0] >= m.from {
		return 1, nil
	}
	return 0, nil
}

func bound(t *testing.T, m model.Model, p model.Policy) *model.Bound {
	t.Helper()
	b, err := model.Bind(m, feature.Columns(), p)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// udp is n frames of 60 octets, gap apart.
func udp(t *testing.T, n int, gap time.Duration) *arena.Frames {
	t.Helper()
	b, err := arena.NewBuilder(int64(n)*100 + 1<<16)
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, 60)
	copy(data[12:], []byte{0x08, 0x00, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0x30, 0x39, 0x30, 0x3a, 0, 26})
	for i := range n {
		f := parse.Frame{UnixNano: 1e18 + int64(i)*int64(gap), Data: data, WireLen: 60, Link: parse.LinkEthernet}
		if err := b.Append(&f); err != nil {
			t.Fatal(err)
		}
	}
	fr, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fr.Close() })
	return fr
}

// config is of a parser that takes 10 us a frame, behind a queue of 100 frames.
func config(t *testing.T, m model.Model) quality.Config {
	clock := &slow{service: 10 * time.Microsecond, direct: parse.DirectEngine()}
	return quality.Config{
		Engine: clock.engine(), Model: bound(t, m, model.Fail), Classes: []string{"Benign", "Attack"}, Queue: "100",
		NewClock: func() (replay.Clock, error) { return clock, nil }, Trial: 40 * time.Millisecond, Repeats: 1,
	}
}

func run(t *testing.T, cfg quality.Config, traffic ...quality.Traffic) *quality.Report {
	t.Helper()
	r, err := quality.Run(context.Background(), cfg, traffic)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestLossThinsWindows: an attack of a frame a millisecond has a rate of 10 / 9 ms = 1111/s. With every third frame delivered it has
// 10 / 27 ms = 370/s, which the model takes for benign traffic.
func TestLossThinsWindows(t *testing.T) {
	cfg := config(t, byRate{800})
	cfg.Loads = []float64{3, 0.1, 1, 2}
	r := run(t, cfg, quality.Traffic{Name: "flood", Frames: udp(t, 1000, time.Millisecond), Class: 1})
	if s := r.Traffic[0].Service; len(s) != 1 || math.Abs(s[0]-100_000) > 1 {
		t.Fatalf("service ceiling %v, want 100000 pps", s)
	}
	const frames = 4000 // at least Trial at the ceiling, and 16 queues of 100
	if r.Traffic[0].Passes != 4 || r.Traffic[0].Class != "Attack" || r.Traffic[0].Covered != 999*time.Millisecond || r.Traffic[0].Span.Rows != 10 {
		t.Errorf("traffic %+v", r.Traffic[0])
	}
	for i, load := range []float64{0.1, 1, 2, 3} {
		p := &r.Points[i]
		m, base, s := &p.Measured[0], &p.Baseline[0], p.Scores[0]
		if p.Load != load || m.Offered != frames || m.Delivered+m.Lost != frames || base.Delivered != frames || base.Vectors != frames/10 {
			t.Fatalf("%gx: %+v, baseline %+v", load, m, base)
		}
		if want := load * 100_000; math.Abs(m.OfferedRate()-want) > want/100 {
			t.Errorf("%gx: offered %.0f pps", load, m.OfferedRate())
		}
		if m.Decided() != m.Vectors || base.Confusion.Counts[1][1] != frames/10 {
			t.Errorf("%gx: confusion %v, baseline %v", load, m.Confusion.Counts, base.Confusion.Counts)
		}
		if load < 1 {
			if m.Lost != 0 || !reflect.DeepEqual(m.Confusion, base.Confusion) || s != p.BaselineScores[0] || s.Coverage != 1 || s.MacroF1 != 1 {
				t.Errorf("%gx: %+v, without loss %+v", load, s, p.BaselineScores[0])
			}
			continue
		}
		// The queue fills with the first frames, which come through whole; what it holds at the end does not.
		if share := m.DeliveredShare(); math.Abs(share-1/load) > 0.01 {
			t.Errorf("%gx: delivered %.3f, want %.3f", load, share, 1/load)
		}
		if math.Abs(s.Coverage-m.DeliveredShare()) > 0.01 {
			t.Errorf("%gx: coverage %v, delivered %v", load, s.Coverage, m.DeliveredShare())
		}
		if load >= 2 { // until the queue is full, 100 / (1 - 1/load) frames are delivered of which about 1/load by then
			whole := 100 / (1 - 1/load)
			if right := float64(m.Confusion.Counts[1][1]); math.Abs(right-whole/10) > 2 {
				t.Errorf("%gx: %v windows of the full rate, want about %.1f", load, right, whole/10)
			}
			if s.DetectionRate > 0.2 || s.AttacksFound > s.DetectionRate {
				t.Errorf("%gx: %+v", load, s)
			}
		}
	}
	if k := r.KeepsUp; k == nil || k.Load != 1 || math.Abs(k.Rate-100_000) > 1000 || k.Most {
		t.Errorf("keeps up with %+v, want 1x", k)
	}
	one := r.Points[1]
	if one.Scores[0].MacroF1 < 0.99 {
		t.Errorf("at the ceiling: %+v", one.Scores[0])
	}
}

// TestStampDue: where the features see due times, the rate is that of the load, with and without loss.
func TestStampDue(t *testing.T) {
	cfg := config(t, byRate{50_000})
	cfg.Loads, cfg.Stamp = []float64{0.1, 2}, replay.StampDue
	r := run(t, cfg, quality.Traffic{Name: "flood", Frames: udp(t, 1000, time.Millisecond), Class: 1})
	slowly, fast := r.Points[0], r.Points[1]
	if slowly.BaselineScores[0].DetectionRate != 0 || slowly.Scores[0] != slowly.BaselineScores[0] {
		t.Errorf("10000 pps: %+v", slowly.Scores[0])
	}
	// 200000 pps, of which half come through: 10 frames over 9 gaps of 10 us.
	if k := r.KeepsUp; k == nil || k.Load != 0.1 {
		t.Errorf("keeps up with %+v, want 0.1x", k)
	}
	if fast.BaselineScores[0].DetectionRate != 1 || fast.Scores[0].DetectionRate != 1 || fast.Scores[0].Coverage > 0.51 {
		t.Errorf("200000 pps: %+v, without loss %+v", fast.Scores[0], fast.BaselineScores[0])
	}
}

// TestMixedTraffic: a window is an attack if enough of its rows are, of the class that most of them have.
func TestMixedTraffic(t *testing.T) {
	frames := udp(t, 100, time.Millisecond)
	of := make([]uint16, 100)
	for i := range 35 {
		of[i] = 2
	}
	for i := 31; i < 34; i++ {
		of[i] = 1
	}
	for _, tt := range []struct {
		share float64
		span  feature.Span
		want  []uint64 // windows of a pass by class
	}{
		{0, feature.Span{}, []uint64{6, 1, 3}}, // rows 30 to 39: two of class 2, three of class 1
		{0.5, feature.Span{}, []uint64{6, 1, 3}},
		{0.6, feature.Span{}, []uint64{7, 0, 3}},
		{0, feature.Span{Time: 10 * time.Millisecond}, []uint64{6, 1, 3}},
		{0.6, feature.Span{Time: 10 * time.Millisecond}, []uint64{7, 0, 3}},
		{0, feature.Span{Rows: 100}, []uint64{0, 0, 1}},
	} {
		cfg := config(t, byRate{0})
		cfg.Classes = []string{"Benign", "Attack", "Other"}
		cfg.AttackShare, cfg.Loads = tt.share, []float64{0.1}
		r := run(t, cfg, quality.Traffic{Name: "mixed", Frames: frames, Of: of, Span: tt.span})
		passes := uint64(r.Traffic[0].Passes)
		var got []uint64
		for _, row := range r.Points[0].Baseline[0].Confusion.Counts {
			var n uint64
			for _, c := range row {
				n += c
			}
			got = append(got, n)
		}
		want := slices.Clone(tt.want)
		for i := range want {
			want[i] *= passes
		}
		if !slices.Equal(got, want) {
			t.Errorf("share %v, %+v: windows of %v, want %v", tt.share, tt.span, got, want)
		}
		if !reflect.DeepEqual(r.Points[0].Measured[0].Confusion, r.Points[0].Baseline[0].Confusion) {
			t.Errorf("share %v: another confusion without loss", tt.share)
		}
	}
}

// TestOtherNames: classes of the model may be one in the report, or lie in another order.
func TestOtherNames(t *testing.T) {
	cfg := config(t, byRate{800})
	cfg.Loads, cfg.Classes, cfg.ModelClasses, cfg.Benign = []float64{0.5}, []string{"flood", "quiet", "other"}, []int{1, 0}, 1
	r := run(t, cfg, quality.Traffic{Name: "x", Frames: udp(t, 100, time.Millisecond), Class: 2})
	if m := &r.Points[0].Measured[0]; m.Confusion.Counts[2][0] != m.Vectors || m.Vectors == 0 || r.Benign != "quiet" {
		t.Errorf("%+v", m.Confusion)
	}
}

// TestAttackers: in a capture of one class addresses tell which windows are the attack.
func TestAttackers(t *testing.T) {
	frames := udp(t, 100, time.Millisecond)
	for _, tt := range []struct {
		address string
		class   int
	}{{"10.0.0.1", 1}, {"10.0.0.3", 0}} {
		cfg := config(t, byRate{0})
		cfg.Loads = []float64{0.5}
		var err error
		if cfg.Attackers, err = feature.ReadAttackers(strings.NewReader(tt.address+"\n"), "attackers"); err != nil {
			t.Fatal(err)
		}
		r := run(t, cfg, quality.Traffic{Name: "x", Frames: frames, Class: 1})
		m := &r.Points[0].Measured[0]
		if n := m.Confusion.Counts[tt.class][1]; n == 0 || n != m.Vectors {
			t.Errorf("attacker %s: %v", tt.address, m.Confusion.Counts)
		}
		if m.BenignTime == 0 {
			t.Error("no time in which a false alarm can come")
		}
	}
}

// TestCapturesAddUp: each capture at multiples of its own ceiling; false alarms are counted per hour of captures with benign frames.
func TestCapturesAddUp(t *testing.T) {
	cfg := config(t, byRate{1000})
	cfg.Loads, cfg.Repeats = []float64{0.5}, 2
	calls := 0
	cfg.Progress = func(done, total int) {
		if calls++; done != calls || total != 2*2*3 {
			t.Errorf("progress %d of %d", done, total)
		}
	}
	r := run(t, cfg,
		quality.Traffic{Name: "flood", Frames: udp(t, 1000, time.Millisecond), Class: 1},
		quality.Traffic{Name: "home", Frames: udp(t, 2000, 900*time.Microsecond), Class: 0}, // 10 / 8.1 ms: an alarm each
	)
	if r.Passes != 4 || r.Traffic[0].Passes != 4 || r.Traffic[1].Passes != 2 {
		t.Fatalf("%d passes, %+v", r.Passes, r.Traffic)
	}
	p := r.Points[0]
	for i := range 2 {
		m, s := &p.Measured[i], p.Scores[i]
		// Both were offered 4000 frames; those of home, which is twice as long, count twice, as if it had been passed four times too.
		if m.Offered != 12000 || m.Vectors != 1200 || m.Confusion.Counts[0][1] != 800 || m.Confusion.Counts[1][1] != 400 || m.BenignTime != 4*1999*900*time.Microsecond {
			t.Errorf("repeat %d: %+v", i, m)
		}
		if s.FalseAlarms != 800 || math.Abs(s.FalseAlarmsHour-800/(4*1999*900e-6/3600)) > 1 || s.BenignRecall != 0 || math.Abs(s.Accuracy-1.0/3) > 1e-9 {
			t.Errorf("repeat %d: %+v", i, s)
		}
	}
	if k := r.KeepsUp; k == nil || k.Load != 0.5 || !k.Most {
		t.Errorf("keeps up with %+v", k)
	}
	if calls != 12 {
		t.Errorf("%d calls of Progress", calls)
	}
}

func TestNonFinite(t *testing.T) {
	frames := udp(t, 1000, 0) // a rate of +Inf
	cfg := config(t, byRate{1})
	cfg.Loads = []float64{0.5}
	_, err := quality.Run(context.Background(), cfg, []quality.Traffic{{Name: "still", Frames: frames}})
	if err == nil || !strings.Contains(err.Error(), "still: ") || !strings.Contains(err.Error(), "Rate is +Inf") || !strings.Contains(err.Error(), "model=FILE:drop") {
		t.Errorf("error %v", err)
	}
	cfg.Model = bound(t, byRate{1}, model.Drop)
	r := run(t, cfg, quality.Traffic{Name: "still", Frames: frames})
	if m := r.Points[0].Measured[0]; m.Undecided != m.Vectors || m.Vectors == 0 || m.Decided() != 0 || r.Points[0].Scores[0].Coverage != 0 || r.KeepsUp != nil {
		t.Errorf("dropped: %+v", m)
	}
}

func TestFaults(t *testing.T) {
	fr := udp(t, 10, 1)
	good := config(t, byRate{1})
	good.Loads = []float64{1}
	for _, tt := range []struct {
		name   string
		change func(*quality.Config)
		want   string
	}{
		{"no engine", func(c *quality.Config) { c.Engine = parse.Engine{} }, "no engine"},
		{"no model", func(c *quality.Config) { c.Model = nil }, "no model"},
		{"other classes", func(c *quality.Config) { c.Classes = []string{"Attack", "Benign"} }, "do not begin with the model's"},
		{"too few classes of the model", func(c *quality.Config) { c.ModelClasses = []int{0} }, "1 classes of a model that has 2"},
		{"no such class of the model", func(c *quality.Config) { c.ModelClasses = []int{0, 2} }, "the model's class 2"},
		{"no benign class", func(c *quality.Config) { c.Benign = 2 }, "no benign class"},
		{"pieces", func(c *quality.Config) { c.As = feature.AsPipeline }, "cut into pieces"},
		{"stamp", func(c *quality.Config) { c.Stamp = "now" }, `stamp "now"`},
		{"trial", func(c *quality.Config) { c.Trial = 1 }, "trials of 1ns"},
		{"repeats", func(c *quality.Config) { c.Repeats = -1 }, "-1 repeats"},
		{"batch", func(c *quality.Config) { c.Batch = -1 }, "batch of -1"},
		{"share", func(c *quality.Config) { c.AttackShare = math.NaN() }, "attack share"},
		{"loads", func(c *quality.Config) { c.Loads = []float64{0, math.Inf(1), 1, 1} }, "named twice"},
		{"none", func(c *quality.Config) { c.Loads = nil }, "no loads"},
		{"queue", func(c *quality.Config) { c.Queue = "long" }, `queue "long"`},
		{"clock", func(c *quality.Config) { c.Clock, c.NewClock = "sundial", nil }, `clock "sundial"`},
	} {
		cfg := good
		tt.change(&cfg)
		if _, err := quality.Run(context.Background(), cfg, []quality.Traffic{{Frames: fr}}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.want)
		}
	}
	for name, traffic := range map[string]quality.Traffic{
		"frame of class 7":   {Frames: fr, Of: append(make([]uint16, 9), 7)},
		"frames of class 2":  {Frames: fr, Class: 2},
		"classes of 3 frame": {Frames: fr, Of: make([]uint16, 3)},
		"no frames":          {Frames: udp(t, 0, 1)},
		"window of -1":       {Frames: fr, Span: feature.Span{Rows: -1}},
	} {
		if _, err := quality.Run(context.Background(), good, []quality.Traffic{traffic}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if _, err := quality.Run(context.Background(), good, nil); err == nil {
		t.Error("no traffic is fine")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := quality.Run(ctx, good, []quality.Traffic{{Frames: fr}}); err == nil {
		t.Error("a cancelled run is fine")
	}
}

// TestHotPath: what stands between feed and model allocates nothing.
func TestHotPath(t *testing.T) {
	cfg := config(t, byRate{800})
	cfg.Engine, cfg.NewClock, cfg.Clock, cfg.Loads = parse.DirectEngine(), nil, "warp", []float64{1}
	cfg, err := cfg.Normalize()
	if err != nil {
		t.Fatal(err)
	}
	frames := udp(t, 100, time.Millisecond)
	for _, of := range [][]uint16{nil, make([]uint16, 100)} {
		n, err := quality.Allocs(&cfg, &quality.Traffic{Frames: frames, Of: of})
		if err != nil || n != 0 {
			t.Errorf("%v allocations in 1000 frames, %v", n, err)
		}
	}
}

// TestPassesBeginAnew: each pass gives the windows of the capture, the last of fewer rows, at the same times.
func TestPassesBeginAnew(t *testing.T) {
	for _, tt := range []struct {
		frames int
		span   feature.Span
		of     bool
		want   uint64 // windows of a pass
	}{
		{25, feature.Span{}, false, 3}, {3, feature.Span{}, false, 1}, {25, feature.Span{Time: 10 * time.Millisecond}, false, 3},
		{25, feature.Span{}, true, 3}, {3, feature.Span{Time: time.Hour}, true, 1},
	} {
		cfg := config(t, byRate{0})
		cfg.Model = bound(t, byRate{0}, model.Clamp)
		cfg.Loads = []float64{0.5, 4}
		traffic := quality.Traffic{Name: "short", Frames: udp(t, tt.frames, time.Millisecond), Span: tt.span, Class: 1}
		if tt.of {
			traffic.Of = make([]uint16, tt.frames)
			traffic.Of[tt.frames-1] = 1 // of the last window
		}
		r := run(t, cfg, traffic)
		passes := uint64(r.Passes)
		low, high := &r.Points[0], &r.Points[1]
		attacks := tt.want
		if tt.of {
			attacks = 1
		}
		if m := &low.Baseline[0]; m.Vectors != tt.want*passes || m.Confusion.Counts[1][1] != attacks*passes {
			t.Errorf("%+v: %d windows in %d passes: %v", tt, m.Vectors, passes, m.Confusion.Counts)
		}
		if !reflect.DeepEqual(low.Measured[0].Confusion, low.Baseline[0].Confusion) {
			t.Errorf("%+v: without loss %v, want %v", tt, low.Measured[0].Confusion, low.Baseline[0].Confusion)
		}
		if m := &high.Measured[0]; m.Lost == 0 || m.Decided() == 0 {
			t.Errorf("%+v: at 4x %+v", tt, m)
		}
	}
}

// TestKeepsUpNeedsPackets: a window of an hour that closes at the end of each pass hides all loss but that of packets.
func TestKeepsUpNeedsPackets(t *testing.T) {
	cfg := config(t, byRate{0})
	cfg.Loads = []float64{0.5, 1.3}
	r := run(t, cfg, quality.Traffic{Name: "flood", Frames: udp(t, 1000, time.Millisecond), Class: 1, Span: feature.Span{Time: time.Hour}})
	p := &r.Points[1]
	if s := p.Scores[0]; s.Coverage != 1 || s.MacroF1 != 1 || p.Measured[0].DeliveredShare() > 0.9 {
		t.Fatalf("%+v of %+v", s, p.Measured[0])
	}
	if k := r.KeepsUp; k == nil || k.Load != 0.5 {
		t.Errorf("keeps up with %+v, want 0.5x", k)
	}
}

// TestLostClass: by hand. Of three classes two are right and one is always wrong: F1 of 2/3 (4 of 4 found, 4 taken for it that are not),
// 1 and 0. Without the third there would be 1, 1, n/a.
func TestLostClass(t *testing.T) {
	measure := func(third uint64) quality.Measure {
		c := score.New([]string{"Benign", "Attack", "Other"})
		c.AddN(0, 0, 4)
		c.AddN(1, 1, 4)
		c.AddN(2, 0, third)
		return quality.Measure{Confusion: c}
	}
	base, lost := measure(4), measure(0)
	near := func(got, want float64) bool { return math.Abs(got-want) < 1e-12 }
	if s := base.Scores(&base, 0); !near(s.MacroF1, (2.0/3+1)/3) || !near(s.BalancedAccuracy, 2.0/3) {
		t.Errorf("without loss %+v", s)
	}
	if s := lost.Scores(&base, 0); !near(s.MacroF1, 2.0/3) || !near(s.BalancedAccuracy, 2.0/3) {
		t.Errorf("of a lost class %+v", s)
	}
	none := quality.Measure{Confusion: score.New(base.Confusion.Classes)}
	if s := none.Scores(&base, 0); s.MacroF1 != 0 || s.BalancedAccuracy != 0 || s.Coverage != 0 {
		t.Errorf("of nothing %+v", s)
	}
	if s := base.Scores(&none, 0); !near(s.MacroF1, (2.0/3+1)/3) {
		t.Errorf("beside nothing %+v", s)
	}
}

// TestFeedShare: what the feed takes is calibrated on the clock in use, and taken off the rate that the detector keeps up with.
func TestFeedShare(t *testing.T) {
	cfg := config(t, byRate{0})
	cfg.Model = bound(t, byRate{0}, model.Clamp)
	cfg.Engine, cfg.NewClock, cfg.Loads = parse.DirectEngine(), nil, []float64{0.01}
	traffic := quality.Traffic{Name: "flood", Frames: udp(t, 1000, time.Millisecond), Class: 1}
	for _, cfg.Clock = range []string{"warp", "cpu"} {
		if _, err := replay.NewClock(cfg.Clock); err != nil {
			t.Log(err)
			continue
		}
		r := run(t, cfg, traffic)
		share := r.Traffic[0].FeedShare
		if len(share) != 1 || !(share[0] > 0) {
			t.Fatalf("%s: share %v", cfg.Clock, share)
		}
		t.Logf("%s: %.2f", cfg.Clock, share[0])
		if share[0] > 0.2 && !slices.Contains(r.Traffic[0].Marks, quality.MarkFeedLimited) {
			t.Errorf("%s: a share of %v without the mark: %v", cfg.Clock, share, r.Traffic[0].Marks)
		}
		if k := r.KeepsUp; k != nil && share[0] < 1 && math.Abs(k.Net*(1-share[0])/k.Rate-1) > 0.01 {
			t.Errorf("%s: %v of which %v is the feed's: %+v", cfg.Clock, r.Traffic[0].Service, share, k)
		}
	}
}
