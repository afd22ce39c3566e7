package rewrite

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"pcaplab/parse"
)

// Editor makes the edits of an [Edits] in frames. It belongs to one goroutine.
//
// Everything is done to the outermost headers that package parse finds: under VLAN tags, MPLS labels, PPPoE and SNAP too,
// not in tunnels, nor in the packet that an ICMP error quotes, nor in neighbour discovery. ARP for IPv4 has its protocol
// addresses mapped; of two maps, a request goes from client to server and a reply back, whoever sends it, because ARP is
// not of a flow that has a client. Hardware addresses in ARP stay.
//
// Checksums follow by the difference (RFC 1624 equation 3), so that a wrong one stays wrong by as much; a UDP checksum of
// 0 stays. FixLen "trunc" and "pad", MTUTrunc, fuzzing and Sizes compute those of the whole packet anew. Only FixCsum mends
// the others. FixHdrLen leaves those that cover a length.
//
// A transport header that contradicts itself, or of which a fragment has a part, does not keep the IP header from its edits.
// Where the checksum is in another fragment, the frame counts as Fragment.
type Editor struct {
	edits Edits
	asks  set

	mtu         int
	tag         uint32 // type and control word
	destMAC     [2]uint64
	sourceMAC   [2]uint64
	substitutes [][2]uint64
	macCipher   *cipher
	src, dst    [2]*mapping // by who sends: client, server
	srcEdit     edit        // that src is of
	dstEdit     edit
	ipCipher    *cipher
	ttl         int
	ttlBy       bool
	tos         int // or absent
	tclass      int
	label       int
	ports       *[1 << 16]uint16
	shift       uint32
	factor      uint64
	resizer     *Resizer

	buf     []byte
	start   int // of the frame in buf
	frame   parse.Frame
	packet  parse.Packet
	changed set // in this frame
	failed  set
	reason  Outcome // why the first failed
	drop    bool
	// malformed says that the headers behind the IP header, which was found, contradict themselves or the frame.
	malformed bool

	frames, octets, after uint64
	counts                [outcomes]uint64
	done, undone          [edits]uint64
}

// headroom is what converting a link header and adding a tag may put before a frame, in octets.
const headroom = 32

// maxPad is the longest frame that FixLen "pad" makes, in octets: what libpcap takes as the largest snapshot.
const maxPad = 262144

// EditReport counts frames by what an [Editor] did.
type EditReport struct {
	Edits     string `json:"edits"`      // as Edits.String
	Frames    uint64 `json:"frames"`     // sum of the outcomes
	Octets    uint64 `json:"octets"`     // captured octets before
	OctetsOut uint64 `json:"octets_out"` // and after, deleted frames left out
	Edited    uint64 `json:"edited"`     // every edit that concerns the frame was made
	Unchanged uint64 `json:"unchanged"`  // none concerns it
	Deleted   uint64 `json:"deleted"`
	// Those below lack an edit that concerns them, or it does not hold: see Outcome. Other edits were made.
	Cut         uint64 `json:"cut"`
	Fragment    uint64 `json:"fragment"`
	Protected   uint64 `json:"protected"`
	Unbounded   uint64 `json:"unbounded"`
	Routed      uint64 `json:"routed"`
	TooLong     uint64 `json:"too_long"`
	WrongLink   uint64 `json:"wrong_link"`
	UnknownLink uint64 `json:"unknown_link"`
	Malformed   uint64 `json:"malformed"`
	// ByEdit has those that were asked for, in the order in which they are made.
	ByEdit []EditCount `json:"by_edit"`
	Sizes  *Report     `json:"sizes,omitempty"` // of the last step, where there is one
}

// EditCount counts frames by what became of one edit in them. An edit that leaves a frame as it was is not counted.
type EditCount struct {
	Edit    string `json:"edit"`    // as the flag is named
	Changed uint64 `json:"changed"` // also in frames that were deleted afterwards
	Failed  uint64 `json:"failed"`  // could not be made, or not so that all checksums are right
}

// Failed returns the frames that lack an edit and were not deleted for it.
func (r *EditReport) Failed() uint64 {
	return r.Cut + r.Fragment + r.Protected + r.Unbounded + r.Routed + r.TooLong + r.WrongLink + r.UnknownLink + r.Malformed
}

// String says in one line what was edited, and what was not and why.
func (r EditReport) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %d frames edited, %d unchanged", r.Edited, r.Frames, r.Unchanged)
	if r.Deleted > 0 {
		fmt.Fprintf(&b, ", %d deleted", r.Deleted)
	}
	sep := "; not in all that was asked: "
	for _, c := range [...]struct {
		n  uint64
		as Outcome
	}{{r.Cut, Cut}, {r.Fragment, Fragment}, {r.Protected, Protected}, {r.Unbounded, Unbounded}, {r.Routed, Routed},
		{r.TooLong, TooLong}, {r.WrongLink, WrongLink}, {r.UnknownLink, UnknownLink}, {r.Malformed, Malformed}} {
		if c.n > 0 {
			fmt.Fprintf(&b, "%s%d %s", sep, c.n, strings.ReplaceAll(c.as.String(), "_", " "))
			sep = ", "
		}
	}
	sep = "; "
	for _, c := range r.ByEdit {
		fmt.Fprintf(&b, "%s%s %d", sep, c.Edit, c.Changed)
		if c.Failed > 0 {
			fmt.Fprintf(&b, " (%d failed)", c.Failed)
		}
		sep = ", "
	}
	return b.String()
}

// Report returns the counts so far.
func (ed *Editor) Report() EditReport {
	c := &ed.counts
	r := EditReport{
		Edits: ed.edits.String(), Frames: ed.frames, Octets: ed.octets, OctetsOut: ed.after, Edited: c[Edited],
		Unchanged: c[Unchanged], Deleted: c[Deleted], Cut: c[Cut], Fragment: c[Fragment], Protected: c[Protected],
		Unbounded: c[Unbounded], Routed: c[Routed], TooLong: c[TooLong], WrongLink: c[WrongLink],
		UnknownLink: c[UnknownLink], Malformed: c[Malformed],
	}
	for e := range edits {
		if ed.asks.has(e) {
			r.ByEdit = append(r.ByEdit, EditCount{Edit: editNames[e], Changed: ed.done[e], Failed: ed.undone[e]})
		}
	}
	if ed.resizer != nil {
		sizes := ed.resizer.Report()
		r.Sizes = &sizes
	}
	return r
}

// LinkOut returns the link type of frames of a link type after the edits.
func (ed *Editor) LinkOut(in parse.LinkType) parse.LinkType {
	if ed.asks.has(editDLT) && convertible(in) {
		return parse.LinkEthernet
	}
	return in
}

// CheckLink returns what is wrong with the edits for frames of a link type, where none of them could be edited as asked:
// hardware addresses and tags where there is no Ethernet header, a conversion that lacks addresses.
func (ed *Editor) CheckLink(link parse.LinkType) error {
	switch {
	case ed.asks.has(editDLT) && !convertible(link):
		return fmt.Errorf("link type %d: --dlt=enet converts raw IP, loopback and cooked frames only", link)
	case link != parse.LinkEthernet && ed.asks.has(editEFCS):
		return fmt.Errorf("link type %d: --efcs takes an FCS from Ethernet frames only: leave it out", link)
	case ed.LinkOut(link) != parse.LinkEthernet && ed.asks&linkEdits != 0:
		return fmt.Errorf("link type %d has no Ethernet header for %s: add --dlt=enet, or leave them out", link,
			ed.asks&linkEdits)
	case link == parse.LinkEthernet || !ed.asks.has(editDLT):
		return nil
	case !ed.asks.has(editDestMAC), !ed.asks.has(editSourceMAC) && link != parse.LinkSLL && link != parse.LinkSLL2:
		return fmt.Errorf("link type %d: --dlt=enet needs --enet-dmac and, but for cooked frames, --enet-smac: "+
			"the frames have no such addresses", link)
	}
	return nil
}

// String lists the edits by the names of their flags.
func (s set) String() string {
	var names []string
	for e := range edits {
		if s.has(e) {
			names = append(names, "--"+editNames[e])
		}
	}
	return strings.Join(names, ", ")
}

// Edit sets *out to in with the edits and returns what became of the frame: Edited, Unchanged, Deleted (*out is as in then),
// or why not all of the edits that concern it were made: Cut, Fragment, Protected, Unbounded, Routed, TooLong, WrongLink,
// UnknownLink or Malformed. With SkipSoftErrors the latter become Deleted. fromServer picks the second of paired values.
//
// out.Data is borrowed from the Editor until the next Edit, or from in where the frame stays as it is; in.Data is not
// written, and must not be borrowed from this Editor. in and out may be the same. Edit allocates only for a frame longer
// than any before.
func (ed *Editor) Edit(in, out *parse.Frame, fromServer bool) Outcome {
	before := len(in.Data)
	o := ed.edit(in, fromServer)
	for s, e := ed.changed, edit(0); s != 0; s, e = s>>1, e+1 {
		ed.done[e] += uint64(s & 1)
	}
	for s, e := ed.failed, edit(0); s != 0; s, e = s>>1, e+1 {
		ed.undone[e] += uint64(s & 1)
	}
	ed.frames++
	ed.octets += uint64(before)
	ed.counts[o]++
	if ed.changed == 0 || o == Deleted {
		*out = *in
	} else {
		*out = ed.frame
	}
	if o != Deleted {
		ed.after += uint64(len(out.Data))
	}
	return o
}

// unable notes that edits could not be made in this frame.
func (ed *Editor) unable(s set, why Outcome) {
	if s &= ed.asks; s != 0 {
		if ed.failed == 0 {
			ed.reason = why
		}
		ed.failed |= s
	}
}

func (ed *Editor) did(e edit) { ed.changed |= 1 << e }

func (ed *Editor) edit(in *parse.Frame, fromServer bool) Outcome {
	ed.changed, ed.failed, ed.drop = 0, 0, false
	if ed.asks == 0 {
		return Unchanged
	}
	n := len(in.Data)
	ed.start = headroom
	if len(ed.buf) < headroom+n {
		ed.buf = make([]byte, headroom+n+n/2)
	}
	copy(ed.buf[headroom:], in.Data)
	f := &ed.frame
	*f = parse.Frame{UnixNano: in.UnixNano, Data: ed.buf[headroom : headroom+n], WireLen: max(in.WireLen, n), Link: in.Link}

	side := 0
	if fromServer {
		side = 1
	}
	if ed.asks&linkEdits != 0 {
		ed.link(side)
	}
	if ed.asks&lengthEdits != 0 {
		if ed.lengths(); ed.drop {
			return Deleted
		}
	}
	if ed.asks&headerEdits != 0 {
		ed.headers(side)
	}
	if ed.asks.has(editFuzz) {
		ed.fuzz()
	}
	if ed.asks&sealEdits != 0 {
		ed.mend()
	}
	if ed.drop || ed.failed != 0 && ed.edits.SkipSoftErrors {
		return Deleted
	}
	if ed.resizer != nil {
		was := f.Data
		switch o := ed.resizer.Resize(f, f); o {
		case Resized, Trailer:
			if !bytes.Equal(was, f.Data) {
				ed.did(editSizes)
			}
		case HeadersOnly:
			ed.did(editSizes)
			ed.unable(1<<editSizes, TooLong)
		default:
			ed.unable(1<<editSizes, o)
		}
		if ed.failed != 0 && ed.edits.SkipSoftErrors {
			return Deleted
		}
	}
	switch {
	case ed.failed != 0:
		return ed.reason
	case ed.changed != 0:
		return Edited
	}
	return Unchanged
}

// parse walks the headers of the frame up to an IP or ARP header at least, or notes why edits of them cannot be made.
func (ed *Editor) parse(wanted set) (ok bool) {
	p := &ed.packet
	err := parse.Direct{}.Parse(&ed.frame, p)
	ed.malformed = err != nil
	switch {
	case errors.Is(err, parse.ErrUnsupported):
		ed.unable(wanted, UnknownLink)
	case p.Layers&(parse.LayerIPv4|parse.LayerIPv6|parse.LayerARP) != 0:
		return true
	case err != nil:
		ed.unable(wanted, Malformed)
	case p.Truncated:
		ed.unable(wanted, Cut)
	}
	return false
}

// put32 writes v at b[at:] and returns the difference for a checksum over b, of which at least the even length up to there
// is in b; see difference.
func put32(b []byte, at int, v uint32) uint64 {
	from, to := at&^1, (at+5)&^1
	var old [6]byte
	n := copy(old[:], b[from:to])
	be.PutUint32(b[at:], v)
	return difference(old[:n], b[from:to])
}

// put16 writes v at an even place b[at:] and returns the difference for a checksum over b.
func put16(b []byte, at int, v uint16) uint64 {
	old := be.Uint16(b[at:])
	if old == v {
		return 0
	}
	be.PutUint16(b[at:], v)
	return uint64(^old) + uint64(v)
}
