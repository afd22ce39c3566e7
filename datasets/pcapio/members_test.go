package pcapio

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestWhatLiesBehindAGzipStream(t *testing.T) {
	content := write(t, WriterConfig{}, someFrames(3, 20, 1))
	whole := gzipped(t, content)
	for name, behind := range map[string]string{"text": "and some text behind the capture", "little": "\n", "zeros": "\x00\x00\x00\x00"} {
		got, _, err := readAll(t, Config{}, slices.Concat(whole, []byte(behind)))
		if len(got) != 20 || !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "behind its end") || strings.Contains(err.Error(), "cut short") {
			t.Errorf("%s: %d frames, %v", name, len(got), err)
		}
	}
	if got, _, err := readAll(t, Config{}, slices.Concat(whole, gzipped(t, nil), gzipped(t, nil))); len(got) != 20 || err != nil {
		t.Errorf("empty members: %d frames, %v", len(got), err)
	}
	if _, _, err := readAll(t, Config{}, slices.Concat(whole, whole[:3])); !errors.Is(err, ErrTruncated) {
		t.Errorf("a cut second member: %v", err)
	}
}
