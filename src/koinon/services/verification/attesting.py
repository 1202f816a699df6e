# SPDX-License-Identifier: Apache-2.0
"""What an auditor does in `KnownAnswers.vy`: it attests what it checked, for sponsors it chose, discloses it,
and collects the rewards of plants it found.

An auditor that attests draws its sample from a secret, as the contract will; every answer in it must have
been run again before it attests. What it is about to send is written down first: a killed auditor that
attested and disclosed nothing would be fined. Every open attestation holds a penalty of its stake; when the
stake is used up, it waits, and lets go what a batch held once nobody can fine it any more.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Sequence
from typing import Final

from koinon.chain.account import Account
from koinon.chain.handle import Chain
from koinon.errors import TransactionFailed
from koinon.process import Say
from koinon.services.verification.casebook import ATTESTED, DISCLOSED, KEPT, OVER, Casebook
from koinon.services.verification.known import MAX_FOUND, Attestation, Finding, KnownAnswers
from koinon.works.bonds import Bonds

NOTICE_S: Final = 7 * 86_400
"""How long before an auditor's stake is free its end is announced; longer where fines come later."""

MISSES: Final = 5
"""How many penalties an auditor stakes for: so many batches it attests at a time."""


class Attesting:
    """See the top of this file.

    Parameters
    ----------
    chain : Chain
    account : Account
        Who stakes and attests.
    casebook : Casebook
    sponsors : sequence of str
        For whom it attests: a sponsor that calls right answers wrong costs those who trust it the penalty.
    """

    def __init__(
        self,
        chain: Chain,
        account: Account,
        casebook: Casebook,
        sponsors: Sequence[str],
        *,
        say: Say = lambda _: None,
        secret: Callable[[], bytes] = lambda: secrets.token_bytes(32),
    ) -> None:
        self._chain, self._account, self._book, self._say = chain, account, casebook, say
        self._sponsors, self._secret = tuple(sponsors), secret
        self._known, self._bonds = KnownAnswers(chain), Bonds(chain)
        self._bond_id = 0

    def sample(self, request: bytes, count: int, rate: float) -> list[int] | None:
        """Which answers of a batch to check, so that it can be attested; None where no sponsor it knows has a
        plant that may be there, or it is too late."""
        kept = self._book.attestation(request)
        if kept is not None:
            return sorted(set(kept.drawn(request, count)))
        if not self._sponsors or self._chain.next_timestamp() >= self._known.quarters(request).attest:
            return None
        sponsor = self._best_sponsor(request)
        if not sponsor:
            return None
        draws = max(1, math.ceil(rate * count))
        self._book.keep_attestation(request, sponsor, self._secret(), draws)
        return self.sample(request, count, rate)

    def checked(self, request: bytes, wrong: Sequence[int]) -> None:
        """Attest, where the whole sample of a batch was run again. A batch with more wrong answers than fit
        is no place for plants: it is disputed, not attested."""
        kept = self._book.attestation(request)
        if kept is None or kept.state != KEPT:
            return
        late = self._chain.next_timestamp() >= self._known.quarters(request).attest
        if late or len(wrong) > MAX_FOUND:
            self._book.attestation_is(request, OVER)
            return
        self._book.found_wrong(request, wrong)
        self._attest(request)

    def step(self) -> None:
        """Attest, disclose and collect what is due."""
        for request in self._book.attestations(KEPT, ATTESTED, DISCLOSED):
            kept = self._book.attestation(request)
            assert kept is not None  # noqa: S101  (just listed)
            times, now = self._known.quarters(request), self._chain.next_timestamp()
            if kept.state == KEPT:
                if now >= times.attest:
                    self._book.attestation_is(request, OVER)
                elif kept.checked:
                    self._attest(request)
            elif kept.state == ATTESTED and now >= times.attest:
                self._disclose(request, kept.finding, late=now >= times.disclose)
            elif kept.state == DISCLOSED and now >= times.disclose:
                mine = self._known.attestation(request, self._account.address)
                if mine.disclosed and now < times.dispute:
                    self._collect(request, kept.finding.found)
                if now >= times.fine or mine.fined:
                    self._release(request, mine)

    # --- inside ------------------------------------------------------------------------------------------

    def _best_sponsor(self, request: bytes) -> str:
        """Who of those it knows offers most for plants that may be in this batch; "" for nobody."""
        offered: dict[str, int] = {}
        for plant in self._known.waiting_plants(request):
            if plant.sponsor in self._sponsors:
                offered[plant.sponsor] = offered.get(plant.sponsor, 0) + plant.reward
        return max(offered, key=lambda sponsor: offered[sponsor]) if offered else ""

    def _attest(self, request: bytes) -> None:
        kept = self._book.attestation(request)
        assert kept is not None  # noqa: S101  (the callers read it)
        if self._known.attestation(request, self._account.address).bond_id:
            self._book.attestation_is(request, ATTESTED)
            return
        times = self._known.quarters(request)
        finding, bond_id = kept.finding, self._stake(5 * (times.disclose - times.attest))
        if not bond_id:
            return
        known, who, sponsor = self._known, self._account, kept.sponsor
        if self._try(lambda: known.attest(who, request, finding, bond_id=bond_id, sponsor=sponsor)):
            self._book.attestation_is(request, ATTESTED)
            event = {"event": "attested", "request": request.hex(), "sponsor": sponsor}
            self._say(event | {"draws": finding.draws, "found": list(finding.found)})

    def _disclose(self, request: bytes, finding: Finding, *, late: bool) -> None:
        if not late and self._try(lambda: self._known.disclose(self._account, request, finding)):
            self._say({"event": "disclosed", "request": request.hex()})
        self._book.attestation_is(request, DISCLOSED)

    def _release(self, request: bytes, mine: Attestation) -> None:
        if not (mine.fined or mine.released):
            self._try(lambda: self._known.release(self._account, request, self._account.address))
        self._book.attestation_is(request, OVER)

    def _collect(self, request: bytes, found: Sequence[int]) -> None:
        for plant_id in (self._known.plant_at(request, number) for number in found):
            if plant_id and not self._known.was_rewarded(plant_id, self._account.address):
                self._take_reward(plant_id)

    def _take_reward(self, plant_id: int) -> None:
        plant = self._known.plant_of(plant_id)
        if plant.finders and self._try(
            lambda: self._known.reward(self._account, plant_id, self._account.address)
        ):
            self._say({"event": "rewarded", "plant_id": plant_id, "amount": plant.reward})

    def _stake(self, fined_s: int) -> int:
        """The bond to attest with, the one it has or a new one; 0 while open attestations hold all of it.
        Fines come until ``fined_s`` after a batch."""
        penalty = self._known.penalty()
        if not self._bond_id:
            self._bond_id = self._known.bond_of(self._account.address)
        if self._bond_id:
            bond = self._bonds.bond(self._bond_id)
            if bond.amount >= penalty and not bond.ends_at and bond.notice_s >= fined_s:
                free = bond.amount - self._known.held(self._bond_id)
                return self._bond_id if free >= penalty else 0
        notice_s = max(NOTICE_S, fined_s)
        self._bond_id = self._known.enlist(self._account, MISSES * penalty, notice_s=notice_s)
        self._say({"event": "enlisted", "bond_id": self._bond_id, "stake": MISSES * penalty})
        return self._bond_id

    def _try(self, act: Callable[[], None]) -> bool:
        """Whether it went through: who comes too late, or second, is refused, which is no fault."""
        try:
            act()
        except TransactionFailed as refused:
            self._say({"event": "refused", "reason": refused.message})
            return False
        return True
