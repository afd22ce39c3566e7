package cli

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"pcaplab/datasets"
	"pcaplab/datasets/cic"
	"pcaplab/datasets/synth"
	"pcaplab/datasets/truth"
	"pcaplab/parse"
)

// synthDir makes a tree and returns its folder and what --json says of it.
func synthDir(t *testing.T, args ...string) (string, *synthTree) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tree")
	stdout, _ := run(t, ExitDone, append([]string{"dataset", "synth", "--json", "-o", dir}, args...)...)
	tree := &synthTree{}
	if err := json.Unmarshal([]byte(stdout), tree); err != nil {
		t.Fatal(err)
	}
	return dir, tree
}

// frames gives each frame of a capture to take.
func eachFrame(t *testing.T, path string, take func(f *parse.Frame)) {
	t.Helper()
	c, err := datasets.Open(path, datasets.OpenConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var f parse.Frame
	for {
		if err := c.Next(&f); err == io.EOF {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		take(&f)
	}
}

// The tree has the folders and names of CIC's, its captures have the frames of synth.New, and the truth says what that says.
func TestDatasetSynthIsTheTreeInSmall(t *testing.T) {
	const packets, split = 300, 12_000
	dir, tree := synthDir(t, "--packets", strconv.Itoa(packets), "--split", strconv.Itoa(split), "--seed", "3")
	marked, err := readSynthTree(dir)
	if err != nil || marked == nil || marked.Packets != tree.Packets || marked.String() != tree.String() {
		t.Errorf("%s: %+v, %v", syntheticFile, marked, err)
	}
	listed := make(map[string]bool)
	for _, name := range tree.files() {
		listed[filepath.Join(dir, filepath.FromSlash(name))] = true
	}
	if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !listed[path] && d.Name() != syntheticFile {
			t.Errorf("%s is not listed", path)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	classes := cic.Classes()
	if len(tree.Classes) != len(classes) || tree.Packets != uint64(packets*len(classes)) {
		t.Fatalf("%d classes, %d packets", len(tree.Classes), tree.Packets)
	}
	for i, class := range classes {
		made := tree.Classes[i]
		if made.Class != class.Folder || made.Packets != packets {
			t.Fatalf("%s: %+v", class.Folder, made)
		}
		src, err := synth.New(class.Folder, 3)
		if err != nil {
			t.Fatal(err)
		}
		var octets, attack uint64
		for n, file := range made.Files {
			name := class.Stem
			if n > 0 {
				name += strconv.Itoa(n)
			}
			if want := "PCAP/" + class.Folder + "/" + name + ".pcap"; file.File != want {
				t.Errorf("file %d is %s, want %s", n, file.File, want)
			}
			path := filepath.Join(dir, filepath.FromSlash(file.File))
			for _, sum := range []struct{ path, want string }{{path, file.SHA256}, {path + truth.Suffix, file.TruthSHA256}} {
				content, err := os.ReadFile(sum.path)
				if err != nil {
					t.Fatal(err)
				}
				if got := sha256.Sum256(content); hex.EncodeToString(got[:]) != sum.want {
					t.Errorf("%s: SHA-256 %x, said to be %s", sum.path, got, sum.want)
				}
			}
			rows, err := os.Open(path + truth.Suffix)
			if err != nil {
				t.Fatal(err)
			}
			known, err := truth.NewReader(rows)
			if err != nil {
				t.Fatal(err)
			}
			size, last := int64(24), int64(0)
			var want parse.Frame
			eachFrame(t, path, func(f *parse.Frame) {
				if err := src.Next(&want); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(f.Data, want.Data) || f.UnixNano != want.UnixNano || f.WireLen != want.WireLen {
					t.Fatalf("%s: a frame is not synth.New's", path)
				}
				p, err := known.Next()
				if err != nil || p.Class != class.Folder || (p.Attack == truth.Yes) != src.Attack() || p.Attack == truth.Unknown || p.Source != "" {
					t.Fatalf("%s: truth %+v, %v", path, p, err)
				}
				last = int64(16 + len(f.Data))
				size += last
				octets += uint64(len(f.Data))
				if src.Attack() {
					attack++
				}
			})
			if _, err := known.Next(); err != io.EOF {
				t.Errorf("%s: the truth goes on behind the capture: %v", path, err)
			}
			rows.Close()
			if size != file.Size {
				t.Errorf("%s: %d octets, said to be %d", path, size, file.Size)
			}
			if full := n < len(made.Files)-1; full && size <= split || size-last > split {
				t.Errorf("%s has %d octets, the last record %d: not split as tcpdump -C would", path, size, last)
			}
		}
		if octets != made.Octets || attack != made.Attack {
			t.Errorf("%s: %d octets, %d of the attack: said to be %d and %d", class.Folder, octets, attack, made.Octets, made.Attack)
		}
	}
}

// treeSum is the SHA-256 of the names and sums of all files of a tree.
func treeSum(tree *synthTree) string {
	sum := sha256.New()
	for _, c := range tree.Classes {
		for _, f := range c.Files {
			fmt.Fprintln(sum, f.File, f.SHA256, f.TruthSHA256)
		}
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// The same on every machine, whatever ran beside it.
func TestDatasetSynthIsReproducible(t *testing.T) {
	args := []string{"--total", "10000", "--least", "60"}
	_, all := synthDir(t, append(args, "--workers", "1")...)
	_, again := synthDir(t, append(args, "--workers", "5")...)
	if treeSum(all) != treeSum(again) {
		t.Error("the octets depend on how many classes are made at once")
	}
	if got := treeSum(all); got != synthTreeSum {
		t.Errorf("the tree has the SHA-256 %s, want %s", got, synthTreeSum)
	}
	_, small := synthDir(t, "--packets", "150", "--classes", "xss,Mirai")
	_, large := synthDir(t, "--packets", "150", "--classes", "web,recon,mirai")
	for _, c := range small.Classes {
		for _, d := range large.Classes {
			if c.Class == d.Class && c.Files[0] != d.Files[0] {
				t.Errorf("%s depends on the other classes", c.Class)
			}
		}
	}
	if _, other := synthDir(t, "--packets", "150", "--classes", "xss,Mirai", "--seed", "2"); treeSum(small) == treeSum(other) {
		t.Error("another seed gives the same tree")
	}
}

func TestDatasetSynthSizes(t *testing.T) {
	const budget = 30_000
	_, tree := synthDir(t, "--size", strconv.Itoa(budget), "--split", "9000", "--classes", "benign,DoS")
	for _, c := range tree.Classes {
		var size int64
		for _, f := range c.Files {
			size += f.Size
		}
		if size > budget || size < budget-10_000 {
			t.Errorf("%s takes %d octets of %d", c.Class, size, budget)
		}
	}
	_, tree = synthDir(t, "--size", "2MB", "--classes", "DDoS-ICMP_Flood")
	if c := tree.Classes[0]; len(c.Files) != 27 {
		t.Errorf("%s has %d captures of 27", c.Class, len(c.Files))
	}
	_, tree = synthDir(t, "--total", "10000", "--least", "10", "--classes", "DDoS-ICMP_Flood,XSS,Recon")
	var packets int64
	for _, class := range cic.Classes() {
		if class.Category == "Recon" || class.Folder == "DDoS-ICMP_Flood" || class.Folder == "XSS" {
			packets += class.Packets
		}
	}
	for _, c := range tree.Classes {
		class, _ := cic.Find(c.Class)
		if want := max(10, uint64(10000*class.Packets/packets)); c.Packets != want && c.Packets != want+1 {
			t.Errorf("%s: %d packets, want %d or one more", c.Class, c.Packets, want)
		}
	}
}

// Without --split the captures have the names of CIC's, all of them, or fewer where each would have too few packets.
func TestDatasetSynthHasTheNamesOfCIC(t *testing.T) {
	_, tree := synthDir(t, "--packets", "3000", "--classes", "benign,DDoS-HTTP_Flood,Mirai-greeth_flood,DDoS-SYN_Flood")
	for _, c := range tree.Classes {
		class, _ := cic.Find(c.Class)
		if len(c.Files) != class.Files {
			t.Errorf("%s: %d captures, CIC has %d", c.Class, len(c.Files), class.Files)
		}
		for i, f := range c.Files {
			if filepath.Base(f.File) != class.CaptureName(i) || f.Packets < leastPackets {
				t.Errorf("%s has %d packets and is number %d", f.File, f.Packets, i)
			}
		}
	}
	_, tree = synthDir(t, "--packets", "250", "--classes", "DDoS-ICMP_Flood")
	if c := tree.Classes[0]; len(c.Files) != 2 {
		t.Errorf("250 packets in %d captures", len(c.Files))
	}
}

func TestDatasetSynthTouchesNothingOfOthers(t *testing.T) {
	dir, tree := synthDir(t, "--packets", "40", "--split", "1000", "--classes", "DoS-SYN_Flood,XSS")
	again := []string{"dataset", "synth", "--packets", "40", "--classes", "DDoS-SYN_Flood", "-o", dir}
	if _, stderr := run(t, ExitFailed, again...); !strings.Contains(stderr, "--force") {
		t.Errorf("stderr %q", stderr)
	}
	foreign := filepath.Join(dir, "PCAP", "XSS", "XSS99.pcap")
	if err := os.WriteFile(foreign, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, stderr := run(t, ExitFailed, append(again, "--force")...); !strings.Contains(stderr, foreign) {
		t.Errorf("stderr %q does not name %s", stderr, foreign)
	}
	for _, name := range tree.files() {
		if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(name))); err != nil {
			t.Error(err)
		}
	}
	if err := os.Remove(foreign); err != nil {
		t.Fatal(err)
	}
	stdout, _ := run(t, ExitDone, append(again, "--force")...)
	if !strings.Contains(stdout, "synthetic") || !strings.Contains(stdout, "DDoS-SYN_Flood") {
		t.Errorf("stdout %q", stdout)
	}
	left, err := filepath.Glob(filepath.Join(dir, "PCAP", "*"))
	if err != nil || len(left) != 1 || filepath.Base(left[0]) != "DDoS-SYN_Flood" {
		t.Errorf("left in the folder: %q, %v", left, err)
	}
	// A mark that leads elsewhere removes nothing.
	outside := filepath.Join(filepath.Dir(dir), "outside.pcap")
	if err := errors.Join(os.WriteFile(outside, nil, 0o666), os.WriteFile(filepath.Join(dir, syntheticFile),
		[]byte(`{"schema":1,"classes":[{"class":"XSS","files":[{"file":"../outside.pcap"}]}]}`), 0o666)); err != nil {
		t.Fatal(err)
	}
	run(t, ExitFailed, append(again, "--force")...)
	if _, err := os.Stat(outside); err != nil {
		t.Error(err)
	}
}

func TestDatasetSynthInterruptedLeavesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tree")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if code, _, stderr := runIn(ctx, nil, "dataset", "synth", "-o", dir); code != ExitInterrupted {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder is left: %v", err)
	}
}

func TestDatasetSynthToStandardOutput(t *testing.T) {
	stdout, _ := run(t, ExitDone, "dataset", "synth", "--classes", "ddos-syn_flood", "--packets", "50", "-o", "-")
	_, tree := synthDir(t, "--classes", "DDoS-SYN_Flood", "--packets", "50")
	if got := sha256.Sum256([]byte(stdout)); hex.EncodeToString(got[:]) != tree.Classes[0].Files[0].SHA256 {
		t.Error("standard output has another capture than the file")
	}
}

func TestDatasetSynthUsage(t *testing.T) {
	for _, tt := range []struct {
		name, args, want string
	}{
		{"no folder", "", "-o DIR"},
		{"an argument", "-o x y", `"y"`},
		{"an unknown class", "-o x --classes DDoS,Smurf", `"Smurf"`},
		{"a path as a class", "-o x --classes a/XSS", "a/XSS"},
		{"two amounts", "-o x --packets 5 --total 7", "give one"},
		{"no packets", "-o x --packets 0", "--packets 0"},
		{"no octets", "-o x --size 0", "--size 0"},
		{"less than a capture takes", "-o x --size 100 --classes DDoS-ICMP_Fragmentation", "DDoS-ICMP_Fragmentation with one frame"},
		{"nothing in all", "-o x --total 0", "--total 0"},
		{"least of what", "-o x --least 5", "--total"},
		{"no split", "-o x --split 0", "--split 0"},
		{"several on standard output", "-o -", "one class"},
		{"too many", "-o x --packets 9000000000000000000", "at most"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			if _, stderr := run(t, ExitUsage, append([]string{"dataset", "synth"}, strings.Fields(tt.args)...)...); !strings.Contains(stderr, tt.want) {
				t.Errorf("stderr %q, want %q", stderr, tt.want)
			}
			if _, err := os.Stat("x"); err == nil {
				t.Error("a folder was made")
			}
		})
	}
}

// Classes, cic and iot are inputs by name, however spelt.
func TestSyntheticInputsByName(t *testing.T) {
	dir := t.TempDir()
	var want string
	for i, name := range []string{"DDoS-RSTFINFlood", "ddos-rstfinflood", "DDOS-RSTFINFLOOD"} {
		path := filepath.Join(dir, strconv.Itoa(i)+".pcap")
		run(t, ExitDone, "synth", name, "--frames", "60", "-o", path)
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if want == "" {
			want = string(content)
		}
		if string(content) != want {
			t.Errorf("%s is other traffic", name)
		}
	}
	for _, args := range [][]string{
		{"trial", "--json", "--synth", "ddos-syn_flood:300"}, {"trial", "--json", "synth:cic:300"}, {"trial", "--json", "--synth", "iot:300"},
	} {
		stdout, _ := run(t, ExitDone, append(args, tiny...)...)
		if !strings.Contains(stdout, `"kind":"service"`) {
			t.Errorf("%v: %s", args, stdout)
		}
	}
	rows, _ := run(t, ExitDone, "features", "--window", "cic", "--label", "folder", "synth:ddos-syn_flood:1000")
	if lines := strings.Split(strings.TrimSpace(rows), "\n"); len(lines) != 11 || !strings.HasSuffix(lines[1], ",DDOS-SYN_FLOOD") {
		t.Errorf("rows of 100 frames with the label of the class:\n%s", rows)
	}
	for _, args := range [][]string{
		{"ceiling", "--synth", "smurf"}, {"sweep", "--rates", "1k", "--synth", "x/XSS"}, {"ceiling", "--synth", "iot", "a.pcap"}, {"synth", "smurf"},
		{"synth", "XSS", "--truth"}, {"live", "--synth", "smurf"}, {"replay", "-i", "nowhere0", "--synth", "smurf"},
	} {
		run(t, ExitUsage, args...)
	}
}

func TestSynthWithTruth(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cic.pcap")
	run(t, ExitDone, "synth", "cic", "--frames", "1000", "--truth", "-o", path)
	rows, err := os.Open(path + truth.Suffix)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	known, err := truth.NewReader(rows)
	if err != nil {
		t.Fatal(err)
	}
	classes, packets := make(map[string]bool), 0
	for {
		p, err := known.Next()
		if err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		classes[p.Class] = true
		packets++
	}
	if packets != 1000 || len(classes) < 3 {
		t.Errorf("%d packets of %d classes", packets, len(classes))
	}
}

func TestSynthCaptureAllocatesNothingPerPacket(t *testing.T) {
	c, err := createSynthCapture(filepath.Join(t.TempDir(), "x.pcap"), "XSS")
	if err != nil {
		t.Fatal(err)
	}
	defer c.abandon()
	src, err := synth.New("XSS", 1)
	if err != nil {
		t.Fatal(err)
	}
	var f parse.Frame
	if got := testing.AllocsPerRun(5000, func() {
		err = errors.Join(err, src.Next(&f), c.add(&f, false))
	}); got != 0 || err != nil {
		t.Errorf("%v allocations a packet, %v", got, err)
	}
}

// Shares sum to the total, each within one packet of its own.
func TestDatasetSynthTotalIsExact(t *testing.T) {
	classes := cic.Classes()
	var all float64
	for _, class := range classes {
		all += float64(class.Packets)
	}
	for _, total := range []int64{1, 33, 1000, 999_999, 1e12} {
		var sum int64
		for i, n := range proportions(total, classes) {
			sum += n
			if exact := float64(total) * float64(classes[i].Packets) / all; float64(n) < exact-1.01 || float64(n) > exact+1.01 {
				t.Errorf("%d: %s has %d, want about %g", total, classes[i].Folder, n, exact)
			}
		}
		if sum != total {
			t.Errorf("the shares of %d sum to %d", total, sum)
		}
	}
	_, stderr := run(t, ExitDone, "dataset", "synth", "--total", "100", "--least", "60", "--classes", "DDoS-SYN_Flood,XSS", "-o", filepath.Join(t.TempDir(), "x"))
	if !strings.Contains(stderr, "60 more than --total 100") {
		t.Errorf("stderr %q", stderr)
	}
}

// A file with a name of the tree but other octets, of the same size too, is not removed.
func TestDatasetSynthForceKeepsWhatItDidNotMake(t *testing.T) {
	for _, suffix := range []string{"", truth.Suffix} {
		dir, tree := synthDir(t, "--packets", "20", "--classes", "XSS,DoS-SYN_Flood")
		again := []string{"dataset", "synth", "--force", "--packets", "20", "--classes", "XSS", "-o", dir}
		path := filepath.Join(dir, filepath.FromSlash(tree.Classes[1].Files[0].File)) + suffix
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, own := range [][]byte{append([]byte("mine"), content[4:]...), []byte("mine")} {
			if err := os.WriteFile(path, own, 0o666); err != nil {
				t.Fatal(err)
			}
			if _, stderr := run(t, ExitFailed, again...); !strings.Contains(stderr, path) {
				t.Errorf("stderr %q does not name %s", stderr, path)
			}
			if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, own) {
				t.Errorf("%s is not as it was: %v", path, err)
			}
		}
		if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(tree.Classes[0].Files[0].File))); err != nil {
			t.Errorf("others were removed: %v", err)
		}
		if err := os.WriteFile(path, content, 0o666); err != nil {
			t.Fatal(err)
		}
		run(t, ExitDone, again...)
	}
}

// TestCapturesAreCompressedByName: what is written under a name of gzip or zstd is that, and holds what a plain file does.
func TestCapturesAreCompressedByName(t *testing.T) {
	dir := t.TempDir()
	plain := synthIoT(t, filepath.Join(dir, "a.pcap"), "300")
	want, _ := run(t, ExitDone, "features", plain)
	for name, magic := range map[string]string{"x.pcap.gz": "\x1f\x8b", "x.pcap.ZST": "\x28\xb5\x2f\xfd", "x.pcapng.zst": "\x28\xb5\x2f\xfd"} {
		out := filepath.Join(dir, name)
		for _, args := range [][]string{{"synth", "iot-1", "--frames", "300", "-o", out}, {"rewrite", plain, out}, {"replay", "-q", "-w", out, plain}} {
			if err := os.RemoveAll(out); err != nil {
				t.Fatal(err)
			}
			run(t, ExitDone, args...)
			text := mustRead(t, out)
			if !bytes.HasPrefix(text, []byte(magic)) {
				t.Errorf("%v: starts with % x", args, text[:4])
			}
			ng := strings.Contains(name, "pcapng") // of which dpkt gives other times
			if got, _ := run(t, ExitDone, "features", out); strings.Count(got, "\n") != strings.Count(want, "\n") || args[0] == "synth" && !ng && got != want {
				t.Errorf("%v: other frames", args)
			}
			info, _ := run(t, ExitDone, "info", "--json", out)
			if strings.Contains(info, `"container":"pcapng"`) != ng {
				t.Errorf("%v: %s", args, info)
			}
		}
	}
}

func TestNumbersAndSizesAsPeopleWriteThem(t *testing.T) {
	_, tree := synthDir(t, "--classes", "XSS", "--packets", "2e2")
	if tree.Packets != 200 {
		t.Errorf("%d packets", tree.Packets)
	}
	for _, flag := range []string{"--packets", "--total"} {
		_, stderr := run(t, ExitUsage, "dataset", "synth", "-o", filepath.Join(t.TempDir(), "x"), flag, "1.5")
		if !strings.Contains(stderr, `"1.5" is not a number of packets`) || strings.Contains(stderr, "strconv") {
			t.Error(stderr)
		}
	}
	for text, want := range map[string]octetsFlag{"50KB": 50_000, "50kB": 50_000, "50kb": 50_000, "1kib": 1024, "1KiB": 1024, "2m": 2_000_000, "3GIB": 3 << 30, "7b": 7, "7": 7} {
		var got octetsFlag
		if err := got.Set(text); err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "k", "1ik", "1kk", "1x", "-1k"} {
		if err := new(octetsFlag).Set(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}
