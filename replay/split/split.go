package split

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math/bits"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"

	"pcaplab/parse"
)

// The modes; the package comment says what they do.
const (
	ModeBridge = "bridge"
	ModeRouter = "router"
	ModeClient = "client"
	ModeServer = "server"
	ModeFirst  = "first"
	ModeCIDR   = "cidr"
	ModeRegex  = "regex"
	ModePort   = "port"
	ModeMAC    = "mac"
)

// AutoModes are the modes that find out by themselves who is client and who is server.
var AutoModes = []string{ModeBridge, ModeRouter, ModeClient, ModeServer, ModeFirst}

// Defaults of Config.
const (
	DefaultRatio   = "2"
	DefaultMinMask = 30
	DefaultMaxMask = 8
)

// Prefix lengths of IPv6 networks in mode router.
const (
	longestV6  = 64
	shortestV6 = 32
)

// Config says how a capture is split. Mode is needed; all else may be zero.
type Config struct {
	Mode     string    `json:"mode"`
	CIDR     string    `json:"cidr,omitempty"`    // in mode cidr: networks joined by commas, IPv6 in brackets or not
	Regex    string    `json:"regex,omitempty"`   // in mode regex: of source addresses as text (RFC 5952), in RE2's syntax
	MAC      string    `json:"mac,omitempty"`     // in mode mac: source addresses joined by commas
	Services *Services `json:"-"`                 // in mode port: the ports of servers; nil: those below 1024
	Reverse  bool      `json:"reverse,omitempty"` // in modes cidr, regex and mac: sources that match are the server's side
	NonIP    string    `json:"nonip,omitempty"`   // side of frames without an IP header: client or server; "": server
	Ratio    string    `json:"ratio,omitempty"`   // of server to client evidence that makes a server, in decimal; "": 2
	MinMask  int       `json:"minmask,omitempty"` // in mode router: prefix length that is tried first; 0: 30
	MaxMask  int       `json:"maxmask,omitempty"` // and last; 0: 8. Of IPv6 addresses they are 64 and 32.
	Include  string    `json:"include,omitempty"` // frames that are sent, and learned from: a rule; "": all
	Exclude  string    `json:"exclude,omitempty"` // frames that are not: a rule. One of the two may be given.
}

// Counts says what became of frames.
type Counts struct {
	Packets uint64 `json:"packets"`
	Client  uint64 `json:"client"`  // sent, on the client's side
	Server  uint64 `json:"server"`  // sent, on the server's side
	Skipped uint64 `json:"skipped"` // not sent
	NonIP   uint64 `json:"nonip"`   // of those sent: on the side of Config.NonIP
	Guessed uint64 `json:"guessed"` // of those sent: the mode knows nothing of the source, and has taken its default
}

// Splitter tells the sides of a capture's frames. It belongs to one goroutine. It keeps no frame.
type Splitter struct {
	mode       string
	reverse    bool
	nonIP      Side
	num, den   uint64 // of the ratio
	shortest   int    // prefix lengths of IPv4 networks
	longest    int
	rule       rule
	nets       networks
	macs       [][6]byte
	pattern    *regexp.Regexp
	services   *Services
	text       []byte
	head       header
	learned    cursor
	classified cursor
	counts     Counts

	seen    map[host]Side     // in mode first
	hosts   map[host]evidence // in the other auto modes
	known   []host            // in mode router: those of hosts, in order
	servers []int             // how many of known[:i] are servers
	settled bool
}

// evidence counts what a host sent.
type evidence struct{ client, server uint64 }

// New returns a splitter, or an error that says all that is wrong with cfg.
func New(cfg Config) (*Splitter, error) {
	s := &Splitter{mode: cfg.Mode, reverse: cfg.Reverse, nonIP: Server, services: cfg.Services}
	var errs []error
	fail := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	var err error
	switch cfg.Mode {
	case ModeFirst:
		s.seen = make(map[host]Side)
	case ModeBridge, ModeRouter, ModeClient, ModeServer:
		s.hosts = make(map[host]evidence)
	case ModeCIDR:
		s.nets, err = parseNetworks(cfg.CIDR)
		fail(err)
	case ModeRegex:
		if s.pattern, err = regexp.Compile(cfg.Regex); err != nil {
			fail(fmt.Errorf("regular expression %q: %w", cfg.Regex, err))
		}
	case ModePort:
		if s.services == nil {
			s.services = lowPorts()
		}
	case ModeMAC:
		s.macs, err = parseMACs(cfg.MAC)
		fail(err)
	case "":
		fail(errors.New("no mode: want bridge, router, client, server, first, cidr, regex, port or mac"))
	default:
		fail(fmt.Errorf("mode %q: want bridge, router, client, server, first, cidr, regex, port or mac", cfg.Mode))
	}
	if cfg.NonIP != "" {
		fail(s.nonIP.UnmarshalText([]byte(cfg.NonIP)))
	}
	s.num, s.den, err = parseRatio(cmp.Or(cfg.Ratio, DefaultRatio))
	fail(err)
	longest, shortest := cmp.Or(cfg.MinMask, DefaultMinMask), cmp.Or(cfg.MaxMask, DefaultMaxMask)
	if longest > 32 || shortest < 1 || longest < shortest {
		fail(fmt.Errorf("prefix lengths from %d (minmask) to %d (maxmask): want 32 or less, down to 1 or more", longest, shortest))
	}
	s.longest, s.shortest = longest, shortest
	switch {
	case cfg.Include != "" && cfg.Exclude != "":
		fail(errors.New("include and exclude: one of them may be given"))
	case cfg.Include != "":
		s.rule, err = parseRule(cfg.Include, false)
		fail(err)
	case cfg.Exclude != "":
		s.rule, err = parseRule(cfg.Exclude, true)
		fail(err)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return s, nil
}

// parseRatio reads a decimal number as a fraction.
func parseRatio(s string) (num, den uint64, err error) {
	whole, part, _ := strings.Cut(s, ".")
	den = 1
	for range part {
		den *= 10
	}
	if len(whole) <= 9 && len(part) <= 9 && len(s) > 0 {
		num, err = strconv.ParseUint(whole+part, 10, 64)
	}
	if err != nil || num == 0 {
		return 0, 0, fmt.Errorf("ratio %q: want a number above 0, as 1.5, with at most 9 digits before and after the point", s)
	}
	return num, den, nil
}

// Learns reports whether all frames have to be given to Learn before the first is given to Classify.
func (s *Splitter) Learns() bool { return s.hosts != nil }

// Learn takes evidence from a frame. In modes where Learns is false it does nothing. It allocates for hosts that it sees for
// the first time only. The Classify after it judges all hosts anew.
func (s *Splitter) Learn(f *parse.Frame) {
	if s.hosts == nil {
		return
	}
	s.settled = false
	h := s.find(f)
	if !s.rule.takes(&s.learned, h) || h == nil {
		return
	}
	client, server := evidenceOf(h)
	if !client && !server {
		return
	}
	e := s.hosts[h.src]
	if client {
		e.client++
	} else {
		e.server++
	}
	s.hosts[h.src] = e
}

// evidenceOf reports what a packet says of its sender.
func evidenceOf(h *header) (client, server bool) {
	const fin, syn, rst, ack = 0x01, 0x02, 0x04, 0x10
	d := h.l4
	switch h.proto {
	case protoTCP:
		if len(d) >= 14 {
			flags := d[13] & (fin | syn | rst | ack) // ECE and CWR offer congestion notification (RFC 3168 section 6.1.1)
			return flags == syn, flags == syn|ack
		}
	case protoUDP:
		if src, dst, ok := h.ports(); ok {
			return dst == 53, dst != 53 && src == 53
		}
	case protoICMP:
		return false, !h.src.v6 && len(d) >= 2 && d[0] == 3 && d[1] == 3
	}
	return false, false
}

func (s *Splitter) find(f *parse.Frame) *header {
	if ipHeader(f, &s.head) {
		return &s.head
	}
	return nil
}

// Classify returns which side sends a frame, and whether it is sent at all. Frames must come in order, from the first on. It
// allocates nothing but, in mode first, for hosts that it sees for the first time.
func (s *Splitter) Classify(f *parse.Frame) (side Side, send bool) {
	if !s.settled {
		s.settle()
	}
	h := s.find(f)
	s.counts.Packets++
	if !s.rule.takes(&s.classified, h) {
		s.counts.Skipped++
		return Server, false
	}
	switch {
	case s.mode == ModeMAC:
		side = s.matching(f.Link == parse.LinkEthernet && len(f.Data) >= 12 && slices.Contains(s.macs, [6]byte(f.Data[6:12])))
	case h == nil:
		s.counts.NonIP++
		side = s.nonIP
	default:
		side = s.ofIP(h)
	}
	if side == Client {
		s.counts.Client++
	} else {
		s.counts.Server++
	}
	return side, true
}

// Counts returns what became of the frames since New or Restart.
func (s *Splitter) Counts() Counts { return s.counts }

// Restart says that the next frame for Classify is the first of the capture again. What was learned stays.
func (s *Splitter) Restart() { s.classified, s.counts = cursor{}, Counts{} }

// matching returns the side of a frame in a mode that matches sources.
func (s *Splitter) matching(matches bool) Side {
	if matches != s.reverse {
		return Client
	}
	return Server
}

func (s *Splitter) ofIP(h *header) Side {
	switch s.mode {
	case ModeCIDR:
		return s.matching(s.nets.hold(&h.src))
	case ModeRegex:
		s.text = h.src.netip().AppendTo(s.text[:0])
		return s.matching(s.pattern.Match(s.text))
	case ModePort:
		_, dst, ok := h.ports()
		if !ok {
			s.counts.NonIP++
			return s.nonIP
		}
		if s.services.has(h.proto, dst) {
			return Client
		}
		return Server
	case ModeFirst:
		side, seen := s.seen[h.src]
		if !seen {
			s.seen[h.src] = Client
		}
		if _, seen := s.seen[h.dst]; !seen {
			s.seen[h.dst] = Server
		}
		return side // Client if it was not there
	}
	if e, found := s.hosts[h.src]; found {
		return s.judge(e)
	}
	s.counts.Guessed++
	switch s.mode {
	case ModeClient:
		return Client
	case ModeRouter:
		return s.byNetwork(h.src)
	}
	return Server
}

// judge says what a host is that sent some evidence.
func (s *Splitter) judge(e evidence) Side {
	serverHigh, serverLow := bits.Mul64(e.server, s.den)
	clientHigh, clientLow := bits.Mul64(e.client, s.num)
	if serverHigh > clientHigh || serverHigh == clientHigh && serverLow >= clientLow {
		return Server
	}
	return Client
}

// settle puts hosts in order, for byNetwork.
func (s *Splitter) settle() {
	s.settled = true
	if s.mode != ModeRouter {
		return
	}
	s.known = slices.SortedFunc(maps.Keys(s.hosts), compare)
	s.servers = make([]int, len(s.known)+1)
	for i, h := range s.known {
		s.servers[i+1] = s.servers[i]
		if s.judge(s.hosts[h]) == Server {
			s.servers[i+1]++
		}
	}
}

// byNetwork looks for servers in the smallest network around h that has known hosts: its neighbours in order are in it.
func (s *Splitter) byNetwork(h host) Side {
	at := sort.Search(len(s.known), func(i int) bool { return compare(s.known[i], h) >= 0 })
	n := absent
	if at > 0 {
		n = common(&s.known[at-1], &h)
	}
	if at < len(s.known) {
		n = max(n, common(&s.known[at], &h))
	}
	longest, shortest := s.longest, s.shortest
	if h.v6 {
		longest, shortest = longestV6, shortestV6
	}
	if n < shortest {
		return Client
	}
	n = min(n, longest)
	from := sort.Search(at, func(i int) bool { return common(&s.known[i], &h) >= n })
	to := at + sort.Search(len(s.known)-at, func(i int) bool { return common(&s.known[at+i], &h) < n })
	if s.servers[to] > s.servers[from] {
		return Server
	}
	return Client
}

func compare(a, b host) int {
	if a.v6 != b.v6 {
		if b.v6 {
			return -1
		}
		return 1
	}
	return bytes.Compare(a.addr[:], b.addr[:])
}

// absent is less than any number of common bits: IPv4 and IPv6 have no network in common.
const absent = -1

// common returns how many bits two addresses have in common from the start.
func common(a, b *host) int {
	if a.v6 != b.v6 {
		return absent
	}
	for i := range a.addr {
		if x := a.addr[i] ^ b.addr[i]; x != 0 {
			return 8*i + bits.LeadingZeros8(x)
		}
	}
	return 8 * len(a.addr)
}
