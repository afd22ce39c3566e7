package extract

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"pcaplab/parse/feature"
	"pcaplab/parse/feature/vectorio"
)

// deliver is what a worker hands over, in order within its source.
type deliver struct {
	octets  []byte
	tail    []feature.Vector // instead of octets: too few for a row group
	told    []string         // labels of tail, where the source tells them
	after   position         // where the source is behind it
	vectors uint64
	endless uint64
	last    bool   // of the source
	batch   *batch // whose octets they are; free afterwards
}

// progress is what has come of a source.
type progress struct {
	next    int
	waiting map[int]deliver
	vectors uint64
	endless uint64
	octets  int64
	ended   bool
	spill   *os.File // octets of a source that is not at the head
	spilled []deliver
}

// order writes the sources one behind the other: the one at the head goes to the output, the others to spill files until
// it is their turn.
type order struct {
	job   *job
	begin position

	mu       sync.Mutex
	head     int
	headNow  atomic.Int64 // head, for who must not wait
	parts    []progress
	headless bool             // the header is still to be written
	tail     []feature.Vector // of sources that ended, too few for a row group
	labels   []string         // of tail
	encoder  *vectorio.ParquetEncoder
	index    vectorio.ParquetIndex
	lengths  []int64    // of the row groups written
	octets   int64      // written
	good     checkpoint // from here a later run can go on
	kept     time.Time
	err      error
	moved    chan struct{} // has a value after head moved
}

// keepEvery is how much work a killed run may lose.
var keepEvery = 5 * time.Second

// start begins where an earlier run ended.
func (o *order) start() {
	cfg := &o.job.cfg
	o.parts[o.head].vectors, o.parts[o.head].endless = o.begin.Vectors, o.begin.Endless
	o.kept = time.Now()
	if cfg.Format == Parquet {
		o.encoder = &vectorio.ParquetEncoder{Labelled: cfg.Labelled}
		return
	}
	o.headless = o.begin == (position{}) && !o.job.bare
}

// isHead reports whether what source i makes goes straight to the output.
func (o *order) isHead(i int) bool { return o.headNow.Load() == int64(i) }

// ahead is how many sources a worker may be ahead of the head: what is left over of each is in memory.
const ahead = 8

// turn waits until source i may begin.
func (o *order) turn(ctx context.Context, i int) error {
	for {
		o.mu.Lock()
		head := o.head
		o.mu.Unlock()
		if i < head+ahead*o.job.cfg.Workers {
			return ctx.Err()
		}
		select {
		case <-o.moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// put takes what a worker made.
func (o *order) put(s *sourceRun, number int, d deliver) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return o.err
	}
	p := &o.parts[s.index]
	if p.waiting == nil {
		p.waiting = make(map[int]deliver)
	}
	p.waiting[number] = d
	for {
		d, ok := p.waiting[p.next]
		if !ok {
			return nil
		}
		delete(p.waiting, p.next)
		p.next++
		if o.err = o.take(s, p, d); o.err != nil {
			return o.err
		}
	}
}

// take deals with the next part of a source.
func (o *order) take(s *sourceRun, p *progress, d deliver) error {
	p.vectors += d.vectors
	p.endless += d.endless
	p.octets += int64(len(d.octets))
	d.after.Vectors, d.after.Endless = p.vectors, p.endless
	if d.last {
		s.summary.Vectors, s.summary.NoDuration = p.vectors, p.endless
		p.ended = true
	}
	var err error
	if s.index == o.head {
		err = o.write(s, d)
	} else {
		err = o.spill(p, d)
	}
	switch {
	case d.batch != nil:
		o.job.release(d.batch)
	case len(d.octets) > 0:
		o.job.octets.Put(&d.octets)
	case len(d.tail) > 0 && s.index == o.head: // a spilled tail is still wanted
		o.job.vectors.Put(&d.tail)
	}
	if err == nil && d.last && s.index == o.head {
		err = o.advance()
	}
	return err
}

// spill keeps a part of a source that is not at the head.
func (o *order) spill(p *progress, d deliver) (err error) {
	if p.spill == nil {
		if p.spill, err = o.job.out.spill(); err != nil {
			return err
		}
	}
	if _, err := p.spill.Write(d.octets); err != nil {
		return err
	}
	d.after.Source = len(d.octets) // its length, until it is read again
	d.octets, d.batch = nil, nil
	p.spilled = append(p.spilled, d)
	return nil
}

// write writes a part of the source at the head, and before the first what comes before the first vector: not earlier, as a pipe may turn
// out to hold no capture.
func (o *order) write(s *sourceRun, d deliver) error {
	if o.headless {
		o.headless = false
		if err := o.append(vectorio.AppendHeader(nil, o.job.cfg.Labelled)); err != nil {
			return err
		}
	}
	if len(d.octets) > 0 {
		if err := o.flush(); err != nil {
			return err
		}
		if err := o.append(d.octets); err != nil {
			return err
		}
	}
	if len(d.tail) > 0 {
		for i := range d.tail {
			o.tail = append(o.tail, d.tail[i])
			if o.job.cfg.Labelled {
				o.labels = append(o.labels, s.labelOf(&d.tail[i], d.told, i))
			}
		}
		if len(o.tail) >= segmentVectors {
			if err := o.flush(); err != nil {
				return err
			}
		}
	}
	if len(o.tail) > 0 || d.last || s.long() {
		return nil
	}
	return o.stand(d.after)
}

// stand notes that a later run can go on behind what is written, and now and then tells the output.
func (o *order) stand(at position) error {
	o.good = checkpoint{Octets: o.octets, Lengths: o.lengths[:len(o.lengths):len(o.lengths)], Position: at}
	if time.Since(o.kept) < keepEvery {
		return nil
	}
	return o.keep()
}

// keep records where a later run can go on.
func (o *order) keep() error {
	o.kept = time.Now()
	c := o.good
	c.Done = nil
	for _, s := range o.job.sources[:c.Position.Source] {
		c.Done = append(c.Done, s.summary)
	}
	return o.job.out.keep(c)
}

// interrupted keeps what a later run can go on with.
func (o *order) interrupted() error {
	if o.job.once || o.good.Octets == 0 || o.good.Position == (position{}) {
		return nil
	}
	return errors.Join(o.keep(), ErrResumable)
}

// append writes octets to the output.
func (o *order) append(octets []byte) error {
	n, err := o.job.out.Write(octets)
	o.octets += int64(n)
	if err != nil {
		return err
	}
	if o.encoder == nil {
		return nil
	}
	o.lengths = append(o.lengths, int64(len(octets)))
	return o.index.Add(octets)
}

// flush writes the row group of vectors that were left over by sources that ended.
func (o *order) flush() error {
	if len(o.tail) == 0 {
		return nil
	}
	octets, err := o.encoder.Encode(nil, o.tail, o.labels)
	if err != nil {
		return err
	}
	o.tail, o.labels = o.tail[:0], o.labels[:0]
	return o.append(octets)
}

// advance makes the next source the head, as often as the head has ended.
func (o *order) advance() error {
	for o.head < len(o.parts) && o.parts[o.head].ended {
		o.head++
		o.headNow.Store(int64(o.head))
		select {
		case o.moved <- struct{}{}:
		default:
		}
		if o.head == len(o.parts) {
			return nil
		}
		if len(o.tail) == 0 {
			if err := o.stand(position{Source: o.head}); err != nil {
				return err
			}
		}
		if err := o.drain(o.job.sources[o.head], &o.parts[o.head]); err != nil {
			return err
		}
	}
	return nil
}

// drain writes what the new head has spilled.
func (o *order) drain(s *sourceRun, p *progress) error {
	if p.spill == nil {
		return nil
	}
	if _, err := p.spill.Seek(0, io.SeekStart); err != nil {
		return err
	}
	var octets bytes.Buffer
	for _, d := range p.spilled {
		octets.Reset()
		if _, err := io.CopyN(&octets, p.spill, int64(d.after.Source)); err != nil {
			return fmt.Errorf("%s: read back: %w", p.spill.Name(), err)
		}
		d.octets, d.after.Source = octets.Bytes(), s.index
		if err := o.write(s, d); err != nil {
			return err
		}
	}
	p.spilled = nil
	return p.drop()
}

// drop removes the spill file.
func (p *progress) drop() error {
	if p.spill == nil {
		return nil
	}
	err := errors.Join(p.spill.Close(), ignoreMissing(os.Remove(p.spill.Name())))
	p.spill = nil
	return err
}

// dropSpills removes what an ended run has spilled.
func (j *job) dropSpills() {
	for i := range j.order.parts {
		_ = j.order.parts[i].drop()
	}
}

// finish writes what comes behind the last vector.
func (o *order) finish(s *Summary) error {
	if o.encoder == nil {
		return nil
	}
	if err := o.flush(); err != nil {
		return err
	}
	if len(o.lengths) == 0 { // a file without vectors has an empty row group
		octets, err := o.encoder.Encode(nil, nil, nil)
		if err != nil {
			return err
		}
		if err := o.append(octets); err != nil {
			return err
		}
	}
	metadata, err := s.metadata()
	if err != nil {
		return err
	}
	footer, err := o.index.AppendFooter(nil, metadata)
	if err != nil {
		return err
	}
	_, err = o.job.out.Write(footer)
	return err
}
