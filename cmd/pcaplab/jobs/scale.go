// Command jobs prints the arithmetic of SCALE.md: how long a job of given packets and octets takes on a fleet of machines, what
// breaks first, and what stragglers and failures cost. The defaults are the rates that SCALE.md measured; flags take one's own.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// rates are what one job costs, measured on one core and one disk.
type rates struct {
	packets, octets float64 // of the captures
	perPacket       float64 // CPU, ns
	perOctet        float64 // CPU, ns; octets as stored
	vectors         float64 // made
	vectorOctets    float64 // of one, as CSV
	mergeDisk       float64 // octets/s, of the machine that merges
}

// fleet is some machines of one kind.
type fleet struct {
	name     string
	machines int
	cores    int     // of each
	slower   float64 // a core than the measured one
	disk     float64 // octets/s of each machine's own disk; 0: captures are not there
	port     float64 // octets/s of each machine's port; 0: captures are on its own disk
	server   float64 // octets/s of the one disk or port that serves all; 0: none does
}

// bound is a time that the job cannot be shorter than.
type bound struct {
	what string
	time time.Duration
}

// bounds returns CPU, disk, port and server, in this order.
func (f fleet) bounds(r rates) []bound {
	n := float64(f.machines)
	cpu := (float64(r.packets*r.perPacket) + float64(r.octets*r.perOctet)) / 1e9
	through := func(rate float64) time.Duration {
		if rate == 0 {
			return 0
		}
		return seconds(r.octets / rate)
	}
	return []bound{
		{"CPU", seconds(cpu * f.slower / (n * float64(f.cores)))},
		{"own disk", through(n * f.disk)},
		{"own port", through(n * f.port)},
		{"server", through(f.server)},
	}
}

// merge is how long one machine reads and writes all vectors.
func (r rates) merge() time.Duration { return seconds(2 * r.vectors * r.vectorOctets / r.mergeDisk) }

func seconds(s float64) time.Duration { return time.Duration(s * 1e9) }

const (
	mega    = 1e6
	fast    = 94.4e6 / 8  // octets/s of TCP payload through a port of 100 Mbit/s
	gigabit = 941e6 / 8   // through one of 1 Gbit/s
	ten     = 9.41e9 / 8  // through one of 10 Gbit/s
	pi      = 12.0        // a Pi 3B's core against the measured one: 9 to 15
	sata    = 512 * mega  // octets/s, measured here with direct reads
	turning = 150 * mega  // a disk that turns
	nvme    = 3000 * mega // a disk on PCIe
)

// measured are the rates of SCALE.md for CIC-IoT-2023.
var measured = rates{
	packets: 4_493_106_426, octets: 588.1e9, perPacket: 140, perOctet: 0.2,
	vectors: 46_776_361, vectorOctets: 215, mergeDisk: sata,
}

var fleets = []fleet{
	{name: "1 PC, a disk that turns", machines: 1, cores: 4, slower: 1, disk: turning},
	{name: "1 PC, SATA SSD", machines: 1, cores: 4, slower: 1, disk: sata},
	{name: "1 PC, NVMe", machines: 1, cores: 4, slower: 1, disk: nvme},
	{name: "4 PCs, a server at 1 Gbit/s", machines: 4, cores: 4, slower: 1, port: gigabit, server: gigabit},
	{name: "4 PCs, a quarter on each SSD", machines: 4, cores: 4, slower: 1, disk: sata},
	{name: "1 Pi 3B, over its port", machines: 1, cores: 4, slower: pi, port: fast},
	{name: "20 Pi 3B, one serves by its port", machines: 20, cores: 4, slower: pi, port: fast, server: fast},
	{name: "20 Pi 3B, a server at 1 Gbit/s", machines: 20, cores: 4, slower: pi, port: fast, server: gigabit},
	{name: "20 Pi 3B, a twentieth on each card", machines: 20, cores: 4, slower: pi, disk: 20 * mega},
	{name: "100 nodes, a server at 10 Gbit/s", machines: 100, cores: 32, slower: 1, port: ten, server: ten},
	{name: "100 nodes, a hundredth on each NVMe", machines: 100, cores: 32, slower: 1, disk: nvme},
}

func writeBounds(w io.Writer, r rates, fleets []fleet) {
	fmt.Fprintln(w, "| fleet | CPU | own disk | own port | server | breaks first | job | merge |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|")
	for _, f := range fleets {
		worst := bound{}
		fmt.Fprintf(w, "| %s |", f.name)
		for _, b := range f.bounds(r) {
			if b.time > worst.time {
				worst = b
			}
			fmt.Fprintf(w, " %s |", clock(b.time))
		}
		fmt.Fprintf(w, " %s | %s | %s |\n", worst.what, clock(worst.time), clock(r.merge()))
	}
}

// clock prints a time to two or three digits.
func clock(d time.Duration) string {
	switch {
	case d == 0:
		return "-"
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	}
	return fmt.Sprintf("%.1f h", d.Hours())
}

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return
		}
		fmt.Fprintln(os.Stderr, "jobs:", err)
		os.Exit(2)
	}
}

func run(args []string, w io.Writer) error {
	r, c := measured, shelf
	own := fleet{name: "yours", slower: 1}
	fs := flag.NewFlagSet("jobs", flag.ContinueOnError)
	fs.Float64Var(&r.packets, "packets", r.packets, "of the captures")
	fs.Float64Var(&r.octets, "octets", r.octets, "of the captures, as stored")
	fs.Float64Var(&r.perPacket, "cpu-packet", r.perPacket, "CPU time of a packet, `ns`")
	fs.Float64Var(&r.perOctet, "cpu-octet", r.perOctet, "CPU time of a stored octet, `ns`")
	fs.Float64Var(&r.vectors, "vectors", r.vectors, "made")
	fs.Float64Var(&r.vectorOctets, "vector-octets", r.vectorOctets, "of one vector")
	fs.Float64Var(&r.mergeDisk, "merge-disk", r.mergeDisk, "`octets/s` of the machine that merges")
	fs.IntVar(&own.machines, "machines", 0, "of a fleet of your own, printed alone; 0: those of SCALE.md")
	fs.IntVar(&own.cores, "cores", 4, "of each")
	fs.Float64Var(&own.slower, "slower", 1, "a core of yours than the measured one")
	fs.Float64Var(&own.disk, "disk", 0, "`octets/s` of each machine's own disk, where it has its part of the captures")
	fs.Float64Var(&own.port, "port", 0, "`octets/s` of each machine's port, where the captures come over it")
	fs.Float64Var(&own.server, "server", 0, "`octets/s` of what serves all")
	fs.IntVar(&c.workers, "workers", c.workers, "of the simulation")
	fs.DurationVar(&c.work, "work", c.work, "of one worker, were all alike and nothing lost")
	fs.DurationVar(&c.overhead, "overhead", c.overhead, "of a shard: queue, start, reading the manifest")
	fs.DurationVar(&c.between, "between-failures", c.between, "of one worker, on average; 0: none fails")
	fs.DurationVar(&c.notice, "notice", c.notice, "until a person submits again what is missing")
	fs.IntVar(&c.runs, "runs", c.runs, "of the simulation for each row")
	fs.Uint64Var(&c.seed, "seed", c.seed, "of the simulation")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("what is %q? there are flags only, see -h", strings.Join(fs.Args(), " "))
	}
	if c.workers < 1 || c.runs < 1 || c.work <= 0 || own.machines < 0 || own.cores < 1 {
		return errors.New("want at least one worker, one run, one core, and some work")
	}
	list := fleets
	if own.machines > 0 {
		list = []fleet{own}
	}
	writeBounds(w, r, list)
	fmt.Fprintln(w)
	writeShards(w, c)
	fmt.Fprintln(w)
	writeQueue(w, c)
	return nil
}
