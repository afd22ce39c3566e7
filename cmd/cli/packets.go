package cli

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

// packetCount is a flag: a number of packets that may be written as 1e6 or 10k. One below 0 is taken where T has it, so that the command can say
// what it must be.
type packetCount[T int | int64 | uint64] struct{ n *T }

func packetsFlag[T int | int64 | uint64](n *T) pflag.Value { return packetCount[T]{n} }

func (c packetCount[T]) Type() string   { return "number" }
func (c packetCount[T]) String() string { return fmt.Sprint(*c.n) }

func (c packetCount[T]) Set(s string) error {
	refused := fmt.Errorf("%q is not a number of packets, as 5000, 10k or 1e6", s)
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		if u, err := strconv.ParseUint(s, 10, 64); err == nil && uint64(T(u)) == u && T(u) > 0 {
			*c.n = T(u)
			return nil
		}
		decimal := s
		if end := len(s) - 1; end > 0 && !strings.ContainsAny(s[:end], "eEpPxX") {
			if exponent := map[byte]string{'k': "e3", 'M': "e6", 'G': "e9"}[s[end]]; exponent != "" {
				decimal = s[:end] + exponent
			}
		}
		f, err := strconv.ParseFloat(decimal, 64)
		if err != nil || !(f >= 0) || f > 1<<53 || f != math.Trunc(f) {
			return refused
		}
		v = int64(f)
	}
	if n := T(v); int64(n) != v || n < 0 != (v < 0) {
		return refused
	}
	*c.n = T(v)
	return nil
}
