package external

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pcaplab/datasets/pcapio"
	"pcaplab/parse"
	"pcaplab/replay"
)

// frames gives its frames again and again, up to a count if it is not 0.
type frames struct {
	of    [][]byte
	link  parse.LinkType
	n     int
	count int
}

func (s *frames) Next(f *parse.Frame) error {
	if s.count > 0 && s.n == s.count {
		return io.EOF
	}
	b := s.of[s.n%len(s.of)]
	*f = parse.Frame{UnixNano: 1_700_000_000e9 + int64(s.n)*1000, Data: b, WireLen: len(b), Link: s.link}
	s.n++
	return nil
}

func ethernet(kind uint16, payload ...[]byte) []byte {
	b := []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2}
	b = binary.BigEndian.AppendUint16(b, kind)
	for _, p := range payload {
		b = append(b, p...)
	}
	return append(b, make([]byte, max(0, 60-len(b)))...)
}

// ipv4 is a header without options before a payload; fragment is the field of flags and offset.
func ipv4(protocol byte, fragment uint16, payload []byte) []byte {
	b := []byte{0x45, 0, 0, 0, 0, 7, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2}
	binary.BigEndian.PutUint16(b[2:], uint16(20+len(payload)))
	binary.BigEndian.PutUint16(b[6:], fragment)
	var sum uint32
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	binary.BigEndian.PutUint16(b[10:], ^uint16(sum+sum>>16))
	return append(b, payload...)
}

func ipv6(next byte, payload []byte) []byte {
	b := make([]byte, 40)
	b[0], b[6], b[7], b[8], b[23], b[24], b[39] = 0x60, next, 64, 0xfd, 1, 0xfd, 2
	binary.BigEndian.PutUint16(b[4:], uint16(len(payload)))
	return append(b, payload...)
}

func tcp(data int) []byte {
	b := []byte{0xc0, 0, 1, 187, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 1, 0, 0, 0, 0, 0}
	return append(b, make([]byte, data)...)
}

func udp(data int) []byte {
	b := []byte{0xc0, 0, 0x13, 0x88, 0, 0, 0, 0}
	binary.BigEndian.PutUint16(b[4:], uint16(8+data))
	return append(b, make([]byte, data)...)
}

const (
	typeIPv4 = 0x0800
	typeIPv6 = 0x86dd
	more     = 1 << 13
)

// mix are the frames on which the programs differ, and what each says: TCP or not, for dpkt, Scapy, tshark.
var mix = []struct {
	name                string
	frame               []byte
	dpkt, scapy, tshark bool
}{
	{"TCP over IPv4", ethernet(typeIPv4, ipv4(6, 0, tcp(40))), true, true, true},
	{"UDP over IPv4", ethernet(typeIPv4, ipv4(17, 0, udp(40))), false, false, false},
	{"TCP over IPv6", ethernet(typeIPv6, ipv6(6, tcp(40))), false, true, true},
	{"UDP over IPv6", ethernet(typeIPv6, ipv6(17, udp(40))), false, false, false},
	{"ARP", ethernet(0x0806, make([]byte, 46)), false, false, false},
	{"TCP with a VLAN tag", ethernet(0x8100, []byte{0, 5, 8, 0}, ipv4(6, 0, tcp(40))), true, true, true},
	// tshark puts the datagram together in the frame of its last fragment.
	{"first fragment of TCP", ethernet(typeIPv4, ipv4(6, more, tcp(28))), true, true, false},
	{"last fragment of TCP", ethernet(typeIPv4, ipv4(6, 6, make([]byte, 40))), true, false, true},
	{"ICMP error with TCP in it", ethernet(typeIPv4, ipv4(1, 0, append([]byte{3, 1, 0, 0, 0, 0, 0, 0}, ipv4(6, 0, tcp(0))...))),
		false, false, true},
	{"no frame at all", []byte{1, 2, 3}, false, false, false},
}

func find(t testing.TB, name string) Program {
	t.Helper()
	for _, p := range Programs() {
		if p.Name != name {
			continue
		}
		version, err := p.Find(context.Background())
		var missing *MissingError
		if errors.As(err, &missing) {
			t.Skipf("skipped: %v", err)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %s", name, version)
		return p
	}
	t.Fatalf("there is no %s", name)
	return Program{}
}

func TestProgramsCountAsTheScripts(t *testing.T) {
	for _, known := range Programs() {
		t.Run(known.Name, func(t *testing.T) {
			p := find(t, known.Name)
			var of [][]byte
			var want uint64
			for _, m := range mix {
				of = append(of, m.frame)
				// PyShark looks at the layers of the packet itself, tshark's fields are of what is inside an ICMP error too.
				is := m.tshark && (p.Name == "tshark" || m.name[:4] != "ICMP")
				switch p.Name {
				case "dpkt":
					is = m.dpkt
				case "scapy":
					is = m.scapy
				}
				if is {
					want++
				}
			}
			const times = 30
			for _, pacer := range []replay.Pacer{nil, pps(t, 500)} {
				ctx := context.Background()
				ps, err := p.Start(ctx, Config{})
				if err != nil {
					t.Fatal(err)
				}
				defer ps.Close()
				cfg := replay.Config{Pacer: pacer, Queue: replay.Queue{Frames: 1000}, Drain: patience}
				r, err := ps.Run(ctx, cfg, &frames{of: of, link: parse.LinkEthernet, count: times * len(of)})
				if err != nil {
					t.Fatal(err)
				}
				o, err := ps.Finish(ctx, patience)
				if err != nil {
					t.Fatal(err)
				}
				n := uint64(times * len(of))
				if o.Packets != n || o.TCP != want*times || !o.TCPKnown || r.Served != n || o.Admitted != n || len(o.Warnings) > 0 ||
					o.Counter != p.Counter {
					t.Errorf("want %d packets, %d TCP: %+v", n, want*times, o)
				}
				if err := ps.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// Each frame of the mix alone, by the programs that are quick enough to start.
func TestProgramsByFrame(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: many starts of a program")
	}
	for _, name := range []string{"dpkt", "tshark", "scapy"} {
		t.Run(name, func(t *testing.T) {
			p := find(t, name)
			for i, m := range mix {
				of, want := [][]byte{m.frame}, map[string]bool{"dpkt": m.dpkt, "tshark": m.tshark, "scapy": m.scapy}[name]
				if strings.HasPrefix(m.name, "last fragment") {
					of = append([][]byte{mix[i-1].frame}, of...)
					want = want || name == "dpkt" || name == "scapy"
				}
				ps, err := p.Start(context.Background(), Config{})
				if err != nil {
					t.Fatal(err)
				}
				defer ps.Close()
				if _, err := ps.Run(context.Background(), replay.Config{}, &frames{of: of, link: 1, count: len(of)}); err != nil {
					t.Fatal(err)
				}
				o, err := ps.Finish(context.Background(), patience)
				if err != nil || o.Packets != uint64(len(of)) || (o.TCP > 0) != want {
					t.Errorf("%s: %v, %+v; TCP wanted: %v", m.name, err, o.Counts, want)
				}
				if err := ps.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func frame300() []byte { return ethernet(typeIPv4, ipv4(6, 0, tcp(300-14-40))) }

// BenchmarkPipe compares the closed loop into tcpdump with cat FILE | tcpdump, in turns, and says what the feeder costs.
func BenchmarkPipe(b *testing.B) {
	tcpdump, err := exec.LookPath("tcpdump")
	if err != nil {
		b.Skip("skipped: no tcpdump: apt install tcpdump")
	}
	const count = 1_000_000
	name := filepath.Join(b.TempDir(), "frames.pcap")
	file, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	w, err := pcapio.NewWriter(file, pcapio.WriterConfig{})
	if err != nil {
		b.Fatal(err)
	}
	source := func() *frames { return &frames{of: [][]byte{frame300()}, link: parse.LinkEthernet, count: count} }
	var f parse.Frame
	for s := source(); s.Next(&f) == nil; {
		if err := w.WriteFrame(&f); err != nil {
			b.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), file.Close()); err != nil {
		b.Fatal(err)
	}
	for _, pipe := range []int{1 << 20, 64 << 10} {
		b.Run(fmt.Sprintf("%dKiB", pipe>>10), func(b *testing.B) {
			p, err := Command("tcpdump=sh -c '" + tcpdump + " -r - -w /dev/null 2>/dev/null; echo 0'")
			if err != nil {
				b.Fatal(err)
			}
			var ours, cpu, peer time.Duration
			for b.Loop() {
				start := time.Now()
				cmd := exec.Command("sh", "-c", "cat "+name+" | "+tcpdump+" -r - -w /dev/null 2>/dev/null")
				if err := cmd.Run(); err != nil {
					b.Fatal(err)
				}
				peer += time.Since(start)
				ps, err := p.Start(context.Background(), Config{PipeOctets: pipe})
				if err != nil {
					b.Fatal(err)
				}
				r, err := ps.Run(context.Background(), replay.Config{}, source())
				if err != nil {
					b.Fatal(err)
				}
				o, err := ps.Finish(context.Background(), time.Minute)
				if err != nil {
					b.Fatal(err)
				}
				ours += r.Elapsed
				cpu += time.Duration(*o.Usage.FeederCPUNs)
				if err := ps.Close(); err != nil {
					b.Fatal(err)
				}
			}
			frames := float64(b.N) * count
			b.ReportMetric(frames/ours.Seconds()/1e6, "Mpps")
			b.ReportMetric(frames/peer.Seconds()/1e6, "peer-Mpps")
			b.ReportMetric(peer.Seconds()/ours.Seconds(), "x-peer")
			b.ReportMetric(float64(cpu)/frames, "feeder-ns/frame")
		})
	}
}

// BenchmarkPrograms runs each program in a closed loop for two seconds on frames of 300 octets.
func BenchmarkPrograms(b *testing.B) {
	for _, known := range Programs() {
		b.Run(known.Name, func(b *testing.B) {
			p := find(b, known.Name)
			var n uint64
			var elapsed, start time.Duration
			var cpu, children, startCPU int64
			for b.Loop() {
				ps, err := p.Start(context.Background(), Config{})
				if err != nil {
					b.Fatal(err)
				}
				r, err := ps.Run(context.Background(), replay.Config{Duration: 2 * time.Second}, &frames{of: [][]byte{frame300()}, link: 1})
				if err != nil {
					b.Fatal(err)
				}
				o, err := ps.Finish(context.Background(), time.Minute)
				if err != nil {
					b.Fatal(err)
				}
				n += r.Delivered
				elapsed += r.Elapsed
				u := o.Usage
				start += time.Duration(u.StartUp.WallNs)
				startCPU += u.StartUp.CPUNs + u.StartUp.ChildrenCPUNs
				cpu += u.Whole.CPUNs
				children += u.Whole.ChildrenCPUNs
				if err := ps.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)/elapsed.Seconds(), "pps")
			b.ReportMetric(float64(cpu)/float64(n)/1e3, "us-own/pkt")
			b.ReportMetric(float64(children)/float64(n)/1e3, "us-children/pkt")
			b.ReportMetric(start.Seconds()/float64(b.N), "start-s")
			b.ReportMetric(float64(startCPU)/float64(b.N)/1e9, "start-cpu-s")
		})
	}
}

// A script of the user's that has the name of a library must be neither run nor measured.
func TestNoModuleFromTheCurrentFolder(t *testing.T) {
	p := find(t, "dpkt")
	t.Chdir(t.TempDir())
	if err := os.WriteFile("dpkt.py", []byte("open('was-run', 'w')\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, known := range Programs() {
		if known.Name == p.Name {
			if _, err := known.Find(t.Context()); err != nil {
				t.Error(err)
			}
			ps, err := known.Start(t.Context(), Config{})
			if err != nil {
				t.Fatal(err)
			}
			if err := ps.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	if _, err := os.Stat("was-run"); err == nil {
		t.Error("dpkt.py of the current folder was run")
	}
}
