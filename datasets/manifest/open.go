package manifest

import (
	"errors"
	"fmt"
	"io"

	"pcaplab/datasets"
	"pcaplab/datasets/pcapio"
	"pcaplab/parse"
)

// Open opens the capture at path, of which f tells, at an entry of its index. What is read is exactly what a whole reading gives from there
// on, numbers and offsets in errors too. A classic pcap that is neither compressed nor salvaged is read from the entry on; of others, whose beginning is
// needed to read the rest, what comes before is read and skipped. The file must be of the size that f says. A damaged capture ends as
// f does. Close the capture after use.
func (f *File) Open(path string, entry int) (*datasets.Capture, error) {
	if entry < 0 || entry >= max(1, len(f.Index)) {
		return nil, fmt.Errorf("%s: entry %d of an index of %d", path, entry, len(f.Index))
	}
	c, err := datasets.Open(path, datasets.OpenConfig{Salvage: f.salvaged()})
	if err != nil {
		return nil, err
	}
	if size, _ := c.Size(); size != f.Octets {
		err = fmt.Errorf("%s: %d octets, the manifest says %d: scan it again", path, size, f.Octets)
	} else if entry > 0 {
		err = skip(c, f, f.Index[entry])
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// salvaged reports whether the capture can be read to its end only with Salvage.
func (f *File) salvaged() bool { return f.Salvage && (f.Lost > 0 || f.Faults.Behind > 0) }

// skip goes to an entry.
func skip(c *datasets.Capture, f *File, to Entry) error {
	if f.Container == pcapio.Pcap && f.Compression == "none" && !f.salvaged() {
		return c.SeekRecord(to.Offset, to.Packets)
	}
	var skipped parse.Frame
	for c.Packets() < to.Packets {
		if err := c.Next(&skipped); err == io.EOF {
			return fmt.Errorf("%s: ends after packet %d, the manifest has %d: scan it again", c.Name(), c.Packets(), f.Packets)
		} else if err != nil {
			return err
		}
	}
	return nil
}
