// Package datasets opens captures, loads them into memory outside the Go heap, and tells what they hold.
//
// [Open] gives one capture as a source of frames. [Load] puts captures one after another into an arena, so that the
// disk and decompression stay outside a trial. [Inspect] makes one pass and fills an [Info].
package datasets
