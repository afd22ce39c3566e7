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
	b.Governor, a.Vendor = "powersave", "Arm" // each unknown to the other
	b.FrequencyMaxHz, a.FrequencyMaxHz = number(600), number(1500)
	want := []string{
		`board unknown, not "Raspberry Pi 4"`, `cores_online unknown, not 4`, `cpu "Cortex-A53", not "Cortex-A72"`,
		`frequency_max_hz 1500, not 600 (heat can lower it for a while: let both cool, and measure again)`, `governor unknown, not "powersave"`,
		`kernel "6.1", not "6.6"`, `vendor "Arm", not unknown`,
	}
	if got, err := a.Differences(&b); err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
}

// Sizes of memory are compared with a tolerance, wherever they lie.
func TestDifferencesOfMemory(t *testing.T) {
	for _, tt := range []struct {
		a, b int64
		same bool
	}{
		{memoryStep/2 - 1, memoryStep / 2, true},
		{4 << 30, 4<<30 - memoryStep, true},
		{4 << 30, 4<<30 + memoryStep + 1, false},
		{1 << 30, 2 << 30, false},
	} {
		x, y := Environment{MemoryOctets: &tt.a}, Environment{MemoryOctets: &tt.b}
		if got, err := x.Differences(&y); err != nil || len(got) == 0 != tt.same {
			t.Errorf("%d and %d: %q, %v", tt.a, tt.b, got, err)
		}
	}
}
