package feature

import (
	"fmt"
	"math"
	"math/big"
	"math/bits"
	"time"
)

// DefaultRows is the window of the scripts as they are published, in rows.
const DefaultRows = 10

// MaxRows is the longest window in rows: its values are kept, 16 octets a row.
const MaxRows = 1 << 20

// Span is how long a window is: in rows, or in time.
type Span struct {
	Rows int           `json:"rows,omitempty"`    // 0 with no Time means DefaultRows
	Time time.Duration `json:"time_ns,omitempty"` // above 0: windows of capture time, counted from the first row
}

// Check returns what is wrong with a span.
func (s Span) Check() error {
	switch {
	case s.Rows < 0 || s.Rows > MaxRows:
		return fmt.Errorf("window of %d rows: choose 1 to %d", s.Rows, MaxRows)
	case s.Time < 0:
		return fmt.Errorf("window of %v: choose a positive time", s.Time)
	case s.Rows > 0 && s.Time > 0:
		return fmt.Errorf("window both of %d rows and of %v", s.Rows, s.Time)
	}
	return nil
}

func (s Span) rows() int {
	if s.Rows == 0 {
		return DefaultRows
	}
	return s.Rows
}

// Window summarises rows. It is the whole state of a window: empty after New, Close and Reset.
type Window struct {
	as      As
	decimal bool
	timed   bool
	n       int

	// Columns that are 0 or 1 in a row are counted eight in a word, and moved to counts before an octet can run over.
	lanes   [4]uint64
	laned   int
	counts  [8 * 4]uint64
	protos  [256]uint64
	touched [4]uint64

	sizeSum, ttlSum, headerSum uint64
	sizeSquares                [2]uint64 // 128 bits, high and low
	sizeMin, sizeMax           uint32
	first, last                float64 // least and greatest Seconds
	firstNs, lastNs            int64   // least and greatest Nano
	gaps                       int64   // sum of Gap, modulo 2^64: the sum of differences fits where the ends do
	iatSum                     float64 // in order, of timed windows

	sizes, iats []float64 // of the rows, where sums depend on their order
}

// NewWindow returns an empty window. decimal is Clock.Decimal of the rows.
func NewWindow(as As, span Span, decimal bool) (*Window, error) {
	if err := span.Check(); err != nil {
		return nil, err
	}
	w := &Window{as: as, decimal: decimal && !as.Pieces(), timed: span.Time > 0}
	if !w.timed && as != AsFixed {
		w.sizes = make([]float64, 0, span.rows())
		w.iats = make([]float64, 0, span.rows())
	}
	w.Reset()
	return w, nil
}

// Rows returns how many rows the window holds.
func (w *Window) Rows() int { return w.n }

// SetDecimal says whether the rows to come have the times of a Clock with Decimal. The window must be empty.
func (w *Window) SetDecimal(decimal bool) { w.decimal = decimal && !w.as.Pieces() }

// Reset empties the window.
func (w *Window) Reset() {
	w.n = 0
	w.lanes, w.laned = [4]uint64{}, 0
	w.counts = [8 * 4]uint64{}
	for i, word := range w.touched {
		for ; word != 0; word &= word - 1 {
			w.protos[64*i+bits.TrailingZeros64(word)] = 0
		}
	}
	w.touched = [4]uint64{}
	w.sizeSum, w.ttlSum, w.headerSum = 0, 0, 0
	w.sizeSquares = [2]uint64{}
	w.sizeMin, w.sizeMax = math.MaxUint32, 0
	w.first, w.last = math.Inf(1), math.Inf(-1)
	w.firstNs, w.lastNs = math.MaxInt64, math.MinInt64
	w.gaps, w.iatSum = 0, 0
	w.sizes, w.iats = w.sizes[:0], w.iats[:0]
}

// spread has, for an octet, a word with one of its bits in each octet, the lowest first.
var spread = func() (t [256]uint64) {
	for i := range t {
		for b := range 8 {
			t[i] |= uint64(i>>b&1) << (8 * b)
		}
	}
	return t
}()

// Add adds a row. A window in rows must not hold more of them than its span.
func (w *Window) Add(r *Row) {
	w.n++
	m := r.Marks
	w.lanes[0] += spread[uint8(m)]
	w.lanes[1] += spread[uint8(m>>8)]
	w.lanes[2] += spread[uint8(m>>16)]
	w.lanes[3] += spread[uint8(m>>24)]
	if w.laned++; w.laned == 255 {
		w.unload()
	}
	w.protos[r.Protocol]++
	w.touched[r.Protocol>>6] |= 1 << (r.Protocol & 63)
	size := uint64(r.Size)
	w.sizeSum += size
	w.sizeMin, w.sizeMax = min(w.sizeMin, r.Size), max(w.sizeMax, r.Size)
	w.ttlSum += uint64(r.TTL)
	w.headerSum += uint64(r.HeaderLen)
	if w.as == AsFixed || w.decimal {
		w.firstNs, w.lastNs = min(w.firstNs, r.Nano), max(w.lastNs, r.Nano)
		w.gaps += r.Gap
	} else {
		w.first, w.last = min(w.first, r.Seconds), max(w.last, r.Seconds)
	}
	switch {
	case w.as == AsFixed || w.timed:
		high, low := bits.Mul64(size, size)
		var carry uint64
		w.sizeSquares[1], carry = bits.Add64(w.sizeSquares[1], low, 0)
		w.sizeSquares[0] += high + carry
		w.iatSum += r.IAT
	default:
		w.sizes = append(w.sizes, float64(size))
		if !w.decimal {
			w.iats = append(w.iats, r.IAT)
		}
	}
}

// unload moves the counts in octets to those in words.
func (w *Window) unload() {
	for i, lane := range w.lanes {
		for b := range 8 {
			w.counts[8*i+b] += lane >> (8 * b) & 0xff
		}
	}
	w.lanes, w.laned = [4]uint64{}, 0
}

// markColumns are the columns of the marks, in order.
var markColumns = [...]int{
	FinFlag, SynFlag, RstFlag, PshFlag, AckFlag, EceFlag, CwrFlag, HTTP, HTTPS, DNS, Telnet, SMTP, SSH, IRC, TCP, UDP, DHCP,
	ARP, ICMP, IGMP, IPv, LLC,
}

func (w *Window) count(m mark) uint64 { return w.counts[bits.TrailingZeros32(m)] }

// Close sets *v to the summary of the rows and empties the window, which must hold a row.
func (w *Window) Close(v *Vector) {
	w.unload()
	n := float64(w.n)
	x := &v.Values
	for bit, column := range markColumns {
		x[column] = float64(w.counts[bit]) / n
	}
	x[AckCount] = float64(w.count(markAck))
	x[SynCount] = float64(w.count(markSyn))
	x[FinCount] = float64(w.count(markFin))
	x[RstCount] = float64(w.count(markRst))
	v.AttackRows = int(w.count(markAttack))

	var most uint64
	for i, word := range w.touched {
		for ; word != 0; word &= word - 1 {
			if p := 64*i + bits.TrailingZeros64(word); w.protos[p] > most {
				most = w.protos[p]
				x[ProtocolType] = float64(p)
			}
		}
	}

	x[TotSum] = float64(w.sizeSum)
	x[Min], x[Max] = float64(w.sizeMin), float64(w.sizeMax)
	x[Avg] = x[TotSum] / n
	x[TotSize] = x[Avg]
	x[Number] = n
	x[HeaderLength] = float64(w.headerSum) / n
	x[TimeToLive] = float64(w.ttlSum) / n
	v.RateNano = 0

	switch {
	case w.as == AsFixed:
		w.closeFixed(x)
	case w.decimal:
		d := w.lastNs - w.firstNs
		if d > 0 {
			v.RateNano = d
			x[Rate] = decimalRate(w.n, d)
		} else {
			x[Rate] = math.Inf(1)
		}
		x[IAT] = decimalSeconds(w.gaps) / n
	default:
		x[Rate] = n / (w.last - w.first)
	}
	switch {
	case w.as == AsFixed:
		x[Variance] = w.exactVariance()
	case w.timed:
		x[Variance] = w.exactVariance()
		if !w.decimal {
			x[IAT] = w.iatSum / n
		}
	default:
		sum := pairwise
		if w.as == AsReleased {
			sum = sequential
		}
		x[Variance] = sampleVariance(w.sizes, x[Avg], sum)
		if !w.decimal {
			x[IAT] = sum(w.iats) / n
		}
	}
	x[Std] = math.Sqrt(x[Variance])
	w.Reset()
}

// closeFixed sets what the mended scripts compute otherwise.
func (w *Window) closeFixed(x *[NumColumns]float64) {
	mean := func(sum, rows uint64) float64 {
		if rows == 0 {
			return 0
		}
		return float64(sum) / float64(rows)
	}
	x[TimeToLive] = mean(w.ttlSum, w.count(markIP))
	x[HeaderLength] = mean(w.headerSum, w.count(markL4))
	x[Rate], x[IAT] = math.NaN(), math.NaN()
	if d := uint64(w.lastNs) - uint64(w.firstNs); d > 0 {
		x[Rate] = float64(w.n-1) * 1e9 / float64(d)
	}
	if gaps := w.n - int(w.count(markFirst)); gaps > 0 {
		x[IAT] = decimalSeconds(w.gaps) / float64(gaps)
	}
}

// exactVariance returns the sample variance of the sizes from their exact sums, NaN for a single row.
func (w *Window) exactVariance() float64 {
	if w.n < 2 {
		return math.NaN()
	}
	// n * squares - sum^2, in 128 bits: sizes below 2^28 and fewer than 2^36 rows.
	n := uint64(w.n)
	high, low := bits.Mul64(n, w.sizeSquares[1])
	high += n * w.sizeSquares[0]
	sumHigh, sumLow := bits.Mul64(w.sizeSum, w.sizeSum)
	low, borrow := bits.Sub64(low, sumLow, 0)
	high, _ = bits.Sub64(high, sumHigh, borrow)
	return (math.Ldexp(float64(high), 64) + float64(low)) / (float64(n) * float64(n-1))
}

// decimalRate returns n rows over so many ns, rounded once.
func decimalRate(n int, nano int64) float64 {
	if n < 1<<23 && nano < 1<<53 { // then both are exact
		return float64(n) * 1e9 / float64(nano)
	}
	v, _ := new(big.Rat).SetFrac(new(big.Int).Mul(big.NewInt(int64(n)), big.NewInt(1e9)), big.NewInt(nano)).Float64()
	return v
}
