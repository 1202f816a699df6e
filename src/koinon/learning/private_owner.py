# SPDX-License-Identifier: Apache-2.0
"""An owner's side of a round that is a secret sum: five messages, and the model after the round."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from koinon.chain.eip712 import Domain
from koinon.chain.keys import Key
from koinon.errors import BadInput, IntegrityError, PeerError
from koinon.learning.messages import GlobalModel, payload_digest
from koinon.learning.privacy.clipping import Units
from koinon.learning.privacy.noise import fresh_seed
from koinon.learning.privacy.noised_sum import NoisedSum
from koinon.learning.privacy.secagg import Participant, Phase
from koinon.learning.private_messages import AccountIdentity, PrivateStep, sum_context
from koinon.learning.private_run import AGAIN, GIVE_UP, GOES_ON, MOST_ATTEMPTS, ROUND_OVER
from koinon.learning.recipe import Recipe

LONGEST_ANSWER: Final = 1 << 18
"""More than any phase's answer has for 255 owners."""

Send = Callable[[bytes], bytes]


class PrivateExchange:
    """Takes one owner through the secret sums of one run.

    Parameters
    ----------
    index : int
        The owner's place in the run.
    """

    def __init__(self, key: Key, domain: Domain, recipe: Recipe, index: int) -> None:
        self._key, self._domain, self._recipe, self._index = key, domain, recipe, index
        self._identity = AccountIdentity(key, domain)
        self._sums = NoisedSum(recipe.privacy, recipe.rounds)
        self._known: dict[int, bytes] = {}

    def contribute(self, base: GlobalModel, units: Units, send: Send) -> bytes:
        """Add an owner's clipped change to the round after ``base``.

        Parameters
        ----------
        send : callable
            Hands a frame to the leader and waits for the answer.

        Returns
        -------
        bytes
            The frame of the model after the round, whether or not this owner is in it.

        Raises
        ------
        IntegrityError
            The leader or another owner cheats.
        PeerError
            Too few take part, or have given up a sum that this change was in.
        """
        attempt = 1
        while 0 < attempt <= MOST_ATTEMPTS:
            kind, told = self._take_part(base, attempt, units, send)
            if kind == ROUND_OVER:
                return told
            if told[0] <= attempt:
                break
            attempt = told[0]
        raise PeerError(
            "The round's secret sum is begun again too often.",
            hint="Owners keep leaving in the middle of it.",
            code="learning.secagg_threshold",
        )

    def _take_part(self, base: GlobalModel, attempt: int, units: Units, send: Send) -> tuple[bytes, bytes]:
        """Go through one sum: `ROUND_OVER` with a model, or `AGAIN` with the number of the next attempt."""
        number, recipe = base.round + 1, self._recipe
        person = Participant(
            self._index,
            sum_context(base.run_id, number, base.model, recipe.digest, attempt),
            self._identity,
            minimum=recipe.minimum_owners,
            threshold=recipe.privacy.threshold,
        )

        def say(phase: Phase, message: bytes) -> tuple[bytes, bytes]:
            head = (base.run_id, number, self._key.address, base.model, attempt, int(phase))
            step = PrivateStep(*head, payload_digest(message))
            answer = send(step.pack(self._key, self._domain, message))
            return answer[:1], answer[1:]

        told = b""
        for phase in (Phase.KEYS, Phase.SHARES, Phase.MASKED, Phase.AGREEMENT, Phase.REVEAL):
            kind, told = say(phase, self._says(person, phase, told, units))
            if kind == GIVE_UP:
                kind, told = say(Phase.ABANDON, person.abandon())
            if kind == AGAIN and told:
                person.check_abandoned(told[1:])
                return kind, told
            if kind == ROUND_OVER:
                return kind, told
            if kind != GOES_ON or phase == Phase.REVEAL:
                break
        raise BadInput("The leader's answer in a secret sum is none.", code="learning.message")

    def _says(self, person: Participant, phase: Phase, told: bytes, units: Units) -> bytes:
        match phase:
            case Phase.KEYS:
                return person.advertise()
            case Phase.SHARES:
                dealt = person.share(told)
                self._recognise(person.names)
                return dealt
            case Phase.MASKED:
                return person.mask(self._sums.with_own_noise(units, person.threshold, fresh_seed()), told)
            case Phase.AGREEMENT:
                return person.agree(told)
            case _:
                return person.reveal(told)

    def _recognise(self, names: dict[int, bytes]) -> None:
        """Every place keeps its account from round to round."""
        for index, name in names.items():
            if self._known.setdefault(index, name) != name:
                raise IntegrityError(
                    f"Place {index} of the run has another account than before.", code="learning.secagg_key"
                )
