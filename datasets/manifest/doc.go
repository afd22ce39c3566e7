// Package manifest records what a folder of captures holds, and checks it again later.
//
// [Scan] streams once over every capture of a folder, plain or compressed, on all processors: counts, times, faults, the SHA-256, and
// an index of places to begin reading at. [Manifest.Report] compares what was found with what CIC-IoT-2023 has. [Verify] says
// what has changed since. [File.Open] reads a capture from a place in its index.
package manifest
