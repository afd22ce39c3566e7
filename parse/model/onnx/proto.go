package onnx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// The messages of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto), as far as classifiers need them.

type modelProto struct {
	ir       int64
	producer string
	opsets   []opset
	graph    *graphProto
	metadata map[string]string
}

type opset struct {
	domain  string
	version int64
}

type graphProto struct {
	nodes        []*nodeProto
	initializers []*tensorProto
	inputs       []*valueProto
	outputs      []*valueProto
}

type nodeProto struct {
	inputs, outputs  []string
	name, op, domain string
	attrs            map[string]*attrProto
	used             map[string]bool // attributes that an operator asked for
	at               int             // place in the graph
}

type attrProto struct {
	name    string
	kind    int64
	f       float32
	i       int64
	s       string
	t       *tensorProto
	g       *graphProto
	floats  []float32
	ints    []int64
	strings []string
}

type valueProto struct {
	name   string
	tensor bool // of tensor type
	elem   dtype
	shaped bool
	dims   []int64 // -1: not fixed
}

// tensorProto is a tensor with its values, checked against its dims.
type tensorProto struct {
	name string
	tensor
}

// dtype is TensorProto.DataType.
type dtype int64

const (
	float32Type dtype = 1
	uint8Type   dtype = 2
	int8Type    dtype = 3
	uint16Type  dtype = 4
	int16Type   dtype = 5
	int32Type   dtype = 6
	int64Type   dtype = 7
	stringType  dtype = 8
	boolType    dtype = 9
	doubleType  dtype = 11
	uint32Type  dtype = 12
)

var dtypeNames = [...]string{"undefined", "float", "uint8", "int8", "uint16", "int16", "int32", "int64", "string", "bool", "float16",
	"double", "uint32", "uint64", "complex64", "complex128", "bfloat16"}

func (d dtype) String() string {
	if d >= 0 && int(d) < len(dtypeNames) {
		return dtypeNames[d]
	}
	return fmt.Sprintf("type %d", int64(d))
}

// float reports whether values are kept as float64.
func (d dtype) float() bool { return d == float32Type || d == doubleType }

// whole reports whether values are kept as int64.
func (d dtype) whole() bool {
	switch d {
	case uint8Type, int8Type, uint16Type, int16Type, int32Type, int64Type, boolType, uint32Type:
		return true
	}
	return false
}

// maxList is how many nodes, inputs or the like a file may list; maxRank how many dims a tensor may have.
const (
	maxList = 1 << 16
	maxRank = 16
)

// maxGraphs is how deep graphs may be nested in attributes.
const maxGraphs = 4

var errCut = errors.New("cut or damaged: a length runs past the end")

// fields calls f for each field of a message. Of varints and fixed numbers n is the value, of all else data.
func fields(message []byte, f func(num protowire.Number, typ protowire.Type, n uint64, data []byte) error) error {
	for len(message) > 0 {
		num, typ, size := protowire.ConsumeTag(message)
		if size < 0 {
			return errCut
		}
		message = message[size:]
		var n uint64
		var data []byte
		switch typ {
		case protowire.VarintType:
			n, size = protowire.ConsumeVarint(message)
		case protowire.Fixed32Type:
			var v uint32
			v, size = protowire.ConsumeFixed32(message)
			n = uint64(v)
		case protowire.Fixed64Type:
			n, size = protowire.ConsumeFixed64(message)
		case protowire.BytesType:
			data, size = protowire.ConsumeBytes(message)
		default:
			return fmt.Errorf("field %d is of wire type %d, which protocol buffers of today do not have", num, typ)
		}
		if size < 0 {
			return errCut
		}
		message = message[size:]
		if err := f(num, typ, n, data); err != nil {
			return err
		}
	}
	return nil
}

// wants returns an error unless a field has the wire type that its number asks for.
func wants(num protowire.Number, typ, want protowire.Type) error {
	if typ != want {
		return fmt.Errorf("field %d is of wire type %d, not %d", num, typ, want)
	}
	return nil
}

func readModel(message []byte) (*modelProto, error) {
	m := &modelProto{metadata: map[string]string{}}
	functions, training := false, false
	err := fields(message, func(num protowire.Number, typ protowire.Type, n uint64, data []byte) error {
		switch num {
		case 1:
			m.ir = int64(n)
			return wants(num, typ, protowire.VarintType)
		case 2:
			m.producer = string(data)
			return wants(num, typ, protowire.BytesType)
		case 7:
			if err := wants(num, typ, protowire.BytesType); err != nil {
				return err
			}
			g, err := readGraph(data, 0)
			m.graph = g
			return err
		case 8:
			if err := wants(num, typ, protowire.BytesType); err != nil {
				return err
			}
			var o opset
			if err := fields(data, func(num protowire.Number, _ protowire.Type, n uint64, data []byte) error {
				switch num {
				case 1:
					o.domain = string(data)
				case 2:
					o.version = int64(n)
				}
				return nil
			}); err != nil {
				return err
			}
			if m.opsets = append(m.opsets, o); len(m.opsets) > maxList {
				return fmt.Errorf("more than %d operator sets", maxList)
			}
		case 14:
			if err := wants(num, typ, protowire.BytesType); err != nil {
				return err
			}
			var key, value string
			if err := fields(data, func(num protowire.Number, _ protowire.Type, _ uint64, data []byte) error {
				switch num {
				case 1:
					key = string(data)
				case 2:
					value = string(data)
				}
				return nil
			}); err != nil {
				return err
			}
			m.metadata[key] = value
		case 20:
			training = true
		case 25:
			functions = true
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case m.graph == nil:
		return nil, errors.New("no graph")
	case functions:
		return nil, errors.New("functions of the model's own: have the exporter inline them")
	case training:
		return nil, errors.New("graphs for training: export the model for inference")
	}
	return m, nil
}

func readGraph(message []byte, depth int) (*graphProto, error) {
	if depth == maxGraphs {
		return nil, fmt.Errorf("graphs in graphs, more than %d deep", maxGraphs)
	}
	g := &graphProto{}
	err := fields(message, func(num protowire.Number, typ protowire.Type, _ uint64, data []byte) error {
		switch num {
		case 1, 5, 11, 12, 15:
			if err := wants(num, typ, protowire.BytesType); err != nil {
				return err
			}
		}
		switch num {
		case 1:
			n, err := readNode(data, depth)
			if err != nil {
				return fmt.Errorf("node %d: %w", len(g.nodes), err)
			}
			if n.op == "" {
				return fmt.Errorf("node %d is of no operator", len(g.nodes))
			}
			n.at = len(g.nodes)
			if g.nodes = append(g.nodes, n); len(g.nodes) > maxList {
				return fmt.Errorf("more than %d nodes", maxList)
			}
		case 5:
			t, err := readTensor(data)
			if err != nil {
				return fmt.Errorf("initializer %q: %w", t.name, err)
			}
			g.initializers = append(g.initializers, t)
		case 11, 12:
			v, err := readValue(data)
			if err != nil {
				return err
			}
			if num == 11 {
				g.inputs = append(g.inputs, v)
			} else {
				g.outputs = append(g.outputs, v)
			}
			if len(g.inputs)+len(g.outputs) > maxList {
				return fmt.Errorf("more than %d inputs and outputs", maxList)
			}
		case 15:
			return errors.New("sparse initializers")
		}
		return nil
	})
	return g, err
}

func readNode(message []byte, depth int) (*nodeProto, error) {
	n := &nodeProto{attrs: map[string]*attrProto{}, used: map[string]bool{}}
	err := fields(message, func(num protowire.Number, typ protowire.Type, _ uint64, data []byte) error {
		if num <= 7 {
			if err := wants(num, typ, protowire.BytesType); err != nil {
				return err
			}
		}
		switch num {
		case 1:
			n.inputs = append(n.inputs, string(data))
		case 2:
			n.outputs = append(n.outputs, string(data))
			if len(n.inputs)+len(n.outputs) > maxList {
				return fmt.Errorf("more than %d inputs and outputs", maxList)
			}
		case 3:
			n.name = string(data)
		case 4:
			n.op = string(data)
		case 5:
			a, err := readAttr(data, depth)
			if err != nil {
				return fmt.Errorf("%s: attribute %q: %w", n.op, a.name, err)
			}
			if n.attrs[a.name] != nil {
				return fmt.Errorf("%s: attribute %q stands there twice", n.op, a.name)
			}
			n.attrs[a.name] = a
		case 7:
			n.domain = string(data)
		}
		return nil
	})
	if n.domain == "ai.onnx" {
		n.domain = ""
	}
	return n, err
}

func readAttr(message []byte, depth int) (*attrProto, error) {
	a := &attrProto{}
	var other protowire.Number
	known := map[string]string{} // of many strings few differ: the modes of nodes
	err := fields(message, func(num protowire.Number, typ protowire.Type, n uint64, data []byte) error {
		var err error
		switch num {
		case 1:
			a.name = string(data)
		case 20:
			a.kind = int64(n)
		case 2:
			a.f = math.Float32frombits(uint32(n))
			err = wants(num, typ, protowire.Fixed32Type)
		case 3:
			a.i = int64(n)
			err = wants(num, typ, protowire.VarintType)
		case 4:
			a.s = string(data)
			err = wants(num, typ, protowire.BytesType)
		case 5:
			if err = wants(num, typ, protowire.BytesType); err == nil {
				a.t, err = readTensor(data)
			}
		case 6:
			if err = wants(num, typ, protowire.BytesType); err == nil {
				a.g, err = readGraph(data, depth+1)
			}
		case 7:
			a.floats, err = appendFloats(a.floats, typ, n, data)
		case 8:
			a.ints, err = appendVarints(a.ints, typ, n, data)
		case 9:
			s, seen := known[string(data)]
			if !seen {
				s = string(data)
				known[s] = s
			}
			a.strings = append(a.strings, s)
			err = wants(num, typ, protowire.BytesType)
		case 21:
			err = errors.New("refers to an attribute of a function")
		case 10, 11, 14, 15, 22, 23:
			other = num
		}
		return err
	})
	if err == nil && other != 0 {
		err = fmt.Errorf("is of a kind (field %d) that no operator here takes", other)
	}
	return a, err
}

// appendFloats adds a float, or packed ones.
func appendFloats(to []float32, typ protowire.Type, n uint64, data []byte) ([]float32, error) {
	switch typ {
	case protowire.Fixed32Type:
		return append(to, math.Float32frombits(uint32(n))), nil
	case protowire.BytesType:
		if len(data)%4 != 0 {
			return nil, errCut
		}
		if to == nil {
			to = make([]float32, 0, len(data)/4)
		}
		for ; len(data) > 0; data = data[4:] {
			to = append(to, math.Float32frombits(binary.LittleEndian.Uint32(data)))
		}
		return to, nil
	}
	return nil, fmt.Errorf("floats of wire type %d", typ)
}

// appendVarints adds a whole number, or packed ones.
func appendVarints(to []int64, typ protowire.Type, n uint64, data []byte) ([]int64, error) {
	switch typ {
	case protowire.VarintType:
		return append(to, int64(n)), nil
	case protowire.BytesType:
		for len(data) > 0 {
			v, size := protowire.ConsumeVarint(data)
			if size < 0 {
				return nil, errCut
			}
			to = append(to, int64(v))
			data = data[size:]
		}
		return to, nil
	}
	return nil, fmt.Errorf("whole numbers of wire type %d", typ)
}

func readValue(message []byte) (*valueProto, error) {
	v := &valueProto{}
	each := func(data []byte, want protowire.Number, f func(data []byte) error) error {
		return fields(data, func(num protowire.Number, typ protowire.Type, _ uint64, data []byte) error {
			if num == want && typ == protowire.BytesType {
				return f(data)
			}
			return nil
		})
	}
	dim := func(data []byte) error {
		d := int64(-1)
		err := fields(data, func(num protowire.Number, typ protowire.Type, n uint64, _ []byte) error {
			if num == 1 && typ == protowire.VarintType {
				d = int64(n)
			}
			return nil
		})
		if v.dims = append(v.dims, d); len(v.dims) > maxRank {
			return fmt.Errorf("more than %d dims", maxRank)
		}
		return err
	}
	tensorType := func(data []byte) error {
		v.tensor = true
		return fields(data, func(num protowire.Number, typ protowire.Type, n uint64, data []byte) error {
			switch {
			case num == 1:
				v.elem = dtype(n)
			case num == 2 && typ == protowire.BytesType:
				v.shaped = true
				return each(data, 1, dim)
			}
			return nil
		})
	}
	err := fields(message, func(num protowire.Number, typ protowire.Type, _ uint64, data []byte) error {
		switch {
		case num == 1:
			v.name = string(data)
		case num == 2 && typ == protowire.BytesType:
			return each(data, 1, tensorType)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("value %q: %w", v.name, err)
	}
	return v, nil
}

// readTensor reads a tensor and holds its values against its dims. The tensor returned has a name even with an error.
func readTensor(message []byte) (*tensorProto, error) {
	t := &tensorProto{}
	var dims, i32, i64 []int64
	var f32 []float32
	var f64 []float64
	var raw []byte
	external, hasRaw := false, false
	err := fields(message, func(num protowire.Number, typ protowire.Type, n uint64, data []byte) error {
		var err error
		switch num {
		case 1:
			dims, err = appendVarints(dims, typ, n, data)
		case 2:
			t.dt = dtype(n)
		case 3:
			err = errors.New("kept in segments")
		case 4:
			f32, err = appendFloats(f32, typ, n, data)
		case 5:
			i32, err = appendVarints(i32, typ, n, data)
		case 6:
			t.s = append(t.s, string(data))
		case 7:
			i64, err = appendVarints(i64, typ, n, data)
		case 8:
			t.name = string(data)
		case 9:
			raw, hasRaw = data, true
			err = wants(num, typ, protowire.BytesType)
		case 10:
			switch {
			case typ == protowire.Fixed64Type:
				f64 = append(f64, math.Float64frombits(n))
			case typ == protowire.BytesType && len(data)%8 == 0:
				for ; len(data) > 0; data = data[8:] {
					f64 = append(f64, math.Float64frombits(binary.LittleEndian.Uint64(data)))
				}
			default:
				err = errCut
			}
		case 11: // uint64_data: uint32 and uint64
			i64, err = appendVarints(i64, typ, n, data)
		case 13:
			external = true
		case 14:
			external = external || n == 1
		}
		return err
	})
	if err != nil {
		return t, err
	}
	if external {
		return t, errors.New("its values are external, in another file: save the model as one file")
	}
	if len(dims) > maxRank {
		return t, fmt.Errorf("%d dims: at most %d", len(dims), maxRank)
	}
	most := math.MaxInt32 // more values than a file holds
	for _, d := range dims {
		if d < 0 || d > math.MaxInt32 {
			return t, fmt.Errorf("dims %v", dims)
		}
		if d == 0 {
			most = maxValues
		}
		t.dims = append(t.dims, int(d))
	}
	if _, ok := extent(t.dims, most); !ok {
		return t, fmt.Errorf("dims %v", dims)
	}
	count := t.size()
	have := 0
	width := map[dtype]int{float32Type: 4, doubleType: 8, int64Type: 8, int32Type: 4, uint32Type: 4, int16Type: 2, uint16Type: 2,
		int8Type: 1, uint8Type: 1, boolType: 1}[t.dt]
	switch {
	case t.dt == stringType:
		have = len(t.s)
	case width == 0:
		return t, fmt.Errorf("of type %v, which is not read here", t.dt)
	case hasRaw:
		if len(raw)%width != 0 {
			return t, fmt.Errorf("%d octets of values that take %d each", len(raw), width)
		}
		have = len(raw) / width
		if have == count {
			t.raw(raw, width)
		}
	case t.dt == float32Type:
		if have = len(f32); have == count {
			t.f = make([]float64, have)
			for i, v := range f32 {
				t.f[i] = float64(v)
			}
		}
	case t.dt == doubleType:
		have, t.f = len(f64), f64
	case t.dt == int64Type || t.dt == uint32Type:
		have, t.i = len(i64), i64
	default:
		have, t.i = len(i32), i32
	}
	if have != count {
		return t, fmt.Errorf("%d values for dims %v", have, dims)
	}
	if t.dt.whole() {
		for i, v := range t.i {
			t.i[i] = wrap(v, t.dt)
		}
	}
	return t, nil
}

// raw sets the values from raw_data: little endian, one behind the other.
func (t *tensorProto) raw(data []byte, width int) {
	n := len(data) / width
	if t.dt.float() {
		t.f = make([]float64, n)
	} else {
		t.i = make([]int64, n)
	}
	for k := range n {
		d := data[k*width:]
		switch t.dt {
		case float32Type:
			t.f[k] = float64(math.Float32frombits(binary.LittleEndian.Uint32(d)))
		case doubleType:
			t.f[k] = math.Float64frombits(binary.LittleEndian.Uint64(d))
		case int64Type:
			t.i[k] = int64(binary.LittleEndian.Uint64(d))
		case int32Type, uint32Type:
			t.i[k] = int64(binary.LittleEndian.Uint32(d))
		case int16Type, uint16Type:
			t.i[k] = int64(binary.LittleEndian.Uint16(d))
		default:
			t.i[k] = int64(d[0])
		}
	}
}

// wrap returns what a type keeps of a whole number.
func wrap(v int64, d dtype) int64 {
	switch d {
	case uint8Type:
		return int64(uint8(v))
	case int8Type:
		return int64(int8(v))
	case uint16Type:
		return int64(uint16(v))
	case int16Type:
		return int64(int16(v))
	case int32Type:
		return int64(int32(v))
	case uint32Type:
		return int64(uint32(v))
	case boolType:
		if v != 0 {
			return 1
		}
		return 0
	}
	return v
}
