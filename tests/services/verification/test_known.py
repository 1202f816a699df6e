# SPDX-License-Identifier: Apache-2.0
"""Known answers as sponsors, auditors and challengers meet them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import orjson
import pytest

from koinon.chain.handle import Chain
from koinon.chain.keys import Key
from koinon.compute.sandbox import BubblewrapSandbox
from koinon.errors import BadInput, SetupError
from koinon.services.selling.comparison import Comparison
from koinon.services.verification.attesting import MISSES, Attesting
from koinon.services.verification.casebook import Casebook
from koinon.services.verification.contract import Dispute, Reason
from koinon.services.verification.known import Finding, KnownAnswers, draw
from koinon.services.verification.plant_book import PlantBook
from koinon.services.verification.planting import Planter, PlantOptions, wrong_answer
from koinon.services.verification.pledge import Pledge, read_pledges
from koinon.services.verification.store import AnswerStore
from koinon.works.committee import Vote
from tests.services.verification.court import COIN, STAKE, WINDOW_S, Court

SALT = b"\x07" * 32
QUARTER = WINDOW_S // 4


@pytest.fixture(scope="module", autouse=True)
def _sandbox() -> None:
    try:
        BubblewrapSandbox().check()
    except SetupError as error:
        pytest.skip(f"{error.message} {error.hint}")


@pytest.fixture
def court(own_chain: Chain, own_account: Callable[..., Key], tmp_path: Path) -> Iterator[Court]:
    made = Court(own_chain, tmp_path, own_account, [])
    yield made
    made.close()


def test_who_finds_a_plant_is_paid_who_sleeps_pays_and_nobody_is_slashed(court: Court) -> None:
    known, sponsor, payer = KnownAnswers(court.chain), court.rich(), court.account()
    finder, sleeper = court.rich(), court.rich()
    plant = known.plant(
        sponsor,
        payer.address,
        SALT,
        reward=COIN,
        finders=2,
        until=court.chain.timestamp() + 2 * WINDOW_S,
    )
    court.wait(5)
    bonded = court.bonded()
    pledge, clerk = court.pledge(), court.clerk(bonded)
    court.answered(pledge, 1_000)
    court.answered(pledge, 2_000, b"0.0", payer=payer)
    clerk.step()
    (batch,) = court.heard("submitted")
    request = bytes.fromhex(batch["request"])
    challenger = court.challenger(bonded)
    challenger.step()
    challenger.step()
    assert court.heard("wrong")
    assert not court.heard("disputed")

    secret = next(
        number.to_bytes(32, "big")
        for number in range(100)
        if draw(number.to_bytes(32, "big"), request, 1, 2) == [1]
    )
    findings = {finder: Finding(secret, 1, (1,)), sleeper: Finding(secret, 1, ())}
    stakes = {who: known.enlist(who, 50 * COIN, notice_s=2 * WINDOW_S) for who in findings}
    for who, finding in findings.items():
        known.attest(who, request, finding, bond_id=stakes[who], sponsor=sponsor.address)
    court.wait(QUARTER)
    for who, finding in findings.items():
        known.disclose(who, request, finding)
    court.wait(QUARTER)
    evidence = court.asker.evidence(clerk.url, request, 1)
    known.expose(sponsor, payer, plant, evidence, SALT)
    assert known.is_plant(request, 1)
    before = court.coins(finder)
    known.reward(sponsor, plant, finder.address)
    assert court.coins(finder) == before + COIN
    known.fine(finder, request, sleeper.address, plant_id=plant, draw=0)
    assert court.bonds.bond(stakes[sleeper]).amount == 30 * COIN

    challenger.step()
    assert court.heard("planted")
    assert not court.heard("disputed")
    place = evidence.place
    assert place is not None
    digest = evidence.answer.digest(court.verification.domain)
    dispute = Dispute(
        1, request, bonded.bond_id, 1, Reason.WRONG, 1, digest, f"{clerk.url}/evidence/{request.hex()}/1"
    )
    assert court.judge().judge(dispute).vote is Vote.DISMISS
    court.wait(2 * WINDOW_S)
    court.step()
    known.reclaim(sponsor, plant)
    assert court.bonds.bond(bonded.bond_id).amount == STAKE
    assert court.checking.verdicts(court.work_id)[0].tag == "reexec:soft"
    pledge.close()


@pytest.fixture
def plant(court: Court) -> Iterator[Callable[[int], Planter]]:
    """A sponsor of the provider's, as it is started again after it was killed."""
    made: list[Planter] = []

    def begin(bond_id: int) -> Planter:
        store = AnswerStore(court.data_dir)
        record = read_pledges(court.data_dir)[court.work_id]
        domain, clock = court.verification.domain, court.chain.next_timestamp
        planter = Planter(
            court.chain,
            court.provider,
            Pledge(record, store, court.provider, domain, clock=clock),
            (store, PlantBook(court.folder / "plants.sqlite")),
            PlantOptions(bond_id, reward=COIN, finders=2, every_s=10**9),
            rule=Comparison(),
            say=court.said.append,
        )
        made.append(planter)
        return planter

    yield begin
    for each in made:
        each.close()


def test_auditors_find_plants_and_are_paid_without_anybody_calling_for_it(
    court: Court, plant: Callable[[int], Planter]
) -> None:
    known = KnownAnswers(court.chain)
    bonded = court.bonded()
    pledge, clerk = court.pledge(), court.clerk(bonded)
    court.answered(pledge, 1_000)
    clerk.step()
    plant(bonded.bond_id).step()
    court.wait(5)
    clerk.step()
    request = bytes.fromhex(court.heard("submitted")[-1]["request"])
    finder, sleeper = court.rich(), court.rich()
    before, sponsors = court.coins(finder), (court.provider.address,)
    auditor = court.challenger(bonded, key=finder, sponsors=sponsors)
    lazy = Attesting(court.chain, sleeper, Casebook(court.folder / "lazy.sqlite"), sponsors)
    assert lazy.sample(request, 1, 1.0) == [0]
    lazy.checked(request, [])
    auditor.step()
    assert [(each["draws"], each["found"]) for each in court.heard("attested")] == [(1, [0])]
    court.wait(QUARTER)
    lazy.step()
    auditor.step()
    court.wait(QUARTER)
    planter = plant(bonded.bond_id)
    planter.step()
    planter.step()
    auditor.step()
    auditor.step()
    assert [each["amount"] for each in court.heard("rewarded")] == [COIN]
    assert court.coins(finder) == before + COIN - MISSES * known.penalty()
    assert [each["auditor"] for each in court.heard("fined")] == [sleeper.address]
    assert known.attestation(request, sleeper.address).fined
    bond_id = known.bond_of(finder.address)
    assert known.held(bond_id) == known.penalty()
    court.wait(3 * WINDOW_S)
    planter.step()
    court.step()
    assert court.heard("taken back")
    assert not court.heard("disputed")
    assert court.bonds.bond(bonded.bond_id).amount == STAKE
    assert known.attestation(request, finder.address).released
    assert known.held(bond_id) == 0
    pledge.close()


def test_who_guesses_is_fined_by_the_sponsor_and_a_full_stake_waits(
    court: Court, plant: Callable[[int], Planter]
) -> None:
    known = KnownAnswers(court.chain)
    bonded = court.bonded()
    pledge, clerk = court.pledge(), court.clerk(bonded)
    court.answered(pledge, 1_000)
    court.answered(pledge, 2_000)
    planter = plant(bonded.bond_id)
    planter.step()
    court.wait(5)
    clerk.step()
    request = bytes.fromhex(court.heard("submitted")[-1]["request"])
    guesser, sponsors = court.rich(), (court.provider.address,)
    bond_id = known.enlist(guesser, known.penalty(), notice_s=7 * 86_400)
    finding = Finding(SALT, 0, (0, 1, 2))
    known.attest(guesser, request, finding, bond_id=bond_id, sponsor=court.provider.address)
    full = Attesting(court.chain, guesser, Casebook(court.folder / "full.sqlite"), sponsors)
    assert full._stake(WINDOW_S) == 0
    court.wait(QUARTER)
    known.disclose(guesser, request, finding)
    before = court.coins(guesser)
    court.wait(QUARTER)
    planter.step()
    assert court.heard("exposed")
    known.reward(guesser, int(court.heard("planted")[-1]["plant_id"]), guesser.address)
    court.wait(2 * QUARTER)
    planter.step()
    assert court.heard("fined") == [{"event": "fined", "auditor": guesser.address, "request": request.hex()}]
    planter.step()
    assert len(court.heard("fined")) == 1
    assert court.bonds.bond(bond_id).amount == 0
    assert court.coins(guesser) == before + COIN
    court.wait(3 * WINDOW_S)
    pledge.close()


def test_a_plant_offers_no_more_than_an_auditor_risks(court: Court) -> None:
    bonded = court.bonded()
    store = AnswerStore(court.data_dir)
    record = read_pledges(court.data_dir)[court.work_id]
    pledge = Pledge(record, store, court.provider, court.verification.domain)
    penalty = KnownAnswers(court.chain).penalty()
    with closing(PlantBook(court.folder / "book.sqlite")) as book, pytest.raises(BadInput, match="risks"):
        Planter(
            court.chain,
            court.provider,
            pledge,
            (store, book),
            PlantOptions(bonded.bond_id, reward=penalty + 1),
            rule=Comparison(),
        )
    pledge.close()


def test_who_trusts_no_sponsor_attests_nothing(court: Court, plant: Callable[[int], Planter]) -> None:
    bonded = court.bonded()
    pledge, clerk = court.pledge(), court.clerk(bonded)
    court.answered(pledge, 1_000)
    plant(bonded.bond_id).step()
    court.wait(5)
    clerk.step()
    court.challenger(bonded, sponsors=(court.rich(1).address,)).step()
    assert court.heard("audited")
    assert not court.heard("attested")
    court.wait(4 * WINDOW_S)  # no plant stands for the tests after this one
    pledge.close()


@pytest.mark.parametrize("rule", ["exact", "quantised:0.5", "tolerance:1000"])
@pytest.mark.parametrize("right", [b"45.0", b"7", b"true", b'"yes"', b'{"a":[null,2.5]}', b"[]", b"x"])
def test_a_plant_breaks_the_rule_or_is_none(right: bytes, rule: str) -> None:
    comparison = Comparison.parse(rule)
    wrong = wrong_answer(right, comparison)
    assert (wrong is None) == (right in {b"[]", b"x"})
    if wrong is not None:
        assert not comparison.same(orjson.loads(right), orjson.loads(wrong))


def test_a_plant_pays_somebody() -> None:
    for wrong in ({"reward": 0}, {"reward": 1, "finders": 17}):
        with pytest.raises(BadInput, match="finders"):
            PlantOptions(1, **wrong)


def test_without_plants_nobody_waits(court: Court) -> None:
    known = KnownAnswers(court.chain)
    bonded = court.bonded()
    pledge, clerk = court.pledge(), court.clerk(bonded)
    court.answered(pledge, 1_000)
    clerk.step()
    (batch,) = court.heard("submitted")
    assert not known.may_hold_plants(bytes.fromhex(batch["request"]))
    pledge.close()
