package ortcheck

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	ort "github.com/yalue/onnxruntime_go"
)

const testdata = "../testdata"

// fixture is one of ../testdata/fixtures.json.
type fixture struct {
	Name          string
	File          string
	Classes       []string
	Rows          string
	Oracle        string
	Probabilities bool
	Tolerance     float64
	Ops           []string
}

func fixtures(t testing.TB) []fixture {
	data, err := os.ReadFile(filepath.Join(testdata, "fixtures.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all struct{ Fixtures []fixture }
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	var ours []fixture
	for _, f := range all.Fixtures {
		if f.Oracle == "onnxruntime" {
			ours = append(ours, f)
		}
	}
	if len(ours) == 0 {
		t.Fatal("no fixtures of onnxruntime")
	}
	return ours
}

// model returns the octets of a fixture's model.
func (f fixture) model(t testing.TB) []byte {
	data, err := os.ReadFile(filepath.Join(testdata, f.File))
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(f.File, ".gz") {
		r, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if data, err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	return data
}

// table reads a file of numbers with a header; an empty cell is NaN.
func table(t testing.TB, name string) [][]float64 {
	f, err := os.Open(filepath.Join(testdata, name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	records, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]float64
	for _, record := range records[1:] {
		row := make([]float64, len(record))
		for i, cell := range record {
			if cell == "" {
				cell = "nan"
			}
			if row[i], err = strconv.ParseFloat(cell, 64); err != nil {
				t.Fatal(err)
			}
		}
		rows = append(rows, row)
	}
	return rows
}

var start = sync.OnceValue(func() error { return ort.InitializeEnvironment(ort.WithLogLevelError()) })

// library starts onnxruntime, or skips.
func library(t testing.TB) {
	path := os.Getenv("PCAPLAB_ONNXRUNTIME")
	if path == "" {
		t.Skip("PCAPLAB_ONNXRUNTIME does not name onnxruntime's shared library")
	}
	ort.SetSharedLibraryPath(path)
	if err := start(); err != nil {
		t.Fatal(err)
	}
}

// session is onnxruntime with a model, on one thread.
type session struct {
	t       testing.TB
	inputs  []ort.InputOutputInfo
	outputs []ort.InputOutputInfo
	run     *ort.DynamicAdvancedSession
	classes []string
}

func open(t testing.TB, data []byte, classes []string) *session {
	library(t)
	inputs, outputs, err := ort.GetInputOutputInfoWithONNXData(data)
	if err != nil {
		t.Fatal(err)
	}
	options, err := ort.NewSessionOptions()
	if err != nil {
		t.Fatal(err)
	}
	defer options.Destroy()
	if err := alone(options); err != nil {
		t.Fatal(err)
	}
	run, err := ort.NewDynamicAdvancedSessionWithONNXData(data, names(inputs), names(outputs), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { run.Destroy() })
	return &session{t, inputs, outputs, run, classes}
}

// alone asks for one thread.
func alone(options *ort.SessionOptions) error {
	if err := options.SetIntraOpNumThreads(1); err != nil {
		return err
	}
	return options.SetInterOpNumThreads(1)
}

func names(infos []ort.InputOutputInfo) []string {
	list := make([]string, len(infos))
	for i, info := range infos {
		list[i] = info.Name
	}
	return list
}

// feed makes the input values of some rows: one tensor, or one for each column.
func (s *session) feed(rows [][]float64) []ort.Value {
	if len(s.inputs) == 1 {
		return []ort.Value{tensor(s.t, s.inputs[0], rows, 0, len(rows[0]))}
	}
	values := make([]ort.Value, len(s.inputs))
	for i := range s.inputs {
		values[i] = tensor(s.t, s.inputs[i], rows, i, i+1)
	}
	return values
}

func tensor(t testing.TB, info ort.InputOutputInfo, rows [][]float64, from, to int) ort.Value {
	shape := ort.NewShape(int64(len(rows)), int64(to-from))
	var narrow []float32
	var wide []float64
	for _, row := range rows {
		for _, v := range row[from:to] {
			narrow, wide = append(narrow, float32(v)), append(wide, v)
		}
	}
	var value ort.Value
	var err error
	switch info.DataType {
	case ort.TensorElementDataTypeFloat:
		value, err = ort.NewTensor(shape, narrow)
	case ort.TensorElementDataTypeDouble:
		value, err = ort.NewTensor(shape, wide)
	default:
		err = fmt.Errorf("input %s is of type %v", info.Name, info.DataType)
	}
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// predict returns the index of each row's class, and its scores.
func (s *session) predict(rows [][]float64) (classes []int, scores [][]float32) {
	if len(s.inputs[0].Dimensions) > 0 && s.inputs[0].Dimensions[0] == 1 && len(rows) > 1 {
		for _, row := range rows { // a batch of one is all it takes
			c, p := s.predict([][]float64{row})
			classes, scores = append(classes, c...), append(scores, p...)
		}
		return classes, scores
	}
	in, out := s.feed(rows), make([]ort.Value, len(s.outputs))
	if err := s.run.Run(in, out); err != nil {
		s.t.Fatal(err)
	}
	for _, value := range in {
		defer value.Destroy()
	}
	var labels []string
	for i, value := range out {
		defer value.Destroy()
		switch v := value.(type) {
		case *ort.StringTensor:
			text, err := v.GetContents()
			if err != nil {
				s.t.Fatal(err)
			}
			labels = text
		case *ort.Tensor[int64]:
			for _, n := range v.GetData() {
				labels = append(labels, strconv.FormatInt(n, 10))
			}
		case *ort.Tensor[float32]:
			scores = reshape(v.GetData(), len(rows))
		case *ort.Tensor[float64]:
			var narrow []float32
			for _, f := range v.GetData() {
				narrow = append(narrow, float32(f))
			}
			scores = reshape(narrow, len(rows))
		case *ort.Sequence:
			scores = s.maps(v)
		default:
			s.t.Fatalf("output %s is a %T", s.outputs[i].Name, value)
		}
	}
	for i := range scores {
		if len(scores[i]) == 1 && len(s.classes) == 2 { // the second class's alone
			scores[i] = []float32{1 - scores[i][0], scores[i][0]}
		}
		if len(scores[i]) != len(s.classes) {
			s.t.Fatalf("%d scores of %d classes", len(scores[i]), len(s.classes))
		}
	}
	if labels == nil {
		for _, row := range scores {
			classes = append(classes, most(row))
		}
		return classes, scores
	}
	for _, label := range labels {
		classes = append(classes, s.index(label))
	}
	return classes, scores
}

func (s *session) index(label string) int {
	for i, class := range s.classes {
		if class == label {
			return i
		}
	}
	s.t.Fatalf("class %q is not one of %q", label, s.classes)
	return 0
}

// maps returns the scores of a ZipMap's output.
func (s *session) maps(seq *ort.Sequence) (scores [][]float32) {
	values, err := seq.GetValues()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, value := range values {
		keys, weights, err := value.(*ort.Map).GetKeysAndValues()
		if err != nil {
			s.t.Fatal(err)
		}
		row := make([]float32, len(s.classes))
		var labels []string
		switch k := keys.(type) {
		case *ort.StringTensor:
			if labels, err = k.GetContents(); err != nil {
				s.t.Fatal(err)
			}
		case *ort.Tensor[int64]:
			for _, n := range k.GetData() {
				labels = append(labels, strconv.FormatInt(n, 10))
			}
		}
		for i, w := range weights.(*ort.Tensor[float32]).GetData() {
			row[s.index(labels[i])] = w
		}
		scores = append(scores, row)
	}
	return scores
}

func reshape(flat []float32, rows int) (out [][]float32) {
	width := len(flat) / rows
	for i := range rows {
		out = append(out, append([]float32(nil), flat[i*width:(i+1)*width]...))
	}
	return out
}

func most(row []float32) int {
	best := 0
	for i, v := range row {
		if v > row[best] {
			best = i
		}
	}
	return best
}
