#!/usr/bin/env python3
"""Writes river.json: what river's own HoeffdingTreeClassifier says row by row, and the trees that it ends with.

usage: river.py CHECKOUT > river.json
       river.py CHECKOUT inference-39col-label.csv > river-real.json

CHECKOUT is a working tree of github.com/online-ml/river, or of its fork github.com/bitanb1999/river at 96e18416969a7e422d86a015c44d524c533a9b4a
(9 April 2021), which is what river.json was made from: the last in which all that the tree needs is Python. The rest of river is not
loaded. What later releases changed in the tree is put in below, each with the place where it was changed; with it the tree is that of river
0.15 and later.

The streams are made of integers by a linear congruential generator, the same as in river_test.go.
"""

import csv
import json
import math
import os
import sys
import types


def load(checkout):
    def package(name, *path):
        module = types.ModuleType(name)
        module.__path__ = [os.path.join(checkout, *path)]
        sys.modules[name] = module
        return module

    package("river", "river")
    package("river.tree", "river", "tree")
    package("river.tree.splitter", "river", "tree", "splitter")
    package("river.tree._nodes", "river", "tree", "_nodes")
    package("river.tree._split_criterion", "river", "tree", "_split_criterion")
    package("river.utils", "river", "utils")
    package("river.stats", "river", "stats")
    package("river.proba", "river", "proba")

    import importlib

    def put(into, *names):
        for name in names:
            module, attribute = name.rsplit(".", 1)
            setattr(sys.modules[into], attribute, getattr(importlib.import_module(module), attribute))

    import river
    river.base = importlib.import_module("river.base")
    river.utils = sys.modules["river.utils"]
    river.utils.Window = object
    river.stats = sys.modules["river.stats"]
    put("river.stats", "river.stats.mean.Mean", "river.stats.var.Var")
    put("river.proba", "river.proba.gaussian.Gaussian")
    river.proba = sys.modules["river.proba"]
    put("river.tree.splitter", "river.tree.splitter.base_splitter.Splitter", "river.tree.splitter.gaussian_splitter.GaussianSplitter")
    put("river.tree._split_criterion",
        "river.tree._split_criterion.gini_split_criterion.GiniSplitCriterion",
        "river.tree._split_criterion.hellinger_distance_criterion.HellingerDistanceCriterion",
        "river.tree._split_criterion.info_gain_split_criterion.InfoGainSplitCriterion")
    put("river.tree._nodes", "river.tree._nodes.base.FoundNode", "river.tree._nodes.base.LearningNode", "river.tree._nodes.base.Node",
        "river.tree._nodes.base.SplitNode", "river.tree._nodes.htc_nodes.LearningNodeMC", "river.tree._nodes.htc_nodes.LearningNodeNB",
        "river.tree._nodes.htc_nodes.LearningNodeNBA")
    later(importlib.import_module)
    return importlib.import_module("river.tree.hoeffding_tree_classifier").HoeffdingTreeClassifier


def later(module):
    mean, var = module("river.stats.mean").Mean, module("river.stats.var").Var

    # river/stats/mean.py: the share first.
    def update_mean(self, x, w=1.0):
        self.n += w
        self.mean += (w / self.n) * (x - self.mean)
        return self

    mean.update = update_mean

    # river/stats/var.py: the sum of squares is kept, not the variance.
    def update_var(self, x, w=1.0):
        old = self.mean.get()
        self.mean.update(x, w)
        self.squares = getattr(self, "squares", 0) + w * (x - old) * (x - self.mean.get())
        return self

    var.update = update_var
    var.get = lambda self: self.squares / (self.mean.n - self.ddof) if self.mean.n > self.ddof else 0.0

    suggestion = module("river.tree._attribute_test.split_suggestion").SplitSuggestion

    # river/tree/splitter/gaussian_splitter.py: no split where none has a merit.
    splitter = module("river.tree.splitter.gaussian_splitter").GaussianSplitter
    suggest = splitter.best_evaluated_split_suggestion

    def suggest_or_none(self, criterion, pre_split_dist, att_idx, binary_only):
        best = suggest(self, criterion, pre_split_dist, att_idx, binary_only)
        if best is None or best.merit == -math.inf:
            return suggestion(None, [{}], -math.inf)
        return best

    splitter.best_evaluated_split_suggestion = suggest_or_none

    # river/tree/nodes/htc_nodes.py: max_share_to_split.
    leaf = module("river.tree._nodes.htc_nodes").LearningNodeMC
    all_suggestions = leaf.best_split_suggestions

    def suggestions(self, criterion, tree):
        most = max(self.stats.values())
        if most and most / self.total_weight > tree.max_share_to_split:
            return [suggestion(None, [{}], -math.inf)]
        return all_suggestions(self, criterion, tree)

    leaf.best_split_suggestions = suggestions

    # This is no release's: river subtracts two sums of fractions to see whether a leaf has taken in a grace period of rows. Where that gives
    # 99.99999999999997 the attempt is a row late, and which leaf that happens to depends on the last bit of erf. RIVER_AS_IS=1 leaves it so.
    if not os.environ.get("RIVER_AS_IS"):
        node = module("river.tree._nodes.base").LearningNode
        node.last_split_attempt_at = node.last_split_attempt_at.getter(lambda self: self._last_split_attempt_at - 1e-6)

    # river/tree/split_criterion/gini_split_criterion.py: both sides must have their share, as with info_gain.
    gini = module("river.tree._split_criterion.gini_split_criterion").GiniSplitCriterion
    shares = module("river.tree._split_criterion.info_gain_split_criterion").InfoGainSplitCriterion.num_subsets_greater_than_frac
    merit = gini.merit_of_split
    gini.merit_of_split = lambda self, pre, post: -math.inf if shares(post, 0.01) < 2 else merit(self, pre, post)


class Random:
    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 33) % n


def mixed(rows):
    """Four classes, eight columns: useful, heavy-tailed, constant, doubled, outlying; the classes change places half way."""
    r = Random(1)
    for i in range(rows):
        y = r.below(10)
        y = 0 if y < 5 else 1 if y < 8 else 2 if y < 9 else 3
        c = y if i < rows // 2 else 3 - y
        hidden = r.below(2)
        bell = r.below(100) + r.below(100) + r.below(100) + r.below(100)
        x = [
            (bell + 60 * c) / 8,
            float(2 ** r.below(20 if c == 1 else 12) + r.below(3)),
            7.0 if c == 0 else float(r.below(50)),
            3.0,
            0.0,
            r.below(1000) / 1024,
            (r.below(100) + 100 * (hidden ^ (c & 1))) / 4,
            1e6 + r.below(10) if i % 97 == 0 else 50 + r.below(64) / 64 + 40 * hidden,
        ]
        x[4] = x[0]
        yield x, y


def wide(rows):
    """34 classes, 39 columns."""
    r = Random(2)
    for _ in range(rows):
        y = r.below(34)
        x = []
        for f in range(39):
            noise = r.below(64) + r.below(64)
            x.append((noise + (y * (f + 3)) % 17 * 9) / 16 if f % 3 else float(noise // 8 * ((y + f) % 5)))
        yield x, y


def rare(rows):
    """Two classes, one of them once in 120 rows, in columns that tell them, and one value far out that is its own."""
    r = Random(3)
    for i in range(rows):
        y = 1 if r.below(120) == 0 or i % 1000 > 900 else 0
        yield [r.below(1000) / 8 + 200 * y, float(r.below(3)), -1e9 if i == 777 else r.below(4096) / 4096], y


def extreme(rows):
    """Three classes in columns where densities, variances and shares of a branch underflow."""
    r = Random(4)
    for _ in range(rows):
        y = r.below(3)
        near = -1e9 if y == 1 or r.below(150) == 0 else 0.0
        yield [
            near + r.below(8) / 8,
            r.below(16) * 2.0**-500,
            1000 + (r.below(80) / 1024 if y else r.below(16) / 4096),
            r.below(5) * 2.0**-535,
        ], y


CASES = [
    ("defaults", mixed, 6000, {}),
    ("eager", mixed, 4000, {"grace_period": 25, "split_confidence": 0.01, "tie_threshold": 0.2}),
    ("majority", mixed, 4000, {"grace_period": 50, "split_confidence": 0.001, "leaf_prediction": "mc"}),
    ("bayes", mixed, 4000, {"grace_period": 50, "split_confidence": 0.001, "leaf_prediction": "nb", "nb_threshold": 30}),
    ("gini", mixed, 4000, {"grace_period": 40, "split_confidence": 0.001, "split_criterion": "gini"}),
    ("shallow", mixed, 4000, {"grace_period": 30, "split_confidence": 0.01, "max_depth": 2}),
    ("forced", mixed, 4000, {"grace_period": 33, "split_confidence": 0.01, "merit_preprune": False}),
    ("rare", rare, 5000, {"grace_period": 50}),
    ("rare, eager", rare, 5000, {"grace_period": 20, "tie_threshold": 0.5, "split_confidence": 0.05}),
    ("extreme", extreme, 3000, {"grace_period": 40, "tie_threshold": 0.3, "split_confidence": 0.01}),
    ("extreme, bayes", extreme, 3000, {"grace_period": 400, "leaf_prediction": "nb", "split_confidence": 0.01}),
    ("wide", wide, 3000, {"grace_period": 100, "tie_threshold": 0.5}),
]


def table(path):
    """The rows of a CSV file whose last column is the label; labels are counted as they come up in order of the alphabet."""
    with open(path, newline="") as f:
        rows = list(csv.reader(f))[1:]
    labels = sorted({row[-1] for row in rows})

    def real(_):
        for row in rows:
            yield [float(v) for v in row[:-1]], labels.index(row[-1])

    return [("real", real, len(rows), {}), ("real, eager", real, len(rows), {"grace_period": 50, "tie_threshold": 0.2, "split_confidence": 0.01})]


def nodes(node):
    if node.is_leaf():
        yield {
            "classes": list(node.stats), "weights": [float(w) for w in node.stats.values()], "active": node.is_active(),
            "mc": getattr(node, "_mc_correct_weight", 0.0), "nb": getattr(node, "_nb_correct_weight", 0.0),
        }
        return
    yield {"feature": node.split_test.attrs_test_depends_on()[0], "threshold": node.split_test.split_value}
    for i in (0, 1):
        yield from nodes(node.get_child(i))


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    classifier = load(sys.argv[1])
    cases = []
    for name, stream, rows, settings in table(sys.argv[2]) if len(sys.argv) == 3 else CASES:
        tree = classifier(**settings)
        tree.max_share_to_split = 0.99
        said = []
        for x, y in stream(rows):
            x = dict(enumerate(x))
            votes = tree.predict_proba_one(x)
            said.append("0123456789abcdefghijklmnopqrstuvwxyz"[max(sorted(votes), key=votes.get)] if votes else "0")
            tree.learn_one(x, y)
        cases.append({"name": name, "stream": stream.__name__, "rows": rows, "settings": settings, "predictions": "".join(said),
                      "nodes": list(nodes(tree._tree_root))})
        print(name, sum(1 for n in cases[-1]["nodes"] if "feature" in n), "splits", file=sys.stderr)
    print("[")
    print(",\n".join(json.dumps(c) for c in cases))
    print("]")


main()
