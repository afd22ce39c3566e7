package parse_test

import (
	"bufio"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pcaplab/datasets/pcapio"
	"pcaplab/parse"
)

func corpus(t testing.TB) string {
	dir := os.Getenv("PCAPLAB_CORPUS")
	if dir == "" {
		t.Skip("PCAPLAB_CORPUS is not set: no corpus to compare with")
	}
	return dir
}

// readOracle returns the rows of oracle.tsv by file: column to value.
func readOracle(t testing.TB, dir string) map[string]map[string]string {
	f, err := os.Open(filepath.Join(dir, "oracle.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<20)
	var columns []string
	rows := make(map[string]map[string]string)
	for s.Scan() {
		fields := strings.Split(s.Text(), "\t")
		if columns == nil {
			columns = fields
			continue
		}
		row := make(map[string]string)
		for i, name := range columns {
			row[name] = fields[i]
		}
		rows[row["file"]] = row
	}
	if s.Err() != nil || len(rows) == 0 {
		t.Fatalf("oracle.tsv: %d rows: %v", len(rows), s.Err())
	}
	return rows
}

// portCount is a stage that counts packets by the ports that the oracle counts.
type portCount map[uint16]uint64

func (c portCount) Process(_ *parse.Frame, p *parse.Packet) error {
	if p.Layers&(parse.LayerTCP|parse.LayerUDP|parse.LayerSCTP) != 0 {
		c.add(p.Tuple.SrcPort)
		if p.Tuple.DstPort != p.Tuple.SrcPort {
			c.add(p.Tuple.DstPort)
		}
	}
	return nil
}

func (c portCount) add(port uint16) {
	if _, ok := c[port]; ok {
		c[port]++
	}
}

// longWay is a stage that holds the straight path of Direct to the long one.
type longWay struct{ t *testing.T }

func (w longWay) Process(f *parse.Frame, p *parse.Packet) error {
	var long parse.Packet
	if err := parse.Decode(f, &long); err != nil {
		w.t.Errorf("good frame, the long way says: %v", err)
	}
	if !samePacket(p, &long) {
		w.t.Errorf("packet %+v, the long way %+v", *p, long)
	}
	return nil
}

// countCorpusFile runs Direct over the good frames of a capture and returns the counts under the oracle's column names.
func countCorpusFile(t *testing.T, path string) map[string]uint64 {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ports := make(portCount)
	for _, p := range []uint16{22, 23, 53, 67, 80, 123, 443, 502, 1883, 1900, 5353, 5683} {
		ports[p] = 0
	}
	pl := parse.NewPipeline(parse.DirectEngine(), ports, longWay{t})
	if r, err := pcapio.NewReader(f, filepath.Base(path)); err == nil {
		defer r.Close()
		var frame parse.Frame
		for r.Next(&frame) == nil { // a damaged capture ends early, with an error that pcapio's tests check
			if err := pl.WriteFrame(&frame); err != nil {
				t.Fatal(err)
			}
		}
	}
	c := pl.Counters()
	counts := map[string]uint64{
		"outer_arp": c.ARP, "outer_ip": c.IPv4, "outer_ipv6": c.IPv6, "outer_tcp": c.TCP, "outer_udp": c.UDP,
		"outer_icmp": c.ICMP, "outer_icmpv6": c.ICMPv6, "outer_igmp": c.IGMP, "outer_gre": c.GRE, "outer_esp": c.ESP,
		"outer_sctp": c.SCTP, "outer_other_l4": c.OtherL4, "outer_frag_rest": c.FragmentRest, "outer_no_l3": c.NoL3,
		"any_eth": c.Ethernet, "any_vlan": c.VLAN, "any_mpls": c.MPLS, "any_pppoes": c.PPPoE, "any_sll": c.SLL,
		"any_llc": c.LLC, "frag_any": c.Fragments,
		"packets": c.Frames, "cap_bytes": c.Octets, "wire_bytes": c.WireOctets,
		"malformed": c.Malformed, "truncated": c.Truncated, "unsupported": c.Unsupported,
	}
	for port, n := range ports {
		counts[fmt.Sprintf("oport_%d", port)] = n
	}
	return counts
}

// TestCorpus compares Direct with the oracle, which was made by tshark and checked against dpkt.
func TestCorpus(t *testing.T) {
	dir := corpus(t)
	oracle := readOracle(t, dir)
	for file := range corpusDifferences {
		if oracle[file] == nil {
			t.Errorf("the table of differences names %s, which the oracle does not have", file)
		}
	}
	for _, file := range slices.Sorted(maps.Keys(oracle)) {
		t.Run(file, func(t *testing.T) {
			want := make(map[string]uint64)
			for column, value := range oracle[file] {
				if n, err := strconv.ParseUint(value, 10, 64); err == nil {
					want[column] = n
				}
			}
			want["malformed"] = 0 // tshark's column is about application protocols
			for column, n := range corpusDifferences[file].direct {
				if want[column] == n {
					t.Errorf("stale difference: %s is %d for both", column, n)
				}
				want[column] = n
			}
			got := countCorpusFile(t, filepath.Join(dir, file))
			for _, column := range slices.Sorted(maps.Keys(got)) {
				if got[column] != want[column] {
					t.Errorf("%s: %d, want %d (oracle %s)", column, got[column], want[column], oracle[file][column])
				}
			}
		})
	}
}

// difference says where Direct and the oracle differ on purpose: what Direct counts, by column, and why.
type difference struct {
	cause  string
	direct map[string]uint64
}

// corpusDifferences is all there is. The oracle has no columns malformed (in our sense), truncated and unsupported: it
// stands for 0 there, so that each such frame of the corpus is accounted for here.
var corpusDifferences = map[string]difference{
	"crafted__two_files_concatenated.pcap": {"the second file header is a record without octets: malformed, not Ethernet",
		map[string]uint64{"any_eth": 4, "malformed": 1}},
	"crafted__zeros_in_middle.pcap": {"three records without octets, wire length 0: malformed, not Ethernet",
		map[string]uint64{"any_eth": 20, "malformed": 3}},
	"crafted__zero_caplen.pcap": {"0 octets captured of 60: truncated, not Ethernet",
		map[string]uint64{"any_eth": 2, "truncated": 1}},
	"ndpi__ip_fragmented_garbage.pcap": {"first fragments end inside the TCP header (16 octets); dpkt has no TCP either",
		map[string]uint64{"malformed": 4, "outer_tcp": 0}},
	"pcpp__MplsPackets.pcap": {"Ethernet in an MPLS pseudowire is payload; dpkt agrees",
		map[string]uint64{"any_vlan": 1, "outer_ip": 1, "outer_icmp": 0, "outer_no_l3": 1}},
	"pcpp__null_loopback.pcap": {"a null header of 0f 00 08 00 is no address family; dpkt agrees",
		map[string]uint64{"outer_ip": 1, "outer_udp": 1, "outer_no_l3": 1, "oport_53": 0}},
	"tcpdump__ipv6_39_byte_header.pcap": {"cut inside the IPv6 header (25 of 40 octets): truncated, not IPv6; dpkt agrees",
		map[string]uint64{"outer_ipv6": 0, "outer_other_l4": 0, "outer_no_l3": 1, "truncated": 1}},
	"zeek__ip4-trunc.pcap": {"cut inside the IPv4 header (6 of 20 octets): truncated, not IPv4; dpkt agrees",
		map[string]uint64{"outer_ip": 0, "outer_other_l4": 0, "outer_no_l3": 1, "truncated": 1}},
	"tcpreplay__test.pcap": {"10 frames of Ethernet in an MPLS pseudowire are payload, as for dpkt; " + twoIPHeaders,
		map[string]uint64{"any_vlan": 0, "outer_ip": 156, "outer_icmp": 18, "outer_no_l3": 12, "frag_any": 0}},

	"pcpp__Vxlan1.pcap":                         {twoIPHeaders, map[string]uint64{"frag_any": 0}},
	"sentinel__D-LinkCam_Setup-A-1-STA.pcap":    {twoIPHeaders, map[string]uint64{"frag_any": 0}},
	"sentinel__EdnetGateway_Setup-A-1-STA.pcap": {twoIPHeaders, map[string]uint64{"frag_any": 0}},
	"sentinel__HueBridge_Setup-A-1-STA.pcap":    {twoIPHeaders, map[string]uint64{"frag_any": 0}},
	"stopddos__amp.TCP.reflection.SYNACK.pcap":  {twoIPHeaders, map[string]uint64{"frag_any": 2}},
	"stopddos__amp.dns.RRSIG.fragmented.pcap":   {twoIPHeaders, map[string]uint64{"frag_any": 1209}},
	"tcpdump__various_gre.pcap":                 {twoIPHeaders, map[string]uint64{"frag_any": 0}},

	"suricata__hdlc-http_1tx.pcap": {"link type 104 (Cisco HDLC) is not supported",
		map[string]uint64{"unsupported": 17, "outer_ip": 0, "outer_tcp": 0, "oport_80": 0}},
	"tcpdump__802_15_4-data.pcap": {"link type 195 (IEEE 802.15.4) is not supported",
		map[string]uint64{"unsupported": 1, "outer_ipv6": 0, "outer_other_l4": 0}},
	"tcpdump__LINKTYPE_PKTAP.pcap": {"link type 258 (PKTAP) is not supported",
		map[string]uint64{"unsupported": 1, "any_eth": 0, "outer_ip": 0, "outer_udp": 0, "oport_53": 0}},
	"tcpdump__ppp_ip_udp_dns.pcap": {"link type 50 (PPP) is not supported",
		map[string]uint64{"unsupported": 1, "outer_no_l3": 0}},
	"zeek__llc.pcap": {"link type 10 (FDDI) is not supported",
		map[string]uint64{"unsupported": 1333, "any_llc": 0, "outer_ip": 0, "outer_tcp": 0, "oport_80": 0}},
	"zeek__radiotap.pcap": {"link type 127 (radiotap) is not supported",
		map[string]uint64{"unsupported": 3, "any_llc": 0, "outer_ip": 0, "outer_ipv6": 0, "outer_udp": 0, "oport_53": 0,
			"oport_5353": 0}},
	"pcpp__microsecs_big_endian.pcap": {"link type 253 (netlink) is not supported",
		map[string]uint64{"unsupported": 13, "outer_no_l3": 0}},
	"hadriel__le_test017.pcapng": {"tshark lists four custom blocks as packets; the capture holds none",
		map[string]uint64{"outer_no_l3": 0}},
	"pcpp__solaris.snoop": {"snoop is not read", map[string]uint64{
		"any_eth": 0, "any_llc": 0, "outer_arp": 0, "outer_ip": 0, "outer_tcp": 0, "outer_udp": 0,
		"outer_other_l4": 0, "outer_no_l3": 0, "oport_22": 0, "oport_67": 0}},
}

const twoIPHeaders = "the oracle's frag_any counts every packet with a second IP header (tunnelled or quoted by ICMP)"
