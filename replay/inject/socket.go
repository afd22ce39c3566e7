package inject

import (
	"fmt"

	"pcaplab/parse"
	"pcaplab/replay/netlab"
)

// ARPHRD numbers (Linux if_arp.h).
const (
	arphrdEthernet = 1
	arphrdLoopback = 772
	arphrdRawIP    = 519
	arphrdTunnel   = 768
	arphrdTunnel6  = 769
	arphrdNone     = 65534
)

// Socket sends frames through one interface. It belongs to one goroutine, whose thread must be in the interface's network namespace.
type Socket struct {
	cfg     Config
	wire    wire
	closer  func() error
	backend string
	link    parse.LinkType
	longest int // octets of a frame, without a VLAN tag
	facts   netlab.Facts
	notes   []string
}

// Backend returns which backend the socket uses.
func (s *Socket) Backend() string { return s.backend }

// Link returns the link type that frames must have. Raw IP (LinkRaw) stands for all link types of IP packets without a link header.
func (s *Socket) Link() parse.LinkType { return s.link }

// Longest returns how long a frame may be, in octets of data without a VLAN tag.
func (s *Socket) Longest() int { return s.longest }

// Facts returns those of the interface when the socket was opened.
func (s *Socket) Facts() netlab.Facts { return s.facts }

// Notes says which faster backends the interface did not accept, and why.
func (s *Socket) Notes() []string { return s.notes }

// Close ends the socket.
func (s *Socket) Close() error { return s.closer() }

// counts are the interface's, since it was made.
func (s *Socket) counts() (LinkCounts, error) {
	facts, err := netlab.Link(s.cfg.Interface)
	if err != nil && facts.Name == "" {
		return LinkCounts{}, err
	}
	c := facts.Counters
	return LinkCounts{Interface: s.cfg.Interface, TxFrames: c.TxFrames, TxOctets: c.TxOctets, TxDropped: c.TxDropped, TxErrors: c.TxErrors}, nil
}

// linkOf returns which frames an interface takes, and the length of their link header.
func linkOf(facts netlab.Facts) (parse.LinkType, int, error) {
	switch facts.Type {
	case arphrdEthernet, arphrdLoopback:
		return parse.LinkEthernet, 14, nil
	case arphrdNone, arphrdRawIP, arphrdTunnel, arphrdTunnel6:
		return parse.LinkRaw, 0, nil
	}
	return 0, 0, fmt.Errorf("%s is of a kind (ARPHRD %d) that frames cannot be sent on: Ethernet and raw IP can", facts.Name, facts.Type)
}
