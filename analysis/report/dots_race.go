//go:build race

package report

const dotsPerInch = 50 // drawing 300 takes a hundred times as long under the race detector, in the tests of every folder
