package cic

import (
	_ "embed"
	"errors"
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
	// Full says that the capture was ended since it was full: it is one of several of its class and not the last, and is no
	// known exception.
	Full bool
	// Cut says that the published table ends in the middle of a row.
	Cut bool

	slack int64 // octets that the file may be smaller than a full one or, as the last, than Estimate
}

// fullFile is where tcpdump -C 2048 begins the next file: behind the record that reaches it.
const fullFile = 2_048_000_000

// Headers of classic pcap, in octets, and the longest record.
const (
	fileHeader   = 24
	recordHeader = 16
	longest      = recordHeader + 65_535
)

// early is how much earlier than full a capture may end that is not its class's last: MITM-ArpSpoofing.pcap does by 1,761,471
// octets, and one of Mirai-greip_flood by 1,831,576 at least, by the class's sum.
const early = 2_000_000

// Doubt says in a sentence why a file of so many octets can hardly be the published one; "" where its size fits what is known.
// Where the size is not known, a full capture has 2,048,000,000 octets and at most a record more (in Mirai-greip_flood, where
// one must be smaller, up to 3.2 MB less), the last of a class what those leave of the class, with 2 MB to spare, and a table
// what is listed, to 0.001 MiB.
func (f File) Doubt(octets int64) string {
	const rounding = 1 << 20 / 1000 // of a table's size
	switch {
	case f.Octets > 0 && octets == f.Octets:
	case f.Derived:
		return fmt.Sprintf("It has %d octets; what the catalogue knows of its class leaves %d for it.", octets, f.Octets)
	case f.Octets > 0:
		return fmt.Sprintf("It has %d octets instead of %d.", octets, f.Octets)
	case strings.HasSuffix(f.Name, ".csv"):
		if octets < f.Estimate-rounding || octets > f.Estimate+rounding {
			return fmt.Sprintf("It has %d octets; listed are about %d.", octets, f.Estimate)
		}
	case f.Full:
		if octets < fullFile-f.slack || octets > fullFile+longest {
			return fmt.Sprintf("It has %d octets; all captures of its class but the last have %d and at most a packet more.", octets, fullFile)
		}
	case octets < f.Estimate-f.slack || octets > min(f.Estimate+early, fullFile+longest):
		return fmt.Sprintf("It has %d octets; the others leave about %d of the class for it.", octets, f.Estimate)
	}
	return ""
}

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
		f.Full = i < c.Files-1 && (f.Octets == 0 || f.Octets >= fullFile)
		files[i] = f
	}
	if len(unknown) == 0 {
		return files
	}
	last := unknown[len(unknown)-1]
	if len(unknown) == 1 {
		files[last].Octets, files[last].Packets, files[last].Derived = octets, packets, true
		files[last].Full = last < c.Files-1 && octets >= fullFile
	}
	each := octets / int64(len(unknown))
	if before := int64(len(unknown) - 1); last == len(files)-1 && octets > before*fullFile {
		each = fullFile // and the last is shorter
	}
	for _, i := range unknown {
		files[i].Estimate = each
	}
	files[last].Estimate = octets - int64(len(unknown)-1)*each
	if !files[last].Full {
		files[last].slack = int64(len(unknown)-1) * longest
	} else if each < fullFile { // not all can be full, and any may be the one
		for _, i := range unknown {
			files[i].slack = int64(len(unknown))*(fullFile+longest) - octets - longest
		}
	}
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
// path in the tree, {class} the folder's name in it, {file} the file's. "" is BaseURL. Errors do not repeat the argument, in
// which there may be a password.
func Address(from string, f File) (string, error) {
	if from == "" {
		from = BaseURL
	}
	scheme, rest, _ := strings.Cut(from, "://")
	host := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		host = rest[:i]
	}
	switch {
	case scheme != "http" && scheme != "https" || host == "":
		return "", errors.New("want an address that begins with http:// or https:// and a host")
	case strings.ContainsAny(host, "{}"):
		return "", errors.New("want no braces in the host")
	case strings.Contains(from, "#"):
		return "", errors.New("want no # in it: what is behind it is not sent; a # of a name is %23")
	}
	template := strings.Contains(from, "{")
	if !template {
		if strings.Contains(from, "?") {
			return "", fmt.Errorf("an address with a query must say where the file's path goes, as in %s", BaseURL)
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
		return "", errors.New("want {path} in it, or {class} and {file}, and no other braces")
	}
	if _, err := url.Parse(address); err != nil {
		if e := new(url.Error); errors.As(err, &e) {
			err = e.Err
		}
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
