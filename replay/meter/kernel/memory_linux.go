package kernel

import (
	"time"

	"golang.org/x/sys/unix"
)

// allocate maps memory apart from the Go heap, in pages of the base size: huge pages would depend on the system's settings,
// and frames are not in them either.
func allocate(octets int) (memory []byte, free func(), err error) {
	if octets == 0 {
		return nil, func() {}, nil
	}
	memory, err = unix.Mmap(-1, 0, octets, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, nil, err
	}
	_ = unix.Madvise(memory, unix.MADV_NOHUGEPAGE) // fails where the kernel has no huge pages
	return memory, func() { _ = unix.Munmap(memory) }, nil
}

// processCPU returns the CPU time of the process, or a negative duration where that cannot be known.
func processCPU() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t); err != nil {
		return -1
	}
	return time.Duration(t.Nano())
}
