//go:build unix

package remote

import (
	"os/exec"
	"syscall"
)

// ownGroup keeps an interrupt at the terminal from ending ssh before the program has cleaned up over it.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// endGroup asks ssh and its helpers, such as a ProxyCommand, to end, or makes them.
func endGroup(cmd *exec.Cmd, force bool) {
	signal := syscall.SIGTERM
	if force {
		signal = syscall.SIGKILL
	}
	syscall.Kill(-cmd.Process.Pid, signal)
}
