# SPDX-License-Identifier: Apache-2.0
"""What a buyer may sign under a mandate: an `Allowance` that asks the mandate, the chain and the ledger.

Nothing that a service answers reaches a limit: they are read from what the owner signed, and counted in the
ledger.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from koinon.chain import keys
from koinon.chain.handle import Chain
from koinon.errors import KoinonError, PaymentError
from koinon.services.buying.allowance import Payee
from koinon.services.mandates.account import MandateAccount
from koinon.services.mandates.ledger import SpendingLedger
from koinon.services.mandates.mandate import SignedMandate
from koinon.works.validation import Validations

FRESH_S: Final = 1.0
"""For so long at most, what the chain said of a mandate is taken to be so."""

DEMANDS_FRESH_S: Final = 10.0
"""The same for what it said of a Work."""


class MandateSpending:
    """Grants what a mandate allows, to one agent, for one use. Safe to share by threads.

    Before each grant it knows, from the last second, that the owner has not revoked the mandate on chain; a
    node that does not answer means no. The time is the later of this machine's clock and the latest block's,
    so that a slow clock does not make a mandate last longer.

    Parameters
    ----------
    chain : Chain
    ledger : SpendingLedger
    signed : SignedMandate
        Verified here.
    agent : str
        Whose key signs payments.
    use : str
        What is paid for, of `mandate.USES`.
    lineage : callable, optional
        Whether a Work's lineage is verified (see `lineage_demand`). Without it, a mandate that demands that
        grants nothing.
    clock : callable, optional
        Unix seconds.

    Raises
    ------
    IntegrityError
        The owner did not sign it, or for another network.
    PaymentError
        ``mandate.agent``, ``mandate.token``: it is for another key, or other money.
    """

    def __init__(
        self,
        chain: Chain,
        ledger: SpendingLedger,
        signed: SignedMandate,
        agent: str,
        *,
        use: str = "call",
        lineage: Callable[[int], bool] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        signed.verify(chain)
        if signed.mandate.agent != agent:
            raise PaymentError(
                f"This mandate is for {signed.mandate.agent}, not for {agent}.", code="mandate.agent"
            )
        if signed.mandate.token != chain.coin.address:
            raise PaymentError(
                "This mandate is about other money than this network's coin.", code="mandate.token"
            )
        self._signed = signed
        self._by_key = keys.verify(signed.id, signed.signature, signed.mandate.owner)
        self._chain = chain
        self._account = MandateAccount(ledger, signed)
        self._use = use
        self._lineage = lineage
        self._clock = clock
        self._lock = threading.Lock()
        self._looked = -FRESH_S
        self._chain_time = 0
        self._revoked = False
        self._met: dict[int, float] = {}
        self.reconcile()

    @property
    def salt(self) -> bytes:
        return self._account.id

    @property
    def per_use(self) -> int:
        return self._signed.mandate.per_call

    @property
    def signed(self) -> int:
        return self._account.spent.signed

    def left(self, payee: Payee) -> int:
        return self._account.left(payee)

    def voucher(self, payee: Payee, channel_id: bytes, above: int, price: int) -> int:
        self._check(payee, price)
        return self._account.voucher(payee, channel_id, above, price)

    def again(self, payee: Payee, channel_id: bytes, amount: int) -> None:
        self._check(payee, 0)
        self._account.again(payee, channel_id, amount)

    def transfer(self, payee: Payee, amount: int, nonce: bytes, until: int) -> None:
        self._check(payee, amount)
        self._account.reserve(payee, amount, nonce, until)

    def transferred(self, nonce: bytes) -> None:
        self._account.commit(nonce)

    def keep(self, number: str, payment: Mapping[str, Any]) -> None:
        self._account.keep(number, payment)

    def kept(self, number: str) -> Mapping[str, Any] | None:
        return self._account.kept(number)

    def forget(self, number: str, charged: int = 0) -> None:
        self._account.forget(number, charged)

    def watermark(self, channel_id: bytes) -> int:
        return self._account.watermark(channel_id)

    def closed(self, channel_id: bytes, claimed: int) -> None:
        self._account.closed(channel_id, claimed)

    def reconcile(self) -> None:
        """Of transfers whose fate is not known, release those that the token can no longer take. What may
        still be taken stays counted."""
        waiting = self._account.open_transfers()
        now = self._chain.timestamp() if waiting else 0
        for each in waiting:
            if self._chain.coin.call("authorizationState", self._signed.mandate.agent, each.nonce):
                self._account.commit(each.nonce)
            elif each.until < now:
                self._account.release(each.nonce)

    def _check(self, payee: Payee, amount: int) -> None:
        with self._lock:
            if time.monotonic() - self._looked >= FRESH_S:
                self._look()
            if self._revoked:
                raise PaymentError(
                    "The owner revoked this mandate.", hint="Ask for a new one.", code="mandate.revoked"
                )
            now = max(int(self._clock()), self._chain_time)
            self._signed.mandate.check(self._use, payee, amount, now)
            met = self._met.get(payee.work_id)
            if met is None or time.monotonic() - met >= DEMANDS_FRESH_S:
                self._meet_demands(payee)
                self._met[payee.work_id] = time.monotonic()

    def _look(self) -> None:
        mandate = self._signed.mandate
        try:
            contract = self._chain.contract("Mandates")
            self._revoked = bool(contract.call("revoked", mandate.owner, mandate.nonce))
            self._chain_time = self._chain.timestamp()
            if not self._by_key:
                self._signed.verify(self._chain)
        except PaymentError:
            raise
        except KoinonError as error:
            raise PaymentError(
                "Whether the mandate still holds cannot be read from the chain.",
                hint=error.hint,
                code="mandate.unknown",
            ) from error
        self._looked = time.monotonic()

    def _meet_demands(self, payee: Payee) -> None:
        mandate = self._signed.mandate
        if mandate.verified_lineage and (self._lineage is None or not self._lineage(payee.work_id)):
            raise PaymentError(
                f"The mandate demands verified lineage; that of Work {payee.work_id} is not known to be.",
                hint="Its owner registers its fingerprints and stakes on them: `koinon lineage`.",
                code="mandate.lineage",
            )
        if mandate.minimum_validation:
            count, average = Validations(self._chain).summary(payee.work_id, mandate.validators)
            if not count or average < mandate.minimum_validation:
                raise PaymentError(
                    (
                        f"The mandate demands a validation of {mandate.minimum_validation}; "
                        f"Work {payee.work_id} has {average} from {count} answers that count."
                    ),
                    code="mandate.validation",
                )
