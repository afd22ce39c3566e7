// Package split says of each frame of a capture which of two sides sent it, and keeps that in a file, so that a replay
// can send the two sides out of two interfaces.
//
// # The file
//
// A [Cache] is the file that tcpprep writes and tcpreplay and tcprewrite read, version 04. Numbers are big-endian:
//
//	offset 0   "tcpprep\0"
//	       8   "04\0\0"
//	      12   number of packets, 64 bits
//	      20   packets in an octet, 16 bits: 4
//	      22   length of the comment, 16 bits
//	      24   the comment; then two bits for each packet, the first packet in the lowest bits of the first octet
//
// The lower bit is 1 for the first interface and 0 for the second, the upper one is 1 for frames that are sent. Both are 0 for
// frames that are not.
//
// # The sides
//
// [Client] is the first interface (-i), [Server] the second (-I). How frames are told apart is a mode:
//
//   - first: a host is a client if it is first seen as a source, else a server. One pass.
//   - client, server, bridge, router: hosts are judged by what they send, which takes a pass of [Splitter.Learn] before. Evidence
//     of a client is a TCP segment with SYN and a UDP datagram to port 53; of a server one with SYN and ACK, a UDP
//     datagram from port 53, and an ICMP port unreachable. FIN and RST make SYN no evidence; tcpprep takes it only if no
//     other flag is set, so not if congestion notification is offered. With s of a server and c of a client a host is a server if
//     s >= Ratio * c. Hosts without evidence are clients in mode client, and servers in server and bridge. In mode router
//     they are servers if a known server is in their network, of the longest prefix from MinMask to MaxMask in which any host is
//     known, else clients.
//   - cidr, regex, mac: frames whose source matches are on the client's side, others on the server's. (tcpprep's manual calls
//     matching sources servers; its file has them on the first interface.) Reverse exchanges the two.
//   - port: frames to a server port are on the client's side, others on the server's.
//
// Frames without an IP header, ARP too, are on the side of NonIP, the server's by default, but in mode mac. In mode port frames
// without a TCP or UDP header are so too. The IP header is the outermost one, behind VLAN tags, MPLS labels and PPPoE.
package split
