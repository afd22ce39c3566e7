package cic_test

import (
	"io"
	"strings"
	"testing"

	"pcaplab/datasets/cic"
)

func FuzzLabelMap(f *testing.F) {
	for _, seed := range []string{"file,label\n*.pcap,x\n", "# a\n\nPCAP/X/*\tx\n", "\"a,b\",\"c\"\"d\"\n", "[a,b\n", "\ufeffa\tb", "\"a\nb"} {
		f.Add(seed, "PCAP/X/a.pcap")
	}
	f.Fuzz(func(t *testing.T, table, path string) {
		m, err := cic.ReadLabelMap(strings.NewReader(table), "fuzz")
		if (m == nil) == (err == nil) {
			t.Fatalf("%v, %v", m, err)
		}
		if err != nil {
			if !strings.HasPrefix(err.Error(), "fuzz: ") {
				t.Errorf("no name in %q", err)
			}
			return
		}
		if label, ok := m.Label(path); ok == (label == "") {
			t.Errorf("label %q, %v", label, ok)
		}
	})
}

func TestLabelMap(t *testing.T) {
	const order = "first.pcap,1\n*.pcap,2\n*,3\n"
	for _, x := range []struct{ name, table, path, label string }{
		{"base name", "*.pcap,a", "x/y/z.pcap", "a"},
		{"whole name only", "z,a", "z.pcap", ""},
		{"first match", order, "first.pcap", "1"},
		{"second match", order, "second.pcap", "2"},
		{"last match", order, "x.pcapng", "3"},
		{"tab", "*.pcap\ta, b", "z.pcap", "a, b"},
		{"comma in a pattern with tabs", "a,b.pcap\tx", "a,b.pcap", "x"},
		{"quotes", "\"a,b.pcap\",\"say \"\"x\"\"\"", "a,b.pcap", `say "x"`},
		{"spaces around", " *.pcap , a ", "z.pcap", "a"},
		{"space before a quote", "*.pcap, \"a,b\"", "z.pcap", "a,b"},
		{"quoted tab column", "\"z.pcap\"\t\"a\"", "z.pcap", "a"},
		{"header", "file,label\n*,a", "file", "a"},
		{"header after comments", "# from me\n\n  \nPath\tLabel\n*\ta", "z", "a"},
		{"header's words further down", "*.pcap,a\nfile,label", "file", "label"},
		{"comment with the other separator", "# a\tb\nz,a", "z", "a"},
		{"comment between", "y,a\n#z,b\nz,c", "z", "c"},
		{"line ends of Windows, mark in front", "\ufefffile,label\r\nz.pcap,a\r\n", "z.pcap", "a"},
		{"folder", "XSS/*,a", "PCAP/XSS/z.pcap", "a"},
		{"folder, path of Windows", "XSS/*,a", `PCAP\XSS\z.pcap`, "a"},
		{"pattern of Windows", `XSS\*,a`, "PCAP/XSS/z.pcap", "a"},
		{"folder, not nearest", "PCAP/*,a", "PCAP/XSS/z.pcap", ""},
		{"folder by glob", "PCAP/*/*,a", "/x/PCAP/XSS/z.pcap", "a"},
		{"star stays in its folder", "P*z.pcap,a", "P/z.pcap", ""},
		{"path too short", "a/b/c,a", "b/c", ""},
		{"as find prints it", "./PCAP/z.pcap,a", "PCAP/z.pcap", "a"},
		{"whole path", "/PCAP/z.pcap,a", "/PCAP/z.pcap", "a"},
		{"whole path, deeper", "/PCAP/z.pcap,a", "/x/PCAP/z.pcap", ""},
		{"root is no folder", "*/z.pcap,a", "/z.pcap", ""},
		{"case counts", "Z.pcap,a", "z.pcap", ""},
		{"class of characters", "z[0-9].pcap,a", "z7.pcap", "a"},
		{"bracket of the name", "z[[]1].pcap,a", "z[1].pcap", "a"},
		{"last of a name with a number", "a - 1 (2).pcap,a", "a - 1 (2).pcap", "a"},
	} {
		m, err := cic.ReadLabelMap(strings.NewReader(x.table), "map")
		if err != nil {
			t.Errorf("%s: %v", x.name, err)
			continue
		}
		if label, ok := m.Label(x.path); label != x.label || ok != (x.label != "") {
			t.Errorf("%s: %q, %v; want %q", x.name, label, ok, x.label)
		}
	}
}

func TestLabelMapLabels(t *testing.T) {
	m, err := cic.ReadLabelMap(strings.NewReader("file,label\na,2\nb,1\nc,2\n"), "map")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(m.Labels(), " "); got != "2 1" {
		t.Errorf("%q", got)
	}
}

func TestLabelMapErrors(t *testing.T) {
	for _, x := range []struct{ name, table, want string }{
		{"empty", "", "map: no labels"},
		{"header only", "file,label\n", "map: no labels"},
		{"one column", "a,b\nc\n", "map: line 2: want 2 columns"},
		{"three columns", "# x\na,b,c\n", "map: line 2: want 2 columns"},
		{"semicolon", "a;b\n", "map: line 1: want 2 columns, a pattern and a label with a comma or a tab between them"},
		{"no pattern", "a,b\n,c\n", "map: line 2: no pattern"},
		{"no label", "a,b\nc,\n", "map: line 2: no label"},
		{"no label after a tab", "a\tb\nc\t \n", "map: line 2: no label"},
		{"bracket", "a,b\n\nc[,d\n", "map: line 3: pattern \"c[\""},
		{"bracket after more", "x*y[a-,d\n", "map: line 1: pattern"},
		{"folder", "XSS/,d\n", "map: line 1: pattern \"XSS/\" ends with a slash"},
		{"two stars", "**/x,d\n", "map: line 1: pattern \"**/x\" has **"},
		{"quote inside", "a,b\nc\"d,e\n", "map: line 2: bare \""},
		{"quote not closed", "a,b\n\"c,d\ne,f\n", "map: line 2: "},
		{"quote closed lines later", "a,b\n\"c\nd\",e\n", "map: line 2: control characters"},
		{"another encoding", "a\x00,\x00b\x00", "map: line 1: control characters"},
		{"another file", strings.Repeat("a,b\n", 5<<20), "map: larger than 16 MiB"},
	} {
		_, err := cic.ReadLabelMap(strings.NewReader(x.table), "map")
		if err == nil || !strings.HasPrefix(err.Error(), x.want) {
			t.Errorf("%s: %v; want %q", x.name, err, x.want)
		}
	}
	if _, err := cic.ReadLabelMap(brokenReader{}, "map"); err == nil || err.Error() != "map: "+io.ErrUnexpectedEOF.Error() {
		t.Errorf("broken reader: %v", err)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
