package quality

import (
	"testing"

	"pcaplab/parse"
)

// Allocs counts the allocations of a thousand frames between feed and model.
func Allocs(cfg *Config, t *Traffic) (float64, error) {
	j, err := newJudge(cfg, t)
	if err != nil {
		return 0, err
	}
	j.source = t.Frames.Source(0, t.Frames.Len(), 0, false)
	var f parse.Frame
	return testing.AllocsPerRun(5, func() {
		for range 1000 {
			if err == nil {
				err = j.Next(&f)
			}
			if err == nil {
				err = j.WriteFrame(&f)
			}
		}
	}), err
}
