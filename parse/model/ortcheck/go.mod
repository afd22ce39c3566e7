module pcaplab/parse/model/ortcheck

go 1.26.0

require (
	github.com/yalue/onnxruntime_go v1.27.0
	pcaplab v0.0.0
)

require (
	golang.org/x/tools v0.51.0 // indirect
	gonum.org/v1/gonum v0.17.0 // indirect
	google.golang.org/protobuf v1.36.6 // indirect
)

replace pcaplab => ../../..
