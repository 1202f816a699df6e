# SPDX-License-Identifier: Apache-2.0
"""Several providers answer the same, and readers see who was right among the verdicts they know."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from koinon.chain.handle import Chain
from koinon.chain.keys import Key
from koinon.services.verification.redundancy import Redundancy
from koinon.services.verification.verdicts import Registry, known_verifiers
from koinon.works.validation import Validations

COIN = 10**6
SALT = b"\x05" * 32
INPUT = hashlib.sha256(b'{"income":1000}').digest()
RIGHT, WRONG = (hashlib.sha256(text).digest() for text in (b"41.0", b"42.0"))


@pytest.fixture
def providers(own_chain: Chain, own_account: Callable[..., Key]) -> list[tuple[Key, int]]:
    """Three accounts with coins, each with a Work."""
    made = []
    works, coin = own_chain.contract("Works"), own_chain.coin
    for _ in range(3):
        key = own_account()
        sender = own_chain.sender(key)
        receipt = sender.send(works.transaction("register()"))
        sender.send(coin.transaction("mint", key.address, 100 * COIN))
        made.append((key, int(works.logs(receipt, "Registered")[0]["agentId"])))
    return made


def test_the_majority_is_right_and_verdicts_of_friends_are_none(
    own_chain: Chain, providers: list[tuple[Key, int]]
) -> None:
    redundancy = Redundancy(own_chain)
    bonds = [redundancy.stake(key, work_id, 50 * COIN, notice_s=10_000) for key, work_id in providers]
    now = own_chain.timestamp()
    asker = providers[0][0]
    round_id = redundancy.ask(asker, INPUT, bonds, commit_until=now + 100, reveal_until=now + 200)
    outputs = [RIGHT, RIGHT, WRONG]
    for (key, work_id), bond, output in zip(providers, bonds, outputs, strict=True):
        redundancy.commit(key, round_id, bond_id=bond, work_id=work_id, output_digest=output, salt=SALT)
    _wait(own_chain, 100)
    for (key, _), bond, output in zip(providers, bonds, outputs, strict=True):
        redundancy.reveal(key, round_id, bond_id=bond, output_digest=output, salt=SALT)
    _wait(own_chain, 100)
    redundancy.conclude(asker, round_id)
    liar, work_id = providers[2]
    friends = Validations(own_chain)
    asked = friends.ask(liar, work_id, liar.address, uri="", request=b"by myself")
    friends.answer(liar, asked, 100, tag="reexec:hard")
    registry = Registry(own_chain, known_verifiers(own_chain))
    assert [
        [(each.response, each.tag, each.final) for each in registry.of_work(work)] for _, work in providers
    ] == [[(100, "redundancy", True)], [(100, "redundancy", True)], [(0, "redundancy", True)]]


def _wait(chain: Chain, seconds: int) -> None:
    chain.rpc.call("evm_increaseTime", seconds)
    chain.rpc.call("evm_mine")
