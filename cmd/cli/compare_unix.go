//go:build unix

package cli

import (
	"os/exec"
	"syscall"
)

// endMeasured ends what is left of the process group of cmd.
func endMeasured(cmd *exec.Cmd) { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
