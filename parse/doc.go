// Package parse holds what a parser sees and says: frames, packets, five-tuples, the Parser and Stage interfaces, the
// Pipeline that joins them, and Direct, the parser of this project. It imports the standard library only.
//
// # What every engine fills
//
// Engines differ in speed, never in meaning: for a well-formed frame every engine fills the same [Packet] and adds the
// same [Counters]. The rules are those of the outermost packet:
//
//   - The walk goes link layer, then any VLAN tags, MPLS labels and PPPoE headers, then ARP, IPv4 or IPv6, then IPv6
//     extension headers, then one transport header. It stops there: what a tunnel carries (GRE, IP in IP, ESP, VXLAN) and
//     what an ICMP error quotes is payload.
//   - Of a fragmented datagram only the first fragment has a transport header. The others carry [LayerFragment], protocol
//     and addresses, no ports.
//   - Ethernet trailers are not payload: the IP length ends it. An IPv4 total length of 0 (segmentation offload) or an
//     IPv6 payload length of 0 (jumbogram) means up to the end of the frame.
package parse
