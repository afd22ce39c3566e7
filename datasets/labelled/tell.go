package labelled

import (
	"errors"
	"fmt"
	"io"
	"os"

	"pcaplab/datasets/extract"
	"pcaplab/datasets/truth"
)

// Tell returns what gives the windows of a capture the labels that rows of a Source with this truth have, for extract.Source: by a table
// (Source.Truth), or by its frames where truth is empty (Source.TruthOfFrames). Of the configuration, TruthShare, Benign and Relabel count.
func Tell(capture, table string, cfg Config) func(extract.Frames) (extract.Teller, error) {
	return func(frames extract.Frames) (extract.Teller, error) {
		p := &pool{cfg: cfg, labels: make(map[string]string)}
		if p.cfg.Benign == "" {
			var err error
			if p.cfg.Benign, err = p.relabel(Benign); err != nil {
				return nil, fmt.Errorf("benign traffic: %w", err)
			}
		}
		t := &teller{marks: marks{pool: p}, capture: capture, name: table}
		if table == "" {
			var ok bool
			if t.frames, ok = frames.(tellingFrames); !ok {
				return nil, fmt.Errorf("%s: its frames do not say what they are", capture)
			}
			return t, nil
		}
		return t, t.open()
	}
}

// teller knows what each frame of a capture is.
type teller struct {
	marks
	capture, name string
	file          *os.File
	table         *truth.Reader // nil: the frames tell
	rows          int
}

// open opens the table.
func (t *teller) open() (err error) {
	if t.file, err = os.Open(t.name); err != nil {
		return fmt.Errorf("truth of %s: %w", t.capture, err)
	}
	if t.table, err = truth.NewReader(t.file); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", t.name, err), t.file.Close())
	}
	return nil
}

// Frame takes what the next frame is.
func (t *teller) Frame() error {
	if t.table == nil {
		return t.ofFrames()
	}
	packet, err := t.table.Next()
	if err == io.EOF {
		return fmt.Errorf("%s: ends after %d packets, its capture %s has more", t.name, t.packets, t.capture)
	} else if err != nil {
		return fmt.Errorf("%s: %w", t.name, err)
	}
	t.packets++
	if err := t.of(packet.Class, packet.Attack); err != nil {
		return fmt.Errorf("%s: packet %d: %w", t.name, t.packets, err)
	}
	return nil
}

// Row counts the frame in the window.
func (t *teller) Row() {
	t.rows++
	t.row()
}

// Window returns the label of the window that ends.
func (t *teller) Window() string {
	rows := t.rows
	t.rows = 0
	return t.take(rows)
}

// End wants the table to end with its capture.
func (t *teller) End(losses []string) error {
	if t.table == nil {
		return nil
	}
	if _, more := t.table.Next(); more == nil {
		return fmt.Errorf("%s: has more packets than the %d of its capture %s", t.name, t.packets, t.capture)
	} else if more != io.EOF {
		return fmt.Errorf("%s: %w", t.name, more)
	} else if len(losses) > 0 {
		return fmt.Errorf("%s: %s: what %s says of the packets behind it cannot be told", t.capture, losses[0], t.name)
	}
	return nil
}

// Close closes the table.
func (t *teller) Close() error {
	if t.file == nil {
		return nil
	}
	return t.file.Close()
}
