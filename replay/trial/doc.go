// Package trial measures parsers: one trial at one load (a [Runner], or a [Child] process of the same binary), and
// studies that search the ceilings of many engines, with repeats, records and resumption ([Study]).
//
// A study goes cell by cell: a cell is an engine at a frame size, a cache state and a number of workers. Each repeat of a
// cell runs in a fresh process that inherits the frames, so that memory, collector and caches are the engine's own.
// Every trial leaves a [Record]; a record holds all settings and counts of its trial, and no ratios.
package trial
