// Package gopkt wraps google/gopacket v1.1.19 as engines: NewPacket in four modes and the DecodingLayerParser.
// Package gopkt/fork has the same engines on the maintained fork; its files are generated from those of this package,
// so that the two differ in the library and in nothing else.
//
// An engine decodes as a user of the library would, with the library's defaults, and then reads the outermost headers
// out of what it decoded into a [parse.Packet]. What the library decodes beyond them (the application layer, what a
// tunnel carries) is work that its users pay for, and so does the engine, but it is not looked at.
//
// # Where the library's word is not taken
//
//   - The library never decodes the transport header of a first fragment. The adapter does, with the library's own
//     decoders, because a five-tuple without ports is of no use.
//   - A frame is malformed when the library fails before the end of the outermost transport header. Failures behind it,
//     for example in a DNS message, are not the frame's.
//   - A panic in a decoder makes the frame malformed.
package gopkt

//go:generate go run gen.go
