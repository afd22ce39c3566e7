package external

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestCommand(t *testing.T) {
	for _, tt := range []struct {
		spec string
		want []string
		err  string
	}{
		{"a=cat", []string{"cat"}, ""},
		{"a.b-1= cat  -n\t-v ", []string{"cat", "-n", "-v"}, ""},
		{`a=x 'a b' "c d" e\ f ''`, []string{"x", "a b", "c d", "e f", ""}, ""},
		{`a=x 'it'\''s' "a\"b\\c\d\$" pre'fix'"ed"`, []string{"x", "it's", `a"b\c\d$`, "prefixed"}, ""},
		{"a=sh -c 'exec cat | wc -c; # $HOME `id`'", []string{"sh", "-c", "exec cat | wc -c; # $HOME `id`"}, ""},
		{"a=x \"line\\\nline\" y\\\nz", []string{"x", "lineline", "yz"}, ""},
		{"a=b=c d", []string{"b=c", "d"}, ""},
		{"cat", nil, "want NAME="},
		{"=cat", nil, "name"},
		{"a b=cat", nil, "name"},
		{"-a=cat", nil, "name"},
		{"dpkt=cat", nil, "another name"},
		{"a=", nil, "no command"},
		{"a= \t", nil, "no command"},
		{"a=''", nil, "no command"},
		{"a=x 'y", nil, "no end"},
		{`a=x "y\"`, nil, "no end"},
		{`a=x y\`, nil, "nothing follows"},
		{"a=x y\x00", nil, "NUL"},
	} {
		p, err := Command(tt.spec)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%q: error %v, want one with %q", tt.spec, err, tt.err)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(p.argv, tt.want) {
			t.Errorf("%q: %q, %v; want %q", tt.spec, p.argv, err, tt.want)
		}
	}
}

func TestParseCounts(t *testing.T) {
	for _, tt := range []struct {
		output string
		cut    bool
		want   Counts
		ok     bool
	}{
		{"12\n", false, Counts{Packets: 12}, true},
		{"12 7", false, Counts{12, 7, true}, true},
		{"12, 7\n\n", false, Counts{12, 7, true}, true},
		{"1 1\nread 5\n12 7 rest\r\nbye\n", false, Counts{12, 7, true}, true},
		{"12 packets\n", false, Counts{Packets: 12}, true},
		{"12 13\n", false, Counts{Packets: 12}, true}, // not TCP among them
		{"7\n0.5 s\n-3\n12x\n", false, Counts{Packets: 7}, true},
		{`{"packets":12,"tcp":7}`, false, Counts{12, 7, true}, true},
		{`{"packets":12, "time":0.5}` + "\n", false, Counts{Packets: 12}, true},
		{"3\n" + `{"tcp":7}` + "\n" + `{"packets":1,"tcp":7}` + "\n{\n", false, Counts{Packets: 3}, true},
		{"99999999999999999999\n", false, Counts{}, false},
		{"", false, Counts{}, false},
		{"hello\n", false, Counts{}, false},
		{"12", true, Counts{}, false}, // may be the end of 512
		{"345\n12", true, Counts{Packets: 12}, true},
	} {
		if got, ok := parseCounts(tt.output, tt.cut); got != tt.want || ok != tt.ok {
			t.Errorf("%q: %+v, %v; want %+v, %v", tt.output, got, ok, tt.want, tt.ok)
		}
	}
}

func FuzzParseCounts(f *testing.F) {
	for _, s := range []string{"12 7\n", `{"packets":12,"tcp":7}`, "a\n1,2\r\n\r", "{\"packets\":-1}", "\xff1\n"} {
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, s string, cut bool) {
		c, ok := parseCounts(s, cut)
		if !ok && c != (Counts{}) || c.TCP > c.Packets || !c.TCPKnown && c.TCP != 0 {
			t.Fatalf("%q: %+v, %v", s, c, ok)
		}
		if again, _ := parseCounts(s+"\nno count\n", cut); ok && again != c {
			t.Fatalf("%q: %+v with a line more, %+v without", s, again, c)
		}
	})
}

func FuzzCommand(f *testing.F) {
	for _, s := range []string{"a=cat -n", `a=x 'a b' "c\"d" e\ f`, "=", "a='", "a=\"\\", "a=\\\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := Command(s)
		if err != nil {
			return
		}
		var quoted []string
		for _, w := range p.argv {
			quoted = append(quoted, "'"+strings.ReplaceAll(w, "'", `'\''`)+"'")
		}
		again, err := Command(p.Name + "=" + strings.Join(quoted, " "))
		if err != nil || !reflect.DeepEqual(p.argv, again.argv) {
			t.Fatalf("%q: %q, quoted again %q, %v", s, p.argv, again.argv, err)
		}
	})
}

func TestMissing(t *testing.T) {
	ctx := context.Background()
	t.Setenv(PythonEnv, "")
	t.Setenv("PATH", t.TempDir())
	t.Setenv("PYTHONHOME", "/nonexistent") // the fallback cannot run either
	for _, p := range append(Programs(), Program{Name: "none"}) {
		_, err := p.Find(ctx)
		var missing *MissingError
		if !errors.As(err, &missing) || missing.Program != p.Name || missing.Package != p.Package ||
			!strings.Contains(err.Error(), p.Package) {
			t.Errorf("%s: %v", p.Name, err)
		}
	}
	p, err := Command("own=no-such-program")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Find(ctx); err == nil || !strings.Contains(err.Error(), "no-such-program") {
		t.Errorf("own: %v", err)
	}
}
