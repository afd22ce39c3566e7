package meter

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// A property message of the Raspberry Pi's mailbox is an array of words: octets in all, a request or response code,
// then tags (identifier, octets of room, octets of the answer, room), then 0. See "Mailbox property interface" in the
// wiki of raspberrypi/firmware.
const (
	tagThrottled    = 0x00030046
	tagCommand      = 0x00030080
	mailboxAnswered = 0x80000000
)

type propertyMessage [7]uint32

// throttledRequest asks for the flags; the word of room is a mask of sticky flags to clear, and none is.
func throttledRequest() propertyMessage {
	return propertyMessage{28, 0, tagThrottled, 4, 0, 0, 0}
}

// throttledAnswer returns the flags in the message that the firmware has answered in place.
func throttledAnswer(m propertyMessage) (ThrottleFlags, error) {
	if m[1] != mailboxAnswered || m[2] != tagThrottled || m[4] != mailboxAnswered|4 {
		return 0, fmt.Errorf("the firmware does not answer get_throttled: code %#x, tag %#x, length %#x", m[1], m[2], m[4])
	}
	return ThrottleFlags(m[5]), nil
}

// A command message holds a command of vcgencmd, and then its answer, in place of numbers. The first word of its room is
// an error code.
const commandRoom = 1024

type commandMessage [7 + commandRoom/4]uint32

func commandRequest(command string) commandMessage {
	m := commandMessage{2: tagCommand, 3: commandRoom}
	m[0] = uint32(4 * len(m))
	text := append([]byte(command), make([]byte, commandRoom-len(command))...)
	for i := range commandRoom / 4 {
		m[6+i] = binary.NativeEndian.Uint32(text[4*i:])
	}
	return m
}

func commandAnswer(m *commandMessage) (string, error) {
	if m[1] != mailboxAnswered || m[2] != tagCommand || m[5] != 0 {
		return "", fmt.Errorf("the firmware does not answer the command: code %#x, tag %#x, error %#x", m[1], m[2], m[5])
	}
	var text []byte
	for _, word := range m[6 : 6+commandRoom/4] {
		text = binary.NativeEndian.AppendUint32(text, word)
	}
	text, _, _ = bytes.Cut(text, []byte{0})
	return strings.TrimSpace(string(text)), nil
}

// commandFirmware has the firmware answer a command of vcgencmd. Newer kernels have a device for nothing else, which
// users of the group video may open; of those before, everything is on one.
func commandFirmware(command string) (string, error) {
	var failed error
	for _, device := range []string{"/dev/vcio_gencmd", "/dev/vcio"} {
		m := commandRequest(command)
		err := askFirmware(device, m[:])
		if err == nil {
			return commandAnswer(&m)
		}
		if failed == nil || errors.Is(failed, os.ErrNotExist) {
			failed = err
		}
	}
	return "", failed
}

// askThrottled asks the firmware for its throttle flags; the error is os.ErrNotExist on any other machine. The command's
// sticky flags last until the next boot; those of the property are cleared every two seconds by the driver of the voltage
// sensor (drivers/hwmon/raspberrypi-hwmon.c), so that it comes second.
func askThrottled() (ThrottleFlags, error) {
	answer, err := commandFirmware("get_throttled")
	if err == nil {
		var flags ThrottleFlags
		if flags, err = parseThrottledCommand(answer); err == nil {
			return flags, nil
		}
	}
	m := throttledRequest()
	if askFirmware("/dev/vcio", m[:]) != nil {
		return 0, err
	}
	return throttledAnswer(m)
}

// parseThrottledCommand reads "throttled=0x50005".
func parseThrottledCommand(answer string) (ThrottleFlags, error) {
	if value, ok := strings.CutPrefix(answer, "throttled="); ok {
		if flags, ok := parseThrottle(value); ok {
			return flags, nil
		}
	}
	return 0, fmt.Errorf("the firmware answers %q to get_throttled", shorten(answer))
}

// askClock asks the firmware for the processor's clock as it measures it, in Hz; the error is os.ErrNotExist on any
// other machine.
func askClock() (int64, error) {
	answer, err := commandFirmware("measure_clock arm")
	if err != nil {
		return 0, err
	}
	return parseClockCommand(answer)
}

// parseClockCommand reads "frequency(48)=1800404352".
func parseClockCommand(answer string) (int64, error) {
	if name, value, ok := strings.Cut(answer, "="); ok && strings.HasPrefix(name, "frequency(") {
		if hz, err := strconv.ParseInt(value, 10, 64); err == nil && hz > 0 && hz < 1e12 {
			return hz, nil
		}
	}
	return 0, fmt.Errorf("the firmware answers %q to measure_clock", shorten(answer))
}
