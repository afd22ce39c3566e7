// Package comparison compares two studies cell by cell: the change of each metric with its interval and the p-value of the
// Mann-Whitney test, the change of the geometric mean over cells, and which conditions on changes are true. It knows results,
// not how they came to be: whether the runs of the two were interleaved is told to it.
package comparison
