// Package feature computes the 39 feature columns of CIC-IoT-2023 over windows of packets, with the digits that the
// dataset authors' Python scripts (dpkt, pandas, numpy) give, or with their faults mended.
//
// A frame becomes a [Row] or gives none, and is then counted under a reason ([Decoder], [Counters]). Rows are summarised
// in windows into vectors ([Window], [Vector]). [Extractor] joins both, and is a pipeline stage. Nothing is allocated per
// packet.
//
// The meaning of each column, of the ways to compute it ([As]), and of what dpkt refuses is in METHOD.md. It follows the
// public copy of the scripts in otavioolsilva/ddos-detection-iot-SI, dpkt 1.9.8, pandas 1.5.3 and numpy 1.24.2.
package feature
