package truth

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func write(t testing.TB, packets []Packet) string {
	t.Helper()
	var b bytes.Buffer
	w := NewWriter(&b)
	for _, p := range packets {
		if err := w.Add(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func readAll(r io.Reader) ([]Packet, error) {
	in, err := NewReader(r)
	if err != nil {
		return nil, err
	}
	var all []Packet
	for len(all) < 1<<12 {
		p, err := in.Next()
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, p)
	}
	return all, nil
}

func TestRuns(t *testing.T) {
	got := write(t, []Packet{
		{Class: "a"}, {Class: "a"}, {Class: "a", Attack: Yes}, {Class: "a", Attack: No},
		{Class: "b", Source: "x, 1.pcap", Number: 7}, {Class: "b", Source: "x, 1.pcap", Number: 8},
		{Class: "b", Source: "x, 1.pcap", Number: 10}, {Class: "b", Source: "x, 1.pcap", Number: 10},
	})
	want := `packets,class,attack,source,first
2,a,,,0
1,a,1,,0
1,a,0,,0
2,b,,"x, 1.pcap",7
1,b,,"x, 1.pcap",10
1,b,,"x, 1.pcap",10
`
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if got := write(t, nil); got != "packets,class,attack,source,first\n" {
		t.Errorf("without packets: %q", got)
	}
}

// What was added comes back, packet by packet.
func TestRoundTrip(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 1))
		packets := make([]Packet, random.IntN(300))
		next := map[string]uint64{}
		for i := range packets {
			p := Packet{Class: []string{"", "DoS-SYN_Flood", "x\"y"}[random.IntN(3)], Attack: Attack(random.IntN(3)),
				Source: []string{"", "a.pcap", "b\nc.pcap"}[random.IntN(3)]}
			if i > 0 && random.IntN(4) > 0 {
				p = packets[i-1]
			}
			if p.Source != "" {
				next[p.Source] += 1 + uint64(random.IntN(9)/8)
				p.Number = next[p.Source]
			}
			packets[i] = p
		}
		got, err := readAll(strings.NewReader(write(t, packets)))
		if err != nil || !slices.Equal(got, packets) {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

func TestFaultsNameTheLine(t *testing.T) {
	head := "packets,class,attack,source,first\n"
	for in, want := range map[string]string{
		"":                                      "line 1",
		"packets,class\n":                       "line 1",
		head + "0,a,,,0\n":                      "line 2: packets",
		head + "1,a,,,0\n-1,a,,,0\n":            "line 3: packets",
		head + "1,a,2,,0\n":                     "line 2: attack",
		head + "1,a,1,,5\n":                     "line 2: first",
		head + "1,a,1,x,0\n":                    "line 2: first",
		head + "1,a,1,x\n":                      "line 2",
		head + "9,a,1,x,18446744073709551610\n": "line 2: first",
	} {
		if _, err := readAll(strings.NewReader(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", in, err, want)
		}
	}
	w := NewWriter(io.Discard)
	if w.Add(Packet{Number: 1}) == nil || w.Add(Packet{Source: "x"}) == nil {
		t.Error("a number without a source was taken, or a source without a number")
	}
}

type full struct{ left int }

var errFull = errors.New("full")

func (f *full) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestWriteErrors(t *testing.T) {
	w := NewWriter(&full{100})
	var err error
	for i := 0; err == nil && i < 1e5; i++ {
		err = w.Add(Packet{Class: "a", Attack: Attack(i % 3)})
	}
	if err == nil {
		err = w.Close()
	}
	if !errors.Is(err, errFull) {
		t.Error(err)
	}
}

func TestAddAllocatesNothing(t *testing.T) {
	w := NewWriter(io.Discard)
	for name, step := range map[string]uint64{"runs": 1, "a row each": 2} {
		n := uint64(0)
		if got := testing.AllocsPerRun(1000, func() {
			n += step
			_ = w.Add(Packet{Class: "a \"class\"", Source: "x, y", Number: n})
		}); got != 0 {
			t.Errorf("%s: %v allocations a packet", name, got)
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte("packets,class,attack,source,first\n2,a,,,0\n3,b,1,x,9\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		packets, err := readAll(bytes.NewReader(in))
		if err != nil || len(packets) == 1<<12 {
			return
		}
		again, err := readAll(strings.NewReader(write(t, packets)))
		// The CSV reader takes \r\n within quotes as \n.
		if err != nil || !slices.Equal(again, packets) && !bytes.Contains(in, []byte("\r")) {
			t.Fatal(err, fmt.Sprint(packets, again))
		}
	})
}
