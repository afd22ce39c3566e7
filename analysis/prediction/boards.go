package prediction

import (
	"fmt"
	"slices"
	"strings"

	"pcaplab/replay/meter/board"
)

// Board is a board that predictions can be made for. Its figures are published ones; none was measured with pcaplab.
type Board struct {
	Name   string  `json:"name"`  // for --board: "pi3b"
	Model  string  `json:"model"` // board.Model's name
	Core   Core    `json:"core"`
	Cores  int     `json:"cores"`
	HzLow  float64 `json:"hz_low"` // of models, firmware versions and heat that change the clock
	HzHigh float64 `json:"hz_high"`
	Arch   string  `json:"arch"` // of the program that runs there as a rule: arm64, armv7 or armv6
	Port   Port    `json:"port"`

	// LatencyNS is the highest published time of a random read in 8 MiB, CopyOctetsPerSecond the lowest published rate of
	// memcpy: what a cold frame meets on a quiet board. Reads beyond the reach of the address cache, and other cores at
	// work, take longer.
	LatencyNS           float64 `json:"latency_ns"`
	CopyOctetsPerSecond float64 `json:"copy_octets_per_second"`
	aliases             []string
}

// Port is how packets reach a board.
type Port struct {
	What string `json:"what"`
	// BitsPerSecond is the rate of the link, 0 where it is not known; BusBitsPerSecond that of a slower bus behind it, 0
	// without one.
	BitsPerSecond    float64 `json:"bits_per_second"`
	BusBitsPerSecond float64 `json:"bus_bits_per_second,omitempty"`
	// Wireless says that BitsPerSecond is what others measured of a link without a fixed rate, of octets: small frames reach
	// much less.
	Wireless bool `json:"wireless,omitempty"`
	// Known says where the rate is from, for a board whose port is not published.
	Known string `json:"known,omitempty"`
}

// UpperBound tells whether PPS is no more than an upper bound: of a wireless link, and of a bus that is slower than its link, of which only
// the documented rate is known.
func (p Port) UpperBound() bool {
	return p.Wireless || p.BusBitsPerSecond > 0 && p.BusBitsPerSecond < p.BitsPerSecond
}

// PPS returns the most frames of so many captured octets (without FCS) that the port carries in a second, 0 where its rate is
// not known. An Ethernet frame has at least 60 octets, and 24 more on the line: FCS, preamble, start delimiter and gap (IEEE 802.3).
func (p Port) PPS(octets float64) float64 {
	if p.BitsPerSecond <= 0 {
		return 0
	}
	if p.Wireless {
		return p.BitsPerSecond / 8 / max(octets, 1)
	}
	frame := max(octets, 60)
	pps := p.BitsPerSecond / 8 / (frame + 24)
	if p.BusBitsPerSecond > 0 {
		pps = min(pps, p.BusBitsPerSecond/8/(frame+4))
	}
	return pps
}

// Ethernet returns a port of a given rate, as a user names it.
func Ethernet(bitsPerSecond float64) Port {
	return Port{What: "link", BitsPerSecond: bitsPerSecond, Known: "given"}
}

// Boards returns the boards, the slowest first: the models of [board.Models], of whose processors a bracket of cycles per
// instruction can be defended.
func Boards() []Board {
	wifi := Port{What: "2.4 GHz wifi, about 35 Mbit/s", BitsPerSecond: 35e6, Wireless: true}
	gigabit := Port{What: "1 Gbit/s Ethernet", BitsPerSecond: 1e9}
	return []Board{
		{"pizerow", "Raspberry Pi Zero W", cores.arm1176, 1, 1.0e9, 1.0e9, "armv6", wifi, 246, 398e6, []string{"pizero"}},
		{"pizero2w", "Raspberry Pi Zero 2 W", cores.a53, 4, 1.0e9, 1.0e9, "arm64", wifi, 157, 1296e6, []string{"pizero2"}},
		{"pi3b", "Raspberry Pi 3B", cores.a53, 4, 1.2e9, 1.2e9, "arm64",
			Port{What: "100 Mbit/s Ethernet", BitsPerSecond: 100e6}, 162, 1110e6, []string{"pi3"}},
		// From 60 °C on the firmware lowers the clock to 1.2 GHz.
		{"pi3b+", "Raspberry Pi 3B+", cores.a53, 4, 1.2e9, 1.4e9, "arm64",
			Port{What: "1 Gbit/s Ethernet on a bus of 300 Mbit/s", BitsPerSecond: 1e9, BusBitsPerSecond: 300e6}, 170, 1130e6, []string{"pi3bplus"}},
		{"pi4b", "Raspberry Pi 4B", cores.a72, 4, 1.5e9, 1.8e9, "arm64", gigabit, 147, 2240e6, []string{"pi4"}},
		{"picm4", "Compute Module 4", cores.a72, 4, 1.5e9, 1.5e9, "arm64", gigabit, 147, 2240e6, []string{"cm4"}},
		{"pi5", "Raspberry Pi 5", cores.a76, 4, 2.4e9, 2.4e9, "arm64", gigabit, 84, 5270e6, []string{"pi5b"}},
		{"picm5", "Compute Module 5", cores.a76, 4, 2.4e9, 2.4e9, "arm64",
			Port{What: "Ethernet of its carrier, rate not published here"}, 100, 5892e6, []string{"cm5"}},
	}
}

// FindBoard returns the board of a name, in any case, with or without hyphens. The error lists the names.
func FindBoard(name string) (Board, error) {
	plain := func(s string) string {
		return strings.NewReplacer("-", "", "_", "", " ", "").Replace(strings.ToLower(s))
	}
	var names []string
	for _, b := range Boards() {
		if plain(name) == b.Name || slices.Contains(b.aliases, plain(name)) || plain(name) == plain(b.Model) {
			return b, nil
		}
		names = append(names, b.Name)
	}
	return Board{}, fmt.Errorf("no board %q; there are %s", name, strings.Join(names, ", "))
}

// boardOf finds the board of a device tree's model, as a calibration has it; nil where it is none of these.
func boardOf(deviceTree string) *Board {
	name, _, _ := strings.Cut(deviceTree, " Rev ")
	for _, m := range board.Models() {
		if !slices.Contains(m.DeviceTree, name) {
			continue
		}
		for _, b := range Boards() {
			if b.Model == m.Name {
				return &b
			}
		}
	}
	return nil
}
