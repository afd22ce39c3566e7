//go:build man

package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"pcaplab/analysis/report"
)

// buildCommands are those that only building a release needs; other binaries do not carry them.
func (a *app) buildCommands() []*cobra.Command { return []*cobra.Command{a.manCommand()} }

func (a *app) manCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "man DIR",
		Short:  "Write man pages into a folder",
		Hidden: true,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("want one folder")
			}
			date := time.Now()
			if epoch := os.Getenv("SOURCE_DATE_EPOCH"); epoch != "" {
				seconds, err := strconv.ParseInt(epoch, 10, 64)
				if err != nil {
					return usagef("SOURCE_DATE_EPOCH: %q: want seconds since 1970", epoch)
				}
				date = time.Unix(seconds, 0)
			}
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			return writePages(args[0], c.Root(), date.UTC().Format(time.DateOnly))
		},
	}
}

// writePages writes a page for c and for each command under it that is not hidden.
func writePages(dir string, c *cobra.Command, date string) error {
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			if err := writePages(dir, sub, date); err != nil {
				return err
			}
		}
	}
	return report.WriteFile(filepath.Join(dir, pageName(c)+".1"), func(w io.Writer) error {
		_, err := w.Write(firstParagraph.ReplaceAll(page(c, date), []byte("$1")))
		return err
	})
}

// firstParagraph finds the paragraph macro behind a heading, which has no use there.
var firstParagraph = regexp.MustCompile(`(?m)^(\.SH .*)\n\.PP$`)

// pageName is pcaplab-ceiling for 'pcaplab ceiling'.
func pageName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// page writes a command's help in man(7) as groff and mandoc both take it.
func page(c *cobra.Command, date string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, ".TH %s 1 %s \"%s\" \"User Commands\"\n.nh\n.ad l\n", roff(strings.ToUpper(pageName(c))), date,
		roff(c.Root().Name()+" "+c.Root().Version))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(pageName(c)), roff(strings.TrimSuffix(c.Short, ".")))
	b.WriteString(".SH SYNOPSIS\n")
	var forms []string
	if c.HasParent() && c.Runnable() {
		forms = append(forms, roff(strings.TrimPrefix(c.UseLine(), c.CommandPath())))
	}
	if c.HasAvailableSubCommands() {
		forms = append(forms, " \\fIcommand\\fR [flags] [arguments]")
	}
	for i, form := range forms {
		if i > 0 {
			b.WriteString(".br\n")
		}
		fmt.Fprintf(&b, "\\fB%s\\fR%s\n", roff(c.CommandPath()), form)
	}
	b.WriteString(".SH DESCRIPTION\n")
	prose(&b, longOrShort(c))
	if c.HasAvailableSubCommands() {
		b.WriteString(".SH COMMANDS\n")
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				fmt.Fprintf(&b, ".TP\n.BR %s (1)\n%s\n", roff(pageName(sub)), line(sub.Short))
			}
		}
	}
	c.InitDefaultHelpFlag()
	options(&b, "OPTIONS", c.NonInheritedFlags())
	options(&b, "OPTIONS OF ALL COMMANDS", c.InheritedFlags())
	if c.Example != "" {
		b.WriteString(".SH EXAMPLES\n")
		literal(&b, strings.Split(strings.Trim(c.Example, "\n"), "\n"))
	}
	if !c.HasParent() {
		b.WriteString(".SH EXIT STATUS\n")
		for _, e := range []struct {
			code int
			text string
		}{
			{ExitDone, "done"}, {ExitFailed, "failed"}, {ExitUsage, "flags or arguments are wrong; nothing was run"},
			{ExitMissed, "ran, but a condition of --fail-if is true, two files differ, or shards are missing"},
			{ExitInterrupted, "ended by a signal; what was measured is kept"},
		} {
			fmt.Fprintf(&b, ".TP\n%d\n%s\n", e.code, line(e.text))
		}
		return b.Bytes()
	}
	b.WriteString(".SH SEE ALSO\n")
	fmt.Fprintf(&b, ".BR %s (1)", roff(pageName(c.Parent())))
	for _, sibling := range c.Parent().Commands() {
		if sibling.IsAvailableCommand() && sibling != c {
			fmt.Fprintf(&b, ",\n.BR %s (1)", roff(pageName(sibling)))
		}
	}
	b.WriteByte('\n')
	return b.Bytes()
}

func longOrShort(c *cobra.Command) string {
	if c.Long != "" {
		return c.Long
	}
	return c.Short + "."
}

func options(b *bytes.Buffer, title string, fs *pflag.FlagSet) {
	if !fs.HasAvailableFlags() {
		return
	}
	fmt.Fprintf(b, ".SH %s\n", title)
	fs.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Deprecated != "" {
			return
		}
		kind, usage := pflag.UnquoteUsage(f)
		b.WriteString(".TP\n")
		if f.Shorthand != "" {
			fmt.Fprintf(b, "\\fB\\-%s\\fR, ", roff(f.Shorthand))
		}
		fmt.Fprintf(b, "\\fB\\-\\-%s\\fR", roff(f.Name))
		if kind != "" {
			fmt.Fprintf(b, " \\fI%s\\fR", roff(kind))
		}
		switch f.DefValue {
		case "", "0", "[]", "false", "0s":
		default:
			usage += " (default " + strings.TrimSuffix(strings.TrimPrefix(f.DefValue, "["), "]") + ")"
		}
		fmt.Fprintf(b, "\n%s\n", line(usage))
	})
}

// tableRow is a line of help that is indented, and has a name and what it means apart by two spaces or more.
var tableRow = regexp.MustCompile(`^\s+(\S+(?: \S+)*)\s{2,}(\S.*)$`)

// prose sets paragraphs; tables become lists, and other indented lines stay as they are.
func prose(b *bytes.Buffer, text string) {
	var kept []string
	flush := func() {
		literal(b, kept)
		kept = nil
	}
	fresh := true // at the start of a paragraph
	for s := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		row := tableRow.FindStringSubmatch(s)
		indented := strings.HasPrefix(s, " ") || strings.HasPrefix(s, "\t")
		if row != nil || !indented {
			flush()
		}
		switch {
		case strings.TrimSpace(s) == "":
			fresh = true
			continue
		case row != nil:
			fmt.Fprintf(b, ".TP\n%s\n%s\n", line(row[1]), line(row[2]))
			fresh = true
			continue
		case indented:
			kept = append(kept, s)
			fresh = true
			continue
		case fresh:
			b.WriteString(".PP\n")
		}
		fmt.Fprintf(b, "%s\n", line(strings.TrimLeft(s, "# ")))
		fresh = false
	}
	flush()
}

// literal sets lines as they are.
func literal(b *bytes.Buffer, lines []string) {
	if len(lines) == 0 {
		return
	}
	b.WriteString(".PP\n.EX\n")
	for _, s := range lines {
		fmt.Fprintf(b, "%s\n", line(strings.ReplaceAll(s, "\t", "    ")))
	}
	b.WriteString(".EE\n")
}

// line sets a line that must not be taken for a request.
func line(s string) string {
	set := longWord.ReplaceAllStringFunc(roff(s), func(word string) string {
		return strings.NewReplacer("/", `/\:`, "?", `?\:`).Replace(word)
	})
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		return `\&` + set
	}
	return set
}

// longWord finds words that would not fit into a line of a page 80 columns wide: addresses, which may break behind a slash.
var longWord = regexp.MustCompile(`\S{60,}`)

// roff escapes what roff would print as something else than ASCII, or obey. Lists joined by commas may break there.
var roff = strings.NewReplacer(`\`, `\(rs`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, `"`, `\(dq`, "^", `\(ha`, "~", `\(ti`,
	", ", ", ", ",\n", ",\n", ",", `,\:`).Replace
