package hoeffding

import "testing"

// BenchmarkPrequential predicts each row and learns from it: 39 columns, 34 classes.
func BenchmarkPrequential(b *testing.B) {
	for _, leaf := range []string{Adaptive, MajorityClass} {
		b.Run(leaf, func(b *testing.B) {
			s := streams["wide"]
			const rows = 20000
			xs, classes := make([]float64, 0, rows*s.width), make([]int, 0, rows)
			s.each(rows, func(x []float64, class int) { xs, classes = append(xs, x...), append(classes, class) })
			tree := s.tree(b, Config{Leaf: leaf})
			p := NewPrequential(1000)
			i := 0
			for b.Loop() {
				x := xs[i*s.width : (i+1)*s.width]
				class, err := tree.Predict(x, nil)
				if err != nil {
					b.Fatal(err)
				}
				p.Add(classes[i], class)
				if err := tree.Learn(x, classes[i]); err != nil {
					b.Fatal(err)
				}
				if i++; i == rows {
					i = 0
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
			b.Logf("%v", tree.Summary())
		})
	}
}
