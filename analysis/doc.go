// Package analysis turns measured numbers into statements: summaries of repeats with an interval that assumes no
// distribution, cost models of packets by size, and conditions that scripts assert.
//
// Errors are for numbers that cannot be worked on. What can be computed but should be doubted (too few repeats, a line
// that does not fit) comes back with Warnings beside the result.
package analysis
