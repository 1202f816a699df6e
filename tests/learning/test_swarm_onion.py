# SPDX-License-Identifier: Apache-2.0
"""Reveals lead back to the tip one at a time; scores are packed relative to the highest."""

from __future__ import annotations

import pytest

from koinon.chain.hashing import keccak256
from koinon.errors import BadInput
from koinon.learning.swarm.onion import Onion, packed_scores


def test_each_preimage_hashes_to_what_was_revealed_before():
    onion = Onion(b"\x07" * 32, 5)
    tip = onion.tip
    for _ in range(5):
        preimage = onion.preimage(tip)
        assert keccak256(preimage) == tip
        tip = preimage
    assert tip == b"\x07" * 32
    with pytest.raises(BadInput):
        onion.preimage(tip)
    with pytest.raises(BadInput):
        onion.preimage(bytes(32))


@pytest.mark.parametrize(("secret", "layers"), [(b"short", 1), (bytes(32), 0)])
def test_an_onion_without_secret_or_layer_is_refused(secret, layers):
    with pytest.raises(BadInput):
        Onion(secret, layers)


def test_scores_are_parts_of_the_highest():
    packed = packed_scores([2.0, 1.0, -3.0, 0.0])
    assert len(packed) == 32
    assert packed[:8] == bytes.fromhex("ffff800000000000")
    assert packed_scores([-1.0]) == packed_scores([]) == bytes(32)


@pytest.mark.parametrize("scores", [[1.0] * 17, [float("nan")], [float("inf")]])
def test_scores_that_cannot_be_packed_are_refused(scores):
    with pytest.raises(BadInput):
        packed_scores(scores)
