package inject_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"pcaplab/parse"
	"pcaplab/replay"
	"pcaplab/replay/inject"
	"pcaplab/replay/netlab"
	"pcaplab/replay/receive"
)

// frames is a source of n frames, each of which is another.
type frames struct {
	n, at int
	size  func(i int) int
	link  parse.LinkType
	buf   [64 << 10]byte
}

func (s *frames) Next(f *parse.Frame) error {
	if s.at == s.n {
		return io.EOF
	}
	fill(s.buf[:s.size(s.at)], s.at)
	*f = parse.Frame{UnixNano: int64(s.at) * 1000, Data: s.buf[:s.size(s.at)], WireLen: s.size(s.at), Link: s.link}
	s.at++
	return nil
}

// fill writes frame i: local experimental EtherType, so that no protocol takes it.
func fill(b []byte, i int) {
	copy(b, netlab.Receiver.MAC())
	copy(b[6:], netlab.Sender.MAC())
	b[12], b[13] = 0x88, 0xb5
	for j := 14; j < len(b); j++ {
		b[j] = byte(i*31 + j*7 + i>>8)
	}
}

func newLab(t testing.TB) *netlab.Lab {
	t.Helper()
	lab, err := netlab.New(netlab.Config{})
	if errors.Is(err, netlab.ErrNotPermitted) || errors.Is(err, netlab.ErrNotSupported) {
		if os.Getenv("PCAPLAB_REQUIRE_ROOT") != "" {
			t.Fatal(err)
		}
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

func send(t testing.TB, lab *netlab.Lab, cfg inject.Config, src replay.Source, plan inject.Plan) inject.Result {
	t.Helper()
	var res inject.Result
	err := lab.Do(netlab.Sender, func() error {
		cfg.Interface = netlab.Sender.Interface()
		s, err := inject.Open(cfg)
		if err != nil {
			return err
		}
		defer s.Close()
		res, err = inject.Run(context.Background(), s, src, plan)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// receiveAll takes what arrives at the other end until n frames came or nothing does for a second.
func receiveAll(t *testing.T, lab *netlab.Lab, n int, ready chan<- error) <-chan [][]byte {
	t.Helper()
	out := make(chan [][]byte, 1)
	go func() {
		var got [][]byte
		err := lab.Do(netlab.Receiver, func() error {
			r, err := receive.Open(receive.Config{Interface: netlab.Receiver.Interface(), Blocks: 256, Wait: time.Second, Promiscuous: true})
			ready <- err
			if err != nil {
				return err
			}
			defer r.Close()
			var f parse.Frame
			for len(got) < n {
				if err := r.Next(&f); errors.Is(err, receive.ErrTimeout) {
					return nil
				} else if err != nil {
					return err
				}
				got = append(got, bytes.Clone(f.Data))
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		out <- got
	}()
	return out
}

// TestBackends sends frames of all lengths through every backend, at top speed, paced and in bursts: what is reported is what the
// interface counted and what arrived, octet for octet and in order.
func TestBackends(t *testing.T) {
	lab := newLab(t)
	constant, err := replay.ConstantPPS(50_000)
	if err != nil {
		t.Fatal(err)
	}
	burst, err := replay.Burst(100_000, 1000)
	if err != nil {
		t.Fatal(err)
	}
	const n = 5000
	size := func(i int) int { return 14 + i*37%1501 }
	for _, backend := range inject.Backends() {
		for _, c := range []struct {
			name string
			plan inject.Plan
			cfg  inject.Config
		}{
			{name: "top speed"},
			{name: "one frame a call", cfg: inject.Config{Batch: 1}},
			{name: "paced", plan: inject.Plan{Pacer: constant}},
			{name: "bursts, sleeping only", plan: inject.Plan{Pacer: burst, Spin: inject.SpinOff}},
			{name: "pinned and spinning", plan: inject.Plan{Pacer: burst, Spin: inject.SpinOn, CPU: new(int), FIFO: 1}},
		} {
			t.Run(backend+"/"+c.name, func(t *testing.T) {
				ready := make(chan error)
				got := receiveAll(t, lab, n, ready)
				if err := <-ready; err != nil {
					t.Fatal(err)
				}
				cfg := c.cfg
				cfg.Backend = backend
				res := send(t, lab, cfg, &frames{n: n, size: size, link: parse.LinkEthernet}, c.plan)
				arrived := <-got
				if res.Sent != n || res.Failed != 0 || res.Unsent != 0 || res.Frames != n || len(arrived) != n {
					t.Fatalf("%d arrived of %+v", len(arrived), res)
				}
				var octets uint64
				want := make([]byte, 2000)
				for i, d := range arrived {
					w := want[:size(i)]
					fill(w, i)
					if !bytes.Equal(d, w) {
						t.Fatalf("frame %d of %d octets is another, of %d", i, len(w), len(d))
					}
					octets += uint64(len(d))
				}
				if l := res.Links[0]; res.Octets != octets || l.TxFrames != n || l.TxOctets != octets {
					t.Errorf("octets %d, sent %d, interface %+v", octets, res.Octets, l)
				}
				if backend != inject.Auto && res.Backends[0] != backend || backend == inject.Auto && res.Backends[0] == "" {
					t.Errorf("sent by %v", res.Backends)
				}
			})
		}
	}
}

// TestOversize sends frames above the MTU: each policy gives what it says.
func TestOversize(t *testing.T) {
	lab := newLab(t)
	long := make([]byte, 14+40+4000)
	copy(long, netlab.Receiver.MAC())
	copy(long[6:], netlab.Sender.MAC())
	copy(long[12:], "\x08\x00\x45\x00\x0f\xc8\x00\x01\x00\x00\x40\x06\x00\x00\x0a\x00\x00\x01\x0a\x00\x00\x02\x00\x50\x00\x51\x00\x00\x00\x00\x00\x00\x00\x00\x50\x18")
	for _, c := range []struct {
		oversize string
		lengths  []int
	}{
		{inject.OversizeSkip, []int{60, 60}},
		{inject.OversizeTruncate, []int{60, 1514, 60}},
		{inject.OversizeSegment, []int{60, 1514, 1514, 54 + 1080, 60}},
	} {
		for _, backend := range inject.Backends()[1:] {
			t.Run(c.oversize+"/"+backend, func(t *testing.T) {
				ready := make(chan error)
				got := receiveAll(t, lab, len(c.lengths), ready)
				if err := <-ready; err != nil {
					t.Fatal(err)
				}
				src := &few{list: [][]byte{long[:60], long, long[:60]}}
				res := send(t, lab, inject.Config{Backend: backend, Oversize: c.oversize}, src, inject.Plan{})
				var lengths []int
				for _, d := range <-got {
					lengths = append(lengths, len(d))
				}
				if !slices.Equal(lengths, c.lengths) || res.Oversize != 1 || int(res.Sent) != len(c.lengths) || res.Frames != 3 {
					t.Errorf("lengths %v, want %v; %+v", lengths, c.lengths, res)
				}
			})
		}
	}
}

type few struct {
	list [][]byte
	at   int
}

func (s *few) Next(f *parse.Frame) error {
	if s.at == len(s.list) {
		return io.EOF
	}
	*f = parse.Frame{Data: s.list[s.at], WireLen: len(s.list[s.at]), Link: parse.LinkEthernet}
	s.at++
	return nil
}

// TestInterfaceGoesDown: a run ends with what was sent when the interface does.
func TestInterfaceGoesDown(t *testing.T) {
	for _, backend := range inject.Backends()[1:] {
		t.Run(backend, func(t *testing.T) {
			lab := newLab(t)
			pacer, err := replay.ConstantPPS(1000)
			if err != nil {
				t.Fatal(err)
			}
			var res inject.Result
			err = lab.Do(netlab.Sender, func() error {
				s, err := inject.Open(inject.Config{Interface: netlab.Sender.Interface(), Backend: backend})
				if err != nil {
					return err
				}
				defer s.Close()
				src := &frames{n: 2000, size: func(int) int { return 100 }, link: parse.LinkEthernet}
				plan := inject.Plan{Pacer: pacer, Before: func(*parse.Frame) error {
					if src.at != 200 {
						return nil
					}
					link, err := netlink.LinkByName(netlab.Sender.Interface())
					if err == nil {
						err = netlink.LinkSetDown(link)
					}
					return err
				}}
				res, err = inject.Run(context.Background(), s, src, plan)
				return err
			})
			if err == nil || res.Sent > 400 || res.Sent < 199 {
				t.Errorf("sent %d, failed %d: %v", res.Sent, res.Failed, err)
			}
			t.Log(err)
		})
	}
}

// TestPeerRefuses: frames that the other end does not take are tried for a while and counted, and end the run where no other passes. A
// run that is cancelled meanwhile ends.
func TestPeerRefuses(t *testing.T) {
	change := func(lab *netlab.Lab, f func(netlink.Link) error) error {
		return lab.Do(netlab.Receiver, func() error {
			link, err := netlink.LinkByName(netlab.Receiver.Interface())
			if err == nil {
				err = f(link)
			}
			return err
		})
	}
	for _, backend := range inject.Backends()[1:] {
		for _, c := range []struct {
			name   string
			size   func(int) int
			peer   func(netlink.Link) error
			cancel bool
		}{
			{name: "some are too long", size: func(i int) int { return 60 + i%10/9*1400 }, peer: func(l netlink.Link) error { return netlink.LinkSetMTU(l, 1000) }},
			{name: "all are too long", size: func(int) int { return 1400 }, peer: func(l netlink.Link) error { return netlink.LinkSetMTU(l, 1000) }},
			{name: "down, and cancelled", size: func(int) int { return 60 }, peer: netlink.LinkSetDown, cancel: true},
		} {
			t.Run(backend+"/"+c.name, func(t *testing.T) {
				lab := newLab(t)
				var res inject.Result
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				const n = 1000
				err := lab.Do(netlab.Sender, func() error {
					s, err := inject.Open(inject.Config{Interface: netlab.Sender.Interface(), Backend: backend})
					if err != nil {
						return err
					}
					defer s.Close()
					if err := change(lab, c.peer); err != nil {
						return err
					}
					if c.cancel {
						time.AfterFunc(30*time.Millisecond, cancel)
					}
					res, err = inject.Run(ctx, s, &frames{n: n, size: c.size, link: parse.LinkEthernet}, inject.Plan{})
					return err
				})
				t.Logf("%v: sent %d, failed %d, dropped %d, unsent %d, retried %d, interface %+v", err, res.Sent, res.Failed, res.Dropped, res.Unsent, res.ENOBUFS, res.Links)
				switch {
				case c.cancel:
					// An interface without carrier may refuse frames outright: that ends the run too.
					if err == nil && res.Failed+res.Dropped < n || res.Sent > 0 {
						t.Error("the run went on")
					}
				case c.name == "some are too long":
					if err != nil || res.Sent+res.Failed+res.Dropped != n || res.Sent != n*9/10 {
						t.Error("not each frame has one end")
					}
				case err == nil && res.Failed+res.Dropped < n:
					t.Error("frames were sent to an end that takes none")
				}
				if len(res.Links) == 1 && res.Links[0].TxFrames != res.Sent {
					t.Errorf("sent %d, the interface counted %d", res.Sent, res.Links[0].TxFrames)
				}
			})
		}
	}
}

// TestMTULoweredMeanwhile: the kernel refuses frames one by one, and the rest go.
func TestMTULoweredMeanwhile(t *testing.T) {
	for _, backend := range inject.Backends()[1:] {
		t.Run(backend, func(t *testing.T) {
			lab := newLab(t)
			var res inject.Result
			err := lab.Do(netlab.Sender, func() error {
				s, err := inject.Open(inject.Config{Interface: netlab.Sender.Interface(), Backend: backend})
				if err != nil {
					return err
				}
				defer s.Close()
				link, err := netlink.LinkByName(netlab.Sender.Interface())
				if err == nil {
					err = netlink.LinkSetMTU(link, 1000)
				}
				if err != nil {
					return err
				}
				res, err = inject.Run(context.Background(), s, &frames{n: 500, size: func(i int) int { return 60 + i%10/9*1400 }, link: parse.LinkEthernet}, inject.Plan{})
				return err
			})
			if err != nil || res.Sent+res.Failed+res.Dropped != 500 || res.Sent < 450 || res.Sent != res.Links[0].TxFrames {
				t.Errorf("%v: %+v", err, res)
			}
		})
	}
}

func TestOpenErrors(t *testing.T) {
	lab := newLab(t)
	name := netlab.Sender.Interface()
	for _, c := range []struct {
		name  string
		cfg   inject.Config
		setup func() error
		want  error
		text  string
	}{
		{"unknown", inject.Config{Interface: "nowhere0"}, nil, netlab.ErrUnknown, name},
		{"down", inject.Config{Interface: "lo"}, nil, netlab.ErrDown, "ip link set lo up"},
		{"backend", inject.Config{Interface: name, Backend: "pigeon", Oversize: "fold", Batch: -1}, nil, nil, "pigeon"},
		{"all faults", inject.Config{Interface: name, Backend: "pigeon", Oversize: "fold", Batch: -1}, nil, nil, "fold"},
		{"default route", inject.Config{Interface: name}, func() error {
			link, err := netlink.LinkByName(name)
			if err != nil {
				return err
			}
			return netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Scope: netlink.SCOPE_LINK, Dst: &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}})
		}, inject.ErrDefaultRoute, "--really"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := lab.Do(netlab.Sender, func() error {
				if c.setup != nil {
					if err := c.setup(); err != nil {
						return err
					}
				}
				s, err := inject.Open(c.cfg)
				if err == nil {
					s.Close()
				}
				return err
			})
			if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%v", err)
			}
		})
	}
	err := lab.Do(netlab.Sender, func() error {
		s, err := inject.Open(inject.Config{Interface: name, Really: true})
		if err == nil {
			err = s.Close()
		}
		return err
	})
	if err != nil {
		t.Error("with Really:", err)
	}
}

// TestWithoutCapability: who may not send is told how to.
func TestWithoutCapability(t *testing.T) {
	lab := newLab(t)
	err := lab.Do(netlab.Sender, func() error {
		// Of this thread, which ends with the function.
		var header = unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var data [2]unix.CapUserData
		if err := unix.Capget(&header, &data[0]); err != nil {
			return err
		}
		data[0].Effective &^= 1 << unix.CAP_NET_RAW
		if err := unix.Capset(&header, &data[0]); err != nil {
			return err
		}
		s, err := inject.Open(inject.Config{Interface: netlab.Sender.Interface()})
		if err == nil {
			s.Close()
		}
		return err
	})
	if !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), "setcap cap_net_raw") {
		t.Error(err)
	}
}

// TestCancelStopsAtOnce: what ends a run ends it within 100 ms, at top speed as in a long gap.
func TestCancelStopsAtOnce(t *testing.T) {
	lab := newLab(t)
	slow, err := replay.ConstantPPS(0.01)
	if err != nil {
		t.Fatal(err)
	}
	for name, pacer := range map[string]replay.Pacer{"top speed": nil, "long gap": slow} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			var cancelled time.Time
			err := lab.Do(netlab.Sender, func() error {
				s, err := inject.Open(inject.Config{Interface: netlab.Sender.Interface()})
				if err != nil {
					return err
				}
				defer s.Close()
				first := sync.OnceFunc(func() {
					time.AfterFunc(50*time.Millisecond, func() { cancelled = time.Now(); cancel() })
				})
				res, err := inject.Run(ctx, s, &frames{n: math.MaxInt32, size: func(int) int { first(); return 60 }, link: parse.LinkEthernet}, inject.Plan{Pacer: pacer})
				if res.Sent == 0 || res.Sent != res.Links[0].TxFrames {
					t.Errorf("sent %d, interface %d", res.Sent, res.Links[0].TxFrames)
				}
				return err
			})
			if !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			t.Logf("stopped after %v", time.Since(cancelled))
		})
	}
}

func BenchmarkTopSpeed(b *testing.B) {
	for _, size := range []int{60, 1396} {
		for _, backend := range inject.Backends()[1:] {
			b.Run(backend+"/"+strconv.Itoa(size), func(b *testing.B) {
				lab := newLab(b)
				src := &frames{n: b.N, size: func(int) int { return size }, link: parse.LinkEthernet}
				fill(src.buf[:size], 1)
				res := send(b, lab, inject.Config{Backend: backend}, fast{src}, inject.Plan{})
				b.ReportMetric(res.Rate()/1e3, "kpps")
				b.ReportMetric(float64(res.User+res.System)/float64(res.Sent), "cpu-ns/frame")
			})
		}
	}
}

type fast struct{ *frames }

func (s fast) Next(f *parse.Frame) error {
	if s.at == s.n {
		return io.EOF
	}
	*f = parse.Frame{Data: s.buf[:s.size(s.at)], WireLen: s.size(s.at), Link: s.link}
	s.at++
	return nil
}
