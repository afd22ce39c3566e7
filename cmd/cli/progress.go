package cli

import (
	"fmt"
	"sync"
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

// studyBars shows studies under way, between trials only, in one line.
type studyBars struct {
	begin time.Time
	mu    sync.Mutex
	shown *progressbar.ProgressBar
	bars  []*studyBar
}

// studyBar is the part of one study.
type studyBar struct {
	all   *studyBars
	name  string // tells it from the others
	unit  string
	total time.Duration // expected trial time
	share float64       // done
	text  string
}

func (a *app) studyBars(n int) *studyBars {
	b := &studyBars{begin: time.Now(), bars: make([]*studyBar, n)}
	if a.progress() {
		b.shown = progressbar.NewOptions64(1000, progressbar.OptionSetWriter(a.stderr),
			progressbar.OptionSetPredictTime(false), progressbar.OptionClearOnFinish(), progressbar.OptionSetWidth(24),
			progressbar.OptionSetElapsedTime(true), progressbar.OptionThrottle(0))
	}
	return b
}

func (b *studyBars) bar(i int, name string) *studyBar {
	b.bars[i] = &studyBar{all: b, name: name}
	return b.bars[i]
}

// expect says in which unit loads are, and how long the study takes.
func (b *studyBar) expect(unit string, total time.Duration) {
	b.all.mu.Lock()
	defer b.all.mu.Unlock()
	b.unit, b.total = unit, total
}

func (b *studyBar) set(p trial.Progress) {
	b.all.mu.Lock()
	defer b.all.mu.Unlock()
	if p.Cells == 0 {
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
	if c := p.Cooling; c != nil {
		load = fmt.Sprintf("cooling, %.1f °C, wants %.1f", float64(c.ToMilliC)/1000, float64(c.TargetMilliC)/1000)
	}
	b.share = float64(p.Done) / float64(p.Cells)
	if b.total > 0 {
		// Within a cell the trial time tells how far it is; a cell never fills more than its share.
		within := float64(p.MeasuredTime)/float64(b.total) - b.share
		b.share = min(1, b.share+max(0, min(within, 0.95/float64(p.Cells))))
	}
	b.text = fmt.Sprintf("%d/%d %v #%d: %s", min(p.Done+1, p.Cells), p.Cells, p.Cell, p.Repeat, load)
	b.all.show()
}

// show draws the bar: with several studies, how far each is.
func (b *studyBars) show() {
	if b.shown == nil {
		return
	}
	text, share, least := "", 0.0, 1.0
	for i, bar := range b.bars {
		share += bar.share / float64(len(b.bars))
		least = min(least, bar.share)
		if len(b.bars) == 1 {
			text = bar.text
			continue
		}
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprintf("%s %.0f %%", bar.name, 100*bar.share)
	}
	if least > 0 && least < 1 {
		text += fmt.Sprintf(", %v left", time.Duration(float64(time.Since(b.begin))*(1/least-1)).Round(time.Second))
	}
	b.shown.Describe(text)
	_ = b.shown.Set64(int64(1000 * share))
}

func (b *studyBars) done() {
	if b.shown != nil {
		_ = b.shown.Finish()
	}
}
