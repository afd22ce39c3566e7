package selection

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sort"
	"sync"

	"gonum.org/v1/gonum/mathext"
	"gonum.org/v1/gonum/stat"
)

// Config is how mutual information is estimated. The zero value is scikit-learn's default.
type Config struct {
	Neighbours int    `json:"neighbours"` // in the row's own class, whose distance is the radius to count others in; 0 is 3
	Seed       uint64 `json:"seed"`       // of the noise that parts equal values
	Workers    int    `json:"workers"`    // columns at once; 0: as many as CPUs
	// Progress is called, by one goroutine at a time, when a column is done.
	Progress func(done, total int) `json:"-"`
}

// MutualInformation estimates how much each column tells of the class, in nats: 0 is nothing, Table.Entropy is all. It is what scikit-learn's
// mutual_info_classif computes with its defaults (all features continuous): Ross, PLoS ONE 9 (2014) e87357, on columns divided by their standard
// deviation (or, where that is below 1e-162, by their greatest distance from the mean), with noise of 1e-10 of their size, which parts equal values. The estimate is off by some hundredths where rows are few, and is
// cut at 0. Rows of a class that has no other row are left out. A column of one value tells 0, where scikit-learn gives what its noise tells.
//
// Estimates depend on the seed of the noise in columns with many equal values, by some 1/sqrt(rows). Time is that of sorting, memory some 40
// octets a row for each worker.
func MutualInformation(ctx context.Context, t *Table, cfg Config) ([]float64, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	if cfg.Neighbours < 0 {
		return nil, fmt.Errorf("%d neighbours: want at least 1", cfg.Neighbours)
	}
	k := cmp.Or(cfg.Neighbours, 3)
	workers := cfg.Workers
	if workers < 1 {
		workers = runtime.GOMAXPROCS(0)
	}
	counts := make([]int, len(t.Classes))
	for _, class := range t.Class {
		counts[class]++
	}
	var rows []int // those that have company
	for row, class := range t.Class {
		if counts[class] > 1 {
			rows = append(rows, row)
		}
	}
	mi := make([]float64, len(t.Columns))
	if len(rows) == 0 {
		return mi, nil
	}
	next := make(chan int)
	var wait sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for range min(workers, len(mi)) {
		wait.Go(func() {
			e := estimator{t: t, rows: rows, counts: counts, k: k, classes: make([][]int, len(t.Classes))}
			for column := range next {
				mi[column] = e.column(column, cfg.Seed)
				mu.Lock()
				done++
				if cfg.Progress != nil {
					cfg.Progress(done, len(mi))
				}
				mu.Unlock()
			}
		})
	}
	for column := range mi {
		if ctx.Err() != nil {
			break
		}
		next <- column
	}
	close(next)
	wait.Wait()
	return mi, ctx.Err()
}

// estimator is what a worker keeps from column to column.
type estimator struct {
	t       *Table
	rows    []int
	counts  []int // rows of each class
	k       int
	values  []float64 // of rows
	order   []int     // of rows, by value
	sorted  []float64
	classes [][]int // places in sorted, by class
}

func (e *estimator) column(column int, seed uint64) float64 {
	x := e.t.X[column]
	if isConstant(x) {
		return 0
	}
	mean, deviation := stat.PopMeanStdDev(x, nil)
	if !(deviation > 0) { // its square is too small for a number
		for _, v := range x {
			deviation = math.Max(deviation, math.Abs(v-mean))
		}
	}
	size := 0.0
	for _, v := range x {
		size += math.Abs(v / deviation)
	}
	noise := 1e-10 * math.Max(1, size/float64(len(x)))
	random := rand.New(rand.NewPCG(seed, uint64(column)))
	e.values, e.order, e.sorted = e.values[:0], e.order[:0], e.sorted[:0]
	for i, row := range e.rows {
		e.values = append(e.values, x[row]/deviation+noise*random.NormFloat64())
		e.order = append(e.order, i)
	}
	slices.SortFunc(e.order, func(a, b int) int { return cmp.Compare(e.values[a], e.values[b]) })
	for class := range e.classes {
		e.classes[class] = e.classes[class][:0]
	}
	for place, i := range e.order {
		e.sorted = append(e.sorted, e.values[i])
		class := e.t.Class[e.rows[i]]
		e.classes[class] = append(e.classes[class], place)
	}
	n := len(e.sorted)
	sum := 0.0
	for _, places := range e.classes {
		if len(places) == 0 {
			continue
		}
		k := min(e.k, len(places)-1)
		sum += float64(len(places)) * (mathext.Digamma(float64(k)) - mathext.Digamma(float64(len(places))))
		for i, place := range places {
			v := e.sorted[place]
			radius := math.Inf(1) // to the k-th nearest of its class: in one dimension k places in a row, own place aside
			for first := max(0, i-k); first <= i && first+k < len(places); first++ {
				radius = math.Min(radius, math.Max(v-e.sorted[places[first]], e.sorted[places[first+k]]-v))
			}
			radius = math.Nextafter(radius, 0) // without the k-th
			low := sort.Search(place, func(j int) bool { return v-e.sorted[j] <= radius })
			high := place + sort.Search(n-place, func(j int) bool { return e.sorted[place+j]-v > radius })
			sum -= mathext.Digamma(float64(high - low))
		}
	}
	return math.Max(0, mathext.Digamma(float64(n))+sum/float64(n))
}
