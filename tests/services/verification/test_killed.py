# SPDX-License-Identifier: Apache-2.0
"""Jurors and sponsors of known answers that are killed between doing something and noting it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from koinon.chain.handle import Chain
from koinon.chain.keys import Key
from koinon.services.verification.juror import Juror
from koinon.services.verification.planting import WINDOWS
from koinon.works.committee import Phase
from tests.services.verification.court import COIN, STAKE, WINDOW_S, Court
from tests.services.verification.killed import planter, step_and_die

JURORS = 4
STAKED = 1_000 * COIN


@pytest.fixture(scope="module")
def bench() -> list[Key]:
    return []


@pytest.fixture
def court(
    own_chain: Chain, own_account: Callable[..., Key], tmp_path: Path, bench: list[Key]
) -> Iterator[Court]:
    made = Court(own_chain, tmp_path, own_account, bench)
    yield made
    made.close()


# --- jurors ----------------------------------------------------------------------------------------------


class Bench:
    """The court's jurors, of whom one is killed once and comes back when what it did cannot be done again."""

    def __init__(self, court: Court, dies_at: str) -> None:
        self.court, self.dies_at = court, dies_at
        self.members = [court.juror() for _ in range(JURORS)]
        self.victim: Juror | None = None
        self._away_until = 0

    def step_all(self) -> None:
        now = self.court.chain.next_timestamp()
        for number, juror in enumerate(self.members):
            if self.victim is None and (until := self._due(juror, now)):
                self.victim, self._away_until = juror, until
                key = self.court.bench[number]
                book = self.court.folder / f"juror-{number}.sqlite"
                step_and_die(self.court, "juror", key, self.dies_at, book=str(book))
            if juror is not self.victim or now >= self._away_until:
                juror.step()

    def _due(self, juror: Juror, now: int) -> int:
        """Until when a juror may do what it is killed over; 0 where it has nothing to do now."""
        committee, account = self.court.committee, juror.ready()["account"]
        case_id = committee.case_count()
        if not case_id or committee.case(case_id).closed:
            return 0
        if self.dies_at == "seed_is":
            _, phase, ends = committee.moment("pending")
            weight = committee.juror(account).weight
            return ends if phase is Phase.COMMIT_SEEDS and weight else 0
        if not committee.case(case_id).drawn_epoch or not committee.seats(case_id, account):
            return 0
        commits, _ = committee.vote_times(case_id)
        return commits if now < commits else 0


@pytest.mark.parametrize("dies_at", ["seed_is", "vote_is"])
def test_a_juror_killed_between_committing_and_noting_it_reveals_in_time_and_loses_nothing(
    court: Court, dies_at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(court, dies_at)
    monkeypatch.setattr(Court, "actors", property(lambda here: [*here.clerks, *here.challengers]))
    plain = court.step

    def step() -> None:
        plain()
        bench.step_all()

    monkeypatch.setattr(court, "step", step)
    bonded = court.bonded()
    pledge, clerk = court.pledge(), court.clerk(bonded)
    court.answered(pledge, 5_000, b"0.0")
    clerk.step()
    court.challenger(bonded)
    court.until(lambda: bool(court.heard("settled")))
    assert court.heard("settled")[0]["outcome"] == "upheld"
    assert bench.victim is not None
    account = bench.victim.ready()["account"]
    assert court.committee.juror(account).stake >= STAKED
    assert dies_at == "seed_is" or court.committee.has_voted(court.committee.case_count(), account)
    monkeypatch.undo()
    pledge.close()


# --- sponsors --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dies_at", ["planted", "answered", "is_at"])
def test_a_sponsor_killed_between_doing_and_noting_plants_once_and_gets_everything_back(
    court: Court, dies_at: str
) -> None:
    before = court.coins(court.provider)
    bonded = court.bonded()
    pledge, clerk = court.pledge(), court.clerk(bonded)
    court.answered(pledge, 1_000)
    clerk.step()
    if dies_at == "is_at":
        first = planter(court, bonded.bond_id)
        first.step()
        first.close()
        court.wait(5)
        clerk.step()
        court.wait(WINDOW_S // 2 + 10)
    step_and_die(court, "sponsor", court.provider, dies_at, bond_id=bonded.bond_id)
    again = planter(court, bonded.bond_id)
    again.step()
    again.step()
    made = again._known.contract.history("Planted", sponsor=court.provider.address)
    assert len(made) == 1
    assert not court.heard("not exposed in time")
    plant = again._known.plant_of(made[0]["plant_id"])
    assert (plant.request != bytes(32)) == (dies_at == "is_at")
    court.wait(WINDOWS * WINDOW_S)
    again.step()
    court.step()
    assert len(court.heard("taken back")) == 1
    assert court.bonds.bond(bonded.bond_id).amount == STAKE
    assert court.coins(court.provider) == before - STAKE
    again.close()
    pledge.close()
