# SPDX-License-Identifier: Apache-2.0
"""The accountant against Opacus', and against what is known in closed form."""

import warnings
from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from koinon.errors import BadInput
from koinon.learning.privacy.accountant import (
    ORDERS,
    Accountant,
    divergences,
    noise_multiplier,
    spent,
)

DELTA = 1e-5


@pytest.fixture(scope="module")
def opacus():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("opacus.accountants")


@pytest.mark.parametrize("noise", [0.4, 0.7, 1.0, 1.37, 4.0, 20.0])
@pytest.mark.parametrize("rate", [1e-4, 0.01, 0.1, 0.5, 0.99, 1.0])
def test_every_order_spends_what_opacus_says(opacus, noise, rate):
    analysis = opacus.analysis.rdp
    orders = [order for order in ORDERS if order < 64]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = analysis.compute_rdp(q=rate, noise_multiplier=noise, steps=1, orders=orders)
    assert np.allclose(divergences(noise, rate)[: len(orders)], theirs, rtol=1e-6, atol=1e-11)


@pytest.mark.parametrize(
    ("noise", "rate", "steps"), [(1.37, 0.05, 300), (0.6, 0.01, 1_000), (1.0, 1.0, 10), (3.0, 0.2, 5_000)]
)
@pytest.mark.parametrize("delta", [1e-5, 1e-8])
def test_equal_steps_spend_what_opacus_accountant_says(opacus, noise, rate, steps, delta):
    theirs = opacus.RDPAccountant()
    theirs.history = [(noise, rate, steps)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = theirs.get_epsilon(delta)
        with_our_orders = theirs.get_epsilon(delta, alphas=[order for order in ORDERS if order < 1_024])
    ours = spent(noise, rate, steps, delta)
    assert ours == pytest.approx(with_our_orders, rel=1e-6)
    assert ours <= expected * (1 + 1e-6)


def test_steps_of_several_kinds_add_up_as_in_opacus(opacus):
    theirs, ours = opacus.RDPAccountant(), Accountant()
    theirs.history = [(1.1, 0.02, 400), (2.0, 0.1, 30)]
    for noise, rate, steps in theirs.history:
        ours.step(noise, rate, steps)
    assert ours.epsilon(DELTA) == pytest.approx(theirs.get_epsilon(DELTA), rel=1e-6)


@pytest.mark.parametrize(("epsilon", "rate", "steps"), [(3.0, 0.05, 300), (0.5, 0.01, 1_000), (8.0, 1.0, 15)])
def test_the_noise_found_spends_the_target_and_not_more(opacus, epsilon, rate, steps):
    noise = noise_multiplier(epsilon, DELTA, rate, steps)
    assert spent(noise, rate, steps, DELTA) <= epsilon
    assert spent(noise * 0.9999, rate, steps, DELTA) > epsilon
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = opacus.utils.get_noise_multiplier(
            target_epsilon=epsilon,
            target_delta=DELTA,
            sample_rate=rate,
            steps=steps,
            accountant="rdp",
            epsilon_tolerance=1e-4,
        )
    assert noise == pytest.approx(theirs, rel=1e-3)


def test_a_whole_order_is_the_limit_of_orders_beside_it():
    for noise in (0.5, 2.0):
        found = dict(zip(ORDERS, divergences(noise, 0.03), strict=True))
        assert found[10.0] == pytest.approx((found[9.9] + found[10.1]) / 2, rel=1e-2)
        assert found[9.9] < found[10.0] < found[10.1]


def test_nothing_done_spends_nothing_and_no_noise_spends_everything():
    assert Accountant().epsilon(DELTA) == 0
    assert spent(0.0, 0.1, 1, DELTA) == inf
    assert spent(0.0, 0.0, 1, DELTA) == 0
    assert spent(1.0, 0.5, 0, DELTA) == 0


@settings(deadline=None, max_examples=25)
@given(st.floats(0.3, 30), st.floats(1e-4, 1), st.integers(1, 2_000))
def test_more_noise_fewer_steps_and_rarer_samples_never_spend_more(noise, rate, steps):
    found = spent(noise, rate, steps, DELTA)
    assert found >= 0
    assert spent(noise * 1.1, rate, steps, DELTA) <= found + 1e-9
    assert spent(noise, rate * 0.9, steps, DELTA) <= found + 1e-9
    assert spent(noise, rate, steps + 1, DELTA) >= found - 1e-9


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: spent(-1.0, 0.1, 1, DELTA),
        lambda: spent(float("nan"), 0.1, 1, DELTA),
        lambda: spent(1.0, 1.5, 1, DELTA),
        lambda: spent(1.0, 0.1, -1, DELTA),
        lambda: spent(1.0, 0.1, 1, 0.0),
        lambda: spent(1.0, 0.1, 1, 1.0),
        lambda: noise_multiplier(0.0, DELTA, 0.1, 1),
        lambda: noise_multiplier(1.0, DELTA, 0.0, 1),
        lambda: noise_multiplier(1.0, DELTA, 0.1, 0),
        lambda: noise_multiplier(1e-9, DELTA, 1.0, 10),
    ],
)
def test_what_has_no_meaning_is_refused(wrong):
    with pytest.raises(BadInput) as refused:
        wrong()
    assert refused.value.code == "learning.privacy_parameters"
