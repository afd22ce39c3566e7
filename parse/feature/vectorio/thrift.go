package vectorio

import (
	"encoding/binary"
	"errors"
)

// thriftDepth is how deep structures in a footer may lie.
const thriftDepth = 32

var errThrift = errors.New("the footer contradicts itself")

// checkThrift walks a structure in Thrift's compact protocol (thrift/doc/specs/thrift-compact-protocol.md) and refuses one
// whose lists or texts are longer than what is left of it: the library takes memory for what they claim.
func checkThrift(b []byte) error {
	w := thriftWalk{rest: b}
	w.fields(0)
	if w.bad {
		return errThrift
	}
	return nil
}

type thriftWalk struct {
	rest []byte
	bad  bool
}

func (w *thriftWalk) skip(n uint64) {
	if n > uint64(len(w.rest)) {
		w.bad, w.rest = true, nil
		return
	}
	w.rest = w.rest[n:]
}

func (w *thriftWalk) octet() byte {
	if len(w.rest) == 0 {
		w.bad = true
		return 0
	}
	c := w.rest[0]
	w.rest = w.rest[1:]
	return c
}

func (w *thriftWalk) varint() uint64 {
	v, n := binary.Uvarint(w.rest)
	if n <= 0 {
		w.bad, w.rest = true, nil
		return 0
	}
	w.rest = w.rest[n:]
	return v
}

func (w *thriftWalk) fields(depth int) {
	for !w.bad {
		head := w.octet()
		if head == 0 {
			return
		}
		if head>>4 == 0 {
			w.varint() // the field's number
		}
		if kind := head & 15; kind > 2 { // 1 and 2 are true and false
			w.value(kind, depth)
		}
	}
}

// value steps over a value that is no field, where true and false take an octet.
func (w *thriftWalk) value(kind byte, depth int) {
	if depth > thriftDepth {
		w.bad = true
		return
	}
	switch kind {
	case 1, 2, 3: // booleans, an octet
		w.skip(1)
	case 4, 5, 6: // integers
		w.varint()
	case 7: // a double
		w.skip(8)
	case 8: // octets
		w.skip(w.varint())
	case 9, 10: // a list, a set
		head := w.octet()
		n := uint64(head >> 4)
		if n == 15 {
			n = w.varint()
		}
		w.values(n, head&15, head&15, depth)
	case 11: // a map
		if n := w.varint(); n > 0 {
			kinds := w.octet()
			w.values(n, kinds>>4, kinds&15, depth)
		}
	case 12:
		w.fields(depth + 1)
	default:
		w.bad = true
	}
}

// values steps over n values of kind a, or of a and b in turn if they differ.
func (w *thriftWalk) values(n uint64, a, b byte, depth int) {
	if n > uint64(len(w.rest)) { // each takes an octet or more
		w.bad = true
	}
	for ; n > 0 && !w.bad; n-- {
		w.value(a, depth+1)
		if a != b {
			w.value(b, depth+1)
		}
	}
}

// pageSizes steps over the head of a page and returns the sizes that it states.
func (w *thriftWalk) pageSizes() (unpacked, packed int64) {
	id := int64(0)
	for !w.bad {
		head := w.octet()
		if head == 0 {
			break
		}
		if delta := int64(head >> 4); delta > 0 {
			id += delta
		} else {
			id = zigzag(w.varint())
		}
		switch kind := head & 15; {
		case kind == 5 && id == 2:
			unpacked = zigzag(w.varint())
		case kind == 5 && id == 3:
			packed = zigzag(w.varint())
		case kind > 2:
			w.value(kind, 0)
		}
	}
	return unpacked, packed
}

func zigzag(v uint64) int64 { return int64(v>>1) ^ -int64(v&1) }
