# SPDX-License-Identifier: Apache-2.0
"""What recipes may promise: two honest modes, and never both."""

from dataclasses import replace

import numpy as np
import pytest

from koinon.errors import BadInput, PeerError
from koinon.learning.privacy.accountant import spent
from koinon.learning.privacy.clipping import NORM
from koinon.learning.privacy.noised_sum import NoisedSum
from koinon.learning.privacy.plan import Privacy
from koinon.learning.recipe import Recipe

SECRET = bytes(range(32))
FILE = """
name = "Private"
columns = ["a", "b"]
label = "c"
aggregation = "mean"
contribution = "equal"
minimum_owners = 3
rounds = 10

[scaling]
center = 0
scale = 1

[privacy]
mode = "private_sum"
noise = "distributed"
clip_norm = 1
epsilon = 4
"""


def recipe(**changes):
    return replace(Recipe.from_toml(FILE), **changes)


def test_a_recipes_file_says_it_and_its_json_keeps_it():
    found = recipe()
    assert found.privacy == Privacy("private_sum", "distributed", clip_norm=1.0, epsilon=4.0)
    assert Recipe.from_json(found.to_json()) == found
    assert found.digest != recipe(privacy=replace(found.privacy, epsilon=5.0)).digest


def test_a_recipe_without_promises_is_written_as_before():
    plain = recipe(privacy=Privacy(), contribution="shapley", aggregation="weighted_mean")
    assert b"privacy" not in plain.to_json()
    assert not plain.privacy.on


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"aggregation": "multi_krum"}, "which the masks hide"),
        ({"aggregation": "weighted_mean"}, "which the masks hide"),
        ({"aggregation": "fltrust", "root_owner": 0}, "which the masks hide"),
        ({"contribution": "shapley"}, "nobody sees it"),
        ({"contribution": "rows"}, "nobody sees it"),
        ({"codec": "topk:0.05"}, "masks hide what a codec"),
        ({"minimum_owners": 2}, "of two, each learns"),
        ({"scaling": None}, "a round of statistics"),
    ],
)
def test_both_modes_at_once_are_refused_with_the_reason(changes, reason):
    with pytest.raises(BadInput, match=reason) as refused:
        recipe(**changes)
    assert refused.value.code == "learning.privacy_conflict"
    assert refused.value.hint


@pytest.mark.parametrize(
    ("privacy", "reason"),
    [
        (Privacy(noise="rows", row_clip_norm=1, noise_multiplier=1), "DP-SGD works on torch"),
        (Privacy("private_sum", "central", clip_norm=1, noise_multiplier=1), "shapley"),
    ],
)
def test_noise_that_the_rest_of_the_recipe_cannot_have_is_refused(privacy, reason):
    with pytest.raises(BadInput, match=reason):
        recipe(privacy=privacy, contribution="shapley")


@pytest.mark.parametrize("noise", ["central", "distributed"])
def test_noise_on_a_sum_hides_nothing_from_a_leader_who_sees_every_change(noise):
    settings = Privacy("private_sum", noise, clip_norm=1, noise_multiplier=1)
    with pytest.raises(BadInput, match="sees every change"):
        recipe(privacy=replace(settings, mode="accountable", noise=noise), aggregation="weighted_mean")


def test_local_noise_and_robust_rules_go_together():
    found = recipe(
        privacy=Privacy(noise="local", clip_norm=1, noise_multiplier=1),
        aggregation="multi_krum",
        contribution="shapley",
    )
    assert found.privacy.protects == "owner"


@pytest.mark.parametrize(
    "settings",
    [
        {"mode": "secret"},
        {"noise": "pink"},
        {"noise": "local", "clip_norm": 1},
        {"epsilon": 1},
        {"noise": "local", "clip_norm": 1, "epsilon": 1, "noise_multiplier": 1},
        {"noise": "local", "epsilon": 1},
        {"mode": "private_sum"},
        {"mode": "private_sum", "clip_norm": 100},
        {"mode": "private_sum", "clip_norm": 1, "threshold": 300},
        {"clip_norm": 1},
        {"threshold": 3},
        {"noise": "rows", "epsilon": 1},
        {"row_clip_norm": 1},
        {"noise": "local", "clip_norm": 1, "noise_multiplier": 65},
        {"noise": "local", "clip_norm": 1, "noise_multiplier": 1, "delta": 1},
        {"clipping": 1},
    ],
)
def test_settings_without_meaning_are_refused(settings):
    with pytest.raises(BadInput):
        Privacy.from_dict(settings)


def test_an_epsilon_that_no_noise_reaches_is_refused_before_anybody_trains():
    with pytest.raises(BadInput, match="at most 64") as refused:
        recipe(privacy=Privacy("private_sum", "central", clip_norm=1, epsilon=0.01))
    assert refused.value.code == "learning.privacy"


def test_what_is_spent_grows_round_by_round_to_the_target():
    found = recipe()
    story = [found.privacy.spent(done, 10, found.training, 100) for done in range(11)]
    assert story[0] == 0
    assert story == sorted(story)
    assert 3.99 < story[-1] <= 4
    assert Privacy().spent(5, 10, found.training, 100) is None


def test_rows_spend_by_their_owners_sampling():
    settings = Privacy(noise="rows", row_clip_norm=1, noise_multiplier=1.5)
    training = recipe(epochs=2, batch=10).training
    few, many = (settings.spent(10, 10, training, rows) or 0.0 for rows in (50, 500))
    assert few == spent(1.5, 0.2, 100, 1e-5)
    assert few > many > 0


# ------------------------------------------------------------ numbers


def sums(noise, multiplier=1.0, rounds=10):
    return NoisedSum(Privacy("private_sum", noise, clip_norm=2.0, noise_multiplier=multiplier), rounds)


def test_the_parts_of_distributed_noise_make_the_whole_when_just_enough_stay():
    assert sums("distributed").own_deviation(4) * 2 == sums("local").own_deviation(4) == NORM
    assert sums("central").own_deviation(4) == 0
    four = sum(
        sums("distributed").with_own_noise(np.zeros(4_000, np.int64), 4, bytes([i] * 32)) for i in range(4)
    )
    assert np.std(four) == pytest.approx(NORM, rel=0.05)


def test_common_noise_is_the_same_bits_for_everybody_who_has_the_seeds():
    total, seeds = np.zeros(2_000, np.int64), {1: SECRET, 2: bytes(32)}
    one = sums("central").with_common_noise(total, b"round 1", seeds)
    assert (one == sums("central").with_common_noise(total, b"round 1", dict(reversed(seeds.items())))).all()
    assert np.std(one) == pytest.approx(NORM, rel=0.1)
    assert (one != sums("central").with_common_noise(total, b"round 2", seeds)).any()
    assert not sums("distributed").with_common_noise(total, b"round 1", seeds).any()


def test_a_sum_that_clipped_changes_cannot_make_is_refused():
    """A regression test for the one attack masks invite: send more than your share."""
    plain = NoisedSum(Privacy("private_sum", clip_norm=1.0), 1)
    total = np.zeros(50, np.int64)
    total[0] = 5 * NORM
    plain.check(total, 5, 4)
    total[0] += 1
    with pytest.raises(PeerError) as refused:
        plain.check(total, 5, 4)
    assert refused.value.code == "learning.sum_too_long"


@pytest.mark.parametrize("noise", ["local", "distributed"])
def test_honest_noise_passes_the_same_check(noise):
    one = sums(noise, multiplier=3.0)
    for size in (1, 10, 3_000):
        total = sum(one.with_own_noise(np.zeros(size, np.int64), 4, bytes([i] * 32)) for i in range(5))
        one.check(total, 5, 4)


def test_a_change_noised_alone_keeps_its_size_and_place():
    change = np.full(10_000, 0.01, dtype=np.float32)
    one = NoisedSum(Privacy(noise="local", clip_norm=1.0, noise_multiplier=0.5), 1)
    noised = one.noised_alone(change, SECRET)
    assert noised.dtype == np.float32
    assert noised.mean() == pytest.approx(0.01, abs=0.02)
    assert noised.std() == pytest.approx(0.5, rel=0.05)
