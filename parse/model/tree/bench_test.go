package tree

import (
	"math/rand/v2"
	"testing"
)

// grown returns a forest of random trees, as deep as unpruned ones become, and vectors for it.
func grown(trees, leaves int) (Spec, [][]float32) {
	rng := rand.New(rand.NewPCG(1, 2))
	s := Spec{Features: 39, Outputs: 2}
	for range trees {
		nodes := []Node{{Mode: Leaf}}
		open := []int{0}
		for len(open) < leaves {
			i := rng.IntN(len(open))
			n := open[i]
			nodes[n] = Node{Mode: LEQ, Feature: rng.IntN(39), Threshold: rng.Float64(), True: len(nodes), False: len(nodes) + 1}
			open[i] = len(nodes)
			open = append(open, len(nodes)+1)
			nodes = append(nodes, Node{Mode: Leaf}, Node{Mode: Leaf})
		}
		for _, n := range open {
			nodes[n].Weights = []Weight{{Output: rng.IntN(2), Value: 1 / float64(trees)}}
		}
		s.Trees = append(s.Trees, nodes)
	}
	xs := make([][]float32, 512)
	for i := range xs {
		xs[i] = make([]float32, 39)
		for k := range xs[i] {
			xs[i][k] = rng.Float32()
		}
	}
	return s, xs
}

func BenchmarkSum32(b *testing.B) {
	for _, size := range []struct {
		name   string
		leaves int
	}{{"leaves=100", 100}, {"leaves=5000", 5000}} {
		s, xs := grown(100, size.leaves)
		e, err := Compile(s)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(size.name, func(b *testing.B) {
			sums := make([]float32, 2)
			for i := 0; b.Loop(); i++ {
				clear(sums)
				e.Sum32(xs[i%len(xs)], sums)
			}
		})
	}
}
