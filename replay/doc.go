// Package replay feeds frames to a sink at a controlled load and counts what is lost.
//
// A [Feed] pulls frames from a [Source] on the goroutine, and so on the processor time, of the [Sink] that is measured.
// A [Pacer] says when each frame is due. Frames that are due before the sink can take them wait in a virtual queue, and are
// dropped when it is full, exactly as in a tail-drop queue in front of one server. A [Clock] says how time passes. The
// [Result] holds counts, for which always
//
//	Intended = Offered + Unsent
//	Offered  = Delivered + Dropped + Residual
//
// [Ring] is the same trial with a real queue between two threads, to check the virtual one.
package replay
