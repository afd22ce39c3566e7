package worker

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// python returns a Python that has the modules, or skips.
func python(t testing.TB, modules ...string) string {
	t.Helper()
	for _, name := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(name, "-c", "import sys, "+strings.Join(append(modules, "os"), ", ")).Run() == nil {
			return name
		}
	}
	t.Skipf("neither /usr/bin/python3 nor python3 has %s", strings.Join(append(modules, "Python"), ", "))
	return ""
}

// script writes a worker with the user's code before its end, as a user would edit it.
func script(t testing.TB, code string) string {
	t.Helper()
	const end = `if __name__ == "__main__":`
	before, after, found := strings.Cut(Example(), end)
	if !found {
		t.Fatalf("the example does not hold %s", end)
	}
	return file(t, before+code+"\n\n"+end+after)
}

func file(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "worker.py")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func start(t testing.TB, cfg Config) *Worker {
	t.Helper()
	w, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

// sign is a user's class that needs nothing but Python, prints to standard output in three ways, and reads standard input.
const sign = `
print("printed while importing")

class Sign:
    classes_ = [False, True]
    def predict(self, rows):
        print("printed")
        os.write(1, b"printed past Python\n")
        os.system("echo printed by another program; cat")
        if rows[0][1] == 13:
            raise ValueError("an unlucky vector")
        return [bool(row[0] > 0) for row in rows]
    def predict_proba(self, rows):
        return [[0.25, 0.75] if row[0] > 0 else [1.0, 0.0] for row in rows]

def load(path):
    if path == "bad.pkl":
        raise OSError("no such thing: " + path)
    return Sign()
`

func TestUsersObject(t *testing.T) {
	var said strings.Builder
	w := start(t, Config{Python: python(t), Script: script(t, sign), Model: "m.pkl", Columns: []string{"a", "b"}, Stderr: &said})
	if !slices.Equal(w.Classes(), []string{"False", "True"}) || w.Columns() != nil || w.Width() != 2 || !w.Probabilities() {
		t.Fatalf("classes %q, columns %q, width %d, probabilities %v", w.Classes(), w.Columns(), w.Width(), w.Probabilities())
	}
	scores := make([]float64, 2)
	if class, err := w.Predict([]float64{0.5, 1}, scores); err != nil || class != 1 || scores[0] != 0.25 || scores[1] != 0.75 {
		t.Errorf("class %d, scores %v, %v", class, scores, err)
	}
	if class, err := w.Clone().Predict([]float64{-0.5, 1}, nil); err != nil || class != 0 {
		t.Errorf("a clone: class %d, %v", class, err)
	}
	if _, err := w.Predict([]float64{1, 13}, nil); err == nil || !strings.Contains(err.Error(), "an unlucky vector") || !strings.Contains(err.Error(), "Traceback") {
		t.Errorf("an exception of the user's code: %v", err)
	}
	if _, err := w.Predict([]float64{1}, nil); err == nil {
		t.Error("a vector that is too short was taken")
	}

	n := 3*maxBatch + 7
	xs, classes, scores := make([]float64, 2*n), make([]int, n), make([]float64, 2*n)
	for i := range n {
		xs[2*i] = float64(i%3) - 1
	}
	xs[2*(2*maxBatch)+1] = 13
	if err := w.PredictBatch(xs, classes, scores); err == nil || !strings.Contains(err.Error(), "of vectors 2049 to 3072 of 3079") {
		t.Errorf("an exception for some: %v", err)
	}
	xs[2*(2*maxBatch)+1] = 0
	if err := w.PredictBatch(xs, classes, scores); err != nil {
		t.Fatal(err)
	}
	for i, class := range classes {
		if want := map[bool]int{true: 1}[i%3 == 2]; class != want || scores[2*i+1] != 0.75*float64(want) {
			t.Fatalf("vector %d: class %d, scores %v", i, class, scores[2*i:][:2])
		}
	}
	w.Close()
	for _, line := range []string{"printed while importing", "printed past Python", "printed by another program"} {
		if !strings.Contains(said.String(), line) {
			t.Errorf("standard error does not hold %q", line)
		}
	}
	if _, err := w.Predict([]float64{1, 2}, nil); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("after Close: %v", err)
	}
	gone(t, w)
}

func TestErrorsOfStarting(t *testing.T) {
	py := python(t)
	fine := script(t, sign)
	for name, tt := range map[string]struct {
		cfg  Config
		want []string
	}{
		"no Python":          {Config{Python: "no-such-python", Script: fine}, []string{"no-such-python", "install Python"}},
		"no Python there":    {Config{Python: "/no/such/python", Script: fine}, []string{"/no/such/python", "install Python"}},
		"not UTF-8":          {Config{Python: py, Script: fine, Model: "m\xff.pkl"}, []string{`"m\xff.pkl" is not UTF-8`}},
		"column not UTF-8":   {Config{Python: py, Script: fine, Columns: []string{"\xff"}}, []string{`"\xff" is not UTF-8`}},
		"another order":      {Config{Python: py, Script: script(t, "CLASSES = ['b', 'a']\nclass M:\n  classes_ = ['a', 'b']\n  def predict(self, rows): return ['a']\ndef load(path): return M()"), Columns: []string{"a"}}, []string{"['b', 'a']", "['a', 'b']", "set CLASSES to None"}},
		"other names":        {Config{Python: py, Script: script(t, "CLASSES = ['x', 'b']\nclass M:\n  classes_ = ['a', 'b']\n  def predict(self, rows): return ['a']\ndef load(path): return M()"), Columns: []string{"a"}}, []string{"['x', 'b']", "['a', 'b']"}},
		"label not theirs":   {Config{Python: py, Script: script(t, "CLASSES = ['x', 'y']\nclass M:\n  classes_ = [1, 2]\n  def predict(self, rows): return [0]\ndef load(path): return M()"), Columns: []string{"a"}}, []string{"answered 0", "[1, 2]"}},
		"another width":      {Config{Python: py, Script: script(t, "class M:\n  classes_ = [1, 2]\n  n_features_in_ = 46\n  def predict(self, rows): return [1]\ndef load(path): return M()"), Columns: []string{"a"}}, []string{"takes 46 features and pcaplab has 1", "set COLUMNS"}},
		"no script":          {Config{Python: py, Script: "no-such-worker.py"}, []string{"no-such-worker.py"}},
		"load fails":         {Config{Python: py, Script: fine, Model: "bad.pkl", Columns: []string{"a", "b"}}, []string{"OSError: no such thing: bad.pkl", "Traceback"}},
		"width not known":    {Config{Python: py, Script: fine}, []string{"set COLUMNS"}},
		"no predict":         {Config{Python: py, Script: script(t, "def load(path): return {}"), Columns: []string{"a"}}, []string{"neither predict() nor predict_one()"}},
		"no classes":         {Config{Python: py, Script: script(t, "class M:\n  def predict(self, rows): return [0]\ndef load(path): return M()"), Columns: []string{"a"}}, []string{"set CLASSES"}},
		"foreign label":      {Config{Python: py, Script: script(t, "class M:\n  classes_ = ['a', 'b']\n  def predict(self, rows): return ['c' for r in rows]\ndef load(path): return M()"), Columns: []string{"a"}}, []string{"'c'", "none of the classes"}},
		"syntax":             {Config{Python: py, Script: file(t, "def def")}, []string{"SyntaxError", "exit status 1", "before it"}},
		"no module":          {Config{Python: py, Script: file(t, "import no_such_module")}, []string{"ModuleNotFoundError", "This was the Python at /"}},
		"no module to load":  {Config{Python: py, Script: script(t, "def load(path): import no_such_module"), Columns: []string{"a"}}, []string{"ModuleNotFoundError", "This was the Python at /"}},
		"not a worker":       {Config{Python: py, Script: file(t, "print('hello world')")}, []string{"hello world", "not its greeting"}},
		"another version":    {Config{Python: py, Script: file(t, `print('{"protocol": "pcaplab-worker", "version": 2}')`)}, []string{"version 2"}},
		"one class":          {Config{Python: py, Script: file(t, `print('{"protocol": "pcaplab-worker", "version": 1, "width": 2, "classes": ["a"]}')`)}, []string{"1 classes"}},
		"same class twice":   {Config{Python: py, Script: file(t, `print('{"protocol": "pcaplab-worker", "version": 1, "width": 2, "classes": ["a", "a"]}')`)}, []string{`"a" twice`}},
		"wide":               {Config{Python: py, Script: file(t, `print('{"protocol": "pcaplab-worker", "version": 1, "width": 2000000000, "classes": ["a", "b"]}')`)}, []string{"2000000000 values"}},
		"width against name": {Config{Python: py, Script: file(t, `print('{"protocol": "pcaplab-worker", "version": 1, "width": 2, "columns": ["x"], "classes": ["a", "b"]}')`)}, []string{"names 1 columns"}},
		"endless line":       {Config{Python: py, Script: file(t, "import sys\nwhile True: sys.stdout.write('x' * 65536)")}, []string{"a line without an end"}},
		"killed":             {Config{Python: py, Script: file(t, "import os, signal, sys\nsys.stdin.readline()\nos.kill(os.getpid(), signal.SIGKILL)")}, []string{"killed"}},
		"too slow":           {Config{Python: py, Script: file(t, "import time\ntime.sleep(1000)"), Timeout: 20 * time.Millisecond}, []string{"more than 20ms"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, err := Start(t.Context(), tt.cfg)
			if err == nil {
				w.Close()
				t.Fatal("no error")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v\n does not hold %q", err, want)
				}
			}
		})
	}
}

// greeting begins workers that keep to the protocol until they have said it; then comes what is wrong.
const greeting = `
import os, struct, sys, time
sys.stdin.readline()
out = sys.stdout.buffer
out.write(b'{"protocol": "pcaplab-worker", "version": 1, "width": 1, "classes": ["a", "b"], "probabilities": true}\n')
out.flush()
def take():
    head = os.read(0, 8)
    n, want = struct.unpack("<II", head)
    size = 8 * n
    while size: size -= len(os.read(0, size))
    return n
`

func TestMisbehaving(t *testing.T) {
	py := python(t)
	for name, tt := range map[string]struct {
		code string
		want []string
	}{
		"dies":            {"take(); print('out of luck', file=sys.stderr); sys.exit(7)", []string{"ended before it answered", "exit status 7", "out of luck"}},
		"dies mid-answer": {"n = take(); out.write(struct.pack('<I', n)); out.flush(); os.kill(os.getpid(), 9)", []string{"inside an answer", "killed"}},
		"does not read":   {"sys.exit(0)", []string{"ended before", "exit status 0"}},
		"prints":          {"take(); print('loading, please wait'); sys.stdout.flush(); time.sleep(1000)", []string{`"load"`, "only the protocol"}},
		"too few":         {"n = take(); out.write(struct.pack('<Ii', 1, 0)); out.flush(); time.sleep(1000)", []string{"answered 1 rows", "not the 2"}},
		"foreign class":   {"n = take(); out.write(struct.pack('<I2i4d', n, 0, 2, 0, 0, 0, 0)); out.flush(); time.sleep(1000)", []string{"class 2 for vector 2"}},
		"negative class":  {"n = take(); out.write(struct.pack('<I2i4d', n, -1, 0, 0, 0, 0, 0)); out.flush(); time.sleep(1000)", []string{"class -1 for vector 1"}},
		"too much":        {"n = take(); out.write(struct.pack('<I2i4d', n, 0, 1, 0, 0, 0, 0) + b'x'); out.flush(); time.sleep(1000)", []string{"1 octets more"}},
		"long complaint":  {"take(); out.write(struct.pack('<II', 0xffffffff, 0xfffffff0)); out.flush(); time.sleep(1000)", []string{"4294967280 octets"}},
		"not a number":    {"n = take(); out.write(struct.pack('<I2i4d', n, 0, 1, 0, 0, float('nan'), 0)); out.flush(); time.sleep(1000)", []string{`class "a" for vector 2 is NaN`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, Config{Python: py, Script: file(t, greeting+tt.code), Columns: []string{"x"}})
			err := w.PredictBatch(make([]float64, 2), make([]int, 2), make([]float64, 4))
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v\n does not hold %q", err, want)
				}
			}
			if name == "not a number" {
				return
			}
			if _, again := w.Predict([]float64{1}, nil); again == nil || again.Error() != err.Error() {
				t.Errorf("then: %v", again)
			}
			gone(t, w)
		})
	}
}

// TestCancel: a worker that never answers, and has started another program that holds its pipes, ends with the context.
func TestCancel(t *testing.T) {
	py := python(t)
	for _, how := range []string{"cancel", "timeout", "close"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			cfg := Config{Python: py, Columns: []string{"x"}, Script: file(t, greeting+"import subprocess\nsubprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1000)'])\ntake(); take(); time.sleep(1000)")}
			want := error(context.Canceled)
			if how == "timeout" {
				// Starting must not hit it on a busy machine.
				cfg.Timeout, want = 10*time.Second, context.DeadlineExceeded
			}
			w, err := Start(ctx, cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			if how == "timeout" {
				w.timeout = 20 * time.Millisecond
			}
			switch how {
			case "cancel":
				time.AfterFunc(20*time.Millisecond, cancel)
			case "close":
				time.AfterFunc(20*time.Millisecond, func() { w.closed.Store(true); w.end(0) })
			}
			_, err = w.Predict([]float64{1}, nil)
			if how == "close" {
				if err == nil || !strings.Contains(err.Error(), "closed") {
					t.Error(err)
				}
			} else if !errors.Is(err, want) {
				t.Errorf("%v, want %v", err, want)
			}
			gone(t, w)
		})
	}
}

func TestPredictAllocatesNothing(t *testing.T) {
	w := start(t, Config{Python: python(t), Script: file(t, greeting+"while True:\n  n = take(); out.write(struct.pack('<Iidd', n, 0, 1, 0)); out.flush()"), Columns: []string{"x"}, Timeout: time.Minute})
	x, scores := []float64{1}, make([]float64, 2)
	if n := testing.AllocsPerRun(50, func() {
		if _, err := w.Predict(x, scores); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestRangeInErrors: a vector is counted from the first of the call, not of the request.
func TestRangeInErrors(t *testing.T) {
	py := python(t)
	const answers = greeting + `
n = take(); out.write(struct.pack("<I%di%dd" % (n, 2 * n), n, *[0] * n, *[0] * 2 * n)); out.flush()
n = take(); `
	for code, want := range map[string]string{
		"out.write(struct.pack('<I2i4d', n, 0, 7, 0, 0, 0, 0)); out.flush(); time.sleep(1000)":            "class 7 for vector 1026",
		"out.write(struct.pack('<I2i4d', n, 0, 0, 0, 0, float('inf'), 0)); out.flush(); time.sleep(1000)": `class "a" for vector 1026 is +Inf`,
		"sys.exit(3)": "answered a request (of vectors 1025 to 1026 of 1026)",
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			w := start(t, Config{Python: py, Script: file(t, answers+code), Columns: []string{"x"}})
			n := maxBatch + 2
			if err := w.PredictBatch(make([]float64, n), make([]int, n), make([]float64, 2*n)); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v\n does not hold %q", err, want)
			}
		})
	}
}

// TestClassNames: names for labels that are numbers, in the order of the labels; and labels that are octets.
func TestClassNames(t *testing.T) {
	py := python(t)
	for name, tt := range map[string]struct {
		code  string
		names []string
		class int // of the value 1
	}{
		"numbers":    {"CLASSES = ['x', 'y']\nclass M:\n  classes_ = [1, 2]\n  def predict(self, rows): return [2 for r in rows]", []string{"x", "y"}, 1},
		"indices":    {"CLASSES = ['x', 'y']\nclass M:\n  def predict(self, rows): return [1.0 for r in rows]", []string{"x", "y"}, 1},
		"same names": {"CLASSES = ['x', 'y']\nclass M:\n  classes_ = ['x', 'y']\n  def predict(self, rows): return ['y' for r in rows]", []string{"x", "y"}, 1},
		"octets":     {"class M:\n  classes_ = [b'B', b'DDoS']\n  def predict(self, rows): return [b'B' for r in rows]", []string{"B", "DDoS"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, Config{Python: py, Script: script(t, tt.code+"\ndef load(path): return M()"), Columns: []string{"a"}})
			class, err := w.Predict([]float64{1}, nil)
			if err != nil || class != tt.class || !slices.Equal(w.Classes(), tt.names) {
				t.Errorf("class %d of %q, %v", class, w.Classes(), err)
			}
		})
	}
}

// TestRiverBinary: river's binary classifiers answer {False: ..., True: ...} and have no classes; and {} before they have learnt.
func TestRiverBinary(t *testing.T) {
	const code = `
CLASSES = ["Benign", "Attack"]
class Binary:
    asked = 0
    def predict_one(self, x):
        assert x["Rate"] >= 0, "not asked for"
        return None if x["Rate"] == 0 else x["Rate"] > 10
    def predict_proba_one(self, x):
        self.asked += 1
        if self.asked > 4:
            raise ValueError("asked twice")
        if x["Rate"] == -1:
            return {}
        if x["Rate"] == -3:
            return {False: 0.5, "other": 0.5}
        return {False: 0.125, True: 0.875} if x["Rate"] < -10 else {False: 0.75, True: 0.25}
def load(path):
    return Binary()
`
	w := start(t, Config{Python: python(t), Script: script(t, code), Columns: []string{"Rate"}})
	classes, scores := make([]int, 3), make([]float64, 6)
	if err := w.PredictBatch([]float64{11, 0, 1}, classes, nil); err != nil || !slices.Equal(classes, []int{1, 0, 0}) {
		t.Error(classes, err)
	}
	if err := w.PredictBatch([]float64{-11, -1, -2}, classes, scores); err != nil ||
		!slices.Equal(classes, []int{1, 0, 0}) || !slices.Equal(scores, []float64{0.125, 0.875, 0.5, 0.5, 0.75, 0.25}) {
		t.Error(classes, scores, err)
	}
	if _, err := w.Predict([]float64{-3}, scores[:2]); err == nil || !strings.Contains(err.Error(), "'other', which is none of the classes ['Benign', 'Attack']") {
		t.Errorf("a foreign class: %v", err)
	}
}

func TestRiver(t *testing.T) {
	// river's interface; the package itself need not be there.
	const code = `
class Tree:
    classes = {"DDoS", "Benign"}
    asked = 0
    def predict_one(self, x):
        assert list(x) == ["Rate", "IAT"], x
        self.asked += 1
        return None if x["Rate"] == 0 else "DDoS" if x["Rate"] > 10 else "Benign"
    def predict_proba_one(self, x):
        self.asked += 1
        return {"Benign": 0.125, "DDoS": 0.875} if x["Rate"] > 10 else {"DDoS": 0.5, "Benign": 0.5 + self.asked / 64}

class Pipeline:
    def __init__(self):
        self.steps = {"tree": Tree()}
        self.predict_one, self.predict_proba_one = self.steps["tree"].predict_one, self.steps["tree"].predict_proba_one

def load(path):
    return Pipeline()
`
	w := start(t, Config{Python: python(t), Script: script(t, code), Columns: []string{"Rate", "IAT"}})
	if !slices.Equal(w.Classes(), []string{"Benign", "DDoS"}) || !slices.Equal(w.Columns(), []string{"Rate", "IAT"}) {
		t.Fatal(w.Classes(), w.Columns())
	}
	classes, scores := make([]int, 3), make([]float64, 6)
	if err := w.PredictBatch([]float64{11, 1, 5, 1, 0, 0}, classes, nil); err != nil || !slices.Equal(classes, []int{1, 0, 0}) {
		t.Error(classes, err)
	}
	// Each vector is asked about once, and nothing else is: a pipeline may learn from it.
	if err := w.PredictBatch([]float64{11, 1, 5, 1, 0, 0}, classes, scores); err != nil ||
		!slices.Equal(classes, []int{1, 0, 0}) || !slices.Equal(scores, []float64{0.125, 0.875, 0.5 + 5./64, 0.5, 0.5 + 6./64, 0.5}) {
		t.Error(classes, scores, err)
	}
}
