package feature_test

import (
	"math"
	"slices"
	"testing"

	"pcaplab/parse"
	"pcaplab/parse/feature"
)

// TestWindowLengthColumns repeats the same frames in a window ten times as long: exactly the columns listed become ten times as much.
func TestWindowLengthColumns(t *testing.T) {
	of := func(rows int) (v feature.Vector) {
		x, err := feature.New(feature.Config{Span: feature.Span{Rows: rows}, Emit: func(e *feature.Vector) { v = *e }})
		if err != nil {
			t.Fatal(err)
		}
		tcp := make([]byte, 60) // Ethernet, IPv4, TCP
		tcp[12], tcp[14], tcp[17], tcp[22], tcp[23], tcp[46] = 8, 0x45, 46, 64, 6, 0x50
		for i := range rows {
			tcp[47] = [...]byte{0x02, 0x10, 0x11, 0x04, 0x18}[i%5] // SYN, ACK, FIN ACK, RST, PSH ACK
			f := parse.Frame{UnixNano: int64(i) * 1e6, Data: tcp, WireLen: len(tcp), Link: parse.LinkEthernet}
			if err := x.Process(&f, nil); err != nil {
				t.Fatal(err)
			}
		}
		return v
	}
	short, long := of(10), of(100)
	listed := feature.WindowLengthColumns()
	for c, name := range feature.Columns() {
		grows := short.Values[c] > 0 && math.Abs(long.Values[c]-10*short.Values[c]) < 1e-9
		if want := slices.Contains(listed, c); grows != want {
			t.Errorf("%s: %v in 10 rows, %v in 100; listed %t", name, short.Values[c], long.Values[c], want)
		}
	}
}
