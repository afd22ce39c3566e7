// Package mix makes one labelled capture of several classes of traffic, and small captures of large ones.
//
// [File] and [Stream] merge classes by time or interleave them by shares; [Sample] takes a part of each class. A class is one or more
// captures, read one after another. Every packet keeps its octets and the order of its class: nothing is lost, doubled or reordered, and
// what is left out, moved in time or damaged is counted in the [Summary]. Beside the capture goes its truth, as package truth has it: the class and
// the origin of every packet.
//
// One packet of each class is held at a time, and nothing is allocated per packet. The same inputs and seed give the same octets on every
// machine.
package mix
