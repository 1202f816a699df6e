# SPDX-License-Identifier: Apache-2.0
"""A swarm over a fresh hall: peers by role with their bonds and onions, and a clock that can be moved."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import boa

from koinon.chain.hashing import keccak256
from koinon.learning.swarm.ledger import finish_arguments
from koinon.learning.swarm.onion import Onion
from koinon.works.bonds import commitment_digest
from koinon.works.shares import OWNER, WHOLE, ShareTable
from tests.contracts_support import account, deploy, deploy_mock, key
from tests.learning.contracts.federation_support import (
    CONTRIBUTIONS,
    JUDGE,
    LATER,
    MODEL,
    RECIPE,
    TEST,
    UPDATES,
    Record,
)

STAKE, PENALTY, SLOT_S, WINDOW_S = 1_000, 100, 60, 600
LAYERS = 64
EMPTY = bytes(32)
NOTHING = (0, 0, 0, b"")
OTHER_MODEL = b"\x2a" * 32
SALT = b"\x51" * 32


@dataclass(frozen=True)
class Rules:
    """What `open` takes last; the token is the stage's own where none is named."""

    token: str = ""
    minimum_stake: int = STAKE
    penalty: int = PENALTY
    slot_s: int = SLOT_S
    window_s: int = WINDOW_S
    per_node: bool = False
    by_invitation: bool = False


@dataclass
class Stage:
    """Contracts, and what each role's peer knows."""

    record: Record = field(default_factory=Record)
    onions: dict[str, Onion] = field(default_factory=dict)
    bonds_of: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.bonds: Any = deploy("works", "Bonds")
        self.token: Any = deploy_mock("StakeToken")
        self.swarm: Any = deploy("learning", "Swarm", self.record.contract.address, self.bonds.address)
        self.initiator = account("initiator")

    @contextmanager
    def undone(self) -> Iterator[None]:
        """Everything done inside is undone at the end, also what the stage knows."""
        known = dict(self.onions), dict(self.bonds_of), dict(self.record.datasets)
        with boa.env.anchor():
            yield
        self.onions, self.bonds_of, self.record.datasets = known

    # the clock

    @property
    def now(self) -> int:
        return int(boa.env.evm.patch.timestamp)

    def wait(self, seconds: int) -> None:
        boa.env.time_travel(seconds=seconds, block_delta=1)

    def wait_until(self, second: int) -> None:
        if second > self.now:
            self.wait(second - self.now)

    # coming together

    def open(self, rounds: int = 2, **rules: Any) -> int:
        chosen = replace(Rules(token=self.token.address), **rules)
        values = tuple(getattr(chosen, name) for name in Rules.__dataclass_fields__)
        return int(self.swarm.open(RECIPE, JUDGE, TEST, rounds, 800_000_000, values, sender=self.initiator))

    def post(self, run_id: int, role: str, amount: int = STAKE, **changes: Any) -> int:
        """The role's bond, as a peer of this run needs it unless changed."""
        terms = {
            "token": self.token.address,
            "judge": self.swarm.address,
            "subject": self.swarm.subject_of(run_id),
            "ends_at": 0,
            "notice_s": WINDOW_S,
        } | changes
        token = boa.env.lookup_contract(terms["token"]) or self.token
        token.mint(account(role), amount)
        token.approve(self.bonds.address, amount, sender=account(role))
        return int(
            self.bonds.post(
                terms["token"],
                amount,
                terms["judge"],
                terms["subject"],
                terms["ends_at"],
                terms["notice_s"],
                0,
                1,
                sender=account(role),
            )
        )

    def onion(self, role: str) -> Onion:
        return self.onions.setdefault(role, Onion(keccak256(b"onion of " + role.encode()), LAYERS))

    def join(self, run_id: int, *roles: str, data: bool = True, stake: int = STAKE) -> None:
        for role in roles:
            self.bonds_of[role] = self.post(run_id, role, stake)
            joining = self.record.joining(run_id, role) if data else NOTHING
            self.join_with(run_id, role, joining=joining)

    def join_with(self, run_id: int, role: str, **changes: Any) -> None:
        arguments = {
            "joining": NOTHING,
            "bond_id": self.bonds_of.get(role, 0),
            "tip": self.onion(role).tip,
            "certificate": b"certificate of " + role.encode(),
            "url": f"https://{role}.example",
        } | changes
        self.swarm.join(run_id, *arguments.values(), sender=account(role))

    def preimage(self, run_id: int, role: str) -> bytes:
        tip = next(peer.tip for peer in self.swarm.peers_of(run_id) if peer.account == account(role))
        return self.onion(role).preimage(tip)

    def ready(self, run_id: int, *roles: str) -> None:
        for role in roles:
            self.swarm.ready(run_id, self.preimage(run_id, role), sender=account(role))

    def started(self, *roles: str, rounds: int = 2, **rules: Any) -> int:
        """A run that these began."""
        run_id = self.open(rounds, **rules)
        if rules.get("by_invitation"):
            self.swarm.invite(run_id, [account(role) for role in roles], sender=self.initiator)
        self.join(run_id, *roles)
        self.ready(run_id, *roles)
        self.swarm.start(run_id, sender=self.initiator)
        return run_id

    # rounds

    def slot(self, run_id: int) -> int:
        return (self.now - int(self.swarm.swarm(run_id).t0)) // SLOT_S

    def role_of(self, run_id: int, slot: int) -> str:
        """Whose slot it is."""
        candidate = self.swarm.candidate(run_id, slot)
        return next(role for role in self.onions if account(role) == candidate)

    def leader(self, run_id: int) -> str:
        return self.role_of(run_id, self.slot(run_id))

    def propose(self, run_id: int, role: str | None = None, **changes: Any) -> str:
        """Propose the next round, as the present slot's candidate unless another is named; who did."""
        role = role or self.leader(run_id)
        state = self.swarm.swarm(run_id)
        arguments = {
            "round": state.round + 1,
            "updates": UPDATES,
            "model": MODEL,
            "participants": 2**state.members - 1,
            "preimage": None,
        } | changes
        arguments["preimage"] = arguments["preimage"] or self.preimage(run_id, role)
        self.swarm.propose(run_id, *arguments.values(), sender=account(role))
        return role

    def settled(self, *roles: str, rounds: int = 2, **rules: Any) -> int:
        """A run whose rounds are all done; the scoring has begun."""
        run_id = self.started(*roles, rounds=rounds, **rules)
        for _ in range(rounds):
            self.propose(run_id)
        self.wait(WINDOW_S)
        self.swarm.settle(run_id, rounds)
        return run_id

    # the end

    def commit(self, run_id: int, role: str, scores: bytes) -> None:
        topic = run_id.to_bytes(32, "big")
        digest = commitment_digest(
            self.record.chain_id, self.swarm.address, topic, account(role), value=scores, salt=SALT
        )
        self.swarm.commit_scores(run_id, digest, sender=account(role))

    def reveal(self, run_id: int, role: str, scores: bytes) -> None:
        self.swarm.reveal_scores(run_id, scores, SALT, sender=account(role))

    def arguments(self, run_id: int, *roles: str) -> bytes:
        """What `finish` takes when these roles' datasets are paid alike."""
        works = self.record.hall.works
        tills = [str(works.till_of(self.record.dataset(role))) for role in roles]
        shares = {till: 800_000_000 // len(tills) for till in tills}
        shares[tills[0]] += 800_000_000 - sum(shares.values())
        table = ShareTable(shares | {OWNER: WHOLE - 800_000_000})
        permissions = [
            self.record.hall.permission(
                self.record.dataset(role), key(role), self.record.contract.address, 0, LATER
            )
            for role in roles
        ]
        return finish_arguments(
            run_id,
            uri="ipfs://model",
            parents=dict(zip(tills, permissions, strict=True)),
            shares=table,
            contributions=CONTRIBUTIONS,
            royalty_bps=250,
        )

    def propose_finish(self, run_id: int, arguments: bytes) -> str:
        role = self.leader(run_id)
        self.swarm.propose_finish(run_id, keccak256(arguments), sender=account(role))
        return role

    # money

    def staked(self, role: str) -> int:
        return int(self.bonds.bond_of(self.bonds_of[role]).amount)

    def credit(self, role: str) -> int:
        return int(self.bonds.credit(self.token.address, account(role)))
