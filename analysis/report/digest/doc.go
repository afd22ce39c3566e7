// Package digest turns results folders into one report: the answer in sentences made from the numbers, the doubts about them,
// all numbers as one table, and tables, charts and curves as a page.Document. Nothing is said that the numbers do not say: an
// interval is given only where there is one, and a lower limit is called so.
package digest

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"pcaplab/analysis/report"
)

// Read loads results folders, in the order given. A folder that is named twice is an error, as it would count twice.
func Read(folders []string) ([]*report.Source, error) {
	var all []*report.Source
	seen := make(map[string]string)
	for _, folder := range folders {
		list, err := report.Load(folder)
		if err != nil {
			return nil, err
		}
		for _, s := range list {
			whole, err := filepath.Abs(s.Path)
			if err != nil {
				return nil, err
			}
			if resolved, err := filepath.EvalSymlinks(whole); err == nil {
				whole = resolved
			}
			if first, ok := seen[whole]; ok {
				return nil, fmt.Errorf("%s and %s are the same results folder", first, s.Path)
			}
			seen[whole] = s.Path
			all = append(all, s)
		}
	}
	return all, nil
}

// Names returns a name for each source that no other has: its folder's, that of its machine where one folder was of several, both
// where there are more folders, and as much of the path before as tells equal ones apart.
func Names(sources []*report.Source) []string {
	names := make([]string, len(sources))
	folders := make(map[string]bool)
	for _, s := range sources {
		path := whole(s.Path)
		if s.Machine != "" {
			path = filepath.Dir(path)
		}
		folders[path] = true
	}
	for i, s := range sources {
		names[i] = s.Label()
		if s.Machine != "" && len(folders) == 1 {
			names[i] = s.Machine
		}
	}
	for depth := 2; depth < 64; depth++ {
		count := make(map[string]int)
		for _, n := range names {
			count[n]++
		}
		again := false
		for i, s := range sources {
			if count[names[i]] < 2 {
				continue
			}
			parts := strings.FieldsFunc(filepath.ToSlash(whole(s.Path)), func(r rune) bool { return r == '/' })
			for k := range parts { // folders of remote machines: USER@HOST
				parts[k] = parts[k][strings.LastIndexByte(parts[k], '@')+1:]
			}
			from := len(parts) - depth
			if s.Machine != "" && strings.Contains(s.Label(), "/") {
				from--
			}
			from = max(from, 0)
			if longer := strings.Join(parts[from:], "/"); longer != names[i] {
				names[i], again = longer, true
			}
		}
		if !again {
			break
		}
	}
	for i := range names { // of folders of one path on two systems, say
		for n, base := 2, names[i]; slices.Contains(names[:i], names[i]); n++ {
			names[i] = fmt.Sprintf("%s (%d)", base, n)
		}
	}
	return names
}

// whole is a path as it is from everywhere.
func whole(path string) string {
	if whole, err := filepath.Abs(path); err == nil {
		return whole
	}
	return filepath.Clean(path)
}
