package split

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pcaplab/datasets/pcapio"
	"pcaplab/parse"
)

// tcpprep returns the cache that tcpprep makes of a capture, or false where it makes none.
func tcpprep(t *testing.T, capture string, args ...string) ([]byte, bool) {
	t.Helper()
	if _, err := exec.LookPath("tcpprep"); err != nil {
		t.Skip("tcpprep is not installed")
	}
	out := filepath.Join(t.TempDir(), "cache")
	if err := exec.Command("tcpprep", append([]string{"--no-arg-comment", "-i", capture, "-o", out}, args...)...).Run(); err != nil {
		return nil, false
	}
	cache, err := os.ReadFile(out)
	return cache, err == nil && len(cache) >= headerLen
}

func corpus(t *testing.T) []string {
	t.Helper()
	dir := os.Getenv("PCAPLAB_CORPUS")
	if dir == "" {
		t.Skip("PCAPLAB_CORPUS is not set: it names the folder with the corpus of captures")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.pcap*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures in %s: %v", dir, err)
	}
	return files
}

// frames reads a capture up to its end or its damage.
func frames(t testing.TB, path string) []parse.Frame {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r, err := pcapio.NewReader(file, path)
	if err != nil {
		return nil
	}
	defer r.Close()
	var all []parse.Frame
	for {
		var f parse.Frame
		if err := r.Next(&f); err != nil {
			return all
		}
		f.Data = bytes.Clone(f.Data)
		all = append(all, f)
	}
}

// splitAll makes the cache of frames.
func splitAll(t testing.TB, cfg Config, comment string, all []parse.Frame) (*Cache, Counts) {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if s.Learns() {
		for i := range all {
			s.Learn(&all[i])
		}
	}
	c, err := NewCache(comment)
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		c.Append(s.Classify(&all[i]))
	}
	return c, s.Counts()
}

// invocation is a way to split that tcpprep has too.
type invocation struct {
	args string // of tcpprep
	cfg  Config
}

// invocations are for every capture, more for random ones.
func invocations() []invocation {
	return []invocation{
		{"-p", Config{Mode: ModePort}},
		{"-p -N", Config{Mode: ModePort, NonIP: "client"}},
		{"-c 10.0.0.0/8,192.168.0.0/17,[fe80::/16]", Config{Mode: ModeCIDR, CIDR: "10.0.0.0/8,192.168.0.0/17,[fe80::/16]"}},
		{"-c 0.0.0.0/1,::/0 -N --reverse", Config{Mode: ModeCIDR, CIDR: "0.0.0.0/1,::/0", NonIP: "client", Reverse: true}},
		{"-r ^(1|2|f)[0-9e].*[02468]$", Config{Mode: ModeRegex, Regex: "^(1|2|f)[0-9e].*[02468]$"}},
		{"-c 0.0.0.0/2 -x P:2-4,9,30-60,1000-99999", Config{Mode: ModeCIDR, CIDR: "0.0.0.0/2", Include: "P:2-4,9,30-60,1000-99999"}},
		{"-c 0.0.0.0/2 -X E:192.168.0.0/16,10.0.0.0/8,2000::/3", Config{Mode: ModeCIDR, CIDR: "0.0.0.0/2", Exclude: "E:192.168.0.0/16,10.0.0.0/8,2000::/3"}},
		{"-a first", Config{Mode: ModeFirst}},
		{"-a client -R 1.5", Config{Mode: ModeClient, Ratio: "1.5"}},
		{"-a server", Config{Mode: ModeServer}},
		{"-N -a bridge", Config{Mode: ModeBridge, NonIP: "client"}},
	}
}

func more() []invocation {
	list := []invocation{
		{"-c 10.0.0.0/8,192.168.0.0/17 --reverse", Config{Mode: ModeCIDR, CIDR: "10.0.0.0/8,192.168.0.0/17", Reverse: true}},
		{"-c 0.0.0.0/2 -X P:1,5-9,8-20", Config{Mode: ModeCIDR, CIDR: "0.0.0.0/2", Exclude: "P:1,5-9,8-20"}},
		{"-a first -x P:10-50", Config{Mode: ModeFirst, Include: "P:10-50"}},
		{"-e 02:00:00:00:00:01,2:0:0:0:0:2", Config{Mode: ModeMAC, MAC: "02:00:00:00:00:01,2:0:0:0:0:2"}},
		{"-e 02:00:00:00:00:01 --reverse", Config{Mode: ModeMAC, MAC: "02:00:00:00:00:01", Reverse: true}},
	}
	for _, kind := range []string{"S", "D", "B", "E"} {
		rule := kind + ":192.168.0.0/16,10.0.0.0/8,2000::/3"
		list = append(list, invocation{"-c 0.0.0.0/2 -x " + rule, Config{Mode: ModeCIDR, CIDR: "0.0.0.0/2", Include: rule}},
			invocation{"-a client -X " + rule, Config{Mode: ModeClient, Exclude: rule}})
	}
	for _, ratio := range []string{"1", "3", "0.25"} {
		list = append(list, invocation{"-a client -R " + ratio, Config{Mode: ModeClient, Ratio: ratio}})
	}
	return list
}

// fault says why tcpprep 4.4.3 is known to take a frame for another, or "".
func (in *invocation) fault(f *parse.Frame) string {
	d := f.Data
	var h header
	transport := in.cfg.Mode == ModePort || in.learns()
	switch isIP := ipHeader(f, &h); {
	case f.Link == parse.LinkEthernet && len(d) >= 14 && be.Uint16(d[12:]) < 0x600:
		return "an LLC header is read as an IP header"
	case f.Link == parse.LinkEthernet && len(d) >= 14 && be.Uint16(d[12:]) == typeSession:
		return "PPPoE is not decoded"
	case isIP && !h.src.v6 && h.l4 == nil && transport:
		return "the data of a fragment after the first is read as a transport header"
	case isIP && h.src.v6 && in.auto():
		return "IPv6 hosts are not told apart"
	case isIP && h.src.v6 && transport && (h.l4 == nil || d[bytes.Index(d, h.src.addr[:])-2] != h.proto):
		return "IPv6 extension headers are passed over wrongly"
	}
	return ""
}

func (in *invocation) learns() bool { return in.auto() && in.cfg.Mode != ModeFirst }

// manyQuestions reports whether a message from or to port 53 says that it has 128 questions or more.
func manyQuestions(f parse.Frame) bool {
	var h header
	if !ipHeader(&f, &h) || h.proto != protoUDP || len(h.l4) < 14 {
		return false
	}
	return (be.Uint16(h.l4) == 53 || be.Uint16(h.l4[2:]) == 53) && h.l4[13]&0x80 != 0
}

// withoutOffers has frames with SYN and flags that are none of ours be no evidence, as they are none to tcpprep, and returns how
// many there are.
func withoutOffers(all []parse.Frame) (plain []parse.Frame, n int) {
	plain = slices.Clone(all)
	for i := range plain {
		var h header
		if !ipHeader(&plain[i], &h) || h.proto != protoTCP || len(h.l4) < 14 {
			continue
		}
		if client, server := evidenceOf(&h); (client || server) && h.l4[13]&^0x12 != 0 {
			at := len(plain[i].Data) - len(h.l4) + 13
			plain[i].Data = bytes.Clone(plain[i].Data)
			plain[i].Data[at] = 0x10
			n++
		}
	}
	return plain, n
}

func (in *invocation) auto() bool { return strings.Contains(in.args, "-a ") }

// check compares the cache that tcpprep makes of a capture with ours.
func (in *invocation) check(t *testing.T, path string, all []parse.Frame, faults map[string]int) (compared bool) {
	t.Helper()
	theirs, ok := tcpprep(t, path, strings.Fields(in.args)...)
	if !ok {
		return false
	}
	if n := be.Uint64(theirs[12:]); in.auto() && in.cfg.Include+in.cfg.Exclude != "" {
		theirs = theirs[:headerLen+(n+3)/4] // see below: the rest of the second pass comes behind
	}
	c, err := Read(bytes.NewReader(theirs), "theirs")
	if err != nil {
		t.Errorf("%s: %v", in.args, err)
		return false
	}
	var again bytes.Buffer
	if err := c.Write(&again); err != nil || !bytes.Equal(again.Bytes(), theirs) {
		t.Errorf("%s: read and written again it is another file (%v)", in.args, err)
	}
	if c.Len() < uint64(len(all)) {
		all = all[:c.Len()] // libpcap stops where a second link type comes, and at what it takes for damage
	}
	if in.learns() && slices.ContainsFunc(all, manyQuestions) {
		faults["a DNS header's QR is looked for in the number of questions"]++
		return false
	}
	if in.learns() {
		var offers int
		if all, offers = withoutOffers(all); offers > 0 {
			faults["a SYN that offers congestion notification is no evidence"] += offers
		}
	}
	ours, counts := splitAll(t, in.cfg, "", all)
	late := uint64(0)
	if in.auto() && counts.Skipped > 0 {
		// What the first pass leaves out stands before what the second pass says.
		moved, err := NewCache("")
		if err != nil {
			t.Fatal(err)
		}
		for range counts.Skipped {
			moved.Append(Server, false)
		}
		for i := range ours.Len() - counts.Skipped {
			moved.Append(ours.Side(i), ours.Send(i))
		}
		ours, late = moved, counts.Skipped
		faults["auto modes with rules are out of step"]++
	}
	if ours.Len() != c.Len() {
		t.Errorf("%s: %d frames, theirs %d", in.args, ours.Len(), c.Len())
		return false
	}
	same := true
	for i := range c.Len() {
		if ours.at(i)&3 == c.at(i)&3 {
			continue
		}
		same = false
		if why := in.fault(&all[max(i, late)-late]); why != "" {
			faults[why]++
			continue
		}
		t.Errorf("%s: frame %d: %d, theirs %d (%x)", in.args, i+1, ours.at(i)&3, c.at(i)&3, all[i].Data[:min(80, len(all[i].Data))])
	}
	again.Reset()
	if err := ours.Write(&again); err != nil || same && late == 0 && !bytes.Equal(again.Bytes(), theirs) {
		t.Errorf("%s: our file is not theirs (%v)", in.args, err)
	}
	if same && late == 0 {
		faults["none: the files are equal"]++
	}
	return true
}

func TestCorpusAsTcpprep(t *testing.T) {
	faults := make(map[string]int)
	compared := 0
	for _, path := range corpus(t) {
		name := filepath.Base(path)
		switch name {
		case "crafted__caplen_gt_len.pcap":
			continue // libpcap cuts frames to their wire length
		}
		t.Run(name, func(t *testing.T) {
			all := frames(t, path)
			for _, in := range invocations() {
				if in.check(t, path, all, faults) {
					compared++
				}
			}
		})
	}
	t.Logf("%d caches compared; differences by known faults: %v", compared, faults)
}

// randomFrames makes packets of a few hosts, of all kinds that tcpprep looks at.
func randomFrames(rng *rand.Rand, n int) []parse.Frame {
	pick := func(list ...int) int { return list[rng.IntN(len(list))] }
	all := make([]parse.Frame, n)
	for i := range all {
		d := []byte{2, 0, 0, 0, 0, byte(rng.IntN(3)), 2, 0, 0, 0, 0, byte(rng.IntN(3))}
		for range pick(0, 0, 0, 1, 2) {
			d = be.AppendUint16(d, uint16(pick(typeVLAN, typeService)))
			d = be.AppendUint16(d, 5)
		}
		var transport []byte
		proto := pick(protoTCP, protoTCP, protoUDP, protoUDP, protoICMP, 253)
		switch proto {
		case protoTCP, protoUDP:
			transport = be.AppendUint16(transport, uint16(pick(53, 80, 1023, 1024, 2000)))
			transport = be.AppendUint16(transport, uint16(pick(53, 80, 1023, 1024, 2000)))
			transport = append(transport, 0, 20, 0, 0, 0, 0, 0, 0, 0x50, byte(pick(0x02, 0x12, 0x10, 0x04, 0x06, 0x42, 0x52)))
		case protoICMP:
			transport = append(transport, byte(pick(0, 3, 8)), byte(rng.IntN(4)))
		}
		transport = append(transport, make([]byte, 60)...)
		switch rng.IntN(8) {
		case 0:
			d = append(be.AppendUint16(d, 0x0806), make([]byte, 46)...)
		case 1:
			d = append(be.AppendUint16(d, 0x9000), make([]byte, 46)...)
		case 2, 3:
			if proto == protoICMP {
				proto = 58
			}
			d = append(be.AppendUint16(d, typeIPv6), 0x60, 0, 0, 0)
			d = append(be.AppendUint16(d, uint16(len(transport))), byte(proto), 64)
			for range 2 {
				addr := [16]byte{byte(pick(0x20, 0xfe)), 0x80, 15: byte(rng.IntN(4))}
				d = append(d, addr[:]...)
			}
			d = append(d, transport...)
		default:
			d = append(be.AppendUint16(d, typeIPv4), 0x45, 0)
			d = append(be.AppendUint16(d, uint16(len(transport)+ipv4Len)), 0, 0, 0, 0, 64, byte(proto), 0, 0)
			for range 2 {
				d = append(d, byte(pick(10, 100, 192)), byte(pick(0, 168)), byte(pick(0, 168)), byte(rng.IntN(5)))
			}
			d = append(d, transport...)
		}
		all[i] = parse.Frame{UnixNano: int64(i) * 1000, Data: d, WireLen: len(d), Link: parse.LinkEthernet}
	}
	return all
}

func TestRandomTrafficAsTcpprep(t *testing.T) {
	list := append(invocations(), more()...)
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 0))
			all := randomFrames(rng, 1+rng.IntN(200))
			path := filepath.Join(t.TempDir(), "random.pcap")
			file, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			w, err := pcapio.NewWriter(file, pcapio.WriterConfig{})
			for i := range all {
				err = errors.Join(err, w.WriteFrame(&all[i]))
			}
			if err := errors.Join(err, w.Flush(), file.Close()); err != nil {
				t.Fatal(err)
			}
			for _, in := range list {
				if !in.check(t, path, all, make(map[string]int)) {
					t.Errorf("%s: not compared", in.args)
				}
			}
		})
	}
}

func TestTcpprepReadsOurs(t *testing.T) {
	if _, err := exec.LookPath("tcpprep"); err != nil {
		t.Skip("tcpprep is not installed")
	}
	all := randomFrames(rand.New(rand.NewPCG(1, 2)), 1001)
	c, counts := splitAll(t, Config{Mode: ModeRouter, Exclude: "P:100-200,900-"}, "\nmade by a test", all)
	path := filepath.Join(t.TempDir(), "ours.cache")
	var file bytes.Buffer
	if err := c.Write(&file); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, file.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	stats, err := exec.Command("tcpprep", "-S", path).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, stats)
	}
	text := strings.Join(strings.Fields(string(stats)), " ")
	want := fmt.Sprintf("Primary packets: %d Secondary packets: %d Skipped packets: %d", counts.Client, counts.Server, counts.Skipped)
	if !strings.Contains(text, want) || counts.Skipped != 203 {
		t.Errorf("%s; want %s", text, want)
	}
	if comment, err := exec.Command("tcpprep", "-P", path).CombinedOutput(); err != nil || !strings.Contains(string(comment), "made by a test") {
		t.Errorf("comment %q, %v", comment, err)
	}
	info, err := exec.Command("tcpprep", "-I", path).CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(info), "\n")
	at := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "Packet 1 ") })
	if at < 0 || len(lines) < at+len(all) {
		t.Fatalf("no list of %d packets in %q", len(all), lines[:min(5, len(lines))])
	}
	for i := range c.Len() {
		want := "Secondary"
		if !c.Send(i) {
			want = "Don't Send"
		} else if c.Side(i) == Client {
			want = "Primary"
		}
		if !strings.HasSuffix(lines[at+int(i)], want) {
			t.Errorf("%q, want %s", lines[at+int(i)], want)
		}
	}
}
