package meter

import (
	"slices"
	"testing"
)

func TestDifferences(t *testing.T) {
	number := func(n int64) *int64 { return &n }
	a := Environment{OS: "linux", CPU: "Cortex-A53", Kernel: "6.1", TemperatureMilliC: number(40_000), MemoryOctets: number(1 << 30), Notes: []string{"x"}}
	b := a
	b.TemperatureMilliC, b.MemoryOctets, b.MemoryAvailableOctets, b.Notes = number(60_000), number(1<<30-4096), number(5), nil
	if got, err := a.Differences(&b); err != nil || len(got) > 0 {
		t.Errorf("what changes from minute to minute: %q, %v", got, err)
	}
	b.CPU, b.Kernel, b.Board = "Cortex-A72", "6.6", "Raspberry Pi 4"
	b.CoresOnline = number(4)
	want := []string{`cores_online null, not 4`, `cpu "Cortex-A53", not "Cortex-A72"`, `kernel "6.1", not "6.6"`, `board unknown, not "Raspberry Pi 4"`}
	if got, err := a.Differences(&b); err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
}
