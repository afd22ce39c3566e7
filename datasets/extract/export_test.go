package extract

import "time"

// SetKeepEvery changes how often a run records where a later one can go on.
func SetKeepEvery(d time.Duration) { keepEvery = d }
