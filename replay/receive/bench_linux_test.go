package receive_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
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

func receiveOwn(b *testing.B, lab *netlab.Lab, n, octets int) (got, lost uint64, took time.Duration) {
	r := receiver(b, lab, receive.Config{BlockOctets: 256 << 10, Blocks: 256, Wait: 200 * time.Millisecond})
	done := make(chan receive.Stats)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		var f parse.Frame
		began := false
		for {
			err := r.Next(&f)
			if errors.Is(err, receive.ErrTimeout) && !began {
				continue
			}
			if err != nil {
				break
			}
			began = true
		}
		s, _ := r.Stats()
		done <- s
	}()
	took = blast(b, lab, n, octets)
	s := <-done
	if s.Frames+s.Dropped != uint64(n) {
		b.Fatalf("%+v of %d", s, n)
	}
	r.Close()
	return s.Frames, s.Dropped, took
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
