package feature_test

import (
	"testing"

	"pcaplab/parse"
	"pcaplab/parse/feature"
)

// FuzzDecoder feeds any octets: nothing panics, and what comes out fits what went in.
func FuzzDecoder(f *testing.F) {
	for _, c := range outcomes {
		f.Add(c.data, int64(1e18))
	}
	for _, n := range nests {
		f.Add(n.top(n.wrap(n.wrap(n.leaf))), int64(1))
	}
	direct, err := parse.DirectEngine().New(parse.LinkEthernet)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte, nano int64) {
		frame := frameOf(nano, data)
		var p parse.Packet
		found := &p
		if direct.Parse(&frame, &p) != nil {
			found = nil
		}
		for _, as := range []feature.As{feature.AsExtractor, feature.AsPipeline, feature.AsFixed} {
			dec := feature.NewDecoder(feature.DecoderConfig{As: as})
			var r, again feature.Row
			o, newPiece := dec.Decode(&frame, found, &r)
			if counts := dec.Counters(); counts[o] != 1 || counts.Frames() != 1 || newPiece {
				t.Fatalf("as %v: %q, counts %v", as, o, counts)
			}
			if as != feature.AsFixed && ends(data) != (o == feature.Fault) {
				t.Fatalf("as %v: %q", as, o)
			}
			if as == feature.AsFixed && (o == feature.MadeRow) != (found != nil) {
				t.Fatalf("as %v: %q, the engine accepted: %v", as, o, found != nil)
			}
			if o != feature.MadeRow {
				continue
			}
			if r.Size != uint32(len(data)) || int(r.HeaderLen) > len(data) || r.HeaderLen > 60 || r.Gap != 0 || r.IAT != 0 {
				t.Fatalf("as %v, %d octets: row %+v", as, len(data), r)
			}
			if len(data) < 14 && as != feature.AsFixed {
				t.Fatalf("as %v: a row of %d octets", as, len(data))
			}
			if o2, _ := feature.NewDecoder(feature.DecoderConfig{As: as}).Decode(&frame, found, &again); o2 != o || again != r {
				t.Fatalf("as %v: %+v, then %+v", as, r, again)
			}
			w, err := feature.NewWindow(as, feature.Span{}, false)
			if err != nil {
				t.Fatal(err)
			}
			var v feature.Vector
			for range 3 {
				w.Add(&r)
			}
			w.Close(&v)
			if x := v.Values; x[feature.Number] != 3 || x[feature.TotSum] != float64(3*len(data)) || x[feature.Variance] != 0 {
				t.Fatalf("as %v: %v", as, x)
			}
			if as != feature.AsFixed {
				checkInvariants(t, &v)
			}
		}
	})
}
