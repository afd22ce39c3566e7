package flow_test

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"pcaplab/parse"
	"pcaplab/parse/flow"
)

func tuple(src, dst uint32, srcPort, dstPort uint16, proto uint8) parse.FiveTuple {
	t := parse.FiveTuple{SrcPort: srcPort, DstPort: dstPort, Proto: proto}
	for ip, v := range map[*[16]byte]uint32{&t.SrcIP: src, &t.DstIP: dst} {
		ip[10], ip[11] = 0xff, 0xff
		binary.BigEndian.PutUint32(ip[12:], v)
	}
	return t
}

func packet(t parse.FiveTuple) parse.Packet { return parse.Packet{Layers: parse.LayerIPv4, Tuple: t} }

func newTable(t testing.TB, cfg flow.Config) *flow.Table {
	table, err := flow.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func process(t testing.TB, table *flow.Table, at time.Duration, wireLen int, tuple parse.FiveTuple) {
	p := packet(tuple)
	if err := table.Process(&parse.Frame{UnixNano: int64(at), WireLen: wireLen}, &p); err != nil {
		t.Fatal(err)
	}
}

func TestDirections(t *testing.T) {
	a := tuple(1, 2, 1000, 80, 6)
	for _, tc := range []struct {
		name   string
		cfg    flow.Config
		tuples []parse.FiveTuple
		flows  uint64
	}{
		{"both directions are one flow", flow.Config{}, []parse.FiveTuple{a, a.Reverse(), a}, 1},
		{"one way", flow.Config{OneWay: true}, []parse.FiveTuple{a, a.Reverse(), a}, 2},
		{"another port", flow.Config{}, []parse.FiveTuple{a, tuple(1, 2, 1001, 80, 6)}, 2},
		{"another protocol", flow.Config{}, []parse.FiveTuple{a, tuple(1, 2, 1000, 80, 17)}, 2},
		{"ports crossed, addresses not", flow.Config{}, []parse.FiveTuple{a, tuple(1, 2, 80, 1000, 6)}, 2},
		{"addresses crossed, ports not", flow.Config{}, []parse.FiveTuple{a, tuple(2, 1, 1000, 80, 6)}, 2},
		{"to itself", flow.Config{}, []parse.FiveTuple{tuple(1, 1, 5, 5, 17), tuple(1, 1, 5, 5, 17)}, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			table := newTable(t, tc.cfg)
			for _, tuple := range tc.tuples {
				process(t, table, 0, 100, tuple)
			}
			if c := table.Counters(); c.Seen != tc.flows || c.Active != tc.flows || c.Packets != uint64(len(tc.tuples)) {
				t.Errorf("%+v, want %d flows", c, tc.flows)
			}
		})
	}
}

func TestFlowHolds(t *testing.T) {
	table := newTable(t, flow.Config{})
	a := tuple(1, 2, 1000, 80, 6)
	process(t, table, 5, 60, a)
	process(t, table, 9, 1500, a.Reverse())
	process(t, table, 7, 70, a) // captures step back
	other := packet(parse.FiveTuple{})
	other.Layers = parse.LayerARP
	if err := table.Process(&parse.Frame{}, &other); err != nil {
		t.Fatal(err)
	}
	want := flow.Flow{
		Tuple: a, First: 5, Last: 9,
		Forward: flow.Volume{Packets: 2, Octets: 130}, Backward: flow.Volume{Packets: 1, Octets: 1500},
	}
	n := 0
	for f := range table.All() {
		n++
		if f != want {
			t.Errorf("flow %+v, want %+v", f, want)
		}
	}
	if c := table.Counters(); n != 1 || c.NoFlow != 1 || c.Packets != 3 {
		t.Errorf("%d flows, %+v", n, c)
	}
}

func TestTimeoutAndEviction(t *testing.T) {
	cfg := flow.Config{Capacity: 8, IdleTimeout: time.Second} // one bucket
	t.Run("a pause of exactly the time-out goes on", func(t *testing.T) {
		table := newTable(t, cfg)
		process(t, table, 0, 1, tuple(1, 2, 3, 4, 6))
		process(t, table, time.Second, 1, tuple(1, 2, 3, 4, 6))
		if c := table.Counters(); c.Seen != 1 || c.TimedOut != 0 {
			t.Errorf("%+v", c)
		}
	})
	t.Run("a longer pause begins another flow", func(t *testing.T) {
		table := newTable(t, cfg)
		process(t, table, 0, 1, tuple(1, 2, 3, 4, 6))
		process(t, table, time.Second+1, 1, tuple(1, 2, 3, 4, 6))
		if c := table.Counters(); c.Seen != 2 || c.TimedOut != 1 || c.Active != 1 {
			t.Errorf("%+v", c)
		}
	})
	t.Run("the one seen longest ago goes", func(t *testing.T) {
		table := newTable(t, cfg)
		for i := range uint32(8) {
			process(t, table, time.Duration(i), 1, tuple(i, 99, 3, 4, 6))
		}
		process(t, table, 8, 1, tuple(0, 99, 3, 4, 6)) // now 1 is the oldest
		process(t, table, 9, 1, tuple(50, 99, 3, 4, 6))
		if c := table.Counters(); c.Seen != 9 || c.Evicted != 1 || c.TimedOut != 0 || c.Active != 8 {
			t.Errorf("%+v", c)
		}
		for f := range table.All() {
			if f.Tuple == tuple(1, 99, 3, 4, 6) {
				t.Error("the oldest flow is still there")
			}
		}
	})
	t.Run("one over its time-out is not an eviction", func(t *testing.T) {
		table := newTable(t, cfg)
		for i := range uint32(8) {
			process(t, table, 0, 1, tuple(i, 99, 3, 4, 6))
		}
		process(t, table, time.Hour, 1, tuple(50, 99, 3, 4, 6))
		if c := table.Counters(); c.Seen != 9 || c.Evicted != 0 || c.TimedOut != 1 || c.Active != 8 {
			t.Errorf("%+v", c)
		}
	})
}

// TestAgainstMap compares a table that never fills a bucket with a Go map.
func TestAgainstMap(t *testing.T) {
	for _, oneWay := range []bool{false, true} {
		table := newTable(t, flow.Config{Capacity: 1 << 15, IdleTimeout: 500, OneWay: oneWay, Seed: 3})
		want := make(map[parse.FiveTuple]flow.Flow)
		var seen uint64
		rng := rand.New(rand.NewPCG(1, 2))
		var now int64
		for range 50000 {
			now += int64(rng.IntN(4)) - 1
			tup := tuple(rng.Uint32N(8), rng.Uint32N(8), uint16(rng.Uint32N(4)), uint16(rng.Uint32N(4)),
				uint8(6+11*rng.Uint32N(2)))
			size := 60 + rng.IntN(1000)
			process(t, table, time.Duration(now), size, tup)
			key := tup
			if _, ok := want[tup.Reverse()]; ok && !oneWay {
				if _, ok := want[tup]; !ok {
					key = tup.Reverse()
				}
			}
			w, ok := want[key]
			if !ok || now-w.Last > 500 {
				delete(want, key)
				key = tup
				w = flow.Flow{Tuple: tup, First: now, Last: now}
				seen++
			}
			w.Last = max(w.Last, now)
			volume := &w.Forward
			if key != tup {
				volume = &w.Backward
			}
			volume.Packets++
			volume.Octets += uint64(size)
			want[key] = w
		}
		c := table.Counters()
		if c.Evicted != 0 || c.Seen != seen || c.Active != uint64(len(want)) || c.Seen != c.Active+c.TimedOut {
			t.Errorf("one way %v: %+v, want %d seen, %d active", oneWay, c, seen, len(want))
		}
		for f := range table.All() {
			if f != want[f.Tuple] {
				t.Fatalf("one way %v: %+v, want %+v", oneWay, f, want[f.Tuple])
			}
			delete(want, f.Tuple)
		}
		if len(want) != 0 {
			t.Errorf("one way %v: %d flows are missing", oneWay, len(want))
		}
	}
}

// TestFlood sends a new flow with every packet: memory stays, and nothing is lost from the books.
func TestFlood(t *testing.T) {
	table := newTable(t, flow.Config{Capacity: 1000})
	if table.Capacity() != 1024 {
		t.Fatalf("capacity %d, want 1024", table.Capacity())
	}
	for i := range uint32(100000) {
		process(t, table, time.Duration(i), 60, tuple(i*2654435761, 1, uint16(i), 80, 6))
	}
	c := table.Counters()
	if c.Seen != 100000 || c.Active != 1024 || c.Evicted != c.Seen-c.Active {
		t.Errorf("%+v", c)
	}
	n := 0
	for range table.All() {
		n++
	}
	if n != 1024 {
		t.Errorf("All yields %d flows", n)
	}
	for range table.All() {
		break
	}
}

func TestConfig(t *testing.T) {
	for _, tc := range []struct {
		name     string
		cfg      flow.Config
		capacity int // 0: refused
	}{
		{"defaults", flow.Config{}, flow.DefaultCapacity},
		{"one", flow.Config{Capacity: 1}, 8},
		{"nine", flow.Config{Capacity: 9}, 16},
		{"seventeen", flow.Config{Capacity: 17}, 32},
		{"negative capacity", flow.Config{Capacity: -1}, 0},
		{"too large", flow.Config{Capacity: 1<<24 + 1}, 0},
		{"negative time-out", flow.Config{IdleTimeout: -1}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			stage, err := flow.Kind(tc.cfg).New()
			if tc.capacity == 0 {
				if err == nil || stage != nil {
					t.Fatalf("%v, %v: want an error alone", stage, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if n := stage.(*flow.Table).Capacity(); n != tc.capacity {
				t.Errorf("capacity %d, want %d", n, tc.capacity)
			}
		})
	}
}

func TestAllocations(t *testing.T) {
	table := newTable(t, flow.Config{Capacity: 64})
	f := parse.Frame{WireLen: 60}
	var i uint32
	if n := testing.AllocsPerRun(1000, func() {
		i++
		p := parse.Packet{Layers: parse.LayerIPv4, Tuple: parse.FiveTuple{SrcPort: uint16(i), Proto: 6}}
		if err := table.Process(&f, &p); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a packet", n)
	}
}

func BenchmarkProcess(b *testing.B) {
	for _, bm := range []struct {
		name  string
		flows int
	}{{"64 flows", 64}, {"32768 flows", 1 << 15}} {
		b.Run(bm.name, func(b *testing.B) {
			table := newTable(b, flow.Config{})
			packets := make([]parse.Packet, bm.flows)
			for i := range packets {
				packets[i] = packet(tuple(uint32(i), 7, uint16(i), 443, 6))
			}
			f := parse.Frame{WireLen: 60}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if err := table.Process(&f, &packets[i]); err != nil {
					b.Fatal(err)
				}
				if i++; i == len(packets) {
					i = 0
				}
			}
		})
	}
}
