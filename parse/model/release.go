package model

import (
	"slices"

	"pcaplab/parse/feature"
)

// older are the columns of CIC-IoT-2023's tables of 2023, spelled as they are. The newer tables have feature.Columns.
var older = []string{
	"flow_duration", "Header_Length", "Protocol Type", "Duration", "Rate", "Srate", "Drate", "fin_flag_number", "syn_flag_number",
	"rst_flag_number", "psh_flag_number", "ack_flag_number", "ece_flag_number", "cwr_flag_number", "ack_count", "syn_count",
	"fin_count", "urg_count", "rst_count", "HTTP", "HTTPS", "DNS", "Telnet", "SMTP", "SSH", "IRC", "TCP", "UDP", "DHCP", "ARP",
	"ICMP", "IPv", "LLC", "Tot sum", "Min", "Max", "AVG", "Std", "Tot size", "IAT", "Number", "Magnitue", "Radius", "Covariance",
	"Variance", "Weight",
}

// releaseOf says which tables of CIC-IoT-2023 have so many columns, if any.
func releaseOf(columns int) string {
	switch columns {
	case feature.NumColumns:
		return "the newer release"
	case len(older):
		return "the release of 2023"
	}
	return ""
}

// releaseDifference returns what the release with so many columns has beyond those given, and those given that it has not; nil
// if no release has so many.
func releaseDifference(width int, given []string) (missing, foreign []string) {
	var release []string
	switch width {
	case feature.NumColumns:
		release = feature.Columns()
	case len(older):
		release = older
	default:
		return nil, nil
	}
	for _, c := range release {
		if !slices.Contains(given, c) {
			missing = append(missing, c)
		}
	}
	for _, c := range given {
		if !slices.Contains(release, c) {
			foreign = append(foreign, c)
		}
	}
	return missing, foreign
}
