package onnx

import "math"

// operators are those that Read knows, by domain and name.
var operators map[string]operator

func init() { // the table refers to Scan, which refers to the table
	ai := func(name string, since int64, compile func(c *compiler, n *nodeProto) error) {
		operators[" "+name] = operator{since, newest[""], compile}
	}
	ml := func(name string, since, until int64, compile func(c *compiler, n *nodeProto) error) {
		operators[mlDomain+" "+name] = operator{since, until, compile}
	}
	operators = map[string]operator{}

	ml("ArrayFeatureExtractor", 1, 5, arrayFeatureExtractor)
	ml("Binarizer", 1, 5, binarizer)
	ml("FeatureVectorizer", 1, 5, featureVectorizer)
	ml("Imputer", 1, 5, imputer)
	ml("LabelEncoder", 1, 5, labelEncoder)
	ml("LinearClassifier", 1, 5, linearClassifier)
	ml("LinearRegressor", 1, 5, linearRegressor)
	ml("Normalizer", 1, 5, normalizer)
	ml("Scaler", 1, 5, scaler)
	ml("TreeEnsemble", 5, 5, treeEnsemble)
	ml("TreeEnsembleClassifier", 1, 5, treeClassifier)
	ml("TreeEnsembleRegressor", 1, 5, treeRegressor)
	ml("ZipMap", 1, 5, zipMap)

	ai("Constant", 1, constant)
	ai("ConstantOfShape", 9, constantOfShape)
	ai("Shape", 1, shapeOp)
	ai("Identity", 1, identity)
	ai("Dropout", 7, dropout)
	ai("Cast", 6, cast)
	ai("Reshape", 5, reshape)
	ai("Flatten", 1, flatten)
	ai("Squeeze", 1, squeeze)
	ai("Unsqueeze", 1, unsqueeze)
	ai("Transpose", 1, transpose)
	ai("Concat", 4, concat)
	ai("Gather", 1, gather)
	ai("Slice", 1, slice)
	ai("Split", 2, split)
	ai("Expand", 8, expand)
	ai("Scan", 9, scan)
	ai("TopK", 1, topK)

	ai("Add", 7, addition.arithmetic)
	ai("Sub", 7, subtraction.arithmetic)
	ai("Mul", 7, multiplication.arithmetic)
	ai("Div", 7, division.arithmetic)
	ai("Pow", 7, pow)
	ai("Sum", 8, variadic(addition, false))
	ai("Mean", 8, variadic(addition, true))
	ai("Max", 8, variadic(greatest, false))
	ai("Min", 8, variadic(smallest, false))
	ai("Equal", 7, comparison(func(s int) bool { return s == 0 }))
	ai("Less", 7, comparison(func(s int) bool { return s == -1 }))
	ai("LessOrEqual", 12, comparison(func(s int) bool { return s == -1 || s == 0 }))
	ai("Greater", 7, comparison(func(s int) bool { return s == 1 }))
	ai("GreaterOrEqual", 12, comparison(func(s int) bool { return s == 1 || s == 0 }))
	ai("And", 7, logical(func(a, b bool) bool { return a && b }))
	ai("Or", 7, logical(func(a, b bool) bool { return a || b }))
	ai("Xor", 7, logical(func(a, b bool) bool { return a != b }))
	ai("Not", 1, not)
	ai("Where", 9, where)
	ai("Clip", 6, clip)

	ai("Abs", 6, unaryAny(math.Abs, func(v int64) int64 { return max(v, -v) }))
	ai("Neg", 6, unaryAny(func(v float64) float64 { return -v }, func(v int64) int64 { return -v }))
	ai("Exp", 6, unary(math.Exp))
	ai("Log", 6, unary(math.Log))
	ai("Sqrt", 6, unary(math.Sqrt))
	ai("Reciprocal", 6, unary(func(v float64) float64 { return 1 / v }))
	ai("Tanh", 6, unary(math.Tanh))
	ai("Sigmoid", 6, func(c *compiler, n *nodeProto) error {
		if _, t, err := c.in(0); err == nil && t.dt == doubleType {
			return unary(sigmoid)(c, n)
		}
		return unary(sigmoid32)(c, n)
	})
	ai("Erf", 9, unary(math.Erf))
	ai("Floor", 6, unary(math.Floor))
	ai("Ceil", 6, unary(math.Ceil))
	ai("Round", 11, unary(math.RoundToEven))
	ai("Relu", 6, relu)
	ai("Softplus", 1, unary(func(v float64) float64 { return max(v, 0) + math.Log1p(math.Exp(-math.Abs(v))) }))
	ai("Softsign", 1, unary(func(v float64) float64 { return v / (1 + math.Abs(v)) }))
	ai("IsNaN", 9, test(func(v float64) bool { return v != v }))
	ai("LeakyRelu", 6, unaryWith(func(v, alpha, _ float64) float64 {
		if v < 0 {
			return alpha * v
		}
		return v
	}, float64(float32(0.01)), 0, "alpha"))
	ai("Elu", 6, unaryWith(func(v, alpha, _ float64) float64 {
		if v < 0 {
			return alpha * math.Expm1(v)
		}
		return v
	}, 1, 0, "alpha"))
	ai("Selu", 6, unaryWith(func(v, alpha, gamma float64) float64 {
		if v < 0 {
			return gamma * alpha * math.Expm1(v)
		}
		return gamma * v
	}, float64(float32(1.67326319217681884765625)), float64(float32(1.05070102214813232421875)), "alpha", "gamma"))
	ai("HardSigmoid", 6, unaryWith(func(v, alpha, beta float64) float64 { return max(0, min(1, float64(alpha*v)+beta)) },
		float64(float32(0.2)), 0.5, "alpha", "beta"))
	ai("HardSwish", 14, unary(func(v float64) float64 { return v * max(0, min(1, float64(v/6)+0.5)) }))
	ai("PRelu", 7, slope.arithmetic)
	ai("LpNormalization", 1, lpNormalization)
	ai("BatchNormalization", 9, batchNormalization)

	ai("MatMul", 1, matMul)
	ai("Gemm", 7, gemm)
	ai("Softmax", 1, softMaxOp(false))
	ai("LogSoftmax", 1, softMaxOp(true))
	ai("ArgMax", 1, argOp(1))
	ai("ArgMin", 1, argOp(-1))
	for name, r := range map[string]reduction{
		"ReduceMean":      func(l []float64) float64 { return sumOf(l) / float64(len(l)) },
		"ReduceMax":       func(l []float64) float64 { return extreme(l, math.Inf(-1), 1) },
		"ReduceMin":       func(l []float64) float64 { return extreme(l, math.Inf(1), -1) },
		"ReduceSumSquare": sumOfSquares,
		"ReduceL1": func(l []float64) (s float64) {
			for _, v := range l {
				s += math.Abs(v)
			}
			return s
		},
		"ReduceL2":        func(l []float64) float64 { return math.Sqrt(sumOfSquares(l)) },
		"ReduceLogSumExp": logSumExp,
		"ReduceLogSum":    func(l []float64) float64 { return math.Log(sumOf(l)) },
		"ReduceProd": func(l []float64) float64 {
			p := 1.0
			for _, v := range l {
				p *= v
			}
			return p
		},
	} {
		ai(name, 1, reduce(r, 18))
	}
	ai("ReduceSum", 1, reduce(sumOf, 13))
}

func extreme(line []float64, start, sign float64) float64 {
	for _, v := range line {
		if v != v {
			return v
		}
		if sign*v > sign*start {
			start = v
		}
	}
	return start
}
