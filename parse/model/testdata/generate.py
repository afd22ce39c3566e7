#!/usr/bin/env python3
"""Makes the fixtures of parse/model: models, the rows they are asked about, and what their trainers say of them.

    /usr/bin/python3 generate.py PCAPLAB PYTHONPATH...

PCAPLAB is the program, whose synthetic traffic the models learn from. PYTHONPATH are the folders of skl2onnx, onnxmltools and
onnxconverter_common, which Debian does not have. Made with Debian 12's Python 3.11.2, scikit-learn 1.2.1, xgboost 1.7.4, onnx 1.12.0,
numpy 1.24.2 and pandas 1.5.3, and with the sources of sklearn-onnx 1.14.1, onnxmltools 1.11.2 and onnxconverter-common 1.13.0.

It writes fixtures.json, rows.csv, missing.csv, trainer.csv, the models, and expected/NAME.csv of those that XGBoost itself judges.
What onnxruntime says of the others is written by ../ortcheck afterwards:

    PCAPLAB_ONNXRUNTIME=libonnxruntime.so.1 go -C ../ortcheck test -run TestFixtures -update .

The same versions make the same models on the same kind of processor (the converters name and order some nodes at random). README.md says
what each file holds.
"""
import gzip
import io
import json
import os
import shutil
import subprocess
import sys
import warnings

ORDER = {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # on which octets depend
if any(os.environ.get(k) != v for k, v in ORDER.items()):
    os.execve(sys.executable, [sys.executable] + sys.argv, {**os.environ, **ORDER})
PCAPLAB = sys.argv[1]
sys.path[:0] = sys.argv[2:]
warnings.simplefilter("ignore")

import numpy as np
import onnx
import pandas as pd
import sklearn
import xgboost
from onnx import TensorProto, helper, numpy_helper
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (AdaBoostClassifier, ExtraTreesClassifier, GradientBoostingClassifier,
                              HistGradientBoostingClassifier, RandomForestClassifier, VotingClassifier)
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, Normalizer, RobustScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier

import onnxmltools
from onnxmltools.convert.common.data_types import FloatTensorType as XGBFloat
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

HERE = os.path.dirname(os.path.abspath(__file__))
os.chdir(HERE)
for folder in ("models", "expected"):
    shutil.rmtree(folder, ignore_errors=True)
    os.mkdir(folder)

# Data: windows of 10 packets of six classes, hard enough that no model is right on all.
CLASSES = ["BENIGN", "DDOS-SLOWLORIS", "MIRAI-UDPPLAIN", "MITM-ARPSPOOFING", "RECON-PORTSCAN", "SQLINJECTION"]
FOLDERS = ["Benign_Final", "DDoS-SlowLoris", "Mirai-udpplain", "MITM-ArpSpoofing", "Recon-PortScan", "SqlInjection"]


def windows(folder):
    out = subprocess.run([PCAPLAB, "-q", "features", "--window", "10", f"synth:{folder}:10000"], check=True, capture_output=True)
    return pd.read_csv(io.BytesIO(out.stdout))


tables = []
for number, folder in enumerate(FOLDERS):
    table = windows(folder)
    table = table[np.isfinite(table).all(axis=1)]
    table["class"] = number
    tables.append(table)
data = pd.concat(tables, ignore_index=True)
COLUMNS = [c for c in data.columns if c != "class"]
order = np.random.default_rng(8).permutation(len(data))
data = data.iloc[order].reset_index(drop=True)
asked = data.groupby("class").head(15).sort_index()
train = data.drop(asked.index)
X, y = train[COLUMNS].to_numpy(), train["class"].to_numpy()
BINARY = ["ATTACK", "BENIGN"]
y2 = (y == 0).astype(np.int64)  # the index into BINARY
multi_names, two_names = np.array(CLASSES)[y], np.array(BINARY)[y2]

# Rows: windows that no model has seen, then copies of some moved onto and beside a tree's thresholds, then extremes.
rows = asked[COLUMNS].to_numpy()
probe = DecisionTreeClassifier(max_depth=7, random_state=1).fit(X, y)
draw = np.random.default_rng(9)
edges = []
inner = np.flatnonzero(probe.tree_.feature >= 0)
for node in draw.choice(inner, 8, replace=False):
    threshold = probe.tree_.threshold[node]
    for value in (threshold, np.nextafter(threshold, np.inf), float(np.nextafter(np.float32(threshold), np.float32(np.inf)))):
        row = rows[draw.integers(len(rows))].copy()
        row[probe.tree_.feature[node]] = value
        edges.append(row)
extremes = [np.zeros(39), -rows[3], rows[5] * 1000, np.full(39, 1e9), np.full(39, 1e-9), rows[7] * 1e-3]
ROWS = np.vstack([rows, edges, extremes])
missing = ROWS[:60].copy()
missing[draw.random(missing.shape) < 0.15] = np.nan
pd.DataFrame(ROWS, columns=COLUMNS).to_csv("rows.csv", index=False)
pd.DataFrame(missing, columns=COLUMNS).to_csv("missing.csv", index=False)

fixtures, trainer = [], {}


def save(name, octets, packed):
    """Writes a model, compressed if it is large."""
    path = f"models/{name}"
    if packed:
        path += ".gz"
        octets = gzip.compress(octets, 9, mtime=0)
    with open(path, "wb") as f:
        f.write(octets)
    return path


def judged(name, labels, scores, excepted):
    """The trainer's column: the number of the class; with m where the margin is below 1e-6, c where casts to float32 cross."""
    scores = np.asarray(scores, dtype=np.float64)
    top = np.sort(scores, axis=1)
    margin = top[:, -1] - top[:, -2] if scores.shape[1] > 1 else np.abs(scores[:, 0])
    trainer[name] = [f"{int(l)}{'m' if m < 1e-6 else ''}{'c' if c else ''}" for l, m, c in zip(labels, margin, excepted)]


def crossed(model, rows):
    """Rows for which some tree of a pipeline ends in another leaf, or other neighbours are found, when what stands before computes in float32."""
    steps = model.steps if hasattr(model, "steps") else [("", model)]
    wide, narrow = rows, rows.astype(np.float32)
    for _, step in steps[:-1]:
        wide = step.transform(wide)
        if isinstance(step, StandardScaler):
            narrow = (narrow - step.mean_.astype(np.float32)) * (1 / step.scale_).astype(np.float32)
        else:
            narrow = step.transform(narrow).astype(np.float32)
    last = steps[-1][1]
    if isinstance(last, KNeighborsClassifier):
        near = ((narrow[:, None, :] - last._fit_X.astype(np.float32)) ** 2).sum(axis=2).argsort(axis=1, kind="stable")[:, :last.n_neighbors]
        return (np.sort(near) != np.sort(last.kneighbors(wide, return_distance=False))).any(axis=1)
    if hasattr(last, "apply"):
        one, two = last.apply(wide), last.apply(narrow)
    elif hasattr(last, "estimators_") and hasattr(last.estimators_[0], "apply"):
        one, two = (np.stack([e.apply(x) for e in last.estimators_], axis=1) for x in (wide, narrow))
    else:
        return np.zeros(len(rows), dtype=bool)
    return (one.reshape(len(rows), -1) != two.reshape(len(rows), -1)).any(axis=1)


def sk(name, model, how, names=True, classes=2, zipmap=False, inputs="float", options=None, packed=False, target_opset=None):
    """A fixture of scikit-learn. names: labels are text. inputs: float, double or columns."""
    framed = (lambda a: pd.DataFrame(a, columns=COLUMNS)) if inputs == "columns" else (lambda a: a)
    target = (two_names if names else y2) if classes == 2 else (multi_names if names else y)
    model.fit(framed(X), target)
    asked = framed(ROWS)
    if inputs == "columns":
        types = [(c, FloatTensorType([None, 1])) for c in COLUMNS]
    else:
        types = [("X", (DoubleTensorType if inputs == "double" else FloatTensorType)([None, len(COLUMNS)]))]
    last = model.steps[-1][1] if hasattr(model, "steps") else model
    extra = dict(options or {})
    if zipmap is not True:
        extra["zipmap"] = zipmap
    options = {id(last): extra} if extra else None
    graph = convert_sklearn(model, name="pcaplab", initial_types=types, options=options, target_opset=target_opset)
    path = save(name + ".onnx", graph.SerializeToString(), packed)
    found = [str(c) for c in last.classes_]
    entry = {"name": name, "file": path, "made": how, "classes": found, "rows": "rows.csv", "ops": ops(graph)}
    scores = model.predict_proba(asked)
    labels = [found.index(str(l)) for l in model.predict(asked)]
    judged(name, labels, scores, crossed(model, asked))
    entry["oracle"] = "onnxruntime"
    entry["probabilities"] = True
    if inputs == "columns":
        entry["columns"] = [i.name for i in graph.graph.input]
    fixtures.append(entry)
    return model, graph


def ops(graph):
    versions = {o.domain: o.version for o in graph.opset_import}
    return sorted({f"{n.domain or 'ai.onnx'}.{n.op_type}-{versions.get(n.domain, 0)}" for n in graph.graph.node})


def scaled(model, scaler=StandardScaler):
    return make_pipeline(scaler(), model)


sk("lr-binary", scaled(LogisticRegression(max_iter=500)), "StandardScaler, LogisticRegression")
sk("lr-binary-zipmap", scaled(LogisticRegression(max_iter=500)), "the same with a ZipMap, the converter's default", zipmap=True)
sk("lr-binary-int", scaled(LogisticRegression(max_iter=500)), "the same, labels 0 and 1", names=False)
sk("lr-bare", LogisticRegression(max_iter=300), "LogisticRegression without a scaler")
sk("lr-multi", scaled(LogisticRegression(max_iter=500)), "StandardScaler, multinomial LogisticRegression", classes=6)
sk("lr-multi-zipmap-int", scaled(LogisticRegression(max_iter=500)), "the same, numbers and ZipMap", classes=6, names=False, zipmap=True)
sk("lr-multinomial", scaled(LogisticRegression(max_iter=500, multi_class="multinomial")), "multinomial LogisticRegression of two classes")
sk("lr-ovr", scaled(LogisticRegression(max_iter=500, multi_class="ovr")), "StandardScaler, one-against-rest LogisticRegression", classes=6)
sk("lr-columns", scaled(LogisticRegression(max_iter=500)), "one input a column, as from a DataFrame", classes=6, inputs="columns")
sk("lr-double", scaled(LogisticRegression(max_iter=500)), "input of float64", classes=6, inputs="double")
sk("lr-minmax", scaled(LogisticRegression(max_iter=500), MinMaxScaler), "MinMaxScaler, LogisticRegression", classes=6)
sk("lr-robust", scaled(LogisticRegression(max_iter=500), RobustScaler), "RobustScaler, LogisticRegression")
for norm in ("l1", "l2", "max"):
    sk(f"lr-normalizer-{norm}", make_pipeline(StandardScaler(), Normalizer(norm), LogisticRegression(max_iter=500)),
       f"StandardScaler, Normalizer({norm}), LogisticRegression", classes=6)
# ONNX divides by the largest value, scikit-learn by the largest absolute value: the converted model is another one.
del trainer["lr-normalizer-max"]
sk("lr-raw", scaled(LogisticRegression(max_iter=500)), "LogisticRegression, scores not probabilities", classes=6, options={"raw_scores": True})
fixtures[-1]["probabilities"] = False
sk("sgd-log", scaled(SGDClassifier(loss="log_loss", random_state=1)), "StandardScaler, SGDClassifier(log_loss)")
sk("tree-binary", DecisionTreeClassifier(max_depth=10, random_state=1), "DecisionTreeClassifier, depth 10")
sk("tree-multi-int", DecisionTreeClassifier(max_depth=8, random_state=1), "DecisionTreeClassifier, depth 8, numbers", classes=6, names=False)
sk("tree-scaled", scaled(DecisionTreeClassifier(max_depth=10, random_state=1)), "StandardScaler, DecisionTreeClassifier", classes=6)
sk("tree-columns", make_pipeline(ColumnTransformer([("scaled", StandardScaler(), ["Rate", "Protocol Type"]), ("as they are", "passthrough", ["IAT", "Min", "Tot sum"])]),
                                 DecisionTreeClassifier(max_depth=5, random_state=1)), "ColumnTransformer of five columns, one input a column, ZipMap", inputs="columns", zipmap=True)
sk("tree-opset1", DecisionTreeClassifier(max_depth=6, random_state=1), "TreeEnsembleClassifier of ai.onnx.ml 1", classes=6,
   target_opset={"": 12, "ai.onnx.ml": 1})
sk("forest-binary", RandomForestClassifier(100, max_depth=9, max_leaf_nodes=48, random_state=1), "RandomForestClassifier, 100 trees", packed=True)
sk("forest-multi", RandomForestClassifier(30, max_depth=8, max_leaf_nodes=40, random_state=1), "RandomForestClassifier, 30 trees", classes=6, packed=True)
sk("forest-double", RandomForestClassifier(10, max_depth=6, random_state=1), "RandomForestClassifier, 10 trees, input of float64",
   inputs="double", packed=True)
sk("extra-trees", ExtraTreesClassifier(40, max_depth=9, max_leaf_nodes=48, class_weight="balanced", random_state=1), "ExtraTreesClassifier, 40 trees", names=False, packed=True)
sk("gb-binary", GradientBoostingClassifier(n_estimators=40, max_depth=3, random_state=1), "GradientBoostingClassifier, 40 rounds", packed=True)
sk("gb-multi", GradientBoostingClassifier(n_estimators=12, max_depth=3, random_state=1), "GradientBoostingClassifier, 12 rounds", classes=6, packed=True)
sk("hist-binary", HistGradientBoostingClassifier(max_iter=30, max_leaf_nodes=12, random_state=1), "HistGradientBoostingClassifier", packed=True)
sk("hist-multi", HistGradientBoostingClassifier(max_iter=12, max_leaf_nodes=8, random_state=1), "HistGradientBoostingClassifier", classes=6, packed=True)
stump = dict(n_estimators=30, random_state=1)
sk("adaboost-r", AdaBoostClassifier(DecisionTreeClassifier(max_depth=2), algorithm="SAMME.R", **stump), "AdaBoostClassifier, SAMME.R", packed=True)
sk("adaboost-r-multi", AdaBoostClassifier(DecisionTreeClassifier(max_depth=2), algorithm="SAMME.R", **stump), "the same, six classes", classes=6, packed=True)
sk("adaboost", AdaBoostClassifier(DecisionTreeClassifier(max_depth=1), algorithm="SAMME", **stump), "AdaBoostClassifier, SAMME", packed=True)
sk("adaboost-multi", AdaBoostClassifier(DecisionTreeClassifier(max_depth=3), algorithm="SAMME", **stump), "the same, six classes, numbers",
   classes=6, names=False, zipmap=True, packed=True)
sk("voting", VotingClassifier([("lr", scaled(LogisticRegression(max_iter=300))), ("tree", DecisionTreeClassifier(max_depth=5, random_state=1))], voting="soft", flatten_transform=False),
   "VotingClassifier of two, soft", classes=6)
mlp = dict(max_iter=120, random_state=1)
sk("mlp-relu", scaled(MLPClassifier((24, 12), activation="relu", **mlp)), "StandardScaler, MLPClassifier 24, 12, relu")
sk("mlp-relu-multi", scaled(MLPClassifier((24, 12), activation="relu", **mlp)), "the same, six classes", classes=6)
sk("mlp-tanh-multi", scaled(MLPClassifier((16,), activation="tanh", **mlp)), "MLPClassifier 16, tanh", classes=6, names=False)
sk("mlp-logistic", scaled(MLPClassifier((16,), activation="logistic", **mlp)), "MLPClassifier 16, logistic", names=False, zipmap=True)
sk("mlp-identity-multi", scaled(MLPClassifier((8,), activation="identity", **mlp)), "MLPClassifier 8, identity, ZipMap", classes=6, zipmap=True)
sk("naive-bayes", GaussianNB(var_smoothing=1e-4), "GaussianNB", classes=6)
fixtures[-1]["tolerance"] = 5e-5  # differences of squares, and logarithms of hundreds, in float32
small = train.groupby("class").head(30)
knn = scaled(KNeighborsClassifier(5))
full, X_full = (y2, two_names), X
X, two_names = small[COLUMNS].to_numpy(), np.array(BINARY)[(small["class"] == 0).astype(int)]
sk("knn", knn, "StandardScaler, KNeighborsClassifier on 180 rows")
X, (y2, two_names) = X_full, full


def xgb(name, model, target, how, classes, rows=("rows.csv", ROWS), frame=False, onnx_too=True):
    """A fixture of XGBoost, in its own JSON and, through onnxmltools, as ONNX."""
    model.fit(pd.DataFrame(X, columns=COLUMNS) if frame else X, target)
    asked = pd.DataFrame(rows[1], columns=COLUMNS) if frame else rows[1]
    path = f"models/{name}.json"
    model.save_model(path)
    entry = {"name": name, "file": path, "made": how, "classes": classes, "rows": rows[0], "oracle": "xgboost", "probabilities": True}
    if frame:
        entry["columns"] = COLUMNS
    scores = model.predict_proba(asked).astype(np.float32)
    labels = model.predict(asked).astype(int)
    expected(name, labels, scores)
    fixtures.append(entry)
    pack(entry)
    if onnx_too:
        graph = onnxmltools.convert_xgboost(model, initial_types=[("X", XGBFloat([None, len(COLUMNS)]))])
        path = save(name + ".onnx", graph.SerializeToString(), True)
        fixtures.append({"name": name + "-onnx", "file": path, "made": how + ", by onnxmltools", "classes": classes, "rows": rows[0],
                         "oracle": "onnxruntime", "probabilities": True, "ops": ops(graph)})
        judged(name + "-onnx", labels, scores, np.zeros(len(labels), dtype=bool))


def pack(entry):
    """Compresses the model of an entry if it is large."""
    path = entry["file"]
    with open(path, "rb") as f:
        octets = f.read()
    if len(octets) > 20000:
        os.remove(path)
        entry["file"] = save(os.path.basename(path), octets, True)


def expected(name, labels, scores):
    with open(f"expected/{name}.csv", "w") as f:
        f.write("class," + ",".join(f"p{i}" for i in range(scores.shape[1])) + "\n")
        for label, row in zip(labels, scores):
            f.write(f"{label}," + ",".join(str(v) for v in row) + "\n")


def booster(name, params, rounds, target, how, classes, names=False, probabilities=True, raw=False):
    """A fixture of xgboost.train: objectives that XGBClassifier does not offer."""
    d = xgboost.DMatrix(X, label=target, feature_names=COLUMNS if names else None)
    model = xgboost.train({"seed": 1, "nthread": 1, **params}, d, rounds)
    path = f"models/{name}.json"
    model.save_model(path)
    asked = xgboost.DMatrix(ROWS, feature_names=COLUMNS if names else None)
    margin = model.predict(asked, output_margin=True)
    out = model.predict(asked)
    objective = params["objective"]
    if objective == "multi:softmax":
        labels, scores = out.astype(int), None
        exponents = np.exp(margin - margin.max(axis=1, keepdims=True))
        scores = exponents / exponents.sum(axis=1, keepdims=True)
    elif objective == "multi:softprob":
        labels, scores = out.argmax(axis=1), out
    elif objective == "binary:hinge":
        labels, scores = out.astype(int), np.stack([1 - out, out], axis=1)
    elif objective == "binary:logitraw":
        labels, scores = (out > 0).astype(int), np.stack([-out, out], axis=1)
    else:
        labels, scores = (out > 0.5).astype(int), np.stack([1 - out, out], axis=1)
    expected(name, labels, scores.astype(np.float32))
    entry = {"name": name, "file": path, "made": how, "classes": classes, "rows": "rows.csv", "oracle": "xgboost",
             "probabilities": probabilities}
    if names:
        entry["columns"] = COLUMNS
    fixtures.append(entry)
    pack(entry)


numbers2, numbers6 = ["0", "1"], [str(i) for i in range(6)]
small_xgb = dict(n_estimators=30, max_depth=4, random_state=1, n_jobs=1, tree_method="exact")
xgb("xgb-binary", xgboost.XGBClassifier(**small_xgb), y2, "XGBClassifier, binary:logistic", numbers2)
xgb("xgb-multi", xgboost.XGBClassifier(**{**small_xgb, "n_estimators": 8}), y, "XGBClassifier, multi:softprob", numbers6)
holes = X.copy()
holes[np.random.default_rng(10).random(X.shape) < 0.1] = np.nan
whole, X = X, holes
xgb("xgb-missing", xgboost.XGBClassifier(**small_xgb), y2, "XGBClassifier, values missing", numbers2, rows=("missing.csv", missing))
X = whole
xgb("xgb-named", xgboost.XGBClassifier(**{**small_xgb, "n_estimators": 5}), y, "XGBClassifier on a DataFrame, names of columns", numbers6,
    frame=True, onnx_too=False)
tree = {"max_depth": 4}
booster("xgb-logistic-base", {**tree, "objective": "binary:logistic", "base_score": 0.2, "scale_pos_weight": 3}, 10, y2, "train, binary:logistic, base_score 0.2", numbers2, names=True)
booster("xgb-logitraw", {**tree, "objective": "binary:logitraw"}, 10, y2, "train, binary:logitraw", numbers2, probabilities=False)
booster("xgb-hinge", {**tree, "objective": "binary:hinge"}, 10, y2, "train, binary:hinge", numbers2, probabilities=False)
booster("xgb-softmax", {**tree, "objective": "multi:softmax", "num_class": 6}, 4, y, "train, multi:softmax", numbers6)
booster("xgb-dart", {**tree, "objective": "binary:logistic", "booster": "dart", "rate_drop": 0.2}, 15, y2, "train, dart", numbers2)
booster("xgb-dart-multi", {**tree, "objective": "multi:softprob", "num_class": 6, "booster": "dart", "rate_drop": 0.2}, 4, y, "train, dart", numbers6)
booster("xgb-parallel", {**tree, "objective": "multi:softprob", "num_class": 6, "num_parallel_tree": 3, "subsample": 0.5}, 3, y, "train, three trees a class and round", numbers6)
booster("xgb-linear", {"objective": "binary:logistic", "booster": "gblinear"}, 20, y2, "train, gblinear", numbers2)
booster("xgb-linear-multi", {"objective": "multi:softprob", "num_class": 6, "booster": "gblinear"}, 10, y, "train, gblinear", numbers6)
booster("xgb-pruned", {**tree, "max_depth": 6, "gamma": 8, "tree_method": "exact", "objective": "binary:logistic"}, 10, y2, "train, nodes deleted by gamma", numbers2)
booster("xgb-logitraw-base", {**tree, "objective": "binary:logitraw", "base_score": 0.2}, 5, y2, "train, binary:logitraw, base_score 0.2", numbers2, probabilities=False)
booster("xgb-dart-base", {"max_depth": 3, "objective": "multi:softmax", "num_class": 6, "base_score": 0.7, "booster": "dart", "rate_drop": 0.5}, 3, y,
        "train, dart, base_score 0.7", numbers6)


class Early(xgboost.XGBClassifier):
    """An XGBClassifier that stops early."""

    def fit(self, rows, target):
        return super().fit(rows[:2000], target[:2000], eval_set=[(rows[2000:2600], target[2000:2600])], verbose=False)


early = Early(n_estimators=200, max_depth=4, learning_rate=1.0, early_stopping_rounds=6, random_state=1, n_jobs=1, tree_method="exact", num_parallel_tree=2)
xgb("xgb-early", early, y, "XGBClassifier that stopped early: predict takes the trees up to the best round", numbers6, onnx_too=False)
assert early.best_iteration + 1 < early.get_booster().num_boosted_rounds()
# What the reader refuses, each with a word of its reason.
model = xgboost.XGBClassifier(**{**small_xgb, "n_estimators": 2}).fit(X, y2)
model.save_model("models/xgb-refused.ubj")
fixtures.append({"name": "xgb-ubj", "file": "models/xgb-refused.ubj", "made": "UBJSON", "refuse": ["UBJSON", "json"]})
d = pd.DataFrame(X[:, :2], columns=["a", "b"])
d["c"] = pd.Categorical(X[:, 1].astype(int))
categorical = xgboost.XGBClassifier(n_estimators=2, max_depth=2, tree_method="hist", enable_categorical=True, n_jobs=1).fit(d, y2)
categorical.save_model("models/xgb-categorical.json")
fixtures.append({"name": "xgb-categorical", "file": "models/xgb-categorical.json", "made": "a categorical column", "refuse": ["categor"]})
regressor = xgboost.XGBRegressor(n_estimators=2, max_depth=2, n_jobs=1).fit(X, y2)
regressor.save_model("models/xgb-regressor.json")
fixtures.append({"name": "xgb-regressor", "file": "models/xgb-regressor.json", "made": "a regressor", "refuse": ["reg:squarederror"]})


# Graphs by hand: what no converter at hand emits.
def graph(name, nodes, inputs, outputs, weights=(), how="", classes=None, ml=3, opset=15, refuse=None, probabilities=True, labels=None, scores=None,
          packed=False):
    g = helper.make_graph(nodes, "pcaplab", inputs, outputs, [numpy_helper.from_array(np.asarray(w), n) for n, w in weights])
    m = helper.make_model(g, producer_name="by hand", opset_imports=[helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", ml)])
    m.ir_version = 8
    path = save(name + ".onnx", m.SerializeToString(), packed)
    entry = {"name": name, "file": path, "made": how, "ops": ops(m)}
    if refuse is not None:
        entry["refuse"] = refuse
    else:
        entry.update(classes=classes, rows="rows.csv", oracle="onnxruntime", probabilities=probabilities)
        if labels is not None:
            judged(name, labels, scores, np.zeros(len(labels), dtype=bool))
    fixtures.append(entry)
    return m


def tensor(name, kind=TensorProto.FLOAT, shape=(None, 39)):
    return helper.make_tensor_value_info(name, kind, shape)


node = helper.make_node
f32 = np.float32
net = make_pipeline(StandardScaler(), MLPClassifier((20, 10), random_state=2, max_iter=80)).fit(X, y)
mean, scale = net[0].mean_, net[0].scale_
coefs, biases = net[1].coefs_, net[1].intercepts_
net_labels, net_scores = net.predict(ROWS), net.predict_proba(ROWS)
layers = []
for i, (w, b) in enumerate(zip(coefs, biases)):
    layers.append(((f"fc{i}.weight", w.T.astype(f32)), (f"fc{i}.bias", b.astype(f32))))
norm = [("mean", mean.astype(f32)), ("std", scale.astype(f32))]


def torchlike(last, extra_weights=(), extra=()):
    nodes = [node("Sub", ["input", "mean"], ["c"]), node("Div", ["c", "std"], ["h0"])]
    for i in range(3):
        nodes.append(node("Gemm", [f"h{i}", f"fc{i}.weight", f"fc{i}.bias"], [f"g{i}" if i < 2 else "logits"], alpha=1.0, beta=1.0, transB=1))
        if i < 2:
            nodes.append(node("Relu", [f"g{i}"], [f"h{i + 1}"]))
    return nodes + last, norm + [w for pair in layers for w in pair] + list(extra_weights)


nodes, weights = torchlike([])
graph("torch-logits", nodes, [tensor("input", shape=("batch", 39))], [tensor("logits", shape=("batch", 6))], weights,
      "an MLP as PyTorch exports it: Gemm with transB, Relu; the output is logits", numbers6, probabilities=False, labels=net_labels, scores=net_scores)
fixtures[-1]["tolerance"] = 1e-5  # logits of rows far away cancel
nodes, weights = torchlike([node("Softmax", ["logits"], ["probs"], axis=1)])
graph("torch-softmax", nodes, [tensor("input", shape=(1, 39))], [tensor("probs", shape=(1, 6))], weights,
      "the same with Softmax, batch fixed at 1", numbers6, labels=net_labels, scores=net_scores)
nodes, weights = torchlike([node("Softmax", ["logits"], ["probs"])])
graph("torch-softmax-11", nodes, [tensor("input")], [tensor("probs", shape=(None, 6))], weights,
      "Softmax of opset 11, axis not said", numbers6, opset=11, labels=net_labels, scores=net_scores)
nodes, weights = torchlike([node("Softmax", ["logits"], ["probs"], axis=-1), node("ArgMax", ["logits"], ["index"], axis=1, keepdims=0),
                            node("LabelEncoder", ["index"], ["label"], domain="ai.onnx.ml", keys_int64s=list(range(6)), values_strings=CLASSES, default_string="?")])
graph("torch-labels", nodes, [tensor("input")], [tensor("label", TensorProto.STRING, (None,)), tensor("probs", shape=(None, 6))], weights,
      "ArgMax and LabelEncoder give the label", CLASSES, labels=net_labels, scores=net_scores)
nodes = [node("Cast", ["input"], ["x"], to=TensorProto.FLOAT), node("Sub", ["x", "mean"], ["c"]), node("Div", ["c", "std"], ["h0"])]
weights = list(norm)
for i, (w, b) in enumerate(zip(coefs, biases)):
    weights += [(f"w{i}", w.astype(f32)), (f"b{i}", b.astype(f32))]
    nodes += [node("MatMul", [f"h{i}", f"w{i}"], [f"m{i}"]), node("Add", [f"m{i}", f"b{i}"], [f"a{i}"])]
    if i < 2:
        nodes.append(node(["Relu", "Relu"][i], [f"a{i}"], [f"h{i + 1}"]))
nodes += [node("Softmax", ["a2"], ["probs"], axis=-1), node("ArgMax", ["probs"], ["best"], axis=1, keepdims=1),
          node("ArrayFeatureExtractor", ["names", "best"], ["picked"], domain="ai.onnx.ml"), node("Reshape", ["picked", "flat"], ["label"])]
weights += [("flat", np.array([-1], dtype=np.int64))]
g_names = ("names", np.array(CLASSES, dtype=object))
graph("keras-labels", nodes, [tensor("input", TensorProto.DOUBLE)], [tensor("label", TensorProto.STRING, (None,)), tensor("probs", shape=(None, 6))],
      weights + [g_names], "MatMul, Add; Cast from float64; ArgMax, ArrayFeatureExtractor and Reshape give the label", CLASSES,
      labels=net_labels, scores=net_scores)
two = make_pipeline(StandardScaler(), MLPClassifier((12,), activation="tanh", random_state=2, max_iter=80)).fit(X, y2)
nodes = [node("Sub", ["input", "mean"], ["c"]), node("Mul", ["c", "inv"], ["h"]), node("Gemm", ["h", "w0", "b0"], ["g0"]), node("Tanh", ["g0"], ["t"]),
         node("Gemm", ["t", "w1", "b1"], ["z"]), node("Sigmoid", ["z"], ["p"])]
weights = [("mean", two[0].mean_.astype(f32)), ("inv", (1 / two[0].scale_).astype(f32)), ("w0", two[1].coefs_[0].astype(f32)),
           ("b0", two[1].intercepts_[0].astype(f32)), ("w1", two[1].coefs_[1].astype(f32)), ("b1", two[1].intercepts_[1].astype(f32))]
graph("sigmoid", nodes, [tensor("input")], [tensor("p", shape=(None, 1))], weights, "one probability, of class 1: Gemm, Tanh, Sigmoid", numbers2,
      labels=two.predict(ROWS), scores=two.predict_proba(ROWS))
nodes = [node("Identity", ["input"], ["x"]), node("BatchNormalization", ["x", "gamma", "beta", "mu", "var"], ["h"], epsilon=1e-5),
         node("Gemm", ["h", "w0", "b0"], ["g0"], transB=0), node("LeakyRelu", ["g0"], ["l"], alpha=0.1), node("Dropout", ["l"], ["d"]),
         node("Gemm", ["d", "w1", "b1"], ["g1"]), node("LogSoftmax", ["g1"], ["out"], axis=1)]
rng = np.random.default_rng(12)
weights = [("gamma", rng.normal(1, .1, 39).astype(f32)), ("beta", rng.normal(0, .1, 39).astype(f32)), ("mu", mean.astype(f32)), ("var", (scale**2).astype(f32)),
           ("w0", rng.normal(0, .3, (39, 16)).astype(f32)), ("b0", rng.normal(0, .3, 16).astype(f32)), ("w1", rng.normal(0, .3, (16, 6)).astype(f32)), ("b1", np.zeros(6, f32))]
graph("torch-batchnorm", nodes, [tensor("input")], [tensor("out", shape=(None, 6))], weights,
      "BatchNormalization, LeakyRelu, Dropout, LogSoftmax", numbers6, probabilities=False)
fixtures[-1]["tolerance"] = 1e-5  # logarithms of probabilities


def ensemble(model, count, per_class):
    """The trees of a forest as the attributes of TreeEnsemble (ai.onnx.ml 5)."""
    a = dict(nodes_featureids=[], nodes_truenodeids=[], nodes_falsenodeids=[], nodes_trueleafs=[], nodes_falseleafs=[], tree_roots=[],
             leaf_targetids=[], nodes_missing_value_tracks_true=[])
    splits, weights = [], []
    for estimator in model.estimators_[:count]:
        t = estimator.tree_

        def leaf(i):
            value = t.value[i][0] / t.value[i][0].sum()
            a["leaf_targetids"].append(int(value.argmax()))
            weights.append(value.max() / count)
            return len(weights) - 1

        def branch(i):
            me = len(splits)
            a["nodes_featureids"].append(int(t.feature[i]))
            splits.append(t.threshold[i])
            for key in ("nodes_truenodeids", "nodes_falsenodeids", "nodes_trueleafs", "nodes_falseleafs"):
                a[key].append(0)
            a["nodes_missing_value_tracks_true"].append(int(i % 2))
            for side, child in (("true", t.children_left[i]), ("false", t.children_right[i])):
                is_leaf = t.feature[child] < 0
                a[f"nodes_{side}leafs"][me] = int(is_leaf)
                a[f"nodes_{side}nodeids"][me] = leaf(child) if is_leaf else branch(child)
            return me
        a["tree_roots"].append(branch(0))
    return a, splits, weights


def ensemble_node(a, splits, weights, kind, modes=None, members=None, post=0, aggregate=1, targets=6):
    attributes = dict(a, n_targets=targets, post_transform=post, aggregate_function=aggregate)
    attributes["nodes_splits"] = numpy_helper.from_array(np.array(splits, dtype=kind), "splits")
    attributes["leaf_weights"] = numpy_helper.from_array(np.array(weights, dtype=kind), "weights")
    attributes["nodes_modes"] = numpy_helper.from_array(np.array(modes if modes else [0] * len(splits), dtype=np.uint8), "modes")
    if members is not None:
        attributes["membership_values"] = numpy_helper.from_array(np.array(members, dtype=kind), "members")
    return node("TreeEnsemble", ["input"], ["scores"], domain="ai.onnx.ml", **attributes)


wood = RandomForestClassifier(8, max_depth=5, random_state=3).fit(X, y)
a, splits, weights = ensemble(wood, 8, 6)
encode = [node("ArgMax", ["scores"], ["index"], axis=1, keepdims=0),
          node("LabelEncoder", ["index"], ["label"], domain="ai.onnx.ml", keys_int64s=list(range(6)), values_strings=CLASSES)]
labelled = [tensor("label", TensorProto.STRING, (None,)), tensor("scores", shape=(None, 6))]
graph("ensemble5", [ensemble_node(a, splits, weights, np.float32)] + encode, [tensor("input")], labelled, how="TreeEnsemble of ai.onnx.ml 5, then ArgMax and LabelEncoder",
      classes=CLASSES, ml=5, opset=21, probabilities=False)
# The operator's page has 1 for SOFTMAX and 2 for LOGISTIC, onnxruntime has them the other way round.
for post in (1, 2, 3):
    graph(f"ensemble5-post{post}", [ensemble_node(a, splits, weights, np.float32, post=post)] + encode, [tensor("input")], labelled,
          how=f"the same with post_transform {post}", classes=CLASSES, ml=5, opset=21, probabilities=post != 1)
for aggregate, word in ((0, "average"), (2, "min"), (3, "max")):
    graph(f"ensemble5-{word}", [ensemble_node(a, splits, weights, np.float32, aggregate=aggregate)], [tensor("input")], [tensor("scores", shape=(None, 6))],
          how="the same, aggregate " + word, classes=numbers6, ml=5, opset=21, probabilities=None)
modes = [[0, 1, 2, 3][i % 4] for i in range(len(splits))]
graph("ensemble5-modes", [ensemble_node(a, splits, weights, np.float32, modes=modes)] + encode, [tensor("input")], labelled,
      how="all four orders: LEQ, LT, GTE, GT", classes=CLASSES, ml=5, opset=21, probabilities=False)
graph("ensemble5-double", [ensemble_node(a, splits, weights, np.float64)], [tensor("input", TensorProto.DOUBLE)], [tensor("scores", TensorProto.DOUBLE, (None, 6))],
      how="in float64", classes=numbers6, ml=5, opset=21, probabilities=False)
number = COLUMNS.index("Protocol Type")
a5 = dict(nodes_featureids=[number, COLUMNS.index("Rate")], nodes_truenodeids=[1, 0], nodes_falsenodeids=[2, 1], nodes_trueleafs=[0, 1], nodes_falseleafs=[1, 1],
          tree_roots=[0], leaf_targetids=[0, 1, 2])
graph("ensemble5-member", [ensemble_node(a5, [np.nan, 500.0], [1, 1, 1], np.float32, modes=[6, 0], members=[6, 17, np.nan], targets=3)], [tensor("input")],
      [tensor("scores", shape=(None, 3))], how="set membership", classes=["0", "1", "2"], ml=5, opset=21, probabilities=True)


def classifier(nodes, weights, labels=("no", "yes"), post="NONE", **more):
    """A TreeEnsembleClassifier: nodes are (tree, id, mode, feature, value, true, false), weights (tree, node, class, weight)."""
    t = list(zip(*nodes))
    w = list(zip(*weights)) if weights else [[], [], [], []]
    attributes = dict(nodes_treeids=t[0], nodes_nodeids=t[1], nodes_modes=t[2], nodes_featureids=t[3], nodes_values=[float(v) for v in t[4]],
                      nodes_truenodeids=t[5], nodes_falsenodeids=t[6], class_treeids=w[0], class_nodeids=w[1], class_ids=w[2],
                      class_weights=[float(v) for v in w[3]], classlabels_strings=list(labels), post_transform=post)
    attributes.update(more)
    attributes = {k: list(v) if isinstance(v, tuple) else v for k, v in attributes.items() if not (isinstance(v, (list, tuple)) and len(v) == 0)}
    return node("TreeEnsembleClassifier", ["input"], ["label", "probs"], domain="ai.onnx.ml", **attributes)


fine = [(0, 0, "BRANCH_LEQ", 3, 500., 1, 2), (0, 1, "LEAF", 0, 0., 0, 0), (0, 2, "BRANCH_GT", 0, 20., 3, 4), (0, 3, "LEAF", 0, 0., 0, 0), (0, 4, "LEAF", 0, 0., 0, 0),
        (1, 0, "BRANCH_EQ", number, 6., 1, 2), (1, 1, "LEAF", 0, 0., 0, 0), (1, 2, "BRANCH_NEQ", number, 17., 3, 4), (1, 3, "LEAF", 0, 0., 0, 0), (1, 4, "LEAF", 0, 0., 0, 0)]
leaves = [(0, 1, 0, .25), (0, 1, 1, .5), (0, 3, 1, .75), (0, 4, 0, .125), (1, 1, 0, .5), (1, 3, 1, .375), (1, 4, 0, 1.)]
outs = [tensor("label", TensorProto.STRING, (None,)), tensor("probs", shape=(None, 2))]
outs3 = [tensor("label", TensorProto.STRING, (None,)), tensor("probs", shape=(None, 3))]
three = ["a", "b", "c"]
wide = leaves + [(1, 1, 2, .625)]
graph("classifier-modes", [classifier(fine, wide, three)], [tensor("input")], outs3, how="TreeEnsembleClassifier with LEQ, GT, EQ and NEQ", classes=three, probabilities=False)
for post in ("SOFTMAX", "SOFTMAX_ZERO", "LOGISTIC", "PROBIT"):
    scaled_leaves = [(t, n, c, w / 4) for t, n, c, w in wide] if post == "PROBIT" else wide
    graph("classifier-" + post.lower().replace("_", "-"), [classifier(fine, scaled_leaves, three, post)], [tensor("input")], outs3, how="the same with " + post, classes=three,
          probabilities=post.startswith("SOFTMAX"))
graph("classifier-base", [classifier(fine, wide, three, base_values=[.1, .2, -.3])], [tensor("input")], outs3, how="the same with base_values", classes=three, probabilities=False)
signed = [(0, 1, -.25), (0, 3, .75), (0, 4, -.125), (1, 1, -.5), (1, 3, .375), (1, 4, -1.)]
for only in (0, 1):
    for post in ("NONE", "LOGISTIC"):
        graph(f"classifier-single{only}-{post.lower()}", [classifier(fine, [(t, n, only, w) for t, n, w in signed], post=post)], [tensor("input")], outs,
              how=f"two classes, weights of class {only} alone, " + post, classes=["no", "yes"], probabilities=(only == 0) if post == "LOGISTIC" else None)
    graph(f"classifier-single{only}-positive", [classifier(fine, [(t, n, only, abs(w) / 2) for t, n, w in signed])], [tensor("input")], outs,
          how=f"two classes, weights of class {only} alone, none negative", classes=["no", "yes"], probabilities=None)
lin = LogisticRegression(max_iter=200).fit(StandardScaler().fit_transform(X), y)
for post in ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO"):
    nodes = [node("Scaler", ["input"], ["z"], domain="ai.onnx.ml", offset=[float(v) for v in mean], scale=[float(1 / v) for v in scale]),
             node("LinearClassifier", ["z"], ["label", "probs"], domain="ai.onnx.ml", coefficients=[float(v) for v in lin.coef_.ravel()],
                  intercepts=[float(v) for v in lin.intercept_], classlabels_strings=CLASSES, multi_class=1, post_transform=post)]
    graph("linear-" + post.lower().replace("_", "-"), nodes, [tensor("input")], [tensor("label", TensorProto.STRING, (None,)), tensor("probs", shape=(None, 6))],
          how="Scaler, LinearClassifier, " + post, classes=CLASSES, probabilities=post.startswith("SOFTMAX"))
nodes = [node("Scaler", ["input"], ["z"], domain="ai.onnx.ml", offset=[1.0], scale=[0.01]),
         node("LinearClassifier", ["z"], ["label", "raw"], domain="ai.onnx.ml", coefficients=[float(v) for v in lin.coef_[:2].ravel()],
              intercepts=[0.5, -0.5], classlabels_ints=[7, -2], multi_class=0, post_transform="LOGISTIC"),
         node("Normalizer", ["raw"], ["probs"], domain="ai.onnx.ml", norm="L1"),
         node("ZipMap", ["probs"], ["map"], domain="ai.onnx.ml", classlabels_int64s=[7, -2])]
graph("linear-ints", nodes, [tensor("input")], [tensor("label", TensorProto.INT64, (None,)), helper.make_tensor_value_info("map", TensorProto.FLOAT, (None, 2))],
      how="Scaler of one value, labels 7 and -2, ZipMap", classes=["7", "-2"], probabilities=None)
# The output of a ZipMap is a sequence of maps.
m = onnx.load("models/linear-ints.onnx")
kind = helper.make_sequence_type_proto(helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, None))) if hasattr(helper, "make_map_type_proto") else None
if kind is None:
    m.graph.output[1].ClearField("type")
    m.graph.output[1].type.sequence_type.elem_type.map_type.key_type = TensorProto.INT64
    m.graph.output[1].type.sequence_type.elem_type.map_type.value_type.tensor_type.elem_type = TensorProto.FLOAT
else:
    m.graph.output[1].type.CopyFrom(kind)
onnx.save(m, "models/linear-ints.onnx")

# Operators, many a graph: each gives one score, in this order.
front = [node("Sub", ["input", "mean"], ["c"]), node("Div", ["c", "std"], ["d"]), node("Clip", ["d", "low", "high"], ["e"]), node("MatMul", ["e", "mix"], ["z"])]
front_weights = norm + [("low", np.float32(-4)), ("high", np.float32(4)), ("mix", (rng.normal(0, .25, (39, 6))).astype(f32))]
for i in range(6):
    front.append(node("Gather", ["z", f"at{i}"], [f"z{i}"], axis=1))
    front_weights.append((f"at{i}", np.array([i], dtype=np.int64)))
front += [node("Abs", [f"z{i}"], [f"abs{i}"]) for i in range(6)]


def operators(name, parts, weights=(), how="", opset=15, ml=3, tolerance=1e-5):
    """parts: lists of nodes, of which the last gives one column."""
    nodes = front + [n for part in parts for n in (part if isinstance(part, list) else [part])]
    ends = [(part[-1] if isinstance(part, list) else part).output[0] for part in parts]
    nodes.append(node("Concat", ends, ["scores"], axis=1))
    graph(name, nodes, [tensor("input")], [tensor("scores", shape=(None, len(ends)))], front_weights + list(weights), how=how,
          classes=[str(i) for i in range(len(ends))], probabilities=None, opset=opset, ml=ml)
    fixtures[-1]["tolerance"] = tolerance  # the matrix product in front of them, in float32


unary = ["Neg", "Exp", "Tanh", "Sigmoid", "Erf", "Floor", "Ceil", "Round", "Relu", "Softplus", "Softsign", "LeakyRelu", "Elu", "Selu", "HardSigmoid", "Identity"]
parts = [node(op, [f"z{i % 6}"], [f"u{op}"]) for i, op in enumerate(unary)]
parts += [node(op, [f"abs{i}"], [f"u{op}"]) for i, op in enumerate(("Log", "Sqrt", "Reciprocal", "Abs"))]
parts += [node("LeakyRelu", ["z0"], ["v0"], alpha=.3), node("Elu", ["z1"], ["v1"], alpha=.7), node("Selu", ["z2"], ["v2"], alpha=1.5, gamma=1.1),
          node("HardSigmoid", ["z3"], ["v3"], alpha=.3, beta=.4), node("Clip", ["z4", "nought"], ["v4"]), node("Clip", ["z5", "", "nought"], ["v5"])]
operators("ops-unary", parts, [("nought", np.float32(0))], "functions of one value")
two = [("two", np.array([2], f32)), ("half", np.float32(.5)), ("third", np.array([[3]], f32))]
parts = [node(op, ["z0", "z1"], [f"b{op}"]) for op in ("Add", "Sub", "Mul", "Div")]
parts += [node("Pow", ["abs0", "half"], ["p0"]), node("Pow", ["z1", "two"], ["p1"]), node("Sum", ["z0", "z1", "z2", "two"], ["p2"]), node("Mean", ["z0", "z1", "third"], ["p3"]),
          node("Max", ["z0", "z1", "half"], ["p4"]), node("Min", ["z2", "z3", "z4"], ["p5"]), node("Add", ["half", "z3"], ["p6"]), node("Div", ["third", "z4"], ["p7"]),
          node("Sub", ["two", "z5"], ["p8"])]
operators("ops-binary", parts, two, "functions of several values")
parts = []
for i, op in enumerate(("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual")):
    parts.append([node("Floor", [f"z{i}"], [f"f{i}"]), node("Floor", [f"z{(i + 1) % 6}"], [f"g{i}"]), node(op, [f"f{i}", f"g{i}"], [f"l{i}"]),
                  node("Cast", [f"l{i}"], [f"m{i}"], to=TensorProto.FLOAT)])
for op in ("And", "Or", "Xor"):
    parts.append([node(op, ["l1", "l3"], [f"o{op}"]), node("Cast", [f"o{op}"], [f"c{op}"], to=TensorProto.FLOAT)])
parts += [[node("Not", ["l1"], ["n"]), node("Cast", ["n"], ["cn"], to=TensorProto.FLOAT)], node("Where", ["l1", "z1", "half"], ["w"]),
          [node("Log", ["z0"], ["nan"]), node("IsNaN", ["nan"], ["is"]), node("Cast", ["is"], ["ci"], to=TensorProto.FLOAT)],
          [node("Cast", ["z1"], ["whole"], to=TensorProto.INT64), node("Cast", ["whole"], ["back"], to=TensorProto.FLOAT)],
          [node("Cast", ["z2"], ["double"], to=TensorProto.DOUBLE), node("Exp", ["double"], ["de"]), node("Cast", ["de"], ["dback"], to=TensorProto.FLOAT)],
          [node("Cast", ["z3"], ["flag"], to=TensorProto.BOOL), node("Cast", ["flag"], ["fback"], to=TensorProto.FLOAT)]]
operators("ops-logic", parts, two, "comparisons, logic, casts")
reductions = ["ReduceMean", "ReduceMax", "ReduceMin", "ReduceSumSquare", "ReduceL1", "ReduceL2", "ReduceLogSumExp", "ReduceProd"]
one = ("axis", np.array([1], dtype=np.int64))
parts = [node(op, ["z"], [f"r{op}"], axes=[1], keepdims=1) for op in reductions]
parts += [node("ReduceSum", ["z", "axis"], ["rs"], keepdims=1), [node("ReduceMean", ["z"], ["flat"], axes=[-1], keepdims=0), node("Unsqueeze", ["flat", "axis"], ["rm"])],
          [node("Exp", ["z"], ["ez"]), node("ReduceLogSum", ["ez"], ["rls"], axes=[1], keepdims=1)]]
operators("ops-reduce13", parts, [one], "reductions, axes as attributes", opset=13)
parts = [node(op, ["z", "axis"], [f"r{op}"], keepdims=1) for op in reductions]
parts += [[node("ReduceMax", ["z", "axis"], ["flat"], keepdims=0), node("Unsqueeze", ["flat", "axis"], ["rm"])]]
operators("ops-reduce18", parts, [one], "reductions, axes as inputs", opset=18)
shapes = [("axis", np.array([1], dtype=np.int64)), ("deep", np.array([-1, 2, 3], dtype=np.int64)), ("wide", np.array([-1, 6], dtype=np.int64)), ("keep", np.array([0, -1, 1], dtype=np.int64)),
          ("last", np.array([2], dtype=np.int64)), ("from", np.array([1], dtype=np.int64)), ("to", np.array([99], dtype=np.int64)), ("step", np.array([2], dtype=np.int64)),
          ("picks", np.array([4, 0, -1], dtype=np.int64)), ("three", np.array([3], dtype=np.int64)), ("ones", np.array([1, 4], dtype=np.int64))]
parts = [[node("Reshape", ["z", "deep"], ["s0"]), node("Transpose", ["s0"], ["s1"], perm=[0, 2, 1]), node("Flatten", ["s1"], ["s2"])],
         [node("Reshape", ["z", "keep"], ["s3"]), node("Squeeze", ["s3", "last"], ["s4"])],
         [node("Unsqueeze", ["z", "axis"], ["s5"]), node("Squeeze", ["s5", "axis"], ["s6"])],
         node("Slice", ["z", "from", "to", "axis", "step"], ["s7"]), node("Gather", ["z", "picks"], ["s8"], axis=1), node("Expand", ["z0", "ones"], ["s9"]),
         node("TopK", ["z", "three"], ["s10", "places"], axis=1), [node("Cast", ["places"], ["s11"], to=TensorProto.FLOAT)],
         [node("TopK", ["z", "three"], ["s12", "places2"], axis=-1, largest=0)],
         [node("ArgMin", ["z"], ["a0"], axis=1), node("Cast", ["a0"], ["a1"], to=TensorProto.FLOAT)], [node("ArgMax", ["z"], ["a2"], axis=-1), node("Cast", ["a2"], ["a3"], to=TensorProto.FLOAT)],
         [node("Shape", ["z"], ["sh"]), node("ConstantOfShape", ["sh"], ["cs"], value=helper.make_tensor("v", TensorProto.FLOAT, [1], [1.5])), node("Mul", ["cs", "z"], ["s13"])],
         [node("Constant", [], ["k"], value=numpy_helper.from_array(np.arange(6, dtype=f32), "k")), node("Add", ["z", "k"], ["s14"])]]
nodes = front + [n for part in parts for n in (part if isinstance(part, list) else [part])]
ends = [(part[-1] if isinstance(part, list) else part).output[0] for part in parts]
nodes.append(node("Concat", ends, ["scores"], axis=-1))
width = 6 + 6 + 6 + 3 + 3 + 4 + 3 + 3 + 3 + 1 + 1 + 6 + 6
graph("ops-shape", nodes, [tensor("input")], [tensor("scores", shape=(None, width))], front_weights + shapes, how="operators that move values, each gives some scores",
      classes=[str(i) for i in range(width)], probabilities=None)
fixtures[-1]["tolerance"] = 1e-5
regressor_nodes = dict(nodes_treeids=[n[0] for n in fine], nodes_nodeids=[n[1] for n in fine], nodes_modes=[n[2] for n in fine], nodes_featureids=[n[3] for n in fine],
                       nodes_values=[float(n[4]) for n in fine], nodes_truenodeids=[n[5] for n in fine], nodes_falsenodeids=[n[6] for n in fine])


def regressor(out, aggregate, post="NONE", targets=1, **extra):
    w = [(t, n, (t + n) % targets, v * 2) for t, n, _, v in [(0, 1, 0, -.25), (0, 3, 0, .75), (0, 4, 0, -.125), (1, 1, 0, -.5), (1, 3, 0, .375), (1, 4, 0, -1.)]]
    return node("TreeEnsembleRegressor", ["input"], [out], domain="ai.onnx.ml", n_targets=targets, aggregate_function=aggregate, post_transform=post,
                target_treeids=[v[0] for v in w], target_nodeids=[v[1] for v in w], target_ids=[v[2] for v in w], target_weights=[v[3] for v in w], **regressor_nodes, **extra)


ml = "ai.onnx.ml"
parts = [regressor(f"t{a}", a) for a in ("SUM", "AVERAGE", "MIN", "MAX")]
parts += [regressor("tb", "SUM", base_values=[.5]), regressor("tl", "SUM", "LOGISTIC"), regressor("ta", "AVERAGE", base_values=[-.25]),
          node("LinearRegressor", ["e"], ["lr"], domain=ml, coefficients=[float(v) for v in rng.normal(0, .1, 39)], intercepts=[.25], targets=1),
          node("Binarizer", ["z0"], ["bin"], domain=ml, threshold=.5), node("Scaler", ["z1"], ["sc"], domain=ml, offset=[.5], scale=[3.0]),
          [node("FeatureVectorizer", ["z0", "z1"], ["fv"], domain=ml, inputdimensions=[1, 1]), node("Normalizer", ["fv"], ["l2"], domain=ml, norm="L2"),
           node("ArrayFeatureExtractor", ["l2", "at1"], ["fe"], domain=ml)],
          [node("Floor", ["z2"], ["fl"]), node("LabelEncoder", ["fl"], ["le"], domain=ml, keys_floats=[-1., 0., 1.], values_floats=[5., 6., 7.], default_float=-3.)],
          [node("Cast", ["z3"], ["ic"], to=TensorProto.INT64), node("LabelEncoder", ["ic"], ["lf"], domain=ml, keys_int64s=[-1, 0, 1], values_floats=[.5, .25, .125], default_float=9.)]]
operators("ops-ml", parts, how="ai.onnx.ml: regressors of trees, LinearRegressor, Binarizer, Scaler, FeatureVectorizer, LabelEncoder")
nodes = [node("Imputer", ["input"], ["filled"], domain=ml, imputed_value_floats=[float(v) for v in np.median(X, axis=0)], replaced_value_float=float("nan")),
         node("Sub", ["filled", "mean"], ["c"]), node("Div", ["c", "std"], ["d"]), node("MatMul", ["d", "mix"], ["scores"])]
graph("imputer", nodes, [tensor("input")], [tensor("scores", shape=(None, 6))], [w for w in front_weights if w[0] in ("mean", "std", "mix")], how="Imputer of NaN", classes=numbers6, probabilities=False)
fixtures[-1].update(rows="missing.csv", tolerance=1e-5)

# Refused, each with words that the error must have.
refused = [tensor("input")]


def broken(name, nodes, words, weights=(), outputs=outs, how="", **more):
    return graph("broken-" + name, nodes, refused, outputs, weights, how=how or name, refuse=words, **more)


broken("op", [node("Frobnicate", ["input"], ["probs"])], ["Frobnicate", "15"])
broken("domain", [node("FusedGemm", ["input"], ["probs"], domain="com.microsoft")], ["com.microsoft", "FusedGemm"])
broken("attribute", [node("Relu", ["input"], ["probs"], softness=0.5)], ["softness"])
broken("cycle", [classifier(fine[:2] + [(0, 2, "BRANCH_GT", 0, 20., 3, 0)] + fine[3:], leaves)], ["0", "cycle"])
broken("cycle-two", [classifier(fine[:2] + [(0, 2, "BRANCH_GT", 0, 20., 3, 4), (0, 3, "LEAF", 0, 0., 0, 0), (0, 4, "BRANCH_LEQ", 1, 1., 2, 2)] + fine[5:], leaves[:3] + leaves[4:])], ["tree"])
broken("shared-child", [classifier([(0, 0, "BRANCH_LEQ", 3, 500., 1, 1), (0, 1, "LEAF", 0, 0., 0, 0)], [(0, 1, 0, 1.)])], ["tree"])
broken("child", [classifier(fine[:2] + [(0, 2, "BRANCH_GT", 0, 20., 3, 9)] + fine[3:], leaves)], ["9"])
broken("leaf", [classifier(fine, leaves + [(0, 77, 0, 1.)])], ["77"])
broken("weight-on-branch", [classifier(fine, leaves + [(0, 0, 0, 1.)])], ["0"])
broken("class-id", [classifier(fine, leaves[:-1] + [(1, 4, 5, 1.)])], ["5"])
broken("feature-id", [classifier([(0, 0, "BRANCH_LEQ", 39, 500., 1, 2)] + fine[1:], leaves)], ["39"])
broken("feature-negative", [classifier([(0, 0, "BRANCH_LEQ", -1, 500., 1, 2)] + fine[1:], leaves)], ["-1"])
broken("mode", [classifier([(0, 0, "BRANCH_MAYBE", 3, 500., 1, 2)] + fine[1:], leaves)], ["BRANCH_MAYBE"])
broken("lengths", [classifier(fine, leaves, nodes_values=[1.0, 2.0])], ["nodes_values"])
broken("twice", [classifier(fine + [(0, 4, "LEAF", 0, 0., 0, 0)], leaves)], ["4"])
broken("gemm-dims", [node("Gemm", ["input", "w", "b"], ["probs"])], ["Gemm"], [("w", np.zeros((38, 2), f32)), ("b", np.zeros(2, f32))])
broken("matmul-dims", [node("MatMul", ["input", "w"], ["probs"])], ["MatMul"], [("w", np.zeros((38, 2), f32))])
broken("add-dims", [node("Add", ["input", "w"], ["probs"])], ["Add"], [("w", np.zeros(38, f32))])
broken("scaler-dims", [node("Scaler", ["input"], ["probs"], domain="ai.onnx.ml", offset=[0.0] * 38, scale=[1.0] * 38)], ["Scaler"])
broken("linear-dims", [node("LinearClassifier", ["input"], ["label", "probs"], domain="ai.onnx.ml", coefficients=[0.0] * 77, intercepts=[0.0, 0.0], classlabels_strings=["a", "b"])], ["LinearClassifier"])
broken("missing-input", [node("Relu", ["nowhere"], ["probs"])], ["nowhere"])
broken("missing-output", [node("Relu", ["input"], ["other"])], ["probs"])
broken("node-cycle", [node("Relu", ["b"], ["a"]), node("Relu", ["a"], ["b"]), node("Relu", ["b"], ["probs"])], ["b"])
broken("ensemble-cycle", [ensemble_node(dict(a5, nodes_falsenodeids=[0, 1], nodes_falseleafs=[0, 1]), [1., 500.], [1, 1, 1], np.float32, targets=3)], ["TreeEnsemble"],
       outputs=[tensor("scores", shape=(None, 3))], ml=5, opset=21)
broken("ensemble-leaf", [ensemble_node(dict(a5, nodes_falsenodeids=[7, 1]), [1., 500.], [1, 1, 1], np.float32, targets=3)], ["7"],
       outputs=[tensor("scores", shape=(None, 3))], ml=5, opset=21)
broken("opset", [node("Relu", ["input"], ["probs"])], ["99"], opset=99)
broken("logit", [node("Gemm", ["input", "w"], ["score"])], ["no probability", "Sigmoid"], [("w", np.ones((39, 1), f32))], outputs=[tensor("score", shape=(None, 1))], how="one number that is no probability")
broken("two-labels", [node("Cast", ["input"], ["labels"], to=TensorProto.INT64)], ["39 labels"], outputs=[tensor("labels", TensorProto.INT64)], how="several labels a vector")
broken("constant", [node("Relu", ["input"], ["other"])], ["does not depend"], [("probs", np.full((1, 2), 0.5, f32))], outputs=[tensor("probs", shape=(None, 2))], how="an output that is a constant")
m = broken("empty", [node("Softmax", ["w"], ["other"], axis=1), node("Relu", ["input"], ["probs"])], ["w", "dims [0"], [("w", np.zeros((0, 39), f32))], how="no values, and a dim beyond memory")
m.graph.initializer[0].dims[1] = (1 << 31) - 1
onnx.save(m, "models/broken-empty.onnx")
m = graph("broken-initializer", [node("MatMul", ["input", "w"], ["probs"])], refused, outs, [("w", np.zeros((39, 2), f32))], how="dims say more than is there", refuse=["w"])
m.graph.initializer[0].dims[0] = 1 << 40
onnx.save(m, "models/broken-initializer.onnx")
m.graph.initializer[0].dims[0] = 39
m.graph.initializer[0].ClearField("raw_data")
m.graph.initializer[0].data_location = TensorProto.EXTERNAL
e = m.graph.initializer[0].external_data.add()
e.key, e.value = "location", "weights.bin"
with open("models/broken-external.onnx", "wb") as f:
    f.write(m.SerializeToString())
fixtures.append({"name": "broken-external", "file": "models/broken-external.onnx", "made": "weights in another file", "refuse": ["external"]})
with open("models/lr-binary.onnx", "rb") as f:
    octets = f.read()
with open("models/broken-cut.onnx", "wb") as f:
    f.write(octets[:len(octets) // 2])
fixtures.append({"name": "broken-cut", "file": "models/broken-cut.onnx", "made": "half of a file", "refuse": []})

with open("trainer.csv", "w") as f:
    f.write(",".join(trainer) + "\n")
    for i in range(len(ROWS)):
        f.write(",".join(column[i] if i < len(column) else "" for column in trainer.values()) + "\n")
versions = {"python": sys.version.split()[0], "scikit-learn": sklearn.__version__, "xgboost": xgboost.__version__, "onnx": onnx.__version__, "numpy": np.__version__}
with open("fixtures.json", "w") as f:
    f.write('{"versions": ' + json.dumps(versions) + ',\n"fixtures": [\n' + ",\n".join(json.dumps(e) for e in fixtures) + "\n]}\n")
print(len(fixtures), "fixtures")
