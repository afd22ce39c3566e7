package rewrite

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Edits says what to change in frames; the zero value changes nothing. Fields are named and written as the flags of
// tcprewrite, where it has them. An [Editor] makes the edits in the order in which they stand here.
type Edits struct {
	EFCS bool   `json:"efcs,omitempty"` // drop the last 4 octets of Ethernet frames, an FCS, unless the packet needs them
	DLT  string `json:"dlt,omitempty"`  // "enet": make Ethernet frames of raw IP, loopback and cooked ones

	VLAN      string `json:"enet_vlan,omitempty"`       // "add" a tag outside of those there, or "del" the outermost
	VLANTag   int    `json:"enet_vlan_tag,omitempty"`   // of the tag to add: identifier, 0 to 4095
	VLANCFI   int    `json:"enet_vlan_cfi,omitempty"`   // drop eligible or CFI bit, 0 or 1
	VLANPri   int    `json:"enet_vlan_pri,omitempty"`   // priority, 0 to 7
	VLANProto string `json:"enet_vlan_proto,omitempty"` // "802.1q", also if "", or "802.1ad"

	DestMAC         string   `json:"enet_dmac,omitempty"`                // "A", or "A,B": A from the client's side, B from the server's
	SourceMAC       string   `json:"enet_smac,omitempty"`                // likewise
	SubstituteMAC   []string `json:"enet_subsmac,omitempty"`             // "OLD,NEW" each, source and destination; the first that fits
	MACSeed         uint64   `json:"enet_mac_seed,omitempty"`            // other unicast addresses, by a permutation; 0: none
	MACKeep         int      `json:"enet_mac_seed_keep_bytes,omitempty"` // first octets that MACSeed keeps
	SkipL2Broadcast bool     `json:"skipl2broadcast,omitempty"`          // group addresses stay

	FixLen   string `json:"fixlen,omitempty"`    // of frames that the capture cut: "pad", "trunc" or "del"
	MTU      int    `json:"mtu,omitempty"`       // octets behind the Ethernet header and its tags: limit of "pad" and MTUTrunc; 0: none
	MTUTrunc bool   `json:"mtu_trunc,omitempty"` // cut packets longer than MTU, or than 1500 without one

	// PNAT maps networks, "CIDR:CIDR,..." in order, the first that fits; IPv6 in brackets. Of two maps the first is of the
	// client's addresses and the second of the server's. An address without a length is one host.
	PNAT          []string `json:"pnat,omitempty"`
	SrcIPMap      string   `json:"srcipmap,omitempty"`      // as PNAT, of source addresses and ARP senders
	DstIPMap      string   `json:"dstipmap,omitempty"`      // as PNAT, of destination addresses and ARP targets
	Endpoints     string   `json:"endpoints,omitempty"`     // "A:B": all clients become A and all servers B; ",[A6]:[B6]" for IPv6
	RandomizeIP   uint64   `json:"randomize_ip,omitempty"`  // other addresses, by the permutation of this seed; 0: none
	SkipBroadcast bool     `json:"skipbroadcast,omitempty"` // IP multicast and broadcast addresses stay

	TTL         string `json:"ttl,omitempty"`          // "N", "+N" or "-N", within 1 to 255: time to live, or hop limit
	TOS         *int   `json:"tos,omitempty"`          // of IPv4, 0 to 255
	TClass      *int   `json:"tclass,omitempty"`       // traffic class of IPv6, 0 to 255
	FlowLabel   *int   `json:"flowlabel,omitempty"`    // of IPv6, 0 to 1048575
	PortMap     string `json:"portmap,omitempty"`      // "80:8080,8000-8999:80,1,2:3", TCP and UDP, source and destination
	TCPSequence uint64 `json:"tcp_sequence,omitempty"` // shifts sequence numbers by an amount made of this seed; 0: none

	FuzzSeed   uint64 `json:"fuzz_seed,omitempty"`   // damages one frame in FuzzFactor; 0: none
	FuzzFactor int    `json:"fuzz_factor,omitempty"` // 0: 8
	FixHdrLen  bool   `json:"fixhdrlen,omitempty"`   // IP and UDP lengths that are 0 or above the frame become what it holds
	FixCsum    bool   `json:"fixcsum,omitempty"`     // compute IPv4, TCP, UDP, ICMP and ICMPv6 checksums anew
	Sizes      string `json:"sizes,omitempty"`       // a size or mixture, as ParseSizes reads one

	SkipSoftErrors bool `json:"skip_soft_errors,omitempty"` // drop frames in which an edit could not be made
}

// Zero reports whether e changes nothing.
func (e *Edits) Zero() bool { return e.String() == "" }

// String returns the flags that say the same, as "--ttl=-1 --fixcsum"; "" for the zero value.
func (e Edits) String() string {
	var b strings.Builder
	put := func(flag, value string) {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString("--" + flag)
		if value != "" {
			b.WriteString("=" + value)
		}
	}
	text := func(flag, value string) {
		if value != "" {
			put(flag, value)
		}
	}
	number := func(flag string, n uint64) {
		if n != 0 {
			put(flag, strconv.FormatUint(n, 10))
		}
	}
	whether := func(flag string, on bool) {
		if on {
			put(flag, "")
		}
	}
	whole := func(flag string, n int) {
		if n != 0 {
			put(flag, strconv.Itoa(n))
		}
	}
	given := func(flag string, n *int) {
		if n != nil {
			put(flag, strconv.Itoa(*n))
		}
	}
	whether("efcs", e.EFCS)
	text("dlt", e.DLT)
	text("enet-vlan", e.VLAN)
	whole("enet-vlan-tag", e.VLANTag)
	whole("enet-vlan-cfi", e.VLANCFI)
	whole("enet-vlan-pri", e.VLANPri)
	text("enet-vlan-proto", e.VLANProto)
	text("enet-dmac", e.DestMAC)
	text("enet-smac", e.SourceMAC)
	for _, pair := range e.SubstituteMAC {
		put("enet-subsmac", pair)
	}
	number("enet-mac-seed", e.MACSeed)
	whole("enet-mac-seed-keep-bytes", e.MACKeep)
	whether("skipl2broadcast", e.SkipL2Broadcast)
	text("fixlen", e.FixLen)
	whole("mtu", e.MTU)
	whether("mtu-trunc", e.MTUTrunc)
	for _, list := range e.PNAT {
		put("pnat", list)
	}
	text("srcipmap", e.SrcIPMap)
	text("dstipmap", e.DstIPMap)
	text("endpoints", e.Endpoints)
	number("randomize-ip", e.RandomizeIP)
	whether("skipbroadcast", e.SkipBroadcast)
	text("ttl", e.TTL)
	given("tos", e.TOS)
	given("tclass", e.TClass)
	given("flowlabel", e.FlowLabel)
	text("portmap", e.PortMap)
	number("tcp-sequence", e.TCPSequence)
	number("fuzz-seed", e.FuzzSeed)
	whole("fuzz-factor", e.FuzzFactor)
	whether("fixhdrlen", e.FixHdrLen)
	whether("fixcsum", e.FixCsum)
	text("sizes", e.Sizes)
	whether("skip-soft-errors", e.SkipSoftErrors)
	return b.String()
}

// Sided returns the flags of the edits that differ by who sends a frame, joined by commas; "" if there are none. Who makes such
// edits must tell the client's frames from the server's: taken for one side's, both directions
// of a flow would get the same addresses.
func (e *Edits) Sided() string {
	var s set
	if len(e.PNAT) > 1 {
		s |= 1 << editPNAT
	}
	if e.Endpoints != "" {
		s |= 1 << editEndpoints
	}
	if strings.Contains(e.DestMAC, ",") {
		s |= 1 << editDestMAC
	}
	if strings.Contains(e.SourceMAC, ",") {
		s |= 1 << editSourceMAC
	}
	return s.String()
}

// edit is one of the edits, as counted.
type edit uint8

const (
	editEFCS edit = iota
	editDLT
	editVLAN
	editDestMAC
	editSourceMAC
	editSubstitute
	editMACSeed
	editFixLen
	editMTU
	editPNAT
	editSrcIPMap
	editDstIPMap
	editEndpoints
	editRandomize
	editTTL
	editTOS
	editTClass
	editFlowLabel
	editPortMap
	editSequence
	editFuzz
	editFixHdrLen
	editFixCsum
	editSizes
	edits
)

var editNames = [edits]string{
	"efcs", "dlt", "enet-vlan", "enet-dmac", "enet-smac", "enet-subsmac", "enet-mac-seed", "fixlen", "mtu-trunc", "pnat",
	"srcipmap", "dstipmap", "endpoints", "randomize-ip", "ttl", "tos", "tclass", "flowlabel", "portmap", "tcp-sequence",
	"fuzz-seed", "fixhdrlen", "fixcsum", "sizes",
}

// set is a set of edits.
type set uint32

func (s set) has(e edit) bool { return s>>e&1 != 0 }

const (
	macEdits     set = 1<<editDestMAC | 1<<editSourceMAC | 1<<editSubstitute | 1<<editMACSeed
	linkEdits    set = 1<<editEFCS | 1<<editDLT | 1<<editVLAN | macEdits
	lengthEdits  set = 1<<editFixLen | 1<<editMTU
	addressEdits set = 1<<editPNAT | 1<<editSrcIPMap | 1<<editDstIPMap | 1<<editEndpoints | 1<<editRandomize
	headerEdits  set = addressEdits | 1<<editTTL | 1<<editTOS | 1<<editTClass | 1<<editFlowLabel | portEdits
	portEdits    set = 1<<editPortMap | 1<<editSequence
	sealEdits    set = 1<<editFixHdrLen | 1<<editFixCsum
)

// Limits of numbers in Edits.
const (
	maxMTU      = 65535
	defaultMTU  = 1500
	defaultFuzz = 8
)

// NewEditor returns an Editor of e, or an error that names all that is wrong with it.
func NewEditor(e Edits) (*Editor, error) {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	ed := &Editor{edits: e, mtu: e.MTU}
	ask := func(kind edit, on bool) {
		if on {
			ed.asks |= 1 << kind
		}
	}
	choice := func(flag, value string, choices ...string) {
		for _, c := range choices {
			if value == c {
				return
			}
		}
		if value != "" {
			fault("--%s %s: want %s", flag, value, strings.Join(choices, " or "))
		}
	}
	within := func(flag string, n, limit int) {
		if n < 0 || n > limit {
			fault("--%s %d: want 0 to %d", flag, n, limit)
		}
	}
	given := func(flag string, n *int, limit int) int {
		if n == nil {
			return absent
		}
		within(flag, *n, limit)
		return *n
	}

	choice("dlt", e.DLT, "enet")
	choice("fixlen", e.FixLen, "pad", "trunc", "del")
	within("mtu", e.MTU, maxMTU)
	if e.MTU != 0 && !e.MTUTrunc && e.FixLen != "pad" {
		fault("--mtu limits --mtu-trunc or --fixlen=pad: give one of them")
	}
	if e.MTUTrunc && ed.mtu == 0 {
		ed.mtu = defaultMTU
	}
	ask(editEFCS, e.EFCS)
	ask(editDLT, e.DLT != "")
	ask(editFixLen, e.FixLen != "")
	ask(editMTU, e.MTUTrunc)

	choice("enet-vlan", e.VLAN, "add", "del")
	choice("enet-vlan-proto", e.VLANProto, "802.1q", "802.1ad")
	within("enet-vlan-tag", e.VLANTag, 4095)
	within("enet-vlan-cfi", e.VLANCFI, 1)
	within("enet-vlan-pri", e.VLANPri, 7)
	if e.VLAN != "add" && (e.VLANTag != 0 || e.VLANCFI != 0 || e.VLANPri != 0 || e.VLANProto != "") {
		fault("--enet-vlan-tag, -cfi, -pri and -proto describe a tag to add: give --enet-vlan=add")
	}
	ask(editVLAN, e.VLAN != "")
	ed.tag = typeVLAN<<16 | uint32(e.VLANPri)<<13 | uint32(e.VLANCFI)<<12 | uint32(e.VLANTag)
	if e.VLANProto == "802.1ad" {
		ed.tag += (typeService - typeVLAN) << 16
	}

	var err error
	if ed.destMAC, err = parseSides(e.DestMAC); err != nil {
		fault("--enet-dmac %s: %w", e.DestMAC, err)
	}
	if ed.sourceMAC, err = parseSides(e.SourceMAC); err != nil {
		fault("--enet-smac %s: %w", e.SourceMAC, err)
	}
	for _, pair := range e.SubstituteMAC {
		macs, err := parseMACs(pair)
		if err == nil && len(macs) != 2 {
			err = errors.New("want OLD,NEW")
		}
		if err != nil {
			fault("--enet-subsmac %s: %w", pair, err)
			continue
		}
		ed.substitutes = append(ed.substitutes, [2]uint64(macs))
	}
	ask(editDestMAC, e.DestMAC != "")
	ask(editSourceMAC, e.SourceMAC != "")
	ask(editSubstitute, len(e.SubstituteMAC) > 0)
	ask(editMACSeed, e.MACSeed != 0)
	if ed.asks.has(editMACSeed) && ed.asks&macEdits != 1<<editMACSeed {
		fault("--enet-mac-seed stands alone: not with --enet-dmac, --enet-smac or --enet-subsmac")
	}
	if e.MACKeep < 0 || e.MACKeep > 6 || e.MACKeep > 0 && e.MACSeed == 0 {
		fault("--enet-mac-seed-keep-bytes %d: want 1 to 6, with --enet-mac-seed", e.MACKeep)
	}
	ed.macCipher = newCipher(e.MACSeed, 'm')

	ed.addresses(e, fault)
	ask(editPNAT, len(e.PNAT) > 0)
	ask(editSrcIPMap, e.SrcIPMap != "")
	ask(editDstIPMap, e.DstIPMap != "")
	ask(editEndpoints, e.Endpoints != "")
	ask(editRandomize, e.RandomizeIP != 0)
	if s := ed.asks & addressEdits; s&(s-1) != 0 && s != 1<<editSrcIPMap|1<<editDstIPMap {
		fault("--pnat, --srcipmap with --dstipmap, --endpoints and --randomize-ip exclude each other")
	}
	ed.ipCipher = newCipher(e.RandomizeIP, 'a')

	if ed.ttl, ed.ttlBy, err = parseTTL(e.TTL); err != nil {
		fault("--ttl %s: %w", e.TTL, err)
	}
	ask(editTTL, e.TTL != "")
	ed.tos, ed.tclass, ed.label = given("tos", e.TOS, 255), given("tclass", e.TClass, 255), given("flowlabel", e.FlowLabel, 1<<20-1)
	ask(editTOS, e.TOS != nil)
	ask(editTClass, e.TClass != nil)
	ask(editFlowLabel, e.FlowLabel != nil)
	if e.PortMap != "" {
		if ed.ports, err = parsePorts(e.PortMap); err != nil {
			fault("--portmap %s: %w", e.PortMap, err)
		}
	}
	ask(editPortMap, e.PortMap != "")
	ed.shift = uint32(mix(mix(e.TCPSequence)+'s') | 1)
	ask(editSequence, e.TCPSequence != 0)

	if e.FuzzFactor < 0 || e.FuzzFactor > 0 && e.FuzzSeed == 0 {
		fault("--fuzz-factor %d: want 1 or more, with --fuzz-seed", e.FuzzFactor)
	}
	ed.factor = uint64(e.FuzzFactor)
	if e.FuzzFactor == 0 {
		ed.factor = defaultFuzz
	}
	ask(editFuzz, e.FuzzSeed != 0)
	ask(editFixHdrLen, e.FixHdrLen)
	ask(editFixCsum, e.FixCsum)
	if e.Sizes != "" {
		sizes, err := ParseSizes(e.Sizes)
		switch {
		case err != nil:
			fault("--sizes %s: %w", e.Sizes, err)
		case len(sizes) != 1:
			fault("--sizes %s: want one size, or one mixture such as imix:1x64,1x512", e.Sizes)
		default:
			ed.resizer, err = NewResizer(sizes[0])
			faults = append(faults, err)
		}
	}
	ask(editSizes, e.Sizes != "")
	if e.SkipL2Broadcast && ed.asks&macEdits == 0 {
		fault("--skipl2broadcast limits edits of MACs: give one of them")
	}
	if e.SkipBroadcast && ed.asks&addressEdits == 0 {
		fault("--skipbroadcast limits edits of IP addresses: give one of them")
	}
	if e.SkipSoftErrors && ed.asks == 0 {
		fault("--skip-soft-errors leaves out frames in which an edit cannot be made: give an edit")
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return ed, nil
}

// addresses reads the address maps: of source and destination, by who sends.
func (ed *Editor) addresses(e Edits, fault func(string, ...any)) {
	read := func(flag, list string) *mapping {
		m, err := parseMapping(list)
		if err != nil {
			fault("--%s %s: %w", flag, list, err)
		}
		return m
	}
	var client, server *mapping
	ed.srcEdit, ed.dstEdit = editPNAT, editPNAT
	switch {
	case e.RandomizeIP != 0:
		ed.srcEdit, ed.dstEdit = editRandomize, editRandomize
	case e.Endpoints != "":
		ed.srcEdit, ed.dstEdit = editEndpoints, editEndpoints
		var err error
		if client, server, err = parseEndpoints(e.Endpoints); err != nil {
			fault("--endpoints %s: %w", e.Endpoints, err)
		}
	case len(e.PNAT) > 2:
		fault("--pnat: want one map, or two, of clients and of servers")
	case len(e.PNAT) > 0:
		client = read("pnat", e.PNAT[0])
		server = client
		if len(e.PNAT) == 2 {
			server = read("pnat", e.PNAT[1])
		}
	default:
		ed.srcEdit, ed.dstEdit = editSrcIPMap, editDstIPMap
		if e.SrcIPMap != "" {
			client = read("srcipmap", e.SrcIPMap)
		}
		if e.DstIPMap != "" {
			server = read("dstipmap", e.DstIPMap)
		}
		ed.src, ed.dst = [2]*mapping{client, client}, [2]*mapping{server, server}
		return
	}
	ed.src, ed.dst = [2]*mapping{client, server}, [2]*mapping{server, client}
}

// mapping maps networks; nil maps nothing.
type mapping struct {
	v4 []rule4
	v6 []rule6
}

// rule4 has what fits net under mask become to, but for the bits of keep.
type rule4 struct{ net, mask, to, keep uint32 }

type rule6 struct{ net, mask, to, keep [2]uint64 }

func (m *mapping) ipv4(v uint32) uint32 {
	if m != nil {
		for i := range m.v4 {
			if r := &m.v4[i]; v&r.mask == r.net {
				return r.to | v&r.keep
			}
		}
	}
	return v
}

func (m *mapping) ipv6(hi, lo uint64) (uint64, uint64) {
	if m != nil {
		for i := range m.v6 {
			if r := &m.v6[i]; hi&r.mask[0] == r.net[0] && lo&r.mask[1] == r.net[1] {
				return r.to[0] | hi&r.keep[0], r.to[1] | lo&r.keep[1]
			}
		}
	}
	return hi, lo
}

// add takes a rule between two networks of one family.
func (m *mapping) add(from, to netip.Prefix) {
	if from.Addr().Is4() {
		mask, fixed := ^uint32(0)<<(32-from.Bits()), ^uint32(0)<<(32-to.Bits())
		a, b := from.Addr().As4(), to.Addr().As4()
		m.v4 = append(m.v4, rule4{be.Uint32(a[:]) & mask, mask, be.Uint32(b[:]) & fixed, ^fixed})
		return
	}
	mask, fixed := mask6(from.Bits()), mask6(to.Bits())
	a, b := from.Addr().As16(), to.Addr().As16()
	m.v6 = append(m.v6, rule6{
		net: [2]uint64{be.Uint64(a[:]) & mask[0], be.Uint64(a[8:]) & mask[1]}, mask: mask,
		to: [2]uint64{be.Uint64(b[:]) & fixed[0], be.Uint64(b[8:]) & fixed[1]}, keep: [2]uint64{^fixed[0], ^fixed[1]},
	})
}

func mask6(bits int) [2]uint64 {
	return [2]uint64{^uint64(0) << (64 - min(bits, 64)), ^uint64(0) << (128 - max(bits, 64))}
}

var errMapping = errors.New("want pairs of networks such as 10.0.0.0/8:172.16.0.0/12 or [2001:db8::/32]:[fd00::/32]")

// parseMapping reads CIDR:CIDR,... with IPv6 in brackets.
func parseMapping(list string) (*mapping, error) {
	m := new(mapping)
	var faults []error
	for _, item := range strings.Split(list, ",") {
		from, to, err := splitPair(item)
		if err != nil {
			faults = append(faults, fmt.Errorf("%q: %w", item, err))
			continue
		}
		m.add(from, to)
	}
	return m, errors.Join(faults...)
}

// parseEndpoints reads A:B, also one pair of each family.
func parseEndpoints(list string) (client, server *mapping, err error) {
	client, server = new(mapping), new(mapping)
	for _, item := range strings.Split(list, ",") {
		a, b, err := splitPair(item)
		switch {
		case err != nil:
			return nil, nil, fmt.Errorf("%q: %w", item, err)
		case !a.IsSingleIP() || !b.IsSingleIP():
			return nil, nil, fmt.Errorf("%q: want two addresses, as 10.0.0.1:10.0.0.2 or [fd00::1]:[fd00::2]", item)
		case a.Addr().Is4() && len(client.v4) > 0 || a.Addr().Is6() && len(client.v6) > 0:
			return nil, nil, fmt.Errorf("%q: a second pair of the family", item)
		}
		all := netip.PrefixFrom(a.Addr(), 0)
		client.add(all, a)
		server.add(all, b)
	}
	return client, server, nil
}

// splitPair reads two networks of one family, joined by a colon.
func splitPair(item string) (from, to netip.Prefix, err error) {
	item = strings.TrimSpace(item)
	left, right, ok := strings.Cut(item, ":")
	if inner, bracket := strings.CutPrefix(item, "["); bracket {
		inner, ok = strings.CutSuffix(inner, "]")
		left, right, _ = strings.Cut(inner, "]:[")
	}
	if !ok {
		return from, to, errMapping
	}
	if from, err = parsePrefix(left); err == nil {
		to, err = parsePrefix(right)
	}
	if err == nil && from.Addr().Is4() != to.Addr().Is4() {
		err = errors.New("the networks are of different families")
	}
	return from, to, err
}

func parsePrefix(s string) (netip.Prefix, error) {
	if strings.Contains(s, "/") {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return p, fmt.Errorf("%q: want an address with a prefix length, as 10.0.0.0/8 or fd00::/16", s)
		}
		return p, nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q: want an address, as 10.0.0.1 or fd00::1", s)
	}
	if a.Zone() != "" {
		return netip.Prefix{}, fmt.Errorf("%s: a zone is not part of a packet", s)
	}
	return netip.PrefixFrom(a, a.BitLen()), nil
}

// parseSides reads "A" or "A,B"; A alone is of both sides.
func parseSides(s string) (sides [2]uint64, err error) {
	if s == "" {
		return sides, nil
	}
	macs, err := parseMACs(s)
	if err != nil {
		return sides, err
	}
	if len(macs) > 2 {
		return sides, errors.New("want one address, or two, of frames from the client and from the server")
	}
	return [2]uint64{macs[0], macs[len(macs)-1]}, nil
}

func parseMACs(list string) ([]uint64, error) {
	var macs []uint64
	for _, item := range strings.Split(list, ",") {
		parts := strings.FieldsFunc(item, func(r rune) bool { return r == ':' || r == '-' })
		var mac uint64
		for _, p := range parts {
			n, err := strconv.ParseUint(p, 16, 8)
			if err != nil || len(parts) != 6 {
				parts = nil
				break
			}
			mac = mac<<8 | n
		}
		if len(parts) != 6 {
			return nil, fmt.Errorf("%q is not a MAC address such as 02:00:00:00:00:01", item)
		}
		macs = append(macs, mac)
	}
	return macs, nil
}

// parseTTL reads N, +N or -N.
func parseTTL(s string) (n int, by bool, err error) {
	if s == "" {
		return 0, false, nil
	}
	by = s[0] == '+' || s[0] == '-'
	if n, err = strconv.Atoi(s); err != nil || n < -255 || n > 255 || n == 0 {
		return 0, false, errors.New("want 1 to 255, or a change such as +1 or -1")
	}
	return n, by, nil
}

// parsePorts reads 80:8080, lists as 1,2:3 and ranges as 1-9:10, joined by commas, into a table; the first that names a
// port holds.
func parsePorts(list string) (*[1 << 16]uint16, error) {
	var table [1 << 16]uint16
	var mapped [1 << 16]bool
	for i := range table {
		table[i] = uint16(i)
	}
	type span struct{ from, to uint64 }
	var waiting []span
	var faults []error
	for _, item := range strings.Split(list, ",") {
		ports, target, ends := strings.Cut(strings.TrimSpace(item), ":")
		from, to, isRange := strings.Cut(ports, "-")
		if !isRange {
			to = from
		}
		s := span{}
		var errs [3]error
		s.from, errs[0] = strconv.ParseUint(from, 10, 16)
		s.to, errs[1] = strconv.ParseUint(to, 10, 16)
		var n uint64
		if ends {
			n, errs[2] = strconv.ParseUint(target, 10, 16)
		}
		if errors.Join(errs[:]...) != nil || s.from > s.to {
			faults = append(faults, fmt.Errorf("%q: want ports up to 65535 such as 80:8080 or 8000-8999:80", item))
		}
		waiting = append(waiting, s)
		if !ends {
			continue
		}
		for _, w := range waiting {
			for p := w.from; p <= w.to; p++ {
				if !mapped[p] {
					mapped[p], table[p] = true, uint16(n)
				}
			}
		}
		waiting = waiting[:0]
	}
	if len(waiting) > 0 {
		faults = append(faults, errors.New("the last ports have no target: end with :PORT"))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return &table, nil
}
