package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"pcaplab/parse"
)

// runMain makes the test binary the program itself, also for the processes that it measures in.
const runMain = "OWNPARSER_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(runMain) != "" {
		main()
	}
	os.Exit(m.Run())
}

func TestOwnParserIsMeasuredLikeOurs(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "ceiling", "--trial", "4ms", "--sum", "12ms", "--width", "0.1", "--repeats", "1", "--cache", "hot",
		"--stages", "privileged", "synth:iot-1:2000")
	cmd.Env = append(os.Environ(), runMain+"=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"direct", "mine", "NDR", "stages privileged"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the table lacks %q:\n%s", want, out)
		}
	}
}

func TestOwnParserReadsAnAddress(t *testing.T) {
	p, err := newParser(parse.LinkEthernet)
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, 42)
	copy(data[12:], []byte{0x08, 0x00, 0x45})
	copy(data[22:], []byte{64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0x13, 0x88, 0, 53})
	var pkt parse.Packet
	if err := p.Parse(&parse.Frame{Data: data, WireLen: 42, Link: parse.LinkEthernet}, &pkt); err != nil {
		t.Fatal(err)
	}
	if pkt.Tuple.Src().String() != "10.0.0.1:5000" || pkt.Tuple.Dst().String() != "10.0.0.2:53" {
		t.Errorf("%v to %v", pkt.Tuple.Src(), pkt.Tuple.Dst())
	}
}
