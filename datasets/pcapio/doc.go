// Package pcapio reads and writes captures: classic pcap and pcapng, plain or compressed with gzip or zstd.
//
// # Reading
//
// What a stream holds is found by its content, never by a name. Records are walked in place inside blocks of the
// stream: no frame is copied and nothing is allocated per frame. A [Reader] needs only io.Reader, so files, pipes and
// standard input are the same to it.
//
// # Damage
//
// A reader delivers every frame before the damage, then a [FormatError] with the offset and the number of the record.
// It never trusts a length for an allocation: its buffer grows only as octets arrive. With [Config].Salvage it goes on
// behind the damage where the records after it confirm each other, and lists what was lost as [Loss].
//
// What a record may say and still be delivered is counted in [Faults]: a captured length above the wire length or above
// the snaplen, an empty record, a sub-second part of a second or more, a time that does not fit, no time at all.
//
// # Times
//
// Times are ns since 1970-01-01 UTC. Seconds of classic pcap are unsigned (until 2106), and a sub-second part of a
// second or more is carried into the seconds. A pcapng time in units finer than a nanosecond or in powers of two is
// rounded down. What does not fit an int64 becomes the nearest int64 and is counted. A simple packet block has no time:
// its frame takes the time of the frame before it (0 if there is none), and Reader.Timed reports false.
package pcapio
