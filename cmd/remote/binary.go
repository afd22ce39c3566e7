package remote

import (
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// program is what a file is.
type program struct {
	arch   string // as in Arches, or another name
	static bool
}

// inspectProgram reads what a file is; the error says what it is instead of a Go program for Linux.
func inspectProgram(path string) (program, error) {
	f, err := elf.Open(path)
	if err != nil {
		var format *elf.FormatError
		if errors.As(err, &format) {
			return program{}, errors.New("is not a Linux program")
		}
		return program{}, err
	}
	defer f.Close()
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return program{}, errors.New("is not a Go program")
	}
	setting := func(key string) string {
		for _, s := range info.Settings {
			if s.Key == key {
				return s.Value
			}
		}
		return ""
	}
	if system := setting("GOOS"); system != "linux" && system != "" {
		return program{}, fmt.Errorf("is a program for %s, not for Linux", system)
	}
	p := program{static: !slices.ContainsFunc(f.Progs, func(h *elf.Prog) bool { return h.Type == elf.PT_INTERP })}
	switch {
	case f.Machine == elf.EM_X86_64 && f.Class == elf.ELFCLASS64:
		p.arch = "amd64"
	case f.Machine == elf.EM_AARCH64 && f.Class == elf.ELFCLASS64 && f.Data == elf.ELFDATA2LSB:
		p.arch = "arm64"
	case f.Machine == elf.EM_ARM && f.Data == elf.ELFDATA2LSB:
		version, _, _ := strings.Cut(setting("GOARM"), ",") // "7", or "7,softfloat"
		p.arch = "armv" + version
		if version == "" {
			p.arch = "arm of unknown version"
		}
	default:
		p.arch = strings.TrimPrefix(f.Machine.String(), "EM_")
	}
	return p, nil
}

// fits returns whether a machine of the given architecture runs the program. A newer ARM runs what was built for an
// older one.
func (p program) fits(arch string) bool {
	switch arch {
	case "armv7":
		return p.arch == "armv7" || p.arch == "armv6" || p.arch == "armv5"
	case "armv6":
		return p.arch == "armv6" || p.arch == "armv5"
	}
	return p.arch == arch
}

// chooseBinary returns the path of the binary to copy to a host of the given architecture.
func chooseBinary(cfg *Config, arch string) (string, error) {
	check := func(path string) error {
		p, err := inspectProgram(path)
		if err != nil {
			if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
				return faultf(cfg.Host, ErrNoBinary, "cannot copy from this machine: %v; --binary names a file here", err)
			}
			return faultf(cfg.Host, ErrWrongBinary, "%s %v; the host needs one for linux/%s", path, err, arch)
		}
		if !p.fits(arch) {
			return faultf(cfg.Host, ErrWrongBinary, "%s is a program for %s; the host needs one for %s", path, p.arch, arch)
		}
		return nil
	}
	if cfg.Binary != "" {
		return cfg.Binary, check(cfg.Binary)
	}
	exe := cfg.exe
	if exe == "" {
		var err error
		if exe, err = os.Executable(); err != nil {
			return "", faultf(cfg.Host, ErrNoBinary, "cannot find this program's own file: %v; name a binary with --binary", err)
		}
	}
	if real, err := filepath.EvalSymlinks(exe); err == nil {
		exe = real
	}
	// One that needs the libraries of this machine would not run on another.
	if p, err := inspectProgram(exe); err == nil && p.fits(arch) && p.static {
		return exe, nil
	}
	name := cfg.Name + "-linux-" + arch
	folder := filepath.Dir(exe)
	looked := []string{filepath.Join(folder, name), filepath.Join(filepath.Dir(folder), "lib", cfg.Name, name)}
	for _, path := range looked {
		if _, err := os.Stat(path); err == nil {
			return path, check(path)
		}
	}
	return "", faultf(cfg.Host, ErrNoBinary,
		"no binary for linux/%s: looked for %s; 'make cross' or 'make dist' builds them all, and --binary names one", arch,
		strings.Join(looked, " and "))
}
