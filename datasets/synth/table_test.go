package synth

import (
	"bufio"
	"fmt"
	"io"

	"pcaplab/parse"
)

// The size histogram of writeTable is that of the first tableFrames frames with seed tableSeed.
const (
	tableFrames = 100_000
	tableSeed   = 1
)

// sizeBins are the upper ends of the size histogram's bins, in octets as captured.
var sizeBins = [...]int{60, 127, 255, 511, 1023, 1279, 1518}

// writeTable writes the definition of iot-1 as Markdown: the share of every kind of frame, and the sizes that result.
func writeTable(w io.Writer) error {
	b := bufio.NewWriter(w)
	fmt.Fprintln(b, "| Kind | Frames in 1,000 | Conversations at a time | Known by | What |")
	fmt.Fprintln(b, "|---|---:|---:|---|---|")
	frames, slots := 0, 0
	for _, k := range kinds {
		at := "as above"
		if k.slots > 0 {
			at = fmt.Sprint(k.slots)
		}
		fmt.Fprintf(b, "| %s | %d | %s | %s | %s |\n", k.name, k.share, at, k.sign, k.doc)
		frames += k.share
		slots += k.slots
	}
	fmt.Fprintf(b, "| all | %d | %d | | |\n\n", frames, slots)

	var counts [len(sizeBins)]int
	octets := 0
	m := newMix(tableSeed)
	var f parse.Frame
	for range tableFrames {
		m.next(&f)
		octets += len(f.Data)
		i := 0
		for len(f.Data) > sizeBins[i] {
			i++
		}
		counts[i]++
	}
	fmt.Fprintf(b, "Sizes as captured, without FCS, of the first %d frames with seed %d: %d octets in all, mean %s B.\n\n",
		tableFrames, tableSeed, octets, tenths(octets, tableFrames))
	fmt.Fprintln(b, "| Octets | Frames in 1,000 |")
	fmt.Fprintln(b, "|---|---:|")
	from := 60
	for i, to := range sizeBins {
		span := fmt.Sprintf("%d to %d", from, to)
		if from == to {
			span = fmt.Sprint(to)
		}
		fmt.Fprintf(b, "| %s | %s |\n", span, tenths(counts[i]*1000, tableFrames))
		from = to + 1
	}
	return b.Flush()
}

// tenths returns a/b to one decimal, rounded.
func tenths(a, b int) string {
	t := (a*10 + b/2) / b
	return fmt.Sprintf("%d.%d", t/10, t%10)
}
