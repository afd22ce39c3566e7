package replay

import (
	"testing"
	"time"

	"pcaplab/parse"
)

// TestQueueMeasured holds the presets against what packet sockets held on Linux 6.18.
func TestQueueMeasured(t *testing.T) {
	tests := []struct {
		preset string
		octets int // of each frame
		want   uint64
	}{
		{"rcvbuf-212992", 60, 256}, {"rcvbuf-212992", 190, 256},
		{"rcvbuf-212992", 766, 93}, {"rcvbuf-212992", 1490, 93},
		{"scapy-65536", 60, 158}, {"scapy-65536", 1490, 57},
		{"rcvbuf-2MiB", 1490, 1821},
		{"pcap-immediate-32", 60, 32}, {"pcap-immediate-32", 1514, 32},
		{"pcap-s256-6240", 1514, 6240},
		{"nic-256", 1514, 256}, {"nic-512", 60, 512}, {"nic-1024", 60, 1024}, {"nic-4096", 60, 4096},
		// By the ring's layout: 2 MiB in records of 60+86 and 1514+86 octets aligned to 8.
		{"pcap-2MiB", 60, 2097152 / 152}, {"pcap-2MiB", 1514, 2097152 / 1600},
	}
	for _, tt := range tests {
		q, err := ParseQueue(tt.preset)
		if err != nil {
			t.Fatal(err)
		}
		if q.Doc == "" || q.String() != tt.preset {
			t.Errorf("%s: says it is %q, %q", tt.preset, q, q.Doc)
		}
		// Fill it while the sink is busy with a first frame.
		clock := &fakeClock{}
		n := int(tt.want) + 500
		src := &arrivals{due: make([]time.Duration, n), wire: make([]int, n)}
		for i := range src.wire {
			src.wire[i] = tt.octets
			src.due[i] = time.Duration(min(i, 1))
		}
		fd := Feed{Config{Pacer: src, Clock: clock, Queue: q}}
		res, err := fd.Run(t.Context(), src, &server{clock: clock, service: func(int) time.Duration { return 100 }})
		if err != nil {
			t.Fatal(err)
		}
		if got := res.Offered - res.Dropped - 1; got != tt.want || res.MaxBacklog != int(tt.want) {
			t.Errorf("%s holds %d frames of %d octets, want %d", tt.preset, got, tt.octets, tt.want)
		}
	}
}

func TestTruesize(t *testing.T) {
	for _, tt := range []struct{ octets, want int64 }{
		{0, 832}, {190, 832}, {240, 832}, {241, 1280}, {688, 1280}, {689, 2304}, {766, 2304}, {1490, 2304}, {1712, 2304},
		{1713, 4352}, {9014, 16640},
	} {
		if got := ChargeTruesize.charge(tt.octets); got != tt.want {
			t.Errorf("truesize of %d octets is %d, want %d", tt.octets, got, tt.want)
		}
	}
	lie := parse.Frame{Data: make([]byte, 100), WireLen: 1 << 30}
	if got := ChargeWire.charge(charged(&lie)); got != maxCharged {
		t.Errorf("a lying wire length is charged %d octets, want %d", got, maxCharged)
	}
	cut := parse.Frame{Data: make([]byte, 100), WireLen: 10}
	if got := charged(&cut); got != 100 {
		t.Errorf("a wire length below the captured is taken as %d, want 100", got)
	}
}

func TestParseQueue(t *testing.T) {
	tests := []struct {
		spec string
		want Queue
		full int
	}{
		{"1024", Queue{Frames: 1024}, 1024},
		{"65536B", Queue{Octets: 65536}, 43},
		{"2MiB", Queue{Octets: 2 << 20}, 1385},
		{"200kB", Queue{Octets: 200000}, 132},
		{"212992B:truesize", Queue{Octets: 212992, Charge: ChargeTruesize}, 93},
		{"2MiB:tpacket3", Queue{Octets: 2 << 20, Charge: ChargeTPacketV3}, 1310},
		{"", DefaultQueue(), 1310},
		{"NIC-256", Queue{Name: "nic-256", Frames: 256}, 256},
	}
	for _, tt := range tests {
		got, err := ParseQueue(tt.spec)
		got.Doc, tt.want.Doc = "", ""
		if err != nil || got != tt.want || got.FullFrames() != tt.full {
			t.Errorf("%q: got %+v of %d full frames, %v; want %+v of %d", tt.spec, got, got.FullFrames(), err, tt.want, tt.full)
		}
	}
	for _, spec := range []string{"0", "-5", "x", "12x", "1024:wire", "2MiB:none", "9223372036854775807GiB",
		"99999999999", "1TiB", "8GiB", "pcap"} {
		if got, err := ParseQueue(spec); err == nil {
			t.Errorf("%q: got %v, want an error", spec, got)
		}
	}
	for _, q := range Queues() {
		if again, err := ParseQueue(q.Name); err != nil || again != q || q.check() != nil {
			t.Errorf("preset %s: %v, %v", q.Name, err, q.check())
		}
	}
	if q := (Queue{}); q.String() != "pcap-2MiB" {
		t.Errorf("the zero queue is %s", q)
	}
}
