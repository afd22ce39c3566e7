package netlab

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Link returns the facts of an interface in the namespace of the calling thread. Errors wrap ErrUnknown, or ErrDown: the facts
// are filled in then. What runs in another namespace than the process must have locked its thread.
func Link(name string) (Facts, error) {
	link, err := netlink.LinkByName(name)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return Facts{}, unknown(name)
	}
	if err != nil {
		return Facts{}, fmt.Errorf("interface %s: %w", name, permitted(err))
	}
	a := link.Attrs()
	f := Facts{
		Name: a.Name, Index: a.Index, Kind: link.Type(), MTU: a.MTU, MAC: a.HardwareAddr, TxQueueLen: a.TxQLen,
		Up: a.RawFlags&unix.IFF_UP != 0, Carrier: a.RawFlags&unix.IFF_LOWER_UP != 0,
	}
	if f.Kind == "veth" {
		f.PeerIndex, f.PeerNetNS = a.ParentIndex, a.NetNsID
	}
	if s := a.Statistics; s != nil {
		f.Counters = Counters{
			RxFrames: s.RxPackets, TxFrames: s.TxPackets, RxOctets: s.RxBytes, TxOctets: s.TxBytes, RxErrors: s.RxErrors,
			TxErrors: s.TxErrors, RxDropped: s.RxDropped, TxDropped: s.TxDropped, RxMissed: s.RxMissedErrors,
		}
	}
	if f.Type, err = hardware(name); err != nil {
		return f, fmt.Errorf("interface %s: %w", name, err)
	}
	if f.DefaultRoute, err = carriesDefault(a.Index); err != nil {
		return f, fmt.Errorf("interface %s: routes: %w", name, err)
	}
	switch {
	case !f.Up:
		return f, fmt.Errorf("%s: %w: set it up with 'ip link set %s up'", name, ErrDown, name)
	case !f.Carrier:
		return f, fmt.Errorf("%s: %w: it has no carrier; plug it in, or set its peer up", name, ErrDown)
	}
	return f, nil
}

// Links returns the names of the interfaces in the namespace of the calling thread.
func Links() ([]string, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("interfaces: %w", err)
	}
	var names []string
	for _, l := range links {
		names = append(names, l.Attrs().Name)
	}
	return names, nil
}

func unknown(name string) error {
	links, err := Links()
	if err != nil {
		return err
	}
	return fmt.Errorf("%q: %w: there are %s", name, ErrUnknown, strings.Join(links, ", "))
}

// hardware returns the ARPHRD number of an interface.
func hardware(name string) (uint16, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq(name)
	if err == nil {
		err = unix.IoctlIfreq(fd, unix.SIOCGIFHWADDR, request)
	}
	if err != nil {
		return 0, fmt.Errorf("link type: %w", err)
	}
	return request.Uint16(), nil // sa_family of the address
}

// carriesDefault tells whether a default route leaves by an interface or by one that stands on it.
func carriesDefault(index int) (bool, error) {
	above, err := standingOn(index)
	if err != nil {
		return false, err
	}
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		routes, err := netlink.RouteListFiltered(family, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
		if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EAFNOSUPPORT) { // a kernel without the family
			continue
		}
		if err != nil {
			return false, err
		}
		for i := range routes {
			r := &routes[i]
			if r.Type != unix.RTN_UNICAST || !isDefault(r, family) {
				continue
			}
			if above[r.LinkIndex] {
				return true, nil
			}
			for _, hop := range r.MultiPath {
				if above[hop.LinkIndex] {
					return true, nil
				}
			}
		}
	}
	return false, nil
}

// isDefault takes halves of the address space for defaults, and all of IPv6's global unicast.
func isDefault(r *netlink.Route, family int) bool {
	if r.Dst == nil {
		return true
	}
	length, _ := r.Dst.Mask.Size()
	return length <= 1 || family == netlink.FAMILY_V6 && length <= 3
}

// standingOn returns the indices of an interface and of all that send through it: bridges and bonds that it is a part of, and
// VLANs and the like on it.
func standingOn(index int) (map[int]bool, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, err
	}
	above := map[int]bool{index: true}
	for known := 0; known < len(above); {
		known = len(above)
		for _, l := range links {
			a := l.Attrs()
			if a.ParentIndex > 0 && a.NetNsID < 0 && l.Type() != "veth" && above[a.ParentIndex] {
				above[a.Index] = true
			}
			if above[a.Index] && a.MasterIndex > 0 {
				above[a.MasterIndex] = true
			}
		}
	}
	return above, nil
}

// ReadSoftirqs reads what the receive paths of all CPUs did since boot. root is the folder that holds proc, "/" on a running
// machine.
func ReadSoftirqs(root string) (Softirqs, error) {
	var s Softirqs
	proc := filepath.Join(root, "proc")
	text, err := os.ReadFile(filepath.Join(proc, "stat"))
	if err != nil {
		return s, err
	}
	if s.TimeNs, err = softirqTime(text); err != nil {
		return s, fmt.Errorf("%s/stat: %w", proc, err)
	}
	if text, err = os.ReadFile(filepath.Join(proc, "softirqs")); err != nil {
		return s, err
	}
	if s.NetRx, err = softirqCount(text, "NET_RX:"); err != nil {
		return s, fmt.Errorf("%s/softirqs: %w", proc, err)
	}
	for _, thread := range ksoftirqd(proc) {
		text, err := os.ReadFile(filepath.Join(proc, thread, "schedstat"))
		if errors.Is(err, fs.ErrNotExist) { // a kernel without it, or a CPU that went away
			continue
		}
		if err != nil {
			return s, err
		}
		first, _, _ := bytes.Cut(text, []byte(" "))
		ns, err := strconv.ParseInt(string(first), 10, 64)
		if err != nil {
			return s, fmt.Errorf("%s/%s/schedstat: %w", proc, thread, err)
		}
		s.ThreadNs += ns
	}
	return s, nil
}

// tick is the unit of times in /proc/stat. USER_HZ is 100 on every architecture that Go runs on but alpha and ia64.
const tick = int64(10e6)

// softirqTime finds the seventh number of the line of all CPUs, in ns.
func softirqTime(stat []byte) (int64, error) {
	line, _, _ := bytes.Cut(stat, []byte("\n"))
	fields := strings.Fields(string(line))
	if len(fields) < 8 || fields[0] != "cpu" {
		return 0, fmt.Errorf("first line %.80q: want cpu and at least seven numbers", line)
	}
	n, err := strconv.ParseInt(fields[7], 10, 64)
	return n * tick, err
}

// softirqCount adds up a line of /proc/softirqs over the CPUs.
func softirqCount(text []byte, name string) (uint64, error) {
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20) // ten columns for each CPU
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || fields[0] != name {
			continue
		}
		var sum uint64
		for _, f := range fields[1:] {
			n, err := strconv.ParseUint(f, 10, 64)
			if err != nil {
				return 0, err
			}
			sum += n
		}
		return sum, nil
	}
	return 0, errors.Join(fmt.Errorf("no line %s", name), lines.Err())
}

// ksoftirqd returns the process numbers of the kernel's threads for software interrupts: children of kthreadd (2).
func ksoftirqd(proc string) []string {
	children, err := os.ReadFile(filepath.Join(proc, "2/task/2/children"))
	if err != nil {
		return nil // in a process namespace there are none to see
	}
	var found []string
	for _, pid := range strings.Fields(string(children)) {
		name, err := os.ReadFile(filepath.Join(proc, pid, "comm"))
		if err == nil && bytes.HasPrefix(name, []byte("ksoftirqd/")) {
			found = append(found, pid)
		}
	}
	return found
}
