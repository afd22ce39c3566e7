package hoeffding_test

import (
	"fmt"
	"os"

	"pcaplab/parse/model/hoeffding"
)

// A detector that learns while it runs: each window's vector is classified first and learnt from when its label is known.
func Example() {
	tree, err := hoeffding.New([]string{"Rate", "IAT"}, []string{"Benign", "DDoS"}, hoeffding.Config{GracePeriod: 50})
	if err != nil {
		fmt.Println(err)
		return
	}
	seen := hoeffding.NewPrequential(100)
	for i := range 500 {
		class := i % 2
		x := []float64{float64(10 + i%7 + 400*class), float64(i % 11)}
		predicted, err := tree.Predict(x, nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		seen.Add(class, predicted)
		if err := tree.Learn(x, class); err != nil {
			fmt.Println(err)
			return
		}
	}
	all, recent := seen.Accuracy()
	fmt.Printf("right %.3f, of the last 100 %.3f\n", all, recent)
	fmt.Println(tree.Summary())
	tree.WriteTree(os.Stdout)
	// Output:
	// right 0.948, of the last 100 1.000
	// 500 rows, 3 nodes (2 leaves), depth 1, 1 attempts to split, 1 splits
	// split by Rate at 46.9091, 50 rows, gain 1
	//   Rate <= 46.9091: Benign, 250 rows, Benign 100 %
	//   Rate > 46.9091: DDoS, 250 rows, DDoS 100 %
}
