package board

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"pcaplab/replay/meter"
)

// WriteText writes the board and its findings for a person at a terminal. What is in a Board may come from another
// machine: control characters are replaced.
func (b *Board) WriteText(w io.Writer) error {
	out := bufio.NewWriter(w)
	row := func(label, value string) {
		if value != "" {
			fmt.Fprintf(out, "%-12s %s\n", label, clean(value))
			return
		}
		fmt.Fprintf(out, "%-12s n/a\n", label)
	}
	e := &b.Environment
	row("Board", cmp.Or(b.Product, "n/a (no device tree, and no DMI)"))
	row("System", b.system())
	row("Processor", b.processor())
	row("Caches", caches(e))
	b.writeClocks(row)
	row("Temperature", b.temperature())
	if b.raspberryPi() {
		row("Throttling", b.throttling())
	}
	row("Cooling", b.cooling())
	row("Memory", b.memory())
	row("Swap", b.swap())
	load := b.Load.String()
	if b.raspberryPi() && load != "" && b.Load.PressurePercent == nil {
		load += ", pressure n/a (psi=1 in cmdline.txt turns it on)"
	}
	row("Load", load)
	if b.OnBattery != nil {
		row("Power", map[bool]string{true: "battery", false: "mains"}[*b.OnBattery])
	}
	if b.Model != nil {
		row("Published", b.Model.published())
	}
	b.writeNICs(out)
	b.writeFindings(out)
	for _, notes := range [][]string{e.Notes, b.Notes} {
		for _, note := range notes {
			fmt.Fprintln(out, "note:", clean(note))
		}
	}
	return out.Flush()
}

func (b *Board) system() string {
	e := &b.Environment
	s := b.System
	add := func(part string) {
		if s != "" {
			s += ", "
		}
		s += part
	}
	kernel := strings.TrimSpace("kernel " + e.Kernel + " " + e.KernelArch)
	if b.KernelBits != nil {
		kernel += fmt.Sprintf(" (%d-bit)", *b.KernelBits)
	}
	if e.Kernel != "" {
		add(kernel)
	}
	if b.UserlandBits != nil {
		add(fmt.Sprintf("userland %d-bit", *b.UserlandBits))
	}
	add(fmt.Sprintf("pcaplab %s/%s (%d-bit)", e.OS, e.Arch, e.Bits))
	return s
}

func (b *Board) processor() string {
	e := &b.Environment
	parts := []string{}
	if e.CPU != "" {
		parts = append(parts, e.CPU)
	}
	if _, soc, ok := strings.Cut(e.SoC, ","); ok {
		parts = append(parts, "SoC "+strings.ToUpper(soc))
	}
	switch {
	case e.CoresOnline != nil && e.CoresPossible != nil:
		parts = append(parts, fmt.Sprintf("%d of %d CPUs online", *e.CoresOnline, *e.CoresPossible))
	case e.CoresOnline != nil:
		parts = append(parts, fmt.Sprintf("%d CPUs online", *e.CoresOnline))
	}
	if b.SMT != nil && *b.SMT {
		parts = append(parts, "SMT")
	}
	if b.virtual() {
		parts = append(parts, "virtual")
	}
	if b.CPUQuota != nil {
		parts = append(parts, fmt.Sprintf("quota %.2f CPUs", *b.CPUQuota))
	}
	return strings.Join(parts, ", ")
}

func caches(e *meter.Environment) string {
	var parts []string
	for _, c := range e.Caches {
		name := "L" + strconv.Itoa(c.Level)
		switch c.Type {
		case "Data":
			name += "d"
		case "Instruction":
			name += "i"
		}
		parts = append(parts, name+" "+octets(c.Octets))
	}
	if parts != nil && e.CacheSource != "sysfs" {
		parts = append(parts, "from a "+e.CacheSource)
	}
	return strings.Join(parts, ", ")
}

// mostClocks keeps a machine with a policy for every CPU on the screen.
const mostClocks = 4

func (b *Board) writeClocks(row func(label, value string)) {
	// Policies that differ only by what they are at now are one line.
	type group struct {
		Policy
		all       []Policy
		low, high *int64
	}
	var groups []group
	for _, p := range b.Policies {
		same := func(g *group) bool {
			return g.Governor == p.Governor && g.Driver == p.Driver && equal(g.MinHz, p.MinHz) && equal(g.MaxHz, p.MaxHz) &&
				equal(g.HardwareMinHz, p.HardwareMinHz) && equal(g.HardwareMaxHz, p.HardwareMaxHz)
		}
		found := false
		for i := range groups {
			if g := &groups[i]; !found && same(g) {
				g.all, found = append(g.all, p), true
				if p.CurrentHz != nil && (g.low == nil || *p.CurrentHz < *g.low) {
					g.low = p.CurrentHz
				}
				if p.CurrentHz != nil && (g.high == nil || *p.CurrentHz > *g.high) {
					g.high = p.CurrentHz
				}
			}
		}
		if !found {
			groups = append(groups, group{p, []Policy{p}, p.CurrentHz, p.CurrentHz})
		}
	}
	if groups == nil {
		row("Clock", "")
	}
	for i, g := range groups {
		if i == mostClocks {
			row("", fmt.Sprintf("and %d more kinds of clocks", len(groups)-i))
			break
		}
		s := cpusOf(g.all) + ": now " + between(g.low, g.high)
		s += ", allowed " + between(g.MinHz, g.MaxHz) + ", can " + between(g.HardwareMinHz, g.HardwareMaxHz)
		if g.Governor != "" {
			s += ", governor " + g.Governor
		}
		if g.Driver != "" {
			s += " (" + g.Driver + ")"
		}
		if i == 0 && b.Environment.FrequencyFirmwareHz != nil {
			s += ", the firmware gives " + hertz(b.Environment.FrequencyFirmwareHz)
		}
		if i == 0 && b.Boost != nil {
			s += map[bool]string{true: ", boost on", false: ", boost off"}[*b.Boost]
		}
		row(map[bool]string{true: "Clock"}[i == 0], s)
	}
}

func equal(a, b *int64) bool { return a == b || a != nil && b != nil && *a == *b }

func between(low, high *int64) string {
	switch {
	case low == nil && high == nil:
		return "n/a"
	case equal(low, high):
		return hertz(low)
	}
	return strings.TrimSuffix(hertz(low), " MHz") + "-" + hertz(high)
}

func (b *Board) temperature() string {
	var parts []string
	for i := range b.Temperatures {
		t := &b.Temperatures[i]
		s := t.Sensor + " " + celsius(t.MilliC)
		switch limits := b.limits(t); {
		case limits == nil:
		case limits[0].milliC > t.MilliC:
			s += fmt.Sprintf(" (%s below its limit)", celsius(limits[0].milliC-t.MilliC))
		default:
			s += fmt.Sprintf(" (over its limit of %s)", celsius(limits[0].milliC))
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, ", ")
}

func (b *Board) throttling() string {
	if b.Environment.Throttle == nil {
		if b.Environment.UnderVoltage == nil {
			return ""
		}
		return map[bool]string{true: "under-voltage now", false: "no under-voltage now"}[*b.Environment.UnderVoltage] + "; the rest n/a"
	}
	f := *b.Environment.Throttle
	return fmt.Sprintf("now %v; since boot %v", f.Now(), f.Sticky())
}

func (b *Board) cooling() string {
	var parts []string
	for _, f := range b.Fans {
		s := "fan " + f.Name
		if f.State != nil && f.MaxState != nil {
			s += fmt.Sprintf(" at %d of %d", *f.State, *f.MaxState)
		}
		if f.RPM != nil {
			s += fmt.Sprintf(" (%d rpm)", *f.RPM)
		}
		parts = append(parts, s)
	}
	if parts == nil {
		parts = append(parts, "no fan known to the kernel")
	}
	counts, order := map[string]int{}, []string{}
	for _, c := range b.Cooling {
		if strings.Contains(strings.ToLower(c.Type), "fan") {
			continue
		}
		s := c.Type
		if c.State != nil && c.MaxState != nil {
			s += fmt.Sprintf(" at %d of %d", *c.State, *c.MaxState)
		}
		if counts[s] == 0 {
			order = append(order, s)
		}
		counts[s]++
	}
	for _, s := range order {
		if counts[s] > 1 {
			s = fmt.Sprintf("%dx %s", counts[s], s)
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, ", ")
}

func (b *Board) memory() string {
	e := &b.Environment
	if e.MemoryOctets == nil {
		return ""
	}
	s := octets(*e.MemoryOctets)
	if e.MemoryAvailableOctets != nil {
		s += ", " + octets(*e.MemoryAvailableOctets) + " available"
	}
	return s
}

func (b *Board) swap() string {
	if b.SwapUsedOctets == nil {
		return ""
	}
	var parts []string
	for _, s := range b.Swaps {
		part := fmt.Sprintf("%s %s, %s used", s.Kind, octets(s.Octets), octets(s.UsedOctets))
		if s.OnCard != nil && *s.OnCard {
			part += ", on the SD card or eMMC"
		}
		parts = append(parts, part)
	}
	if parts == nil {
		return "none"
	}
	return strings.Join(parts, "; ")
}

// String says in one line what else runs.
func (l Load) String() string {
	var parts []string
	if l.Average1 != nil && l.Average5 != nil && l.Average15 != nil {
		parts = append(parts, fmt.Sprintf("average %.2f %.2f %.2f", *l.Average1, *l.Average5, *l.Average15))
	}
	if l.BusyCPUs != nil {
		parts = append(parts, fmt.Sprintf("%.2f CPUs busy", *l.BusyCPUs))
	}
	if l.StolenCPUs != nil && *l.StolenCPUs > 0 {
		parts = append(parts, fmt.Sprintf("%.2f stolen", *l.StolenCPUs))
	}
	if l.PressurePercent != nil {
		parts = append(parts, fmt.Sprintf("pressure %.1f %%", *l.PressurePercent))
	}
	for _, p := range l.Processes {
		parts = append(parts, fmt.Sprintf("%s %.2f", p.Name, p.CPUs))
	}
	return strings.Join(parts, ", ")
}

func (m *Model) published() string {
	var parts []string
	source := ""
	add := func(what string, f *Figure, unit string) {
		if f == nil {
			return
		}
		s := what + " " + f.Value + unit
		if f.Mark != MarkRead {
			s += " [" + f.Mark + "]"
		}
		parts = append(parts, s)
		source = f.Source
	}
	add("7-zip single", m.SevenZip, " MIPS")
	add("memcpy", m.Memcpy, " MB/s")
	add("random read", m.RandomRead, " ns")
	if parts == nil {
		return ""
	}
	return strings.Join(parts, ", ") + "; from " + source
}

// mostRows keeps a router of many ports on the screen.
const mostRows = 6

func (b *Board) writeNICs(out io.Writer) {
	fmt.Fprintln(out)
	if len(b.NICs) == 0 {
		fmt.Fprintln(out, "No network interface is known.")
	}
	for i := range b.NICs {
		n := &b.NICs[i]
		if i == mostRows {
			fmt.Fprintf(out, "and %d more interfaces\n", len(b.NICs)-i)
			break
		}
		fmt.Fprintf(out, "NIC %-8s %s\n", clean(n.Name), clean(n.link()))
		if len(n.LineRates) == 0 {
			continue
		}
		row := func(label, unit string, value func(LineRate) string) {
			line := fmt.Sprintf("  %-10s", label)
			for _, r := range n.LineRates {
				line += fmt.Sprintf(" %10s", value(r))
			}
			fmt.Fprintln(out, line+" "+unit)
		}
		row("frame", "B with FCS", func(r LineRate) string { return strconv.Itoa(r.FrameOctets) })
		row("line rate", "pps", func(r LineRate) string { return grouped(r.PPS) })
		if n.LineRates[0].BusPPS != nil {
			row("by its bus", "pps at most", func(r LineRate) string {
				if r.BusPPS == nil {
					return "n/a"
				}
				return grouped(*r.BusPPS)
			})
		}
	}
}

func (n *NIC) link() string {
	device := strings.TrimSpace(n.Driver)
	if n.Bus != "" {
		device = strings.TrimSpace(device + " on " + n.Bus)
	}
	s := ""
	switch {
	case n.Kind == "wifi":
		s = "wifi: rate unknown (the air decides)"
	case n.LinkBitsPerSecond != nil:
		s = strings.TrimSpace(bits(*n.LinkBitsPerSecond) + " " + n.Duplex)
	case n.State == "down" || n.State == "lowerlayerdown":
		s = "no link"
	default:
		s = "rate not told"
	}
	if n.Kind == "virtual" {
		s += ", virtual"
	}
	if device != "" {
		s += ", " + device
	}
	if n.BusBitsPerSecond != nil {
		s += fmt.Sprintf("; its bus carries about %s (%s)", bits(*n.BusBitsPerSecond), n.BusSource)
	}
	return s
}

func (b *Board) writeFindings(out io.Writer) {
	fmt.Fprintln(out)
	if len(b.Findings) == 0 {
		fmt.Fprintln(out, "Nothing found that would spoil a measurement.")
		return
	}
	counts := map[Level]int{}
	for _, f := range b.Findings {
		counts[f.Level]++
	}
	var parts []string
	for _, l := range []Level{Spoils, Blurs, Note} {
		if counts[l] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[l], l))
		}
	}
	fmt.Fprintf(out, "What a measurement would suffer from: %s\n", strings.Join(parts, ", "))
	for _, f := range b.Findings {
		fmt.Fprintf(out, "%-7s %s\n", strings.ToUpper(clean(string(f.Level))), clean(f.Seen))
		fmt.Fprintf(out, "  why   %s\n", clean(f.Why))
		for i, line := range f.Mend {
			fmt.Fprintf(out, "  %-5s %s\n", map[bool]string{true: "mend"}[i == 0], clean(line))
		}
	}
}

func hertz(hz *int64) string {
	if hz == nil {
		return "n/a"
	}
	return strconv.FormatInt((*hz+500_000)/1_000_000, 10) + " MHz"
}

func celsius(milliC int64) string {
	return strconv.FormatFloat(float64(milliC)/1000, 'f', 1, 64) + " °C"
}

func octets(n int64) string {
	switch {
	case n < 10<<10:
		return strconv.FormatInt(n, 10) + " B"
	case n < 10<<20:
		return trimmed(float64(n)/(1<<10)) + " KiB"
	}
	return trimmed(float64(n)/(1<<20)) + " MiB"
}

func bits(n int64) string {
	if n >= 1_000_000_000 {
		return trimmed(float64(n)/1e9) + " Gbit/s"
	}
	return trimmed(float64(n)/1e6) + " Mbit/s"
}

// trimmed writes small numbers with one decimal, unless that is 0.
func trimmed(v float64) string {
	if v >= 100 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0")
}

func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// clean keeps s on its line and off the terminal's controls.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029':
			return utf8.RuneError
		}
		return r
	}, s)
}
