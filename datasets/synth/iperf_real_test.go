package synth_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"pcaplab/datasets/pcapio"
	"pcaplab/datasets/synth"
	"pcaplab/parse"
)

// hosts are two network namespaces on a cable of which neither end cuts or joins segments.
type hosts struct {
	t              *testing.T
	client, server string
}

const serverAddr = "10.76.31.2"

func newHosts(t *testing.T, programs ...string) hosts {
	t.Helper()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	for _, p := range append(programs, "ip", "tcpdump") {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("%s is not installed", p)
		}
	}
	id := strconv.Itoa(os.Getpid())
	h := hosts{t, "pcaplab-c" + id, "pcaplab-s" + id}
	if out, err := exec.Command("ip", "netns", "add", h.client).CombinedOutput(); err != nil {
		t.Skipf("cannot make network namespaces: %s", out)
	}
	t.Cleanup(func() {
		_ = exec.Command("ip", "netns", "del", h.client).Run()
		_ = exec.Command("ip", "netns", "del", h.server).Run()
	})
	for _, line := range []string{
		"netns add " + h.server,
		"-n " + h.client + " link add v0 type veth peer name v0 netns " + h.server,
		"-n " + h.client + " addr add 10.76.31.1/24 dev v0",
		"-n " + h.server + " addr add " + serverAddr + "/24 dev v0",
		"-n " + h.client + " link set v0 up",
		"-n " + h.server + " link set v0 up",
		"-n " + h.client + " link set lo up",
		"-n " + h.server + " link set lo up",
	} {
		if out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil {
			t.Skipf("ip %s: %s", line, out)
		}
	}
	// Without this, what a capture sees are segments that no Ethernet carries.
	for _, ns := range []string{h.client, h.server} {
		out, err := exec.Command("ip", "netns", "exec", ns, "ethtool", "-K", "v0", "tx", "off", "tso", "off", "gso", "off",
			"gro", "off").CombinedOutput()
		if err != nil {
			t.Skipf("ethtool: %v %s", err, out)
		}
	}
	return h
}

// run returns a command in a namespace that ends with the test.
func run(ctx context.Context, ns string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", ns}, args...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// capture returns what the client's interface sees while do runs, headers only.
func (h hosts) capture(device string, do func(ctx context.Context)) []parse.Frame {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	path := filepath.Join(h.t.TempDir(), "real.pcap")
	sniffing, stop := context.WithCancel(ctx)
	defer stop()
	sniffer := run(sniffing, h.client, "tcpdump", "-i", device, "-w", path, "-s", "96", "-B", "16384", "--immediate-mode", "-U",
		"-Z", "root", "--nano", "ip")
	stderr, err := sniffer.StderrPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	if err := sniffer.Start(); err != nil {
		h.t.Skipf("tcpdump: %v", err)
	}
	line := make([]byte, 256)
	n, _ := stderr.Read(line) // "listening on"
	go func() { _, _ = io.Copy(io.Discard, stderr) }()
	time.Sleep(200 * time.Millisecond)
	do(ctx)
	time.Sleep(500 * time.Millisecond)
	stop()
	_ = sniffer.Wait()

	file, err := os.Open(path)
	if err != nil {
		h.t.Skipf("tcpdump captured nothing: %s", line[:n])
	}
	defer file.Close()
	r, err := pcapio.NewReader(file, path)
	if err != nil {
		h.t.Fatal(err)
	}
	defer r.Close()
	var frames []parse.Frame
	var f parse.Frame
	for r.Next(&f) == nil {
		f.Data = bytes.Clone(f.Data)
		frames = append(frames, f)
	}
	return frames
}

// tally is what a test of iperf3 is made of. Sizes are of frames with test data.
type tally struct {
	data, octets, control, acks, fragments int
	sizes                                  map[int]int
	first, last                            int64
	headers                                map[string]int // of datagrams with test data: IPv4 without length, id and checksum
}

func tallyOf(t *testing.T, frames []parse.Frame) tally {
	t.Helper()
	c := tally{sizes: map[int]int{}, headers: map[string]int{}}
	var control uint16
	for i := range frames {
		f := &frames[i]
		var p parse.Packet
		if err := (parse.Direct{}).Parse(f, &p); err != nil {
			t.Fatal(err)
		}
		ip := f.Data[14:]
		total := int(binary.BigEndian.Uint16(ip[2:]))
		payload := total + 14 - p.HeaderLen
		isData := false
		switch {
		case p.Layers.Has(parse.LayerFragmentRest):
			c.fragments++
		case p.Layers.Has(parse.LayerUDP):
			if isData = payload > 4; !isData {
				c.control++
			} else {
				h := bytes.Clone(ip[:12])
				clear(h[2:6])
				clear(h[10:])
				c.headers[fmt.Sprintf("%x", h)]++
			}
		case p.Layers.Has(parse.LayerTCP):
			port := p.Tuple.SrcPort
			if port == 5201 {
				port = p.Tuple.DstPort
			}
			if control == 0 {
				control = port
			}
			switch {
			case port == control || p.TCPFlags&(parse.TCPSyn|parse.TCPFin) != 0:
				c.control++
			case payload > 0 && (payload > 37 || c.data > 0):
				isData = true
			case c.data == 0:
				c.control++
			default:
				c.acks++
			}
		}
		if isData {
			c.data++
			c.octets += payload
			c.sizes[f.WireLen]++
			if c.first == 0 {
				c.first = f.UnixNano
			}
			c.last = f.UnixNano
		}
	}
	return c
}

func made(t *testing.T, s synth.Stream) []parse.Frame {
	t.Helper()
	src, err := s.Open(1)
	if err != nil {
		t.Fatal(err)
	}
	var frames []parse.Frame
	var f parse.Frame
	for src.Next(&f) == nil {
		f.Data = bytes.Clone(f.Data)
		frames = append(frames, f)
	}
	return frames
}

func near(got, want, tolerance int) bool { return got >= want-tolerance && got <= want+tolerance }

// What a Stream makes is what iperf3 sends. Datagrams may differ by what a late last wake-up on a busy machine costs. How often a
// real receiver acknowledges depends on its scheduling, so that acknowledgements of data are only logged.
func TestStreamAgainstIperf3(t *testing.T) {
	h := newHosts(t, "iperf3")
	version, err := exec.Command("iperf3", "--version").Output()
	if err != nil || !bytes.HasPrefix(version, []byte("iperf 3.12")) {
		t.Skipf("not iperf 3.12: %q", version)
	}
	const two = 2 * time.Second
	for _, tt := range []struct {
		name string
		s    synth.Stream
		args string
		data int // tolerance of the number of data frames: for datagrams, what 20 ms carry
	}{
		{"udp", synth.Stream{Kind: "udp", Link: "ethernet", Rate: 1e6, Duration: two}, "-u -b 1M -t 2", 2},
		{"udp small", synth.Stream{Kind: "udp", Link: "ethernet", Rate: 5e6, Payload: 328, Duration: two},
			"-u -b 5M -l 328 -t 2", 40},
		{"udp blocks", synth.Stream{Kind: "udp", Link: "ethernet", Rate: 2e6, Payload: 148, Blocks: 1000},
			"-u -b 2M -l 148 -k 1000", 0},
		{"udp fragments", synth.Stream{Kind: "udp", Link: "ethernet", Rate: 2e6, Payload: 4000, Duration: two},
			"-u -b 2M -l 4000 -t 2", 2},
		{"udp loopback", synth.Stream{Kind: "udp", Link: "loopback", Rate: 5e6, Duration: two}, "-u -b 5M -t 2", 1},
		{"tcp", synth.Stream{Kind: "tcp", Link: "ethernet", Rate: 10e6, Duration: two}, "-b 10M -t 2", 100},
		{"tcp loopback", synth.Stream{Kind: "tcp", Link: "loopback", Rate: 50e6, Duration: two}, "-b 50M -t 2", 40},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := h
			h.t = t
			device, at, to := "v0", h.server, serverAddr
			if tt.s.Link == "loopback" {
				device, at, to = "lo", h.client, "127.0.0.1"
			}
			frames := h.capture(device, func(ctx context.Context) {
				server := run(ctx, at, "iperf3", "-s", "-1", "-B", to)
				if err := server.Start(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(300 * time.Millisecond) // until it listens
				args := append([]string{"iperf3", "-c", to}, strings.Fields(tt.args)...)
				if out, err := run(ctx, h.client, args...).CombinedOutput(); err != nil {
					t.Errorf("iperf3: %v\n%s", err, out)
				}
				_ = server.Wait()
			})
			if t.Failed() {
				return
			}
			sent, ours := tallyOf(t, frames), tallyOf(t, made(t, tt.s))
			t.Logf("iperf3: %d data, %d octets, %d control, %d acks, %d fragments, sizes %v", sent.data, sent.octets, sent.control,
				sent.acks, sent.fragments, sent.sizes)
			t.Logf("stream: %d data, %d octets, %d control, %d acks, %d fragments, sizes %v", ours.data, ours.octets, ours.control,
				ours.acks, ours.fragments, ours.sizes)
			if !near(sent.data, ours.data, tt.data) {
				t.Errorf("%d frames with data, iperf3 sent %d", ours.data, sent.data)
			}
			if !near(sent.control, ours.control, 6) {
				t.Errorf("%d frames of control, iperf3 had %d", ours.control, sent.control)
			}
			if tt.s.Kind == "tcp" {
				if !near(sent.octets, ours.octets, 131072) {
					t.Errorf("%d octets, iperf3 sent %d", ours.octets, sent.octets)
				}
				for size, n := range ours.sizes {
					if !near(sent.sizes[size], n, tt.data) {
						t.Errorf("%d frames of %d octets, iperf3 sent %d", n, size, sent.sizes[size])
					}
				}
			} else {
				if len(sent.sizes) != 1 || len(ours.sizes) != 1 {
					t.Errorf("sizes %v, of iperf3 %v", ours.sizes, sent.sizes)
				}
				for size := range ours.sizes {
					if sent.sizes[size] == 0 {
						t.Errorf("frames of %d octets, of iperf3 %v", size, sent.sizes)
					}
				}
				for head := range sent.headers {
					if len(sent.headers) != 1 || ours.headers[head] == 0 {
						t.Errorf("IPv4 headers %v, of iperf3 %v", ours.headers, sent.headers)
					}
				}
				if sent.data*ours.fragments != ours.data*sent.fragments {
					t.Errorf("%d fragments after the first, of iperf3 %d", ours.fragments, sent.fragments)
				}
			}
			rate := func(c tally) float64 { return float64(c.octets) * 8e9 / float64(c.last-c.first) }
			if r, o := rate(sent), rate(ours); r < 0.8*o || r > 1.25*o {
				t.Errorf("%.0f bit/s, of iperf3 %.0f", o, r)
			}
		})
	}
}

// A frame of netwox differs from one of a Stream only in what is random, in addresses and in checksums.
func TestStreamAgainstNetwox(t *testing.T) {
	h := newHosts(t, "netwox")
	frames := h.capture("v0", func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_ = run(ctx, h.client, "netwox", "76", "-i", serverAddr, "-p", "5201").Run()
	})
	fixed := func(f parse.Frame) string {
		d := bytes.Clone(f.Data)
		clear(d[0:6])   // the target's MAC address
		clear(d[18:20]) // identification
		clear(d[24:36]) // checksum, addresses, source port
		clear(d[38:42]) // sequence number
		clear(d[50:52]) // checksum
		return fmt.Sprintf("%d octets %x", f.WireLen, d)
	}
	ours := map[string]bool{}
	for _, f := range made(t, synth.Stream{Kind: "syn", Link: "ethernet", Rate: 1e5, Blocks: 100}) {
		ours[fixed(f)] = true
	}
	n := 0
	for _, f := range frames {
		if len(f.Data) < 54 || binary.BigEndian.Uint16(f.Data[36:]) != 5201 || f.Data[23] != 6 {
			continue // what the target answers, and the neighbours
		}
		if n++; !ours[fixed(f)] {
			t.Fatalf("netwox sent %s, a stream has %v", fixed(f), ours)
		}
	}
	if n == 0 {
		t.Skip("netwox sent nothing")
	}
	t.Logf("%d frames of netwox", n)
}
