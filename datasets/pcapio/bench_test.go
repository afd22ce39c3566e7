package pcapio

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"pcaplab/parse"
)

// ipv4TCP returns a well-formed Ethernet, IPv4, TCP frame of n octets, n at least 54.
func ipv4TCP(rnd *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	copy(b[12:], []byte{8, 0, 0x45, 0})
	binary.BigEndian.PutUint16(b[16:], uint16(n-14))
	copy(b[20:], []byte{0, 0, 64, 6})
	binary.BigEndian.PutUint32(b[26:], rnd.Uint32())
	binary.BigEndian.PutUint32(b[30:], rnd.Uint32())
	binary.BigEndian.PutUint32(b[34:], rnd.Uint32())
	b[46], b[47] = 0x50, 0x10
	return b
}

// benchMix names mixes of frame sizes: iot is mostly small with some full frames, a mean of about 400 octets.
var benchMix = []struct {
	name  string
	sizes []int
}{
	{"iot", []int{60, 60, 66, 74, 90, 120, 180, 250, 590, 1514, 1514, 342}},
	{"syn60", []int{60}},
}

// benchCapture returns a capture of about 100 MB.
func benchCapture(b *testing.B, container string, sizes []int) (content []byte, frames int) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var out bytes.Buffer
	out.Grow(105 << 20)
	w, err := NewWriter(&out, WriterConfig{Container: container})
	if err != nil {
		b.Fatal(err)
	}
	var pool [][]byte
	for range 997 {
		pool = append(pool, ipv4TCP(rnd, sizes[rnd.IntN(len(sizes))]))
	}
	for out.Len() < 100e6 {
		data := pool[frames%len(pool)]
		f := parse.Frame{UnixNano: int64(frames) * 20e3, Data: data, WireLen: len(data), Link: parse.LinkEthernet}
		if err := w.WriteFrame(&f); err != nil {
			b.Fatal(err)
		}
		frames++
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	return out.Bytes(), frames
}

// walkers read a capture to its end and return the number of frames.
var walkers = []struct {
	name string
	walk func(src io.Reader, container string) (int, error)
}{
	{"ours", func(src io.Reader, _ string) (int, error) {
		return walkOurs(src, func(*parse.Frame) error { return nil })
	}},
	{"ours+direct", func(src io.Reader, _ string) (int, error) {
		return walkOurs(src, parse.NewPipeline(parse.DirectEngine()).WriteFrame)
	}},
}

func walkOurs(src io.Reader, sink func(*parse.Frame) error) (int, error) {
	r, err := NewReader(src, "bench")
	if err != nil {
		return 0, err
	}
	var f parse.Frame
	for {
		if err := r.Next(&f); err == io.EOF {
			return int(r.Packets()), nil
		} else if err != nil {
			return 0, err
		}
		if err := sink(&f); err != nil {
			return 0, err
		}
	}
}

// BenchmarkRead walks a capture of 100 MB, alone and with the direct parser behind it. "memory" reads from a
// bytes.Reader, "file" from a file in the page cache.
func BenchmarkRead(b *testing.B) {
	for _, container := range []string{Pcap, PcapNG} {
		for _, mix := range benchMix {
			content, frames := benchCapture(b, container, mix.sizes)
			path := filepath.Join(b.TempDir(), "bench")
			if err := os.WriteFile(path, content, 0o600); err != nil {
				b.Fatal(err)
			}
			for _, from := range []string{"memory", "file"} {
				for _, w := range walkers {
					b.Run(container+"/"+mix.name+"/"+from+"/"+w.name, func(b *testing.B) {
						b.SetBytes(int64(len(content)))
						b.ReportAllocs()
						for b.Loop() {
							src := io.Reader(bytes.NewReader(content))
							if from == "file" {
								file, err := os.Open(path)
								if err != nil {
									b.Fatal(err)
								}
								defer file.Close()
								src = file
							}
							if n, err := w.walk(src, container); err != nil || n != frames {
								b.Fatalf("%d frames of %d, %v", n, frames, err)
							}
						}
						b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(frames), "ns/frame")
					})
				}
			}
		}
	}
}

// BenchmarkTcpdump runs tcpdump, which only counts and writes to /dev/null, on the files of BenchmarkRead.
func BenchmarkTcpdump(b *testing.B) {
	tcpdump, err := exec.LookPath("tcpdump")
	if err != nil {
		b.Skip("tcpdump is not installed")
	}
	for _, mix := range benchMix {
		content, frames := benchCapture(b, Pcap, mix.sizes)
		path := filepath.Join(b.TempDir(), "bench.pcap")
		if err := os.WriteFile(path, content, 0o644); err != nil {
			b.Fatal(err)
		}
		b.Run(mix.name, func(b *testing.B) {
			b.SetBytes(int64(len(content)))
			for b.Loop() {
				if out, err := exec.Command(tcpdump, "-r", path, "-w", "/dev/null").CombinedOutput(); err != nil {
					b.Fatalf("%v: %s", err, out)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(frames), "ns/frame")
		})
	}
}
