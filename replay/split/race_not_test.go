//go:build !race

package split

const poolsForget = false
