package datasets

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"pcaplab/datasets/pcapio"
	"pcaplab/parse"
)

// lossesShown is how many losses WriteText lists.
const lossesShown = 20

// WriteText writes the info for people: the facts of the capture, then tables of sizes, protocols and ports.
func (in *Info) WriteText(w io.Writer) error {
	out := bufio.NewWriter(w)
	t := &text{out}
	t.line("File", "%s", in.File)
	t.capture(in)
	if in.Error != nil {
		t.line("Error", "%s", *in.Error)
	}
	t.losses(in)
	if in.Packets > 0 {
		t.times(in)
		t.sizes(in)
		t.protocols(in)
		t.ports(in)
	}
	return out.Flush()
}

type text struct{ w *bufio.Writer }

func (t *text) line(label, format string, args ...any) {
	fmt.Fprintf(t.w, "%-18s %s\n", label, fmt.Sprintf(format, args...))
}

func (t *text) head(title, counts string) {
	fmt.Fprintf(t.w, "\n%-22s %14s %8s\n", title, counts, "share")
}

func (t *text) row(label string, n, of uint64) {
	fmt.Fprintf(t.w, "  %-20s %14s %7.2f%%\n", label, FormatCount(n), 100*float64(n)/float64(max(of, 1)))
}

func (t *text) capture(in *Info) {
	c := &in.Capture
	if c.Container == "" {
		return
	}
	stored := ""
	if c.Compression != "none" {
		stored = ", compressed with " + c.Compression
	}
	t.line("Container", "%s %s, %s%s", c.Container, c.Version, c.ByteOrder, stored)
	t.line("Size as stored", "%s B", FormatCount(uint64(in.StoredOctets)))
	if in.SHA256 != "" {
		t.line("SHA-256", "%s", in.SHA256)
	}
	if c.Container == pcapio.PcapNG {
		t.line("Sections", "%d", c.Sections)
	}
	for n, i := range c.Interfaces {
		if n == 16 {
			t.line("", "and %d interfaces more", len(c.Interfaces)-n)
			break
		}
		label, name := "Interface", ""
		if len(c.Interfaces) > 1 {
			label = fmt.Sprintf("Interface %d.%d", i.Section, interfaceNumber(c.Interfaces, n))
		}
		if i.Name != "" {
			name = strconv.Quote(i.Name) + ", "
		}
		snaplen := "snaplen not stated"
		if i.Snaplen > 0 {
			snaplen = "snaplen " + FormatCount(uint64(i.Snaplen))
		}
		offset := ""
		if i.TimeOffset != 0 {
			offset = fmt.Sprintf(" with offset %d s", i.TimeOffset)
		}
		t.line(label, "%slink type %s, %s, times in %v%s, %s packets",
			name, linkName(i.Link), snaplen, i.Resolution, offset, FormatCount(i.Packets))
	}
	t.line("Packets", "%s", FormatCount(in.Packets))
	t.line("Octets captured", "%s B", FormatCount(in.Octets))
	t.line("Octets on the wire", "%s B", FormatCount(in.WireOctets))
	t.faults(in)
}

// interfaceNumber returns the number of interface n within its section.
func interfaceNumber(all []pcapio.Interface, n int) int {
	first := n
	for first > 0 && all[first-1].Section == all[n].Section {
		first--
	}
	return n - first
}

func (t *text) faults(in *Info) {
	f := in.Capture.Faults
	for _, c := range []struct {
		label string
		n     uint64
		what  string
	}{
		{"Cut packets", in.Cut, "captured length below the wire length"},
		{"Without octets", in.Zero, "captured length 0"},
		{"Empty records", f.Empty, "captured length and wire length both 0: perhaps zeros in the file"},
		{"Lengths lie", f.OverWire, "captured length above the wire length"},
		{"Above snaplen", f.OverSnaplen, "captured length above the snaplen"},
		{"Times carried", f.TimeCarried, "sub-second part of a second or more"},
		{"Times clamped", f.TimeClamped, "outside 64-bit nanoseconds"},
		{"Without time", f.NoTime, "simple packet blocks"},
		{"Behind the end", f.Behind, "octets that are not gzip: cut them off"},
	} {
		if c.n > 0 {
			t.line(c.label, "%s (%s)", FormatCount(c.n), c.what)
		}
	}
}

func (t *text) losses(in *Info) {
	c := &in.Capture
	if c.Losses == 0 {
		return
	}
	t.line("Salvaged", "%s, %s B skipped", plural(c.Losses, "loss", "losses"), FormatCount(uint64(c.LostOctets)))
	for i, l := range in.Losses {
		if i == lossesShown {
			t.line("", "and %d losses more", c.Losses-lossesShown)
			break
		}
		to := fmt.Sprintf("offsets %d to %d", l.From, l.To)
		if l.To < 0 {
			to = fmt.Sprintf("from offset %d on", l.From)
		}
		t.line("", "after frame %d: %s: %s", l.After, to, l.Cause)
	}
}

func (t *text) times(in *Info) {
	ti := in.Times
	if ti == nil {
		t.line("Times", "none")
		return
	}
	stamp := func(ns int64) string {
		return time.Unix(ns/1e9, ns%1e9).UTC().Format("2006-01-02 15:04:05.000000000 UTC")
	}
	t.line("First packet", "%s", stamp(ti.First))
	t.line("Last packet", "%s", stamp(ti.Last))
	if ti.Min != ti.First {
		t.line("Earliest packet", "%s", stamp(ti.Min))
	}
	if ti.Max != ti.Last {
		t.line("Latest packet", "%s", stamp(ti.Max))
	}
	t.line("Duration", "%.6f s", ti.Duration())
	if ti.Duration() > 0 {
		t.line("Mean rate", "%spps, %s", scaled(in.PacketRate()), scaledBits(in.BitRate()))
	}
	t.line("Busiest second", "%s pps, %s, at %s", FormatCount(ti.Busiest.Packets),
		scaledBits(8*float64(ti.Busiest.WireOctets)),
		time.Unix(ti.Busiest.Unix, 0).UTC().Format("2006-01-02 15:04:05"))
	if ti.BackSteps == 0 {
		t.line("Time order", "never backwards")
	} else {
		t.line("Time order", "%s backwards, the largest %.9f s",
			plural(ti.BackSteps, "step", "steps"), float64(ti.LargestBackStep)/1e9)
	}
}

func (t *text) sizes(in *Info) {
	s := in.Sizes
	if s == nil {
		return
	}
	t.line("Wire length", "min %d B, mean %.1f B, max %d B; captured max %d B",
		s.Min, float64(in.WireOctets)/float64(in.Packets), s.Max, s.MaxCap)
	t.head("Wire length (B)", "packets")
	for _, b := range s.Buckets {
		label := fmt.Sprintf("%d - %d", b.From, b.To)
		if b.To < 0 {
			label = fmt.Sprintf("%d and more", b.From)
		}
		t.row(label, b.Packets, in.Packets)
	}
}

func (t *text) protocols(in *Info) {
	p := &in.Protocols
	t.head("Protocol (outermost)", "packets")
	for _, c := range []struct {
		label string
		n     uint64
	}{
		{"Ethernet", p.Ethernet}, {"null/loop", p.Null}, {"Linux cooked", p.SLL}, {"VLAN", p.VLAN}, {"MPLS", p.MPLS},
		{"PPPoE", p.PPPoE}, {"LLC", p.LLC}, {"ARP", p.ARP}, {"IPv4", p.IPv4}, {"IPv6", p.IPv6},
		{"IPv6 extensions", p.IPv6Extension}, {"IP fragments", p.Fragments}, {"TCP", p.TCP}, {"UDP", p.UDP},
		{"ICMP", p.ICMP}, {"ICMPv6", p.ICMPv6}, {"IGMP", p.IGMP}, {"GRE", p.GRE}, {"ESP", p.ESP}, {"SCTP", p.SCTP},
		{"other over IP", p.OtherL4}, {"neither IP nor ARP", p.NoL3}, {"cut in a header", p.Truncated},
		{"malformed", p.Malformed}, {"unsupported link", p.Unsupported},
	} {
		if c.n > 0 {
			t.row(c.label, c.n, in.Packets)
		}
	}
}

func (t *text) ports(in *Info) {
	if len(in.Ports) == 0 {
		return
	}
	t.head("TCP or UDP port", "packets")
	for _, p := range in.Ports {
		t.row(fmt.Sprintf("%d %s", p.Port, p.Name), p.Packets, in.Packets)
	}
}

// linkName returns the number of a link type and its usual name.
func linkName(l parse.LinkType) string {
	names := map[parse.LinkType]string{
		parse.LinkNull: "BSD loopback", parse.LinkEthernet: "Ethernet", 6: "Token Ring", 9: "PPP", 10: "FDDI",
		50: "PPP HDLC", 51: "PPPoE", parse.LinkRaw: "raw IP", 104: "Cisco HDLC", 105: "IEEE 802.11",
		parse.LinkLoop: "OpenBSD loopback", parse.LinkSLL: "Linux cooked v1", 127: "radiotap 802.11", 187: "Bluetooth HCI",
		195: "IEEE 802.15.4", 201: "Bluetooth HCI with direction", parse.LinkIPv4: "raw IPv4", parse.LinkIPv6: "raw IPv6",
		230: "IEEE 802.15.4 without FCS", 253: "netlink", 258: "PKTAP", parse.LinkSLL2: "Linux cooked v2",
	}
	if name, ok := names[l]; ok {
		return fmt.Sprintf("%d (%s)", l, name)
	}
	return strconv.Itoa(int(l))
}

// FormatCount writes a count with commas between thousands.
func FormatCount(n uint64) string {
	digits := strconv.FormatUint(n, 10)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

func plural(n uint64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return FormatCount(n) + " " + many
}

// scaled writes a rate with four digits and an SI prefix.
func scaled(v float64) string {
	for _, unit := range []struct {
		size   float64
		prefix string
	}{{1e9, " G"}, {1e6, " M"}, {1e3, " k"}} {
		if v >= unit.size {
			return fmt.Sprintf("%.4g%s", v/unit.size, unit.prefix)
		}
	}
	return fmt.Sprintf("%.4g ", v)
}

func scaledBits(v float64) string { return scaled(v) + "bit/s" }
