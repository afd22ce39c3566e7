package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"pcaplab/analysis/report"
	"pcaplab/datasets"
	"pcaplab/datasets/manifest"
)

// scanFlags are the flags of dataset scan.
type scanFlags struct {
	output  string
	noHash  bool
	jobs    int
	again   bool
	salvage bool
	json    bool
	shard   shardFlag
}

func (a *app) datasetScanCommand() *cobra.Command {
	var f scanFlags
	c := &cobra.Command{
		Use:   "scan [flags] DIR",
		Short: "Tell what a folder of captures holds, what is missing or cut, and write a manifest",
		Long: `Reads every capture in a folder and below it once, on all processors, and writes a manifest: for each file its class and label, packets,
octets, first and last time, faults, SHA-256, and an index. On standard output is a table of the classes; on standard error what is
missing, cut, twice there, in the wrong folder, or not of the published size. The index says where "tcpdump -C 10" would begin another
piece, as windows of features do: your programs may share out a capture there. Only a plain pcap can be read from there at once; of
pcapng, gzip and zstd all that comes before must be read.

Files of CIC-IoT-2023 are recognised by folder and name, whatever the case and whatever copies add to names ("X (1).pcap", "X - 1.pcap",
"X.redownload.pcap"); the first file of a class has no number. Files may also lie flat in one folder. Captures of your own work too: their
label is the name of their folder. Classic pcap, pcapng, gzip and zstd are found by content.

A second scan reads only what is new or has changed, by size and time of change; --again reads everything. After Ctrl-C, and once a minute,
the files that were read to the end are in the manifest, and the same command goes on. The exit code is 1 where a file is cut, damaged or not as published;
missing files are no error.

With --shard the captures are cut among n runs, here or on other machines that see the folder, by their octets; -o is then a folder of shards
outside DIR, and 'merge' makes of all of them the manifest that one scan would have written. A file that cannot be read, or that
changes meanwhile, makes the shard fail; what is cut or damaged does not.`,
		Example: `  ` + a.Name + ` dataset scan /data/CIC-IoT-2023
  ` + a.Name + ` dataset scan --no-hash -o - captures | jq -r '.files[] | [.path, .packets, .label] | @tsv'
  ` + a.Name + ` dataset scan --shard 3/16 -o shards /data/CIC-IoT-2023
  ` + a.Name + ` dataset verify /data/CIC-IoT-2023`,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("want one folder, which holds the captures")
			}
			if f.jobs < 0 {
				return usagef("--jobs %d: want a number, or 0 for as many as there are processors", f.jobs)
			}
			return shownError(f.run(c.Context(), a, args[0]))
		},
	}
	fs := c.Flags()
	fs.StringVarP(&f.output, "output", "o", "", "manifest to write, - for standard output instead of the table (default: DIR/"+manifest.FileName+")")
	fs.BoolVar(&f.noHash, "no-hash", false, "do not compute SHA-256: several times as fast where the disk is")
	fs.IntVar(&f.jobs, "jobs", 0, "files read at once (0: as many as processors; 1 is best for a disk that turns)")
	fs.BoolVar(&f.again, "again", false, "read files that have not changed since the manifest, too")
	fs.BoolVar(&f.salvage, "salvage", false, "go on after damage where the next good record can be found; say what was lost")
	fs.BoolVar(&f.json, "json", false, "print the manifest instead of the table, and write it too")
	f.shard.add(fs, "the captures, cut by their octets,")
	return c
}

func (f *scanFlags) run(ctx context.Context, a *app, dir string) error {
	part, sharded, err := f.shard.part()
	if err != nil {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return usagef("%s is no folder: scan takes the folder that holds the captures; 'info' tells of single ones", dir)
	}
	if sharded {
		return f.runShard(ctx, a, dir, part)
	}
	cfg := manifest.Config{Hash: !f.noHash, Salvage: f.salvage, Workers: f.jobs}
	output := f.output
	if output == "" {
		output = filepath.Join(dir, manifest.FileName)
	}
	if output != stdin {
		if err := canWrite(output); err != nil {
			return fmt.Errorf("%w; say where the manifest goes with -o FILE, or -o -", err)
		}
		cfg.Ignore = output
		if cfg.Prior, err = priorManifest(output); err != nil {
			if !f.again {
				return fmt.Errorf("%w; --again writes a new one in its place", err)
			}
			a.note("%v; it is replaced", shownError(err))
		}
		if f.again {
			cfg.Prior = nil
		}
	}
	bar := a.octetsBar("scanning")
	cfg.Progress = bar.set
	if output != stdin {
		cfg.Keep = func(m *manifest.Manifest) {
			if err := report.WriteFile(output, m.Write); err != nil {
				a.note("the manifest so far cannot be written: %v", shownError(err))
			}
		}
	}
	m, err := manifest.Scan(ctx, dir, cfg)
	bar.done()
	if m == nil {
		return err
	}
	if output != stdin && (err == nil || len(m.Files) > 0) {
		if writeErr := report.WriteFile(output, m.Write); writeErr != nil {
			return errors.Join(err, writeErr)
		}
	}
	if err != nil {
		if output != stdin && len(m.Files) > 0 {
			a.note("%s are in %s; the same command goes on", plural(len(m.Files), "file", "files"), output)
		}
		return err
	}
	summary := m.Report()
	if output == stdin || f.json {
		err = m.Write(a.stdout)
	} else {
		err = writeScan(a.stdout, &summary)
	}
	if err != nil {
		return err
	}
	a.tellScan(m, &summary)
	return scanFaults(dir, &summary)
}

// canWrite finds before a long work whether a file can be put in the place of path.
func canWrite(path string) error {
	probe, err := os.CreateTemp(filepath.Dir(path), ".manifest-*")
	if at := new(os.PathError); errors.As(err, &at) { // of a name that the user does not know
		err = &os.PathError{Op: "make a file in", Path: filepath.Dir(path), Err: at.Err}
	}
	if err != nil {
		return err
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// priorManifest reads an earlier manifest, nil if there is none. Another kind of file is an error: it would be overwritten.
func priorManifest(path string) (*manifest.Manifest, error) {
	m, _, _, err := manifest.Load(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return m, err
}

// writeScan prints the classes.
func writeScan(w io.Writer, r *manifest.Report) error {
	t := list("class", "files", "packets", "octets", "first packet (UTC)", "faults")
	for _, i := range []int{1, 2, 3, 5} {
		t.Columns[i].Right = true
	}
	var sum manifest.ClassReport
	for _, c := range r.Classes {
		name, files, first := c.Class, fmt.Sprint(c.Files), "none"
		if name == "" {
			name = c.Label
		} else if files = fmt.Sprintf("%d/%d", c.Found, c.Expected); c.Files != c.Found {
			files = fmt.Sprintf("%d+%d/%d", c.Found, c.Files-c.Found, c.Expected)
		}
		if c.Timed {
			first = time.Unix(0, c.First).UTC().Format(time.DateTime)
		}
		t.Add(report.Text(name), report.Text(files), report.Text(datasets.FormatCount(c.Packets)), report.Text(datasets.FormatCount(uint64(c.Octets))),
			report.Text(first), report.Text(fmt.Sprint(c.Faults)))
		sum.Files += c.Files
		sum.Packets += c.Packets
		sum.Octets += c.Octets
		sum.Faults += c.Faults
	}
	if len(r.Classes) > 1 {
		t.Add(report.Text("total"), report.Text(fmt.Sprint(sum.Files)), report.Text(datasets.FormatCount(sum.Packets)),
			report.Text(datasets.FormatCount(uint64(sum.Octets))), report.Text(""), report.Text(fmt.Sprint(sum.Faults)))
	}
	return t.WriteText(w)
}

// shown is a text as Go writes it where it has what a terminal would obey or not show: names of files come from outside.
func shown(text string) string {
	var b strings.Builder
	for i, r := range text { // of an octet that is no UTF-8, RuneError and one octet
		_, n := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
	}
	return b.String()
}

// shownError is an error whose text is shown.
func shownError(err error) error {
	if err == nil || shown(err.Error()) == err.Error() {
		return err
	}
	return cleanError{err}
}

type cleanError struct{ error }

func (e cleanError) Error() string { return shown(e.error.Error()) }
func (e cleanError) Unwrap() error { return e.error }

// named is how many names a note lists.
const named = 12

func firstOf(names []string) string {
	if len(names) > named {
		return strings.Join(names[:named], ", ") + fmt.Sprintf(" and %d more", len(names)-named)
	}
	return strings.Join(names, ", ")
}

// tellScan notes what is not as it should be, and what else is in the folder.
func (a *app) tellScan(m *manifest.Manifest, r *manifest.Report) {
	note := func(format string, args ...any) { a.note("%s", shown(fmt.Sprintf(format, args...))) }
	for _, f := range r.Findings {
		note("%s: %s: %s", f.Path, f.Kind, f.Text)
	}
	for _, c := range r.Classes {
		if len(c.Missing) > 0 {
			a.note("%s: %d of %d missing: %s", c.Class, len(c.Missing), c.Expected, firstOf(c.Missing))
		}
	}
	if len(r.Absent) > 0 {
		a.note("no file of %s: %s", plural(len(r.Absent), "class", "classes"), firstOf(r.Absent))
	}
	if len(m.Others) > 0 {
		var names []string
		for _, o := range m.Others {
			names = append(names, o.Path)
		}
		note("%s no capture: %s", plural(len(m.Others), "file is", "files are"), firstOf(names))
	}
	if len(m.Files) == 0 {
		a.note("no captures")
	}
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func (a *app) datasetVerifyCommand() *cobra.Command {
	var cfg manifest.Config
	var quick, asJSON bool
	var folder string
	verify := func(c *cobra.Command, args []string) error {
		if len(args) > 1 {
			return usagef("want one folder or manifest")
		}
		if cfg.Workers < 0 {
			return usagef("--jobs %d: want a number, or 0 for as many as there are processors", cfg.Workers)
		}
		path := "."
		if len(args) == 1 {
			path = args[0]
		}
		m, dir, file, err := manifest.Load(path)
		if err != nil {
			return err
		}
		if folder != "" {
			dir = folder
		}
		bar := a.octetsBar("verifying")
		cfg.Progress, cfg.Ignore = bar.set, file
		differences, err := manifest.Verify(c.Context(), m, dir, quick, cfg)
		bar.done()
		bare := 0
		for _, f := range m.Files {
			if f.SHA256 == "" && !quick {
				bare++
			}
		}
		if asJSON {
			if differences == nil {
				differences = []manifest.Difference{}
			}
			err = errors.Join(err, json.NewEncoder(a.stdout).Encode(struct {
				Manifest    string                `json:"manifest"`
				Folder      string                `json:"folder"`
				Quick       bool                  `json:"quick"`
				Complete    bool                  `json:"complete"` // false: it was interrupted
				Files       int                   `json:"files"`
				CountsOnly  int                   `json:"counts_only"` // files without a SHA-256 in the manifest
				Differences []manifest.Difference `json:"differences"`
			}{file, dir, quick, err == nil, len(m.Files), bare, differences}))
		} else {
			for _, d := range differences {
				fmt.Fprintln(a.stdout, shown(d.String()))
			}
		}
		if err != nil {
			return err
		}
		if !m.Complete {
			a.note("%s is of a scan that was interrupted: scan goes on with it", shown(file))
		}
		if len(differences) > 0 {
			return fmt.Errorf("%s: %s from %s", dir, plural(len(differences), "difference", "differences"), file)
		}
		how := "read and as the manifest says"
		switch {
		case quick:
			how = "of the sizes and times of the manifest, none read"
		case bare > 0:
			how = fmt.Sprintf("read; of %d the manifest has no SHA-256: counts and times only are as it says", bare)
		}
		a.note("%s %s", plural(len(m.Files), "file", "files"), how)
		return nil
	}
	c := &cobra.Command{
		Use:   "verify [flags] [DIR]",
		Short: "Check a folder of captures against its manifest",
		Long: `Reads the captures of a manifest again and names each difference: files that are missing or new, or that differ in size, SHA-256, packets,
octets, times or faults, or cannot be read. Where the manifest has no SHA-256, counts and times only are compared, and that is said.
DIR is a folder with a manifest (default: the present one), or a manifest. With --quick sizes and times of change are compared, and no
file of the manifest is read. The exit code is 1 if there is a difference.`,
		Example: `  ` + a.Name + ` dataset verify /data/CIC-IoT-2023
  ` + a.Name + ` dataset verify --quick --json . | jq -r '.differences[].path'
  ` + a.Name + ` dataset verify --folder /mnt/copy /data/CIC-IoT-2023/` + manifest.FileName,
		RunE: func(c *cobra.Command, args []string) error { return shownError(verify(c, args)) },
	}
	c.Flags().BoolVar(&quick, "quick", false, "compare sizes and times of change only")
	c.Flags().IntVar(&cfg.Workers, "jobs", 0, "files read at once (0: as many as processors; 1 is best for a disk that turns)")
	c.Flags().BoolVar(&asJSON, "json", false, "print the differences as JSON")
	c.Flags().StringVar(&folder, "folder", "", "where the captures are, if not where the manifest is")
	return c
}
