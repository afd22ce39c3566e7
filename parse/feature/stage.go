package feature

import (
	"fmt"
	"strings"

	"pcaplab/parse"
)

// Kind returns the stage "features": vectors AsExtractor over windows of DefaultRows, or as its value says: WINDOW (rows or
// a time, as ParseSpan reads it), fixed (AsFixed), or fixed:WINDOW. The vectors are computed and dropped. A pipeline hands a
// stage only what its engine accepted, so frames that are malformed or unsupported there give no row and have no outcome here.
func Kind() parse.StageKind {
	set := func(value string) (func() (parse.Stage, error), error) {
		cfg, err := parseStage(value)
		if err != nil {
			return nil, err
		}
		return cfg.stage, nil
	}
	return parse.StageKind{
		Name: "features",
		Doc:  "39 CIC-IoT-2023 columns per window of 10 rows (features=100, =1s: other windows; =fixed, =fixed:100: faults mended)",
		New:  Config{}.stage,
		Set:  set,
	}
}

func (cfg Config) stage() (parse.Stage, error) {
	x, err := New(cfg)
	if err != nil {
		return nil, err
	}
	return x, nil
}

// parseStage reads the value of the stage.
func parseStage(value string) (Config, error) {
	var cfg Config
	window := value
	if name, rest, more := strings.Cut(value, ":"); name == AsFixed.String() {
		cfg.As = AsFixed
		if !more {
			return cfg, nil
		}
		window = rest
	}
	var err error
	if cfg.Span, err = ParseSpan(window); err != nil {
		return Config{}, fmt.Errorf("%w (a value is a window, fixed, or fixed:WINDOW)", err)
	}
	return cfg, nil
}
