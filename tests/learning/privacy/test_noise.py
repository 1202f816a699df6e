# SPDX-License-Identifier: Apache-2.0
import hashlib
import math

import numpy as np
import pytest

from koinon.errors import BadInput
from koinon.learning.privacy.noise import (
    LARGEST_DEVIATION,
    discrete_gaussian,
    fresh_seed,
    gaussian,
    joint_seed,
)
from koinon.learning.privacy.stream import Stream

SEED = bytes(range(32))
GOLDEN = "060f5e190efa0ba8f7924ebd5e3e201558d1cc2aacd0cb7f53a49771bba0d125"


@pytest.mark.parametrize("deviation", [1, 2, 5])
def test_every_number_is_as_likely_as_the_discrete_gaussian_says(deviation):
    count = 200_000
    found = discrete_gaussian(deviation, count, Stream(SEED))
    support = np.arange(-40, 41)
    weights = np.exp(-(support**2) / (2 * deviation**2))
    expected = count * weights / weights.sum()
    seen = np.array([(found == value).sum() for value in support])
    usual = expected > 20
    chi_squared = ((seen - expected)[usual] ** 2 / expected[usual]).sum()
    degrees = usual.sum() - 1
    assert chi_squared < degrees + 5 * math.sqrt(2 * degrees)
    assert np.abs(found).max() < 12 * deviation


@pytest.mark.parametrize("deviation", [2**12, 2**18, LARGEST_DEVIATION])
def test_a_wide_one_looks_like_the_continuous_one(deviation):
    found = discrete_gaussian(deviation, 40_000, Stream(SEED)) / deviation
    assert abs(found.mean()) < 0.03
    assert abs(found.std() - 1) < 0.02
    assert abs((found**4).mean() - 3) < 0.25
    for bound in (0.5, 1.0, 2.0):
        assert abs((np.abs(found) < bound).mean() - math.erf(bound / math.sqrt(2))) < 0.01


def test_a_seed_gives_the_same_noise_everywhere():
    """A golden vector: it may never change, or old rounds could not be computed again."""
    found = discrete_gaussian(2**18, 1_000, Stream(SEED)).astype("<i8").tobytes()
    assert hashlib.sha256(found).hexdigest() == GOLDEN
    assert found != discrete_gaussian(2**18, 1_000, Stream(fresh_seed())).astype("<i8").tobytes()


def test_no_deviation_is_no_noise():
    assert not discrete_gaussian(0, 5, Stream(SEED)).any()
    assert discrete_gaussian(3, 0, Stream(SEED)).shape == (0,)


def test_a_joint_seed_depends_on_every_part_and_on_who_gave_it():
    parts = {1: b"a" * 32, 4: b"b" * 32, 7: b"c" * 32}
    seed = joint_seed(b"round 3", parts)
    assert seed == joint_seed(b"round 3", dict(reversed(parts.items())))
    others = [
        joint_seed(b"round 4", parts),
        joint_seed(b"round 3", parts | {7: b"d" * 32}),
        joint_seed(b"round 3", {2: parts[1], 4: parts[4], 7: parts[7]}),
        joint_seed(b"round 3", {1: parts[1], 4: parts[4]}),
    ]
    assert len({seed, *others}) == 5


def test_numbers_below_a_limit_are_all_as_likely():
    found = Stream(SEED).below(6, 60_000)
    assert np.abs(np.bincount(found, minlength=6) - 10_000).max() < 500
    assert Stream(SEED).below(2**63, 10).min() >= 0
    assert not Stream(SEED).below(1, 10).any()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: discrete_gaussian(-1, 1, Stream(SEED)),
        lambda: discrete_gaussian(LARGEST_DEVIATION + 1, 1, Stream(SEED)),
        lambda: discrete_gaussian(1, -1, Stream(SEED)),
        lambda: Stream(b"short"),
        lambda: Stream(SEED).below(0, 1),
        lambda: joint_seed(b"round", {}),
    ],
)
def test_what_has_no_meaning_is_refused(wrong):
    with pytest.raises(BadInput):
        wrong()


@pytest.mark.parametrize("deviation", [0.3, 5.0])
def test_floating_point_noise_is_gaussian(deviation):
    drawn = gaussian(deviation, 20_000, Stream(SEED)) / deviation
    places = np.sort(drawn)
    expected = np.array([(1 + math.erf(place / math.sqrt(2))) / 2 for place in places])
    steps = np.arange(1, places.size + 1) / places.size
    assert np.abs(expected - steps).max() < 1.63 / math.sqrt(places.size)  # Kolmogorov and Smirnov, 1 %
    assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 0.03


def test_floating_point_noise_follows_from_its_seed_alone():
    one, same, other = (gaussian(1.0, 50, Stream(seed)) for seed in (SEED, SEED, SEED[::-1]))
    assert (one == same).all()
    assert not np.isin(one, other).any()
    assert gaussian(1.0, 0, Stream(SEED)).shape == (0,)
    assert not gaussian(0.0, 5, Stream(SEED)).any()
