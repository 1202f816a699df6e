# SPDX-License-Identifier: Apache-2.0
"""What hostile peers send is refused at the door, with a reason; honest ones lose nothing by it."""

from __future__ import annotations

import numpy as np
import pytest

from koinon.errors import BadInput, IntegrityError
from koinon.learning.swarm.inbox import (
    Listing,
    digest_of,
    listing_of,
    owner_of,
    pack_pair,
    unpack_pair,
    updates_of,
)
from koinon.learning.swarm.roster import Roster
from tests.learning.support import DOMAIN, key, recipe
from tests.learning.swarm.support import RUN, agreement, swarm


def test_a_round_is_gathered_and_listed():
    found = swarm()
    frames = [found.update(member, 0.1 * member) for member in (2, 0, 1)]
    assert all(found.inbox.receive(frame) for frame in frames)
    assert found.inbox.receive(frames[0])  # the same again changes nothing
    received = found.inbox.received
    assert list(received) == [0, 1, 2]
    listing = listing_of(received)
    assert Listing.from_bytes(listing.to_bytes()) == listing
    assert listing.participants == 0b111
    assert found.inbox.by_digest(listing.frames[1]) == received[1]
    assert received[1].frame == frames[2]
    assert found.inbox.by_digest(b"nothing") is None
    assert len(digest_of(received)) == 32
    with found.inbox.lock:
        found.common.advance(updates_of(received))
        found.inbox.begin()
    assert not found.inbox.received


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (np.nan, "not finite|beyond all measure"),
        (np.inf, "not finite|beyond all measure"),
        (1e6, "beyond all measure"),
        (np.zeros(5, np.float32), "takes 84 bytes"),
        (np.zeros(10**6, np.float32), "at most"),
    ],
)
def test_broken_vectors_are_refused(change, words):
    found = swarm()
    with pytest.raises(BadInput, match=words):
        found.inbox.receive(found.update(0, change))
    assert not found.inbox.received


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"round": 0}, "of round 0, not 1"),
        ({"base": b"\x01" * 32}, "another model"),
        ({"run_id": 8}, "This is run 7"),
        ({"examples": 61}, "other rows"),
        ({"examples": 2**40}, "other rows"),
        ({"update": b"\x02" * 32}, "not the one that was signed"),
    ],
)
def test_updates_of_elsewhere_are_refused(changes, words):
    found = swarm()
    with pytest.raises((BadInput, IntegrityError), match=words):
        found.inbox.receive(found.update(1, **changes))
    assert not found.inbox.received


def test_a_stale_round_is_refused():
    found = swarm()
    old = found.update(0)
    for member in range(3):
        found.inbox.receive(found.update(member))
    with found.inbox.lock:
        found.common.advance(updates_of(found.inbox.received))
        found.inbox.begin()
    with pytest.raises(BadInput, match="of round 1, not 2"):
        found.inbox.receive(old)


def test_anothers_signature_is_refused():
    found = swarm()
    with pytest.raises(IntegrityError, match="not by"):
        found.inbox.receive(found.update(0, signer=found.keys[1]))
    with pytest.raises(BadInput, match="teaches nothing"):
        found.inbox.receive(found.update(3))
    with pytest.raises(BadInput):
        found.inbox.receive(b"nonsense")
    stranger = found.update(0, owner=key("stranger").address, signer=key("stranger"))
    with pytest.raises(BadInput, match="teaches nothing"):
        found.inbox.receive(stranger)


def test_who_signs_two_updates_has_none_that_counts():
    found = swarm()
    one, other = found.update(0, 0.1), found.update(0, 0.2)
    found.inbox.receive(one)
    with pytest.raises(IntegrityError, match="two updates"):
        found.inbox.receive(other)
    assert 0 not in found.inbox.received
    assert not found.inbox.receive(one)
    assert found.inbox.twofold[0] == (one, other)
    assert owner_of(one) == found.keys[0].address

    told = swarm()  # another peer, which saw only one of them, is shown both
    told.inbox.receive(one)
    assert told.inbox.convict(unpack_pair(pack_pair((one, other))))
    assert not told.inbox.convict((one, other))
    assert 0 not in told.inbox.received
    for harmless in ((one, one), (one, found.update(1)), (one, found.update(0, 0.3, round=2))):
        with pytest.raises(BadInput, match="contradict nothing"):
            told.inbox.convict(harmless)


def test_an_update_that_comes_early_waits():
    found, ahead = swarm(), swarm()
    for each in (found, ahead):
        for member in range(3):
            each.inbox.receive(each.update(member))
    ahead.common.advance(updates_of(ahead.inbox.received))
    assert not found.inbox.receive(ahead.update(2, 0.5))
    assert not found.inbox.receive(ahead.update(1, 0.5, base=b"\x03" * 32))
    with found.inbox.lock:
        found.common.advance(updates_of(found.inbox.received))
        found.inbox.begin()
    assert list(found.inbox.received) == [2]


@pytest.mark.parametrize("content", [b"", b"\x01" * 32, b"\x01" * 33 * 2, b"\x02" * 33 + b"\x01" * 33])
def test_what_is_no_listing_is_refused(content):
    with pytest.raises(BadInput, match="no list"):
        Listing.from_bytes(content)


def test_agreements_are_checked():
    found = swarm()
    late = Roster(recipe(), RUN, DOMAIN)
    late.add(found.roster.fellows)
    assert [one.member for one in late.missing] == [0, 1, 2]
    one = found.keys[0]
    agreed = late.agree(agreement(one, 40))
    assert late.agree(agreement(one, 40)) == agreed
    for frame, words in (
        (agreement(one, 40, minimum_share=5), "something else before"),
        (agreement(found.keys[1], 99), "did not join with this Work"),
        (agreement(found.keys[3], 0), "did not join with this Work"),
        (agreement(found.keys[1], 41, run_id=8), "another run"),
        (agreement(found.keys[1], 41, recipe=b"\x01" * 32), "another run or recipe"),
        (agreement(found.keys[1], 41, examples=1), "fewer than"),
        (agreement(found.keys[1], 41, statistics=b"\x01" * 32), "statistics"),
        (agreement(found.keys[1], 42, owner=found.keys[2].address), "not by"),
    ):
        with pytest.raises((BadInput, IntegrityError), match=words):
            late.agree(frame)
    assert [one.member for one in late.missing] == [1, 2]


def test_the_codec_is_the_recipes():
    found = swarm(codec="int8")
    with pytest.raises(BadInput):
        found.inbox.receive(found.update(0))  # says float32
