package feature

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Attackers is a set of MAC and IP addresses whose frames, sent or received, are an attack's.
type Attackers struct {
	macs map[[6]byte]bool
	ips  map[[16]byte]bool
}

// ReadAttackers reads addresses, one a line: a MAC or an IPv4 or IPv6 address. What follows it on the line after a space,
// tab or comma is ignored, as are empty lines and those that start with '#'. The name stands in errors.
func ReadAttackers(r io.Reader, name string) (*Attackers, error) {
	a := &Attackers{macs: make(map[[6]byte]bool), ips: make(map[[16]byte]bool)}
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		word := strings.TrimSpace(lines.Text())
		if word == "" || word[0] == '#' {
			continue
		}
		if i := strings.IndexAny(word, " \t,"); i >= 0 {
			word = word[:i]
		}
		if ip, err := netip.ParseAddr(word); err == nil {
			a.ips[ip.As16()] = true
		} else if mac, err := net.ParseMAC(word); err == nil && len(mac) == 6 {
			a.macs[[6]byte(mac)] = true
		} else {
			return nil, fmt.Errorf("%s: line %d: %q is neither a MAC nor an IP address", name, n, word)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(a.macs)+len(a.ips) == 0 {
		return nil, fmt.Errorf("%s: no addresses", name)
	}
	return a, nil
}

// Digest is the same for the same addresses, whatever their order.
func (a *Attackers) Digest() string {
	var all []string
	for mac := range a.macs {
		all = append(all, string(mac[:]))
	}
	for ip := range a.ips {
		all = append(all, string(ip[:]))
	}
	slices.Sort(all)
	sum := sha256.Sum256([]byte(strings.Join(all, "")))
	return hex.EncodeToString(sum[:])
}

func (a *Attackers) hasIP(ip [16]byte) bool { return len(a.ips) > 0 && a.ips[ip] }

// inEthernet looks at the addresses of an Ethernet frame of at least 14 octets, and of IPv4 or ARP in it.
func (a *Attackers) inEthernet(b []byte, kind uint16) bool {
	if len(a.macs) > 0 && (a.macs[[6]byte(b)] || a.macs[[6]byte(b[6:])]) {
		return true
	}
	if len(a.ips) == 0 {
		return false
	}
	body := b[14:]
	switch {
	case kind == typeIPv4 && len(body) >= 20:
		return a.ips[mapped(body[12:])] || a.ips[mapped(body[16:])]
	case kind == typeARP && len(body) >= 28:
		return a.ips[mapped(body[14:])] || a.ips[mapped(body[24:])]
	}
	return false
}

func mapped(v4 []byte) (ip [16]byte) {
	ip[10], ip[11] = 0xff, 0xff
	binary.BigEndian.PutUint32(ip[12:], binary.BigEndian.Uint32(v4))
	return ip
}
