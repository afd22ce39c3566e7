package split

import (
	"bytes"
	"fmt"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pcaplab/parse"
)

func TestNewRefuses(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  Config
		want string
	}{
		{"no mode", Config{}, "no mode"},
		{"unknown mode", Config{Mode: "auto"}, `mode "auto"`},
		{"no network", Config{Mode: ModeCIDR}, `network ""`},
		{"half a network", Config{Mode: ModeCIDR, CIDR: "10.0.0.0/8,10.0.0"}, `network "10.0.0"`},
		{"prefix too long", Config{Mode: ModeCIDR, CIDR: "10.0.0.0/33"}, `network "10.0.0.0/33"`},
		{"zone", Config{Mode: ModeCIDR, CIDR: "fe80::1%eth0"}, "fe80::1%eth0"},
		{"bad expression", Config{Mode: ModeRegex, Regex: "("}, `regular expression "("`},
		{"bad MAC", Config{Mode: ModeMAC, MAC: "02:00:00:00:00:01:02:03"}, "MAC address"},
		{"no MAC", Config{Mode: ModeMAC}, "MAC address"},
		{"BPF", Config{Mode: ModePort, Include: "F:tcp"}, "BPF filters are not understood"},
		{"unknown rule", Config{Mode: ModePort, Include: "Q:1"}, `rule "Q:1": want`},
		{"empty rule", Config{Mode: ModePort, Exclude: ":"}, `rule ":"`},
		{"rule without a kind", Config{Mode: ModePort, Exclude: "1-5"}, `rule "1-5"`},
		{"packet 0", Config{Mode: ModePort, Exclude: "P:0"}, `packets "0"`},
		{"packets backwards", Config{Mode: ModePort, Exclude: "P:5-1"}, `packets "5-1"`},
		{"no packets", Config{Mode: ModePort, Exclude: "P:"}, `packets ""`},
		{"both rules", Config{Mode: ModePort, Exclude: "P:1", Include: "P:1"}, "include and exclude"},
		{"side", Config{Mode: ModePort, NonIP: "left"}, `side "left"`},
		{"ratio of nothing", Config{Mode: ModeClient, Ratio: "0.0"}, `ratio "0.0"`},
		{"no ratio", Config{Mode: ModeClient, Ratio: "."}, `ratio "."`},
		{"negative ratio", Config{Mode: ModeClient, Ratio: "-1"}, `ratio "-1"`},
		{"endless ratio", Config{Mode: ModeClient, Ratio: "0.12345678901234567890"}, "ratio"},
		{"masks the wrong way round", Config{Mode: ModeRouter, MinMask: 8, MaxMask: 24}, "prefix lengths from 8"},
		{"mask too long", Config{Mode: ModeRouter, MinMask: 33}, "prefix lengths from 33"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := New(tt.cfg); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestRatioIsExact(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		text := fmt.Sprintf("%d.%d", rng.IntN(1000), rng.IntN(1_000_000))
		want, ok := new(big.Rat).SetString(text)
		num, den, err := parseRatio(text)
		if want.Sign() == 0 {
			continue
		}
		if !ok || err != nil || new(big.Rat).SetFrac(new(big.Int).SetUint64(num), new(big.Int).SetUint64(den)).Cmp(want) != 0 {
			t.Fatalf("%s became %d/%d, %v", text, num, den, err)
		}
		s := Splitter{num: num, den: den}
		e := evidence{client: rng.Uint64() >> rng.IntN(64), server: rng.Uint64() >> rng.IntN(64)}
		least := new(big.Rat).Mul(want, new(big.Rat).SetFrac(new(big.Int).SetUint64(e.client), big.NewInt(1)))
		side := Client
		if new(big.Rat).SetFrac(new(big.Int).SetUint64(e.server), big.NewInt(1)).Cmp(least) >= 0 {
			side = Server
		}
		if got := s.judge(e); got != side {
			t.Errorf("ratio %s, %+v: %v, want %v", text, e, got, side)
		}
	}
}

// packet makes a frame without link header.
func packet(src, dst string, proto byte, transport ...byte) parse.Frame {
	from, to := netip.MustParseAddr(src), netip.MustParseAddr(dst)
	var d []byte
	if from.Is4() {
		d = []byte{0x45, 0, 0, byte(20 + len(transport)), 0, 0, 0, 0, 64, proto, 0, 0}
	} else {
		d = []byte{0x60, 0, 0, 0, 0, byte(len(transport)), proto, 64}
	}
	d = append(append(append(d, from.AsSlice()...), to.AsSlice()...), transport...)
	return parse.Frame{Data: d, WireLen: len(d), Link: parse.LinkRaw}
}

// syn, synAck and query are evidence.
var (
	syn     = []byte{0x10, 0, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x02, 0, 0, 0, 0, 0, 0}
	synAck  = []byte{0, 80, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x12, 0, 0, 0, 0, 0, 0}
	query   = []byte{0x10, 0, 0, 53, 0, 8, 0, 0}
	unknown = byte(253)
)

func TestEvidence(t *testing.T) {
	for _, tt := range []struct {
		name           string
		flags          byte
		client, server bool
	}{
		{"SYN", 0x02, true, false}, {"SYN and ACK", 0x12, false, true},
		{"SYN that offers congestion notification", 0xc2, true, false}, {"SYN and ACK that accepts it", 0x52, false, true},
		{"SYN and PSH", 0x0a, true, false}, {"SYN and RST", 0x06, false, false}, {"SYN and FIN", 0x03, false, false},
		{"ACK", 0x10, false, false}, {"none", 0, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := header{proto: protoTCP, l4: bytes.Clone(syn)}
			h.l4[13] = tt.flags
			if client, server := evidenceOf(&h); client != tt.client || server != tt.server {
				t.Errorf("client %t, server %t", client, server)
			}
		})
	}
}

func TestRouter(t *testing.T) {
	const far = "203.0.113.1"
	for _, tt := range []struct {
		name    string
		clients []string
		servers []string
		cfg     Config
		source  string
		want    Side
	}{
		{"nobody is known", nil, nil, Config{}, "10.1.1.1", Client},
		{"a server in the same /30", nil, []string{"10.1.1.1"}, Config{}, "10.1.1.2", Server},
		{"a server in the same /8", nil, []string{"10.1.1.1"}, Config{}, "10.200.1.2", Server},
		{"a server in another /8", nil, []string{"10.1.1.1"}, Config{}, "11.1.1.2", Client},
		{"a client nearer than a server", []string{"10.1.1.2"}, []string{"10.1.2.1"}, Config{}, "10.1.1.1", Client},
		{"a server nearer than a client", []string{"10.1.2.1"}, []string{"10.1.1.2"}, Config{}, "10.1.1.1", Server},
		{"both in the smallest network", []string{"10.1.1.1"}, []string{"10.1.1.3"}, Config{}, "10.1.1.2", Server},
		{"both in the smallest network that is tried", []string{"10.1.1.1"}, []string{"10.1.1.200"}, Config{MinMask: 24}, "10.1.1.2", Server},
		{"the nearer one counts with the default", []string{"10.1.1.1"}, []string{"10.1.1.200"}, Config{}, "10.1.1.2", Client},
		{"a server outside the largest network", nil, []string{"10.1.1.1"}, Config{MaxMask: 16}, "10.2.1.1", Client},
		{"a known client among servers", []string{"10.1.1.1"}, []string{"10.1.1.2", "10.1.1.3"}, Config{}, "10.1.1.1", Client},
		{"an IPv6 server in the same /64", nil, []string{"2001:db8:1:2::1"}, Config{}, "2001:db8:1:2:ffff::9", Server},
		{"an IPv6 server in the same /32", []string{"10.1.1.1"}, []string{"2001:db8:1:2::1"}, Config{}, "2001:db8:ffff::9", Server},
		{"an IPv6 server in another /32", nil, []string{"2001:db8:1:2::1"}, Config{}, "2001:db9::9", Client},
		{"an IPv4 server for an IPv6 host", nil, []string{"32.1.13.184"}, Config{}, "2001:db8::1", Client},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.cfg.Mode = ModeRouter
			s, err := New(tt.cfg)
			if err != nil {
				t.Fatal(err)
			}
			other := func(a string) string {
				if strings.Contains(a, ":") {
					return "fd00::1"
				}
				return far
			}
			for _, c := range tt.clients {
				f := packet(c, other(c), protoTCP, syn...)
				s.Learn(&f)
			}
			for _, c := range tt.servers {
				f := packet(c, other(c), protoTCP, synAck...)
				s.Learn(&f)
			}
			f := packet(tt.source, other(tt.source), unknown)
			if side, send := s.Classify(&f); side != tt.want || !send {
				t.Errorf("%v, want %v", side, tt.want)
			}
		})
	}
}

// TestRouterAgainstAWalk compares the search in order with a look at every host.
func TestRouterAgainstAWalk(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	address := func() netip.Addr {
		if rng.IntN(3) == 0 {
			return netip.AddrFrom16([16]byte{0x20, 1, byte(rng.IntN(2)), 0, byte(rng.IntN(3)), 0, byte(rng.IntN(2)), byte(rng.IntN(3)), 15: byte(rng.IntN(4))})
		}
		return netip.AddrFrom4([4]byte{byte(10 + rng.IntN(2)), byte(rng.IntN(3)), byte(rng.IntN(2)) << 6, byte(rng.IntN(256))})
	}
	for range 300 {
		cfg := Config{Mode: ModeRouter, MinMask: 16 + rng.IntN(17), MaxMask: 1 + rng.IntN(16)}
		s, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		known := make(map[netip.Addr]Side)
		for range rng.IntN(12) {
			a := address()
			if _, found := known[a]; found {
				continue
			}
			known[a] = Side(rng.IntN(2))
			f := packet(a.String(), a.String(), protoTCP, [][]byte{syn, synAck}[known[a]]...)
			s.Learn(&f)
		}
		for range 40 {
			a := address()
			want, found := known[a]
			longest, shortest := cfg.MinMask, cfg.MaxMask
			if a.Is6() {
				longest, shortest = 64, 32
			}
			for n := longest; n >= shortest && !found; n-- {
				network := netip.PrefixFrom(a, n)
				for b, side := range known {
					if network.Contains(b) {
						found, want = true, max(want, side)
					}
				}
			}
			f := packet(a.String(), a.String(), unknown)
			if side, _ := s.Classify(&f); side != want {
				t.Fatalf("%v with %v known, masks %d to %d: %v, want %v", a, known, cfg.MinMask, cfg.MaxMask, side, want)
			}
		}
	}
}

func TestSides(t *testing.T) {
	arp := parse.Frame{Data: append(make([]byte, 12), 0x08, 0x06, 0, 1), Link: parse.LinkEthernet}
	services, err := ReadServices(strings.NewReader("# ours\nmqtt 1883/tcp\n\ncoap\t5683/udp # too\nsctp 9/sctp\n"), "ports")
	if err != nil {
		t.Fatal(err)
	}
	toMQTT := []byte{0, 80, 1883 >> 8, 1883 & 255, 0, 8, 0, 0}
	later := packet("10.0.0.1", "10.0.0.2", protoUDP, query...)
	later.Data[7] = 1 // a fragment after the first
	for _, tt := range []struct {
		name  string
		cfg   Config
		frame parse.Frame
		want  Side
	}{
		{"a regular expression", Config{Mode: ModeRegex, Regex: `^10\.`}, packet("10.0.0.1", "1.1.1.1", unknown), Client},
		{"of the whole address", Config{Mode: ModeRegex, Regex: `^fe80::1$`}, packet("fe80::1", "fe80::2", unknown), Client},
		{"reversed", Config{Mode: ModeRegex, Regex: `^10\.`, Reverse: true}, packet("10.0.0.1", "1.1.1.1", unknown), Server},
		{"reversed, another", Config{Mode: ModeRegex, Regex: `^10\.`, Reverse: true}, packet("11.0.0.1", "1.1.1.1", unknown), Client},
		{"ARP", Config{Mode: ModeRegex, Regex: `.`}, arp, Server},
		{"ARP by wish", Config{Mode: ModeRegex, Regex: `.`, NonIP: "client"}, arp, Client},
		{"ARP by its MAC address", Config{Mode: ModeMAC, MAC: "0:0:0:0:0:0"}, arp, Client},
		{"a MAC address in no Ethernet", Config{Mode: ModeMAC, MAC: "0:0:0:0:0:0"}, packet("10.0.0.1", "1.1.1.1", unknown), Server},
		{"a server port", Config{Mode: ModePort}, packet("10.0.0.1", "10.0.0.2", protoUDP, query...), Client},
		{"an own server port", Config{Mode: ModePort, Services: services}, packet("10.0.0.1", "10.0.0.2", protoTCP, toMQTT...), Client},
		{"of another protocol", Config{Mode: ModePort, Services: services}, packet("10.0.0.1", "10.0.0.2", protoUDP, toMQTT...), Server},
		{"a port below 1024 that is not listed", Config{Mode: ModePort, Services: services}, packet("10.0.0.1", "10.0.0.2", protoUDP, query...), Server},
		{"no port", Config{Mode: ModePort, NonIP: "client"}, packet("10.0.0.1", "10.0.0.2", unknown), Client},
		{"a fragment after the first", Config{Mode: ModePort}, later, Server},
		{"an IPv6 fragment, the first", Config{Mode: ModePort}, packet("fe80::1", "fe80::2", protoFragment, append([]byte{protoUDP, 0, 0, 1, 0, 0, 0, 0}, query...)...), Client},
		{"behind IPv6 options", Config{Mode: ModePort}, packet("fe80::1", "fe80::2", 0, append([]byte{protoUDP, 1, 15: 0}, query...)...), Client},
		{"nothing", Config{Mode: ModePort}, parse.Frame{Link: parse.LinkEthernet}, Server},
		{"an unknown link type", Config{Mode: ModeCIDR, CIDR: "0.0.0.0/0,::/0"}, parse.Frame{Data: packet("10.0.0.1", "10.0.0.2", unknown).Data, Link: 127}, Server},
		{"an IPv4-mapped address is IPv6", Config{Mode: ModeCIDR, CIDR: "10.0.0.0/8"}, packet("::ffff:10.0.0.1", "fe80::2", unknown), Server},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := New(tt.cfg)
			if err != nil {
				t.Fatal(err)
			}
			if side, send := s.Classify(&tt.frame); side != tt.want || !send {
				t.Errorf("%v %v, want %v", side, send, tt.want)
			}
		})
	}
}

func TestReadServicesRefuses(t *testing.T) {
	for _, tt := range []struct{ name, file, want string }{
		{"no port", "ssh 22/tcp\nhttp\n", "ports: line 2"},
		{"no protocol", "http 80\n", `"80"`},
		{"port too large", "http 65536/tcp\n", `"65536/tcp"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := ReadServices(strings.NewReader(tt.file), "ports"); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestRestartAndLearnAgain(t *testing.T) {
	s, err := New(Config{Mode: ModeServer, Include: "P:2-"})
	if err != nil {
		t.Fatal(err)
	}
	f := packet("10.0.0.1", "10.0.0.2", protoTCP, syn...)
	s.Learn(&f) // is packet 1
	for range 2 {
		var got []bool
		for range 3 {
			side, send := s.Classify(&f)
			got = append(got, send)
			if side != Server {
				t.Error("learned from a packet that does not take part")
			}
		}
		if !slices.Equal(got, []bool{false, true, true}) {
			t.Errorf("sent %v", got)
		}
		if n := s.Counts(); n != (Counts{Packets: 3, Server: 2, Skipped: 1, Guessed: 2}) {
			t.Errorf("counts %+v", n)
		}
		s.Restart()
	}
	s.Learn(&f)
	s.Classify(&f)
	if side, _ := s.Classify(&f); side != Client {
		t.Error("what was learned later does not count")
	}
}

func TestFramesAllocateNothing(t *testing.T) {
	all := randomFrames(rand.New(rand.NewPCG(7, 8)), 500)
	for _, cfg := range []Config{
		{Mode: ModeFirst}, {Mode: ModeBridge}, {Mode: ModeRouter}, {Mode: ModePort, Include: "P:1-100,200-300,400-"},
		{Mode: ModeCIDR, CIDR: "10.0.0.0/8,fe80::/10", Exclude: "E:192.168.0.0/16"}, {Mode: ModeRegex, Regex: `^1.*[02468]$`},
		{Mode: ModeMAC, MAC: "02:00:00:00:00:01,02:00:00:00:00:02"},
	} {
		t.Run(cfg.Mode, func(t *testing.T) {
			if cfg.Mode == ModeRegex && poolsForget {
				t.Skip("package regexp takes what it needs from a pool")
			}
			s, err := New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			for i := range all {
				s.Learn(&all[i])
			}
			if n := testing.AllocsPerRun(3, func() {
				for i := range all {
					s.Learn(&all[i])
				}
			}); n != 0 {
				t.Errorf("%v allocations while learning again", n)
			}
			for i := range all {
				s.Classify(&all[i])
			}
			if n := testing.AllocsPerRun(3, func() {
				s.Restart()
				for i := range all {
					s.Classify(&all[i])
				}
			}); n != 0 {
				t.Errorf("%v allocations in %d frames", n, len(all))
			}
		})
	}
}

// FuzzClassify holds that no frame is too broken.
func FuzzClassify(f *testing.F) {
	for _, frame := range randomFrames(rand.New(rand.NewPCG(9, 10)), 40) {
		f.Add(uint16(frame.Link), frame.Data)
	}
	f.Add(uint16(linkPPP), []byte{0xff, 3, 0x21, 0x45})
	f.Add(uint16(parse.LinkSLL2), make([]byte, 24))
	f.Fuzz(func(t *testing.T, link uint16, data []byte) {
		frame := parse.Frame{Data: slices.Clip(data), WireLen: len(data), Link: parse.LinkType(link)}
		for _, cfg := range []Config{{Mode: ModeRouter, Include: "S:10.0.0.0/8,::/1"}, {Mode: ModePort}, {Mode: ModeMAC, MAC: "2:0:0:0:0:1"}, {Mode: ModeRegex, Regex: "1$"}, {Mode: ModeFirst}} {
			s, err := New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			s.Learn(&frame)
			s.Classify(&frame)
			s.Classify(&frame)
			if n := s.Counts(); n.Packets != 2 || n.Client+n.Server+n.Skipped != 2 {
				t.Fatalf("counts %+v", n)
			}
		}
	})
}

func BenchmarkClassify(b *testing.B) {
	all := randomFrames(rand.New(rand.NewPCG(11, 12)), 4096)
	for _, cfg := range []Config{{Mode: ModeFirst}, {Mode: ModeRouter}, {Mode: ModePort}, {Mode: ModeCIDR, CIDR: "10.0.0.0/8,fe80::/10"}, {Mode: ModeRegex, Regex: `^1.*[02468]$`}} {
		b.Run(cfg.Mode, func(b *testing.B) {
			s, err := New(cfg)
			if err != nil {
				b.Fatal(err)
			}
			for i := range all {
				s.Learn(&all[i])
			}
			for i := 0; b.Loop(); i++ {
				s.Classify(&all[i&4095])
			}
		})
	}
}
