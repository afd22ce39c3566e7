//go:build !race

package report

const dotsPerInch = 300 // what print asks for
