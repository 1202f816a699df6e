# SPDX-License-Identifier: Apache-2.0
"""A sponsor of known answers: plants wrong answers among a provider's own, exposes them in time, and has
those fined who attested and missed them, or named what is no plant. See `KnownAnswers.vy`.

Only who signs answers can plant one: the provider, with the key of its gateway. Nothing is a plant unless it
is exposed in the third quarter of its batch's window: one that is not is a wrong answer like any other.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import orjson

from koinon.chain.account import Account
from koinon.chain.handle import Chain
from koinon.errors import BadInput, NotFound, TransactionFailed
from koinon.process import Say
from koinon.services.selling.comparison import Comparison
from koinon.services.verification.contract import Verification
from koinon.services.verification.evidence import Evidence
from koinon.services.verification.known import Attestation, KnownAnswers, draw, seal_of_plant
from koinon.services.verification.plant_book import ANSWERED, EXPOSED, OVER, PLANNED, KeptPlant, PlantBook
from koinon.services.verification.pledge import Pledge
from koinon.services.verification.store import AnswerStore

WINDOWS: Final = 3
"""After how many windows what finders did not take comes back."""


@dataclass(frozen=True)
class PlantOptions:
    """How a sponsor plants: in the answers behind which bond, at most one in ``every_s`` seconds, with
    ``reward`` (in the coin's smallest unit) for each of the first ``finders``."""

    bond_id: int
    reward: int
    finders: int = 3
    every_s: float = 3600.0

    def __post_init__(self) -> None:
        if self.reward <= 0 or not 0 < self.finders <= 16:
            raise BadInput(
                "A plant pays a reward to 1 to 16 finders.",
                hint="Say how much each gets.",
                code="verification.plant",
            )


class Planter:
    """See the top of this file.

    Parameters
    ----------
    chain : Chain
    sponsor : Account
        Who pays.
    pledge : Pledge
        The promise, with the key that signs its answers.
    kept : (AnswerStore, PlantBook)
        The provider's answers, and what are plants among them; closed with the planter.
    options : PlantOptions
    rule : Comparison
        By which a plant must be wrong.
    """

    def __init__(
        self,
        chain: Chain,
        sponsor: Account,
        pledge: Pledge,
        kept: tuple[AnswerStore, PlantBook],
        options: PlantOptions,
        *,
        rule: Comparison,
        rng: random.Random | None = None,
        say: Say = lambda _: None,
    ) -> None:
        self._chain, self._sponsor, self._pledge, (self._store, self._book) = chain, sponsor, pledge, kept
        self._rule, self._options = rule, options
        self._known, self._verification = KnownAnswers(chain), Verification(chain)
        penalty = self._known.penalty()
        if options.reward > penalty:
            raise BadInput(
                "A plant's reward is above what an auditor risks.",
                hint=f"Offer at most {penalty}: beyond it guessing would pay.",
                code="verification.plant",
            )
        self._window_s = self._verification.promise_of(options.bond_id).terms.window_s
        self._rng, self._say = rng or random.SystemRandom(), say

    def ready(self) -> dict[str, Any]:
        return {"sponsor": self._sponsor.address, "bond_id": self._options.bond_id}

    def close(self) -> None:
        self._pledge.close()  # and with it the store
        self._book.close()

    def step(self) -> None:
        """Expose, fine and take back what is due; plant again."""
        now = self._chain.next_timestamp()
        for plant in self._book.plants(PLANNED, ANSWERED, EXPOSED):
            self._follow(plant, now)
        if now >= self._book.last_planted() + self._options.every_s:
            self._plant(now)

    # --- planting ----------------------------------------------------------------------------------------

    def _plant(self, now: int) -> None:
        asked = self._store.recent(self._options.bond_id, 64)
        if not asked:
            return
        body, right = self._rng.choice(asked)
        wrong = wrong_answer(right, self._rule)
        if wrong is None:
            return
        self._pledge.admit(0)
        plant = self._book.plan(planted_at=now)
        plant_id = self._known.plant(
            self._sponsor,
            plant.payer.address,
            plant.salt,
            reward=self._options.reward,
            finders=self._options.finders,
            until=now + WINDOWS * self._window_s,
        )
        self._book.planted(plant.number, plant_id)
        self._pledge.sign(
            plant.payer.address, body, wrong, before=lambda digest: self._book.answered(plant.number, digest)
        )
        self._say({"event": "planted", "plant_id": plant_id})

    # --- afterwards --------------------------------------------------------------------------------------

    def _follow(self, plant: KeptPlant, now: int) -> None:
        plant_id = plant.plant_id or self._find(plant)
        if plant_id is None:
            if now >= plant.planted_at + WINDOWS * self._window_s:  # until then it may still be mined
                self._book.is_at(plant.number, OVER)
            return
        evidence = self._evidence(plant)
        if evidence is not None and evidence.place is not None:
            request = evidence.place.request
            number, times = evidence.place.position, self._known.quarters(request)
            if plant.state == ANSWERED and self._known.is_plant(
                request, number
            ):  # its process ended before it could note it
                self._book.is_at(plant.number, EXPOSED)
            elif plant.state == ANSWERED and times.disclose <= now < times.expose:
                self._known.expose(self._sponsor, plant.payer, plant_id, evidence, plant.salt)
                self._book.is_at(plant.number, EXPOSED)
                self._say({"event": "exposed", "plant_id": plant_id, "request": request.hex()})
            elif plant.state == ANSWERED and now >= times.expose:
                self._book.is_at(plant.number, EXPOSED)
                self._say({"event": "not exposed in time", "plant_id": plant_id, "request": request.hex()})
            if times.disclose <= now < times.dispute and self._known.is_plant(request, number):
                self._fine(plant_id, request, number)
            if times.dispute <= now < times.fine and not self._verification.disputed(request):
                self._fine_guesses(request)
        until = self._known.plant_of(plant_id).until
        if now >= until:
            self._take_back(plant_id)
            self._book.is_at(plant.number, OVER)

    def _find(self, plant: KeptPlant) -> int | None:
        """A plant whose process ended before it could note its number."""
        seal = seal_of_plant(self._known, self._sponsor.address, plant.payer.address, plant.salt)
        made = self._known.contract.history("Planted", sponsor=self._sponsor.address)
        for plant_id in (int(each["plant_id"]) for each in reversed(made)):
            if self._known.plant_of(plant_id).sealed == seal:
                self._book.planted(plant.number, plant_id)
                return plant_id
        return None

    def _evidence(self, plant: KeptPlant) -> Evidence | None:
        """The planted answer with its place; None before it is in a batch on chain."""
        if plant.digest is None:
            return None
        with suppress(NotFound):
            place = self._store.place(plant.digest)
            self._verification.batch(place.request)
            return self._store.evidence(place.request, place.position)
        return None

    def _fine(self, plant_id: int, request: bytes, number: int) -> None:
        count = self._verification.batch(request).count
        for auditor in self._known.attested_by(request, self._sponsor.address):
            missed = self._known.attestation(request, auditor)
            if missed.fined or number in missed.found:
                continue
            hit = _draw_that_hit(missed, request, number, count)
            if hit is None:
                continue
            about = plant_id if missed.disclosed else 0
            with suppress(TransactionFailed):  # somebody else fined it first
                self._known.fine(self._sponsor, request, auditor, plant_id=about, draw=hit)
                self._say({"event": "fined", "auditor": auditor, "request": request.hex()})

    def _fine_guesses(self, request: bytes) -> None:
        for auditor in self._known.attested_by(request, self._sponsor.address):
            attested = self._known.attestation(request, auditor)
            guesses = (number for number in attested.found if not self._known.is_plant(request, number))
            guess = None if attested.fined else next(guesses, None)
            if guess is not None:
                with suppress(TransactionFailed):  # somebody else fined it first, or the provider lost all
                    self._known.fine_guess(self._sponsor, request, auditor, guess)
                    self._say({"event": "fined", "auditor": auditor, "request": request.hex()})

    def _take_back(self, plant_id: int) -> None:
        with suppress(TransactionFailed):  # nothing is left, or somebody else sent it back
            self._known.reclaim(self._sponsor, plant_id)
            self._say({"event": "taken back", "plant_id": plant_id})


def wrong_answer(right: bytes, rule: Comparison) -> bytes | None:
    """An answer that breaks the rule against the right one, and looks like it; None where there is none."""
    try:
        value = orjson.loads(right)
    except ValueError:
        return None
    for other in _changed(value):
        if not rule.same(value, other):
            return orjson.dumps(other)
    return None


def _changed(value: Any) -> Iterator[Any]:
    """JSON values like this one that are not it: one part is another."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value + 1, 2 * value + 1, value + 1_000_000)
    elif isinstance(value, float):
        yield from (value * 1.125 + 0.5, 2 * value + 1.0, value + 1e6, value * 1e6 + 1e12)
    elif isinstance(value, str):
        yield value[::-1]
        yield value + value[-1:]
        yield value + "-"
    elif isinstance(value, list):
        for position, part in enumerate(value):
            yield from ([*value[:position], other, *value[position + 1 :]] for other in _changed(part))
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from ({**value, name: other} for other in _changed(part))


def _draw_that_hit(attested: Attestation, request: bytes, number: int, count: int) -> int | None:
    """Which draw of an auditor's sample was this answer; 0 for one that disclosed nothing, None for none."""
    if not attested.disclosed:
        return 0
    drawn = draw(attested.secret, request, attested.draws, count)
    return drawn.index(number) if number in drawn else None
