package remote

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func TestParseHosts(t *testing.T) {
	for _, row := range []struct {
		name, list string
		want       []string
		err        string
	}{
		{"one", "pi", []string{"pi"}, ""},
		{"user", "pi@10.0.0.2", []string{"pi@10.0.0.2"}, ""},
		{"several", "pi@a,pi@b,board_3", []string{"pi@a", "pi@b", "board_3"}, ""},
		{"dotted user", "first.last+x@host.example", []string{"first.last+x@host.example"}, ""},
		{"domain user", "pi@example.org@host", []string{"pi@example.org@host"}, ""},
		{"IPv6", "pi@2001:db8::1", []string{"pi@2001:db8::1"}, ""},
		{"link-local", "fe80::1%eth0", []string{"fe80::1%eth0"}, ""},
		{"uri", "ssh://pi@host:2222", []string{"ssh://pi@host:2222"}, ""},
		{"uri without port", "ssh://host", []string{"ssh://host"}, ""},
		{"unicode", "пи@küche", []string{"пи@küche"}, ""},

		{"nothing", "", nil, "no host"},
		{"blank", "  ", nil, "no host"},
		{"empty part", "a,,b", nil, "is empty"},
		{"comma at the end", "a,", nil, "is empty"},
		{"empty user", "@a", nil, "the user is empty"},
		{"empty host", "pi@", nil, "the host is empty"},
		{"option", "-oProxyCommand=x", nil, `begins with "-"`},
		{"option as host", "pi@-oProxyCommand=x", nil, `the host begins with "-"`},
		{"option as user", "-l@a", nil, `begins with "-"`},
		{"option in uri", "ssh://-oProxyCommand=x", nil, `the host begins with "-"`},
		{"space", "a b", nil, `' '`},
		{"space after comma", "a, b", nil, `' '`},
		{"quote", "a'b", nil, `'\''`},
		{"double quote", `a"b`, nil, `'"'`},
		{"semicolon", "a;b", nil, "';'"},
		{"dollar", "$(x)", nil, "'$'"},
		{"dollar in user", "$(x)@a", nil, "'$'"},
		{"backtick", "`x`", nil, "'`'"},
		{"line break", "a\nb", nil, `'\n'`},
		{"escape", "a\x1bb", nil, `'\x1b'`},
		{"zero", "a\x00", nil, `'\x00'`},
		{"not UTF-8", "a\xff", nil, "not allowed"},
		{"percent", "%h", nil, "'%'"},
		{"encoded user", "ssh://%60x%60@a", nil, "'%'"},
		{"backslash", `a\b@c`, nil, `'\\'`},
		{"pipe", "a|b", nil, "'|'"},
		{"folder", "ssh://a/b", nil, "'/'"},
		{"port without uri", "pi@host:22", nil, "ssh://pi@host:22"},
		{"brackets", "pi@[::1]", nil, "without brackets"},
		{"uri with brackets", "ssh://pi@[::1]:2222", nil, "ssh_config"},
		{"uri IPv6", "ssh://::1", nil, "not a port"},
		{"uri unicode", "ssh://kü", nil, "in the ssh:// form"},
		{"port 0", "ssh://a:0", nil, "not a port"},
		{"port too large", "ssh://a:65536", nil, "not a port"},
		{"port words", "ssh://a:ssh", nil, "not a port"},
		{"port sign", "ssh://a:+22", nil, "not a port"},
		{"not IPv6", "1:2:3", nil, "not an IPv6 address"},
		{"zone", "fe80::1%$(x)", nil, "not an interface"},
		{"twice", "a,b,a", nil, "given twice"},
		{"twice in case", "Pi@A,pi@a", nil, "given twice"},
		{"long", strings.Repeat("a", 400), nil, "too long"},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := ParseHosts(row.list)
			if row.err == "" && (err != nil || !slices.Equal(got, row.want)) {
				t.Errorf("%q %v, want %q", got, err, row.want)
			}
			if row.err != "" && (err == nil || got != nil || !strings.Contains(err.Error(), row.err)) {
				t.Errorf("%q %v, want an error with %q", got, err, row.err)
			}
		})
	}
}

// What passes is one word of a shell, no option of ssh, and the list again when joined.
func FuzzParseHosts(f *testing.F) {
	for _, seed := range []string{"pi@a,pi@b", "ssh://pi@[::1]:22", "fe80::1%eth0", "-oProxyCommand=x", "a;b", "%h",
		"a\x00", "@", "ssh://", "ssh://-x", "ssh://[::1]:", "ü@ü", "ssh://a:"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, list string) {
		hosts, err := ParseHosts(list)
		if err != nil {
			if hosts != nil {
				t.Errorf("hosts and an error: %q %v", hosts, err)
			}
			return
		}
		if strings.Join(hosts, ",") != list {
			t.Errorf("%q became %q", list, hosts)
		}
		for _, host := range hosts {
			_, name, _ := strings.Cut("@"+strings.TrimPrefix(host, "ssh://"), "@")
			if host == "" || host[0] == '-' || name == "" || name[0] == '-' ||
				strings.ContainsAny(host, " \t\r\n\x00'\"`$;&|<>(){}*?!\\#~^=") {
				t.Errorf("passed: %q", host)
			}
		}
	})
}

// ssh itself is the judge of how it takes a host: ssh -G prints what it would connect to.
func TestHostsAsSSHTakesThem(t *testing.T) {
	path, err := exec.LookPath("ssh")
	if err != nil {
		t.Skip("needs ssh, which is missing")
	}
	for _, row := range []struct{ host, user, name, port string }{
		{"pi@10.0.0.2", "pi", "10.0.0.2", "22"},
		{"pi@2001:db8::1", "pi", "2001:db8::1", "22"},
		{"pi@example.org@host", "pi@example.org", "host", "22"},
		{"ssh://pi@host:2222", "pi", "host", "2222"},
		{"pi@fe80::1%eth0", "pi", "fe80::1%eth0", "22"},
		{"ssh://pi@host/", "pi", "host", "22"},
	} {
		if err := checkHost(row.host); err != nil {
			t.Error(err)
		}
		out, err := exec.Command(path, "-F", "/dev/null", "-G", "--", row.host).Output()
		if err != nil {
			t.Errorf("%s: %v", row.host, err)
		}
		for _, line := range []string{"user " + row.user, "hostname " + row.name, "port " + row.port} {
			if !strings.Contains("\n"+string(out), "\n"+line+"\n") {
				t.Errorf("%s: ssh does not say %q", row.host, line)
			}
		}
	}
}
