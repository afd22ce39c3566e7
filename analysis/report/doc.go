// Package report writes results for people and for other programs: tables as text, CSV and Markdown, charts as PNG and
// SVG, and the Go benchmark format that benchstat reads. Equal input gives equal bytes, and a file appears whole or not
// at all.
package report
