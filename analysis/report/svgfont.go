package report

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"maps"
	"math/bits"
	"slices"

	"golang.org/x/image/font"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
)

var be = binary.BigEndian

// glyphSet numbers the glyphs of a part of a font in order of their use.
type glyphSet struct {
	old []sfnt.GlyphIndex
	new map[sfnt.GlyphIndex]int
}

func (g *glyphSet) add(old sfnt.GlyphIndex) int {
	if _, ok := g.new[old]; !ok {
		g.new[old] = len(g.old)
		g.old = append(g.old, old)
	}
	return g.new[old]
}

// subset makes a TrueType font of the letters in the texts, with their kerning and the names that state copyright and licence,
// without hints. A font that is not well-formed makes it panic: there is one, and it is in this program.
func subset(f *sfnt.Font, texts map[string]bool) ([]byte, error) {
	var source bytes.Buffer
	if _, err := f.WriteSourceTo(nil, &source); err != nil {
		return nil, err
	}
	table := map[string][]byte{}
	raw := source.Bytes()
	for i := range int(be.Uint16(raw[4:])) {
		entry := raw[12+16*i:]
		from, length := be.Uint32(entry[8:]), be.Uint32(entry[12:])
		table[string(entry[:4])] = raw[from : from+length]
	}

	set := glyphSet{new: map[sfnt.GlyphIndex]int{}}
	set.add(0)
	runes := map[rune]int{}
	kerns := map[uint32]int{}
	var buf sfnt.Buffer
	for _, s := range sortedKeys(texts) {
		var last sfnt.GlyphIndex
		for _, r := range s {
			x, err := f.GlyphIndex(&buf, r)
			if err != nil {
				return nil, err
			}
			if x == 0 { // the reader's program takes another font
				last = 0
				continue
			}
			runes[r] = set.add(x)
			if kern, err := f.Kern(&buf, last, x, fixed.Int26_6(f.UnitsPerEm()), font.HintingNone); last != 0 && err == nil && kern != 0 {
				kerns[uint32(set.new[last])<<16|uint32(set.new[x])] = int(kern)
			}
			last = x
		}
	}

	out := map[string][]byte{"OS/2": table["OS/2"], "cmap": cmapTable(runes), "name": licenceNames(table["name"])}
	loca := func(x sfnt.GlyphIndex) uint32 {
		if be.Uint16(table["head"][50:]) == 0 {
			return 2 * uint32(be.Uint16(table["loca"][2*int(x):]))
		}
		return be.Uint32(table["loca"][4*int(x):])
	}
	metrics := int(be.Uint16(table["hhea"][34:]))
	var glyf []byte
	for i := 0; i < len(set.old); i++ { // parts of letters are added on the way
		x := set.old[i]
		out["loca"] = be.AppendUint32(out["loca"], uint32(len(glyf)))
		glyf = append(glyf, bareGlyph(table["glyf"][loca(x):loca(x+1)], &set)...)
		glyf = append(glyf, make([]byte, -len(glyf)&3)...)
		advance := 4 * min(int(x), metrics-1)
		out["hmtx"] = append(out["hmtx"], table["hmtx"][advance:advance+2]...)
		bearing := advance + 2
		if int(x) >= metrics {
			bearing = 4*metrics + 2*(int(x)-metrics)
		}
		out["hmtx"] = append(out["hmtx"], table["hmtx"][bearing:bearing+2]...)
	}
	out["glyf"], out["loca"] = glyf, be.AppendUint32(out["loca"], uint32(len(glyf)))
	changed := func(name string, at int, v uint16) {
		out[name] = bytes.Clone(table[name])
		be.PutUint16(out[name][at:], v)
	}
	changed("hhea", 34, uint16(len(set.old)))
	changed("maxp", 4, uint16(len(set.old)))
	changed("head", 50, 1) // long offsets
	out["post"] = append([]byte{0, 3, 0, 0}, table["post"][4:32]...)
	if len(kerns) > 0 {
		out["kern"] = kernTable(kerns)
	}
	return joined(out), nil
}

// bareGlyph is an outline without its instructions; the parts that one is made of are added to the set.
func bareGlyph(g []byte, set *glyphSet) []byte {
	if len(g) == 0 {
		return nil
	}
	if contours := int(int16(be.Uint16(g))); contours >= 0 {
		at := 10 + 2*contours
		outline := g[at+2+int(be.Uint16(g[at:])):]
		points := 0
		if contours > 0 {
			points = int(be.Uint16(g[at-2:])) + 1
		}
		return slices.Concat(g[:at], []byte{0, 0}, outline[:outlineLength(outline, points)])
	}
	const words, scale, more, scales, matrix, instructions = 1, 8, 0x20, 0x40, 0x80, 0x100
	g = bytes.Clone(g)
	for at := 10; ; {
		flags := be.Uint16(g[at:])
		be.PutUint16(g[at:], flags&^instructions)
		be.PutUint16(g[at+2:], uint16(set.add(sfnt.GlyphIndex(be.Uint16(g[at+2:])))))
		at += 6
		for flag, length := range map[uint16]int{words: 2, scale: 2, scales: 4, matrix: 8} {
			if flags&flag != 0 {
				at += length
			}
		}
		if flags&more == 0 {
			return g[:at]
		}
	}
}

// outlineLength is that of the flags and coordinates of so many points; padding may follow.
func outlineLength(g []byte, points int) int {
	const shortX, shortY, repeat, sameX, sameY = 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 5
	length, at := 0, 0
	for points > 0 {
		flags, n := g[at], 1
		at++
		if flags&repeat != 0 {
			n += int(g[at])
			at++
		}
		for short, same := range map[byte]byte{shortX: sameX, shortY: sameY} {
			switch {
			case flags&short != 0:
				length += n
			case flags&same == 0:
				length += 2 * n
			}
		}
		points -= n
	}
	return at + length
}

// cmapTable maps runes to glyphs (format 12).
func cmapTable(runes map[rune]int) []byte {
	t := []byte{0, 0, 0, 1, 0, 3, 0, 10, 0, 0, 0, 12, 0, 12, 0, 0}
	t = be.AppendUint32(t, uint32(16+12*len(runes)))
	t = be.AppendUint32(t, 0)
	t = be.AppendUint32(t, uint32(len(runes)))
	for _, r := range sortedKeys(runes) {
		t = be.AppendUint32(be.AppendUint32(be.AppendUint32(t, uint32(r)), uint32(r)), uint32(runes[r]))
	}
	return t
}

// kernTable holds distances of pairs of glyphs (format 0); the left one is in the upper half of a key.
func kernTable(pairs map[uint32]int) []byte {
	n := min(len(pairs), 10000) // the length has 16 bits
	t := []byte{0, 0, 0, 1, 0, 0}
	t = be.AppendUint16(t, uint16(14+6*n))
	t = be.AppendUint16(t, 1) // horizontal
	t = appendSearch(be.AppendUint16(t, uint16(n)), n, 6)
	for _, p := range sortedKeys(pairs)[:n] {
		t = be.AppendUint16(be.AppendUint32(t, p), uint16(int16(pairs[p])))
	}
	return t
}

// licenceNames keeps copyright, trademark, licence and its address: a part of a font is under the same licence, but must not
// carry its reserved name.
func licenceNames(name []byte) []byte {
	const copyright, trademark, licence, address = 0, 7, 13, 14
	var records, texts []byte
	count := 0
	strings := name[be.Uint16(name[4:]):]
	for i := range int(be.Uint16(name[2:])) {
		r := bytes.Clone(name[6+12*i : 18+12*i])
		switch be.Uint16(r[6:]) {
		case copyright, trademark, licence, address:
			if be.Uint16(r) != 3 { // the Unicode ones are enough
				continue
			}
			from, length := be.Uint16(r[10:]), be.Uint16(r[8:])
			be.PutUint16(r[10:], uint16(len(texts)))
			texts = append(texts, strings[from:from+length]...)
			records = append(records, r...)
			count++
		}
	}
	t := be.AppendUint16([]byte{0, 0}, uint16(count))
	return slices.Concat(be.AppendUint16(t, uint16(6+len(records))), records, texts)
}

// appendSearch appends the three numbers that help to search n entries of that size.
func appendSearch(t []byte, n, size int) []byte {
	power := bits.Len(uint(n)) - 1
	t = be.AppendUint16(t, uint16(size<<power))
	t = be.AppendUint16(t, uint16(power))
	return be.AppendUint16(t, uint16(size*n-size<<power))
}

// joined makes a font file of its tables.
func joined(tables map[string][]byte) []byte {
	sum := func(b []byte) (s uint32) {
		for ; len(b) > 0; b = b[4:] {
			s += be.Uint32(b)
		}
		return s
	}
	n := len(tables)
	file := appendSearch(be.AppendUint16([]byte{0, 1, 0, 0}, uint16(n)), n, 16)
	var body []byte
	headAt := 0
	for _, tag := range sortedKeys(tables) {
		t := tables[tag]
		at := 12 + 16*n + len(body)
		padded := append(bytes.Clone(t), make([]byte, -len(t)&3)...)
		if tag == "head" {
			headAt = at
			be.PutUint32(padded[8:], 0)
		}
		file = append(file, tag...)
		file = be.AppendUint32(be.AppendUint32(be.AppendUint32(file, sum(padded)), uint32(at)), uint32(len(t)))
		body = append(body, padded...)
	}
	file = append(file, body...)
	be.PutUint32(file[headAt+8:], 0xb1b0afba-sum(file))
	return file
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
