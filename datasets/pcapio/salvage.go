package pcapio

// Loss is a part of a stream that Salvage skipped.
type Loss struct {
	From    int64  `json:"from"`  // offset of the first octet lost, in the stream after decompression
	To      int64  `json:"to"`    // offset of the first octet after the loss; -1 where the stream broke and the rest is unknown
	After   uint64 `json:"after"` // frames delivered before it
	Resumed bool   `json:"resumed"`
	Err     error  `json:"-"` // the damage at From
}

// damage ends reading at pos with err.
func (r *Reader) damage(err error) error {
	return r.fail(r.base+int64(r.pos), err)
}
