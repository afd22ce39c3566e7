package model

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pcaplab/parse"
	"pcaplab/parse/feature"
	"pcaplab/parse/model/onnx"
)

// frame is an Ethernet frame with an IPv4 and a UDP header, of so many octets.
func frame(nano int64, size int) *parse.Frame {
	f := make([]byte, size)
	f[12], f[13] = 0x08, 0x00
	f[14], f[22], f[23] = 0x45, 64, 17
	f[16], f[17] = byte((size-14)>>8), byte(size-14)
	f[38], f[39] = byte((size-34)>>8), byte(size-34)
	return &parse.Frame{UnixNano: nano, Data: f, WireLen: size, Link: parse.LinkEthernet}
}

// bySize is a model file that calls vectors of small frames "small" and others "large".
func bySize(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	if err := onnx.WriteLinearClassifier(&b, onnx.LinearSpec{Columns: []string{"AVG", "Rate"}, Classes: []string{"small", "large"},
		Offset: []float64{500, 0}, Scale: []float64{0.01, 1}, Coefficients: [][]float64{{1, 0}}, Intercepts: []float64{0}}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "by:size.onnx")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// pipeline is features of 2 rows and the model.
func pipeline(t *testing.T, value string) (*feature.Extractor, *Stage) {
	t.Helper()
	x, err := feature.New(feature.Config{Span: feature.Span{Rows: 2}})
	if err != nil {
		t.Fatal(err)
	}
	set, err := Kind().Set(value)
	if err != nil {
		t.Fatal(err)
	}
	s, err := set()
	if err != nil {
		t.Fatal(err)
	}
	stage := s.(*Stage)
	if err := stage.Follow([]parse.Stage{x}); err != nil {
		t.Fatal(err)
	}
	return x, stage
}

func run(t *testing.T, stages []parse.Stage, frames ...*parse.Frame) error {
	t.Helper()
	var engine parse.Direct
	var p parse.Packet
	for _, f := range frames {
		if err := engine.Parse(f, &p); err != nil {
			t.Fatal(err)
		}
		for _, s := range stages {
			if err := s.Process(f, &p); err != nil {
				return err
			}
		}
	}
	return nil
}

func TestStage(t *testing.T) {
	path := bySize(t)
	x, s := pipeline(t, path)
	var emitted []string
	s = NewStage(s.Bound(), func(v *feature.Vector, class int, ok bool) {
		if v != x.Vector() || !ok {
			t.Error("another vector, or none")
		}
		emitted = append(emitted, s.Bound().Model().Classes()[class])
	})
	if err := s.Follow([]parse.Stage{x}); err != nil {
		t.Fatal(err)
	}
	ms := int64(1e6)
	if err := run(t, []parse.Stage{x, s}, frame(ms, 60), frame(2*ms, 100), frame(3*ms, 1000), frame(4*ms, 1400), frame(5*ms, 60), frame(6*ms, 70), frame(7*ms, 80)); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(emitted, " "); got != "small large small" {
		t.Errorf("classes %s", got)
	}
	counts := s.Counts()
	for name, want := range map[string]uint64{"vectors": 3, "dropped": 0, "clamped": 0, "class small": 2, "class large": 1} {
		if counts[name] != want {
			t.Errorf("%s is %d, want %d", name, counts[name], want)
		}
	}
}

// Two rows of one time have an infinite Rate.
func TestStagePolicies(t *testing.T) {
	path := bySize(t)
	frames := []*parse.Frame{frame(1e6, 60), frame(2e6, 60), frame(3e6, 60), frame(3e6, 60)}
	x, s := pipeline(t, path)
	err := run(t, []parse.Stage{x, s}, frames...)
	var e *NonFiniteError
	if !errors.As(err, &e) || !strings.Contains(err.Error(), "window 2") || !strings.Contains(err.Error(), "Rate is +Inf") {
		t.Errorf("fail: %v", err)
	}
	for value, want := range map[string][3]uint64{":drop": {1, 0, 1}, ":clamp": {0, 1, 2}} {
		x, s := pipeline(t, path+value)
		if err := run(t, []parse.Stage{x, s}, frames...); err != nil {
			t.Fatal(err)
		}
		c := s.Counts()
		if got := [3]uint64{c["dropped"], c["clamped"], c["class small"] + c["class large"]}; got != want || c["vectors"] != 2 {
			t.Errorf("%s: %v, want %v", value, got, want)
		}
	}
}

func TestKindRefuses(t *testing.T) {
	k := Kind()
	if k.Name != "model" || k.After != "features" || k.New != nil || k.File("a:b.onnx:drop") != "a:b.onnx" {
		t.Error(k.Name, k.After, k.New != nil, k.File("a:b.onnx:drop"))
	}
	wide := filepath.Join(t.TempDir(), "wide.onnx")
	var b bytes.Buffer
	columns := make([][]float64, 1)
	columns[0] = make([]float64, 46)
	if err := onnx.WriteLinearClassifier(&b, onnx.LinearSpec{Classes: []string{"a", "b"}, Coefficients: columns, Intercepts: []float64{0}}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(wide, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	for value, words := range map[string]string{"": "model=FILE", ":drop": "model=FILE", "nowhere.onnx": "nowhere.onnx", "nowhere.onnx:never": "nowhere.onnx:never",
		wide: "Time_To_Live, IGMP"} {
		if _, err := k.Set(value); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%q: %v", value, err)
		}
	}
	var s *Stage
	path := bySize(t)
	_, s = pipeline(t, path)
	if err := s.Follow(nil); err == nil || !strings.Contains(err.Error(), "features") {
		t.Error(err)
	}
	if err := s.Process(nil, nil); err == nil {
		t.Error("a stage that follows none works")
	}
}

func TestSplitPolicy(t *testing.T) {
	for value, want := range map[string]struct {
		path string
		p    Policy
	}{"m.onnx": {"m.onnx", Fail}, "m.onnx:drop": {"m.onnx", Drop}, `C:\m.json:clamp`: {`C:\m.json`, Clamp}, `C:\m.json`: {`C:\m.json`, Fail},
		"a:drop:fail": {"a:drop", Fail}, "x:": {"x:", Fail}} {
		if path, p := splitPolicy(value); path != want.path || p != want.p {
			t.Errorf("%q: %q, %v", value, path, p)
		}
	}
}

func TestStageAllocatesNothing(t *testing.T) {
	x, s := pipeline(t, bySize(t)+":clamp")
	a, b := frame(1e6, 60), frame(2e6, 900)
	var engine parse.Direct
	var p parse.Packet
	if n := testing.AllocsPerRun(100, func() {
		for _, f := range []*parse.Frame{a, b} {
			engine.Parse(f, &p)
			x.Process(f, &p)
			if err := s.Process(f, &p); err != nil {
				t.Fatal(err)
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if c := s.Counts(); c["vectors"] < 100 {
		t.Error(c)
	}
}

func TestReadTellsFormats(t *testing.T) {
	for words, data := range map[string]string{
		"pickle":        "\x80\x04\x95abc",
		"zip":           "PK\x03\x04abc",
		"joblib":        "\x78\x9cabc",
		"empty":         "",
		"ONNX":          "hello, this is no model",
		"kind \"tree\"": `{"format": "pcaplab-model", "kind": "tree"}`,
	} {
		if _, err := Read([]byte(data)); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", words, err)
		}
	}
	if _, err := Open("no/such/file"); err == nil || strings.Count(err.Error(), "no/such/file") != 1 {
		t.Error(err)
	}
	if _, err := Open(t.TempDir()); err == nil {
		t.Error("a folder was read")
	}
	m, err := Open(bySize(t))
	if err != nil {
		t.Fatal(err)
	}
	c := m.Clone()
	scores := make([]float64, 2)
	if class, err := c.Predict([]float64{1000, math.MaxFloat32}, scores); class != 1 || err != nil {
		t.Error(class, err)
	}
}
