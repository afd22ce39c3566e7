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

// A block is rows and what they come to. It is used again and again.
type block struct {
	xs      []float64 // rows one behind the other
	classes []int
	sums    []float64
	ready   chan struct{} // one value when the sums are there
	busy    bool
}

// A trainer goes over the rows.
type trainer struct {
	columns, classes []string
	rows             Rows
	blocks           []*block
	workers          int
	count            uint64 // rows of a pass; 0 before the first one
	passes           int
	progress         func(pass int, rows uint64)
}

func newTrainer(columns, classes []string, rows Rows, cfg Config) *trainer {
	t := &trainer{columns: columns, classes: classes, rows: rows, workers: cfg.Workers, progress: cfg.Progress}
	if t.workers <= 0 {
		t.workers = runtime.GOMAXPROCS(0)
	}
	for range 2*t.workers + 1 {
		t.blocks = append(t.blocks, &block{xs: make([]float64, 0, blockRows*len(columns)), classes: make([]int, 0, blockRows), ready: make(chan struct{}, 1)})
	}
	return t
}

// pass goes over all rows once. work sets the sums of a block, size values, which are zero before; it is called by several
// goroutines. add takes the blocks in their order.
func (t *trainer) pass(ctx context.Context, size int, work func(b *block), add func(b *block)) error {
	t.passes++
	queue := make(chan *block, len(t.blocks))
	var workers sync.WaitGroup
	for range t.workers {
		workers.Go(func() {
			for b := range queue {
				clear(b.sums)
				work(b)
				b.ready <- struct{}{}
			}
		})
	}
	for _, b := range t.blocks {
		if cap(b.sums) < size {
			b.sums = make([]float64, size)
		}
		b.xs, b.classes, b.sums, b.busy = b.xs[:0], b.classes[:0], b.sums[:size], false
	}
	next := 0
	take := func() { // the oldest block becomes free
		b := t.blocks[next]
		if b.busy {
			<-b.ready
			add(b)
			b.xs, b.classes, b.busy = b.xs[:0], b.classes[:0], false
		}
	}
	send := func() {
		t.blocks[next].busy = true
		queue <- t.blocks[next]
		next = (next + 1) % len(t.blocks)
		take()
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
		b := t.blocks[next]
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
	if err == nil && len(t.blocks[next].classes) > 0 {
		send()
	}
	close(queue)
	workers.Wait()
	if err != nil {
		for _, b := range t.blocks { // nothing may be left for the next pass
			if b.busy {
				<-b.ready
			}
		}
		return err
	}
	for range t.blocks {
		take()
		next = (next + 1) % len(t.blocks)
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
