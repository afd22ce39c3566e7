package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pcaplab/analysis/report"
	"pcaplab/datasets/cic"
)

// classJSON is a class as list and show print it with --json.
type classJSON struct {
	Class       string     `json:"class"`
	Category    string     `json:"category"`
	Captures    int        `json:"captures"`
	Stem        string     `json:"stem"`
	CSVFolder   string     `json:"csv_folder"`
	Label       string     `json:"label"`
	OldLabel    string     `json:"old_label"`
	Packets     int64      `json:"packets"`
	Octets      int64      `json:"octets"`
	FileOctets  int64      `json:"file_octets"`
	Window      int        `json:"window"`
	Rows        int64      `json:"rows"`
	OldRows     int64      `json:"old_rows"`
	FirstPacket string     `json:"first_packet,omitempty"`
	FirstWrong  bool       `json:"first_packet_wrong,omitempty"`
	Tool        string     `json:"tool"`
	ToolSource  string     `json:"tool_source,omitempty"`
	Wire        string     `json:"wire"`
	Faults      []string   `json:"faults"`
	Files       []fileJSON `json:"files,omitempty"`
}

type fileJSON struct {
	Path     string `json:"path"`
	Octets   int64  `json:"octets,omitempty"`
	Estimate int64  `json:"estimated_octets"`
	Packets  int64  `json:"packets,omitempty"`
	SHA256   string `json:"sha256,omitempty"`
	Derived  bool   `json:"derived,omitempty"`
	Cut      bool   `json:"cut,omitempty"`
}

func jsonOf(c cic.Class) classJSON {
	return classJSON{Class: c.Folder, Category: c.Category, Captures: c.Files, Stem: c.Stem, CSVFolder: c.CSVFolder, Label: c.Label,
		OldLabel: c.OldLabel, Packets: c.Packets, Octets: c.Octets, FileOctets: c.FileOctets(), Window: c.Window, Rows: c.Rows, OldRows: c.OldRows,
		FirstPacket: day(c, ""), FirstWrong: c.FirstPacketWrong(), Tool: c.Tool(), ToolSource: c.ToolSource(), Wire: c.Wire(), Faults: append([]string{}, c.Faults()...)}
}

// day writes when a class begins, by its own time stamps.
func day(c cic.Class, unknown string) string {
	if c.FirstPacket.IsZero() {
		return unknown
	}
	return c.FirstPacket.Format(time.DateOnly)
}

func (a *app) datasetListCommand() *cobra.Command {
	var category string
	var asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List the 34 classes of CIC-IoT-2023",
		Long: `Lists the classes: how many captures they have, the packets and the octets of their frames, the size of the captures as files, how many
frames a row of the published tables sums up, and the day of the first packet. No file is needed. '` + a.Name + ` dataset show CLASS' tells more.`,
		Example: `  ` + a.Name + ` dataset list
  ` + a.Name + ` dataset list --category recon
  ` + a.Name + ` dataset list --json | jq -r '[.class, .packets] | @tsv'`,
		Args: none,
		RunE: func(*cobra.Command, []string) error {
			classes := cic.Classes()
			if category != "" {
				classes = slices.DeleteFunc(classes, func(c cic.Class) bool { return !strings.EqualFold(c.Category, category) })
			}
			if len(classes) == 0 {
				return usagef("--category %s: there are %s", category, strings.Join(categories(), ", "))
			}
			if asJSON {
				out := json.NewEncoder(a.stdout)
				for _, c := range classes {
					if err := out.Encode(jsonOf(c)); err != nil {
						return err
					}
				}
				return nil
			}
			return classTable(classes).WriteText(a.stdout)
		},
	}
	c.Flags().StringVar(&category, "category", "", "only classes of this category, as DDoS or Recon")
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object for each class")
	complete := choices{values: categories()}.complete
	if err := a.offerFor(c, "category", complete); err != nil {
		panic(err)
	}
	return c
}

// categories lists the categories in the catalogue's order.
func categories() []string {
	var list []string
	for _, c := range cic.Classes() {
		if !slices.Contains(list, c.Category) {
			list = append(list, c.Category)
		}
	}
	return list
}

func classTable(classes []cic.Class) *report.Table {
	t := &report.Table{Columns: []report.Column{{Head: "class"}, {Head: "category"}, {Head: "captures", Right: true}, {Head: "packets", Right: true},
		{Head: "octets", Right: true}, {Head: "size", Right: true}, {Head: "mean frame", Right: true}, {Head: "row of", Right: true},
		{Head: "rows", Right: true}, {Head: "first packet"}}}
	var sum cic.Class
	var size int64
	wrong := false
	for _, c := range classes {
		sum.Files += c.Files
		sum.Packets += c.Packets
		sum.Octets += c.Octets
		sum.Rows += c.Rows
		size += c.FileOctets()
		first := day(c, "not known")
		if c.FirstPacketWrong() {
			first, wrong = first+" *", true
		}
		t.Add(report.Text(c.Folder), report.Text(c.Category), number(int64(c.Files)), number(c.Packets), number(c.Octets),
			report.Text(fileSize(c.FileOctets())), meanFrame(c), number(int64(c.Window)), number(c.Rows), report.Text(first))
	}
	t.Add(report.Text(fmt.Sprintf("%d in all", len(classes))), report.Text(""), number(int64(sum.Files)), number(sum.Packets),
		number(sum.Octets), report.Text(fileSize(size)), meanFrame(sum), report.Text(""), number(sum.Rows), report.Text(""))
	t.Notes = []string{"", "Octets are those of frames, size that of the captures with their headers. " +
		"A row is one of the newer tables, and of so many frames."}
	if wrong {
		t.Notes = append(t.Notes, "* one wrong time stamp, which says nothing of when the traffic was.")
	}
	for _, text := range []string{"Cite: " + cic.Citation + ".", cic.Licence} {
		t.Notes = append(t.Notes, wrapped(text, 140)...)
	}
	return t
}

func number(n int64) report.Cell { return report.Cell{Text: grouped(n), Raw: strconv.FormatInt(n, 10)} }

func meanFrame(c cic.Class) report.Cell {
	return report.Text(strconv.FormatFloat(c.MeanFrame(), 'f', 1, 64) + " B")
}

// grouped writes a number with a comma before each three digits.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// fileSize writes a size with one digit behind the point.
func fileSize(octets int64) string {
	v, units := float64(octets), []string{"B", "KiB", "MiB", "GiB", "TiB"}
	i := 0
	for ; v >= 1023.95 && i < len(units)-1; i++ {
		v /= 1024
	}
	if i == 0 {
		return fmt.Sprintf("%d B", octets)
	}
	return fmt.Sprintf("%.1f %s", v, units[i])
}

func (a *app) datasetShowCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "show [flags] CLASS...",
		Short: "Tell what is known of classes of CIC-IoT-2023",
		Long: `Tells of each class how it is spelt where, how much of it there is, what made the attack and what its frames look like, what is known to be
wrong with the published files, and each capture with its size, packets and SHA-256 as far as they are known. A class may be named as
its folder, its files, or its label in either release, in any case.`,
		Example: `  ` + a.Name + ` dataset show DDoS-SYN_Flood
  ` + a.Name + ` dataset show benign xss
  ` + a.Name + ` dataset show --json Mirai-greip_flood | jq '.files[].path'`,
		RunE: func(_ *cobra.Command, args []string) error {
			classes, err := classesNamed(args)
			if err != nil {
				return err
			}
			for i, c := range classes {
				if asJSON {
					j := jsonOf(c)
					for _, f := range append(c.Captures(), c.Tables()...) {
						j.Files = append(j.Files, fileJSON{f.Path, f.Octets, f.Estimate, f.Packets, f.SHA256, f.Derived, f.Cut})
					}
					err = json.NewEncoder(a.stdout).Encode(j)
				} else {
					if i > 0 {
						fmt.Fprintln(a.stdout)
					}
					err = writeClass(a.stdout, c)
				}
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object for each class, with its captures and tables")
	c.ValidArgsFunction = completeClasses("")
	return c
}

// completeClasses offers the classes that are not named yet, and another word where none is.
func completeClasses(other string) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		var list []string
		if other != "" && len(args) == 0 {
			list = append(list, other)
		}
		for _, c := range cic.Classes() {
			if !slices.Contains(args, c.Folder) && !slices.Contains(args, other) {
				list = append(list, c.Folder+"\t"+c.Category+", "+fileSize(c.FileOctets()))
			}
		}
		return withPrefix(list, "", toComplete), cobra.ShellCompDirectiveNoFileComp
	}
}

// classesNamed finds classes by any of their spellings, each once.
func classesNamed(args []string) ([]cic.Class, error) {
	if len(args) == 0 {
		return nil, usagef("no class: name one or more, as 'dataset list' has them")
	}
	var classes []cic.Class
	for _, arg := range args {
		c, ok := cic.Find(arg)
		if !ok {
			hint := "; 'dataset list' has them all"
			if near := cic.Nearest(arg, 3); len(near) > 0 {
				hint = "; did you mean " + strings.Join(near, " or ") + "?"
			}
			return nil, usagef("no class %q in CIC-IoT-2023%s", arg, hint)
		}
		if !slices.Contains(classes, c) {
			classes = append(classes, c)
		}
	}
	return classes, nil
}

func writeClass(w io.Writer, c cic.Class) error {
	fmt.Fprintf(w, "%s\n", c.Folder)
	tool, first := c.Tool(), day(c, "not known")
	if source := c.ToolSource(); source != "" {
		tool += " (" + source + ")"
	}
	if c.FirstPacketWrong() {
		first += ", one wrong time stamp"
	}
	facts := [][2]string{
		{"category", c.Category},
		{"captures", fmt.Sprintf("%d, PCAP/%s, %s", c.Files, c.Folder, fileSize(c.FileOctets()))},
		{"packets", fmt.Sprintf("%s of %s octets, %.1f B on average", grouped(c.Packets), grouped(c.Octets), c.MeanFrame())},
		{"first packet", first},
		{"tables", fmt.Sprintf("CSV/CSV/%s, %s rows of %d frames", c.CSVFolder, grouped(c.Rows), c.Window)},
		{"labels", fmt.Sprintf("%s; in the older release %s, %s rows", c.Label, c.OldLabel, grouped(c.OldRows))},
		{"tool", tool},
		{"wire", c.Wire()},
	}
	for _, f := range c.Faults() {
		facts = append(facts, [2]string{"fault", f})
	}
	const indent, width = 16, 112
	for _, f := range facts {
		head := f[0]
		for _, line := range wrapped(f[1], width-indent) {
			fmt.Fprintf(w, "  %-*s%s\n", indent-2, head, line)
			head = ""
		}
	}
	fmt.Fprintln(w)
	t := &report.Table{Columns: []report.Column{{Head: "capture"}, {Head: "size", Right: true}, {Head: "packets", Right: true}, {Head: "SHA-256"}}}
	derived, about := false, false
	for _, f := range c.Captures() {
		size, packets, sum := grouped(f.Octets), grouped(f.Packets), f.SHA256
		switch {
		case f.Octets == 0:
			size, packets, about = "~"+fileSize(f.Estimate), "", true
		case f.Derived:
			size, packets, derived = size+" *", packets+" *", true
		}
		t.Add(report.Text(f.Name), report.Text(size), report.Text(packets), report.Text(sum))
	}
	if about {
		t.Notes = append(t.Notes, "~ not known: what the others leave of the class, shared out.")
	}
	if derived {
		t.Notes = append(t.Notes, "* what the others leave of the class; not read off a copy.")
	}
	return t.WriteText(w)
}

// wrapped cuts a text into lines of at most width letters, at spaces where there are any.
func wrapped(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
