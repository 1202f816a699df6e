# SPDX-License-Identifier: Apache-2.0
"""Projections keep every bound, and are the nearest there is: held to Clarabel."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from koinon.errors import BadInput
from koinon.treasury.allocation.projection import Box, project, to_bps

PARTS = st.floats(0, 1, width=32)


@st.composite
def problems(draw):
    size = draw(st.integers(1, 8))
    wanted = np.array(draw(st.lists(PARTS, min_size=size, max_size=size)))
    held = np.array(draw(st.lists(PARTS, min_size=size, max_size=size)))
    sides = np.array(draw(st.lists(st.tuples(PARTS, PARTS), min_size=size, max_size=size)))
    low, high = sides.min(axis=1), sides.max(axis=1)
    idle = draw(st.floats(0, 0.5))
    if low.sum() > 0:
        low *= min(1.0, 0.9 * (1 - idle) / low.sum())
    wanted, held = wanted / max(1, wanted.sum()), held / max(1, held.sum())
    return wanted, held, Box(low, high, idle, draw(st.floats(0, 2)))


@given(problems())
@settings(max_examples=100, deadline=None)
def test_every_bound_is_kept(problem):
    wanted, held, box = problem
    try:
        found = project(wanted, held, box)
    except BadInput:
        return
    assert np.all(found >= box.low - 1e-9)
    assert np.all(found <= box.high + 1e-9)
    assert found.sum() <= 1 - box.idle + 1e-7
    assert np.abs(found - held).sum() <= box.turnover + 1e-7


@given(problems())
@settings(max_examples=20, deadline=None)
def test_nothing_nearer_is_allowed(problem):
    cvxpy = pytest.importorskip("cvxpy")
    wanted, held, box = problem
    weights = cvxpy.Variable(len(wanted))
    constraints = [
        weights >= box.low,
        weights <= box.high,
        cvxpy.sum(weights) <= 1 - box.idle,
        cvxpy.norm1(weights - held) <= box.turnover,
    ]
    oracle = cvxpy.Problem(cvxpy.Minimize(cvxpy.sum_squares(weights - wanted)), constraints)
    oracle.solve(solver=cvxpy.CLARABEL)
    try:
        found = project(wanted, held, box)
    except BadInput:
        assume(oracle.status in ("optimal", "optimal_inaccurate"))
        assert np.abs(np.clip(held, box.low, box.high) - held).sum() >= box.turnover - 1e-3
        return
    if oracle.status == "optimal":
        assert ((found - wanted) ** 2).sum() <= oracle.value + 1e-6


def test_weights_that_are_allowed_stay():
    wanted, held = np.array([0.3, 0.4]), np.array([0.2, 0.2])
    box = Box(np.zeros(2), np.full(2, 0.8), 0.1, 1.0)
    assert np.allclose(project(wanted, held, box), wanted)


def test_less_turnover_goes_part_of_the_way():
    found = project(np.array([0.6, 0.2]), np.array([0.2, 0.2]), Box(np.zeros(2), np.ones(2), 0, 0.1))
    assert np.allclose(found, [0.3, 0.2])


def test_what_cannot_be_is_said():
    with pytest.raises(BadInput, match="floors"):
        project(np.array([0.5]), np.array([0.5]), Box(np.array([0.8]), np.array([0.9]), 0.5, 1))
    with pytest.raises(BadInput, match="must be moved"):
        project(np.array([0.5]), np.array([0.0]), Box(np.array([0.4]), np.array([0.9]), 0, 0.3))


@given(st.lists(st.tuples(PARTS, PARTS), min_size=1, max_size=8))
def test_rounding_to_basis_points_asks_for_no_more_turnover(pairs):
    weights, held = (np.array(side) for side in zip(*pairs, strict=True))
    rounded = np.array(to_bps(weights, held)) / 10_000
    assert np.abs(rounded - held).sum() <= np.abs(weights - held).sum() + 1e-9 * len(pairs) + 1e-4 * np.sum(
        np.abs(weights - held) < 1e-4
    )
