package analysis

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"pcaplab/replay/trial"
)

// ClassesHeader is of one study repeated for each class of a tree of captures: the same plan, settings and machine.
type ClassesHeader struct {
	Schema    int       `json:"schema"` // trial.Schema
	Version   string    `json:"version"`
	Started   time.Time `json:"started"`
	Tree      string    `json:"tree"`                // as the user named it
	Synthetic string    `json:"synthetic,omitempty"` // what made the captures; "": they were captured
	// Study is the header of each class's study, without captures and environment.
	Study   trial.Header `json:"study"`
	Classes []ClassOf    `json:"classes"`
	// Packets is the number of packets of all classes in the dataset that the classes are of; 0: of none.
	Packets int64 `json:"dataset_packets,omitempty"`
	// Hosts are the machines that measured, where classes were measured on several.
	Hosts []ClassHost `json:"hosts,omitempty"`
}

// ClassHost is a machine that measured some of the classes, as trial.Host is of cells.
type ClassHost struct {
	Name    string   `json:"name"`
	Machine string   `json:"machine"`
	Classes []string `json:"classes"`
	Differs []string `json:"differs,omitempty"`
}

// ClassOf is one class of a tree.
type ClassOf struct {
	Name     string   `json:"name"`
	Category string   `json:"category,omitempty"`
	Folder   string   `json:"folder"`   // of its study, in the results folder
	Captures []string `json:"captures"` // in order; as many as its packets need are read
	Packets  int64    `json:"dataset_packets,omitempty"`
}

// Classes is what a ClassesHeader's studies found.
type Classes struct {
	Header  ClassesHeader
	Results []*Results // one for each class of Header; nil: not measured
}

// Done returns the number of classes that have all their records.
func (c *Classes) Done() (n int) {
	for _, r := range c.Results {
		if r != nil && r.Unfinished() == "" {
			n++
		}
	}
	return n
}

// ClassCeiling is one cell of one class, beside the same cell of the others.
type ClassCeiling struct {
	Class    string  `json:"class"`
	Category string  `json:"category,omitempty"`
	Share    float64 `json:"dataset_share,omitempty"`  // of the dataset's packets that are of the class; 0: not known
	Times    float64 `json:"times_cheapest,omitempty"` // time per packet against that of the class with the least, of those of one machine; 0: not measured
	Ceiling
}

// Compare returns the ceilings of all classes: cell by cell in the order of the plan, in each the classes that cost most time
// per packet first, those without a measured cost last. Where several machines measured, the classes of each are by themselves, in the order
// of the machines.
func (c *Classes) Compare() []ClassCeiling {
	var cells []trial.Cell
	of := make(map[trial.Cell][]ClassCeiling)
	for i, r := range c.Results {
		if r == nil {
			continue
		}
		class := &c.Header.Classes[i]
		for _, ceiling := range r.Ceilings {
			if !slices.Contains(cells, ceiling.Cell) {
				cells = append(cells, ceiling.Cell)
			}
			row := ClassCeiling{Class: class.Name, Category: class.Category, Ceiling: ceiling}
			row.Host = c.HostOf(class.Name)
			if c.Header.Packets > 0 {
				row.Share = float64(class.Packets) / float64(c.Header.Packets)
			}
			of[ceiling.Cell] = append(of[ceiling.Cell], row)
		}
	}
	c.inOrder(cells)
	var all []ClassCeiling
	for _, cell := range cells {
		rows := of[cell]
		least := make(map[string]float64) // of each machine
		for _, row := range rows {
			if ns := row.NS.Median; row.NS.N > 0 && ns > 0 && (least[row.Host] == 0 || ns < least[row.Host]) {
				least[row.Host] = ns
			}
		}
		for i := range rows {
			if of := least[rows[i].Host]; rows[i].NS.N > 0 && of > 0 {
				rows[i].Times = rows[i].NS.Median / of
			}
		}
		machine := func(name string) int {
			return slices.IndexFunc(c.Header.Hosts, func(h ClassHost) bool { return h.Name == name })
		}
		slices.SortStableFunc(rows, func(a, b ClassCeiling) int {
			return cmp.Or(cmp.Compare(machine(a.Host), machine(b.Host)), cmp.Compare(b.Times, a.Times))
		})
		all = append(all, rows...)
	}
	return all
}

// HostOf returns the name of the machine that measured a class, where several measured; else "".
func (c *Classes) HostOf(class string) string {
	for i := range c.Header.Hosts {
		if slices.Contains(c.Header.Hosts[i].Classes, class) {
			return c.Header.Hosts[i].Name
		}
	}
	return ""
}

// inOrder sorts cells as the plan has them, engines first: a class that was not finished may lack the first.
func (c *Classes) inOrder(cells []trial.Cell) {
	p := &c.Header.Study.Plan
	place := func(cell trial.Cell) [4]int {
		return [4]int{slices.Index(p.Engines, cell.Engine), slices.Index(p.Sizes, cell.Size), slices.Index(p.Caches, cell.Cache),
			slices.Index(p.Workers, cell.Workers)}
	}
	slices.SortStableFunc(cells, func(a, b trial.Cell) int {
		pa, pb := place(a), place(b)
		return slices.Compare(pa[:], pb[:])
	})
}

// Warnings returns those of the whole, then those of all classes, each with the class's name before it.
func (c *Classes) Warnings() []string {
	var list []string
	hosts := make([]trial.Host, len(c.Header.Hosts))
	for i, h := range c.Header.Hosts {
		hosts[i] = trial.Host{Name: h.Name, Machine: h.Machine, Differs: h.Differs}
	}
	warnOfHosts(hosts, func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) })
	for i, r := range c.Results {
		if r == nil {
			continue
		}
		for _, w := range r.Warnings {
			list = append(list, c.Header.Classes[i].Name+": "+w)
		}
	}
	return list
}
