// Package netlab makes a network of two interfaces for tests and experiments: a veth pair whose ends are each in a network
// namespace of their own, without a name. No interface that was there before is touched, and the kernel removes all of it with
// the last process and file descriptor in it: nothing stays, however the process ends.
//
// It also reads the facts of an interface of the calling thread's namespace. All of it is for Linux; elsewhere every function
// returns [ErrNotSupported].
package netlab

import (
	"errors"
	"net"
)

var (
	// ErrNotPermitted says that the process may not make network namespaces or interfaces.
	ErrNotPermitted = errors.New("not permitted: needs CAP_SYS_ADMIN and CAP_NET_ADMIN; run as root, or in a user namespace ('unshare -Urn')")
	// ErrNotSupported says that this system has no network namespaces.
	ErrNotSupported = errors.New("network namespaces are for Linux only")
	// ErrUnknown says that there is no interface of that name; the error that wraps it lists those that there are.
	ErrUnknown = errors.New("no such interface")
	// ErrDown says that an interface is down, or that its peer is.
	ErrDown = errors.New("the interface is down")
)

// End is one side of a Lab.
type End int

// The ends. They differ in nothing but their names and addresses.
const (
	Sender End = iota
	Receiver
)

// String names the end: "sender", "receiver".
func (e End) String() string {
	if e == Receiver {
		return "receiver"
	}
	return "sender"
}

// names and addresses of the interfaces. The addresses are locally administered.
var (
	names     = [...]string{Sender: "pcaplab-tx", Receiver: "pcaplab-rx"}
	addresses = [...]net.HardwareAddr{Sender: {2, 0, 0, 0, 0, 1}, Receiver: {2, 0, 0, 0, 0, 2}}
)

// Interface returns the name of an end's interface in its namespace.
func (e End) Interface() string { return names[e] }

// MAC returns the hardware address of an end's interface. The slice is the caller's.
func (e End) MAC() net.HardwareAddr { return append(net.HardwareAddr(nil), addresses[e]...) }

// Config says what a Lab is like.
type Config struct {
	// MTU of both interfaces in octets, without the link header: 68 to 65535; 0 is 1500.
	MTU int `json:"mtu,omitempty"`
	// TxQueueLen is how many frames a queueing discipline of the sender would hold; 0 is 1000. A veth has none unless one is
	// set.
	TxQueueLen int `json:"tx_queue_len,omitempty"`
}

// Facts are what the kernel says of an interface.
type Facts struct {
	Name  string           `json:"name"`
	Index int              `json:"index"`
	Kind  string           `json:"kind"` // of a virtual interface: "veth", "bridge"; "device" of another
	Type  uint16           `json:"type"` // ARPHRD number: 1 Ethernet, 772 loopback, 65534 without a link header
	MTU   int              `json:"mtu"`
	MAC   net.HardwareAddr `json:"mac,omitempty"`
	// TxQueueLen is the length of the transmit queue in frames.
	TxQueueLen int  `json:"tx_queue_len"`
	Up         bool `json:"up"`      // set up by its administrator
	Carrier    bool `json:"carrier"` // and connected
	// PeerIndex is the index of a veth's other end, in the namespace that PeerNetNS numbers: -1 is the same one. 0 is no veth.
	PeerIndex int `json:"peer_index"`
	PeerNetNS int `json:"peer_netns"`
	// DefaultRoute says that a default route of any table leaves by the interface, or by one that stands on it (a bridge, a
	// bond, a VLAN). Halves of the address space (0.0.0.0/1, as tunnels set them) and 2000::/3 count as such.
	DefaultRoute bool     `json:"default_route"`
	Counters     Counters `json:"counters"`
}

// Counters are the kernel's counts of an interface since it was made (struct rtnl_link_stats64), with 64 bits everywhere.
//
// Of a veth: TxFrames were handed to the other end, and are its RxFrames. What the other end had no room for is both in the
// sender's TxDropped and in the receiver's RxDropped.
type Counters struct {
	RxFrames  uint64 `json:"rx_frames"`
	TxFrames  uint64 `json:"tx_frames"`
	RxOctets  uint64 `json:"rx_octets"` // link headers included
	TxOctets  uint64 `json:"tx_octets"`
	RxErrors  uint64 `json:"rx_errors"`
	TxErrors  uint64 `json:"tx_errors"`
	RxDropped uint64 `json:"rx_dropped"`
	TxDropped uint64 `json:"tx_dropped"`
	RxMissed  uint64 `json:"rx_missed"` // by the device, for want of buffers
}

// Sub returns what was counted since before.
func (c Counters) Sub(before Counters) Counters {
	return Counters{
		RxFrames: c.RxFrames - before.RxFrames, TxFrames: c.TxFrames - before.TxFrames,
		RxOctets: c.RxOctets - before.RxOctets, TxOctets: c.TxOctets - before.TxOctets,
		RxErrors: c.RxErrors - before.RxErrors, TxErrors: c.TxErrors - before.TxErrors,
		RxDropped: c.RxDropped - before.RxDropped, TxDropped: c.TxDropped - before.TxDropped,
		RxMissed: c.RxMissed - before.RxMissed,
	}
}

// Softirqs is the work of the kernel's receive path since boot, of all CPUs: network frames are handed to sockets in software
// interrupts.
type Softirqs struct {
	// TimeNs is time in software interrupts (/proc/stat). Most kernels sample it, in steps of 10 ms.
	TimeNs int64 `json:"time_ns"`
	// ThreadNs is the CPU time of the ksoftirqd threads, which take over where there is too much; exact.
	ThreadNs int64 `json:"thread_ns"`
	// NetRx is how many times frames were received (/proc/softirqs); each time may be many frames.
	NetRx uint64 `json:"net_rx"`
}

// Sub returns what was counted since before.
func (s Softirqs) Sub(before Softirqs) Softirqs {
	return Softirqs{TimeNs: s.TimeNs - before.TimeNs, ThreadNs: s.ThreadNs - before.ThreadNs, NetRx: s.NetRx - before.NetRx}
}
