package validation

import (
	"pcaplab/analysis/score"
)

// Schema is the version of a Report's JSON.
const Schema = 1

// Report is what Run found. Shares are between 0 and 1; what is not known is null in JSON, with the reason beside it.
type Report struct {
	Schema   int      `json:"schema"`
	Version  string   `json:"version,omitempty"` // of the program; Run leaves it empty
	Model    Model    `json:"model"`
	Settings Settings `json:"settings"`
	// Sets are the sets of vectors in the order given, that of Config.Reference last.
	Sets     []SetReport    `json:"sets"`
	Drift    []DriftReport  `json:"drift,omitempty"`
	Ablation []AblationPart `json:"ablation,omitempty"` // of each set but the reference
	Warnings []string       `json:"warnings"`
}

// Model is what was validated.
type Model struct {
	Name          string   `json:"name"`
	SHA256        string   `json:"sha256,omitempty"`
	Classes       []string `json:"classes"`       // as the model names them
	Columns       []string `json:"columns"`       // that it takes, in its order
	ColumnsNamed  bool     `json:"columns_named"` // by the model; else they are by position, under the names of ours
	Probabilities bool     `json:"probabilities"`
}

// Settings are those of a Report.
type Settings struct {
	Benign    string  `json:"benign"`     // class that raises no alarm; empty if there is none
	NonFinite string  `json:"non_finite"` // model.Policy
	Limit     int64   `json:"limit,omitempty"`
	Resamples int     `json:"resamples"`
	Level     float64 `json:"level"`
	Seed      uint64  `json:"seed"`
	// What the program that called Run did with labels and windows, in its words.
	Group  string `json:"group,omitempty"`
	Window string `json:"window,omitempty"`
	As     string `json:"as,omitempty"`
}

// SetReport is how right the model is on one set of vectors.
type SetReport struct {
	Name      string `json:"name"`
	Reference bool   `json:"reference,omitempty"`
	Captures  bool   `json:"captures"`         // the vectors were made of captures just now
	Window    string `json:"window,omitempty"` // of captures
	Synthetic string `json:"synthetic,omitempty"`

	Sources []SourceReport `json:"sources"`
	Rows    uint64         `json:"rows"`    // read
	Decided uint64         `json:"decided"` // that have a prediction: those of Confusion
	Dropped uint64         `json:"dropped"` // that the policy left without one
	Clamped uint64         `json:"clamped"` // that have one after values were replaced
	// DroppedOf are the dropped rows by class, without those that have none.
	DroppedOf map[string]uint64 `json:"dropped_of,omitempty"`
	// NonFinite are the columns that the model takes with values that it cannot, in the order of the vectors.
	NonFinite []NonFinite `json:"values_not_finite,omitempty"`
	// Labels are those of the data, as its Rows give them.
	Labels []Label `json:"labels"`

	Confusion *score.Confusion `json:"confusion"`
	Metrics   score.Metrics    `json:"metrics"`
	Intervals score.Intervals  `json:"intervals"`
	// Alarms is nil without a benign class, Hours the capture time of the benign vectors, 0 where HoursWhy says why it is not known.
	Alarms   *score.Alarms `json:"alarms,omitempty"`
	Hours    float64       `json:"benign_hours,omitempty"`
	HoursWhy string        `json:"benign_hours_unknown,omitempty"`
	// FalseAlarmsPerHour is Alarms.FalseAlarms over Hours, nil where one of them is missing. Its interval is that of the benign recall, in
	// alarms an hour. Hours below LeastHours are too few for a rate to say anything.
	FalseAlarmsPerHour         *float64        `json:"false_alarms_per_hour"`
	FalseAlarmsPerHourInterval *score.Interval `json:"false_alarms_per_hour_interval,omitempty"`
	// Binary are the metrics of benign against all else, nil without a benign class or where there are no other two.
	Binary *score.Metrics `json:"binary,omitempty"`

	WindowLength LengthReport `json:"window_length"`
	Warnings     []string     `json:"warnings,omitempty"`
}

// BenignRecall returns the share of benign vectors that raised no alarm, with its interval; ok is false if there are none.
func (s *SetReport) BenignRecall() (recall float64, interval score.Interval, ok bool) {
	if s.Alarms == nil || s.Alarms.BenignRows == 0 {
		return 0, score.Interval{}, false
	}
	if i := s.Confusion.Class(s.Alarms.Benign); i >= 0 && i < len(s.Intervals.PerClass) {
		interval = s.Intervals.PerClass[i].Recall
	}
	return s.Alarms.BenignRecall(), interval, true
}

// LeastHours is how many hours of benign capture a rate of false alarms needs to be more than a multiple of a few: ten minutes.
const LeastHours = 1.0 / 6

// SourceReport is what one table or capture gave.
type SourceReport struct {
	Name     string   `json:"name"`
	Rows     uint64   `json:"rows"`
	Decided  uint64   `json:"decided"`
	Accuracy *float64 `json:"accuracy"` // nil if none was decided
}

// NonFinite counts values of a column.
type NonFinite struct {
	Column string `json:"column"`
	Rows   uint64 `json:"rows"`
}

// Label is a label of the data.
type Label struct {
	Label   string `json:"label"`
	Rows    uint64 `json:"rows"`
	Unknown bool   `json:"unknown,omitempty"` // the model has no such class: all its rows are wrong
}

// AblationPart is how the model does on a set under other windows, and without the columns that windows' length shows in.
type AblationPart struct {
	Set       string     `json:"set"`
	Synthetic string     `json:"synthetic,omitempty"`
	Rows      []Ablation `json:"rows"`
	// Leak is LeakShown, LeakNotShown, LeakPossible or LeakUntested, Finding says it in a sentence.
	Leak    string `json:"leak"`
	Finding string `json:"finding"`
	// NotDone says which rows there are not, and why, and Notes what to know of those that there are.
	NotDone []string `json:"not_done,omitempty"`
	Notes   []string `json:"notes,omitempty"`
}

// What an ablation showed of the length of windows.
const (
	LeakShown    = "shown"     // captures in windows by class and of one length: the model is right because of it
	LeakNotShown = "not shown" // it is as right without
	LeakPossible = "possible"  // without captures: it is not right without columns that tell the length, and more
	LeakUntested = "untested"  // the data cannot tell, or are too few
)

// Ablation is one row of an ablation.
type Ablation struct {
	Name    string  `json:"name"`
	Window  string  `json:"window,omitempty"`
	Hidden  bool    `json:"hidden"`            // columns were hidden from the model
	Columns string  `json:"columns,omitempty"` // which, joined by commas
	Against string  `json:"against,omitempty"` // the Name of the row that it is compared with; empty if with none
	Rows    uint64  `json:"rows"`              // decided
	Dropped uint64  `json:"dropped"`           // by the policy
	Verdict string  `json:"verdict,omitempty"` // Collapses, Holds, Rises or Unclear
	Drop    float64 `json:"drop"`              // of BalancedAccuracy against that row's, over classes that both have rows of

	// BalancedAccuracy decides: the mean recall of the model's classes that have rows, whatever their shares and whatever classes there are not.
	BalancedAccuracy         float64        `json:"balanced_accuracy"`
	BalancedAccuracyInterval score.Interval `json:"balanced_accuracy_interval"`

	MacroF1            float64        `json:"macro_f1"`
	MacroF1Interval    score.Interval `json:"macro_f1_interval"`
	Accuracy           float64        `json:"accuracy"`
	AccuracyInterval   score.Interval `json:"accuracy_interval"`
	BenignRecall       *float64       `json:"benign_recall"`
	FalseAlarms        *uint64        `json:"false_alarms"`
	BenignHours        float64        `json:"benign_hours,omitempty"` // as SetReport.Hours
	FalseAlarmsPerHour *float64       `json:"false_alarms_per_hour"`
}

// Verdicts on a row of an ablation: it collapses where its balanced accuracy is more than CollapseDrop below that of the row it is compared
// with and its interval lies wholly below that row's; it rises where that is so the other way round. It holds where the intervals, put
// together, leave out a fall of more than CollapseDrop. Else there are too few rows to tell: it is unclear. Intervals go at
// least so far to each side as what few rows leave open: the root of the sum over classes of (3 / rows)^2, divided by the number of classes.
const (
	Collapses = "collapses"
	Holds     = "holds"
	Rises     = "rises"
	Unclear   = "unclear"
)

// CollapseDrop is the least drop of balanced accuracy that is called a collapse.
const CollapseDrop = 0.05
