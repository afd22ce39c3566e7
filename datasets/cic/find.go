package cic

import (
	"path"
	"strings"
)

// Find returns the class of a capture or table from its path, which need not exist. The nearest folder in the path that
// is named as a class decides, then the file's name. A name is a class's if it is its folder, stem or label in either
// release, in any case, with nothing after it but what copies, pieces and formats add: numbers ("1", " (1)", " - 1", "_1",
// ".1"), ".redownload", " - Copy", and .pcap, .pcapng, .cap, .csv, .gz and .zst. Both / and \ separate folders.
func Find(name string) (Class, bool) {
	parts := elements(name)
	last := len(parts) - 1
	for i := last - 1; i >= 0; i-- {
		if c, ok := named(parts[i]); ok {
			return c, true
		}
	}
	return named(parts[last])
}

func named(name string) (Class, bool) {
	x := catalogue()
	for name = strings.ToLower(name); ; {
		if i, ok := x.names[name]; ok {
			return x.classes[i], true
		}
		shorter := withoutTail(name)
		if shorter == name {
			return Class{}, false
		}
		name = shorter
	}
}

var tails = []string{".pcap", ".pcapng", ".cap", ".csv", ".gz", ".zst", ".redownload", " - copy"}

// withoutTail takes one addition off the end of a name in lower case.
func withoutTail(name string) string {
	for _, tail := range tails {
		if s, ok := strings.CutSuffix(name, tail); ok {
			return s
		}
	}
	const digits = "0123456789"
	if inside, ok := strings.CutSuffix(name, ")"); ok {
		front := strings.TrimRight(inside, digits)
		if s, ok := strings.CutSuffix(front, "("); ok && front != inside {
			return strings.TrimSuffix(s, " ")
		}
		return name
	}
	front := strings.TrimRight(name, digits)
	if front == name {
		return name
	}
	for _, between := range []string{" - ", "_", "."} {
		if s, ok := strings.CutSuffix(front, between); ok {
			return s
		}
	}
	return front
}

// elements splits a path, of whichever system, into folders and the file's name: at least one, the first empty if it
// begins at the root.
func elements(name string) []string {
	return strings.Split(path.Clean(strings.ReplaceAll(name, `\`, "/")), "/")
}
