package board

import "strings"

// Marks say how well a published figure is known.
const (
	MarkRead     = "read"     // read in the source named
	MarkKnown    = "known"    // common knowledge, not checked against a source
	MarkInferred = "inferred" // concluded from another model
)

// Figure is a published fact or measurement. None was made with pcaplab.
type Figure struct {
	Value  string `json:"value"`
	Mark   string `json:"mark"`
	Source string `json:"source,omitempty"`
}

// Model is a Raspberry Pi and what is published of it. A figure that is not known is nil.
type Model struct {
	Name string `json:"name"`
	// DeviceTree are the models that the device tree of such a board gives, without the revision.
	DeviceTree []string `json:"device_tree"`

	SoC      *Figure `json:"soc"`
	Memory   *Figure `json:"memory"`
	Caches   *Figure `json:"caches"`   // first-level data, second and third level
	Ethernet *Figure `json:"ethernet"` // and the rates that were measured through it
	// EthernetBusBitsPerSecond is the rate of the bus between the processor and a faster Ethernet.
	EthernetBusBitsPerSecond *int64 `json:"ethernet_bus_bits_per_second"`

	// SevenZip is p7zip 16.02's rating with one thread, in MIPS; Memcpy tinymembench's standard memcpy, in MB/s of octets
	// copied; RandomRead its single random read in a block of 8 MiB unless it says otherwise, in ns.
	SevenZip   *Figure `json:"seven_zip_single_mips"`
	Memcpy     *Figure `json:"memcpy_mb_per_second"`
	RandomRead *Figure `json:"random_read_ns"`
}

const documentation = "raspberrypi/documentation"

func documented(value string) *Figure { return &Figure{value, MarkRead, documentation} }

// results names the files of ThomasKaiser/sbc-bench that a figure was read in.
func results(value, files string) *Figure { return &Figure{value, MarkRead, "sbc-bench " + files} }

func known(value string) *Figure { return &Figure{value, MarkKnown, ""} }

// Models returns the Raspberry Pi models that figures are published of, the slowest first.
func Models() []Model {
	const (
		zero, zero2, b3   = "results/1niO.txt", "results/3E85.txt", "results/4hOp.txt"
		b3plus            = "results/1ism.txt, 1isD.txt, 1iI5.txt"
		b4, b5, compute5  = "results/1MFf.txt, 3OBF.txt, 3N94.txt, 3Gia.txt", "results/Au3jaA.txt, 8-NK.txt", "results/reviews/RPi-CM5-Rev1.0.md"
		gigabit           = "1 Gbit/s"
		smallA53, likeA72 = "32K / 512K", "32K (+48K instructions) / 1M"
	)
	as4B := func(value string) *Figure { return &Figure{value, MarkInferred, "as Raspberry Pi 4B"} }
	return []Model{
		{
			Name: "Raspberry Pi Zero W", DeviceTree: []string{"Raspberry Pi Zero W"},
			SoC: documented("BCM2835, 1 ARM1176 at 1.0 GHz (ARMv6)"), Memory: documented("512M"),
			Caches: known("16K / 128K (the GPU's)"), Ethernet: documented("none; 2.4 GHz wifi, about 35 Mbit/s"),
			SevenZip: results("453 (450-460)", zero), Memcpy: results("398", zero), RandomRead: results("246", zero),
		},
		{
			Name: "Raspberry Pi Zero 2 W", DeviceTree: []string{"Raspberry Pi Zero 2 W", "Raspberry Pi Zero 2"},
			SoC: documented("RP3A0, 4 Cortex-A53 at 1.0 GHz"), Memory: documented("512M"),
			Caches: known(smallA53), Ethernet: documented("none; wifi, about 35 Mbit/s"),
			SevenZip: results("838", zero2), Memcpy: results("1296", zero2), RandomRead: results("157", zero2),
		},
		{
			Name: "Raspberry Pi 3B", DeviceTree: []string{"Raspberry Pi 3 Model B"},
			SoC: documented("BCM2837, 4 Cortex-A53 at 1.2 GHz"), Memory: documented("1G"),
			Caches: known(smallA53), Ethernet: documented("100 Mbit/s on USB 2.0 (94.4 Mbit/s measured)"),
			SevenZip: results("977", b3), Memcpy: results("1110", b3), RandomRead: results("162", b3),
		},
		{
			Name: "Raspberry Pi 3B+", DeviceTree: []string{"Raspberry Pi 3 Model B Plus"},
			SoC: documented("BCM2837B0, 4 Cortex-A53 at 1.4 GHz"), Memory: documented("1G"),
			Caches: known(smallA53), Ethernet: documented("1 Gbit/s on USB 2.0: at most 300 Mbit/s (224 measured)"),
			EthernetBusBitsPerSecond: pointer(int64(300_000_000)),
			SevenZip:                 results("914 (throttled to 1.2 GHz), 1046 (fan), 1079 (old firmware)", b3plus),
			Memcpy:                   results("1130-1230", b3plus), RandomRead: results("154-170", b3plus),
		},
		{
			Name: "Raspberry Pi 4B", DeviceTree: []string{"Raspberry Pi 4 Model B"},
			SoC: documented("BCM2711, 4 Cortex-A72 at 1.5-1.8 GHz"), Memory: documented("1-8G"),
			Caches: documented(likeA72), Ethernet: documented(gigabit + " (943 Mbit/s measured)"),
			SevenZip: results("1606-1661 (1.5 GHz), 1738-1769 (1.8, arm64), 1897 (1.8, armhf)", b4),
			Memcpy:   results("2240-2780", b4), RandomRead: results("126-147", b4),
		},
		{
			Name: "Compute Module 4", DeviceTree: []string{"Raspberry Pi Compute Module 4"},
			SoC: documented("BCM2711, as 4B"), Memory: documented("1-8G"),
			Caches: documented(likeA72), Ethernet: documented(gigabit + " (carrier board)"),
			SevenZip: as4B("as 4B"), Memcpy: as4B("as 4B"),
		},
		{
			Name: "Raspberry Pi 5", DeviceTree: []string{"Raspberry Pi 5 Model B"},
			SoC: documented("BCM2712, 4 Cortex-A76 at 2.4 GHz"), Memory: documented("2-16G"),
			Caches: documented("64K / 512K a core / 2M"), Ethernet: documented(gigabit),
			SevenZip: results("3196-3306", b5), Memcpy: results("5270-6025", b5), RandomRead: results("80-84", b5),
		},
		{
			Name:       "Compute Module 5",
			DeviceTree: []string{"Raspberry Pi Compute Module 5", "Raspberry Pi Compute Module 5 Lite"},
			SoC:        documented("BCM2712"),
			SevenZip:   results("3306", compute5), Memcpy: results("5892", compute5),
			RandomRead: results("100 (16 MiB)", compute5),
		},
	}
}

// modelOf finds the row of a device tree's model, which has the revision behind it, as "Raspberry Pi 5 Model B Rev 1.0".
func modelOf(deviceTree string) *Model {
	name, _, _ := strings.Cut(deviceTree, " Rev ")
	for _, m := range Models() {
		for _, have := range m.DeviceTree {
			if have == name {
				return &m
			}
		}
	}
	return nil
}
