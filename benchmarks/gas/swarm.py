# SPDX-License-Identifier: Apache-2.0
"""A model taught by five peers that nobody leads: staked, drawn, overturned, scored and published."""

from __future__ import annotations

from typing import Any

from benchmarks.gas.stage import CHAIN_ID, DOLLAR, LARGEST, ROLES, Stage, digest, key
from benchmarks.gas.works import URI, permission
from koinon.chain.contract import Contract
from koinon.learning.swarm.ledger import finish_arguments, finish_digest
from koinon.learning.swarm.onion import Onion, packed_scores
from koinon.works.bonds import commitment_digest
from koinon.works.shares import OWNER, ShareTable

SLOT_S, WINDOW_S = 100, 1_000
STAKE, LEAST_STAKE, PENALTY = 100 * DOLLAR, 50 * DOLLAR, DOLLAR
OWNERS_SHARE = 800_000_000
SCORES = packed_scores([1, 2, 3, 4, 5])
EVERYONE = 0b11111


class Run:
    """A run of five peers, each with a data set, that has begun."""

    def __init__(self, stage: Stage, run_id: int, *, rounds: int, per_node: bool, measured: bool) -> None:
        self.stage, self.run_id = stage, run_id
        self.swarm = stage.contracts["Swarm"]
        self.onions = {role: Onion(digest(f"onion {role} {run_id}"), 8) for role in ROLES}
        self.act = stage.measure if measured else self.unmeasured
        rules = (stage.contracts["Coin"].address, LEAST_STAKE, PENALTY, SLOT_S, WINDOW_S, per_node, True)
        sets = (digest("recipe"), digest("contribution set"), digest("held-out set"))
        self.act(self.swarm, "open", *sets, rounds, OWNERS_SHARE, rules)
        self.act(self.swarm, "invite", run_id, [key(role).address for role in ROLES], note="five")
        for place, role in enumerate(ROLES):
            note = {0: "the first", 1: "another"}.get(place)
            act = self.act if note else self.unmeasured
            act(self.swarm, "join", *self._joining(role), sender=role, note=note or "")
        for place, role in enumerate(ROLES):
            note = {0: "the first", 1: "another"}.get(place)
            act = self.act if note else self.unmeasured
            act(self.swarm, "ready", run_id, self.preimage(role), sender=role, note=note or "")
        self.act(self.swarm, "start", run_id, note="five")

    def unmeasured(
        self, contract: Contract, name: str, *arguments: Any, sender: str = "publisher", note: str = ""
    ) -> dict[str, Any]:
        """As `Stage.measure`, without a figure."""
        del note
        return self.stage.send(contract, name, *arguments, sender=sender)

    def _joining(self, role: str) -> tuple[Any, ...]:
        stage, bonds, coin = self.stage, self.stage.contracts["Bonds"], self.stage.contracts["Coin"]
        works = stage.contracts["Works"]
        stage.send(coin, "mint", key(role).address, STAKE)
        stage.send(coin, "approve", bonds.address, LARGEST, sender=role)
        subject = self.swarm.call("subject_of", self.run_id)
        terms = (coin.address, STAKE, self.swarm.address, subject, 0, WINDOW_S, 0, 1)
        stage.send(bonds, "post", *terms, sender=role)
        stage.send(works, "register(string)", URI, sender=role)
        stage.send(works, "setApprovalForAll", self.swarm.address, True, sender=role)
        joining = (works.call("total"), 0, 0, b"")
        url = f"https://{role}.example:8443"
        return self.run_id, joining, bonds.call("bond_count"), self.onions[role].tip, b"\x30" * 400, url

    def preimage(self, role: str) -> bytes:
        """What the role's tip is the hash of."""
        peers = self.swarm.call("peers_of", self.run_id)
        return self.onions[role].preimage(peers[ROLES.index(role)][4])

    def candidate(self, slot: int) -> str:
        """Whose slot it is in the present draw."""
        found = self.swarm.call("candidate", self.run_id, slot)
        return next(role for role in ROLES if key(role).address == found)

    def to_slot(self, slot: int) -> str:
        """Move to a slot of the present draw; its candidate."""
        t0 = self.swarm.call("swarm", self.run_id)[6]
        self.stage.wait_until(max(t0 + slot * SLOT_S + 1, self.stage.now() + 1))
        return self.candidate(slot)

    def propose(self, number: int, *, slot: int = 0, note: str = "") -> str:
        """Propose a round; measured where it has a note."""
        role = self.to_slot(slot)
        proposal = (digest(f"updates {number}"), digest(f"model {number}"), EVERYONE, self.preimage(role))
        act = self.stage.measure if note else self.unmeasured
        act(self.swarm, "propose", self.run_id, number, *proposal, sender=role, note=note)
        return role


def merkle(stage: Stage) -> None:
    """One root a round, and everything around the rounds."""
    bonds = stage.contracts["Bonds"]
    run = Run(stage, 1, rounds=3, per_node=False, measured=True)
    swarm = run.swarm
    run.propose(1, note="five peers")
    liar = run.propose(2, slot=1, note="five peers, one slot missed")
    others = [role for role in ROLES if role != liar]
    for place, role in enumerate(others[:3]):
        note = {0: "one of five", 2: "the third of five, overturning"}.get(place)
        act = stage.measure if note else run.unmeasured
        act(swarm, "object", 1, 2, digest("right"), sender=role, note=note or "")
    run.propose(2)
    run.propose(3)
    stage.measure(swarm, "leave", 1, sender=others[0])
    stage.send(bonds, "announce_end", ROLES.index(others[1]) + 1, sender=others[1])
    stage.measure(swarm, "retire", 1, key(others[1]).address, sender="stranger")
    stage.wait(WINDOW_S)
    stage.measure(swarm, "settle", 1, 2, note="two rounds")
    stage.measure(swarm, "settle", 1, 3, note="the last round")
    scorer, salt = others[2], digest("salt")
    commitment = commitment_digest(
        CHAIN_ID,
        swarm.address,
        (1).to_bytes(32, "big"),
        key(scorer).address,
        value=SCORES,
        salt=salt,
    )
    stage.measure(swarm, "commit_scores", 1, commitment, sender=scorer)
    stage.wait(SLOT_S)
    stage.measure(swarm, "reveal_scores", 1, SCORES, salt, sender=scorer)
    arguments = _publication(stage)
    leader = run.to_slot(0)
    stage.measure(swarm, "propose_finish", 1, finish_digest(arguments), sender=leader)
    objector = next(role for role in (others[2], others[3]) if role != leader)
    stage.measure(swarm, "object_finish", 1, bytes(32), sender=objector)
    stage.wait(WINDOW_S)
    stage.measure(swarm, "finish", 1, arguments, note="five owners")


def per_node(stage: Stage) -> None:
    """Every participant's digest on chain, every round."""
    run = Run(stage, 1, rounds=2, per_node=True, measured=False)
    for number in (1, 2):
        for place, role in enumerate(ROLES):
            note = {(1, 0): "the first of a round", (2, 1): "another"}.get((number, place))
            act = stage.measure if note else run.unmeasured
            arguments = (1, number, digest(f"update of {role} in {number}"))
            act(run.swarm, "submit", *arguments, sender=role, note=note or "")
        run.propose(number, note="five peers that submitted" if number == 1 else "")


def _publication(stage: Stage) -> bytes:
    works, federation = stage.contracts["Works"], stage.contracts["Federation"]
    tills = [works.call("till_of", number) for number in range(1, len(ROLES) + 1)]
    table = ShareTable({OWNER: 10**9 - OWNERS_SHARE, **{till: OWNERS_SHARE // len(ROLES) for till in tills}})
    permissions = [
        permission(stage, role, number, federation.address, 0) for number, role in enumerate(ROLES, start=1)
    ]
    return finish_arguments(
        1,
        uri=URI,
        parents=dict(zip(tills, permissions, strict=True)),
        shares=table,
        contributions=digest("contributions"),
    )
