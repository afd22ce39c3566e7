// Package synth makes traffic from a seed: the same profile and seed give the same octets and times on every
// architecture, because everything is computed in integers.
//
// Frames are as a capture holds them: without the frame check sequence, padded to 60 octets where Ethernet pads. All
// addresses come from ranges for documentation, benchmarking and private use (RFC 5737, RFC 2544, RFC 1918, RFC 3849)
// and all names end in .example or .local, except the sources of syn-60, which are random as a spoofing flood's are.
//
// A [Stream] is what iperf3 or netwox puts on the wire at a rate, with their control traffic and their timing. Its short
// frames are not padded, as a capture at the sender sees them, and on loopback its addresses are 127.0.0.1.
//
// [CIC] is a class of the dataset CIC-IoT-2023: its frames are made here, from what public analyses say of the captures. MAC addresses
// are those of the lab's attackers and victims, and inside Mirai's tunnels and in their datagrams any address and port occurs.
package synth
