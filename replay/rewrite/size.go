package rewrite

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Limits of a size, in octets with FCS: the smallest Ethernet frame, and what keeps every IP length within 16 bits.
const (
	MinSize = 64
	MaxSize = 65535
)

// FCSLen is the length of the Ethernet frame check sequence in octets: part of a size, not of a capture.
const FCSLen = 4

// IMIX is the mixture that the name "imix" stands for: 7 frames of 64 octets, 4 of 570 and 1 of 1518, mean 353.8. These
// are the weights and sizes of IMIX_v4_1 in the benchmarks of FD.io CSIT.
const IMIX = "imix:7x64,4x570,1x1518"

// maxCycle bounds the frames of a mixture's cycle.
const maxCycle = 4096

// Size is a frame size, or a mixture of some, under a name.
type Size struct {
	Name   string `json:"name"`   // as ParseSizes takes it
	Octets []int  `json:"octets"` // size of each frame in turn, with FCS, over and over
}

// Mean returns the mean size of a cycle, with FCS, in thousandths of an octet, rounded down.
func (s Size) Mean() int64 {
	sum := int64(0)
	for _, n := range s.Octets {
		sum += int64(n)
	}
	return sum * 1000 / int64(max(len(s.Octets), 1))
}

// ParseSizes reads a list of sizes joined by commas: numbers of octets with FCS, "imix" for [IMIX], and mixtures of the
// form "imix:7x64,4x570,1x1518", which reach up to the next item without a weight. Within a mixture's cycle the sizes
// are spread evenly. The error names every faulty item.
func ParseSizes(list string) ([]Size, error) {
	var sizes []Size
	var errs []error
	items := strings.Split(list, ",")
	for i := 0; i < len(items); i++ {
		item := strings.TrimSpace(items[i])
		var s Size
		var err error
		if first, ok := strings.CutPrefix(item, "imix:"); ok {
			parts := []string{first}
			for ; i+1 < len(items); i++ {
				next := strings.TrimSpace(items[i+1])
				if strings.HasPrefix(next, "imix") || !strings.Contains(next, "x") {
					break
				}
				parts = append(parts, next)
			}
			s, err = mixture("imix:"+strings.Join(parts, ","), parts)
		} else if item == "imix" {
			s, err = mixture(item, strings.Split(strings.TrimPrefix(IMIX, "imix:"), ","))
		} else {
			var n int
			n, err = octets(item)
			s = Size{Name: strconv.Itoa(n), Octets: []int{n}}
		}
		switch {
		case err != nil:
			errs = append(errs, err)
		case slices.ContainsFunc(sizes, func(o Size) bool { return o.Name == s.Name }):
			errs = append(errs, fmt.Errorf("size %s is listed twice", s.Name))
		default:
			sizes = append(sizes, s)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return sizes, nil
}

func octets(item string) (int, error) {
	n, err := strconv.Atoi(item)
	if err != nil {
		return 0, fmt.Errorf("size %q: want octets such as 64, or imix", item)
	}
	return n, checkSize(n)
}

func checkSize(n int) error {
	if n < MinSize || n > MaxSize {
		return fmt.Errorf("size %d: an Ethernet frame with its FCS has %d to %d octets here", n, MinSize, MaxSize)
	}
	return nil
}

// mixture spreads the sizes of a cycle evenly: in each place stands the size that is furthest behind its share.
func mixture(name string, parts []string) (Size, error) {
	type weighted struct{ weight, octets, behind int }
	var mix []weighted
	total := 0
	for _, part := range parts {
		count, size, ok := strings.Cut(part, "x")
		weight, err := strconv.Atoi(count)
		if !ok || err != nil || weight < 1 || weight > maxCycle {
			return Size{}, fmt.Errorf("size %s: %q is not a weight up to %d and a size, such as 7x64", name, part, maxCycle)
		}
		n, err := octets(size)
		if err != nil {
			return Size{}, fmt.Errorf("size %s: %w", name, err)
		}
		mix = append(mix, weighted{weight: weight, octets: n})
		if total += weight; total > maxCycle {
			return Size{}, fmt.Errorf("size %s: weights sum to more than %d", name, maxCycle)
		}
	}
	s := Size{Name: name, Octets: make([]int, 0, total)}
	for range total {
		most := 0
		for i := range mix {
			mix[i].behind += mix[i].weight
			if mix[i].behind > mix[most].behind {
				most = i
			}
		}
		mix[most].behind -= total
		s.Octets = append(s.Octets, mix[most].octets)
	}
	return s, nil
}
