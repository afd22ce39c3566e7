package hoeffding

import "math"

// The functions of this file give the same bits on every architecture: package math has assembly on some, and its Go code is
// compiled with fused multiply-add on others. A tree grows by comparing sums of them, so one bit could be another tree.

const (
	ln2High = 6.93147180369123816490e-01 // the upper 32 bits of ln 2: times a small integer it is exact
	ln2Low  = 1.90821492927058770002e-10
	log2E   = 1.44269504088896338700e+00
	rootTwo = 1.41421356237309504880
)

// lnOf64ths holds ln(k/64). The series of atanh that makes it has a square below 0.0295 as its argument, so that the term left out
// is below 1e-19.
var lnOf64ths = func() (table [92]float64) {
	for k := 45; k < len(table); k++ {
		s := float64(k-64) / float64(k+64)
		z := s * s
		p := 0.0
		for n := 23; n >= 3; n -= 2 {
			p = float64(p*z) + 1/float64(n)
		}
		table[k] = 2 * (s + float64(s*float64(z*p)))
	}
	return table
}()

// reduced returns e and ln m with x = m 2^e and m in [sqrt(1/2), sqrt 2). x is positive and finite.
func reduced(x float64) (lnm float64, e int) {
	if x < 0x1p-1022 {
		x *= 0x1p54
		e = -54
	}
	bits := math.Float64bits(x)
	e += int(bits>>52) - 1023
	m := math.Float64frombits(bits&(1<<52-1) | 1023<<52)
	if m >= rootTwo {
		m *= 0.5
		e++
	}
	// ln m = ln c + 2 atanh s, with c the nearest of the table: s is below 1/180.
	k := int(float64(m*64) + 0.5)
	c := float64(float64(k) * (1. / 64))
	s := (m - c) / (m + c)
	z := s * s
	p := 1./9 + float64(z*(1./11))
	p = 1./7 + float64(z*p)
	p = 1./5 + float64(z*p)
	p = 1./3 + float64(z*p)
	return lnOf64ths[k] + 2*(s+float64(s*float64(z*p))), e
}

// ln returns the natural logarithm of x, positive and finite.
func ln(x float64) float64 {
	m, e := reduced(x)
	return float64(float64(e)*ln2High) + (m + float64(float64(e)*ln2Low))
}

// log2 returns the binary logarithm of x, positive and finite; exactly, where x is a power of two.
func log2(x float64) float64 {
	m, e := reduced(x)
	return float64(e) + float64(m*log2E)
}

// oneOverFactorial holds 1/1!, 1/2!, ...
var oneOverFactorial = func() (f [14]float64) {
	product := 1.0
	for i := range f {
		product *= float64(i + 1) // exact up to 18!
		f[i] = 1 / product
	}
	return f
}()

// exp returns e to the power of x, 0 below -745.14, +Inf above 709.78.
func exp(x float64) float64 {
	switch {
	case x < -746:
		return 0
	case x > 710:
		return math.Inf(1)
	}
	n := math.Floor(float64(x*log2E) + 0.5)
	r := (x - float64(n*ln2High)) - float64(n*ln2Low)
	p := oneOverFactorial[len(oneOverFactorial)-1]
	for i := len(oneOverFactorial) - 2; i >= 0; i-- {
		p = float64(p*r) + oneOverFactorial[i]
	}
	return math.Ldexp(1+float64(p*r), int(n))
}

// Coefficients of W. J. Cody, Rational Chebyshev approximations for the error function, Mathematics of Computation 23 (1969).
var (
	codyA = [...]float64{1.85777706184603153e-1, 3.16112374387056560e0, 1.13864154151050156e2, 3.77485237685302021e2, 3.20937758913846947e3}
	codyB = [...]float64{1, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3}
	codyC = [...]float64{2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e0, 6.61191906371416295e1, 2.98635138197400131e2,
		8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3, 1.23033935479799725e3}
	codyD = [...]float64{1, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3, 3.29079923573345963e3,
		4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3}
	codyP = [...]float64{1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1, 1.60837851487422766e-2,
		6.58749161529837803e-4}
	codyQ = [...]float64{1, 2.56852019228982242e0, 1.87295284992346725e0, 5.27905102951428412e-1, 6.05183413124413191e-2, 2.33520497626869185e-3}
)

func horner(c []float64, x float64) float64 {
	p := c[0]
	for _, a := range c[1:] {
		p = float64(p*x) + a
	}
	return p
}

// erf returns the error function of x.
func erf(x float64) float64 {
	y := math.Abs(x)
	if y <= 0.46875 {
		z := y * y
		return x * (horner(codyA[:], z) / horner(codyB[:], z))
	}
	var tail float64 // erfc(y) exp(y^2)
	switch {
	case y <= 4:
		tail = horner(codyC[:], y) / horner(codyD[:], y)
	case y < 6.5:
		const oneOverRootPi = 5.6418958354775628695e-1
		z := 1 / (y * y)
		tail = (oneOverRootPi - float64(z*(horner(codyP[:], z)/horner(codyQ[:], z)))) / y
	default:
		return math.Copysign(1, x) // 1 - erfc(6.5) rounds to 1
	}
	head := float64(float64(int(y*64)) * (1. / 64))
	gauss := bell[int(y*64)] * expSmall(-float64((y-head)*(y+head)))
	return math.Copysign(1-float64(tail*gauss), x)
}

// bell holds exp(-(k/64)^2), whose argument is exact.
var bell = func() (table [6*64 + 32]float64) {
	for k := range table {
		table[k] = exp(-float64(k*k) / 4096)
	}
	return table
}()

// expSmall returns e to the power of x for an x between -1/4 and 0.
func expSmall(x float64) float64 {
	p := oneOverFactorial[11]
	for i := 10; i >= 0; i-- {
		p = float64(p*x) + oneOverFactorial[i]
	}
	return 1 + float64(p*x)
}
