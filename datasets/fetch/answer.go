package fetch

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// state says which version of which file a part is of.
type state struct {
	URL      string `json:"url"`                     // without a password
	ETag     string `json:"etag,omitempty"`          // strong
	Modified string `json:"last_modified,omitempty"` // where it is as good as a strong ETag
	Octets   int64  `json:"octets"`                  // of the whole file; -1 if the server did not say
	Kept     int64  `json:"kept"`                    // octets of the part that are surely on the disk
	Damaged  bool   `json:"damaged,omitempty"`       // it is whole, from one answer, and its check failed
}

// version is what If-Range takes; "" if the server gives none.
func (s state) version() string {
	if s.ETag != "" {
		return s.ETag
	}
	return s.Modified
}

// stateOf reads the version of an answer. A date tells versions apart if it is a second and more before the answer's own:
// RFC 9110, 8.8.2.2.
func stateOf(url string, answer *http.Response) state {
	s := state{URL: url, Octets: answer.ContentLength}
	if tag := answer.Header.Get("ETag"); strings.HasPrefix(tag, `"`) {
		s.ETag = tag
	}
	modified, err1 := http.ParseTime(answer.Header.Get("Last-Modified"))
	date, err2 := http.ParseTime(answer.Header.Get("Date"))
	if err1 == nil && err2 == nil && date.Sub(modified) >= time.Second {
		s.Modified = answer.Header.Get("Last-Modified")
	}
	return s
}

// contentRange reads "bytes 5-9/10", "bytes 5-9/*" and "bytes */10"; what is not said is -1.
func contentRange(h http.Header) (from, to, total int64, ok bool) {
	span, ok := strings.CutPrefix(h.Get("Content-Range"), "bytes ")
	span, size, slash := strings.Cut(span, "/")
	if !ok || !slash {
		return 0, 0, 0, false
	}
	number := func(s, none string) int64 {
		if s == none {
			return -1
		}
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n < 0 || s[0] == '+' {
			ok = false
		}
		return n
	}
	total = number(size, "*")
	if span == "*" {
		return -1, -1, total, ok
	}
	first, last, _ := strings.Cut(span, "-")
	return number(first, "none"), number(last, "none"), total, ok
}

// refusal is the error for an answer without the file in it.
func refusal(answer *http.Response, body *bufio.Reader) error {
	status := strings.TrimSpace(fmt.Sprintf("%d %s", answer.StatusCode, http.StatusText(answer.StatusCode)))
	err := fmt.Errorf("the server answers %s", status)
	head, _ := body.Peek(headOctets)
	if title := pageTitle(head); title != "" {
		err = fmt.Errorf("%w: %q", err, title)
	}
	code := answer.StatusCode
	switch {
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return fmt.Errorf("%w: it wants to know who asks, or does not serve this; load it with a browser, or name a mirror", err)
	case code == http.StatusRequestTimeout, code == http.StatusTooManyRequests:
	case code < 500, code == http.StatusNotImplemented, code == http.StatusHTTPVersionNotSupported:
		return err // the same next time
	}
	wait := retryAfter(answer.Header, time.Now())
	if wait > longestWait {
		return fmt.Errorf("%w and wants to be asked again in %v: come back then", err, wait.Round(time.Second))
	}
	return again{error: err, after: wait}
}

// retryAfter reads how long the server wants to be left alone: seconds or a date; 0 if it does not say.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if n, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(0, date.Sub(now))
	}
	return 0
}

// headOctets is how much of a file is looked at to see what it is.
const headOctets = 1024

// wrongHead says what a file is, from its first octets, if that is not what its name promises.
func wrongHead(name string, head []byte) error {
	var fits bool
	var want string
	switch strings.ToLower(filepath.Ext(name)) {
	case ".pcap", ".pcapng", ".cap":
		want, fits = "a capture", isCapture(head)
	case ".gz":
		want, fits = "gzip", bytes.HasPrefix(head, []byte{0x1f, 0x8b})
	case ".zst":
		want, fits = "zstd", bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}) ||
			len(head) >= 4 && binary.LittleEndian.Uint32(head)&^0xf == 0x184d2a50 // skippable frame, RFC 8878 section 3.1.2
	case ".csv":
		want, fits = "a table", len(head) > 0 && !isPage(head) && bytes.IndexByte(head, 0) < 0
	default:
		return nil
	}
	switch {
	case fits:
		return nil
	case len(head) == 0:
		return fmt.Errorf("%w: nothing came instead of %s", ErrWrong, want)
	case isPage(head):
		page := "a web page"
		if title := pageTitle(head); title != "" {
			page = fmt.Sprintf("a web page (%q)", title)
		}
		return fmt.Errorf("%w: %s came instead of %s: the server may want to know who asks, or has another address for it", ErrWrong, page, want)
	case isCapture(head):
		return fmt.Errorf("%w: a capture came instead of %s", ErrWrong, want)
	}
	return fmt.Errorf("%w: it begins with %q, which is not %s", ErrWrong, head[:min(16, len(head))], want)
}

// isCapture returns whether a file begins as classic pcap, of either byte order and resolution, or as pcapng.
func isCapture(head []byte) bool {
	if len(head) < 4 {
		return false
	}
	for _, n := range []uint32{binary.LittleEndian.Uint32(head), binary.BigEndian.Uint32(head)} {
		if n == 0xa1b2c3d4 || n == 0xa1b23c4d || n == 0x0a0d0d0a {
			return true
		}
	}
	return false
}

func isPage(head []byte) bool {
	text := strings.ToLower(string(bytes.TrimSpace(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")))))
	for _, begin := range []string{"<!doctype", "<html", "<head", "<?xml", "<!--", "<body", "<br", "<script"} {
		if strings.HasPrefix(text, begin) {
			return true
		}
	}
	return false
}

// pageTitle returns the title of a web page, "" if it has none.
func pageTitle(head []byte) string {
	lower := bytes.ToLower(head)
	if len(lower) != len(head) { // letters whose lower case is of another length
		lower = head
	}
	_, behind, ok := bytes.Cut(lower, []byte("<title"))
	if !ok {
		return ""
	}
	rest := head[len(head)-len(behind):]
	_, rest, _ = bytes.Cut(rest, []byte(">"))
	title, _, _ := bytes.Cut(rest, []byte("<"))
	return strings.ToValidUTF8(strings.Join(strings.Fields(string(title[:min(len(title), 200)])), " "), "?")
}
