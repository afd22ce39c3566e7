package cli

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"pcaplab/datasets"
	"pcaplab/datasets/pcapio"
	"pcaplab/parse"
	"pcaplab/replay"
	"pcaplab/replay/inject"
	"pcaplab/replay/split"
)

func TestReplayUsage(t *testing.T) {
	in := write(t, filepath.Join(t.TempDir(), "in"), captureOf(t, 3, pcapio.WriterConfig{}, nil))
	for _, tt := range []struct {
		name string
		args string
		want string
	}{
		{"nothing", "", "want a capture"},
		{"no way out", in, "(-i) or a file to write (-w)"},
		{"two ways out", "-i nowhere0 -w out " + in, "-i sends and -w writes a file instead: choose one"},
		{"one interface twice", "-i nowhere0 -I nowhere0 -c x " + in, "-I nowhere0 is the interface of -i too"},
		{"no capture", "-i nowhere0", "want a capture"},
		{"rate and bit rate", "-i nowhere0 -p 1 -M 1 " + in, "--pps and --mbps: choose one timing"},
		{"top speed and recorded", "-i nowhere0 -t -x 2 " + in, "--multiplier and --topspeed: choose one"},
		{"one at a time and rate", "-i nowhere0 -o -p 1 " + in, "--pps and --oneatatime: choose one"},
		{"three timings", "-i nowhere0 -t -p 1 -M 1 " + in, "--pps and --mbps and --topspeed: choose one"},
		{"multiplier 0", "-i nowhere0 -x 0 " + in, "--multiplier 0: must be above 0"},
		{"multiplier below 0", "-i nowhere0 -x -1 " + in, "must be above 0"},
		{"multiplier that is none", "-i nowhere0 -x nan " + in, "--multiplier NaN: must be above 0"},
		{"rate below 0", "-i nowhere0 -p -1 " + in, "is not a number"},
		{"rate that is none", "-i nowhere0 -p fast " + in, "is not a number such as"},
		{"rate of two units", "-i nowhere0 -p 1kM " + in, "is not a number such as"},
		{"rate out of range", "-i nowhere0 -p 1e300 " + in, "--pps: rate of 1e+300 pps: out of range"},
		{"bit rate out of range", "-i nowhere0 -M 1e300 " + in, "--mbps: "},
		{"multiplier out of range", "-i nowhere0 -x 1e300 " + in, "--multiplier: "},
		{"cap out of range", "-i nowhere0 --max-pps 1e300 " + in, "--max-pps: "},
		{"bit rate that is none", "-i nowhere0 -M x " + in, "is not a number such as"},
		{"cap that is none", "-i nowhere0 --max-pps nan " + in, "is not a number such as"},
		{"pattern without a rate", "-i nowhere0 --pattern poisson " + in, "need a rate: -p"},
		{"pattern at top speed", "-i nowhere0 -p 0 --pattern poisson " + in, "need a rate above 0"},
		{"pattern that is none", "-i nowhere0 -p 5 --pattern now " + in, `--pattern "now": want constant, poisson, burst:N, onoff:ON/OFF or ramp:FROM-TO/TIME`},
		{"pattern with a fault", "-i nowhere0 -p 5 --pattern onoff:1 " + in, "--pattern: "},
		{"pattern of another command", "-i nowhere0 -p 5 --pattern recorded " + in, "want constant, poisson"},
		{"pattern and bursts", "-i nowhere0 -p 5 --pattern poisson --pps-multi 2 " + in, "give one"},
		{"bursts of none", "-i nowhere0 -p 5 --pps-multi 0 " + in, "1 or more"},
		{"bursts without a rate", "-i nowhere0 --pps-multi 2 " + in, "need a rate"},
		{"longest gap of a rate", "-i nowhere0 -p 5 --maxsleep 2 " + in, "for recorded timing"},
		{"longest gap below 0", "-i nowhere0 --maxsleep -2 " + in, "0 or more"},
		{"passes", "-i nowhere0 -l -1 " + in, "want 0 or more"},
		{"pause", "-i nowhere0 -l 2 --loopdelay-ms -1 " + in, "--loopdelay-ms -1"},
		{"pause of ages", "-i nowhere0 -l 2 --loopdelay-ms 9223372036854775807 " + in, "want 0 to"},
		{"duration 0", "-i nowhere0 --duration 0 " + in, "above 0"},
		{"duration that is none", "-i nowhere0 --duration long " + in, "1m30s"},
		{"numbers", "-i nowhere0 --include 5-1 " + in, "packet numbers such as"},
		{"number 0", "-i nowhere0 --exclude 0 " + in, "packet numbers such as"},
		{"no numbers", "-i nowhere0 --exclude - " + in, "packet numbers such as"},
		{"in and out", "-i nowhere0 --include 1 --exclude 2 " + in, "give one"},
		{"timer", "-i nowhere0 -T select " + in, "keep no rate"},
		{"timer and spin", "-i nowhere0 -T nano --spin on " + in, "give one"},
		{"spin", "-i nowhere0 --spin fast " + in, "want auto, on or off"},
		{"backend", "-i nowhere0 --backend pigeon " + in, `"pigeon"`},
		{"oversize", "-i nowhere0 --oversize fold " + in, `"fold"`},
		{"batch", "-i nowhere0 --batch 100000 " + in, "batch of 100000"},
		{"priority", "-i nowhere0 --fifo 100 " + in, "1 to 99"},
		{"CPU", "-i nowhere0 --cpu -2 " + in, "--cpu"},
		{"lateness", "-i nowhere0 --late 0s " + in, "above 0"},
		{"statistics", "-i nowhere0 --stats often " + in, "seconds"},
		{"second interface without sides", "-i nowhere0 -I nowhere1 " + in, "-c (see 'split')"},
		{"second interface of a file", "-w out -I nowhere1 -c x " + in, "--intf2 is for an interface"},
		{"verify a file", "-w out --verify " + in, "--verify is for an interface"},
		{"verify two", "-i nowhere0 -I nowhere1 -c x --verify " + in, "it takes no -I"},
		{"backend of a file", "-w out --backend xdp " + in, "--backend is for an interface"},
		{"file without end", "-w out -l 0 " + in, "add -L or --duration"},
		{"file without end at top speed", "-w out -t -l 0 --duration 5 " + in, "takes no time"},
		{"file to a pipe", "-w - " + in, "name a file"},
		{"two uses of standard input", "-i nowhere0 -o -", "asks on standard input"},
		{"standard input twice", "-i nowhere0 - -", "once"},
		{"addresses without passes", "-i nowhere0 --unique-ip-loops 2 " + in, "and --unique-ip"},
		{"memory without -K", "-i nowhere0 --memory-limit 1G " + in, "for -K"},
		{"values for sides", "-i nowhere0 --enet-dmac 02:00:00:00:00:01,02:00:00:00:00:02 " + in, "only --cachefile tells"},
		{"faulty edit", "-i nowhere0 --ttl x --pnat y " + in, "--ttl x"},
		{"profile", "-i nowhere0 synth:iot-9", "iot-1"},
		{"unknown flag", "-i nowhere0 --pktlen " + in, "pktlen"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, stderr := run(t, ExitUsage, append([]string{"replay"}, strings.Fields(tt.args)...)...); !strings.Contains(stderr, tt.want) {
				t.Errorf("said %q, want %q", stderr, tt.want)
			}
		})
	}
	if _, err := os.Stat("out"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something was written: %v", err)
	}
}

// due returns the frames with the times at which they are due, counted from the first's.
func due(frames []parse.Frame, at func(i int) int64) []parse.Frame {
	out := slices.Clone(frames)
	for i := range out {
		out[i].UnixNano = frames[0].UnixNano + at(i)
	}
	return out
}

// per returns n*unit/rate ns, rounded to nearest.
func per(n, unit int64, rate float64) int64 {
	x := new(big.Rat).SetInt(new(big.Int).Mul(big.NewInt(n), big.NewInt(unit)))
	x.Quo(x, new(big.Rat).SetFloat64(rate))
	x.Add(x, big.NewRat(1, 2))
	return new(big.Int).Quo(x.Num(), x.Denom()).Int64()
}

// span returns the time from the first to the last frame, and a mean gap.
func spanOf(frames []parse.Frame) (span, gap int64) {
	span = frames[len(frames)-1].UnixNano - frames[0].UnixNano
	return span, span / int64(len(frames)-1)
}

// passesOf returns passes over frames, between which time goes on.
func passesOf(frames []parse.Frame, n int) (all []parse.Frame) {
	span, gap := spanOf(frames)
	for i := range n {
		for _, f := range frames {
			f.UnixNano += int64(i) * (span + gap)
			all = append(all, f)
		}
	}
	return all
}

// TestReplayWritesWhatIsDueWhen compares -w with due times that are computed here from the capture.
func TestReplayWritesWhatIsDueWhen(t *testing.T) {
	dir := t.TempDir()
	raw := captureOf(t, 200, pcapio.WriterConfig{Nano: true}, nil)
	in, _ := framesOf(t, raw)
	path := write(t, filepath.Join(dir, "a.pcap"), raw)
	others := captureOf(t, 90, pcapio.WriterConfig{Container: pcapio.PcapNG, Nano: true}, func(i int, f *parse.Frame) {
		f.UnixNano = in[0].UnixNano + int64(i)*7_654_321 + 1_000_001
		f.Data[5] ^= 0x55
	})
	second, _ := framesOf(t, others)
	path2 := write(t, filepath.Join(dir, "b.pcapng"), others)
	since := func(i int) int64 { return in[i].UnixNano - in[0].UnixNano }
	recorded := func(speed float64) func() []parse.Frame {
		return func() []parse.Frame {
			return due(in, func(i int) int64 { return per(since(i), 1, speed) })
		}
	}
	cut := func(speed float64, most int64) func() []parse.Frame {
		return func() []parse.Frame {
			var sum int64
			return due(in, func(i int) int64 {
				if i > 0 {
					sum += min(since(i)-since(i-1), int64(float64(most)*speed))
				}
				return per(sum, 1, speed)
			})
		}
	}
	pps := func(rate float64, n int64) func() []parse.Frame {
		return func() []parse.Frame {
			return due(in, func(i int) int64 { return per(int64(i)/n*n, 1e9, rate) })
		}
	}
	octets := func(frames []parse.Frame) func(i int) int64 {
		return func(i int) (sum int64) {
			for _, f := range frames[:i] {
				sum += int64(len(f.Data))
			}
			return sum
		}
	}
	chosen := func(keep func(n int) bool) []parse.Frame {
		var list []parse.Frame
		for i, f := range in {
			if keep(i + 1) {
				list = append(list, f)
			}
		}
		return list
	}
	for _, tt := range []struct {
		name string
		args string
		want func() []parse.Frame
	}{
		{"recorded", path, recorded(1)},
		{"twice as fast", "-x 2 " + path, recorded(2)},
		{"a third as fast", "--multiplier 0.3 " + path, recorded(0.3)},
		{"rate", "-p 1000 " + path, pps(1000, 1)},
		{"rate with a unit", "--pps=1.5k " + path, pps(1500, 1)},
		{"fraction of a packet a second", "-p 0.7 " + path, pps(0.7, 1)},
		{"bursts", "-p 1000 --pps-multi 7 " + path, pps(1000, 7)},
		{"bursts as a pattern", "-p 1000 --pattern burst:7 " + path, pps(1000, 7)},
		{"on and off", "-p 100 --pattern onoff:10ms/90ms " + path, func() []parse.Frame {
			return due(in, func(i int) int64 { return int64(i)*1e6 + int64(i/10)*90e6 })
		}},
		{"bit rate", "-M 10 " + path, func() []parse.Frame {
			return due(in, func(i int) int64 { return per(octets(in)(i), 8e9, 10e6) })
		}},
		{"bit rate over passes", "-l 2 -M 0.3 " + path, func() []parse.Frame {
			all := append(slices.Clone(in), in...)
			return due(all, func(i int) int64 { return per(octets(all)(i), 8e9, 0.3e6) })
		}},
		{"top speed keeps times", "-t " + path, recorded(1)},
		{"rate 0 is top speed", "-p 0 " + path, recorded(1)},
		{"bit rate 0 is top speed", "-M 0 " + path, recorded(1)},
		{"longest gap", "--maxsleep 2 " + path, cut(1, 2e6)},
		{"longest gap, faster", "-x 4 --maxsleep 1 " + path, cut(4, 1e6)},
		{"longest gap of ages", "--maxsleep 9223372036854775807 " + path, recorded(1)},
		{"never faster", "--max-pps 200 " + path, func() []parse.Frame {
			last := int64(-5e6)
			return due(in, func(i int) int64 {
				last = max(last+5e6, since(i))
				return last
			})
		}},
		{"top speed, never faster", "-t --max-pps 0.2k " + path, pps(200, 1)},
		{"passes", "-l 3 " + path, func() []parse.Frame { return passesOf(in, 3) }},
		{"passes with pauses", "-l 3 --loopdelay-ms 50 -x 2 " + path, func() []parse.Frame {
			all := passesOf(in, 3)
			return due(all, func(i int) int64 { return per(all[i].UnixNano-in[0].UnixNano, 1, 2) + int64(i/len(in))*50e6 })
		}},
		{"passes without end", "-l 0 -L 450 " + path, func() []parse.Frame { return passesOf(in, 3)[:450] }},
		{"number", "-L 17 " + path, func() []parse.Frame { return in[:17] }},
		{"time", "-p 100 -l 0 --duration 2.5 " + path, func() []parse.Frame {
			return due(append(slices.Clone(in), in...)[:250], func(i int) int64 { return int64(i) * 1e7 })
		}},
		{"time with units", "-p 100 --duration 1s500ms " + path, func() []parse.Frame {
			return due(in[:150], func(i int) int64 { return int64(i) * 1e7 })
		}},
		{"some", "--include 3-5,9,190- " + path, func() []parse.Frame {
			return chosen(func(n int) bool { return n >= 3 && n <= 5 || n == 9 || n >= 190 })
		}},
		{"some, said twice", "--include 9 --include 3-5 " + path, func() []parse.Frame {
			return chosen(func(n int) bool { return n >= 3 && n <= 5 || n == 9 })
		}},
		{"all but some", "--exclude=-10,12 " + path, func() []parse.Frame { return chosen(func(n int) bool { return n == 11 || n > 12 }) }},
		{"some of each pass", "-p 10 -l 2 --include 5-6 " + path, func() []parse.Frame {
			return due([]parse.Frame{in[4], in[5], in[4], in[5]}, func(i int) int64 { return int64(i) * 1e8 })
		}},
		{"number of chosen ones", "--include 9- -L 2 " + path, func() []parse.Frame { return in[8:10] }},
		{"one after another", path + " " + path2, func() []parse.Frame {
			_, gap := spanOf(in)
			all := slices.Clone(in)
			for _, f := range second {
				f.UnixNano += in[len(in)-1].UnixNano + gap - second[0].UnixNano
				all = append(all, f)
			}
			return all
		}},
		{"together", "--merge " + path + " " + path2, func() []parse.Frame {
			all := append(slices.Clone(in), second...)
			slices.SortStableFunc(all, func(a, b parse.Frame) int { return cmp.Compare(a.UnixNano, b.UnixNano) })
			return all
		}},
		{"together, twice", "--merge -l 2 " + path2 + " " + path, func() []parse.Frame {
			all := append(slices.Clone(second), in...)
			slices.SortStableFunc(all, func(a, b parse.Frame) int { return cmp.Compare(a.UnixNano, b.UnixNano) })
			return passesOf(all, 2)
		}},
		{"nothing", "--exclude 1- -l 0 -L 5 " + path, func() []parse.Frame { return nil }},
	} {
		for _, how := range []struct{ name, args, out string }{{"pcap", "", "out.pcap"}, {"pcapng, loaded", "-K", "out.pcapng"}} {
			t.Run(tt.name+"/"+how.name, func(t *testing.T) {
				out := filepath.Join(dir, how.out)
				stdout, _ := run(t, ExitDone, append([]string{"replay", "--json", "-w", out}, strings.Fields(how.args+" "+tt.args)...)...)
				want := tt.want()
				got, facts := framesOf(t, read(t, out))
				if len(got) != len(want) || facts.Interfaces != nil && facts.Interfaces[0].Resolution != 9 {
					t.Fatalf("%d frames, want %d; %+v", len(got), len(want), facts)
				}
				for i := range got {
					if got[i].UnixNano != want[i].UnixNano || got[i].WireLen != want[i].WireLen || !bytes.Equal(got[i].Data, want[i].Data) {
						t.Fatalf("frame %d: at %d, want %d (%+v)", i+1, got[i].UnixNano-want[0].UnixNano, want[i].UnixNano-want[0].UnixNano, got[i])
					}
				}
				reconciled(t, stdout)
			})
		}
	}
}

// reconciled checks that the counts of a result add up, and returns it.
func reconciled(t *testing.T, stdout string) playResult {
	t.Helper()
	var p playResult
	d := json.NewDecoder(strings.NewReader(stdout))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		t.Fatalf("%v: %s", err, stdout)
	}
	c, r := p.Chosen, p.Result
	if c.Read != c.Excluded+c.Deleted+c.Held+r.Frames || r.Frames+r.Pieces != r.Sent+r.Failed+r.Dropped+r.Runt+r.Skipped+r.Unsent {
		t.Errorf("the counts do not add up: %+v of %+v", r, c)
	}
	if left := r.Skipped + r.Runt; p.Flows != nil && r.Unsent == 0 && p.Flows.Packets+p.Flows.NoFlow != r.Frames-left {
		t.Errorf("flows of %+v, %d frames", p.Flows, r.Frames)
	}
	var seconds, octets uint64
	for _, s := range r.Seconds {
		seconds += s.Frames
		octets += s.Octets
	}
	if r.Failed+r.Dropped+r.Unsent == 0 && (seconds != r.Sent || octets != r.Octets) {
		t.Errorf("%d frames of %d octets in seconds, %d of %d sent", seconds, octets, r.Sent, r.Octets)
	}
	return p
}

// TestReplayOfMoreThanMemory: what is said to help is there.
func TestReplayOfMoreThanMemory(t *testing.T) {
	dir := t.TempDir()
	in := write(t, filepath.Join(dir, "in"), captureOf(t, 20000, pcapio.WriterConfig{Nano: true}, nil))
	_, stderr := run(t, ExitFailed, "replay", "-K", "--memory-limit", "1M", "-w", filepath.Join(dir, "out"), in)
	if !strings.Contains(stderr, "allow more with --memory-limit, or leave out -K") || strings.Contains(stderr, "--packets") {
		t.Error(stderr)
	}
}

// TestReplayPrints: rates and shares are of times that mean something.
func TestReplayPrints(t *testing.T) {
	paced := func(sent uint64, elapsed, lasted time.Duration) inject.Result {
		return inject.Result{Frames: sent, Sent: sent, Octets: 60 * sent, Elapsed: elapsed, Lasted: lasted, User: 30 * time.Millisecond, Backends: []string{"xdp"},
			Lateness: replay.Lateness{Samples: sent}}
	}
	behind := paced(100, 500*time.Millisecond, 500*time.Millisecond)
	behind.Missed = 4900
	for _, tt := range []struct {
		name string
		res  inject.Result
		loop int
		err  error
		want []string
	}{
		{"interrupted in its first gap", paced(1, 43*time.Microsecond, 3*time.Second), 1, context.Canceled, []string{"1 packets (60 bytes) sent in 3.000000 seconds\n", " 0.00 pps\n",
			"Flows: 1 flows, 0.00 fps", "Sender: xdp, 1.0 % of a core,"}},
		{"interrupted later", paced(3, 20*time.Second, 25*time.Second), 1, context.Canceled, []string{"sent in 25.000000 seconds\n", " 0.10 pps\n", "0.1 % of a core,"}},
		{"one packet", paced(1, 43*time.Microsecond, 43*time.Microsecond), 1, nil, []string{"sent in 0.000043 seconds\n", " 0.00 pps\n", "Flows: 1 flows, 0.00 fps", "Sender: xdp, n/a of a core,"}},
		{"to its end", paced(11, time.Second, 1100*time.Millisecond), 1, nil, []string{"sent in 1.000000 seconds\n", " 10.00 pps\n", "Sender: xdp, 2.7 % of a core,"}},
		{"behind", behind, 0, nil, []string{"when --duration ended, about 4900 packets that were due by then were not sent\n"}},
		{"behind, of a capture that ends", behind, 2, nil, []string{"when --duration ended, up to about 4900 packets that were"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			f := replayFlags{first: "veth0", playFlags: playFlags{loop: tt.loop}}
			p := playResult{Result: tt.res, Flows: &flowCounts{Flows: 1, Packets: tt.res.Sent}}
			if err := f.print(&app{stdout: &out}, &p, tt.err); err != nil {
				t.Fatal(err)
			}
			for _, want := range tt.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("no %q in\n%s", want, &out)
				}
			}
			if strings.Contains(out.String(), "Note:") != (tt.res.Missed > 0) {
				t.Error(out.String())
			}
		})
	}
}

// TestReplayStatsLines: every time that the sender tells, a line is printed, the last before the end too.
func TestReplayStatsLines(t *testing.T) {
	for _, every := range []time.Duration{0, 100 * time.Millisecond, 2 * time.Second} {
		var out, stderr bytes.Buffer
		f := replayFlags{stats: statsFlag{set: true, every: every}}
		var plan inject.Plan
		done := f.watch(&app{stdout: &out, stderr: &stderr}, &plan, nil)
		tell := plan.Each
		if every == 0 {
			tell = plan.Pass
		}
		if tell == nil || plan.Every != every {
			t.Fatalf("%v: told every %v", every, plan.Every)
		}
		for i := range 5 {
			tell(inject.Result{Sent: uint64(i + 1), Elapsed: time.Duration(i+1) * time.Second})
		}
		done()
		for i := range 5 {
			if want := fmt.Sprintf("Actual: %d packets (0 bytes) sent in %d.000000 seconds\n", i+1, i+1); strings.Count(out.String(), want) != 1 || stderr.Len() > 0 {
				t.Errorf("%v: no %q in\n%s%s", every, want, &out, &stderr)
			}
		}
	}
}

// TestReplayCountsAreIntegers: no count of the result has a point or an exponent, however large.
func TestReplayCountsAreIntegers(t *testing.T) {
	p := playResult{Result: inject.Result{Frames: math.MaxUint64, Sent: math.MaxUint64, Octets: math.MaxUint64, Elapsed: math.MaxInt64, Seconds: []inject.Second{{Frames: math.MaxUint64}}},
		Flows: &flowCounts{Flows: math.MaxUint64}, Chosen: playReport{Read: math.MaxUint64}}
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var whole map[string]any
	if err := d.Decode(&whole); err != nil {
		t.Fatal(err)
	}
	var visit func(path string, v any)
	visit = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for name, v := range v {
				visit(path+"."+name, v)
			}
		case []any:
			for _, v := range v {
				visit(path, v)
			}
		case json.Number:
			if path != ".pps" && path != ".bit_per_s" && strings.ContainsAny(v.String(), ".eE") {
				t.Errorf("%s is %s", path, v)
			}
		}
	}
	visit("", whole)
}

func TestReplayPoisson(t *testing.T) {
	dir := t.TempDir()
	in := write(t, filepath.Join(dir, "in"), captureOf(t, 1000, pcapio.WriterConfig{}, nil))
	times := func(args ...string) (list []int64) {
		out := filepath.Join(dir, "out")
		run(t, ExitDone, append([]string{"replay", "-w", out, "-p", "1k", "--pattern", "poisson", in}, args...)...)
		frames, _ := framesOf(t, read(t, out))
		src, _ := framesOf(t, read(t, in))
		for _, f := range frames {
			list = append(list, f.UnixNano-src[0].UnixNano)
		}
		return list
	}
	got := times("--seed", "7")
	if !slices.Equal(got, times("--seed", "7")) || slices.Equal(got, times()) {
		t.Error("arrivals are not of the seed")
	}
	var sum float64
	for i := range got {
		// Of Steele, Lea and Flood's generator, by the inverse of the distribution.
		u := uint64(7) + uint64(i+1)*0x9e3779b97f4a7c15
		u = (u ^ u>>30) * 0xbf58476d1ce4e5b9
		u = (u ^ u>>27) * 0x94d049bb133111eb
		u ^= u >> 31
		sum -= math.Log(float64(u)/(1<<64)) * 1e6
		if math.Abs(float64(got[i])-sum) > sum*1e-5 {
			t.Fatalf("frame %d at %d, want %.0f", i+1, got[i], sum)
		}
	}
}

// TestReplayEditsAsRewriteDoes: edits while sending give what rewriting first and sending then gives, octet for octet.
func TestReplayEditsAsRewriteDoes(t *testing.T) {
	dir := t.TempDir()
	i := 0
	raw := captureOf(t, 300, pcapio.WriterConfig{Nano: true}, func(_ int, f *parse.Frame) {
		if i++; i%9 == 5 && len(f.Data) > 100 { // cut by a snaplen
			f.Data = f.Data[:90]
		}
	})
	in := write(t, filepath.Join(dir, "in"), raw)
	cache := sidesOf(t, filepath.Join(dir, "cache"), 300, func(i int) (split.Side, bool) { return split.Side(i % 3 / 2), true })
	for _, tt := range []struct{ name, edits string }{
		{"addresses and ports", "--pnat 192.168.0.0/16:10.77.0.0/16 --portmap 443:8443,53:5353 --ttl -1 --tos 16 --fixcsum"},
		{"random", "--randomize-ip 9 --enet-mac-seed 4 --fuzz-seed 3 --fuzz-factor 5"},
		{"sides", "--endpoints 10.0.0.1:10.0.0.2 --enet-dmac 02:00:00:00:00:0a,02:00:00:00:00:0b -c " + cache},
		{"lengths", "--fixlen del --enet-vlan add --enet-vlan-tag 9 --sizes 128"},
		{"cut", "--fixlen trunc --mtu 400 --mtu-trunc"},
		{"link", "--efcs --skip-soft-errors --tclass 3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			edits := strings.Fields(tt.edits)
			mid, want, got := filepath.Join(dir, "mid"), filepath.Join(dir, "want.pcap"), filepath.Join(dir, "got.pcap")
			run(t, ExitDone, append([]string{"rewrite", in, mid}, edits...)...)
			run(t, ExitDone, "replay", "-x", "3", "-w", want, mid)
			for _, load := range []string{"-K", "--merge"} {
				stdout, _ := run(t, ExitDone, append([]string{"replay", "-x", "3", "--json", load, "-w", got, in}, edits...)...)
				if !bytes.Equal(read(t, got), read(t, want)) {
					t.Errorf("%s: other octets", load)
				}
				p := reconciled(t, stdout)
				if p.Chosen.Edited == nil || p.Settings.Edits == "" {
					t.Errorf("the result does not say what was edited: %s", stdout)
				}
				if p.Chosen.Deleted == 0 && tt.name == "lengths" {
					t.Error("none was deleted")
				}
			}
		})
	}
	// A limit is of what is sent, loaded or not.
	out := filepath.Join(dir, "limited")
	for _, load := range []string{"-K", "--merge"} {
		run(t, ExitDone, "replay", "-w", out, "-L", "100", "--fixlen", "del", load, in)
		if frames, _ := framesOf(t, read(t, out)); len(frames) != 100 {
			t.Errorf("%s: %d frames", load, len(frames))
		}
	}
}

// sidesOf writes a cache file.
func sidesOf(t *testing.T, path string, n int, of func(i int) (split.Side, bool)) string {
	t.Helper()
	c, err := split.NewCache("")
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		c.Append(of(i))
	}
	var b bytes.Buffer
	if err := c.Write(&b); err != nil {
		t.Fatal(err)
	}
	return write(t, path, b.Bytes())
}

func TestReplayCacheOfAnotherCapture(t *testing.T) {
	dir := t.TempDir()
	in := write(t, filepath.Join(dir, "in"), captureOf(t, 30, pcapio.WriterConfig{Nano: true}, nil))
	out := filepath.Join(dir, "out")
	for _, tt := range []struct {
		name    string
		packets int
		args    string
		code    int
		written int
	}{
		{"fits", 30, "", ExitDone, 28},
		{"fits, loaded", 30, "-K", ExitDone, 28},
		{"fits, three times", 30, "-l 3", ExitDone, 84},
		{"fits as far as it goes", 31, "-L 5", ExitDone, 5},
		{"too short", 29, "", ExitFailed, -1},
		{"too short, loaded", 29, "-K", ExitFailed, -1},
		{"too long", 31, "", ExitFailed, -1},
		{"too long, loaded", 31, "-K", ExitFailed, -1},
		{"too long, three times", 31, "-l 3", ExitFailed, -1},
		{"too long, chosen", 31, "--include 3", ExitFailed, -1},
		{"for none", 0, "", ExitFailed, -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cache := sidesOf(t, filepath.Join(dir, "cache"), tt.packets, func(i int) (split.Side, bool) { return split.Side(i % 2), i != 7 && i != 20 })
			stdout, stderr := run(t, tt.code, append([]string{"replay", "--json", "-w", out, "-c", cache, in}, strings.Fields(tt.args)...)...)
			if tt.code != ExitDone {
				if !strings.Contains(stderr, cache+" is for ") || !strings.Contains(stderr, "it was made from another capture") {
					t.Errorf("said %q", stderr)
				}
				if _, err := os.Stat(out); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("something was written: %v", err)
				}
				return
			}
			p := reconciled(t, stdout)
			frames, _ := framesOf(t, read(t, out))
			if len(frames) != tt.written || p.Result.Sent != uint64(tt.written) {
				t.Errorf("%d frames, %s", len(frames), stdout)
			}
			if err := os.Remove(out); err != nil {
				t.Fatal(err)
			}
		})
	}
	if _, stderr := run(t, ExitFailed, "replay", "-w", out, "-c", in, in); !strings.Contains(stderr, in) {
		t.Errorf("no cache file: said %q", stderr)
	}
}

// TestReplayDamage: what comes before damage is written, and said.
func TestReplayDamage(t *testing.T) {
	dir := t.TempDir()
	raw := captureOf(t, 30, pcapio.WriterConfig{Nano: true}, nil)
	whole := write(t, filepath.Join(dir, "whole"), raw)
	cut := write(t, filepath.Join(dir, "cut"), raw[:len(raw)-5])
	out := filepath.Join(dir, "out.pcap")
	stdout, stderr := run(t, ExitFailed, "replay", "-w", out, whole, cut)
	if !strings.Contains(stderr, cut+": record 30") || !strings.Contains(stderr, "wrote 59 packets to "+out+", then ") || !strings.Contains(stdout, "Actual: 59 packets") {
		t.Errorf("said %q and %q", stdout, stderr)
	}
	if frames, _ := framesOf(t, read(t, out)); len(frames) != 59 {
		t.Errorf("%d frames", len(frames))
	}
	stdout, _ = run(t, ExitFailed, "replay", "--json", "-w", out, cut)
	if p := reconciled(t, stdout); p.Error == "" || p.Result.Sent != 29 {
		t.Errorf("%s", stdout)
	}
	run(t, ExitDone, "replay", "--salvage", "-w", out, cut)
	none := filepath.Join(dir, "none.pcap")
	for _, tt := range []struct{ name, args, want string }{
		{"loaded", "-K " + cut, "record 30"},
		{"text", write(t, filepath.Join(dir, "text"), []byte("no capture at all, but some text")), "text"},
		{"absent", filepath.Join(dir, "absent"), "absent"},
		{"second one absent", whole + " " + filepath.Join(dir, "absent"), "absent"},
		{"folder", dir, "is a directory"},
		{"two link types in a pcap", write(t, filepath.Join(dir, "mixed"), captureOf(t, 9, pcapio.WriterConfig{Container: pcapio.PcapNG}, func(i int, f *parse.Frame) {
			if i == 4 {
				f.Data, f.WireLen, f.Link = f.Data[14:], f.WireLen-14, parse.LinkRaw
			}
		})), "link type"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			stdout, stderr := run(t, ExitFailed, append([]string{"replay", "-w", none}, strings.Fields(tt.args)...)...)
			if !strings.Contains(stderr, tt.want) || stdout != "" {
				t.Errorf("said %q and %q", stdout, stderr)
			}
			if _, err := os.Stat(none); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("something was written: %v", err)
			}
		})
	}
}

// TestReplayReadsWhatInfoReads: compressed, of either container, from a file or standard input, it is the same.
func TestReplayReadsWhatInfoReads(t *testing.T) {
	dir := t.TempDir()
	raw := captureOf(t, 100, pcapio.WriterConfig{Container: pcapio.PcapNG, Nano: true}, nil)
	var gz, zst bytes.Buffer
	zip := gzip.NewWriter(&gz)
	std, err := zstd.NewWriter(&zst)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []io.WriteCloser{zip, std} {
		if _, err := w.Write(raw); err != nil || w.Close() != nil {
			t.Fatal(err)
		}
	}
	out, want := filepath.Join(dir, "out"), filepath.Join(dir, "want")
	plain := write(t, filepath.Join(dir, "plain"), raw)
	run(t, ExitDone, "replay", "-w", want, plain)
	for name, capture := range map[string][]byte{"plain": raw, "gzip": gz.Bytes(), "zstd": zst.Bytes()} {
		path := write(t, filepath.Join(dir, name), capture)
		for _, load := range []string{"-K", "--salvage"} {
			run(t, ExitDone, "replay", "-w", out, load, path)
			if !bytes.Equal(read(t, out), read(t, want)) {
				t.Errorf("%s %s: other octets", name, load)
			}
			if code, _, stderr := runIn(t.Context(), bytes.NewReader(capture), "replay", "-w", out, load, "-"); code != ExitDone || !bytes.Equal(read(t, out), read(t, want)) {
				t.Errorf("%s %s from standard input: %d, %s", name, load, code, stderr)
			}
		}
	}
	code, _, stderr := runIn(t.Context(), bytes.NewReader(raw), "replay", "-w", out, "-l", "2", "-")
	if code != ExitFailed || !strings.Contains(stderr, "(-K)") {
		t.Errorf("twice from standard input: %d, %s", code, stderr)
	}
	run(t, ExitDone, "replay", "-w", want, "-l", "2", plain)
	if code, _, stderr := runIn(t.Context(), bytes.NewReader(raw), "replay", "-w", out, "-l", "2", "-K", "-"); code != ExitDone || !bytes.Equal(read(t, out), read(t, want)) {
		t.Errorf("twice from standard input, loaded: %d, %s", code, stderr)
	}
	stdout, _ := run(t, ExitDone, "replay", "--json", "-w", out, "synth:iot-1:50")
	if p := reconciled(t, stdout); p.Result.Sent != 50 {
		t.Error(stdout)
	}
	empty := write(t, filepath.Join(dir, "empty"), captureOf(t, 0, pcapio.WriterConfig{}, nil))
	for _, load := range []string{"-K", "--merge"} {
		stdout, _ := run(t, ExitDone, "replay", "-w", out, "-l", "0", "-L", "5", load, empty)
		if !strings.Contains(stdout, "Actual: 0 packets (0 bytes)") {
			t.Errorf("%s: %s", load, stdout)
		}
	}
}

// TestReplayUniqueIP: every pass brings as many flows again, and frames without an address are sent in each, unlike tcpreplay, which
// leaves them out from the second pass on.
func TestReplayUniqueIP(t *testing.T) {
	dir := t.TempDir()
	raw := captureOf(t, 300, pcapio.WriterConfig{Nano: true}, func(i int, f *parse.Frame) {
		switch i {
		case 10: // ARP
			f.Data = append(append(bytes.Clone(f.Data[:12]), "\x08\x06\x00\x01\x08\x00\x06\x04\x00\x01"...), f.Data[14:34]...)
		case 20: // length, LLC
			f.Data = append(append(bytes.Clone(f.Data[:12]), "\x00\x26\x42\x42\x03"...), make([]byte, 35)...)
		case 30: // loopback protocol
			f.Data = append(append(bytes.Clone(f.Data[:12]), 0x90, 0), make([]byte, 46)...)
		}
		f.WireLen = len(f.Data)
	})
	in := write(t, filepath.Join(dir, "in"), raw)
	out := filepath.Join(dir, "out")
	result := func(args ...string) (playResult, []parse.Frame) {
		stdout, _ := run(t, ExitDone, append([]string{"replay", "--json", "-w", out, in}, args...)...)
		frames, _ := framesOf(t, read(t, out))
		return reconciled(t, stdout), frames
	}
	once, src := result()
	same, _ := result("-l", "4")
	moved, frames := result("-l", "4", "--unique-ip")
	paired, _ := result("-l", "4", "--unique-ip", "--unique-ip-loops", "2")
	loaded, _ := result("-l", "4", "--unique-ip", "-K")
	n := once.Flows.Flows
	if same.Flows.Flows != n || moved.Flows.Flows != 4*n || paired.Flows.Flows != 2*n || loaded.Flows.Flows != 4*n || moved.Flows.AtMost {
		t.Errorf("%d flows in a pass, %d in four, %d and %d with other addresses, %d where they stay for two passes", n, same.Flows.Flows, moved.Flows.Flows, loaded.Flows.Flows, paired.Flows.Flows)
	}
	if len(frames) != 4*len(src) || moved.Flows.NoFlow != 4*once.Flows.NoFlow || once.Flows.NoFlow < 3 {
		t.Errorf("%d frames of %d, without a flow %d", len(frames), len(src), moved.Flows.NoFlow)
	}
	for i, f := range frames {
		if want := src[i%len(src)]; len(f.Data) != len(want.Data) || (i%len(src) == 20 || i%len(src) == 30) && !bytes.Equal(f.Data, want.Data) {
			t.Fatalf("frame %d is another", i+1)
		}
	}
}

// TestReplayEndsWithoutFrames: where no frame is chosen, neither a run without end nor one over a large capture goes on for ever.
func TestReplayEndsWithoutFrames(t *testing.T) {
	dir := t.TempDir()
	in := write(t, filepath.Join(dir, "in"), captureOf(t, 3000, pcapio.WriterConfig{}, nil))
	out := filepath.Join(dir, "out")
	for _, load := range []string{"-K", "--merge"} {
		stdout, _ := run(t, ExitDone, "replay", "--json", "-w", out, "-l", "0", "-L", "1", "--include", "5000", load, in)
		if p := reconciled(t, stdout); p.Chosen.Read != 3000 || p.Chosen.Excluded != 3000 {
			t.Errorf("%s: %s", load, stdout)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, args := range []string{"--include 5000", "-t -l 0 -L 1000000000", "-p 1 -l 0 -L 1000000000"} {
		code, stdout, _ := runIn(ctx, strings.NewReader(""), append([]string{"replay", "-w", filepath.Join(dir, "none"), in}, strings.Fields(args)...)...)
		if code != ExitInterrupted || stdout != "" {
			t.Errorf("%s, interrupted: exit code %d, %q", args, code, stdout)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something was written: %v", err)
	}
}

// TestPlayerAllocatesNothing: choosing, editing, moving and counting a frame takes no memory, loaded or not.
func TestPlayerAllocatesNothing(t *testing.T) {
	dir := t.TempDir()
	in := write(t, filepath.Join(dir, "in"), captureOf(t, 5000, pcapio.WriterConfig{}, nil))
	for _, load := range []bool{true, false} {
		p := playFlags{loop: 0, preload: load, uniqueIP: true, uniqueIPLoops: 1,
			cachefile: sidesOf(t, filepath.Join(dir, "cache"), 5000, func(i int) (split.Side, bool) { return split.Side(i % 2), i%50 != 0 })}
		p.set.TTL, p.set.FixCsum, p.set.PNAT = "9", true, []string{"192.168.0.0/16:10.0.0.0/16"}
		if err := p.exclude.Set("3,9-12,400-450"); err != nil {
			t.Fatal(err)
		}
		a := &app{Program: program(), stdout: io.Discard, stderr: io.Discard, stdin: strings.NewReader(""), quiet: true}
		pl, err := p.open(t.Context(), a, []string{in}, 0)
		if err != nil {
			t.Fatal(err)
		}
		var f parse.Frame
		next := func() {
			if err := pl.Next(&f); err != nil {
				t.Fatal(err)
			}
		}
		for range 10 {
			next()
		}
		if n := testing.AllocsPerRun(4000, next); n != 0 {
			t.Errorf("loaded %v: %g allocations a frame", load, n)
		}
		if err := pl.close(); err != nil {
			t.Error(err)
		}
	}
}

// TestReplayFlagValues reads the values that have a form of their own.
func TestReplayFlagValues(t *testing.T) {
	for _, tt := range []struct {
		text string
		want string // "" is an error
	}{
		{"1", "1"}, {"1-5,9,72-", "1-5,9,72-"}, {" 7 , 3", "3,7"}, {"-4", "1-4"}, {"5-5", "5"}, {"1-3,4-6,6-9", "1-9"}, {"9-,3-", "3-"},
		{"18446744073709551615", "18446744073709551615-"}, {"1-,5", "1-"}, {"", ""}, {"-", ""}, {"0", ""}, {"3-2", ""}, {"1,,2", ""}, {"a", ""}, {"1-2-3", ""},
		{"18446744073709551616", ""}, {"+1", ""},
	} {
		var r rangesFlag
		if err := r.Set(tt.text); (err == nil) != (tt.want != "") || r.String() != tt.want {
			t.Errorf("%q: %q, %v, want %q", tt.text, r.String(), err, tt.want)
			continue
		}
		for n := uint64(1); n < 100; n++ { // by looking at each span
			want := false
			for _, s := range r {
				want = want || s.first <= n && n <= s.last
			}
			if r.has(n) != want {
				t.Errorf("%q has %d: %v", tt.text, n, !want)
			}
		}
	}
	for text, want := range map[string]float64{"1000": 1000, "0.5": 0.5, "20k": 20000, "1.5M": 1.5e6, "2G": 2e9, "0": 0, "1e3": 1000} {
		var c countFlag
		if err := c.Set(text); err != nil || float64(c) != want {
			t.Errorf("%q: %g, %v", text, c, err)
		}
	}
	for text, want := range map[string]time.Duration{"10": 10 * time.Second, "0.25": 250 * time.Millisecond, "1m30s": 90 * time.Second, "5ms": 5 * time.Millisecond} {
		var d secondsFlag
		if err := d.Set(text); err != nil || time.Duration(d) != want {
			t.Errorf("%q: %v, %v", text, time.Duration(d), err)
		}
	}
	for _, text := range []string{"", "-1", "0", "inf", "nan", "1e10", "soon"} {
		if err := new(secondsFlag).Set(text); err == nil {
			t.Errorf("%q is taken as a time", text)
		}
	}
}

// TestReplayCorpus: every capture that can be read comes out with the frames that it has; of others, those before the damage.
func TestReplayCorpus(t *testing.T) {
	folder := os.Getenv("PCAPLAB_CORPUS")
	if folder == "" {
		t.Skip("PCAPLAB_CORPUS names no folder of captures")
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out.pcapng")
	for _, e := range entries {
		path := filepath.Join(folder, e.Name())
		in, err := datasets.Open(path, datasets.OpenConfig{})
		if err != nil {
			continue // no capture
		}
		var want []parse.Frame
		var f parse.Frame
		for err == nil {
			if err = in.Next(&f); err == nil {
				f.Data = bytes.Clone(f.Data)
				want = append(want, f)
			}
		}
		in.Close()
		code := ExitDone
		if err != io.EOF {
			code = ExitFailed
		}
		t.Run(e.Name(), func(t *testing.T) {
			stdout, _ := run(t, code, "replay", "--json", "-t", "-w", out, path)
			if p := reconciled(t, stdout); p.Result.Sent != uint64(len(want)) {
				t.Errorf("%d of %d frames", p.Result.Sent, len(want))
			}
			got, _ := framesOf(t, read(t, out))
			for i := range max(len(got), len(want)) {
				if i >= len(got) || i >= len(want) || !bytes.Equal(got[i].Data, want[i].Data) || got[i].UnixNano != want[i].UnixNano || got[i].Link != want[i].Link {
					t.Fatalf("frame %d is another of %d and %d", i+1, len(got), len(want))
				}
			}
		})
	}
}

// TestReplayCompletion: what a shell offers is what the command takes.
func TestReplayCompletion(t *testing.T) {
	in := write(t, filepath.Join(t.TempDir(), "in"), captureOf(t, 3, pcapio.WriterConfig{}, nil))
	for flag, want := range map[string][]string{"backend": inject.Backends(), "oversize": {"error", "skip", "truncate", "segment"}, "spin": {"auto", "on", "off"},
		"timer": {"gtod", "nano"}, "pattern": {"constant", "poisson", "burst:64", "onoff:10ms/90ms", "ramp:0.1-1/10s"}} {
		values, directive := complete(t, "replay", "--"+flag, "")
		if !slices.Equal(values, want) || directive != noFile {
			t.Errorf("--%s offers %q, %s", flag, values, directive)
		}
		for _, v := range values {
			if flag == "pattern" {
				if _, err := replay.ParsePacer(v, 1000, 1); err != nil {
					t.Error(err)
				}
				continue
			}
			code, _, stderr := runIn(t.Context(), strings.NewReader(""), "replay", "-i", "nowhere0", "--"+flag, v, in)
			if code != ExitFailed {
				t.Errorf("--%s %s: exit code %d, %s", flag, v, code, stderr)
			}
		}
	}
	for _, flag := range []string{"intf1", "intf2"} {
		if _, directive := complete(t, "replay", "--"+flag, ""); directive != noFile {
			t.Errorf("--%s offers files", flag)
		}
	}
	for _, line := range strings.Split(helpOf(t, "replay"), "\n") {
		if len([]rune(line)) > 160 {
			t.Errorf("help of %s characters: %s", strconv.Itoa(len([]rune(line))), line)
		}
	}
}

func helpOf(t *testing.T, command string) string {
	t.Helper()
	stdout, _ := run(t, ExitDone, command, "-h")
	return stdout
}

func TestReplayWritesAcrossYears(t *testing.T) {
	dir := t.TempDir()
	in := write(t, filepath.Join(dir, "in"), captureOf(t, 4, pcapio.WriterConfig{Nano: true}, func(i int, f *parse.Frame) { f.UnixNano = int64(i) * 4e17 }))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	out := filepath.Join(dir, "out")
	if code, stdout, stderr := runIn(ctx, strings.NewReader(""), "replay", "-w", out, in); code != ExitDone {
		t.Fatalf("exit code %d: %s%s", code, stdout, stderr)
	}
	if frames, _ := framesOf(t, read(t, out)); len(frames) != 4 || frames[3].UnixNano != 12e17 {
		t.Errorf("%d frames", len(frames))
	}
}

// TestReplayEditsOfAnotherLink: edits that a link type cannot have end the run, as in rewrite.
func TestReplayEditsOfAnotherLink(t *testing.T) {
	dir := t.TempDir()
	in := write(t, filepath.Join(dir, "raw"), captureOf(t, 3, pcapio.WriterConfig{Nano: true, Link: parse.LinkRaw}, func(_ int, f *parse.Frame) {
		f.Link, f.Data = parse.LinkRaw, f.Data[14:]
		f.WireLen = len(f.Data)
	}))
	for _, edits := range [][]string{{"--enet-vlan", "add"}, {"--dlt", "enet", "--enet-dmac", "02:00:00:00:00:01"}} {
		out := filepath.Join(dir, "out")
		code, stdout, stderr := runIn(t.Context(), strings.NewReader(""), append(append([]string{"replay", "-w", out}, edits...), in)...)
		if code != ExitFailed || stdout != "" || !strings.Contains(stderr, "packet 1") {
			t.Errorf("%v: exit code %d: %s%s", edits, code, stdout, stderr)
		}
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%v: a file was written", edits)
		}
	}
}
