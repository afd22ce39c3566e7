// Package rewrite makes frames of a wanted size out of captured ones, before a trial: the same headers, flows and
// protocols at every size, so that what a size costs can be told from what a mix costs. It makes other edits of headers, and
// it moves addresses on.
//
// # Sizes
//
// Sizes are Ethernet frame sizes as RFC 2544 section 9.1 counts them: with the frame check sequence of 4 octets that
// captures do not hold. A frame of size 64 has 60 octets of data. Frames of other link types get the same number of
// octets, link header included.
//
// # What is resized
//
// Where the payload belongs to nobody but the application, it is cut or padded: TCP, UDP, ICMP and ICMPv6 echo. Padding
// repeats the payload from its start, or is zero where there is none. The IPv4 total length, IPv6 payload length, UDP
// length and PPPoE length follow, and the checksums are computed anew, right also where the capture has them wrong
// (offload); a UDP checksum of 0 means none and stays. All else in the headers stays: link header, VLAN tags, MPLS
// labels, options, extension headers, sequence numbers. An Ethernet trailer goes.
//
// Messages that have a structure to their end are never changed: ARP, IGMP, neighbour discovery, ICMP errors, SCTP,
// GRE, LLC, unknown EtherTypes; nor are packets with a source route under way, whose checksum covers an address that
// the IP header does not hold. They reach a larger size by a trailer of zeros behind them, as Ethernet pads.
//
// A frame whose headers are longer than the size is cut to its headers. What cannot get the size otherwise is passed on
// as it is. Both are counted, with an [Outcome] for each reason. Application data is not understood:
// what follows the transport header may end early or go on too long for its protocol, so that engines that decode
// application layers meet errors that the capture did not have.
//
// # Edits
//
// An [Editor] changes headers as [Edits] say, which have the names of tcprewrite's flags: hardware and IP addresses, ports,
// tags, lengths, checksums, link headers. Sizes are the last of them.
//
// # Moved addresses
//
// A [Mover] gives the same frames other addresses in each pass over a capture, so that looping it brings new flows.
package rewrite
