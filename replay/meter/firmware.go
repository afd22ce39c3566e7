package meter

import "fmt"

// A property message of the Raspberry Pi's mailbox is an array of words: octets in all, a request or response code,
// then tags (identifier, octets of room, octets of the answer, room), then 0. See "Mailbox property interface" in the
// wiki of raspberrypi/firmware.
const (
	tagThrottled     = 0x00030046
	tagClockMeasured = 0x00030047
	mailboxAnswered  = 0x80000000

	clockARM = 3 // the processor's, among the firmware's clocks
)

type propertyMessage [8]uint32

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

// clockRequest asks for the processor's clock as the firmware measures it, in Hz.
func clockRequest() propertyMessage {
	return propertyMessage{32, 0, tagClockMeasured, 8, 0, clockARM, 0, 0}
}

// clockAnswer returns the clock in the message that the firmware has answered in place, in Hz.
func clockAnswer(m propertyMessage) (int64, error) {
	if m[1] != mailboxAnswered || m[2] != tagClockMeasured || m[4] != mailboxAnswered|8 || m[5] != clockARM || m[6] == 0 {
		return 0, fmt.Errorf("the firmware does not measure its clock: code %#x, tag %#x, length %#x, clock %d, %d Hz",
			m[1], m[2], m[4], m[5], m[6])
	}
	return int64(m[6]), nil
}
