package parse

// Decode is the long way of Direct.Parse, for comparison with the straight one.
var Decode = decode
