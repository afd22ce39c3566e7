//go:build unix

package trial_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"pcaplab/datasets/arena"
	"pcaplab/replay/trial"
)

// BenchmarkClocks compares the clocks on a parser of some microseconds, in turns: the service ceiling on each as a ratio to
// that on the system clock (medians), and how much quicker warp is than the system clock through a trial at 10 % load.
func BenchmarkClocks(b *testing.B) {
	fr := frames(b, "iot-1", 1000)
	names := []string{"system", "warp", "cpu"}
	ns := make(map[string][]float64)
	spent := make(map[string]time.Duration)
	for b.Loop() {
		for _, name := range names {
			for _, e := range engines() {
				if e.Name != "slow" {
					continue
				}
				r, err := trial.NewRunner(e, nil, trial.Settings{Clock: name}, cell("slow"), []*arena.Frames{fr}, 1)
				if err != nil {
					b.Fatal(err)
				}
				rec, err := r.Measure(context.Background(), trial.Input{Duration: 100 * time.Millisecond})
				if err != nil {
					b.Fatal(err)
				}
				ns[name] = append(ns[name], rec.CostNanos())
				in := trial.Input{Load: rec.Result.DeliveredRate() / 10, Duration: 200 * time.Millisecond}
				begin := time.Now()
				if _, err := r.Measure(context.Background(), in); err != nil {
					b.Fatal(err)
				}
				spent[name] += time.Since(begin)
			}
		}
	}
	median := func(name string) float64 {
		slices.Sort(ns[name])
		return ns[name][len(ns[name])/2]
	}
	system := median("system")
	b.ReportMetric(system, "system-ns/packet")
	b.ReportMetric(median("warp")/system, "warp/system")
	b.ReportMetric(median("cpu")/system, "cpu/system")
	b.ReportMetric(spent["system"].Seconds()/spent["warp"].Seconds(), "x-quicker-at-10%")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkCollector compares how often the collector runs per million packets of gopacket-eager beside a small and a large
// capture.
func BenchmarkCollector(b *testing.B) {
	var small, large []float64
	const smallFrames, largeFrames = 10_000, 5_000_000 // 1 MB and 420 MB with the index
	sets := map[int]*arena.Frames{smallFrames: frames(b, "syn-60", smallFrames), largeFrames: frames(b, "syn-60", largeFrames)}
	perMillion := func(n int) float64 {
		settings, err := trial.Settings{}.Normalize()
		if err != nil {
			b.Fatal(err)
		}
		c, err := trial.StartChild(settings, cell("gopacket-eager"), nil, []*arena.Frames{sets[n]}, 1)
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		rec, err := c.Measure(context.Background(), trial.Input{Duration: time.Second})
		if err != nil {
			b.Fatal(err)
		}
		return float64(rec.Usage.GCCycles) / float64(rec.Result.Delivered) * 1e6
	}
	for b.Loop() {
		small, large = append(small, perMillion(smallFrames)), append(large, perMillion(largeFrames))
	}
	slices.Sort(small)
	slices.Sort(large)
	b.ReportMetric(small[len(small)/2], "cycles/M-1MB")
	b.ReportMetric(large[len(large)/2]/small[len(small)/2], "420MB/1MB")
	b.ReportMetric(0, "ns/op")
}
