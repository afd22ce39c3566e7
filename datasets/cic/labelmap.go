package cic

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"unicode"
)

// LabelMap gives labels to captures by their paths.
type LabelMap struct {
	rules []rule
}

type rule struct {
	pattern []string // matched with the end of a path, element by element
	label   string
}

const labelMapLimit = 16 << 20 // octets; more is some other file

// ReadLabelMap reads a table of two columns, a pattern and a label, separated by commas or tabs (whichever the first line
// has), with quotes as in CSV. Empty lines, lines that start with '#' and a header line such as "file,label" are skipped.
// A pattern is a glob as path.Match has it, without escapes, and case counts. Without a slash it is matched with the file's
// name, with slashes with as many elements at the end of the path; one that starts with a slash is the whole path. Both /
// and \ are slashes. The name stands in errors.
func ReadLabelMap(r io.Reader, name string) (*LabelMap, error) {
	content, err := io.ReadAll(io.LimitReader(r, labelMapLimit+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(content) > labelMapLimit {
		return nil, fmt.Errorf("%s: larger than %d MiB: give a table of patterns and labels", name, labelMapLimit>>20)
	}
	text := strings.TrimPrefix(string(content), "\ufeff")
	table := csv.NewReader(strings.NewReader(text))
	table.Comma = separator(text)
	table.Comment = '#'
	table.FieldsPerRecord = -1
	table.TrimLeadingSpace = table.Comma == ','
	m := new(LabelMap)
	for first := true; ; {
		fields, err := table.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			var e *csv.ParseError
			if errors.As(err, &e) {
				return nil, fmt.Errorf("%s: line %d: %w: put the field in quotes and write each quote in it twice", name,
					e.StartLine, e.Err)
			}
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for i := range fields {
			fields[i] = strings.TrimSpace(fields[i])
		}
		if len(fields) == 1 && fields[0] == "" {
			continue
		}
		header := first && isHeader(fields)
		first = false
		if header {
			continue
		}
		next, err := newRule(fields)
		if err != nil {
			line, _ := table.FieldPos(0)
			return nil, fmt.Errorf("%s: line %d: %w", name, line, err)
		}
		m.rules = append(m.rules, next)
	}
	if len(m.rules) == 0 {
		return nil, fmt.Errorf("%s: no labels: write lines of a pattern, a comma or tab and a label", name)
	}
	return m, nil
}

// Labels returns the labels that it can give, in the order of their first lines.
func (m *LabelMap) Labels() []string {
	var labels []string
	for _, r := range m.rules {
		if !slices.Contains(labels, r.label) {
			labels = append(labels, r.label)
		}
	}
	return labels
}

// Label returns the label of the first pattern that matches the path of a capture.
func (m *LabelMap) Label(name string) (string, bool) {
	parts := elements(name)
	for _, r := range m.rules {
		if r.matches(parts) {
			return r.label, true
		}
	}
	return "", false
}

func (r rule) matches(parts []string) bool {
	if len(r.pattern) > len(parts) {
		return false
	}
	parts = parts[len(parts)-len(r.pattern):]
	for i, pattern := range r.pattern {
		if ok, err := path.Match(pattern, parts[i]); err != nil || !ok || parts[i] == "" && pattern != "" {
			return false
		}
	}
	return true
}

func newRule(fields []string) (rule, error) {
	if len(fields) != 2 {
		return rule{}, fmt.Errorf("want 2 columns, a pattern and a label with a comma or a tab between them, not %d", len(fields))
	}
	for _, f := range fields {
		if strings.ContainsFunc(f, unicode.IsControl) {
			return rule{}, fmt.Errorf("control characters in %.40q: close each quote and save as UTF-8 text", f)
		}
	}
	pattern, label := fields[0], fields[1]
	switch {
	case pattern == "":
		return rule{}, errors.New("no pattern: write * for any file")
	case label == "":
		return rule{}, fmt.Errorf("no label for %q: write it in the second column", pattern)
	case strings.HasSuffix(pattern, "/") || strings.HasSuffix(pattern, `\`):
		return rule{}, fmt.Errorf("pattern %q ends with a slash: add * for the files of the folder", pattern)
	case strings.Contains(pattern, "**"):
		return rule{}, fmt.Errorf("pattern %q has **: leave it out at the start, write * for each folder elsewhere", pattern)
	}
	r := rule{pattern: elements(pattern), label: label}
	for _, p := range r.pattern {
		if _, err := path.Match(p, ""); err != nil {
			return rule{}, fmt.Errorf("pattern %q: close its brackets; a [ of the name itself is [[]", pattern)
		}
	}
	return r, nil
}

func isHeader(fields []string) bool {
	if len(fields) != 2 || !strings.EqualFold(fields[1], "label") {
		return false
	}
	switch strings.ToLower(fields[0]) {
	case "file", "path", "name", "capture", "pattern":
		return true
	}
	return false
}

// separator is a tab if the first line that is neither empty nor a comment has one inside, else a comma.
func separator(text string) rune {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if strings.Contains(line, "\t") {
			return '\t'
		}
		break
	}
	return ','
}
