package onnx

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// collect writes onnx's own test cases for the operators named, as its repository keeps them.
const collect = `
import importlib, os, sys
import numpy as np
for name in ("float", "int", "bool", "object", "str"):
    if not hasattr(np, name):
        setattr(np, name, getattr(__builtins__, name))
from onnx import numpy_helper
from onnx.backend.test.case import base, node
base.process_snippet = lambda *a: ("", "")  # the texts of the cases, for documentation
wanted = sys.argv[2].split(",")
files = {w.lower().replace("orequal", "_equal") for w in wanted} | {"batchnorm", "reduce_log_sum", "reduce_log_sum_exp"}
for file in sorted(os.listdir(os.path.dirname(node.__file__))):
    name = file[:-3]
    if file.endswith(".py") and name in files:
        importlib.import_module("onnx.backend.test.case.node." + name)
seen = set()
for case in node._NodeTestCases:
    if case.name in seen or not all(n.op_type in wanted for n in case.model.graph.node):
        continue
    seen.add(case.name)
    blobs = {}
    try:
        for k, (ins, outs) in enumerate(case.data_sets):
            for what, values in (("input", ins), ("output", outs)):
                for i, v in enumerate(values):
                    t = v if hasattr(v, "SerializeToString") else numpy_helper.from_array(np.asarray(v))
                    blobs[os.path.join("test_data_set_%d" % k, "%s_%d.pb" % (what, i))] = t.SerializeToString()
    except (TypeError, NotImplementedError, ValueError):
        continue  # sequences, optional values
    blobs["model.onnx"] = case.model.SerializeToString()
    for name, blob in blobs.items():
        path = os.path.join(sys.argv[1], case.name, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(blob)
`

// outside says why a case of onnx's is not computed here: a classifier of single vectors has no need of it.
var outside = []string{
	"only matrices", "float16", "uint64", "mask is asked for", "training mode", "3 outputs", "a step of -1", "takes numbers with a fraction",
	"string to float", "it is not known what values", "Pow: of int",
}

// Each operator does what onnx's own test cases say: those of the repository where PCAPLAB_ONNX_NODES names its folder
// onnx/backend/test/data/node, else those of the Python module.
func TestNodesAreAsOnnxSays(t *testing.T) {
	dir := os.Getenv("PCAPLAB_ONNX_NODES")
	if dir == "" {
		if testing.Short() {
			t.Skip("slow")
		}
		dir = t.TempDir()
		var names []string
		for key := range operators {
			_, name, _ := strings.Cut(key, " ")
			names = append(names, name)
		}
		python := "/usr/bin/python3"
		if _, err := os.Stat(python); err != nil {
			python = "python3"
		}
		if exec.Command(python, "-c", "import onnx").Run() != nil {
			t.Skip("no Python with the module onnx, and no PCAPLAB_ONNX_NODES")
		}
		if out, err := exec.Command(python, "-W", "ignore", "-c", collect, dir, strings.Join(names, ",")).CombinedOutput(); err != nil {
			t.Skipf("onnx's cases cannot be collected: %v\n%s", err, out)
		}
	}
	cases, err := filepath.Glob(filepath.Join(dir, "*", "model.onnx"))
	if err != nil || len(cases) == 0 {
		t.Fatal("no cases", err)
	}
	done := map[string]int{}
	passed, known := 0, 0
	for _, path := range cases {
		folder := filepath.Dir(path)
		err := nodeCase(folder, done)
		var unsupported *UnsupportedError
		switch {
		case errors.As(err, &unsupported):
			continue
		case err == nil:
			passed++
		case slices.ContainsFunc(outside, func(s string) bool { return strings.Contains(err.Error(), s) || strings.Contains(folder, "BFLOAT16") }):
			t.Logf("%s: not here: %v", filepath.Base(folder), err)
		default:
			t.Errorf("%s: %v", filepath.Base(folder), err)
		}
		known++
	}
	if passed < 100 {
		t.Errorf("%d of %d cases passed", passed, known)
	}
	var untested []string
	for key := range operators {
		if done[key] == 0 {
			untested = append(untested, key)
		}
	}
	slices.Sort(untested)
	t.Logf("%d cases of %d passed, of %d operators; none of %q", passed, known, len(done), untested)
}

// nodeCase runs the data sets of a case. Its inputs may be of any dims; where an operator needs a constant, the input is one.
func nodeCase(folder string, done map[string]int) error {
	data, err := os.ReadFile(filepath.Join(folder, "model.onnx"))
	if err != nil {
		return err
	}
	sets, err := filepath.Glob(filepath.Join(folder, "test_data_set_*"))
	if err != nil || len(sets) == 0 {
		return fmt.Errorf("no data: inputs %v", err)
	}
	p, err := readModel(data)
	if err != nil {
		return err
	}
	read := func(set, what string, k int) (*tensorProto, error) {
		blob, err := os.ReadFile(filepath.Join(set, fmt.Sprintf("%s_%d.pb", what, k)))
		if err != nil {
			return nil, err
		}
		return readTensor(blob)
	}
	for _, set := range sets {
		c, err := newCompiler(p.opsets)
		if err != nil {
			return err
		}
		if err := c.checkOperators(p.graph); err != nil {
			return err
		}
		if err := c.initializers(p.graph); err != nil {
			return err
		}
		var ins []int
		var values []*tensorProto
		for k, in := range p.graph.inputs {
			t, err := read(set, "input", k)
			if err != nil {
				return err
			}
			// The first input varies, as in a model; the others are parameters.
			fixed := (k > 0 || len(p.graph.inputs) == 1) && parameter(p.graph.nodes[0].op, k)
			i, err := c.add(in.name, t.tensor.clone(), fixed)
			if err != nil {
				return err
			}
			if !fixed {
				ins, values = append(ins, i), append(values, t)
			}
		}
		if err := c.nodes(p.graph.nodes); err != nil {
			return err
		}
		v := c.state()
		for k, i := range ins {
			v[i].set(&values[k].tensor)
		}
		if err := c.run(v); err != nil {
			return err
		}
		for k, out := range p.graph.outputs {
			want, err := read(set, "output", k)
			if err != nil {
				return err
			}
			i, made := c.names[out.name]
			if !made {
				return fmt.Errorf("no output %q", out.name)
			}
			if err := alike(&v[i], &want.tensor); err != nil {
				return fmt.Errorf("output %d: %w", k, err)
			}
		}
	}
	for _, n := range p.graph.nodes {
		done[n.domain+" "+n.op]++
	}
	return nil
}

// parameter says whether an operator's input is one that must not depend on the vector.
func parameter(op string, k int) bool {
	switch op {
	case "ConstantOfShape":
		return true
	case "Reshape", "Squeeze", "Unsqueeze", "Clip", "TopK", "Slice", "Split", "Expand", "BatchNormalization", "Dropout":
		return k > 0
	}
	return k > 0 && strings.HasPrefix(op, "Reduce")
}

func alike(got, want *tensor) error {
	if got.dt != want.dt || !slices.Equal(got.dims, want.dims) && len(got.dims)+len(want.dims) > 0 {
		return fmt.Errorf("%v of dims %v, want %v of dims %v", got.dt, got.dims, want.dt, want.dims)
	}
	if !slices.Equal(got.i, want.i) || !slices.Equal(got.s, want.s) || len(got.f) != len(want.f) {
		return fmt.Errorf("%v %q, want %v %q", got.i, got.s, want.i, want.s)
	}
	for k, w := range want.f {
		g := got.f[k]
		if !(math.Abs(g-w) <= 2e-6*max(1, math.Abs(w))) && g != w && !(g != g && w != w) {
			return fmt.Errorf("value %d is %v, want %v", k, g, w)
		}
	}
	return nil
}

func (p *program) run(v []tensor) error {
	for _, s := range p.steps {
		if err := s(v); err != nil {
			return err
		}
	}
	return nil
}

// clone returns a tensor with values of its own.
func (t tensor) clone() tensor {
	t.f, t.i, t.s = slices.Clone(t.f), slices.Clone(t.i), slices.Clone(t.s)
	return t
}
