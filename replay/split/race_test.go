//go:build race

package split

// poolsForget says that a sync.Pool drops what it holds at random, as it does under the race detector.
const poolsForget = true
