package fetch

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// Faults that a caller can tell apart.
var (
	ErrBusy      = errors.New("another program is loading it")
	ErrCut       = errors.New("cut short")              // the server's own file; what came is kept unnamed
	ErrDamaged   = errors.New("damaged")                // whole, and its check fails; it is kept unnamed
	ErrWrong     = errors.New("not the file it is for") // size, first octets or SHA-256 are others'
	ErrSpace     = errors.New("no room")
	ErrUnreached = errors.New("the server cannot be reached") // no try had a connection
)

// Defaults of a Request.
const (
	DefaultRetries = 5
	DefaultStall   = time.Minute
	DefaultBackoff = time.Second

	longestWait  = 10 * time.Minute // that a server may ask for
	longestDelay = time.Minute      // between tries otherwise
)

// Request says what to load and where to.
type Request struct {
	URL    string // http or https
	Path   string // of the file; its folder must be there
	Octets int64  // its size, 0 where not known
	SHA256 string // of all of it, in hex; "" where not known

	// Verify reads a file of which no SHA-256 is known, before it gets its name. What came is kept if it fails: where its error
	// wraps ErrCut, to go on from; otherwise the file is damaged. Where it wraps ErrWrong, nothing is kept.
	Verify func(io.Reader) error
	// Damaged takes a file that is whole though Verify fails, with a doubt. What an earlier call has kept of such a file gets
	// its name without a request.
	Damaged bool
	// Recheck reads a file that is there already, instead of taking its size for it.
	Recheck bool

	Client    *http.Client  // nil: one with the proxies of the environment
	UserAgent string        // "" is Go's
	Retries   int           // tries in a row that may bring nothing new; 0 is DefaultRetries, below 0 none
	Stall     time.Duration // how long nothing may come before a try is given up; 0 is DefaultStall
	Backoff   time.Duration // wait before the first further try, twice as long before each next; 0 is DefaultBackoff

	Progress func(done, total int64) // octets of the file that have come; total is below 0 where not known
	Reading  func(done, total int64) // octets read of what was there before
	Note     func(text string)       // what went wrong and what is done about it
}

// How a file came to be where it is.
const (
	Whole   = "whole"   // loaded from one connection
	Resumed = "resumed" // loaded from several
	There   = "there"   // it was there already
)

// Result is a file that is there.
type Result struct {
	Octets int64
	SHA256 string // in lower-case hex; "" of a file that was there and was not read
	How    string // Whole, Resumed or There
	Loaded int64  // octets that came now, also those that came twice
	Tries  int    // requests
	Kept   int64  // octets that are kept to go on from, of a file that is not there
	// Doubts are what could not be made sure of, a sentence each.
	Doubts []string
}

// again marks an error after which another try may do better.
type again struct {
	error
	after time.Duration // at least, as the server asks
	anew  bool          // nothing is left of what there was
}

func (e again) Unwrap() error { return e.error }

// Get loads a file. The error names the file and the address, without the user and password that may be in it, and says what
// is kept of it. The result has Loaded, Tries and Kept then.
func Get(ctx context.Context, r Request) (Result, error) {
	if u, err := url.Parse(r.URL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return Result{}, fmt.Errorf("%q: want an address that begins with http:// or https:// and a host", Shown(r.URL))
	}
	r.SHA256 = strings.ToLower(r.SHA256)
	if b, err := hex.DecodeString(r.SHA256); err != nil || len(b) != 0 && len(b) != 32 {
		return Result{}, fmt.Errorf("%s: SHA-256 %q: want 64 hexadecimal digits", r.Path, r.SHA256)
	}
	r.Retries = max(0, cmp.Or(r.Retries, DefaultRetries))
	r.Stall = cmp.Or(r.Stall, DefaultStall)
	r.Backoff = min(cmp.Or(r.Backoff, DefaultBackoff), longestDelay)
	if r.Client == nil {
		r.Client = http.DefaultClient
	}
	if r.Client.CheckRedirect == nil {
		client := *r.Client
		client.CheckRedirect = func(_ *http.Request, via []*http.Request) error {
			if len(via) >= mostRedirects {
				return errLoop
			}
			return nil
		}
		r.Client = &client
	}
	if r.Progress == nil {
		r.Progress = func(int64, int64) {}
	}
	if r.Reading == nil {
		r.Reading = func(int64, int64) {}
	}
	if r.Note == nil {
		r.Note = func(string) {}
	}
	before, _ := os.Stat(r.Path)
	result, there, err := r.there(ctx)
	if there || err != nil {
		return result, err
	}
	p, err := openPart(r.Path)
	if err != nil {
		return Result{}, fmt.Errorf("%s: %w", r.Path, err)
	}
	defer p.close()
	if after, err := os.Stat(r.Path); err == nil && (before == nil || !os.SameFile(before, after)) {
		result, there, err := r.there(ctx) // another program has just loaded it
		if there || err != nil {
			p.keep()
			return result, err
		}
	}
	l := &load{Request: r, part: p, shown: Shown(r.URL), total: -1}
	err = l.run(ctx)
	if err == nil {
		return l.result, nil
	}
	if l.result.Tries > 0 && !l.reached.Load() && ctx.Err() == nil {
		err = fmt.Errorf("%w: %w", ErrUnreached, err)
	}
	err = fmt.Errorf("%s: from %s: %w", r.Path, l.shown, err)
	kept := p.keep()
	switch {
	case kept > 0 && p.state.Damaged:
		err = fmt.Errorf("%w (all %d octets are kept in %s)", err, kept, p.name)
	case kept > 0:
		err = fmt.Errorf("%w (%d octets are kept in %s, to go on from)", err, kept, p.name)
	}
	return Result{Loaded: l.result.Loaded, Tries: l.result.Tries, Kept: kept}, err
}

// Shown returns an address, or a template of one, without the user and password in it.
func Shown(address string) string {
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok {
		return address
	}
	host, behind := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		host, behind = rest[:i], rest[i:]
	}
	return scheme + "://" + host[strings.LastIndexByte(host, '@')+1:] + behind
}

// there returns whether the file is there and right, as far as is to be looked.
func (r *Request) there(ctx context.Context) (Result, bool, error) {
	info, err := os.Stat(r.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Result{}, false, nil
	case err != nil:
		return Result{}, false, err
	case !info.Mode().IsRegular():
		return Result{}, false, fmt.Errorf("%s: there is something that is no file", r.Path)
	case info.Size() == 0:
		r.Note(fmt.Sprintf("%s: is there and empty: it is loaded, and replaced then", r.Path))
		return Result{}, false, nil
	}
	result := Result{Octets: info.Size(), How: There}
	if r.Octets > 0 && info.Size() != r.Octets {
		r.Note(fmt.Sprintf("%s: is there with %d octets instead of %d: it is loaded anew, and replaced then", r.Path, info.Size(), r.Octets))
		return Result{}, false, nil
	}
	if !r.Recheck {
		if r.Octets == 0 {
			result.Doubts = append(result.Doubts, "It was there already, and its size is not known: it was not looked at.")
		}
		return result, true, nil
	}
	file, err := os.Open(r.Path)
	if err != nil {
		return Result{}, false, err
	}
	defer file.Close()
	var sum digest
	if err := sum.catchUp(ctx, file, info.Size(), r.Reading); err != nil {
		return Result{}, false, fmt.Errorf("%s: %w", r.Path, err)
	}
	result.SHA256 = sum.hex()
	err = wrongHead(r.Path, sum.head)
	switch {
	case err != nil:
	case r.SHA256 != "" && result.SHA256 != r.SHA256:
		err = fmt.Errorf("SHA-256 is %s instead of %s", result.SHA256, r.SHA256)
	case r.SHA256 == "" && r.Verify != nil:
		err = r.Verify(io.NewSectionReader(file, 0, info.Size()))
		if err != nil && r.Damaged && !errors.Is(err, ErrCut) && !errors.Is(err, ErrWrong) {
			result.Doubts, err = append(result.Doubts, checkFails(err)), nil
		}
	}
	if ctx.Err() != nil {
		return Result{}, false, ctx.Err()
	}
	if err != nil {
		r.Note(fmt.Sprintf("%s: is there and wrong: %v: it is loaded anew, and replaced then", r.Path, err))
		return Result{}, false, nil
	}
	return result, true, nil
}

// load is a Request under way.
type load struct {
	Request
	part   *part
	shown  string // the address without a password
	result Result
	total  int64 // size, by the server; -1 if it has not said
	plain  bool  // ask for all, since the server answered otherwise with something else
	mixed  bool  // the part holds octets that were not in the last answer that sent all
	anew   bool  // it was loaded from the start once more, since the SHA-256 was wrong
	pieces int   // answers that brought something
	open   bool  // the server let the connection's end stand for the file's

	reached atomic.Bool // there was a connection
}

// size is that of the whole file, as far as anyone knows; -1 if nobody does.
func (l *load) size() int64 {
	if l.Octets > 0 {
		return l.Octets
	}
	return l.total
}

func (l *load) run(ctx context.Context) error {
	if err := l.part.digest.catchUp(ctx, l.part.file, l.part.size, l.Reading); err != nil {
		return err
	}
	if l.part.size > 0 {
		l.pieces, l.mixed = 1, true
	}
	most := l.part.size
	for fruitless := 0; ; {
		err := l.try(ctx)
		if err == nil {
			err = l.finish(ctx)
		}
		var retry again
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case !errors.As(err, &retry):
			return err
		}
		if saved := l.part.save(); saved != nil {
			return saved
		}
		if retry.anew {
			most = 0
		}
		if fruitless++; l.part.size > most {
			most, fruitless = l.part.size, 1
		}
		if fruitless > l.Retries {
			return retry.error
		}
		delay := min(longestDelay, l.Backoff<<min(fruitless-1, 16))
		delay += time.Duration(rand.Int64N(int64(delay)/4 + 1)) // so that many clients do not come back at once
		delay = max(delay, retry.after)
		l.Note(fmt.Sprintf("%s: %v; again in %v", l.Path, retry.error, delay.Round(time.Millisecond)))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(delay):
		}
	}
}

// mostRedirects is how often a server may name another address in one try.
const mostRedirects = 10

var (
	errStalled = errors.New("stalled")
	errLoop    = fmt.Errorf("it is redirected more than %d times, in a circle", mostRedirects)
)

// try makes one request. No error says that the server has no more to send.
func (l *load) try(ctx context.Context) error {
	if l.Octets > 0 && l.part.size == l.Octets {
		return nil
	}
	state := &l.part.state
	if l.Damaged && state.Damaged && state.URL == l.shown {
		return nil // all of it is here, for what it is worth
	}
	l.result.Tries++
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(l.Stall, func() { cancel(errStalled) }) // an answer must begin to come too
	defer watch.Stop()
	connected := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { l.reached.Store(true) }})
	request, err := http.NewRequestWithContext(connected, http.MethodGet, l.URL, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Accept-Encoding", "identity") // the file as it is, and not what the transport would unpack
	if l.UserAgent != "" {
		request.Header.Set("User-Agent", l.UserAgent)
	}
	same := state.URL == l.shown && state.version() != ""
	asked := l.part.size > 0 && !l.plain && (same || l.SHA256 != "")
	if asked {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", l.part.size))
		if same {
			request.Header.Set("If-Range", state.version())
		}
	}
	answer, err := l.Client.Do(request)
	if stranger := new(tls.CertificateVerificationError); errors.As(err, &stranger) {
		l.reached.Store(true)
		return stranger // the same next time
	}
	if errors.Is(err, errLoop) {
		return errLoop // as well
	}
	if err != nil {
		return l.broken(ctx, err)
	}
	defer answer.Body.Close()
	body := bufio.NewReaderSize(&watched{answer.Body, watch, l.Stall}, 64<<10)
	switch {
	case answer.StatusCode == http.StatusOK:
		return l.all(ctx, answer, body)
	case answer.StatusCode == http.StatusPartialContent && asked:
		return l.rest(ctx, answer, body, same)
	case answer.StatusCode == http.StatusRequestedRangeNotSatisfiable && asked:
		_, _, total, ok := contentRange(answer.Header)
		if ok && total == l.part.size && (l.SHA256 != "" || same && (state.Octets < 0 || state.Octets == total)) {
			l.total = total
			return nil // all of it is here
		}
		l.plain = true
		return again{error: fmt.Errorf("the server has nothing after %d octets, and there is no telling whether that is all: "+
			"the next try asks for the whole file", l.part.size)}
	}
	return refusal(answer, body)
}

// all takes an answer with the whole file.
func (l *load) all(ctx context.Context, answer *http.Response, body *bufio.Reader) error {
	l.total = answer.ContentLength
	head, err := body.Peek(headOctets)
	if err != nil && err != io.EOF {
		return l.broken(ctx, err)
	}
	if err := l.suits(answer, head); err != nil {
		return err
	}
	next, was := stateOf(l.shown, answer), l.part.state
	changed := was.version() != next.version()
	if was.URL != next.URL {
		changed = l.SHA256 == "" // versions of two servers tell nothing of each other; the SHA-256 will
	}
	if l.part.size > 0 && changed {
		l.Note(fmt.Sprintf("%s: the server has another version than the one begun: it is loaded from the start", l.Path))
		if err := l.part.truncate(0); err != nil {
			return err
		}
		l.pieces = 0
	}
	l.part.state = next
	if err := l.part.save(); err != nil {
		return err
	}
	if err := l.room(); err != nil {
		return err
	}
	l.open = answer.ContentLength < 0 && len(answer.TransferEncoding) == 0 && answer.ProtoMajor == 1
	at, err := l.compare(ctx, body)
	if err != nil {
		return err
	}
	if at < l.part.size && at < l.Octets && l.open {
		if _, err := body.Peek(1); err == io.EOF {
			return again{error: fmt.Errorf("the connection ended after %d of %d octets", at, l.Octets)}
		}
	}
	l.mixed = false
	if at < l.part.size { // it differs from here on, or ends here
		if err := l.part.truncate(at); err != nil {
			return err
		}
	}
	if at == 0 {
		l.pieces = 0
	}
	return l.copy(ctx, body)
}

// suits refuses an answer that cannot be the file, before anything of it is kept.
func (l *load) suits(answer *http.Response, head []byte) error {
	if coding := answer.Header.Get("Content-Encoding"); coding != "" && coding != "identity" &&
		!(strings.HasSuffix(l.Path, ".gz") && strings.HasSuffix(coding, "gzip")) {
		return fmt.Errorf("%w: the server sends it packed as %q though asked not to: use another", ErrWrong, coding)
	}
	if err := wrongHead(l.Path, head); err != nil && (len(head) > 0 || answer.ContentLength <= 0) {
		return err
	}
	if l.Octets > 0 && answer.ContentLength >= 0 && answer.ContentLength != l.Octets {
		return fmt.Errorf("%w: the server has %d octets, known are %d: it is cut, or of another version", ErrWrong, answer.ContentLength, l.Octets)
	}
	return nil
}

// rest takes an answer that goes on where the part ends.
func (l *load) rest(ctx context.Context, answer *http.Response, body *bufio.Reader, same bool) error {
	odd := func(format string, args ...any) error {
		l.plain = true
		return again{error: fmt.Errorf(format+": the next try asks for the whole file", args...)}
	}
	from, to, total, ok := contentRange(answer.Header)
	if !ok || from != l.part.size || to < from || total >= 0 && to >= total {
		return odd("asked for octets from %d on, the server answers with %q", l.part.size, answer.Header.Get("Content-Range"))
	}
	if n := answer.ContentLength; n >= 0 && n != to-from+1 {
		return odd("the server sends %d octets as %q", n, answer.Header.Get("Content-Range"))
	}
	if coding := answer.Header.Get("Content-Encoding"); coding != "" && coding != "identity" && !strings.HasSuffix(l.Path, ".gz") {
		return odd("the server packs the rest as %q", coding)
	}
	next := stateOf(l.shown, answer)
	was := l.part.state
	l.part.state.Damaged = false // there is more of it
	if same && (next.version() != "" && next.version() != was.version() || total >= 0 && was.Octets >= 0 && total != was.Octets) {
		return odd("the server goes on with another version than the one begun")
	}
	if l.Octets > 0 && total >= 0 && total != l.Octets {
		return fmt.Errorf("%w: the server has %d octets, known are %d: it is cut, or of another version", ErrWrong, total, l.Octets)
	}
	l.mixed, l.open = true, false
	if l.total = total; total < 0 && same {
		l.total = l.part.state.Octets
	}
	if err := l.room(); err != nil {
		return err
	}
	if err := l.copy(ctx, body); err != nil {
		return err
	}
	if l.part.size != to+1 {
		return odd("the server announced octets %d to %d and sent as far as %d", from, to, l.part.size-1)
	}
	if l.total >= 0 && l.part.size < l.total {
		return again{error: fmt.Errorf("the server sent %d of %d octets", l.part.size, l.total)}
	}
	return nil
}

// room says whether the rest fits the disk.
func (l *load) room() error {
	need := l.size() - l.part.size
	free, err := freeOctets(filepath.Dir(l.Path))
	if need <= 0 || err != nil || free < 0 || need <= free {
		return nil // what cannot be found out is found by writing
	}
	return fmt.Errorf("%w: %d octets to come, %d free in %s: make room, or name another folder", ErrSpace, need, free, filepath.Dir(l.Path))
}

// compare reads what the part has already, and returns where the body and the part differ or the body ends; the body is then
// at that place.
func (l *load) compare(ctx context.Context, body *bufio.Reader) (at int64, err error) {
	have := make([]byte, 16<<10)
	for at < l.part.size {
		n := min(int64(len(have)), l.part.size-at)
		if _, err := l.part.file.ReadAt(have[:n], at); err != nil {
			return at, err
		}
		come, err := body.Peek(int(n))
		same := 0
		for same < len(come) && come[same] == have[same] {
			same++
		}
		_, _ = body.Discard(same) // is buffered
		at += int64(same)
		l.result.Loaded += int64(same)
		l.Progress(at, l.size())
		switch {
		case same < len(come):
			return at, nil
		case err == io.EOF:
			return at, nil
		case err != nil:
			return at, l.broken(ctx, err)
		}
	}
	return at, nil
}

// copy appends the body to the part.
func (l *load) copy(ctx context.Context, body io.Reader) error {
	start, saved := l.part.size, l.part.size
	defer func() {
		if l.part.size > start {
			l.pieces++
		}
	}()
	block := make([]byte, 256<<10)
	for {
		n, err := body.Read(block)
		if n > 0 {
			if l.Octets > 0 && l.part.size+int64(n) > l.Octets {
				l.part.discard()
				return fmt.Errorf("%w: the server sends more than the %d octets that are known", ErrWrong, l.Octets)
			}
			if err := l.part.write(block[:n]); err != nil {
				return err
			}
			l.result.Loaded += int64(n)
			l.Progress(l.part.size, l.size())
			if l.part.size-saved >= saveEvery {
				if err := l.part.save(); err != nil {
					return err
				}
				saved = l.part.size
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return l.broken(ctx, err)
		}
	}
}

// broken says how a connection ended.
func (l *load) broken(ctx context.Context, err error) error {
	if context.Cause(ctx) == errStalled {
		err = fmt.Errorf("nothing came for %v", l.Stall)
	} else if e := new(url.Error); errors.As(err, &e) {
		err = e.Err // the address is said elsewhere
	}
	if l.part.size > 0 {
		of := ""
		if l.size() >= 0 {
			of = fmt.Sprintf(" of %d", l.size())
		}
		return again{error: fmt.Errorf("broken off after %d%s octets: %w", l.part.size, of, err)}
	}
	return again{error: err}
}

// finish names the part when it is the file.
func (l *load) finish(ctx context.Context) error {
	size := l.part.size
	known := l.size()
	if known > size && l.open {
		return again{error: fmt.Errorf("the connection ended after %d of %d octets", size, known)}
	}
	if known > 0 && known != size {
		l.plain = true
		return again{error: fmt.Errorf("the server ended after %d of %d octets", size, known)}
	}
	if err := l.part.digest.catchUp(ctx, l.part.file, size, l.Reading); err != nil {
		return err
	}
	if err := wrongHead(l.Path, l.part.digest.head); err != nil {
		l.part.discard()
		return err
	}
	sum := l.part.digest.hex()
	switch {
	case l.SHA256 != "" && sum != l.SHA256:
		if l.mixed && !l.anew {
			l.anew = true
			if err := l.part.truncate(0); err != nil {
				return err
			}
			l.part.state, l.pieces = state{Octets: -1}, 0
			return again{error: errors.New("the SHA-256 of what was put together is wrong: it is loaded once more from the start"), anew: true}
		}
		l.part.discard()
		return fmt.Errorf("%w: its SHA-256 is %s instead of %s: what came is removed", ErrWrong, sum, l.SHA256)
	case l.SHA256 == "" && l.Verify != nil:
		err := l.Verify(io.NewSectionReader(l.part.file, 0, size))
		switch {
		case err == nil:
		case errors.Is(err, ErrCut) && l.open:
			return again{error: err}
		case ctx.Err() != nil, errors.Is(err, ErrCut):
			return err
		case errors.Is(err, ErrWrong):
			l.part.discard()
			return fmt.Errorf("%w; what came is removed", err)
		case l.mixed && !l.anew && !l.part.state.Damaged:
			l.anew, l.plain = true, true
			return again{error: fmt.Errorf("what was put together is wrong: %w: all is loaded once more, and compared", err), anew: true}
		case !l.Damaged:
			l.part.state.Damaged = true
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		default:
			l.result.Doubts = append(l.result.Doubts, checkFails(err))
		}
	}
	if l.open && l.Octets == 0 && l.SHA256 == "" {
		l.result.Doubts = append(l.result.Doubts, "The server did not say how long it is: it may be cut where a shorter one could end.")
	}
	if err := l.part.become(l.Path); err != nil {
		return err
	}
	l.result.Octets, l.result.SHA256, l.result.How = size, sum, Whole
	if l.pieces > 1 {
		l.result.How = Resumed
	}
	return nil
}

func checkFails(err error) string {
	return fmt.Sprintf("It is taken as it is, though its check fails: %v.", err)
}

// watched is a body that may not keep its reader waiting for longer than the limit. What the reader does meanwhile is its own
// affair: a disk may be slow.
type watched struct {
	r     io.Reader
	watch *time.Timer
	limit time.Duration
}

func (w *watched) Read(p []byte) (int, error) {
	w.watch.Reset(w.limit)
	defer w.watch.Stop()
	return w.r.Read(p)
}
