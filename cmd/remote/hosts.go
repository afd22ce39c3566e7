package remote

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
)

// ParseHosts splits a comma separated list of hosts, each as ssh takes it: [USER@]HOST, an alias of ssh_config, or
// ssh://[USER@]HOST[:PORT], HOST being a name or an IP address (IPv6 without brackets, and not in the ssh:// form,
// where ssh takes none). What a shell, or ssh itself, might take for anything else is an error, and so is a host named
// twice.
func ParseHosts(list string) ([]string, error) {
	if strings.TrimSpace(list) == "" {
		return nil, errors.New("no host given")
	}
	hosts := strings.Split(list, ",")
	for i, host := range hosts {
		if err := checkHost(host); err != nil {
			return nil, fmt.Errorf("host %q: %w", host, err)
		}
		for _, other := range hosts[:i] {
			if strings.EqualFold(other, host) {
				return nil, fmt.Errorf("host %q is given twice", host)
			}
		}
	}
	return hosts, nil
}

// checkHost returns what is wrong with a host, after "host NAME: ".
func checkHost(host string) error {
	rest, uri := strings.CutPrefix(host, "ssh://")
	switch {
	case host == "":
		return errors.New("is empty")
	case len(host) > 320:
		return errors.New("is too long for a host")
	case strings.HasPrefix(host, "-"):
		return errors.New(`begins with "-", which ssh would take for an option`)
	}
	if i := strings.LastIndexByte(rest, '@'); i >= 0 { // as ssh splits it
		if err := checkWord("user", rest[:i], "._-+@"); err != nil {
			return err
		}
		rest = rest[i+1:]
	}
	if strings.ContainsAny(rest, "[]") {
		return errors.New("ssh takes an IPv6 address without brackets only; for a port make an alias in ssh_config")
	}
	if uri {
		name, port, given := strings.Cut(strings.TrimSuffix(rest, "/"), ":")
		if given {
			if err := checkPort(port); err != nil {
				return err
			}
		}
		for _, r := range name {
			if r > unicode.MaxASCII {
				return fmt.Errorf("ssh takes no %q in the ssh:// form", r)
			}
		}
		return checkWord("host", name, "._-")
	}
	switch strings.Count(rest, ":") {
	case 0:
		return checkWord("host", rest, "._-")
	case 1:
		return fmt.Errorf("a port needs the form ssh://%s", host)
	}
	return checkIPv6(rest)
}

// checkWord lets letters, digits and the given others pass.
func checkWord(what, word, others string) error {
	switch {
	case word == "":
		return fmt.Errorf("the %s is empty", what)
	case strings.HasPrefix(word, "-"):
		return fmt.Errorf(`the %s begins with "-"`, what)
	}
	for _, r := range word {
		if r == unicode.ReplacementChar || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(others, r) {
			return fmt.Errorf("the %s has the character %q, which is not allowed here", what, r)
		}
	}
	return nil
}

func checkPort(port string) error {
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || port[0] == '+' {
		return fmt.Errorf("%q is not a port", port)
	}
	return nil
}

func checkIPv6(s string) error {
	a, err := netip.ParseAddr(s)
	if err != nil || !a.Is6() {
		return fmt.Errorf("%q is not an IPv6 address", s)
	}
	if zone := a.Zone(); zone != "" && !plain(zone, "._-") {
		return fmt.Errorf("%q is not an interface's name", zone)
	}
	return nil
}
