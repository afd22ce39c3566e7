package feature

import "slices"

// NumColumns is the number of feature columns.
const NumColumns = 39

// Indices into Vector.Values and Columns.
const (
	HeaderLength = iota
	ProtocolType
	TimeToLive
	Rate
	FinFlag
	SynFlag
	RstFlag
	PshFlag
	AckFlag
	EceFlag
	CwrFlag
	AckCount
	SynCount
	FinCount
	RstCount
	HTTP
	HTTPS
	DNS
	Telnet
	SMTP
	SSH
	IRC
	TCP
	UDP
	DHCP
	ARP
	ICMP
	IGMP
	IPv
	LLC
	TotSum
	Min
	Max
	Avg
	Std
	TotSize
	IAT
	Number
	Variance
)

// columns are spelled as in the dataset's CSV files.
var columns = [NumColumns]string{
	"Header_Length", "Protocol Type", "Time_To_Live", "Rate", "fin_flag_number", "syn_flag_number", "rst_flag_number",
	"psh_flag_number", "ack_flag_number", "ece_flag_number", "cwr_flag_number", "ack_count", "syn_count", "fin_count",
	"rst_count", "HTTP", "HTTPS", "DNS", "Telnet", "SMTP", "SSH", "IRC", "TCP", "UDP", "DHCP", "ARP", "ICMP", "IGMP",
	"IPv", "LLC", "Tot sum", "Min", "Max", "AVG", "Std", "Tot size", "IAT", "Number", "Variance",
}

// Columns returns the names of the columns in the dataset's order and spelling.
func Columns() []string { return slices.Clone(columns[:]) }

// Whole reports whether a column holds whole numbers, and is written without a decimal point: the protocol, the flag
// counts, the sum, least and greatest of sizes, and the number of rows.
func Whole(column int) bool {
	switch column {
	case ProtocolType, AckCount, SynCount, FinCount, RstCount, TotSum, Min, Max, Number:
		return true
	}
	return false
}

// Vector is what a window of rows is summarised to.
type Vector struct {
	// Values are the columns in order. Std and Variance of a single row are NaN, the Rate of rows without a time between
	// them is +Inf, NaN with AsFixed.
	Values [NumColumns]float64
	// RateNano, if above 0, says that the scripts computed Rate in decimal arithmetic, as Number over so many ns: they
	// print 28 digits. Values[Rate] is then the nearest float64.
	RateNano int64
	// AttackRows is the number of rows from or to an address of DecoderConfig.Attackers.
	AttackRows int
}
