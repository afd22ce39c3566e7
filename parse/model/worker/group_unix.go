//go:build unix

package worker

import (
	"os/exec"
	"syscall"
)

// ownGroup keeps an interrupt at the terminal from the worker: it is ended by its caller, with whatever it started.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func killGroup(cmd *exec.Cmd) error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
