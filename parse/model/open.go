package model

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"unicode"
	"unicode/utf8"

	"pcaplab/parse/model/hoeffding"
	"pcaplab/parse/model/linear"
	"pcaplab/parse/model/onnx"
)

// MaxSize is the largest file that Open reads, in octets; of JSON, which takes ten times as much memory until it is read, half.
const MaxSize = onnx.MaxSize

// Format is what the JSON of this project's own models says under "format". Under "kind" it says whose it is: linear.Kind or
// hoeffding.Kind.
const Format = "pcaplab-model"

// Open reads a model from a file: ONNX (parse/model/onnx), XGBoost's JSON, or our JSON, told by content. Errors name the file.
func Open(path string) (Model, error) {
	m, err := open(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

func open(path string) (Model, error) {
	switch info, err := os.Stat(path); {
	case err != nil:
		return nil, errors.Unwrap(err) // the name is put before it
	case info.IsDir():
		return nil, errors.New("a folder, not a file with a model")
	case !info.Mode().IsRegular():
		return nil, errors.New("a pipe or device: put the model into a file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return nil, err
	}
	if len(data) > MaxSize {
		return nil, fmt.Errorf("more than %d MiB: not a model for small boards", MaxSize>>20)
	}
	return Read(data)
}

// Read is Open for a file in memory. data is not kept.
func Read(data []byte) (Model, error) {
	switch text := bytes.TrimLeft(bytes.TrimPrefix(data, []byte("\ufeff")), " \t\r\n"); {
	case len(text) == 0:
		return nil, errors.New("empty file: not a model")
	case text[0] == '{' && len(text) > MaxSize/2:
		return nil, fmt.Errorf("more than %d MiB of JSON: export the model to ONNX", MaxSize/2>>20)
	case text[0] == '{':
		return readJSON(text)
	}
	if what := foreign(data); what != "" {
		return nil, fmt.Errorf("%s: it is never unpickled here; export it to ONNX, or run it in the program that knows it with 'validate --python'", what)
	}
	what := alien(data)
	if what == "" {
		m, err := onnx.Read(data)
		if err == nil {
			return adapt(m), nil
		}
		if what = script(data); what == "" {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%s, not a model: ONNX, XGBoost's JSON and pcaplab's JSON are read here", what)
}

// alien says what a file is that begins as no model does, "" if that cannot be told.
func alien(data []byte) string {
	for _, kind := range []struct{ start, what string }{
		{"\x1f\x8b", "compressed by gzip (unpack it)"}, {"BZh", "compressed by bzip2 (unpack it)"}, {"\xfd7zXZ\x00", "compressed by xz (unpack it)"},
		{"\x28\xb5\x2f\xfd", "compressed by zstd (unpack it)"}, {"\xd4\xc3\xb2\xa1", "a capture (pcap)"}, {"\xa1\xb2\xc3\xd4", "a capture (pcap)"},
		{"\x4d\x3c\xb2\xa1", "a capture (pcap)"}, {"\xa1\xb2\x3c\x4d", "a capture (pcap)"}, {"\x0a\x0d\x0d\x0a", "a capture (pcapng)"},
		{"PAR1", "a table (Parquet)"}, {"tree\nversion=", "a model of LightGBM (export it to ONNX)"},
	} {
		if bytes.HasPrefix(data, []byte(kind.start)) {
			return kind.what
		}
	}
	return ""
}

// script says what text that is not ONNX may be; "" if it is no text.
func script(data []byte) string {
	head := data[:min(len(data), 512)]
	for i := 0; len(data) > len(head) && i < utf8.UTFMax-1 && !utf8.Valid(head); i++ {
		head = head[:len(head)-1] // which may have cut a character
	}
	control := func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' }
	if !utf8.Valid(head) || bytes.ContainsFunc(head, control) {
		return ""
	}
	line, _, _ := bytes.Cut(head, []byte("\n"))
	switch {
	case bytes.HasPrefix(head, []byte("#!")), bytes.HasPrefix(head, []byte("import ")), bytes.HasPrefix(head, []byte("from ")):
		return "a program (Python's is run by 'validate --python')"
	case bytes.IndexByte(line, ',') > 0:
		return "a table (CSV)"
	}
	return "text"
}

// foreign says what else a file is that models are kept in, "" if none.
func foreign(data []byte) string {
	switch {
	case len(data) > 2 && data[0] == 0x80 && data[1] <= 5:
		return "a Python pickle (or joblib)"
	case bytes.HasPrefix(data, []byte("PK\x03\x04")):
		return "a zip file (PyTorch, or NumPy)"
	case bytes.HasPrefix(data, []byte("\x78\x9c")), bytes.HasPrefix(data, []byte("\x78\x01")), bytes.HasPrefix(data, []byte("\x78\xda")),
		bytes.HasPrefix(data, []byte("\x78\x5e")):
		return "a compressed joblib file"
	case bytes.HasPrefix(data, []byte("\x89HDF")):
		return "an HDF5 file (Keras)"
	}
	return ""
}

// readJSON tells our JSON and XGBoost's apart.
func readJSON(data []byte) (Model, error) {
	var head struct {
		Format any `json:"format"`
		Kind   any `json:"kind"`
	}
	if err := json.Unmarshal(data, &head); err != nil && json.Valid(data) {
		return nil, err
	}
	if head.Format != Format {
		return readXGBoost(data)
	}
	switch head.Kind {
	case linear.Kind:
		return readLinear(data)
	case hoeffding.Kind:
		return readHoeffding(data)
	}
	return nil, fmt.Errorf("a model of kind \"%v\": this version reads %s and %s", head.Kind, linear.Kind, hoeffding.Kind)
}

// predictor is what every model below has; their Clone returns their own type.
type predictor interface {
	Columns() []string
	Width() int
	Classes() []string
	Predict(x, scores []float64) (int, error)
	Probabilities() bool
}

// adapted makes a Model of a model in another package, which cannot name this one.
type adapted[T interface {
	predictor
	Clone() T
}] struct {
	predictor
	m T
}

func adapt[T interface {
	predictor
	Clone() T
}](m T) Model {
	return adapted[T]{predictor: m, m: m}
}

func (a adapted[T]) Clone() Model { return adapt(a.m.Clone()) }

// learning is adapted for a Learner.
type learning[T interface {
	learner
	Clone() T
}] struct {
	learner
	m T
}

type learner interface {
	predictor
	Learn(x []float64, class int) error
}

func adaptLearner[T interface {
	learner
	Clone() T
}](m T) Learner {
	return learning[T]{learner: m, m: m}
}

func (a learning[T]) Clone() Model { return adaptLearner(a.m.Clone()) }
