# SPDX-License-Identifier: Apache-2.0
"""The parties of a job on a development chain, each with a data directory of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from koinon.chain.handle import Chain
from koinon.chain.keys import Key
from koinon.services.jobs.api import Commission, Jobs
from koinon.store import BlockStore
from koinon.works.api import Published, Works
from koinon.works.registration import Card, Registration

COIN = 10**6
PRICE = 5 * COIN
TEXT = "Draw a map of the harbour\nAt 1:500, with depths."
CARD = Card("service", "Maps.", "None.", ("Harbours only.",), "Write.", unmeasured="A craft.")


@dataclass
class Parties:
    """A client with 100 coins, a provider who owns a Work, an evaluator; one store that all of them reach."""

    chain: Chain
    folder: Path
    account: Callable[..., Key]
    client: Jobs = field(init=False)
    provider: Jobs = field(init=False)
    evaluator: Jobs = field(init=False)
    stranger: Jobs = field(init=False)
    work: Published = field(init=False)

    def __post_init__(self) -> None:
        self.client, self.provider, self.evaluator, self.stranger = (
            self.party(name) for name in ("client", "provider", "evaluator", "stranger")
        )
        self.give(self.client.acting.address, 100 * COIN)
        works = Works(self.chain, self.client.store, self.key(self.provider))
        self.work = works.publish(Registration("Maps", "Maps of harbours.", CARD))

    def party(self, name: str) -> Jobs:
        """Somebody new."""
        store = BlockStore(self.folder / "blocks")
        return Jobs(self.chain, store, self.folder / name, self.account())

    @staticmethod
    def key(jobs: Jobs) -> Key:
        """A party's key."""
        assert isinstance(jobs.acting, Key)
        return jobs.acting

    def give(self, address: str, coins: int) -> None:
        """New coins for an account."""
        sender = self.chain.sender(self.key(self.provider))
        sender.send(self.chain.coin.transaction("mint", address, coins))

    def coins(self, address: str) -> int:
        """What an account holds."""
        return int(self.chain.coin.call("balanceOf", address))

    def commission(self, *, lasts_s: int = 3_600, private: bool = False, hook: str = "") -> int:
        """An open job for the provider's Work."""
        return self.client.create(
            Commission(
                TEXT,
                lasts_s,
                str(self.work.work_id),
                self.evaluator.acting.address,
                private=private,
                hook=hook,
            )
        )

    def paid(self, *, lasts_s: int = 3_600, private: bool = False) -> int:
        """A job whose price is in escrow."""
        job_id = self.commission(lasts_s=lasts_s, private=private)
        self.client.fund(job_id, PRICE)
        return job_id
