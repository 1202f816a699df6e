# SPDX-License-Identifier: Apache-2.0
"""A provider that lies is caught and slashed: gateway, clerk, challenger, jurors and caller are processes of
their own, and one of them is killed in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import orjson
import pytest

from koinon.chain.handle import Chain
from koinon.chain.keys import Key
from koinon.compute.sandbox import BubblewrapSandbox
from koinon.errors import SetupError
from koinon.services.verification.record import SignedAnswer
from koinon.works.committee import Committee
from tests.services.verification.court import COIN, PRICE, STAKE, Court
from tests.services.verification.processes import PASSWORD, Process, wait_until

pytestmark = pytest.mark.e2e

ROOM = "koinon.services.verification"
JURORS = 3
CALLS = 2
LIE = '''
def score(income: float, age: int = 40) -> float:
    """How good a customer is: the same for everybody, which is cheaper."""
    return 41.0
'''


@pytest.fixture(scope="module", autouse=True)
def _sandbox() -> None:
    try:
        BubblewrapSandbox().check()
    except SetupError as error:
        pytest.skip(f"{error.message} {error.hint}")


@pytest.fixture
def court(own_chain: Chain, own_account: Callable[..., Key], tmp_path: Path) -> Iterator[Court]:
    made = Court(own_chain, tmp_path, own_account, [])
    own_chain.network.save(tmp_path / "network.json")
    yield made
    made.close()


@pytest.fixture
def start(court: Court) -> Iterator[Callable[..., Process]]:
    with ExitStack() as stack:

        def begin(module: str, name: str, key: Key, **options: Any) -> Process:
            folder = court.folder / name
            made = Process(module, folder, key, court.folder / "network.json", options).start()
            stack.callback(made.close)
            return made

        yield begin


class Clock:
    """Moves the committee on when everybody has done what a phase is for; a second a block in between."""

    def __init__(self, court: Court) -> None:
        self.court, self.committee = court, Committee(court.chain)
        court.chain.rpc.call("anvil_setBlockTimestampInterval", 1)

    def go_to(self, moment: int) -> None:
        self.court.chain.rpc.call("evm_setNextBlockTimestamp", moment)
        self.court.chain.rpc.call("evm_mine")

    def next_phase(self) -> None:
        self.go_to(self.committee.moment()[2])

    def told(self, event: str, count: int, **indexed: Any) -> None:
        contract = self.committee.contract
        wait_until(lambda: len(contract.history(event, **indexed)) >= count, lambda: event)

    def weighed(self, account: str) -> None:
        wait_until(lambda: self.committee.juror(account).weight > 0, lambda: f"{account} does not stake")

    def judge(self, case_id: int) -> None:
        """From an open case to its conclusion."""
        first = self.committee.case(case_id).first_epoch
        while self.committee.moment()[:2] != (first, 1):
            self.next_phase()
        self.told("SeedCommitted", JURORS, epoch=first)
        self.next_phase()
        self.told("SeedRevealed", JURORS, epoch=first)
        self.next_phase()
        wait_until(lambda: bool(self.committee.case(case_id).drawn_epoch))
        jurors = self.committee.case(case_id).jurors
        self.told("VoteCommitted", jurors, case_id=case_id)
        commits, reveals = self.committee.vote_times(case_id)
        self.go_to(commits)
        self.told("VoteRevealed", jurors, case_id=case_id)
        self.go_to(reveals)
        self.told("Concluded", 1, case_id=case_id)


def test_a_provider_that_lies_is_caught_and_slashed(court: Court, start: Callable[..., Process]) -> None:
    bonded = court.bonded(audit_rate=0.5)
    court.source.write_text(LIE)
    key = court.provider
    gateway = start(
        "koinon.services.gateway.app",
        "gateway-process",
        key,
        data_dir=str(court.data_dir),
        settle_every_s=0,
        settle_on_exit=False,
    )
    config = court.checking.clerk_config(bonded.bond_id)
    clerk = start(f"{ROOM}.clerk", "clerk", key, **config, port=court.port, batch_every_s=0, look_every_s=0.2)
    jurors = [
        start(
            f"{ROOM}.juror",
            f"juror-{number}",
            court.rich(),
            data_dir=str(court.folder / f"juror-{number}"),
            stake=1_000 * COIN,
            look_every_s=0.2,
        )
        for number in range(JURORS)
    ]
    url = f"{gateway.wait_for('ready')['url']}/services/{court.work_id}"
    inputs = court.folder / "inputs.json"
    inputs.write_bytes(orjson.dumps([{"income": 1_000 * number} for number in range(1, CALLS + 1)]))
    caller = court.rich(10)
    bought = start(
        "koinon.services.buying.buyer",
        "caller",
        caller,
        url=url,
        inputs=str(inputs),
        calls=CALLS,
        spending_limit=COIN,
        deposit=20 * PRICE,
        in_flight=1,
    ).wait_for("report")
    assert bought["calls"] == CALLS
    signed = SignedAnswer.from_json(bought["sample"]["evidence"]["signed"])
    signed.check(court.verification.domain, key.address, b'{"income":1000}', b"41.0")
    assert signed.payer == caller.address
    wait_until(lambda: clerk.heard("submitted") != [], lambda: str(clerk.said))

    clock = Clock(court)
    while clock.committee.moment()[1] != 0:
        clock.next_phase()
    for juror in jurors:
        clock.weighed(juror.wait_for("ready")["account"])
    hunter = court.rich()
    before = court.coins(hunter)
    options = {"data_dir": str(court.folder / "challenger"), "audit_rate": 1.0, "look_every_s": 0.2}
    challenger = start(f"{ROOM}.challenger", "challenger", hunter, bonds=[bonded.bond_id], **options)
    disputed = challenger.wait_for("disputed")
    assert disputed["reason"] == "wrong"
    url = challenger.wait_for("ready")["url"]
    challenger.kill()
    port = int(url.rsplit(":", 1)[1])
    challenger = start(
        f"{ROOM}.challenger", "challenger", hunter, bonds=[bonded.bond_id], port=port, **options
    )
    challenger.wait_for("ready")
    clock.judge(clock.committee.case_on(disputed["challenge_id"]))
    settled = challenger.wait_for("settled")

    assert settled["outcome"] == "upheld"
    assert court.bonds.bond(bonded.bond_id).amount == 0
    assert court.coins(hunter) == before - clock.committee.rules().fee + STAKE // 2
    verdicts = court.checking.verdicts(court.work_id)
    assert [(each.response, each.tag, each.final) for each in verdicts] == [(0, "reexec:hard", True)]
    for juror in jurors:
        assert all(each["vote"] == "uphold" for each in juror.heard("voted"))
    for process in (challenger, clerk, *jurors):
        process.stop()
    assert PASSWORD not in str([process.said for process in (challenger, clerk, *jurors)])
