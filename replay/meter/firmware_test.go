package meter

import (
	"encoding/binary"
	"errors"
	"os"
	"strings"
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

// answered is the message as the firmware would leave it.
func answered(text string, code, failure uint32) commandMessage {
	m := commandRequest(text)
	m[1], m[4], m[5] = code, 0x80000000|1024, failure
	return m
}

func TestCommandMessage(t *testing.T) {
	m := commandRequest("get_throttled")
	if m[0] != 1052 || m[1] != 0 || m[2] != 0x30080 || m[3] != 1024 || m[5] != 0 || m[len(m)-1] != 0 {
		t.Errorf("request %#x", m)
	}
	var octets []byte
	for _, word := range m[6:10] {
		octets = binary.NativeEndian.AppendUint32(octets, word)
	}
	if string(octets) != "get_throttled\x00\x00\x00" {
		t.Errorf("the command is %q", octets)
	}
	full := strings.Repeat("x", commandRoom)
	tests := []struct {
		name   string
		answer commandMessage
		want   string
		fails  bool
	}{
		{"text", answered("throttled=0x0\n", 0x80000000, 0), "throttled=0x0", false},
		{"nothing", answered("", 0x80000000, 0), "", false},
		{"no end", answered(full, 0x80000000, 0), full, false},
		{"the request unanswered", answered("get_throttled", 0, 0), "", true},
		{"parse error", answered("get_throttled", 0x80000001, 0), "", true},
		{"error", answered("error=1", 0x80000000, 0xffffffff), "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := commandAnswer(&tt.answer); got != tt.want || (err != nil) != tt.fails {
				t.Errorf("%q, %v; want %q, an error: %v", got, err, tt.want, tt.fails)
			}
		})
	}
}

func TestCommandAnswers(t *testing.T) {
	for _, tt := range []struct {
		answer string
		want   ThrottleFlags
		fails  bool
	}{
		{"throttled=0x0", 0, false}, {"throttled=0x50005", 0x50005, false}, {"throttled=", 0, true},
		{"error=1 error_msg=\"Command not registered\"", 0, true}, {"", 0, true}, {"throttled=0x1ffffffff", 0, true},
	} {
		if got, err := parseThrottledCommand(tt.answer); got != tt.want || (err != nil) != tt.fails {
			t.Errorf("%q: %#x, %v", tt.answer, uint32(got), err)
		}
	}
	for _, tt := range []struct {
		answer string
		want   int64
	}{
		{"frequency(48)=1800404352", 1800404352}, {"frequency(0)=2400033792", 2400033792}, {"frequency(48)=0", 0},
		{"frequency(48)=-5", 0}, {"frequency(48)=", 0}, {"temp=1800404352", 0}, {"", 0}, {"frequency(48)=9223372036854775807", 0},
	} {
		if got, err := parseClockCommand(tt.answer); got != tt.want || (err != nil) != (tt.want == 0) {
			t.Errorf("%q: %d Hz, %v", tt.answer, got, err)
		}
	}
}

func TestFirmwareIsAskedOnlyWhereItIs(t *testing.T) {
	flags, err := askThrottled()
	hz, clockErr := askClock()
	for _, device := range []string{"/dev/vcio", "/dev/vcio_gencmd"} {
		if _, missing := os.Stat(device); missing == nil {
			t.Logf("flags %v, %v; clock %d Hz, %v", flags, err, hz, clockErr)
			return
		}
	}
	if !errors.Is(err, os.ErrNotExist) || !errors.Is(clockErr, os.ErrNotExist) {
		t.Errorf("errors %v and %v, want such that are os.ErrNotExist", err, clockErr)
	}
}
