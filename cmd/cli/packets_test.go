package cli

import (
	"math"
	"strconv"
	"testing"
)

func TestPacketCount(t *testing.T) {
	var i int
	var i64 int64
	var u64 uint64
	flags := []interface {
		Set(string) error
		String() string
	}{packetsFlag(&i), packetsFlag(&i64), packetsFlag(&u64)}
	const none = "" // refused
	for _, tt := range []struct{ text, wantInt, wantInt64, wantUint64 string }{
		{"0", "0", "0", "0"},
		{"5000", "5000", "5000", "5000"},
		{"1e6", "1000000", "1000000", "1000000"},
		{"10k", "10000", "10000", "10000"},
		{"1.5M", "1500000", "1500000", "1500000"},
		{"4.1M", "4100000", "4100000", "4100000"},
		{"1.001k", "1001", "1001", "1001"},
		{"1.0005k", none, none, none},
		{"1e3k", none, none, none},
		{"-3", "-3", "-3", none},
		{strconv.Itoa(math.MaxInt), strconv.Itoa(math.MaxInt), strconv.Itoa(math.MaxInt), strconv.Itoa(math.MaxInt)},
		{"9223372036854775808", none, none, "9223372036854775808"},
		{"18446744073709551615", none, none, "18446744073709551615"},
		{"18446744073709551616", none, none, none},
		{"1e16", none, none, none}, // beyond 2^53 digits would be lost
		{"1.5", none, none, none},
		{"-1e3", none, none, none},
		{"NaN", none, none, none},
		{"k", none, none, none},
		{"", none, none, none},
		{"12x", none, none, none},
	} {
		for j, want := range []string{tt.wantInt, tt.wantInt64, tt.wantUint64} {
			i, i64, u64 = 7, 7, 7
			err := flags[j].Set(tt.text)
			switch got := flags[j].String(); {
			case want == none && (err == nil || got != "7"):
				t.Errorf("%d: %q is taken as %s, %v", j, tt.text, got, err)
			case want != none && (err != nil || got != want):
				t.Errorf("%d: %q is %s, %v, want %s", j, tt.text, got, err, want)
			}
		}
	}
	if strconv.IntSize == 32 {
		if err := packetsFlag(&i).Set("3G"); err == nil {
			t.Error("3G fits into 32 bits")
		}
	}
}
