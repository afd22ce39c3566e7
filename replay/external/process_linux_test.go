package external

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"pcaplab/parse"
	"pcaplab/replay"
)

// fakeEnv has the test binary be a program that is fed: MODE or MODE:ARGUMENT.
const fakeEnv = "PCAPLAB_FAKE"

func TestMain(m *testing.M) {
	if mode := os.Getenv(fakeEnv); mode != "" {
		os.Exit(fake(mode))
	}
	os.Exit(m.Run())
}

// fake is the program. Those that publish write what they know to word 0 before they log.
func fake(spec string) int {
	mode, argument, _ := strings.Cut(spec, ":")
	n, _ := strconv.Atoi(argument)
	in := bufio.NewReaderSize(os.Stdin, 8192)
	var header [24]byte
	switch mode {
	case "sleep":
		time.Sleep(time.Hour)
	case "deaf":
		fmt.Fprintln(os.Stderr, "I hear nothing")
		time.Sleep(time.Hour)
	case "early":
		fmt.Fprintln(os.Stderr, "no such option")
		return 2
	}
	var words []uint64
	if mode == "serve" {
		page, err := unix.Mmap(3, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			return 9
		}
		words = unsafe.Slice((*uint64)(unsafe.Pointer(&page[0])), progressWords)
		words[wordReady] = 1
	}
	if _, err := io.ReadFull(in, header[:]); err != nil {
		return 8
	}
	switch mode {
	case "close":
		os.Stdin.Close()
		time.Sleep(time.Hour)
	case "stuck":
		signal.Ignore(syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT)
	case "chatty":
		line := strings.Repeat("noise ", 1000) + "\n"
		for range 1000 {
			fmt.Print(line)
			fmt.Fprint(os.Stderr, line)
		}
	case "fork":
		child := exec.Command("/proc/self/exe")
		child.Env = append(os.Environ(), fakeEnv+"=sleep")
		child.Stdout, child.Stderr = os.Stdout, os.Stderr
		if child.Start() != nil {
			return 7
		}
	}
	var log *os.File
	if name := os.Getenv("FAKE_LOG"); name != "" {
		log, _ = os.Create(name)
	}
	out := bufio.NewWriter(log)
	var packets uint64
	for {
		var record [recordHeader]byte
		if _, err := io.ReadFull(in, record[:]); err != nil {
			break
		}
		data := make([]byte, binary.LittleEndian.Uint32(record[8:]))
		if _, err := io.ReadFull(in, data); err != nil {
			fmt.Fprintln(os.Stderr, "half a record")
			return 6
		}
		packets++
		switch mode {
		case "die":
			if int(packets) == n {
				fmt.Fprintln(os.Stderr, "first line")
				fmt.Fprintln(os.Stderr, "cannot go on")
				return 3
			}
		case "crash":
			if int(packets) == n {
				_ = unix.Kill(os.Getpid(), unix.SIGKILL)
			}
		case "stuck":
			if int(packets) == n {
				time.Sleep(time.Hour)
			}
		case "serve":
			before := monotonic()
			words[wordTaken] = packets
			after := monotonic()
			fmt.Fprintln(out, binary.LittleEndian.Uint64(data), before, after)
			for n > 0 && monotonic() < after+int64(n) {
				time.Sleep(time.Duration(after + int64(n) - monotonic()))
			}
			words[wordDone] = packets
		}
	}
	if out.Flush() != nil && log != nil {
		return 5
	}
	switch mode {
	case "garbage":
		fmt.Println("done\nall is well")
	case "more":
		fmt.Println(packets + 1)
	case "less":
		fmt.Println(packets - 10)
	case "fail":
		fmt.Println(packets)
		fmt.Fprintln(os.Stderr, "no space left")
		return 4
	case "slowend":
		time.Sleep(time.Hour)
	default:
		fmt.Println(packets, 0)
	}
	return 0
}

func monotonic() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return ts.Nano()
}

// numbered gives frames that begin with their number, up to a count if it is not 0.
type numbered struct {
	n, count uint64
	size     int
	data     []byte
}

func (s *numbered) Next(f *parse.Frame) error {
	if s.count > 0 && s.n == s.count {
		return io.EOF
	}
	if s.data == nil {
		s.data = make([]byte, max(s.size, 60))
	}
	binary.LittleEndian.PutUint64(s.data, s.n)
	s.n++
	*f = parse.Frame{UnixNano: 1_700_000_000e9, Data: s.data, WireLen: len(s.data), Link: parse.LinkEthernet}
	return nil
}

// start starts a fake program. When the test ends, nothing of it may be left.
func start(t *testing.T, mode string, cfg Config) (*Process, error) {
	t.Helper()
	fds, goroutines := openFiles(t), runtime.NumGoroutine()
	p, err := Command("fake=/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p.argv = []string{self}
	cfg.Env = append(cfg.Env, fakeEnv+"="+mode)
	ps, err := p.Start(context.Background(), cfg)
	t.Cleanup(func() {
		if ps != nil {
			pid := ps.cmd.Process.Pid
			for range 2 {
				if err := ps.Close(); err != nil {
					t.Error(err)
				}
			}
			if killSession(pid) {
				t.Error("a process of the session was left")
			}
		}
		if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); err != unix.ECHILD {
			t.Errorf("a child was left: %d, %v", pid, err)
		}
		for until := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			f, g := openFiles(t), runtime.NumGoroutine()
			if f <= fds && g <= goroutines {
				break
			}
			if time.Now().After(until) {
				t.Errorf("%d files were open and %d goroutines there before, now %d and %d", fds, goroutines, f, g)
				break
			}
		}
	})
	return ps, err
}

func openFiles(t *testing.T) int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func pps(t testing.TB, rate float64) replay.Pacer {
	p, err := replay.ConstantPPS(rate)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const patience = time.Minute // of tests: what should not take so long has failed

func TestUnderload(t *testing.T) {
	for _, mode := range []string{"serve", "count"} {
		t.Run(mode, func(t *testing.T) {
			ps, err := start(t, mode, Config{PipeOctets: 64 << 10})
			if err != nil {
				t.Fatal(err)
			}
			cfg := replay.Config{Pacer: pps(t, 20000), Frames: 4000, Drain: patience, Width: 1, Queue: replay.Queue{Frames: 1 << 16}}
			r, err := ps.Run(context.Background(), cfg, &numbered{size: 300})
			if err != nil {
				t.Fatal(err)
			}
			if r.Offered != 4000 || r.Dropped != 0 || r.Served != 4000 || r.Delivered+r.LateDrained != 4000 || r.Unsent != 0 ||
				r.Duration != 200*time.Millisecond || r.OfferedOctets != 4000*300 || r.Lateness.Samples == 0 {
				t.Errorf("%+v", r)
			}
			o, err := ps.Finish(context.Background(), patience)
			if err != nil {
				t.Fatal(err)
			}
			if (o.Counts != Counts{4000, 0, true}) || o.Admitted != 4000 || o.Given != 4000 || o.Counter != (mode == "serve") ||
				o.Result != r || len(o.Warnings) > 0 || o.PipeOctets != 64<<10 {
				t.Errorf("%+v", o)
			}
			checkUsage(t, &o)
			if _, err := ps.Run(context.Background(), cfg, &numbered{}); err == nil {
				t.Error("a second trial")
			}
		})
	}
}

func checkUsage(t *testing.T, o *Outcome) {
	t.Helper()
	u := &o.Usage
	if u.StartUp.CPUNs <= 0 || u.StartUp.WallNs <= 0 || u.Traffic.CPUNs <= 0 || u.Traffic.WallNs <= 0 ||
		u.Whole.WallNs < u.Traffic.WallNs || u.Whole.CPUNs < u.Traffic.CPUNs ||
		u.Session.CPUNs < u.StartUp.CPUNs+u.Whole.CPUNs || u.Session.PeakOctets == nil || *u.Session.PeakOctets < 1<<20 ||
		*u.Session.PeakOctets > 1<<30 || *u.Session.SumPeakOctets <= 0 || u.FeederCPUNs == nil || *u.FeederCPUNs <= 0 ||
		!u.Session.Processes[0].Ended {
		t.Errorf("%+v", u)
	}
}

// A drop must find the queue full: where m frames were admitted before a dropped one, the one K places before had not been
// taken when it was due. The program's log proves that on any host, however slow. And no more can be admitted than were
// taken by the end plus K.
func TestQueueIsExact(t *testing.T) {
	for _, tt := range []struct {
		name  string
		queue replay.Queue
		holds int
		cost  time.Duration
		pacer func() (replay.Pacer, error)
	}{
		{"constant", replay.Queue{Frames: 32}, 32, time.Millisecond, func() (replay.Pacer, error) { return replay.ConstantPPS(2000) }},
		{"poisson", replay.Queue{Frames: 8}, 8, time.Millisecond, func() (replay.Pacer, error) { return replay.Poisson(1200, 7) }},
		{"bursts", replay.Queue{Frames: 20}, 20, 500 * time.Microsecond, func() (replay.Pacer, error) { return replay.Burst(2500, 50) }},
		{"octets", replay.Queue{Octets: 10 * 300}, 10, time.Millisecond, func() (replay.Pacer, error) { return replay.ConstantPPS(3000) }},
		{"truesize", replay.Queue{Octets: 10*1280 - 1, Charge: replay.ChargeTruesize}, 10, time.Millisecond,
			func() (replay.Pacer, error) { return replay.ConstantPPS(3000) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			log := filepath.Join(t.TempDir(), "log")
			ps, err := start(t, fmt.Sprintf("serve:%d", tt.cost), Config{Env: []string{"FAKE_LOG=" + log}})
			if err != nil {
				t.Fatal(err)
			}
			pacer, err := tt.pacer()
			if err != nil {
				t.Fatal(err)
			}
			began := monotonic()
			cfg := replay.Config{Pacer: pacer, Duration: time.Second, Queue: tt.queue}
			r, err := ps.Run(context.Background(), cfg, &numbered{size: 300})
			ended := monotonic()
			if err != nil {
				t.Fatal(err)
			}
			o, err := ps.Finish(context.Background(), patience)
			if err != nil {
				t.Fatal(err)
			}
			takes := readLog(t, log)
			if r.Dropped == 0 || r.Offered != r.Delivered+r.Dropped+r.Residual || o.Packets != uint64(len(takes)) ||
				o.Packets != o.Admitted || o.Admitted != r.Offered-r.Dropped || r.MaxBacklog > tt.holds {
				t.Errorf("%+v", o)
			}
			admitted := make(map[uint64]bool)
			byEnd := 0
			for i, take := range takes {
				if i > 0 && take.number <= takes[i-1].number {
					t.Fatalf("frame %d after %d", take.number, takes[i-1].number)
				}
				admitted[take.number] = true
				if take.before <= ended {
					byEnd++
				}
			}
			if len(takes) > byEnd+tt.holds {
				t.Errorf("%d frames were admitted, %d taken by the end, and the queue holds %d", len(takes), byEnd, tt.holds)
			}
			if most := (ended-began)/int64(tt.cost) + int64(tt.holds) + 2; int64(len(takes)) > most {
				t.Errorf("%d frames were admitted: at most %d could be", len(takes), most)
			}
			m := 0
			for i := range r.Offered {
				due := began + int64(pacer.Due(replay.Position{Frame: i, Octets: 300 * i}))
				if admitted[i] {
					m++
				} else if m < tt.holds || takes[m-tt.holds].after <= due {
					t.Fatalf("frame %d was dropped after %d admitted: there was room", i, m)
				}
			}
		})
	}
}

type take struct {
	number        uint64
	before, after int64
}

func readLog(t *testing.T, name string) []take {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var takes []take
	for line := range strings.Lines(string(b)) {
		var k take
		if _, err := fmt.Sscan(line, &k.number, &k.before, &k.after); err != nil {
			t.Fatal(err)
		}
		takes = append(takes, k)
	}
	return takes
}

func TestPipeIsPartOfTheQueue(t *testing.T) {
	// The program reads nothing after its first buffer of 8192 octets: 100 frames of 60+16 octets and the header.
	ps, err := start(t, "stuck:1", Config{})
	if err != nil {
		t.Fatal(err)
	}
	cfg := replay.Config{Pacer: pps(t, 5000), Duration: 200 * time.Millisecond, Queue: replay.Queue{Frames: 50}}
	r, err := ps.Run(context.Background(), cfg, &numbered{size: 60})
	if err != nil {
		t.Fatal(err)
	}
	if r.Offered != 1000 || r.Residual != 50 || r.MaxBacklog != 50 || r.Dropped < 1000-50-120 {
		t.Errorf("%+v", r)
	}
	o, err := ps.Finish(context.Background(), 100*time.Millisecond)
	var early *EndedError
	if !errors.As(err, &early) || !strings.Contains(early.Status, "killed") || o.Admitted != r.Offered-r.Dropped {
		t.Errorf("%v, %+v", err, o)
	}
}

func TestClosedLoop(t *testing.T) {
	for _, mode := range []string{"serve", "count"} {
		for _, cfg := range []replay.Config{{Frames: 20000}, {Duration: 200 * time.Millisecond}, {}} {
			t.Run(fmt.Sprintf("%s %d %v", mode, cfg.Frames, cfg.Duration), func(t *testing.T) {
				ps, err := start(t, mode, Config{})
				if err != nil {
					t.Fatal(err)
				}
				source := &numbered{size: 300}
				if cfg.Frames == 0 && cfg.Duration == 0 {
					source.count = 5000
				}
				r, err := ps.Run(context.Background(), cfg, source)
				if err != nil {
					t.Fatal(err)
				}
				o, err := ps.Finish(context.Background(), patience)
				if err != nil || o.Packets != r.Offered || r.Delivered != r.Offered || r.Dropped != 0 || r.Residual != 0 ||
					cfg.Frames > 0 && r.Offered != cfg.Frames || source.count > 0 && r.Offered != source.count ||
					r.Elapsed < cfg.Duration || r.Duration != r.Elapsed || r.Busy != r.Elapsed {
					t.Errorf("%v, %+v", err, o)
				}
				checkUsage(t, &o)
			})
		}
	}
}

func TestBadPrograms(t *testing.T) {
	ctx := context.Background()
	begin := func(t *testing.T, mode string) *Process {
		ps, err := start(t, mode, Config{})
		if err != nil {
			t.Fatal(err)
		}
		return ps
	}
	frames := replay.Config{Frames: 2000, Queue: replay.Queue{Frames: 1 << 16}}
	t.Run("never reads", func(t *testing.T) {
		_, err := start(t, "deaf", Config{Ready: 300 * time.Millisecond})
		if err == nil || !strings.Contains(err.Error(), "has not read") || !strings.Contains(err.Error(), "fake") {
			t.Error(err)
		}
	})
	t.Run("ends at once", func(t *testing.T) {
		_, err := start(t, "early", Config{})
		var early *EndedError
		if !errors.As(err, &early) || early.Status != "exit status 2" || early.Stderr != "no such option" {
			t.Error(err)
		}
	})
	for _, tt := range []struct {
		mode, status string
		given        uint64
	}{{"die:500", "exit status 3", 500}, {"crash:500", "signal: killed", 500}, {"close", "closed its standard input", 0}} {
		for _, pacer := range []replay.Pacer{nil, pps(t, 5000)} {
			t.Run(fmt.Sprintf("%s %v", tt.mode, pacer != nil), func(t *testing.T) {
				ps := begin(t, tt.mode)
				cfg := frames
				cfg.Frames, cfg.Duration, cfg.Pacer = 0, patience, pacer
				r, err := ps.Run(ctx, cfg, &numbered{size: 300})
				var early *EndedError
				if !errors.As(err, &early) || early.Status != tt.status || early.Program != "fake" || early.Given < tt.given ||
					r.Offered < tt.given || r.Offered != r.Delivered+r.Dropped+r.Residual {
					t.Errorf("%v, %+v", err, r)
				}
				if tt.given > 0 && tt.mode[0] == 'd' && !strings.Contains(err.Error(), "cannot go on") {
					t.Error(err)
				}
				if o, err := ps.Finish(ctx, 100*time.Millisecond); err == nil || o.Usage.Session.CPUNs <= 0 {
					t.Errorf("%v, %+v", err, o)
				}
			})
		}
	}
	t.Run("garbage", func(t *testing.T) {
		ps := begin(t, "garbage")
		if _, err := ps.Run(ctx, frames, &numbered{}); err != nil {
			t.Fatal(err)
		}
		_, err := ps.Finish(ctx, patience)
		var counts *CountsError
		if !errors.As(err, &counts) || !strings.Contains(err.Error(), "all is well") {
			t.Error(err)
		}
	})
	t.Run("fails in the end", func(t *testing.T) {
		ps := begin(t, "fail")
		if _, err := ps.Run(ctx, frames, &numbered{}); err != nil {
			t.Fatal(err)
		}
		o, err := ps.Finish(ctx, patience)
		var early *EndedError
		if !errors.As(err, &early) || early.Status != "exit status 4" || early.Given != 2000 || o.Packets != 2000 ||
			!strings.Contains(err.Error(), "no space left") {
			t.Errorf("%v, %+v", err, o)
		}
	})
	t.Run("counts more", func(t *testing.T) {
		ps := begin(t, "more")
		if _, err := ps.Run(ctx, frames, &numbered{}); err != nil {
			t.Fatal(err)
		}
		o, err := ps.Finish(ctx, patience)
		if err != nil || o.Packets != 2001 || o.Result.Delivered != 2000 || len(o.Warnings) != 1 {
			t.Errorf("%v, %+v", err, o)
		}
	})
	t.Run("counts less", func(t *testing.T) {
		ps := begin(t, "less")
		if _, err := ps.Run(ctx, frames, &numbered{size: 100}); err != nil {
			t.Fatal(err)
		}
		o, err := ps.Finish(ctx, patience)
		r := o.Result
		if err != nil || r.Delivered != 1990 || r.Residual != 10 || r.DeliveredOctets != 199000 || len(o.Warnings) != 1 ||
			r.Offered != r.Delivered+r.Dropped+r.Residual {
			t.Errorf("%v, %+v", err, o)
		}
	})
	t.Run("writes a lot", func(t *testing.T) {
		ps := begin(t, "chatty")
		if _, err := ps.Run(ctx, frames, &numbered{}); err != nil {
			t.Fatal(err)
		}
		if o, err := ps.Finish(ctx, patience); err != nil || o.Packets != 2000 {
			t.Errorf("%v, %+v", err, o)
		}
		if n := cap(ps.stdout.tail); n > 8*stdoutTail {
			t.Errorf("%d octets are kept", n)
		}
	})
	t.Run("leaves a process behind", func(t *testing.T) {
		ps := begin(t, "fork")
		if _, err := ps.Run(ctx, frames, &numbered{}); err != nil {
			t.Fatal(err)
		}
		o, err := ps.Finish(ctx, patience)
		if err != nil || o.Packets != 2000 || len(o.Usage.Session.Processes) < 2 {
			t.Errorf("%v, %+v", err, o)
		}
	})
	t.Run("never ends", func(t *testing.T) {
		ps := begin(t, "slowend")
		if _, err := ps.Run(ctx, frames, &numbered{}); err != nil {
			t.Fatal(err)
		}
		o, err := ps.Finish(ctx, 200*time.Millisecond)
		if err == nil || !strings.Contains(err.Error(), "killed") || o.Given != 2000 || o.Usage.Whole.WallNs == 0 {
			t.Errorf("%v, %+v", err, o)
		}
	})
	t.Run("ignores signals, cancelled", func(t *testing.T) {
		for _, pacer := range []replay.Pacer{nil, pps(t, 1000)} {
			ps := begin(t, "stuck:10")
			ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
			defer cancel()
			cfg := replay.Config{Duration: patience, Pacer: pacer, Queue: replay.Queue{Frames: 50}}
			r, err := ps.Run(ctx, cfg, &numbered{size: 300})
			if !errors.Is(err, context.DeadlineExceeded) || r.Offered == 0 || r.Offered != r.Delivered+r.Dropped+r.Residual {
				t.Errorf("%v, %+v", err, r)
			}
			if o, err := ps.Finish(ctx, patience); err == nil || o.Admitted == 0 || o.Result != r {
				t.Errorf("%v, %+v", err, o)
			}
		}
	})
	t.Run("cancelled in Finish", func(t *testing.T) {
		ps := begin(t, "slowend")
		ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		defer cancel()
		if _, err := ps.Finish(ctx, patience); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
	t.Run("no trial", func(t *testing.T) {
		ps := begin(t, "count")
		if o, err := ps.Finish(ctx, patience); err != nil || o.Packets != 0 {
			t.Errorf("%v, %+v", err, o)
		}
	})
	t.Run("only closed", func(t *testing.T) { begin(t, "stuck:1") })
}

// A slow program is waited for as long as it works, however much longer than wait that is.
func TestFinishWaitsForWorkNotForTime(t *testing.T) {
	ps, err := start(t, "serve:100000000", Config{})
	if err != nil {
		t.Fatal(err)
	}
	cfg := replay.Config{Pacer: pps(t, 1e6), Frames: 50, Queue: replay.Queue{Frames: 100}}
	if _, err := ps.Run(context.Background(), cfg, &numbered{size: 60}); err != nil {
		t.Fatal(err)
	}
	o, err := ps.Finish(context.Background(), 2*time.Second) // all takes 5 s
	if err != nil || o.Packets != 50 {
		t.Errorf("%d of 50 counted, %v", o.Packets, err)
	}
}

func TestConfig(t *testing.T) {
	ctx := context.Background()
	for _, cfg := range []Config{{PipeOctets: -1}, {Snaplen: -1}, {Snaplen: maxSnaplen + 1}, {Ready: -1}} {
		if _, err := start(t, "count", cfg); err == nil {
			t.Errorf("%+v was taken", cfg)
		}
	}
	if _, err := Programs()[0].Start(ctx, Config{Link: 101}); err == nil || !strings.Contains(err.Error(), "101") {
		t.Errorf("dpkt takes raw IP: %v", err)
	}
	ps, err := start(t, "count", Config{Link: 101})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ps.Run(ctx, replay.Config{Duration: -1}, &numbered{}); err == nil {
		t.Error("a negative duration")
	}
	if _, err := ps.Run(ctx, replay.Config{}, &numbered{}); err == nil || !strings.Contains(err.Error(), "link type 1") {
		t.Errorf("another link type: %v", err)
	}
}

func TestStartFails(t *testing.T) {
	name := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(name, []byte("\x7fELF"), 0o755); err != nil {
		t.Fatal(err)
	}
	p, err := Command("broken='" + name + "'")
	if err != nil {
		t.Fatal(err)
	}
	fds := openFiles(t)
	if _, err := p.Start(context.Background(), Config{}); err == nil || !strings.Contains(err.Error(), "start broken") {
		t.Error(err)
	}
	if n := openFiles(t); n != fds {
		t.Errorf("%d files were open before, now %d", fds, n)
	}
}

func TestRunAllocatesNothingPerFrame(t *testing.T) {
	ps, err := start(t, "serve", Config{})
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := ps.Run(context.Background(), replay.Config{Frames: 200_000}, &numbered{size: 300}); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if n := after.Mallocs - before.Mallocs; n > 20_000 {
		t.Errorf("%d allocations for 200000 frames", n)
	}
}
