package vectorio_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"

	"pcaplab/datasets/synth"
	"pcaplab/parse"
	"pcaplab/parse/feature"
	"pcaplab/parse/feature/vectorio"
)

// made returns vectors of every shape that columns take: constant, few values, many, all different, empty, infinite.
// Equal on every machine.
func made(n int, seed uint64) []feature.Vector {
	random := rand.New(rand.NewPCG(seed, 0))
	vectors := make([]feature.Vector, n)
	for i := range vectors {
		v := &vectors[i].Values
		rows := float64(1 + random.IntN(10))
		v[feature.HeaderLength] = float64(random.IntN(400)) / 10
		v[feature.ProtocolType] = float64([]int{0, 6, 17}[random.IntN(3)])
		v[feature.TimeToLive] = float64(random.IntN(2550)) / 10
		v[feature.Rate] = rows * 1e9 / float64(1+random.IntN(1e9))
		v[feature.AckFlag] = float64(i/1000%11) / 10
		v[feature.AckCount] = float64(i / 1000 % 11)
		v[feature.HTTPS] = float64(random.IntN(11)) / 10
		v[feature.IPv] = 1 - float64(random.IntN(2))/10
		v[feature.LLC] = v[feature.IPv]
		v[feature.TotSum] = float64(600 + random.IntN(14_000))
		v[feature.Min] = 60
		v[feature.Max] = float64(60 + random.IntN(1455))
		v[feature.Avg] = v[feature.TotSum] / rows
		v[feature.TotSize] = v[feature.Avg]
		v[feature.Variance] = float64(random.IntN(1 << 30))
		v[feature.Std] = math.Sqrt(v[feature.Variance])
		v[feature.IAT] = float64(random.IntN(1<<20)) / (1 << 22)
		v[feature.Number] = rows
		if rows == 1 {
			v[feature.Rate], v[feature.Std], v[feature.Variance] = math.Inf(1), math.NaN(), math.NaN()
		}
	}
	return vectors
}

// realistic returns vectors of synthetic home traffic in windows of 10 rows.
func realistic(t testing.TB, n int) []feature.Vector {
	t.Helper()
	src, err := synth.New("iot-1", 1)
	if err != nil {
		t.Fatal(err)
	}
	x, err := feature.New(feature.Config{})
	if err != nil {
		t.Fatal(err)
	}
	vectors := make([]feature.Vector, 0, n)
	for f := (parse.Frame{}); len(vectors) < n; {
		if err := src.Next(&f); err != nil {
			t.Fatal(err)
		}
		if x.Add(&f, nil) {
			vectors = append(vectors, *x.Vector())
		}
	}
	return vectors
}

func labelsOf(n int) []string {
	labels := make([]string, n)
	for i := range labels {
		labels[i] = []string{"BENIGN", "DDOS-UDP_FLOOD", "naïve", ""}[i/100%4]
	}
	return labels
}

// join writes vectors as a Parquet file of segments of so many.
func join(t testing.TB, vectors []feature.Vector, labels []string, segment int, metadata []vectorio.KeyValue) []byte {
	t.Helper()
	enc := vectorio.ParquetEncoder{Labelled: labels != nil}
	var x vectorio.ParquetIndex
	var file []byte
	for at := 0; at == 0 || at < len(vectors); at += segment {
		end := min(at+segment, len(vectors))
		var l []string
		if labels != nil {
			l = labels[at:end]
		}
		start := len(file)
		var err error
		if file, err = enc.Encode(file, vectors[at:end], l); err != nil {
			t.Fatal(err)
		}
		if err := x.Add(file[start:]); err != nil {
			t.Fatal(err)
		}
	}
	if x.Rows() != int64(len(vectors)) || x.Size() != int64(len(file)) {
		t.Fatalf("%d rows, %d octets; want %d, %d", x.Rows(), x.Size(), len(vectors), len(file))
	}
	file, err := x.AppendFooter(file, metadata)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func same(a, b float64) bool { return a == b || a != a && b != b }

// expect reads a file and compares it with vectors.
func expect(t *testing.T, r *vectorio.Reader, vectors []feature.Vector, labels []string) {
	t.Helper()
	if r.Labelled() != (labels != nil) || !r.InOrder() || len(r.Extra()) > 0 {
		t.Errorf("labelled %t, in order %t, extra %q", r.Labelled(), r.InOrder(), r.Extra())
	}
	var rec vectorio.Record
	for i := range vectors {
		if err := r.Next(&rec); err != nil {
			t.Fatalf("row %d: %v", i+1, err)
		}
		for column, want := range vectors[i].Values {
			if !same(rec.Values[column], want) {
				t.Fatalf("row %d, %s: %v, want %v", i+1, feature.Columns()[column], rec.Values[column], want)
			}
		}
		if labels != nil && rec.Label != labels[i] {
			t.Fatalf("row %d: label %q, want %q", i+1, rec.Label, labels[i])
		}
	}
	if err := r.Next(&rec); err != io.EOF {
		t.Fatalf("after %d rows: %v, want EOF", len(vectors), err)
	}
}

// notOnARM skips where parquet-go cannot read floats behind levels.
func notOnARM(t *testing.T) {
	t.Helper()
	if runtime.GOARCH == "arm" {
		t.Skip("parquet-go faults on 32-bit ARM when it reads optional floats: TestParquetOnARM")
	}
}

// TestParquetOnARM wants an error, not a fault, where the library cannot read.
func TestParquetOnARM(t *testing.T) {
	rows, err := readAll(join(t, made(600, 1), nil, 300, nil))
	if runtime.GOARCH == "arm" {
		if !errors.Is(err, vectorio.ErrUnsupported) {
			t.Errorf("%v, want ErrUnsupported", err)
		}
	} else if err != nil || rows != 600 {
		t.Errorf("%d rows, %v", rows, err)
	}
}

func open(t *testing.T, file []byte) *vectorio.Reader {
	t.Helper()
	notOnARM(t)
	r, err := vectorio.NewReader(bytes.NewReader(file), int64(len(file)), "memory")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func TestParquet(t *testing.T) {
	nan := made(100, 9)
	for i := range nan {
		nan[i].Values[feature.Rate] = math.NaN()
		nan[i].Values[feature.Avg] = math.NaN()
	}
	parted := made(5000, 4)
	for i := range parted[3000:] {
		parted[3000+i].Values[feature.LLC] = 0.5 // no longer as IPv
	}
	tests := []struct {
		name    string
		vectors []feature.Vector
		segment int
	}{
		{"one", made(1, 1), 10},
		{"seven", made(7, 1), 10},
		{"segments", made(10_000, 2), 3000},
		{"full segment", made(40_000, 3), 32768},
		{"tiny segments", made(100, 3), 1},
		{"twin parts", parted, 5000},
		{"empty columns", nan, 64},
		{"none", nil, 10},
		{"realistic", realistic(t, 4000), 1500},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			labels := labelsOf(len(tt.vectors))
			metadata := []vectorio.KeyValue{{Key: "b", Value: ""}, {Key: "pcaplab", Value: `{"window":10}`}}
			r := open(t, join(t, tt.vectors, labels, tt.segment, metadata))
			if got := r.Metadata(); fmt.Sprint(got) != fmt.Sprint(metadata) {
				t.Errorf("metadata %v, want %v", got, metadata)
			}
			expect(t, r, tt.vectors, labels)
			expect(t, open(t, join(t, tt.vectors, nil, tt.segment, nil)), tt.vectors, nil)
		})
	}
}

// TestParquetEncoderAgain wants the same octets of an encoder that was used before.
func TestParquetEncoderAgain(t *testing.T) {
	vectors := made(5000, 7)
	var enc vectorio.ParquetEncoder
	a, err := enc.Encode(nil, vectors, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := enc.Encode(nil, made(3000, 8), nil); err != nil {
		t.Fatal(err)
	}
	b, err := enc.Encode([]byte("before"), vectors, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a, b[len("before"):]) {
		t.Error("an encoder that was used gives other octets")
	}
}

func TestParquetEncodeRefuses(t *testing.T) {
	fraction := made(700, 1)
	fraction[600].Values[feature.Max] = 1.5
	empty := made(3, 1)
	empty[2].Values[feature.Number] = math.NaN()
	tests := []struct {
		name    string
		vectors []feature.Vector
		labels  []string
		want    string
	}{
		{"a fraction", fraction, labelsOf(700), `vector 600: column "Max" holds 1.5: want a whole number`},
		{"an empty whole number", empty, labelsOf(3), `vector 2: column "Number" holds NaN: want a whole number`},
		{"few labels", made(3, 1), labelsOf(2), "2 labels for 3 vectors"},
		{"not UTF-8", made(2, 1), []string{"a", "\xff"}, `vector 1: label "\xff" is not UTF-8`},
	}
	enc := vectorio.ParquetEncoder{Labelled: true}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := enc.Encode([]byte("x"), tt.vectors, tt.labels)
			if err == nil || err.Error() != "parquet: "+tt.want {
				t.Errorf("%v, want %s", err, tt.want)
			}
			if string(got) != "x" {
				t.Errorf("%d octets appended", len(got)-1)
			}
		})
	}
	// It goes on after an error.
	vectors := made(10, 1)
	file, err := enc.Encode(nil, vectors, labelsOf(10))
	if err != nil {
		t.Fatal(err)
	}
	expect(t, open(t, file), vectors, labelsOf(10))
}

func TestParquetIndexRestore(t *testing.T) {
	vectors := made(1000, 5)
	var enc vectorio.ParquetEncoder
	var whole vectorio.ParquetIndex
	var file []byte
	var lengths []int64
	for at := 0; at < len(vectors); at += 250 {
		start := len(file)
		var err error
		if file, err = enc.Encode(file, vectors[at:at+250], nil); err != nil {
			t.Fatal(err)
		}
		if err := whole.Add(file[start:]); err != nil {
			t.Fatal(err)
		}
		lengths = append(lengths, int64(len(file)-start))
	}
	want, err := whole.AppendFooter(nil, nil)
	if err != nil {
		t.Fatal(err)
	}

	// A file that was cut in its third segment.
	cut := file[:lengths[0]+lengths[1]+lengths[2]-1]
	var x vectorio.ParquetIndex
	if err := x.Restore(bytes.NewReader(cut), lengths); !errors.Is(err, vectorio.ErrSegment) {
		t.Fatalf("%v, want ErrSegment", err)
	}
	if x.Segments() != 2 || x.Size() != lengths[0]+lengths[1] || x.Rows() != 500 {
		t.Fatalf("%d segments, %d octets, %d rows", x.Segments(), x.Size(), x.Rows())
	}
	if err := x.Restore(bytes.NewReader(file), lengths[2:]); err != nil {
		t.Fatal(err)
	}
	got, err := x.AppendFooter(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("another footer after an interruption")
	}
}

func TestParquetIndexRefuses(t *testing.T) {
	var enc vectorio.ParquetEncoder
	segment, err := enc.Encode(nil, made(10, 1), nil)
	if err != nil {
		t.Fatal(err)
	}
	labelled := vectorio.ParquetEncoder{Labelled: true}
	other, err := labelled.Encode(nil, made(10, 1), labelsOf(10))
	if err != nil {
		t.Fatal(err)
	}
	var x vectorio.ParquetIndex
	if _, err := x.AppendFooter(nil, nil); err == nil {
		t.Error("a footer of no segments")
	}
	if err := x.Add(segment); err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string][]byte{
		"labelled":  other,
		"cut":       segment[:len(segment)-1],
		"cut front": segment[1:],
		"empty":     nil,
	} {
		if err := x.Add(bad); !errors.Is(err, vectorio.ErrSegment) {
			t.Errorf("%s: %v, want ErrSegment", name, err)
		}
	}
	if x.Segments() != 1 {
		t.Errorf("%d segments, want 1", x.Segments())
	}
}

// TestParquetOfOthers reads what parquet-go writes, in each encoding and compression.
func TestParquetOfOthers(t *testing.T) {
	vectors := made(3000, 6)
	codecs := map[string]compress.Codec{"none": &parquet.Uncompressed, "snappy": &parquet.Snappy, "gzip": &parquet.Gzip, "zstd": &parquet.Zstd}
	for name, codec := range codecs {
		for _, encoding := range []string{"plain", "dict", "split", "delta"} {
			t.Run(name+" "+encoding, func(t *testing.T) {
				group := parquet.Group{}
				for column, name := range feature.Columns() {
					node := parquet.Leaf(parquet.DoubleType)
					if feature.Whole(column) {
						node = parquet.Int(32)
						if column%2 == 0 {
							node = parquet.Int(64)
						}
					}
					switch {
					case encoding == "dict":
						node = parquet.Encoded(node, &parquet.RLEDictionary)
					case encoding == "split" && !feature.Whole(column):
						node = parquet.Encoded(node, &parquet.ByteStreamSplit)
					case encoding == "delta" && feature.Whole(column):
						node = parquet.Encoded(node, &parquet.DeltaBinaryPacked)
					}
					group[name] = parquet.Optional(node)
				}
				label := parquet.String()
				switch encoding {
				case "dict":
					label = parquet.Encoded(label, &parquet.RLEDictionary)
				case "delta":
					label = parquet.Encoded(label, &parquet.DeltaLengthByteArray)
				}
				group["label"] = label
				group["more"] = parquet.Repeated(parquet.String())
				schema := parquet.NewSchema("x", group)
				var file bytes.Buffer
				w := parquet.NewWriter(&file, schema, parquet.Compression(codec), parquet.PageBufferSize(4000),
					parquet.MaxRowsPerRowGroup(1300))
				labels := labelsOf(len(vectors))
				index := map[string]int{}
				for i, path := range schema.Columns() {
					index[path[0]] = i
				}
				for i := range vectors {
					row := make(parquet.Row, len(index))
					for column, name := range feature.Columns() {
						at, x := index[name], vectors[i].Values[column]
						switch {
						case x != x:
							row[at] = parquet.NullValue().Level(0, 0, at)
						case feature.Whole(column) && column%2 == 1:
							row[at] = parquet.Int32Value(int32(x)).Level(0, 1, at)
						case feature.Whole(column):
							row[at] = parquet.Int64Value(int64(x)).Level(0, 1, at)
						default:
							row[at] = parquet.DoubleValue(x).Level(0, 1, at)
						}
					}
					row[index["label"]] = parquet.ByteArrayValue([]byte(labels[i])).Level(0, 0, index["label"])
					row[index["more"]] = parquet.NullValue().Level(0, 0, index["more"])
					if _, err := w.WriteRows([]parquet.Row{row}); err != nil {
						t.Fatal(err)
					}
				}
				if err := w.Close(); err != nil {
					t.Fatal(err)
				}
				r := open(t, file.Bytes())
				if r.InOrder() || fmt.Sprint(r.Extra()) != "[more]" || !r.Labelled() {
					t.Errorf("in order %t, extra %q, labelled %t", r.InOrder(), r.Extra(), r.Labelled())
				}
				var rec vectorio.Record
				for i := range vectors {
					if err := r.Next(&rec); err != nil {
						t.Fatal(err)
					}
					for column, want := range vectors[i].Values {
						if !same(rec.Values[column], want) {
							t.Fatalf("row %d, %s: %v, want %v", i+1, feature.Columns()[column], rec.Values[column], want)
						}
					}
					if rec.Label != labels[i] {
						t.Fatalf("row %d: label %q, want %q", i+1, rec.Label, labels[i])
					}
				}
				if err := r.Next(&rec); err != io.EOF {
					t.Fatal(err)
				}
			})
		}
	}
}

const duckScript = `
const { DuckDBInstance } = require('module').createRequire(process.env.PCAPLAB_DUCKDB + '/x.js')('@duckdb/node-api');
(async () => {
  const c = await (await DuckDBInstance.create(':memory:')).connect();
  const out = [];
  for (const q of JSON.parse(require('fs').readFileSync(0))) out.push((await c.runAndReadAll(q)).getRowsJson());
  console.log(JSON.stringify(out));
})().catch(e => { console.error(e); process.exit(1); });
`

// duckDB runs queries and returns their rows.
func duckDB(t *testing.T, queries ...string) [][][]any {
	t.Helper()
	folder := os.Getenv("PCAPLAB_DUCKDB")
	if folder == "" {
		t.Skip("PCAPLAB_DUCKDB unset: want a folder with node_modules/@duckdb/node-api (npm install @duckdb/node-api)")
	}
	in, err := json.Marshal(queries)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", "-e", duckScript)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var results [][][]any
	if err := json.Unmarshal(out, &results); err != nil {
		t.Fatal(err)
	}
	return results
}

func TestDuckDBReads(t *testing.T) {
	vectors := made(10_000, 11)
	labels := labelsOf(len(vectors))
	path := filepath.Join(t.TempDir(), "joined.parquet")
	if err := os.WriteFile(path, join(t, vectors, labels, 3000, []vectorio.KeyValue{{Key: "pcaplab", Value: "window=10"}}), 0o644); err != nil {
		t.Fatal(err)
	}
	from := " FROM '" + path + "'"
	queries := []string{
		"DESCRIBE SELECT *" + from,
		"SELECT decode(key), decode(value) FROM parquet_kv_metadata('" + path + "')",
		"SELECT created_by, num_rows, num_row_groups FROM parquet_file_metadata('" + path + "')",
		"SELECT Label, count(*)" + from + " GROUP BY ALL ORDER BY 1",
		"SELECT count(*)" + from + " WHERE Rate = 'inf'",
		"SELECT path_in_schema, bool_and(stats_min_value IS NOT NULL) FROM parquet_metadata('" + path + "') GROUP BY ALL HAVING NOT bool_and(stats_min_value IS NOT NULL)",
	}
	for _, name := range feature.Columns() {
		c := `"` + name + `"`
		// In rows where it is finite, exact as decimals of the bits: sums of floats depend on their order.
		queries = append(queries, "SELECT count("+c+")::VARCHAR, min("+c+")::VARCHAR, max("+c+")::VARCHAR, sum(CASE WHEN isfinite("+c+
			"::DOUBLE) THEN round("+c+"::DOUBLE*4096)::HUGEINT ELSE 0 END)::VARCHAR"+from,
			// Pruned by the statistics, or not.
			"SELECT count(*)::VARCHAR"+from+" WHERE "+c+" > 0.95",
		)
	}
	results := duckDB(t, queries...)

	for i, row := range results[0] {
		name, kind := "Label", "VARCHAR"
		if i < feature.NumColumns {
			name, kind = feature.Columns()[i], "DOUBLE"
			if feature.Whole(i) {
				kind = "BIGINT"
			}
		}
		if row[0] != name || row[1] != kind {
			t.Errorf("column %d: %v %v, want %s %s", i, row[0], row[1], name, kind)
		}
	}
	if len(results[0]) != feature.NumColumns+1 {
		t.Errorf("%d columns", len(results[0]))
	}
	for i, want := range map[int]string{
		1: "[[pcaplab window=10]]",
		2: "[[pcaplab 10000 4]]",
		3: "[[ 2500] [BENIGN 2500] [DDOS-UDP_FLOOD 2500] [naïve 2500]]",
		5: "[]",
	} {
		if got := fmt.Sprint(results[i]); got != want {
			t.Errorf("%s\n got %s\nwant %s", queries[i], got, want)
		}
	}
	infinite := 0
	for column, name := range feature.Columns() {
		count, above, sum := 0, 0, int64(0)
		least, most := math.Inf(1), math.Inf(-1)
		for i := range vectors {
			x := vectors[i].Values[column]
			if x != x {
				continue
			}
			count++
			least, most = min(least, x), max(most, x)
			if x > 0.95 {
				above++
			}
			if x < math.Inf(1) {
				sum += int64(math.Round(float64(x * 4096)))
			} else {
				infinite++
			}
		}
		got := results[6+2*column][0]
		if got[0] != fmt.Sprint(count) || got[3] != fmt.Sprint(sum) || !same(number(got[1]), least) || !same(number(got[2]), most) {
			t.Errorf("%s: %v, want %d, %v, %v, %d", name, got, count, least, most, sum)
		}
		if got := results[7+2*column][0][0]; got != fmt.Sprint(above) {
			t.Errorf("%s: %v above 0.95, want %d", name, got, above)
		}
	}
	if got := fmt.Sprint(results[4][0][0]); got != fmt.Sprint(infinite) {
		t.Errorf("%s infinite rates, want %d", got, infinite)
	}
}

func number(v any) (x float64) {
	if _, err := fmt.Sscan(fmt.Sprint(v), &x); err != nil {
		return math.NaN()
	}
	return x
}

func TestDuckDBWrites(t *testing.T) {
	notOnARM(t)
	vectors := made(10_000, 12)
	labels := labelsOf(len(vectors))
	folder := t.TempDir()
	source := filepath.Join(folder, "v.csv")
	text := vectorio.AppendHeader(nil, true)
	for i := range vectors {
		text = append(vectorio.AppendCSV(text, &vectors[i]), ","+labels[i]+"\n"...)
	}
	if err := os.WriteFile(source, text, 0o644); err != nil {
		t.Fatal(err)
	}
	queries := []string{"CREATE TABLE v AS SELECT * FROM read_csv('" + source + "', sample_size=-1)"}
	files := map[string]string{
		"default": "",
		"zstd":    ", COMPRESSION zstd",
		"gzip":    ", COMPRESSION gzip, ROW_GROUP_SIZE 2048",
		"raw":     ", COMPRESSION uncompressed",
		"v2":      ", PARQUET_VERSION v2",
		"v2 zstd": ", PARQUET_VERSION v2, COMPRESSION zstd, ROW_GROUP_SIZE 4096, DICTIONARY_SIZE_LIMIT 2",
	}
	for name, options := range files {
		queries = append(queries, "COPY v TO '"+filepath.Join(folder, name)+"' (FORMAT parquet"+options+")")
	}
	duckDB(t, queries...)
	for name := range files {
		t.Run(name, func(t *testing.T) {
			r, err := vectorio.Open(filepath.Join(folder, name))
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			expect(t, r, vectors, labels)
		})
	}
}

// TestParquetDamaged flips octets: there must be an error or other values, never a panic.
func TestParquetDamaged(t *testing.T) {
	file := join(t, made(600, 1), labelsOf(600), 300, nil)
	random := rand.New(rand.NewPCG(1, 1))
	for range 3000 {
		bad := bytes.Clone(file)
		for range 1 + random.IntN(3) {
			at := random.IntN(len(bad))
			if random.IntN(2) == 0 {
				at = len(bad) - 1 - random.IntN(min(len(bad), 6000))
			}
			bad[at] ^= 1 << random.IntN(8)
		}
		readAll(bad[:len(bad)-random.IntN(2)*random.IntN(len(bad))])
	}
}

// readAll returns how many rows were read, and the error.
func readAll(file []byte) (rows int, err error) {
	r, err := vectorio.NewReader(bytes.NewReader(file), int64(len(file)), "memory")
	if err != nil {
		return 0, err
	}
	defer r.Close()
	var rec vectorio.Record
	for rows < 100_000 {
		if err := r.Next(&rec); err == io.EOF {
			return rows, nil
		} else if err != nil {
			return rows, err
		}
		rows++
	}
	return rows, nil
}

func FuzzParquet(f *testing.F) {
	f.Add(join(f, made(3, 1), labelsOf(3), 2, []vectorio.KeyValue{{Key: "a", Value: "b"}}))
	f.Add(join(f, made(40, 1), nil, 20, nil))
	f.Add(join(f, nil, nil, 1, nil))
	f.Add([]byte("PAR1\x00\x00\x00\x00PAR1"))
	f.Fuzz(func(t *testing.T, file []byte) {
		if _, err := readAll(append([]byte("PAR1"), file...)); err != nil {
			_ = err.Error()
		}
		readAll(file)
		var x vectorio.ParquetIndex
		if x.Add(file) == nil {
			if _, err := x.AppendFooter(nil, nil); err != nil {
				t.Error(err)
			}
		}
	})
}
