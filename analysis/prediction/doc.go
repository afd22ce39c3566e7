// Package prediction says what is known of a parser's cost on a board where it was not measured, as a bracket and never as
// a number: what was measured here, or instructions that were counted, carried to the board by a method that is named.
//
// The methods, from narrow to wide: cells of the board's own calibration; the ratio of two calibrations, here and there, of
// the same engine; ratios of micro-kernels, for what the kit does not measure; instructions per packet times cycles per
// instruction over the clock; and, for sniffers written in Python, the rows that a study published of a Raspberry Pi 3B.
//
// All numbers that make a bracket wide or narrow are in brackets.go, each with its reason. They were written down before
// anything was compared with a measurement, and are not changed by one: METHOD.md lists the misses.
package prediction
