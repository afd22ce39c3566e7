package meter

import (
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mailboxProperty is the driver's _IOWR(100, 0, char *).
const mailboxProperty = 3<<30 | unsafe.Sizeof(uintptr(0))<<16 | 100<<8

// askFirmware has the firmware answer m in place through a mailbox device of the Raspberry Pi's kernels; the error is
// os.ErrNotExist on any other machine. It may take a millisecond.
func askFirmware(device string, m []uint32) error {
	fd, err := unix.Open(device, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: device, Err: err}
	}
	defer unix.Close(fd)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), mailboxProperty, uintptr(unsafe.Pointer(&m[0])))
	runtime.KeepAlive(m)
	if errno != 0 {
		return &os.PathError{Op: "ioctl", Path: device, Err: errno}
	}
	return nil
}
