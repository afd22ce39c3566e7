//go:build unix

package shard_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"pcaplab/datasets/shard"
)

// TestPipesAreNotOpened: nobody would ever write to them.
func TestPipesAreNotOpened(t *testing.T) {
	for _, name := range []string{shard.RecordName, "data"} {
		dir, j := t.TempDir(), jobOf(1)
		file := filepath.Join(write(t, dir, j, 1, "payload"), name)
		if err := errors.Join(os.Remove(file), syscall.Mkfifo(file, 0o666)); err != nil {
			t.Skip(err)
		}
		set, err := shard.Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		if name == shard.RecordName {
			if len(set.Faults) != 1 {
				t.Errorf("%s: %+v", name, set)
			}
		} else if err := set.Of(set.Main())[1].Verify(); !errors.As(err, new(*shard.CorruptError)) {
			t.Errorf("%s: %v", name, err)
		}
		write(t, dir, j, 1, "payload")
	}
}
