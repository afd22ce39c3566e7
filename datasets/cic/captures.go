package cic

import (
	_ "embed"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
	"sync"
)

// How to cite the dataset, and what its makers say of passing it on.
const (
	Citation = "Neto, Dadkhah, Ferreira, Zohourian, Lu, Ghorbani, \"CICIoT2023: A Real-Time Dataset and Benchmark for Large-Scale " +
		"Attacks in IoT Environment\", Sensors 2023, 23(13), 5941, doi 10.3390/s23135941"
	Licence = "The dataset is the University of New Brunswick's. Its FAQ, as users quote it, lets anyone pass it on and mirror it in any " +
		"form with a citation; some users read the registration form otherwise. Ask the makers where it matters."
	HomePage = "https://www.unb.ca/cic/datasets/iotdataset-2023.html" // describes the dataset, and has the form to register
)

// BaseURL is where the makers publish the files, as a template for [Address]. They ask for a form to be filled in first, at
// HomePage. The server has no range requests and is slow.
const BaseURL = "http://cicresearch.ca/IOTDataset/CIC_IOT_Dataset2023/download.php?file={path}"

//go:embed captures.tsv
var capturesTSV string

//go:embed tables.tsv
var tablesTSV string

// File is one published file: a capture, or a table of the newer release.
type File struct {
	Class   string // folder of the class, as Class.Folder
	Name    string // without a folder
	Path    string // in the published tree, with slashes: PCAP/<folder>/<name> or CSV/CSV/<folder>/<name>
	Octets  int64  // size; 0 where it is not known to the octet
	Packets int64  // of a capture; 0 where not known, and of tables
	SHA256  string // in lower-case hex; "" where not known
	// Derived says that Octets and Packets were not read off a copy: they are what the class's totals leave for this file.
	Derived bool
	// Estimate is the size in octets, roughly where Octets is 0. Over all captures of a class the sum is exact; of a table it is
	// known to 0.001 MiB.
	Estimate int64
	// Cut says that the published table ends in the middle of a row.
	Cut bool
}

// fullFile is where tcpdump -C 2048 begins the next file.
const fullFile = 2_048_000_000

// Headers of classic pcap, in octets.
const (
	fileHeader   = 24
	recordHeader = 16
)

// FileOctets is the size of all captures of the class as files: what Octets says, a file header each and a record header a
// packet.
func (c Class) FileOctets() int64 {
	return int64(c.Files)*fileHeader + c.Packets*recordHeader + c.Octets
}

// Captures returns the captures of the class in natural order: the first has no number, then come 1, 2, ...
func (c Class) Captures() []File {
	known := facts().captures
	files := make([]File, c.Files)
	var unknown []int
	octets, packets := c.FileOctets(), c.Packets // of those that are not known
	for i := range files {
		name := numbered(c.Stem, i) + ".pcap"
		f := known[name] // zero if not known
		f.Class, f.Name, f.Path = c.Folder, name, "PCAP/"+c.Folder+"/"+name
		if f.Octets == 0 {
			unknown = append(unknown, i)
		}
		octets -= f.Octets
		packets -= f.Packets
		f.Estimate = f.Octets
		files[i] = f
	}
	if len(unknown) == 0 {
		return files
	}
	last := unknown[len(unknown)-1]
	if len(unknown) == 1 {
		files[last].Octets, files[last].Packets, files[last].Derived = octets, packets, true
	}
	each := octets / int64(len(unknown))
	if before := int64(len(unknown) - 1); last == len(files)-1 && octets > before*fullFile {
		each = fullFile // and the last is shorter
	}
	for _, i := range unknown {
		files[i].Estimate = each
	}
	files[last].Estimate = octets - int64(len(unknown)-1)*each
	return files
}

// Tables returns the tables of the class in the newer release, one a capture and in the same order.
func (c Class) Tables() []File {
	files := make([]File, c.Files)
	for i := range files {
		name := numbered(c.Stem, i) + ".pcap.csv"
		files[i] = File{Class: c.Folder, Name: name, Path: "CSV/CSV/" + c.CSVFolder + "/" + name, Estimate: facts().tables[name],
			Cut: c.Folder == "DoS-UDP_Flood" && i >= 7 && i <= 9}
	}
	return files
}

func numbered(stem string, i int) string {
	if i == 0 {
		return stem
	}
	return stem + strconv.Itoa(i)
}

// Address returns where a file is. The first argument is a folder, to which the file's path in the published tree is added,
// or a template with {path} or with {class} and {file} in it, each escaped as its place in the address wants: {path} is the
// path in the tree, {class} the folder's name in it, {file} the file's. "" is BaseURL.
func Address(from string, f File) (string, error) {
	if from == "" {
		from = BaseURL
	}
	scheme, host, _ := strings.Cut(from, "://")
	if scheme != "http" && scheme != "https" || host == "" || strings.ContainsAny(host[:1], "/?#") {
		return "", fmt.Errorf("%q: want an address that begins with http:// or https:// and a host", from)
	}
	template := strings.Contains(from, "{")
	if !template {
		if strings.ContainsAny(from, "?#") {
			return "", fmt.Errorf("%s: an address with a query must say where the file's path goes, as in %s", from, BaseURL)
		}
		from = strings.TrimSuffix(from, "/") + "/{path}"
	}
	front, query, hasQuery := strings.Cut(from, "?")
	folder := strings.Split(f.Path, "/")
	class := folder[len(folder)-2]
	segments := make([]string, len(folder))
	for i, s := range folder {
		segments[i] = url.PathEscape(s)
	}
	fill := func(template string, escape func(string) string, path string) string {
		return strings.NewReplacer("{path}", path, "{class}", escape(class), "{file}", escape(f.Name)).Replace(template)
	}
	address := fill(front, url.PathEscape, strings.Join(segments, "/"))
	if hasQuery {
		address += "?" + fill(query, url.QueryEscape, url.QueryEscape(f.Path))
	}
	if template && (!strings.Contains(from, "{path}") && !strings.Contains(from, "{file}") || strings.ContainsAny(address, "{}")) {
		return "", fmt.Errorf("%s: want {path} in it, or {class} and {file}, and no other braces", from)
	}
	if _, err := url.Parse(address); err != nil {
		return "", err
	}
	return address, nil
}

type fileFacts struct {
	captures map[string]File  // by name
	tables   map[string]int64 // octets by name
}

var facts = sync.OnceValue(func() fileFacts {
	x := fileFacts{captures: make(map[string]File), tables: make(map[string]int64)}
	for i, row := range rows(capturesTSV, "file bytes packets sha256") {
		octets, err1 := strconv.ParseInt(row[1], 10, 64)
		packets, err2 := strconv.ParseInt(row[2], 10, 64)
		if err1 != nil || err2 != nil {
			panic(fmt.Sprintf("captures.tsv in the program: row %d: want numbers", i+1))
		}
		x.captures[row[0]] = File{Octets: octets, Packets: packets, SHA256: row[3]}
	}
	for i, row := range rows(tablesTSV, "csv_folder file MiB") {
		mib, err := strconv.ParseFloat(row[2], 64)
		if err != nil {
			panic(fmt.Sprintf("tables.tsv in the program: row %d: want a number", i+1))
		}
		x.tables[row[1]] = int64(math.Round(float64(mib * (1 << 20))))
	}
	return x
})

// rows returns the rows below the head of a table in the program.
func rows(table, head string) [][]string {
	var found [][]string
	for line := range strings.Lines(table) {
		row := strings.Split(strings.TrimRight(line, "\r\n"), "\t")
		if len(found) == 0 && strings.Join(row, " ") != head || len(found) > 0 && len(row) != len(found[0]) {
			panic(fmt.Sprintf("a table in the program: %q: want the columns %s", line, head))
		}
		found = append(found, row)
	}
	return found[1:]
}
