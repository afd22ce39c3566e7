// Package fetch loads a file over HTTP so that it is either the right one or not there.
//
// What has come is kept in a hidden file beside the target, .NAME.part, with a note of which version of which file it is,
// .NAME.part.json. A later call goes on from there if the server can, and says that it is still the same version (If-Range);
// if it sends all again, what is there is compared with what comes and only the rest is written. A prefix is never continued
// on trust: without a version or a SHA-256 it is compared, or loaded again.
//
// The target appears when all has come: its size is what the server said and what the caller knows, its first octets are what
// its name promises, and its SHA-256 is the one that is known, or else the caller's own check passes. It is on the disk
// before it has its name. A whole file whose check fails is kept unnamed, and named if the caller wants it all the same.
//
// Connections that break, stall or are refused for a while are tried again, later each time, for as long as that brings
// something. What will not change by itself ends the call.
package fetch
