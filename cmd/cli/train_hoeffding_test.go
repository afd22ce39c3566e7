package cli

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestTrainHoeffdingCurveOfAnySize(t *testing.T) {
	dir := t.TempDir()
	_, stderr := run(t, ExitUsage, "train", "hoeffding", "--data", "none.csv", "-o", filepath.Join(dir, "m.json"), "--curve", filepath.Join(dir, "c.csv"),
		"--curve-every", "2000000000")
	if !strings.Contains(stderr, "--curve-every 2000000000: want 1 to 67108864") {
		t.Error(stderr)
	}
}
