# SPDX-License-Identifier: Apache-2.0
"""One state machine makes the common model: for every method and codec the same bits, interrupted or not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from koinon.errors import BadInput
from koinon.learning import metrics
from koinon.learning.codecs import codec_named
from koinon.learning.common import CommonModel
from koinon.learning.local import LocalLearner
from tests.learning.support import SCALING, recipe, table

METHODS = ("fedavg", "fedprox:0.1", "fedadam:0.05", "outer:0.7:0.5", "scaffold")
CODECS = (("float32", "float32"), ("int8", "int8"), ("topk:0.3", "topk:0.3"))


def found(method: str, codecs: tuple[str, str] = CODECS[0], **changes):
    sgd = {"optimiser": "sgd", "learning_rate": 0.1} if method == "scaffold" else {"learning_rate": 0.02}
    return recipe(method=method, codec=codecs[0], down_codec=codecs[1], rounds=12, **sgd, **changes)


def play(made, rounds: int, *, restart: bool):
    common = CommonModel(made)
    learners = [LocalLearner(made, table(80, seed), SCALING, seed) for seed in range(3)]
    for number in range(1, rounds + 1):
        updates = {learner.index: learner.teach(common.vector, number)[1] for learner in learners}
        common.advance(updates)
        if restart:
            again = CommonModel(made)
            again.restore(common.snapshot())
            common = again
            fresh = [LocalLearner(made, table(80, seed), SCALING, seed) for seed in range(3)]
            for old, new in zip(learners, fresh, strict=True):
                new.restore(old.snapshot())
            learners = fresh
    return common


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("codecs", CODECS)
def test_it_learns_and_an_interruption_changes_no_bit(method, codecs):
    made = found(method, codecs)
    through, stopped = play(made, 12, restart=False), play(made, 12, restart=True)
    assert through.digest == stopped.digest
    assert through.change == stopped.change
    judge = table(600, 99)
    before = made.model.probabilities(CommonModel(made).parameters, SCALING.apply(judge.features))
    after = made.model.probabilities(through.parameters, SCALING.apply(judge.features))
    assert metrics.score(judge.labels, after) > max(0.75, metrics.score(judge.labels, before))


def test_the_order_of_updates_does_not_matter():
    made = found("scaffold")
    common, turned = CommonModel(made), CommonModel(made)
    updates = {i: LocalLearner(made, table(50, i), SCALING, i).teach(common.vector, 1)[1] for i in range(4)}
    common.advance(updates)
    turned.advance(dict(reversed(updates.items())))
    assert common.digest == turned.digest


@pytest.mark.parametrize("method", ["fedavg", "scaffold", "fedadam"])
def test_to_follow_a_model_is_to_restore_its_snapshot(method):
    made = found(method, ("int8", "int8"))
    common, follower, restored = CommonModel(made), CommonModel(made), CommonModel(made)
    learner = LocalLearner(made, table(50), SCALING, 0)
    for number in (1, 2):
        common.advance({0: learner.teach(common.vector, number)[1]})
    follower.follow(common)
    restored.restore(common.snapshot())
    update = learner.teach(common.vector, 3)[1]
    for one in (follower, restored):
        one.advance({0: update})
    assert common.round == 2
    assert follower.snapshot() == restored.snapshot()


def test_whoever_has_the_vector_before_reads_the_step():
    made = found("fedavg", ("int8", "int8"))
    common, learner = CommonModel(made), LocalLearner(made, table(50), SCALING, 0)
    before = common.vector
    common.advance({0: learner.teach(before, 1)[1]})
    decoded = codec_named(made.down_codec).decode(common.change, before.shape[0])
    assert np.array_equal(before + decoded, common.vector)


@pytest.mark.parametrize("content", [b"", b"garbage", CommonModel(recipe()).snapshot()])
def test_a_snapshot_of_something_else_is_refused(content):
    other = recipe()
    other = replace(other, columns=(*other.columns, "more"), signed_log=(), scaling=None)
    with pytest.raises(BadInput):
        CommonModel(other).restore(content)
    with pytest.raises(BadInput):
        LocalLearner(recipe(), table(), SCALING, 0).restore(content[:40])
