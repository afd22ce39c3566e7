package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"debug/elf"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sizeLimit is what a binary may have in octets: boards have little memory and slow cards.
const sizeLimit = 20 << 20

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
