package comparison

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"pcaplab/replay/trial"
)

// unitOfLoads is in what rates are.
const (
	unitOfLoads = "unit of loads"
	defaultUnit = "pps"
)

// differences returns in what two studies are not alike, with machine and program where it is asked for.
func differences(class string, old, new *trial.Header, machine bool) (list []Different) {
	in := ""
	if class != "" {
		in = class + ": "
	}
	add := func(serious bool, what, a, b string) {
		if a != b {
			list = append(list, Different{What: in + what, Old: said(a), New: said(b), Serious: serious})
		}
	}
	add(true, unitOfLoads, cmp.Or(old.Settings.Unit, defaultUnit), cmp.Or(new.Settings.Unit, defaultUnit))
	add(true, "captures", captures(old), captures(new))
	add(true, "packets read at most", number(old.Reading.Packets), number(new.Reading.Packets))
	settings(old, new, func(name, a, b string) {
		if name != "unit" && name != "width" {
			add(true, name, a, b)
		}
	})
	goals := make(map[string]string)
	for _, g := range old.Plan.Goals {
		text, _ := json.Marshal(g)
		goals[g.Name] = string(text)
	}
	searched := old.Plan.Search != trial.SearchNone && new.Plan.Search != trial.SearchNone
	if searched {
		add(true, "search", old.Plan.Search, new.Plan.Search)
		add(true, "highest load of the search", fmt.Sprint(old.Plan.MaxLoad), fmt.Sprint(new.Plan.MaxLoad))
		for _, g := range new.Plan.Goals {
			if was, ok := goals[g.Name]; ok {
				text, _ := json.Marshal(g)
				fields(was, string(text), func(name, a, b string) { add(true, "goal "+g.Name+", "+name, a, b) })
			}
		}
	}
	add(true, "length of trials", old.Plan.Trial.String(), new.Plan.Trial.String())
	add(true, "soak", old.Plan.Soak.String(), new.Plan.Soak.String())
	add(false, "measured in the process itself", fmt.Sprint(old.InProcess), fmt.Sprint(new.InProcess))
	add(false, "files of stages", files(old), files(new))
	if !machine {
		return list
	}
	add(false, "program", old.Version, new.Version)
	add(false, "caches that frames were fitted to", fmt.Sprintf("L2 %d, last level %d", old.Caches.L2, old.Caches.LLC),
		fmt.Sprintf("L2 %d, last level %d", new.Caches.L2, new.Caches.LLC))
	kinds, err := new.Environment.Differences(&old.Environment)
	if err != nil { // of a type that this cannot be
		kinds = []string{err.Error()}
	}
	for _, text := range kinds {
		list = append(list, Different{What: in + "machine of new: " + text})
	}
	return list
}

// settings finds the settings in which two headers differ. One that a version leaves out is its default.
func settings(old, new *trial.Header, differ func(name, a, b string)) {
	filled := func(s trial.Settings) []byte {
		if full, err := s.Normalize(); err == nil {
			s = full
		}
		text, _ := json.Marshal(&s)
		return text
	}
	a, b := filled(old.Settings), filled(new.Settings)
	fields(string(a), string(b), differ)
}

// fields finds the fields of two JSON objects that are not alike. null and a list without elements are.
func fields(a, b string, differ func(name, a, b string)) {
	var old, new map[string]json.RawMessage
	_ = json.Unmarshal([]byte(a), &old) // both were just made
	_ = json.Unmarshal([]byte(b), &new)
	names := maps.Clone(old)
	maps.Copy(names, new)
	text := func(raw json.RawMessage) string {
		if s := string(raw); s != "null" && s != "[]" {
			return strings.Trim(s, `"`)
		}
		return ""
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if was, is := text(old[name]), text(new[name]); was != is {
			differ(strings.ReplaceAll(name, "_", " "), was, is)
		}
	}
}

func said(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

// captures names what was fed, by content.
func captures(h *trial.Header) string {
	var list []string
	for _, c := range h.Captures {
		list = append(list, fmt.Sprintf("%d packets of SHA-256 %.12s", c.Frames, c.SHA256))
	}
	return strings.Join(list, ", ")
}

func files(h *trial.Header) string {
	var list []string
	for _, f := range h.StageFiles {
		list = append(list, fmt.Sprintf("%s of SHA-256 %.12s", f.Stage, f.SHA256))
	}
	return strings.Join(list, ", ")
}

// Alike returns nil where numbers of two studies mean the same: of the same captures, settings and goals.
func Alike(old, new *trial.Header) error {
	serious := slices.DeleteFunc(differences("", old, new, false), func(d Different) bool { return !d.Serious })
	if len(serious) == 0 {
		return nil
	}
	return &IncomparableError{"old", "new", serious}
}
