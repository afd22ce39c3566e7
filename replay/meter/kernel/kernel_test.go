package kernel

import (
	"fmt"
	"testing"
)

func TestPrint(t *testing.T) {
	for _, k := range Kernels() {
		m, free, err := allocate(int(k.Octets))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("\t%q: %#016x,\n", k.Name, k.prepare(&k, m)())
		free()
	}
}
