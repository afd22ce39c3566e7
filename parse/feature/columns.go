package feature

// WindowLengthColumns returns the columns that are counts or sums over the rows of a window, as indices in order: Number, which is its length,
// and Tot sum, ack_count, syn_count, fin_count and rst_count, which grow with it. In the published tables of CIC-IoT-2023 a window has 10
// rows or 100 by its class, so these columns tell classes apart that a live extractor, whose windows are all alike, cannot. The other
// columns are means, shares and extremes; METHOD.md says how those still depend on the length (Rate by the factor n/(n-1), Min and Max by
// chance).
func WindowLengthColumns() []int {
	return []int{AckCount, SynCount, FinCount, RstCount, TotSum, Number}
}
