package worker

import (
	"os/exec"
	"syscall"
)

// ownGroup keeps an interrupt at the terminal from the worker: it is ended by its caller. What it started is not.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}

func killGroup(cmd *exec.Cmd) error { return cmd.Process.Kill() }
