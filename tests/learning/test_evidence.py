# SPDX-License-Identifier: Apache-2.0
"""Anyone with the updates computes the same models and the same pay; any change is found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from koinon.errors import BadInput, IntegrityError
from koinon.learning import simulation
from koinon.learning.codecs import Float32
from koinon.learning.evidence import Contributions, Evidence, RoundEvidence, audit, measure
from koinon.learning.messages import payload_digest
from tests.learning.support import recipe, table

JUDGE = table(200, 9)


@pytest.fixture(scope="module")
def evidence():
    found = recipe()
    trained = simulation.train_together(found, [table(60, seed) for seed in range(3)])
    codec = Float32()
    after = [*(one.base for one in trained.rounds[1:]), trained.vector]
    rounds = tuple(
        RoundEvidence(
            number,
            {index: codec.encode(update.change) for index, update in one.updates.items()},
            {index: update.examples for index, update in one.updates.items()},
            payload_digest(codec.encode(model)),
        )
        for number, (one, model) in enumerate(zip(trained.rounds, after, strict=True), 1)
    )
    return Evidence(found, trained.scaling, 3, rounds)


@pytest.fixture(scope="module")
def claimed(evidence):
    return measure(evidence, evidence.replay(), JUDGE, {0: 100})


def test_evidence_survives_its_file_and_replays(evidence, claimed):
    again = Evidence.from_bytes(evidence.to_bytes())
    assert again == evidence
    audit(again, JUDGE, claimed)
    assert sum(claimed.shares.values()) == evidence.recipe.owners_share
    assert [one.participants for one in evidence.rounds] == [0b111] * 3


def test_a_forged_model_or_update_is_found(evidence, claimed):
    last = evidence.rounds[-1]
    forged = replace(last, model=b"\x01" * 32)
    with pytest.raises(IntegrityError, match="after round 3"):
        audit(replace(evidence, rounds=(*evidence.rounds[:-1], forged)), JUDGE, claimed)
    changed = bytearray(last.updates[0])
    changed[5] ^= 1
    forged = replace(last, updates={**last.updates, 0: bytes(changed)})
    with pytest.raises(IntegrityError):
        audit(replace(evidence, rounds=(*evidence.rounds[:-1], forged)), JUDGE, claimed)


def test_other_shares_sets_or_updates_are_found(evidence, claimed):
    moved = {**claimed.shares, 0: claimed.shares[0] + 1, 1: claimed.shares[1] - 1}
    with pytest.raises(IntegrityError, match="do not follow"):
        audit(evidence, JUDGE, replace(claimed, shares=moved))
    with pytest.raises(IntegrityError, match="not the committed"):
        audit(evidence, table(200, 8), claimed)
    fewer = replace(evidence, rounds=evidence.rounds[:-1])
    with pytest.raises(IntegrityError, match="other updates"):
        audit(fewer, JUDGE, claimed)


def test_contributions_have_one_digest(claimed):
    assert claimed.digest == replace(claimed).digest
    assert claimed.digest != replace(claimed, evidence=b"\x01" * 32).digest
    assert isinstance(claimed, Contributions)


@pytest.mark.parametrize("content", [b"", b"koinon run 1\n", b"koinon run 1\n\x00\x00\x00\x02{}", b"x" * 400])
def test_what_is_no_evidence_is_refused(content):
    with pytest.raises(BadInput):
        Evidence.from_bytes(content)


def test_cut_or_longer_evidence_is_refused(evidence):
    content = evidence.to_bytes()
    for wrong in (content[:-1], content + b"x", b"K" + content[1:]):
        with pytest.raises(BadInput):
            Evidence.from_bytes(wrong)


def test_rows_are_counted(evidence):
    assert np.array_equal([one.examples[0] for one in evidence.rounds], [60, 60, 60])
