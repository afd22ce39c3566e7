package digest

import (
	"encoding/json"
	"io"

	"pcaplab/analysis"
	"pcaplab/analysis/report"
)

// Schema is the version of [JSON].
const Schema = 1

// JSON is a report for programs.
type JSON struct {
	Schema  int          `json:"schema"`
	Maker   string       `json:"maker,omitempty"`
	Title   string       `json:"title"`
	Answer  []string     `json:"answer"`   // as the page has it
	Doubts  []Doubt      `json:"warnings"` // as the page has them
	Sources []JSONSource `json:"sources"`
	Rows    []Row        `json:"rows"` // all numbers, as --format csv has them
}

// JSONSource is what one results folder holds: that of its kind.
type JSONSource struct {
	Name       string             `json:"name"`
	Kind       string             `json:"kind"` // one of report.Kind...
	Machine    string             `json:"machine,omitempty"`
	Version    string             `json:"version,omitempty"` // of the program that measured
	Answer     []string           `json:"answer"`            // all that is said of it
	Study      *analysis.Results  `json:"study,omitempty"`
	Classes    *JSONClasses       `json:"classes,omitempty"`
	Scenario   *analysis.Scenario `json:"scenario,omitempty"`
	Live       *analysis.Live     `json:"live,omitempty"`
	Validation *report.Validated  `json:"validation,omitempty"`
}

// JSONClasses is a study of each class.
type JSONClasses struct {
	analysis.ClassesHeader
	Done    int                     `json:"done"`
	Results []analysis.ClassCeiling `json:"results"` // cell by cell, in each the dearest class first
}

// ToJSON makes the report for programs.
func ToJSON(sources []*report.Source, cfg Config) *JSON {
	d := Compose(sources, Config{Title: cfg.Title, Maker: cfg.Maker})
	j := &JSON{Schema: Schema, Maker: cfg.Maker, Title: d.Title, Answer: d.Answer, Doubts: Doubts(sources), Rows: Rows(sources)}
	for i, name := range Names(sources) {
		s := sources[i]
		js := JSONSource{Name: name, Kind: s.Kind, Version: s.Version(), Answer: Said(s), Study: s.Study, Scenario: s.Scenario, Live: s.Live, Validation: s.Validation}
		if e := s.Environment(); e != nil {
			js.Machine = e.String()
		}
		if s.Classes != nil {
			js.Classes = &JSONClasses{ClassesHeader: s.Classes.Header, Done: s.Classes.Done(), Results: s.Classes.Compare()}
		}
		j.Sources = append(j.Sources, js)
	}
	return j
}

// WriteJSON writes the report for programs as one object.
func WriteJSON(w io.Writer, j *JSON) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(j)
}
