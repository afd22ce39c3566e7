//go:build unix && !linux

package cli

import (
	"os/exec"
	"syscall"
)

// asMeasured starts cmd in a process group of its own.
func asMeasured(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
