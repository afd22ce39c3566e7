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

func TestClockAnswer(t *testing.T) {
	tests := []struct {
		name   string
		answer propertyMessage
		want   int64
	}{
		{"1.5 GHz", propertyMessage{32, 0x80000000, 0x30047, 8, 0x80000008, 3, 1500398464, 0}, 1500398464},
		{"the request unanswered", clockRequest(), 0},
		{"no clock", propertyMessage{32, 0x80000000, 0x30047, 8, 0x80000008, 3, 0, 0}, 0},
		{"another clock", propertyMessage{32, 0x80000000, 0x30047, 8, 0x80000008, 4, 500000000, 0}, 0},
		{"an answer too short", propertyMessage{32, 0x80000000, 0x30047, 8, 0x80000004, 3, 1500398464, 0}, 0},
		{"parse error", propertyMessage{32, 0x80000001, 0x30047, 8, 0x80000008, 3, 1500398464, 0}, 0},
		{"another tag", propertyMessage{32, 0x80000000, 0x30046, 8, 0x80000008, 3, 1500398464, 0}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := clockAnswer(tt.answer)
			if got != tt.want || (err != nil) != (tt.want == 0) {
				t.Errorf("%d Hz, %v; want %d Hz", got, err, tt.want)
			}
		})
	}
}

func TestFirmwareIsAskedOnlyWhereItIs(t *testing.T) {
	m := throttledRequest()
	err := askFirmware(&m)
	if _, missing := os.Stat("/dev/vcio"); missing == nil {
		t.Logf("answer %#x, error %v", m, err)
		return
	}
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want one that is os.ErrNotExist", err)
	}
}
