package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pcaplab/analysis/report"
	"pcaplab/datasets/cic"
	"pcaplab/datasets/fetch"
	"pcaplab/datasets/pcapio"
	"pcaplab/parse"
)

// fetchFlags are the flags of the command dataset fetch.
type fetchFlags struct {
	dir     string
	from    string
	files   string
	tables  bool
	check   bool
	dry     bool
	json    bool
	damaged bool
	retries int
	stall   time.Duration

	unread  int  // files that were there, of a size that is not known
	offline bool // the last file that was asked for found no server
}

const allClasses = "all"

// errOutput is a fault of standard output, which no further file will mend.
var errOutput = errors.New("standard output")

func (a *app) datasetFetchCommand() *cobra.Command {
	var f fetchFlags
	c := &cobra.Command{
		Use:   "fetch [flags] CLASS...",
		Short: "Load captures or tables of CIC-IoT-2023",
		Long: `Loads the captures of classes ('all' is every class) into PCAP/CLASS/FILE below a folder, one after the other. Their makers want a form
filled in first: ` + cic.HomePage + `. With --from they come from a mirror instead.

A file gets its name when all of it has come and is right: its size and SHA-256 where the catalogue knows them, otherwise it must be a
capture that ends with a whole packet. Until then it is a hidden file beside it, .FILE.part, and the same command goes on from there: at
the octet where the server can do that, else it compares what comes again with what is there. A file that is cut, or a web page
instead of a file, is said and not taken. A file that is whole but cannot be read to its end stays .FILE.part too; --keep-damaged gives
it its name. Connections that break or stall are tried again, later each time.

Where the size is not known, one that can hardly be right is said: a class's captures but the last have 2,048,000,000 octets and at most
a packet more, and the last has the rest.

With --tables the tables of the newer release come instead, one a capture and with its number, into CSV/CSV/CLASS/FILE. Of them no SHA-256
is known and the size only to 0.001 MiB: their first line is looked at, and that they end with a whole row.

--from is a folder, to which PCAP/CLASS/FILE is added, or a template with {path}, or with {class} and {file}, in it. The default is
` + cic.BaseURL + `.
Proxies are those of the environment (HTTP_PROXY, HTTPS_PROXY, NO_PROXY).

--files takes numbers, as 0,3-5 (0 is the first file, which has no number), or a regular expression that their names match. On standard
output is a line for each file: how it came (whole, resumed, or there already), octets, SHA-256 (- where it was not read) and path. The
exit code is 1 if a file is not there in the end; the others are loaded all the same.`,
		Example: `  ` + a.Name + ` dataset fetch --dry-run all
  ` + a.Name + ` dataset fetch DDoS-SYN_Flood --files 0,1 -o cic
  ` + a.Name + ` dataset fetch --from https://mirror.example/cic/ XSS SqlInjection
  ` + a.Name + ` dataset fetch --tables --from 'https://mirror.example/get?file={path}' benign
  ` + a.Name + ` dataset fetch --check all -o cic   # read what is there, load what is not`,
		RunE: func(c *cobra.Command, args []string) error { return f.run(c.Context(), a, args) },
	}
	fs := c.Flags()
	fs.StringVarP(&f.dir, "output", "o", ".", "folder that gets PCAP/CLASS/FILE, or CSV/CSV/CLASS/FILE with --tables")
	fs.StringVar(&f.from, "from", "", "address of a mirror, or a template (default: the makers' server)")
	fs.StringVar(&f.files, "files", "", "only these: numbers (0,3-5) or a regular expression")
	fs.BoolVar(&f.tables, "tables", false, "the tables of the newer release instead of the captures")
	fs.BoolVar(&f.check, "check", false, "read files that are there already, instead of taking their size for it")
	fs.BoolVar(&f.damaged, "keep-damaged", false, "take a file that is whole but cannot be read to its end, and say so (not one that is cut)")
	fs.BoolVar(&f.dry, "dry-run", false, "say what would be loaded, its size and the room there is; load nothing")
	fs.IntVar(&f.retries, "retries", fetch.DefaultRetries, "tries in a row that may bring nothing new, before a file is given up (0: one try)")
	fs.DurationVar(&f.stall, "stall", fetch.DefaultStall, "how long nothing may come before a try is given up")
	fs.BoolVar(&f.json, "json", false, "one JSON object for each file")
	c.ValidArgsFunction = completeClasses(allClasses)
	for _, name := range []string{"from", "files"} { // text of no fixed form
		if err := a.offerFor(c, name, cobra.NoFileCompletions); err != nil {
			panic(err)
		}
	}
	return c
}

// loading is a file to load.
type loading struct {
	cic.File
	url, path string
	there     bool   // with the size that is known, if one is, and not empty
	doubt     string // of the size of what is there, or ""
	begun     int64  // octets of it that an earlier run has left
}

// known is the size to load, roughly where it is not known.
func (l *loading) known() int64 { return l.Estimate }

func (f *fetchFlags) run(ctx context.Context, a *app, args []string) error {
	list, err := f.list(args)
	if err != nil {
		return err
	}
	var need int64
	for i := range list {
		if !list[i].there {
			need += max(0, list[i].known()-list[i].begun)
		}
	}
	free, err := fetch.Free(nearestFolder(f.dir))
	if err != nil {
		return fmt.Errorf("%s: %w", f.dir, err)
	}
	if f.dry {
		return f.plan(a, list, need, free)
	}
	if free >= 0 && need > free {
		return fmt.Errorf("%s: %w for about %s, %s are free: make room, name another folder with -o, or fewer files with --files",
			f.dir, fetch.ErrSpace, fileSize(need), fileSize(free))
	}
	client := &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}
	defer client.CloseIdleConnections()
	var faults []error
	for i := range list {
		offline := f.offline
		err := f.load(ctx, a, client, &list[i], fmt.Sprintf("%d/%d %s", i+1, len(list), list[i].Name))
		if errors.Is(err, errOutput) {
			return err
		}
		if ctx.Err() != nil {
			if err != nil {
				a.note("%v", err)
			}
			a.note("the same command goes on from here")
			return ctx.Err()
		}
		if err != nil {
			a.note("%v", err)
			faults = append(faults, err)
		}
		if f.offline && !offline && f.retries > 0 && i < len(list)-1 {
			a.note("each of the other files is tried once only, until there is a server")
		}
	}
	if f.unread > 0 {
		a.note("%d files were there already, their sizes are not known and they were not read: --check reads them", f.unread)
	}
	switch {
	case len(faults) == 0:
		return nil
	case a.quiet:
		return errors.Join(faults...)
	}
	return fmt.Errorf("%d of %d files are not there; the same command tries again", len(faults), len(list))
}

// list says what to load.
func (f *fetchFlags) list(args []string) ([]loading, error) {
	isAll := func(arg string) bool { return strings.EqualFold(arg, allClasses) }
	named := slices.DeleteFunc(slices.Clone(args), isAll)
	all := len(named) < len(args)
	classes := cic.Classes()
	if !all || len(named) > 0 {
		some, err := classesNamed(named)
		if err != nil {
			return nil, err
		}
		if !all {
			classes = some
		}
	}
	if f.retries < 0 {
		return nil, usagef("--retries %d: want 0 or more", f.retries)
	}
	if f.stall <= 0 {
		return nil, usagef("--stall %v: want a time above 0", f.stall)
	}
	wanted, highest, err := chosen(f.files)
	if err != nil {
		return nil, err
	}
	last := 0
	for _, c := range classes {
		last = max(last, c.Files-1)
	}
	if highest > last {
		return nil, usagef("--files %s: there is no file %d: the last of these classes is %d", f.files, highest, last)
	}
	var list []loading
	for _, c := range classes {
		files := c.Captures()
		if f.tables {
			files = c.Tables()
		}
		for i, file := range files {
			if !wanted(i, file.Name) {
				continue
			}
			l := loading{File: file, path: filepath.Join(f.dir, filepath.FromSlash(file.Path))}
			if l.url, err = cic.Address(f.from, file); err != nil {
				return nil, usagef("--from %s: %w", fetch.Shown(f.from), err)
			}
			if info, err := os.Stat(l.path); err == nil && info.Mode().IsRegular() && info.Size() > 0 {
				l.doubt = l.Doubt(info.Size())
				l.there = !l.sure() || l.doubt == ""
			}
			if info, err := os.Stat(fetch.PartOf(l.path)); err == nil {
				l.begun = info.Size()
			}
			list = append(list, l)
		}
	}
	if len(list) == 0 {
		return nil, usagef("--files %s: no file of these classes", f.files)
	}
	return list, nil
}

// sure returns whether the size is known so well that another is wrong.
func (l *loading) sure() bool { return l.Octets > 0 && !l.Derived }

var numbers = regexp.MustCompile(`^\d+(-\d+)?(,\d+(-\d+)?)*$`)

// chosen reads --files. highest is the highest number in it; -1 if it has none.
func chosen(files string) (wanted func(i int, name string) bool, highest int, err error) {
	if files == "" {
		return func(int, string) bool { return true }, -1, nil
	}
	if !numbers.MatchString(files) {
		if strings.Trim(files, "0123456789,- ") == "" {
			return nil, 0, usagef("--files %q: want numbers and ranges, as 0,3-5", files)
		}
		pattern, err := regexp.Compile(files)
		if err != nil {
			return nil, 0, usagef("--files: %w: want numbers, as 0,3-5, or a regular expression", err)
		}
		return func(_ int, name string) bool { return pattern.MatchString(name) }, -1, nil
	}
	var spans [][2]int
	for _, part := range strings.Split(files, ",") {
		first, last, two := strings.Cut(part, "-")
		if !two {
			last = first
		}
		from, err1 := strconv.Atoi(first)
		to, err2 := strconv.Atoi(last)
		if err := errors.Join(err1, err2); err != nil || to < from {
			return nil, 0, usagef("--files %s: %s is no range of numbers", files, part)
		}
		highest = max(highest, to)
		spans = append(spans, [2]int{from, to})
	}
	return func(i int, _ string) bool {
		return slices.ContainsFunc(spans, func(s [2]int) bool { return s[0] <= i && i <= s[1] })
	}, highest, nil
}

// nearestFolder is the folder, or the one above it that is there.
func nearestFolder(dir string) string {
	for {
		if _, err := os.Stat(dir); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return dir
		}
		dir = parent
	}
}

type planJSON struct {
	URL string `json:"url"`
	fileJSON
	Local string `json:"local"`
	There bool   `json:"there"`
	Doubt string `json:"doubt,omitempty"` // of what is there
	Begun int64  `json:"begun"`
}

// plan says what a run without --dry-run would do.
func (f *fetchFlags) plan(a *app, list []loading, need, free int64) error {
	if f.json {
		out := json.NewEncoder(a.stdout)
		for _, l := range list {
			p := planJSON{fetch.Shown(l.url), fileJSON{l.Path, l.Octets, l.Estimate, l.Packets, l.SHA256, l.Derived, l.Cut}, l.path, l.there, l.doubt, l.begun}
			if !l.there {
				p.Doubt = ""
			}
			if err := out.Encode(p); err != nil {
				return err
			}
		}
		return nil
	}
	t := &report.Table{Columns: []report.Column{{Head: "file"}, {Head: "size", Right: true}, {Head: "now"}, {Head: "from"}}}
	var doubts []string
	for _, l := range list {
		size, now := grouped(l.Octets), "to load"
		if l.Octets == 0 {
			size = "~" + fileSize(l.Estimate)
		}
		switch {
		case l.there && l.doubt != "":
			now = "there *"
			doubts = append(doubts, "* "+l.path+": "+l.doubt)
		case l.there:
			now = "there"
		case l.begun > 0:
			now = fileSize(l.begun) + " begun"
		}
		t.Add(report.Text(l.path), report.Text(size), report.Text(now), report.Text(fetch.Shown(l.url)))
	}
	room := "not known"
	if free >= 0 {
		room = fileSize(free)
	}
	t.Notes = append(append([]string{""}, doubts...), fmt.Sprintf("%d files, about %s to load; free in %s: %s", len(list), fileSize(need), nearestFolder(f.dir), room))
	return t.WriteText(a.stdout)
}

// loadedJSON is a file as fetch prints it with --json.
type loadedJSON struct {
	File   string   `json:"file"` // in the published tree
	Local  string   `json:"local"`
	Class  string   `json:"class"`
	URL    string   `json:"url"`
	How    string   `json:"how,omitempty"`
	Octets int64    `json:"octets"`
	SHA256 string   `json:"sha256,omitempty"`
	Loaded int64    `json:"loaded"`
	Tries  int      `json:"tries"`
	Kept   int64    `json:"kept,omitempty"` // of a file that is not there
	Doubts []string `json:"doubts"`
	Error  *string  `json:"error"`
}

// load brings one file and prints its line.
func (f *fetchFlags) load(ctx context.Context, a *app, client *http.Client, l *loading, what string) error {
	undo, err := makeFolders(filepath.Dir(l.path))
	defer undo()
	if err != nil {
		return err
	}
	r := fetch.Request{URL: l.url, Path: l.path, SHA256: l.SHA256, Recheck: f.check, Damaged: f.damaged, Client: client,
		UserAgent: a.Name + "/" + version(), Retries: f.retries, Stall: f.stall, Note: func(text string) { a.note("%s", text) }}
	if r.Retries == 0 || f.offline {
		r.Retries = -1
	}
	if l.sure() {
		r.Octets = l.Octets
	}
	base := int64(-1) // the bar is of what comes now: its rate would be wrong otherwise
	coming := a.octetsBar(what)
	r.Progress = func(done, total int64) {
		if base < 0 || done < base {
			base = done
		}
		if total > 0 {
			total = max(1, total-base)
		}
		coming.set(done-base, total)
	}
	var reading *bar
	r.Reading = func(done, total int64) {
		if reading == nil {
			reading = a.octetsBar("reading " + l.Name)
		}
		if reading.set(done, total); done == total {
			reading.done()
			reading = nil
		}
	}
	r.Verify = func(file io.Reader) error {
		verifying := a.octetsBar("reading " + l.Name)
		defer verifying.done()
		counted := &counting{r: file, count: func(done int64) { verifying.set(done, l.Estimate) }}
		if f.tables {
			return verifyTable(ctx, counted, l.Cut)
		}
		return verifyCapture(ctx, counted, l.Name)
	}
	result, err := fetch.Get(ctx, r)
	coming.done()
	if result.Tries > 0 {
		f.offline = errors.Is(err, fetch.ErrUnreached)
	}
	if errors.Is(err, fetch.ErrDamaged) {
		err = fmt.Errorf("%w: --keep-damaged gives it its name all the same", err)
	}
	if err == nil {
		said := result.Doubts
		if result.How == fetch.There && !f.check && !l.sure() {
			f.unread++ // said once for all
			said = nil
		}
		if doubt := l.Doubt(result.Octets); doubt != "" {
			said, result.Doubts = append(said, doubt), append(result.Doubts, doubt)
		}
		for _, doubt := range said {
			a.note("%s: %s", l.path, doubt)
		}
	}
	var printed error
	if f.json {
		j := loadedJSON{File: l.Path, Local: l.path, Class: l.Class, URL: fetch.Shown(l.url), How: result.How, Octets: result.Octets,
			SHA256: result.SHA256, Loaded: result.Loaded, Tries: result.Tries, Kept: result.Kept, Doubts: append([]string{}, result.Doubts...)}
		if err != nil {
			text := err.Error()
			j.Error = &text
		}
		printed = json.NewEncoder(a.stdout).Encode(j)
	} else if err == nil {
		sum := result.SHA256
		if sum == "" {
			sum = "-"
		}
		_, printed = fmt.Fprintf(a.stdout, "%-8s %11d  %-64s  %s\n", result.How, result.Octets, sum, l.path)
	}
	if printed != nil {
		printed = fmt.Errorf("%w: %w", errOutput, printed)
	}
	return errors.Join(err, printed)
}

// makeFolders makes a folder and those above it. undo removes what it has made and nothing has come into.
func makeFolders(dir string) (undo func(), err error) {
	var made []string
	for above := dir; ; above = filepath.Dir(above) {
		if _, err := os.Stat(above); err == nil || above == filepath.Dir(above) {
			break
		}
		made = append(made, above)
	}
	return func() {
		for _, dir := range made { // the innermost first
			if os.Remove(dir) != nil {
				break
			}
		}
	}, os.MkdirAll(dir, 0o777)
}

// counting tells how much was read.
type counting struct {
	r     io.Reader
	done  int64
	count func(done int64)
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.done += int64(n)
	c.count(c.done)
	return n, err
}

// verifyCapture reads all packets of a capture. One that ends within a packet is cut.
func verifyCapture(ctx context.Context, file io.Reader, name string) error {
	reader, err := pcapio.NewReader(file, name)
	if err == nil {
		defer reader.Close()
		var frame parse.Frame
		for n := 0; err == nil; n++ {
			if n&0xffff == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			err = reader.Next(&frame)
		}
		if err == io.EOF {
			if reader.Packets() == 0 {
				return fmt.Errorf("%w: %s has no packet", fetch.ErrCut, name)
			}
			return nil
		}
	}
	if errors.Is(err, pcapio.ErrTruncated) {
		return fmt.Errorf("%w at the server, or on the way: %w", fetch.ErrCut, err)
	}
	return err
}

// verifyTable looks at the first line and the last of a table.
func verifyTable(ctx context.Context, file io.Reader, cut bool) error {
	in := bufio.NewReaderSize(file, 256<<10)
	head, err := in.ReadSlice('\n')
	if err != nil || !bytes.HasPrefix(head, []byte("Header_Length,")) {
		return fmt.Errorf("%w: its first line is no head of a table of 39 columns: %.60q", fetch.ErrWrong, head)
	}
	last := byte('\n')
	block := make([]byte, 256<<10)
	for {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		n, err := in.Read(block)
		if n > 0 {
			last = block[n-1]
		}
		switch {
		case err == nil:
		case err != io.EOF:
			return err
		case last != '\n' && !cut:
			return fmt.Errorf("%w: it ends in the middle of a row", fetch.ErrCut)
		default:
			return nil
		}
	}
}
