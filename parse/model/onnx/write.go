package onnx

import (
	"fmt"
	"io"
	"math"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// LinearSpec is a linear classifier over standardised columns: the scores are Intercepts plus Coefficients times
// (x - Offset) * Scale, computed in float32.
type LinearSpec struct {
	// Columns and Classes are kept in the file's metadata, joined by commas: a name must not hold one, be empty or there twice. Without Columns the file
	// names none.
	Columns, Classes []string
	Offset, Scale    []float64   // a value a column; both nil: the columns as they are
	Coefficients     [][]float64 // a row a class, or a single one, of the second class of two: the first has the opposite
	Intercepts       []float64   // as many
	// Softmax makes probabilities of the scores of all classes together; otherwise by a logistic function each, normalised to
	// a sum of 1 (one against the rest).
	Softmax bool
}

// Versions that WriteLinearClassifier writes: onnxruntime reads them from 1.8 on.
const (
	writtenIR    = 7
	writtenOpset = 13
	writtenML    = 1
)

// WriteLinearClassifier writes spec as an ONNX file: Scaler, LinearClassifier and, without Softmax, Normalizer. Its input "X" is
// float of dims [N, columns], its outputs are "label", a string, and "probabilities", float of dims [N, classes] in the order of
// Classes. Numbers are rounded to float32. The same spec gives the same octets.
func WriteLinearClassifier(w io.Writer, spec LinearSpec) error {
	classes := len(spec.Classes)
	if classes == 2 && len(spec.Coefficients) == 1 && len(spec.Intercepts) == 1 {
		opposite := make([]float64, len(spec.Coefficients[0]))
		for k, v := range spec.Coefficients[0] {
			opposite[k] = -v
		}
		spec.Coefficients = [][]float64{opposite, spec.Coefficients[0]}
		spec.Intercepts = []float64{-spec.Intercepts[0], spec.Intercepts[0]}
	}
	if classes < 2 || len(spec.Coefficients) != classes || len(spec.Intercepts) != classes {
		return fmt.Errorf("ONNX: %d classes, %d rows of coefficients and %d intercepts", classes, len(spec.Coefficients), len(spec.Intercepts))
	}
	width := len(spec.Coefficients[0])
	if width == 0 || spec.Columns != nil && len(spec.Columns) != width {
		return fmt.Errorf("ONNX: %d names for %d columns", len(spec.Columns), width)
	}
	scaled := spec.Offset != nil || spec.Scale != nil
	if scaled && (len(spec.Offset) != width || len(spec.Scale) != width) {
		return fmt.Errorf("ONNX: %d offsets and %d scales for %d columns", len(spec.Offset), len(spec.Scale), width)
	}
	for _, names := range [][]string{spec.Columns, spec.Classes} {
		seen := map[string]bool{}
		for _, n := range names {
			if n == "" || !utf8.ValidString(n) || seen[n] {
				return fmt.Errorf("ONNX: the name %q is empty, there twice or no UTF-8", n)
			}
			seen[n] = true
			if strings.Contains(n, ",") {
				return fmt.Errorf("ONNX: the name %q has a comma, which separates names in the file", n)
			}
		}
	}
	var coefficients []float64
	for k, row := range spec.Coefficients {
		if len(row) != width {
			return fmt.Errorf("ONNX: %d coefficients for class %d, %d for the first", len(row), k, width)
		}
		coefficients = append(coefficients, row...)
	}
	for name, values := range map[string][]float64{"offset": spec.Offset, "scale": spec.Scale, "coefficient": coefficients, "intercept": spec.Intercepts} {
		for k, v := range values {
			if f := float64(float32(v)); f != f || math.IsInf(f, 0) {
				return fmt.Errorf("ONNX: %s %d is %v, which float32 does not hold", name, k, v)
			}
		}
	}

	var b builder
	graph := builder(nil)
	input := "X"
	if scaled {
		graph = graph.node("Scaler", mlDomain, []string{"X"}, []string{"scaled"}, floatsAttr("offset", spec.Offset), floatsAttr("scale", spec.Scale))
		input = "scaled"
	}
	transform, scores := "SOFTMAX", "probabilities"
	if !spec.Softmax {
		transform, scores = "LOGISTIC", "scores"
	}
	graph = graph.node("LinearClassifier", mlDomain, []string{input}, []string{"label", scores},
		stringsAttr("classlabels_strings", spec.Classes), floatsAttr("coefficients", coefficients), floatsAttr("intercepts", spec.Intercepts),
		intAttr("multi_class", 0), stringAttr("post_transform", transform))
	if !spec.Softmax {
		graph = graph.node("Normalizer", mlDomain, []string{"scores"}, []string{"probabilities"}, stringAttr("norm", "L1"))
	}
	graph = graph.text(2, "linear")
	graph = graph.message(11, valueInfo("X", float32Type, width))
	graph = graph.message(12, valueInfo("label", stringType, 0))
	graph = graph.message(12, valueInfo("probabilities", float32Type, classes))

	b = b.number(1, writtenIR)
	b = b.text(2, "pcaplab")
	b = b.message(7, graph)
	b = b.message(8, builder(nil).text(1, "").number(2, writtenOpset))
	b = b.message(8, builder(nil).text(1, mlDomain).number(2, writtenML))
	if spec.Columns != nil {
		b = b.message(14, builder(nil).text(1, columnsKey).text(2, strings.Join(spec.Columns, ",")))
	}
	b = b.message(14, builder(nil).text(1, classesKey).text(2, strings.Join(spec.Classes, ",")))
	_, err := w.Write(b)
	return err
}

// builder is a message of onnx.proto under construction.
type builder []byte

func (b builder) number(field protowire.Number, v int64) builder {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), uint64(v))
}

func (b builder) text(field protowire.Number, s string) builder {
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), s)
}

func (b builder) message(field protowire.Number, m builder) builder {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), m)
}

// node adds a node to a graph.
func (b builder) node(op, domain string, inputs, outputs []string, attrs ...builder) builder {
	var n builder
	for _, in := range inputs {
		n = n.text(1, in)
	}
	for _, out := range outputs {
		n = n.text(2, out)
	}
	n = n.text(3, op).text(4, op)
	for _, a := range attrs {
		n = n.message(5, a)
	}
	return b.message(1, n.text(7, domain))
}

func floatsAttr(name string, values []float64) builder {
	b := builder(nil).text(1, name)
	for _, v := range values {
		b = protowire.AppendFixed32(protowire.AppendTag(b, 7, protowire.Fixed32Type), math.Float32bits(float32(v)))
	}
	return b.number(20, 6)
}

func stringsAttr(name string, values []string) builder {
	b := builder(nil).text(1, name)
	for _, v := range values {
		b = b.text(9, v)
	}
	return b.number(20, 8)
}

func intAttr(name string, v int64) builder {
	return builder(nil).text(1, name).number(3, v).number(20, 2)
}

func stringAttr(name, v string) builder { return builder(nil).text(1, name).text(4, v).number(20, 3) }

// valueInfo describes a tensor of dims [N, width], or [N] for width 0.
func valueInfo(name string, elem dtype, width int) builder {
	shape := builder(nil).message(1, builder(nil).text(2, "N"))
	if width > 0 {
		shape = shape.message(1, builder(nil).number(1, int64(width)))
	}
	return builder(nil).text(1, name).message(2, builder(nil).message(1, builder(nil).number(1, int64(elem)).message(2, shape)))
}
