package validation

import (
	"math/rand/v2"

	"pcaplab/parse/feature"
)

// maxDonors is how many rows lend their values at most: 12 MiB.
const maxDonors = 1 << 18

// donors hide columns from a model: each row gets their values from another row, all from the same. How often which values occur stays as it
// was; what they tell of the row's class goes. Up to maxDonors rows, their values are permuted, so that each is used once. Of more rows
// a sample lends them, to a row as often as chance has it.
type donors struct {
	limit   uint64 // maxDonors
	columns []int  // that can be hidden
	seed    uint64
	random  *rand.Rand
	rows    uint64
	values  []float64 // of the donors, one behind the other
	order   []uint32  // nil: by chance
}

// lengthColumns are those that the length of a window shows in.
func lengthColumns() []int { return feature.WindowLengthColumns() }

func newDonors(seed uint64) *donors {
	return &donors{limit: maxDonors, columns: lengthColumns(), seed: seed, random: rand.New(rand.NewPCG(seed, 0x646f6e6f7273))}
}

// add takes the next row of the first pass.
func (d *donors) add(values *[feature.NumColumns]float64) {
	d.rows++
	at := d.rows - 1
	if at >= d.limit {
		if at = d.random.Uint64N(d.rows); at >= d.limit {
			return
		}
	} else {
		d.values = append(d.values, make([]float64, len(d.columns))...)
	}
	for i, c := range d.columns {
		d.values[int(at)*len(d.columns)+i] = values[c]
	}
}

// ready ends the first pass.
func (d *donors) ready() {
	if d.rows > d.limit {
		return
	}
	d.order = make([]uint32, d.rows)
	for i := range d.order {
		d.order[i] = uint32(i)
	}
	d.random.Shuffle(len(d.order), func(i, j int) { d.order[i], d.order[j] = d.order[j], d.order[i] })
}

// put gives row at, counted from 0 in the order of the first pass, the donor's values of columns, each one of d.columns. It changes nothing
// of d.
func (d *donors) put(at uint64, columns []int, values *[feature.NumColumns]float64) {
	donor := 0
	if d.order != nil {
		donor = int(d.order[at])
	} else {
		donor = int(mix(d.seed+at*0x9e3779b97f4a7c15) % d.limit)
	}
	lent := d.values[donor*len(d.columns):]
	for _, c := range columns {
		for i, known := range d.columns {
			if known == c {
				values[c] = lent[i]
			}
		}
	}
}

// mix is the output function of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
