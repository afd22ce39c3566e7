package gopkt

import (
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// What this package's library has or lacks against the other one.
const (
	namePrefix = "gopacket-"
	library    = "google/gopacket v1.1.19"

	vlanLength = false // an 802.3 length behind a VLAN tag is decoded
	cookedLLC  = false // LLC in a Linux cooked capture is decoded
)

// layerTypeSLL2 is zero: version 1.1.19 cannot decode Linux cooked captures of version 2.
var layerTypeSLL2 = gopacket.LayerTypeZero

func newSLL2() gopacket.DecodingLayer { return nil }

func readSLL2(any) (t layers.EthernetType, hardware uint16, payload []byte, ok bool) {
	return 0, 0, nil, false
}
