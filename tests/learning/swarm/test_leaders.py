# SPDX-License-Identifier: Apache-2.0
"""Hostile leaders on a chain lose their bond or pay for their slot, and the run goes on without them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest

from koinon.chain.contract import Call
from koinon.chain.handle import Chain
from koinon.learning.splits import Split
from koinon.learning.swarm.chain_state import SwarmPeer, SwarmState, read_peers, read_round, read_swarm
from koinon.learning.swarm.leading import Leading
from koinon.learning.swarm.peer import Peer
from koinon.learning.swarm.run import STAKE, LocalSwarm, local_rules
from koinon.tables import read_table
from koinon.works.bonds import Bonds
from tests.learning.support import recipe, table
from tests.learning.swarm.hostile import Vanishing, Withholding, WrongModel, sign_two_updates

pytestmark = pytest.mark.e2e
OWNERS, HOSTILE = 4, 2
SPLIT = Split(tuple(table(80, seed) for seed in range(OWNERS)), table(300, 8), table(400, 9))


@pytest.fixture
def swarm(tmp_path, chain, new_account, devnet) -> LocalSwarm:
    return opened(tmp_path, chain, new_account, devnet, rounds=60)


def opened(tmp_path, chain, new_account, devnet, *, rounds: int) -> LocalSwarm:
    """Four peers, of whom one has nearly as much stake as the other three."""

    def fund(*accounts: str) -> None:
        chain.sender(devnet.key(0)).send_all([Call(account, value=10**18) for account in accounts])

    return LocalSwarm(
        recipe(rounds=rounds),
        new_account(),
        tmp_path,
        SPLIT,
        chain=chain,
        rules=local_rules(chain.coin.address, slot_s=2, window_s=4),
        fund=fund,
        stakes=dict.fromkeys(range(OWNERS), 6 * STAKE) | {HOSTILE: 15 * STAKE},
    )


@contextmanager
def running(
    swarm: LocalSwarm, leading: type[Leading], corrupt: Callable[[list[Peer]], None] = lambda _: None
) -> Iterator[list[Peer]]:
    """The peers as threads of this process, the hostile one leading as it does, or some corrupted."""
    with ExitStack() as stack:
        peers = []
        for number, process in enumerate(swarm.peers):
            config = process.config
            chain = stack.enter_context(Chain.open(Path(config.network), rpc_url=swarm.chain.rpc.url))
            peer = Peer(
                config,
                chain,
                config.key(),
                swarm.recipe,
                table=read_table(Path(config.table), config.label),
                leading=leading if number == HOSTILE else Leading,
            )
            stack.callback(peer.close)
            peers.append(peer)
        corrupt(peers)
        threads = [threading.Thread(target=peer.run) for peer in peers]
        for thread in threads:
            thread.start()
        try:
            until(lambda: sum(one.active for one in read_peers(swarm.chain, swarm.run_id)) == OWNERS)
            swarm.ledger.start(swarm.run_id)
            yield peers
        finally:
            for peer in peers:
                peer.stop()
            for thread in threads:
                thread.join()


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 90
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def state_of(swarm: LocalSwarm) -> SwarmState:
    return read_swarm(swarm.chain, swarm.run_id)


def peers_of(swarm: LocalSwarm) -> list[SwarmPeer]:
    return read_peers(swarm.chain, swarm.run_id)


@pytest.mark.parametrize("leading", [WrongModel, Withholding])
def test_a_lying_leader_loses_its_bond(swarm, leading):
    liar = swarm.peers[HOSTILE].account
    with running(swarm, leading) as peers:
        until(lambda: bool(swarm.ledger.contract.history("Overturned", run_id=swarm.run_id)))
        overturned = swarm.ledger.contract.history("Overturned", run_id=swarm.run_id)[0]
        until(lambda: state_of(swarm).round > overturned["round"] + 1)
        until(lambda: peers[0].seat.course.round > overturned["round"])
    assert overturned["leader"] == liar
    found = next(one for one in read_peers(swarm.chain, swarm.run_id) if one.account == liar)
    assert not found.active
    bonds = Bonds(swarm.chain)
    assert bonds.bond(found.bond_id).amount == 0
    honest = [peer.account for number, peer in enumerate(swarm.peers) if number != HOSTILE]
    assert sum(bonds.credit(account) for account in honest) >= overturned["amount"]


def test_a_vanished_leader_costs_a_slot_and_pays_for_it(swarm):
    with running(swarm, Vanishing):
        until(lambda: bool(swarm.ledger.contract.history("Missed", run_id=swarm.run_id)))
        missed = swarm.ledger.contract.history("Missed", run_id=swarm.run_id)[0]
        until(lambda: state_of(swarm).round > missed["round"])
    assert missed["peer"] == swarm.peers[HOSTILE].account
    assert missed["amount"] == swarm.rules.penalty


def test_who_wants_its_bond_back_is_taken_out_by_the_others(swarm):
    with running(swarm, Vanishing):
        found = next(one for one in peers_of(swarm) if one.account == swarm.peers[HOSTILE].account)
        Bonds(swarm.chain).announce_end(swarm.peers[HOSTILE].config.key(), found.bond_id)
        until(lambda: sum(one.active for one in peers_of(swarm)) == OWNERS - 1)
    assert not next(one for one in peers_of(swarm) if one.account == found.account).active


def test_who_signs_two_updates_is_left_out_by_all(swarm):
    liar = swarm.peers[HOSTILE].account

    def place() -> int:
        return next(one.member for one in peers_of(swarm) if one.account == liar and one.member is not None)

    with running(swarm, Vanishing, corrupt=lambda all_peers: sign_two_updates(all_peers[HOSTILE])) as peers:
        journals = [peer.seat.journal for number, peer in enumerate(peers) if number != HOSTILE]

        def known_to_all() -> bool:
            return any(
                all(journal.fact(f"twofold {number} {liar}") for journal in journals)
                and not read_round(swarm.chain, swarm.run_id, number).participants >> place() & 1
                for number in range(1, state_of(swarm).round + 1)
            )

        until(known_to_all)


def test_who_would_publish_the_model_otherwise_loses_its_bond(
    tmp_path, chain, new_account, devnet, monkeypatch
):
    swarm = opened(tmp_path, chain, new_account, devnet, rounds=2)
    history = partial(swarm.ledger.contract.history, run_id=swarm.run_id)
    SPLIT.contribution.save(Path(swarm.peers[0].config.contribution_set))
    SPLIT.held_out.save(Path(swarm.peers[0].config.held_out))

    def lie(peers: list[Peer]) -> None:
        """The liar proposes other arguments than follow from the run; the others let it propose first."""
        for number, peer in enumerate(peers):
            propose = peer.seat.ledger.propose_finish

            def otherwise(run_id, arguments, propose=propose, lying=number == HOSTILE):
                if lying:
                    propose(run_id, arguments[:-1] + bytes((arguments[-1] ^ 1,)))
                elif history("Overturned"):
                    propose(run_id, arguments)

            monkeypatch.setattr(peer.seat.ledger, "propose_finish", otherwise)

    with running(swarm, Leading, corrupt=lie):
        until(lambda: bool(history("SwarmFinished")))
    (overturned,) = history("Overturned")
    assert (overturned["leader"], overturned["round"]) == (swarm.peers[HOSTILE].account, 3)
    bonds, liar = Bonds(chain), next(one for one in peers_of(swarm) if one.account == overturned["leader"])
    assert not liar.active
    assert bonds.bond(liar.bond_id).amount == 0
    assert history("SwarmFinished")[0]["initiator"] == swarm.ledger.account
