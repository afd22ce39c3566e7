package feature_test

import (
	"bufio"
	"fmt"
	"math"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"pcaplab/parse"
	"pcaplab/parse/feature"
)

// sumsSequence is the sequence behind testdata/sums.txt: a linear congruential generator modulo 2^64 from state 1, with
// multiplier 6364136223846793005 and increment 1442695040888963407. Of each state the upper 53 bits are a fraction; every
// eighth or so, where bits 8 to 10 are 0, is a million times as large; a quarter is taken off.
func sumsSequence(n int) []float64 {
	a := make([]float64, n)
	x := uint64(1)
	for i := range a {
		x = x*6364136223846793005 + 1442695040888963407
		v := float64(x>>11) / (1 << 53)
		if x>>8&7 == 0 {
			v = float64(v * 1e6)
		}
		a[i] = v - 0.25
	}
	return a
}

// TestSums compares with numpy 1.24.2: each line of testdata/sums.txt has how many values of the sequence are summed, then
// the bits of a[:n].sum(), of ((a[:n].sum()/n - a[:n])**2).sum()/(n-1), and of the sum in order.
func TestSums(t *testing.T) {
	file, err := os.Open(filepath.Join("testdata", "sums.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	all := sumsSequence(20000)
	lines := 0
	for s := bufio.NewScanner(file); s.Scan(); lines++ {
		var n int
		var sum, variance, inOrder string
		if _, err := fmt.Sscan(s.Text(), &n, &sum, &variance, &inOrder); err != nil {
			t.Fatal(err)
		}
		is := func(what string, got float64, want string) {
			if bits := fmt.Sprintf("%016x", math.Float64bits(got)); bits != want && !(math.IsNaN(got) && want == "-") {
				t.Errorf("%s of %d values: %s, numpy %s", what, n, bits, want)
			}
		}
		a := slices.Clone(all[:n])
		is("sum", feature.Pairwise(a), sum)
		is("sum in order", feature.Sequential(a), inOrder)
		is("variance", feature.SampleVariance(a, feature.Pairwise(a)/float64(n), feature.Pairwise), variance)
	}
	if lines != 308 {
		t.Errorf("%d lines", lines)
	}
}

// TestReleasedDigits shows that summing in order gives the digits of the published files, with the odd packet at some place
// in the window, and summing as numpy does gives none of them.
func TestReleasedDigits(t *testing.T) {
	for _, c := range []struct {
		size, odd int
		want      string
	}{
		{60, 70, "1.0000000000000018"},
		{60, 66, "0.3599999999999992"},
		{60, 481, "1772.4099999999978"},
		{578, 98, "2304.000000000007"},
	} {
		t.Run(fmt.Sprintf("99x%d and %d", c.size, c.odd), func(t *testing.T) {
			for _, as := range []feature.As{feature.AsReleased, feature.AsPipeline, feature.AsExtractor} {
				found := 0
				for at := range 100 {
					frames := make([]parse.Frame, 100)
					for i := range frames {
						size := c.size
						if i == at {
							size = c.odd
						}
						frames[i] = frameOf(int64(i+1)*1e6, eth(0x0806, make([]byte, size-14)))
					}
					v, _ := vectorOf(t, feature.Config{DecoderConfig: feature.DecoderConfig{As: as}}, frames...)
					if strconv.FormatFloat(v.Values[feature.Variance], 'g', -1, 64) == c.want {
						found++
					}
				}
				if (found > 0) != (as == feature.AsReleased) {
					t.Errorf("as %v: %d of 100 places give %s", as, found, c.want)
				}
			}
		})
	}
}

// protocolFrame is a frame with an IP protocol, ARP for -1.
func protocolFrame(nano int64, proto int) parse.Frame {
	if proto < 0 {
		return frameOf(nano, eth(0x0806, arp()))
	}
	header := make([]byte, 8)
	switch proto {
	case 6:
		header = tcpHeader(1, 2, 5, 0)
	case 17:
		header = udpHeader(1, 2, 0)
	}
	return frameOf(nano, eth(0x0800, ip4(proto, header)))
}

func TestMode(t *testing.T) {
	for _, c := range []struct {
		name   string
		protos []int
		want   float64
	}{
		{"one", []int{17}, 17},
		{"most", []int{6, 17, 17, 6, 17}, 17},
		{"tie: the smallest", []int{17, 6, 17, 6}, 6},
		{"tie of all", []int{255, 254, 253, 128, 64, 63}, 63},
		{"ARP counts as 0", []int{-1, 17, 6, -1}, 0},
		{"ARP wins ties", []int{17, -1}, 0},
		{"ARP and protocol 0 together", []int{17, 17, -1, 254, 0, -1}, 0},
		{"ends of words", []int{191, 192, 192, 191, 255}, 191},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, as := range []feature.As{feature.AsExtractor, feature.AsFixed} {
				var frames []parse.Frame
				for i, p := range c.protos {
					frames = append(frames, protocolFrame(int64(i), p))
				}
				v, _ := vectorOf(t, feature.Config{DecoderConfig: feature.DecoderConfig{As: as}}, frames...)
				if got := v.Values[feature.ProtocolType]; got != c.want && !(as == feature.AsFixed && slices.Contains(c.protos, 0)) {
					t.Errorf("as %v: %v, want %v", as, got, c.want)
				}
			}
		})
	}
}

func TestTimes(t *testing.T) {
	const s = 1e9
	inf, nan := math.Inf(1), math.NaN()
	for _, c := range []struct {
		name            string
		nanos           []int64
		rate, iat       float64 // AsExtractor
		fixed, fixedIAT float64
	}{
		{"one row", []int64{5 * s}, inf, 0, nan, nan},
		{"equal times", []int64{5 * s, 5 * s}, inf, 0, nan, 0},
		{"steady", []int64{5 * s, 6 * s, 7 * s, 8 * s}, 4.0 / 3, 0.75, 1, 1},
		{"backwards", []int64{8 * s, 5 * s}, 2.0 / 3, -1.5, 1.0 / 3, -3},
		{"there and back", []int64{5 * s, 8 * s, 5 * s}, 1, 0, 2.0 / 3, 0},
		// The scripts take a last time of 0 for none: there is no gap behind it.
		{"zero, then time", []int64{0, 8 * s}, 0.25, 0, 1.0 / 8, 8},
		{"zero in the middle", []int64{4 * s, 0, 8 * s}, 3.0 / 8, -4.0 / 3, 2.0 / 8, 2},
		{"zeros", []int64{0, 0, 0}, inf, 0, nan, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var frames []parse.Frame
			for _, n := range c.nanos {
				frames = append(frames, protocolFrame(n, 17))
			}
			for _, as := range []feature.As{feature.AsExtractor, feature.AsPipeline, feature.AsReleased, feature.AsFixed} {
				for _, decimal := range []bool{false, true} {
					cfg := feature.Config{DecoderConfig: feature.DecoderConfig{As: as, Clock: feature.Clock{Decimal: decimal}}}
					v, _ := vectorOf(t, cfg, frames...)
					rate, iat := c.rate, c.iat
					if as == feature.AsFixed {
						rate, iat = c.fixed, c.fixedIAT
					}
					if got := v.Values[feature.Rate]; got != rate && !(math.IsNaN(got) && math.IsNaN(rate)) {
						t.Errorf("as %v, decimal %v: rate %v, want %v", as, decimal, got, rate)
					}
					if got := v.Values[feature.IAT]; got != iat && !(math.IsNaN(got) && math.IsNaN(iat)) {
						t.Errorf("as %v, decimal %v: IAT %v, want %v", as, decimal, got, iat)
					}
					if printed := v.RateNano > 0; printed != (decimal && as == feature.AsExtractor && !math.IsInf(rate, 1)) {
						t.Errorf("as %v, decimal %v: RateNano %d", as, decimal, v.RateNano)
					}
				}
			}
		})
	}
}

// TestGapAcrossWindows sees that the first row of a window has its gap to the window before; only the capture's has none.
func TestGapAcrossWindows(t *testing.T) {
	var frames []parse.Frame
	for i := range 25 {
		frames = append(frames, protocolFrame(1e18+int64(i)*1e9, 17))
	}
	for _, as := range []feature.As{feature.AsExtractor, feature.AsFixed} {
		vectors, _ := vectorsOf(t, feature.Config{DecoderConfig: feature.DecoderConfig{As: as}}, frames...)
		first := 0.9
		if as == feature.AsFixed {
			first = 1
		}
		want := []struct{ n, iat float64 }{{10, first}, {10, 1}, {5, 1}}
		if len(vectors) != len(want) {
			t.Fatalf("as %v: %d vectors", as, len(vectors))
		}
		for i, w := range want {
			if x := vectors[i].Values; x[feature.Number] != w.n || x[feature.IAT] != w.iat {
				t.Errorf("as %v, window %d: %v rows, IAT %v, want %v", as, i, x[feature.Number], x[feature.IAT], w)
			}
		}
	}
}

// TestDecimal compares the rate and gaps of nanosecond clocks with exact arithmetic.
func TestDecimal(t *testing.T) {
	g := newMaker(7)
	for range 2000 {
		n := 2 + g.IntN(12)
		nano := g.Int64N(1 << 62)
		first := nano
		low, high := nano, nano
		frames := []parse.Frame{protocolFrame(nano, 17)}
		for range n - 1 {
			nano = max(nano+g.Int64N(1<<pick(g, 1, 10, 30, 40, 58)), 0)
			if nano >= 4294967296e9 {
				nano = first
			}
			low, high = min(low, nano), max(high, nano)
			frames = append(frames, protocolFrame(nano, 17))
		}
		v, _ := vectorOf(t, feature.Config{DecoderConfig: feature.DecoderConfig{Clock: feature.Clock{Decimal: true}}}, frames...)
		if v.RateNano != high-low {
			t.Fatalf("RateNano %d, want %d", v.RateNano, high-low)
		}
		if high > low {
			want, _ := new(big.Rat).SetFrac(new(big.Int).Mul(big.NewInt(int64(n)), big.NewInt(1e9)), big.NewInt(high-low)).Float64()
			if got := v.Values[feature.Rate]; got != want {
				t.Errorf("%d rows in %d ns: rate %v, nearest %v", n, high-low, got, want)
			}
		}
		sum, _ := new(big.Rat).SetFrac64(nano-first, 1e9).Float64()
		if got, want := v.Values[feature.IAT], sum/float64(n); got != want {
			t.Errorf("%d rows, %d ns: IAT %v, want %v", n, nano-first, got, want)
		}
	}
}

// checkInvariants checks what holds between the columns of any vector of the scripts.
func checkInvariants(t *testing.T, v *feature.Vector) {
	t.Helper()
	x := &v.Values
	n := x[feature.Number]
	if x[feature.LLC] != x[feature.IPv] || math.Abs(x[feature.IPv]+x[feature.ARP]-1) > 1e-15 {
		t.Fatalf("LLC %v, IPv %v, ARP %v", x[feature.LLC], x[feature.IPv], x[feature.ARP])
	}
	if x[feature.TotSize] != x[feature.Avg] || x[feature.Avg] != x[feature.TotSum]/n {
		t.Fatalf("Tot size %v, AVG %v, Tot sum %v of %v", x[feature.TotSize], x[feature.Avg], x[feature.TotSum], n)
	}
	if x[feature.Min] > x[feature.Avg] || x[feature.Avg] > x[feature.Max] {
		t.Fatalf("Min %v, AVG %v, Max %v", x[feature.Min], x[feature.Avg], x[feature.Max])
	}
	if square := x[feature.Std] * x[feature.Std]; n > 1 && math.Abs(square-x[feature.Variance]) > 4e-16*square {
		t.Fatalf("Std %v squared is %v, Variance %v", x[feature.Std], square, x[feature.Variance])
	}
	if nan := math.IsNaN(x[feature.Std]); nan != (n == 1) || nan != math.IsNaN(x[feature.Variance]) {
		t.Fatalf("%v rows: Std %v, Variance %v", n, x[feature.Std], x[feature.Variance])
	}
	for count, flag := range map[int]int{
		feature.AckCount: feature.AckFlag, feature.SynCount: feature.SynFlag, feature.FinCount: feature.FinFlag,
		feature.RstCount: feature.RstFlag,
	} {
		if x[count] != math.Round(n*x[flag]) {
			t.Fatalf("%s %v, %s %v of %v", feature.Columns()[count], x[count], feature.Columns()[flag], x[flag], n)
		}
	}
	for i := range x {
		if feature.Whole(i) && x[i] != math.Trunc(x[i]) {
			t.Fatalf("%s is %v", feature.Columns()[i], x[i])
		}
		if i != feature.IAT && i != feature.Std && i != feature.Variance && !(x[i] >= 0) {
			t.Fatalf("%s is %v", feature.Columns()[i], x[i])
		}
	}
}

// TestInvariants feeds random frames and checks sums and the relations between columns.
func TestInvariants(t *testing.T) {
	for _, span := range []feature.Span{{}, {Rows: 1}, {Rows: 7}, {Rows: 300}, {Time: time.Second}, {Time: 1}} {
		for _, as := range []feature.As{feature.AsExtractor, feature.AsPipeline, feature.AsReleased} {
			t.Run(fmt.Sprintf("%v/%+v", as, span), func(t *testing.T) {
				g := newMaker(11)
				var rows, octets float64
				take := func(v *feature.Vector) {
					checkInvariants(t, v)
					rows += v.Values[feature.Number]
					octets += v.Values[feature.TotSum]
				}
				x, err := feature.New(feature.Config{DecoderConfig: feature.DecoderConfig{As: as}, Span: span, Emit: take})
				if err != nil {
					t.Fatal(err)
				}
				const frames = 3000
				want, nano := 0, int64(1e18)
				for range frames {
					f := frameOf(nano, g.frame())
					nano += g.Int64N(1e8) - 1e7
					before := x.Counters()[feature.MadeRow]
					if err := x.Process(&f, nil); err != nil {
						t.Fatal(err)
					}
					if x.Counters()[feature.MadeRow] > before {
						want += len(f.Data)
					}
				}
				if x.Flush() {
					take(x.Vector())
				}
				counts := x.Counters()
				if counts.Frames() != frames || rows != float64(counts[feature.MadeRow]) || octets != float64(want) {
					t.Errorf("%d frames, %v rows of %d, %v octets of %d", counts.Frames(), rows, counts[feature.MadeRow], octets, want)
				}
				if counts := x.Counts(); counts["vectors"] != x.Vectors() || counts["rows"] != uint64(rows) {
					t.Errorf("counts %v", counts)
				}
			})
		}
	}
}

// naiveWindows says in which window of time each row falls: windows follow each other from the first row on, and a row that
// is earlier than the window under way stays in it. All in arithmetic without limits.
func naiveWindows(nanos []int64, span time.Duration) []int {
	windows := make([]int, len(nanos))
	var end, length big.Int
	length.SetInt64(int64(span))
	n := 0
	for i, nano := range nanos {
		at := big.NewInt(nano)
		if i == 0 {
			end.Add(at, &length)
		}
		if at.Cmp(&end) >= 0 {
			n++
			// The first end behind the row, a whole number of windows on.
			var past big.Int
			past.Sub(at, &end)
			past.Div(&past, &length)
			past.Add(&past, big.NewInt(1))
			end.Add(&end, past.Mul(&past, &length))
		}
		windows[i] = n
	}
	return windows
}

func TestTimeWindows(t *testing.T) {
	for seed := range uint64(300) {
		g := newMaker(seed)
		span := time.Duration(pick(g, 1, 2, 1000, int64(time.Second), int64(time.Hour), 1<<62, math.MaxInt64, 1+g.Int64N(1<<40)))
		nanos := make([]int64, 200)
		now := pick(g, 0, 1e18, math.MinInt64, math.MaxInt64-int64(1e6), -5, math.MaxInt64)
		for i := range nanos {
			nanos[i] = now
			step := g.Int64N(int64(min(span, 1<<60)) + 1)
			switch g.IntN(12) {
			case 0:
				now -= min(step, now-math.MinInt64) // backwards
			case 1:
				if step *= 8; step > 0 && now+step > now { // over empty windows
					now += step
				}
			case 2:
				now = pick(g, math.MinInt64, math.MaxInt64, 0, -1, now)
			case 3:
			default:
				if now+step > now {
					now += step
				}
			}
		}
		for _, as := range []feature.As{feature.AsExtractor, feature.AsReleased, feature.AsFixed} {
			cutter := feature.NewCutter(feature.Span{Time: span})
			var frames []parse.Frame
			window := 0
			want := naiveWindows(nanos, span)
			var sizes []float64
			for i, nano := range nanos {
				before, after := cutter.Row(&feature.Row{Nano: nano})
				if before {
					window++
				}
				// Nothing lies behind the greatest time: a window that reaches it takes it in.
				if window != want[i] && nano != math.MaxInt64 || after {
					t.Fatalf("seed %d, span %d: row %d at %d is in window %d, want %d", seed, span, i, nano, window, want[i])
				}
				if nano == math.MaxInt64 && window != want[i] {
					break
				}
				if len(sizes) == window {
					sizes = append(sizes, 0)
				}
				sizes[window]++
				frames = append(frames, protocolFrame(nano, 17))
			}
			// AsPipeline rounds times; whole windows are compared where it need not.
			vectors, _ := vectorsOf(t, feature.Config{DecoderConfig: feature.DecoderConfig{As: as}, Span: feature.Span{Time: span}}, frames...)
			if as == feature.AsReleased {
				continue
			}
			if len(vectors) != len(sizes) {
				t.Fatalf("seed %d, span %d: %d windows, want %d", seed, span, len(vectors), len(sizes))
			}
			for i, n := range sizes {
				if got := vectors[i].Values[feature.Number]; got != n {
					t.Fatalf("seed %d, span %d: %v rows in window %d, want %v", seed, span, got, i, n)
				}
			}
		}
	}
}

// TestTimeWindowValues compares the sums of a window of time with those of a window of as many rows.
func TestTimeWindowValues(t *testing.T) {
	g := newMaker(3)
	for range 200 {
		var frames []parse.Frame
		nano := int64(1e18)
		for range 1 + g.IntN(300) {
			b := eth(0x0800, ip4(pick(g, 6, 17, 1), tcpHeader(g.port(), g.port(), 5, g.IntN(512)), make([]byte, g.IntN(1400))))
			frames = append(frames, frameOf(nano, b))
			nano += g.Int64N(1e6)
		}
		for _, as := range []feature.As{feature.AsExtractor, feature.AsFixed} {
			for _, decimal := range []bool{false, true} {
				cfg := feature.DecoderConfig{As: as, Clock: feature.Clock{Decimal: decimal}}
				rows, _ := vectorOf(t, feature.Config{DecoderConfig: cfg}, frames...)
				timed, _ := vectorsOf(t, feature.Config{DecoderConfig: cfg, Span: feature.Span{Time: time.Hour}}, frames...)
				if len(timed) != 1 {
					t.Fatalf("%d windows", len(timed))
				}
				for i, name := range feature.Columns() {
					a, b := rows.Values[i], timed[0].Values[i]
					if a != b && !(math.IsNaN(a) && math.IsNaN(b)) && !(math.Abs(a-b) <= 1e-9*math.Abs(a)) {
						t.Errorf("as %v, decimal %v, %d rows: %s %v, in time %v", as, decimal, len(frames), name, a, b)
					}
				}
			}
		}
	}
}

func TestParseSpan(t *testing.T) {
	for _, c := range []struct {
		text string
		want feature.Span
		ok   bool
	}{
		{"10", feature.Span{Rows: 10}, true},
		{"1", feature.Span{Rows: 1}, true},
		{"1048576", feature.Span{Rows: feature.MaxRows}, true},
		{"1s", feature.Span{Time: time.Second}, true},
		{"500ms", feature.Span{Time: 500 * time.Millisecond}, true},
		{"1048577", feature.Span{}, false},
		{"0", feature.Span{}, false},
		{"-1", feature.Span{}, false},
		{"0s", feature.Span{}, false},
		{"-1s", feature.Span{}, false},
		{"", feature.Span{}, false},
		{"ten", feature.Span{}, false},
		{"1.5", feature.Span{}, false},
		{"99999999999999999999", feature.Span{}, false},
	} {
		t.Run(c.text, func(t *testing.T) {
			got, err := feature.ParseSpan(c.text)
			if (err == nil) != c.ok || c.ok && got != c.want {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
	for _, s := range []feature.Span{{Rows: -1}, {Rows: feature.MaxRows + 1}, {Time: -1}, {Rows: 1, Time: 1}} {
		if s.Check() == nil {
			t.Errorf("%+v passes", s)
		}
		if _, err := feature.New(feature.Config{Span: s}); err == nil {
			t.Errorf("an extractor of %+v", s)
		}
	}
}

func TestAsText(t *testing.T) {
	for _, as := range []feature.As{feature.AsExtractor, feature.AsPipeline, feature.AsReleased, feature.AsFixed} {
		text, err := as.MarshalText()
		var back feature.As
		if err != nil || back.UnmarshalText(text) != nil || back != as {
			t.Errorf("%v: %s, %v, %v", as, text, err, back)
		}
	}
	if err := new(feature.As).UnmarshalText([]byte("exact")); err == nil {
		t.Error("exact is a name")
	}
	names := map[string]bool{}
	for _, o := range feature.Outcomes() {
		if o.Name() == "" || o.String() == "" || names[o.Name()] {
			t.Errorf("outcome %d: %q, %q", o, o.Name(), o)
		}
		names[o.Name()] = true
	}
}
