package pcapio

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
	"strconv"
)

// Loss is a part of a stream that Salvage skipped.
type Loss struct {
	From    int64  `json:"from"`    // offset of the first octet lost, in the stream after decompression
	To      int64  `json:"to"`      // offset of the first octet after it; -1 if the stream broke: how much is unknown
	After   uint64 `json:"after"`   // frames delivered before it
	Resumed bool   `json:"resumed"` // false: reading ended here
	Cause   string `json:"cause"`   // the damage at From
}

// String says in one line what was lost; the second offset is that of the first octet after the loss.
func (l Loss) String() string {
	to := "an unknown end"
	if l.To >= 0 {
		to = strconv.FormatInt(l.To, 10)
	}
	s := fmt.Sprintf("octets %d to %s lost after packet %d: %s", l.From, to, l.After, l.Cause)
	if !l.Resumed {
		s += "; reading ended there"
	}
	return s
}

const (
	// lossesKept is how many losses are listed one by one.
	lossesKept = 1000

	// recordsAgreed is how many record headers must chain before a classic pcap is trusted again.
	recordsAgreed = 4

	// blocksAgreed is how many blocks must chain before a pcapng is trusted again.
	blocksAgreed = 2

	// timeNear is how far apart, in seconds, the times of records around and behind damage may lie.
	timeNear = 86400

	// resyncFrame is the longest frame, and resyncBlock the longest block, that is believed in behind damage.
	resyncFrame = unstatedSnaplen
	resyncBlock = 1 << 20
)

// damage deals with a fault of the record or block at pos: it ends reading with an error, or, with Salvage, moves pos
// to where records agree again and returns nil, or ends reading with io.EOF if there is no such place.
func (r *Reader) damage(cause error) error {
	from := r.base + int64(r.pos)
	if !r.salvage {
		return r.fail(from, cause)
	}
	resumed, err := r.resync()
	if err != io.EOF && err != nil && r.compression == compressNone || r.in.err != nil {
		return r.fail(r.base+int64(r.end), r.streamError(err))
	}
	loss := Loss{From: from, To: r.base + int64(r.pos), After: r.packets, Resumed: resumed, Cause: cause.Error()}
	r.lostOctets += loss.To - loss.From
	if !resumed && err != io.EOF {
		loss.To = -1
	}
	if last := len(r.losses) - 1; last >= 0 && uint64(len(r.losses)) == r.lossCount && r.losses[last].To == from {
		r.losses[last].To, r.losses[last].Resumed = loss.To, resumed
	} else {
		r.lossCount++
		if len(r.losses) < lossesKept {
			r.losses = append(r.losses, loss)
		}
	}
	if !resumed {
		r.err = io.EOF
		return io.EOF
	}
	return nil
}

// resync moves pos to the next place where a chain of records or blocks begins. If there is none it moves pos to the
// end and returns the error that the stream ended with.
func (r *Reader) resync() (bool, error) {
	for {
		r.pos++
		if err := r.fill(blockMin); err != nil {
			r.pos = r.end
			return false, err
		}
		if r.ng && r.blocksChain() || !r.ng && r.recordsChain() {
			return true, nil
		}
	}
}

// recordsChain reports whether record headers follow each other from pos on: recordsAgreed of them, or fewer that end
// where the stream ends.
func (r *Reader) recordsChain() bool {
	near := int64(-1)
	if r.packets > 0 {
		near = r.lastNano / 1e9
	}
	at := 0
	for n := range recordsAgreed {
		if r.fill(at+recordHeaderLen) != nil {
			return n > 0 && r.end-r.pos == at && r.srcErr == io.EOF
		}
		rec := r.recordAt(r.pos + at)
		if rec.capLen == 0 || rec.capLen > rec.wireLen || rec.capLen > r.snaplen || rec.wireLen > resyncFrame ||
			rec.frac >= r.fracLimit {
			return false
		}
		if sec := int64(rec.sec); near >= 0 && (sec < near-timeNear || sec > near+timeNear) {
			return false
		}
		near = int64(rec.sec)
		at += recordHeaderLen + int(rec.capLen)
	}
	return true
}

// blocksChain reports whether blocks follow each other from pos on: blocksAgreed of them, or one that ends where the
// stream ends.
func (r *Reader) blocksChain() bool {
	at, swap := 0, r.swap
	for n := range blocksAgreed {
		if r.fill(at+blockMin) != nil {
			return n > 0 && r.end-r.pos == at && r.srcErr == io.EOF
		}
		b := r.buf[r.pos+at : r.pos+at+blockMin]
		word := func(b []byte) uint32 {
			v := binary.LittleEndian.Uint32(b)
			if swap {
				v = bits.ReverseBytes32(v)
			}
			return v
		}
		switch word(b) {
		case blockSHB:
			mark := binary.LittleEndian.Uint32(b[8:])
			if swap = mark == bits.ReverseBytes32(byteOrderMark); !swap && mark != byteOrderMark {
				return false
			}
		case blockIDB, blockPB, blockSPB, blockNRB, blockISB, blockEPB, blockDSB, blockCustom, blockNoCopy:
		default:
			if n == 0 {
				return false
			}
		}
		total := word(b[4:])
		if total < blockMin || total%4 != 0 || total > resyncBlock {
			return false
		}
		at += int(total)
		if r.fill(at) != nil || word(r.buf[r.pos+at-4:]) != total {
			return false
		}
	}
	return true
}
