package manifest

import (
	"errors"
	"fmt"
	"io"
	"os"

	"pcaplab/datasets"
	"pcaplab/datasets/pcapio"
	"pcaplab/parse"
)

// Part is a source of the frames of a part of a capture. It belongs to one goroutine.
type Part struct {
	name    string
	next    func(*parse.Frame) error
	close   func() error
	left    uint64 // frames
	packets uint64 // before the frame that comes next
	offset  int64  // what is added to offsets and numbers in errors
	number  uint64
}

// OpenAt opens the frames of the entries from up to, not with, to of a capture's index; to is len(f.Index) at most, which is the end of
// the capture. What is read is exactly what a whole reading gives of these frames. A classic pcap that is not compressed is read from
// the entry on; of others, whose beginning is needed to read the rest, what comes before is read and skipped. The file must be of the
// size that f says. A damaged capture ends as f does. Close the part after use.
func OpenAt(path string, f *File, from, to int) (*Part, error) {
	if from < 0 || from >= to || to > len(f.Index) {
		return nil, fmt.Errorf("%s: entries %d to %d of an index of %d", path, from, to, len(f.Index))
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && info.Size() != f.Octets {
		err = fmt.Errorf("%s: %d octets, the manifest says %d: scan it again", path, info.Size(), f.Octets)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	at := f.Index[from]
	p := &Part{name: path, packets: at.Packets, left: f.Packets - at.Packets}
	if to < len(f.Index) {
		p.left = f.Index[to].Packets - at.Packets
	}
	if f.Container != pcapio.Pcap || f.Compression != "none" {
		err := file.Close()
		c, openErr := datasets.Open(path, datasets.OpenConfig{Salvage: f.Salvage})
		if err = errors.Join(err, openErr); err != nil {
			return nil, err
		}
		p.next, p.close = c.Next, c.Close
		var skipped parse.Frame
		for range at.Packets {
			if err := c.Next(&skipped); err != nil {
				return nil, errors.Join(p.early(err, c.Packets()), c.Close())
			}
		}
		return p, nil
	}
	header := make([]byte, fileHeaderLen)
	if _, err = io.ReadFull(file, header); err == nil {
		_, err = file.Seek(at.Offset, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), file.Close())
	}
	r, err := pcapio.Config{Salvage: f.Salvage}.NewReader(&headed{header, file}, path)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	p.offset, p.number = at.Offset-fileHeaderLen, at.Packets
	p.next, p.close = r.Next, func() error { return errors.Join(r.Close(), file.Close()) }
	return p, nil
}

// headed is a file header before a file.
type headed struct {
	header []byte
	file   io.Reader
}

func (h *headed) Read(p []byte) (int, error) {
	if len(h.header) > 0 {
		n := copy(p, h.header)
		h.header = h.header[n:]
		return n, nil
	}
	return h.file.Read(p)
}

// Number returns the number in the capture, from 1, of the frame that Next gives next.
func (p *Part) Number() uint64 { return p.packets + 1 }

// Left returns how many frames are still to come.
func (p *Part) Left() uint64 { return p.left }

// Next sets *f to the next frame, whose octets are valid until the next call. It returns io.EOF behind the last one. A capture that
// ends before its manifest says is an error.
func (p *Part) Next(f *parse.Frame) error {
	if p.left == 0 {
		return io.EOF
	}
	if err := p.next(f); err != nil {
		return p.early(err, p.packets)
	}
	p.left--
	p.packets++
	return nil
}

// early is an error where the manifest has more frames.
func (p *Part) early(err error, packets uint64) error {
	if err == io.EOF {
		return fmt.Errorf("%s: ends after packet %d, the manifest has more: scan it again", p.name, packets)
	}
	if fe := new(pcapio.FormatError); errors.As(err, &fe) {
		moved := *fe
		moved.Offset += p.offset
		moved.Packet += p.number
		return &moved
	}
	return err
}

// Close closes the file.
func (p *Part) Close() error { return p.close() }
