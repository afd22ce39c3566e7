package extract

import (
	"context"

	"pcaplab/parse/feature"
	"pcaplab/parse/feature/vectorio"
)

// segmentVectors is how many vectors a row group of a Parquet file has, but for the last.
const segmentVectors = 16 << 10

// segment is a row group under way.
type segment struct {
	vectors       []feature.Vector
	labels        []string // of the vectors, where the source tells them
	vecs, endless uint64
}

// worker makes vectors of rows and octets of vectors.
type worker struct {
	job     *job
	windows map[windowKey]*feature.Window
	vector  feature.Vector
	encoder *vectorio.ParquetEncoder
}

type windowKey struct {
	span    feature.Span
	decimal bool
}

func newWorker(j *job) *worker {
	w := &worker{job: j, windows: make(map[windowKey]*feature.Window)}
	if j.cfg.Format == Parquet {
		w.encoder = &vectorio.ParquetEncoder{Labelled: j.cfg.Labelled}
	}
	return w
}

// run works until there is no more.
func (w *worker) run(ctx context.Context) {
	for b := range w.job.work {
		if ctx.Err() != nil {
			continue // drain
		}
		if err := w.batch(b); err != nil {
			w.job.failed(err)
		}
	}
}

func (w *worker) window(b *batch) (*feature.Window, error) {
	key := windowKey{b.source.Span, b.source.decimal}
	win := w.windows[key]
	if win == nil {
		var err error
		if win, err = feature.NewWindow(w.job.cfg.As, key.span, key.decimal); err != nil {
			return nil, err
		}
		w.windows[key] = win
	}
	return win, nil
}

// batch does the work of a batch and hands it to the order.
func (w *worker) batch(b *batch) error {
	if len(b.ends) > 0 {
		win, err := w.window(b)
		if err != nil {
			return err
		}
		from := 0
		for _, end := range b.ends {
			for i := from; i < end; i++ {
				win.Add(&b.rows[i])
			}
			from = end
			v := &w.vector
			if w.encoder != nil {
				b.vectors = append(b.vectors, feature.Vector{})
				v = &b.vectors[len(b.vectors)-1]
			}
			win.Close(v)
			w.vectorDone(b, v)
		}
	} else {
		for i := range b.vectors {
			w.vectorDone(b, &b.vectors[i])
		}
	}
	if w.encoder == nil {
		return w.job.order.put(b.source, b.number, deliver{octets: b.text, after: b.after, vectors: b.vecs, endless: b.endless, last: b.last, batch: b})
	}
	return w.gather(b)
}

func (w *worker) vectorDone(b *batch, v *feature.Vector) {
	b.vecs++
	if b.source.decimal && v.RateNano == 0 && len(b.ends) > 0 {
		b.endless++
	}
	if w.job.cfg.Format == plainVectors {
		b.text = appendPlain(b.text, v)
		return
	}
	if w.job.cfg.As.Pieces() {
		vectorio.RoundTrip(v)
	}
	if w.encoder != nil {
		return
	}
	b.text = vectorio.AppendCSV(b.text, v)
	if w.job.cfg.Labelled {
		b.text = vectorio.AppendLabel(b.text, b.source.labelOf(v, b.labels, int(b.vecs)-1))
	}
	b.text = append(b.text, '\n')
}

// labelOf returns the label of a vector, the i-th of those whose labels are told, if they are.
func (s *sourceRun) labelOf(v *feature.Vector, told []string, i int) string {
	if s.Tell != nil {
		return told[i]
	}
	cfg := &s.job.cfg
	if cfg.Attackers == nil {
		return s.Label
	}
	if v.AttackRows > 0 && float64(v.AttackRows) >= cfg.AttackShare*v.Values[feature.Number] {
		return s.Label
	}
	return cfg.Benign
}

// gather moves the vectors of batches, in order, into segments, which end with a batch, and encodes those that are full:
// who fills one encodes it.
func (w *worker) gather(b *batch) error {
	s := b.source
	type closed struct {
		number int
		deliver
		*segment
	}
	var all []closed
	s.mu.Lock()
	s.waiting[b.number] = b
	for {
		b, ok := s.waiting[s.next]
		if !ok {
			break
		}
		delete(s.waiting, s.next)
		s.next++
		if s.segment == nil {
			s.segment = &segment{vectors: w.job.spareVectors()}
		}
		g := s.segment
		g.vectors = append(g.vectors, b.vectors...)
		g.labels = append(g.labels, b.labels...)
		g.vecs += b.vecs
		g.endless += b.endless
		full, last := len(g.vectors) >= segmentVectors, b.last
		if full || last {
			d := deliver{after: b.after, vectors: g.vecs, endless: g.endless, last: last}
			if len(g.vectors) <= segmentVectors/4 {
				d.tail, d.told = g.vectors, g.labels
			}
			all = append(all, closed{s.segments, d, g})
			s.segments++
			s.segment = nil
		}
		w.job.release(b)
	}
	s.mu.Unlock()
	for _, c := range all {
		if c.tail == nil {
			var err error
			if c.octets, err = w.encode(s, c.segment); err != nil {
				return err
			}
			w.job.vectors.Put(&c.segment.vectors)
		}
		if err := w.job.order.put(s, c.number, c.deliver); err != nil {
			return err
		}
	}
	return nil
}

// encode returns a row group; the octets are the caller's.
func (w *worker) encode(s *sourceRun, g *segment) ([]byte, error) {
	var labels []string
	if w.job.cfg.Labelled {
		labels = make([]string, len(g.vectors))
		for i := range g.vectors {
			labels[i] = s.labelOf(&g.vectors[i], g.labels, i)
		}
	}
	octets := w.job.spareOctets()
	return w.encoder.Encode(octets, g.vectors, labels)
}

// spareVectors returns an empty slice for a row group, one that was used if there is one.
func (j *job) spareVectors() []feature.Vector {
	if v, ok := j.vectors.Get().(*[]feature.Vector); ok {
		return (*v)[:0]
	}
	return make([]feature.Vector, 0, segmentVectors+batchVectors)
}

// spareOctets is the same for an encoded row group.
func (j *job) spareOctets() []byte {
	if b, ok := j.octets.Get().(*[]byte); ok {
		return (*b)[:0]
	}
	return nil
}
