//go:build linux

package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"pcaplab/datasets/pcapio"
	"pcaplab/parse"
	"pcaplab/replay/netlab"
	"pcaplab/replay/receive"
	"pcaplab/replay/split"
)

// wires is a network namespace with two veth pairs of its own, a0-a1 and b0-b1.
type wires struct {
	*netlab.Lab
}

func newWires(t *testing.T) wires {
	t.Helper()
	lab, err := netlab.New(netlab.Config{})
	if errors.Is(err, netlab.ErrNotPermitted) && os.Getenv("PCAPLAB_REQUIRE_ROOT") != "1" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := lab.Close(); err != nil {
			t.Error(err)
		}
	})
	w := wires{lab}
	w.do(t, func() error {
		for _, pair := range []string{"a", "b"} {
			err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: pair + "0", MTU: 1500, TxQLen: 1000}, PeerName: pair + "1", PeerMTU: 1500})
			if err != nil {
				return err
			}
			for _, name := range []string{pair + "0", pair + "1"} {
				link, err := netlink.LinkByName(name)
				if err == nil {
					err = netlink.LinkSetUp(link)
				}
				if err != nil {
					return err
				}
			}
		}
		return nil
	})
	return w
}

// do runs f in the namespace of the pairs.
func (w wires) do(t *testing.T, f func() error) {
	t.Helper()
	if err := w.Do(netlab.Sender, f); err != nil {
		t.Fatal(err)
	}
}

func (w wires) facts(t *testing.T, name string) (facts netlab.Facts) {
	t.Helper()
	w.do(t, func() (err error) {
		facts, err = netlab.Link(name)
		if errors.Is(err, netlab.ErrDown) {
			err = nil
		}
		return err
	})
	return facts
}

// replaying is the program under way in the namespace of the pairs.
type replaying struct {
	*exec.Cmd
	in             io.WriteCloser
	stdout, stderr bytes.Buffer
}

// start starts the program with what stdin holds; with nil its standard input is a pipe to the test.
func (w wires) start(t *testing.T, stdin io.Reader, env []string, args ...string) *replaying {
	t.Helper()
	p := &replaying{Cmd: exec.Command(os.Args[0], append([]string{"replay"}, args...)...)}
	p.Env = append(append(os.Environ(), "PCAPLAB_TEST_PROGRAM=1"), env...)
	p.Stdout, p.Stderr, p.Stdin = &p.stdout, &p.stderr, stdin
	if stdin == nil {
		in, err := p.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		p.in = in
	}
	if err := w.Start(netlab.Sender, p.Cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Process.Kill() })
	return p
}

// end waits for the program and returns its exit code.
func (p *replaying) end(t *testing.T) int {
	t.Helper()
	timer := time.AfterFunc(time.Minute, func() { _ = p.Process.Kill() })
	defer timer.Stop()
	if err := p.Wait(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	return p.ProcessState.ExitCode()
}

// replay runs the program and returns what it printed.
func (w wires) replay(t *testing.T, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	p := w.start(t, strings.NewReader(""), nil, args...)
	if code := p.end(t); code != want {
		t.Fatalf("%v: exit code %d, want %d\n%s%s", args, code, want, &p.stdout, &p.stderr)
	}
	return p.stdout.String(), p.stderr.String()
}

// receiving takes frames that arrive at an interface, until nothing has for a second after end is closed.
func (w wires) receiving(t *testing.T, name string) (frames func() [][]byte) {
	t.Helper()
	ready, ended, out := make(chan error), make(chan struct{}), make(chan [][]byte, 1)
	go func() {
		var got [][]byte
		err := w.Do(netlab.Sender, func() error {
			r, err := receive.Open(receive.Config{Interface: name, Blocks: 64, Wait: 100 * time.Millisecond, Promiscuous: true})
			ready <- err
			if err != nil {
				return err
			}
			defer r.Close()
			var f parse.Frame
			for {
				switch err := r.Next(&f); {
				case errors.Is(err, receive.ErrTimeout):
					select {
					case <-ended:
						return nil
					default:
					}
				case err != nil:
					return err
				default:
					got = append(got, bytes.Clone(f.Data))
				}
			}
		})
		if err != nil {
			t.Error(err)
		}
		out <- got
	}()
	if err := <-ready; err != nil {
		t.Fatal(err)
	}
	return func() [][]byte {
		close(ended)
		return <-out
	}
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for begin := time.Now(); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Since(begin) > 30*time.Second {
			t.Fatalf("never: %s", what)
		}
	}
}

// TestReplayVerified sends with every backend and timing, and has the program compare what arrives.
func TestReplayVerified(t *testing.T) {
	w := newWires(t)
	in := write(t, filepath.Join(t.TempDir(), "in"), captureOf(t, 400, pcapio.WriterConfig{Nano: true}, nil))
	for _, args := range []string{
		"-t", "-t -K -l 20", "-p 20k", "-p 20k -K -l 2 --spin off", "-p 20k -T gtod", "-p 20k -T nano --pattern poisson", "-M 80", "-x 100", "-t --unique-ip -l 5 --ttl 9 --fixcsum",
		"-t --backend sendto", "-t --backend sendmmsg --batch 7", "-t --backend txring", "-t --backend xdp", "-t --qdisc", "-p 5k --cpu 0 --fifo 1 --late 1ms -L 300",
		"-p 10k --pps-multi 50 --max-pps 50k --duration 20ms", "-t --merge " + in,
	} {
		t.Run(args, func(t *testing.T) {
			before := w.facts(t, "a1").Counters
			stdout, _ := w.replay(t, ExitDone, append([]string{"-i", "a0", "--verify", "--json", in}, strings.Fields(args)...)...)
			p := reconciled(t, stdout)
			got := w.facts(t, "a1").Counters.Sub(before)
			if p.Verified == nil || !p.Verified.OK() || p.Verified.Sent != p.Result.Sent || got.RxFrames != p.Result.Sent || got.RxOctets != p.Result.Octets || p.Result.Sent == 0 ||
				p.Result.Links[0].TxFrames != p.Result.Sent || p.Error != "" {
				t.Errorf("%+v: %s", got, stdout)
			}
		})
	}
	stdout, _ := w.replay(t, ExitDone, "-i", "a0", "-t", "--verify", in)
	if !strings.Contains(stdout, "verified: all 400 frames arrived octet for octet and in order") {
		t.Error(stdout)
	}
}

// TestReplayNotVerified: what is lost on the way, or goes elsewhere, is an error.
func TestReplayNotVerified(t *testing.T) {
	w := newWires(t)
	const long = 4
	in := write(t, filepath.Join(t.TempDir(), "in"), captureOf(t, 400, pcapio.WriterConfig{Nano: true}, func(i int, f *parse.Frame) {
		f.Data = f.Data[:min(len(f.Data), 600)]
		if i%100 == 7 {
			f.Data = append(bytes.Clone(f.Data), make([]byte, 700)...)
		}
		f.WireLen = len(f.Data)
	}))
	w.do(t, func() error {
		link, err := netlink.LinkByName("a1")
		if err != nil {
			return err
		}
		return netlink.LinkSetMTU(link, 600) // longer ones are dropped on the way
	})
	stdout, stderr := w.replay(t, ExitFailed, "-i", "a0", "-t", "--verify", in)
	if want := fmt.Sprintf("NOT verified: of 400 frames sent %d arrived in order, 0 out of order, %d are missing", 400-long, long); !strings.Contains(stderr, want) || strings.Contains(stdout, "verified:") {
		t.Errorf("said %q, want %q", stderr, want)
	}
	stdout, stderr = w.replay(t, ExitFailed, "-i", "a0", "-t", "--json", "--verify=b1", in)
	if p := reconciled(t, stdout); p.Verified == nil || p.Verified.Missing != 400 || !strings.Contains(p.Error, "NOT verified") {
		t.Errorf("%s%s", stdout, stderr)
	}
	for _, c := range []struct{ iface, verify, want string }{
		{"a0", "=nowhere0", "--verify: "}, {"a0", "=a1@nowhere", "network namespace nowhere"}, {netlab.Sender.Interface(), "", "namespace without a name"}, {"lo", "", "the interface is down"},
	} {
		if _, stderr := w.replay(t, ExitFailed, "-i", c.iface, "-t", "--verify"+c.verify, in); !strings.Contains(stderr, c.want) {
			t.Errorf("--verify%s: %s", c.verify, stderr)
		}
	}
	// The other end in another namespace, named by the file of that.
	var space *os.File
	if err := w.Do(netlab.Receiver, func() (err error) {
		space, err = os.Open("/proc/thread-self/ns/net")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer space.Close()
	path := fmt.Sprintf("=%s@/proc/%d/fd/%d", netlab.Receiver.Interface(), os.Getpid(), space.Fd())
	if stdout, _ := w.replay(t, ExitDone, "-i", netlab.Sender.Interface(), "-t", "--verify"+path, in); !strings.Contains(stdout, "verified: all 400") {
		t.Error(stdout)
	}
}

// TestReplayTwoInterfaces: the cache file says which way a frame goes, and which do not.
func TestReplayTwoInterfaces(t *testing.T) {
	w := newWires(t)
	dir := t.TempDir()
	in := write(t, filepath.Join(dir, "in"), captureOf(t, 300, pcapio.WriterConfig{Nano: true}, nil))
	side := func(i int) (split.Side, bool) { return split.Side(i * i % 5 % 2), i%11 != 4 }
	cache := sidesOf(t, filepath.Join(dir, "cache"), 300, side)
	frames, _ := framesOf(t, read(t, in))
	var want [2][][]byte
	for range 2 {
		for i, f := range frames {
			if s, sent := side(i); sent {
				want[s] = append(want[s], f.Data)
			}
		}
	}
	for _, args := range []string{"-t", "-p 20k -K", "-t --backend sendto"} {
		t.Run(args, func(t *testing.T) {
			a, b := w.receiving(t, "a1"), w.receiving(t, "b1")
			stdout, _ := w.replay(t, ExitDone, append([]string{"-i", "a0", "-I", "b0", "-c", cache, "-l", "2", "--json", in}, strings.Fields(args)...)...)
			p := reconciled(t, stdout)
			for i, got := range [][][]byte{a(), b()} {
				if !slices.EqualFunc(got, want[i], bytes.Equal) {
					t.Errorf("interface %d got %d frames, want %d", i+1, len(got), len(want[i]))
				}
				if l := p.Result.Links[i]; l.TxFrames != uint64(len(want[i])) {
					t.Errorf("%+v", l)
				}
			}
			if p.Chosen.Excluded != uint64(600-len(want[0])-len(want[1])) {
				t.Errorf("%s", stdout)
			}
		})
	}
	stdout, _ := w.replay(t, ExitDone, "-i", "a0", "-I", "b0", "-c", cache, "-t", in)
	if !strings.Contains(stdout, "Statistics for network device: a0\n") || !strings.Contains(stdout, "Statistics for network device: b0\n") {
		t.Error(stdout)
	}
	short := sidesOf(t, filepath.Join(dir, "short"), 200, side)
	stdout, stderr := w.replay(t, ExitFailed, "-i", "a0", "-I", "b0", "-c", short, "-t", in)
	if !strings.Contains(stderr, "it was made from another capture") || !strings.Contains(stdout, "Actual: ") {
		t.Errorf("%s%s", stdout, stderr)
	}
	stdout, stderr = w.replay(t, ExitFailed, "-i", "a0", "-I", "b0", "-c", short, "-t", "-K", in)
	if !strings.Contains(stderr, "it was made from another capture") || stdout != "" {
		t.Errorf("%s%s", stdout, stderr)
	}
}

// block is what scripts look for at the end of tcpreplay's output.
var block = []*regexp.Regexp{
	regexp.MustCompile(`(?m)^Actual: (\d+) packets \((\d+) bytes\) sent in (\d+\.\d+) seconds\.?$`),
	regexp.MustCompile(`(?m)^Rated: (\d+\.\d) Bps, (\d+\.\d+) Mbps, (\d+\.\d\d) pps$`),
	regexp.MustCompile(`(?m)^Flows: (\d+) flows, (\d+\.\d\d) fps, (\d+) (?:unique )?flow packets, (\d+) (?:unique )?non-flow(?: packets)?$`),
	regexp.MustCompile(`(?m)^Statistics for network device: (\S+)$`),
	regexp.MustCompile(`(?m)^\tSuccessful packets: +(\d+)$`),
	regexp.MustCompile(`(?m)^\tFailed packets: +(\d+)$`),
	regexp.MustCompile(`(?m)^\tTruncated packets: +(\d+)$`),
	regexp.MustCompile(`(?m)^\tRetried packets \(ENOBUFS\): +(\d+)$`),
	regexp.MustCompile(`(?m)^\tRetried packets \(EAGAIN\): +(\d+)$`),
}

// parsed returns the groups of a block, one expression after another.
func parsed(t *testing.T, text string) (groups []string) {
	t.Helper()
	for _, r := range block {
		m := r.FindStringSubmatch(text)
		if m == nil {
			t.Fatalf("no %v in\n%s", r, text)
		}
		groups = append(groups, m[1:]...)
	}
	return groups
}

// TestReplayEndsAsTcpreplayDoes: the same expressions find the same counts in what both print.
func TestReplayEndsAsTcpreplayDoes(t *testing.T) {
	w := newWires(t)
	dir := t.TempDir()
	// IPv4 with TCP and UDP: what tcpreplay 4.4.3 takes for flows too.
	kept := 0
	src := captureOf(t, 600, pcapio.WriterConfig{}, nil)
	all, _ := framesOf(t, src)
	var b bytes.Buffer
	out, err := pcapio.NewWriter(&b, pcapio.WriterConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		if d := all[i].Data; len(d) > 34 && d[12] == 8 && d[13] == 0 && (d[23] == 6 || d[23] == 17) {
			kept++
			if err := out.WriteFrame(&all[i]); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := out.Close(); err != nil || kept < 300 {
		t.Fatal(kept, err)
	}
	flows, mixed := write(t, filepath.Join(dir, "flows.pcap"), b.Bytes()), write(t, filepath.Join(dir, "mixed.pcap"), src)
	for _, tt := range []struct {
		name, args string
		file       string
		flows      bool // counted alike
	}{
		{"once", "-t", flows, true},
		{"three times", "-t -l 3", flows, true},
		{"limit", "-t -L 77", flows, true},
		{"limit over passes", "-t -l 2 -L 900", flows, true},
		{"preloaded", "-K -p 20000", flows, true},
		{"bit rate", "-M 50", flows, true},
		{"faster", "-x 50", flows, true},
		{"other traffic", "-t", mixed, false}, // tcpreplay takes IPv6 for none
	} {
		t.Run(tt.name, func(t *testing.T) {
			args := append([]string{"-i", "a0", tt.file}, strings.Fields(tt.args)...)
			before := w.facts(t, "a1").Counters
			stdout, _ := w.replay(t, ExitDone, args...)
			ours := parsed(t, stdout)
			sent := w.facts(t, "a1").Counters.Sub(before)
			if ours[0] != strconv.FormatUint(sent.RxFrames, 10) || ours[1] != strconv.FormatUint(sent.RxOctets, 10) || ours[11] != ours[0] {
				t.Errorf("%+v: %v", sent, ours)
			}
			seconds, _ := strconv.ParseFloat(ours[2], 64)
			octets, _ := strconv.ParseFloat(ours[1], 64)
			rate, _ := strconv.ParseFloat(ours[3], 64)
			if math.Abs(rate*seconds-octets) > octets*0.01 {
				t.Errorf("%v bytes/s for %v s are not %v", rate, seconds, octets)
			}
			peer, err := exec.LookPath("tcpreplay")
			if err != nil {
				t.Skip("tcpreplay is not installed")
			}
			cmd := exec.Command(peer, append([]string{"-i", "a0"}, append(strings.Fields(tt.args), tt.file)...)...)
			var text bytes.Buffer
			cmd.Stdout, cmd.Stderr = &text, &text
			if err := w.Start(netlab.Sender, cmd); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err != nil {
				t.Fatalf("%v\n%s", err, &text)
			}
			theirs := parsed(t, text.String())
			for _, at := range []struct {
				i    int
				what string
				same bool
			}{{0, "packets", true}, {1, "bytes", true}, {6, "flows", tt.flows}, {8, "flow packets", tt.flows}, {9, "non-flow packets", tt.flows}, {10, "device", true}, {11, "successful", true},
				{12, "failed", true}, {13, "truncated", true}} {
				if at.same && ours[at.i] != theirs[at.i] {
					t.Errorf("%s: %s, tcpreplay %s", at.what, ours[at.i], theirs[at.i])
				} else if ours[at.i] != theirs[at.i] {
					t.Logf("%s: %s, tcpreplay %s", at.what, ours[at.i], theirs[at.i])
				}
			}
		})
	}
}

// TestReplayRefuses: what cannot be sent on is said, with what to do.
func TestReplayRefuses(t *testing.T) {
	w := newWires(t)
	dir := t.TempDir()
	raw := captureOf(t, 30, pcapio.WriterConfig{Nano: true}, nil)
	in := write(t, filepath.Join(dir, "in"), raw)
	ip := write(t, filepath.Join(dir, "ip"), captureOf(t, 5, pcapio.WriterConfig{Link: parse.LinkRaw}, func(_ int, f *parse.Frame) {
		f.Data, f.WireLen, f.Link = f.Data[14:], f.WireLen-14, parse.LinkRaw
	}))
	late := write(t, filepath.Join(dir, "late"), captureOf(t, 30, pcapio.WriterConfig{Container: pcapio.PcapNG, Nano: true}, func(i int, f *parse.Frame) {
		if i == 20 {
			f.Data, f.WireLen, f.Link = f.Data[14:], f.WireLen-14, parse.LinkRaw
		}
	}))
	long := write(t, filepath.Join(dir, "long"), captureOf(t, 30, pcapio.WriterConfig{Nano: true}, func(i int, f *parse.Frame) {
		if i == 9 {
			f.Data = append(bytes.Clone(f.Data), make([]byte, 3000)...)
			f.WireLen = len(f.Data)
		}
	}))
	cut := write(t, filepath.Join(dir, "cut"), raw[:len(raw)-5])
	w.do(t, func() error {
		link, err := netlink.LinkByName("b0")
		if err == nil {
			err = netlink.LinkSetDown(link)
		}
		return err
	})
	for _, tt := range []struct {
		name, args string
		sent       int // -1: no block
		want       string
	}{
		{"unknown interface", "-i nowhere0 " + in, -1, `"nowhere0": no such interface: there are`},
		{"interface down", "-i b0 " + in, -1, "set it up with 'ip link set b0 up'"},
		{"peer down", "-i b1 " + in, -1, "b1: the interface is down"},
		{"second interface down", "-i a0 -I b0 -c " + sidesOf(t, filepath.Join(dir, "cache"), 30, func(int) (split.Side, bool) { return 0, true }) + " " + in, -1, "b0: the interface is down"},
		{"link type", "-i a0 -t " + ip, 0, ip + ": packet 1: frame 1 is of link type 101, a0 takes 1: convert it with --dlt enet --enet-dmac MAC --enet-smac MAC"},
		{"link type, later", "-i a0 -t " + late, 20, late + ": packet 21: frame 21 is of link type 101"},
		{"link type, second capture", "-i a0 -t --exclude 1-10 " + in + " " + ip, 20, ip + ": packet 31 of the pass: frame 21 is of link type 101"},
		{"frame above the MTU", "-i a0 -t " + long, 9, long + ": packet 10: frame 10 has "},
		{"damage", "-i a0 -t " + cut, 29, cut + ": record 30 at offset"},
		{"damage in the second capture", "-i a0 -p 5k " + in + " " + cut, 59, cut + ": record 30 at offset"},
		{"damage, one by one", "-i a0 -t --backend sendto " + cut, 29, cut + ": record 30"},
		{"damage, merged", "-i a0 -t --merge " + in + " " + cut, 58, cut + ": record 30"},
		{"damage, loaded", "-i a0 -t -K " + cut, -1, cut + ": record 30"},
		{"no such CPU", "-i a0 --cpu 900 " + in, -1, "run on CPU 900: invalid argument: there is, for this process, CPU "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := w.facts(t, "a1").Counters
			stdout, stderr := w.replay(t, ExitFailed, strings.Fields(tt.args)...)
			if !strings.Contains(stderr, tt.want) {
				t.Errorf("said %q, want %q", stderr, tt.want)
			}
			got := w.facts(t, "a1").Counters.Sub(before)
			if tt.sent < 0 {
				if stdout != "" || got.RxFrames != 0 {
					t.Errorf("sent: %+v, %s", got, stdout)
				}
				return
			}
			if want := fmt.Sprintf("pcaplab: sent %d packets, then ", tt.sent); !strings.Contains(stderr, want) || int(got.RxFrames) != tt.sent {
				t.Errorf("said %q, want %q; %d arrived", stderr, want, got.RxFrames)
			}
			if groups := parsed(t, stdout); groups[0] != strconv.Itoa(tt.sent) {
				t.Errorf("%s", stdout)
			}
		})
	}
	// What the errors say helps.
	for _, args := range []string{"--dlt enet --enet-dmac 02:00:00:00:00:02 --enet-smac 02:00:00:00:00:01 " + ip, "--oversize skip " + long, "--oversize truncate " + long, "--salvage " + cut} {
		stdout, _ := w.replay(t, ExitDone, append([]string{"-i", "a0", "-t", "--verify", "--json"}, strings.Fields(args)...)...)
		if p := reconciled(t, stdout); !p.Verified.OK() || p.Result.Sent == 0 {
			t.Errorf("%s: %s", args, stdout)
		}
	}
	t.Run("default route", func(t *testing.T) {
		w.do(t, func() error {
			link, err := netlink.LinkByName("a0")
			if err != nil {
				return err
			}
			return netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Scope: netlink.SCOPE_LINK, Dst: &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}})
		})
		stdout, stderr := w.replay(t, ExitFailed, "-i", "a0", "-t", in)
		if !strings.Contains(stderr, "a0") || !strings.Contains(stderr, "carries the default route") || !strings.Contains(stderr, "--really") || stdout != "" {
			t.Errorf("%s%s", stdout, stderr)
		}
		w.replay(t, ExitDone, "-i", "a0", "-t", "--really", in)
		if stdout, _ := w.replay(t, ExitDone, "--listnics"); !regexp.MustCompile(`(?m)^a0 +veth +1500 .*up, carries the default route`).MatchString(stdout) ||
			!regexp.MustCompile(`(?m)^b0 .*down`).MatchString(stdout) {
			t.Error(stdout)
		}
	})
	t.Run("no capability", func(t *testing.T) {
		cmd := exec.Command(os.Args[0], "replay", "-i", "a0", "-t", "--really", in)
		cmd.Env = append(os.Environ(), "PCAPLAB_TEST_PROGRAM=1")
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		w.do(t, func() error { // on a thread that ends; processes that it starts lack what it dropped
			if err := unix.Prctl(unix.PR_CAPBSET_DROP, unix.CAP_NET_RAW, 0, 0, 0); err != nil {
				return err
			}
			return cmd.Start()
		})
		if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != ExitFailed || !strings.Contains(stderr.String(), "setcap cap_net_raw") {
			t.Errorf("%v: %s", err, &stderr)
		}
	})
}

// TestReplayDurationOfARateThatIsTooHigh: the run ends with its duration, and what was due is said.
func TestReplayDurationOfARateThatIsTooHigh(t *testing.T) {
	w := newWires(t)
	in := write(t, filepath.Join(t.TempDir(), "in"), captureOf(t, 400, pcapio.WriterConfig{Nano: true}, nil))
	for _, tt := range []struct {
		args string
		due  uint64 // 0: unknown
	}{
		{"-p 100M --duration 0.2 -l 0 -K", 20_000_000},
		{"-p 100M --duration 0.2 -l 0", 20_000_000},
		{"-p 100M --duration 0.2 -l 30000 -K", 12_000_000},
		{"-M 100000 --duration 0.2 -l 0 -K", 0},
		{"-x 1e6 --duration 0.2 -l 0 -K", 0},
	} {
		t.Run(tt.args, func(t *testing.T) {
			stdout, _ := w.replay(t, ExitDone, append([]string{"-i", "a0", "--json", in}, strings.Fields(tt.args)...)...)
			r := reconciled(t, stdout).Result
			if due := r.Frames + r.Missed; r.Missed == 0 || r.Sent == 0 || tt.due > 0 && (due < tt.due-1 || due > tt.due+1) {
				t.Errorf("%d and %d missed, want %d", r.Frames, r.Missed, tt.due)
			}
		})
	}
	stdout, _ := w.replay(t, ExitDone, "-i", "a0", "-p", "100M", "--duration", "0.1", "-l", "0", "-K", in)
	if !regexp.MustCompile(`(?m)^Note: .* about \d+ packets that were due by then were not sent$`).MatchString(stdout) {
		t.Error(stdout)
	}
}

// TestReplayStops: a signal ends a run wherever it waits, on one processor too, and what was sent is said.
func TestReplayStops(t *testing.T) {
	w := newWires(t)
	dir := t.TempDir()
	raw := captureOf(t, 3000, pcapio.WriterConfig{Nano: true}, nil)
	in := write(t, filepath.Join(dir, "in"), raw)
	apart := write(t, filepath.Join(dir, "apart"), captureOf(t, 3, pcapio.WriterConfig{Nano: true}, func(i int, f *parse.Frame) { f.UnixNano = int64(i) * 1e13 }))
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, args string
		block      bool // printed
		first      []byte
	}{
		{"rate", "-p 500 -l 0 " + in, true, nil},
		{"rate, spinning", "-p 500 -l 0 --spin on " + in, true, nil},
		{"rate, sleeping", "-p 500 -l 0 --spin off " + in, true, nil},
		{"slow", "-p 0.01 " + in, true, nil},
		{"long gap", apart, true, nil},
		{"long gap, spinning", "--spin on " + apart, true, nil},
		{"pause", "-t -l 2 -L 3001 --loopdelay-ms 1000000 " + in, true, nil},
		{"top speed", "-t -l 0 -K " + in, true, nil},
		{"top speed, a frame a call", "-t -l 0 --backend sendto " + in, true, nil},
		{"top speed, ring", "-t -l 0 --backend txring " + in, true, nil},
		{"asked", "-o " + in, true, []byte("\n")},
		{"few of many", "-t -l 0 --include 3000 " + in, true, nil},
		{"standard input", "-t -", true, raw[:100000]},
		{"standard input, slowly", "-p 1 -", true, raw},
		{"pipe", "-t " + fifo, false, nil},
		{"pipe, slowly", "-p 1 " + fifo, true, nil},
		{"verifying", "-p 500 -l 0 --verify " + in, true, nil},
		{"statistics", "-p 500 -l 0 --stats 0.05 " + in, true, nil},
	} {
		for _, processors := range []string{"1", "2"} {
			t.Run(tt.name+"/GOMAXPROCS="+processors, func(t *testing.T) {
				before := w.facts(t, "a1").Counters
				p := w.start(t, nil, []string{"GOMAXPROCS=" + processors}, append([]string{"-i", "a0"}, strings.Fields(tt.args)...)...)
				feed := p.in
				if strings.Contains(tt.args, fifo) {
					f, err := os.OpenFile(fifo, os.O_WRONLY, 0)
					if err != nil {
						t.Fatal(err)
					}
					defer f.Close()
					feed = f
					tt.first = raw[:100000]
				}
				go feed.Write(tt.first) // may be longer than the pipe
				eventually(t, "a frame arrives", func() bool { return w.facts(t, "a1").Counters.Sub(before).RxFrames > 0 })
				begin := time.Now()
				if err := p.Process.Signal(os.Interrupt); err != nil {
					t.Fatal(err)
				}
				code := p.end(t)
				took := time.Since(begin)
				t.Logf("ended after %v", took)
				if code != ExitInterrupted || took > 10*time.Second || !strings.Contains(p.stderr.String(), "interrupted") {
					t.Errorf("exit code %d after %v: %s", code, took, &p.stderr)
				}
				if long := strings.HasPrefix(tt.name, "long gap"); long != regexp.MustCompile(`the next packet is due in 2h46m(40|[23]\d)s, as captured; --maxsleep limits waits\n`).MatchString(p.stderr.String()) {
					t.Errorf("said %s", &p.stderr)
				}
				if !tt.block {
					return
				}
				_, last, _ := strings.Cut(p.stdout.String()+"\n", "Flows: ") // behind --stats
				if groups := parsed(t, p.stdout.String()[strings.LastIndex(p.stdout.String(), "Actual: "):]); groups[0] != strconv.FormatUint(w.facts(t, "a1").Counters.Sub(before).RxFrames, 10) || last == "" {
					t.Errorf("%s", &p.stdout)
				}
			})
		}
	}
}

// TestReplayAsks: -o asks for each packet, and takes numbers.
func TestReplayAsks(t *testing.T) {
	w := newWires(t)
	in := write(t, filepath.Join(t.TempDir(), "in"), captureOf(t, 30, pcapio.WriterConfig{Nano: true}, nil))
	for _, tt := range []struct {
		name, answers string
		sent, asked   int
	}{
		{"one", "\nq\n", 1, 2},
		{"some", "5\n\n3\nq\n", 9, 4},
		{"nonsense is asked again", "x\n-1\n0\n\nq\n", 1, 5},
		{"all the rest", "2\nc\n", 30, 2},
		{"none", "q\n", 0, 1},
		{"end of input", "4\n", 4, 2},
		{"more than there are", "100\n", 30, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := w.start(t, strings.NewReader(tt.answers), nil, "-i", "a0", "-o", "--json", in)
			if code := p.end(t); code != ExitDone {
				t.Fatalf("exit code %d: %s", code, &p.stderr)
			}
			r := reconciled(t, p.stdout.String())
			if asked := strings.Count(p.stderr.String(), "send it?"); int(r.Result.Sent) != tt.sent || asked != tt.asked || r.Result.Links[0].TxFrames != uint64(tt.sent) {
				t.Errorf("sent %d, asked %d times", r.Result.Sent, asked)
			}
			if tt.name == "some" && (!strings.Contains(p.stderr.String(), "packet 6, ") || r.Chosen.Held != 1) {
				t.Errorf("%s%s", &p.stderr, &p.stdout)
			}
		})
	}
}

func TestReplayStats(t *testing.T) {
	w := newWires(t)
	in := write(t, filepath.Join(t.TempDir(), "in"), captureOf(t, 100, pcapio.WriterConfig{Nano: true}, nil))
	for _, tt := range []struct {
		name, args string
		least      int
		last       string
	}{
		{"by time", "-p 200 -l 2 --stats 0.1", 2, "Actual: 200 packets"},
		{"by pass", "-p 500 -l 4 --stats 0", 4, "Actual: 400 packets"},
		{"by pass, with pauses", "-t -l 3 --loopdelay-ms 10 --stats=0", 3, "Actual: 300 packets"},
		{"short passes", "-t -l 50 --stats=0", 50, "Actual: 5000 packets"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			stdout, _ := w.replay(t, ExitDone, append([]string{"-i", "a0", in}, strings.Fields(tt.args)...)...)
			lines := block[0].FindAllStringSubmatch(stdout, -1)
			if len(lines) < tt.least || !strings.HasPrefix(lines[len(lines)-1][0], tt.last) || strings.Count(stdout, "Rated: ") != len(lines) {
				t.Errorf("%d lines: %s", len(lines), stdout)
			}
			before := -1
			for _, l := range lines {
				n, _ := strconv.Atoi(l[1])
				if n < before {
					t.Errorf("%d after %d", n, before)
				}
				before = n
			}
		})
	}
}

// TestReplayReadsPipes sends what comes through standard input and a named pipe.
func TestReplayReadsPipes(t *testing.T) {
	w := newWires(t)
	dir := t.TempDir()
	raw := captureOf(t, 2000, pcapio.WriterConfig{Nano: true}, nil)
	for _, args := range []string{"-t", "-t -K", "-p 50k", "-K -l 3 -t", "-t --salvage"} {
		t.Run(args, func(t *testing.T) {
			p := w.start(t, bytes.NewReader(raw), nil, append([]string{"-i", "a0", "--verify", "--json", "-"}, strings.Fields(args)...)...)
			if code := p.end(t); code != ExitDone {
				t.Fatalf("exit code %d: %s", code, &p.stderr)
			}
			if r := reconciled(t, p.stdout.String()); r.Result.Sent%2000 != 0 || r.Result.Sent == 0 || !r.Verified.OK() {
				t.Errorf("%s", &p.stdout)
			}
		})
	}
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	p := w.start(t, strings.NewReader(""), nil, "-i", "a0", "-t", "--json", fifo)
	if err := os.WriteFile(fifo, raw, 0); err != nil {
		t.Fatal(err)
	}
	if code := p.end(t); code != ExitDone || reconciled(t, p.stdout.String()).Result.Sent != 2000 {
		t.Errorf("exit code %d: %s", code, &p.stderr)
	}
}

// What a process takes beside the captures that it loaded, in octets: the program, which is that of all tests here, and its heap;
// and what a loaded capture may take more than its octets and index.
const (
	replayAllowance  = 60 << 20
	preloadAllowance = 16 << 20
)

// TestReplayPreloadMemory: -K takes the octets of the frames, 32 for each, and little else.
func TestReplayPreloadMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("loads a million packets")
	}
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		t.Skip("the race detector takes memory of its own")
	}
	w := newWires(t)
	const packets = 1_000_000
	in := filepath.Join(t.TempDir(), "in")
	if code, _, stderr := runIn(context.Background(), strings.NewReader(""), "synth", "udp-64", "--frames", strconv.Itoa(packets), "-o", in); code != ExitDone {
		t.Fatal(stderr)
	}
	peaks := make(map[string]int64)
	for _, load := range []string{"-K", "--merge"} {
		before := w.facts(t, "a1").Counters
		p := w.start(t, nil, []string{"GOGC=100"}, "-i", "a0", "-t", load, "-l", "2", "--loopdelay-ms", "1000000", in)
		eventually(t, "a pass is over", func() bool { return w.facts(t, "a1").Counters.Sub(before).RxFrames >= packets })
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		m := regexp.MustCompile(`VmHWM:\s*(\d+) kB`).FindSubmatch(status)
		if m == nil {
			t.Skip("the kernel does not tell the peak of memory")
		}
		kB, _ := strconv.ParseInt(string(m[1]), 10, 64)
		peaks[load] = kB << 10
		if err := p.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		if code := p.end(t); code != ExitInterrupted {
			t.Errorf("exit code %d", code)
		}
	}
	const octets = packets * 60
	t.Logf("peak with -K %.1f MiB: %d B of packets, %.1f B more for each; without %.1f MiB", float64(peaks["-K"])/(1<<20), octets, float64(peaks["-K"]-octets)/packets,
		float64(peaks["--merge"])/(1<<20))
	if peaks["-K"]-peaks["--merge"] > octets+32*packets+preloadAllowance || peaks["--merge"] > replayAllowance {
		t.Errorf("with -K %d octets, without %d", peaks["-K"], peaks["--merge"])
	}
}
