package model

import (
	"bytes"

	"pcaplab/parse/model/hoeffding"
	"pcaplab/parse/model/linear"
	"pcaplab/parse/model/xgboost"
)

func readXGBoost(data []byte) (Model, error) {
	m, err := xgboost.Read(data)
	if err != nil {
		return nil, err
	}
	return adapt(m), nil
}

func readLinear(data []byte) (Model, error) {
	m, err := linear.ReadJSON(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return adapt(m), nil
}

func readHoeffding(data []byte) (Model, error) {
	m, err := hoeffding.ReadJSON(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return adaptLearner(m), nil
}
