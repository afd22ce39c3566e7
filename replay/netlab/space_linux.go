package netlab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// namedSpaces is where ip-netns(8) keeps namespaces that have a name.
const namedSpaces = "/run/netns"

// Namespace is a network namespace that has a name. The zero value, and nil, is that of the calling thread.
type Namespace struct{ path string }

// Named returns the namespace of that name, as 'ip netns' shows it, or in the file at a path.
func Named(name string) (*Namespace, error) {
	path := name
	if !strings.Contains(name, "/") {
		path = filepath.Join(namedSpaces, name)
	}
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("network namespace %s: %w", name, err)
	}
	return &Namespace{path: path}, nil
}

// Enter moves the calling thread, which must be locked, into the namespace. A thread that entered one must not be unlocked.
func (n *Namespace) Enter() error {
	if n == nil || n.path == "" {
		return nil
	}
	f, err := os.Open(n.path)
	if err != nil {
		return fmt.Errorf("network namespace: %w", err)
	}
	defer f.Close()
	if err := unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("network namespace %s: %w", n.path, permitted(err))
	}
	return nil
}

// Peer finds the other end of a veth: its name, and its namespace, which must be the calling thread's or one with a name.
func Peer(f Facts) (string, *Namespace, error) {
	if f.Kind != "veth" {
		return "", nil, fmt.Errorf("%s is no veth but %s: name the interface that receives what it sends", f.Name, f.Kind)
	}
	if f.PeerNetNS < 0 {
		link, err := netlink.LinkByIndex(f.PeerIndex)
		if err != nil {
			return "", nil, fmt.Errorf("peer of %s: %w", f.Name, err)
		}
		return link.Attrs().Name, nil, nil
	}
	entries, err := os.ReadDir(namedSpaces)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", nil, err
	}
	for _, e := range entries {
		space := &Namespace{path: filepath.Join(namedSpaces, e.Name())}
		file, err := os.Open(space.path)
		if err != nil {
			continue // not ours to see
		}
		id, err := netlink.GetNetNsIdByFd(int(file.Fd()))
		file.Close()
		if err != nil || id != f.PeerNetNS {
			continue
		}
		var name string
		err = within(space, func() error {
			link, err := netlink.LinkByIndex(f.PeerIndex)
			if err == nil {
				name = link.Attrs().Name
			}
			return err
		})
		if err != nil {
			return "", nil, fmt.Errorf("peer of %s in %s: %w", f.Name, space.path, err)
		}
		return name, space, nil
	}
	return "", nil, fmt.Errorf("the peer of %s is in a network namespace without a name: name the interface and the namespace", f.Name)
}

// within runs f in a namespace, on a thread of its own.
func within(space *Namespace, f func() error) error {
	return apart(func() error {
		if err := space.Enter(); err != nil {
			return err
		}
		return f()
	})
}
