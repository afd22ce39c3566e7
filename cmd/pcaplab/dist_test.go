package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"debug/elf"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// sizeLimit is what a binary may have in octets: boards have little memory and slow cards. Some five million are html/template's,
// whose calls by name keep every method in the program.
const sizeLimit = 35 << 20

// What make dist made is read with the standard library, which knows nothing of how it was made.
func TestDistBinaries(t *testing.T) {
	dist := distFolder(t)
	for _, tt := range []struct {
		board   string
		machine elf.Machine
		class   elf.Class
		setting string
		level   string
	}{
		{"amd64", elf.EM_X86_64, elf.ELFCLASS64, "GOAMD64", "v1"},
		{"arm64", elf.EM_AARCH64, elf.ELFCLASS64, "GOARM64", "v8.0"},
		{"armv7", elf.EM_ARM, elf.ELFCLASS32, "GOARM", "7"},
		{"armv6", elf.EM_ARM, elf.ELFCLASS32, "GOARM", "6"},
	} {
		t.Run(tt.board, func(t *testing.T) {
			path := filepath.Join(dist, "pcaplab-linux-"+tt.board)
			facts, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if facts.Size() > sizeLimit {
				t.Errorf("%d octets, want at most %d", facts.Size(), sizeLimit)
			}
			if facts.Mode().Perm() != 0o755 {
				t.Errorf("mode %v", facts.Mode())
			}
			f, err := elf.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if f.Machine != tt.machine || f.Class != tt.class || f.Type != elf.ET_EXEC {
				t.Errorf("%v %v %v", f.Machine, f.Class, f.Type)
			}
			for _, p := range f.Progs {
				if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
					t.Errorf("not static: it has a segment %v", p.Type)
				}
			}
			for _, s := range f.Sections {
				if s.Type == elf.SHT_SYMTAB || strings.HasPrefix(s.Name, ".debug") || strings.HasPrefix(s.Name, ".zdebug") {
					t.Errorf("not stripped: it has a section %s", s.Name)
				}
			}
			info, err := buildinfo.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			settings := make(map[string]string)
			for _, s := range info.Settings {
				settings[s.Key] = s.Value
			}
			want := map[string]string{"GOOS": "linux", "CGO_ENABLED": "0", "-trimpath": "true", tt.setting: tt.level, "-tags": "", "vcs": ""}
			for key, value := range want {
				if settings[key] != value {
					t.Errorf("built with %s=%q, want %q", key, settings[key], value)
				}
			}
			octets, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			root, err := filepath.Abs("../..")
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(octets, []byte(root+"/")) {
				t.Errorf("it names %s", root)
			}
		})
	}
}

func TestDistSumsAreOfEveryFile(t *testing.T) {
	dist := distFolder(t)
	sums, err := os.Open(filepath.Join(dist, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	defer sums.Close()
	listed := map[string]bool{"SHA256SUMS": true}
	for lines := bufio.NewScanner(sums); lines.Scan(); {
		sum, name, ok := strings.Cut(lines.Text(), "  ")
		if !ok || listed[name] {
			t.Fatalf("line %q", lines.Text())
		}
		listed[name] = true
		octets, err := os.ReadFile(filepath.Join(dist, name))
		if err != nil {
			t.Error(err)
			continue
		}
		if got := sha256.Sum256(octets); hex.EncodeToString(got[:]) != sum {
			t.Errorf("%s has SHA-256 %x, listed is %s", name, got, sum)
		}
	}
	entries, err := os.ReadDir(dist)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !listed[e.Name()] {
			t.Errorf("%s is not in SHA256SUMS", e.Name())
		}
	}
	if len(entries) < 6 { // the binaries, the licences, the sums; packages where dpkg-deb is
		t.Errorf("only %d files", len(entries))
	}
}

// distFolder is a folder that make dist has filled from these sources.
func distFolder(t *testing.T) string {
	t.Helper()
	dist := os.Getenv("PCAPLAB_DIST")
	if dist == "" {
		t.Skip("PCAPLAB_DIST names no folder made by make dist (make dist-check does it)")
	}
	return dist
}

func TestDistVersionsSortAsHistory(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("no sh here")
	}
	last := ""
	for _, tt := range []struct{ name, revision, want string }{
		{"before the first tag", "650125e12818", "0~git20231114221320.650125e12818"},
		{"the same, changed", "650125e12818-dirty", "0~git20231114221320.650125e12818+dirty"},
		{"a candidate", "v1.2.0-rc1", "1.2.0~rc1"},
		{"after a candidate", "v1.2.0-rc1-3-g650125e12818", "1.2.0~rc1+git3.650125e12818"},
		{"a release", "v1.2.0", "1.2.0"},
		{"a release, changed", "v1.2.0-dirty", "1.2.0+dirty"},
		{"after a release", "v1.2.0-5-gabcdef012345", "1.2.0+git5.abcdef012345"},
		{"longer after it", "v1.2.0-14-g012345abcdef", "1.2.0+git14.012345abcdef"},
		{"the same, changed", "v1.2.0-14-g012345abcdef-dirty", "1.2.0+git14.012345abcdef+dirty"},
		{"the next release", "v1.2.1", "1.2.1"},
	} {
		t.Run(tt.name+" "+tt.revision, func(t *testing.T) {
			out, err := exec.Command("sh", "dist/version.sh", tt.revision, "1700000000").CombinedOutput()
			if got := strings.TrimSpace(string(out)); err != nil || got != tt.want {
				t.Fatalf("%q, %v: want %q", got, err, tt.want)
			}
			if _, err := exec.LookPath("dpkg"); err == nil && last != "" {
				if out, err := exec.Command("dpkg", "--compare-versions", last, "lt", tt.want).CombinedOutput(); err != nil {
					t.Errorf("dpkg does not sort %s before %s: %s", last, tt.want, out)
				}
			}
			last = tt.want
		})
	}
}
