package vectorio_test

import (
	"syscall"
	"testing"
	"time"

	"pcaplab/parse/feature/vectorio"
)

const segmentVectors = 32768

func BenchmarkAppendCSV(b *testing.B) {
	vectors := realistic(b, segmentVectors)
	var out []byte
	start := cpu(b)
	for b.Loop() {
		out = out[:0]
		for i := range vectors {
			out = append(vectorio.AppendCSV(out, &vectors[i]), '\n')
		}
	}
	perVector(b, start, len(out))
}

// cpu returns the CPU time of the process: others on the machine do not count.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// perVector reports what the loop since start cost for each vector.
func perVector(b *testing.B, start time.Duration, octets int) {
	b.ReportMetric(float64(cpu(b)-start)/float64(b.N)/segmentVectors, "cpu-ns/vector")
	if octets > 0 {
		b.ReportMetric(float64(octets)/segmentVectors, "B/vector")
	}
}

func BenchmarkParquetEncode(b *testing.B) {
	vectors := realistic(b, segmentVectors)
	var enc vectorio.ParquetEncoder
	out, err := enc.Encode(nil, vectors, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	start := cpu(b)
	for b.Loop() {
		if out, err = enc.Encode(out[:0], vectors, nil); err != nil {
			b.Fatal(err)
		}
	}
	perVector(b, start, len(out))
}

func BenchmarkRoundTrip(b *testing.B) {
	vectors := realistic(b, segmentVectors)
	start := cpu(b)
	for b.Loop() {
		for i := range vectors {
			v := vectors[i]
			vectorio.RoundTrip(&v)
		}
	}
	perVector(b, start, 0)
}

func BenchmarkReadCSV(b *testing.B) {
	vectors := realistic(b, segmentVectors)
	text := vectorio.AppendHeader(nil, false)
	for i := range vectors {
		text = append(vectorio.AppendCSV(text, &vectors[i]), '\n')
	}
	benchmarkRead(b, text)
}

func BenchmarkReadParquet(b *testing.B) {
	benchmarkRead(b, join(b, realistic(b, segmentVectors), nil, segmentVectors, nil))
}

func benchmarkRead(b *testing.B, file []byte) {
	b.ReportAllocs()
	start := cpu(b)
	for b.Loop() {
		if n, err := readAll(file); err != nil || n != segmentVectors {
			b.Fatal(n, err)
		}
	}
	perVector(b, start, len(file))
}
