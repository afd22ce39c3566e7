package remote

import (
	"os/exec"
	"syscall"
)

// ownGroup keeps an interrupt at the terminal from ending ssh before the program has cleaned up over it.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}

func endGroup(cmd *exec.Cmd, force bool) { cmd.Process.Kill() }
