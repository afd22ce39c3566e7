package feature_test

import (
	"context"
	"strings"
	"testing"

	"pcaplab/datasets/synth"
	"pcaplab/parse"
	"pcaplab/parse/feature"
)

func TestStageValues(t *testing.T) {
	for _, tt := range []struct {
		value   string
		vectors uint64 // of 1000 rows, a millisecond apart
		fault   string
	}{
		{"10", 100, ""},
		{"100", 10, ""},
		{"250ms", 3, ""}, // the fourth is under way
		{"fixed", 100, ""},
		{"fixed:500", 2, ""},
		{"fixed:100ms", 9, ""},
		{"1048576", 0, ""},
		{"", 0, "number of rows"},
		{"ten", 0, "number of rows"},
		{"0", 0, "at least one row"},
		{"1048577", 0, "1048576"},
		{"-1s", 0, "number of rows"},
		{"fixed:", 0, "fixed:WINDOW"},
		{"fixed:fixed", 0, "fixed:WINDOW"},
		{"fixed10", 0, "fixed:WINDOW"},
		{"released", 0, "fixed:WINDOW"},
	} {
		t.Run(tt.value, func(t *testing.T) {
			make, err := feature.Kind().Set(tt.value)
			if tt.fault != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fault) {
					t.Fatalf("error %v, want %q", err, tt.fault)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			stage, err := make()
			if err != nil {
				t.Fatal(err)
			}
			pl := parse.NewPipeline(parse.DirectEngine(), stage)
			f := parse.Frame{Data: datagram(), Link: parse.LinkEthernet}
			f.WireLen = len(f.Data)
			for i := range 1000 {
				f.UnixNano = 1e18 + int64(i)*1e6
				if err := pl.WriteFrame(&f); err != nil {
					t.Fatal(err)
				}
			}
			if c := stage.(parse.Counting).Counts(); c["rows"] != 1000 || c["vectors"] != tt.vectors {
				t.Errorf("%v, want 1000 rows and %d vectors", c, tt.vectors)
			}
			other, err := make()
			if err != nil || other == stage {
				t.Errorf("a second stage: %v, the first again: %v", err, other == stage)
			}
		})
	}
}

// datagram is UDP over IPv4 over Ethernet, without payload.
func datagram() []byte {
	d := make([]byte, 42)
	copy(d[12:], []byte{8, 0, 0x45, 0, 0, 28})
	d[22], d[23] = 64, 17
	d[34], d[36], d[39] = 1, 2, 8
	return d
}

// What an engine refuses does not come to the stage, though dpkt would make a row of it.
func TestStageSeesWhatTheEngineAccepts(t *testing.T) {
	stage, err := feature.Kind().New()
	if err != nil {
		t.Fatal(err)
	}
	pl := parse.NewPipeline(parse.DirectEngine(), stage)
	good, short, unknown := datagram(), datagram(), datagram()
	short[39] = 7 // a UDP length below 8
	for _, f := range []parse.Frame{
		{Data: good, Link: parse.LinkEthernet}, {Data: short, Link: parse.LinkEthernet}, {Data: unknown, Link: 147},
	} {
		f.WireLen = len(f.Data)
		if err := pl.WriteFrame(&f); err != nil {
			t.Fatal(err)
		}
	}
	if c := pl.Counters(); c.Frames != 3 || c.Malformed != 1 || c.Unsupported != 1 {
		t.Errorf("the engine counted %+v", c)
	}
	if c := stage.(parse.Counting).Counts(); c["rows"] != 1 {
		t.Errorf("the stage counted %v, want the good frame only", c)
	}
	var r feature.Row
	alone := feature.NewDecoder(feature.DecoderConfig{})
	if o, _ := alone.Decode(&parse.Frame{Data: short, Link: parse.LinkEthernet}, nil, &r); o != feature.MadeRow {
		t.Errorf("the same frame without an engine before: %v", o)
	}
}

func TestStageAllocatesNothing(t *testing.T) {
	fr, err := synth.Build(context.Background(), "iot-1", 1, 2000, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	defer fr.Close()
	direct, err := parse.DirectEngine().New(parse.LinkEthernet)
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{"10", "1000", "100ms", "fixed", "fixed:100ms"} {
		make, err := feature.Kind().Set(value)
		if err != nil {
			t.Fatal(err)
		}
		stage, err := make()
		if err != nil {
			t.Fatal(err)
		}
		var f parse.Frame
		var p parse.Packet
		if n := testing.AllocsPerRun(5, func() {
			for i := range fr.Len() {
				fr.Frame(i, &f)
				if direct.Parse(&f, &p) == nil {
					if err := stage.Process(&f, &p); err != nil {
						t.Fatal(err)
					}
				}
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations in %d packets", value, n, fr.Len())
		}
		if c := stage.(parse.Counting).Counts(); c["vectors"] == 0 {
			t.Errorf("%s: no vectors of %v", value, c)
		}
	}
}
