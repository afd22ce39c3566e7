//go:build !linux

package live

import "time"

// monotonic is not asked where there is no network to measure.
func monotonic() time.Duration { return 0 }
