package feature

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"pcaplab/parse"
)

// As says which program's numbers are computed.
type As uint8

const (
	// AsExtractor is what the scripts give on the packets of a capture, bit for bit.
	AsExtractor As = iota
	// AsPipeline is what the authors' whole tool chain gives: pieces of 10,000,000 octets as tcpdump -C 10 cuts them, times in
	// microseconds, frames cut to the snaplen. The round trip of the numbers through pandas.read_csv is vectorio's.
	AsPipeline
	// AsReleased is AsPipeline with sums taken in order, as the digits of the published files show.
	AsReleased
	// AsFixed mends each known fault of the scripts; METHOD.md lists them.
	AsFixed
)

var asNames = [...]string{"extractor", "pipeline", "released", "fixed"}

// String returns the name as flags spell it.
func (a As) String() string {
	if int(a) < len(asNames) {
		return asNames[a]
	}
	return fmt.Sprintf("As(%d)", uint8(a))
}

// Pieces reports whether the capture is cut into pieces that know nothing of each other.
func (a As) Pieces() bool { return a == AsPipeline || a == AsReleased }

// MarshalText returns String.
func (a As) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads what String writes.
func (a *As) UnmarshalText(text []byte) error {
	for i, name := range asNames {
		if name == string(text) {
			*a = As(i)
			return nil
		}
	}
	return fmt.Errorf("%q: choose %s", text, strings.Join(asNames[:], ", "))
}

// Clock says how dpkt makes seconds of a frame's time. The zero value is that of a classic pcap in microseconds.
type Clock struct {
	// Decimal: decimal arithmetic, as with a classic pcap in nanoseconds. Differences are exact.
	Decimal bool
	// Divisor, if above 0, divides the time in units: float64(units)/Divisor + Offset, as with a pcapng, where units are
	// UnitNano ns. Otherwise the time is whole seconds plus the rest.
	Divisor  float64
	UnitNano int64
	Offset   int64 // seconds
}

// seconds returns the time in seconds, rounded as Python rounds it.
func (c *Clock) seconds(nano int64) float64 {
	if c.Divisor > 0 {
		return float64(c.Offset) + float64((nano-c.Offset*1e9)/c.UnitNano)/c.Divisor
	}
	sec, frac := nano/1e9, nano%1e9
	if frac < 0 {
		sec, frac = sec-1, frac+1e9
	}
	return float64(sec) + float64(frac)/1e9
}

// Row is what a frame adds to a window.
type Row struct {
	Nano      int64   // time, ns since 1970
	Gap       int64   // ns since the row before; 0 in the first
	Seconds   float64 // time as the scripts have it; not with Decimal clocks or AsFixed
	IAT       float64 // difference of Seconds; not with Decimal clocks or AsFixed
	Size      uint32  // octets: captured, on the wire with AsFixed
	HeaderLen uint16  // of the transport header, octets
	Protocol  uint8
	TTL       uint8
	Marks     uint32 // flags and protocols, see mark
}

// mark is a bit of Row.Marks: the columns that are 0 or 1 in a row, in the columns' order, and what AsFixed must know.
type mark = uint32

const (
	markFin mark = 1 << iota
	markSyn
	markRst
	markPsh
	markAck
	markEce
	markCwr
	markHTTP
	markHTTPS
	markDNS
	markTelnet
	markSMTP
	markSSH
	markIRC
	markTCP
	markUDP
	markDHCP
	markARP
	markICMP
	markIGMP
	markIPv
	markLLC
	markAttack // an attacker's
	markIP     // has a TTL
	markL4     // has a transport header
	markFirst  // the first row of a capture or piece: no gap
	markBits   = iota
)

// Outcome is what became of a frame.
type Outcome uint8

const (
	// MadeRow: the frame gave a row.
	MadeRow Outcome = iota
	// NoRowShort: fewer than 14 octets.
	NoRowShort
	// NoRowIPv6: EtherType 0x86dd.
	NoRowIPv6
	// NoRowVLAN: EtherType 0x8100, 0x88a8, 0x9100 or 0x9200, whatever is tagged.
	NoRowVLAN
	// NoRowMPLS: EtherType 0x8847 or 0x8848.
	NoRowMPLS
	// NoRowPPPoE: EtherType 0x8864.
	NoRowPPPoE
	// NoRowLength: an 802.3 length (1500 or less) instead of an EtherType: LLC, STP, Novell.
	NoRowLength
	// NoRowOther: another EtherType.
	NoRowOther
	// NoRowRefused: IPv4, but one of dpkt's decoders raises an error on what it carries.
	NoRowRefused
	// NoRowMalformed: with AsFixed, the engine found the frame malformed or does not know its link type.
	NoRowMalformed
	// NoRowUntimed: a frame without a time, as in a simple packet block of a pcapng, which dpkt's reader skips.
	NoRowUntimed
	// NoRowLost: the frame gave a row, but the scripts lose its piece (DecoderConfig.Lost).
	NoRowLost
	// Fault: EtherType 0x0800 without a whole IPv4 header. The scripts end with an AttributeError and lose the file, or with
	// pieces the piece.
	Fault
	outcomes = iota
)

var outcomeNames = [outcomes]string{
	"rows", "short", "ipv6", "vlan", "mpls", "pppoe", "length_802_3", "other_type", "dpkt_refused", "malformed", "untimed", "lost", "broken_ipv4",
}

var outcomeTexts = [outcomes]string{
	"gave a row", "shorter than an Ethernet header", "IPv6", "VLAN tags", "MPLS", "PPPoE", "802.3 length (LLC, STP, Novell)",
	"another EtherType", "refused by dpkt for what the datagram carries", "malformed", "without a time", "lost with what the scripts end at", "broken IPv4 header: the scripts end there",
}

// String says it for people.
func (o Outcome) String() string { return outcomeTexts[min(o, outcomes-1)] }

// Name returns a short name, as in counts of records.
func (o Outcome) Name() string { return outcomeNames[min(o, outcomes-1)] }

// Outcomes returns every outcome, MadeRow first.
func Outcomes() []Outcome {
	all := make([]Outcome, outcomes)
	for i := range all {
		all[i] = Outcome(i)
	}
	return all
}

// Counters counts frames by outcome.
type Counters [outcomes]uint64

// Frames returns the sum of all counts.
func (c *Counters) Frames() uint64 {
	var n uint64
	for _, v := range c {
		n += v
	}
	return n
}

// Add adds o to c.
func (c *Counters) Add(o Counters) {
	for i, n := range o {
		c[i] += n
	}
}

// DecoderConfig is how frames become rows. The zero value is AsExtractor.
type DecoderConfig struct {
	As        As
	Clock     Clock
	Snaplen   uint32     // with pieces: longer frames are cut to it; 0 means no cut
	Attackers *Attackers // whose frames are marked; nil for nobody
	// Lost are the pieces that the scripts lose; without pieces, piece 0 is the capture. Their frames give no rows.
	Lost map[uint64]bool
}

// Decoder makes rows of the frames of one capture, in order. It belongs to one goroutine.
type Decoder struct {
	cfg  DecoderConfig
	lost bool // the piece is
	s    DecoderState
}

// DecoderState is all that a Decoder knows of the frames before: to go on in another process.
type DecoderState struct {
	Started     bool     `json:"started"`      // with AsFixed: there was a row
	Last        float64  `json:"last"`         // Seconds of the row before; the scripts take 0 for none
	LastNano    int64    `json:"last_ns"`      // Nano of it
	PieceOctets uint64   `json:"piece_octets"` // length of the piece so far, as tcpdump counts it
	Piece       uint64   `json:"piece"`        // its number, from 0
	Counters    Counters `json:"counters"`
}

// pieceOctets is the unit of tcpdump -C 10; a piece ends before the first record that finds it longer.
const pieceOctets = 10_000_000

// Octets of a classic pcap, of its header and before each frame.
const (
	fileHeaderLen   = 24
	recordHeaderLen = 16
)

// NewDecoder returns a decoder at the start of a capture.
func NewDecoder(cfg DecoderConfig) *Decoder {
	d := &Decoder{cfg: cfg}
	d.Reset()
	return d
}

// Reset begins a capture anew. The counts go on.
func (d *Decoder) Reset() {
	d.SetState(DecoderState{PieceOctets: fileHeaderLen, Counters: d.s.Counters})
}

// State returns what the decoder knows now.
func (d *Decoder) State() DecoderState { return d.s }

// SetState makes the decoder go on where State was taken.
func (d *Decoder) SetState(s DecoderState) {
	d.s = s
	d.lost = d.cfg.Lost[s.Piece]
}

// SetClock changes the clock, as between interfaces of a capture.
func (d *Decoder) SetClock(c Clock) { d.cfg.Clock = c }

// SetSnaplen changes what frames are cut to in pieces; 0 means no cut.
func (d *Decoder) SetSnaplen(n uint32) { d.cfg.Snaplen = n }

// Counters returns how many frames had which outcome.
func (d *Decoder) Counters() Counters { return d.s.Counters }

// Piece returns the number of the piece of the frame decoded last, from 0.
func (d *Decoder) Piece() uint64 { return d.s.Piece }

// Skip counts a frame that is not to be decoded.
func (d *Decoder) Skip(o Outcome) { d.s.Counters[o]++ }

// Decode sets *r to the row of f if it gives one. Without AsFixed it looks at f only, whatever its link type, as the scripts
// do; with AsFixed at f and at p, what an engine found in f, nil if the engine refused f. newPiece says that f begins another
// piece: windows end before it, whether it gives a row or not. r may be overwritten without an outcome of MadeRow.
func (d *Decoder) Decode(f *parse.Frame, p *parse.Packet, r *Row) (o Outcome, newPiece bool) {
	data := f.Data
	nano := f.UnixNano
	if d.cfg.As.Pieces() {
		if d.cfg.Snaplen > 0 && len(data) > int(d.cfg.Snaplen) {
			data = data[:d.cfg.Snaplen]
		}
		nano -= nano % 1000
		if d.s.PieceOctets > pieceOctets {
			d.SetState(DecoderState{PieceOctets: fileHeaderLen, Piece: d.s.Piece + 1, Counters: d.s.Counters})
			newPiece = true
		}
		d.s.PieceOctets += recordHeaderLen + uint64(len(data))
	}
	if d.cfg.As == AsFixed {
		o = d.fixed(f, p, r)
	} else {
		o = d.exact(data, nano, r)
	}
	if d.lost && o == MadeRow {
		o = NoRowLost
	}
	d.s.Counters[o]++
	return o, newPiece
}

// Flags of the octet 13 of a TCP header, in the columns' order but for URG, which no column shows.
var flagMarks = func() (t [256]uint8) {
	for i := range t {
		t[i] = uint8(i&0x1f | i>>1&0x60) // FIN SYN RST PSH ACK, ECE CWR
	}
	return t
}()

// exact decodes a frame as dpkt and the scripts do.
func (d *Decoder) exact(data []byte, nano int64, r *Row) Outcome {
	if len(data) < 14 {
		return NoRowShort
	}
	size := len(data)
	off := 0
	kind := binary.BigEndian.Uint16(data[12:])
	if kind <= 1500 {
		for depth := 0; kind <= 1500 && isl(data[off:]); depth++ {
			off += islLen
			if len(data)-off < 14 || depth*costISL > costMost-costIP-costPacket-1 {
				return NoRowRefused
			}
			kind = binary.BigEndian.Uint16(data[off+12:])
		}
		if kind <= 1500 {
			return NoRowLength
		}
	}
	var (
		marks           mark
		header          int
		protocol, ttl   uint8
		srcPort, toPort uint16
	)
	switch kind {
	case typeIPv4:
		ip := data[off+14:]
		if len(ip) < 20 || ip[0]&15 < 5 {
			return Fault
		}
		protocol, ttl = ip[9], ip[8]
		marks = markIPv | markLLC | markIP
		if binary.BigEndian.Uint16(ip[6:])&0x1fff == 0 {
			start, end := int(ip[0]&15)*4, int(binary.BigEndian.Uint16(ip[2:]))
			if end == 0 || end > len(ip) {
				end = len(ip)
			}
			room := end - start
			switch {
			case protocol == 6:
				if room < 20 || ip[start+12]>>4 < 5 {
					break
				}
				l4 := (*[20]byte)(ip[start:])
				header = min(int(l4[12]>>4)*4, room)
				srcPort, toPort = binary.BigEndian.Uint16(l4[:]), binary.BigEndian.Uint16(l4[2:])
				marks |= markTCP | markL4 | mark(flagMarks[l4[13]]) | tcpMarks(srcPort) | tcpMarks(toPort)
			case protocol == 17:
				if room < 8 {
					break
				}
				header = 8
				l4 := (*[8]byte)(ip[start:])
				srcPort, toPort = binary.BigEndian.Uint16(l4[:]), binary.BigEndian.Uint16(l4[2:])
				marks |= markUDP | markL4
				if srcPort == 53 || toPort == 53 {
					marks |= markDNS
				}
				if srcPort == 67 && toPort == 68 || srcPort == 68 && toPort == 67 {
					marks |= markDHCP
				}
			default:
				if decodeProtocol(protocol, ip[min(start, end):end], costIP) == raised {
					return NoRowRefused
				}
			}
		}
		switch protocol {
		case 1:
			marks |= markICMP
		case 2:
			marks |= markIGMP
		}
	case typeARP:
		marks = markARP
	case typeIPv6:
		return NoRowIPv6
	case typeVLAN, typeService, typeQinQ1, typeQinQ2:
		return NoRowVLAN
	case typeMPLS, typeMPLSAll:
		return NoRowMPLS
	case typePPPoE:
		return NoRowPPPoE
	default:
		return NoRowOther
	}
	if d.cfg.Attackers != nil && d.cfg.Attackers.inEthernet(data[off:], kind) {
		marks |= markAttack
	}
	r.Size, r.HeaderLen, r.Protocol, r.TTL = uint32(size), uint16(header), protocol, ttl
	d.time(nano, r)
	r.Marks = marks
	return MadeRow
}

// time sets the times of a row. The scripts take a last time of 0 for none.
func (d *Decoder) time(nano int64, r *Row) {
	r.Nano = nano
	if d.cfg.Clock.Decimal && !d.cfg.As.Pieces() {
		if d.s.LastNano == 0 {
			d.s.LastNano = nano
		}
		r.Gap = nano - d.s.LastNano
		d.s.LastNano = nano
		return
	}
	var seconds float64
	if d.cfg.As.Pieces() { // tcpdump wrote them in microseconds
		seconds = new(Clock).seconds(nano)
	} else {
		seconds = d.cfg.Clock.seconds(nano)
	}
	if d.s.Last == 0 {
		d.s.Last = seconds
	}
	r.Seconds, r.IAT = seconds, seconds-d.s.Last
	d.s.Last = seconds
}

func tcpMarks(port uint16) mark {
	if port > 443 {
		return 0
	}
	switch port {
	case 80:
		return markHTTP
	case 443:
		return markHTTPS
	case 22:
		return markSSH
	case 23:
		return markTelnet
	case 25:
		return markSMTP
	case 21: // FTP, but the scripts call it IRC
		return markIRC
	}
	return 0
}

// decimalSeconds returns ns in seconds as Python rounds a decimal to a float: to the nearest.
func decimalSeconds(nano int64) float64 {
	if nano > -1<<53 && nano < 1<<53 {
		return float64(nano) / 1e9
	}
	return nearestSeconds(nano)
}

// nearestSeconds is the way for times that are not whole in a float64.
func nearestSeconds(nano int64) float64 {
	v, _ := strconv.ParseFloat(strconv.FormatInt(nano, 10)+"e-9", 64)
	return v
}
