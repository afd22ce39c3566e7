package extract_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pcaplab/datasets/extract"
	"pcaplab/datasets/manifest"
	"pcaplab/datasets/pcapio"
	"pcaplab/datasets/shard"
	"pcaplab/datasets/synth"
	"pcaplab/parse"
	"pcaplab/parse/feature"
)

// captureOf writes frames of a synthetic profile as a capture.
func captureOf(t testing.TB, path, profile string, seed uint64, frames int, nano bool) string {
	t.Helper()
	src, err := synth.New(profile, seed)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w, err := pcapio.NewWriter(&out, pcapio.WriterConfig{Nano: nano})
	if err != nil {
		t.Fatal(err)
	}
	var f parse.Frame
	for range frames {
		if err := src.Next(&f); err != nil {
			t.Fatal(err)
		}
		if err := w.WriteFrame(&f); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, out.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// scanned returns what a manifest has of the sources, which lie in one folder.
func scanned(t testing.TB, dir string, sources []extract.Source) []*manifest.File {
	t.Helper()
	m, err := manifest.Scan(context.Background(), dir, manifest.Config{Hash: true})
	if err != nil {
		t.Fatal(err)
	}
	var files []*manifest.File
	for _, s := range sources {
		f := m.Find(filepath.Base(s.Path))
		if f == nil {
			t.Fatalf("%s is not in the manifest", s.Path)
		}
		files = append(files, f)
	}
	return files
}

// single returns what File writes.
func single(t testing.TB, path string, cfg extract.Config, sources []extract.Source) []byte {
	t.Helper()
	_, err := extract.File(context.Background(), path, cfg, sources)
	if fault := new(extract.FaultError); err != nil && !errors.As(err, &fault) {
		t.Fatal(err)
	}
	octets, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return octets
}

// sharded makes all shards of a plan, in an order of its own, and joins them.
func sharded(t testing.TB, dir string, plan *extract.Shards, random *rand.Rand, format string) []byte {
	t.Helper()
	n := plan.Job.Count()
	for _, i := range random.Perm(n) {
		_, existed, err := shard.Write(dir, &plan.Job, i+1, func(tmp string) error {
			_, err := plan.Fill(context.Background(), i+1, tmp, nil)
			if fault := new(extract.FaultError); errors.As(err, &fault) {
				return nil
			}
			return err
		})
		if err != nil || existed {
			t.Fatalf("shard %d/%d: existed %v, %v", i+1, n, existed, err)
		}
	}
	set, err := shard.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := set.Complete(); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "merged."+format)
	_, err = extract.MergeShards(context.Background(), out, extract.MergeConfig{Workers: 1 + random.IntN(3)}, set.Of(set.Main())[1:])
	if fault := new(extract.FaultError); err != nil && !errors.As(err, &fault) {
		t.Fatal(err)
	}
	octets, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return octets
}

// TestShardsAreTheSingleRun compares what shards make with what one run makes, octet for octet, over random settings.
func TestShardsAreTheSingleRun(t *testing.T) {
	dir := t.TempDir()
	paths := []string{
		captureOf(t, filepath.Join(dir, "a.pcap"), "iot-1", 1, 60_000, false),
		captureOf(t, filepath.Join(dir, "b.pcap"), "iot-1", 2, 50, false),
		captureOf(t, filepath.Join(dir, "c.pcap"), "udp-1518", 3, 16_000, true),
		captureOf(t, filepath.Join(dir, "d.pcap"), "syn-60", 4, 135_000, false),
	}
	octets, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(dir, "e.pcap")
	if err := os.WriteFile(cut, octets[:len(octets)/3], 0o666); err != nil {
		t.Fatal(err)
	}
	if octets, err = os.ReadFile(paths[2]); err != nil {
		t.Fatal(err)
	}
	for at, n := 24, 0; at+16 < len(octets); n++ { // broken in the first piece, the second and the last
		if n == 100 || n == 7_500 || n == 13_500 {
			octets[at+16+14] = 0x41
		}
		at += 16 + int(binary.LittleEndian.Uint32(octets[at+8:]))
	}
	broken := filepath.Join(dir, "f.pcap")
	if err := os.WriteFile(broken, octets, 0o666); err != nil {
		t.Fatal(err)
	}
	paths = append(paths, cut, broken)
	all := scanned(t, dir, sourcesOf(paths))
	attackers, err := feature.ReadAttackers(strings.NewReader("192.168.137.10\n192.168.1.20\n10.0.0.1\n"), "attackers")
	if err != nil {
		t.Fatal(err)
	}
	seeds := 20
	if testing.Short() {
		seeds = 6
	}
	cuts := make(map[feature.As]int) // inside captures, of all runs
	for seed := range seeds {
		random := rand.New(rand.NewPCG(uint64(seed), 10))
		cfg := extract.Config{Format: []string{extract.CSV, extract.Parquet}[seed%2], Version: "test", Workers: 1 + random.IntN(3)}
		cfg.As = []feature.As{feature.AsExtractor, feature.AsPipeline, feature.AsExtractor, feature.AsReleased, feature.AsFixed}[seed%5]
		cfg.Hash, cfg.Salvage, cfg.Strict = random.IntN(2) == 0, random.IntN(4) == 0, random.IntN(5) == 0
		if random.IntN(2) == 0 {
			cfg.Labelled = true
			if random.IntN(2) == 0 {
				cfg.Attackers, cfg.AttackShare, cfg.Benign = attackers, 0.2, "BENIGN"
			}
		}
		span := feature.Span{Rows: []int{0, 1, 2, 7, 100, 997, 5000, 20_000}[random.IntN(8)]}
		if random.IntN(8) == 0 {
			span = feature.Span{Time: 250 * time.Millisecond}
		}
		var sources []extract.Source
		var files []*manifest.File
		for k := range paths {
			if k == len(paths)-1 && cfg.As == feature.AsExtractor {
				continue // see TestBrokenHeadersAreNotMiscounted
			}
			if random.IntN(2) == 0 || k == 2*(seed%2) || k == len(paths)-1 && cfg.As.Pieces() {
				sources = append(sources, extract.Source{Path: paths[k], Span: span, Label: fmt.Sprintf("label, %d", k)})
				files = append(files, all[k])
			}
		}
		n := 1 + random.IntN(9)
		name := fmt.Sprintf("seed %d: %d shards, %v, %s, window %+v, strict %v, salvage %v", seed, n, cfg.As, cfg.Format, span, cfg.Strict, cfg.Salvage)
		want := single(t, filepath.Join(t.TempDir(), "single."+cfg.Format), cfg, sources)
		plan, err := extract.PlanShards(cfg, sources, files, n, random.IntN(8) == 0, "")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, r := range plan.Job.Ranges {
			if r.From != "end" && !strings.HasSuffix(r.From, "packet 1") {
				cuts[cfg.As]++
			}
		}
		got := sharded(t, t.TempDir(), plan, random, cfg.Format)
		if !bytes.Equal(got, want) {
			t.Errorf("%s: %d octets, a single run makes %d", name, len(got), len(want))
			t.Logf("want %.3000s", tail(want))
			t.Logf("got  %.3000s", tail(got))
		}
	}
	if cuts[feature.AsExtractor] < seeds/2 || cuts[feature.AsPipeline] < seeds/5 {
		t.Errorf("cuts inside captures in %d runs: %v: the test sees too little", seeds, cuts)
	}
}

func tail(b []byte) string { return strings.ToValidUTF8(string(b[max(0, len(b)-6000):]), "?") }

// TestBrokenHeadersAreNotMiscounted has IPv4 frames that give no row: a cut behind them would begin at the wrong window.
func TestBrokenHeadersAreNotMiscounted(t *testing.T) {
	dir := t.TempDir()
	path := captureOf(t, filepath.Join(dir, "a.pcap"), "udp-1518", 1, 16_000, false)
	octets, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	octets[24+16+14] = 0x41 // a header length of 4 octets
	if n := binary.LittleEndian.Uint32(octets[24+8:]); n < 34 {
		t.Fatal("no room")
	}
	if err := os.WriteFile(path, octets, 0o666); err != nil {
		t.Fatal(err)
	}
	sources := sourcesOf([]string{path})
	files := scanned(t, dir, sources)
	cfg := extract.Config{Format: extract.CSV}
	told := slices.Clone(sources)
	told[0].Tell = func(extract.Frames) (extract.Teller, error) { return nil, errTold }
	if _, err := extract.PlanShards(extract.Config{Labelled: true}, told, files, 2, false, ""); !errors.As(err, new(*extract.ConfigError)) {
		t.Errorf("labels that are told: %v", err)
	}
	plan, err := extract.PlanShards(cfg, sources, files, 2, false, "")
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= 2; i++ {
		_, err := plan.Fill(context.Background(), i, t.TempDir(), nil)
		if !errors.Is(err, extract.ErrWholeCaptures) || !strings.Contains(err.Error(), "--whole-captures") {
			t.Errorf("shard %d: %v, want ErrWholeCaptures", i, err)
		}
	}
	whole, err := extract.PlanShards(cfg, sources, files, 2, true, "")
	if err != nil {
		t.Fatal(err)
	}
	want := single(t, filepath.Join(t.TempDir(), "single.csv"), cfg, sources)
	if got := sharded(t, t.TempDir(), whole, rand.New(rand.NewPCG(1, 1)), extract.CSV); !bytes.Equal(got, want) {
		t.Error("cut between captures: not what a single run makes")
	}
	// The pieces of tcpdump know nothing of each other. The metadata of Parquet says which is the first frame that is broken.
	for at, n := 24, 0; at+16 < len(octets); n++ {
		if n == 14_000 {
			octets[at+16+14] = 0x41
		}
		at += 16 + int(binary.LittleEndian.Uint32(octets[at+8:]))
	}
	if err := os.WriteFile(path, octets, 0o666); err != nil {
		t.Fatal(err)
	}
	files = scanned(t, dir, sources)
	for _, format := range []string{extract.CSV, extract.Parquet} {
		cfg := extract.Config{As: feature.AsPipeline, Format: format}
		plan, err := extract.PlanShards(cfg, sources, files, 3, false, "")
		if err != nil {
			t.Fatal(err)
		}
		want := single(t, filepath.Join(t.TempDir(), "single."+format), cfg, sources)
		if got := sharded(t, t.TempDir(), plan, rand.New(rand.NewPCG(1, 1)), format); !bytes.Equal(got, want) {
			t.Errorf("pieces, %s: not what a single run makes", format)
		}
	}
}

// TestShardsOfOddCaptures: empty files, what is no capture, a header only and a single frame are the single run's too.
func TestShardsOfOddCaptures(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, octets []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, octets, 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	one := captureOf(t, filepath.Join(dir, "one.pcap"), "iot-1", 1, 1, false)
	octets, err := os.ReadFile(one)
	if err != nil {
		t.Fatal(err)
	}
	paths := []string{
		write("header.pcap", octets[:24]), one, write("half.pcap", octets[:30]), captureOf(t, filepath.Join(dir, "ten.pcap"), "iot-1", 2, 10, true),
		write("header2.pcap", octets[:24]), write("empty.pcap", nil), write("text.pcap", []byte("this is no capture, but has some octets\n")), write("cut.pcap", octets[:9]),
	}
	const captures = 5
	all, err := manifest.ScanFiles(context.Background(), paths, manifest.Config{Hash: true})
	if err != nil {
		t.Fatal(err)
	}
	var files []*manifest.File
	for i := range all {
		files = append(files, &all[i])
	}
	for i, path := range paths[captures:] { // shards refuse what a single run refuses
		sources := sourcesOf([]string{one, path})
		_, err := extract.PlanShards(extract.Config{}, sources, []*manifest.File{files[1], files[captures+i]}, 2, false, "")
		if err == nil || !strings.Contains(err.Error(), path+": no capture: ") || strings.Count(err.Error(), path) != 1 {
			t.Errorf("%s: %v", path, err)
		}
		if _, err := extract.Stream(context.Background(), io.Discard, extract.Config{}, sources); err == nil || errors.As(err, new(*extract.FaultError)) {
			t.Errorf("%s: %v", path, err)
		}
	}
	paths, files = paths[:captures], files[:captures]
	random := rand.New(rand.NewPCG(3, 4))
	for k := range 12 {
		cfg := extract.Config{Format: []string{extract.CSV, extract.Parquet}[k%2], Version: "test", Workers: 2, Hash: k%4 < 2, Salvage: k%3 == 0}
		cfg.As = []feature.As{feature.AsExtractor, feature.AsPipeline}[k/2%2]
		from, to := random.IntN(len(paths)), len(paths)
		if k < 4 {
			from, to = 0, 1 // nothing at all
		}
		sources, files := sourcesOf(paths[from:to]), files[from:to]
		plan, err := extract.PlanShards(cfg, sources, files, 1+random.IntN(4), false, "")
		if err != nil {
			t.Fatal(err)
		}
		want := single(t, filepath.Join(t.TempDir(), "single."+cfg.Format), cfg, sources)
		if got := sharded(t, t.TempDir(), plan, random, cfg.Format); !bytes.Equal(got, want) {
			t.Errorf("%d captures as %s, %+v: not what a single run makes", len(sources), cfg.Format, cfg)
		}
	}
}

// TestShardsDoNotDependOnSpelling: shards of CSV that name the captures in other ways are the same shards, with the same payload. What stands in
// the metadata of Parquet is part of the job.
func TestShardsDoNotDependOnSpelling(t *testing.T) {
	dir := t.TempDir()
	path := captureOf(t, filepath.Join(dir, "a.pcap"), "iot-1", 1, 300, false)
	if err := os.Truncate(path, 20_000); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	spelt := []string{path, "./a.pcap", "a.pcap"}
	files := scanned(t, dir, sourcesOf(spelt[:1]))
	for _, format := range []string{extract.CSV, extract.Parquet} {
		ids := make(map[string]bool)
		var first []byte
		for k, name := range spelt {
			sources := sourcesOf([]string{name})
			cfg := extract.Config{Format: format, Settings: "--window " + "0"[:k%2] + "10"}
			plan, err := extract.PlanShards(cfg, sources, files, 2, false, "")
			if err != nil {
				t.Fatal(err)
			}
			ids[plan.Job.ShardID(2)] = true
			if format == extract.Parquet {
				continue
			}
			out := t.TempDir()
			var all []byte
			for i := 1; i <= 2; i++ {
				_, err := plan.Fill(context.Background(), i, out, nil)
				if err != nil && !errors.As(err, new(*extract.FaultError)) {
					t.Fatal(err)
				}
				for _, file := range []string{"result.json", "vectors"} {
					text, err := os.ReadFile(filepath.Join(out, file))
					if err != nil {
						t.Fatal(err)
					}
					all = append(all, text...)
				}
			}
			if first == nil {
				first = all
			} else if !bytes.Equal(first, all) {
				t.Errorf("%s: another payload:\n%s\n%s", name, first, all)
			}
		}
		if want := map[string]int{extract.CSV: 1, extract.Parquet: 3}[format]; len(ids) != want {
			t.Errorf("%s: %d ids, want %d", format, len(ids), want)
		}
	}
}

// TestWholeCapturesAreCompared: a capture that is read as a whole has the frames that the manifest says.
func TestWholeCapturesAreCompared(t *testing.T) {
	dir := t.TempDir()
	path := captureOf(t, filepath.Join(dir, "a.pcap"), "iot-1", 1, 300, false)
	sources := sourcesOf([]string{path})
	files := scanned(t, dir, sources)
	octets, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	fill := func(want string, hash bool) {
		t.Helper()
		plan, err := extract.PlanShards(extract.Config{Hash: hash}, sources, files, 1, false, "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := plan.Fill(context.Background(), 1, t.TempDir(), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	first := 24 + 16 + int(binary.LittleEndian.Uint32(octets[24+8:]))
	if err := os.WriteFile(path, append(octets[:24:24], octets[first:]...), 0o666); err != nil {
		t.Fatal(err)
	}
	fill("299 frames, the manifest says 300: scan it again", false)
	if err := os.WriteFile(path, octets[:len(octets)-1], 0o666); err != nil {
		t.Fatal(err)
	}
	fill("so it has changed", false)
	octets[len(octets)-1] ^= 1
	if err := os.WriteFile(path, octets, 0o666); err != nil {
		t.Fatal(err)
	}
	fill("its SHA-256 is", true)
}
