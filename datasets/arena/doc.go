// Package arena holds the frames of captures outside the Go heap, in one anonymous mapping that child processes inherit.
//
// A gigabyte of live Go heap makes the collector run a hundred times less often and so flatters every parser that
// allocates. Frames that a trial feeds must therefore not live there. An arena is written once, through a [Builder], and
// is read-only afterwards.
package arena
