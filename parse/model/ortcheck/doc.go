// Package ortcheck compares parse/model with onnxruntime, the reference evaluator of ONNX. It is a module of its own because it needs
// cgo and onnxruntime's shared library, which PCAPLAB_ONNXRUNTIME names; nothing of it is in the program.
package ortcheck
