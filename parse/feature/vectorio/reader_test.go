package vectorio_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"pcaplab/parse/feature"
	"pcaplab/parse/feature/vectorio"
)

// Three rows of the dataset's merged files.
const published = `19.92,6,63.36,25893.962217557724,0.0,0.0,0.0,0.99,0.99,0.0,0.0,99,0,0,0,0.0,0.01,0.0,0.0,0.0,0.0,0.0,0.99,0.0,0.0,0.01,0.0,0.0,0.99,0.99,6421,60,481,64.21,42.09999999999997,64.21,3.861904144287109E-5,100,1772.4099999999978,DDOS-PSHACK_FLOOD
0.0,47,64.0,3703.841330954946,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0,0,0,0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.01,0.0,1.0,1.0,57320,98,578,573.2,48.00000000000007,573.2,2.707815170288E-4,100,2304.000000000007,MIRAI-GREIP_FLOOD
20.4,6,110.5,261.6648262868622,0.1,0.0,0.3,0.2,0.4,0.0,0.0,4,0,1,3,0.0,0.5,0.0,0.0,0.0,0.0,0.0,0.7,0.2,0.0,0.1,0.0,0.0,0.9,0.9,2223,54,1500,222.3,451.5966858455304,222.3,0.0047659873962402,10,203939.56666666668,DNS_SPOOFING
`

const oldHeader = "flow_duration,Header_Length,Protocol Type,Duration,Rate,Srate,Drate,fin_flag_number,syn_flag_number,rst_flag_number," +
	"psh_flag_number,ack_flag_number,ece_flag_number,cwr_flag_number,ack_count,syn_count,fin_count,urg_count,rst_count,HTTP,HTTPS," +
	"DNS,Telnet,SMTP,SSH,IRC,TCP,UDP,DHCP,ARP,ICMP,IPv,LLC,Tot sum,Min,Max,AVG,Std,Tot size,IAT,Number,Magnitue,Radius," +
	"Covariance,Variance,Weight,label\n"

func labelledHeader() string   { return string(vectorio.AppendHeader(nil, true)) }
func unlabelledHeader() string { return string(vectorio.AppendHeader(nil, false)) }

func TestCSVPublished(t *testing.T) {
	lines := strings.Split(strings.TrimSuffix(published, "\n"), "\n")
	var vectors []feature.Vector
	var labels []string
	for _, line := range lines {
		fields := strings.Split(line, ",")
		var v feature.Vector
		for i := range v.Values {
			var err error
			if v.Values[i], err = strconv.ParseFloat(fields[i], 64); err != nil {
				t.Fatal(err)
			}
		}
		vectors = append(vectors, v)
		labels = append(labels, fields[feature.NumColumns])
	}
	text := labelledHeader() + published
	var zipped, packed bytes.Buffer
	gz := gzip.NewWriter(&zipped)
	io.WriteString(gz, text)
	gz.Close()
	z, err := zstd.NewWriter(&packed)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(z, text)
	z.Close()
	quoted := strings.Replace(text, "Protocol Type", `"Protocol Type"`, 1)
	for name, text := range map[string]string{
		"as it is":      text,
		"gzip":          zipped.String(),
		"zstd":          packed.String(),
		"CR LF":         strings.ReplaceAll(text, "\n", "\r\n"),
		"BOM":           "\ufeff" + text,
		"label":         strings.Replace(text, "Label", "label", 1),
		"quotes":        strings.Replace(quoted, "DNS_SPOOFING", `"DNS_SPOOFING"`, 1),
		"blank lines":   strings.ReplaceAll(text, "\n", "\n\n"),
		"no last break": strings.TrimSuffix(text, "\n"),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "f")
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			r, err := vectorio.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			expect(t, r, vectors, labels)
			if got, want := r.Unterminated(), name == "no last break"; got != want {
				t.Errorf("unterminated: %t", got)
			}
			if r.Format() != "csv" || r.Rows() != 3 || r.Name() != path || len(r.Metadata()) > 0 {
				t.Errorf("%s, %d rows, %s, %v", r.Format(), r.Rows(), r.Name(), r.Metadata())
			}
		})
	}
}

// rowOf returns a row with one field replaced.
func rowOf(column int, field string) string {
	fields := make([]string, feature.NumColumns)
	for i := range fields {
		fields[i] = "0"
	}
	fields[column] = field
	return strings.Join(fields, ",") + "\n"
}

func TestCSVNumbers(t *testing.T) {
	tests := []struct {
		field string
		want  float64
	}{
		{"", math.NaN()}, {"nan", math.NaN()}, {"NaN", math.NaN()},
		{"inf", math.Inf(1)}, {"Infinity", math.Inf(1)}, {"-inf", math.Inf(-1)}, {"+inf", math.Inf(1)},
		{"3.86E-5", 3.86e-5}, {"3.861904144287109e-05", 3.861904144287109e-05}, {"2E+1", 20}, {"1e5", 1e5}, {"+1.5", 1.5},
		{"7", 7}, {"7.", 7}, {".5", 0.5}, {"-0.0", 0}, {"-12.75", -12.75}, {"0.004765987396240234", 0.004765987396240234},
		{"9443.340259682857141928523115", 9443.340259682857141928523115}, {"12345678901234567890", 12345678901234567890},
		{"0.1000000000000000055511151231257827", 0.1}, {"999999999999999", 999999999999999}, {"99999999999999.9", 99999999999999.9},
		{`"1.5"`, 1.5},
	}
	for _, tt := range tests {
		r := open(t, []byte(unlabelledHeader()+rowOf(feature.Std, tt.field)))
		var rec vectorio.Record
		if err := r.Next(&rec); err != nil || !same(rec.Values[feature.Std], tt.want) {
			t.Errorf("%q: %v, %v; want %v", tt.field, rec.Values[feature.Std], err, tt.want)
		}
	}
	for _, field := range []string{"x", "1x", "0x10", "1_000", "--1", "1.2.3", "e5", "-", "1e", "infinite", "1 ", "1e999"} {
		r := open(t, []byte(unlabelledHeader()+rowOf(feature.Std, "1")+rowOf(feature.Std, field)))
		var rec vectorio.Record
		if err := r.Next(&rec); err != nil {
			t.Fatal(err)
		}
		err := r.Next(&rec)
		var at *vectorio.RowError
		if !errors.As(err, &at) || at.Row != 2 || at.Line != 3 || at.Column != "Std" || at.Name != "memory" {
			t.Errorf("%q: %v", field, err)
		}
		if again := r.Next(&rec); again != err {
			t.Errorf("%q: then %v", field, again)
		}
	}
	// The same doubles as strconv's, of every length of digits.
	random := rand.New(rand.NewPCG(5, 6))
	text := []byte(unlabelledHeader())
	var want []float64
	for range 20_000 {
		x := math.Round(math.Exp(random.NormFloat64()*6)*1e6) / 1e6
		field := strconv.FormatFloat(x, 'f', random.IntN(18), 64)
		v, err := strconv.ParseFloat(field, 64)
		if err != nil {
			t.Fatal(err)
		}
		text, want = append(text, rowOf(feature.Rate, field)...), append(want, v)
	}
	r := open(t, text)
	var rec vectorio.Record
	for i, v := range want {
		if err := r.Next(&rec); err != nil || rec.Values[feature.Rate] != v {
			t.Fatalf("row %d: %v, %v; want %v", i+1, rec.Values[feature.Rate], err, v)
		}
	}
}

func TestCSVColumns(t *testing.T) {
	names := feature.Columns()
	reversed := make([]string, len(names))
	for i, name := range names {
		reversed[len(names)-1-i] = name
	}
	fields := make([]string, len(names))
	for i := range fields {
		fields[i] = fmt.Sprint(len(names) - 1 - i)
	}
	text := "id," + strings.Join(reversed[:5], ",") + ",label," + strings.Join(reversed[5:], ",") + ",time\n" +
		"x," + strings.Join(fields[:5], ",") + ",BENIGN," + strings.Join(fields[5:], ",") + ",\n"
	r := open(t, []byte(text))
	if fmt.Sprint(r.Extra()) != "[id time]" || r.InOrder() || !r.Labelled() {
		t.Errorf("extra %v, in order %t, labelled %t", r.Extra(), r.InOrder(), r.Labelled())
	}
	var rec vectorio.Record
	if err := r.Next(&rec); err != nil {
		t.Fatal(err)
	}
	for i, v := range rec.Values {
		if v != float64(i) {
			t.Errorf("%s: %v", names[i], v)
		}
	}
	if rec.Label != "BENIGN" {
		t.Errorf("label %q", rec.Label)
	}
	if len(r.Texts()) > 0 {
		t.Errorf("texts %q beside labels", r.Texts())
	}
}

// TestLabelColumn: blanks and capitals make no other column of Label, and text that is passed over where there is none is told.
func TestLabelColumn(t *testing.T) {
	names, zeros := strings.Join(feature.Columns(), ","), strings.Repeat("0,", feature.NumColumns)
	for _, c := range []struct {
		header, row string
		labelled    bool
		texts       string
	}{
		{" Label", "XSS", true, "[]"}, {"LABEL", "XSS", true, "[]"}, {"\" label \"", "XSS", true, "[]"},
		{"class", "XSS", false, "[class]"}, {"class", `"XSS"`, false, "[class]"}, {"class", "1", false, "[]"}, {"class", "nan", false, "[]"},
		{"time,what", "2023-01-01,Éa", false, "[what]"}, {"class", "", false, "[]"},
	} {
		r := open(t, []byte(names+","+c.header+"\n\n"+zeros+c.row))
		if r.Labelled() != c.labelled || fmt.Sprint(r.Texts()) != c.texts {
			t.Errorf("%q, %q: labelled %t, texts %q", c.header, c.row, r.Labelled(), r.Texts())
		}
		var rec vectorio.Record
		if err := r.Next(&rec); err != nil || c.labelled && rec.Label != "XSS" {
			t.Errorf("%q, %q: label %q, %v", c.header, c.row, rec.Label, err)
		}
	}
	if r := open(t, []byte(names+",class\n")); len(r.Texts()) > 0 {
		t.Errorf("texts %q of no rows", r.Texts())
	}
}

func TestOpenRefuses(t *testing.T) {
	header := unlabelledHeader()
	gz := func(text string) string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		io.WriteString(z, text)
		z.Close()
		return b.String()
	}
	tests := []struct {
		name, text string
		wraps      error
		says       string
	}{
		{"the older release", oldHeader, vectorio.ErrOldRelease, "no IGMP"},
		{"no IGMP", strings.Replace(header, ",IGMP", "", 1), vectorio.ErrColumns, `"IGMP" is missing`},
		{"two missing", strings.Replace(header, ",IGMP,IPv", "", 1), vectorio.ErrColumns, `"IGMP" and 1 more are missing`},
		{"twice", strings.Replace(header, "\n", ",IGMP\n", 1), vectorio.ErrColumns, `"IGMP" stands there twice`},
		{"two labels", strings.Replace(header, "\n", ",Label,label\n", 1), vectorio.ErrColumns, `"Label" stands there twice`},
		{"no header", published, vectorio.ErrColumns, `the first line must name the columns`},
		{"empty", "", nil, "empty"},
		{"blank", "\n\n", nil, "want a header line"},
		{"a long line", strings.Repeat("x", 1<<20), nil, "no CSV of vectors"},
		{"cut gzip", gz(header + published)[:12], nil, "unexpected EOF"},
		{"zipped Parquet", gz("PAR1 and more"), nil, "decompress the file first"},
		{"cut Parquet", "PAR1 and more that is no end", nil, "not a whole Parquet file"},
		{"encrypted Parquet", "PARE", nil, "encrypted"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := vectorio.NewReader(strings.NewReader(tt.text), int64(len(tt.text)), "some.csv")
			if err == nil || !strings.Contains(err.Error(), tt.says) || !strings.HasPrefix(err.Error(), "some.csv: ") {
				t.Errorf("%v, want %q", err, tt.says)
			}
			if tt.wraps != nil && !errors.Is(err, tt.wraps) {
				t.Errorf("%v does not wrap %v", err, tt.wraps)
			}
		})
	}
	if _, err := vectorio.Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if _, err := vectorio.Open(t.TempDir()); err == nil {
		t.Error("a folder was opened")
	}
}

func TestCSVCut(t *testing.T) {
	text := labelledHeader() + published
	var zipped bytes.Buffer
	gz := gzip.NewWriter(&zipped)
	io.WriteString(gz, text)
	gz.Close()
	tests := []struct {
		name, text string
		rows       int
		cut        bool
		says       string
	}{
		{"in a field", text[:len(text)-60], 2, true, "f.csv: row 3 (line 4): the file was cut: the last row ends in field 36 of 40, the rows before it are whole"},
		{"behind a comma", text[:strings.LastIndex(text, ",")+1], 3, false, ""},
		{"in a number", unlabelledHeader() + rowOf(0, "1") + strings.TrimSuffix(rowOf(38, "1.5e-"), "\n"), 1, true, `within its last field, "1.5e-"`},
		{"short in the middle", labelledHeader() + "1,2,3\n" + published, 0, false, "f.csv: row 1 (line 2): 3 of 40 fields"},
		{"long", unlabelledHeader() + published, 0, false, "f.csv: row 1 (line 2): 40 of 39 fields"},
		{"gzip", zipped.String()[:zipped.Len()-20], -1, true, "unexpected EOF"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := vectorio.NewReader(strings.NewReader(tt.text), int64(len(tt.text)), "f.csv")
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			var rec vectorio.Record
			n := 0
			for err = r.Next(&rec); err == nil; err = r.Next(&rec) {
				n++
			}
			if tt.rows >= 0 && n != tt.rows {
				t.Errorf("%d rows, want %d", n, tt.rows)
			}
			if errors.Is(err, vectorio.ErrCutRow) != tt.cut || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v, want %q", err, tt.says)
			}
		})
	}
}

func TestCSVNextAllocatesNothing(t *testing.T) {
	text := labelledHeader() + strings.Repeat(published, 200)
	r := open(t, []byte(text))
	var rec vectorio.Record
	for range 3 {
		if err := r.Next(&rec); err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(400, func() {
		if err := r.Next(&rec); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestGoldenReads(t *testing.T) {
	folder := os.Getenv("PCAPLAB_FEATURES")
	if folder == "" {
		t.Skip("PCAPLAB_FEATURES unset: no outputs of the original scripts")
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.csv"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no CSV in %s: %v", folder, err)
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		n, err := readAll(text)
		if err != nil || n != bytes.Count(text, []byte("\n"))-1 {
			t.Errorf("%s: %d rows, %v", path, n, err)
		}
	}
}

func FuzzCSV(f *testing.F) {
	f.Add([]byte(labelledHeader() + published))
	f.Add([]byte(unlabelledHeader() + rowOf(3, "inf")))
	f.Add([]byte(oldHeader))
	f.Fuzz(func(t *testing.T, text []byte) {
		readAll(text)
		readAll(append([]byte(labelledHeader()), text...))
	})
}
