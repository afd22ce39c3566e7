// Package fork wraps gopacket/gopacket v1.7.7, the maintained fork of google/gopacket, as the engines that package
// gopkt makes of the original. All but this file is generated from there.
package fork

import (
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// What this package's library has or lacks against the other one.
const (
	namePrefix = "fork-gopacket-"
	library    = "gopacket/gopacket v1.7.7"

	vlanLength = true // an 802.3 length behind a VLAN tag is decoded
	cookedLLC  = true // LLC in a Linux cooked capture is decoded
)

var layerTypeSLL2 = layers.LayerTypeLinuxSLL2

func newSLL2() gopacket.DecodingLayer { return new(layers.LinuxSLL2) }

func readSLL2(l any) (t layers.EthernetType, hardware uint16, payload []byte, ok bool) {
	sll, ok := l.(*layers.LinuxSLL2)
	if !ok {
		return 0, 0, nil, false
	}
	return sll.ProtocolType, uint16(sll.ARPHardwareType), sll.Payload, true
}
