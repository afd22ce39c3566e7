package synth

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"pcaplab/datasets/pcapio"
	"pcaplab/parse"
	"pcaplab/parse/feature"
)

// sessionGap is the time between frames of a class's attack at the rate of the class.
func sessionGap(class string) int64 {
	for i := range cicTable {
		if c := &cicTable[i]; c.folder == class {
			return second * 10_000 / c.rate / c.share
		}
	}
	panic(class)
}

// numbers checks sequence and acknowledgement numbers as a receiver would.
type numbers map[string]*uint32

func newNumbers() numbers { return make(numbers) }

func (n numbers) check(p gopacket.Packet) error {
	tcp, ok := p.TransportLayer().(*layers.TCP)
	if !ok {
		return nil
	}
	flow := p.NetworkLayer().NetworkFlow()
	me := fmt.Sprint(flow, tcp.SrcPort, tcp.DstPort)
	you := fmt.Sprint(flow.Reverse(), tcp.DstPort, tcp.SrcPort)
	if tcp.SYN {
		next := tcp.Seq
		n[me] = &next
		if !tcp.ACK {
			delete(n, you)
		}
	}
	a, b := n[me], n[you]
	switch {
	case a == nil && tcp.RST: // a closed port's
		if b == nil || tcp.Ack != *b || tcp.Seq != 0 {
			return fmt.Errorf("%s resets what was not asked: %+v", me, tcp)
		}
		return nil
	case a == nil:
		return fmt.Errorf("%s speaks without a handshake", me)
	case tcp.Seq != *a:
		return fmt.Errorf("%s sends %d, its next octet is %d", me, tcp.Seq, *a)
	case tcp.ACK && (b == nil || tcp.Ack != *b):
		return fmt.Errorf("%s acknowledges %d", me, tcp.Ack)
	}
	*a += uint32(len(tcp.Payload))
	if tcp.SYN || tcp.FIN {
		*a++
	}
	return nil
}

// probing are the classes that send segments outside connections.
var probing = []string{"Recon-HostDiscovery", "Recon-OSScan"}

// Every frame of an attack is sent by an attacker or to one, in time order and whole microseconds, is right under gopacket, and is of
// a connection whose numbers fit. The mean frame and the mean gap are those promised; slow connections aside, which all open first.
func TestSessions(t *testing.T) {
	n := 30_000
	if testing.Short() {
		n = 5_000
	}
	for i := range sessionClasses {
		c := &sessionClasses[i]
		gap := sessionGap(c.name)
		e := newSessions(c.name, 1, gap)
		var f parse.Frame
		var last, start int64
		octets, checked := int64(0), 0
		tcp := newNumbers()
		lead := 0
		if c.slow {
			lead = 8_000
		}
		for i := range lead + n {
			if !e.next(&f) || !isAttacker(f.Data) {
				t.Fatalf("%s frame %d is of nobody who attacks", c.name, i)
			}
			if f.UnixNano < last || f.UnixNano%1000 != 0 || f.WireLen != len(f.Data) || f.Link != parse.LinkEthernet {
				t.Fatalf("%s frame %d: %+v after %d", c.name, i, f, last)
			}
			last = f.UnixNano
			octets += int64(len(f.Data))
			if i == lead-1 {
				octets, start = 0, last
			}
			if i >= 5_000 {
				continue
			}
			p := gopacket.NewPacket(f.Data, layers.LayerTypeEthernet, gopacket.NoCopy)
			if e := p.ErrorLayer(); e != nil {
				t.Fatalf("%s frame %d: %v", c.name, i, e.Error())
			}
			if err := verify(p); err != nil {
				t.Fatalf("%s frame %d: %v", c.name, i, err)
			}
			if slices.Contains(probing, c.name) || passedOn(f.Data) {
				continue
			}
			checked++
			if err := tcp.check(p); err != nil {
				t.Fatalf("%s frame %d: %v", c.name, i, err)
			}
		}
		if checked < 2_000 && !slices.Contains(probing, c.name) {
			t.Errorf("%s: only %d frames checked", c.name, checked)
		}
		if testing.Short() {
			continue
		}
		if mean := octets * 1000 / int64(n); (mean-c.mean)*50 > c.mean || (c.mean-mean)*50 > c.mean {
			t.Errorf("%s: mean frame is %d, promised are %d", c.name, mean, c.mean)
		}
		if d := (last-start)/int64(n) - gap; d*20 > gap || d*20 < -gap {
			t.Errorf("%s: mean gap is %d, want %d", c.name, (last-start)/int64(n), gap)
		}
	}
}

// passedOn returns whether a man in the middle sent a frame that is another's.
func passedOn(frame []byte) bool {
	return bytes.Equal(frame[6:12], cicAttackers[0].mac[:]) && be.Uint16(frame[12:]) == typeIPv4 &&
		!bytes.Equal(frame[26:30], cicAttackers[0].ip4[:]) && !bytes.Equal(frame[26:30], cicGateway.ip4[:])
}

// The shares of flags in the floods of requests are those that public analyses found in the captures.
func TestRequestFloodFlags(t *testing.T) {
	for _, class := range []string{"DDoS-HTTP_Flood", "DoS-HTTP_Flood"} {
		s, err := CIC(class, 5)
		if err != nil {
			t.Fatal(err)
		}
		const n = 100_000
		var f parse.Frame
		counts := make(map[uint16]int)
		hosts := make(map[[6]byte]bool)
		for range n {
			_ = s.Next(&f)
			if s.Attack() && be.Uint16(f.Data[36:]) == 80 {
				hosts[[6]byte(f.Data[6:12])] = true
			}
			if be.Uint16(f.Data[12:]) == typeIPv4 && f.Data[14] == 0x45 && f.Data[23] == protoTCP {
				for _, flag := range []uint16{parse.TCPSyn, parse.TCPAck, parse.TCPFin, parse.TCPRst} {
					if uint16(f.Data[47])&flag != 0 {
						counts[flag]++
					}
				}
			}
		}
		for flag, want := range map[uint16]int{parse.TCPSyn: 33, parse.TCPAck: 75, parse.TCPFin: 9, parse.TCPRst: 12} {
			want *= n / 100
			if d := counts[flag] - want; d*20 > want || d*20 < -want {
				t.Errorf("%s: flag %#x in %d frames, want %d within 5 %%", class, flag, counts[flag], want)
			}
		}
		if want := map[string]int{"DDoS-HTTP_Flood": 7, "DoS-HTTP_Flood": 1}[class]; len(hosts) != want {
			t.Errorf("%s: %d hosts ask, want %d", class, len(hosts), want)
		}
	}
}

// each calls do with the first n frames of a class's attack.
func eachSession(class string, n int, do func(f *parse.Frame)) {
	e := newSessions(class, 3, sessionGap(class))
	var f parse.Frame
	for range n {
		e.next(&f)
		do(&f)
	}
}

// The slow attack holds 150 connections a host, from different ports.
func TestSlowLorisHolds(t *testing.T) {
	open := make(map[string]bool) // host and port
	eachSession("DDoS-SlowLoris", 20_000, func(f *parse.Frame) {
		switch {
		case f.Data[47]&byte(parse.TCPSyn|parse.TCPAck) == byte(parse.TCPSyn):
			if key := string(f.Data[26:30]) + string(f.Data[34:36]); open[key] {
				t.Errorf("%x connects twice from one port", key)
			} else {
				open[key] = true
			}
		case f.Data[47]&byte(parse.TCPRst) != 0:
			delete(open, string(f.Data[30:34])+string(f.Data[36:38]))
		}
	})
	hosts := make(map[string]int)
	for key := range open {
		hosts[key[:4]]++
	}
	if len(hosts) != len(cicAttackers) {
		t.Errorf("%d hosts attack", len(hosts))
	}
	for host, n := range hosts {
		if n < 149 || n > 150 { // one is being opened again
			t.Errorf("host %x holds %d connections, want 150", host, n)
		}
	}
}

// A connection of the slow attack gets a header line every 15 s.
func TestSlowLorisWaits(t *testing.T) {
	last := make(map[string]int64)
	var waits []int64
	eachSession("DDoS-SlowLoris", 40_000, func(f *parse.Frame) {
		if payload := f.Data[66:]; len(f.Data) > 66 && bytes.HasPrefix(payload, []byte("X-a: ")) {
			key := string(f.Data[26:36])
			if was, ok := last[key]; ok {
				waits = append(waits, f.UnixNano-was)
			}
			last[key] = f.UnixNano
		}
	})
	slices.Sort(waits)
	if len(waits) < 1000 {
		t.Fatalf("only %d lines that follow another", len(waits))
	}
	if at := waits[len(waits)/2]; at < 13*second || at > 17*second {
		t.Errorf("half of the lines follow after %d ms, want 15 s", at/1_000_000)
	}
}

// What the middle passes on is what came, with one less to live, and both ends were told his address.
func TestMiddleSeesFramesTwice(t *testing.T) {
	for _, class := range []string{"MITM-ArpSpoofing", "DNS_Spoofing"} {
		waiting := make(map[string]byte)
		told := make(map[[4]byte]bool)
		twice, forged := 0, 0
		eachSession(class, 20_000, func(f *parse.Frame) {
			switch {
			case be.Uint16(f.Data[12:]) == typeARP:
				if f.Data[21] != 2 || !bytes.Equal(f.Data[22:28], cicAttackers[0].mac[:]) {
					t.Fatalf("%s: ARP %x", class, f.Data)
				}
				told[[4]byte(f.Data[28:32])] = true
			case passedOn(f.Data):
				rest := string(f.Data[26:])
				ttl, ok := waiting[rest]
				if !ok || f.Data[22] != ttl-1 {
					t.Fatalf("%s: passed on what did not come: %x", class, f.Data)
				}
				delete(waiting, rest)
				twice++
			case f.Data[23] == protoUDP && be.Uint16(f.Data[34:]) == 53:
				if !bytes.HasSuffix(f.Data, cicAttackers[0].ip4[:]) {
					t.Fatalf("%s: answer %x", class, f.Data)
				}
				forged++
			default:
				waiting[string(f.Data[26:])] = f.Data[22]
			}
		})
		if twice < 5_000 || len(told) != 2 || !told[cicGateway.ip4] || (forged > 500) != (class == "DNS_Spoofing") {
			t.Errorf("%s: %d frames twice, %d addresses claimed, %d answers forged", class, twice, len(told), forged)
		}
	}
}

// The sweeps ask for every address of the network, and the scan for 1,000 ports of a host.
func TestScansAreWhole(t *testing.T) {
	for _, class := range []string{"Recon-PingSweep", "Recon-HostDiscovery"} {
		asked := make(map[byte]bool)
		echoes := 0
		eachSession(class, 1_200, func(f *parse.Frame) {
			switch {
			case be.Uint16(f.Data[12:]) == typeARP && f.Data[21] == 1:
				asked[f.Data[41]] = true
			case f.Data[23] == protoICMP && f.Data[34] == 0:
				echoes++
			}
		})
		if len(asked) != 254 || echoes < 50 {
			t.Errorf("%s: %d addresses asked for, %d echoes", class, len(asked), echoes)
		}
	}
	ports := make(map[uint16]bool)
	var victim []byte
	eachSession("Recon-PortScan", 2_100, func(f *parse.Frame) {
		if f.Data[47] != byte(parse.TCPSyn) {
			return
		}
		if victim == nil {
			victim = bytes.Clone(f.Data[30:34])
		}
		if bytes.Equal(victim, f.Data[30:34]) {
			ports[be.Uint16(f.Data[36:])] = true
		}
	})
	if len(ports) != 1000 {
		t.Errorf("%d ports scanned", len(ports))
	}
}

// A host sends with one time to live, whatever it says and whoever asks; the scanner's probes and what the middle passes on aside.
func TestHostsKeepTheirTTL(t *testing.T) {
	ttls := make(map[[6]byte]byte)
	check := func(class string, f *parse.Frame) {
		d := f.Data
		if be.Uint16(d[12:]) != typeIPv4 || d[30] >= 224 || passedOn(d) {
			return
		}
		mac, scanned := [6]byte(d[6:12]), bytes.HasPrefix(d[6:12], cicAttackers[0].mac[:]) && d[22] >= 37 && d[22] <= 59
		if mac == cicGateway.mac && !bytes.Equal(d[26:30], cicGateway.ip4[:]) || scanned {
			return
		}
		if want, known := ttls[mac]; known && want != d[22] || d[22] != 64 && d[22] != 255 {
			t.Fatalf("%s: %x sends with time to live %d and %d", class, mac, d[22], want)
		}
		ttls[mac] = d[22]
	}
	for i := range sessionClasses {
		class := sessionClasses[i].name
		eachSession(class, 12_000, func(f *parse.Frame) { check(class, f) })
	}
	h := newHome(1, 9_000_000, 300_000)
	var f parse.Frame
	for range 20_000 {
		h.next(&f)
		check("home", &f)
	}
	small := 0
	for mac, ttl := range ttls {
		if ttl == 255 {
			small++
			if mac[1] != cicMadeUp {
				t.Errorf("%x has time to live 255", mac)
			}
		}
	}
	if small < 5 || small > len(ttls)/3 {
		t.Errorf("%d of %d hosts have time to live 255", small, len(ttls))
	}
}

// A port of a host is open in every class or in none.
func TestPortsAreConsistent(t *testing.T) {
	open := make(map[string]bool)
	var f parse.Frame
	check := func(class string) {
		d := f.Data
		if be.Uint16(d[12:]) != typeIPv4 || d[23] != protoTCP {
			return
		}
		accepts := d[47] == byte(parse.TCPSyn|parse.TCPAck)
		refuses := d[47] == byte(parse.TCPRst|parse.TCPAck) && be.Uint32(d[38:]) == 0
		if !accepts && !refuses || isOf(cicAttackers[:], int(d[29])) || !bytes.Equal(d[26:29], cicGateway.ip4[:3]) {
			return
		}
		key := string(d[26:30]) + string(d[34:36])
		if was, known := open[key]; known && was != accepts {
			t.Fatalf("%s: port %d of host %d is open and closed", class, be.Uint16(d[34:]), d[29])
		}
		open[key] = accepts
	}
	for _, class := range []string{"Recon-PortScan", "Recon-HostDiscovery", "Recon-OSScan", "VulnerabilityScan", "DictionaryBruteForce", "DDoS-SlowLoris",
		"SqlInjection", "MITM-ArpSpoofing"} {
		for seed := range uint64(3) {
			e := newSessions(class, seed, sessionGap(class))
			for range 10_000 {
				e.next(&f)
				check(class)
			}
		}
	}
	h := newHome(1, 9_000_000, 300_000)
	for range 20_000 {
		h.next(&f)
		check("home")
	}
	hosts := make(map[byte]bool)
	closed := 0
	for key, is := range open {
		hosts[key[3]] = true
		if !is {
			closed++
		}
	}
	if len(hosts) < 40 || closed < 5_000 || len(open)-closed < 80 {
		t.Errorf("%d hosts, %d ports closed, %d open", len(hosts), closed, len(open)-closed)
	}
}

// A published row of DNS_SPOOFING, of 10 frames and with three resets among them, lies among the class's windows in every column but the
// shortest frame: it has one of 54 octets, before it was padded. Resets, FIN and PSH come together as there.
func TestSpoofingRow(t *testing.T) {
	const row = "20.4,6,110.5,261.6648262868622,0.1,0.0,0.3,0.2,0.4,0.0,0.0,4,0,1,3,0.0,0.5,0.0,0.0,0.0,0.0,0.0,0.7,0.2,0.0,0.1,0.0,0.0,0.9,0.9," +
		"2223,54,1500,222.3,451.5966858455304,222.3,0.0047659873962402,10,203939.56666666668"
	var want []float64
	for text := range strings.SplitSeq(row, ",") {
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, v)
	}
	least, most := slices.Clone(want), slices.Clone(want)
	together, first := 0, true
	x, err := feature.New(feature.Config{Span: feature.Span{Rows: 10}, Emit: func(v *feature.Vector) {
		for i, value := range v.Values {
			if first {
				least[i], most[i] = value, value
			}
			least[i], most[i] = min(least[i], value), max(most[i], value)
		}
		first = false
		same := true
		for _, i := range []int{feature.RstFlag, feature.FinFlag, feature.PshFlag} {
			same = same && v.Values[i] == want[i]
		}
		if same {
			together++
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := CIC("DNS_Spoofing", 1)
	if err != nil {
		t.Fatal(err)
	}
	var f parse.Frame
	var p parse.Packet
	for range 100_000 {
		_ = s.Next(&f)
		if err := (parse.Direct{}).Parse(&f, &p); err != nil {
			t.Fatal(err)
		}
		if err := x.Process(&f, &p); err != nil {
			t.Fatal(err)
		}
	}
	for i, name := range feature.Columns() {
		if (want[i] < least[i] || want[i] > most[i]) && name != "Min" {
			t.Errorf("%s is %v in the row, %v to %v here", name, want[i], least[i], most[i])
		}
	}
	if together == 0 {
		t.Error("no window has the row's resets, FIN and PSH")
	}
}

// What a scan for operating systems sends in the time of 220 frames, which are its share of 1,000 of the class, is near 220 frames wherever
// one looks.
func TestSystemScanIsEven(t *testing.T) {
	const class, share = "Recon-OSScan", 220
	span := share * sessionGap(class)
	for seed := range uint64(8) {
		e := newSessions(class, seed, sessionGap(class))
		var f parse.Frame
		end, n := span, 0
		for end <= 20*span {
			if e.next(&f); f.UnixNano < end {
				n++
				continue
			}
			if n < share*85/100 || n > share*115/100 {
				t.Errorf("seed %d: %d frames before %d ms, want %d", seed, n, end/1_000_000, share)
			}
			end, n = end+span, 1
		}
	}
}

// The probes for the operating system are those that nmap documents.
func TestSystemProbes(t *testing.T) {
	var flags, host []byte
	datagrams, unreachable := 0, 0
	eachSession("Recon-OSScan", 2_000, func(f *parse.Frame) {
		switch {
		case f.Data[23] == protoUDP:
			if len(f.Data) != 342 || be.Uint16(f.Data[18:]) != 0x1042 || !bytes.Equal(f.Data[42:], bytes.Repeat([]byte{'C'}, 300)) {
				t.Fatalf("datagram %x", f.Data)
			}
			datagrams++
		case f.Data[23] == protoICMP && f.Data[34] == 3:
			if be.Uint16(f.Data[46:]) != 0x1042 {
				t.Fatalf("%x does not quote the datagram", f.Data)
			}
			unreachable++
		case f.Data[23] == protoTCP && f.Data[46]>>4 > 6:
			if host == nil {
				host = bytes.Clone(f.Data[30:34])
			}
			if bytes.Equal(host, f.Data[30:34]) {
				flags = append(flags, f.Data[47])
			}
		}
	})
	want := []byte{2, 2, 2, 2, 2, 2, 0xc2, 0, 0x2b, 0x10, 2, 0x10, 0x29} // nmap network scanning, chapter 8
	if len(flags) < len(want) || !bytes.Equal(flags[:len(want)], want) || datagrams == 0 || unreachable != datagrams {
		t.Errorf("flags %x, %d datagrams, %d unreachable: want %x first", flags, datagrams, unreachable, want)
	}
}

// A scan that nmap made has the same shape: flags, options, no fragment bits, and windows that are multiples of the one here.
func TestScanAsNmapMakesIt(t *testing.T) {
	dir := os.Getenv("PCAPLAB_CORPUS")
	if dir == "" {
		t.Skip("PCAPLAB_CORPUS is not set")
	}
	file, err := os.Open(filepath.Join(dir, "ndpi__synscan.pcap"))
	if err != nil {
		t.Skip(err)
	}
	defer file.Close()
	r, err := pcapio.NewReader(file, file.Name())
	if err != nil {
		t.Fatal(err)
	}
	shape := func(b []byte) string { return fmt.Sprintf("%x %x %x", b[20:22], b[46:48], b[50:58]) } // fragment bits; flags; urgent and options
	var ours string
	eachSession("Recon-PortScan", 1, func(f *parse.Frame) {
		f.Data[50], f.Data[51] = 0, 0 // checksum
		ours = shape(f.Data)
	})
	var f parse.Frame
	n := 0
	for {
		err := r.Next(&f)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		b := bytes.Clone(f.Data)
		if len(b) < 58 || b[47] != byte(parse.TCPSyn) {
			continue
		}
		b[50], b[51] = 0, 0
		if got := shape(b); got != ours || be.Uint16(b[48:])%1024 != 0 {
			t.Fatalf("nmap sends %s, this package %s", got, ours)
		}
		n++
	}
	if n < 1_000 {
		t.Errorf("only %d probes in the capture", n)
	}
}

// tshark finds nothing malformed, no wrong checksum and no anomaly in the home and in the attacks that are plain conversations; in the
// others only what they are made of: repeated probes, frames seen twice, and addresses that two hosts claim.
func TestSessionsUnderTshark(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("tshark is not installed")
	}
	if testing.Short() {
		t.Skip("takes seconds")
	}
	const wrong = "_ws.malformed || ip.checksum.status == 0 || tcp.checksum.status == 0 || udp.checksum.status == 0 || " +
		"icmp.checksum.status == 0 || icmpv6.checksum.status == 0 || igmp.checksum.status == 0"
	const odd = "(tcp.analysis.flags && !tcp.analysis.reused_ports) || " +
		"(_ws.expert.severity >= 0x600000 && !tcp.connection.rst && !mdns && !ssh)"
	path := filepath.Join(t.TempDir(), "a.pcap")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w, err := pcapio.NewWriter(file, pcapio.WriterConfig{})
	if err != nil {
		t.Fatal(err)
	}
	var start int64
	frames := 0
	add := func(e emitter) {
		var f parse.Frame
		for range 3_000 {
			e.next(&f)
			f.UnixNano += start
			if err := w.WriteFrame(&f); err != nil {
				t.Fatal(err)
			}
			frames++
		}
		start = f.UnixNano + 1000*second
	}
	add(newHome(1, 9_000_000, 614_300))
	special := []string{"Recon-OSScan", "Recon-PortScan", "VulnerabilityScan", "DNS_Spoofing", "MITM-ArpSpoofing"}
	for i := range sessionClasses {
		if c := sessionClasses[i].name; !slices.Contains(special, c) {
			add(newSessions(c, uint64(frames), sessionGap(c)))
		}
	}
	plain := frames
	for _, c := range special {
		add(newSessions(c, uint64(frames), sessionGap(c)))
	}
	if err := errors.Join(w.Flush(), file.Close()); err != nil {
		t.Fatal(err)
	}
	filter := fmt.Sprintf("%s || frame.number <= %d && (%s)", wrong, plain, odd)
	cmd := exec.Command(tshark, "-n", "-r", path, "-Y", filter, "-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE",
		"-o", "udp.check_checksum:TRUE", "-T", "fields", "-e", "frame.number", "-e", "frame.protocols", "-e", "_ws.expert.message")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	if len(out) > 0 {
		t.Errorf("of %d frames, %d of them plain, tshark complains:\n%.1000s", frames, plain, out)
	}
}
