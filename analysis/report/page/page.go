package page

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"pcaplab/analysis/report"
)

var (
	//go:embed page.tmpl
	source string
	//go:embed page.css
	styles string
	//go:embed page.js
	script string

	//go:embed uplot/uPlot.iife.min.js
	uplotScript string
	//go:embed uplot/uPlot.min.css
	uplotStyles string
	//go:embed uplot/LICENSE
	uplotLicence string

	layout = template.Must(template.New("page").Parse(source))
)

// view is what the template shows. Its texts are plain; what is typed as markup was made here.
type view struct {
	Comment         template.HTML
	Policy          string
	Title, Subtitle string
	Style           template.CSS
	Answer          []string
	Long            bool // the first sentence of it
	Numbers         []Number
	Warnings        []Warning
	Contents        []link
	Sections        []sectionView
	Facts           []Facts
	Raw             []rawView
	Packed          []packed
	Scripts         []template.JS
	Maker           string
}

type link struct{ ID, Title string }

type sectionView struct {
	ID, Title string
	Notes     []string
	Figures   []figureView
	Tables    []tableView
}

type figureView struct {
	Name, Title, Caption, Note string
	Picture                    template.HTML
	Bars                       *bars
	Plot                       template.JS
	SVG                        string // ID of the packed file
	CSV                        csvView
}

type tableView struct {
	Name, ID, Title string
	Fold            bool
	Heads           []cellView
	Rows            [][]cellView
	Notes           []string
	CSV             csvView
}

// csvView is a CSV file in the page: small ones are links, which need no script, large ones are packed. The zero value is none.
type csvView struct {
	Link template.URL
	ID   string // of the packed file
	Name string
}

type cellView struct{ Text, Class string }

// viewCell tells numbers and what is too short to be broken.
func viewCell(text string, right bool) cellView {
	c := cellView{Text: report.Plain(text)}
	switch {
	case right:
		c.Class = "right"
	case utf8.RuneCountInString(c.Text) <= 24:
		c.Class = "short"
	}
	return c
}

type rawView struct{ ID, Name, File, MIME, Size, Note, Command string }

// packed is a file in the page: one line, gzip in base64.
type packed struct {
	ID     string
	Base64 template.HTML
}

// Write writes the document as one HTML file. It asks for nothing over any network, and its content policy forbids it to. A
// figure stands in it three times: to be seen, as its SVG file (the octets of [WriteTwins]), and as numbers; PNG files are
// drawn from the SVG when a reader asks for them. All errors but those of w come before the first octet is written.
func Write(w io.Writer, d *Document) error {
	if err := d.check(); err != nil {
		return err
	}
	v := view{
		Comment: "<!-- One file, complete in itself. Raw data: see \"Without a browser\" near the end of the page. -->",
		Title:   report.Plain(d.Title), Subtitle: report.Plain(d.Subtitle), Maker: report.Plain(d.Maker),
		Answer: plain(d.Answer), Warnings: plainWarnings(d.Warnings),
	}
	v.Long = len(v.Answer) > 0 && utf8.RuneCountInString(v.Answer[0]) > 170
	for _, n := range d.Numbers {
		v.Numbers = append(v.Numbers, Number{report.Plain(n.Value), report.Plain(n.Label), report.Plain(n.Detail)})
	}
	ink := newInks()
	for i := range d.Sections {
		s := &d.Sections[i]
		sv := sectionView{ID: s.ID, Title: report.Plain(s.Title), Notes: plain(s.Notes)}
		v.Contents = append(v.Contents, link{"section-" + s.ID, sv.Title})
		for _, f := range s.Figures {
			fv, err := v.viewFigure(f, ink)
			if err != nil {
				return fmt.Errorf("%s: figure %s: %w", s.Title, f.Name, err)
			}
			sv.Figures = append(sv.Figures, fv)
		}
		for j, t := range s.Tables {
			tv, err := v.viewTable(t, fmt.Sprintf("table-%d-%d", i+1, j+1))
			if err != nil {
				return fmt.Errorf("%s: %w", s.Title, err)
			}
			sv.Tables = append(sv.Tables, tv)
		}
		v.Sections = append(v.Sections, sv)
	}
	for _, f := range d.Facts {
		fv := Facts{Title: report.Plain(f.Title)}
		for _, r := range f.Rows {
			fv.Rows = append(fv.Rows, Fact{report.Plain(r.Name), report.Plain(r.Value)})
		}
		v.Facts = append(v.Facts, fv)
	}
	if len(d.Facts) > 0 {
		v.Contents = append(v.Contents, link{"environment", "Environment"})
	}
	taken := map[string]bool{}
	for i, r := range d.Raw {
		id := fmt.Sprintf("raw-%d", i+1)
		rv := rawView{ID: id, Name: report.Plain(r.Name), File: fileName(r.Name), MIME: r.MIME, Note: report.Plain(r.Note),
			Size: report.FormatOctets(float64(len(r.Data)))}
		if rv.MIME == "" {
			rv.MIME = "application/octet-stream"
		}
		for n, name := 2, rv.File; taken[rv.File]; n++ {
			rv.File = fmt.Sprintf("%d-%s", n, name)
		}
		taken[rv.File] = true
		// The name is made of harmless letters only: it stands in a command that people copy.
		rv.Command = fmt.Sprintf("sed -n '/ id=\"%s\">$/{n;p;}' report.html | base64 -d | gunzip > %s", id, rv.File)
		v.Raw = append(v.Raw, rv)
		v.Packed = append(v.Packed, pack(id, r.Data))
	}
	if len(d.Raw) > 0 {
		v.Contents = append(v.Contents, link{"raw", "Raw data"})
	}

	v.Style = template.CSS(uplotStyles + "\n" + styles + ink.css())
	plots := slices.ContainsFunc(v.Sections, func(s sectionView) bool {
		return slices.ContainsFunc(s.Figures, func(f figureView) bool { return f.Plot != "" })
	})
	if plots {
		v.Scripts = append(v.Scripts, template.JS("/*\n"+uplotLicence+"*/\n"+uplotScript))
	} else {
		v.Style = template.CSS(styles + ink.css())
	}
	v.Scripts = append(v.Scripts, template.JS(script))
	hashes := ""
	for _, s := range v.Scripts {
		sum := sha256.Sum256([]byte(s))
		hashes += " 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	v.Policy = "default-src 'none'; script-src" + hashes + "; style-src 'unsafe-inline'; img-src data: blob:; font-src data:; base-uri 'none'; form-action 'none'"

	var b bytes.Buffer
	if err := layout.Execute(&b, v); err != nil {
		return err
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (v *view) viewFigure(f Figure, ink *inks) (figureView, error) {
	fv := figureView{Name: f.Name, Title: report.Plain(f.Title), Caption: report.Plain(f.Caption), SVG: "svg-" + f.Name, Bars: barsOf(f.Chart)}
	var file, shown bytes.Buffer
	if err := report.WriteSVG(&file, f.Chart); err != nil {
		return fv, err
	}
	v.Packed = append(v.Packed, pack(fv.SVG, file.Bytes()))
	chart, note := bare(f.Chart)
	fv.Note = report.Plain(note)
	if err := report.WriteSVG(&shown, chart); err != nil {
		return fv, err
	}
	picture, err := ink.inline(shown.Bytes())
	if err != nil {
		return fv, err
	}
	fv.Picture = template.HTML(picture)
	if f.Data != nil {
		if fv.CSV, err = v.viewCSV(f.Data, f.Name); err != nil {
			return fv, err
		}
	}
	if f.Plot != nil {
		fv.Plot, err = plotData(f.Plot)
	}
	return fv, err
}

func (v *view) viewTable(t Table, id string) (tv tableView, err error) {
	tv = tableView{Name: t.Name, ID: id, Title: report.Plain(t.Table.Title), Fold: t.Fold, Notes: plain(t.Table.Notes)}
	// Also where it has no file: this checks that rows have their cells.
	if tv.CSV, err = v.viewCSV(t.Table, t.Name); err != nil {
		return tv, err
	}
	if tv.Title == "" {
		tv.Title = "Table"
	}
	for _, c := range t.Table.Columns {
		tv.Heads = append(tv.Heads, viewCell(c.Head, c.Right))
	}
	for _, row := range t.Table.Rows {
		var cells []cellView
		for j, c := range row {
			cells = append(cells, viewCell(c.Text, t.Table.Columns[j].Right))
		}
		tv.Rows = append(tv.Rows, cells)
	}
	return tv, nil
}

// viewCSV makes the table's CSV a part of the page.
func (v *view) viewCSV(t *report.Table, name string) (csvView, error) {
	const most = 24 << 10
	var b bytes.Buffer
	if err := t.WriteCSV(&b); err != nil || name == "" {
		return csvView{}, err
	}
	c := csvView{Name: name + ".csv"}
	if b.Len() <= most {
		c.Link = template.URL("data:text/csv;base64," + base64.StdEncoding.EncodeToString(b.Bytes()))
		return c, nil
	}
	c.ID = "csv-" + name
	v.Packed = append(v.Packed, pack(c.ID, b.Bytes()))
	return c, nil
}

func pack(id string, data []byte) packed {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err == nil {
		_, err = z.Write(data)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		panic(err) // a buffer takes everything
	}
	return packed{id, template.HTML(base64.StdEncoding.EncodeToString(b.Bytes()))}
}

// plotData is the plot as the script reads it: absent numbers are null, numbers have seven digits.
func plotData(p *Plot) (template.JS, error) {
	type axis struct {
		Title string `json:"title"`
		Log   bool   `json:"log"`
		Unit  Unit   `json:"unit"`
	}
	type series struct {
		Name  string  `json:"n"`
		Of    string  `json:"of,omitempty"`
		Color int     `json:"c"`
		Line  bool    `json:"line"`
		Dots  bool    `json:"dots"`
		Mark  Shape   `json:"m,omitempty"`
		P     [][]any `json:"p"`
	}
	type mark struct {
		Shape Shape  `json:"m"`
		Name  string `json:"n"`
	}
	data := struct {
		X axis     `json:"x"`
		Y axis     `json:"y"`
		S []series `json:"s"`
		M []mark   `json:"m,omitempty"`
	}{X: axis{report.Plain(p.X.Title), p.X.Log, p.X.Unit}, Y: axis{report.Plain(p.Y.Title), p.Y.Log, p.Y.Unit}}
	for _, m := range p.Marks {
		data.M = append(data.M, mark{m.Shape, report.Plain(m.Name)})
	}
	total := 0
	for _, s := range p.Series {
		if s.Color < 0 {
			return "", fmt.Errorf("series %q has the colour %d", s.Name, s.Color)
		}
		if s.Name == s.Of {
			s.Of = ""
		}
		out := series{report.Plain(s.Name), report.Plain(s.Of), s.Color, s.Line, s.Dots, s.Shape, [][]any{}}
		for _, pt := range s.Points {
			x, y := number(pt.X), number(pt.Y)
			if x == nil || y == nil {
				continue
			}
			row := []any{x, y}
			low, high := number(pt.Low), number(pt.High)
			if low != nil && high != nil && !(pt.Low == 0 && pt.High == 0) {
				row = append(row, low, high)
			} else if pt.Note != "" {
				row = append(row, nil, nil)
			}
			if pt.Note != "" {
				row = append(row, report.Plain(pt.Note))
			}
			out.P = append(out.P, row)
		}
		total += len(out.P)
		data.S = append(data.S, out)
	}
	if total == 0 {
		return "", nil // nothing to zoom: the picture stays
	}
	b, err := json.Marshal(data) // escapes <, > and &
	return template.JS(b), err
}

func number(v float64) any {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return json.Number(fmt.Sprintf("%.7g", v))
}

// fileName makes a name of harmless letters: it is saved under it, and stands in a command.
func fileName(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '_', r == '-':
			return r
		case r == '/':
			return '-'
		}
		return '_'
	}, s)
	s = strings.TrimLeft(s, ".-")
	if s == "" {
		return "file"
	}
	return s
}

func plain(s []string) (out []string) {
	for _, t := range s {
		if t = report.Plain(t); t != "" {
			out = append(out, t)
		}
	}
	return out
}

func plainWarnings(s []Warning) (out []Warning) {
	for _, w := range s {
		out = append(out, Warning{report.Plain(w.Text), plain(w.Details)})
	}
	return out
}
