//go:build unix

package labelled_test

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"pcaplab/datasets/labelled"
)

// TestPipesAreRefused wants a pipe not to be opened: that would wait for who writes it.
func TestPipesAreRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip("no pipes here:", err)
	}
	if _, _, err := labelled.KindOf(path); err == nil || !strings.Contains(err.Error(), "write it to a file first") {
		t.Errorf("%v", err)
	}
}
