package pcapio

import (
	"bufio"
	"io"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/pcapgo"
)

func init() {
	walkers = append(walkers, []struct {
		name string
		walk func(src io.Reader, container string) (int, error)
	}{
		{"pcapgo-zerocopy", func(src io.Reader, container string) (int, error) {
			return walkPcapgo(src, container, true)
		}},
		{"pcapgo", func(src io.Reader, container string) (int, error) {
			return walkPcapgo(src, container, false)
		}},
	}...)
}

// walkPcapgo walks with pcapgo of the maintained fork, behind the buffer that suits it.
func walkPcapgo(src io.Reader, container string, zeroCopy bool) (n int, err error) {
	src = bufio.NewReaderSize(src, 1<<20)
	var r interface {
		gopacket.PacketDataSource
		gopacket.ZeroCopyPacketDataSource
	}
	if container == Pcap {
		r, err = pcapgo.NewReader(src)
	} else {
		r, err = pcapgo.NewNgReader(src, pcapgo.DefaultNgReaderOptions)
	}
	if err != nil {
		return 0, err
	}
	read := r.ReadPacketData
	if zeroCopy {
		read = r.ZeroCopyReadPacketData
	}
	for ; err == nil; n++ {
		_, _, err = read()
	}
	if err == io.EOF {
		err = nil
	}
	return n - 1, err
}
