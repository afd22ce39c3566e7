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
		for _, ng := range []bool{false, true} {
			stored := whole
			if ng {
				stored = gzipped(t, write(t, WriterConfig{Container: PcapNG}, someFrames(3, 20, 1)))
			}
			got, r, err := readAll(t, Config{Salvage: true}, slices.Concat(stored, []byte(behind)))
			if f := r.Facts(); len(got) != 20 || err != nil || f.Losses != 0 || len(r.Losses()) != 0 || f.Faults != (Faults{Behind: 1}) ||
				!strings.Contains(r.Behind(), "cut them off") {
				t.Errorf("%s, salvaged: %d frames, %v, %+v", name, len(got), err, f)
			}
		}
		// What is cut inside is a loss with an end.
		short := gzipped(t, content[:len(content)-3])
		got, r, err := readAll(t, Config{Salvage: true}, slices.Concat(short, []byte(behind)))
		if l := r.Losses(); len(got) != 19 || err != nil || len(l) != 1 || l[0].To != int64(len(content)-3) || r.Behind() == "" {
			t.Errorf("%s, cut and salvaged: %d frames, %v, %v", name, len(got), err, l)
		}
	}
	if got, _, err := readAll(t, Config{}, slices.Concat(whole, gzipped(t, nil), gzipped(t, nil))); len(got) != 20 || err != nil {
		t.Errorf("empty members: %d frames, %v", len(got), err)
	}
	if _, _, err := readAll(t, Config{}, slices.Concat(whole, whole[:3])); !errors.Is(err, ErrTruncated) {
		t.Errorf("a cut second member: %v", err)
	}
}
