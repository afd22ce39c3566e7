package pcapio

import "pcaplab/parse"

type ngInterface struct{ Interface }

func (r *Reader) openNG() error                  { return r.headerError(unknown("pcapng is not read yet")) }
func (r *Reader) nextBlock(f *parse.Frame) error { return r.err }

// Resolution is a time resolution as if_tsresol has it.
type Resolution uint8
