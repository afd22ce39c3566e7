package cic_test

import (
	"strings"
	"testing"

	"pcaplab/datasets/cic"
)

func TestRecognise(t *testing.T) {
	for _, x := range []struct {
		path, folder string
		number       int
		marks, other string
	}{
		{"PCAP/DDoS-ICMP_Flood/DDoS-ICMP_Flood.pcap", "DDoS-ICMP_Flood", 0, "", ""},
		{"PCAP/DDoS-ICMP_Flood/DDoS-ICMP_Flood12.pcap", "DDoS-ICMP_Flood", 12, "", ""},
		{"pcap/ddos-icmp_flood/DDOS-ICMP_FLOOD12.PCAP.GZ", "DDoS-ICMP_Flood", 12, "", ""},
		{"DDoS-ICMP_Flood0.pcap", "DDoS-ICMP_Flood", 0, "", ""},
		{"BenignTraffic3.pcap", "Benign_Final", 3, "", ""},
		{"Benign_Final/BenignTraffic.pcap", "Benign_Final", 0, "", ""},
		{"benign2.pcapng.zst", "Benign_Final", 2, "", ""},
		{"DDoS-HTTP_Flood/DDoS-HTTP_Flood-.pcap", "DDoS-HTTP_Flood", 0, "", ""},
		{"DDoS-HTTP_Flood/DDoS-HTTP_Flood.pcap", "DDoS-HTTP_Flood", 0, "", ""},
		{"DDoS-HTTP_Flood- - 1.pcap", "DDoS-HTTP_Flood", 0, " - 1", ""},
		{"Mirai-udpplain24.pcap", "Mirai-udpplain", 24, "", ""},
		{"DDoS-TCP_Flood4 (1).pcap", "DDoS-TCP_Flood", 4, " (1)", ""},
		{"DDoS-TCP_Flood4(2).pcap", "DDoS-TCP_Flood", 4, "(2)", ""},
		{"DDoS-TCP_Flood (1).pcap", "DDoS-TCP_Flood", 0, " (1)", ""},
		{"Recon-PortScan - 1.pcap", "Recon-PortScan", 0, " - 1", ""},
		{"Recon-PortScan - Copy (2).pcap", "Recon-PortScan", 0, " - copy (2)", ""},
		{"Recon-PortScan.pcap.1", "Recon-PortScan", 0, ".1", ""},
		{"Recon-PortScan.pcap.6", "Recon-PortScan", 0, ".6", ""},
		{"Recon-PortScan_6.pcap", "Recon-PortScan", 0, "_6", ""},
		{"DDoS-HTTP_Flood-6.pcap", "DDoS-HTTP_Flood", 6, "", ""},
		{"DDoS-HTTP_Flood/DDoS-HTTP_Flood.pcap.6", "DDoS-HTTP_Flood", 0, ".6", ""},
		{"XSS/XSS-1.pcap", "XSS", -1, "", ""},
		{"XSS/XSS+1.pcap", "XSS", -1, "", ""},
		{"MITM-ArpSpoofing1.redownload.pcap", "MITM-ArpSpoofing", 1, ".redownload", ""},
		{"MITM-ArpSpoofing1.pcap.redownload", "MITM-ArpSpoofing", 1, ".redownload", ""},
		{"DNS_Spoofing_00003_20221115120000.pcap", "DNS_Spoofing", 0, "_00003_20221115120000", ""},
		{"DNS_Spoofing.pcap3", "DNS_Spoofing", 0, "3", ""},
		{"DDoS-PSHACK_FLOOD/DDoS-PSHACK_Flood15.pcap.csv", "DDoS-PSHACK_Flood", 15, "", ""},
		{"XSS20230214120000.pcap", "XSS", 0, "20230214120000", ""},
		{"XSS/part.pcap", "XSS", -1, "", ""},
		{"XSS/00001.pcap", "XSS", -1, "", ""},
		{"DoS-TCP_Flood/XSS.pcap", "DoS-TCP_Flood", -1, "", "XSS"},
	} {
		n, ok := cic.Recognise(x.path)
		if !ok || n.Class.Folder != x.folder || n.Number != x.number || n.Copy != x.marks || n.Other != x.other {
			t.Errorf("%q: %s, number %d, copy %q, other %q, %v; want %+v", x.path, n.Class.Folder, n.Number, n.Copy, n.Other, ok, x)
		}
	}
	for _, path := range []string{"", "a.pcap", "DDoS-SYN.pcap", "XSS.pcap.txt"} {
		if n, ok := cic.Recognise(path); ok {
			t.Errorf("%q is of %s", path, n.Class.Folder)
		}
	}
}

func TestRecogniseEachPublishedName(t *testing.T) {
	files := 0
	for _, c := range cic.Classes() {
		for i := range c.Files {
			name := c.CaptureName(i)
			for _, path := range []string{"PCAP/" + c.Folder + "/" + name, name, strings.ToUpper(name), "CSV/CSV/" + c.CSVFolder + "/" + name + ".csv"} {
				if n, ok := cic.Recognise(path); !ok || n.Class.Folder != c.Folder || n.Number != i || n.Copy != "" || n.Other != "" {
					t.Errorf("%q: %s, number %d, copy %q, %v", path, n.Class.Folder, n.Number, n.Copy, ok)
				}
			}
			files++
		}
	}
	if files != 309 {
		t.Errorf("%d files, want 309", files)
	}
}

func FuzzRecognise(f *testing.F) {
	for _, seed := range []string{"PCAP/XSS/XSS.pcap", `a\DDoS-HTTP_Flood- - 1.pcap.gz`, "BenignTraffic3 (1).redownload", "", "XSS99999999999999999999", "XSS/DoS-TCP_Flood1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		n, ok := cic.Recognise(path)
		c, found := cic.Find(path)
		if ok != found || n.Class.Folder != c.Folder {
			t.Errorf("%q is of %q, Find says %q", path, n.Class.Folder, c.Folder)
		}
		if ok && (n.Number < -1 || n.Number < 0 && n.Copy != "" || n.Number >= 0 && n.Other != "") {
			t.Errorf("%q: %+v", path, n)
		}
	})
}
