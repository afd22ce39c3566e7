package search

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestBinarySearch(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	for range 300 {
		c := math.Exp(rng.Float64()*10) * 100
		cfg := Config{Min: c / (2 + 100*rng.Float64()), Max: c * (2 + 100*rng.Float64())}
		goal := RFC2544()
		if rng.IntN(2) == 0 {
			goal.LossRatio, goal.ExceedRatio, goal.DurationSum = 0.001, 0.5, time.Hour
		}
		r, err := BinarySearch(context.Background(), capacity(c), cfg, goal)
		if err != nil {
			t.Fatal(err)
		}
		verify(t, r, cfg)
		if b := r.Bounds[0]; !encloses(b, c/(1-goal.LossRatio)) || b.ConditionalThroughput < *b.Lower*(1-goal.LossRatio) {
			t.Errorf("C %v: %s, conditional throughput %v", c, bounds(b), b.ConditionalThroughput)
		}
		if limit := 2 + int(math.Ceil(math.Log2(math.Log(cfg.Max/cfg.Min)/goal.Width))); r.Trials > limit {
			t.Errorf("C %v: %d trials, want at most %d", c, r.Trials, limit)
		}
		if r.Duration != time.Duration(r.Trials)*time.Minute {
			t.Errorf("%d trials took %v", r.Trials, r.Duration)
		}
	}
}

func TestBinarySearchEnds(t *testing.T) {
	cfg := Config{Min: 100, Max: 1000}
	for _, row := range []struct {
		name string
		c    float64
		cfg  Config
		want string
		mark string
	}{
		{"never lossy", 1e9, cfg, "1000 .. none", MarkNeverLossy},
		{"always lossy", 1, cfg, "none .. 100", MarkAlwaysLossy},
		{"budget", 500, Config{Min: 100, Max: 1000, MaxTrials: 1}, "none .. 1000", MarkBudget},
		{"one load, lossy", 1, Config{Min: 100, Max: 100}, "none .. 100", MarkAlwaysLossy},
		{"warm-up apart", 1e9, Config{Min: 100, Max: 1000, WarmUp: time.Second}, "1000 .. none", MarkNeverLossy},
	} {
		r, err := BinarySearch(context.Background(), capacity(row.c), row.cfg, RFC2544())
		if err != nil {
			t.Fatal(err)
		}
		verify(t, r, row.cfg)
		if b := r.Bounds[0]; bounds(b) != row.want || !slices.Contains(b.Marks, row.mark) || b.Regular {
			t.Errorf("%s: %s %q", row.name, bounds(b), b.Marks)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if r, err := BinarySearch(ctx, capacity(500), cfg, RFC2544()); !errors.Is(err, context.Canceled) || r.Trials != 0 {
		t.Errorf("cancelled: %v, %d trials", err, r.Trials)
	}
	if _, err := BinarySearch(ctx, capacity(500), Config{}, Goal{}); err == nil ||
		!strings.Contains(err.Error(), "min load") || !strings.Contains(err.Error(), "final trial") {
		t.Errorf("nothing valid: %v", err)
	}
}

func TestEstimate(t *testing.T) {
	for _, row := range []struct {
		name           string
		cfg            Config
		goals          []Goal
		min, low, high time.Duration // exact min, range of typical
	}{
		{"hinted", Config{Min: 1e3, Max: 1e9, Hint: 1e6}, []Goal{NDR(), PDR(0.005)},
			12 * time.Second, 33 * time.Second, 80 * time.Second},
		{"no hint", Config{Min: 1e3, Max: 1e9}, []Goal{NDR(), PDR(0.005)},
			11 * time.Second, 33 * time.Second, 80 * time.Second},
		{"budget", Config{Min: 1e3, Max: 1e9, MaxDuration: 20 * time.Second}, []Goal{NDR()},
			11 * time.Second, 20 * time.Second, 20 * time.Second},
		{"rfc2544", Config{Min: 1e3, Max: 1e9}, []Goal{RFC2544()},
			time.Minute, 3 * time.Minute, 20 * time.Minute},
	} {
		eta, err := Estimate(row.cfg, row.goals...)
		again, _ := Estimate(row.cfg, row.goals...)
		t.Logf("%s: %+v", row.name, eta)
		if err != nil || eta != again || eta.Typical < row.low || eta.Typical > row.high ||
			eta.Min > eta.Typical || eta.Typical > eta.Max {
			t.Errorf("%s: %+v then %+v, %v", row.name, eta, again, err)
		}
		if row.name != "hinted" && eta.Min != row.min {
			t.Errorf("%s: min %v, want %v", row.name, eta.Min, row.min)
		}
	}
	if _, err := Estimate(Config{}); err == nil || !strings.Contains(err.Error(), "no goal") {
		t.Errorf("nothing to estimate: %v", err)
	}
}
