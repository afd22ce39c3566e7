//go:build !race

package extract_test

const rounds = 20
