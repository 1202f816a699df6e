# SPDX-License-Identifier: Apache-2.0
"""The fixed-point runtime: the same bits whatever the batch, the threads or the processor, and close to the
model it was made from."""

from __future__ import annotations

import hashlib
import io
import math
import os
import subprocess
import sys
import warnings
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from koinon.compute import fixed_point
from koinon.compute.fixed_point import arithmetic
from koinon.compute.fixed_point.arithmetic import ONE, WHOLE
from koinon.errors import BadInput

numbers = st.integers(-(2**34), 2**34)
rows_of_numbers = st.lists(numbers, min_size=1, max_size=20)


def quiet(estimator, rows, labels):
    """Fit without the warning that few iterations do not converge."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator.fit(rows, labels)


def split(load):
    rows, labels = load(return_X_y=True)
    return train_test_split(rows, labels, test_size=0.3, random_state=7)


CLASSIFIERS = {
    "logistic": make_pipeline(StandardScaler(), LogisticRegression(max_iter=200)),
    "perceptron tanh": make_pipeline(
        StandardScaler(), MLPClassifier((16,), activation="tanh", max_iter=40, random_state=1)
    ),
    "perceptron relu": make_pipeline(
        StandardScaler(), MLPClassifier((16, 8), activation="relu", max_iter=40, random_state=1)
    ),
    "perceptron logistic": make_pipeline(
        StandardScaler(), MLPClassifier((12,), activation="logistic", max_iter=40, random_state=1)
    ),
    "tree": DecisionTreeClassifier(max_depth=6, random_state=1),
    "forest": RandomForestClassifier(10, max_depth=8, random_state=1),
    "boosting": GradientBoostingClassifier(n_estimators=10, max_depth=3, random_state=1),
}


@pytest.mark.parametrize("kind", CLASSIFIERS)
@pytest.mark.parametrize("load", [load_breast_cancer, load_digits])
def test_a_converted_classifier_decides_held_out_rows_as_the_one_it_was_made_from(kind, load):
    taught, held, labels, _ = split(load)
    model = quiet(CLASSIFIERS[kind], taught, labels)
    fixed = fixed_point.from_estimator(model)
    answers = fixed.answers(held)
    found = np.array([[row["probabilities"][str(name)] for name in model.classes_] for row in answers])
    expected = model.predict_proba(held.astype(np.float32))
    largest, others = fixed_point.disagreement(found, expected)
    assert largest < 2e-4
    assert others <= 0.01
    for row, shares in zip(answers, found, strict=True):
        assert row["probabilities"][row["label"]] == shares.max()


@pytest.mark.parametrize(
    "model",
    [
        Ridge(),
        make_pipeline(StandardScaler(), MLPRegressor(hidden_layer_sizes=(8,), max_iter=60, random_state=1)),
        GradientBoostingRegressor(n_estimators=10, random_state=1),
    ],
)
def test_a_converted_regression_gives_the_same_numbers(model):
    taught, held, targets, _ = split(load_diabetes)
    quiet(model, taught, targets)
    fixed = fixed_point.from_estimator(model, rows=taught)
    found = [row["value"] for row in fixed.answers(held)]
    assert np.allclose(found, model.predict(held.astype(np.float32)), rtol=1e-4, atol=2e-2)


def test_lightgbm_s_trees_are_walked_as_lightgbm_does():
    lightgbm = pytest.importorskip("lightgbm")
    taught, held, labels, _ = split(load_breast_cancer)
    booster = lightgbm.train(
        {"objective": "binary", "verbose": -1, "num_leaves": 8, "use_missing": False},
        lightgbm.Dataset(taught.astype(np.float32), labels),
        num_boost_round=10,
    )
    fixed = fixed_point.from_lightgbm(booster.dump_model(), ("benign", "malignant"))
    found = [row["probability"] for row in fixed.answers(held)]
    assert np.allclose(found, booster.predict(held.astype(np.float32)), atol=2e-6)


def test_incomes_of_a_model_without_a_scaler_are_not_cut_off():
    rows = np.array([[1_000.0, 0.001], [90_000.0, 0.004], [40_000.0, 0.002]])
    model = LinearRegression().fit(rows, [1.0, 3.0, 2.0])
    with pytest.raises(BadInput, match="it has no scaler"):
        fixed_point.from_estimator(model)
    fixed = fixed_point.from_estimator(model, ("income", "rate"), rows)
    far = np.array([[5_000_000.0, 0.1]])
    assert np.isclose(fixed.answers(far)[0]["value"], model.predict(far)[0], rtol=1e-3)


def test_what_has_no_conversion_is_refused_with_a_reason():
    taught, _, labels, _ = split(load_breast_cancer)
    with pytest.raises(BadInput, match="GaussianNB has no conversion"):
        fixed_point.from_estimator(GaussianNB().fit(taught, labels))
    with pytest.raises(BadInput, match="of pipelines only"):
        fixed_point.from_estimator(make_pipeline(StandardScaler(), StandardScaler(), Ridge()))
    with pytest.raises(BadInput, match="objective 'rank'"):
        fixed_point.from_lightgbm({"objective": "rank"}, ())


# ------------------------------------------------------------ the same bits

PROGRAM = """
import hashlib, sys
import numpy as np
from koinon.compute import fixed_point
model = fixed_point.from_bytes(open(sys.argv[1], "rb").read())
rows = np.load(sys.argv[2])
size = int(sys.argv[3])
batches = [rows[at : at + size] for at in range(0, len(rows), size)]
parts = [model.scores(batch) for batch in batches]
print(hashlib.sha256(np.concatenate(parts).tobytes()).hexdigest())
weights = np.random.default_rng(1).normal(size=(64, 64)).astype(np.float32)
plain = [np.tanh(batch.astype(np.float32) @ weights) @ weights for batch in batches]
print(hashlib.sha256(np.concatenate(plain).tobytes()).hexdigest())
"""

MACHINES = [
    (64, {}),
    (1, {}),
    (64, {"OPENBLAS_NUM_THREADS": "1"}),
    (37, {"OPENBLAS_CORETYPE": "Prescott"}),
    (64, {"OPENBLAS_CORETYPE": "Haswell"}),
    (64, {"OPENBLAS_CORETYPE": "Sandybridge", "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3"}),
]


def test_batches_threads_and_processors_do_not_change_a_bit(tmp_path):
    rows, labels = load_digits(return_X_y=True)
    model = quiet(
        make_pipeline(
            StandardScaler(), MLPClassifier((32, 32), activation="tanh", max_iter=5, random_state=1)
        ),
        rows,
        labels,
    )
    fixed_point.save(tmp_path / "model.npz", fixed_point.from_estimator(model))
    np.save(tmp_path / "rows.npy", rows[:256])
    exact, plain = set(), set()
    for size, changes in MACHINES:
        told = subprocess.run(
            [
                sys.executable,
                "-c",
                PROGRAM,
                str(tmp_path / "model.npz"),
                str(tmp_path / "rows.npy"),
                str(size),
            ],
            env={**os.environ, "PYTHONWARNINGS": "ignore", **changes},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        exact.add(told[0])
        plain.add(told[1])
    assert len(exact) == 1
    assert len(plain) > 1, "floating point should differ here, or this test shows nothing"


def test_the_arithmetic_has_not_changed_since_the_format_was_named():
    """A change of any bit needs another name than koinon.fixed/1."""
    values = np.arange(-(2**23), 2**23, 997, dtype=np.int64)
    found = hashlib.sha256()
    for part in (
        arithmetic.exponential(np.abs(values)),
        arithmetic.logistic(values),
        arithmetic.tanh(values),
        arithmetic.softmax(values[:16800].reshape(-1, 8)),
        arithmetic.signed_log(np.ldexp(values.astype(np.float64), 3)),
        arithmetic.to_fixed(values / 65536.0, 128),
    ):
        found.update(part.tobytes())
    assert found.hexdigest() == "4c7f35c07f10f399fc1a81ab928cc7380aec143156d615ad590407defd5677da"


# ------------------------------------------------------------ arithmetic


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=20))
def test_exponentials_are_within_a_few_units_of_the_last_place(values):
    found = arithmetic.exponential(np.array(values)).tolist()
    for value, one in zip(values, found, strict=True):
        assert abs(one - math.exp(-value / ONE) * WHOLE) < 140


@given(rows_of_numbers)
def test_logistic_and_tanh_are_odd_monotone_and_close(values):
    ordered = np.sort(np.array(values))
    shares, bent = arithmetic.logistic(ordered), arithmetic.tanh(ordered)
    assert (np.diff(shares) >= 0).all()
    assert (np.diff(bent) >= 0).all()
    assert (arithmetic.logistic(-ordered) == WHOLE - shares).all()
    assert (arithmetic.tanh(-ordered) == -bent).all()
    assert np.allclose(bent / ONE, np.tanh(ordered / ONE), atol=4e-6)


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=20))
def test_the_signed_logarithm_is_close_for_numbers_of_any_size(values):
    found = arithmetic.signed_log(np.array(values))
    expected = np.sign(values) * np.log1p(np.abs(values))
    assert np.allclose(found, expected, rtol=0, atol=6e-6)


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 6))
def test_products_are_the_exact_sums(seed, inputs, outputs):
    source = np.random.default_rng(seed)
    rows = source.integers(-(2**25), 2**25, (5, inputs))
    weights = source.integers(-(2**20), 2**20, (inputs, outputs))
    biases = source.integers(-(2**40), 2**40, outputs)
    found = arithmetic.products(rows, weights, biases)
    for row in range(5):
        for column in range(outputs):
            exact = sum(int(a) * int(b) for a, b in zip(rows[row], weights[:, column], strict=True))
            assert found[row, column] == exact + int(biases[column])


@given(st.floats(-127, 127))
def test_to_fixed_rounds_to_the_nearest(value):
    found = int(arithmetic.to_fixed(np.array([value]), 128)[0])
    assert abs(Fraction(found, ONE) - Fraction(value)) <= Fraction(1, 2 * ONE) + Fraction(1, 2**60)


# ------------------------------------------------------------ bad input


ONE_LAYER = ((np.full((2, 1), ONE), np.zeros(1, dtype=np.int64)),)


def network(layers=ONE_LAYER, **changes):
    fields: dict[str, Any] = {
        "inputs": fixed_point.Inputs.plain(("a", "b")),
        "layers": layers,
        "activation": "relu",
        "outputs": fixed_point.Outputs("logistic", ("no", "yes")),
    }
    return fixed_point.FixedNetwork(**(fields | changes))


def test_weights_that_could_overflow_are_refused_before_any_row():
    with pytest.raises(BadInput, match="too large to be added up exactly"):
        network(((np.full((2, 1), ONE << 20), np.zeros(1, dtype=np.int64)),))
    wide = (np.full((2, 64), 40 * ONE), np.zeros(64, dtype=np.int64))
    deep = (np.full((64, 1), 40 * ONE), np.zeros(1, dtype=np.int64))
    with pytest.raises(BadInput, match="layer 2"):
        network((wide, deep))
    assert network((wide, deep), activation="tanh").answers(np.ones((1, 2)))[0]["label"] == "yes"


@pytest.mark.parametrize(
    "changes",
    [
        {"activation": "swish"},
        {"layers": ()},
        {"layers": ((np.ones((3, 1), dtype=np.int64), np.zeros(1, dtype=np.int64)),)},
        {"layers": ((np.ones((2, 2), dtype=np.int64), np.zeros(2, dtype=np.int64)),)},
    ],
)
def test_networks_that_do_not_fit_together_are_refused(changes):
    with pytest.raises(BadInput):
        network(**changes)


@pytest.mark.parametrize(
    ("link", "classes"),
    [("probit", ("a", "b")), ("logistic", ("a",)), ("softmax", ("a", "a")), ("identity", ("a",))],
)
def test_outputs_that_mean_nothing_are_refused(link, classes):
    with pytest.raises(BadInput):
        fixed_point.Outputs(link, classes)


@pytest.mark.parametrize("row", [[[1.0]], [[1.0, math.nan]], [[1.0, math.inf]], [1.0, 2.0]])
def test_rows_that_are_none_are_refused(row):
    with pytest.raises(BadInput, match="finite numbers"):
        network().answers(np.array(row))


def test_inputs_with_a_scaling_that_divides_by_nothing_are_refused():
    for scale, center in ((0.0, 0.0), (math.nan, 0.0), (1.0, math.inf)):
        with pytest.raises(BadInput):
            fixed_point.Inputs(("a",), np.zeros(1, dtype=bool), np.array([center]), np.array([scale]))
    with pytest.raises(BadInput):
        fixed_point.Inputs.plain(("a", "a"))


def stump(**changes):
    fields: dict[str, Any] = {
        "feature": np.zeros(3, dtype=np.int64),
        "threshold": np.zeros(3, dtype=np.float32),
        "left": np.array([1, 1, 2]),
        "right": np.array([2, 1, 2]),
        "output": np.zeros(3, dtype=np.int64),
        "value": np.array([0, -(1 << 36), 1 << 36]),
        "roots": np.zeros(1, dtype=np.int64),
        "base": np.zeros(1, dtype=np.int64),
    }
    return fixed_point.FixedTrees(
        fixed_point.Inputs.plain(("a",)), **(fields | changes), outputs=fixed_point.Outputs("identity", ())
    )


def test_a_stump_sends_rows_left_and_right():
    assert [row["value"] for row in stump().answers(np.array([[-1.0], [0.0], [1e300]]))] == [-1.0, -1.0, 1.0]


@pytest.mark.parametrize(
    "changes",
    [
        {"left": np.array([0, 0, 2])},
        {"left": np.array([9, 1, 2])},
        {"right": np.array([-1, 1, 2])},
        {"feature": np.array([1, 0, 0])},
        {"roots": np.array([3])},
        {"output": np.array([0, 1, 0])},
        {"value": np.array([0, 1 << 61, 0])},
        {"base": np.zeros(2, dtype=np.int64)},
        {"threshold": np.array([np.nan, 0, 0], dtype=np.float32)},
        {"threshold": np.zeros(2, dtype=np.float32)},
    ],
)
def test_tables_that_are_no_trees_are_refused(changes):
    with pytest.raises(BadInput):
        stump(**changes)


@pytest.mark.parametrize("model", [network(), stump()])
def test_a_file_gives_the_model_back_and_the_same_bytes(model, tmp_path):
    fixed_point.save(tmp_path / "model.npz", model)
    again = fixed_point.load(tmp_path / "model.npz")
    assert fixed_point.to_bytes(again) == fixed_point.to_bytes(model)
    rows = np.ones((2, len(model.inputs.features)))
    assert again.answers(rows) == model.answers(rows)


def test_files_that_are_no_model_are_refused(tmp_path):
    content = fixed_point.to_bytes(network())
    with np.load(io.BytesIO(content)) as arrays:
        found = {name: arrays[name] for name in arrays.files}

    def packed(**changes):
        file = io.BytesIO()
        np.savez_compressed(file, **(found | changes))
        return file.getvalue()

    bad = [
        b"",
        content[:-40],
        packed(format=np.array("koinon.mlp/1")),
        packed(w1=np.ones((2, 1))),
        packed(w1=np.array([["a"], ["b"]])),
        packed(more=np.zeros(1 << 24)),
        packed(features=np.zeros(0, dtype=np.str_)),
    ]
    for one in bad:
        with pytest.raises(BadInput, match="fixed-point runtime"):
            fixed_point.from_bytes(one)
    with pytest.raises(BadInput, match="cannot be read"):
        fixed_point.load(tmp_path / "none.npz")
