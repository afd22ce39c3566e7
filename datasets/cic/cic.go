package cic

import (
	_ "embed"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

//go:embed classes.tsv
var classesTSV string

//go:embed attackers.txt
var attackersList string

// Class is one of the 34 classes: benign traffic or a kind of attack. The class is that of a whole capture; in the Recon,
// Spoofing, Web and BruteForce categories most frames of it are background.
type Class struct {
	Folder      string    // of its captures, PCAP/<Folder>
	CSVFolder   string    // of its tables in the newer release, which may differ from Folder in case
	Stem        string    // of its files: <Stem>.pcap, <Stem>1.pcap, ...; tables: <Stem>.pcap.csv, ...
	Files       int       // captures, each with one table in the newer release
	Label       string    // in the merged files of the newer release: upper case, BENIGN for benign traffic
	OldLabel    string    // in the older release: mixed case, BenignTraffic for benign traffic
	Category    string    // Benign, BruteForce, DDoS, DoS, Mirai, Recon, Spoofing or Web
	Window      int       // IPv4 and ARP frames that a row of the newer release sums up: 10 or 100
	Packets     int64     // in all its captures
	Octets      int64     // of all its frames, file and record headers aside
	Rows        int64     // in the newer release; for some classes rows with NaN or infinity were left out of the count
	OldRows     int64     // in the older release
	FirstPacket time.Time // day of the earliest time stamp, UTC, which may be wrong (1970-01-01); zero if not known
}

// MeanFrame is the mean length of a frame in octets.
func (c Class) MeanFrame() float64 { return float64(c.Octets) / float64(c.Packets) }

// Classes returns all classes in the catalogue's order: by category, benign traffic first.
func Classes() []Class { return slices.Clone(catalogue().classes) }

// Attackers returns the MAC addresses of the attacking hosts, one a line, with comments, as feature.ReadAttackers reads
// them.
func Attackers() io.Reader { return strings.NewReader(attackersList) }

type index struct {
	classes []Class
	names   map[string]int // a folder, stem or label in lower case: where its class is
}

var catalogue = sync.OnceValue(func() index {
	classes, err := readClasses(strings.NewReader(classesTSV))
	if err != nil {
		panic("classes.tsv in the program: " + err.Error())
	}
	x := index{classes: classes, names: make(map[string]int)}
	for i, c := range classes {
		for _, name := range []string{c.Folder, c.CSVFolder, c.Stem, c.Label, c.OldLabel} {
			x.names[strings.ToLower(name)] = i
		}
	}
	return x
})

const columns = "pcap_folder csv_folder file_stem pcap_files label_46col label_merged category window_39col packets" +
	" frame_bytes mean_frame rows_39col rows_46col first_packet"

func readClasses(r io.Reader) ([]Class, error) {
	table := csv.NewReader(r)
	table.Comma = '\t'
	rows, err := table.ReadAll()
	if err != nil {
		return nil, err
	}
	if len(rows) < 2 || strings.Join(rows[0], " ") != columns {
		return nil, fmt.Errorf("want the columns %s", columns)
	}
	classes := make([]Class, 0, len(rows)-1)
	for _, row := range rows[1:] {
		var n [6]int64
		for i, column := range []int{3, 7, 8, 9, 11, 12} {
			if n[i], err = strconv.ParseInt(row[column], 10, 64); err != nil {
				return nil, fmt.Errorf("%s: %s: %w", row[0], rows[0][column], err)
			}
		}
		c := Class{Folder: row[0], CSVFolder: row[1], Stem: row[2], Files: int(n[0]), OldLabel: row[4], Label: row[5],
			Category: row[6], Window: int(n[1]), Packets: n[2], Octets: n[3], Rows: n[4], OldRows: n[5]}
		if row[13] != "?" {
			if c.FirstPacket, err = time.Parse(time.DateOnly, row[13]); err != nil {
				return nil, fmt.Errorf("%s: %w", row[0], err)
			}
		}
		classes = append(classes, c)
	}
	return classes, nil
}
