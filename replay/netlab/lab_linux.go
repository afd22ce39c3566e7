package netlab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Lab is a veth pair, each end in a namespace of its own, up, without addresses, IPv6 and offloads. It may be used by many
// goroutines at once, until Close.
type Lab struct {
	spaces [2]*os.File
}

// New makes a Lab. The error wraps ErrNotPermitted where the process lacks the right to.
func New(cfg Config) (*Lab, error) {
	if cfg.MTU == 0 {
		cfg.MTU = 1500
	}
	if cfg.TxQueueLen == 0 {
		cfg.TxQueueLen = 1000
	}
	if cfg.MTU < 68 || cfg.MTU > 65535 {
		return nil, fmt.Errorf("MTU of %d: want 68 to 65535", cfg.MTU)
	}
	if cfg.TxQueueLen < 0 {
		return nil, fmt.Errorf("transmit queue of %d frames: want 0 or more", cfg.TxQueueLen)
	}
	l := &Lab{}
	for end := range l.spaces {
		space, err := newNamespace()
		if err != nil {
			return nil, errors.Join(fmt.Errorf("network namespace: %w", permitted(err)), l.Close())
		}
		l.spaces[end] = space
	}
	err := l.Do(Sender, func() error {
		// The peer must not exist here even for a moment, so it is made where it belongs.
		link := netlink.LinkAttrs{Name: Sender.Interface(), HardwareAddr: Sender.MAC(), MTU: cfg.MTU, TxQLen: cfg.TxQueueLen}
		return netlink.LinkAdd(&netlink.Veth{
			LinkAttrs: link, PeerName: Receiver.Interface(), PeerHardwareAddr: Receiver.MAC(), PeerMTU: uint32(cfg.MTU),
			PeerTxQLen: cfg.TxQueueLen, PeerNamespace: netlink.NsFd(l.spaces[Receiver].Fd()),
		})
	})
	for _, end := range []End{Receiver, Sender} {
		if err == nil {
			err = l.Do(end, func() error { return bring(end.Interface()) })
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("veth pair: %w", permitted(err)), l.Close())
	}
	return l, nil
}

// bring sets an interface up that carries nothing of its own.
func bring(name string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	for _, scope := range []string{"all", "default", name} {
		err := os.WriteFile("/proc/sys/net/ipv6/conf/"+scope+"/disable_ipv6", []byte("1"), 0)
		if err == nil || errors.Is(err, fs.ErrNotExist) { // or a kernel without IPv6
			continue
		}
		// Where /proc/sys cannot be written, as in containers, the interface at least takes no address that it would announce.
		if err := netlink.LinkSetIP6AddrGenMode(link, nl.IN6_ADDR_GEN_MODE_NONE); err != nil {
			return fmt.Errorf("switch IPv6 off: %w", err)
		}
		break
	}
	if err := offloadsOff(name); err != nil {
		return err
	}
	return netlink.LinkSetUp(link)
}

func permitted(err error) error {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return fmt.Errorf("%w (%w)", ErrNotPermitted, err)
	}
	return err
}

// apart runs f on a thread that ends with it: no other goroutine ever runs in a namespace that f enters.
func apart(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() != unix.Getpid() {
			done <- f() // still locked, so that the thread ends
			return
		}
		// The main thread would be parked instead, and its namespace is what others see as the process's. While it is held here
		// f runs on another.
		err := apart(f)
		runtime.UnlockOSThread()
		done <- err
	}()
	return <-done
}

// newNamespace returns a new namespace, which lives as long as the file.
func newNamespace() (space *os.File, err error) {
	err = apart(func() (err error) {
		if err = unix.Unshare(unix.CLONE_NEWNET); err == nil {
			space, err = os.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()))
		}
		return err
	})
	return space, err
}

// Do runs f in the namespace of an end, on a thread of its own. Goroutines that f starts are not in it; sockets and files that
// it opens stay there.
func (l *Lab) Do(end End, f func() error) error {
	return apart(func() error {
		if err := unix.Setns(int(l.spaces[end].Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter the namespace of the %v: %w", end, permitted(err))
		}
		return f()
	})
}

// Start starts cmd in the namespace of an end, as cmd.Start does. The signal of cmd.SysProcAttr.Pdeathsig would come at once:
// the thread that starts the process ends.
func (l *Lab) Start(end End, cmd *exec.Cmd) error { return l.Do(end, cmd.Start) }

// Facts returns those of an end's interface.
func (l *Lab) Facts(end End) (facts Facts, err error) {
	err = l.Do(end, func() (err error) {
		facts, err = Link(end.Interface())
		return err
	})
	return facts, err
}

// Close removes the interfaces and leaves the namespaces, which end with the last process in them. It may be called more than
// once.
func (l *Lab) Close() error {
	var errs []error
	if l.spaces[Sender] != nil && l.spaces[Receiver] != nil {
		err := l.Do(Sender, func() error {
			link, err := netlink.LinkByName(Sender.Interface())
			if errors.As(err, new(netlink.LinkNotFoundError)) {
				return nil // New failed before
			}
			if err != nil {
				return err
			}
			return netlink.LinkDel(link)
		})
		if err != nil {
			errs = append(errs, fmt.Errorf("remove the veth pair: %w", err))
		}
	}
	for i, space := range l.spaces {
		if space != nil {
			errs = append(errs, space.Close())
			l.spaces[i] = nil
		}
	}
	return errors.Join(errs...)
}

// AsRoot has cmd run as the only user of a new user namespace, where it is root and may make network namespaces. Starting it
// fails with an error that wraps [os.ErrPermission] or ENOSPC where this system lets nobody do so.
func AsRoot(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	return nil
}
