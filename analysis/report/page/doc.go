// Package page writes a report as one HTML file that needs nothing else: no network, no folder beside it. It is read on a
// screen of any width, light or dark, printed, and without JavaScript; where scripts run, curves can be zoomed. What stands
// in it is decided by the caller: a [Document] is filled, [Write] and [WriteTwins] put it down.
//
// Equal documents give equal octets. Every text may come from outside (names of captures, engines, notes): none is taken for
// markup.
package page
