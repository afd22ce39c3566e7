//go:build linux

package receive_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"golang.org/x/sys/unix"

	"pcaplab/datasets"
	"pcaplab/parse"
	"pcaplab/replay/netlab"
	"pcaplab/replay/receive"
)

// network makes a Lab; where the test is not permitted to, it is skipped.
func network(t testing.TB, cfg netlab.Config) *netlab.Lab {
	t.Helper()
	lab, err := netlab.New(cfg)
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
	return lab
}

// receiver opens a Receiver on the receiving end.
func receiver(t testing.TB, lab *netlab.Lab, cfg receive.Config) *receive.Receiver {
	t.Helper()
	if cfg.Interface == "" {
		cfg.Interface = netlab.Receiver.Interface()
	}
	if cfg.Wait == 0 {
		cfg.Wait = 500 * time.Millisecond
	}
	var r *receive.Receiver
	err := lab.Do(netlab.Receiver, func() (err error) {
		r, err = receive.Open(cfg)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// send puts frames on the wire, as they are.
func send(t testing.TB, lab *netlab.Lab, frames ...[]byte) {
	t.Helper()
	err := lab.Do(netlab.Sender, func() error {
		facts, err := netlab.Link(netlab.Sender.Interface())
		if err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		to := &unix.SockaddrLinklayer{Ifindex: facts.Index}
		for _, f := range frames {
			err := unix.Sendto(fd, f, 0, to)
			for errors.Is(err, unix.ENOBUFS) {
				err = unix.Sendto(fd, f, 0, to)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// frame makes a frame of n octets, addressed to a stranger, whose content follows from seed.
func frame(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	copy(b, []byte{2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8, 0x08, 0x00})
	return b
}

// expect reads one frame and compares it.
func expect(t *testing.T, r *receive.Receiver, want []byte) (f parse.Frame) {
	t.Helper()
	if err := r.Next(&f); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(f.Data, want) || f.WireLen != len(want) {
		t.Fatalf("received %d octets, %d on the wire: % x\nsent %d: % x", len(f.Data), f.WireLen, f.Data, len(want), want)
	}
	return f
}

func TestFramesAsSent(t *testing.T) {
	lab := network(t, netlab.Config{MTU: 9000})
	r := receiver(t, lab, receive.Config{})
	before := time.Now().UnixNano()
	var frames [][]byte
	for i, n := range []int{14, 15, 42, 59, 60, 61, 64, 128, 1000, 1513, 1514, 9014} {
		frames = append(frames, frame(uint64(i), n))
	}
	for i := range 3000 {
		frames = append(frames, frame(uint64(i), 60+i%100))
	}
	send(t, lab, frames...)
	last := before
	for _, want := range frames {
		f := expect(t, r, want)
		if f.Link != parse.LinkEthernet || f.UnixNano < last || f.UnixNano > time.Now().UnixNano() {
			t.Fatalf("link %d, time %d after %d", f.Link, f.UnixNano, last)
		}
		last = f.UnixNano
	}
	if err := r.Next(&parse.Frame{}); !errors.Is(err, receive.ErrTimeout) {
		t.Errorf("after the last: %v", err)
	}
	s, err := r.Stats()
	if n := uint64(len(frames)); err != nil || s.Frames != n || s.Seen != n || s.Dropped != 0 || s.Blocks < 2 || s.Waits == 0 || s.Outgoing+s.Skipped != 0 {
		t.Errorf("%+v, %v", s, err)
	}
}

// tagged puts tags into a frame behind the addresses.
func tagged(f []byte, tags ...uint32) []byte {
	out := append([]byte(nil), f[:12]...)
	for _, tag := range tags {
		out = append(out, byte(tag>>24), byte(tag>>16), byte(tag>>8), byte(tag))
	}
	return append(out, f[12:]...)
}

func TestTagsAreBackInPlace(t *testing.T) {
	lab := network(t, netlab.Config{})
	r := receiver(t, lab, receive.Config{})
	for _, tt := range []struct {
		name string
		tags []uint32
	}{
		{"none", nil},
		{"802.1Q", []uint32{0x8100_0005}},
		{"802.1Q with priority", []uint32{0x8100_a005}},
		{"802.1Q with DEI", []uint32{0x8100_1005}},
		{"priority only", []uint32{0x8100_e000}},
		{"all ones", []uint32{0x8100_ffff}},
		{"802.1ad", []uint32{0x88a8_0064}},
		{"802.1ad in 802.1Q", []uint32{0x88a8_0064, 0x8100_0007}},
		{"802.1Q twice", []uint32{0x8100_0064, 0x8100_0007}},
		{"three", []uint32{0x88a8_0001, 0x8100_0002, 0x8100_0003}},
		{"another TPID", []uint32{0x9100_0001}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, n := range []int{60, 61, 500, 1510} {
				f := tagged(frame(1, n-4*len(tt.tags)), tt.tags...)
				send(t, lab, f)
				expect(t, r, f)
			}
		})
	}
}

func TestSnaplen(t *testing.T) {
	lab := network(t, netlab.Config{})
	r := receiver(t, lab, receive.Config{Snaplen: 80})
	plain, tag := frame(1, 1000), tagged(frame(2, 1000), 0x8100_0005)
	send(t, lab, plain, frame(3, 70), tag)
	for _, want := range []struct {
		data []byte
		wire int
	}{{plain[:80], 1000}, {frame(3, 70), 70}, {tag[:84], 1004}} { // the kernel cuts what it has taken the tag from
		var f parse.Frame
		if err := r.Next(&f); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(f.Data, want.data) || f.WireLen != want.wire {
			t.Errorf("%d octets of %d, want %d of %d", len(f.Data), f.WireLen, len(want.data), want.wire)
		}
	}
}

func TestFrameLongerThanABlock(t *testing.T) {
	lab := network(t, netlab.Config{MTU: 65000})
	r := receiver(t, lab, receive.Config{BlockOctets: os.Getpagesize(), Blocks: 64})
	long := frame(1, 60000)
	send(t, lab, long)
	var f parse.Frame
	if err := r.Next(&f); err != nil {
		t.Fatal(err)
	}
	if len(f.Data) == 0 || len(f.Data) >= os.Getpagesize() || f.WireLen != len(long) || !bytes.Equal(f.Data, long[:len(f.Data)]) {
		t.Errorf("%d octets of %d", len(f.Data), f.WireLen)
	}
}

// Nothing may be lost without being counted, however small the ring.
func TestOverloadReconciles(t *testing.T) {
	lab := network(t, netlab.Config{})
	r := receiver(t, lab, receive.Config{BlockOctets: os.Getpagesize(), Blocks: 2})
	frames := make([][]byte, 5000)
	for i := range frames {
		frames[i] = frame(uint64(i), 200)
	}
	at, got := 0, 0
	read := func(n int) {
		var f parse.Frame
		for ; n > 0; n-- {
			if err := r.Next(&f); errors.Is(err, receive.ErrTimeout) {
				return
			} else if err != nil {
				t.Fatal(err)
			}
			for ; at < len(frames) && !bytes.Equal(f.Data, frames[at]); at++ { // dropped
			}
			if at == len(frames) {
				t.Fatal("a frame that was not sent, or out of order")
			}
			at++
			got++
		}
	}
	for i := range 5 {
		send(t, lab, frames[i*1000:(i+1)*1000]...)
		read(3)
	}
	read(len(frames))
	s, err := r.Stats()
	if err != nil {
		t.Fatal(err)
	}
	if s.Seen != 5000 || s.Dropped == 0 || s.Freezes == 0 || s.Frames+s.Dropped != s.Seen || uint64(got) != s.Frames {
		t.Errorf("%+v, %d frames given", s, got)
	}
	again, err := r.Stats()
	if err != nil || again != s {
		t.Errorf("reading the counts changes them: %+v, then %+v, %v", s, again, err)
	}
}

func TestSkip(t *testing.T) {
	lab := network(t, netlab.Config{})
	r := receiver(t, lab, receive.Config{BlockOctets: os.Getpagesize(), Blocks: 64, Timeout: time.Millisecond})
	send(t, lab, frame(1, 100), frame(2, 100), frame(3, 100))
	expect(t, r, frame(1, 100))
	skipped := uint64(0)
	for skipped < 2 { // the last block may not be handed over yet
		n, err := r.Skip()
		if err != nil {
			t.Fatal(err)
		}
		skipped += n
		time.Sleep(time.Millisecond)
	}
	send(t, lab, frame(4, 100))
	expect(t, r, frame(4, 100))
	if s, err := r.Stats(); err != nil || s.Frames != 2 || s.Skipped != 2 || s.Seen != 4 || s.Dropped != 0 {
		t.Errorf("%+v, %v", s, err)
	}
}

// On the loopback every frame leaves and comes: it counts once.
func TestLoopback(t *testing.T) {
	lab := network(t, netlab.Config{})
	ip(t, lab, "link set lo up")
	r := receiver(t, lab, receive.Config{Interface: "lo"})
	err := lab.Do(netlab.Receiver, func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if err := unix.Bind(fd, &unix.SockaddrInet4{Port: 7777, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
			return err
		}
		for i := range 5 {
			if err := unix.Sendto(fd, []byte{byte(i), 1, 2}, 0, &unix.SockaddrInet4{Port: 7777, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		var f parse.Frame
		if err := r.Next(&f); err != nil {
			t.Fatal(err)
		}
		p := gopacket.NewPacket(f.Data, layers.LayerTypeEthernet, gopacket.Default)
		udp, ok := p.Layer(layers.LayerTypeUDP).(*layers.UDP)
		if !ok || udp.DstPort != 7777 || len(udp.Payload) != 3 || udp.Payload[0] != byte(i) || f.Link != parse.LinkEthernet {
			t.Fatalf("datagram %d: %v", i, p)
		}
	}
	if err := r.Next(&parse.Frame{}); !errors.Is(err, receive.ErrTimeout) {
		t.Errorf("a sixth: %v", err)
	}
}

// An interface without a link header: a tunnel device that this test makes in its own namespace.
func TestRawIP(t *testing.T) {
	lab := network(t, netlab.Config{})
	packet := append([]byte{0x45, 0, 0, 24, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2}, 1, 2, 3, 4)
	var tun int
	err := lab.Do(netlab.Receiver, func() error {
		var err error
		if tun, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0); err != nil {
			return err
		}
		request, err := unix.NewIfreq("tun9")
		if err != nil {
			return err
		}
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		return unix.IoctlIfreq(tun, unix.TUNSETIFF, request)
	})
	if err != nil {
		t.Skip("no tun device here: ", err)
	}
	defer unix.Close(tun)
	ip(t, lab, "link set tun9 up")
	r := receiver(t, lab, receive.Config{Interface: "tun9"})
	if _, err := unix.Write(tun, packet); err != nil {
		t.Fatal(err)
	}
	if f := expect(t, r, packet); f.Link != parse.LinkRaw || r.Link() != parse.LinkRaw {
		t.Errorf("link type %d", f.Link)
	}
}

// ip runs ip(8) in the receiving namespace.
func ip(t *testing.T, lab *netlab.Lab, commands ...string) {
	t.Helper()
	for _, c := range commands {
		cmd := exec.Command("ip", strings.Fields(c)...)
		if err := lab.Start(netlab.Receiver, cmd); errors.Is(err, exec.ErrNotFound) {
			t.Skip("no ip(8)")
		} else if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Fatalf("ip %s: %v", c, err)
		}
	}
}

func TestInterfaceGoesDown(t *testing.T) {
	lab := network(t, netlab.Config{})
	r := receiver(t, lab, receive.Config{})
	ip(t, lab, "link set "+netlab.Receiver.Interface()+" down")
	if err := r.Next(&parse.Frame{}); !errors.Is(err, receive.ErrDown) {
		t.Errorf("went down: %v", err)
	}
	err := lab.Do(netlab.Receiver, func() error {
		_, err := receive.Open(receive.Config{Interface: netlab.Receiver.Interface()})
		if !errors.Is(err, receive.ErrDown) {
			t.Errorf("is down: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ip(t, lab, "link set "+netlab.Receiver.Interface()+" up")
	send(t, lab, frame(1, 60))
	expect(t, r, frame(1, 60))
}

func TestFaults(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  receive.Config
		want string
	}{
		{"no interface", receive.Config{}, "no interface"},
		{"unknown interface", receive.Config{Interface: "no-such-if"}, "lo"},
		{"block", receive.Config{Interface: "lo", BlockOctets: 1000}, "page size"},
		{"blocks", receive.Config{Interface: "lo", Blocks: -1}, "blocks"},
		{"ring", receive.Config{Interface: "lo", Blocks: 1 << 20}, "2 GiB"},
		{"timeout", receive.Config{Interface: "lo", Timeout: time.Microsecond}, "milliseconds"},
		{"wait", receive.Config{Interface: "lo", Wait: -1}, "wait"},
		{"snaplen", receive.Config{Interface: "lo", Snaplen: -1}, "snaplen"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := receive.Open(tt.cfg)
			if err == nil {
				r.Close()
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
	if n := (receive.Config{}).RingOctets(); n != 2<<20 {
		t.Errorf("default ring of %d octets", n)
	}
}

func TestPromiscuous(t *testing.T) {
	lab := network(t, netlab.Config{})
	r := receiver(t, lab, receive.Config{Promiscuous: true})
	cmd := exec.Command("ip", "-d", "link", "show", netlab.Receiver.Interface())
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := lab.Start(netlab.Receiver, cmd); err != nil {
		t.Skip(err)
	}
	if err := cmd.Wait(); err != nil || !strings.Contains(out.String(), "promiscuity 1") {
		t.Errorf("%v: %s", err, &out)
	}
	send(t, lab, frame(1, 60))
	expect(t, r, frame(1, 60))
}

func TestNextAllocatesNothing(t *testing.T) {
	lab := network(t, netlab.Config{})
	r := receiver(t, lab, receive.Config{})
	frames := make([][]byte, 2500)
	for i := range frames {
		frames[i] = frame(uint64(i), 100)
		if i%2 == 1 {
			frames[i] = tagged(frames[i], 0x8100_0005)
		}
	}
	send(t, lab, frames...)
	var f parse.Frame
	if n := testing.AllocsPerRun(2000, func() {
		if err := r.Next(&f); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations a frame", n)
	}
	idle := receiver(t, lab, receive.Config{Wait: time.Millisecond})
	if n := testing.AllocsPerRun(20, func() { _ = idle.Next(&f) }); n > 0 {
		t.Errorf("%v allocations a wait", n)
	}
}

// All Ethernet frames of the corpus come as they were sent.
func TestCorpusOverTheWire(t *testing.T) {
	corpus := os.Getenv("PCAPLAB_CORPUS")
	if corpus == "" {
		t.Skip("PCAPLAB_CORPUS is not set")
	}
	files, err := filepath.Glob(filepath.Join(corpus, "*cap*"))
	if err != nil || len(files) == 0 {
		t.Fatal("no captures in", corpus, err)
	}
	lab := network(t, netlab.Config{MTU: 65535})
	r := receiver(t, lab, receive.Config{BlockOctets: 1 << 20, Blocks: 32, Wait: 100 * time.Millisecond})
	total := 0
	for _, file := range files {
		frames, _, err := datasets.Load(context.Background(), []string{file}, datasets.LoadConfig{MemoryLimit: 256 << 20, Packets: 20_000})
		if err != nil {
			continue // a damaged one
		}
		var sent [][]byte
		for i := range frames.Len() {
			var f parse.Frame
			if frames.Frame(i, &f); f.Link == parse.LinkEthernet && len(f.Data) >= 14 && len(f.Data) <= 65535+14 && !cutTag(f.Data) {
				sent = append(sent, f.Data)
			}
		}
		for len(sent) > 0 { // no more at once than the ring holds
			n := min(len(sent), 5000)
			send(t, lab, sent[:n]...)
			for i, want := range sent[:n] {
				var f parse.Frame
				if err := r.Next(&f); err != nil {
					t.Fatalf("%s: frame %d of %d: %v", file, i+1, n, err)
				}
				if !bytes.Equal(f.Data, want) {
					t.Fatalf("%s: frame %d: received % x\nsent % x", file, i+1, f.Data, want)
				}
			}
			total += n
			sent = sent[n:]
		}
		runtime.KeepAlive(frames)
		frames.Close()
	}
	if s, err := r.Stats(); err != nil || s.Dropped != 0 || s.Seen != uint64(total) || total < 10_000 {
		t.Errorf("%d sent: %+v, %v", total, s, err)
	}
}

// cutTag tells whether a frame ends within a VLAN tag: the kernel drops it, and counts it nowhere.
func cutTag(b []byte) bool {
	return (b[12] == 0x81 && b[13] == 0 || b[12] == 0x88 && b[13] == 0xa8) && len(b) < 20
}

func TestEachMayHaveAReceiver(t *testing.T) {
	lab := network(t, netlab.Config{})
	a, b := receiver(t, lab, receive.Config{}), receiver(t, lab, receive.Config{})
	send(t, lab, frame(1, 60))
	expect(t, a, frame(1, 60))
	expect(t, b, frame(1, 60))
}
