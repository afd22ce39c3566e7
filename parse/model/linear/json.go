package linear

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// The header of this project's model files; parse/model tells files by it.
const (
	Format  = "pcaplab-model"       // the value of "format"
	Kind    = "logistic-regression" // the value of "kind"
	Version = 1                     // the value of "version"
)

// MaxFile is the size of the largest file that ReadJSON takes, in octets. A model of 1000 columns and 1000 classes has 25 MB.
const MaxFile = 64 << 20

type file struct {
	Format  string `json:"format"`
	Kind    string `json:"kind"`
	Version int    `json:"version"`
	Parameters
}

// numbers are values of which none is null, which encoding/json would take for 0.
type numbers []float64

func (n *numbers) UnmarshalJSON(data []byte) error {
	if bytes.Contains(data, []byte("null")) {
		return errors.New("null where a number is wanted")
	}
	return json.Unmarshal(data, (*[]float64)(n))
}

// WriteJSON writes the model as JSON: one object with "format", "kind", "version" and the fields of Parameters. Numbers have
// the digits that it takes to read the same ones again. What would be larger than MaxFile is an error, and nothing is written.
func (m *Model) WriteJSON(w io.Writer) error {
	data, err := json.MarshalIndent(file{Format, Kind, Version, *m.p}, "", " ")
	if err != nil {
		return err
	}
	if len(data) >= MaxFile {
		return fmt.Errorf("a model of %d octets, where %d MiB is the most that is read again: train on fewer columns or classes", len(data), MaxFile>>20)
	}
	_, err = w.Write(append(data, '\n'))
	return err
}

// ReadJSON reads what WriteJSON wrote. Unknown fields, another kind or version, wrong numbers of values, null for a number, and
// anything behind the object are errors; none of them names the file.
func ReadJSON(r io.Reader) (*Model, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > MaxFile {
		return nil, fmt.Errorf("larger than %d MiB, which no logistic regression is", MaxFile>>20)
	}
	var head struct { // before the rest, so that another kind is named as such
		Format  string `json:"format"`
		Kind    string `json:"kind"`
		Version int    `json:"version"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, fmt.Errorf("not a model: %w", err)
	}
	switch {
	case head.Format != Format:
		return nil, fmt.Errorf("not a model: \"format\" is %.40q, not %q", head.Format, Format)
	case head.Kind != Kind:
		return nil, fmt.Errorf("a model of kind %.40q, not %q", head.Kind, Kind)
	case head.Version != Version:
		return nil, fmt.Errorf("version %d of %q models; this program reads version %d", head.Version, Kind, Version)
	}
	var f struct {
		file
		Offset       numbers   `json:"offset"`
		Scale        numbers   `json:"scale"`
		Coefficients []numbers `json:"coefficients"`
		Intercepts   numbers   `json:"intercepts"`
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&f); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the model")
	}
	if bytes.Equal(f.Trained, []byte("null")) {
		f.Trained = nil
	}
	p := f.Parameters
	p.Offset, p.Scale, p.Intercepts = f.Offset, f.Scale, f.Intercepts
	for _, row := range f.Coefficients {
		p.Coefficients = append(p.Coefficients, row)
	}
	return New(p)
}
