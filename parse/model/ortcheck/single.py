#!/usr/bin/env python3
"""Times scikit-learn's and XGBoost's predict on one row a call, one thread: the models of BenchmarkOne.

    OMP_NUM_THREADS=1 /usr/bin/python3 single.py PCAPLAB [CALLS]

PCAPLAB is the program, whose synthetic traffic the models learn from, as in ../testdata/generate.py. Prints the median of CALLS calls
(1000; of the forest a tenth), in microseconds.
"""
import io
import subprocess
import sys
import time

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

calls = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
tables = []
for number, folder in enumerate(["Benign_Final", "DDoS-SlowLoris", "Mirai-udpplain", "MITM-ArpSpoofing", "Recon-PortScan", "SqlInjection"]):
    out = subprocess.run([sys.argv[1], "-q", "features", "--window", "10", f"synth:{folder}:10000"], check=True, capture_output=True)
    table = pd.read_csv(io.BytesIO(out.stdout))
    tables.append(table[np.isfinite(table).all(axis=1)].assign(number=number))
data = pd.concat(tables)
X, y = data.drop(columns="number").to_numpy(), np.where(data["number"] == 0, "BENIGN", "ATTACK")
models = [
    ("lr-binary", make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)), calls),
    ("tree-binary", DecisionTreeClassifier(max_depth=10, random_state=1), calls),
    ("forest-binary", RandomForestClassifier(100, max_depth=9, max_leaf_nodes=48, random_state=1), max(calls // 10, 10)),
]
try:
    import xgboost
    models.append(("xgb-binary", xgboost.XGBClassifier(n_estimators=30, max_depth=4, n_jobs=1), calls))
except ImportError:
    print("xgboost is not installed", file=sys.stderr)
for name, model, count in models:
    model.fit(X, (y == "BENIGN").astype(int) if name.startswith("xgb") else y)
    took = []
    for i in range(count):
        row = X[i % len(X)].reshape(1, -1)
        start = time.perf_counter_ns()
        model.predict(row)
        took.append(time.perf_counter_ns() - start)
    print(f"{name} {np.median(took) / 1000:.1f} us")
