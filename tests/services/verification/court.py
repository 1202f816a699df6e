# SPDX-License-Identifier: Apache-2.0
"""A provider with a bond, challengers and jurors in one process, on a chain whose clock the test moves and on
which nothing happens but what they do."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from koinon.chain.handle import Chain
from koinon.chain.keys import Key
from koinon.services.gateway.registry import Registry, Service
from koinon.services.selling import schema
from koinon.services.selling.signature import InvalidInput
from koinon.services.verification.casebook import Casebook
from koinon.services.verification.challenger import Challenger
from koinon.services.verification.checking import Bonded, BondPlan, Checking
from koinon.services.verification.clerk import Clerk, ClerkOptions
from koinon.services.verification.contract import Verification
from koinon.services.verification.details import Runtime
from koinon.services.verification.evidence import Asker, Evidence
from koinon.services.verification.judging import Judge
from koinon.services.verification.juror import Juror
from koinon.services.verification.pledge import Pledge, read_pledges
from koinon.services.verification.process import Worker
from koinon.services.verification.record import SignedAnswer
from koinon.services.verification.sampling import ChallengerOptions
from koinon.services.verification.store import AnswerStore
from koinon.works.bonds import Bonds
from koinon.works.committee import Committee

COIN = 10**6
PRICE = 1_000
WINDOW_S = 3_600
STAKE = 200 * COIN
SOURCE = '''
def score(income: float, age: int = 40) -> float:
    """How good a customer is."""
    return income / 1000 + age
'''


class Direct:
    """Runs a function again in this process: for tests of everything but the sandbox."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def run(self, runtime: Runtime, content: bytes, inputs: Sequence[bytes]) -> list[bytes | None]:
        path = self._folder / f"again_{runtime.file[:12]}.py"
        path.write_bytes(content)
        function = schema.load(f"{path}:{runtime.entry}")
        results: list[bytes | None] = []
        for body in inputs:
            try:
                results.append(function.call(body))
            except InvalidInput:
                results.append(None)
        return results


@dataclass
class Court:
    """Everything that takes part. ``bench`` are the jurors of all tests on this chain: one that had staked
    and did not come would leave its seats empty."""

    chain: Chain
    folder: Path
    account: Callable[..., Key]
    bench: list[Key]
    jurors: list[Juror] = field(default_factory=list)
    challengers: list[Challenger] = field(default_factory=list)
    clerks: list[Clerk] = field(default_factory=list)
    said: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.asker = Asker()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.provider = self.rich()
        self.verification = Verification(self.chain)
        self.committee, self.bonds = Committee(self.chain), Bonds(self.chain)
        self.data_dir = self.folder / "gateway"
        self.source = self.folder / "app.py"
        self.source.write_text(SOURCE)
        works = self.chain.contract("Works")
        receipt = self.chain.sender(self.provider).send(works.transaction("register()"))
        self.work_id = int(works.logs(receipt, "Registered")[0]["agentId"])
        self.service = Service(
            work_id=self.work_id,
            name="score",
            description="A test service.",
            till=works.call("till_of", self.work_id),
            price=PRICE,
            kind="function",
            target=f"{self.source}:score",
            comparison="exact",
        )
        Registry(self.data_dir).add(self.service)
        self.checking = Checking(self.chain, self.data_dir)

    def rich(self, coins: int = 2_000) -> Key:
        """An account with ETH and coins."""
        key = self.account()
        coin = self.chain.coin
        limit = int(coin.call("mintLimit"))
        parts = [limit] * (coins * COIN // limit) + [coins * COIN % limit]
        self.chain.sender(key).send_all(
            [coin.transaction("mint", key.address, part) for part in parts if part]
        )
        return key

    def coins(self, key: Key) -> int:
        return int(self.chain.coin.call("balanceOf", key.address))

    # --- the provider ------------------------------------------------------------------------------------

    def bonded(self, **changes: Any) -> Bonded:
        url = f"http://127.0.0.1:{self.port}"
        plan: dict[str, Any] = {"stake": STAKE, "audit_rate": 0.5, "window_s": WINDOW_S, "url": url}
        signer = self.provider.address
        return self.checking.bond(self.provider, signer, self.work_id, BondPlan(**plan | changes))

    def pledge(self) -> Pledge:
        """The promise as the gateway has it; time is the chain's."""
        record = read_pledges(self.data_dir)[self.work_id]
        store = AnswerStore(self.data_dir)
        return Pledge(record, store, self.provider, self.verification.domain, clock=self.chain.next_timestamp)

    def clerk(self, bonded: Bonded, **options: Any) -> Clerk:
        config = self.checking.clerk_config(bonded.bond_id)
        details, file = (Path(config[name]).read_bytes() for name in ("details", "file"))
        chosen = ClerkOptions(**{"bond_id": bonded.bond_id, "port": self.port, "batch_every_s": 0} | options)
        made = Clerk(
            self.chain,
            self.provider,
            AnswerStore(self.data_dir),
            chosen,
            details=details,
            file=file,
            say=self.said.append,
        )
        self.clerks.append(made)
        return made

    def answered(
        self, pledge: Pledge, income: int, result: bytes | None = None, payer: Key | None = None
    ) -> Evidence:
        """An answer as a caller has it: honest, or ``result``."""
        body = b'{"income": %d}' % income
        given = result if result is not None else b"%.1f" % (income / 1000 + 40)
        payer = payer or self.provider
        signed = SignedAnswer.from_json(pledge.sign(payer.address, body, given))
        return Evidence(signed, body, given)

    # --- those who check ---------------------------------------------------------------------------------

    def challenger(self, bonded: Bonded, *, key: Key | None = None, **options: Any) -> Challenger:
        chosen: dict[str, Any] = {"bonds": (bonded.bond_id,), "audit_rate": 1.0, "patience_s": 0}
        made = Challenger(
            self.chain,
            key or self.rich(),
            Casebook(self.folder / f"challenger-{len(self.challengers)}.sqlite"),
            ChallengerOptions(**chosen | options),
            rerunner=Direct(self.folder),
            rng=random.Random(1),
            say=self.said.append,
        )
        self.challengers.append(made)
        return made

    def juror(self, judge: Any = None, *, stake: int = 1_000 * COIN) -> Juror:
        if len(self.bench) == len(self.jurors):
            self.bench.append(self.rich())
        made = Juror(
            self.chain,
            self.bench[len(self.jurors)],
            Casebook(self.folder / f"juror-{len(self.jurors)}.sqlite"),
            stake=stake,
            judge=judge or self.judge(),
            say=self.said.append,
        )
        self.jurors.append(made)
        return made

    def judge(self, asker: Asker | None = None) -> Judge:
        return Judge(self.verification, asker or self.asker, Direct(self.folder))

    # --- time --------------------------------------------------------------------------------------------

    def wait(self, seconds: int) -> None:
        """Time passes, and nothing is mined: who goes by the latest block alone would stand still."""
        self.chain.rpc.call("evm_increaseTime", seconds)

    def wait_until(self, moment: int) -> None:
        self.wait(max(1, moment - self.chain.next_timestamp()))

    @property
    def actors(self) -> list[Worker]:
        return [*self.clerks, *self.challengers, *self.jurors]

    def step(self) -> None:
        for actor in self.actors:
            actor.step()

    def until(self, done: Callable[[], bool], phases: int = 30) -> None:
        """Everybody works on, at the beginning and towards the end of phase after phase."""
        for _ in range(phases):
            _, _, ends = self.committee.moment("pending")
            self.step()
            self.wait_until(ends - 10)
            self.step()
            if done():
                return
            self.wait_until(ends)
        raise AssertionError(f"it did not come to that: {self.said[-20:]}")

    def heard(self, event: str) -> list[dict[str, Any]]:
        return [each for each in self.said if each["event"] == event]

    def close(self) -> None:
        for actor in self.actors:
            actor.close()
        self.asker.close()
