package fetch

// freeOctets is set by tests.
var freeOctets = Free
