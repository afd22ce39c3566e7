package split

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// five is a file of five packets, by hand: client, server, not sent, client, server.
var five = []byte("tcpprep\x0004\x00\x00\x00\x00\x00\x00\x00\x00\x00\x05\x00\x04\x00\x02hi\xcb\x02")

func TestCacheByHand(t *testing.T) {
	c, err := Read(iotest.OneByteReader(bytes.NewReader(five)), "five")
	if err != nil {
		t.Fatal(err)
	}
	if c.Len() != 5 || c.Comment() != "hi" {
		t.Errorf("%d packets, comment %q", c.Len(), c.Comment())
	}
	ours, err := NewCache("hi")
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		side Side
		send bool
	}{{Client, true}, {Server, true}, {Server, false}, {Client, true}, {Server, true}} {
		if c.Side(uint64(i)) != want.side || c.Send(uint64(i)) != want.send {
			t.Errorf("packet %d: %v %v, want %v", i+1, c.Side(uint64(i)), c.Send(uint64(i)), want)
		}
		ours.Append(want.side, want.send)
	}
	var file bytes.Buffer
	if err := ours.Write(&file); err != nil || !bytes.Equal(file.Bytes(), five) {
		t.Errorf("wrote %q, %v", file.Bytes(), err)
	}
}

func TestReadRefuses(t *testing.T) {
	change := func(at int, b ...byte) []byte {
		d := bytes.Clone(five)
		copy(d[at:], b)
		return d
	}
	for _, tt := range []struct {
		name string
		file []byte
		want string
	}{
		{"nothing", nil, `offset 0: it begins with ""`},
		{"a capture", []byte("\xd4\xc3\xb2\xa1\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x00\x00\x01\x00\x00\x00"), `offset 0: it begins with "\xd4`},
		{"a header cut short", five[:20], "offset 20: header cut short: 20 of 24"},
		{"the start of the magic", five[:3], `offset 0: it begins with "tcp"`},
		{"an older version", change(8, '0', '3'), `offset 8: version "03", want "04"`},
		{"eight packets in an octet", change(20, 0, 8), "offset 20: 8 packets in an octet"},
		{"a comment longer than the file", change(22, 0, 9), "offset 24: comment cut short: 4 of 9"},
		{"an octet short", five[:len(five)-1], "offset 27: cut short: 1 of 2 octets for the 5 packets"},
		{"more packets than octets", change(12, 0x80), "cut short: 2 of"},
		{"all packets there are", change(12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), "cut short: 2 of 4611686018427387904 octets"},
		{"fewer packets than octets", change(19, 4), "offset 27: octets behind those of the 4 packets"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Read(bytes.NewReader(tt.file), "x.cache")
			if !errors.Is(err, ErrFormat) || !strings.HasPrefix(err.Error(), "x.cache: offset ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
	if _, err := Read(iotest.ErrReader(io.ErrClosedPipe), "x.cache"); !errors.Is(err, io.ErrClosedPipe) || errors.Is(err, ErrFormat) {
		t.Errorf("error %v of a reader that fails", err)
	}
	if _, err := Open(t.TempDir() + "/none"); err == nil {
		t.Error("a file that is not there was opened")
	}
	if _, err := NewCache(strings.Repeat("x", 1<<16)); err == nil {
		t.Error("a comment that does not fit")
	}
}

func TestCacheAccessAllocatesNothing(t *testing.T) {
	c, err := Read(bytes.NewReader(five), "five")
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = c.Side(3), c.Send(3) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzRead holds that what is read is written again octet for octet.
func FuzzRead(f *testing.F) {
	f.Add(five)
	f.Add(five[:24])
	f.Add(append(bytes.Clone(five), 0))
	f.Fuzz(func(t *testing.T, file []byte) {
		c, err := Read(bytes.NewReader(file), "fuzz")
		if err != nil {
			return
		}
		for i := range c.Len() {
			_, _ = c.Side(i), c.Send(i)
		}
		var again bytes.Buffer
		if err := c.Write(&again); err != nil || !bytes.Equal(again.Bytes(), file) {
			t.Fatalf("%q became %q (%v)", file, again.Bytes(), err)
		}
	})
}
