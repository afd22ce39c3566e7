package hoeffding

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// keys looks at JSON on its way to the decoder, which takes the last of fields that are there twice, fields that are spelt in capitals,
// null for anything, and objects that lack fields. It wants each object to have each field of one of the file's types just once. Faults
// of grammar are left to the decoder.
type keys struct {
	err    error // the first fault
	octets int64
	open   []object // what is open, from the outside
	text   []byte   // of the string that is open
	quoted bool
	escape bool
}

// object is an object or a list that is open.
type object struct {
	list  bool
	names []string
	value bool // a value comes next, not a name
}

// What is more than any file of ours has.
const (
	mostDepth = 8
	mostNames = 32
)

// fields lists the fields of the types of objects in a file: all, and those that must be there.
var fields = func() (lists [][2][]string) {
	for _, t := range []any{fileTree{}, Config{}, fileNode{}, fileBranch{}, fileLeaf{}, fileGauss{}} {
		var all, must []string
		for i := range reflect.TypeOf(t).NumField() {
			name, option, _ := strings.Cut(reflect.TypeOf(t).Field(i).Tag.Get("json"), ",")
			if all = append(all, name); option == "" {
				must = append(must, name)
			}
		}
		lists = append(lists, [2][]string{all, must})
	}
	return lists
}()

// Write looks at what the decoder is given next. It returns no error: the decoder's goes before.
func (k *keys) Write(p []byte) (int, error) {
	for _, c := range p {
		k.octets++
		if k.err == nil {
			k.err = k.next(c)
		}
	}
	return len(p), nil
}

func (k *keys) next(c byte) error {
	depth := len(k.open)
	name := depth > 0 && !k.open[depth-1].list && !k.open[depth-1].value
	if k.quoted {
		switch {
		case k.escape:
			k.escape = false
		case c == '\\':
			if k.escape = true; name {
				return fmt.Errorf("octet %d: a field with a backslash", k.octets)
			}
		case c == '"':
			k.quoted = false
			if name {
				return k.name(&k.open[depth-1])
			}
			return nil
		}
		if name && len(k.text) < 64 {
			k.text = append(k.text, c)
		}
		return nil
	}
	switch c {
	case '"':
		k.quoted, k.text = true, k.text[:0]
	case ':':
		if depth > 0 {
			k.open[depth-1].value = true
		}
	case ',':
		if depth > 0 {
			k.open[depth-1].value = false
		}
	case '{', '[':
		if depth == mostDepth {
			return fmt.Errorf("octet %d: lists and objects within each other %d deep", k.octets, depth+1)
		}
		k.open = slices.Grow(k.open, 1)[:depth+1]
		o := &k.open[depth]
		*o = object{list: c == '[', names: o.names[:0]}
	case '}', ']':
		if depth > 0 {
			k.open = k.open[:depth-1]
			if o := &k.open[:depth][depth-1]; !o.list {
				return k.whole(o.names)
			}
		}
	case 'n':
		return fmt.Errorf("octet %d: null is no value of a Hoeffding tree", k.octets)
	}
	return nil
}

func (k *keys) name(o *object) error {
	name := string(k.text)
	switch {
	case slices.Contains(o.names, name):
		return fmt.Errorf("octet %d: the field %q is there twice", k.octets, name)
	case len(o.names) == mostNames:
		return fmt.Errorf("octet %d: an object of more than %d fields", k.octets, mostNames)
	}
	o.names = append(o.names, name)
	return nil
}

// whole reports whether an object that ends here has the fields of a type. An error speaks of the type that it is most like.
func (k *keys) whole(names []string) error {
	var nearest error
	least := 0
	for _, f := range fields {
		var missing, foreign []string
		for _, must := range f[1] {
			if !slices.Contains(names, must) {
				missing = append(missing, must)
			}
		}
		for _, name := range names {
			if !slices.Contains(f[0], name) {
				foreign = append(foreign, name)
			}
		}
		far := 2*len(foreign) + len(missing)
		if far == 0 {
			return nil
		}
		if nearest == nil || far < least {
			least = far
			var faults []error
			if len(missing) > 0 {
				faults = append(faults, fmt.Errorf("octet %d: an object lacks %s", k.octets, strings.Join(missing, ", ")))
			}
			if len(foreign) > 0 {
				faults = append(faults, fmt.Errorf("octet %d: an object has %q, which is unknown", k.octets, foreign))
			}
			nearest = errors.Join(faults...)
		}
	}
	return nearest
}
