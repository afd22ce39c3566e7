package rewrite

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"pcaplab/parse"
)

// Outcome says what became of a frame.
type Outcome uint8

// Resized and Trailer frames have the wanted size. HeadersOnly frames are as near to it as they can be. Moved frames
// have other addresses, Edited ones what an Editor was asked for. What the others of an [Editor] say is in its documentation;
// all others are as they were.
const (
	Resized     Outcome = iota // payload cut or padded, or left where the size was right
	Trailer                    // message kept whole, trailer behind it
	HeadersOnly                // headers are longer than the size: payload cut to nothing
	TooLong                    // a message that must stay whole is longer than the size
	Cut                        // the capture holds only part of the frame
	Fragment                   // IP fragment: its length places its neighbours
	Protected                  // ESP or AH: lengths and content are authenticated
	Unbounded                  // IP length 0 (jumbogram, segmentation offload) where nothing else tells the end
	Malformed                  // headers contradict themselves or the frame
	UnknownLink                // link type that this project does not decode
	Moved                      // addresses moved on
	Unchanged                  // no address that moves, or no edit that concerns the frame
	Edited                     // all edits that concern the frame were made
	Deleted                    // left out, as the edits say
	Routed                     // a checksum covers the last address of a source route
	WrongLink                  // no Ethernet header, where an edit needs one
	outcomes
)

var outcomeNames = [outcomes]string{
	"resized", "trailer", "headers_only", "too_long", "cut", "fragment", "protected", "unbounded", "malformed",
	"unknown_link", "moved", "unchanged", "edited", "deleted", "routed", "wrong_link",
}

// String returns the outcome as the JSON of [Report], [MoveReport] and [EditReport] name it.
func (o Outcome) String() string {
	if o < outcomes {
		return outcomeNames[o]
	}
	return fmt.Sprintf("outcome(%d)", uint8(o))
}

// Report counts frames by outcome.
type Report struct {
	Size        string `json:"size"`
	Frames      uint64 `json:"frames"`     // sum of the outcomes
	Octets      uint64 `json:"octets"`     // captured octets before
	OctetsOut   uint64 `json:"octets_out"` // and after
	Resized     uint64 `json:"resized"`
	Trailer     uint64 `json:"trailer"`
	HeadersOnly uint64 `json:"headers_only"`
	TooLong     uint64 `json:"too_long"`
	Cut         uint64 `json:"cut"`
	Fragment    uint64 `json:"fragment"`
	Protected   uint64 `json:"protected"`
	Unbounded   uint64 `json:"unbounded"`
	Malformed   uint64 `json:"malformed"`
	UnknownLink uint64 `json:"unknown_link"`
}

// Sized returns how many frames have the wanted size.
func (r Report) Sized() uint64 { return r.Resized + r.Trailer }

// String says in one line what was resized, and what was not and why.
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "size %s: %d of %d frames have it (%d by a trailer)", r.Size, r.Sized(), r.Frames, r.Trailer)
	if r.HeadersOnly > 0 {
		fmt.Fprintf(&b, "; cut to their headers, which are longer: %d", r.HeadersOnly)
	}
	sep := "; kept as they are: "
	for i, n := range []uint64{r.TooLong, r.Cut, r.Fragment, r.Protected, r.Unbounded, r.Malformed, r.UnknownLink} {
		if n > 0 {
			fmt.Fprintf(&b, "%s%d %s", sep, n, strings.ReplaceAll(outcomeNames[TooLong+Outcome(i)], "_", " "))
			sep = ", "
		}
	}
	return b.String()
}

// Resizer gives frames a size. It belongs to one goroutine.
type Resizer struct {
	size          Size
	turn          int
	buf           []byte
	packet        parse.Packet
	counts        [outcomes]uint64
	octets, after uint64
}

// NewResizer returns a Resizer whose first frame gets the first size of the cycle. It refuses a size outside MinSize to
// MaxSize.
func NewResizer(size Size) (*Resizer, error) {
	if len(size.Octets) == 0 {
		return nil, fmt.Errorf("size %q has no octets", size.Name)
	}
	var errs []error
	for _, n := range size.Octets {
		errs = append(errs, checkSize(n))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &Resizer{size: size, buf: make([]byte, slices.Max(size.Octets)-FCSLen)}, nil
}

// Report returns the counts so far.
func (r *Resizer) Report() Report {
	rep := Report{Size: r.size.Name, Octets: r.octets, OctetsOut: r.after}
	for i, to := range []*uint64{&rep.Resized, &rep.Trailer, &rep.HeadersOnly, &rep.TooLong, &rep.Cut, &rep.Fragment,
		&rep.Protected, &rep.Unbounded, &rep.Malformed, &rep.UnknownLink} {
		*to = r.counts[i]
		rep.Frames += r.counts[i]
	}
	return rep
}

// Resize sets *out to in with the size whose turn it is; every frame takes a turn, whatever becomes of it. out.Data is
// borrowed from the Resizer until the next Resize, or from in where the frame stays as it is; in is not written. The
// wire length of a frame that changed is that of its data. Resize allocates only for headers longer than any size.
func (r *Resizer) Resize(in, out *parse.Frame) Outcome {
	want := r.size.Octets[r.turn] - FCSLen
	if r.turn++; r.turn == len(r.size.Octets) {
		r.turn = 0
	}
	before := len(in.Data)
	o := r.resize(in, out, want)
	r.counts[o]++
	r.octets += uint64(before)
	r.after += uint64(len(out.Data))
	return o
}

func (r *Resizer) resize(in, out *parse.Frame, want int) Outcome {
	d := in.Data
	*out = *in
	if in.WireLen > len(d) {
		return Cut
	}
	switch err := (parse.Direct{}).Parse(in, &r.packet); {
	case errors.Is(err, parse.ErrUnsupported):
		return UnknownLink
	case err != nil:
		return Malformed
	}
	l, o := locate(d, in.Link)
	switch {
	case o != Resized && o != Trailer:
		return o
	case l.keep > want && o == Trailer:
		return TooLong
	case l.keep > want:
		o, want = HeadersOnly, l.keep
		if want > len(r.buf) {
			r.buf = make([]byte, want)
		}
	}
	b := r.buf[:want]
	n := copy(b, d[:l.keep])
	if o == Trailer {
		clear(b[n:])
		l.trim(b)
	} else {
		fill(b[n:], d[l.keep:l.end])
		l.seal(b)
	}
	*out = parse.Frame{UnixNano: in.UnixNano, Data: b, WireLen: want, Link: in.Link}
	return o
}

// fill repeats payload over p.
func fill(p, payload []byte) {
	if len(payload) == 0 {
		clear(p)
		return
	}
	for n := copy(p, payload); n < len(p); n *= 2 {
		copy(p[n:], p[:n])
	}
}
