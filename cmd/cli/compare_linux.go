package cli

import (
	"os/exec"
	"syscall"
)

// asMeasured starts cmd in a process group of its own. The kernel ends it when the thread that starts it ends: kill -9 of this process must not leave
// a measuring one.
func asMeasured(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
