package replay

import (
	"hash/fnv"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"
)

func mustPacer(t testing.TB, spec string, rate float64, seed uint64) Pacer {
	t.Helper()
	p, err := ParsePacer(spec, rate, seed)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestDueExact holds due times against rational arithmetic, over a day and up to 1e12 frames and 1e15 octets.
func TestDueExact(t *testing.T) {
	day := big.NewRat(86400e9, 1)
	for _, rate := range []float64{0.1, 1.0 / 3, 1, 7.3, 1000, 148809.52, 333333.3, 3e6, 14880952.38, 14.88e6, 148.8e6, 1e9} {
		for _, spec := range []string{"constant", "bits", "onoff:10ms/90ms", "burst:1"} {
			p := mustPacer(t, spec, rate, 0)
			exact := func(n uint64) *big.Rat {
				x := new(big.Rat).SetInt(new(big.Int).SetUint64(n))
				x.Mul(x, big.NewRat(1e9, 1))
				if spec == "bits" {
					x.Mul(x, big.NewRat(8, 1))
				}
				x.Quo(x, new(big.Rat).SetFloat64(rate))
				if spec == "onoff:10ms/90ms" {
					x.Mul(x, big.NewRat(1, 10)) // time in bursts
					cycles := new(big.Rat).Quo(x, big.NewRat(10e6, 1))
					// A frame that is due within half a nanosecond of a burst's end may fall on either side.
					cycles.Add(cycles, big.NewRat(1, 20e6))
					whole := new(big.Int).Quo(cycles.Num(), cycles.Denom())
					x.Add(x, new(big.Rat).SetInt(whole.Mul(whole, big.NewInt(90e6))))
				}
				return x
			}
			var checkpoints []uint64
			perDay := uint64(rate * 86400)
			if spec == "bits" {
				perDay /= 8
			}
			for _, base := range []uint64{0, 1000, perDay / 2, perDay, 1e12, 1e15} {
				for i := range uint64(300) {
					checkpoints = append(checkpoints, base+i)
				}
			}
			last := time.Duration(-1)
			for i, n := range checkpoints {
				if i > 0 && n < checkpoints[i-1] {
					last = -1
					p = mustPacer(t, spec, rate, 0)
				}
				due := p.Due(Position{Frame: n, Octets: n})
				want := exact(n)
				if due < last {
					t.Fatalf("%s at %g: frame %d due %v, the one before %v", spec, rate, n, due, last)
				}
				last = due
				if want.Cmp(big.NewRat(math.MaxInt64, 4)) > 0 {
					if due != forever && new(big.Rat).SetInt64(int64(due)).Cmp(day) < 0 {
						t.Fatalf("%s at %g: frame %d due %v after overflow", spec, rate, n, due)
					}
					continue
				}
				diff := new(big.Rat).Sub(want, new(big.Rat).SetInt64(int64(due)))
				if diff.Abs(diff).Cmp(big.NewRat(1, 1)) >= 0 {
					t.Fatalf("%s at %g: frame %d due %d ns, want %s", spec, rate, n, due, want.FloatString(3))
				}
			}
		}
	}
}

func TestRamp(t *testing.T) {
	tests := []struct {
		name     string
		from, to float64
		over     time.Duration
	}{
		{"up", 1000, 5000, time.Second},
		{"down", 5e6, 1000, 3 * time.Second},
		{"flat", 3e6, 3e6, time.Second},
		{"for a day", 10, 14.88e6, 24 * time.Hour},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := Ramp(tt.from, tt.to, tt.over)
			if err != nil {
				t.Fatal(err)
			}
			whole := (tt.from + tt.to) / 2 * tt.over.Seconds()
			for i := range 1000 {
				n := uint64(whole * 1.3 * float64(i) / 1000)
				due := p.Due(Position{Frame: n})
				// The frames due before a time, in arithmetic that does not round.
				at := func(ns float64) *big.Float {
					x := new(big.Float).SetPrec(200).SetFloat64(ns)
					x.Quo(x, big.NewFloat(1e9))
					f, to, over := big.NewFloat(tt.from), big.NewFloat(tt.to), big.NewFloat(tt.over.Seconds())
					ramped := new(big.Float).SetPrec(200).Set(x)
					if x.Cmp(over) > 0 {
						ramped.Set(over)
					}
					slope := new(big.Float).SetPrec(200).Sub(to, f)
					slope.Quo(slope, over)
					n := new(big.Float).SetPrec(200).Mul(f, ramped)
					square := new(big.Float).SetPrec(200).Mul(ramped, ramped)
					n.Add(n, square.Mul(square, slope).Quo(square, big.NewFloat(2)))
					rest := new(big.Float).SetPrec(200).Sub(x, ramped)
					return n.Add(n, rest.Mul(rest, to))
				}
				want := new(big.Float).SetUint64(n)
				if n > 0 && (at(float64(due)-1).Cmp(want) > 0 || at(float64(due)+1).Cmp(want) < 0) {
					t.Fatalf("frame %d due %d ns: %s frames are due 1 ns before", n, due, at(float64(due)-1).Text('f', 3))
				}
			}
		})
	}
}

func TestPoisson(t *testing.T) {
	p := mustPacer(t, "poisson", 1e6, 7).(*poisson)
	const n = 1 << 20
	var sum, squares, tail, logError float64
	for i := range uint64(n) {
		gap := float64(p.exponential(i)) / (1 << 56)
		sum += gap
		squares += gap * gap
		if gap > 3 {
			tail++
		}
		u := splitMix64(7+(i+1)*0x9e3779b97f4a7c15) | 1
		logError = max(logError, math.Abs(gap+math.Log(float64(u)/(1<<64))))
	}
	if logError > 3e-6 {
		t.Errorf("a gap is off -ln u by %g", logError)
	}
	if mean := sum / n; math.Abs(mean-1) > 0.004 {
		t.Errorf("mean gap %g, want 1", mean)
	}
	if variance := squares/n - 1; math.Abs(variance-1) > 0.02 {
		t.Errorf("variance %g, want 1", variance)
	}
	if want := math.Exp(-3); math.Abs(tail/n-want) > 0.001 {
		t.Errorf("share of gaps above 3 is %g, want %g", tail/n, want)
	}
	// Due times are the sums of the gaps times the period, and the same on every machine.
	exact := new(big.Int)
	hash := fnv.New64a()
	for i := range uint64(10000) {
		due := p.Due(Position{Frame: i})
		exact.Add(exact, new(big.Int).SetUint64(p.exponential(i)))
		want := new(big.Int).Mul(exact, big.NewInt(1000))
		want.Add(want, big.NewInt(1<<55)).Rsh(want, 56)
		if want.Int64() != int64(due) {
			t.Fatalf("frame %d due %d ns, want %v", i, due, want)
		}
		_, _ = hash.Write([]byte(due.String()))
	}
	if got := hash.Sum64(); got != poissonHash {
		t.Errorf("the first due times have hash %#x, want %#x", got, uint64(poissonHash))
	}
	first := p.Due(Position{})
	if again := mustPacer(t, "poisson", 1e6, 7).Due(Position{}); first != again {
		t.Errorf("started over, frame 0 is due %v, want %v", first, again)
	}
}

const poissonHash = 0x39b35e22db5e9530

func TestRecorded(t *testing.T) {
	const ms = time.Millisecond
	captures := []time.Duration{0, 10 * ms, 4 * ms, 10 * ms, 2000 * ms, 2001 * ms, -50 * ms, 2003 * ms}
	tests := []struct {
		name, spec string
		want       []time.Duration
	}{
		{"as captured", "recorded", []time.Duration{0, 10 * ms, 10 * ms, 10 * ms, 2000 * ms, 2001 * ms, 2001 * ms, 2003 * ms}},
		{"twice", "recorded:x2", []time.Duration{0, 5 * ms, 5 * ms, 5 * ms, 1000 * ms, 1000*ms + ms/2, 1000*ms + ms/2,
			1001*ms + ms/2}},
		{"gaps cut", "recorded:x1/100ms", []time.Duration{0, 10 * ms, 10 * ms, 10 * ms, 110 * ms, 111 * ms, 111 * ms,
			113 * ms}},
		{"gaps cut, then slower", "recorded:x0.5/100ms", []time.Duration{0, 20 * ms, 20 * ms, 20 * ms, 220 * ms, 222 * ms,
			222 * ms, 226 * ms}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := mustPacer(t, tt.spec, 0, 0)
			for range 2 { // a pacer starts over
				for i, c := range captures {
					if got := p.Due(Position{Frame: uint64(i), Capture: c}); got != tt.want[i] {
						t.Errorf("frame %d due %v, want %v", i, got, tt.want[i])
					}
				}
			}
		})
	}
}

func TestBursts(t *testing.T) {
	p := mustPacer(t, "burst:3", 1000, 0)
	const ms = time.Millisecond
	for i, want := range []time.Duration{0, 0, 0, 3 * ms, 3 * ms, 3 * ms, 6 * ms} {
		if got := p.Due(Position{Frame: uint64(i)}); got != want {
			t.Errorf("burst: frame %d due %v, want %v", i, got, want)
		}
	}
	p = mustPacer(t, "onoff:2ms/6ms", 500, 0) // 2000 pps in bursts
	for i, want := range []time.Duration{0, ms / 2, ms, ms + ms/2, 8 * ms, 8*ms + ms/2} {
		if got := p.Due(Position{Frame: uint64(i)}); got != want {
			t.Errorf("onoff: frame %d due %v, want %v", i, got, want)
		}
	}
}

func TestParsePacer(t *testing.T) {
	if p, err := ParsePacer("unpaced", 0, 0); p != nil || err != nil {
		t.Errorf("unpaced: %v, %v", p, err)
	}
	bad := []struct {
		spec string
		rate float64
	}{
		{"constant", 0}, {"constant", -1}, {"constant", math.NaN()}, {"constant", math.Inf(1)}, {"constant:5", 1},
		{"constant", 1e-30}, {"poisson", 0}, {"onoff", 1}, {"onoff:1ms", 1}, {"onoff:0s/1s", 1}, {"onoff:1s/-1s", 1},
		{"burst", 1}, {"burst:0", 1}, {"ramp:1-2", 1}, {"ramp:1/1s", 1}, {"ramp:0-1/1s", 1}, {"ramp:1-2/0s", 1},
		{"recorded:2", 1}, {"recorded:x0", 1}, {"recorded:x", 1}, {"recorded:x1/-1s", 1}, {"recorded:x1/", 1}, {"fast", 1},
	}
	for _, tt := range bad {
		if p, err := ParsePacer(tt.spec, tt.rate, 0); err == nil {
			t.Errorf("%s at %g: got %T, want an error", tt.spec, tt.rate, p)
		} else if !strings.Contains(err.Error(), tt.spec) {
			t.Errorf("%s at %g: the error does not name it: %v", tt.spec, tt.rate, err)
		}
	}
}

// TestCap: frames are never closer than the cap allows, never before their due time, and no later than either makes them.
func TestCap(t *testing.T) {
	inner := mustPacer(t, "onoff:10ms/90ms", 1000, 0) // 10 kpps in bursts
	reference := mustPacer(t, "onoff:10ms/90ms", 1000, 0)
	const rate = 3333.3
	p, err := Cap(inner, rate)
	if err != nil {
		t.Fatal(err)
	}
	for round := range 2 { // it starts over at frame 0
		want := new(big.Rat)
		period := new(big.Rat).Quo(big.NewRat(1e9, 1), new(big.Rat).SetFloat64(rate))
		for n := range uint64(3000) {
			at := Position{Frame: n}
			if n > 0 {
				want.Add(want, period)
			}
			if due := new(big.Rat).SetInt64(int64(reference.Due(at))); n == 0 || due.Cmp(want) > 0 {
				want.Set(due)
			}
			got := new(big.Rat).SetInt64(int64(p.Due(at)))
			if diff := new(big.Rat).Sub(want, got); diff.Abs(diff).Cmp(big.NewRat(2, 1)) > 0 {
				t.Fatalf("round %d: frame %d due %v ns, want %s", round, n, got, want.FloatString(1))
			}
		}
	}
	if p, err := Cap(nil, 1000); err != nil || p.Due(Position{Frame: 1000}) != time.Second {
		t.Error("a cap on nothing is a constant rate")
	}
	if _, err := Cap(inner, 0); err == nil {
		t.Error("a cap of nothing")
	}
}

// TestDueBefore: as many frames as are counted one by one.
func TestDueBefore(t *testing.T) {
	for _, tt := range []struct {
		spec string
		ok   bool
	}{{"constant", true}, {"onoff:10ms/90ms", true}, {"burst:64", true}, {"ramp:0.1-2/100ms", true}, {"ramp:2-0.1/100ms", true},
		{"bits", false}, {"poisson", false}, {"recorded:x2", false}} {
		for _, rate := range []float64{0.5, 1000, 33333.3, 1e6} {
			for _, at := range []time.Duration{0, 1, 999, time.Millisecond, 123456789, 300 * time.Millisecond} {
				p := mustPacer(t, tt.spec, rate, 1)
				n, ok := DueBefore(p, at)
				if ok != tt.ok {
					t.Fatalf("%s: %v", tt.spec, ok)
				}
				if !ok {
					continue
				}
				want := uint64(0)
				for p.Due(Position{Frame: want}) < at {
					want++
				}
				if n != want {
					t.Errorf("%s at %v: %d before %v, want %d", tt.spec, rate, n, at, want)
				}
			}
		}
	}
	if n, ok := DueBefore(mustPacer(t, "constant", 1e9, 0), forever); !ok || n < 1<<62 {
		t.Errorf("%d, %v", n, ok)
	}
	capped, err := Cap(mustPacer(t, "constant", 1e6, 0), 1000)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := DueBefore(capped, time.Second); ok {
		t.Error("a capped pacer is taken for the one within")
	}
}
