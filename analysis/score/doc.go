// Package score says how good a classifier is, from counts of what it said of rows whose class is known, and how far one sample of rows is
// from another. It knows nothing of models, files or packets.
//
// A [Confusion] holds counts; [Metrics], [Alarms] and [Intervals] are computed from it. The definitions are those of scikit-learn's
// sklearn.metrics with zero_division=0: a share of nothing is 0. Averages over classes take the classes that stand in the truth or in the
// predictions and leave out all others, as scikit-learn does where it is given no list of labels.
//
// A [Sample] holds rows of features, or of more rows than it may hold a random part; [Compare] gives the [Drift] between two, column by column.
// [Pairing] compares rows that should be equal.
//
// What is random is seeded. Counts, metrics and intervals are the same to the last digit on every processor.
package score
