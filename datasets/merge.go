package datasets

import (
	"errors"
	"io"

	"pcaplab/parse"
)

// merger reads captures side by side and gives their frames in order of time; frames of the same time in the order of the
// captures. A capture whose time goes back keeps its order: its frames count as captured no earlier than those before them.
type merger struct {
	inputs []mergeInput
	heap   []int // of inputs that have a frame or an error, the next on top
	last   int   // of inputs, the one whose frame was given last; -1: none
}

// mergeInput is a capture with its next frame.
type mergeInput struct {
	capture *Capture
	frame   parse.Frame
	key     int64 // latest time so far
	timed   bool  // key is one
	err     error // ends the merger when it is on top
}

// start takes open captures.
func (m *merger) start(captures []*Capture) {
	m.inputs = m.inputs[:0]
	m.heap = m.heap[:0]
	m.last = -1
	for i, c := range captures {
		m.inputs = append(m.inputs, mergeInput{capture: c})
		if m.inputs[i].advance() {
			m.heap = append(m.heap, i)
			m.up(len(m.heap) - 1)
		}
	}
}

// advance reads the next frame, and returns false at the end of the capture.
func (in *mergeInput) advance() bool {
	in.err = in.capture.Next(&in.frame)
	if in.err == nil && (!in.timed || in.frame.UnixNano > in.key) {
		in.key, in.timed = in.frame.UnixNano, true
	}
	return in.err != io.EOF
}

// next sets *f to the next frame and returns which capture it is from. Its data are valid until the next call.
func (m *merger) next(f *parse.Frame) (capture int, err error) {
	if m.last >= 0 { // it is on top
		if in := &m.inputs[m.last]; in.err == nil && !in.advance() {
			m.heap[0] = m.heap[len(m.heap)-1]
			m.heap = m.heap[:len(m.heap)-1]
		}
		m.down()
	}
	if len(m.heap) == 0 {
		m.last = -1
		return 0, io.EOF
	}
	m.last = m.heap[0]
	in := &m.inputs[m.last]
	if in.err != nil {
		return m.last, in.err
	}
	*f = in.frame
	return m.last, nil
}

func (m *merger) less(a, b int) bool {
	x, y := &m.inputs[m.heap[a]], &m.inputs[m.heap[b]]
	if x.key != y.key {
		return x.key < y.key
	}
	return m.heap[a] < m.heap[b]
}

func (m *merger) up(i int) {
	for i > 0 && m.less(i, (i-1)/2) {
		m.heap[i], m.heap[(i-1)/2] = m.heap[(i-1)/2], m.heap[i]
		i = (i - 1) / 2
	}
}

// down puts the top in its place.
func (m *merger) down() {
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(m.heap); child++ {
			if m.less(child, least) {
				least = child
			}
		}
		if least == i {
			return
		}
		m.heap[i], m.heap[least] = m.heap[least], m.heap[i]
		i = least
	}
}

// openAll opens captures, or none.
func openAll(paths []string, cfg OpenConfig) ([]*Capture, error) {
	var captures []*Capture
	for _, path := range paths {
		c, err := Open(path, cfg)
		if err != nil {
			return nil, errors.Join(err, closeAll(captures))
		}
		captures = append(captures, c)
	}
	return captures, nil
}

func closeAll(captures []*Capture) error {
	var err error
	for _, c := range captures {
		err = errors.Join(err, c.Close())
	}
	return err
}
