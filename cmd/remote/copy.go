package remote

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Put copies a local file into the folder on the host and returns its name there, the hexadecimal SHA-256 of its
// content. A file that is there with that sum is not copied again, and a copy that was cut off goes on where it was. If
// the connection is lost, Put connects again as long as that brings the copy forward, and else fails with ErrLost.
func (h *Host) Put(ctx context.Context, path string) (name string, err error) {
	return h.put(ctx, path, "", "600")
}

// attempts without any progress end a copy.
const attempts = 4

// put copies a file; its name on the host is prefix and its sum.
func (h *Host) put(ctx context.Context, path, prefix, mode string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("%s: cannot copy from this machine: %w", h.cfg.Host, err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s: %s is not a regular file, so it cannot be copied", h.cfg.Host, path)
	}
	sum := sha256.New()
	size, err := io.Copy(sum, &readerContext{ctx, f})
	if err != nil {
		return "", fmt.Errorf("%s: %s: %w", h.cfg.Host, path, err)
	}
	c := &transfer{h: h, file: f, path: path, size: size, sum: hex.EncodeToString(sum.Sum(nil)), mode: mode, best: -1}
	c.name = prefix + c.sum
	pause := h.cfg.pause
	if pause == 0 {
		pause = time.Second
	}
	for failed := 0; ; {
		best := c.best
		err := c.once(ctx)
		if err == nil {
			return c.name, nil
		}
		if c.best > best {
			failed = 0
		}
		failed++
		if !errors.Is(err, ErrLost) && !errors.Is(err, ErrUnreachable) || ctx.Err() != nil {
			return "", err
		}
		if failed >= attempts {
			return "", faultf(h.cfg.Host, ErrLost, "copying %s: gave up after %d attempts: %s", path, failed,
				strings.TrimPrefix(err.Error(), h.cfg.Host+": "))
		}
		h.cfg.note("%v; copying %s: connecting again", err, filepath.Base(path))
		select {
		case <-time.After(pause << (failed - 1)):
		case <-ctx.Done():
			return "", fmt.Errorf("%s: %w", h.cfg.Host, context.Cause(ctx))
		}
	}
}

// transfer is a copy under way.
type transfer struct {
	h          *Host
	file       *os.File
	path, name string
	size       int64
	sum, mode  string
	best       int64 // the most octets that the host was found to have; -1: none asked
	afresh     bool  // a part was found damaged once already
}

// freeOctets reads the free space from the line of df -Pk about a folder; ok is false if it cannot be read.
func freeOctets(line string) (n int64, ok bool) {
	m := dfLine.FindStringSubmatch(line)
	if m == nil {
		return 0, false
	}
	n, err := strconv.ParseInt(m[1], 10, 53)
	return n * 1024, err == nil
}

// dfLine takes total, used, available and the percentage; what stands in front and behind may hold anything.
var dfLine = regexp.MustCompile(`\s[0-9]+\s+-?[0-9]+\s+([0-9]+)\s+[0-9]+%\s+/`)

func (c *transfer) once(ctx context.Context) error {
	h := c.h
	host := h.cfg.Host
	h.mu.Lock()
	defer h.mu.Unlock()
	_, says, err := h.ask(ctx, "find", c.name, c.sum)
	if err != nil {
		return err
	}
	if len(says) == 1 && says[0] == "have" {
		c.progress(c.size)
		return nil
	}
	if len(says) < 2 || says[0] != "part" {
		h.drop()
		return faultf(host, ErrNoShell, "cannot understand what its shell answers: %q", clean(strings.Join(says, "; ")))
	}
	at, err := strconv.ParseInt(strings.TrimSpace(says[1]), 10, 64)
	if err != nil || at < 0 || at > c.size {
		at = 0
	}
	c.best = max(c.best, at)
	if len(says) > 2 {
		if free, ok := freeOctets(says[2]); ok && c.size-at > free {
			return faultf(host, ErrNoSpace, "no space for %s in %s: needs %s, has %s; choose another folder with --dir",
				c.path, h.Dir(), octets(c.size-at), octets(free))
		}
	}
	s, _, err := h.ask(ctx, "put", c.name, c.sum, strconv.FormatInt(at, 10), strconv.FormatInt(c.size-at, 10), c.mode)
	var no *refusal
	if errors.As(err, &no) && no.code == "moved" { // the lost connection's end was still writing
		return faultf(host, ErrLost, "what was there of %s has grown", c.path)
	}
	if err != nil {
		return c.explain(err)
	}
	if err := c.send(ctx, s, at); err != nil {
		h.drop()
		return err
	}
	if _, err = s.answer(ctx); err == nil {
		return nil
	}
	if !errors.As(err, &no) || no.code == "write" {
		h.drop() // after a failed write the script has ended
		return c.explain(err)
	}
	if no.code == "sum" && at > 0 && !c.afresh {
		c.afresh = true
		return faultf(host, ErrLost, "what was there of %s was damaged", c.path)
	}
	return c.explain(err)
}

// send writes the file from an offset. A write error is left to the answer to explain.
func (c *transfer) send(ctx context.Context, s *session, at int64) error {
	defer context.AfterFunc(ctx, s.kill)()
	if _, err := c.file.Seek(at, io.SeekStart); err != nil {
		return fmt.Errorf("%s: %s: %w", c.h.cfg.Host, c.path, err)
	}
	b := make([]byte, 64<<10)
	c.progress(at)
	for at < c.size {
		n, err := c.file.Read(b[:min(int64(len(b)), c.size-at)])
		if n == 0 && err != nil {
			s.kill()
			if err == io.EOF {
				err = errors.New("became shorter while it was copied")
			}
			return fmt.Errorf("%s: %s: %w", c.h.cfg.Host, c.path, err)
		}
		if _, err := s.in.Write(b[:n]); err != nil {
			return nil
		}
		at += int64(n)
		c.progress(at)
	}
	return nil
}

func (c *transfer) progress(done int64) {
	if c.h.cfg.Progress != nil {
		c.h.cfg.Progress(filepath.Base(c.path), done, c.size)
	}
}

// explain turns a refusal into the error for it.
func (c *transfer) explain(err error) error {
	var no *refusal
	if !errors.As(err, &no) {
		return err
	}
	if no.code == "sum" {
		return faultf(c.h.cfg.Host, ErrFolder, "%s arrived damaged in %s, or changed while it was copied", c.path, c.h.Dir())
	}
	return faultf(c.h.cfg.Host, fileKind(no.text), "cannot write %s in %s: %s; choose another folder with --dir", c.path,
		c.h.Dir(), no.text)
}

// octets writes a number of octets for a person.
func octets(n int64) string {
	if n < 1e6 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

// readerContext ends a long read when the context does.
type readerContext struct {
	ctx context.Context
	r   io.Reader
}

func (r *readerContext) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
