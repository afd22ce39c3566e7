package worker

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// gone checks that nothing is left of the worker's process group: no process that runs, and no zombie of ours.
func gone(t *testing.T, w *Worker) {
	t.Helper()
	group := strconv.Itoa(w.cmd.Process.Pid)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		left := ""
		files, _ := filepath.Glob("/proc/[0-9]*/stat")
		for _, file := range files {
			stat, err := os.ReadFile(file)
			if err != nil {
				continue // it has ended
			}
			rest := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:]) // state, parent, group
			if len(rest) < 3 || string(rest[2]) != group {
				continue
			}
			if string(rest[0]) == "Z" && string(rest[1]) != strconv.Itoa(os.Getpid()) {
				continue // who took it over has not waited for it yet
			}
			left = string(stat)
		}
		if left == "" {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("left of the worker's process group: %s", left)
		}
	}
}
