package scenario

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestBuiltinScenariosAreWhatTheStudyRan(t *testing.T) {
	for name, rows := range map[string]int{"seed-bitrate": 16, "seed-length": 18, "seed-ddos": 2} {
		s, err := Find(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if len(s.Rows) != rows {
			t.Errorf("%s has %d rows, want %d", name, len(s.Rows), rows)
		}
	}
}

func TestScenariosSurviveJSON(t *testing.T) {
	for _, s := range Builtin() {
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		back, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(s, back) {
			t.Errorf("%s is not the same after JSON", s.Name)
		}
	}
}

func TestParseNamesFaults(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"not JSON":        {"{\n\"name\": }", "line 2"},
		"a mistyped name": {`{"name":"x","rows":[{"name":"a","kind":"syn","pp":5}]}`, `unknown field "pp"`},
		"two scenarios":   {`{"name":"x","rows":[{"name":"a","kind":"syn","pps":5,"seconds":1}]} {}`, "something follows"},
		"no rows":         {`{"name":"x"}`, "no rows"},
		"no name":         {`{"rows":[{"name":"a","kind":"syn","pps":5,"seconds":1}]}`, "scenario name"},
		"twice a row": {`{"name":"x","rows":[{"name":"a","kind":"syn","pps":5,"seconds":1},{"name":"a","kind":"syn","pps":6,"seconds":1}]}`,
			`there is another row "a"`},
		"pps of udp":        {`{"name":"x","rows":[{"name":"a","kind":"udp","pps":5,"seconds":1}]}`, "give bit_per_s"},
		"bits of syn":       {`{"name":"x","rows":[{"name":"a","kind":"syn","bit_per_s":5,"seconds":1}]}`, "give pps"},
		"a capture unnamed": {`{"name":"x","rows":[{"name":"a","kind":"capture"}]}`, "names its file"},
		"both rates": {`{"name":"x","rows":[{"name":"a","kind":"capture","capture":"f","pps":1,"bit_per_s":1}]}`,
			"give one"},
		"negative time": {`{"name":"x","rows":[{"name":"a","kind":"syn","pps":5,"seconds":-1}]}`, "seconds -1"},
		"kind":          {`{"name":"x","rows":[{"name":"a","kind":"icmp","bit_per_s":5,"seconds":1}]}`, "icmp"},
		"control octet": {`{"name":"x","rows":[{"name":"a\u001b","kind":"syn","pps":5,"seconds":1}]}`, "one line of text"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestCapturesAreFoundFromTheFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "mine.json")
	if err := os.WriteFile(path, []byte(`{"name":"mine","rows":[{"name":"a","kind":"capture","capture":"x.pcap"}]}`), 0o666); err != nil {
		t.Fatal(err)
	}
	s, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(dir, "x.pcap"); s.Rows[0].Capture != want {
		t.Errorf("capture %q, want %q", s.Rows[0].Capture, want)
	}
}

func TestCut(t *testing.T) {
	s, shorter := seedLength().Cut(time.Second)
	if !shorter {
		t.Error("nothing was cut")
	}
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	for _, r := range s.Rows {
		if l := r.Length(); l > 1010*time.Millisecond {
			t.Errorf("%s still lasts %v", r.Name, l)
		}
	}
	if whole := seedLength(); whole.Rows[0].Datagrams != 1000 {
		t.Error("cutting changed the scenario itself")
	}
	if got := s.Rows[0].Datagrams; got != 1000 {
		t.Errorf("a row of 0.59 s was cut to %d datagrams", got)
	}
	if same, shorter := seedBitrate().Cut(10 * time.Second); shorter || !reflect.DeepEqual(same, seedBitrate()) {
		t.Error("rows of 10 s were cut to 10 s")
	}
	rows := Scenario{Name: "x", Rows: []Row{{Name: "a", Kind: "syn", PPS: 100, Datagrams: 1000}, {Name: "b", Kind: KindCapture, Capture: "f"},
		{Name: "c", Kind: KindCapture, Capture: "f", Seconds: 60}}}
	cut, _ := rows.Cut(2 * time.Second)
	if err := cut.Check(); err != nil {
		t.Fatal(err)
	}
	for _, r := range cut.Rows {
		if l := r.Length(); l != 2*time.Second {
			t.Errorf("%s lasts %v after the cut", r.Name, l)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range Builtin() {
		text, _ := json.Marshal(s)
		f.Add(text)
	}
	f.Add([]byte(`{"name":"x","rows":[{"name":"a","kind":"capture","capture":"f","pps":1e300}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := Parse(text)
		if err != nil {
			return
		}
		for i := range s.Rows {
			s.Rows[i].Length()
		}
		cut, _ := s.Cut(time.Second)
		if err := cut.Check(); err != nil {
			t.Errorf("a good scenario is bad when it is cut: %v", err)
		}
	})
}
