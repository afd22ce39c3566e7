package split

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// networks is a list of IP networks.
type networks []netip.Prefix

// parseNetworks reads networks joined by commas, each ADDRESS or ADDRESS/LENGTH, IPv6 in brackets or not.
func parseNetworks(s string) (networks, error) {
	var list networks
	for _, field := range strings.Split(s, ",") {
		text := strings.TrimSpace(field)
		if strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") {
			text = text[1 : len(text)-1]
		}
		p, err := netip.ParsePrefix(text)
		if addr, addrErr := netip.ParseAddr(text); addrErr == nil && addr.Zone() == "" {
			p, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err != nil {
			return nil, fmt.Errorf("network %q: want as 10.0.0.0/8, 192.168.1.1 or fe80::/16, joined by commas", field)
		}
		list = append(list, p.Masked())
	}
	return list, nil
}

func (n networks) hold(h *host) bool {
	addr := h.netip()
	for _, p := range n {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// span is packets by number, counted from 1, last included.
type span struct{ first, last uint64 }

// parseSpans reads a list of packets as 1-5,9,72- and returns it in order, without overlaps.
func parseSpans(s string) ([]span, error) {
	var list []span
	for _, field := range strings.Split(s, ",") {
		first, last, isRange := strings.Cut(field, "-")
		sp := span{last: math.MaxUint64}
		var err, lastErr error
		sp.first, err = strconv.ParseUint(first, 10, 64)
		if !isRange {
			sp.last = sp.first
		} else if last != "" {
			sp.last, lastErr = strconv.ParseUint(last, 10, 64)
		}
		if err != nil || lastErr != nil || sp.first == 0 || sp.last < sp.first {
			return nil, fmt.Errorf("packets %q: want numbers from 1 on, as 1-5,9,72-", field)
		}
		list = append(list, sp)
	}
	slices.SortFunc(list, func(a, b span) int { return cmp.Compare(a.first, b.first) })
	merged := list[:1]
	for _, sp := range list[1:] {
		if end := &merged[len(merged)-1]; sp.first <= end.last {
			end.last = max(end.last, sp.last)
		} else {
			merged = append(merged, sp)
		}
	}
	return merged, nil
}

// rule says which frames take part. The zero value takes all.
type rule struct {
	kind    byte // S, D, B, E or P
	exclude bool
	nets    networks
	spans   []span
}

func parseRule(s string, exclude bool) (rule, error) {
	kind, list, ok := strings.Cut(s, ":")
	r := rule{exclude: exclude}
	var err error
	switch {
	case ok && kind == "P":
		r.spans, err = parseSpans(list)
	case ok && kind == "F":
		return r, fmt.Errorf("rule %q: BPF filters are not understood: filter the capture before (tcpdump -r FILE -w OUT FILTER), or take another rule", s)
	case ok && len(kind) == 1 && strings.Contains("SDBE", kind):
		r.nets, err = parseNetworks(list)
	default:
		err = errors.New("want S:, D:, B: or E: and networks, or P: and packets")
	}
	if err != nil {
		return r, fmt.Errorf("rule %q: %w", s, err)
	}
	r.kind = kind[0]
	return r, nil
}

// cursor counts frames along a rule's packets.
type cursor struct {
	frames uint64
	next   int // span
}

// takes reports whether the next frame takes part; h is nil in a frame without an IP header.
func (r *rule) takes(c *cursor, h *header) bool {
	c.frames++
	var matches bool
	switch {
	case r.kind == 0:
		return true
	case r.kind == 'P':
		for c.next < len(r.spans) && r.spans[c.next].last < c.frames {
			c.next++
		}
		matches = c.next < len(r.spans) && r.spans[c.next].first <= c.frames
	case h == nil:
		return true // addresses do not speak of it
	case r.kind == 'S':
		matches = r.nets.hold(&h.src)
	case r.kind == 'D':
		matches = r.nets.hold(&h.dst)
	case r.kind == 'B':
		matches = r.nets.hold(&h.src) && r.nets.hold(&h.dst)
	default:
		matches = r.nets.hold(&h.src) || r.nets.hold(&h.dst)
	}
	return matches != r.exclude
}

// parseMACs reads MAC addresses joined by commas, octets of one or two digits.
func parseMACs(s string) ([][6]byte, error) {
	var list [][6]byte
	for _, field := range strings.Split(s, ",") {
		parts := strings.Split(strings.TrimSpace(field), ":")
		for i, p := range parts {
			if len(p) == 1 {
				parts[i] = "0" + p
			}
		}
		mac, err := net.ParseMAC(strings.Join(parts, ":"))
		if err != nil || len(mac) != 6 {
			return nil, fmt.Errorf("MAC address %q: want as 02:00:5e:10:00:01, joined by commas", field)
		}
		list = append(list, [6]byte(mac))
	}
	return list, nil
}

// Services are the ports that servers have.
type Services struct {
	tcp, udp [1 << 16 / 64]uint64
}

// lowPorts are ports below 1024.
func lowPorts() *Services {
	s := &Services{}
	for i := range 1024 / 64 {
		s.tcp[i], s.udp[i] = math.MaxUint64, math.MaxUint64
	}
	return s
}

// ReadServices reads ports in the format of /etc/services: lines of NAME PORT/PROTOCOL, and # for comments. Protocols other than
// tcp and udp are passed over. Errors name the file as name, and the line.
func ReadServices(r io.Reader, name string) (*Services, error) {
	s := &Services{}
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(text)
		if len(fields) == 0 {
			continue
		}
		if len(fields) < 2 {
			return nil, fmt.Errorf("%s: line %d: %q: want a name and a port, as http 80/tcp", name, n, text)
		}
		number, protocol, _ := strings.Cut(fields[1], "/")
		port, err := strconv.ParseUint(number, 10, 16)
		if err != nil || protocol == "" {
			return nil, fmt.Errorf("%s: line %d: %q: want a port and a protocol, as 80/tcp", name, n, fields[1])
		}
		switch protocol {
		case "tcp":
			s.tcp[port/64] |= 1 << (port % 64)
		case "udp":
			s.udp[port/64] |= 1 << (port % 64)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}

func (s *Services) has(proto byte, port uint16) bool {
	set := &s.tcp
	if proto == protoUDP {
		set = &s.udp
	}
	return set[port/64]>>(port%64)&1 != 0
}
