package cic_test

import (
	"strings"
	"testing"

	"pcaplab/datasets/cic"
)

func TestFind(t *testing.T) {
	for _, x := range []struct{ name, path, folder string }{
		{"folder and stem", "PCAP/DDoS-ICMP_Flood/DDoS-ICMP_Flood12.pcap", "DDoS-ICMP_Flood"},
		{"folder alone", "XSS/part.pcap", "XSS"},
		{"the folder itself", "PCAP/DDoS-SlowLoris/", "DDoS-SlowLoris"},
		{"folder further up", "/data/PCAP/DoS-TCP_Flood/pieces/a/00001.pcap", "DoS-TCP_Flood"},
		{"the nearest of two folders", "DoS-TCP_Flood/XSS/00001.pcap", "XSS"},
		{"folder before stem", "DoS-TCP_Flood/XSS.pcap", "DoS-TCP_Flood"},
		{"folder that is left again", "XSS/../a.pcap", ""},
		{"folder of Windows", `D:\CIC\PCAP\Benign_Final\x.pcap`, "Benign_Final"},
		{"folder of tables", "CSV/CSV/DDoS-PSHACK_FLOOD/x.csv", "DDoS-PSHACK_Flood"},
		{"folder downloaded twice", "DDoS-RSTFINFlood (1)/x.pcap", "DDoS-RSTFINFlood"},
		{"folder named as a file", "BenignTraffic1.pcap/x.pcap", "Benign_Final"},
		{"first file", "DDoS-ICMP_Flood.pcap", "DDoS-ICMP_Flood"},
		{"numbered file", "DDoS-ICMP_Flood12.pcap", "DDoS-ICMP_Flood"},
		{"DoS is not DDoS", "DoS-SYN_Flood3.pcap", "DoS-SYN_Flood"},
		{"DDoS is not DoS", "DDoS-SYN_Flood3.pcap", "DDoS-SYN_Flood"},
		{"Flood is not Fragmentation", "DDoS-UDP_Fragmentation1.pcap", "DDoS-UDP_Fragmentation"},
		{"number after a name in lower case", "Mirai-udpplain24.pcap", "Mirai-udpplain"},
		{"Benign is named otherwise", "BenignTraffic3.pcap", "Benign_Final"},
		{"HTTP flood ends in a dash", "DDoS-HTTP_Flood-.pcap", "DDoS-HTTP_Flood"},
		{"HTTP flood without it", "DDoS-HTTP_Flood.pcap", "DDoS-HTTP_Flood"},
		{"HTTP flood, numbered", "DDoS-HTTP_Flood-1.pcap", "DDoS-HTTP_Flood"},
		{"HTTP flood, a copy", "DDoS-HTTP_Flood- - 1.pcap", "DDoS-HTTP_Flood"},
		{"HTTP flood of one host", "DoS-HTTP_Flood1.pcap", "DoS-HTTP_Flood"},
		{"copy in brackets", "DDoS-TCP_Flood4 (1).pcap", "DDoS-TCP_Flood"},
		{"copy in brackets, no space", "DDoS-TCP_Flood4(2).pcap", "DDoS-TCP_Flood"},
		{"copy after a dash", "Recon-PortScan - 1.pcap", "Recon-PortScan"},
		{"copy of Explorer", "Recon-PortScan - Copy (2).pcap", "Recon-PortScan"},
		{"copy of wget", "Recon-PortScan.pcap.1", "Recon-PortScan"},
		{"download repeated", "MITM-ArpSpoofing1.redownload.pcap", "MITM-ArpSpoofing"},
		{"download repeated, at the end", "MITM-ArpSpoofing1.pcap.redownload", "MITM-ArpSpoofing"},
		{"piece of editcap", "DNS_Spoofing_00003_20221115120000.pcap", "DNS_Spoofing"},
		{"piece of tcpdump", "DNS_Spoofing.pcap3", "DNS_Spoofing"},
		{"pcapng", "XSS.pcapng", "XSS"},
		{"cap", "XSS.cap", "XSS"},
		{"gzip", "XSS.pcap.gz", "XSS"},
		{"zstd", "XSS (1).pcapng.zst", "XSS"},
		{"table", "DDoS-PSHACK_Flood15.pcap.csv", "DDoS-PSHACK_Flood"},
		{"label of the newer release", "DDOS-SYN_FLOOD", "DDoS-SYN_Flood"},
		{"label of the newer release, benign", "BENIGN", "Benign_Final"},
		{"label of the older release", "BenignTraffic", "Benign_Final"},
		{"lower case", "pcap/mirai-greip_flood/MIRAI-GREIP_FLOOD.PCAP", "Mirai-greip_flood"},
		{"empty", "", ""},
		{"standard input", "-", ""},
		{"root", "/", ""},
		{"no name", ".pcap", ""},
		{"only a number", "12.pcap", ""},
		{"merged table", "MERGED_CSV/Merged01.csv", ""},
		{"category", "DDoS/Flood.pcap", ""},
		{"category in front", "Mirai.pcap", ""},
		{"word in front", "myDDoS-SYN_Flood.pcap", ""},
		{"word in front, DoS", "D-DoS-SYN_Flood.pcap", ""},
		{"word behind", "DDoS-SYN_Flood-notes.pcap", ""},
		{"part of a name", "DDoS-SYN.pcap", ""},
		{"another class of the same lab", "DDoS-SYN.pcap/TCP_IP-DDoS-SYN1.pcap", ""},
		{"dash for underline", "DDoS-SYN-Flood.pcap", ""},
		{"another's dash", "DDoS-SYN_Flood-.pcap", ""},
		{"benign of an address", "benign-192.168.1.1.pcap", ""},
		{"bracket without number", "XSS ().pcap", ""},
		{"bracket with a word", "XSS (old).pcap", ""},
		{"other file", "XSS.pcap.txt", ""},
		{"synthetic", "synth:iot-1", ""},
	} {
		got, ok := cic.Find(x.path)
		if got.Folder != x.folder || ok != (x.folder != "") {
			t.Errorf("%s: %q is %q, %v; want %q", x.name, x.path, got.Folder, ok, x.folder)
		}
	}
}

func TestFindEachNameOfEachClass(t *testing.T) {
	for _, c := range cic.Classes() {
		for _, name := range []string{c.Folder, c.CSVFolder, c.Stem, c.Label, c.OldLabel} {
			for _, path := range []string{name, strings.ToLower(name) + "/x.pcap", name + ".pcap", name + "7 (1).pcap.gz"} {
				if got, ok := cic.Find(path); !ok || got != c {
					t.Errorf("%q is %q, %v; want %q", path, got.Folder, ok, c.Folder)
				}
			}
		}
	}
}

func FuzzFind(f *testing.F) {
	for _, seed := range []string{"PCAP/XSS/XSS.pcap", `a\DDoS-HTTP_Flood- - 1.pcap.gz`, "BenignTraffic3 (1).redownload", "", "//",
		"..", ").1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		c, ok := cic.Find(path)
		if ok == (c == cic.Class{}) {
			t.Errorf("%q: %v with %+v", path, ok, c)
		}
		if again, _ := cic.Find(path + ".pcap.gz"); ok && again != c && !strings.HasSuffix(path, "/") && !strings.HasSuffix(path, `\`) &&
			!strings.HasSuffix(path, ".") {
			t.Errorf("%q is %q, as .pcap.gz %q", path, c.Folder, again.Folder)
		}
	})
}
