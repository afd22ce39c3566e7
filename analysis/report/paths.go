package report

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// pathCutter cuts absolute paths in the JSON of one results folder to their last names: they are of a machine, not of its
// results. Names that were unlike stay unlike: equal last names of stages and files are numbered, so that nothing which is
// counted under one is added to another.
type pathCutter struct {
	short map[string]map[string]string // of each kind of name: what was given, to what it is now
	taken map[string]map[string]bool
}

// Kinds of names besides the fields' own.
const (
	stageName = "stage" // NAME=VALUE, where a value may begin with a path
	freeText  = ""
)

// kindOfName tells names of files from text in which there may be some. A key of an object is under the name of the object.
func kindOfName(field string, key bool) string {
	switch field {
	case "stages", "stage":
		return stageName
	case "path", "name", "file", "tree", "captures", "sources":
		if !key {
			return field
		}
	}
	return freeText
}

// edit returns the text with its paths cut. What is no JSON stays as it is, for those who decode it to say so.
func (c *pathCutter) edit(text []byte) []byte {
	if !bytes.ContainsAny(text, `/\`) {
		return text
	}
	if c.short == nil {
		c.short, c.taken = make(map[string]map[string]string), make(map[string]map[string]bool)
	}
	eachString(text, func(field string, key bool, s string) string { // names that stay keep their own
		if kind := kindOfName(field, key); kind != freeText && cutName(kind, s) == s {
			c.take(kind, s, s)
		}
		return s
	})
	return eachString(text, func(field string, key bool, s string) string {
		kind := kindOfName(field, key)
		if kind == freeText {
			return cutText(s)
		}
		if known, ok := c.short[kind][s]; ok {
			return known
		}
		return c.take(kind, s, cutName(kind, s))
	})
}

// take remembers what a name becomes: short, or that with a number where another name became it.
func (c *pathCutter) take(kind, s, short string) string {
	if c.short[kind] == nil {
		c.short[kind], c.taken[kind] = make(map[string]string), make(map[string]bool)
	}
	if known, ok := c.short[kind][s]; ok {
		return known
	}
	at := strings.LastIndexByte(short, '=') + 1 // of a stage
	if dot := strings.IndexByte(short[at:], '.'); dot > 0 {
		at += dot
	} else {
		at = len(short)
	}
	name := short
	for n := 2; c.taken[kind][name]; n++ {
		name = short[:at] + "-" + strconv.Itoa(n) + short[at:]
	}
	c.short[kind][s], c.taken[kind][name] = name, true
	return name
}

// cutName cuts a name that may be a path as a whole, or of a stage its value.
func cutName(kind, s string) string {
	if kind == stageName {
		name, value, _ := strings.Cut(s, "=")
		if short := lastName(value); short != value {
			return name + "=" + short
		}
		return s
	}
	return lastName(s)
}

var (
	drive = regexp.MustCompile(`^(?:[A-Za-z]:\\|[A-Z]:/)`)
	// What begins a path in a text, and then the path: all up to a space, or in quotes up to their end.
	quotedPath = regexp.MustCompile(`(")((?:/[^/"\n]+/|[A-Za-z]:\\|[A-Z]:/|\\\\)[^"\n]*)|(')((?:/[^/'\n]+/|[A-Za-z]:\\|[A-Z]:/|\\\\)[^'\n]*)`)
	barePath   = regexp.MustCompile("(^|[\\s=(<\\[,;|`]|file://)((?:/[^/\\s\"']+/|[A-Za-z]:\\\\|[A-Z]:/|\\\\\\\\)[^\\s\"']*)")
)

// lastName returns the last name of an absolute path of two names or more, and all else as it is. Files of the kernel stay:
// notes name them.
func lastName(s string) string {
	slashes := "/"
	switch {
	case strings.HasPrefix(s, "/proc/"), strings.HasPrefix(s, "/sys/"), strings.HasPrefix(s, "/dev/"):
		return s
	case drive.MatchString(s), strings.HasPrefix(s, `\\`):
		slashes = `/\`
	case !strings.HasPrefix(s, "/"):
		return s
	}
	short := strings.TrimRight(s, slashes)
	i := strings.LastIndexAny(short, slashes)
	if i < 0 || i == 0 && slashes == "/" {
		return s
	}
	return short[i+1:]
}

// cutText cuts the paths in a text. A text that begins as a path and in which nothing else begins is one, spaces included.
func cutText(s string) string {
	if !strings.ContainsAny(s, `/\`) {
		return s
	}
	if short := lastName(s); short != s && !slices.ContainsFunc([]string{": ", "; ", ", ", "\n", " /"}, func(end string) bool { return strings.Contains(s, end) }) {
		return short
	}
	s = quotedPath.ReplaceAllStringFunc(s, func(found string) string { return found[:1] + lastName(found[1:]) })
	return barePath.ReplaceAllStringFunc(s, func(found string) string {
		parts := barePath.FindStringSubmatch(found)
		return parts[1] + lastName(parts[2])
	})
}

// eachString replaces each string of a JSON text. Of each f gets the field that it is in, also through arrays, or that of its
// object where it is itself a field's name.
func eachString(text []byte, f func(field string, key bool, s string) string) []byte {
	type level struct {
		object bool
		field  string // that it is the value of
		key    string // of an object: the last one
		value  bool   // the next string is no key
	}
	levels := []level{{value: true}}
	var out []byte
	from := 0
	for i := 0; i < len(text); i++ {
		at := &levels[len(levels)-1]
		field := at.field
		if at.object && at.value {
			field = at.key
		}
		switch text[i] {
		case '{', '[':
			levels = append(levels, level{object: text[i] == '{', field: field})
		case '}', ']':
			if len(levels) > 1 {
				levels = levels[:len(levels)-1]
			}
		case ':':
			at.value = true
		case ',':
			at.value = !at.object
		case '"':
			end := i + 1
			for end < len(text) && text[end] != '"' {
				if text[end] == '\\' {
					end++
				}
				end++
			}
			if end >= len(text) {
				return append(out, text[from:]...)
			}
			s, raw := "", text[i:end+1]
			if bytes.IndexByte(raw, '\\') < 0 {
				s = string(raw[1 : len(raw)-1])
			} else if json.Unmarshal(raw, &s) != nil {
				return append(out, text[from:]...)
			}
			key := at.object && !at.value
			if key {
				at.key = s
			}
			if edited := f(field, key, s); edited != s {
				if quoted, err := json.Marshal(edited); err == nil {
					out = append(append(out, text[from:i]...), quoted...)
					from = end + 1
				}
			}
			i = end
		}
	}
	return append(out, text[from:]...)
}
