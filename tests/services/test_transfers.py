# SPDX-License-Identifier: Apache-2.0
"""`exact` payments that a gateway was killed in the middle of, or that somebody tries to take back."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from koinon.chain.keys import Key
from koinon.chain.receipts import Receipt
from koinon.errors import NodeUnavailable
from koinon.services.gateway.journal import Journal
from koinon.services.gateway.journal_records import TransferRecord
from koinon.services.gateway.ledger import Refused
from koinon.services.gateway.onchain import OnChain
from koinon.services.gateway.registry import Registry, Service
from koinon.services.gateway.signers import Signers
from koinon.services.gateway.transfers import SettlementPending, Transfers
from koinon.services.gateway.x402 import Terms, TransferPayment, encode
from koinon.works.coin import CANCEL_BY_BYTES
from tests.services.support import COIN, Hall

pytestmark = pytest.mark.e2e

BODY = b'{"income": 1000}'
NONCE = b"\x07" * 32


class Interrupted:
    """A gateway's data directory as a kill left it: the payment noted, its answer not yet out."""

    def __init__(self, hall: Hall, folder: Path, app: Path, *, answered: bool = False) -> None:
        self.hall = hall
        self.folder = folder / "gateway"
        self.service: Service = hall.service(Registry(self.folder), f"{app}:score", inline=True)
        self.payer = hall.account(coins=COIN, ether=1)
        self.chain = OnChain(hall.chain, self.payer)
        self.payment = self.sign(self.service.till, self.service.price)
        journal = Journal(self.folder / "journal.sqlite")
        journal.save_transfer(
            TransferRecord(
                self.payer.address,
                NONCE,
                self.service.work_id,
                hashlib.sha256(BODY).digest(),
                self.service.price,
                None,
                answered,
            )
        )
        journal.close()

    def sign(self, receiver: str, value: int, nonce: bytes = NONCE) -> TransferPayment:
        fields = (self.payer.address, receiver, value)
        digest = self.chain.coin_digests.transfer(*fields, valid_after=0, valid_before=2**40, nonce=nonce)
        return TransferPayment(*fields, 0, 2**40, nonce, self.payer.sign(digest))

    def retry(self, url: str, body: bytes = BODY) -> httpx.Response:
        required = httpx.post(url, json={}).headers["payment-required"]
        accepted = json.loads(base64.b64decode(required))["accepts"][1]
        payment = self.payment
        authorization: dict[str, Any] = {
            "from": payment.payer,
            "to": payment.receiver,
            "value": str(payment.value),
            "validAfter": "0",
            "validBefore": str(payment.valid_before),
            "nonce": "0x" + payment.nonce.hex(),
        }
        payload = {"authorization": authorization, "signature": "0x" + payment.signature.hex()}
        document = {"x402Version": 2, "accepted": accepted, "payload": payload}
        headers = {"content-type": "application/json", "PAYMENT-SIGNATURE": encode(document).decode()}
        return httpx.post(url, content=body, headers=headers, timeout=60)

    def retry_at_gateway(self, body: bytes = BODY) -> httpx.Response:
        with self.hall.gateway(self.folder, self.hall.account(ether=10)) as gateway:
            return self.retry(gateway.address(self.service), body)

    def earned(self) -> int:
        return self.hall.coins(self.service.till)


def test_a_payment_that_arrived_before_the_kill_is_answered_and_not_taken_twice(
    hall: Hall, tmp_path: Path, app: Path
) -> None:
    case = Interrupted(hall, tmp_path, app)
    case.chain.transfer(case.payment)
    with hall.gateway(case.folder, hall.account(ether=10)) as gateway:
        url = gateway.address(case.service)
        assert case.retry(url, b'{"income": 2000}').status_code == 402, "another question is another payment"
        answer = case.retry(url)
        assert (answer.status_code, answer.json()["result"]) == (200, 41.0)
        assert case.retry(url).status_code == 402, "once answered, it buys nothing more"
    assert case.earned() == case.service.price


def test_a_payment_noted_but_never_sent_is_settled_at_the_retry(
    hall: Hall, tmp_path: Path, app: Path
) -> None:
    case = Interrupted(hall, tmp_path, app)
    assert case.retry_at_gateway().status_code == 200
    assert case.earned() == case.service.price


def test_a_payment_that_was_answered_buys_nothing(hall: Hall, tmp_path: Path, app: Path) -> None:
    case = Interrupted(hall, tmp_path, app, answered=True)
    answer = case.retry_at_gateway()
    assert (answer.status_code, answer.json()["code"]) == (402, "payment.nonce_already_used")


def test_a_cancelled_payment_buys_nothing(hall: Hall, tmp_path: Path, app: Path) -> None:
    case = Interrupted(hall, tmp_path, app)
    signature = case.payer.sign(case.chain.coin_digests.cancel(case.payer.address, NONCE))
    cancel = hall.chain.coin.transaction(CANCEL_BY_BYTES, case.payer.address, NONCE, signature)
    hall.chain.sender(case.payer).send(cancel)
    assert case.chain.authorization_used(case.payer.address, NONCE)
    assert not case.chain.transfer_arrived(case.payment)
    assert case.retry_at_gateway().status_code == 402
    assert case.earned() == 0


def test_a_nonce_spent_on_another_transfer_buys_nothing(hall: Hall, tmp_path: Path, app: Path) -> None:
    case = Interrupted(hall, tmp_path, app)
    case.chain.transfer(case.sign(Key.generate().address, case.service.price))
    assert not case.chain.transfer_arrived(case.payment)
    assert case.retry_at_gateway().status_code == 402
    assert case.earned() == 0


class Faltering(OnChain):
    """A chain whose node takes transactions and then falls silent, or falls silent before."""

    def __init__(self, hall: Hall, key: Key, faults: list[str]) -> None:
        super().__init__(hall.chain, key)
        self.faults = faults

    def transfer(self, payment: TransferPayment) -> Receipt:
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "before":
            raise NodeUnavailable("The node is silent.")
        receipt = super().transfer(payment)
        if fault == "after":
            raise NodeUnavailable("The node is silent.")
        return receipt


@pytest.mark.parametrize("faults", [["after"], ["before"], ["before", "before", "after"]])
def test_a_node_silent_between_verifying_and_settling_neither_charges_nor_serves_twice(
    hall: Hall, tmp_path: Path, faults: list[str]
) -> None:
    payer, till = hall.account(coins=COIN), Key.generate().address
    chain = Faltering(hall, hall.account(ether=1), list(faults))
    terms = Terms(
        hall.chain.chain_id, chain.coin, chain.coin_name, chain.coin_version, till, 1000, chain.key.address
    )
    fields = (payer.address, till, 1000)
    digest = chain.coin_digests.transfer(*fields, valid_after=0, valid_before=2**40, nonce=NONCE)
    payment = TransferPayment(*fields, 0, 2**40, NONCE, payer.sign(digest))
    served = 0

    async def work() -> bytes:
        nonlocal served
        served += 1
        return b"answer"

    async def run(function: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.to_thread(function, *arguments)

    async def story() -> None:
        journal = Journal(tmp_path / "journal.sqlite")
        transfers = Transfers(chain, journal, Signers(), run)
        for _ in faults:
            with pytest.raises(SettlementPending):
                await transfers.pay(terms, 1, payment, BODY, work)
        answer, response, record = await transfers.pay(terms, 1, payment, BODY, work)
        assert answer == b"answer"
        transfers.answered(record, response["transaction"])
        with pytest.raises(Refused):
            await transfers.pay(terms, 1, payment, BODY, work)
        journal.close()

    asyncio.run(story())
    assert served == 1
    assert (hall.coins(till), hall.coins(payer.address)) == (1000, COIN - 1000)
