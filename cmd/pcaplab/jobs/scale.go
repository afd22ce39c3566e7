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
}

// fleet is some machines of one kind.
type fleet struct {
	name     string
	machines int
	cores    int     // of each
	slower   float64 // a core than the measured one
	disk     float64 // octets/s of each machine's own disk; 0: captures are not there
	port     float64 // octets/s of each machine's port, each way; 0: captures are on its own disk
	server   float64 // octets/s of the one disk or port that serves all, each way; 0: none does
	link     float64 // octets/s at which shards come from own disks to the machine that joins them; 0: there is one machine
}

// bound is a time that the job cannot be shorter than.
type bound struct {
	what string
	time time.Duration
}

// bounds returns CPU, disk, port and server, in this order.
func (f fleet) bounds(r rates) []bound {
	n, made := float64(f.machines), r.vectors*r.vectorOctets
	cpu := (float64(r.packets*r.perPacket) + float64(r.octets*r.perOctet)) / 1e9
	// A disk does one thing at a time; a port reads and writes at once, so the larger of the two is what it takes.
	return []bound{
		{"CPU", seconds(cpu * f.slower / (n * float64(f.cores)))},
		{"own disk", through(r.octets+made, n*f.disk)},
		{"own port", through(max(r.octets, made), n*f.port)},
		{"server", through(max(r.octets, made), f.server)},
	}
}

// merge is how long one machine of the fleet takes to read all shards and to write what it joins, one after the other. Shards on the disks
// of others come over the link first. One machine alone needs no shards.
func (f fleet) merge(r rates) time.Duration {
	made := r.vectors * r.vectorOctets
	switch {
	case f.machines == 1:
		return 0
	case f.disk > 0:
		come := made
		if f.link > 0 {
			come = max(made, made*f.disk/f.link) // written as it comes
		}
		return through(come+2*made, f.disk)
	case f.server > 0 && f.port > 0:
		return through(2*made, min(f.server, f.port))
	}
	return through(2*made, max(f.server, f.port))
}

// through is how long octets take at a rate; 0 where nothing goes that way.
func through(octets, rate float64) time.Duration {
	if rate == 0 {
		return 0
	}
	return seconds(octets / rate)
}

// seconds is a time of at most 95 years.
func seconds(s float64) time.Duration { return time.Duration(min(s, 3e9) * 1e9) }

// A machine of several makes some shards, and each costs what no rate has: queue, start, manifest. Both are assumed.
const (
	shardsEach = 8
	ofAShard   = 10 * time.Second
)

// job is the longest of the bounds, and what shards cost.
func (f fleet) job(r rates) (longest bound, job time.Duration) {
	for _, b := range f.bounds(r) {
		if b.time > longest.time {
			longest = b
		}
	}
	job = longest.time
	if f.machines > 1 {
		job += shardsEach * ofAShard
	}
	return longest, job
}

const (
	mega    = 1e6
	fast    = 94.4e6 / 8  // octets/s of TCP payload through a port of 100 Mbit/s
	gigabit = 941e6 / 8   // through one of 1 Gbit/s
	ten     = 9.41e9 / 8  // through one of 10 Gbit/s
	pi      = 12.0        // a Pi 3B's core against the measured one, an estimate
	sata    = 512 * mega  // octets/s, measured here with direct reads
	turning = 150 * mega  // a disk that turns
	nvme    = 3000 * mega // a disk on PCIe
)

// measured are the rates of SCALE.md for CIC-IoT-2023.
var measured = rates{
	packets: 4_493_106_426, octets: 588.1e9, perPacket: 140, perOctet: 0.2,
	vectors: 46_776_361, vectorOctets: 216.5,
}

var fleets = []fleet{
	{name: "1 PC, a disk that turns", machines: 1, cores: 4, slower: 1, disk: turning},
	{name: "1 PC, SATA SSD", machines: 1, cores: 4, slower: 1, disk: sata},
	{name: "1 PC, NVMe", machines: 1, cores: 4, slower: 1, disk: nvme},
	{name: "4 PCs, a server at 1 Gbit/s", machines: 4, cores: 4, slower: 1, port: gigabit, server: gigabit},
	{name: "4 PCs, a quarter on each SSD", machines: 4, cores: 4, slower: 1, disk: sata, link: gigabit},
	{name: "1 Pi 3B, over its port", machines: 1, cores: 4, slower: pi, port: fast},
	{name: "20 Pi 3B, one serves by its port", machines: 20, cores: 4, slower: pi, port: fast, server: fast},
	{name: "20 Pi 3B, a server at 1 Gbit/s", machines: 20, cores: 4, slower: pi, port: fast, server: gigabit},
	{name: "20 Pi 3B, a twentieth on each card", machines: 20, cores: 4, slower: pi, disk: 20 * mega, link: fast},
	{name: "100 nodes, a server at 10 Gbit/s", machines: 100, cores: 32, slower: 1, port: ten, server: ten},
	{name: "100 nodes, a hundredth on each NVMe", machines: 100, cores: 32, slower: 1, disk: nvme, link: ten},
}

func writeBounds(w io.Writer, r rates, fleets []fleet) {
	fmt.Fprintln(w, "| fleet | CPU | own disk | own port | server | breaks first | job | merge |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|")
	for _, f := range fleets {
		fmt.Fprintf(w, "| %s |", f.name)
		for _, b := range f.bounds(r) {
			fmt.Fprintf(w, " %s |", clock(b.time))
		}
		longest, job := f.job(r)
		fmt.Fprintf(w, " %s | %s | %s |\n", longest.what, clock(job), clock(f.merge(r)))
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
	fs.IntVar(&own.machines, "machines", 0, "of a fleet of your own, printed alone; 0: those of SCALE.md")
	fs.IntVar(&own.cores, "cores", 4, "of each")
	fs.Float64Var(&own.slower, "slower", 1, "a core of yours than the measured one")
	fs.Float64Var(&own.disk, "disk", 0, "`octets/s` of each machine's own disk, where it has its part of the captures")
	fs.Float64Var(&own.port, "port", 0, "`octets/s` of each machine's port, where the captures come over it")
	fs.Float64Var(&own.server, "server", 0, "`octets/s` of what serves all")
	fs.Float64Var(&own.link, "link", 0, "`octets/s` at which shards on own disks come to the machine that joins them")
	fs.IntVar(&c.workers, "workers", c.workers, "of the simulation")
	fs.DurationVar(&c.work, "work", c.work, "of one worker, were all alike and nothing lost")
	fs.DurationVar(&c.overhead, "overhead", c.overhead, "of a shard: queue, start, reading the manifest")
	fs.DurationVar(&c.between, "between-failures", c.between, "of one worker, on average; 0: none fails")
	fs.DurationVar(&c.notice, "notice", c.notice, "until a person submits again what is missing")
	fs.DurationVar(&c.delay, "requeue", c.delay, "until a lost shard is queued again by itself")
	fs.IntVar(&c.runs, "runs", c.runs, "of the simulation for each row")
	fs.Uint64Var(&c.seed, "seed", c.seed, "of the simulation")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("what is %q? there are flags only, see -h", strings.Join(fs.Args(), " "))
	}
	for name, v := range map[string]float64{
		"packets": r.packets, "octets": r.octets, "cpu-packet": r.perPacket, "cpu-octet": r.perOctet, "vectors": r.vectors, "vector-octets": r.vectorOctets,
		"slower": own.slower, "disk": own.disk, "port": own.port, "server": own.server, "link": own.link,
	} {
		if !(v >= 0 && v <= 1e18) || name == "slower" && v == 0 {
			return fmt.Errorf("-%s %g: want a number from 0 to 1e18", name, v)
		}
	}
	if own.machines < 0 || own.machines > 1e6 || own.cores < 1 || own.cores > 1e6 {
		return errors.New("want 0 to a million machines, each with 1 to a million cores")
	}
	if err := c.check(); err != nil {
		return err
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
