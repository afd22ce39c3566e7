// Package worker runs a model that only Python can run: a process that holds the user's own object (a pickle, a joblib file,
// river, PyTorch) and classifies what it is sent. Nothing is unpickled here. The protocol is in worker.py, which Example
// returns.
package worker

import (
	"bufio"
	"context"
	_ "embed"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"pcaplab/parse/model"
)

//go:embed worker.py
var example string

// Example returns the text of a worker.py to start from. It runs scikit-learn's, XGBoost's and river's models as it is, and says where
// to put others.
func Example() string { return example }

const (
	protocol  = "pcaplab-worker"
	version   = 1
	maxLine   = 1 << 20
	maxText   = 1 << 16
	maxBatch  = 1024 // rows of a request
	failed    = math.MaxUint32
	lastLines = 20
	maxTail   = 4 << 10
	closing   = 3 * time.Second  // for a worker to end by itself at the end of its input
	reaping   = 10 * time.Second // for one whose pipe has ended to be waited for, on a machine that is busy
)

// Config says what to run.
type Config struct {
	// Python is the interpreter. Empty: python3, on Windows python.
	Python string
	// Script is the worker's file. Empty: the text of Example.
	Script string
	// Model is the path of the model's file, which the worker is given. It must be UTF-8, as the names of Columns.
	Model string
	// Columns are the names of the features that there are; nil if they have none.
	Columns []string
	// Timeout is how long a request may take, and starting too. 0: as long as it takes.
	Timeout time.Duration
	// Stderr gets what the worker and the user's code print. nil: the last lines of it are put into errors.
	Stderr io.Writer
}

// Worker is a process that classifies vectors. It is a Model and a Batcher, whose clones share the process: it answers one request
// at a time. One vector a call costs a round trip between processes, and Python's own overhead for a call.
type Worker struct {
	*process
	raw     []byte
	classes [1]int
}

// process is what clones share.
type process struct {
	name      string
	cmd       *exec.Cmd
	ctx       context.Context
	cancel    context.CancelFunc
	in        io.WriteCloser
	out       *bufio.Reader
	outFile   *os.File
	timeout   time.Duration
	timer     *time.Timer // kills it when a request takes too long
	late      atomic.Bool // the timer did
	closed    atomic.Bool
	stderr    *tail
	exited    chan struct{} // closed when the process has been waited for
	exitError error

	mutex sync.Mutex // of requests
	err   error      // why there can be no more

	hello
}

// hello is the worker's first line.
type hello struct {
	Protocol   string   `json:"protocol"`
	Version    int      `json:"version"`
	Error      string   `json:"error"`
	ClassNames []string `json:"classes"`
	Names      []string `json:"columns"`
	Values     int      `json:"width"`
	Scored     bool     `json:"probabilities"`
}

var _ model.Batcher = (*Worker)(nil)

// Start starts the worker and waits until it has loaded the model. The process and whatever it starts are killed when ctx ends, or by
// Close, which has to be called; on Windows only the process itself is, and what it started goes on. An error holds what the worker said.
func Start(ctx context.Context, cfg Config) (*Worker, error) {
	for _, text := range append([]string{cfg.Model}, cfg.Columns...) {
		if !utf8.ValidString(text) {
			return nil, fmt.Errorf("the name %q is not UTF-8, which is what a worker is told names in: rename it", text)
		}
	}
	python := cfg.Python
	if python == "" {
		python = "python3"
		if runtime.GOOS == "windows" {
			python = "python"
		}
	}
	args, name := []string{cfg.Script}, filepath.Base(cfg.Script)
	if cfg.Script == "" {
		args, name = []string{"-c", example}, "the built-in worker.py"
	} else if _, err := os.Stat(cfg.Script); err != nil {
		return nil, err // python would say so in its own way
	}
	p := &process{name: name, timeout: cfg.Timeout, stderr: &tail{to: cfg.Stderr}, exited: make(chan struct{})}
	p.ctx, p.cancel = context.WithCancel(ctx)
	p.timer = time.AfterFunc(time.Hour, func() { p.late.Store(true); p.cancel() })
	p.timer.Stop()
	p.cmd = exec.CommandContext(p.ctx, python, args...)
	ownGroup(p.cmd)
	p.cmd.Cancel = func() error { return killGroup(p.cmd) }
	p.cmd.WaitDelay = time.Second // for the standard error of processes that it left behind
	p.cmd.Stderr = p.stderr
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		p.cancel()
		return nil, err
	}
	read, write, err := os.Pipe() // not StdoutPipe: Wait would close it before all is read
	if err != nil {
		p.cancel()
		return nil, err
	}
	p.cmd.Stdout = write
	p.outFile, p.out = read, bufio.NewReaderSize(read, 64<<10)
	err = p.cmd.Start()
	write.Close()
	if err != nil {
		p.cancel()
		read.Close()
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w: install Python, or name one with packages that the model needs", err)
		}
		return nil, err
	}
	go func() {
		p.exitError = p.cmd.Wait()
		killGroup(p.cmd) // what it left behind holds the pipe open
		close(p.exited)
	}()
	w := &Worker{process: p}
	if err := w.greet(cfg); err != nil {
		w.end(0)
		return nil, err
	}
	return w, nil
}

// greet exchanges the first lines.
func (w *Worker) greet(cfg Config) error {
	line, err := json.Marshal(struct {
		Protocol string   `json:"protocol"`
		Version  int      `json:"version"`
		Model    string   `json:"model"`
		Columns  []string `json:"columns"`
	}{protocol, version, cfg.Model, cfg.Columns})
	if err != nil {
		return err
	}
	if w.timeout > 0 {
		w.timer.Reset(w.timeout)
		defer w.timer.Stop()
	}
	if _, err := w.in.Write(append(line, '\n')); err != nil {
		return w.broken("ended before it was told the model", err)
	}
	answer, err := readLine(w.out)
	if err != nil {
		return w.broken("ended before it had loaded the model", err)
	}
	if err := json.Unmarshal(answer, &w.hello); err != nil || w.Protocol != protocol {
		return w.broken(fmt.Sprintf("said %.80q first, which is not its greeting; only the protocol may use standard output, see worker.py", answer), nil)
	}
	if w.Version != version {
		return w.broken(fmt.Sprintf("speaks version %d of the protocol, this program version %d", w.Version, version), nil)
	}
	if w.Error != "" {
		return fmt.Errorf("%s: %s%s", w.name, last(w.Error), w.hint(w.Error))
	}
	switch {
	case len(w.ClassNames) < 2:
		return w.broken(fmt.Sprintf("has %d classes, where at least two are needed", len(w.ClassNames)), nil)
	case w.Values < 1 || w.Values > 1<<16:
		return w.broken(fmt.Sprintf("takes %d values", w.Values), nil)
	case w.Names != nil && len(w.Names) != w.Values:
		return w.broken(fmt.Sprintf("names %d columns and takes %d values", len(w.Names), w.Values), nil)
	}
	seen := map[string]bool{}
	for _, name := range w.ClassNames {
		if seen[name] {
			return w.broken(fmt.Sprintf("has the class %q twice", name), nil)
		}
		seen[name] = true
	}
	return nil
}

// readLine reads a line that is not longer than maxLine.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil:
			return line[:len(line)-1], nil
		case len(line) > maxLine:
			return nil, errors.New("a line without an end")
		case !errors.Is(err, bufio.ErrBufferFull):
			if len(line) > 0 && errors.Is(err, io.EOF) {
				return line, nil
			}
			return nil, err
		}
	}
}

// broken ends a worker that cannot go on, and returns what every later call returns too.
func (p *process) broken(what string, err error) error {
	outside := p.ctx.Err() // before end ends it
	grace := 200 * time.Millisecond
	if ended(err) {
		grace = reaping
	}
	status := p.end(grace)
	text := p.name + " " + what
	switch {
	case p.closed.Load():
		text, err = p.name+" was closed", nil
	case p.late.Load():
		text, err = fmt.Sprintf("%s took more than %v", p.name, p.timeout), context.DeadlineExceeded
	case outside != nil:
		text, err = p.name+" was stopped", outside
	case status != "":
		text += " (" + status + ")"
		if ended(err) {
			err = nil // follows from its end
		}
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", text, err)
	} else {
		err = errors.New(text)
	}
	if lines := p.stderr.String(); lines != "" && !p.closed.Load() && outside == nil {
		if p.stderr.to == nil {
			err = fmt.Errorf("%w; its last lines:\n%s", err, lines)
		}
		if hint := p.hint(lines); hint != "" {
			err = fmt.Errorf("%w%s", err, hint)
		}
	}
	p.err = err
	return err
}

// ended reports whether err is of a pipe that has no other end any more.
func ended(err error) bool {
	var path *fs.PathError // EPIPE; Windows has other numbers for it
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, os.ErrClosed) || errors.As(err, &path)
}

// hint says what to do about a module that is missing.
func (p *process) hint(text string) string {
	if !strings.Contains(text, "ModuleNotFoundError") {
		return ""
	}
	return fmt.Sprintf("\nThis was the Python at %s: name one that has the module, or install it there", p.cmd.Path)
}

// end closes the worker's input, kills it if it does not end within grace, and returns how it ended, "" if it was killed.
func (p *process) end(grace time.Duration) (status string) {
	p.in.Close()
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.exited:
		if p.ctx.Err() == nil {
			status = "exit status 0"
			if p.exitError != nil {
				status = p.exitError.Error()
			}
		}
	case <-timer.C:
	case <-p.ctx.Done():
	}
	p.cancel()
	<-p.exited
	p.outFile.Close()
	p.timer.Stop()
	return status
}

// Close ends the process, which is given some seconds to do so by itself, and all that it started. Clones cannot be used after it.
func (w *Worker) Close() error {
	w.closed.Store(true)
	w.end(closing)
	return nil
}

// Columns returns the names of the features that the worker wants, nil if it takes any.
func (w *Worker) Columns() []string { return w.Names }

// Width returns how many features Predict takes.
func (w *Worker) Width() int { return w.Values }

// Classes returns the names of the classes.
func (w *Worker) Classes() []string { return w.ClassNames }

// Probabilities reports whether the user's object gives probabilities. If it does not, scores are 1 for the class and else 0.
func (w *Worker) Probabilities() bool { return w.Scored }

// Clone returns a model for another goroutine. It shares the process.
func (w *Worker) Clone() model.Model { return &Worker{process: w.process} }

// Predict is PredictBatch of one vector.
func (w *Worker) Predict(x, scores []float64) (int, error) {
	if err := w.PredictBatch(x, w.classes[:], scores); err != nil {
		return 0, err
	}
	return w.classes[0], nil
}

// PredictBatch classifies the vectors in xs, one behind the other and as many as classes has room for; scores, if not nil, gets as many
// values for each as there are classes. It sends 1024 vectors at a time, waits for requests of clones, and keeps none of the slices. After
// an error what classes and scores hold is not to be used.
//
// An error of the user's code is returned with its traceback and with which vectors it was about, counted from 1; the worker can go on
// then, and likewise after a score that is not finite, or slices that do not fit. After any other error it has ended, and each call
// returns the same error.
func (w *Worker) PredictBatch(xs []float64, classes []int, scores []float64) error {
	if len(xs) != len(classes)*w.Values {
		return fmt.Errorf("%s: %d values for %d vectors of %d", w.name, len(xs), len(classes), w.Values)
	}
	if scores != nil && len(scores) != len(classes)*len(w.ClassNames) {
		return fmt.Errorf("%s: room for %d scores of %d vectors and %d classes", w.name, len(scores), len(classes), len(w.ClassNames))
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	for first := 0; first < len(classes); first += maxBatch {
		end := min(first+maxBatch, len(classes))
		var some []float64
		if scores != nil {
			some = scores[first*len(w.ClassNames) : end*len(w.ClassNames)]
		}
		if err := w.request(xs[first*w.Values:end*w.Values], classes[first:end], some, first, len(classes)); err != nil {
			return err
		}
	}
	return nil
}

// asked says in errors which vectors a request was of: those from first on, of a call of all.
func asked(n, first, all int) string {
	switch {
	case all == 1:
		return ""
	case n == all:
		return fmt.Sprintf(" (of %d vectors)", all)
	}
	return fmt.Sprintf(" (of vectors %d to %d of %d)", first+1, first+n, all)
}

// request sends at most maxBatch vectors and takes the answer. They are those from first on, of a call of all.
func (w *Worker) request(xs []float64, classes []int, scores []float64, first, all int) error {
	if w.err != nil {
		return w.err
	}
	want, order := uint32(0), binary.LittleEndian
	if scores != nil && w.Scored {
		want = 1
	}
	raw := order.AppendUint32(w.raw[:0], uint32(len(classes)))
	raw = order.AppendUint32(raw, want)
	for _, v := range xs {
		raw = order.AppendUint64(raw, math.Float64bits(v))
	}
	w.raw = raw
	if w.timeout > 0 {
		w.timer.Reset(w.timeout)
		defer w.timer.Stop()
	}
	if _, err := w.in.Write(raw); err != nil {
		return w.broken("ended before it took a request"+asked(len(classes), first, all), err)
	}
	head, err := w.read(4)
	if err != nil {
		return w.broken("ended before it answered a request"+asked(len(classes), first, all), err)
	}
	switch n := order.Uint32(head); {
	case n == failed:
		return w.complaint(asked(len(classes), first, all))
	case n != uint32(len(classes)):
		return w.broken(fmt.Sprintf("answered %d rows (%.4q), not the %d that were asked for; only the protocol may use standard output, see worker.py", n, head, len(classes)), nil)
	}
	body, err := w.read(4 * len(classes))
	if err != nil {
		return w.broken("ended inside an answer", err)
	}
	for i := range classes {
		c := int32(order.Uint32(body[4*i:]))
		if c < 0 || int(c) >= len(w.ClassNames) {
			return w.broken(fmt.Sprintf("answered class %d for vector %d, where there are %d classes", c, first+i+1, len(w.ClassNames)), nil)
		}
		classes[i] = int(c)
	}
	if want == 1 {
		body, err := w.read(8 * len(scores))
		if err != nil {
			return w.broken("ended inside an answer", err)
		}
		for i := range scores {
			scores[i] = math.Float64frombits(order.Uint64(body[8*i:]))
		}
	} else if scores != nil {
		clear(scores)
		for i, c := range classes {
			scores[i*len(w.ClassNames)+c] = 1
		}
	}
	if w.out.Buffered() > 0 {
		return w.broken(fmt.Sprintf("wrote %d octets more than its answer; only the protocol may use standard output, see worker.py", w.out.Buffered()), nil)
	}
	for i, v := range scores {
		if !(math.Abs(v) <= math.MaxFloat64) {
			return fmt.Errorf("%s: the score of class %q for vector %d is %v", w.name, w.ClassNames[i%len(w.ClassNames)], first+i/len(w.ClassNames)+1, v)
		}
	}
	return nil
}

// read returns the next n octets, good until the next call.
func (w *Worker) read(n int) ([]byte, error) {
	w.raw = slices.Grow(w.raw[:0], n)[:n]
	_, err := io.ReadFull(w.out, w.raw)
	return w.raw, err
}

// complaint reads what went wrong with a request.
func (w *Worker) complaint(asked string) error {
	head, err := w.read(4)
	if err != nil {
		return w.broken("ended inside an answer", err)
	}
	n := binary.LittleEndian.Uint32(head)
	if n > maxText {
		return w.broken(fmt.Sprintf("has an error text of %d octets, more than %d", n, maxText), nil)
	}
	text, err := w.read(int(n))
	if err != nil {
		return w.broken("ended inside an answer", err)
	}
	return fmt.Errorf("%s could not answer a request%s: %s", w.name, asked, last(string(text)))
}

// A tail passes on what is written to it and keeps the last lines.
type tail struct {
	to    io.Writer
	mutex sync.Mutex
	kept  []byte
}

func (t *tail) Write(data []byte) (int, error) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.kept = append(t.kept, data...)
	if n := len(t.kept) - 2*maxTail; n > 0 {
		t.kept = append(t.kept[:0], t.kept[len(t.kept)-maxTail:]...)
	}
	if t.to != nil {
		_, _ = t.to.Write(data) // its reader's failure is not the worker's
	}
	return len(data), nil
}

func (t *tail) String() string {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return last(string(t.kept))
}

// last returns the last lines of text.
func last(text string) string {
	text = strings.ToValidUTF8(strings.TrimSpace(text), "?")
	if len(text) > maxTail {
		text = text[len(text)-maxTail:]
	}
	lines := strings.Split(text, "\n")
	if n := len(lines) - lastLines; n > 0 {
		lines = lines[n:]
	}
	return strings.Join(lines, "\n")
}
