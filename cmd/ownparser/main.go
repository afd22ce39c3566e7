// Command ownparser is the worked example of measuring a parser of your own: a Parser that reads IPv4 addresses and
// ports, and a Stage that counts packets to privileged ports, measured with every command and flag of pcaplab.
//
//	go run ./cmd/ownparser ceiling --quick --engines direct,mine --stages privileged synth:iot-1
package main

import (
	"encoding/binary"
	"os"

	"pcaplab/cmd/cli"
	"pcaplab/parse"
)

func main() {
	os.Exit(cli.Main(cli.Program{
		Name: "ownparser",
		Engines: []parse.Engine{
			parse.DirectEngine(), // one of ours, to compare with
			{Name: "mine", Doc: "IPv4 over Ethernet: addresses, ports, nothing else", New: newParser},
		},
		// The stages of pcaplab are flow.Kind(flow.Config{}), feature.Kind() and model.Kind(): see cmd/pcaplab/main.go.
		Stages: []parse.StageKind{{
			Name: "privileged", Doc: "count packets to ports below 1024",
			New: func() (parse.Stage, error) { return &privileged{}, nil },
		}},
	}))
}

// parser reads what the detector behind it needs and no more.
type parser struct{}

func newParser(link parse.LinkType) (parse.Parser, error) {
	if link != parse.LinkEthernet {
		return nil, parse.ErrUnsupported // such frames are counted, and fed to no parser
	}
	return parser{}, nil
}

// Parse overwrites p whole, as the interface asks, and keeps neither f nor p.
func (parser) Parse(f *parse.Frame, p *parse.Packet) error {
	*p = parse.Packet{Layers: parse.LayerEthernet, HeaderLen: 14}
	d := f.Data
	if len(d) < 34 || binary.BigEndian.Uint16(d[12:]) != 0x0800 {
		return nil
	}
	p.Layers |= parse.LayerIPv4
	p.TTL, p.Tuple.Proto = d[22], d[23]
	p.Tuple.SrcIP = mapped(d[26:30])
	p.Tuple.DstIP = mapped(d[30:34])
	p.HeaderLen = 14 + int(d[14]&15)*4
	if p.HeaderLen < 34 || p.HeaderLen > len(d) {
		return parse.ErrMalformed
	}
	first := binary.BigEndian.Uint16(d[20:])&0x1fff == 0 // later fragments have no ports
	if l4 := d[p.HeaderLen:]; first && len(l4) >= 4 && (p.Tuple.Proto == 6 || p.Tuple.Proto == 17) {
		p.Tuple.SrcPort, p.Tuple.DstPort = binary.BigEndian.Uint16(l4), binary.BigEndian.Uint16(l4[2:])
	}
	return nil
}

func mapped(v4 []byte) [16]byte {
	return [16]byte{10: 0xff, 11: 0xff, 12: v4[0], 13: v4[1], 14: v4[2], 15: v4[3]}
}

// privileged is a stage: it sees every packet that parsed well.
type privileged struct{ packets uint64 }

func (s *privileged) Process(_ *parse.Frame, p *parse.Packet) error {
	if p.Tuple.DstPort != 0 && p.Tuple.DstPort < 1024 {
		s.packets++
	}
	return nil
}

// Counts goes into the records: see "stages" in records.jsonl.
func (s *privileged) Counts() map[string]uint64 { return map[string]uint64{"packets": s.packets} }
