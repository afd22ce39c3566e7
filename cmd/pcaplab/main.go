// Command pcaplab finds how many packets a second this machine parses, with which parser, before it loses any.
package main

import (
	"os"
	"slices"

	"pcaplab/cmd/cli"
	"pcaplab/parse"
	"pcaplab/parse/feature"
	"pcaplab/parse/flow"
	"pcaplab/parse/gopkt"
	"pcaplab/parse/gopkt/fork"
	"pcaplab/parse/model"
)

func main() {
	os.Exit(cli.Main(cli.Program{
		Name:    "pcaplab",
		Engines: slices.Concat([]parse.Engine{parse.DirectEngine()}, gopkt.Engines(), fork.Engines()),
		Stages:  []parse.StageKind{flow.Kind(flow.Config{}), feature.Kind(), model.Kind()},
		Default: []string{"direct", "gopacket-layers", "gopacket-eager", "fork-gopacket-layers"},
	}))
}
