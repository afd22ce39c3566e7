// Package kernel times small loops that each do one kind of work: what the memory, the branch predictors, the arithmetic
// units, the allocator and the kernel of a machine cost, for predicting what a parser will cost on it.
//
// A round of a kernel does the same work on every machine and architecture, in integers from fixed seeds, and ends in a
// checksum that is part of the kernel: a machine that computes another one is at fault, and [Run] says so. Only the number
// of rounds depends on how fast the machine is.
//
// How each number comes about: the goroutine is locked to its thread; memory is mapped apart from the Go heap in pages of
// the system's base size (on Linux), filled, and gone through once in an untimed round. Then rounds follow, each timed
// from its begin to its end on the monotonic clock, until the budget is used up, at least [MinRounds]. A round's time over
// its operations is ns per operation; reported are the least and the median of the rounds. All but the kernel "alloc"
// allocate nothing.
package kernel
