package model_test

import (
	"slices"
	"sync"
	"testing"

	"pcaplab/parse/model"
)

// Clones have nothing in common that changes: at work at the same time, each says what the model alone says.
func TestClonesAtWork(t *testing.T) {
	rows := numbers(t, "rows.csv")[:20]
	for _, f := range fixtures(t) {
		if f.Oracle == "" {
			continue
		}
		m, err := model.Open(f.path(t))
		if err != nil {
			t.Fatal(err)
		}
		classes := make([]int, len(rows))
		scores := make([][]float64, len(rows))
		for i, row := range rows {
			scores[i] = make([]float64, len(m.Classes()))
			if classes[i], err = m.Predict(row, scores[i]); err != nil {
				t.Fatal(err)
			}
		}
		var wg sync.WaitGroup
		for n := range 3 {
			c := m.Clone()
			wg.Go(func() {
				got := make([]float64, len(m.Classes()))
				for i := range rows {
					i = (i + 7*n) % len(rows)
					class, err := c.Predict(rows[i], got)
					if err != nil || class != classes[i] || !slices.Equal(got, scores[i]) {
						t.Errorf("%s: row %d: class %d, scores %v, want %d, %v: %v", f.Name, i, class, got, classes[i], scores[i], err)
					}
				}
			})
		}
		wg.Wait()
	}
}
