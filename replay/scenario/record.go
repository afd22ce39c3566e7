package scenario

import (
	"errors"
	"fmt"
	"time"

	"pcaplab/parse"
	"pcaplab/replay"
	"pcaplab/replay/external"
	"pcaplab/replay/meter"
)

// Schema is the version of Record and Header. Readers refuse others.
const Schema = 1

// Plan is what a run does. The zero value of an option is its documented default.
type Plan struct {
	Scenario Scenario `json:"scenario"` // as run: already cut to LimitSeconds
	Engines  []string `json:"engines"`
	Repeats  int      `json:"repeats"`
	// LimitSeconds is what the traffic of longer rows was cut to; 0: none was cut.
	LimitSeconds float64 `json:"limit_seconds,omitempty"`
	// Queue is before every engine, as replay.ParseQueue reads it; "": for each what it has live, see [QueueOf].
	Queue string `json:"queue,omitempty"`
	// Clock is that of the program's own engines: "warp" (default), "system" or "cpu". Other programs run on the system clock.
	Clock string `json:"clock"`
	// InProcess runs this program's engines in the process of the run, not each trial in a fresh one.
	InProcess bool `json:"in_process,omitempty"`
	// Commands are other programs' command lines, "NAME=CMD ARG...", as external.Command reads them.
	Commands []string `json:"commands,omitempty"`
	Seed     uint64   `json:"seed"`
}

// Check reports all faults of the plan at once, and fills in defaults.
func (p *Plan) Check(engines []parse.Engine) error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if err := p.Scenario.Check(); err != nil {
		errs = append(errs, fmt.Errorf("%s: %w", p.Scenario.Name, err))
	}
	if len(p.Engines) == 0 {
		add("no engines")
	}
	if p.Repeats < 1 {
		add("repeats %d: want 1 or more", p.Repeats)
	}
	if p.Clock == "" {
		p.Clock = "warp"
	}
	if _, err := replay.NewClock(p.Clock); err != nil {
		errs = append(errs, err)
	}
	if _, err := replay.ParseQueue(p.Queue); err != nil {
		errs = append(errs, err)
	}
	programs, err := p.Programs()
	if err != nil {
		errs = append(errs, err)
	}
	seen := map[string]bool{}
	for _, name := range p.Engines {
		if seen[name] {
			add("engine %s is named twice", name)
		}
		seen[name] = true
		if _, known := programs[name]; !known && engineOf(engines, name) == nil {
			add("no engine %q: neither a parser of this program nor another program that it knows", name)
		}
	}
	for name := range programs {
		if engineOf(engines, name) != nil {
			add("%s is the name of an engine of this program: give the command another", name)
		}
	}
	return errors.Join(errs...)
}

// Programs returns the other programs that the plan may name: those that this program knows, and its Commands.
func (p *Plan) Programs() (map[string]external.Program, error) {
	programs := map[string]external.Program{}
	for _, known := range external.Programs() {
		programs[known.Name] = known
	}
	var errs []error
	own := map[string]bool{}
	for _, spec := range p.Commands {
		program, err := external.Command(spec)
		if err == nil && own[program.Name] {
			err = fmt.Errorf("command %s is given twice", program.Name)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		own[program.Name] = true
		programs[program.Name] = program
	}
	return programs, errors.Join(errs...)
}

func engineOf(engines []parse.Engine, name string) *parse.Engine {
	for i := range engines {
		if engines[i].Name == name {
			return &engines[i]
		}
	}
	return nil
}

// QueueOf returns the preset that stands for the buffer that a program has before it when it captures live: pypcap in
// immediate mode for dpkt, Scapy's socket for scapy, libpcap's default for tshark, PyShark's dumpcap and the rest.
func QueueOf(engine string) string {
	switch engine {
	case "dpkt":
		return "pcap-immediate-32"
	case "scapy":
		return "scapy-65536"
	}
	return replay.DefaultQueue().Name
}

// Trial names one measurement of a run.
type Trial struct {
	Row    string `json:"row"`
	Engine string `json:"engine"`
	Repeat int    `json:"repeat"` // from 1
	Closed bool   `json:"closed,omitempty"`
}

// Trials returns what a run of the plan measures, in order: repeat by repeat and row by row, the engines in turn.
func (p *Plan) Trials() []Trial {
	var list []Trial
	for repeat := 1; repeat <= p.Repeats; repeat++ {
		for _, r := range p.Scenario.Rows {
			for _, e := range p.Engines {
				list = append(list, Trial{Row: r.Name, Engine: e, Repeat: repeat})
				if r.Unlimited {
					list = append(list, Trial{Row: r.Name, Engine: e, Repeat: repeat, Closed: true})
				}
			}
		}
	}
	return list
}

// Record is one trial.
type Record struct {
	Schema  int       `json:"schema"`
	Started time.Time `json:"started"`
	Trial
	Queue string `json:"queue"`
	Clock string `json:"clock"`

	// Result is what the feed counted. In Result.Offered are the control connection and all else that the row sends.
	Result replay.Result `json:"result"`
	Counts Counts        `json:"counts"`
	Cost   Cost          `json:"cost"`

	Counters *parse.Counters   `json:"counters,omitempty"` // of this program's engines
	Usage    *meter.Usage      `json:"usage,omitempty"`    // of this program's engines: the measuring process
	Program  *external.Outcome `json:"program,omitempty"`  // of other programs

	// Failure is how a program ended a trial before its time, or that it did not say what it had counted; "" if it did. Its
	// counts and costs are not results then.
	Failure string `json:"failure,omitempty"`
	// Attempts is how often the trial was run: one in which all drops followed gaps of the host is run again.
	Attempts int      `json:"attempts"`
	Marks    []string `json:"marks,omitempty"`
}

// Counts is what an engine counted by its own account, whatever its queue and the pipe held at the load's end included.
type Counts struct {
	Packets uint64  `json:"packets"`
	TCP     *uint64 `json:"tcp"` // null: not told
}

// Cost is what an engine took, start-up apart. What could not be measured is null.
type Cost struct {
	StartUpNs  int64  `json:"start_up_ns"`
	TrafficNs  int64  `json:"traffic_ns"`     // how long traffic came
	TrafficCPU *int64 `json:"traffic_cpu_ns"` // CPU time of the process itself while traffic came
	// Of this program's engines it is all that they took, because on the warp clock there is no after.
	//
	// TrafficChildrenCPU is that of the processes that it started, WholeCPU and WholeChildrenCPU are those until all that was
	// admitted had been taken.
	TrafficChildrenCPU *int64 `json:"traffic_children_cpu_ns"`
	WholeCPU           *int64 `json:"whole_cpu_ns"`
	WholeChildrenCPU   *int64 `json:"whole_children_cpu_ns"`
	// PeakOctets is the most resident memory of the process itself (VmHWM); TreePeakOctets that of it and its children
	// together.
	PeakOctets     *int64 `json:"peak_octets"`
	TreePeakOctets *int64 `json:"tree_peak_octets"`
}

// Marks of results that are not the engine's alone, besides those of package trial.
const (
	MarkFailed    = "failed"    // see Record.Failure
	MarkMiscounts = "miscounts" // it took all that it was given, and counted another number
)

// Header describes a run, beside its records.
type Header struct {
	Schema   int       `json:"schema"`
	Version  string    `json:"version"` // of pcaplab
	Started  time.Time `json:"started"`
	Plan     Plan      `json:"plan"`
	Programs []Found   `json:"programs,omitempty"` // versions of the other programs
	Captures []File    `json:"captures,omitempty"` // files that rows send
	Missing  []Missing `json:"missing,omitempty"`  // engines that are not on this machine

	Environment meter.Environment `json:"environment"`
}

// Found is another program that is there.
type Found struct {
	Engine  string `json:"engine"`
	Version string `json:"version"`
}

// File is a capture as it was when the run began.
type File struct {
	Path     string    `json:"path"`
	Octets   int64     `json:"octets"`
	Modified time.Time `json:"modified"`
}

// Missing is another program that is not there.
type Missing struct {
	Engine string `json:"engine"`
	Why    string `json:"why"`
}
