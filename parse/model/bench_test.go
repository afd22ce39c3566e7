package model_test

import (
	"testing"

	"pcaplab/parse/model"
)

// BenchmarkPredict asks one vector a call, of the fixtures' own rows.
func BenchmarkPredict(b *testing.B) {
	rows := numbers(b, "rows.csv")
	wanted := map[string]bool{"lr-multi": true, "tree-multi-int": true, "forest-multi": true, "adaboost": true, "mlp-relu": true, "knn": true, "xgb-multi": true}
	for _, f := range fixtures(b) {
		if !wanted[f.Name] {
			continue
		}
		m, err := model.Open(f.path(b))
		if err != nil {
			b.Fatal(err)
		}
		scores := make([]float64, len(m.Classes()))
		b.Run(f.Name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := m.Predict(rows[i%len(rows)], scores); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
