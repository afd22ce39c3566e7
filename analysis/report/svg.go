package report

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"io"

	"golang.org/x/image/font/sfnt"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// WriteSVG draws the chart as WritePNG does. Its text stays text, and the letters that it needs of the font it was laid out
// with (Liberation Sans) are in the file. Programs that ignore fonts in files are asked for installed ones of equal widths.
func WriteSVG(w io.Writer, c Chart) error {
	p, err := c.page()
	if err != nil {
		return err
	}
	canvas := &svgCanvas{Canvas: vgsvg.New(p.width, p.height()), texts: map[string]bool{}}
	p.draw(draw.New(canvas))
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return err
	}
	svg := b.Bytes()
	if canvas.face != nil {
		part, err := subset(canvas.face, canvas.texts)
		if err != nil {
			return err
		}
		// A name of its own: charts that stand in one page must not take each other's letters.
		family := fmt.Sprintf("sans-%08x", crc32.ChecksumIEEE(part))
		head := fmt.Sprintf("<svg font-family=\"%s,'Liberation Sans',Arimo,Arial,Helvetica,sans-serif\" ", family)
		style := fmt.Sprintf("<defs><style>@font-face{font-family:%s;src:url(data:font/ttf;base64,%s) format('truetype')}"+
			"</style></defs>\n<g", family, base64.StdEncoding.EncodeToString(part))
		const each = "font-family:Liberation Sans;font-variant:normal;font-weight:normal;font-style:normal;"
		svg = bytes.ReplaceAll(svg, []byte(each), nil)
		svg = bytes.Replace(svg, []byte("<svg "), []byte(head), 1)
		svg = bytes.Replace(svg, []byte("<g"), []byte(style), 1)
	}
	_, err = w.Write(svg)
	return err
}

// svgCanvas keeps what is written on it. All of it is in one face.
type svgCanvas struct {
	*vgsvg.Canvas
	face  *sfnt.Font
	texts map[string]bool
}

// FillString implements vg.Canvas.
func (c *svgCanvas) FillString(f font.Face, pt vg.Point, s string) {
	c.face = f.Face
	c.texts[s] = true
	c.Canvas.FillString(f, pt, s)
}
