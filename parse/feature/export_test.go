package feature

// What the tests of package feature_test look at from inside.
var (
	Pairwise       = pairwise
	Sequential     = sequential
	SampleVariance = sampleVariance
)

// PieceOctets is the size above which a piece ends.
const PieceOctets = pieceOctets
