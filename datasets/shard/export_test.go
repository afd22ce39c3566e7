package shard

// ParseAfter is ParseRecord of text by a reader that has read another record before.
func ParseAfter(before, text []byte) (*Record, error) {
	var r recordReader
	if _, err := r.parse(before); err != nil {
		return nil, err
	}
	return r.parse(text)
}
