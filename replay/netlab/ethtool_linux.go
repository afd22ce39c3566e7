package netlab

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Commands of SIOCETHTOOL that set one feature (linux/ethtool.h).
var features = []struct {
	name    string
	command uint32
}{
	{"tx checksum", 0x17}, {"scatter-gather", 0x19}, {"tso", 0x1f}, {"rx checksum", 0x15}, {"gso", 0x24}, {"gro", 0x2c},
}

// ethtoolValue is struct ethtool_value.
type ethtoolValue struct {
	command, data uint32
}

// ethtoolRequest is struct ifreq with a pointer.
type ethtoolRequest struct {
	name [unix.IFNAMSIZ]byte
	data unsafe.Pointer
	_    [24 - unsafe.Sizeof(uintptr(0))]byte
}

// offloadsOff has an interface carry frames as they are given: none is joined, cut or left for others to complete.
func offloadsOff(name string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for _, f := range features {
		value := ethtoolValue{command: f.command}
		if err := ethtool(fd, name, &value); err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
			return fmt.Errorf("%s: switch %s off: %w", name, f.name, err)
		}
	}
	return nil
}

func ethtool(fd int, name string, value *ethtoolValue) error {
	request := ethtoolRequest{data: unsafe.Pointer(value)}
	copy(request.name[:unix.IFNAMSIZ-1], name)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
	runtime.KeepAlive(value)
	if errno != 0 {
		return errno
	}
	return nil
}
