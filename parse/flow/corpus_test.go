package flow_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"pcaplab/datasets/pcapio"
	"pcaplab/parse"
	"pcaplab/parse/flow"
)

// TestCorpus counts the flows of real captures with a Go map beside the table.
func TestCorpus(t *testing.T) {
	dir := os.Getenv("PCAPLAB_CORPUS")
	if dir == "" {
		t.Skip("PCAPLAB_CORPUS is not set: no corpus to count flows in")
	}
	for _, name := range []string{
		"gopacket__cip.pcap", "ndpi__synscan.pcap", "pcpp__example2.pcap", "sentinel__HueBridge_Setup-A-1-STA.pcap",
		"stopddos__amp.dns.RRSIG.fragmented.pcap", "stopddos__pkt.TCP.DOMINATE.syn.ecn.cwr.pcapng",
		"zeek__1000-requests-one-dropped-response.pcap.gz",
	} {
		t.Run(name, func(t *testing.T) {
			file, err := os.Open(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			r, err := pcapio.NewReader(file, name)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			table := newTable(t, flow.Config{IdleTimeout: 24 * 365 * time.Hour})
			want := make(volumes)
			pl := parse.NewPipeline(parse.DirectEngine(), table, want)
			var f parse.Frame
			for r.Next(&f) == nil {
				if err := pl.WriteFrame(&f); err != nil {
					t.Fatal(err)
				}
			}
			c, p := table.Counters(), pl.Counters()
			if c.Packets+c.NoFlow+p.Malformed+p.Unsupported != p.Frames || c.Packets == 0 {
				t.Errorf("%+v does not account for the frames of %+v", c, p)
			}
			if c.Evicted != 0 || c.TimedOut != 0 || c.Seen != uint64(len(want)) {
				t.Errorf("%+v, the map has %d flows", c, len(want))
			}
			for f := range table.All() {
				if want[f.Tuple] == nil || f.Forward != want[f.Tuple][0] || f.Backward != want[f.Tuple][1] {
					t.Errorf("%+v, the map has %+v", f, want[f.Tuple])
				}
			}
		})
	}
}

// volumes is a stage that counts each flow under the tuple seen first: forward, backward.
type volumes map[parse.FiveTuple]*[2]flow.Volume

func (v volumes) Process(f *parse.Frame, p *parse.Packet) error {
	if p.Layers&(parse.LayerIPv4|parse.LayerIPv6) == 0 {
		return nil
	}
	way, both := 0, v[p.Tuple]
	if both == nil {
		if both = v[p.Tuple.Reverse()]; both != nil {
			way = 1
		} else {
			both = new([2]flow.Volume)
			v[p.Tuple] = both
		}
	}
	both[way].Packets++
	both[way].Octets += uint64(f.WireLen)
	return nil
}
