//go:build race

package trial_test

// raced says that memory figures are those of the race detector.
const raced = true
