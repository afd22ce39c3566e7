//go:build race

package extract_test

// rounds of runs that are killed: the race detector starts slowly.
const rounds = 2
