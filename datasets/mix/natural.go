package mix

import (
	"slices"

	"pcaplab/datasets"
)

// SortNatural sorts paths so that the pieces of a capture stand as they were made, as [datasets.Natural] orders them.
func SortNatural(paths []string) { slices.SortStableFunc(paths, datasets.Natural) }
