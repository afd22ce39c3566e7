package main

import (
	"slices"
	"testing"
)

// TestFaultsAreFound feeds a receiver by hand, as a ring would, with runs that differ from the capture in one thing.
func TestFaultsAreFound(t *testing.T) {
	film := capture{size: 64, frames: 8}
	frames := func() (all [][]byte) {
		for i := range film.frames {
			all = append(all, film.frame(i, make([]byte, mtu)))
		}
		return all
	}
	for _, tt := range []struct {
		name           string
		change         func([][]byte) [][]byte
		altered, order int // faults by octets, and by numbers alone
		strays         int
	}{
		{"as sent", func(f [][]byte) [][]byte { return f }, 0, 0, 0},
		{"last octet", func(f [][]byte) [][]byte { f[3][59] ^= 1; return f }, 1, 0, 0},
		{"two swapped", func(f [][]byte) [][]byte { f[3], f[4] = f[4], f[3]; return f }, 2, 2, 0},
		{"one twice", func(f [][]byte) [][]byte { return append(f, f[7]) }, 1, 1, 0},
		{"one missing", func(f [][]byte) [][]byte { return slices.Delete(f, 6, 7) }, 1, 1, 0},
		{"the last one missing", func(f [][]byte) [][]byte { return f[:7] }, 0, 0, 0}, // seen by the count
		{"one cut", func(f [][]byte) [][]byte { f[5] = f[5][:59]; return f }, 1, 0, 0},
		{"a foreign one at the end", func(f [][]byte) [][]byte { return append(f, make([]byte, 60)) }, 1, 0, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.change(frames())
			k := benchCase{mode: integrity, loops: 1, captures: []capture{film}}
			whole := watcher{k: &k, want: film.frames}
			take := whole.compare()
			k2 := k
			k2.mode = paced
			numbers := watcher{k: &k2, want: film.frames}
			for i, f := range got {
				take(int64(i), f, len(f))
				numbers.time(int64(i), f[:min(len(f), headersLen+4)], len(f))
			}
			if whole.faults != tt.altered || whole.strays != tt.strays || len(whole.at) != len(got) {
				t.Errorf("by octets: %d faults, %d strays of %d frames; want %d, %d of %d", whole.faults, whole.strays, len(whole.at),
					tt.altered, tt.strays, len(got))
			}
			if numbers.faults != tt.order || numbers.strays != tt.strays || len(numbers.at) != len(got)-tt.strays {
				t.Errorf("by numbers: %d faults, %d strays of %d frames; want %d, %d", numbers.faults, numbers.strays, len(numbers.at),
					tt.order, tt.strays)
			}
		})
	}
}
