package validation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pcaplab/datasets/labelled"
	"pcaplab/parse/feature"
	"pcaplab/parse/model"
)

// stub is a model of one rule over all 39 columns.
type stub struct {
	classes []string
	rule    func(x []float64) int
}

func (s *stub) Columns() []string   { return feature.Columns() }
func (s *stub) Width() int          { return feature.NumColumns }
func (s *stub) Classes() []string   { return s.classes }
func (s *stub) Probabilities() bool { return false }
func (s *stub) Clone() model.Model  { return s }
func (s *stub) Predict(x, _ []float64) (int, error) {
	return s.rule(x), nil
}

// batching is a stub that has to be asked in batches.
type batching struct {
	stub
	asked, vectors int
}

func (b *batching) Predict([]float64, []float64) (int, error) { return 0, errors.New("asked for one") }
func (b *batching) PredictBatch(xs []float64, classes []int, _ []float64) error {
	b.asked++
	for i := range classes {
		classes[i] = b.rule(xs[i*feature.NumColumns : (i+1)*feature.NumColumns])
		b.vectors++
	}
	return nil
}

// rows are labelled vectors in memory.
type rows []labelled.Row

func (r rows) Each(ctx context.Context, f func(*labelled.Row) error) error {
	for _, row := range r {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := f(&row); err != nil {
			return err
		}
	}
	return nil
}

// made makes rows by turns of the labels; fill sets what matters of each.
func made(n int, labels []string, fill func(i, label int, row *labelled.Row)) rows {
	var list rows
	for i := range n {
		label := i % len(labels)
		row := labelled.Row{Label: labels[label], Number: int64(i + 1)}
		row.Values[feature.Number] = 10
		fill(i, label, &row)
		list = append(list, row)
	}
	return list
}

func validate(t *testing.T, m model.Model, cfg Config, sets ...Set) *Report {
	t.Helper()
	if cfg.Resamples == 0 {
		cfg.Resamples = 200
	}
	r, err := Run(t.Context(), m, sets, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var two = []string{"BENIGN", "ATTACK"}

// Only the length of windows tells the classes: without it the model must collapse to guessing.
func TestLeakOfTheWindowsLengthIsFound(t *testing.T) {
	leaky := &stub{two, func(x []float64) int {
		if x[feature.Number] > 50 {
			return 1
		}
		return 0
	}}
	random := rand.New(rand.NewPCG(1, 2))
	table := made(4000, two, func(_, label int, row *labelled.Row) {
		row.Values[feature.Number] = []float64{10, 100}[label]
		row.Values[feature.Rate] = random.Float64() * 1000
	})
	r := validate(t, leaky, Config{Benign: "BENIGN", Ablation: true}, Set{Name: "tables", Rows: table})
	s := r.Sets[0]
	if s.Metrics.Macro.F1 != 1 || !s.WindowLength.Leaks || s.WindowLength.GroupRecall != 1 || s.WindowLength.Accuracy != 1 {
		t.Fatalf("macro-F1 %v, window length %+v", s.Metrics.Macro.F1, s.WindowLength)
	}
	part := r.Ablation[0]
	if part.Leak != LeakPossible { // captures would show it
		t.Fatalf("leak %q: %s", part.Leak, part.Finding)
	}
	if len(part.Rows) != 3 {
		t.Fatalf("rows %+v", part.Rows)
	}
	for _, a := range part.Rows[1:] {
		// A permutation gives half of the rows another class's length: macro-F1 is near one half.
		if a.Verdict != Collapses || math.Abs(a.MacroF1-0.5) > 0.05 || math.Abs(a.BalancedAccuracy-0.5) > 0.05 || a.Against != "as given" {
			t.Errorf("%+v", a)
		}
	}
	// As many rows have each length as before, so the model says each class as often: half of the 2000 benign rows are taken for attacks.
	if got := *part.Rows[1].FalseAlarms; got < 900 || got > 1100 {
		t.Errorf("%d false alarms with Number hidden", got)
	}
	if len(part.NotDone) != 1 || !strings.Contains(part.NotDone[0], "captures") {
		t.Errorf("not done: %q", part.NotDone)
	}
}

// The classes differ in rate, whatever the length of windows, which is another for each class: nothing must be found.
func TestNoLeakIsFoundWhereThereIsNone(t *testing.T) {
	honest := &stub{two, func(x []float64) int {
		if x[feature.Rate] > 500 {
			return 1
		}
		return 0
	}}
	for name, lengths := range map[string][]float64{"windows by class": {10, 100}, "windows alike": {10, 10}} {
		random := rand.New(rand.NewPCG(1, 2))
		table := made(4000, two, func(_, label int, row *labelled.Row) {
			row.Values[feature.Number] = lengths[label]
			row.Values[feature.Rate] = float64(450*label) + random.Float64()*550 // overlapping
		})
		r := validate(t, honest, Config{Benign: "BENIGN", Ablation: true}, Set{Name: "tables", Rows: table})
		part := r.Ablation[0]
		want := LeakNotShown
		if lengths[0] == lengths[1] {
			want = LeakUntested // such rows cannot tell
		}
		if part.Leak != want {
			t.Errorf("%s: leak %q: %s", name, part.Leak, part.Finding)
		}
		for _, a := range part.Rows[1:] {
			if a.Verdict != Holds || a.Drop != 0 {
				t.Errorf("%s: %+v", name, a)
			}
		}
	}
}

// The sum of sizes tells the classes because of the windows' length, and would not with one length for all; or because of sizes, and would.
func TestCapturesDecideWhatTablesCannot(t *testing.T) {
	bySum := &stub{two, func(x []float64) int {
		if x[feature.TotSum] > 20_000 {
			return 1
		}
		return 0
	}}
	capture := func(sizes, lengths [2]float64) rows {
		return made(2000, two, func(_, label int, row *labelled.Row) {
			row.Values[feature.Number] = lengths[label]
			row.Values[feature.TotSum] = lengths[label] * sizes[label]
		})
	}
	alike, unlike := [2]float64{500, 500}, [2]float64{100, 4000}
	set := func(sizes [2]float64) Set {
		return Set{Name: "captures", Captures: true, Window: "N = 10", Rows: capture(sizes, [2]float64{10, 10}), Windows: []Window{
			{Name: "N = 100", Rows: capture(sizes, [2]float64{100, 100})},
			{Name: "by class, as published", Rows: capture(sizes, [2]float64{10, 100}), Published: true},
		}}
	}
	leak := validate(t, bySum, Config{Ablation: true}, set(alike)).Ablation[0]
	if leak.Leak != LeakShown || !strings.Contains(leak.Finding, "live") {
		t.Errorf("leak %q: %s", leak.Leak, leak.Finding)
	}
	var names, verdicts []string
	for _, a := range leak.Rows {
		names, verdicts = append(names, a.Name), append(verdicts, a.Verdict)
	}
	if want := []string{"N = 10", "N = 100", "by class, as published", "N = 10, Number hidden", "N = 10, Number and its dependents hidden",
		"by class, as published, Number hidden", "by class, as published, Number and its dependents hidden"}; !slices.Equal(names, want) {
		t.Errorf("rows %q", names)
	}
	// Everything is one class in windows of one length; hiding Number alone changes nothing for a model that goes by the sum.
	if want := []string{"", Holds, Rises, Holds, Holds, Holds, Collapses}; !slices.Equal(verdicts, want) {
		t.Errorf("verdicts %q, want %q", verdicts, want)
	}
	if none := validate(t, bySum, Config{Ablation: true}, set(unlike)).Ablation[0]; none.Leak != LeakNotShown || !strings.Contains(none.Finding, "besides") {
		t.Errorf("leak %q: %s", none.Leak, none.Finding)
	}
	// A mean size made of sum and Number is nothing without Number, on tables too, and no leak.
	bySize := &stub{two, func(x []float64) int {
		if x[feature.TotSum]/x[feature.Number] < 1000 {
			return 1
		}
		return 0
	}}
	large := [2]float64{1250, 800}
	sized := validate(t, bySize, Config{Ablation: true}, set(large)).Ablation[0]
	if sized.Leak != LeakNotShown || sized.Rows[5].Verdict != Collapses || sized.Rows[5].Name != "by class, as published, Number hidden" {
		t.Errorf("leak %q: %s; %+v", sized.Leak, sized.Finding, sized.Rows)
	}
	if onTable := validate(t, bySize, Config{Ablation: true}, Set{Name: "tables", Rows: capture(large, [2]float64{10, 100})}).Ablation[0]; onTable.Leak != LeakPossible {
		t.Errorf("leak %q: %s", onTable.Leak, onTable.Finding)
	}
	// Too few rows show nothing, and clear nobody.
	few := set(unlike)
	few.Rows = few.Rows.(rows)[:24]
	for i := range few.Windows {
		few.Windows[i].Rows = few.Windows[i].Rows.(rows)[:24]
	}
	if open := validate(t, bySum, Config{Ablation: true}, few).Ablation[0]; open.Leak != LeakUntested || !strings.Contains(open.Finding, "too few rows") {
		t.Errorf("leak %q: %s", open.Leak, open.Finding)
	}
	// Windows of 100 rows that one class has not enough packets for are compared without it.
	short := set(alike)
	short.Windows[0].Rows = slices.DeleteFunc(slices.Clone(short.Windows[0].Rows.(rows)), func(r labelled.Row) bool { return r.Label == two[0] })
	part := validate(t, bySum, Config{Ablation: true}, short).Ablation[0]
	if len(part.Notes) != 1 || !strings.Contains(part.Notes[0], "not compared, for want of BENIGN") || part.Leak != LeakShown {
		t.Errorf("leak %q: %s; %q", part.Leak, part.Finding, part.Notes)
	}
	// A table of the same windows leaves it open.
	table := Set{Name: "tables", Rows: capture(unlike, [2]float64{10, 100})}
	if open := validate(t, bySum, Config{Ablation: true}, table).Ablation[0]; open.Leak != LeakPossible {
		t.Errorf("leak %q: %s", open.Leak, open.Finding)
	}
}

// Neither the shares of classes nor classes that are not there may change a verdict.
func TestVerdictsDoNotDependOnShares(t *testing.T) {
	eight := []string{"BENIGN", "ATTACK", "c", "d", "e", "f", "g", "h"}
	labels := append(slices.Repeat([]string{"BENIGN"}, 19), "ATTACK")
	leaky := func(x []float64) int {
		if x[feature.Number] > 50 {
			return 1
		}
		return 0
	}
	honest := func(x []float64) int { return int(x[feature.Rate]) }
	elsewhere := func(x []float64) int { // says classes that no row is of
		if x[feature.Number] > 50 {
			return 1 + int(x[feature.IAT])%7
		}
		return 0
	}
	random := rand.New(rand.NewPCG(5, 6))
	data := func(labels []string, chance bool) rows {
		return made(20_000, labels, func(i, label int, row *labelled.Row) {
			attack := labels[label] == "ATTACK"
			if row.Values[feature.Number] = 10; attack {
				row.Values[feature.Number], row.Values[feature.Rate] = 100, 1
			}
			if chance {
				row.Values[feature.Number] = float64(1 + random.IntN(100))
			}
			row.Values[feature.IAT] = float64(random.IntN(7))
			if random.IntN(20) == 0 {
				row.Values[feature.Rate] = float64(random.IntN(2))
			}
		})
	}
	for _, tt := range []struct {
		name    string
		classes []string
		rule    func(x []float64) int
		rows    rows
		leaks   bool
		leak    string
	}{
		{"leak, equal shares", two, leaky, data(two, false), true, LeakPossible},
		{"leak, 19 to 1", two, leaky, data(labels, false), true, LeakPossible},
		{"leak, classes that are not there", eight, elsewhere, data(two, false), true, LeakPossible},
		{"none, equal shares", two, honest, data(two, false), true, LeakNotShown},
		{"none, 19 to 1", two, honest, data(labels, false), true, LeakNotShown},
		{"none, classes that are not there", eight, honest, data(two, false), true, LeakNotShown},
		{"lengths by chance, 19 to 1", two, leaky, data(labels, true), false, LeakUntested},
		{"none, lengths by chance, 19 to 1", two, honest, data(labels, true), false, LeakUntested},
	} {
		r := validate(t, &stub{tt.classes, tt.rule}, Config{Ablation: true, Resamples: 100}, Set{Name: "tables", Rows: tt.rows})
		if part := r.Ablation[0]; r.Sets[0].WindowLength.Leaks != tt.leaks || part.Leak != tt.leak {
			t.Errorf("%s: leaks %v, leak %q: %s", tt.name, r.Sets[0].WindowLength.Leaks, part.Leak, part.Finding)
		}
	}
	// Labels that the model has no class for are always wrong: they must not hide what becomes of the others.
	foreign := data(two, false)
	for i := range foreign {
		if i%20 > 1 {
			foreign[i].Label = fmt.Sprint("other ", i%20)
		}
	}
	part := validate(t, &stub{two, leaky}, Config{Ablation: true, Resamples: 100}, Set{Name: "tables", Rows: foreign}).Ablation[0]
	if a := part.Rows[1]; a.Verdict != Collapses || part.Rows[0].BalancedAccuracy != 1 || math.Abs(a.Drop-0.5) > 0.1 {
		t.Errorf("%+v", a)
	}
}

// The columns of a class all of which are dropped, and benign rows that are, must be said; where nothing is left there is no report.
func TestDroppedClasses(t *testing.T) {
	m := &stub{two, byRate}
	list := made(1000, two, func(i, label int, row *labelled.Row) {
		row.Covered = time.Second
		if row.Values[feature.Rate] = float64(label); label == 1 || i < 60 {
			row.Values[feature.Rate] = math.Inf(1)
		}
	})
	cfg := Config{Policy: model.Drop, Benign: "BENIGN"}
	s := validate(t, m, cfg, Set{Name: "captures", Captures: true, Rows: list}).Sets[0]
	warnings := strings.Join(s.Warnings, "\n")
	for _, want := range []string{"no row of ATTACK has a prediction", "30 of 500 benign rows have no prediction", "0 false alarms in 500 s of benign capture"} {
		if !strings.Contains(warnings, want) {
			t.Errorf("no %q in %s", want, warnings)
		}
	}
	_, err := Run(t.Context(), m, []Set{{Name: "captures", Captures: true, Rows: list[1:2]}}, cfg)
	if !errors.Is(err, ErrNothing) || !strings.Contains(err.Error(), "all 1 rows have a value that the model cannot take, in Rate") {
		t.Errorf("%v", err)
	}
}

func byRate(x []float64) int { return int(x[feature.Rate]) }

func TestReport(t *testing.T) {
	m := &stub{[]string{"benign", "a", "b"}, byRate}
	// 8 rows: truth benign benign benign a a b x x, predicted benign a benign a b b a benign.
	predicted := []float64{0, 1, 0, 1, 2, 2, 1, 0}
	list := made(8, []string{"BENIGN"}, func(i, _ int, row *labelled.Row) {
		row.Label = []string{"BENIGN", "BENIGN", "BENIGN", "A", "A", "B", "X", "X"}[i]
		row.Values[feature.Rate] = predicted[i]
		row.Covered = 30 * time.Minute
		row.Source = i / 4
	})
	cfg := Config{Name: "m", Classes: []string{"BENIGN", "A", "B"}, Benign: "BENIGN"}
	r := validate(t, m, cfg, Set{Name: "captures", Captures: true, Window: "N = 10", Rows: list, Sources: []string{"one.pcap", "two.pcap"}})
	s := r.Sets[0]
	if want := [][]uint64{{2, 1, 0, 0}, {0, 1, 1, 0}, {0, 0, 1, 0}, {1, 1, 0, 0}}; fmt.Sprint(s.Confusion.Counts) != fmt.Sprint(want) ||
		!slices.Equal(s.Confusion.Classes, []string{"BENIGN", "A", "B", "X"}) {
		t.Errorf("confusion %v of %v", s.Confusion.Counts, s.Confusion.Classes)
	}
	// By hand: F1 are 2*2/(3+3), 2*1/(2+3), 2*1/(1+2) and 0 of the class that the model does not have.
	if want := (2.0/3 + 2.0/5 + 2.0/3 + 0) / 4; math.Abs(s.Metrics.Macro.F1-want) > 1e-15 {
		t.Errorf("macro-F1 %v, want %v", s.Metrics.Macro.F1, want)
	}
	if recall, interval, ok := s.BenignRecall(); !ok || recall != 2.0/3 || interval.Low > recall || interval.High < recall {
		t.Errorf("benign recall %v %v %v", recall, interval, ok)
	}
	// Three benign vectors cover 1.5 h, one raised an alarm. All may have, or none: 0 to 2 an hour.
	if i := s.FalseAlarmsPerHourInterval; i == nil || i.Low != 0 || i.High != 2 {
		t.Errorf("interval of false alarms an hour %v", i)
	}
	if s.Hours != 1.5 || s.FalseAlarmsPerHour == nil || math.Abs(*s.FalseAlarmsPerHour-1/1.5) > 1e-15 {
		t.Errorf("%v h, %v false alarms an hour", s.Hours, s.FalseAlarmsPerHour)
	}
	if s.Alarms.Detected != 4 || s.Alarms.AttackRows != 5 || s.Binary.Accuracy != 6.0/8 {
		t.Errorf("alarms %+v, binary accuracy %v", s.Alarms, s.Binary.Accuracy)
	}
	if len(s.Sources) != 2 || s.Sources[0].Name != "one.pcap" || *s.Sources[0].Accuracy != 0.75 || *s.Sources[1].Accuracy != 0.25 {
		t.Errorf("sources %+v", s.Sources)
	}
	var unknown []string
	for _, l := range s.Labels {
		if l.Unknown {
			unknown = append(unknown, l.Label)
		}
	}
	if !slices.Equal(unknown, []string{"X"}) || !strings.Contains(strings.Join(s.Warnings, "\n"), "2 of 8 rows have labels that the model has no class for, and count as wrong: X") {
		t.Errorf("unknown %q, warnings %q", unknown, s.Warnings)
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if again, _ := json.Marshal(&back); string(again) != string(text) {
		t.Errorf("the JSON reads back as another report:\n%s\n%s", text, again)
	}

	// Tables have no times, and whoever has no benign class has no false alarms.
	r = validate(t, m, cfg, Set{Name: "tables", Rows: list})
	if s := r.Sets[0]; s.FalseAlarmsPerHour != nil || s.HoursWhy != "tables have no times" {
		t.Errorf("%v %q", s.FalseAlarmsPerHour, s.HoursWhy)
	}
	cfg.Benign = ""
	if s := validate(t, m, cfg, Set{Name: "tables", Rows: list}).Sets[0]; s.Alarms != nil || s.HoursWhy == "" {
		t.Errorf("%+v %q", s.Alarms, s.HoursWhy)
	}
}

// The report must not depend on how many goroutines there are, nor on whether the model takes batches.
func TestSameReportWhoeverPredicts(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	labels := []string{"p", "q", "r"}
	list := made(3001, labels, func(i, label int, row *labelled.Row) {
		row.Values[feature.Number] = float64(1 + random.IntN(20))
		row.Values[feature.Rate] = float64(random.IntN(3))
		row.Source = i / 100
	})
	rule := func(x []float64) int { return (int(x[feature.Rate]) + int(x[feature.Number])/10) % 3 }
	set := Set{Name: "captures", Captures: true, Window: "windows of 1s", Rows: list}
	var texts []string
	batch := &batching{stub: stub{labels, rule}}
	for _, workers := range []int{1, 2, 7} {
		for _, m := range []model.Model{&stub{labels, rule}, batch} {
			text, err := json.Marshal(validate(t, m, Config{Ablation: true, Workers: workers, Seed: 5}, set))
			if err != nil {
				t.Fatal(err)
			}
			texts = append(texts, string(text))
		}
	}
	for _, text := range texts[1:] {
		if text != texts[0] {
			t.Fatalf("reports differ:\n%s\n%s", texts[0], text)
		}
	}
	if batch.asked*10 > batch.vectors {
		t.Errorf("%d batches of %d vectors", batch.asked, batch.vectors)
	}
}

func TestNotFinite(t *testing.T) {
	m := &stub{two, func(x []float64) int { return min(1, int(x[feature.HeaderLength])) }}
	list := made(10, two, func(i, label int, row *labelled.Row) {
		row.Values[feature.HeaderLength] = float64(label)
		row.Values[feature.Rate] = 5
		switch i {
		case 3:
			row.Values[feature.Rate] = math.Inf(1)
		case 6:
			row.Values[feature.Std], row.Values[feature.Variance] = math.NaN(), math.NaN()
		}
	})
	set := Set{Name: "tables", Rows: list, Sources: []string{"t.csv"}}
	_, err := Run(t.Context(), m, []Set{set}, Config{})
	if bad := new(model.NonFiniteError); !errors.As(err, &bad) || !strings.Contains(err.Error(), "tables: t.csv: vector 4: ") || !strings.Contains(err.Error(), "Rate") {
		t.Errorf("%v", err)
	}
	s := validate(t, m, Config{Policy: model.Drop, Benign: "BENIGN"}, set).Sets[0]
	if s.Rows != 10 || s.Decided != 8 || s.Dropped != 2 || s.Clamped != 0 || s.DroppedOf["ATTACK"] != 1 || s.DroppedOf["BENIGN"] != 1 {
		t.Errorf("%+v", s)
	}
	if want := []NonFinite{{"Rate", 1}, {"Std", 1}, {"Variance", 1}}; !slices.Equal(s.NonFinite, want) {
		t.Errorf("%v", s.NonFinite)
	}
	s = validate(t, m, Config{Policy: model.Clamp, Benign: "BENIGN"}, set).Sets[0]
	if s.Decided != 10 || s.Dropped != 0 || s.Clamped != 2 || s.Metrics.Accuracy != 1 {
		t.Errorf("%+v", s)
	}
}

func TestWhatIsRefused(t *testing.T) {
	m := &stub{two, byRate}
	good := Set{Name: "tables", Rows: made(4, two, func(int, int, *labelled.Row) {})}
	reading := errors.New("a fault")
	for _, tt := range []struct {
		name string
		m    model.Model
		cfg  Config
		sets []Set
		want string
	}{
		{"no sets", m, Config{}, nil, "nothing to validate on"},
		{"no rows", m, Config{}, []Set{{Name: "tables", Rows: rows{}}}, "tables: no rows"},
		{"other names", m, Config{Classes: []string{"one"}}, []Set{good}, "1 names for the 2 classes"},
		{"one class", m, Config{Classes: []string{"x", "x"}}, []Set{good}, "group them less"},
		{"no class in common", m, Config{Classes: []string{"0", "1"}}, []Set{good}, "the model's classes are 0, 1, the data's labels ATTACK, BENIGN"},
		{"resamples", m, Config{Resamples: -1}, []Set{good}, "-1 resamples"},
		{"more resamples", m, Config{Resamples: MaxResamples + 1}, []Set{good}, "choose 1 to 100000"},
		{"level", m, Config{Level: 2}, []Set{good}, "level 2"},
		{"limit", m, Config{Limit: -1}, []Set{good}, "limit -1"},
		{"a fault of reading", m, Config{}, []Set{{Name: "tables", Rows: faulty{good.Rows, reading}}}, "tables: a fault"},
		{"a class that the model does not have", &stub{two, func([]float64) int { return 2 }}, Config{}, []Set{good}, "the model says class 2 of 2"},
		{"too many labels", m, Config{}, []Set{{Name: "tables", Sources: []string{"t.csv"}, Rows: made(2000, two, func(i, _ int, row *labelled.Row) { row.Label = fmt.Sprint(i) })}},
			"t.csv: row 1023: more than 1024 classes"},
	} {
		_, err := Run(t.Context(), tt.m, tt.sets, tt.cfg)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, m, []Set{good}, Config{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

type faulty struct {
	Rows
	err error
}

func (f faulty) Each(ctx context.Context, row func(*labelled.Row) error) error {
	return errors.Join(f.Rows.Each(ctx, row), f.err)
}

// Of several rows that fail, the first is named, whichever goroutine is the first to find one.
func TestFirstFaultIsNamed(t *testing.T) {
	m := &stub{two, byRate}
	list := made(20_000, two, func(i, _ int, row *labelled.Row) {
		if i >= 700 {
			row.Values[feature.Rate] = math.NaN()
		}
	})
	for range 5 {
		_, err := Run(t.Context(), m, []Set{{Name: "tables", Rows: list}}, Config{Workers: 8})
		if err == nil || !strings.Contains(err.Error(), "vector 701:") {
			t.Fatal(err)
		}
	}
}

func TestDrift(t *testing.T) {
	m := &stub{two, byRate}
	fill := func(shift float64) func(int, int, *labelled.Row) {
		return func(i, label int, row *labelled.Row) {
			row.Values[feature.Rate] = float64(label)
			row.Values[feature.IAT] = float64(i) + shift
		}
	}
	a, b := made(1000, two, fill(0)), made(1000, two, fill(500))
	r := validate(t, m, Config{}, Set{Name: "tables", Rows: a}, Set{Name: "captures", Captures: true, Window: "N = 10", Rows: b})
	if len(r.Drift) != 1 {
		t.Fatalf("%d comparisons", len(r.Drift))
	}
	d := r.Drift[0]
	if d.Against != "tables" || d.Set != "captures" || d.ClassShift != 0 || d.Paired != 1000 {
		t.Errorf("%+v", d)
	}
	for _, c := range d.Columns {
		want := 0.0
		if c.Column == feature.Columns()[feature.IAT] {
			want = 0.5
		}
		if float64(c.KS) != want {
			t.Errorf("KS of %s is %v, want %v", c.Column, c.KS, want)
		}
	}
	if len(d.Pairs) != 1 || d.Pairs[0].Column != "IAT" || d.Pairs[0].Mismatches != 1000 {
		t.Errorf("pairs %+v", d.Pairs)
	}
	// A reference is compared with every set. Rows that are not as many do not pair, nor do others of other classes.
	reference := Set{Name: "reference", Rows: a[:400]}
	swapped := slices.Clone(a)
	swapped[10].Label, swapped[11].Label = swapped[11].Label, swapped[10].Label
	r = validate(t, m, Config{Reference: &reference}, Set{Name: "tables", Rows: a}, Set{Name: "captures", Captures: true, Window: "N = 10", Rows: swapped})
	if len(r.Drift) != 3 || r.Drift[0].Unpaired != "rows do not pair: row 11 is of BENIGN and ATTACK" || r.Drift[1].Unpaired != "rows do not pair: 400 and 1000" {
		t.Errorf("%+v", r.Drift)
	}
	if !r.Sets[2].Reference || r.Sets[0].Reference {
		t.Errorf("the reference is not marked")
	}
}

func TestLimit(t *testing.T) {
	m := &stub{two, byRate}
	var list rows
	for source := range 3 {
		part := made(100, two, func(_, label int, row *labelled.Row) { row.Source, row.Values[feature.Rate] = source, float64(label) })
		list = append(list, part...)
	}
	if s := validate(t, m, Config{Limit: 7}, Set{Name: "tables", Rows: list}).Sets[0]; s.Rows != 21 || len(s.Sources) != 3 || s.Sources[1].Rows != 7 {
		t.Errorf("%d rows, %+v", s.Rows, s.Sources)
	}
}

func TestWindowLengths(t *testing.T) {
	var l lengths
	values := func(n float64) *[feature.NumColumns]float64 {
		var v [feature.NumColumns]float64
		v[feature.Number] = n
		return &v
	}
	// Length 10: classes 0 and 1, three and one rows. Length 100: class 2, five rows; class 0, one row. A single row of length 7: class 1.
	for class, counts := range []map[float64]int{{10: 3, 100: 1}, {10: 1, 7: 1}, {100: 5}} {
		for n, rows := range counts {
			for range rows {
				l.add(values(n), class)
			}
		}
	}
	r := l.report([]string{"a", "b", "c"})
	// Right among the others of the same length: three of class a at 10, five of c at 100: 8 of 11. Over all lengths the most frequent of the
	// others is c for rows of c (4 others, as many a: the first, a, is said, wrong) and of b; for a's rows c. So none is right.
	if want := 8.0 / 11; r.Accuracy != want || r.Baseline != 0 {
		t.Errorf("accuracy %v, want %v; baseline %v", r.Accuracy, want, r.Baseline)
	}
	// b is as often of length 7 as of 10: the first counts. Then every class is a group of its own, all of too few rows to say anything.
	if want := []LengthGroup{{7, []string{"b"}, 2}, {10, []string{"a"}, 4}, {100, []string{"c"}, 5}}; fmt.Sprint(r.Groups) != fmt.Sprint(want) || r.Leaks || r.GroupRecall != 0 {
		t.Errorf("groups %+v", r)
	}
	if r.Lengths != 3 || r.Common[0] != (Length{100, 6}) {
		t.Errorf("%+v", r)
	}
	// 200 rows of a, all of length 10; 20 of b, of which 18 are of length 100. Among rows of length 10 most are a, as a share too.
	var two lengths
	for i := range 220 {
		switch {
		case i < 200:
			two.add(values(10), 0)
		case i < 218:
			two.add(values(100), 1)
		default:
			two.add(values(10), 1)
		}
	}
	if r := two.report([]string{"a", "b"}); r.GroupRecall != (1+0.9)/2 || r.GroupBaseline != 0.5 || !r.Leaks {
		t.Errorf("%+v", r)
	}
	var many lengths
	for i := range 2 * maxLengths {
		many.add(values(float64(i)), 0)
	}
	many.add(values(math.NaN()), 1)
	if r := many.report([]string{"a", "b"}); !r.Capped || r.Lengths != maxLengths {
		t.Errorf("%d lengths, capped %v", r.Lengths, r.Capped)
	}
}

// What is hidden stays as frequent as it was, and comes from one row.
func TestDonors(t *testing.T) {
	given := func(i int) (v [feature.NumColumns]float64) {
		for _, c := range lengthColumns() {
			v[c] = float64(1000*i + c)
		}
		v[feature.Rate] = float64(i)
		return v
	}
	const limit = 2000
	hide := func(n int) (donorOf []int) {
		d := newDonors(9)
		d.limit = limit
		for i := range n {
			v := given(i)
			d.add(&v)
		}
		d.ready()
		for i := range n {
			v := given(i)
			d.put(uint64(i), lengthColumns(), &v)
			donor := int(v[feature.Number]) / 1000
			want := given(donor)
			want[feature.Rate] = float64(i) // is not hidden
			if v != want {
				t.Fatalf("row %d: %v is of no single row", i, v)
			}
			w := given(i)
			d.put(uint64(i), []int{feature.Number}, &w)
			if w[feature.Number] != v[feature.Number] || w[feature.TotSum] != given(i)[feature.TotSum] {
				t.Fatalf("row %d: Number alone: %v", i, w)
			}
			donorOf = append(donorOf, donor)
		}
		return donorOf
	}
	order := hide(1000)
	fixed := 0
	for i, donor := range order {
		if i == donor {
			fixed++
		}
	}
	slices.Sort(order)
	for i, donor := range order {
		if i != donor {
			t.Fatalf("not a permutation: %d at %d", donor, i)
		}
	}
	if fixed > 10 { // one is expected
		t.Errorf("%d rows lend to themselves", fixed)
	}
	// Beyond the limit a sample lends: from all parts of the rows, about equally often.
	const n = 3 * limit
	late := 0
	for _, donor := range hide(n) {
		if donor >= 2*limit {
			late++
		}
	}
	if share := float64(late) / n; math.Abs(share-1.0/3) > 0.05 {
		t.Errorf("%.3f of the donors are of the last third", share)
	}
}

func TestPredictingAllocatesNothing(t *testing.T) {
	for name, m := range map[string]model.Model{"one by one": &stub{two, byRate}, "in batches": &batching{stub: stub{two, byRate}}} {
		b, err := model.Bind(m, feature.Columns(), model.Clamp)
		if err != nil {
			t.Fatal(err)
		}
		r := &runner{bound: b, classes: newClasses(two)}
		p := r.newPredictor(true)
		d := newDonors(1)
		c := &chunk{rows: chunkRows, values: make([][feature.NumColumns]float64, chunkRows), truth: make([]int, chunkRows), source: make([]int, chunkRows)}
		for i := range c.values {
			d.add(&c.values[i])
		}
		d.ready()
		tally := tally{known: 2}
		v := variant{hidden: d, columns: lengthColumns()}
		if n := testing.AllocsPerRun(20, func() {
			if _, err := p.predict(c, v, &tally); err != nil {
				t.Fatal(err)
			}
		}); n > 0 {
			t.Errorf("%s: %v allocations for %d vectors", name, n, chunkRows)
		}
	}
}
