package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pcaplab/analysis/report"
	"pcaplab/datasets/flock"
	"pcaplab/datasets/shard"
	"pcaplab/replay/meter"
	"pcaplab/replay/trial"
)

// withoutCharts lets a test look at tables only.
func withoutCharts(t *testing.T) {
	drawCharts = false
	t.Cleanup(func() { drawCharts = true })
}

// onceMeasured is a results folder of 2 engines at 2 sizes.
type onceMeasured struct {
	header  trial.Header
	records []trial.Record
	files   map[string]string
}

var measureOnce = sync.OnceValue(func() *onceMeasured {
	dir, err := os.MkdirTemp("", "measured")
	if err != nil {
		return nil
	}
	defer os.RemoveAll(dir)
	code, _, _ := runIn(context.Background(), nil, ceilingArgs("--in-process", "--repeats", "2", "--engines", "direct,gopacket-layers", "--sizes", "64,512", "--goal", "ndr",
		"-o", filepath.Join(dir, "once"), "synth:iot-1:300")...)
	once := &onceMeasured{files: make(map[string]string)}
	once.header, once.records, err = report.Read(filepath.Join(dir, "once"))
	if err != nil || code != ExitDone {
		return nil
	}
	for _, name := range []string{report.HeaderFile, report.RecordsFile, report.TableFile, report.CSVFile} {
		text, err := os.ReadFile(filepath.Join(dir, "once", name))
		if err != nil {
			return nil
		}
		once.files[name] = string(text)
	}
	return once
})

func measuredOnce(t *testing.T) *onceMeasured {
	t.Helper()
	withoutCharts(t)
	once := measureOnce()
	if once == nil {
		t.Fatal("ceiling failed")
	}
	return once
}

// partly writes a study's records as shard i of a job, of the cells given.
func partly(t *testing.T, dir string, job *shard.Job, i int, h trial.Header, records []trial.Record, cells []trial.Cell, host meter.Host) {
	t.Helper()
	if _, _, err := shard.Write(dir, job, i, func(tmp string) error {
		if len(cells) == 0 {
			return nil
		}
		return payload(tmp, h, records, cells, host)
	}); err != nil {
		t.Fatal(err)
	}
}

func payload(dir string, h trial.Header, records []trial.Record, cells []trial.Cell, host meter.Host) error {
	h.Resizing = slices.DeleteFunc(slices.Clone(h.Resizing), func(r trial.Resizing) bool {
		return !slices.ContainsFunc(cells, func(c trial.Cell) bool { return c.Size == r.Size })
	})
	var lines bytes.Buffer
	e := json.NewEncoder(&lines)
	e.SetEscapeHTML(true)
	for _, r := range records {
		if slices.Contains(cells, r.Cell) {
			if err := e.Encode(r); err != nil {
				return err
			}
		}
	}
	text, err := json.Marshal(host)
	return errors.Join(err, writeHeader(filepath.Join(dir, report.HeaderFile), h), os.WriteFile(filepath.Join(dir, hostFile), text, 0o666),
		os.WriteFile(filepath.Join(dir, report.RecordsFile), lines.Bytes(), 0o666))
}

// Shards with the records of one run make the folder of that run.
func TestStudyInShards(t *testing.T) {
	once := measuredOnce(t)
	h, records := once.header, once.records
	rng := rand.New(rand.NewPCG(1, 1))
	host := meter.Host{Name: "one", Boot: "1"}
	for _, n := range []int{1, 2, 3, 4, 6} {
		job, cells, err := studyJob(&h, []string{"synth:iot-1:300"}, n)
		if err != nil {
			t.Fatal(err)
		}
		if all := slices.Concat(cells...); !slices.Equal(all, h.Plan.Cells()) {
			t.Fatalf("%d shards have the cells %v", n, all)
		}
		if n == 2 && (len(cells[0]) != 2 || cells[0][0].Size != cells[0][1].Size) {
			t.Errorf("2 shards part engines: %v", cells)
		}
		dir, merged := filepath.Join(t.TempDir(), "shards"), filepath.Join(t.TempDir(), "merged")
		for _, i := range rng.Perm(n) {
			partly(t, dir, job, i+1, h, records, cells[i], host)
		}
		stdout, _ := run(t, ExitDone, "merge", dir, "-o", merged)
		if stdout != once.files[report.TableFile] {
			t.Errorf("%d shards: the table is\n%s", n, stdout)
		}
		sameTrees(t, fmt.Sprintf("%d shards", n), treeOf(t, merged), once.files)
		if n < 6 {
			continue
		}
		stdout, stderr := run(t, ExitDone, "merge", "--json", dir, "-o", merged)
		if !strings.Contains(stderr, "holds the same already") {
			t.Errorf("again: %s", stderr)
		}
		if strings.Count(stdout, "\n") != 1 || !json.Valid([]byte(stdout)) {
			t.Errorf("--json prints\n%s", stdout)
		}
		// A condition is of the whole.
		stdout, stderr = run(t, ExitMissed, "merge", "--json", "--fail-if", "service>0", dir, "-o", merged)
		if !strings.Contains(stderr, "service") || !json.Valid([]byte(stdout)) {
			t.Errorf("--fail-if: %s%s", stdout, stderr)
		}
		run(t, ExitDone, "merge", "--fail-if", "service<0", dir, "-o", merged)
		run(t, ExitUsage, "merge", "--fail-if", "service", dir, "-o", merged)
		// Into a folder that is there: empty, a link to it, with what a killed merge left, and with less of the same.
		empty := t.TempDir()
		link := filepath.Join(t.TempDir(), "link")
		if err := os.Symlink(empty, link); err != nil {
			link = empty
		}
		if err := errors.Join(os.Mkdir(filepath.Join(empty, ".merge-KILLED.tmp"), 0o777),
			os.WriteFile(filepath.Join(empty, ".merge-KILLED.tmp", report.HeaderFile), nil, 0o666)); err != nil {
			t.Fatal(err)
		}
		run(t, ExitDone, "merge", dir, "-o", link)
		if flock.Here {
			sameTrees(t, "into an empty folder", treeOf(t, empty), once.files)
		}
		remove(t, filepath.Join(empty, report.HeaderFile))
		run(t, ExitDone, "merge", dir, "-o", link)
		if flock.Here {
			sameTrees(t, "after a kill", treeOf(t, empty), once.files)
		}
	}
}

func TestStudyShardsThatAreNot(t *testing.T) {
	once := measuredOnce(t)
	h, records := once.header, once.records
	job, cells, err := studyJob(&h, []string{"synth:iot-1:300"}, 2)
	if err != nil {
		t.Fatal(err)
	}
	host := meter.Host{Name: "board", Boot: "1"}
	dir, output := filepath.Join(t.TempDir(), "shards"), filepath.Join(t.TempDir(), "merged")
	for i := range 2 {
		partly(t, dir, job, i+1, h, records, cells[i], host)
	}
	again := func(d string, change func(h *trial.Header, records []trial.Record, host *meter.Host)) {
		remove(t, shardIn(t, d, 2).Dir)
		h, records, host := h, slices.Clone(records), host
		change(&h, records, &host)
		partly(t, d, job, 2, h, records, cells[1], host)
	}
	elsewhere := func(h *trial.Header, _ []trial.Record, host *meter.Host) {
		host.Boot, h.Environment.CPU, h.Environment.Kernel = "2", "another one", "1.2.3"
	}
	refusals(t, dir, output, map[string]func(string){
		"shard 2/2 is missing":   func(d string) { remove(t, shardIn(t, d, 2).Dir) },
		"is damaged":             func(d string) { flip(t, filepath.Join(shardIn(t, d, 2).Dir, report.RecordsFile)) },
		`cpu "another one", not`: func(d string) { again(d, elsewhere) },
		"are of two studies":     func(d string) { again(d, func(h *trial.Header, _ []trial.Record, _ *meter.Host) { h.Captures = nil }) },
		"unfinished: 7 of 8": func(d string) {
			again(d, func(_ *trial.Header, r []trial.Record, _ *meter.Host) { relabelLast(r, cells[1]) })
		},
		"of another job: plan.rep":  func(d string) { foreign(t, d, h, records, cells[1], host) },
		"there twice, with other c": func(d string) { twice(t, d, job, h, records, cells[1], host) },
	})
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "thesis.tex"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, stderr := run(t, ExitFailed, "merge", dir, "-o", full); !strings.Contains(stderr, "holds other files already") {
		t.Errorf("into a folder with other files: %s", stderr)
	}
	// Machines that differ go together only if that is asked for, and the result says so.
	mixed := filepath.Join(t.TempDir(), "mixed")
	copyDir(t, dir, mixed)
	again(mixed, elsewhere)
	if _, stderr := run(t, ExitFailed, "merge", mixed, "-o", output); !strings.Contains(stderr, "--mixed-machines") {
		t.Errorf("stderr %s", stderr)
	}
	stdout, _ := run(t, ExitDone, "merge", "--mixed-machines", mixed, "-o", output)
	for _, want := range []string{"2 machines that differ (machine 1, machine 2)", `machine 2 differs from machine 1: cpu "another one"`} {
		if !strings.Contains(stdout, want) {
			t.Errorf("the table lacks %q:\n%s", want, stdout)
		}
	}
	if table, _ := run(t, ExitDone, "table", output); table != stdout {
		t.Errorf("table prints\n%s", table)
	}
	if text := treeOf(t, output); strings.Contains(text[report.CSVFile], "board") || !strings.Contains(text[report.CSVFile], ",machine 2\n") ||
		strings.Contains(text[report.HeaderFile], `"board"`) {
		t.Errorf("%s%s", text[report.CSVFile], text[report.HeaderFile])
	}
	if _, stderr := run(t, ExitFailed, "predict", "--board", "pi4b", output); !strings.Contains(stderr, "machines that differ") {
		t.Errorf("predict: %s", stderr)
	}
	merged, _, err := report.Read(output)
	if err != nil || len(merged.Hosts) != 2 || !slices.Equal(merged.Hosts[1].Cells, cells[1]) {
		t.Errorf("%v, hosts %+v", err, merged.Hosts)
	}
}

// relabelLast lets the last repeat of a cell lack its end.
func relabelLast(records []trial.Record, cells []trial.Cell) {
	for i := range records {
		if r := &records[i]; r.Cell == cells[0] && r.Repeat == 2 && r.Kind == trial.KindBounds {
			r.Kind, r.Bounds = trial.KindTrial, nil
		}
	}
}

// foreign adds a shard of the same captures and other settings in the place of shard 2.
func foreign(t *testing.T, dir string, h trial.Header, records []trial.Record, cells []trial.Cell, host meter.Host) {
	t.Helper()
	remove(t, shardIn(t, dir, 2).Dir)
	h.Plan.Repeats = 9
	job, _, err := studyJob(&h, []string{"synth:iot-1:300"}, 2)
	if err != nil {
		t.Fatal(err)
	}
	partly(t, dir, job, 2, h, records, cells, host)
}

// twice adds shard 2 with other measurements.
func twice(t *testing.T, dir string, job *shard.Job, h trial.Header, records []trial.Record, cells []trial.Cell, host meter.Host) {
	t.Helper()
	host.Name = "another"
	partly(t, filepath.Join(dir, "other"), job, 2, h, records, cells, host)
}

// Shards are measured, an interrupted one goes on, on the machine that began it.
func TestMeasureShards(t *testing.T) {
	withoutCharts(t)
	dir, merged := filepath.Join(t.TempDir(), "shards"), filepath.Join(t.TempDir(), "merged")
	args := append(append([]string{"sweep", "--rates", "0.3x,0.5x,0.7x"}, tiny...), "--in-process", "--engines", "direct,gopacket-layers", "-o", dir, "synth:iot-1:300", "--shard")
	for _, i := range []string{"2/2", "1/2"} {
		run(t, ExitDone, append(slices.Clone(args), i)...)
	}
	if _, stderr := run(t, ExitDone, append(slices.Clone(args), "2/2")...); !strings.Contains(stderr, "is there already") {
		t.Errorf("again: %s", stderr)
	}
	stdout, _ := run(t, ExitDone, "merge", "--mixed-machines", dir, "-o", merged)
	for _, want := range []string{"direct", "gopacket-layers"} {
		if !strings.Contains(stdout, want) || !strings.Contains(stdout, "0.5") || strings.Contains(stdout, "unfinished") {
			t.Errorf("the table is\n%s", stdout)
		}
	}
	// As it is after a kill: half of the records, and half a line.
	s := shardIn(t, dir, 2)
	lines, err := s.Read(report.RecordsFile)
	if err != nil {
		t.Fatal(err)
	}
	half := bytes.IndexByte(lines[len(lines)/2:], '\n') + len(lines)/2 + 1
	begun := func(host meter.Host, header, alike bool) {
		kept := filepath.Join(t.TempDir(), "kept")
		copyDir(t, s.Dir, kept)
		remove(t, s.Dir)
		remove(t, filepath.Join(kept, shard.RecordName))
		if !header {
			remove(t, filepath.Join(kept, report.HeaderFile))
		}
		if name := filepath.Join(kept, report.HeaderFile); !alike {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, bytes.Replace(text, []byte(`"gogc_percent": `), []byte(`"gogc_percent": 1`), 1), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		text, _ := json.Marshal(host)
		if err := errors.Join(os.WriteFile(filepath.Join(kept, report.RecordsFile), lines[:half+20], 0o666),
			os.WriteFile(filepath.Join(kept, hostFile), text, 0o666), os.Rename(kept, workFolder(dir, s.ID, host))); err != nil {
			t.Fatal(err)
		}
	}
	this := meter.ReadHost(meter.Roots{})
	for _, tt := range []struct {
		name   string
		host   meter.Host
		header bool
		alike  bool // the settings of the machine
		goesOn bool
	}{
		{"here", this, true, true, true},
		{"elsewhere", meter.Host{Name: "other", Boot: "other"}, true, true, false},
		{"without a header", this, false, true, false},
		{"with another collector", this, true, false, false},
	} {
		begun(tt.host, tt.header, tt.alike)
		_, stderr := run(t, ExitDone, append(slices.Clone(args), "2/2")...)
		if got := strings.Contains(stderr, "goes on after"); got != tt.goesOn {
			t.Errorf("%s: %s", tt.name, stderr)
		}
		if got := strings.Contains(stderr, "begins anew instead of going on after") && strings.Contains(stderr, "gogc_percent"); got == tt.alike {
			t.Errorf("%s: begins anew: %t: %s", tt.name, got, stderr)
		}
		after, err := shardIn(t, dir, 2).Read(report.RecordsFile)
		if err != nil {
			t.Fatal(err)
		}
		if got := bytes.HasPrefix(after, lines[:half]); got != tt.goesOn {
			t.Errorf("%s: begins with the earlier records: %t", tt.name, got)
		}
		if work := workFolder(dir, s.ID, this); tt.host == this {
			if _, err := os.Lstat(work); err == nil {
				t.Errorf("%s: %s is still there", tt.name, work)
			}
		}
		lines = after
		half = bytes.IndexByte(lines[len(lines)/2:], '\n') + len(lines)/2 + 1
	}
	// A damaged shard is made again.
	flip(t, filepath.Join(s.Dir, report.RecordsFile))
	run(t, ExitDone, append(slices.Clone(args), "2/2")...)
	if err := shardIn(t, dir, 2).Verify(); err != nil {
		t.Error(err)
	}
	// What another machine left of it long ago is removed with the next run, what it may still write stays.
	host := meter.Host{Name: "another"}
	orphan, live := workFolder(dir, s.ID, host), workFolder(dir, s.ID, meter.Host{Name: "third"})
	old := time.Now().Add(-2 * orphanAfter)
	if err := errors.Join(os.MkdirAll(orphan, 0o777), os.Mkdir(live, 0o777), os.Chtimes(orphan, old, old)); err != nil {
		t.Fatal(err)
	}
	run(t, ExitDone, append(slices.Clone(args), "2/2")...)
	if _, err := os.Lstat(orphan); err == nil {
		t.Error("what another machine left is still there")
	}
	if _, err := os.Lstat(live); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	remove(t, s.Dir)
	if code, _, stderr := runIn(ctx, nil, append(slices.Clone(args), "2/2")...); code != ExitInterrupted || strings.Contains(stderr, "nothing is left") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}

// Nobody goes on in the folder of a shard, or in the hidden one in which one is measured, by --resume; reports take neither for results.
func TestShardsAreNoResultsFolders(t *testing.T) {
	once := measuredOnce(t)
	dir := filepath.Join(t.TempDir(), "shards")
	job, cells, err := studyJob(&once.header, []string{"synth:iot-1:300"}, 2)
	if err != nil {
		t.Fatal(err)
	}
	job.Again = "pcaplab ceiling --in-process -o shards synth:iot-1:300 --shard %s"
	partly(t, dir, job, 1, once.header, once.records, cells[0], meter.Host{Name: "one", Boot: "1"})
	work := workFolder(dir, job.ShardID(2), meter.Host{Boot: "1"})
	below := filepath.Join(shardIn(t, dir, 1).Dir, "XSS")
	for _, d := range []string{work, below} {
		if err := errors.Join(os.Mkdir(d, 0o777), payload(d, once.header, once.records, cells[1], meter.Host{})); err != nil {
			t.Fatal(err)
		}
	}
	before := treeOf(t, dir)
	for path, want := range map[string]string{
		shardIn(t, dir, 1).Dir: "this is shard 1/2, whole", below: "this is shard 1/2, whole",
		work: "repeat its command: pcaplab ceiling --in-process -o shards synth:iot-1:300 --shard 2/2",
	} {
		for _, command := range []string{"ceiling", "sweep"} {
			if _, stderr := run(t, ExitUsage, command, "--resume", path); !strings.Contains(stderr, want) {
				t.Errorf("%s --resume %s: %s", command, path, stderr)
			}
		}
	}
	for _, path := range []string{dir, shardIn(t, dir, 1).Dir} {
		if _, stderr := run(t, ExitFailed, "report", path, "-o", filepath.Join(t.TempDir(), "r.html")); !strings.Contains(stderr, "'pcaplab merge "+dir+" -o OUT' first") {
			t.Errorf("report %s: %s", path, stderr)
		}
	}
	sameTrees(t, "after refusals", treeOf(t, dir), before)
}

// A study that is refused is left as it was, to the octet.
func TestRefusedResumeChangesNothing(t *testing.T) {
	once := measuredOnce(t)
	dir := filepath.Join(t.TempDir(), "results")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		want   string
		change func(h *trial.Header)
	}{
		{"was begun by pcaplab 0.0.1", func(h *trial.Header) { h.Version = "0.0.1" }},
		{"holds a sweep", func(h *trial.Header) { h.Command = "sweep" }},
		{"is not what the study began with", func(h *trial.Header) {
			h.Captures = slices.Clone(h.Captures)
			h.Captures[0].SHA256 = strings.Repeat("0", 64)
		}},
		{"must not be pooled", func(h *trial.Header) { h.Environment.CPU = "another one" }},
	} {
		h := once.header
		tt.change(&h)
		if err := payload(dir, h, once.records, h.Plan.Cells(), meter.Host{}); err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(dir, report.RecordsFile)
		if tt.want != "is not what the study began with" && tt.want != "must not be pooled" { // what is cut may go before captures are read
			if err := os.WriteFile(name, append(mustRead(t, name), "{"...), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		before := treeOf(t, dir)
		if code, _, stderr := runIn(context.Background(), nil, "ceiling", "--resume", dir); code == ExitDone || !strings.Contains(stderr, tt.want) {
			t.Errorf("exit code %d, want %q: %s", code, tt.want, stderr)
		}
		sameTrees(t, tt.want, treeOf(t, dir), before)
	}
}

// Shards on one machine take turns.
func TestShardsTakeTurns(t *testing.T) {
	if !flock.Here {
		t.Skip("this system has no locks")
	}
	dir := t.TempDir()
	var said bytes.Buffer
	a := &app{Program: program(), stderr: &said}
	first, err := a.turn(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := first.(*os.File).Stat(); err != nil || info.Mode().Perm()&0o666 != 0o666 && runtime.GOOS != "windows" {
		t.Errorf("%v, the lock is not any user's: %v", err, info.Mode())
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := a.turn(ctx, dir); !errors.Is(err, context.Canceled) || !strings.Contains(said.String(), "waiting") {
		t.Errorf("error %v, said %q", err, said.String())
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(first.(*os.File).Name(), 0o444); err != nil { // as another user finds it, who may only read
		t.Fatal(err)
	}
	second, err := a.turn(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	second.Close()
}

func TestWhatCannotBeMeasuredInShards(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "shards")
	pipe := filepath.Join(t.TempDir(), "folder")
	if err := os.Mkdir(pipe, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		want string
		args []string
	}{
		{"where to", []string{"synth:iot-1:10"}},
		{"heat", []string{"-o", dir, "--soak", "5m", "synth:iot-1:10"}},
		{"the same command goes on", []string{"--resume", dir}},
		{"of the whole", []string{"-o", dir, "--fail-if", "ndr<1", "synth:iot-1:10"}},
		{"'merge'", []string{"-o", dir, "--json", "synth:iot-1:10"}},
		{"standard input", []string{"-o", dir, "-"}},
		{"no regular file", []string{"-o", dir, pipe}},
		{"no capture", []string{"-o", dir}},
		{"folder of classes", []string{"-o", dir, "--per-class"}},
	} {
		args := append([]string{"ceiling", "--shard", "1/2"}, tt.args...)
		if tt.want == "the same command goes on" {
			args = append(args, "-o", dir)
		}
		if _, stderr := run(t, ExitUsage, args...); !strings.Contains(stderr, tt.want) {
			t.Errorf("%v: stderr %q, want %q", tt.args, stderr, tt.want)
		}
	}
	a := &app{Program: program(), boards: []place{{name: "pi"}}}
	m := measureFlags{output: dir}
	if err := m.shardable(a, nil, &trial.Plan{}); err == nil || !strings.Contains(err.Error(), "remote") {
		t.Errorf("remote: %v", err)
	}
	if _, err := os.Lstat(dir); err == nil {
		t.Error("a folder was made")
	}
}

// Classes of one run, in shards, make the folder of that run.
func TestClassesInShards(t *testing.T) {
	withoutCharts(t)
	tree, _ := synthDir(t, "--packets", "60", "--classes", "DDoS-SYN_Flood,XSS")
	once := filepath.Join(t.TempDir(), "once")
	args := perClassArgs("--engines", "direct", "--packets", "50", tree)
	run(t, ExitDone, append(slices.Clone(args), "-o", once)...)
	want := treeOf(t, once)
	read, err := report.ReadClasses(once)
	if err != nil {
		t.Fatal(err)
	}
	host := meter.Host{Name: "board", Boot: "1"}
	write := func(dir string, n int, change func(i int, h *trial.Header, host *meter.Host)) {
		job, spans, err := classesJob(&read.Header, n)
		if err != nil {
			t.Fatal(err)
		}
		for i, span := range spans {
			if _, _, err := shard.Write(dir, job, i+1, func(tmp string) error {
				if span.From == span.To {
					return nil
				}
				at := host
				for _, class := range read.Header.Classes[span.From:span.To] {
					h, records, err := report.Read(filepath.Join(once, class.Folder))
					if err != nil {
						return err
					}
					change(i, &h, &at)
					below := filepath.Join(tmp, class.Folder)
					if err := errors.Join(os.Mkdir(below, 0o777), payload(below, h, records, h.Plan.Cells(), at), os.Remove(filepath.Join(below, hostFile))); err != nil {
						return err
					}
				}
				text, err := json.Marshal(at)
				return errors.Join(err, os.WriteFile(filepath.Join(tmp, hostFile), text, 0o666), writeHeader(filepath.Join(tmp, report.ClassesFile), read.Header))
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, n := range []int{5} {
		dir, merged := filepath.Join(t.TempDir(), "shards"), filepath.Join(t.TempDir(), "merged")
		write(dir, n, func(int, *trial.Header, *meter.Host) {})
		if stdout, _ := run(t, ExitDone, "merge", dir, "-o", merged); stdout != want[report.TableFile] {
			t.Errorf("%d shards: the table is\n%s", n, stdout)
		}
		sameTrees(t, fmt.Sprintf("%d shards", n), treeOf(t, merged), want)
	}
	// And measured.
	measured := filepath.Join(t.TempDir(), "shards")
	inShards(t, rand.New(rand.NewPCG(1, 1)), 2, measured, args...)
	stdout, _ := run(t, ExitDone, "merge", "--mixed-machines", measured, "-o", filepath.Join(t.TempDir(), "merged"))
	// What a kill leaves goes on: half of the records of the first class.
	s := shardIn(t, measured, 1)
	this := meter.ReadHost(meter.Roots{})
	work := workFolder(measured, s.ID, this)
	if err := os.Rename(s.Dir, work); err != nil {
		t.Fatal(err)
	}
	remove(t, filepath.Join(work, shard.RecordName))
	name := filepath.Join(read.Header.Classes[0].Folder, report.RecordsFile)
	lines, err := os.ReadFile(filepath.Join(work, name))
	if err != nil {
		t.Fatal(err)
	}
	half := bytes.IndexByte(lines[len(lines)/2:], '\n') + len(lines)/2 + 1
	if err := os.Truncate(filepath.Join(work, name), int64(half+5)); err != nil {
		t.Fatal(err)
	}
	run(t, ExitDone, append(slices.Clone(args), "-o", measured, "--shard", "1/2")...)
	if after, err := os.ReadFile(filepath.Join(shardIn(t, measured, 1).Dir, name)); err != nil || !bytes.HasPrefix(after, lines[:half]) || len(after) < half+5 {
		t.Errorf("%v, the shard has the records\n%s\nwant first\n%s", err, after, lines[:half])
	}
	for _, class := range []string{"DDoS-SYN_Flood", "XSS"} {
		if !strings.Contains(stdout, class) || strings.Contains(stdout, "unfinished") {
			t.Errorf("the table lacks %s:\n%s", class, stdout)
		}
	}
	dir, output := filepath.Join(t.TempDir(), "shards"), filepath.Join(t.TempDir(), "merged")
	if testing.Short() {
		t.Skip("short: machines that differ")
	}
	write(dir, 2, func(i int, h *trial.Header, host *meter.Host) {
		if i == 1 {
			host.Boot, h.Environment.CPU = "2", "another one"
		}
	})
	refusals(t, dir, output, map[string]func(string){
		`cpu "another one", not`: func(string) {},
		"shard 1/2 is missing":   func(d string) { remove(t, shardIn(t, d, 1).Dir) },
		"is damaged":             func(d string) { flip(t, filepath.Join(shardIn(t, d, 2).Dir, report.ClassesFile)) },
	})
	if stdout, _ := run(t, ExitDone, "merge", "--mixed-machines", dir, "-o", output); !strings.Contains(stdout, "2 machines that differ (machine 1, machine 2)") {
		t.Errorf("the table is\n%s", stdout)
	}
}

// A class whose captures are none is missing in the whole, as in a single run, and does not keep the others from it.
func TestClassesThatAreNone(t *testing.T) {
	withoutCharts(t)
	tree, _ := synthDir(t, "--packets", "60", "--classes", "DDoS-SYN_Flood,XSS")
	if err := os.WriteFile(filepath.Join(tree, "PCAP", "XSS", "XSS.pcap"), []byte("no capture at all, but some text"), 0o666); err != nil {
		t.Fatal(err)
	}
	args := perClassArgs("--engines", "direct", "--packets", "50", tree)
	once, dir, merged := filepath.Join(t.TempDir(), "once"), filepath.Join(t.TempDir(), "shards"), filepath.Join(t.TempDir(), "merged")
	run(t, ExitFailed, append(slices.Clone(args), "-o", once)...)
	run(t, ExitDone, append(slices.Clone(args), "-o", dir, "--shard", "1/2")...)
	if _, stderr := run(t, ExitFailed, append(slices.Clone(args), "-o", dir, "--shard", "2/2")...); !strings.Contains(stderr, "XSS.pcap") || !strings.Contains(stderr, "shard is whole") {
		t.Errorf("stderr %s", stderr)
	}
	stdout, stderr := run(t, ExitFailed, "merge", "--json", "--mixed-machines", dir, "-o", merged)
	if !strings.Contains(stderr, "XSS.pcap") || !json.Valid([]byte(stdout)) {
		t.Errorf("stderr %s, stdout %s", stderr, stdout)
	}
	want, got := treeOf(t, once), treeOf(t, merged)
	if len(want) != len(got) {
		t.Errorf("%d files, want %d", len(got), len(want))
	}
	for name := range want {
		if _, ok := got[name]; !ok {
			t.Errorf("%s is missing", name)
		}
	}
	if !strings.Contains(got[report.TableFile], "unfinished: 1 of 2 classes") {
		t.Errorf("the table is\n%s", got[report.TableFile])
	}
}
