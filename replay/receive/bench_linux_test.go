package receive_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"pcaplab/parse"
	"pcaplab/replay/inject"
	"pcaplab/replay/netlab"
	"pcaplab/replay/receive"
)

// same gives one frame again and again.
type same struct {
	data []byte
	left int
}

func (s *same) Next(f *parse.Frame) error {
	if s.left == 0 {
		return io.EOF
	}
	s.left--
	*f = parse.Frame{Data: s.data, WireLen: len(s.data), Link: parse.LinkEthernet}
	return nil
}

// blast sends n frames at top speed and returns how long that took.
func blast(b *testing.B, lab *netlab.Lab, n, octets int) time.Duration {
	b.Helper()
	var r inject.Result
	err := lab.Do(netlab.Sender, func() error {
		s, err := inject.Open(inject.Config{Interface: netlab.Sender.Interface(), Backend: inject.Sendmmsg})
		if err != nil {
			return err
		}
		defer s.Close()
		r, err = inject.Run(context.Background(), s, &same{frame(1, octets), n}, inject.Plan{})
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	if r.Sent != uint64(n) {
		b.Fatalf("%d sent of %d", r.Sent, n)
	}
	return r.Elapsed
}

// BenchmarkReceive sends a burst to this package and to tcpdump -w /dev/null, in turn, with rings of 64 MiB, and reports what
// each captured a second of sending.
func BenchmarkReceive(b *testing.B) {
	tcpdump, err := exec.LookPath("tcpdump")
	if err != nil {
		b.Skip("no tcpdump")
	}
	for _, bench := range []struct {
		name   string
		octets int
	}{{"64B", 64}, {"1400B", 1400}} {
		b.Run(bench.name, func(b *testing.B) {
			lab := network(b, netlab.Config{})
			const burst = 300_000
			var own, ownTime, theirs, theirTime, dropped float64
			for b.Loop() {
				got, lost, took := receiveOwn(b, lab, burst, bench.octets)
				own, dropped, ownTime = own+float64(got), dropped+float64(lost), ownTime+took.Seconds()
				got, took = receiveTcpdump(b, lab, tcpdump, burst, bench.octets)
				theirs, theirTime = theirs+float64(got), theirTime+took.Seconds()
			}
			b.ReportMetric(own/ownTime, "own-pps")
			b.ReportMetric(theirs/theirTime, "tcpdump-pps")
			b.ReportMetric(own/ownTime*theirTime/theirs, "ratio")
			b.ReportMetric(dropped/float64(b.N), "dropped/op")
		})
	}
}

// TestReceiverOfBenchmark is the process that BenchmarkReceive starts, as tcpdump is one: it receives until its standard input ends.
func TestReceiverOfBenchmark(t *testing.T) {
	if os.Getenv("RECEIVE_BENCHMARK") == "" {
		t.Skip("not started by the benchmark")
	}
	runtime.LockOSThread()
	r, err := receive.Open(receive.Config{Interface: netlab.Receiver.Interface(), BlockOctets: 256 << 10, Blocks: 256, Wait: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var ended atomic.Bool
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		ended.Store(true)
	}()
	fmt.Println("ready")
	var f parse.Frame
	for {
		if err := r.Next(&f); errors.Is(err, receive.ErrTimeout) && ended.Load() {
			break
		} else if err != nil && !errors.Is(err, receive.ErrTimeout) {
			t.Fatal(err)
		}
	}
	s, err := r.Stats()
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("counted", s.Frames, s.Dropped)
}

func receiveOwn(b *testing.B, lab *netlab.Lab, n, octets int) (got, lost uint64, took time.Duration) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestReceiverOfBenchmark$")
	cmd.Env = append(os.Environ(), "RECEIVE_BENCHMARK=1")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	out := bufio.NewReader(stdout)
	if err := lab.Start(netlab.Receiver, cmd); err != nil {
		b.Fatal(err)
	}
	if line, err := out.ReadString('\n'); line != "ready\n" {
		b.Fatal(line, err)
	}
	time.Sleep(500 * time.Millisecond) // as long as tcpdump gets
	took = blast(b, lab, n, octets)
	stdin.Close()
	if _, err := fmt.Fscan(out, new(string), &got, &lost); err != nil {
		b.Fatal(err)
	}
	cmd.Wait()
	if got+lost != uint64(n) {
		b.Fatalf("%d received and %d dropped of %d", got, lost, n)
	}
	return got, lost, took
}

var captured = regexp.MustCompile(`(\d+) packets? captured`)

func receiveTcpdump(b *testing.B, lab *netlab.Lab, program string, n, octets int) (got uint64, took time.Duration) {
	cmd := exec.Command(program, "-i", netlab.Receiver.Interface(), "-w", "/dev/null", "-B", "65536")
	var out bytes.Buffer
	cmd.Stderr = &out
	if err := lab.Start(netlab.Receiver, cmd); err != nil {
		b.Fatal(err)
	}
	time.Sleep(500 * time.Millisecond) // until it listens
	took = blast(b, lab, n, octets)
	time.Sleep(300 * time.Millisecond)
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		b.Fatal(err)
	}
	cmd.Wait()
	m := captured.FindSubmatch(out.Bytes())
	if m == nil {
		b.Fatalf("tcpdump: %s", &out)
	}
	got, _ = strconv.ParseUint(string(m[1]), 10, 64)
	return got, took
}
