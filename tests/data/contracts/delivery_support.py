# SPDX-License-Identifier: Apache-2.0
"""A hall with terms, bonds and the judge of deliveries; a seller, three keepers, and who bought."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import boa

from koinon.chain.hashing import keccak256
from koinon.data.hidden_share import ComplaintKeys, HiddenShare, hide_share
from koinon.data.sealed import share_commitment
from koinon.shamir import Share
from tests.contracts_support import Hall, account, deploy, deploy_hall, deploy_mock

DAY = 86_400
COMPLAINT = 7 * DAY
ANSWER = 2 * DAY
AFTER = 4 * DAY  # to refute, and to give up and be paid back
PRICE = 300
MOST = 250
STAKE = 1_000
PERIOD = 60 * DAY
TEXT = keccak256(b"you may read this")
CONTENT = keccak256(b"some content")
ROLES = ("keeper a", "keeper b", "keeper c")
SHARES = tuple(Share(number + 1, keccak256(bytes([number]))) for number in range(3))
NO_POINT = (1, 1)


@dataclass
class Shop:
    """Everything deployed; one Work on sale."""

    hall: Hall = field(default_factory=deploy_hall)

    def __post_init__(self) -> None:
        self.terms: Any = deploy("works", "Terms", self.hall.works.address)
        self.bonds: Any = deploy("works", "Bonds")
        self.exchange: Any = deploy("data", "FairExchange", self.terms.address)
        self.contract: Any = deploy(
            "data", "Delivery", self.terms.address, self.bonds.address, self.exchange.address
        )
        self.token: Any = deploy_mock("StakeToken")
        self.seller, self.buyer, self.stranger = (account(role) for role in ("seller", "buyer", "stranger"))
        self.keepers = [account(role) for role in ROLES]
        for role in (self.seller, self.buyer, self.stranger):
            self.token.mint(role, 10**6)
            for spender in (self.terms, self.bonds):
                self.token.approve(spender, 2**256 - 1, sender=role)
        self.work_id = self.hall.publish(self.seller)
        self.offer()

    def now(self) -> int:
        return int(boa.env.evm.patch.timestamp)

    def wait(self, seconds: int) -> None:
        boa.env.time_travel(seconds=seconds)

    def offer(
        self, *, price: int = PRICE, token: str | None = None, use: int = 0, period: int = PERIOD
    ) -> None:
        offer = (self.token.address if token is None else token, price, period, 1, 0, TEXT)
        self.terms.offer(self.work_id, use, offer, sender=self.seller)

    def bond(
        self,
        *,
        stake: int = STAKE,
        judge: str | None = None,
        ends_at: int = 0,
        notice: int = COMPLAINT + ANSWER + AFTER,
        poster: str | None = None,
        token: Any = None,
    ) -> int:
        return int(
            self.bonds.post(
                token or self.token,
                stake,
                judge or self.contract.address,
                CONTENT,
                ends_at,
                0 if ends_at else notice,
                0,
                DAY,
                sender=poster or self.seller,
            )
        )

    def promise(self, bond: int | None = None, **changes: Any) -> int:
        sender = changes.pop("sender", self.seller)
        values: dict[str, Any] = {
            "work_id": self.work_id,
            "bond_id": self.bond() if bond is None else bond,
            "content_id": CONTENT,
            "keepers": self.keepers,
            "commitments": [share_commitment(share) for share in SHARES],
            "threshold": 2,
            "max_refund": MOST,
            "complaint_s": COMPLAINT,
            "answer_s": ANSWER,
        } | changes
        return int(self.contract.promise(*values.values(), sender=sender))

    def buy(
        self, *, grantee: str | None = None, payer: str | None = None, price: int = PRICE, use: int = 0
    ) -> int:
        return int(
            self.terms.buy(
                self.work_id,
                use,
                grantee or self.buyer,
                self.token,
                price,
                PERIOD,
                TEXT,
                sender=payer or self.buyer,
            )
        )

    def keys(self, grant: int) -> ComplaintKeys:
        """The keys a grantee makes for one complaint."""
        return ComplaintKeys(keccak256(b"complaint" + bytes([grant])), 3)

    def complain(self, promise: int, grant: int, *, sender: str | None = None, keys: Any = None) -> None:
        points = self.keys(grant).points if keys is None else keys
        self.contract.complain(promise, grant, points, sender=sender or self.buyer)

    def right(self, grant: int, number: int) -> HiddenShare:
        """What an honest keeper answers."""
        return hide_share(SHARES[number].value, self.keys(grant).points[number], grant, number)

    def answer(self, grant: int, number: int, answered: HiddenShare | None = None) -> HiddenShare:
        answered = answered or self.right(grant, number)
        self.contract.answer(grant, number, answered.values(), sender=self.keepers[number])
        return answered

    def refute(self, grant: int, number: int, answered: HiddenShare, **changes: Any) -> None:
        keys = self.keys(grant)
        values = {
            "keys": keys.points,
            "secret": keys.secret_of(min(number, 2)),
            "answered": answered.values(),
        } | changes
        self.contract.refute(grant, number, *values.values(), sender=self.buyer)

    def give_up(self) -> None:
        self.terms.surrender(self.work_id, 0, sender=self.buyer)

    def resolve(self, grant: int, *, sender: str | None = None) -> None:
        self.contract.resolve(grant, sender=sender or self.stranger)

    def complained(self) -> tuple[int, int]:
        """A promise, and a grant that was complained about."""
        promise = self.promise()
        grant = self.buy()
        self.complain(promise, grant)
        return promise, grant

    def credit(self, who: str | None = None) -> int:
        return int(self.bonds.credit(self.token, who or self.buyer))
