package ortcheck

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	ort "github.com/yalue/onnxruntime_go"

	"pcaplab/parse/model"
)

var more = flag.String("models", "", "more ONNX files for BenchmarkOne, with a comma between them: one input of 39 float32, the last output scores")

// BenchmarkOne classifies one vector a call, with our evaluator and with onnxruntime: one thread, one session, tensors made before.
// onnxruntime is asked for the scores alone, ours gives the class too. times-ours is how many times as long it takes; single.py times
// scikit-learn with the same models.
func BenchmarkOne(b *testing.B) {
	library(b)
	rows := table(b, "rows.csv")[:90] // those like traffic
	models := map[string][]byte{}
	list := []string{"lr-binary", "lr-multi", "tree-binary", "tree-multi-int", "forest-binary", "forest-multi", "gb-binary", "xgb-binary-onnx", "mlp-relu"}
	for _, f := range fixtures(b) {
		models[f.Name] = f.model(b)
	}
	for _, path := range strings.FieldsFunc(*more, func(r rune) bool { return r == ',' }) {
		data, err := os.ReadFile(path)
		if err != nil {
			b.Fatal(err)
		}
		list = append(list, filepath.Base(path))
		models[filepath.Base(path)] = data
	}
	for _, name := range list {
		data := models[name]
		m, err := model.Read(data)
		if err != nil {
			b.Fatalf("%s: %v", name, err)
		}
		var ours float64
		b.Run(name+"/ours", func(b *testing.B) {
			scores := make([]float64, len(m.Classes()))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := m.Predict(rows[i%len(rows)], scores); err != nil {
					b.Fatal(err)
				}
			}
			ours = float64(b.Elapsed()) / float64(b.N)
		})
		b.Run(name+"/onnxruntime", func(b *testing.B) {
			s := open(b, data, m.Classes())
			in, err := ort.NewEmptyTensor[float32](ort.NewShape(1, int64(len(rows[0]))))
			if err != nil {
				b.Fatal(err)
			}
			defer in.Destroy()
			out, err := ort.NewEmptyTensor[float32](ort.NewShape(1, int64(len(m.Classes()))))
			if err != nil {
				b.Fatal(err)
			}
			defer out.Destroy()
			options, err := ort.NewSessionOptions()
			if err != nil {
				b.Fatal(err)
			}
			defer options.Destroy()
			if err := alone(options); err != nil {
				b.Fatal(err)
			}
			scores := s.outputs[len(s.outputs)-1].Name
			run, err := ort.NewAdvancedSessionWithONNXData(data, names(s.inputs), []string{scores}, []ort.Value{in}, []ort.Value{out}, options)
			if err != nil {
				b.Fatal(err)
			}
			defer run.Destroy()
			x := in.GetData()
			for i := 0; b.Loop(); i++ {
				for k, v := range rows[i%len(rows)] {
					x[k] = float32(v)
				}
				if err := run.Run(); err != nil {
					b.Fatal(err)
				}
			}
			if ours > 0 {
				b.ReportMetric(float64(b.Elapsed())/float64(b.N)/ours, "times-ours")
			}
		})
	}
}
