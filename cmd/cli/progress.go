package cli

import (
	"fmt"
	"time"

	"github.com/schollz/progressbar/v3"

	"pcaplab/analysis/report"
	"pcaplab/replay/trial"
)

// bar is a progress bar on standard error that shows itself after a second of work, and only on a terminal. The zero
// value shows nothing.
type bar struct {
	begin time.Time
	make  func(total int64) *progressbar.ProgressBar
	shown *progressbar.ProgressBar
}

func (a *app) octetsBar(what string) *bar {
	b := &bar{begin: time.Now()}
	if a.progress() {
		b.make = func(total int64) *progressbar.ProgressBar {
			return progressbar.NewOptions64(total, progressbar.OptionSetWriter(a.stderr), progressbar.OptionShowBytes(true),
				progressbar.OptionSetDescription(what), progressbar.OptionThrottle(100*time.Millisecond),
				progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(true), progressbar.OptionFullWidth())
		}
	}
	return b
}

// set shows that done of total is done; total below 1 is unknown.
func (b *bar) set(done, total int64) {
	if b.make == nil || b.shown == nil && time.Since(b.begin) < time.Second {
		return
	}
	if total < 1 {
		total = -1
	}
	if b.shown == nil {
		b.shown = b.make(total)
	}
	_ = b.shown.Set64(done)
}

func (b *bar) done() {
	if b.shown != nil {
		_ = b.shown.Finish()
	}
}

// studyBar shows a study under way, between trials only.
type studyBar struct {
	begin time.Time
	unit  string
	shown *progressbar.ProgressBar
	total time.Duration // expected trial time
}

func (a *app) studyBar(unit string, expected time.Duration) *studyBar {
	b := &studyBar{begin: time.Now(), unit: unit, total: expected}
	if a.progress() {
		b.shown = progressbar.NewOptions64(1000, progressbar.OptionSetWriter(a.stderr),
			progressbar.OptionSetPredictTime(false), progressbar.OptionClearOnFinish(), progressbar.OptionSetWidth(24),
			progressbar.OptionSetElapsedTime(true), progressbar.OptionThrottle(0))
	}
	return b
}

func (b *studyBar) set(p trial.Progress) {
	if b.shown == nil || p.Cells == 0 {
		return
	}
	load := "closed loop"
	if p.LastInput.Load > 0 {
		format := report.FormatRate
		if b.unit == "bit/s" {
			format = report.FormatBits
		}
		load = fmt.Sprintf("%s, loss %s", format(p.LastInput.Load), report.FormatRatio(p.LastLoss))
	}
	share := float64(p.Done) / float64(p.Cells)
	if b.total > 0 {
		// Within a cell the trial time tells how far it is; a cell never fills more than its share.
		within := float64(p.MeasuredTime)/float64(b.total) - share
		share += max(0, min(within, 0.95/float64(p.Cells)))
	}
	left := ""
	if share > 0 && share < 1 {
		left = fmt.Sprintf(", %v left", time.Duration(float64(time.Since(b.begin))*(1/share-1)).Round(time.Second))
	}
	b.shown.Describe(fmt.Sprintf("%d/%d %v #%d: %s%s", min(p.Done+1, p.Cells), p.Cells, p.Cell, p.Repeat, load, left))
	_ = b.shown.Set64(int64(1000 * share))
}

func (b *studyBar) done() {
	if b.shown != nil {
		_ = b.shown.Finish()
	}
}
