package fetch_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"pcaplab/datasets/fetch"
)

// answer is how the server answers one request. The zero value is a good answer.
type answer struct {
	status   int    // with no file, if it is not 0
	header   string // further lines, each with its CRLF
	cut      int    // close the connection after so many octets of the body, if not 0
	lie      int    // added to the length that is announced
	length   string // "" as Content-Length, "chunked", or "close"
	noRange  bool
	noTag    bool   // neither ETag nor date
	date     bool   // a date instead of an ETag
	from     int    // added to where a range begins, though the answer says what was asked
	say      string // Content-Range instead of the right one
	atMost   int    // octets of a range, if not 0
	body     []byte // instead of the file
	stall    bool   // after cut octets nothing comes, instead of a close
	version  int    // of the file
	sameTag  bool   // for all versions
	announce int    // what 416 says the size is, if not 0
}

// server answers requests by a script, the last answer again and again.
type server struct {
	*httptest.Server
	versions [][]byte
	script   []answer
	mu       sync.Mutex
	seen     []http.Header
	done     chan struct{}
}

func serve(t *testing.T, versions [][]byte, script ...answer) *server {
	s := &server{versions: versions, script: script, done: make(chan struct{})}
	s.Server = httptest.NewServer(s)
	t.Cleanup(func() {
		close(s.done)
		s.Close()
	})
	return s
}

func (s *server) requests() []http.Header {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen
}

// ServeHTTP writes answers octet by octet, since the library would not tell such lies.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	a := s.script[min(len(s.seen), len(s.script)-1)]
	s.seen = append(s.seen, r.Header)
	s.mu.Unlock()
	conn, out, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	s.write(conn, out, r, a)
}

func (s *server) write(conn net.Conn, out io.Writer, r *http.Request, a answer) {
	var head bytes.Buffer
	defer func() { conn.Write(head.Bytes()) }()
	file := s.versions[a.version]
	tag := fmt.Sprintf(`"v%d"`, a.version)
	if a.sameTag {
		tag = `"v"`
	}
	modified := time.Unix(1_600_000_000+int64(a.version), 0).UTC().Format(http.TimeFormat)
	version := "ETag: " + tag + "\r\n"
	switch {
	case a.noTag:
		version, tag = "", "none"
	case a.date:
		version, tag = "Last-Modified: "+modified+"\r\n", modified
	}
	version += "Date: " + time.Unix(1_700_000_000, 0).UTC().Format(http.TimeFormat) + "\r\n"
	if a.status != 0 {
		fmt.Fprintf(&head, "HTTP/1.1 %d %s\r\n%sContent-Length: %d\r\nConnection: close\r\n\r\n%s", a.status, http.StatusText(a.status), a.header, len(a.body), a.body)
		return
	}
	body, status := file, "200 OK"
	if a.body != nil {
		body = a.body
	}
	var from int
	asked := r.Header.Get("Range")
	if condition := r.Header.Get("If-Range"); asked != "" && !a.noRange && (condition == "" || condition == tag) {
		if _, err := fmt.Sscanf(asked, "bytes=%d-", &from); err != nil {
			panic(asked)
		}
		if from >= len(body) {
			size := len(body)
			if a.announce != 0 {
				size = a.announce
			}
			fmt.Fprintf(&head, "HTTP/1.1 416 Range\r\nContent-Range: bytes */%d\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", size)
			return
		}
		status = "206 Partial Content"
		to := len(body)
		if a.atMost != 0 {
			to = min(to, from+a.atMost)
		}
		say := fmt.Sprintf("bytes %d-%d/%d", from+a.from, to-1, len(body))
		if a.say != "" {
			say = a.say
		}
		a.header += "Content-Range: " + say + "\r\n"
		body = body[from:to]
	}
	fmt.Fprintf(&head, "HTTP/1.1 %s\r\n%s%sConnection: close\r\n", status, version, a.header)
	var text bytes.Buffer
	text.Write(body)
	switch a.length {
	case "":
		fmt.Fprintf(&head, "Content-Length: %d\r\n", len(body)+a.lie)
	case "chunked":
		fmt.Fprintf(&head, "Transfer-Encoding: chunked\r\n")
		text.Reset()
		for len(body) > 0 {
			n := min(len(body), 3000)
			fmt.Fprintf(&text, "%x\r\n%s\r\n", n, body[:n])
			body = body[n:]
		}
		text.WriteString("0\r\n\r\n")
	}
	head.WriteString("\r\n")
	octets := text.Bytes()
	if a.cut != 0 {
		octets = octets[:min(a.cut, len(octets))]
	}
	head.Write(octets)
	if a.stall {
		conn.Write(head.Bytes())
		head.Reset()
		select {
		case <-r.Context().Done():
		case <-s.done:
		}
	}
}

// capture makes a file that begins as a capture and knows its own length.
func capture(seed uint64, octets int) []byte {
	octets = max(octets, 12)
	file := make([]byte, octets)
	random := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)})
	random.Read(file)
	binary.LittleEndian.PutUint32(file, 0xa1b2c3d4)
	binary.LittleEndian.PutUint64(file[4:], uint64(octets))
	return file
}

// whole says whether a file has the length that it says it has.
func whole(r io.Reader) error {
	content, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if len(content) < 12 {
		return fmt.Errorf("%w: no header", fetch.ErrCut)
	}
	switch want := binary.LittleEndian.Uint64(content[4:]); {
	case uint64(len(content)) < want:
		return fmt.Errorf("%w: %d of %d octets", fetch.ErrCut, len(content), want)
	case uint64(len(content)) > want:
		return fmt.Errorf("%d octets too much", uint64(len(content))-want)
	}
	return nil
}

func sum(content []byte) string {
	s := sha256.Sum256(content)
	return hex.EncodeToString(s[:])
}

func titled(title string) []byte {
	return []byte("\n<!DOCTYPE html>\n<html><head><TITLE>\n " + title + " </TITLE></head><body>" + strings.Repeat("x", 300) + "</body></html>")
}
