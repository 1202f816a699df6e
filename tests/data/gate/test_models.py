# SPDX-License-Identifier: Apache-2.0
"""Models: what their weights may hold, and whether they tell their training rows from others."""

from __future__ import annotations

import numpy as np
import pytest

from koinon.data.gate import Policy, Reason, Refused, Told, decide, gate, read_schema
from koinon.data.gate.membership import attack, auc, fits, linear, logistic, softmax
from koinon.tables import Table
from tests.data.gate.support import OPEN, Desk, make_table

LOGISTIC = """
[model]
kind = "model"
size = {size}
form = "logistic"
bounds = [-1e9, 1e9]
"""
TRAIN = """
# Newton's method with a ridge, on columns of mean 0 and deviation 1
centre, spread = features.mean(0), features.std(0)
spread[spread == 0] = 1
design = numpy.column_stack([(features - centre) / spread, numpy.ones(len(labels))]).astype(float)
weights = numpy.zeros(design.shape[1])
for _ in range(ROUNDS):
    chance = 1 / (1 + numpy.exp(-numpy.clip(design @ weights, -30, 30)))
    slope = design.T @ (chance - labels) + RIDGE * weights
    curve = (design * (chance * (1 - chance))[:, None]).T @ design + RIDGE * numpy.eye(len(weights))
    weights -= numpy.linalg.solve(curve, slope)
plain = weights[:-1] / spread
leave_model(numpy.append(plain, weights[-1] - plain @ centre))
"""


def training(rounds, ridge):
    return TRAIN.replace("ROUNDS", str(rounds)).replace("RIDGE", str(ridge))


def wide_table(rows=240, columns=120, seed=3):
    """More columns than a model can learn from so few rows: it can only learn them by heart."""
    draw = np.random.default_rng(seed)
    features = draw.normal(0, 1, (rows, columns)).astype(np.float32)
    labels = (features[:, 0] + draw.normal(0, 2, rows) > 0).astype(np.int64)
    return Table(features, labels, tuple(f"c{number}" for number in range(columns)))


@pytest.fixture
def wide(gate_sandbox, tmp_path):
    whole = wide_table()
    return Desk(gate_sandbox, tmp_path, whole.take(np.arange(120)), whole.take(np.arange(120, 240)))


def decided(desk, size, code, policy=OPEN):
    finished = desk.run(code)
    assert finished.outcome == "ok", finished.log.decode()
    schema = read_schema(LOGISTIC.format(size=size))
    return decide(schema, policy, finished, desk.table, desk.held_out, np.random.default_rng(0))


def test_a_model_that_learnt_what_is_general_leaves_and_predicts(desk):
    decision = decided(desk, 6, training(20, 1.0))
    assert decision.told is Told.RELEASED, decision.refused
    vector = np.frombuffer(decision.files["model.f32"], "<f4")
    right = logistic(vector, desk.held_out.features).argmax(axis=1) == desk.held_out.labels
    assert right.mean() > 0.75
    assert decision.release is not None
    found = decision.release.membership["model"]
    assert found.low <= found.auc <= found.high
    assert found.auc < 0.6


def test_a_model_that_learnt_its_rows_by_heart_does_not_leave(wide):
    decision = decided(wide, 121, training(30, 1e-3))
    assert decision.told is Told.REFUSED
    assert decision.refused is not None
    assert decision.refused.reason is Reason.MEMBERSHIP
    assert not decision.files
    milder = decided(wide, 121, training(30, 3000.0), Policy(allow_models=True, mia_bound=0.85))
    assert milder.told is Told.RELEASED, milder.refused


@pytest.mark.parametrize(
    "code",
    [
        "leave_model(numpy.append(features[0], labels[0]))",
        "leave_model(numpy.append(features[3], 0))",
        "leave_model(features[:6, 4])",
    ],
)
def test_a_row_or_a_column_in_the_place_of_weights_does_not_leave(desk, code):
    decision = decided(desk, 6, code)
    assert decision.told is Told.REFUSED
    assert decision.refused is not None
    assert decision.refused.reason is Reason.VERBATIM


def test_rows_in_the_weights_of_classes_that_do_not_exist(desk):
    schema = read_schema(LOGISTIC.format(size=600).replace("logistic", "softmax"))
    code = """
    key = numpy.random.default_rng(7).uniform(1, 2, 600)
    leave_model(features[:120].ravel() * key)
    """
    finished = desk.run(code)
    assert finished.outcome == "ok", finished.log.decode()
    decision = decide(schema, OPEN, finished, desk.table, desk.held_out)
    assert decision.refused is not None
    assert decision.refused.reason is Reason.MODEL


def nearest(vector, features):
    """A form of a buyer's own: rows by heart, each with its label; the nearest one's label is predicted."""
    width = features.shape[1]
    kept = vector.reshape(-1, width + 1)
    apart = (((features[:, None, :] - kept[None, :, :width]) / (3000, 20, 0.5, 1, 12)) ** 2).sum(axis=2)
    return np.eye(2)[kept[apart.argmin(axis=1), width].astype(np.int64)] * 0.98 + 0.01


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("leave_model(numpy.column_stack([features, labels]))", Reason.VERBATIM),
        (
            "draw = numpy.random.default_rng(1)\n"
            "rows = features + draw.normal(0, 1, features.shape) * 0.1 * features.std(0)\n"
            "leave_model(numpy.column_stack([rows, labels])[draw.permutation(len(rows))])",
            Reason.MEMBERSHIP,
        ),
    ],
)
def test_a_model_that_is_its_rows(desk, code, reason):
    schema = read_schema(LOGISTIC.format(size=2400).replace("logistic", "nearest"))
    finished = desk.run(code)
    assert finished.outcome == "ok", finished.log.decode()
    with pytest.raises(Refused) as refused:
        gate(schema, OPEN, finished.outputs, desk.table, desk.held_out, predictors={"nearest": nearest})
    assert refused.value.reason is reason


def test_without_rows_that_programs_never_saw_no_model_leaves(desk):
    finished = desk.run(training(5, 1.0))
    schema = read_schema(LOGISTIC.format(size=6))
    for held_out in (None, desk.held_out.take(np.arange(20))):
        decision = decide(schema, OPEN, finished, desk.table, held_out)
        assert decision.refused is not None
        assert decision.refused.reason is Reason.MEMBERSHIP


def test_a_form_that_does_not_predict_is_refused(desk):
    finished = desk.run(training(5, 1.0))
    schema = read_schema(LOGISTIC.format(size=6).replace("logistic", "broken"))
    for broken in (
        lambda vector, rows: vector.reshape(5, 5),
        lambda _vector, rows: np.full((len(rows), 2), np.nan),
        lambda _vector, rows: np.ones((3, 2)),
    ):
        with pytest.raises(Refused) as refused:
            gate(schema, OPEN, finished.outputs, desk.table, desk.held_out, predictors={"broken": broken})
        assert refused.value.reason is Reason.MODEL


def test_models_of_blocks_are_averaged(desk):
    halves = [desk.table.take(rows) for rows in np.array_split(np.arange(400), 2)]
    outputs = [desk.run(training(20, 1.0), table=half).outputs for half in halves]
    released = gate(read_schema(LOGISTIC.format(size=6)), OPEN, outputs, desk.table, desk.held_out)
    one, other = (np.frombuffer(each["model.f32"], "<f4") for each in outputs)
    assert np.frombuffer(released.files["model.f32"], "<f4") == pytest.approx((one + other) / 2, rel=2e-3)


def test_the_forms_predict_as_they_say():
    features = np.array([[1, 2], [0, -1]], np.float32)
    vector = np.array([2, -1, 0.5], np.float32)
    assert linear(vector, features) == pytest.approx([0.5, 1.5])
    chance = 1 / (1 + np.exp(-np.array([0.5, 1.5])))
    assert logistic(vector, features)[:, 1] == pytest.approx(chance)
    both = np.concatenate([np.zeros(2), vector[:2], [0], vector[2:]]).astype(np.float32)
    assert softmax(both, features)[:, 1] == pytest.approx(chance)
    assert logistic(vector * 1e30, features)[:, 1] == pytest.approx([1, 1])
    assert fits("logistic", 3, 2)
    assert not fits("logistic", 4, 2)
    assert fits("softmax", 9, 2)
    assert not fits("softmax", 3, 2)


def test_a_models_error_on_numbers_is_attacked_as_well():
    table = make_table(200)
    member, other = table.take(np.arange(100)), table.take(np.arange(100, 200))

    def by_heart(_vector, features):
        known = {row.tobytes(): label for row, label in zip(member.features, member.labels, strict=True)}
        return np.array([known.get(row.tobytes(), 0.5) for row in features], dtype=float)

    found = attack(np.zeros(1, np.float32), by_heart, member, other, np.random.default_rng(0))
    assert found.auc == 1
    assert found.low > 0.9


def test_auc_counts_pairs_and_halves_ties():
    draw = np.random.default_rng(2)
    members, others = draw.integers(0, 6, 40).astype(float), draw.integers(0, 5, 30).astype(float)
    pairs = [(m > o) + 0.5 * (m == o) for m in members for o in others]
    assert auc(members, others) == pytest.approx(np.mean(pairs))
