package page_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"html"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pcaplab/analysis/report"
	"pcaplab/analysis/report/page"
)

func rendered(t testing.TB, d *page.Document) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := page.Write(&b, d); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// What is vendored is what its list says, octet for octet, and its licence goes with it.
func TestUPlotIsTheReleasedOne(t *testing.T) {
	list, err := os.ReadFile("uplot/README.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile(`(?m)^\| (\S+) \| ([0-9a-f]{64}) \|$`).FindAllSubmatch(list, -1)
	if len(rows) != 3 {
		t.Fatalf("%d files listed", len(rows))
	}
	for _, row := range rows {
		data, err := os.ReadFile(filepath.Join("uplot", string(row[1])))
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != string(row[2]) {
			t.Errorf("%s is not the one of the list: %x", row[1], sum)
		}
	}
	got := rendered(t, sample())
	licence, err := os.ReadFile("uplot/LICENSE")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{string(licence), "/*! https://github.com/leeoniya/uPlot (v1.6.32) */"} {
		if !bytes.Contains(got, []byte(want)) {
			t.Errorf("not in the page: %.60s", want)
		}
	}
}

func TestWriteIsReproducible(t *testing.T) {
	a, b := rendered(t, sample()), rendered(t, sample())
	if !bytes.Equal(a, b) {
		t.Error("two pages of one document differ")
	}
	if len(a) > 1.5e6 {
		t.Errorf("the page of 200 trials has %d octets", len(a))
	}
	t.Logf("%d octets", len(a))
}

// The policy allows the page's own scripts by their sums, and nothing that comes from elsewhere.
func TestPolicyAllowsThePageAlone(t *testing.T) {
	got := string(rendered(t, sample()))
	policy := html.UnescapeString(regexp.MustCompile(`http-equiv="Content-Security-Policy" content="([^"]*)"`).FindStringSubmatch(got)[1])
	if !strings.HasPrefix(policy, "default-src 'none'; ") || strings.Contains(policy, "http") || strings.Contains(policy, "connect-src") {
		t.Errorf("policy: %s", policy)
	}
	scripts := regexp.MustCompile(`(?s)<script>(.*?)</script>`).FindAllStringSubmatch(got, -1)
	if len(scripts) != 2 {
		t.Fatalf("%d scripts", len(scripts))
	}
	for _, s := range scripts {
		sum := sha256.Sum256([]byte(s[1]))
		if want := "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(policy, want) {
			t.Errorf("%s is not in the policy", want)
		}
	}
	if found := regexp.MustCompile(`(?i)<(?:link|img|iframe|object|embed|base|form)\b`).FindString(got); found != "" {
		t.Errorf("an element %s", found)
	}
	for _, m := range regexp.MustCompile(`(?:src|href|action)="([^"]*)"`).FindAllStringSubmatch(got, -1) {
		if !strings.HasPrefix(m[1], "#") && !strings.HasPrefix(m[1], "data:text/csv;base64,") {
			t.Errorf("an address: %.80s", m[1])
		}
	}
	d := sample()
	for i := range d.Sections {
		for j := range d.Sections[i].Figures {
			d.Sections[i].Figures[j].Plot = nil
		}
	}
	if without := rendered(t, d); bytes.Contains(without, []byte("leeoniya")) {
		t.Error("a page without plots has the plotter")
	}
}

func TestTextsAreNoMarkup(t *testing.T) {
	got := string(rendered(t, sample()))
	for _, bad := range []string{"<script>alert", "<img", "\u202e", "\u2028", "\x00"} {
		if strings.Contains(got, bad) {
			t.Errorf("%q is in the page", bad)
		}
	}
	if !strings.Contains(got, "&lt;img src=x onerror=alert(2)&gt;") {
		t.Error("the hostile text is not in the page")
	}
}

func FuzzTexts(f *testing.F) {
	fill := func(s string) *page.Document {
		s = "x" + s + "x"
		return &page.Document{Title: s, Subtitle: s, Answer: []string{s, s}, Numbers: []page.Number{{s, s, s}}, Warnings: []page.Warning{{s, []string{s}}},
			Sections: []page.Section{{ID: "a", Title: s, Notes: []string{s}, Tables: []page.Table{{Name: "t", Table: &report.Table{Title: s,
				Columns: []report.Column{{Head: s, Right: true}}, Rows: [][]report.Cell{{report.Text(s)}}, Notes: []string{s}}}},
				Figures: []page.Figure{{Name: "f", Title: s, Caption: s, Chart: report.BarChart{Axis: "x", Series: []string{"y"}, Note: s, Title: "z",
					Groups: []report.BarGroup{{Name: "g", Bars: []report.Bar{{Value: 1, Mark: "m"}}}}},
					Plot: &page.Plot{X: page.Axis{Title: s, Unit: page.Unit(s)}, Series: []page.Series{{Name: s, Points: []page.Point{{X: 1, Y: 1, Note: s}}}}}}}}},
			Facts: []page.Facts{{s, []page.Fact{{s, s}}}}, Raw: []page.RawFile{{s, s, s, []byte(s)}}, Maker: s}
	}
	want := bytes.Count(rendered(f, fill("")), []byte("<"))
	for _, s := range []string{"", hostile, "-->", "<!--", "</style>", "]]>", "\xff\xfe", "`${alert(1)}`", "&lt;", "javascript:alert(1)", `\u003c/script>`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got := bytes.Count(rendered(t, fill(s)), []byte("<")); got != want {
			t.Errorf("%d tags or the like instead of %d with %q", got, want, s)
		}
	})
}

// The commands that the page names bring the very files back.
func TestRawDataWithoutABrowser(t *testing.T) {
	for _, tool := range []string{"sh", "sed", "base64", "gunzip"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("no %s", tool)
		}
	}
	d := sample()
	dir := t.TempDir()
	got := rendered(t, d)
	if err := os.WriteFile(filepath.Join(dir, "report.html"), got, 0o666); err != nil {
		t.Fatal(err)
	}
	pre := regexp.MustCompile(`(?s)<pre[^>]*>(.*?)</pre>`).FindSubmatch(got)
	commands := html.UnescapeString(string(pre[1]))
	cmd := exec.Command("sh", "-e", "-c", commands)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("%v: %s\n%s", err, out, commands)
	}
	for i, name := range []string{"records.jsonl", "boards-a_b-__rm_-rf__HOME__.json"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !bytes.Equal(data, d.Raw[i].Data) {
			t.Errorf("%s: %d octets instead of %d, %v", name, len(data), len(d.Raw[i].Data), err)
		}
	}
}

func TestTwinsAreTheReportsFiles(t *testing.T) {
	d := sample()
	d.Sections = d.Sections[1:3] // fewer pictures to draw
	var names []string
	err := page.WriteTwins(func(name string, write func(io.Writer) error) error {
		names = append(names, name)
		var b bytes.Buffer
		if err := write(&b); err != nil {
			return err
		}
		var want bytes.Buffer
		switch name {
		case "loss.svg":
			_ = report.WriteSVG(&want, d.Sections[0].Figures[0].Chart)
		case "loss.csv":
			_ = d.Sections[0].Figures[0].Data.WriteCSV(&want)
		default:
			if b.Len() < 100 {
				t.Errorf("%s has %d octets", name, b.Len())
			}
			return nil
		}
		if !bytes.Equal(b.Bytes(), want.Bytes()) {
			t.Errorf("%s differs", name)
		}
		return nil
	}, d)
	if got := strings.Join(names, " "); err != nil || got != "loss.png loss.svg loss.csv loss-trials.csv cost.png cost.svg" {
		t.Errorf("%s, %v", got, err)
	}
	stop := errors.New("full")
	if err := page.WriteTwins(func(string, func(io.Writer) error) error { return stop }, d); !errors.Is(err, stop) {
		t.Errorf("error %v", err)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("full") }

func TestWriteErrors(t *testing.T) {
	chart := report.BarChart{Axis: "x", Series: []string{"y"}, Groups: []report.BarGroup{{Name: "g", Bars: []report.Bar{{Value: 1}}}}}
	table := &report.Table{Columns: []report.Column{{Head: "a"}}}
	section := func(s page.Section) *page.Document { return &page.Document{Title: "t", Sections: []page.Section{s}} }
	for want, d := range map[string]*page.Document{
		"without a title":       {},
		`section "": a name`:    section(page.Section{}),
		`section "A b": a name`: section(page.Section{ID: "A b"}),
		`figure "": a name`:     section(page.Section{ID: "s", Figures: []page.Figure{{Chart: chart}}}),
		`"../x": a name`:        section(page.Section{ID: "s", Figures: []page.Figure{{Name: "../x", Chart: chart}}}),
		`"f" has no chart`:      section(page.Section{ID: "s", Figures: []page.Figure{{Name: "f"}}}),
		`table "f": the name is there twice`: section(page.Section{ID: "s", Figures: []page.Figure{{Name: "f", Chart: chart}},
			Tables: []page.Table{{Name: "f", Table: table}}}),
		`section "s": the name is there twice`:   {Title: "t", Sections: []page.Section{{ID: "s"}, {ID: "s"}}},
		`table "t" is nil`:                       section(page.Section{ID: "s", Tables: []page.Table{{Name: "t"}}}),
		"figure f: bar chart: no groups":         section(page.Section{ID: "s", Figures: []page.Figure{{Name: "f", Chart: report.BarChart{}}}}),
		"row 1 has 0 cells for 1 columns":        section(page.Section{ID: "s", Tables: []page.Table{{Table: &report.Table{Columns: table.Columns, Rows: [][]report.Cell{{}}}}}}),
		`figure f: series "x" has the colour -1`: section(page.Section{ID: "s", Figures: []page.Figure{{Name: "f", Chart: chart, Plot: &page.Plot{Series: []page.Series{{Name: "x", Color: -1}}}}}}),
	} {
		var b bytes.Buffer
		if err := page.Write(&b, d); err == nil || !strings.Contains(err.Error(), want) || b.Len() > 0 {
			t.Errorf("%q: error %v, %d octets written", want, err, b.Len())
		}
	}
	if err := page.Write(fullDisk{}, sample()); err == nil || err.Error() != "full" {
		t.Errorf("error %v", err)
	}
	// Numbers that are none leave no point, and a plot without points leaves the picture.
	d := section(page.Section{ID: "s", Figures: []page.Figure{{Name: "f", Chart: chart, Plot: &page.Plot{Series: []page.Series{{Name: "x",
		Points: []page.Point{{X: math.NaN(), Y: 1}, {X: 1, Y: math.Inf(1)}}}}}}}})
	if got := rendered(t, d); bytes.Contains(got, []byte("leeoniya")) || !bytes.Contains(got, []byte("<svg ")) {
		t.Error("a plot without points is one")
	}
}

// A document of nothing but a title is a page.
func TestEmptyDocument(t *testing.T) {
	got := string(rendered(t, &page.Document{Title: "nothing <yet>"}))
	if !strings.Contains(got, "<h1>nothing &lt;yet&gt;</h1>") || strings.Contains(got, "<section") || strings.Contains(got, "<nav") {
		t.Error(got)
	}
}
