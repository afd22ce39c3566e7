package cli

// synthTreeSum pins the octets of a small tree, on every architecture: see TestDatasetSynthIsReproducible.
const synthTreeSum = "eb152471ed87165ce1cc4395623c896b09567f650cd20ab37716e82b3b6cb338"
