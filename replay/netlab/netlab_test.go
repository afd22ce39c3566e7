//go:build linux

package netlab_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"pcaplab/replay/netlab"
)

// open makes a Lab; where the test is not permitted to, it is skipped.
func open(t *testing.T, cfg netlab.Config) *netlab.Lab {
	t.Helper()
	before, err := netlab.Links()
	if err != nil {
		t.Fatal(err)
	}
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
		if err := lab.Close(); err != nil {
			t.Error("closed twice:", err)
		}
		if after, err := netlab.Links(); err != nil || !slices.Equal(before, after) {
			t.Errorf("interfaces here are %v, were %v; %v", after, before, err)
		}
	})
	return lab
}

// raw sends frames as they are.
func raw(t *testing.T, lab *netlab.Lab, end netlab.End, frames ...[]byte) {
	t.Helper()
	err := lab.Do(end, func() error {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		facts, err := netlab.Link(end.Interface())
		if err != nil {
			return err
		}
		for _, f := range frames {
			if err := unix.Sendto(fd, f, 0, &unix.SockaddrLinklayer{Ifindex: facts.Index}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestLab(t *testing.T) {
	lab := open(t, netlab.Config{MTU: 3000, TxQueueLen: 17})
	for _, end := range []netlab.End{netlab.Sender, netlab.Receiver} {
		f, err := lab.Facts(end)
		if err != nil {
			t.Fatal(err)
		}
		if f.Name != end.Interface() || f.Kind != "veth" || f.Type != unix.ARPHRD_ETHER || f.MTU != 3000 || f.TxQueueLen != 17 ||
			!f.Up || !f.Carrier || !bytes.Equal(f.MAC, end.MAC()) || f.DefaultRoute || f.Counters != (netlab.Counters{}) {
			t.Errorf("%v: %+v", end, f)
		}
		other, err := lab.Facts(1 - end)
		if err != nil {
			t.Fatal(err)
		}
		if f.PeerIndex != other.Index || f.PeerNetNS < 0 {
			t.Errorf("%v: peer %d in namespace %d, want %d in another", end, f.PeerIndex, f.PeerNetNS, other.Index)
		}
		var links []string
		if err := lab.Do(end, func() (err error) { links, err = netlab.Links(); return err }); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(links, []string{"lo", end.Interface()}) {
			t.Errorf("%v: interfaces %v", end, links)
		}
	}
}

func TestCounters(t *testing.T) {
	lab := open(t, netlab.Config{})
	frame := make([]byte, 100)
	copy(frame, netlab.Receiver.MAC())
	raw(t, lab, netlab.Sender, frame, frame, frame[:60])
	f, err := lab.Facts(netlab.Sender)
	if err != nil {
		t.Fatal(err)
	}
	if c := f.Counters; c.TxFrames != 3 || c.TxOctets != 260 || c.RxFrames != 0 {
		t.Errorf("sender: %+v", c)
	}
	if f, err = lab.Facts(netlab.Receiver); err != nil || f.Counters.RxFrames != 3 || f.Counters.RxOctets != 260 {
		t.Errorf("receiver: %+v, %v", f.Counters, err)
	}
	if d := f.Counters.Sub(f.Counters); d != (netlab.Counters{}) {
		t.Errorf("less itself: %+v", d)
	}
}

// A network that says nothing of itself: nothing but what a test sends may be counted.
func TestSilence(t *testing.T) {
	lab := open(t, netlab.Config{})
	for _, end := range []netlab.End{netlab.Sender, netlab.Receiver} {
		cmd := exec.Command("ip", "-6", "addr", "show", "dev", end.Interface())
		var out bytes.Buffer
		cmd.Stdout = &out
		if err := lab.Start(end, cmd); errors.Is(err, exec.ErrNotFound) {
			t.Skip("no ip(8)")
		} else if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(out.String(), "inet6") {
			t.Errorf("%v: has an address of IPv6:\n%s", end, &out)
		}
	}
}

func TestOffloadsAreOff(t *testing.T) {
	lab := open(t, netlab.Config{})
	if _, err := exec.LookPath("ethtool"); err != nil {
		t.Skip("no ethtool")
	}
	for _, end := range []netlab.End{netlab.Sender, netlab.Receiver} {
		cmd := exec.Command("ethtool", "-k", end.Interface())
		var out bytes.Buffer
		cmd.Stdout = &out
		if err := lab.Start(end, cmd); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"tx-checksumming", "rx-checksumming", "scatter-gather", "tx-tcp-segmentation",
			"tx-tcp6-segmentation", "generic-segmentation-offload", "generic-receive-offload"} {
			if !strings.Contains(out.String(), "\n"+name+": off") && !strings.Contains(out.String(), "\n\t"+name+": off") {
				t.Errorf("%v: %s is not off", end, name)
			}
		}
	}
}

func TestLinkErrors(t *testing.T) {
	if _, err := netlab.Link("no-such-if"); !errors.Is(err, netlab.ErrUnknown) || !strings.Contains(err.Error(), "lo") {
		t.Errorf("unknown: %v", err)
	}
	lab := open(t, netlab.Config{})
	err := lab.Do(netlab.Sender, func() error {
		f, err := netlab.Link("lo")
		if !errors.Is(err, netlab.ErrDown) || f.Type != unix.ARPHRD_LOOPBACK || f.Up {
			t.Errorf("lo, which is down: %+v, %v", f, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ip(t, lab, netlab.Sender, "link set "+netlab.Sender.Interface()+" down")
	f, err := lab.Facts(netlab.Receiver)
	if !errors.Is(err, netlab.ErrDown) || !strings.Contains(err.Error(), "peer") || !f.Up || f.Carrier {
		t.Errorf("peer is down: %+v, %v", f, err)
	}
}

// ip runs ip(8) commands in the namespace of an end.
func ip(t *testing.T, lab *netlab.Lab, end netlab.End, commands ...string) {
	t.Helper()
	for _, c := range commands {
		cmd := exec.Command("ip", strings.Fields(c)...)
		var out bytes.Buffer
		cmd.Stderr = &out
		if err := lab.Start(end, cmd); errors.Is(err, exec.ErrNotFound) {
			t.Skip("no ip(8)")
		} else if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil && strings.Contains(out.String(), "Unknown device type") {
			t.Skipf("ip %s: this kernel has none", c)
		} else if err != nil {
			t.Fatalf("ip %s: %v: %s", c, err, &out)
		}
	}
}

func TestDefaultRoute(t *testing.T) {
	tx := netlab.Sender.Interface()
	for _, tt := range []struct {
		name     string
		commands []string
		want     bool
	}{
		{"a network only", []string{"addr add 10.0.0.1/24 dev " + tx}, false},
		{"default", []string{"route add default dev " + tx}, true},
		{"in another table", []string{"route add default dev " + tx + " table 100"}, true},
		{"of two hops", []string{"link add name d0 type veth peer name d1", "link set d0 up", "link set d1 up", "route add default nexthop dev d0 nexthop dev " + tx}, true},
		{"by another interface", []string{"link add name d0 type veth peer name d1", "link set d0 up", "link set d1 up", "route add default dev d0"}, false},
		{"halves", []string{"route add 0.0.0.0/1 dev " + tx, "route add 128.0.0.0/1 dev " + tx}, true},
		{"a quarter", []string{"route add 64.0.0.0/2 dev " + tx}, false},
		{"unreachable", []string{"route add unreachable default"}, false},
		{"of a VLAN on it", []string{"link add link " + tx + " name v0 type vlan id 5", "link set v0 up", "route add default dev v0"}, true},
		{"of a bridge with it", []string{"link add b0 type bridge", "link set b0 up", "link set " + tx + " master b0", "route add default dev b0"}, true},
		{"of a VLAN on a bridge with it", []string{"link add b0 type bridge", "link set b0 up", "link set " + tx + " master b0",
			"link add link b0 name v0 type vlan id 5", "link set v0 up", "route add default dev v0"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lab := open(t, netlab.Config{})
			ip(t, lab, netlab.Sender, tt.commands...)
			if f, err := lab.Facts(netlab.Sender); err != nil || f.DefaultRoute != tt.want {
				t.Errorf("default route %v, want %v; %v", f.DefaultRoute, tt.want, err)
			}
		})
	}
}

func TestConfigFaults(t *testing.T) {
	for _, cfg := range []netlab.Config{{MTU: 67}, {MTU: 65536}, {TxQueueLen: -1}} {
		if lab, err := netlab.New(cfg); err == nil {
			lab.Close()
			t.Errorf("%+v: no error", cfg)
		}
	}
}

// What others see as the namespace of a process is that of its main thread.
func TestProcessKeepsItsNamespace(t *testing.T) {
	before, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	for range 40 {
		lab, err := netlab.New(netlab.Config{})
		if errors.Is(err, netlab.ErrNotPermitted) && os.Getenv("PCAPLAB_REQUIRE_ROOT") != "1" {
			t.Skip(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := lab.Close(); err != nil {
			t.Fatal(err)
		}
		if after, err := os.Readlink("/proc/self/ns/net"); err != nil || after != before {
			t.Fatalf("the process is in %s, was in %s; %v", after, before, err)
		}
	}
}

// A killed process must leave no interface: the kernel removes namespaces with their last process.
func TestKilledProcessLeavesNothing(t *testing.T) {
	if os.Getenv("NETLAB_HOLD") == "1" {
		if _, err := netlab.New(netlab.Config{}); err != nil {
			t.Fatal(err)
		}
		os.Stdout.WriteString("ready\n")
		select {}
	}
	open(t, netlab.Config{}).Close() // skips where that is not permitted
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledProcessLeavesNothing$")
	cmd.Env = append(os.Environ(), "NETLAB_HOLD=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	held := namespaces(t, fmt.Sprintf("/proc/%d/fd/*", cmd.Process.Pid))
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	if len(held) != 2 {
		t.Fatalf("the process held the namespaces %v, want two", held)
	}
	for _, pattern := range []string{"/proc/[0-9]*/fd/*", "/proc/[0-9]*/task/*/ns/net"} {
		for name := range namespaces(t, pattern) {
			if held[name] {
				t.Errorf("%s is still there", name)
			}
		}
	}
	if mounted, err := os.ReadFile("/proc/self/mountinfo"); err != nil || bytes.Contains(mounted, []byte("pcaplab")) {
		t.Errorf("left mounted: %s, %v", mounted, err)
	}
}

// namespaces returns the network namespaces that links of these names lead to.
func namespaces(t *testing.T, pattern string) map[string]bool {
	t.Helper()
	links, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, l := range links {
		if name, err := os.Readlink(l); err == nil && strings.HasPrefix(name, "net:[") {
			found[name] = true
		}
	}
	return found
}

func TestAsRoot(t *testing.T) {
	cmd := exec.Command("id", "-u")
	if err := netlab.AsRoot(cmd); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.Output()
	if errors.Is(err, os.ErrPermission) || errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EINVAL) || errors.Is(err, exec.ErrNotFound) {
		t.Skip("no user namespaces here: ", err)
	}
	if err != nil || string(out) != "0\n" {
		t.Errorf("user %s, %v", out, err)
	}
}

func TestReadSoftirqs(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"stat":               "cpu  10 20 30 40 50 60 71 80 0 0\ncpu0 1 2 3 4 5 6 7 8 0 0\n",
		"softirqs":           "                    CPU0       CPU1\n      NET_TX:          5          6\n      NET_RX:        100         23\n",
		"2/task/2/children":  "3 4 5 ",
		"3/comm":             "kworker/0:0\n",
		"4/comm":             "ksoftirqd/0\n",
		"4/schedstat":        "1000 7 8\n",
		"5/comm":             "ksoftirqd/1\n",
		"5/schedstat":        "234 7 8\n",
		"2/task/2/schedstat": "99 1 1\n",
	} {
		path := filepath.Join(root, "proc", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	s, err := netlab.ReadSoftirqs(root)
	if want := (netlab.Softirqs{TimeNs: 710e6, ThreadNs: 1234, NetRx: 123}); err != nil || s != want {
		t.Errorf("%+v, %v; want %+v", s, err, want)
	}
	if d := s.Sub(netlab.Softirqs{TimeNs: 10e6, ThreadNs: 1000, NetRx: 3}); d != (netlab.Softirqs{TimeNs: 700e6, ThreadNs: 234, NetRx: 120}) {
		t.Errorf("since: %+v", d)
	}
	for name, text := range map[string]string{"stat": "cpu 1 2\n", "softirqs": "NET_RX: x\n"} {
		path := filepath.Join(root, "proc", name)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := netlab.ReadSoftirqs(root); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s of %q: %v", name, text, err)
		}
		if err := os.WriteFile(path, whole, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := netlab.ReadSoftirqs("/"); err != nil {
		t.Error("of this machine:", err)
	}
}

func TestEnds(t *testing.T) {
	mac := netlab.Sender.MAC()
	mac[5] = 99
	if !bytes.Equal(netlab.Sender.MAC(), net.HardwareAddr{2, 0, 0, 0, 0, 1}) || netlab.Sender.String() != "sender" || netlab.Receiver.String() != "receiver" {
		t.Error(netlab.Sender, netlab.Sender.MAC())
	}
}
