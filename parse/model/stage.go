package model

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"pcaplab/parse"
	"pcaplab/parse/feature"
)

// Stage predicts the class of each vector that the last feature.Extractor before it in its pipeline makes. It is a parse.Stage
// that follows others and has counts.
type Stage struct {
	b       *Bound
	x       *feature.Extractor
	emit    func(v *feature.Vector, class int, ok bool)
	seen    uint64 // vectors of the extractor
	classes []uint64
}

var (
	_ parse.Following = (*Stage)(nil)
	_ parse.Counting  = (*Stage)(nil)
)

// NewStage returns a stage that predicts with b, which must be bound to feature.Columns and is the stage's from now on. emit,
// if set, gets each vector, not to be kept, and its class; ok is false if the policy dropped it.
func NewStage(b *Bound, emit func(v *feature.Vector, class int, ok bool)) *Stage {
	return &Stage{b: b, emit: emit, classes: make([]uint64, len(b.m.Classes()))}
}

// Follow finds the extractor whose vectors are classified.
func (s *Stage) Follow(earlier []parse.Stage) error {
	s.x = nil
	for _, e := range earlier {
		if x, ok := e.(*feature.Extractor); ok {
			s.x = x
		}
	}
	if s.x == nil {
		return errors.New("a model needs vectors: put the stage features before it")
	}
	s.seen = s.x.Vectors()
	return nil
}

// Process predicts if the extractor closed a window. An error is a *NonFiniteError, wrapped, or the model's own.
func (s *Stage) Process(*parse.Frame, *parse.Packet) error {
	if s.x == nil {
		return errors.New("a model's stage that follows none")
	}
	n := s.x.Vectors()
	if n == s.seen {
		return nil
	}
	s.seen = n
	v := s.x.Vector()
	class, ok, err := s.b.Predict(v.Values[:], nil)
	if err != nil {
		if s.b.Policy() == Fail {
			err = fmt.Errorf("%w: as a stage, model=FILE:drop or model=FILE:clamp", err)
		}
		return fmt.Errorf("model: window %d: %w", n, err)
	}
	if ok {
		s.classes[class]++
	}
	if s.emit != nil {
		s.emit(v, class, ok)
	}
	return nil
}

// Bound returns the model of the stage.
func (s *Stage) Bound() *Bound { return s.b }

// Counts returns how many vectors were seen, dropped and clamped, and how many were predicted to be of each class, as
// "class NAME".
func (s *Stage) Counts() map[string]uint64 {
	counts := map[string]uint64{"vectors": s.b.vectors, "dropped": s.b.dropped, "clamped": s.b.clamped}
	for i, name := range s.b.m.Classes() {
		counts["class "+name] = s.classes[i]
	}
	return counts
}

// Kind returns the stage "model", whose value is a file that Open reads, or FILE:POLICY for vectors with values that are not
// finite (see Policy): without one the first ends the trial.
func Kind() parse.StageKind {
	return parse.StageKind{
		Name:  "model",
		After: "features",
		Doc:   "class of each vector by a model (model=FILE; =FILE:drop, =FILE:clamp: vectors that are not finite; ONNX, XGBoost JSON, our JSON)",
		File: func(value string) string {
			path, _ := splitPolicy(value)
			return path
		},
		Set: func(value string) (func() (parse.Stage, error), error) {
			path, policy := splitPolicy(value)
			if path == "" {
				return nil, errors.New("needs a file: model=FILE")
			}
			m, err := Open(path)
			if err != nil {
				if at := strings.LastIndexByte(path, ':'); at > 0 && errors.Is(err, fs.ErrNotExist) {
					if _, statErr := os.Stat(path[:at]); statErr == nil {
						return nil, fmt.Errorf("%s: %w", path[:at], policy.UnmarshalText([]byte(path[at+1:])))
					}
				}
				return nil, err
			}
			b, err := Bind(m, feature.Columns(), policy)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			return func() (parse.Stage, error) { return NewStage(b.Clone(), nil), nil }, nil
		},
	}
}

// splitPolicy cuts the policy off a stage's value. What stands behind the last colon is part of the path unless it is a policy.
func splitPolicy(value string) (path string, p Policy) {
	if at := strings.LastIndexByte(value, ':'); at >= 0 && p.UnmarshalText([]byte(value[at+1:])) == nil {
		return value[:at], p
	}
	return value, Fail
}
