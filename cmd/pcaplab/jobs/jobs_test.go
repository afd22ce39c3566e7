package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestScaleHasTheTables(t *testing.T) {
	var out bytes.Buffer
	if err := run(nil, &out); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("SCALE.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range strings.Split(strings.TrimSpace(out.String()), "\n\n") {
		if !strings.Contains(string(page), table) {
			t.Errorf("SCALE.md does not have this table; go run ./cmd/pcaplab/jobs prints it:\n%s", table)
		}
	}
}

// By hand: 600 Mbit through a port of 100 Mbit/s is 6 s; 10^9 packets of 100 ns on 4 x 5 cores that are twice as slow are 10 s.
func TestBounds(t *testing.T) {
	r := rates{packets: 1e9, octets: 75e6, perPacket: 100}
	f := fleet{machines: 4, cores: 5, slower: 2, disk: 25e6, port: 12.5e6, server: 7.5e6}
	var got []time.Duration
	for _, b := range f.bounds(r) {
		got = append(got, b.time.Round(time.Millisecond))
	}
	want := []time.Duration{10 * time.Second, 750 * time.Millisecond, 1500 * time.Millisecond, 10 * time.Second}
	if !slices.Equal(got, want) {
		t.Errorf("CPU, disk, port, server are %v, want %v", got, want)
	}
	if longest, job := f.job(r); longest.what != "CPU" || job != 90*time.Second {
		t.Errorf("%v and the shards are %v, want 10 s and 8 x 10 s", longest, job)
	}
	r = rates{octets: 1e6, vectors: 1000, vectorOctets: 100}
	for _, tt := range []struct {
		what string
		f    fleet
		want time.Duration
	}{
		{"once in, once out, on a disk", fleet{machines: 2, disk: 1000}, 300 * time.Second}, // and they come to it first
		{"through a slow link to a disk", fleet{machines: 2, disk: 1000, link: 500}, 400 * time.Second},
		{"through a port, to a faster server", fleet{machines: 2, port: 1000, server: 1e6}, 200 * time.Second},
		{"through a faster port, to a server", fleet{machines: 2, port: 1e6, server: 1000}, 200 * time.Second},
		{"one machine", fleet{machines: 1, disk: 1000}, 0},
	} {
		if got := tt.f.merge(r); got != tt.want {
			t.Errorf("the merge takes %v, want %v: %s", got, tt.want, tt.what)
		}
	}
	// Vectors are written beside what is read: by a disk in turn, by a port at once.
	b := fleet{machines: 1, cores: 1, slower: 1, disk: 1000, port: 1000}.bounds(r)
	if b[1].time != 1100*time.Second || b[2].time != 1000*time.Second {
		t.Errorf("bounds %v", b)
	}
}

func TestSimulation(t *testing.T) {
	c := cluster{workers: 1, work: time.Hour, overhead: time.Minute, runs: 1}
	// One worker and no failures: the shards one after the other, so the end is pace x work (with the slow ones), and the overhead.
	for run := range uint64(20) {
		one, ten := c.simulate(1, byHand, run), c.simulate(10, byHand, run)
		least, most := int64(60_000+3_600_000*8/10), int64(60_000+4*3_600_000*125/100)
		if one.end < least || one.end > most {
			t.Fatalf("an hour and a minute on one worker is %d ms", one.end)
		}
		if ten.end < least+9*60_000 || ten.lost != 0 {
			t.Fatalf("ten shards of it: %+v", ten)
		}
	}
	// What is slow is the attempt: of 20 shards on 20 workers one in fifty takes four times as long, and another attempt does not.
	c = shelf
	c.runs, c.between = 100, 0
	if _, once, _ := c.often(20, requeue); once < 3*time.Hour {
		t.Errorf("of runs with slow attempts the 95th percentile is %v", once)
	}
	if _, again, _ := c.often(20, twice); again > 3*time.Hour {
		t.Errorf("where they are made twice it is %v", again)
	}
	// Nobody finishes sooner by failing (but for the odd failure that ends a slow attempt), and who notices sooner ends no later.
	c = shelf
	c.runs = 100
	for _, n := range []int{20, 160} {
		fine := c
		fine.between = 0
		whole, _, none := fine.often(n, requeue)
		soon, _, lost := c.often(n, requeue)
		hand, _, _ := c.often(n, byHand)
		again, _, _ := c.often(n, twice)
		if none != 0 || lost <= 0 || soon < whole-whole/50 || hand < soon || again > soon {
			t.Errorf("%d shards: without failures %v, requeued %v, by hand %v, twice %v; lost %g and %g", n, whole, soon, hand, again, none, lost)
		}
		// Nobody knows of a failure before it was, and was noticed.
		slow := c
		slow.delay = 1000 * time.Hour
		for run := range uint64(50) {
			if o := slow.simulate(n, requeue, run); (o.lost > 0) != (o.end >= slow.delay.Milliseconds()) {
				t.Fatalf("%d shards, noticed after %v: %+v", n, slow.delay, o)
			}
		}
		if a, b := c.simulate(n, twice, 7), c.simulate(n, twice, 7); a != b {
			t.Errorf("the same run is %+v and %+v", a, b)
		}
	}
}

func TestFlagsAreRefused(t *testing.T) {
	for _, args := range [][]string{{"x"}, {"-workers", "0"}, {"-runs", "0"}, {"-work", "0s"}, {"-cores", "0"}, {"-machines", "-1"},
		{"-between-failures", "1ns"}, {"-between-failures", "10m"}, {"-between-failures", "-1h"}, {"-notice", "-1h"}, {"-requeue", "-1s"}, {"-overhead", "99999h"},
		{"-work", "1ns"}, {"-workers", "1", "-between-failures", "2h"}, {"-packets", "-1"}, {"-octets", "NaN"}, {"-disk", "+Inf"}, {"-slower", "0"},
		{"-workers", "1000000000"}, {"-cpu-packet", "1e300"}} {
		if err := run(args, new(bytes.Buffer)); err == nil {
			t.Errorf("%v is taken", args)
		}
	}
	var out bytes.Buffer
	if err := run([]string{"-machines", "2", "-disk", "1e9", "-runs", "1"}, &out); err != nil || !strings.Contains(out.String(), "| yours |") {
		t.Errorf("%v: %s", err, out.String())
	}
}

func TestShellcheck(t *testing.T) {
	if _, err := exec.LookPath("shellcheck"); err != nil {
		t.Skip("no shellcheck here")
	}
	scripts, _ := filepath.Glob("*.sh")
	batch, _ := filepath.Glob("*.sbatch")
	if out, err := exec.Command("shellcheck", slices.Concat([]string{"-x"}, scripts, batch)...).CombinedOutput(); err != nil {
		t.Errorf("%s", out)
	}
}

// folder is a copy of the scripts with a small job of their own, a program, and what a single run makes.
func folder(t *testing.T) (dir, program string) {
	t.Helper()
	for _, name := range []string{"go", "sh", "seq"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("no %s here", name)
		}
	}
	dir = t.TempDir()
	program = filepath.Join(dir, "pcaplab")
	build := exec.Command("go", "build", "-o", program, "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("the program: %v\n%s", err, out)
	}
	files, _ := filepath.Glob("*.s*")
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if name == "job.sh" { // as a user changes it
			text = regexp.MustCompile(`(?m)^SHARDS=.*$`).ReplaceAll(text, []byte("SHARDS=3"))
			text = regexp.MustCompile(`(?m)^PCAPLAB=.*$`).ReplaceAll(text, []byte("PCAPLAB=./pcaplab"))
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	sh(t, dir, nil, `mkdir -p PCAP/DDoS-ICMP_Flood PCAP/Recon-PingSweep
		./pcaplab synth ddos-icmp_flood --frames 200000 -o PCAP/DDoS-ICMP_Flood/DDoS-ICMP_Flood.pcap
		./pcaplab synth recon-pingsweep --frames 2000 -o PCAP/Recon-PingSweep/Recon-PingSweep.pcap
		./pcaplab -q dataset scan PCAP
		./pcaplab -q features --window cic --label folder PCAP/*/*.pcap -o single.csv`)
	return dir, program
}

// sh runs a script in a folder and returns what it printed.
func sh(t *testing.T, dir string, env []string, script string, args ...string) string {
	t.Helper()
	c := exec.Command("sh", slices.Concat([]string{"-euc", script, "sh"}, args)...)
	c.Dir = dir
	c.Env = append(os.Environ(), env...)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return string(out)
}

// sbatch stands for Slurm's: it runs the tasks of an array at once, and what depends on them if all ended well.
const sbatch = `#!/bin/sh
array= depends= options=
while case ${1-} in -*) ;; *) false ;; esac; do
	[ "$1" = --parsable ] || options="$options$1|"
	case $1 in
	--array=*) array=${1#*=} ;;
	--dependency=afterok:*) depends=${1##*:} ;;
	esac
	shift
done
echo "$1 array=$array depends=$depends" >>submitted
export SLURM_SUBMIT_DIR="$PWD" SLURM_CPUS_PER_TASK=1
if [ -z "$array" ]; then
	[ ! -e refused ] || exit 1
	[ -e "failed$depends" ] || sh "$@" >>said 2>&1
	echo '2;cluster'
	exit
fi
printf %s "$options" >options
echo "$array" | tr , '\n' | while IFS=- read -r from to; do seq "$from" "${to:-$from}"; done | while read -r i; do
	if [ -e "break$i" ]; then touch failed1; else SLURM_ARRAY_TASK_ID=$i sh "$1" >>said 2>&1; fi
done
echo '1;cluster'
`

func TestScripts(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program")
	}
	dir, program := folder(t)
	same := func(t *testing.T) {
		t.Helper()
		sh(t, dir, nil, "cmp single.csv features.csv; rm features.csv")
	}
	fresh := func() { sh(t, dir, nil, "rm -rf shards features.csv submitted said failed* break*") }
	job, err := os.ReadFile(filepath.Join(dir, "job.sh"))
	if err != nil {
		t.Fatal(err)
	}
	restore := func(t *testing.T) { // where a step failed
		if err := errors.Join(os.WriteFile(filepath.Join(dir, "job.sh"), job, 0o666), os.RemoveAll(filepath.Join(dir, "PCAP", "XSS"))); err != nil {
			t.Error(err)
		}
		sh(t, dir, nil, "[ -e PCAP ] || mv away PCAP; ./pcaplab -q dataset scan PCAP")
	}
	// changed wants another job of another command, and of other captures, also where all shards of the job before are there.
	changed := func(t *testing.T, env []string, run string) {
		t.Helper()
		t.Cleanup(func() { restore(t) })
		sh(t, dir, env, run)
		same(t)
		sh(t, dir, env, `cp job.sh good.sh; sed 's,--window cic,--window 10,' good.sh >job.sh; if cmp -s job.sh good.sh; then exit 1; fi
			./pcaplab -q features --window 10 --label folder PCAP/*/*.pcap -o other.csv; if cmp -s single.csv other.csv; then exit 1; fi
			`+run+`; cmp other.csv features.csv; mv good.sh job.sh`)
		sh(t, dir, env, run)
		same(t)
		sh(t, dir, env, `mkdir PCAP/XSS; ./pcaplab synth xss --frames 3000 -o PCAP/XSS/XSS.pcap; ./pcaplab -q dataset scan PCAP
			./pcaplab -q features --window cic --label folder PCAP/*/*.pcap -o other.csv; if cmp -s single.csv other.csv; then exit 1; fi
			`+run+`; cmp other.csv features.csv; rm -r PCAP/XSS; ./pcaplab -q dataset scan PCAP`)
		sh(t, dir, env, run)
		same(t)
	}

	t.Run("Slurm", func(t *testing.T) {
		fresh()
		if err := os.WriteFile(filepath.Join(dir, "sbatch"), []byte(sbatch), 0o777); err != nil {
			t.Fatal(err)
		}
		env := []string{"PATH=" + dir + string(os.PathListSeparator) + os.Getenv("PATH")}
		sh(t, dir, env, "touch break2; sh submit.sh --time=1:00:00")
		if _, err := os.Stat(filepath.Join(dir, "features.csv")); err == nil {
			t.Fatal("task 2 failed, and there is a joined file")
		}
		sh(t, dir, env, "rm break2 failed1; sh submit.sh")
		same(t)
		sh(t, dir, env, "sh submit.sh")
		same(t)
		submitted, _ := os.ReadFile(filepath.Join(dir, "submitted"))
		want := "array.sbatch array=1-3 depends=\nmerge.sbatch array= depends=1\narray.sbatch array=2 depends=\nmerge.sbatch array= depends=1\n" +
			"merge.sbatch array= depends=\n"
		if string(submitted) != want {
			t.Errorf("submitted\n%swant\n%s", submitted, want)
		}

		// Options keep their blanks. A merge that cannot be submitted does not hide the array.
		fresh()
		sh(t, dir, env, "sh submit.sh --comment='second try' --time=1:00:00")
		if got := sh(t, dir, nil, "cat options"); got != "--array=1-3|--comment=second try|--time=1:00:00|" {
			t.Errorf("options of the array: %s", got)
		}
		fresh()
		out := sh(t, dir, env, "touch refused; if sh submit.sh; then exit 1; fi; rm refused")
		if !strings.Contains(out, "shards 1-3: job 1\n") || !strings.Contains(out, "sbatch --dependency=afterok:1 --kill-on-invalid-dep=yes merge.sbatch ") {
			t.Errorf("the merge was refused: %s", out)
		}
		// By hand the merge finds out which job it is.
		sh(t, dir, env, "sbatch merge.sbatch")
		same(t)
		changed(t, env, "sh submit.sh")
		// --shard goes before what the command has behind "--".
		sh(t, dir, env, "sed 's,PCAP/[*],-- &,' job.sh >dashes.sh; cp job.sh good.sh; mv dashes.sh job.sh; grep -q -e '-- PCAP' job.sh; sh submit.sh; mv good.sh job.sh")
		same(t)
	})

	t.Run("parallel", func(t *testing.T) {
		fresh()
		if out, err := exec.Command("parallel", "--version").Output(); err != nil || !bytes.HasPrefix(out, []byte("GNU parallel")) {
			t.Skip("no GNU parallel here")
		}
		env := []string{"HOME=" + t.TempDir(), "PARALLEL_HOME=" + t.TempDir(), "JOB_ID="}
		sh(t, dir, env, "sh shard.sh 2 && sh parallel.sh")
		same(t)
		sh(t, dir, env, "rm -r shards/*; JOBS=2 sh parallel.sh :")
		same(t)
		// What was made is kept where a shard fails.
		sh(t, dir, env, `rm -r shards/*; cp shard.sh good.sh
			printf '%s\n' '[ "$1" != 2 ] || exit 1' 'exec sh good.sh "$1"' >shard.sh
			if sh parallel.sh; then exit 1; fi
			[ ! -e features.csv ]; [ "$(./pcaplab shards status --missing shards)" = 2 ] || exit 1
			mv good.sh shard.sh; sh parallel.sh`)
		same(t)
		changed(t, env, "sh parallel.sh")
		// Without the captures here.
		sh(t, dir, env, `id=$(./pcaplab shards plan --id 3 features --window cic --label folder --manifest PCAP/manifest.json -o shards PCAP/*/*.pcap)
			mv PCAP away; if sh parallel.sh; then exit 1; fi; JOB_ID=$id sh parallel.sh; mv away PCAP`)
		same(t)
		// JOBS is how many at once, and a part of an id none.
		for _, id := range []string{"2", strings.Repeat("0", 63), strings.Repeat("0", 65), strings.Repeat("0", 63) + "g"} {
			if out := sh(t, dir, append(env, "JOB_ID="+id), `code=0; sh parallel.sh 2>&1 || code=$?; echo "code $code"`); !strings.Contains(out, "no whole id") ||
				!strings.HasSuffix(out, "code 2\n") {
				t.Errorf("JOB_ID=%s: %s", id, out)
			}
		}
	})

	t.Run("Kubernetes", func(t *testing.T) {
		fresh()
		// A pod has the arguments and its index; folders are where volumes are mounted.
		pod := func(file string, env ...string) {
			t.Helper()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			args := podArguments(string(text))
			if len(args) < 3 {
				t.Fatalf("%s: arguments %q", file, args)
			}
			for i, a := range args {
				a = strings.ReplaceAll(a, "/captures/DDoS-SlowLoris/DDoS-SlowLoris.pcap", "/captures/DDoS-ICMP_Flood/DDoS-ICMP_Flood.pcap")
				a = strings.ReplaceAll(a, "/captures", "PCAP")
				args[i] = strings.ReplaceAll(strings.ReplaceAll(a, "/results/", ""), "--shard=/16", "--shard=/3")
			}
			sh(t, dir, env, `exec "$@"`, slices.Concat([]string{program}, args)...)
		}
		for _, index := range []string{"2", "0", "1"} {
			pod("kubernetes.yaml", "JOB_COMPLETION_INDEX="+index)
		}
		pod("kubernetes-merge.yaml")
		same(t)
	})
}

// podArguments are the container's arguments in a manifest, as it is written here: a list in brackets, or a line each.
func podArguments(text string) []string {
	if m := regexp.MustCompile(`(?m)^ *args: \[(.*)\]$`).FindStringSubmatch(text); m != nil {
		return strings.Split(m[1], ", ")
	}
	var args []string
	if m := regexp.MustCompile(`(?m)^( *)args:\n((?: *- .*\n)+)`).FindStringSubmatch(text); m != nil {
		for _, line := range strings.Split(strings.TrimSpace(m[2]), "\n") {
			args = append(args, strings.TrimPrefix(strings.TrimSpace(line), "- "))
		}
	}
	return args
}

// TestKubernetesManifests reads them with a YAML reader and looks at what an Indexed Job cannot do without.
func TestKubernetesManifests(t *testing.T) {
	python := ""
	for _, name := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(name, "-c", "import yaml").Run() == nil {
			python = name
			break
		}
	}
	if python == "" {
		t.Skip("no python3 with yaml here")
	}
	read := func(name string) (docs []map[string]any) {
		out, err := exec.Command(python, "-c", "import json, sys, yaml; json.dump(list(yaml.safe_load_all(open(sys.argv[1]))), sys.stdout)", name).Output()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := json.Unmarshal(out, &docs); err != nil {
			t.Fatal(err)
		}
		return docs
	}
	at := func(v any, path ...any) any {
		for _, p := range path {
			switch p := p.(type) {
			case string:
				m, _ := v.(map[string]any)
				v = m[p]
			case int:
				l, _ := v.([]any)
				if p >= len(l) {
					return nil
				}
				v = l[p]
			}
		}
		return v
	}
	docs := slices.Concat(read("kubernetes.yaml"), read("kubernetes-merge.yaml"))
	if len(docs) != 3 {
		t.Fatalf("%d documents", len(docs))
	}
	claim, shards, merge := docs[0], docs[1], docs[2]
	for _, tt := range []struct {
		what      string
		got, want any
	}{
		{"claim", at(claim, "kind"), "PersistentVolumeClaim"},
		{"every pod writes", at(claim, "spec", "accessModes", 0), "ReadWriteMany"},
		{"shards", at(shards, "apiVersion"), "batch/v1"},
		{"shards", at(shards, "kind"), "Job"},
		{"mode", at(shards, "spec", "completionMode"), "Indexed"},
		{"shards", at(shards, "spec", "completions"), 16.0},
		{"retries", at(shards, "spec", "backoffLimitPerIndex"), 3.0},
		{"restarts, as backoffLimitPerIndex wants it", at(shards, "spec", "template", "spec", "restartPolicy"), "Never"},
		{"volume", at(shards, "spec", "template", "spec", "volumes", 1, "persistentVolumeClaim", "claimName"), at(claim, "metadata", "name")},
		{"merge", at(merge, "kind"), "Job"},
		{"its volume", at(merge, "spec", "template", "spec", "volumes", 0, "persistentVolumeClaim", "claimName"), at(claim, "metadata", "name")},
		{"its image", at(merge, "spec", "template", "spec", "containers", 0, "image"), at(shards, "spec", "template", "spec", "containers", 0, "image")},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %v, want %v", tt.what, tt.got, tt.want)
		}
	}
	args, _ := at(shards, "spec", "template", "spec", "containers", 0, "args").([]any)
	if !slices.Contains(args, any("--shard=/16")) {
		t.Errorf("arguments %v: want --shard=/16, as many as completions", args)
	}
}
