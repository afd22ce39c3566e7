package fetch

// SetFree makes the disk look as if it had so much room, and returns what undoes that.
func SetFree(octets int64) (undo func()) {
	freeOctets = func(string) (int64, error) { return octets, nil }
	return func() { freeOctets = Free }
}

var (
	ContentRange = contentRange
	WrongHead    = wrongHead
	RetryAfter   = retryAfter
)
