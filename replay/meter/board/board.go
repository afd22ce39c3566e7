// Package board describes the machine that measures for the person who wants to trust its numbers: what it is, what its
// network interfaces can deliver, and what would spoil a measurement, with the mend for each. It also has the published
// figures of the Raspberry Pi models.
//
// A number that cannot be read is nil, in JSON null; a string that cannot be read is empty, in JSON absent. No serial
// number, host name or hardware address is ever read into it.
package board

import (
	"slices"
	"time"

	"pcaplab/replay/meter"
)

// Board is one machine at one moment. It is plain data: a Board that went through JSON prints the same.
type Board struct {
	// Environment is what every result of this machine records.
	Environment meter.Environment `json:"environment"`

	// Product is the device tree's model or, on a PC, maker and product by its firmware (DMI).
	Product string `json:"product,omitempty"`
	// Laptop says whether the firmware calls the chassis portable; nil where it does not say.
	Laptop *bool `json:"laptop"`
	// System is the distribution and its version.
	System string `json:"system,omitempty"`
	// KernelBits and UserlandBits are the address sizes of the kernel and of the distribution's programs.
	KernelBits   *int64 `json:"kernel_bits"`
	UserlandBits *int64 `json:"userland_bits"`
	// BootConfig is the Raspberry Pi firmware's configuration file.
	BootConfig string `json:"boot_config,omitempty"`

	// OfflineCPUs is the list of CPUs that are there and switched off, such as "2-3".
	OfflineCPUs string `json:"offline_cpus,omitempty"`
	// SMT says whether two or more logical CPUs share a core now; SMTOff whether they would and were told not to.
	SMT    *bool `json:"smt"`
	SMTOff bool  `json:"smt_off"`
	// Boost says whether the processor may clock above its nominal frequency.
	Boost *bool `json:"boost"`
	// BoostControl is the file that switches boost.
	BoostControl string `json:"boost_control,omitempty"`
	// CPUQuota is the most CPUs that this process may use by its control group; nil if there is no such limit.
	CPUQuota *float64 `json:"cpu_quota"`
	// Policies are the clocks, one for each set of CPUs that share one.
	Policies []Policy `json:"policies"`

	Temperatures []Temperature `json:"temperatures"`
	Fans         []Fan         `json:"fans"`
	// Cooling is what the kernel slows or switches to keep the temperature, fans included.
	Cooling []Cooling `json:"cooling"`

	// Swaps are the areas in use by the kernel; SwapUsedOctets is nil where the list cannot be read.
	Swaps          []Swap `json:"swaps"`
	SwapUsedOctets *int64 `json:"swap_used_octets"`
	// SwapService is the distribution's package that sets swap up: "rpi-swap", "dphys-swapfile" or unknown.
	SwapService string `json:"swap_service,omitempty"`

	Load Load `json:"load"`
	// OnBattery says whether the machine runs on its battery; nil where there is none.
	OnBattery *bool `json:"on_battery"`

	// NICs are the network interfaces that are hardware; virtual ones only where there is no other.
	NICs []NIC `json:"nics"`

	// Model is the row of the published figures for this board; nil if it has none.
	Model *Model `json:"model"`

	// Findings are what would spoil a measurement, the worst first.
	Findings []Finding `json:"findings"`
	// Notes are the reasons for what is missing or doubtful.
	Notes []string `json:"notes,omitempty"`
}

// Policy is the clock that a set of CPUs shares. Scaling limits are those in force, hardware limits what the driver says
// that the processor can do.
type Policy struct {
	CPUs          string `json:"cpus"` // such as "0-3"
	Driver        string `json:"driver,omitempty"`
	Governor      string `json:"governor,omitempty"`
	CurrentHz     *int64 `json:"current_hz"`
	MinHz         *int64 `json:"min_hz"`
	MaxHz         *int64 `json:"max_hz"`
	HardwareMinHz *int64 `json:"hardware_min_hz"`
	HardwareMaxHz *int64 `json:"hardware_max_hz"`
}

// Temperature is one sensor. LimitMilliC is where the kernel or the processor slows down; nil if it does not say.
type Temperature struct {
	Sensor      string `json:"sensor"`
	MilliC      int64  `json:"milli_c"`
	LimitMilliC *int64 `json:"limit_milli_c"`
}

// Fan is a fan that the kernel knows of. State 0 is off.
type Fan struct {
	Name     string `json:"name"`
	RPM      *int64 `json:"rpm"`
	State    *int64 `json:"state"`
	MaxState *int64 `json:"max_state"`
}

// Cooling is one of the kernel's cooling devices. State 0 is no cooling.
type Cooling struct {
	Type     string `json:"type"`
	State    *int64 `json:"state"`
	MaxState *int64 `json:"max_state"`
}

// Swap is one swap area.
type Swap struct {
	Kind       string `json:"kind"` // "zram", "file" or "partition"
	Octets     int64  `json:"octets"`
	UsedOctets int64  `json:"used_octets"`
	// OnCard says whether the area lies on an SD card or eMMC; nil where that is not known.
	OnCard *bool `json:"on_card"`
}

// Load is what else runs.
type Load struct {
	// Average1, Average5 and Average15 are the kernel's load averages over minutes.
	Average1  *float64 `json:"average_1"`
	Average5  *float64 `json:"average_5"`
	Average15 *float64 `json:"average_15"`
	// PressurePercent is the share of the last ten seconds in which some task waited for a CPU (PSI).
	PressurePercent *float64 `json:"pressure_percent"`
	// BusyCPUs and StolenCPUs are CPUs' worth of work of everything else, and of what the hypervisor took, in a sample of
	// about 0.2 s.
	BusyCPUs   *float64 `json:"busy_cpus"`
	StolenCPUs *float64 `json:"stolen_cpus"`
	// Processes are the busiest of that sample.
	Processes []Process `json:"processes"`
}

// Process is one that ran. Name is the kernel's short name of it, without arguments.
type Process struct {
	Name string  `json:"name"`
	CPUs float64 `json:"cpus"`
}

// NIC is a network interface.
type NIC struct {
	// Name is the kernel's, without the hardware address that some names are made of.
	Name string `json:"name"`
	// Kind is "ethernet", "wifi" or "virtual".
	Kind   string `json:"kind"`
	Driver string `json:"driver,omitempty"`
	Bus    string `json:"bus,omitempty"` // such as "usb", "pci", "sdio", "platform", "virtio"
	State  string `json:"state,omitempty"`
	Duplex string `json:"duplex,omitempty"`
	// LinkBitsPerSecond is nil without a link, on the air, and where the driver does not say.
	LinkBitsPerSecond *int64 `json:"link_bits_per_second"`
	// BusBitsPerSecond is the lower rate of the bus that the interface hangs on, from BusSource.
	BusBitsPerSecond *int64 `json:"bus_bits_per_second"`
	BusSource        string `json:"bus_source,omitempty"`
	// LineRates are for the frame sizes of RFC 2544; empty where the link's rate is not known.
	LineRates []LineRate `json:"line_rates"`
}

// LineRate is the most frames of one size that a link carries in a second, rounded down. A frame of FrameOctets, its FCS
// included, takes 20 octets more on the line: preamble, start delimiter and the least gap (IEEE 802.3).
type LineRate struct {
	FrameOctets int   `json:"frame_octets"`
	PPS         int64 `json:"pps"`
	// BusPPS is what the octets of the frame alone let through a slower bus; nil without one.
	BusPPS *int64 `json:"bus_pps"`
}

// frameSizes are RFC 2544's for Ethernet, FCS included.
var frameSizes = [...]int{64, 128, 256, 512, 1024, 1280, 1518}

const lineOverhead = 20 // octets of preamble, start delimiter and gap

func lineRates(link int64, bus *int64) []LineRate {
	if link <= 0 {
		return nil
	}
	rates := make([]LineRate, 0, len(frameSizes))
	for _, size := range frameSizes {
		rate := LineRate{FrameOctets: size, PPS: link / int64((size+lineOverhead)*8)}
		if bus != nil && *bus < link {
			pps := min(rate.PPS, *bus/int64(size*8))
			rate.BusPPS = &pps
		}
		rates = append(rates, rate)
	}
	return rates
}

// sample is how long Read watches what else runs: twenty of the kernel's ticks.
const sample = 200 * time.Millisecond

// Read describes the machine whose files are under roots. It takes about a quarter of a second, in which it watches what
// else runs.
func Read(roots meter.Roots) Board {
	b := gather(roots, func() { time.Sleep(sample) })
	b.Findings = b.find()
	return b
}

// gather reads everything but the findings; pause separates the two looks at the counters of CPU time.
func gather(roots meter.Roots, pause func()) Board {
	b := Board{Environment: meter.ReadEnvironment(roots)}
	f := files{roots: roots}
	b.Load = f.load(pause)
	b.readSystem(&f)
	b.readCPUs(&f)
	b.readThermal(&f)
	b.readSwap(&f)
	b.OnBattery = f.onBattery()
	b.Model = modelOf(b.Environment.Board)
	b.NICs = f.nics(b.Model)
	b.Notes = f.notes
	return b
}

// raspberryPi says whether the device tree calls the board so.
func (b *Board) raspberryPi() bool {
	return len(b.Environment.Board) > 12 && b.Environment.Board[:12] == "Raspberry Pi"
}

func (b *Board) virtual() bool { return b.Environment.Virtual != nil && *b.Environment.Virtual }

// onlyVirtual drops virtual interfaces where there are others.
func onlyVirtual(nics []NIC) []NIC {
	if slices.ContainsFunc(nics, func(n NIC) bool { return n.Kind != "virtual" }) {
		return slices.DeleteFunc(nics, func(n NIC) bool { return n.Kind == "virtual" })
	}
	return nics
}
