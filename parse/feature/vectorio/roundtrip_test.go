package vectorio

import (
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"pcaplab/parse/feature"
)

// TestReadCSVFloat holds cases that pandas 1.5.3 gave. TestPandas asks it anew where it is.
func TestReadCSVFloat(t *testing.T) {
	for _, tt := range pandasCases {
		if got := ReadCSVFloat([]byte(tt.text)); math.Float64bits(got) != tt.bits {
			t.Errorf("%s: %v (%#x), pandas %v (%#x)", tt.text, got, math.Float64bits(got), math.Float64frombits(tt.bits), tt.bits)
		}
	}
	for _, text := range []string{"", "nan", "NaN", "-nan", "x", "1x", "1e", "1e+", "-", ".", "e5", "--1", "1 ", " 1"} {
		if got := ReadCSVFloat([]byte(text)); got == got {
			t.Errorf("%q: %v, want NaN", text, got)
		}
	}
	for text, want := range map[string]float64{"inf": math.Inf(1), "-inf": math.Inf(-1), "Infinity": math.Inf(1), "+Inf": math.Inf(1),
		"1e999999999999999999999": math.Inf(1), "1e-999999999999999999999": 0, "5.": 5, ".5": 0.5, "2E+1": 20, "3.86E-5": 3.86e-5} {
		if got := ReadCSVFloat([]byte(text)); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

// pandas returns a Python that has pandas, or skips.
func pandas(t *testing.T) string {
	t.Helper()
	for _, python := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(python, "-c", "import pandas").Run() == nil {
			return python
		}
	}
	t.Skip("neither /usr/bin/python3 nor python3 has pandas")
	return ""
}

// readCSVByPandas returns what read_csv makes of fields.
func readCSVByPandas(t *testing.T, python string, fields [][]byte) []float64 {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fields.csv")
	if err := os.WriteFile(path, append(bytes.Join(fields, []byte("\n")), '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python, "-c", `import sys, pandas
v = pandas.read_csv(sys.argv[1], header=None, skip_blank_lines=False)[0]
assert v.dtype == "float64", v.dtype
sys.stdout.buffer.write(v.to_numpy().astype("<f8").tobytes())`, path)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if len(out) != 8*len(fields) {
		t.Fatalf("%d values of %d fields", len(out)/8, len(fields))
	}
	values := make([]float64, len(fields))
	for i := range values {
		values[i] = math.Float64frombits(binary.LittleEndian.Uint64(out[8*i:]))
	}
	return values
}

func TestPandas(t *testing.T) {
	python := pandas(t)
	random := rand.New(rand.NewPCG(1, 2))
	n := 300_000
	if testing.Short() {
		n = 20_000
	}
	kinds := map[string]func() []byte{
		"bits": func() []byte {
			for {
				if v := math.Float64frombits(random.Uint64()); v-v == 0 {
					return AppendFloat(nil, v)
				}
			}
		},
		"means": func() []byte {
			return AppendFloat(nil, float64(random.IntN(200_000))/float64(1+random.IntN(100)))
		},
		"variances": func() []byte {
			return AppendFloat(nil, math.Exp(random.NormFloat64()*8))
		},
		"rates": func() []byte {
			return appendDecimalRate(nil, uint64(2+random.IntN(999)), 1+random.Uint64N(1<<(10+random.IntN(40))))
		},
		"subnormal": func() []byte {
			return AppendFloat(nil, math.Float64frombits(random.Uint64N(1<<54)))
		},
		"digits": func() []byte {
			b := strconv.AppendUint(nil, random.Uint64(), 10)
			b = append(b, '.')
			return strconv.AppendUint(b, random.Uint64()>>random.IntN(64), 10)
		},
	}
	for name, next := range kinds {
		t.Run(name, func(t *testing.T) {
			fields := make([][]byte, n)
			for i := range fields {
				fields[i] = next()
			}
			compareWithPandas(t, python, fields)
		})
	}
	t.Run("golden", func(t *testing.T) {
		folder := os.Getenv("PCAPLAB_FEATURES")
		if folder == "" {
			t.Skip("PCAPLAB_FEATURES unset: no outputs of the original scripts")
		}
		files, err := filepath.Glob(filepath.Join(folder, "*.csv"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no CSV in %s: %v", folder, err)
		}
		var fields [][]byte
		for _, name := range files {
			file, err := os.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			rows, err := csv.NewReader(file).ReadAll()
			file.Close()
			if err != nil {
				t.Fatal(err)
			}
			for _, row := range rows[1:] {
				for _, field := range row {
					fields = append(fields, []byte(field))
				}
			}
		}
		compareWithPandas(t, python, fields)
	})
}

func compareWithPandas(t *testing.T, python string, fields [][]byte) {
	t.Helper()
	bad := 0
	for i, want := range readCSVByPandas(t, python, fields) {
		got := ReadCSVFloat(fields[i])
		if math.Float64bits(got) != math.Float64bits(want) && (got == got || want == want) {
			if bad++; bad < 10 {
				t.Errorf("%s: %v, pandas %v", fields[i], got, want)
			}
		}
	}
	if bad > 0 {
		t.Errorf("%d of %d differ", bad, len(fields))
	}
}

// TestRoundTrip compares the short cuts with the way through the text.
func TestRoundTrip(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 20_000 {
		v := feature.Vector{RateNano: 1 + random.Int64N(1e12)}
		if random.IntN(2) == 0 {
			v.RateNano = 0
		}
		for column := range v.Values {
			switch random.IntN(5) {
			case 0:
				v.Values[column] = float64(random.IntN(2000))
			case 1:
				v.Values[column] = float64(random.IntN(100_000)) / float64(1+random.IntN(1000))
			case 2:
				v.Values[column] = math.Exp(random.NormFloat64() * 8)
			case 3:
				v.Values[column] = math.Trunc(random.Float64()*1e16) / 1000
			case 4:
				v.Values[column] = []float64{math.NaN(), math.Inf(1), 0, -1.5, -random.Float64(), 1e-5, 1e16}[random.IntN(7)]
			}
			if whole[column] {
				v.Values[column] = float64(random.IntN(1000))
			}
		}
		if v.RateNano > 0 {
			v.Values[feature.Rate] = v.Values[feature.Number] * 1e9 / float64(v.RateNano)
		}
		before := v
		RoundTrip(&v)
		if v.RateNano != 0 {
			t.Fatal("RateNano is still set")
		}
		row, err := csv.NewReader(bytes.NewReader(AppendCSV(nil, &before))).Read()
		if err != nil {
			t.Fatal(err)
		}
		for column, field := range row {
			want, got := ReadCSVFloat([]byte(field)), v.Values[column]
			if math.Float64bits(got) != math.Float64bits(want) && (got == got || want == want) {
				t.Fatalf("%s of %v: %v, by its text %s %v", columns[column], before.Values[column], got, field, want)
			}
		}
	}
}

func TestRoundTripAllocatesNothing(t *testing.T) {
	var v feature.Vector
	for i := range v.Values {
		v.Values[i] = 1 / (3 + float64(i))
	}
	if n := testing.AllocsPerRun(100, func() {
		v.RateNano = 12345
		v.Values[feature.Number] = 10
		RoundTrip(&v)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzReadCSVFloat(f *testing.F) {
	for _, tt := range pandasCases {
		f.Add(tt.text)
	}
	for _, text := range []string{"", "-", "1e5", "inf", "0.0000000000000000000000001", "1e-320", "123456789012345678901234567890"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := readCSVFloat([]byte(text))
		want, err := strconv.ParseFloat(text, 64)
		if err != nil || !ok || want != want {
			return
		}
		// Zeros in front and a short mantissa of many digits cost precision in pandas too; near the ends of the range it is lost.
		mantissa := bytes.IndexAny([]byte(text), "123456789")
		if mantissa < 0 || mantissa > 2 || math.Abs(want) < 1e-290 || math.Abs(want) > 1e290 {
			return
		}
		if !(math.Abs(got-want) <= 1e-12*math.Abs(want)) {
			t.Errorf("%q: %v, want near %v", text, got, want)
		}
	})
}

func ExampleReadCSVFloat() {
	fmt.Println(ReadCSVFloat([]byte("42.09999999999997")), ReadCSVFloat([]byte("451.5966858455304")))
	// Output: 42.09999999999997 451.5966858455304
}
