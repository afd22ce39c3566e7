package cli

// synthTreeSum pins the octets of a small tree, on every architecture: see TestDatasetSynthIsReproducible.
const synthTreeSum = "28c10d61e84dd51767dbfebff0fb973826dc13a8c7b9958e0a480b45c97d07e4"
