//go:build unix

package cli

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A signal ends what waits for a pipe, and nothing unfinished stays.
func TestInterruptedMixOfAPipe(t *testing.T) {
	classTree(t)
	text, err := os.ReadFile("PCAP/my own/lab.pcap")
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo("pipe.pcap", 0o600); err != nil {
		t.Skip("no pipes with names here")
	}
	for _, args := range []string{"mix -o out.pcap A=pipe.pcap", "sample -o new A=pipe.pcap"} {
		c := exec.Command(exe, append([]string{"dataset"}, strings.Fields(args)...)...)
		c.Env = append(os.Environ(), "PCAPLAB_TEST_PROGRAM=1")
		var stderr bytes.Buffer
		c.Stderr = &stderr
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		w, err := os.OpenFile("pipe.pcap", os.O_WRONLY, 0) // waits for the reader
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(text[:len(text)-7]); err != nil {
			t.Fatal(err)
		}
		if err := c.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		_ = c.Wait()
		w.Close()
		if code := c.ProcessState.ExitCode(); code != ExitInterrupted {
			t.Errorf("%s: exit code %d: %s", args, code, stderr.String())
		}
		for _, pattern := range []string{".*", "out*", "new*"} {
			if left, _ := filepath.Glob(pattern); len(left) > 0 {
				t.Errorf("%s: left %q", args, left)
			}
		}
	}
}

// A pipe in a tree is not waited for.
func TestSampleLeavesPipesOut(t *testing.T) {
	classTree(t)
	if err := syscall.Mkfifo("PCAP/my own/pipe.pcap", 0o600); err != nil {
		t.Skip("no pipes with names here")
	}
	if _, stderr := run(t, ExitDone, "dataset", "sample", "-o", "part", "PCAP"); !strings.Contains(stderr, "pipe.pcap") {
		t.Errorf("not named: %s", stderr)
	}
}
