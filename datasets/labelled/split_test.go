package labelled_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pcaplab/datasets/labelled"
	"pcaplab/parse/feature"
	"pcaplab/parse/feature/vectorio"
)

// sides returns the rows of both parts, and fails where they are not the whole, each row once.
func sides(t *testing.T, s *labelled.Set, cfg labelled.SplitConfig) (train, test []labelled.Row, d *labelled.Division) {
	t.Helper()
	a, b, d, err := s.Split(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	train, test = all(t, a, labelled.Order{}), all(t, b, labelled.Order{})
	got := strings.Fields(names(append(slices.Clone(train), test...)))
	want := strings.Fields(names(all(t, s, labelled.Order{})))
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%d rows in the parts are not the %d of the set", len(got), len(want))
	}
	for _, side := range []struct {
		*labelled.Set
		rows []labelled.Row
	}{{a, train}, {b, test}} {
		if sum, err := side.Survey(ctx); err != nil || sum.Rows != int64(len(side.rows)) {
			t.Errorf("survey of a part: %+v, %v, want %d rows", sum, err, len(side.rows))
		}
	}
	return train, test, d
}

func many(t *testing.T, sizes map[string][]int) (sources []labelled.Source) {
	t.Helper()
	for _, label := range slices.Sorted(func(yield func(string) bool) {
		for l := range sizes {
			if !yield(l) {
				return
			}
		}
	}) {
		for i, n := range sizes[label] {
			sources = append(sources, labelled.Source{Path: table(t, fmt.Sprintf("%s%d.csv", label, i), repeat(label, n)...)})
		}
	}
	return sources
}

func TestSplitByCapture(t *testing.T) {
	sources := many(t, map[string][]int{"x": {50, 60, 40, 50, 55, 45, 50, 50, 60, 40}, "y": {10, 10}, "z": {500, 5}})
	s := open(t, labelled.Config{}, sources...)
	seen := map[string]bool{}
	for seed := range uint64(5) {
		train, test, d := sides(t, s, labelled.SplitConfig{Seed: seed})
		if d.By != labelled.ByCapture || !d.Chosen {
			t.Errorf("%+v", d)
		}
		in := map[int]bool{}
		for _, r := range train {
			in[r.Source] = true
		}
		count := map[string]int{}
		tested := map[int]bool{}
		for _, r := range test {
			if in[r.Source] {
				t.Fatalf("source %d is on both sides", r.Source)
			}
			count[r.Label]++
			tested[r.Source] = true
		}
		if count["x"] < 110 || count["x"] > 190 || count["y"] != 10 || count["z"] == 0 {
			t.Errorf("tested %v, want about 150 of x, 10 of y, some of z", count)
		}
		seen[fmt.Sprint(tested)] = true
		again, _, _ := sides(t, s, labelled.SplitConfig{Seed: seed})
		if names(again) != names(train) {
			t.Error("another division by the same seed")
		}
	}
	if len(seen) < 2 {
		t.Error("the seed changes nothing")
	}
}

// TestSplitByCaptureNearTheShare wants no file that is far too large where others are nearer, and a word where none is.
func TestSplitByCaptureNearTheShare(t *testing.T) {
	s := open(t, labelled.Config{}, many(t, map[string][]int{"x": {500, 5, 90, 110}, "y": {300, 6}})...)
	for seed := range uint64(8) {
		train, test, d := sides(t, s, labelled.SplitConfig{Seed: seed})
		count := map[string]int{}
		for _, r := range test {
			count[r.Label]++
		}
		if count["x"] < 150 || count["x"] > 250 || count["y"] != 6 || len(train) == 0 {
			t.Errorf("seed %d: tested %v, want about 211 of x, and 6 of y", seed, count)
		}
		if text := strings.Join(d.Warnings, "\n"); !strings.Contains(text, "share of 30 %: tested are of y 1.96 %") {
			t.Errorf("warnings %s", text)
		}
	}
}

// TestSplitCountsDroppedFilesOnce wants a file of which all rows are dropped on one side.
func TestSplitCountsDroppedFilesOnce(t *testing.T) {
	bad := string(vectorio.AppendHeader(nil, true)) + strings.Repeat(strings.Repeat("nan,", feature.NumColumns)+"x\n", 7)
	sources := append(many(t, map[string][]int{"x": {20, 20}, "y": {20, 20}}), labelled.Source{Path: write(t, "bad.csv", bad)})
	s := open(t, labelled.Config{NonFinite: labelled.Drop}, sources...)
	train, test, _, err := s.Split(ctx, labelled.SplitConfig{By: labelled.ByCapture})
	if err != nil {
		t.Fatal(err)
	}
	a, err := train.Survey(ctx)
	if err != nil {
		t.Fatal(err)
	}
	b, err := test.Survey(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if a.Dropped+b.Dropped != 7 || len(a.Sources)+len(b.Sources) != 5 {
		t.Errorf("%d and %d dropped in %d and %d files", a.Dropped, b.Dropped, len(a.Sources), len(b.Sources))
	}
}

func TestSplitByTime(t *testing.T) {
	s := open(t, labelled.Config{}, many(t, map[string][]int{"x": {100, 1}, "y": {10}})...)
	train, test, d := sides(t, s, labelled.SplitConfig{})
	if d.By != labelled.ByTime || !d.Chosen || len(train) != 70+1+7 || len(test) != 33 {
		t.Errorf("%d, %d rows, %+v", len(train), len(test), d)
	}
	for _, r := range train {
		if r.Source == 0 && r.Number > 70 {
			t.Errorf("row %d is learnt from", r.Number)
		}
	}
	if len(d.Warnings) == 0 || !strings.Contains(d.Warnings[0], "a table has no times") {
		t.Errorf("%q", d.Warnings)
	}
	_, test, _ = sides(t, s, labelled.SplitConfig{By: labelled.ByTime, TestShare: 0.5})
	if len(test) != 50+5 {
		t.Errorf("%d rows", len(test))
	}
}

func TestSplitByChance(t *testing.T) {
	s := open(t, labelled.Config{Memory: 1 << 20}, many(t, map[string][]int{"x": {2000}})...)
	_, test, d := sides(t, s, labelled.SplitConfig{By: labelled.ByChance, TestShare: 0.3, Seed: 3})
	if len(test) < 500 || len(test) > 700 || !strings.Contains(strings.Join(d.Warnings, ""), "NEIGHBOURS") {
		t.Errorf("%d rows, %q", len(test), d.Warnings)
	}
	_, other, _ := sides(t, s, labelled.SplitConfig{By: labelled.ByChance, TestShare: 0.3, Seed: 4})
	if names(other) == names(test) {
		t.Error("the seed changes nothing")
	}
}

func TestSplitWarnsAndRefuses(t *testing.T) {
	sorted := open(t, labelled.Config{}, labelled.Source{Path: table(t, "a.csv", append(repeat("x", 70), repeat("y", 30)...)...)})
	_, _, d := sides(t, sorted, labelled.SplitConfig{})
	if text := strings.Join(d.Warnings, "\n"); !strings.Contains(text, "not tested: x") || !strings.Contains(text, "not learnt, so always wrong: y") {
		t.Errorf("warnings %s", text)
	}
	for _, c := range []struct {
		cfg  labelled.SplitConfig
		want string
	}{
		{labelled.SplitConfig{By: "half"}, "choose capture, time or random"},
		{labelled.SplitConfig{TestShare: 1}, "test share 1"},
		{labelled.SplitConfig{By: labelled.ByCapture}, "no label has two captures"},
	} {
		if _, _, _, err := sorted.Split(ctx, c.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c.cfg, err)
		}
	}
	one := open(t, labelled.Config{}, labelled.Source{Path: table(t, "one.csv", "x")})
	if _, _, _, err := one.Split(ctx, labelled.SplitConfig{}); err == nil {
		t.Error("one row was parted")
	}
}

// TestTestClampsByWhatWasLearnt wants the extremes of the test not to be known to it.
func TestTestClampsByWhatWasLearnt(t *testing.T) {
	text := string(vectorio.AppendHeader(nil, true))
	for _, rate := range []string{"1", "2", "inf", "4", "5", "6", "7", "8", "inf", "10"} {
		fields := slices.Repeat([]string{"1"}, feature.NumColumns)
		fields[feature.Rate] = rate
		text += strings.Join(fields, ",") + ",x\n"
	}
	s := open(t, labelled.Config{NonFinite: labelled.Clamp}, labelled.Source{Path: write(t, "a.csv", text)})
	all(t, s, labelled.Order{}) // finds the limits of the whole, which the parts must not use
	train, test, _, err := s.Split(ctx, labelled.SplitConfig{By: labelled.ByTime})
	if err != nil {
		t.Fatal(err)
	}
	rates := func(s *labelled.Set) (list []float64) {
		for _, r := range all(t, s, labelled.Order{}) {
			list = append(list, r.Values[feature.Rate])
		}
		return list
	}
	if got := fmt.Sprint(rates(train), rates(test)); got != "[1 2 7 4 5 6 7] [8 7 10]" {
		t.Errorf("rates %s", got)
	}
}

func TestOrders(t *testing.T) {
	s := open(t, labelled.Config{}, many(t, map[string][]int{"x": {60, 30}, "y": {10}})...)
	want := all(t, s, labelled.Order{})
	sorted := func(rows []labelled.Row) string {
		list := strings.Fields(names(rows))
		slices.Sort(list)
		return strings.Join(list, " ")
	}
	rows := all(t, s, labelled.Order{By: labelled.Interleaved})
	if sorted(rows) != sorted(want) {
		t.Error("interleaved rows are others")
	}
	last := map[int]int64{}
	for i, r := range rows {
		if r.Number != last[r.Source]+1 {
			t.Fatalf("row %d of source %d behind row %d", r.Number, r.Source, last[r.Source])
		}
		last[r.Source] = r.Number
		for source, n := range []float64{60, 30, 10} { // each source is evenly spread
			if behind := float64(i+1)*n/100 - float64(last[source]); behind > 1.5 || behind < -1.5 {
				t.Fatalf("after %d rows, %d of source %d", i+1, last[source], source)
			}
		}
	}
	full := all(t, s, labelled.Order{By: labelled.Shuffled, Buffer: 1000, Seed: 1})
	if sorted(full) != sorted(want) || names(full) == names(rows) {
		t.Error("shuffled rows are others, or in order")
	}
	if again := all(t, s, labelled.Order{By: labelled.Shuffled, Buffer: 1000, Seed: 1}); names(again) != names(full) {
		t.Error("another order by the same seed")
	}
	if other := all(t, s, labelled.Order{By: labelled.Shuffled, Buffer: 1000, Seed: 2}); names(other) == names(full) {
		t.Error("the seed changes nothing")
	}
	short := all(t, s, labelled.Order{By: labelled.Shuffled, Buffer: 10, Seed: 1})
	if sorted(short) != sorted(want) {
		t.Error("shuffled rows are others")
	}
	place := map[string]int{}
	for i, r := range rows {
		place[names([]labelled.Row{r})] = i
	}
	for i, r := range short {
		if early := place[names([]labelled.Row{r})] - i; early > 10 {
			t.Errorf("row %d came %d early out of a buffer of 10", i, early)
		}
	}
	for _, o := range []labelled.Order{{By: "x"}, {By: labelled.Shuffled}} {
		if err := s.EachIn(ctx, o, nil); err == nil {
			t.Errorf("%+v is no order", o)
		}
	}
	end := errors.New("end")
	for _, by := range []string{labelled.AsRead, labelled.Interleaved, labelled.Shuffled} {
		n := 0
		err := s.EachIn(ctx, labelled.Order{By: by, Buffer: 5}, func(*labelled.Row) error {
			if n++; n == 7 {
				return end
			}
			return nil
		})
		if err != end || n != 7 {
			t.Errorf("%s: %v after %d rows", by, err, n)
		}
	}
}

func TestCancelled(t *testing.T) {
	s := open(t, labelled.Config{}, labelled.Source{Path: table(t, "a.csv", repeat("x", 5000)...)})
	for _, by := range []string{labelled.AsRead, labelled.Interleaved, labelled.Shuffled} {
		stopped, cancel := context.WithCancel(ctx)
		n := 0
		err := s.EachIn(stopped, labelled.Order{By: by, Buffer: 10}, func(*labelled.Row) error {
			if n++; n == 10 {
				cancel()
			}
			return nil
		})
		if !errors.Is(err, context.Canceled) || n > 2100 {
			t.Errorf("%s: %v after %d rows", by, err, n)
		}
	}
}
