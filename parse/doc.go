// Package parse holds what a parser sees and says: frames, packets, five-tuples, the Parser and Stage interfaces, the
// Pipeline that joins them, and Direct, the parser of this project. It imports the standard library only.
//
// # What every engine fills
//
// Engines differ in speed, never in meaning: for a well-formed frame every engine fills the same [Packet] and adds
// the same [Counters]. The rules are those of the outermost packet:
//
//   - The walk goes link layer, then any VLAN tags, then LLC with SNAP, MPLS labels or a PPPoE session header with
//     its PPP protocol number, then ARP, IPv4 or IPv6, then IPv6 extension headers, then one transport header. It
//     stops there: what a tunnel carries (GRE, IP in IP, ESP, VXLAN, an MPLS pseudowire) and what an ICMP error
//     quotes is payload.
//   - A protocol that is none of these ends the walk without error: the rest is payload.
//   - Of a fragmented datagram only the first fragment has a transport header. The others carry [LayerFragmentRest],
//     protocol and addresses, no ports.
//   - Ethernet trailers are not payload: the IP length ends it, as do an 802.3 length, a PPPoE length, and a UDP
//     length shorter than what IP carries. ARP has no payload. An IPv4 total length of 0 (segmentation offload) or an
//     IPv6 payload length of 0 (jumbogram) means up to the end of the frame; so does a UDP length of 0. With "no next
//     header" (59) a payload length of 0 is just that.
//
// # Header by header
//
//   - Ethernet: 14 octets. A type below 0x600, also after VLAN tags, is an 802.3 length: LLC follows.
//   - LLC: 3 octets, 4 unless the control field is unnumbered. After AA AA 03 come 5 octets of SNAP; where its OUI is
//     000000 or 0000f8 and its type is IPv4, IPv6 or ARP the walk goes on.
//   - Null and loop: a family of 4 octets in either byte order for both link types; 2 is IPv4, 10, 23, 24, 28 and 30
//     are IPv6. SLL: 16 octets, SLL2: 20; protocol 4 is LLC, EtherTypes below 0x600 end the walk.
//   - Raw IP (12, 14, 101) goes by the version. 228 and 229 are IPv4 and IPv6 only.
//   - PPP in PPPoE: a protocol number of 2 octets, or 1 where compressed; IPv4, IPv6 and MPLS go on.
//   - MPLS: after the bottom of the stack, a first nibble of 4 or 6 is IP; all else is payload.
//   - IPv6 extension headers: hop-by-hop, routing, fragment, destination options, authentication (RFC 4302), in any
//     order and number. The authentication header is stepped over after IPv4 too.
//   - TCP: with its options, by the data offset. UDP: 8 octets. SCTP: the common header, 12. ICMP: 8. ICMPv6: 4.
//     IGMP: 8. ESP: 8. GRE: 4, and 4 for each of checksum or routing, key, sequence number, and acknowledgement
//     number in version 1.
//
// # Malformed, truncated, or neither
//
// A header that does not fit before the end of the captured octets is truncated where the capture cut the frame
// (WireLen > len(Data)): Packet.Truncated, no error. It is [ErrMalformed] where the capture did not, or where the
// header would pass an end that an outer length field sets inside the captured octets. The first fragment of a
// datagram must hold the whole transport header.
//
// These are malformed as well: a version that is not that of the protocol number, link type or family before it (or
// neither 4 nor 6 in raw IP); an IPv4 header length below 20; an IPv4 total length, other than 0, below the header
// length; a TCP data offset below 20 octets; a UDP length of 1 to 7; an authentication header shorter than 12 octets.
//
// A length field that reaches past the captured octets is no fault, whether or not the capture cut the frame: the
// payload ends where the octets end. Checksums are not looked at.
package parse
