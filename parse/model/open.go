package model

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"pcaplab/parse/model/hoeffding"
	"pcaplab/parse/model/linear"
	"pcaplab/parse/model/onnx"
)

// MaxSize is the largest file that Open reads, in octets.
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
	f, err := os.Open(path)
	if err != nil {
		return nil, errors.Unwrap(err) // the name is put before it
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
	switch text := bytes.TrimLeft(data, " \t\r\n\ufeff"); {
	case len(data) == 0:
		return nil, errors.New("empty file: not a model")
	case bytes.HasPrefix(text, []byte("{")):
		return readJSON(data)
	case foreign(data) != "":
		return nil, fmt.Errorf("%s: it is never unpickled here; give the program that knows it with --python, or export it to ONNX", foreign(data))
	}
	m, err := onnx.Read(data)
	if err != nil {
		return nil, err
	}
	return adapt(m), nil
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
		Format string `json:"format"`
		Kind   string `json:"kind"`
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
	return nil, fmt.Errorf("a model of kind %q: this version reads %s and %s", head.Kind, linear.Kind, hoeffding.Kind)
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
