package manifest_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pcaplab/datasets/manifest"
	"pcaplab/datasets/pcapio"
)

// mixedTree is a folder of captures of all sorts: whole, packed, cut, empty, none, and others beside them.
func mixedTree(t testing.TB) string {
	files := map[string][]byte{
		"synthetic.json": []byte("{}"), "PCAP/DDoS-SYN_Flood/a.pcap.truth.csv": []byte("x"), "PCAP/XSS/XSS.pcap.part": []byte("half"),
		"readme.txt": []byte("no capture"), "PCAP/XSS/empty.pcap": nil, "PCAP/XSS/notes": []byte("nor this"),
	}
	for i := range 7 {
		files[fmt.Sprintf("PCAP/DDoS-SYN_Flood/DDoS-SYN_Flood%d.pcap", i)] = capture(t, 20+50*i, 90, byte(i), pcapio.WriterConfig{})
		files[fmt.Sprintf("own/%d.pcap.gz", i)] = zipped(t, capture(t, 30, 70, byte(i), pcapio.WriterConfig{}))
	}
	whole := capture(t, 40, 100, 9, pcapio.WriterConfig{})
	files["PCAP/XSS/cut.pcap"] = whole[:len(whole)-11]
	return tree(t, files)
}

func TestPartsAreTheWholeFolder(t *testing.T) {
	dir := mixedTree(t)
	ctx := context.Background()
	for _, cfg := range []manifest.Config{{Hash: true}, {Salvage: true}} {
		whole := scan(t, dir, cfg)
		var want bytes.Buffer
		if err := whole.Write(&want); err != nil {
			t.Fatal(err)
		}
		survey, err := manifest.Survey(dir, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range whole.Files {
			if s := survey.Find(f.Path); s == nil || s.Octets != f.Octets || !s.Modified.Equal(f.Modified) || s.Class != f.Class || s.Label != f.Label {
				t.Errorf("the survey has %+v of %s", s, f.Path)
			}
		}
		rng := rand.New(rand.NewPCG(1, 2))
		for range 8 {
			cut := make([][]manifest.File, 1+rng.IntN(9))
			for _, f := range survey.Files {
				i := rng.IntN(len(cut))
				cut[i] = append(cut[i], f)
			}
			parts := make([]*manifest.Manifest, len(cut))
			for i, files := range cut {
				if parts[i], err = manifest.ScanPart(ctx, dir, files, cfg); err != nil {
					t.Fatal(err)
				}
			}
			parts[0].Others = append(parts[0].Others, survey.Others...)
			rng.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
			merged, err := manifest.Merge(parts)
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			if err := merged.Write(&got); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), want.Bytes()) {
				t.Fatalf("%d parts make\n%s\nat once it is\n%s", len(parts), got.Bytes(), want.Bytes())
			}
		}
	}
}

func TestPartsThatAreNot(t *testing.T) {
	ctx := context.Background()
	dir := mixedTree(t)
	survey, err := manifest.Survey(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what, want string, part []manifest.File) {
		if _, err := manifest.ScanPart(ctx, dir, part, manifest.Config{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", what, err, want)
		}
	}
	first := survey.Files[0]
	refused("twice", "twice", []manifest.File{first, first})
	refused("not there", "none.pcap", []manifest.File{{Path: "none.pcap"}})
	later := first.Modified.Add(time.Hour)
	if err := os.Chtimes(filepath.Join(dir, filepath.FromSlash(first.Path)), later, later); err != nil {
		t.Fatal(err)
	}
	refused("changed", first.Path+": was changed", survey.Files)
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if m, err := manifest.ScanPart(ended, dir, survey.Files[1:], manifest.Config{}); err == nil || m != nil {
		t.Errorf("interrupted: %v, %v", m, err)
	}
	whole := scan(t, dir, manifest.Config{})
	other := *whole
	other.Root = "other"
	half := *whole
	half.Complete = false
	for want, parts := range map[string][]*manifest.Manifest{
		"is there twice": {whole, whole}, `of folder "other"`: {whole, &other}, "interrupted": {whole, &half}, "no manifest": nil,
	} {
		if _, err := manifest.Merge(parts); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// What a file holds is a fact of it, however a single scan calls it; what the system does not let be read is an error.
func TestPartsOfDamagedStreams(t *testing.T) {
	dir := t.TempDir()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	write := func(name string, text []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for n := 1; n < 12; n++ {
		write(fmt.Sprintf("cut%02d.pcap.gz", n), packed.Bytes()[:n])
	}
	spoilt := bytes.Clone(packed.Bytes())
	spoilt[2] = 99 // a method that there is not
	write("spoilt.pcap.gz", spoilt)
	ctx := context.Background()
	survey, err := manifest.Survey(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	part, err := manifest.ScanPart(ctx, dir, survey.Files, manifest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	merged, err := manifest.Merge([]*manifest.Manifest{part})
	if err != nil {
		t.Fatal(err)
	}
	var want, got bytes.Buffer
	if err := errors.Join(scan(t, dir, manifest.Config{}).Write(&want), merged.Write(&got)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want.Bytes()) {
		t.Errorf("in parts\n%s\nat once\n%s", got.Bytes(), want.Bytes())
	}
	if !strings.Contains(want.String(), manifest.FaultRead) {
		t.Error("no fault of the kind that this is about")
	}
	if err := os.Chmod(filepath.Join(dir, "spoilt.pcap.gz"), 0); err != nil {
		t.Fatal(err)
	}
	if f, err := os.Open(filepath.Join(dir, "spoilt.pcap.gz")); err == nil {
		f.Close()
		t.Skip("this user may read all files")
	}
	if _, err := manifest.ScanPart(ctx, dir, survey.Files, manifest.Config{}); err == nil || !strings.Contains(err.Error(), "make it readable") {
		t.Errorf("error %v", err)
	}
}
