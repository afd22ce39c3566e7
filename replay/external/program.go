package external

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"pcaplab/parse"
)

// Program is a parser that is another program.
type Program struct {
	Name string
	Doc  string // what it does and counts, one line
	// Package names the Debian packages that it needs, separated by spaces; empty of a command.
	Package string
	// Python is the interpreter of a program that needs one; "" is what [PythonEnv] names, else the first of python3 and
	// /usr/bin/python3 that has the module.
	Python string
	// Counter says that it publishes its progress. A command may, without being known to.
	Counter bool
	// Links are the link types that it takes; nil is any.
	Links []parse.LinkType

	argv    []string // of a command, or of a program of its own
	adapter string   // Python source; argv are its arguments
	module  string   // that the adapter imports
	version string   // Python expression for its version
	tshark  bool     // needs tshark besides
	lines   bool     // its output is a line for each packet, not empty if it is TCP
	buffer  int      // octets of its input buffer; 0 is not known
	note    string   // about that
	found   []string // the command line, once Find has found it
}

var (
	//go:embed adapters/progress.py
	progressPy string
	//go:embed adapters/dpkt.py
	dpktPy string
	//go:embed adapters/scapy.py
	scapyPy string
	//go:embed adapters/pyshark.py
	pysharkPy string
)

// Programs returns the programs that are known by name, the fastest first.
func Programs() []Program {
	const pysharkDoc = "PyShark's PipeCapture on tshark %s, hasattr(pkt, 'tcp'): TCP over IPv4 and IPv6; a fragmented " +
		"segment in its last fragment"
	pyshark := func(name, output, argument string) Program {
		return Program{Name: name, Doc: fmt.Sprintf(pysharkDoc, output), Package: "tshark", Counter: true, tshark: true,
			adapter: progressPy + pysharkPy, argv: []string{argument}, module: "pyshark",
			version: "__import__('importlib.metadata').metadata.version('pyshark')",
			note:    "tshark's input and output buffers and the pipe between it and PyShark are part of the queue"}
	}
	const stdio = 8192 // io.DEFAULT_BUFFER_SIZE up to Python 3.13
	return []Program{
		{Name: "dpkt", Doc: "Python's dpkt: Ethernet(frame).data is an IP with p == 6: TCP over IPv4 only, fragments too",
			Package: "python3-dpkt", Counter: true, Links: []parse.LinkType{parse.LinkEthernet},
			adapter: progressPy + dpktPy, module: "dpkt", version: "dpkt.__version__",
			buffer: stdio, note: "sys.stdin.buffer; part of the queue"},
		{Name: "tshark", Doc: "tshark -n -r - -T fields -e tcp.srcport, a line for each packet: TCP over IPv4 and IPv6, in " +
			"ICMP errors too; a fragmented segment in its last fragment",
			Package: "tshark", tshark: true, lines: true,
			argv:   []string{"tshark", "-n", "-r", "-", "-T", "fields", "-e", "tcp.srcport"},
			buffer: 4096, note: "wiretap's read buffer, besides the queue"},
		{Name: "scapy", Doc: "Scapy's PcapReader, pkt.haslayer(TCP): TCP over IPv4 and IPv6, first fragments only",
			Package: "python3-scapy", Counter: true, adapter: progressPy + scapyPy, module: "scapy", version: "scapy.VERSION",
			buffer: stdio, note: "sys.stdin.buffer; part of the queue"},
		pyshark("pyshark-ek", "-T ek", "ek"),
		pyshark("pyshark-json", "-T json", "json"),
		pyshark("pyshark", "-T pdml", "xml"),
	}
}

// Command returns the program of a specification NAME=CMD ARG .... The command is split into words as a POSIX shell splits
// it: at blanks, with '...', "..." and \ as quotes. No shell runs, so nothing else has a meaning; a word that would have one
// in a shell must be given by sh -c '...'. NAME is of letters, digits and . _ -, and is not one of Programs.
//
// The command reads a classic little-endian pcap stream, with times in microseconds, on its standard input until its end.
// It then prints to its standard output the number of packets seen, as the first word of a line, and after blanks or a comma
// the number of TCP packets among them if it knows; or a line with a JSON object {"packets":N,"tcp":M}. The last line that
// can be read so counts; it must be in the last 64 KiB. It ends with status 0. It may publish its progress: see
// [ProgressEnv].
func Command(spec string) (Program, error) {
	name, command, ok := strings.Cut(spec, "=")
	if !ok {
		return Program{}, fmt.Errorf("command %q: want NAME=COMMAND with its arguments", spec)
	}
	if name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != "" ||
		strings.HasPrefix(name, "-") {
		return Program{}, fmt.Errorf("command %q: the name %q must be of letters, digits and . _ -", spec, name)
	}
	for _, p := range Programs() {
		if p.Name == name {
			return Program{}, fmt.Errorf("command %q: %s is a program already: take another name", spec, name)
		}
	}
	argv, err := split(command)
	if err != nil {
		return Program{}, fmt.Errorf("command %q: %w", spec, err)
	}
	if len(argv) == 0 || argv[0] == "" {
		return Program{}, fmt.Errorf("command %q: there is no command after %s=", spec, name)
	}
	return Program{Name: name, Doc: command, argv: argv, note: "not known"}, nil
}

// split splits a command as a shell would, quotes only.
func split(s string) ([]string, error) {
	var words []string
	var word []byte
	inWord := false
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch c {
		case 0:
			return nil, errors.New("a NUL octet cannot be in a command")
		case ' ', '\t', '\n', '\r':
			if inWord {
				words, word, inWord = append(words, string(word)), word[:0], false
			}
			continue
		}
		inWord = true
		switch c {
		case '\\':
			i++
			if i == len(s) {
				return nil, errors.New(`nothing follows the last \`)
			}
			if s[i] == 0 {
				return nil, errors.New("a NUL octet cannot be in a command")
			}
			if s[i] != '\n' {
				word = append(word, s[i])
			}
		case '\'', '"':
			end := i + 1
			for ; end < len(s) && s[end] != c; end++ {
				switch {
				case s[end] == 0:
					return nil, errors.New("a NUL octet cannot be in a command")
				case c == '"' && s[end] == '\\' && end+1 < len(s) && strings.IndexByte("\"\\$`\n", s[end+1]) >= 0:
					end++
					if s[end] == '\n' {
						continue
					}
				}
				word = append(word, s[end])
			}
			if end >= len(s) {
				return nil, fmt.Errorf("the quote %c at octet %d has no end", c, i+1)
			}
			i = end
		default:
			word = append(word, c)
		}
	}
	if inWord {
		words = append(words, string(word))
	}
	return words, nil
}

// parseCounts finds the counts in the end of a program's output; cut says that its beginning is missing.
func parseCounts(output string, cut bool) (Counts, bool) {
	lines := strings.FieldsFunc(output, func(c rune) bool { return c == '\n' || c == '\r' })
	if cut && len(lines) > 0 {
		lines = lines[1:]
	}
	for _, line := range slices.Backward(lines) {
		if c, ok := parseLine(strings.TrimSpace(line)); ok {
			return c, true
		}
	}
	return Counts{}, false
}

func parseLine(line string) (Counts, bool) {
	if strings.HasPrefix(line, "{") {
		var c struct{ Packets, TCP *uint64 }
		if json.Unmarshal([]byte(line), &c) != nil || c.Packets == nil || c.TCP != nil && *c.TCP > *c.Packets {
			return Counts{}, false
		}
		if c.TCP == nil {
			return Counts{Packets: *c.Packets}, true
		}
		return Counts{*c.Packets, *c.TCP, true}, true
	}
	words := strings.FieldsFunc(line, func(c rune) bool { return c == ' ' || c == '\t' || c == ',' })
	if len(words) == 0 {
		return Counts{}, false
	}
	packets, err := strconv.ParseUint(words[0], 10, 64)
	if err != nil {
		return Counts{}, false
	}
	if len(words) > 1 {
		if tcp, err := strconv.ParseUint(words[1], 10, 64); err == nil && tcp <= packets {
			return Counts{packets, tcp, true}, true
		}
	}
	return Counts{Packets: packets}, true
}

// oneLine joins the last lines of a text, at most 400 octets.
func oneLine(s string) string {
	s = strings.Join(strings.FieldsFunc(strings.TrimSpace(s), func(c rune) bool { return c == '\n' || c == '\r' }), " | ")
	if len(s) > 400 {
		s = "..." + strings.ToValidUTF8(s[len(s)-400:], "")
	}
	return s
}

// Find looks for what the program needs and returns its version, "" if that is not known. The error is a *MissingError, or
// that of ctx. It starts processes, which take up to a second on slow boards; Start then uses what was found instead of
// looking again.
func (p *Program) Find(ctx context.Context) (version string, err error) {
	if runtime.GOOS != "linux" {
		return "", &MissingError{p.Name, "", ErrNotSupported.Error()}
	}
	argv, err := p.resolve(ctx)
	if err != nil {
		return "", err
	}
	p.found = argv
	var versions []string
	if p.adapter != "" {
		// A checkout has no version: then the module is there and that is all.
		out, err := run(ctx, argv[0], "-c", noLocalPy+"import "+p.module+"\nprint("+p.version+")")
		if v := lastLine(out); err == nil && v != "" {
			versions = append(versions, p.module+" "+v)
		} else {
			versions = append(versions, p.module)
		}
		if out, err := run(ctx, argv[0], "-c", "import platform; print(platform.python_version())"); err == nil {
			versions = append(versions, "Python "+lastLine(out))
		}
	}
	if p.tshark {
		if out, err := run(ctx, "tshark", "--version"); err == nil {
			first, _, _ := strings.Cut(out, "\n")
			first, _, _ = strings.Cut(first, " (Git")
			versions = append(versions, strings.Trim(first, " ."))
		}
	}
	return strings.Join(versions, ", "), ctx.Err()
}

// resolve returns the program's words, the first an executable.
func (p Program) resolve(ctx context.Context) ([]string, error) {
	if p.tshark {
		if _, err := exec.LookPath("tshark"); err != nil {
			return nil, &MissingError{p.Name, p.Package, "tshark is not on the PATH"}
		}
	}
	if p.adapter == "" {
		if len(p.argv) == 0 {
			return nil, &MissingError{p.Name, p.Package, "a Program comes from Programs or Command"}
		}
		name, err := exec.LookPath(p.argv[0])
		if err != nil {
			return nil, &MissingError{p.Name, p.Package, err.Error()}
		}
		return append([]string{name}, p.argv[1:]...), nil
	}
	pythons := []string{"python3", "/usr/bin/python3"}
	if p.Python != "" {
		pythons = []string{p.Python}
	} else if python := os.Getenv(PythonEnv); python != "" {
		pythons = []string{python}
	}
	var tried []string
	for _, python := range pythons {
		name, err := exec.LookPath(python)
		if err != nil {
			tried = append(tried, "there is no "+python)
			continue
		}
		out, err := run(ctx, name, "-c", importPy, p.module)
		switch missing := lastLine(out); {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			tried = append(tried, fmt.Sprintf("%s cannot run (%v)", python, err))
		case missing == p.module:
			tried = append(tried, fmt.Sprintf("%s has no module %s", python, p.module))
		case missing != "":
			tried = append(tried, fmt.Sprintf("%s cannot import %s: %s", python, p.module, missing))
		default:
			return append([]string{name, "-c", noLocalPy + p.adapter}, p.argv...), nil
		}
	}
	why := strings.Join(tried, ", ")
	if p.module == "pyshark" {
		return nil, &MissingError{p.Name, "", why + ": Debian has no package of it; install it with pip install pyshark, for " +
			"instance into a virtual environment whose python3 " + PythonEnv + " names"}
	}
	return nil, &MissingError{p.Name, p.Package, why}
}

// noLocalPy has Python look for no module in the current folder, where a script of the user's may have the name of a library.
const noLocalPy = `import sys
sys.path = [p for p in sys.path if p != ""]
`

// importPy prints why a module cannot be imported: the name of the module that is not there.
const importPy = noLocalPy + `try:
    __import__(sys.argv[1])
except ImportError as e:
    print(e.name if e.name == sys.argv[1] else "no module " + e.name if e.name else e)
`

// run returns the standard output of a short command.
func run(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	return string(out), err
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}
