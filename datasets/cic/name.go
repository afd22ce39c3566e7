package cic

import (
	"strconv"
	"strings"
)

// Name is what the path of a capture or table says of its place in the dataset.
type Name struct {
	Class Class
	// Number is that of the file in its class, counted from 0 as the file without a number is; -1 where the file's own name
	// says none, because only its folder is named as the class.
	Number int
	// Copy is what else the file's name has between its number and its format, in lower case: " (1)", " - 1", " - copy",
	// ".redownload", "_00003". It is empty in the published names.
	Copy string
	// Other is the folder of the class that the file's own name says, where its folder is another's; else empty.
	Other string
}

// Recognise returns the class of a capture or table by the rules of [Find], and which of its files it is. The path need not
// exist. A number that follows the class's folder, stem or label at once is the file's; every other number marks a copy or a
// piece. What a file holds may tell better than its name: see File.SHA256.
func Recognise(path string) (Name, bool) {
	class, ok := Find(path)
	if !ok {
		return Name{}, false
	}
	n := Name{Class: class, Number: -1}
	parts := elements(path)
	folder, number, marks, ok := nameParts(parts[len(parts)-1])
	switch {
	case !ok:
	case folder != class.Folder:
		n.Other = folder
	default:
		n.Number, n.Copy = number, marks
	}
	return n, true
}

// numberDigits is how many digits a file's number may have.
const numberDigits = 6

// nameParts takes a file's name apart.
func nameParts(name string) (folder string, number int, marks string, ok bool) {
	x := catalogue()
	name = strings.ToLower(name)
	at, numbered := name, false
	for {
		if i, known := x.names[at]; known {
			folder = x.classes[i].Folder
			break
		}
		shorter := withoutTail(at)
		if shorter == at {
			return "", 0, "", false
		}
		tail := at[len(shorter):]
		_, ends := x.names[shorter]
		switch {
		case ends && isNumber(tail):
			number, _ = strconv.Atoi(tail)
			numbered = true
		case !numbered && !isFormat(tail):
			marks = tail + marks
		}
		at = shorter
	}
	return folder, number, marks, true
}

// isNumber reports whether an addition to a name is a file's number: digits only.
func isNumber(tail string) bool {
	return tail != "" && len(tail) <= numberDigits && strings.Trim(tail, "0123456789") == ""
}

// isFormat reports whether an addition to a name says how the file is written, and not which it is.
func isFormat(tail string) bool {
	switch tail {
	case ".pcap", ".pcapng", ".cap", ".csv", ".gz", ".zst":
		return true
	}
	return false
}

// CaptureName returns the published name of a capture of the class: number 0 has none in its name.
func (c Class) CaptureName(number int) string {
	if number == 0 {
		return c.Stem + ".pcap"
	}
	return c.Stem + strconv.Itoa(number) + ".pcap"
}
