package cli

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestFailIfRefusesWhatIsNoGate(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"ceiling", "--fail-if", "", "synth:iot-1:100"}, "it is empty"},
		{[]string{"sweep", "--rates", "1k", "--fail-if", " ", "synth:iot-1:100"}, "it is empty"},
		{[]string{"compare", "--fail-if", "", "a", "b"}, "it is empty"},
		{[]string{"predict", "--fail-if="}, "it is empty"},
		{[]string{"merge", "--fail-if=", "x", "-o", "y"}, "it is empty"},
		{[]string{"ceiling", "--fail-if", "cost-min>3%", "synth:iot-1:100"}, "only loss and soak are shares"},
		{[]string{"trial", "--fail-if", "ndr<5%", "synth:iot-1:100"}, "only loss and soak are shares"},
		{[]string{"ceiling", "--feed", "ring", "--fail-if", "cost-min>3", "synth:iot-1:100"}, "unknown metric"},
		{[]string{"ceiling", "--workers", "2", "--fail-if", "cost-min>3", "synth:iot-1:100"}, "unknown metric"},
		{[]string{"ceiling", "--search", "none", "--goal", "ndr", "synth:iot-1:100"}, "searches no goal"},
	} {
		if _, stderr := run(t, ExitUsage, tt.args...); !strings.Contains(stderr, tt.want) {
			t.Errorf("%v: %s", tt.args, stderr)
		}
	}
}

func TestClosedLoopAloneHasNoGoals(t *testing.T) {
	out := filepath.Join(t.TempDir(), "r")
	table, _ := run(t, ExitDone, "ceiling", "--in-process", "--search", "none", "--trial", "300ms", "--repeats", "1", "--cache", "hot", "--engines", "direct",
		"--fail-if", "cost-min>1M", "-o", out, "synth:iot-1:200")
	if strings.Contains(table, "goal ") || strings.Contains(table, "NDR") {
		t.Errorf("goals where nothing is searched:\n%s", table)
	}
	bench, _ := run(t, ExitDone, "benchfmt", out)
	if !strings.Contains(bench, " min-ns/op") {
		t.Errorf("%s", bench)
	}
}
