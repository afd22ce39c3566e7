// Package cic holds what is known of the dataset CIC-IoT-2023: its 34 classes, what they look like and what is wrong with them,
// the 309 captures and as many tables by name, size and SHA-256 as far as known, and where they are published; how the rows of
// its CSV releases were made, and who attacks. It holds facts only; no packet and no row of the dataset.
//
// The facts come from public analyses of the dataset of the University of New Brunswick, to be cited as: Neto, Dadkhah,
// Ferreira, Zohourian, Lu, Ghorbani, "CICIoT2023: A Real-Time Dataset and Benchmark for Large-Scale Attacks in IoT
// Environment", Sensors 2023, 23(13), 5941, doi 10.3390/s23135941.
//
// There are two CSV releases. The newer has 39 columns, one file a capture and no label, and is merged and labelled in
// Merged01.csv to Merged63.csv. The older, of 2023, has 46 columns and a label. Their values are on different scales.
package cic
