package parse

import (
	"errors"
	"net/netip"
)

// LinkType is a link-layer header type as pcap files number them (https://www.tcpdump.org/linktypes.html).
type LinkType uint16

// Link types that Direct decodes.
const (
	LinkNull       LinkType = 0   // BSD loopback, family in the writer's byte order
	LinkEthernet   LinkType = 1   // IEEE 802.3
	LinkRawBSD     LinkType = 12  // as LinkRaw, under the number that most BSDs and Linux use inside
	LinkRawOpenBSD LinkType = 14  // as LinkRaw, under OpenBSD's number
	LinkRaw        LinkType = 101 // an IPv4 or IPv6 packet without link header
	LinkLoop       LinkType = 108 // OpenBSD loopback, family in network byte order
	LinkSLL        LinkType = 113 // Linux "cooked" capture, version 1
	LinkIPv4       LinkType = 228
	LinkIPv6       LinkType = 229
	LinkSLL2       LinkType = 276 // Linux "cooked" capture, version 2
)

// Frame is one captured link-layer frame before parsing.
type Frame struct {
	UnixNano int64    // capture time, ns since 1970-01-01 UTC
	Data     []byte   // captured octets, borrowed: valid until the source's next Next
	WireLen  int      // octets on the wire; at least len(Data) unless the capture lies
	Link     LinkType // how Data starts
}

// FiveTuple names a flow in one direction. It holds no pointers, so that it can be a map key. IPv4 addresses are
// IPv4-mapped (::ffff:a.b.c.d, RFC 4291 section 2.5.5.2). Ports are 0 where the protocol has none (ICMP, IGMP, ESP)
// and in fragments after the first.
type FiveTuple struct {
	SrcIP, DstIP     [16]byte
	SrcPort, DstPort uint16
	Proto            uint8 // IANA protocol number of the header after the IP header and its extensions
}

// Src returns the source address and port, IPv4 unmapped.
func (t FiveTuple) Src() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(t.SrcIP).Unmap(), t.SrcPort)
}

// Dst returns the destination address and port, IPv4 unmapped.
func (t FiveTuple) Dst() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(t.DstIP).Unmap(), t.DstPort)
}

// Layers is the set of headers found in a frame.
type Layers uint32

// The headers that engines report. A bit is set when the whole header, with its options, is in the captured octets
// and does not contradict itself.
const (
	LayerEthernet      Layers = 1 << iota
	LayerNull                 // null or loop
	LayerSLL                  // Linux cooked capture, version 1
	LayerSLL2                 // Linux cooked capture, version 2
	LayerVLAN                 // one or more tags: TPID 0x8100 (802.1Q) or 0x88a8 (802.1ad)
	LayerMPLS                 // one or more label stack entries
	LayerPPPoE                // PPPoE session (EtherType 0x8864); discovery is another EtherType
	LayerLLC                  // 802.2 LLC after an 802.3 length
	LayerARP                  // ARP (EtherType 0x0806), with its addresses
	LayerIPv4                 // IPv4, with its options
	LayerIPv6                 // the fixed IPv6 header
	LayerIPv6Extension        // one or more extension headers after IPv6
	LayerFragment             // a fragment, IPv4 or IPv6; not the atomic fragments of RFC 6946
	LayerFragmentRest         // a fragment after the first: no transport header
	LayerTCP
	LayerUDP
	LayerICMP
	LayerICMPv6
	LayerIGMP
	LayerGRE
	LayerESP
	LayerSCTP
	LayerOtherL4 // after IP, a protocol that has no bit of its own, "no next header" (59) included
)

// Has reports whether every header in want is present.
func (l Layers) Has(want Layers) bool { return l&want == want }

// TCP flags as in Packet.TCPFlags (RFC 9293 section 3.1, RFC 3168 for ECE and CWR, RFC 3540 for NS).
const (
	TCPFin uint16 = 1 << iota
	TCPSyn
	TCPRst
	TCPPsh
	TCPAck
	TCPUrg
	TCPEce
	TCPCwr
	TCPNs
)

// Packet is what a parser found in a frame.
type Packet struct {
	Layers   Layers
	Tuple    FiveTuple // zero unless LayerIPv4 or LayerIPv6; ports zero without TCP, UDP or SCTP
	TTL      uint8     // IPv4 time to live or IPv6 hop limit
	TCPFlags uint16    // 0 unless LayerTCP
	// HeaderLen is the length of all headers found, in octets from the start of the frame. Payload starts there.
	HeaderLen int
	// Payload is what follows the last header found, up to the end that the lengths in the headers give, borrowed like
	// Frame.Data. After an error or a cut it starts with the header at fault.
	Payload []byte
	// Truncated says that the capture cut the frame inside a header.
	Truncated bool
}

// Parser decodes frames. Parse overwrites p whole, also when it returns an error; what it could decode before the
// error stays in p. A Parser belongs to one goroutine and keeps neither f nor p. Parse must not panic, whatever the
// frame: who adapts a parser that may, recovers and returns ErrMalformed.
//
// Errors are ErrMalformed or ErrUnsupported, as they are or wrapped. A truncated frame is no error.
type Parser interface {
	Parse(f *Frame, p *Packet) error
}

// ErrMalformed says that a header contradicts itself or the frame: an impossible length or version, or no room for it
// in what carries it. The package comment has the rules.
var ErrMalformed = errors.New("malformed frame")

// ErrUnsupported says that the frame is of a link type that the parser does not know.
var ErrUnsupported = errors.New("unsupported link type")

// Engine is a kind of parser under a name.
type Engine struct {
	Name string // as in --engines: lower case, words joined by '-'
	Doc  string // one line for listings
	// New makes a parser for frames of a link type. It returns an error that wraps ErrUnsupported where the engine has
	// no decoder for it.
	New func(LinkType) (Parser, error)
}

// Stage is work done on a packet after parsing: flow accounting, features, a model. Process keeps neither f nor p. An
// error ends the run: it says that the stage cannot go on, not that a packet is bad.
type Stage interface {
	Process(f *Frame, p *Packet) error
}

// StageKind is a kind of stage under a name, as in --stages.
type StageKind struct {
	Name string
	Doc  string // one line for listings; of a kind that takes a value, also what it may be
	// New makes a stage; with several workers each has one of its own. Nil is a kind that needs a value.
	New func() (Stage, error)
	// After, if set, names the kind of stage whose work this one goes on with: one must stand before it (see Following).
	After string
	// Set reads the value of a stage that is given as NAME=VALUE and returns what takes the place of New. It is called before
	// anything is measured: what can be wrong with a value is found here. Nil is a kind that takes no value.
	Set func(value string) (func() (Stage, error), error)
	// File, if set, returns the part of a value that names a file, with which the value begins; "" where it names none. The file
	// goes where the stage goes, to a board too, under another name: Set then gets that name in place of this one.
	File func(value string) string
}

// Following is a Stage that works on what an earlier stage of its pipeline made, as a model on vectors. Follow is called
// once, before the first frame, with the stages before it, in order. An error says what is missing.
type Following interface {
	Follow(earlier []Stage) error
}

// Counting is a Stage that has counts for the records of a study, by name. Counts is called after a trial, on the goroutine
// that called Process.
type Counting interface {
	Counts() map[string]uint64
}
