//go:build man

package cli

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// pages writes all pages and returns their texts by name.
func pages(t *testing.T) map[string]string {
	t.Helper()
	dir := t.TempDir()
	run(t, ExitDone, "man", dir)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	texts := make(map[string]string)
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		texts[strings.TrimSuffix(e.Name(), ".1")] = string(text)
	}
	return texts
}

func TestManHasAPageForEachCommandThatIsNotHidden(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	got := pages(t)
	if want := ".TH PCAPLAB\\-CEILING 1 2023-11-14 "; !strings.HasPrefix(got["pcaplab-ceiling"], want) {
		t.Errorf("pcaplab-ceiling.1 begins %.60q, want %q", got["pcaplab-ceiling"], want)
	}
	a := &app{Program: program()}
	for _, c := range a.root().Commands() {
		if _, ok := got["pcaplab-"+c.Name()]; ok == c.Hidden {
			t.Errorf("%s: hidden %v, page %v", c.Name(), c.Hidden, ok)
		}
	}
	if _, ok := got["pcaplab"]; !ok {
		t.Error("no page of the program itself")
	}
	for name, text := range got {
		if strings.Contains(text, "pcaplab\\-man") {
			t.Errorf("%s.1 names a hidden command", name)
		}
	}
}

func TestManRefusesANonsenseDate(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "yesterday")
	run(t, ExitUsage, "man", t.TempDir())
}

// What groff or mandoc make of a page must hold every flag, every word of its help, and the examples to the letter.
func TestManPagesReadAsTheHelpDoes(t *testing.T) {
	var command []string
	switch {
	case has("groff"):
		command = []string{"groff", "-man", "-Tutf8", "-P-cbou", "-ww", "-rLL=2000n"}
	case has("mandoc"):
		command = []string{"mandoc", "-T", "utf8", "-O", "width=200"}
	default:
		t.Skip("neither groff nor mandoc is installed")
	}
	got := pages(t)
	a := &app{Program: program()}
	root := a.root()
	root.InitDefaultHelpCmd()
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				visit(sub)
			}
		}
		name := pageName(c)
		cmd := exec.Command(command[0], command[1:]...)
		cmd.Stdin = strings.NewReader(got[name])
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil || stderr.Len() > 0 {
			t.Errorf("%s.1: %v: %s", name, err, stderr.String())
		}
		if command[0] == "groff" { // and as a terminal of 80 columns shows it: nothing that cannot be broken
			narrow := exec.Command("groff", "-z", "-ww", "-man", "-Tutf8")
			narrow.Stdin = strings.NewReader(got[name])
			if said, err := narrow.CombinedOutput(); err != nil || len(said) > 0 {
				t.Errorf("%s.1 in 80 columns: %v: %s", name, err, said)
			}
		}
		printed := regexp.MustCompile(`.\x08`).ReplaceAllString(string(out), "")
		words := strings.Join(strings.Fields(printed), " ")
		for _, part := range strings.Split(longOrShort(c), "\n") {
			part = strings.Join(strings.Fields(strings.TrimLeft(part, "# ")), " ")
			if !strings.Contains(words, part) {
				t.Errorf("%s.1 lacks %q", name, part)
			}
		}
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			_, usage := pflag.UnquoteUsage(f)
			if usage = strings.Join(strings.Fields(usage), " "); !f.Hidden && (!strings.Contains(words, "--"+f.Name) || !strings.Contains(words, usage)) {
				t.Errorf("%s.1 lacks --%s %q", name, f.Name, usage)
			}
		})
		for _, example := range strings.Split(c.Example, "\n") {
			if !strings.Contains(printed, strings.TrimSpace(example)) {
				t.Errorf("%s.1 lacks the example %q", name, example)
			}
		}
	}
	visit(root)
}

func has(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}

func TestRoffSpecialText(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"a request", ".so /etc/passwd", `\&.so /etc/passwd`},
		{"a quote first", "'ndr<1'", `\&\(aqndr<1\(aq`},
		{"an escape", `a\fBb`, `a\(rsfBb`},
		{"quotes", `"-"`, `\(dq\-\(dq`},
		{"a long address", "http://" + strings.Repeat("a", 60) + "/b?c", `http:/\:/\:` + strings.Repeat("a", 60) + `/\:b?\:c`},
		{"a list", "a,b, c", `a,\:b, c`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := line(tt.in); got != tt.want {
				t.Errorf("line(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}
