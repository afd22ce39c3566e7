// Package validation says before any live capture whether a model is right: on labelled vectors of tables and of captures, side by side, with
// what drifted between them, and with what becomes of the model where windows have another length, or where their length is hidden from it.
//
// The last is because published tables of CIC-IoT-2023 leak the class: rows of benign traffic and of small attacks sum up 10 packets, rows of
// floods 100, so that the column Number nearly tells which it is. No live extractor knows the class before it chooses the window.
package validation
