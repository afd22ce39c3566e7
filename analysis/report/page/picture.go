package page

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"pcaplab/analysis/report"
)

// inks are the colours of the pictures in a page. In the page each is a variable, so that a dark page has dark pictures:
// lettering and lines become light, white becomes the card below, pale colours become dark ones.
type inks struct {
	used map[rgb]bool
}

type rgb struct{ r, g, b uint8 }

func (c rgb) String() string { return fmt.Sprintf("#%02x%02x%02x", c.r, c.g, c.b) }

func parse(hex string) rgb {
	v, _ := strconv.ParseUint(hex, 16, 32)
	return rgb{uint8(v >> 16), uint8(v >> 8), uint8(v)}
}

// mix is a, with that share of b in it.
func mix(a, b rgb, share float64) rgb {
	part := func(x, y uint8) uint8 { return uint8(float64(float64(x)*(1-share)) + float64(float64(y)*share) + 0.5) }
	return rgb{part(a.r, b.r), part(a.g, b.g), part(a.b, b.b)}
}

// The seven colours of series: on paper, as the pictures have them, and on a dark page, lighter and of the same hue.
var (
	seriesLight = []rgb{parse("0072b2"), parse("e69f00"), parse("009e73"), parse("d55e00"), parse("56b4e9"), parse("cc79a7"), parse("000000")}
	seriesDark  = []rgb{parse("4d9fdb"), parse("eab04a"), parse("33b68b"), parse("ea7b3c"), parse("8fd0f5"), parse("dd9dc0"), parse("e5e8ec")}

	darkInk, darkCard = parse("e5e8ec"), parse("171b21")
)

func newInks() *inks {
	k := &inks{used: map[rgb]bool{}}
	for _, c := range seriesLight {
		k.used[c] = true
	}
	return k
}

// dark is a colour as a dark page has it.
func (c rgb) dark() rgb {
	for i, s := range seriesLight {
		switch c {
		case s:
			return seriesDark[i]
		case pale(s):
			return mix(seriesDark[i], darkCard, 2.0/3)
		}
	}
	low, high := min(c.r, c.g, c.b), max(c.r, c.g, c.b)
	if high-low < 24 { // a gray: as far from the card as it was
		return mix(darkInk, darkCard, float64(c.g)/255)
	}
	return mix(c, darkInk, 0.25)
}

// pale is what bands around lines are drawn with.
func pale(c rgb) rgb {
	part := func(v uint8) uint8 { return uint8((int(v) + 2*255) / 3) }
	return rgb{part(c.r), part(c.g), part(c.b)}
}

var (
	colour   = regexp.MustCompile(`#[0-9A-Fa-f]{6}\b`)
	size     = regexp.MustCompile(` (?:width|height)="[0-9.]+pt"`)
	onlyFont = regexp.MustCompile(`^@font-face\{font-family:[a-z0-9-]+;src:url\(data:font/ttf;base64,[A-Za-z0-9+/=]+\) format\('truetype'\)\}$`)
	harmful  = regexp.MustCompile(`(?i)url\(|@import|expression\(`)
)

// inline makes of an SVG file what stands in the page. The file was made by this program, yet it is looked through: what is
// no drawing does not get in.
func (k *inks) inline(svg []byte) (string, error) {
	start := bytes.Index(svg, []byte("<svg"))
	if start < 0 {
		return "", fmt.Errorf("a picture that is no SVG")
	}
	svg = svg[start:]
	allowed := []string{"svg", "g", "path", "text", "defs", "style", "rect", "line", "circle", "polyline", "polygon", "ellipse", "tspan"}
	inStyle := false
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return "", fmt.Errorf("SVG: %w", err)
		}
		if text, ok := token.(xml.CharData); ok && inStyle && !onlyFont.Match(text) {
			return "", fmt.Errorf("SVG: a style that is more than a font")
		}
		e, ok := token.(xml.StartElement)
		inStyle = ok && e.Name.Local == "style"
		if !ok {
			continue
		}
		if !slices.Contains(allowed, e.Name.Local) {
			return "", fmt.Errorf("SVG: an element %q", e.Name.Local)
		}
		for _, a := range e.Attr {
			name := strings.ToLower(a.Name.Local)
			if strings.HasPrefix(name, "on") || name == "href" || harmful.MatchString(a.Value) {
				return "", fmt.Errorf("SVG: an attribute %q", a.Name.Local)
			}
		}
	}
	end := bytes.IndexByte(svg, '>')
	head := size.ReplaceAllString(string(svg[:end]), "")
	head = strings.Replace(head, "<svg", `<svg aria-hidden="true" focusable="false"`, 1)
	body := k.recolour(string(svg[end:]))
	return strings.TrimSpace(head + body), nil
}

// recolour changes the colours in style attributes, and nowhere else: texts may name colours.
func (k *inks) recolour(body string) string {
	return styleAttribute.ReplaceAllStringFunc(body, func(s string) string {
		return colour.ReplaceAllStringFunc(s, func(hex string) string {
			c := parse(hex[1:])
			k.used[c] = true
			return "var(--k" + c.String()[1:] + "," + c.String() + ")"
		})
	})
}

var styleAttribute = regexp.MustCompile(`\bstyle="[^"<>]*"`)

// css defines the variables.
func (k *inks) css() string {
	var b strings.Builder
	b.WriteString(":root{")
	for i, c := range seriesLight {
		fmt.Fprintf(&b, "--s%d:var(--k%s,%s);", i, c.String()[1:], c)
	}
	b.WriteString("}\n@media screen and (prefers-color-scheme:dark){:root{")
	order := slices.SortedFunc(maps.Keys(k.used), func(a, b rgb) int { return strings.Compare(a.String(), b.String()) })
	for _, c := range order {
		fmt.Fprintf(&b, "--k%s:%s;", c.String()[1:], c.dark())
	}
	b.WriteString("}}\n")
	return b.String()
}

// value is a chart itself where c points to it.
func value(c report.Chart) report.Chart {
	if v := reflect.ValueOf(c); v.Kind() == reflect.Pointer && !v.IsNil() {
		if chart, ok := v.Elem().Interface().(report.Chart); ok {
			return chart
		}
	}
	return c
}

// bare is a chart without the Title and the Note that all kinds have, and which the page has as text.
func bare(c report.Chart) (chart report.Chart, note string) {
	c = value(c)
	if reflect.TypeOf(c).Kind() != reflect.Struct {
		return c, ""
	}
	own := reflect.New(reflect.TypeOf(c)).Elem()
	own.Set(reflect.ValueOf(c))
	if f := own.FieldByName("Title"); f.IsValid() && f.Kind() == reflect.String {
		f.SetString("")
	}
	if f := own.FieldByName("Note"); f.IsValid() && f.Kind() == reflect.String {
		note = f.String()
		f.SetString("")
	}
	return own.Interface().(report.Chart), note
}
