package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// architecture is a processor to count on.
type architecture struct {
	name        string
	env         []string // for go build
	emulator    string   // of Debian's package qemu-user: that of qemu-user-static takes no plugins
	cpu         string   // the oldest that the build is for, so that no newer instruction is taken
	getpriority int      // number of the system call
}

var architectures = []architecture{
	{"arm64", []string{"GOARCH=arm64", "GOARM64=v8.0"}, "qemu-aarch64", "cortex-a53", 141},
	{"armv7", []string{"GOARCH=arm", "GOARM=7"}, "qemu-arm", "cortex-a7", 96},
	{"armv6", []string{"GOARCH=arm", "GOARM=6"}, "qemu-arm", "arm1176", 96},
	{"amd64", []string{"GOARCH=amd64", "GOAMD64=v1"}, "qemu-x86_64", "qemu64", 140},
}

// guestTime bounds one guest; it takes a second.
const guestTime = 2 * time.Minute

// pluginVersions are versions of the plugin interface: an emulator accepts some, and all have what the plugin uses.
var pluginVersions = []int{1, 2, 3, 4, 5}

// lab holds what counting needs: guests and a plugin.
type lab struct {
	dir       string
	archs     []architecture // those that can be counted on
	plugin    map[string]string
	goVersion string
}

// newLab builds the plugin and the guests in dir. It returns why an architecture cannot be counted on; its error is for
// what must not fail, such as the build of a guest.
func newLab(ctx context.Context, dir string, archs []architecture) (l *lab, skipped []string, err error) {
	l = &lab{dir: dir, plugin: make(map[string]string)}
	version, err := output(exec.CommandContext(ctx, "go", "env", "GOVERSION"))
	if err != nil {
		return nil, nil, err
	}
	l.goVersion = strings.TrimSpace(version)
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		return l, []string{"no gcc to build the plugin with (Debian: apt-get install gcc)"}, nil
	}
	probe := exec.CommandContext(ctx, gcc, "-shared", "-fPIC", "-x", "c", "-o", filepath.Join(dir, "probe.so"), "-")
	probe.Stdin = strings.NewReader("#include <stdio.h>\n")
	if _, err := output(probe); err != nil {
		return l, []string{fmt.Sprintf("gcc builds nothing (Debian: apt-get install libc6-dev): %v", err)}, nil
	}
	source, err := output(exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", "pcaplab/cmd/icount"))
	if err != nil {
		return nil, nil, err
	}
	source = filepath.Join(strings.TrimSpace(source), "plugin", "icount.c")
	for _, a := range archs {
		if _, err := exec.LookPath(a.emulator); err != nil {
			skipped = append(skipped, fmt.Sprintf("%s: no %s (Debian: apt-get install qemu-user; qemu-user-static takes no plugins)",
				a.name, a.emulator))
			continue
		}
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", l.guest(a), "pcaplab/cmd/icount")
		build.Env = append(os.Environ(), append(a.env, "GOOS=linux", "CGO_ENABLED=0", "GOFLAGS=", "GOEXPERIMENT=")...)
		if _, err := output(build); err != nil {
			return nil, nil, err
		}
		var refused error
		for _, v := range pluginVersions {
			plugin := filepath.Join(dir, fmt.Sprintf("icount-%d.so", v))
			cc := exec.CommandContext(ctx, gcc, "-O2", "-Wall", "-shared", "-fPIC", fmt.Sprintf("-DPLUGIN_VERSION=%d", v), "-o", plugin, source)
			if _, err := output(cc); err != nil {
				return nil, nil, err
			}
			l.plugin[a.name] = plugin
			if _, refused = l.run(ctx, cell{a.name, "direct", "udp-64"}, 0); refused == nil {
				break
			}
		}
		if refused != nil {
			if ctx.Err() != nil {
				return nil, nil, ctx.Err()
			}
			// A guest that fails by itself is no fault of the emulator's.
			if err := l.works(ctx, a); err != nil {
				return nil, nil, fmt.Errorf("%s: the program fails even without being counted: %w", a.name, err)
			}
			skipped = append(skipped, fmt.Sprintf("%s: %s does not count: %v", a.name, a.emulator, refused))
			continue
		}
		l.archs = append(l.archs, a)
	}
	return l, skipped, nil
}

func (l *lab) guest(a architecture) string { return filepath.Join(l.dir, "guest-"+a.name) }

// works runs a guest without the plugin.
func (l *lab) works(ctx context.Context, a architecture) error {
	ctx, cancel := context.WithTimeout(ctx, guestTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, a.emulator, "-cpu", a.cpu, l.guest(a), guestArgument, "direct", "udp-64", "0")
	cmd.Env = guestEnvironment
	_, err := output(cmd)
	return err
}

// guestEnvironment keeps signals of the scheduler away. The collections that the guest asks for mark and sweep while all
// else waits: nothing of them is among what is counted, and the heap that they leave does not depend on who was faster.
var guestEnvironment = []string{"GOMAXPROCS=1", "GOGC=off", "GODEBUG=asyncpreemptoff=1,gcstoptheworld=2"}

// run counts the instructions of a cell for a packet.
func (l *lab) run(ctx context.Context, key cell, again int) (float64, error) {
	i := slices.IndexFunc(architectures, func(a architecture) bool { return a.name == key.arch })
	a := architectures[i]
	file, err := os.CreateTemp(l.dir, "marks-")
	if err != nil {
		return 0, err
	}
	file.Close()
	defer os.Remove(file.Name())
	ctx, cancel := context.WithTimeout(ctx, guestTime)
	defer cancel()
	// The seed fixes what the guest gets as randomness.
	cmd := exec.CommandContext(ctx, a.emulator, "-cpu", a.cpu, "-seed", "1",
		"-plugin", fmt.Sprintf("%s,getpriority=%d,out=%s", l.plugin[a.name], a.getpriority, file.Name()),
		l.guest(a), guestArgument, key.engine, key.traffic, strconv.Itoa(again))
	cmd.Env = guestEnvironment
	if _, err := output(cmd); err != nil {
		return 0, err
	}
	marks, err := os.ReadFile(file.Name())
	if err != nil {
		return 0, err
	}
	frames := traffic[key.traffic]
	return perPacket(marks, (frames+blockFrames-1)/blockFrames, frames)
}

// perPacket reads the marks of a guest: the instructions between them, pass by pass, less those of idle in the same pass;
// by packet, the lower quartile of the passes. What differs between passes only adds: the runtime stepped in after all, or
// the allocator met a heap in less order. It is not the same from run to run, and up to two passes in three may have it.
func perPacket(marks []byte, blocks, frames int) (float64, error) {
	lines := bytes.Split(bytes.TrimSpace(marks), []byte("\n"))
	perPass := 2 * 2 * blocks
	if len(lines) != passes*perPass {
		return 0, fmt.Errorf("%d marks, want %d", len(lines), passes*perPass)
	}
	sums := make([]int64, passes)
	var thread int
	var before int64
	for i, line := range lines {
		var tag, on int
		var executed int64
		if n, err := fmt.Sscanf(string(line), "%d %d %d", &tag, &on, &executed); n != 3 {
			return 0, fmt.Errorf("mark %d: %q: %w", i+1, line, err)
		}
		if tag != i%perPass || executed <= before {
			return 0, fmt.Errorf("mark %d: %q is out of order", i+1, line)
		}
		if i > 0 && on != thread {
			return 0, fmt.Errorf("mark %d: on thread %d, those before on %d", i+1, on, thread)
		}
		switch after := tag%2 == 1; {
		case after && tag < 2*blocks:
			sums[i/perPass] += executed - before
		case after:
			sums[i/perPass] -= executed - before
		}
		thread, before = on, executed
	}
	slices.Sort(sums)
	quartile := sums[passes/4]
	if quartile <= 0 {
		return 0, errors.New("no more instructions than idle")
	}
	return float64(quartile) / float64(frames), nil
}

// output runs a command; its error holds the first lines that the command wrote.
func output(cmd *exec.Cmd) (string, error) {
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		said := strings.TrimSpace(errs.String() + out.String())
		return "", fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, said[:min(len(said), 400)])
	}
	return out.String(), nil
}
