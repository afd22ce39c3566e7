// Package calibration defines a kit of fixed work that is measured on a machine, and the file that holds what came of it:
// what this machine is, what its memory and processor cost by micro-kernels, and what each engine costs by size of frame
// and cache state. Files of one kit can be compared between machines, and a later prediction of a parser's cost can start
// from them.
//
// The work is the same everywhere: seeded traffic, working sets of fixed size whatever the caches of the machine, kernels
// in integers. What can be checked is checked by digests: of the traffic, of the kernels' results, and of what each engine
// counted in one pass over the traffic.
package calibration
