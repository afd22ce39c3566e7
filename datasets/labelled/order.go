package labelled

import (
	"container/heap"
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
)

// Orders of a pass.
const (
	AsRead      = "read"        // source after source
	Interleaved = "interleaved" // each source's rows spread evenly over the pass
	Shuffled    = "shuffled"    // interleaved, and drawn from a buffer
)

// Order says in which order EachIn passes rows.
type Order struct {
	By string `json:"by"` // AsRead, Interleaved or Shuffled; "" is AsRead
	// Buffer is how many rows Shuffled draws from. Where it holds all rows of the set, each order is as likely as any other;
	// else a row comes at most about so many rows too early.
	Buffer int    `json:"buffer,omitempty"`
	Seed   uint64 `json:"seed,omitempty"` // of Shuffled
}

// Check reports what EachIn would refuse.
func (o Order) Check() error {
	if !slices.Contains([]string{"", AsRead, Interleaved, Shuffled}, o.By) {
		return fmt.Errorf("order %q: choose %s, %s or %s", o.By, AsRead, Interleaved, Shuffled)
	}
	if o.By == Shuffled && o.Buffer < 1 {
		return fmt.Errorf("a buffer of %d rows to shuffle", o.Buffer)
	}
	return nil
}

// EachIn is Each in another order. Interleaved, and so Shuffled, has all files of the set open at once, and takes a pass before
// it unless Survey was called.
func (s *Set) EachIn(ctx context.Context, o Order, f func(*Row) error) error {
	if err := o.Check(); err != nil {
		return err
	}
	switch o.By {
	case Interleaved:
		return s.interleaved(ctx, f)
	case Shuffled:
		return s.shuffled(ctx, o, f)
	}
	return s.Each(ctx, f)
}

// lane is a source that is read together with others.
type lane struct {
	next  func() (*Row, error, bool)
	row   *Row
	index int
	rows  float64 // in all
	begun float64 // rows passed
}

// due is the place of the lane's next row in the pass, from 0 to 1.
func (l *lane) due() float64 { return (l.begun + 0.5) / l.rows }

type lanes []*lane

func (l lanes) Len() int      { return len(l) }
func (l lanes) Swap(i, j int) { l[i], l[j] = l[j], l[i] }
func (l lanes) Less(i, j int) bool {
	if a, b := l[i].due(), l[j].due(); a != b {
		return a < b
	}
	return l[i].index < l[j].index
}
func (l *lanes) Push(x any) { *l = append(*l, x.(*lane)) }
func (l *lanes) Pop() any {
	last := (*l)[len(*l)-1]
	*l = (*l)[:len(*l)-1]
	return last
}

func (s *Set) interleaved(ctx context.Context, f func(*Row) error) error {
	sum, err := s.Survey(ctx)
	if err != nil {
		return err
	}
	if err := s.ready(ctx); err != nil {
		return err
	}
	var all lanes
	octets := make([]int64, len(s.sources))
	total, passed := s.octets(), 0
	for _, source := range sum.Sources {
		if source.Rows == 0 {
			continue
		}
		i := source.Index
		next, stop := iter.Pull2(s.pull(ctx, i, func(n int64) { octets[i] = n }))
		defer stop()
		l := &lane{next: next, index: i, rows: float64(source.Rows)}
		if err := l.advance(); err != nil {
			return err
		}
		if l.row != nil {
			all = append(all, l)
		}
	}
	heap.Init(&all)
	for len(all) > 0 {
		l := all[0]
		if err := f(l.row); err != nil {
			return err
		}
		if passed++; passed%checkEvery == 0 {
			var done int64
			for _, n := range octets {
				done += n
			}
			s.tell(done, total)
		}
		l.begun++
		if err := l.advance(); err != nil {
			return err
		}
		if l.row == nil {
			heap.Pop(&all)
		} else {
			heap.Fix(&all, 0)
		}
	}
	s.tell(total, total)
	return nil
}

// advance sets row to the next one, nil at the end.
func (l *lane) advance() error {
	row, err, more := l.next()
	if !more {
		l.row = nil
		return nil
	}
	l.row = row
	return err
}

// pull gives the rows of a source one by one.
func (s *Set) pull(ctx context.Context, i int, read func(int64)) iter.Seq2[*Row, error] {
	return func(yield func(*Row, error) bool) {
		err := s.source(ctx, i, read, func(r *Row) error {
			if !yield(r, nil) {
				return errEnd
			}
			return nil
		})
		if err != nil && err != errEnd {
			yield(nil, err)
		}
	}
}

func (s *Set) shuffled(ctx context.Context, o Order, f func(*Row) error) error {
	sum, err := s.Survey(ctx)
	if err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(o.Seed, 1))
	buffer := make([]Row, 0, min(int64(o.Buffer), sum.Rows)) // at once: growing would hold it twice
	var out Row
	err = s.interleaved(ctx, func(r *Row) error {
		if len(buffer) < o.Buffer {
			buffer = append(buffer, *r)
			return nil
		}
		i := random.IntN(len(buffer))
		out, buffer[i] = buffer[i], *r
		return f(&out)
	})
	if err != nil {
		return err
	}
	random.Shuffle(len(buffer), func(i, j int) { buffer[i], buffer[j] = buffer[j], buffer[i] })
	for i := range buffer {
		if i%checkEvery == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := f(&buffer[i]); err != nil {
			return err
		}
	}
	return nil
}
