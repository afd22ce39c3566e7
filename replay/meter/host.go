package meter

import (
	"os"
	"strings"
)

// Host is which machine this is, among machines that may be of one kind.
type Host struct {
	Name string `json:"name,omitempty"`
	// Boot is the kernel's random id of this boot (Linux): the same in all containers of a machine, and another after it was started again. Names
	// alone do not tell machines apart: boards are often called alike.
	Boot string `json:"boot_id,omitempty"`
}

// ReadHost returns which machine this is.
func ReadHost(roots Roots) Host {
	var h Host
	h.Name, _ = os.Hostname()
	if text, ok := read(roots.proc("sys/kernel/random/boot_id"), new([]string)); ok {
		h.Boot = strings.TrimSpace(text)
	}
	return h
}

// Same reports whether two are the same machine, not started again between; where a boot is not known the names decide.
func (h Host) Same(other Host) bool {
	if h.Boot != "" && other.Boot != "" {
		return h.Boot == other.Boot
	}
	return h.Name == other.Name
}
