package inject

import (
	"slices"

	"pcaplab/parse"
	"pcaplab/parse/checksum"
)

// segmenter cuts frames that are longer than a link takes: TCP into segments, as offloading hardware would have done before the wire (the
// capture was taken behind it), other IP into fragments. Its memory is reused.
type segmenter struct {
	buf  []byte
	ends []int
}

const (
	typeIPv4 = 0x0800
	typeIPv6 = 0x86dd
	tcpFin   = 0x01
	tcpPsh   = 0x08
	tcpCwr   = 0x80
)

// begin cuts f into pieces of at most longest octets each and returns how many there are. It returns 0 for what cannot be cut: neither
// IPv4 nor IPv6, a frame that the capture cut, headers that contradict themselves, IPv6 with extension headers other than TCP or UDP
// behind them, IPv4 with Don't Fragment set that is not TCP.
func (s *segmenter) begin(f *parse.Frame, longest int) int {
	s.buf, s.ends = s.buf[:0], s.ends[:0]
	longest = min(longest, 0xffff) // lengths in headers have 16 bits
	d := f.Data
	if f.WireLen > len(d) {
		return 0
	}
	ip := 0
	if f.Link == parse.LinkEthernet {
		if len(d) < 14 {
			return 0
		}
		t := be.Uint16(d[12:])
		for ip = 14; t == 0x8100 || t == 0x88a8; ip += 4 {
			if len(d) < ip+4 {
				return 0
			}
			t = be.Uint16(d[ip+2:])
		}
		if t != typeIPv4 && t != typeIPv6 {
			return 0
		}
	}
	if len(d) < ip+1 {
		return 0
	}
	switch d[ip] >> 4 {
	case 4:
		return s.ipv4(d, ip, longest)
	case 6:
		return s.ipv6(d, ip, longest)
	}
	return 0
}

// piece returns the ith frame.
func (s *segmenter) piece(i int) []byte {
	from := 0
	if i > 0 {
		from = s.ends[i-1]
	}
	return s.buf[from:s.ends[i]]
}

func (s *segmenter) ipv4(d []byte, ip, longest int) int {
	if len(d) < ip+20 {
		return 0
	}
	n := int(d[ip]&15) * 4
	length := int(be.Uint16(d[ip+2:]))
	if length == 0 { // above 64 KiB, by segmentation offload
		length = len(d) - ip
	}
	if n < 20 || length < n || length > len(d)-ip {
		return 0
	}
	d = d[:ip+length] // what follows is a trailer
	flags := be.Uint16(d[ip+6:])
	if d[ip+9] == 6 && flags&0x3fff == 0 {
		return s.tcp(d, ip, ip+n, longest, false)
	}
	if flags&0x4000 != 0 || length > 0xffff {
		return 0
	}
	// RFC 791 section 3.2: fragments in units of 8 octets. Options are repeated in each: most have to be.
	most := (longest - ip - n) &^ 7
	if most < 8 {
		return 0
	}
	base := int(flags & 0x1fff)
	for at := ip + n; at < len(d); at += most {
		end := min(at+most, len(d))
		b := s.add(d[:ip+n], d[at:end])[ip:]
		offset := base + (at-ip-n)/8
		if offset > 0x1fff {
			return 0
		}
		more := flags & 0x2000
		if end < len(d) {
			more = 0x2000
		}
		be.PutUint16(b[2:], uint16(len(b)))
		be.PutUint16(b[6:], flags&0xc000|more|uint16(offset))
		be.PutUint16(b[10:], 0)
		be.PutUint16(b[10:], checksum.Field(checksum.Add(0, b[:n])))
	}
	return len(s.ends)
}

func (s *segmenter) ipv6(d []byte, ip, longest int) int {
	if len(d) < ip+40 {
		return 0
	}
	length := 40 + int(be.Uint16(d[ip+4:]))
	if length == 40 {
		length = len(d) - ip
	}
	if length > len(d)-ip {
		return 0
	}
	d = d[:ip+length]
	next := d[ip+6]
	switch next {
	case 6:
		return s.tcp(d, ip, ip+40, longest, true)
	case 17, 58:
	default:
		return 0
	}
	if length-40 > 0xffff {
		return 0
	}
	// RFC 8200 section 4.5. The identification is that of the content, so that the same frame gives the same fragments.
	most := (longest - ip - 48) &^ 7
	if most < 8 {
		return 0
	}
	id := uint32(2166136261)
	for _, c := range d[ip+8:] {
		id = (id ^ uint32(c)) * 16777619
	}
	for at := ip + 40; at < len(d); at += most {
		end := min(at+most, len(d))
		var header [8]byte
		header[0] = next
		offset := uint16(at - ip - 40)
		if end < len(d) {
			offset |= 1
		}
		be.PutUint16(header[2:], offset)
		be.PutUint32(header[4:], id)
		b := s.add(d[:ip+40], header[:], d[at:end])[ip:]
		b[6] = 44
		be.PutUint16(b[4:], uint16(len(b)-40))
	}
	return len(s.ends)
}

// tcp repeats the headers before each part of the payload, as segmentation offload does: FIN and PSH stay on the last segment, CWR on the
// first, IPv4 identifications count on.
func (s *segmenter) tcp(d []byte, ip, l4, longest int, v6 bool) int {
	if len(d) < l4+20 {
		return 0
	}
	n := int(d[l4+12]>>4) * 4
	if n < 20 || len(d) < l4+n {
		return 0
	}
	most := longest - l4 - n
	if most < 1 {
		return 0
	}
	sequence := be.Uint32(d[l4+4:])
	first := l4 + n
	if first == len(d) { // it was long by a trailer
		s.add(d)
	}
	for at := first; at < len(d); at += most {
		end := min(at+most, len(d))
		b := s.add(d[:first], d[at:end])
		p := b[l4:]
		be.PutUint32(p[4:], sequence+uint32(at-first))
		if end < len(d) {
			p[13] &^= tcpFin | tcpPsh
		}
		if at > first {
			p[13] &^= tcpCwr
		}
		head := b[ip:]
		acc := 6 + uint64(len(p))
		if v6 {
			be.PutUint16(head[4:], uint16(len(head)-40))
			acc = checksum.Add(acc, head[8:40])
		} else {
			be.PutUint16(head[2:], uint16(len(head)))
			be.PutUint16(head[4:], be.Uint16(head[4:])+uint16((at-first)/most))
			be.PutUint16(head[10:], 0)
			be.PutUint16(head[10:], checksum.Field(checksum.Add(0, head[:l4-ip])))
			acc = checksum.Add(acc, head[12:20])
		}
		be.PutUint16(p[16:], 0)
		be.PutUint16(p[16:], checksum.Field(checksum.Add(acc, p)))
	}
	return len(s.ends)
}

// add begins a piece of the parts and returns it.
func (s *segmenter) add(parts ...[]byte) []byte {
	from := len(s.buf)
	for _, p := range parts {
		s.buf = append(s.buf, p...)
	}
	s.ends = append(s.ends, len(s.buf))
	return slices.Clip(s.buf[from:])
}
