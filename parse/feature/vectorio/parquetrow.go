package vectorio

import "pcaplab/parse/feature"

// row is a vector as a row of a Parquet file. Columns of few values have a dictionary.
type row struct {
	HeaderLength float64  `parquet:"Header_Length,dict"`
	ProtocolType int64    `parquet:"Protocol Type,dict"`
	TimeToLive   float64  `parquet:"Time_To_Live,dict"`
	Rate         *float64 `parquet:"Rate"`
	FinFlag      float64  `parquet:"fin_flag_number,dict"`
	SynFlag      float64  `parquet:"syn_flag_number,dict"`
	RstFlag      float64  `parquet:"rst_flag_number,dict"`
	PshFlag      float64  `parquet:"psh_flag_number,dict"`
	AckFlag      float64  `parquet:"ack_flag_number,dict"`
	EceFlag      float64  `parquet:"ece_flag_number,dict"`
	CwrFlag      float64  `parquet:"cwr_flag_number,dict"`
	AckCount     int64    `parquet:"ack_count,dict"`
	SynCount     int64    `parquet:"syn_count,dict"`
	FinCount     int64    `parquet:"fin_count,dict"`
	RstCount     int64    `parquet:"rst_count,dict"`
	HTTP         float64  `parquet:"HTTP,dict"`
	HTTPS        float64  `parquet:"HTTPS,dict"`
	DNS          float64  `parquet:"DNS,dict"`
	Telnet       float64  `parquet:"Telnet,dict"`
	SMTP         float64  `parquet:"SMTP,dict"`
	SSH          float64  `parquet:"SSH,dict"`
	IRC          float64  `parquet:"IRC,dict"`
	TCP          float64  `parquet:"TCP,dict"`
	UDP          float64  `parquet:"UDP,dict"`
	DHCP         float64  `parquet:"DHCP,dict"`
	ARP          float64  `parquet:"ARP,dict"`
	ICMP         float64  `parquet:"ICMP,dict"`
	IGMP         float64  `parquet:"IGMP,dict"`
	IPv          float64  `parquet:"IPv,dict"`
	LLC          float64  `parquet:"LLC,dict"`
	TotSum       int64    `parquet:"Tot sum,dict"`
	Min          int64    `parquet:"Min,dict"`
	Max          int64    `parquet:"Max,dict"`
	Avg          float64  `parquet:"AVG,dict"`
	Std          *float64 `parquet:"Std"`
	TotSize      float64  `parquet:"Tot size,dict"`
	IAT          *float64 `parquet:"IAT"`
	Number       int64    `parquet:"Number,dict"`
	Variance     *float64 `parquet:"Variance"`
}

type labelledRow struct {
	row
	Label string `parquet:"Label,dict"`
}

// set makes r the row of v, which it points into.
func (r *row) set(v *feature.Vector) {
	x := &v.Values
	*r = row{
		HeaderLength: x[feature.HeaderLength],
		ProtocolType: int64(x[feature.ProtocolType]),
		TimeToLive:   x[feature.TimeToLive],
		Rate:         present(&x[feature.Rate]),
		FinFlag:      x[feature.FinFlag],
		SynFlag:      x[feature.SynFlag],
		RstFlag:      x[feature.RstFlag],
		PshFlag:      x[feature.PshFlag],
		AckFlag:      x[feature.AckFlag],
		EceFlag:      x[feature.EceFlag],
		CwrFlag:      x[feature.CwrFlag],
		AckCount:     int64(x[feature.AckCount]),
		SynCount:     int64(x[feature.SynCount]),
		FinCount:     int64(x[feature.FinCount]),
		RstCount:     int64(x[feature.RstCount]),
		HTTP:         x[feature.HTTP],
		HTTPS:        x[feature.HTTPS],
		DNS:          x[feature.DNS],
		Telnet:       x[feature.Telnet],
		SMTP:         x[feature.SMTP],
		SSH:          x[feature.SSH],
		IRC:          x[feature.IRC],
		TCP:          x[feature.TCP],
		UDP:          x[feature.UDP],
		DHCP:         x[feature.DHCP],
		ARP:          x[feature.ARP],
		ICMP:         x[feature.ICMP],
		IGMP:         x[feature.IGMP],
		IPv:          x[feature.IPv],
		LLC:          x[feature.LLC],
		TotSum:       int64(x[feature.TotSum]),
		Min:          int64(x[feature.Min]),
		Max:          int64(x[feature.Max]),
		Avg:          x[feature.Avg],
		Std:          present(&x[feature.Std]),
		TotSize:      x[feature.TotSize],
		IAT:          present(&x[feature.IAT]),
		Number:       int64(x[feature.Number]),
		Variance:     present(&x[feature.Variance]),
	}
}

// present returns p, or nil where the CSV has nothing.
func present(p *float64) *float64 {
	if *p != *p {
		return nil
	}
	return p
}
