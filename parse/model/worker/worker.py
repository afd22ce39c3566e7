#!/usr/bin/env python3
"""The Python side of pcaplab's --python: runs a model that only Python can run.

pcaplab starts this file as a process of its own and talks to it over standard input and output. As it stands it takes

  * whatever joblib or pickle load and has predict(): scikit-learn's models and pipelines, XGBoost's, LightGBM's, your own classes;
    probabilities come from predict_proba(), where there is one;
  * XGBoost's Booster, from a pickle, with the objective binary:logistic or multi:softprob, or, without probabilities, multi:softmax or
    binary:hinge;
  * river's models, which have predict_one() and predict_proba_one() and take a dict of named features. Where probabilities are wanted
    the class is the most probable one, as river's Classifier has it; where predict_one() of yours decides otherwise, edit _ask_river.

Loading a pickle runs code that is in the file. Load your own, or those of people whom you would let log in.

For anything else, edit the part below. Classes that a pickle needs may be defined or imported here: this file is __main__, as your
training script was. Whatever you print goes to standard error, so printing does no harm.
"""
import os
import sys

# Standard output is the way to pcaplab. Before anything else is imported, it is put aside, so that nothing printed gets into it.
_out = os.fdopen(os.dup(1), "wb")
_in = os.fdopen(os.dup(0), "rb")
os.dup2(2, 1)
_null = os.open(os.devnull, os.O_RDONLY)
os.dup2(_null, 0)
os.close(_null)
sys.stdout = sys.stderr
if os.name == "nt":
    import msvcrt

    msvcrt.setmode(_out.fileno(), os.O_BINARY)
    msvcrt.setmode(_in.fileno(), os.O_BINARY)

# ---------------------------------------------------------------------------------------------------------------------------
# Yours to edit.

# The names of the classes. None: the model's classes_ (scikit-learn) or classes (river). A model that was trained on numbers
# 0, 1, 2 or on False and True says only those: give the names here, in that order. Names that the model has itself cannot be changed.
CLASSES = None

# The names of the features, in the order that the model takes. None: the model's feature_names_in_, or else what pcaplab has.
COLUMNS = None


def load(path):
    """Returns the model in the file at path.

    PyTorch keeps a network's weights, not its class, so yours has to be here. Something like:

        import torch
        net = MyNet(39, 2)
        net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        net.eval()

        class Model:
            classes_ = ["Benign", "Attack"]
            def predict_proba(self, rows):
                with torch.no_grad():
                    return torch.softmax(net(torch.as_tensor(rows, dtype=torch.float32)), 1).numpy()
            def predict(self, rows):
                return [self.classes_[i] for i in self.predict_proba(rows).argmax(1)]
        return Model()
    """
    try:
        import joblib
    except ImportError:
        joblib = None
    if joblib is not None:
        return joblib.load(path)  # takes plain pickles too
    import pickle

    with open(path, "rb") as f:
        return pickle.load(f)


# ---------------------------------------------------------------------------------------------------------------------------
# The protocol, version 1. It is little-endian.
#
#   1. pcaplab writes a line of JSON: {"protocol": "pcaplab-worker", "version": 1, "model": PATH, "columns": [NAME...] or null}
#   2. The worker answers a line:     {"protocol": "pcaplab-worker", "version": 1, "classes": [NAME...], "columns": [NAME...] or
#      null, "width": N, "probabilities": true or false}, or {"protocol": ..., "version": 1, "error": TEXT}, and ends.
#      columns are those that it wants, in this order; null: N values, whatever they are called.
#   3. A request: uint32 rows, uint32 want (1: probabilities too), rows * width float64.
#   4. Its answer: uint32 rows, rows int32 (indices of classes), and if wanted rows * classes float64; or uint32 0xffffffff, uint32 octets
#      and a text in UTF-8: what went wrong with this request.
#   5. At the end of its input the worker ends.


def _plain(label):
    """A label without numpy's types: a numpy.int64 of 1 and an int of 1 are the same class, and so are b"DDoS" and "DDoS"."""
    label = label.item() if hasattr(label, "item") else label
    return label.decode("utf-8", "backslashreplace") if isinstance(label, bytes) else label


class _Adapter:
    """Makes classes and probabilities of a model's answers."""

    def __init__(self, model, columns):
        self.model = model
        self.river = hasattr(model, "predict_one")
        try:
            import numpy
        except ImportError:
            numpy = None
        self.numpy = numpy
        self.booster = type(model).__module__.startswith("xgboost") and type(model).__name__ == "Booster"
        if not (self.river or hasattr(model, "predict")):
            raise TypeError(f"{type(model)!r} has neither predict() nor predict_one(): edit load() so that what it returns does")

        names = COLUMNS
        if names is None:
            names = getattr(model, "feature_names_in_", None)
        if names is None and self.booster:
            names = model.feature_names
        self.named = names is not None  # by the model itself
        if names is None:
            names = columns
        if self.river and names is None:
            raise ValueError("river's models know features by name: set COLUMNS")
        self.columns = None if names is None else [str(n) for n in names]
        wanted = getattr(model, "n_features_in_", None)
        if wanted is None and self.booster:
            wanted = model.num_features()
        self.width = len(self.columns) if self.columns is not None else wanted
        if self.width is None:
            raise ValueError("it is not known how many features the model takes: set COLUMNS")
        if wanted is not None and wanted != self.width:
            whose = "COLUMNS names" if COLUMNS is not None else "pcaplab has"
            raise ValueError(f"the model takes {wanted} features and {whose} {self.width}: set COLUMNS to the names of those {wanted}, in order")
        self.frames = False  # predict() wants a table with named columns

        # Labels are what predict() gives, names are what people see.
        self.objective = None
        if self.booster:
            import json

            config = json.loads(model.save_config())["learner"]
            self.objective = config["objective"]["name"]
            if self.objective not in ("binary:logistic", "multi:softprob", "multi:softmax", "binary:hinge"):
                raise ValueError(f"this Booster's objective is {self.objective}: only binary:logistic, multi:softprob, multi:softmax and binary:hinge tell classes")
            labels = range(max(int(config["learner_model_param"]["num_class"]), 2))
        else:
            labels = getattr(model, "classes_", None)
        if labels is None:
            last = list(model.steps.values())[-1] if self.river and hasattr(model, "steps") else model
            labels = getattr(last, "classes", None)
            if isinstance(labels, (set, frozenset)):
                labels = sorted(labels, key=str)
        if callable(labels):
            labels = None
        self.numbered = labels is None  # a label that is a number may be an index into CLASSES
        if labels is None:
            if CLASSES is None:
                raise ValueError(f"{type(model)!r} has no classes_: set CLASSES to their names")
            labels = CLASSES
        labels = [_plain(label) for label in labels]
        self.classes = [str(label) for label in (labels if CLASSES is None else CLASSES)]
        if len(self.classes) != len(labels):
            raise ValueError(f"CLASSES has {len(self.classes)} names, the model {len(labels)} classes: {labels}")
        if any(isinstance(label, str) for label in labels) and self.classes != labels:
            raise ValueError(f"CLASSES is {self.classes}, but the model's own classes are {labels}: set CLASSES to None, it is for models that know only numbers")
        self.labels = labels
        self.index = {label: i for i, label in enumerate(labels)}
        self.probabilities = hasattr(model, "predict_proba_one" if self.river else "predict_proba")
        if self.booster:
            self.probabilities = self.objective in ("binary:logistic", "multi:softprob")

        if not self.river:  # some of river's pipelines learn from whatever they are asked
            self._probe()

    def _probe(self):
        """Asks once, so that what does not work is known before the first vector."""
        row = [1.0] * self.width
        try:
            self._ask([row], False)
        except Exception:
            if self.booster or self.columns is None:
                raise
            try:
                import pandas
            except ImportError:
                pandas = None
            if pandas is None:
                raise
            self.frames = True
            self.pandas = pandas
            self._ask([row], False)
        if self.probabilities:
            try:
                self._ask([row], True)
            except (AttributeError, NotImplementedError):  # such as an SVC without them
                self.probabilities = False

    def ask(self, data, n, want):
        if self.numpy is not None:
            rows = self.numpy.frombuffer(data, dtype="<f8").reshape(n, self.width).copy()  # writable
        else:
            import struct

            values = struct.unpack(f"<{n * self.width}d", data)
            rows = [list(values[i * self.width : (i + 1) * self.width]) for i in range(n)]
        return self._ask(rows, want)

    def _ask(self, rows, want):
        if self.river:
            return self._ask_river(rows, want)
        if self.numpy is not None:
            rows = self.numpy.asarray(rows, dtype=float)
        if self.booster:
            return self._ask_booster(rows, want)
        if self.frames:
            rows = self.pandas.DataFrame(rows, columns=self.columns)
        classes = [self._class(label) for label in self.model.predict(rows)]
        if not want:
            return classes, None
        return classes, self.model.predict_proba(rows)

    def _class(self, label):
        if hasattr(label, "__len__") and not isinstance(label, (str, bytes)) and len(label) == 1:
            label = label[0]  # a column of answers
        label = _plain(label)
        i = self.index.get(label)
        if i is None and self.numbered and isinstance(label, (int, float)) and float(label).is_integer() and 0 <= label < len(self.classes):
            i = int(label)
        if i is None:
            raise ValueError(f"the model answered {label!r}, which is none of the classes {self.labels!r}")
        return i

    def _ask_river(self, rows, want):
        classes, scores = [], []
        for row in rows:
            x = dict(zip(self.columns, map(float, row)))
            # Asked once a row, see where _probe is called. A model that has learnt nothing yet answers None or {}: the first class.
            if not want:
                label = self.model.predict_one(x)
                classes.append(0 if label is None else self._class(label))
                continue
            answer = self.model.predict_proba_one(x)
            p = [0.0 if answer else 1 / len(self.classes)] * len(self.classes)
            for label, v in answer.items():
                p[self._class(label)] = float(v)
            # Of equals the first that it names, as predict_one() has it.
            classes.append(self._class(max(answer, key=answer.get)) if answer else 0)
            scores.append(p)
        return classes, scores if want else None

    def _ask_booster(self, rows, want):
        import xgboost

        out = self.model.predict(xgboost.DMatrix(rows, feature_names=self.model.feature_names))
        if not self.probabilities:
            return [self._class(label) for label in out], None
        if self.objective == "binary:logistic":
            out = self.numpy.stack([1 - out, out], axis=1)
        return [int(i) for i in out.argmax(axis=1)], out if want else None

    def pack(self, classes, scores, n):
        import struct

        if len(classes) != n:
            raise ValueError(f"predict() answered {len(classes)} classes for {n} rows")
        out = struct.pack(f"<I{n}i", n, *classes)
        if scores is None:
            return out
        k = len(self.classes)
        if self.numpy is not None:
            scores = self.numpy.ascontiguousarray(scores, dtype="<f8")
            if scores.shape != (n, k):
                raise ValueError(f"predict_proba() answered {scores.shape} values, not {(n, k)}")
            return out + scores.tobytes()
        scores = [list(row) for row in scores]
        if len(scores) != n or any(len(row) != k for row in scores):
            raise ValueError(f"predict_proba() did not answer {k} values for each of {n} rows")
        return out + struct.pack(f"<{n * k}d", *[v for row in scores for v in row])


def _main():
    import json
    import struct
    import traceback
    import warnings

    def line(**fields):
        _out.write(json.dumps({"protocol": "pcaplab-worker", "version": 1, **fields}).encode() + b"\n")
        _out.flush()

    warnings.filterwarnings("ignore", message=".*does not have valid feature names.*")  # they are in the right order
    hello = json.loads(_in.readline() or "{}")
    if hello.get("protocol") != "pcaplab-worker":
        sys.exit("This is the Python side of pcaplab: give its name with --python. It does nothing by itself.")
    if hello.get("version") != 1:
        line(error=f"this worker speaks version 1 of the protocol, not {hello.get('version')!r}")
        sys.exit(1)
    try:
        adapter = _Adapter(load(hello["model"]), hello.get("columns"))
    except BaseException:
        line(error=traceback.format_exc())
        sys.exit(1)
    line(
        classes=adapter.classes,
        columns=adapter.columns if adapter.named or adapter.river else None,
        width=adapter.width,
        probabilities=adapter.probabilities,
    )
    while True:
        head = _in.read(8)
        if len(head) < 8:
            return
        n, want = struct.unpack("<II", head)
        size = n * adapter.width * 8
        data = _in.read(size)
        if len(data) < size:
            return
        try:
            answer = adapter.pack(*adapter.ask(data, n, want == 1), n)
        except Exception:
            text = traceback.format_exc().encode("utf-8", "replace")[-65536:]
            answer = struct.pack("<II", 0xFFFFFFFF, len(text)) + text
        _out.write(answer)
        _out.flush()


if __name__ == "__main__":
    _main()
