# SPDX-License-Identifier: Apache-2.0
"""What peers write to the chain and read from it, through a node."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from koinon.chain.address import ZERO_ADDRESS
from koinon.chain.handle import Chain
from koinon.chain.keys import Key
from koinon.chain.testnode import mine, set_next_time
from koinon.errors import BadInput, NotFound, TransactionFailed
from koinon.learning.messages import (
    CONSENT,
    PARENT_PERMISSION,
    federation_domain,
    payload_digest,
    works_domain,
)
from koinon.learning.swarm.chain_state import Rules, SwarmState, read_ending
from koinon.learning.swarm.ledger import (
    Dataset,
    SwarmLedger,
    candidate_now,
    finish_arguments,
    finish_digest,
    read_candidate,
    read_digests,
    read_peers,
    read_revealed,
    read_round,
    read_rounds,
    read_scores,
    read_submitted,
    read_swarm,
    read_work,
)
from koinon.learning.swarm.onion import Onion, packed_scores
from koinon.works.bonds import Bonds
from koinon.works.shares import OWNER, WHOLE, ShareTable
from tests.learning.support import recipe

STAKE, PENALTY, SLOT_S, WINDOW_S = 1_000, 100, 1_000, 10_000
CONTRIBUTION_SET, HELD_OUT_SET, UPDATES, MODEL, CONTRIBUTIONS = (bytes((one,)) * 32 for one in range(1, 6))
SALT = b"\x51" * 32
LATER = 2**40


@dataclass
class Peers:
    """Keys, onions and ledgers by account, and a run."""

    chain: Chain
    initiator: SwarmLedger
    ledgers: dict[str, SwarmLedger]
    onions: dict[str, Onion] = field(default_factory=dict)
    works: dict[str, int] = field(default_factory=dict)
    run_id: int = 0

    @property
    def state(self) -> SwarmState:
        return read_swarm(self.chain, self.run_id)

    @property
    def accounts(self) -> list[str]:
        return list(self.ledgers)

    def open(self, rounds: int = 2, **changes: Any) -> None:
        rules = Rules(self.chain.coin.address, STAKE, PENALTY, SLOT_S, WINDOW_S)
        self.run_id = self.initiator.open(
            recipe(rounds=rounds), CONTRIBUTION_SET, HELD_OUT_SET, replace(rules, **changes)
        )

    def dataset(self, account: str) -> Dataset:
        key = self.ledgers[account].key
        domain = federation_domain(self.chain.chain_id, self.chain.contract("Federation").address)
        work_id = self.works[account]
        consent = key.sign_typed(domain, CONSENT, self.run_id, work_id, 0, LATER)
        return Dataset(work_id, 0, LATER, consent)

    def enter(self) -> None:
        for place, (account, ledger) in enumerate(self.ledgers.items()):
            self.onions[account] = Onion(bytes((place + 1,)) * 32, 20)
            ledger.join(
                self.run_id,
                ledger.stake(self.run_id),
                tip=self.onions[account].tip,
                certificate=b"certificate " + account.encode(),
                url=f"https://{place}.example",
                dataset=self.dataset(account),
            )
        for account, ledger in self.ledgers.items():
            assert ledger.ready(self.run_id, self.preimage(account)) == 1
        self.initiator.start(self.run_id)

    def preimage(self, account: str) -> bytes:
        tip = next(peer.tip for peer in read_peers(self.chain, self.run_id) if peer.account == account)
        return self.onions[account].preimage(tip)

    def wait(self, seconds: int) -> None:
        set_next_time(self.chain.rpc, self.chain.timestamp() + seconds)
        mine(self.chain.rpc)

    def propose(self, number: int, model: bytes = MODEL) -> str:
        account = candidate_now(self.chain, self.run_id)
        assert account is not None
        self.ledgers[account].propose(
            self.run_id,
            number,
            updates=UPDATES,
            model=model,
            participants=0b111,
            preimage=self.preimage(account),
        )
        return account

    def arguments(self) -> bytes:
        works, federation = self.chain.contract("Works"), self.chain.contract("Federation").address
        parents, shares = {}, {}
        for account, ledger in self.ledgers.items():
            till = works.call("till_of", self.works[account])
            domain = works_domain(self.chain.chain_id, works.address)
            permission = ledger.key.sign_typed(
                domain, PARENT_PERMISSION, self.works[account], federation, 0, LATER
            )
            parents[till] = LATER.to_bytes(32, "big") + permission
            shares[till] = recipe().owners_share // 3
        shares[next(iter(shares))] += recipe().owners_share - sum(shares.values())
        table = ShareTable(shares | {OWNER: WHOLE - sum(shares.values())})
        return finish_arguments(
            self.run_id,
            uri="ipfs://model",
            parents=parents,
            shares=table,
            contributions=CONTRIBUTIONS,
            metadata=[("modelDigest", MODEL)],
        )


@pytest.fixture
def peers(own_chain, own_account):
    keys: list[Key] = [own_account() for _ in range(3)]
    found = Peers(
        own_chain,
        SwarmLedger(own_chain, own_account()),
        {key.address: SwarmLedger(own_chain, key) for key in keys},
    )
    for key in keys:
        sender = own_chain.sender(key)
        sender.send(own_chain.coin.transaction("mint", key.address, 10 * STAKE))
        works = own_chain.contract("Works")
        receipt = sender.send(works.transaction("register(string)", "ipfs://data"))
        found.works[key.address] = int(works.logs(receipt, "Registered")[0]["agentId"])
    return found


def test_a_run_from_the_first_bond_to_the_models_work(peers):
    peers.open(by_invitation=True)
    with pytest.raises(TransactionFailed, match="not invited"):
        peers.enter()
    peers.initiator.invite(peers.run_id, peers.accounts)
    assert not peers.state.started
    assert candidate_now(peers.chain, peers.run_id) is None
    peers.enter()
    joined = read_peers(peers.chain, peers.run_id)
    assert [(one.number, one.account, one.member, one.work_id) for one in joined] == [
        (place, account, place, peers.works[account]) for place, account in enumerate(peers.accounts)
    ]
    assert joined[1].certificate == b"certificate " + peers.accounts[1].encode()
    assert (joined[1].url, joined[1].stake, joined[1].active) == (
        "https://1.example",
        STAKE + 4 * PENALTY,
        True,
    )

    first = peers.propose(1)
    assert {read_candidate(peers.chain, peers.run_id, slot) for slot in range(3)} == set(peers.accounts)
    silent = candidate_now(peers.chain, peers.run_id)
    peers.wait(SLOT_S)
    second = peers.propose(2)
    assert second != silent
    assert Bonds(peers.chain).credit(second) == PENALTY
    found = read_round(peers.chain, peers.run_id, 1)
    assert (found.leader, found.updates, found.model, found.participants, found.stake) == (
        first,
        UPDATES,
        MODEL,
        0b111,
        3 * (STAKE + 4 * PENALTY),
    )
    assert [one.leader for one in read_rounds(peers.chain, peers.run_id)] == [first, second]

    with pytest.raises(TransactionFailed, match="window still open"):
        peers.initiator.settle(peers.run_id, 2)
    peers.wait(WINDOW_S)
    peers.initiator.settle(peers.run_id, 2)
    assert peers.state.scoring
    scores = packed_scores([3, 2, 1])
    for ledger in peers.ledgers.values():
        ledger.commit_scores(peers.run_id, scores, SALT)
    peers.wait(SLOT_S)
    for ledger in peers.ledgers.values():
        ledger.reveal_scores(peers.run_id, scores, SALT)
    assert read_scores(peers.chain, peers.run_id) == [65_535, 43_690, 21_845]
    assert read_revealed(peers.chain, peers.run_id) == dict.fromkeys(peers.accounts, scores)
    assert read_work(peers.chain, peers.run_id, first)[1] == 1

    peers.wait(SLOT_S)
    arguments = peers.arguments()
    leader = candidate_now(peers.chain, peers.run_id)
    peers.ledgers[leader].propose_finish(peers.run_id, arguments)
    assert read_round(peers.chain, peers.run_id, 3).model == finish_digest(arguments)
    other = next(account for account in peers.accounts if account != leader)
    assert peers.ledgers[other].object_finish(peers.run_id) is False
    peers.wait(WINDOW_S)
    work_id = peers.ledgers[other].finish(peers.run_id, arguments)
    assert peers.chain.contract("Works").call("ownerOf", work_id) == peers.initiator.account
    assert int.from_bytes(read_round(peers.chain, peers.run_id, 3).updates, "big") == work_id


def test_what_is_wrong_is_overturned_and_who_leaves_says_until_when(peers):
    peers.open(per_node=True)
    peers.enter()
    update = payload_digest(b"update")
    for ledger in peers.ledgers.values():
        ledger.submit(peers.run_id, 1, update)
    assert read_submitted(peers.chain, peers.run_id) == 0b111
    assert read_digests(peers.chain, peers.run_id, 1) == dict.fromkeys(range(3), update)
    liar = peers.propose(1, model=b"\x66" * 32)
    first, second = (ledger for account, ledger in peers.ledgers.items() if account != liar)
    assert first.object(peers.run_id, 1, MODEL) is False
    assert second.object(peers.run_id, 1, MODEL) is True
    assert peers.state.round == 0
    assert Bonds(peers.chain).credit(first.account) == (STAKE + 4 * PENALTY) // 2
    assert [one.active for one in read_peers(peers.chain, peers.run_id) if one.account == liar] == [False]
    assert first.leave(peers.run_id) == peers.state.draw + 1
    bond_id = next(
        one.bond_id for one in read_peers(peers.chain, peers.run_id) if one.account == second.account
    )
    assert read_ending(peers.chain, read_peers(peers.chain, peers.run_id)) == []
    Bonds(peers.chain).announce_end(second.key, bond_id)
    assert read_ending(peers.chain, read_peers(peers.chain, peers.run_id)) == [second.account]
    peers.initiator.retire(peers.run_id, second.account)
    assert not any(one.active for one in read_peers(peers.chain, peers.run_id))
    assert read_ending(peers.chain, read_peers(peers.chain, peers.run_id)) == []


def test_only_the_slots_candidate_proposes_and_is_told_why_not(peers):
    peers.open()
    peers.enter()
    leader = candidate_now(peers.chain, peers.run_id)
    other = next(account for account in peers.accounts if account != leader)
    with pytest.raises(TransactionFailed, match="another's slot"):
        peers.ledgers[other].propose(
            peers.run_id,
            1,
            updates=UPDATES,
            model=MODEL,
            participants=1,
            preimage=peers.preimage(other),
        )


def test_a_bond_can_be_had_back_whatever_others_challenge(peers):
    peers.open()
    account, other = peers.accounts[:2]
    bonds, ledger = Bonds(peers.chain), peers.ledgers[account]
    bond_id = ledger.stake(peers.run_id, STAKE)
    challenge = bonds.challenge(peers.ledgers[other].key, bond_id, CONTRIBUTIONS)
    assert bonds.challenge_of(challenge).counter_stake == STAKE
    bonds.announce_end(ledger.key, bond_id)
    peers.wait(WINDOW_S)
    bonds.lapse(ledger.key, challenge)
    bonds.withdraw(ledger.key, bond_id)
    assert (bonds.credit(account), bonds.credit(other)) == (STAKE, STAKE)


def test_the_slot_follows_from_the_clock():
    rules = Rules(ZERO_ADDRESS, STAKE, PENALTY, 10, WINDOW_S)
    state = SwarmState(1, ZERO_ADDRESS, rules, 2, 0, 0, 1, 1_000, 0, 0, bytes(32))
    assert [state.slot_at(second) for second in (999, 1_000, 1_009, 1_010)] == [None, 0, 0, 1]
    assert replace(state, draw=0).slot_at(2_000) is None


def test_what_is_not_there_is_not_found(own_chain, peers):
    with pytest.raises(NotFound):
        read_swarm(own_chain, 10**6)
    peers.open()
    assert read_peers(own_chain, peers.run_id) == []
    assert read_rounds(own_chain, peers.run_id) == []
    for number in (0, 1):
        with pytest.raises(NotFound):
            read_round(own_chain, peers.run_id, number)
    assert read_candidate(own_chain, peers.run_id, 0) is None
    assert read_work(own_chain, peers.run_id, ZERO_ADDRESS) == (0, 0)


def test_arguments_that_the_contract_would_not_take_are_refused_here():
    with pytest.raises(BadInput):
        finish_arguments(
            1,
            uri="ipfs://model",
            parents={},
            shares=ShareTable({OWNER: WHOLE}),
            contributions=CONTRIBUTIONS,
            metadata=[(f"key {number}", bytes(4_000)) for number in range(16)],
        )
