package meter

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Differences names in what two environments differ, in alphabetical order, as `cpu "A", not "B"`: what the machine is, its kernel, its settings
// and what the program was built with. What changes from minute to minute (temperature, present clock, flags of throttling and voltage, free
// memory) and Notes do not count. Measurements from environments without differences are of machines of one kind; that they are of the same
// machine it cannot tell. The largest clock is that of the policy in force: the kernel lowers it while a board is too hot.
func (e *Environment) Differences(other *Environment) ([]string, error) {
	mine, err := e.lasting()
	if err != nil {
		return nil, err
	}
	others, err := other.lasting()
	if err != nil {
		return nil, err
	}
	names := slices.Concat(slices.Collect(maps.Keys(mine)), slices.Collect(maps.Keys(others)))
	slices.Sort(names)
	var list []string
	for _, name := range slices.Compact(names) {
		x, y := shown(mine[name]), shown(others[name])
		if x == y || name == memoryField && near(e.MemoryOctets, other.MemoryOctets) {
			continue
		}
		text := fmt.Sprintf("%s %s, not %s", name, x, y)
		if name == frequencyField {
			text += " (heat can lower it for a while: let both cool, and measure again)"
		}
		list = append(list, text)
	}
	return list, nil
}

// shown is a value in JSON; none is unknown.
func shown(v json.RawMessage) string {
	if len(v) == 0 || string(v) == "null" {
		return "unknown"
	}
	return string(v)
}

// Fields that are compared or told in a way of their own.
const (
	memoryField    = "memory_octets"
	frequencyField = "frequency_max_hz"
)

// memoryStep is how far the sizes of the memory may be apart: kernels keep more or less of it for themselves.
const memoryStep = 1 << 28

func near(a, b *int64) bool {
	return a != nil && b != nil && *a-*b <= memoryStep && *b-*a <= memoryStep
}

// lasting returns the fields that do not change from minute to minute, as they are in JSON.
func (e *Environment) lasting() (map[string]json.RawMessage, error) {
	c := *e
	c.FrequencyCurrentHz, c.FrequencyFirmwareHz, c.TemperatureMilliC, c.Throttle, c.UnderVoltage = nil, nil, nil, nil, nil
	c.MemoryAvailableOctets, c.Notes = nil, nil
	text, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	fields := make(map[string]json.RawMessage)
	return fields, json.Unmarshal(text, &fields)
}
