package meter

import (
	"errors"
	"os"
	"testing"
)

func TestThrottledAnswer(t *testing.T) {
	tests := []struct {
		name   string
		answer propertyMessage
		want   ThrottleFlags
		fails  bool
	}{
		{"none", propertyMessage{28, 0x80000000, 0x30046, 4, 0x80000004, 0, 0}, 0, false},
		{"under-voltage", propertyMessage{28, 0x80000000, 0x30046, 4, 0x80000004, 0x50005, 0}, 0x50005, false},
		{"the request unanswered", throttledRequest(), 0, true},
		{"parse error", propertyMessage{28, 0x80000001, 0x30046, 4, 0, 0, 0}, 0, true},
		{"tag unknown to the firmware", propertyMessage{28, 0x80000000, 0x30046, 4, 0, 0, 0}, 0, true},
		{"tag changed", propertyMessage{28, 0x80000000, 0x30047, 4, 0x80000004, 1, 0}, 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := throttledAnswer(tt.answer)
			if got != tt.want || (err != nil) != tt.fails {
				t.Errorf("%#x, %v; want %#x, an error: %v", uint32(got), err, uint32(tt.want), tt.fails)
			}
		})
	}
}

func TestFirmwareIsAskedOnlyWhereItIs(t *testing.T) {
	if _, err := os.Stat("/dev/vcio"); err == nil {
		flags, err := askFirmware()
		t.Logf("flags %v, error %v", flags, err)
		return
	}
	if _, err := askFirmware(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want one that is os.ErrNotExist", err)
	}
}
