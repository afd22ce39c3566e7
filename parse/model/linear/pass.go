package linear

import (
	"context"
	"fmt"
	"runtime"
	"sync"
)

// Rows calls yield with each training row, in the same order whenever it is called: a training calls it once a pass. x is
// borrowed until yield returns; class is an index into the classes. It returns an error of its own, or the one that yield
// returned, at once.
type Rows func(yield func(x []float64, class int) error) error

// blockRows is how many rows are summed up on their own, before the sums of blocks are added in order. It does not depend on the
// machine, so neither do the sums on the number of workers. 1024 rows of 39 columns are 320 kB.
const blockRows = 1024

// maxMemory is what blocks and sums may take together, in octets, unless one worker alone takes more.
const maxMemory = 64 << 20

// A block is rows and what they come to. It is used again and again.
type block struct {
	xs      []float64 // rows one behind the other
	classes []int
	sums    []float64 // of the worker that has it
	number  int       // of the pass
}

// A trainer goes over the rows.
type trainer struct {
	columns, classes []string
	rows             Rows
	blocks           []*block    // two a worker
	sums             [][]float64 // of each worker
	workers          int         // at most
	count            uint64      // rows of a pass; 0 before the first one
	passes           int
	progress         func(pass int, rows uint64)
}

func newTrainer(columns, classes []string, rows Rows, cfg Config) *trainer {
	t := &trainer{columns: columns, classes: classes, rows: rows, workers: cfg.Workers, progress: cfg.Progress}
	if t.workers <= 0 {
		t.workers = runtime.GOMAXPROCS(0)
	}
	return t
}

// parallel is how many workers a pass with sums of size values has: each takes its sums and two blocks of rows.
func (t *trainer) parallel(size int) int {
	return max(1, min(t.workers, maxMemory/(8*(size+2*blockRows*len(t.columns)))))
}

// pass goes over all rows once. work sets the sums of a block, size values, which are zero before; it is called by several
// goroutines. add takes the blocks in their order, one at a time.
func (t *trainer) pass(ctx context.Context, size int, work func(b *block), add func(b *block)) error {
	t.passes++
	parallel := t.parallel(size)
	for len(t.sums) < parallel {
		t.sums = append(t.sums, nil)
		for range 2 {
			t.blocks = append(t.blocks, &block{xs: make([]float64, 0, blockRows*len(t.columns)), classes: make([]int, 0, blockRows)})
		}
	}
	free, queue := make(chan *block, 2*parallel), make(chan *block, 2*parallel)
	for _, b := range t.blocks[:2*parallel] {
		free <- b
	}
	turn := sync.NewCond(new(sync.Mutex))
	added := 0 // blocks
	var workers sync.WaitGroup
	for i := range parallel {
		workers.Go(func() {
			for b := range queue {
				if cap(t.sums[i]) < size {
					t.sums[i] = make([]float64, size)
				}
				b.sums = t.sums[i][:size]
				clear(b.sums)
				work(b)
				turn.L.Lock()
				for added != b.number { // an earlier one is with another worker, as the queue is in order
					turn.Wait()
				}
				add(b)
				added++
				turn.Broadcast()
				turn.L.Unlock()
				free <- b
			}
		})
	}
	var b *block // the one that is being filled
	sent := 0
	send := func() {
		b.number = sent
		sent++
		queue <- b
		b = nil
	}
	var count uint64
	var refused error // what yield returned, in case rows does not hand it on
	put := func(x []float64, class int) error {
		if len(x) != len(t.columns) {
			return fmt.Errorf("row %d has %d values, where there are %d columns", count+1, len(x), len(t.columns))
		}
		if class < 0 || class >= len(t.classes) {
			return fmt.Errorf("row %d is of class %d, where there are %d classes", count+1, class, len(t.classes))
		}
		for j, v := range x {
			if !finite(v) {
				return fmt.Errorf("row %d: column %q is %v; drop such rows or replace the value before training", count+1, t.columns[j], v)
			}
		}
		if b == nil {
			b = <-free
			b.xs, b.classes = b.xs[:0], b.classes[:0]
		}
		b.xs = append(b.xs, x...)
		b.classes = append(b.classes, class)
		count++
		if len(b.classes) < blockRows {
			return nil
		}
		send()
		if t.progress != nil {
			t.progress(t.passes, count)
		}
		return ctx.Err()
	}
	err := t.rows(func(x []float64, class int) error {
		if refused == nil {
			refused = put(x, class)
		}
		return refused
	})
	if err == nil {
		err = refused
	}
	if err == nil && b != nil {
		send()
	}
	close(queue)
	workers.Wait()
	if err != nil {
		return err
	}
	if t.progress != nil {
		t.progress(t.passes, count)
	}
	if t.passes > 1 && count != t.count {
		return fmt.Errorf("pass %d over the training data gave %d rows, the first one %d: the data changed meanwhile; train again", t.passes, count, t.count)
	}
	t.count = count
	return ctx.Err()
}
