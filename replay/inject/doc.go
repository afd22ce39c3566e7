// Package inject puts frames on an interface at a controlled rate, as tcpreplay does, and counts what became of each.
//
// # Sending
//
// [Open] binds a [Socket] to an interface of the calling thread's network namespace. Frames leave through one of four
// backends: one system call a frame (sendto), one for many (sendmmsg), a ring that the kernel reads (txring), or AF_XDP in
// copy mode (xdp), whose frames pass neither queueing discipline nor the taps of the sending host. auto takes the first of
// xdp, sendmmsg and sendto that the interface accepts.
//
// # Pacing
//
// [Run] sends each frame of a [replay.Source] when a [replay.Pacer] says. Due times are absolute: they come from sequence number,
// octets or capture time by one rounding, and a late frame moves none of those behind it. Frames that are due together leave in
// one batch. Between them the thread sleeps until shortly before the next is due, and spins for the rest; see [Spin].
//
// # Counts
//
//	Frames + Pieces = Sent + Failed + Dropped + Runt + Skipped + Unsent
//
// where Pieces are the frames more that came of cutting oversize ones. What the interface itself counted stands beside them.
package inject
