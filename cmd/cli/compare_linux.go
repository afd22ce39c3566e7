package cli

import (
	"os/exec"
	"syscall"
)

// diesWithParent has the kernel end cmd when the thread that starts it ends: kill -9 of this process must not leave a measuring one.
func diesWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
}
