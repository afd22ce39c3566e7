package netlab

import "testing"

func FuzzSoftirqs(f *testing.F) {
	f.Add([]byte("cpu  1 2 3 4 5 6 7 8 0 0\n"))
	f.Add([]byte("   CPU0 CPU1\n NET_RX: 5 6\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		_, _ = softirqTime(text)
		_, _ = softirqCount(text, "NET_RX:")
	})
}
