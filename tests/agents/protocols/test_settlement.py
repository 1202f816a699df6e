# SPDX-License-Identifier: Apache-2.0
"""Two agents negotiate and settle a trade on a chain, each under what its owner allows; and all that may go
wrong between them."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest

from koinon.agents import Address, Agent, Context, on
from koinon.agents.mechanisms import Concession
from koinon.agents.protocols import Bargainer, Collector, Payer
from koinon.agents.protocols.settlement import NotPaid, Paid, PayAgain, Payment, SignPayment
from koinon.agents.purse import Purse
from koinon.agents.runtime import Runtime
from koinon.chain.keys import Key
from koinon.errors import KoinonError, PaymentError
from koinon.services.buying.allowance import Allowance, Limit
from koinon.services.mandates.ledger import SpendingLedger
from koinon.services.mandates.mandate import sign_mandate
from koinon.services.mandates.spending import MandateSpending
from tests.agents.support import DOMAIN, run, until
from tests.services.mandates import mandate
from tests.services.support import COIN, Hall

pytestmark = pytest.mark.e2e
GOOD = "a parking place until six"


class Trading(Agent):
    """Bargains for a good, and pays for it or takes the payment."""

    partner: Address | None = None
    deadline = 0.0

    def __init__(self, purse: Purse, limit: int, work_id: int = 0, payer=Payer, collector=Collector) -> None:
        super().__init__()
        self.told: list[tuple] = []
        self.limit, self.work_id, self.buys = limit, work_id, not work_id
        self.bargainer = Bargainer(
            self.agreed, self.limits, lambda _context, why: self.told.append(("no", why))
        )
        self.settling = payer(purse, self.note, self.failed) if self.buys else collector(purse, self.note)
        self.include(self.bargainer, self.settling)

    def startup(self, context: Context) -> None:
        if self.partner is not None:
            self.bargainer.offer(context, self.partner, GOOD, self.mine(context))

    def mine(self, context: Context) -> Concession:
        wish = 0 if self.buys else 100_000
        return Concession(self.buys, wish, self.limit, context.now, self.deadline)

    def limits(self, context, offer):
        return self.mine(context) if offer.good == GOOD else None

    def agreed(self, context, partner, buys, good, price):
        self.told.append(("agreed", price))
        settle = self.settling.pay if buys else self.settling.expect
        settle(context, partner, good, price)

    def note(self, context, partner, good, price):
        self.told.append(("paid", good, price))

    def failed(self, context, why):
        self.told.append(("failed", why))


class Side:
    """One agent's key and purse, with a mandate of its owner or a plain limit."""

    def __init__(self, hall: Hall, folder, *, limit=None, **fields):
        self.key = hall.account(coins=COIN, ether=1)
        allowance: Allowance
        if limit is not None:
            allowance = Limit(limit)
        else:
            owner = hall.account(ether=1)
            fields = {"uses": ("trade",)} | fields
            chosen = mandate(
                owner=owner.address, agent=self.key.address, token=hall.chain.coin.address, **fields
            )
            allowance = MandateSpending(
                hall.chain,
                SpendingLedger(folder),
                sign_mandate(hall.chain, owner, chosen),
                self.key.address,
                use="trade",
            )
        self.purse = Purse(hall.chain, self.key, allowance)


def trade(hall, tmp_path, buyer_side, *, buyer_limit=80_000, seller_limit=20_000, enough, **kinds):
    """Have a buyer and a seller bargain; both agents, and the seller's till."""
    seller_side = Side(hall, tmp_path / "seller", limit=0)
    work_id, till = hall.work()
    seller = Trading(seller_side.purse, seller_limit, work_id, collector=kinds.get("collector", Collector))
    buyer = Trading(buyer_side.purse, buyer_limit, payer=kinds.get("payer", Payer))
    seller.deadline = buyer.deadline = time.time() + 3

    async def scenario():
        runtime = Runtime(DOMAIN)
        buyer.partner = runtime.add(seller, seller_side.key, work_id)
        runtime.add(buyer, buyer_side.key)
        async with runtime:
            await until(lambda: enough(buyer, seller))

    run(scenario())
    return buyer, seller, till


def both_paid(buyer, seller):
    return all(any(told[0] == "paid" for told in one.told) for one in (buyer, seller))


def test_two_agents_negotiate_and_settle_under_a_mandate(hall, tmp_path):
    side = Side(hall, tmp_path / "buyer", per_call=80_000)
    before = hall.coins(side.key.address)
    buyer, seller, till = trade(hall, tmp_path, side, enough=both_paid)
    ((_, price), paid) = buyer.told
    assert seller.told == [("agreed", price), ("paid", GOOD, price)]
    assert paid == ("paid", GOOD, price)
    assert 20_000 <= price <= 80_000
    assert hall.coins(till) == price
    assert hall.coins(side.key.address) == before - price


def test_what_the_mandate_does_not_grant_is_not_paid_whatever_was_agreed(hall, tmp_path):
    side = Side(hall, tmp_path / "buyer", per_call=10)
    buyer, _seller, till = trade(
        hall, tmp_path, side, enough=lambda buyer, seller: len(buyer.told) == 2 and seller.told
    )
    assert buyer.told[1][0] == "failed"
    assert "[mandate.per_call]" in buyer.told[1][1]
    assert hall.coins(till) == 0


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"uses": ("call",)}, "mandate.use"),
        ({"not_after": 10}, "mandate.time"),
        ({"verified_lineage": True}, "mandate.lineage"),
    ],
)
def test_a_purse_signs_nothing_that_the_mandate_does_not_grant(hall, tmp_path, fields, code):
    work_id, _till = hall.work()
    with pytest.raises(PaymentError) as error:
        Side(hall, tmp_path, **fields).purse.sign(work_id, 5, bytes(32), int(time.time()) + 60)
    assert error.value.code == code


class SilentCollector(Collector):
    """Takes the payment and does not say so."""

    @on(Payment)
    async def received(self, payment: Payment, context: Context) -> Paid | NotPaid:
        answer = await super().received(payment, context)
        return NotPaid(payment.nonce, "I never got it") if isinstance(answer, Paid) else answer


class ForgetfulPayer(Payer):
    """Sends each payment three times."""

    @on(SignPayment)
    async def sign(self, agreed: SignPayment, context: Context) -> None:
        await super().sign(agreed, context)
        (sent,) = context._effects.sends
        for _ in range(2):
            context.later(0, PayAgain(json.loads(sent.payload)["nonce"]))


def test_a_payment_that_is_sent_again_and_again_is_made_once(hall, tmp_path):
    side = Side(hall, tmp_path / "buyer", limit=80_000)
    before = hall.coins(side.key.address)
    buyer, seller, till = trade(hall, tmp_path, side, payer=ForgetfulPayer, enough=both_paid)
    assert hall.coins(till) == before - hall.coins(side.key.address) == buyer.told[0][1]
    assert [told[0] for told in seller.told] == ["agreed", "paid"]


def test_a_seller_that_denies_a_payment_gets_it_once_and_no_more(hall, tmp_path, monkeypatch):
    monkeypatch.setattr("koinon.agents.protocols.settlement._AGAIN_S", 0.2)
    side = Side(hall, tmp_path / "buyer", limit=80_000)
    before = hall.coins(side.key.address)
    buyer, _seller, till = trade(
        hall,
        tmp_path,
        side,
        collector=SilentCollector,
        enough=lambda buyer, seller: any(told[0] == "paid" for told in seller.told),
    )
    assert hall.coins(till) == before - hall.coins(side.key.address) == buyer.told[0][1]


class DivertingPayer(Payer):
    """Lowers the price in the message, or alters what it signed."""

    @on(SignPayment)
    async def sign(self, agreed: SignPayment, context: Context) -> None:
        await super().sign(agreed, context)
        (sent,) = context._effects.sends
        context._effects.sends.clear()
        honest = Payment(**json.loads(sent.payload))
        forged = "0" * 130
        for lie in (
            replace(honest, price=agreed.price - 1),
            replace(honest, good="another thing"),
            replace(honest, payer=Key.generate().address),
            replace(honest, nonce="11" * 32),
            replace(honest, signature=forged),
            replace(honest, until=honest.until + 1),
        ):
            context.send(Address.parse(agreed.seller), lie)

    @on(NotPaid)
    def told_not_paid(self, told: NotPaid, context: Context) -> None:
        self._failed(context, told.reason)


def test_a_payment_that_is_not_the_one_agreed_is_refused(hall, tmp_path):
    side = Side(hall, tmp_path / "buyer", limit=80_000)
    buyer, seller, till = trade(
        hall, tmp_path, side, payer=DivertingPayer, enough=lambda buyer, seller: len(buyer.told) == 7
    )
    assert [told[0] for told in buyer.told[1:]] == ["failed"] * 6
    assert [told[0] for told in seller.told] == ["agreed"]
    assert hall.coins(till) == 0


def test_a_purse_takes_no_transfer_for_another_till_or_amount(hall, tmp_path):
    side = Side(hall, tmp_path / "buyer", limit=1_000)
    work_id, till = hall.work()
    payment = side.purse.sign(work_id, 600, bytes(32), int(time.time()) + 60)
    other = Side(hall, tmp_path / "seller", limit=0).purse
    for lie, amount in ((payment, 601), (replace(payment, receiver=Key.generate().address), 600)):
        with pytest.raises(PaymentError):
            other.take(lie, work_id, amount)
    assert not side.purse.made(bytes(32))
    assert other.take(payment, work_id, 600)
    assert other.take(payment, work_id, 600) == ""
    assert side.purse.made(bytes(32))
    assert hall.coins(till) == 600
    assert side.purse.payee(work_id).owner == hall.publisher.address
    with pytest.raises(PaymentError):
        side.purse.sign(work_id, 401, b"\1" * 32, int(time.time()) + 60)


def test_an_unknown_seller_is_not_paid(hall, tmp_path):
    side = Side(hall, tmp_path / "buyer", limit=1_000)
    with pytest.raises(KoinonError):
        side.purse.sign(0, 1, bytes(32), int(time.time()) + 60)
