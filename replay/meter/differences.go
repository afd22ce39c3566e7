package meter

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Differences names in what two environments differ, in alphabetical order, as `cpu "A", not "B"`: what the machine is, its kernel, its settings
// and what the program was built with. What changes from minute to minute (temperature, present clock, flags of throttling and voltage, free
// memory) and Notes do not count. Measurements from environments without differences are of machines of one kind; that they are of the same
// machine it cannot tell.
func (e *Environment) Differences(other *Environment) ([]string, error) {
	mine, err := e.lasting()
	if err != nil {
		return nil, err
	}
	others, err := other.lasting()
	if err != nil {
		return nil, err
	}
	var list []string
	for _, name := range slices.Sorted(maps.Keys(mine)) {
		if !bytes.Equal(mine[name], others[name]) {
			list = append(list, fmt.Sprintf("%s %s, not %s", name, mine[name], others[name]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(others)) {
		if _, ok := mine[name]; !ok {
			list = append(list, fmt.Sprintf("%s unknown, not %s", name, others[name]))
		}
	}
	return list, nil
}

// memoryStep is to what the size of the memory is compared: kernels keep more or less of it for themselves.
const memoryStep = 1 << 28

// lasting returns the fields that do not change from minute to minute, as they are in JSON.
func (e *Environment) lasting() (map[string]json.RawMessage, error) {
	c := *e
	c.FrequencyCurrentHz, c.FrequencyFirmwareHz, c.TemperatureMilliC, c.Throttle, c.UnderVoltage = nil, nil, nil, nil, nil
	c.MemoryAvailableOctets, c.Notes = nil, nil
	if c.MemoryOctets != nil {
		n := (*c.MemoryOctets + memoryStep/2) / memoryStep * memoryStep
		c.MemoryOctets = &n
	}
	text, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	fields := make(map[string]json.RawMessage)
	return fields, json.Unmarshal(text, &fields)
}
