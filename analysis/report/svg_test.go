package report

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/xml"
	"io"
	"math"
	"regexp"
	"strings"
	"testing"

	xfont "golang.org/x/image/font"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
	"gonum.org/v1/plot"
)

var fontData = regexp.MustCompile(`@font-face\{font-family:(sans-[0-9a-f]{8});` +
	`src:url\(data:font/ttf;base64,([A-Za-z0-9+/=]+)\) format\('truetype'\)\}`)

// texts are what stands in the text elements of an SVG.
func texts(t *testing.T, svg []byte) (found []string) {
	t.Helper()
	in := false
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		token, err := d.Token()
		if err == io.EOF {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			if in = e.Name.Local == "text"; in {
				found = append(found, "")
			}
		case xml.EndElement:
			in = false
		case xml.CharData:
			if in {
				found[len(found)-1] += string(e)
			}
		}
	}
}

// Each letter of a chart is in the font of its file, with the outline, the width and the kerning that it was laid out with.
func TestSVGHasItsFont(t *testing.T) {
	style := sans(labelSize)
	whole := plot.DefaultTextHandler.Cache().Lookup(style.Font, style.Font.Size).Face
	for name, chart := range gallery() {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := WriteSVG(&b, chart); err != nil {
				t.Fatal(err)
			}
			match := fontData.FindSubmatch(b.Bytes())
			if match == nil || !bytes.Contains(b.Bytes(), append([]byte(`font-family="`), match[1]...)) {
				t.Fatal("no font, or one that is not asked for")
			}
			raw, err := base64.StdEncoding.DecodeString(string(match[2]))
			if err != nil {
				t.Fatal(err)
			}
			if len(raw) > 30e3 {
				t.Errorf("the font has %d octets", len(raw))
			}
			part, err := sfnt.Parse(raw)
			if err != nil {
				t.Fatal(err)
			}
			sameLetters(t, whole, part, texts(t, b.Bytes()))
			for id, want := range map[sfnt.NameID]string{sfnt.NameIDCopyright: "Red Hat", sfnt.NameIDLicense: "SIL Open Font License"} {
				if s, err := part.Name(nil, id); err != nil || !strings.Contains(s, want) {
					t.Errorf("name %d is %q (error %v), want one with %q", id, s, err, want)
				}
			}
			if s, err := part.Name(nil, sfnt.NameIDFamily); err == nil {
				t.Errorf("the part of the font bears the name %s", s)
			}
		})
	}
}

func sameLetters(t *testing.T, whole, part *sfnt.Font, texts []string) {
	t.Helper()
	units := fixed.Int26_6(whole.UnitsPerEm())
	for _, s := range texts {
		var lastWhole, lastPart sfnt.GlyphIndex
		for _, r := range s {
			x, _ := whole.GlyphIndex(nil, r)
			y, err := part.GlyphIndex(nil, r)
			if err != nil || (x == 0) != (y == 0) {
				t.Fatalf("%q is glyph %d of the font and %d of its part (error %v)", r, x, y, err)
			}
			if x != 0 {
				want, _ := whole.LoadGlyph(nil, x, units, nil)
				want = append(sfnt.Segments(nil), want...)
				got, err := part.LoadGlyph(nil, y, units, nil)
				if err != nil || len(got) != len(want) || len(got) == 0 && r != ' ' && r != '\u00a0' {
					t.Fatalf("%q has %d segments, want %d (error %v)", r, len(got), len(want), err)
				}
				for i := range got {
					if got[i] != want[i] {
						t.Fatalf("%q looks different", r)
					}
				}
				a, _ := whole.GlyphAdvance(nil, x, units, xfont.HintingNone)
				if b, err := part.GlyphAdvance(nil, y, units, xfont.HintingNone); err != nil || a != b {
					t.Errorf("%q is %d wide, want %d (error %v)", r, b, a, err)
				}
			}
			if lastWhole != 0 && x != 0 {
				a, _ := whole.Kern(nil, lastWhole, x, units, xfont.HintingNone)
				if b, err := part.Kern(nil, lastPart, y, units, xfont.HintingNone); a != b && (err == nil || a != 0) {
					t.Errorf("in %q, %q is moved by %d, want %d (error %v)", s, r, b, a, err)
				}
			}
			lastWhole, lastPart = x, y
		}
	}
}

// Letters made of parts bring their parts.
func TestSubsetOfComposedLetters(t *testing.T) {
	style := sans(labelSize)
	whole := plot.DefaultTextHandler.Cache().Lookup(style.Font, style.Font.Size).Face
	all := map[string]bool{}
	var list []string
	for r := rune(' '); r < 0x3000; r++ {
		if x, err := whole.GlyphIndex(nil, r); err == nil && x != 0 {
			all[string(r)] = true
		}
	}
	for s := range all {
		if segments, _ := whole.LoadGlyph(nil, index(whole, s), fixed.I(16), nil); len(segments) > 0 {
			list = append(list, s)
		}
	}
	raw, err := subset(whole, all)
	if err != nil {
		t.Fatal(err)
	}
	part, err := sfnt.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	sameLetters(t, whole, part, list)
	if len(list) < 1000 {
		t.Errorf("only %d letters were compared", len(list))
	}
}

func index(f *sfnt.Font, s string) sfnt.GlyphIndex {
	x, _ := f.GlyphIndex(nil, []rune(s)[0])
	return x
}

func TestUsualSVGsAreSmall(t *testing.T) {
	charts := gallery()
	for _, name := range []string{"bar-few", "bar-memory", "ceiling-many", "loss-many", "cost-few"} {
		var b bytes.Buffer
		if err := WriteSVG(&b, charts[name]); err != nil {
			t.Fatal(err)
		}
		if b.Len() > 60e3 {
			t.Errorf("%s: %d octets", name, b.Len())
		}
	}
}

func TestPNGSaysItsResolution(t *testing.T) {
	coarseSkips(t)
	charts := gallery()
	huge := CeilingChart{Series: []string{"NDR"}}
	for range 400 {
		huge.Groups = append(huge.Groups, CeilingGroup{"direct", []CeilingBar{{Rate: 1}}})
	}
	for _, tt := range []struct {
		name     string
		chart    Chart
		low, top float64
	}{{"usual", charts["ceiling-few"], 299.9, 300.1}, {"huge", huge, 100, 250}} {
		t.Run(tt.name, func(t *testing.T) {
			var b bytes.Buffer
			if err := WritePNG(&b, tt.chart); err != nil {
				t.Fatal(err)
			}
			at := bytes.Index(b.Bytes(), []byte("pHYs"))
			if at < 0 || at > 60 {
				t.Fatal("no pHYs chunk before the image")
			}
			x, y := binary.BigEndian.Uint32(b.Bytes()[at+4:]), binary.BigEndian.Uint32(b.Bytes()[at+8:])
			if dpi := float64(x) * 0.0254; x != y || b.Bytes()[at+12] != 1 || dpi < tt.low || dpi > tt.top {
				t.Errorf("%d x %d dots per metre, unit %d", x, y, b.Bytes()[at+12])
			}
			if width := float64(binary.BigEndian.Uint32(b.Bytes()[16:])) / float64(x) / 0.0254; math.Abs(width-6.5) > 0.02 {
				t.Errorf("%.2f inches wide", width)
			}
		})
	}
}
