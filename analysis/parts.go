package analysis

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"pcaplab/replay/meter"
	"pcaplab/replay/trial"
)

// Part is what was measured of a study by itself: some of its cells, each with all its repeats.
type Part struct {
	Name    string // for errors and warnings, as "shard 3/5"
	Host    meter.Host
	Header  trial.Header
	Records []trial.Record // in the order in which they came
}

// ErrMachines says that parts were measured on machines that differ.
var ErrMachines = errors.New("measurements of machines that differ do not go into one result")

// Merge puts the parts of one study together, in the order that they are given: the header and the records that the study would have, had it been
// measured at once. Records come in the order of the plan. Started is the earliest, MemoryLimit the least, what is of one machine is that of the
// first part; where there were several machines, Header.Hosts has them and Analyze warns, as it does of frames that were to be cold where parts had
// other memory limits, which decide how large working sets may be.
//
// No cell is ever pooled from two parts, so that each interval is of one machine, nor from two processes that measured it side by side: a second
// warm-up, closed loop or outcome of a search is an error. Parts of different studies are refused, a cell that is in two parts
// or in none, and, as ErrMachines, parts whose environments differ (meter.Environment.Differences): what would be compared then are machines. With
// mixed such parts are put together, and the hosts say in what they differ.
func Merge(parts []Part, mixed bool) (trial.Header, []trial.Record, error) {
	if len(parts) == 0 {
		return trial.Header{}, nil, errors.New("no parts of a study")
	}
	h := parts[0].Header
	h.Hosts = nil
	var records []trial.Record
	of := make(map[trial.Cell]int) // part of each cell
	type once struct {
		cell       trial.Cell
		repeat     int
		kind, goal string
	}
	seen := make(map[once]bool)
	most, llc := h.MemoryLimit, false
	for i := range parts {
		p := &parts[i]
		if err := sameStudy(&h, &p.Header); err != nil {
			return trial.Header{}, nil, fmt.Errorf("%s and %s are of two studies: %w", parts[0].Name, p.Name, err)
		}
		if p.Header.Started.Before(h.Started) {
			h.Started = p.Header.Started
		}
		h.MemoryLimit = min(h.MemoryLimit, p.Header.MemoryLimit)
		for j := range p.Records {
			cell := p.Records[j].Cell
			if other, ok := of[cell]; ok && other != i {
				return trial.Header{}, nil, fmt.Errorf("%s and %s both measured %v", parts[other].Name, p.Name, cell)
			}
			of[cell] = i
			if r := &p.Records[j]; r.Kind == trial.KindService || r.Kind == trial.KindWarmUp || r.Kind == trial.KindBounds {
				k := once{cell: cell, repeat: r.Repeat, kind: r.Kind}
				if r.Bounds != nil {
					k.goal = r.Bounds.Goal.Name
				}
				if seen[k] {
					return trial.Header{}, nil, fmt.Errorf("%s has two %s records of %v, repeat %d: two processes measured it side by side; make it again", p.Name,
						r.Kind, cell, r.Repeat)
				}
				seen[k] = true
			}
			llc = llc || p.Records[j].LLC
		}
		most = max(most, p.Header.MemoryLimit)
		records = append(records, p.Records...)
	}
	if llc && most > h.MemoryLimit {
		h.MemoryLimitMost = most
	}
	var err error
	if h.Resizing, err = resizing(parts); err != nil {
		return trial.Header{}, nil, err
	}
	cells := h.Plan.Cells()
	for cell, i := range of {
		if !slices.Contains(cells, cell) {
			return trial.Header{}, nil, fmt.Errorf("%s measured %v, which is not of the plan", parts[i].Name, cell)
		}
	}
	for _, cell := range cells {
		if _, ok := of[cell]; !ok {
			return trial.Header{}, nil, fmt.Errorf("no part measured %v", cell)
		}
	}
	slices.SortStableFunc(records, func(a, b trial.Record) int { return h.Plan.Compare(&a, &b) })
	machines := make([]Machine, len(parts))
	for i, p := range parts {
		machines[i] = Machine{Name: p.Name, Host: p.Host, Environment: p.Header.Environment}
	}
	hosts, host, err := Hosts(machines, mixed)
	if err != nil {
		return trial.Header{}, nil, err
	}
	if len(hosts) > 1 {
		for _, cell := range cells {
			at := &hosts[host[of[cell]]]
			at.Cells = append(at.Cells, cell)
		}
		h.Hosts = hosts
	}
	return h, records, nil
}

// Machine is where a part was measured.
type Machine struct {
	Name        string // of the part
	Host        meter.Host
	Environment meter.Environment
}

// Hosts tells the machines of parts apart: it returns each once, without cells, and the index among them of each part's. They are called
// "machine 1" and so on: results are published, and what names a person's machine is not in them. Machines that differ from the first are ErrMachines, unless mixed.
func Hosts(parts []Machine, mixed bool) (hosts []trial.Host, of []int, err error) {
	var seen []Machine
	for _, p := range parts {
		i := slices.IndexFunc(seen, func(s Machine) bool {
			if !s.Host.Same(p.Host) {
				return false
			}
			differences, err := s.Environment.Differences(&p.Environment)
			return err == nil && len(differences) == 0 // else its settings were changed between: another machine to measurements
		})
		if i < 0 {
			differences, err := p.Environment.Differences(&parts[0].Environment)
			if err != nil {
				return nil, nil, fmt.Errorf("%s: %w", p.Name, err)
			}
			if len(differences) > 0 && !mixed {
				return nil, nil, fmt.Errorf("%w: %s was measured on %s, %s on %s: %s", ErrMachines, p.Name, p.Host.Name, parts[0].Name, parts[0].Host.Name,
					strings.Join(differences, "; "))
			}
			i = len(seen)
			seen = append(seen, p)
			hosts = append(hosts, trial.Host{Name: fmt.Sprintf("machine %d", i+1), Machine: p.Environment.String(), Differs: differences})
		}
		of = append(of, i)
	}
	return hosts, of, nil
}

// sameStudy compares what all parts of a study have in common.
func sameStudy(a, b *trial.Header) error {
	for _, same := range []struct {
		what string
		a, b any
	}{
		{"version", a.Version, b.Version},
		{"command", a.Command, b.Command},
		{"settings", a.Settings, b.Settings},
		{"plan", a.Plan, b.Plan},
		{"reading of captures", a.Reading, b.Reading},
		{"in-process", a.InProcess, b.InProcess},
		{"edits", a.Editing, b.Editing},
		{"moved addresses", a.Moving, b.Moving},
	} {
		if !reflect.DeepEqual(same.a, same.b) {
			return fmt.Errorf("%s %+v and %+v", same.what, same.a, same.b)
		}
	}
	if len(a.Captures) != len(b.Captures) {
		return fmt.Errorf("%d captures and %d", len(a.Captures), len(b.Captures))
	}
	for i := range a.Captures {
		if x, y := a.Captures[i], b.Captures[i]; x.SHA256 != y.SHA256 || x.Frames != y.Frames || x.Octets != y.Octets {
			return fmt.Errorf("capture %s: %d frames with SHA-256 %s, and %d with %s", x.Name, x.Frames, x.SHA256, y.Frames, y.SHA256)
		}
	}
	if len(a.StageFiles) != len(b.StageFiles) {
		return fmt.Errorf("%d files of stages and %d", len(a.StageFiles), len(b.StageFiles))
	}
	for i := range a.StageFiles {
		if x, y := a.StageFiles[i], b.StageFiles[i]; x.Stage != y.Stage || x.SHA256 != y.SHA256 {
			return fmt.Errorf("stage %s with SHA-256 %s, and %s with %s", x.Stage, x.SHA256, y.Stage, y.SHA256)
		}
	}
	return nil
}

// resizing joins what resizing did in the parts, in the order of the plan.
func resizing(parts []Part) (list []trial.Resizing, err error) {
	for _, size := range parts[0].Header.Plan.Sizes {
		from := -1
		for i := range parts {
			j := slices.IndexFunc(parts[i].Header.Resizing, func(r trial.Resizing) bool { return r.Size == size })
			if j < 0 {
				continue
			}
			r := parts[i].Header.Resizing[j]
			if from < 0 {
				list, from = append(list, r), i
			} else if !reflect.DeepEqual(r, list[len(list)-1]) {
				return nil, fmt.Errorf("%s and %s resized the same frames to %s with other results", parts[from].Name, parts[i].Name, size)
			}
		}
	}
	return list, nil
}

// warnOfHosts says what measuring on several machines means.
func warnOfHosts(hosts []trial.Host, add func(format string, args ...any)) {
	if len(hosts) < 2 {
		return
	}
	var names []string
	differ := false
	for _, h := range hosts {
		names = append(names, h.Name)
		if len(h.Differs) > 0 {
			differ = true
			add("%s differs from %s: %s", h.Name, hosts[0].Name, strings.Join(h.Differs, "; "))
		}
	}
	if n := len(names); n > 6 {
		names = append(names[:5], fmt.Sprintf("%d more", n-5))
	}
	if differ {
		add("measured on %d machines that differ (%s): rows of one machine can be compared, others differ by the machine too", len(hosts), strings.Join(names, ", "))
	} else {
		add("measured on %d machines of one kind (%s): each row is of one of them", len(hosts), strings.Join(names, ", "))
	}
}
