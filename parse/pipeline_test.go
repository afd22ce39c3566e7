package parse_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"pcaplab/parse"
)

func write(t testing.TB, pl *parse.Pipeline, frames ...parse.Frame) {
	for i := range frames {
		if err := pl.WriteFrame(&frames[i]); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPipelineCounts(t *testing.T) {
	cut := frame(parse.LinkEthernet, eth(0x0800, ip4(6, 0, 1500, nil, octets(10))))
	cut.WireLen = 1514
	frames := []parse.Frame{
		frame(parse.LinkEthernet, eth(0x0800, ip4(6, 0, -1, nil, tcp(2, nil, nil)))),
		frame(parse.LinkRaw, ip6(0, -1, join([]byte{58, 0}, octets(6), octets(8)))),
		frame(parse.LinkEthernet, eth(0x8100, vlan(1, 0x0806, arp()))),
		frame(147, octets(10)),
		frame(parse.LinkSLL2, join(be16(0x0800), octets(18), ip4(17, 0x2001, -1, nil, octets(8)))),
		frame(parse.LinkEthernet, eth(0x9000, nil)),
		frame(parse.LinkEthernet, nil),
		cut,
		frame(147, octets(10)),
		frame(parse.LinkEthernet, eth(0x0800, ip4(99, 0, -1, nil, nil))),
	}
	want := parse.Counters{
		Frames: 10, Malformed: 1, Unsupported: 2, Truncated: 1, Ethernet: 5, SLL: 1, VLAN: 1, ARP: 1, IPv4: 4, IPv6: 1,
		IPv6Extension: 1, Fragments: 1, FragmentRest: 1, TCP: 1, ICMPv6: 1, OtherL4: 1, NoL3: 2,
	}
	for _, f := range frames {
		want.Octets += uint64(len(f.Data))
		want.WireOctets += uint64(f.WireLen)
	}
	var reached int
	pl := parse.NewPipeline(parse.DirectEngine(), stageFunc(func(*parse.Frame, *parse.Packet) error {
		reached++
		return nil
	}))
	write(t, pl, frames...)
	if got := pl.Counters(); got != want {
		t.Errorf("counters\n%+v, want\n%+v", got, want)
	}
	if reached != 7 {
		t.Errorf("%d packets reached the stage, want 7: all but the malformed and the unsupported", reached)
	}
}

type stageFunc func(*parse.Frame, *parse.Packet) error

func (s stageFunc) Process(f *parse.Frame, p *parse.Packet) error { return s(f, p) }

// script is a parser that returns what it is told: the header set and the error are in the frame's time.
type script struct{}

func (script) Parse(f *parse.Frame, p *parse.Packet) error {
	*p = parse.Packet{Layers: parse.Layers(f.UnixNano), Truncated: f.WireLen > len(f.Data)}
	return nil
}

// TestPipelineManyHeaderSets counts more header sets than the pipeline has room for, against a plain count.
func TestPipelineManyHeaderSets(t *testing.T) {
	e := parse.Engine{Name: "script", New: func(parse.LinkType) (parse.Parser, error) { return script{}, nil }}
	pl := parse.NewPipeline(e)
	rng := rand.New(rand.NewPCG(1, 2))
	var want parse.Counters
	for range 100000 {
		layers := parse.Layers(rng.Uint32N(1 << 23))
		f := parse.Frame{UnixNano: int64(layers), WireLen: rng.IntN(2)}
		write(t, pl, f)
		want.Frames++
		want.WireOctets += uint64(f.WireLen)
		want.Truncated += uint64(f.WireLen)
		if !layers.Has(parse.LayerARP) && !layers.Has(parse.LayerIPv4) && !layers.Has(parse.LayerIPv6) {
			want.NoL3++
		}
		for layer, n := range map[parse.Layers]*uint64{
			parse.LayerEthernet: &want.Ethernet, parse.LayerNull: &want.Null, parse.LayerVLAN: &want.VLAN,
			parse.LayerMPLS: &want.MPLS, parse.LayerPPPoE: &want.PPPoE, parse.LayerLLC: &want.LLC, parse.LayerARP: &want.ARP,
			parse.LayerIPv4: &want.IPv4, parse.LayerIPv6: &want.IPv6, parse.LayerIPv6Extension: &want.IPv6Extension,
			parse.LayerFragment: &want.Fragments, parse.LayerFragmentRest: &want.FragmentRest, parse.LayerTCP: &want.TCP,
			parse.LayerUDP: &want.UDP, parse.LayerICMP: &want.ICMP, parse.LayerICMPv6: &want.ICMPv6,
			parse.LayerIGMP: &want.IGMP, parse.LayerGRE: &want.GRE, parse.LayerESP: &want.ESP, parse.LayerSCTP: &want.SCTP,
			parse.LayerOtherL4: &want.OtherL4,
		} {
			if layers.Has(layer) {
				*n++
			}
		}
		if layers.Has(parse.LayerSLL) || layers.Has(parse.LayerSLL2) {
			want.SLL++
		}
	}
	if got := pl.Counters(); got != want {
		t.Errorf("counters\n%+v, want\n%+v", got, want)
	}
}

func TestPipelineErrors(t *testing.T) {
	good := frame(parse.LinkEthernet, eth(0x9000, octets(46)))
	t.Run("a stage's error ends the run", func(t *testing.T) {
		broken := errors.New("disk full")
		pl := parse.NewPipeline(parse.DirectEngine(), stageFunc(func(*parse.Frame, *parse.Packet) error { return broken }))
		if err := pl.WriteFrame(&good); !errors.Is(err, broken) {
			t.Errorf("%v, want the stage's error", err)
		}
		if c := pl.Counters(); c.Frames != 1 || c.Malformed != 0 {
			t.Errorf("%+v", c)
		}
	})
	t.Run("an engine that cannot be made", func(t *testing.T) {
		broken := errors.New("no licence")
		pl := parse.NewPipeline(parse.Engine{Name: "x", New: func(parse.LinkType) (parse.Parser, error) {
			return nil, broken
		}})
		if err := pl.WriteFrame(&good); !errors.Is(err, broken) {
			t.Errorf("%v, want the engine's error", err)
		}
	})
	t.Run("a wrapped unsupported, of New and of Parse", func(t *testing.T) {
		made := 0
		pl := parse.NewPipeline(parse.Engine{Name: "x", New: func(link parse.LinkType) (parse.Parser, error) {
			made++
			if link == 9 {
				return parserFunc(func() error { return fmt.Errorf("sorry: %w", parse.ErrUnsupported) }), nil
			}
			return nil, fmt.Errorf("x: %w", parse.ErrUnsupported)
		}})
		write(t, pl, frame(7, nil), frame(9, nil), frame(7, nil), frame(9, nil))
		if c := pl.Counters(); c != (parse.Counters{Frames: 4, Unsupported: 4}) || made != 2 {
			t.Errorf("%+v, %d parsers made", c, made)
		}
	})
	t.Run("another error is malformed", func(t *testing.T) {
		pl := parse.NewPipeline(parse.Engine{Name: "x", New: func(parse.LinkType) (parse.Parser, error) {
			return parserFunc(func() error { return errors.New("odd") }), nil
		}})
		write(t, pl, good)
		if c := pl.Counters(); c.Malformed != 1 || c.Frames != 1 {
			t.Errorf("%+v", c)
		}
	})
}

type parserFunc func() error

func (p parserFunc) Parse(_ *parse.Frame, pkt *parse.Packet) error { *pkt = parse.Packet{}; return p() }

// TestCountersAdd finds a field that Add or Sub forgets, and one without a JSON name.
func TestCountersAdd(t *testing.T) {
	var a parse.Counters
	v := reflect.ValueOf(&a).Elem()
	for i := range v.NumField() {
		v.Field(i).SetUint(uint64(i + 1))
		if v.Type().Field(i).Tag.Get("json") == "" {
			t.Errorf("%s has no JSON name", v.Type().Field(i).Name)
		}
	}
	b := a
	b.Add(a)
	sum := reflect.ValueOf(b)
	for i := range sum.NumField() {
		if sum.Field(i).Uint() != 2*uint64(i+1) {
			t.Errorf("Add forgets %s", sum.Type().Field(i).Name)
		}
	}
	b.Sub(a)
	if b != a {
		t.Errorf("Sub does not undo Add: %+v", b)
	}
	text, err := json.Marshal(a)
	var back parse.Counters
	if err != nil || json.Unmarshal(text, &back) != nil || back != a {
		t.Errorf("JSON %s does not come back: %v", text, err)
	}
}

func TestAllocations(t *testing.T) {
	frames := hotFrames()
	for _, tc := range directCases {
		if len(tc.data) < 2000 {
			frames = append(frames, parse.Frame{Data: tc.data, WireLen: len(tc.data) + tc.cut, Link: tc.link})
		}
	}
	pl := parse.NewPipeline(parse.DirectEngine(), stageFunc(func(*parse.Frame, *parse.Packet) error { return nil }))
	write(t, pl, frames...)
	var p parse.Packet
	for _, tc := range []struct {
		name string
		run  func(*parse.Frame) error
	}{
		{"Direct", func(f *parse.Frame) error { _ = parse.Direct{}.Parse(f, &p); return nil }},
		{"Pipeline", pl.WriteFrame},
	} {
		if n := testing.AllocsPerRun(100, func() {
			for i := range frames {
				if err := tc.run(&frames[i]); err != nil {
					t.Fatal(err)
				}
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations in %d frames", tc.name, n, len(frames))
		}
	}
}
