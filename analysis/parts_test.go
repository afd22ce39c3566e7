package analysis

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pcaplab/replay/meter"
	"pcaplab/replay/rewrite"
	"pcaplab/replay/trial"
	"pcaplab/replay/trial/search"
)

// inParts returns a study of 2 engines at 2 sizes, 2 repeats, and its parts: the sizes.
func inParts() (whole Part, parts []Part) {
	plan := trial.Plan{Engines: []string{"a", "b"}, Sizes: []string{"64", "512"}, Caches: []string{trial.CacheHot}, Workers: []int{1}, Repeats: 2}
	whole.Header = trial.Header{Version: "1", Plan: plan, MemoryLimit: 100, Started: time.Unix(1000, 0), Captures: []trial.Capture{{SHA256: "x", Frames: 1}}}
	for _, size := range plan.Sizes {
		whole.Header.Resizing = append(whole.Header.Resizing, trial.Resizing{Size: size, Report: rewrite.Report{Frames: 5}})
		p := Part{Name: "size " + size, Host: meter.Host{Name: "board", Boot: "1"}, Header: whole.Header}
		p.Header.Resizing = whole.Header.Resizing[len(whole.Header.Resizing)-1:]
		for repeat := 1; repeat <= 2; repeat++ {
			for _, engine := range plan.Engines {
				for _, kind := range []string{trial.KindWarmUp, trial.KindService} {
					r := trial.Record{Kind: kind, Cell: trial.Cell{Engine: engine, Size: size, Cache: trial.CacheHot, Workers: 1}, Repeat: repeat}
					p.Records = append(p.Records, r)
				}
			}
		}
		whole.Records = append(whole.Records, p.Records...)
		parts = append(parts, p)
	}
	return whole, parts
}

func TestMergeIsTheWhole(t *testing.T) {
	whole, parts := inParts()
	for _, order := range [][]int{{0, 1}, {1, 0}} {
		h, records, err := Merge([]Part{parts[order[0]], parts[order[1]]}, false)
		if err != nil || !reflect.DeepEqual(h, whole.Header) || !reflect.DeepEqual(records, whole.Records) {
			t.Errorf("order %v: %v\n%+v\nwant\n%+v", order, err, h, whole.Header)
		}
	}
	parts[1].Header.Started, parts[1].Header.MemoryLimit = time.Unix(500, 0), 50
	if h, _, err := Merge(parts, false); err != nil || !h.Started.Equal(time.Unix(500, 0)) || h.MemoryLimit != 50 {
		t.Errorf("%v, started %v with a limit of %d", err, h.Started, h.MemoryLimit)
	}
}

func TestMergeRefuses(t *testing.T) {
	for want, change := range map[string]func(p []Part){
		"both measured a 64 hot": func(p []Part) { p[1].Records[0].Cell = p[0].Records[0].Cell },
		"no part measured b 512 hot": func(p []Part) {
			p[1].Records = slices.DeleteFunc(p[1].Records, func(r trial.Record) bool { return r.Cell.Engine == "b" })
		},
		"which is not of the plan":        func(p []Part) { p[1].Records[0].Cell.Engine = "c" },
		"with other results":              func(p []Part) { p[1].Header.Resizing = []trial.Resizing{{Size: "64"}} },
		"version 1 and 2":                 func(p []Part) { p[1].Header.Version = "2" },
		"plan {":                          func(p []Part) { p[1].Header.Plan.Repeats = 3 },
		"settings {":                      func(p []Part) { p[1].Header.Settings.Seed = 3 },
		"1 captures and 0":                func(p []Part) { p[1].Header.Captures = nil },
		"with SHA-256 x":                  func(p []Part) { p[1].Header.Captures = []trial.Capture{{SHA256: "y", Frames: 1}} },
		"0 files of stages and 1":         func(p []Part) { p[1].Header.StageFiles = []trial.StageFile{{}} },
		"two service records of b 64 hot": func(p []Part) { p[0].Records = append(p[0].Records, p[0].Records[3]) },
		"two warm-up records":             func(p []Part) { p[0].Records = append(p[0].Records, p[0].Records[0]) },
		"two bounds records": func(p []Part) {
			r := p[0].Records[0]
			r.Kind, r.Bounds = trial.KindBounds, &search.Bounds{Goal: search.NDR()}
			p[0].Records = append(p[0].Records, r, r)
		},
		`governor "powersave", not "`: func(p []Part) {
			p[0].Header.Environment.Governor, p[1].Header.Environment.Governor = "performance", "powersave"
		},
	} {
		_, parts := inParts()
		change(parts)
		_, _, err := Merge(parts, false)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
		if got := strings.HasPrefix(want, `governor "`); got != errors.Is(err, ErrMachines) {
			t.Errorf("%v: is ErrMachines: %t", err, !got)
		}
	}
	if _, _, err := Merge(nil, false); err == nil {
		t.Error("no parts: no error")
	}
}

func TestMergeOfMachines(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(p *Part)
		hosts  int
		warns  string
	}{
		{"one machine", func(p *Part) { p.Header.Environment.TemperatureMilliC = new(int64) }, 0, ""},
		{"two of one kind", func(p *Part) { p.Host.Boot = "2" }, 2, "measured on 2 machines of one kind (machine 1, machine 2): each row is of one of them"},
		{"by their names", func(p *Part) { p.Host = meter.Host{Name: "other"} }, 2, "2 machines of one kind (machine 1, machine 2)"},
		{"two that differ", func(p *Part) { p.Host.Boot, p.Header.Environment.CPU = "2", "A72" }, 2, `machine 2 differs from machine 1: cpu "A72", not "A53"`},
		{"one with other settings", func(p *Part) { p.Header.Environment.Governor = "powersave" }, 2, "machines that differ"},
	} {
		_, parts := inParts()
		for i := range parts {
			parts[i].Header.Environment.CPU, parts[i].Header.Environment.Governor = "A53", "performance"
		}
		tt.change(&parts[1])
		h, records, err := Merge(parts, true)
		if err != nil || len(h.Hosts) != tt.hosts || h.Environment.CPU != "A53" {
			t.Errorf("%s: %v, %+v", tt.name, err, h.Hosts)
			continue
		}
		if text := fmt.Sprint(Analyze(h, records).Warnings); tt.warns == "" && strings.Contains(text, "machine") || !strings.Contains(text, tt.warns) {
			t.Errorf("%s: warnings %s", tt.name, text)
		}
		for i, host := range h.Hosts {
			if host.Name != fmt.Sprintf("machine %d", i+1) || len(host.Cells) != 2 || host.Cells[0].Size != h.Plan.Sizes[i] {
				t.Errorf("%s: host %d has %v", tt.name, i, host.Cells)
			}
		}
	}
}

// A line of cost against size is of one machine.
func TestCostsAreOfOneMachine(t *testing.T) {
	h := trial.Header{Plan: trial.Plan{Engines: []string{"a"}, Sizes: []string{"64", "256", "512", "1024", "1500"}, Caches: []string{trial.CacheHot}, Workers: []int{1}, Repeats: 1}}
	cells := h.Plan.Cells()
	record := func(cell trial.Cell, octets, ns uint64) (r trial.Record) {
		r.Kind, r.Cell, r.Repeat = trial.KindService, cell, 1
		r.Result.Delivered, r.Result.Served, r.Result.Busy = 1, 1, time.Duration(ns)
		r.Counters.Frames, r.Counters.Octets = 1, octets
		return r
	}
	var records []trial.Record
	for i, octets := range []uint64{64, 256, 512, 1024, 1500} {
		ns := 100 + octets // of machine 1
		if i >= 3 {
			ns = 10 * ns
		}
		records = append(records, record(cells[i], octets, ns))
	}
	for _, tt := range []struct {
		first int // cells of machine 1
		sizes int // of the line; 0: none
		host  string
	}{
		{5, 5, ""}, {3, 3, "machine 1"}, {2, 3, "machine 2"}, {-1, 0, ""},
	} {
		h.Hosts = []trial.Host{{Name: "machine 1"}, {Name: "machine 2"}}
		switch {
		case tt.first == 5:
			h.Hosts = nil
		case tt.first < 0:
			h.Hosts = []trial.Host{{Name: "machine 1", Cells: cells[:2]}, {Name: "machine 2", Cells: cells[2:4]}, {Name: "machine 3", Cells: cells[4:]}}
		default:
			h.Hosts[0].Cells, h.Hosts[1].Cells = cells[:tt.first], cells[tt.first:]
		}
		r := Analyze(h, records)
		if warned := strings.Contains(fmt.Sprint(r.Warnings), "no three on one"); warned != (tt.sizes == 0) {
			t.Errorf("%d: warnings %q", tt.first, r.Warnings)
		}
		if tt.sizes == 0 {
			if len(r.Costs) > 0 {
				t.Errorf("%d: %+v", tt.first, r.Costs)
			}
			continue
		}
		if len(r.Costs) != 1 || len(r.Costs[0].Points) != tt.sizes || r.Costs[0].Host != tt.host {
			t.Errorf("%d: %+v", tt.first, r.Costs)
		}
		if tt.first == 3 && math.Abs(r.Costs[0].Model.PerOctet-1) > 1e-6 {
			t.Errorf("machine 1 takes %g ns an octet, want 1", r.Costs[0].Model.PerOctet)
		}
		for i, c := range r.Ceilings {
			if tt.first == 3 && c.Host != h.Hosts[i/3].Name {
				t.Errorf("%v is of %q", c.Cell, c.Host)
			}
		}
	}
}

// Limits that differ matter where working sets of cold frames were too small.
func TestMergeOfMemoryLimits(t *testing.T) {
	for _, llc := range []bool{false, true} {
		_, parts := inParts()
		parts[0].Records[1].LLC, parts[1].Header.MemoryLimit = llc, 50
		h, records, err := Merge(parts, false)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(fmt.Sprint(Analyze(h, records).Warnings), "memory limits of 50 to 100 octets"); got != llc {
			t.Errorf("too small: %t, warned: %t", llc, got)
		}
	}
}
