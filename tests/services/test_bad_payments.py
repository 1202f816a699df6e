# SPDX-License-Identifier: Apache-2.0
"""A thousand payments that are forged, replayed, overspent, expired or malformed: each is refused with a
problem, and after all of them nothing has changed."""

from __future__ import annotations

import base64
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from koinon.chain.keys import ORDER, Key
from koinon.services.gateway.onchain import OnChain
from koinon.services.gateway.registry import Registry
from koinon.works.payments import ChannelPayment
from tests.services.support import COIN, GatewayProcess, Hall
from tests.services.test_gateway import Wallet

pytestmark = pytest.mark.e2e

CASES = 1000
CHARGED = 5
Document = dict[str, Any]
GARBAGE: list[Any] = [None, True, -1, 0, 1.5, "", "x", "0x", "0x00", "-1", "1e3", "١", " 1", [], {}]
GARBAGE += ["0x" + "zz" * 32, 2**256, str(2**256)]


class Forger:
    """Makes bad payments from a wallet's good ones."""

    def __init__(self, hall: Hall, gateway: GatewayProcess, wallet: Wallet, price: int) -> None:
        self.random = random.Random(8402)
        self.hall = hall
        self.wallet = wallet
        self.price = price
        self.stranger = Key.generate()
        self.rich = hall.account(coins=COIN)
        self.poor = hall.account()
        self.chain = OnChain(hall.chain, self.rich)
        offers = httpx.post(wallet.url, json={}).headers["payment-required"]
        self.offers = {offer["scheme"]: offer for offer in json.loads(base64.b64decode(offers))["accepts"]}

    def next_amount(self) -> int:
        return (CHARGED + 1) * self.price

    def document(self, payload: Any, scheme: str = "batch-settlement") -> Document:
        return {"x402Version": 2, "accepted": dict(self.offers[scheme]), "payload": payload}

    def good(self) -> Document:
        return self.document(self.wallet.payload(self.next_amount()))

    # vouchers

    def forged(self) -> Document:
        return self.document(self.wallet.payload(self.next_amount(), key=self.stranger))

    def flipped_signature(self) -> Document:
        document = self.good()
        signature = bytearray.fromhex(document["payload"]["voucher"]["signature"][2:])
        signature[self.random.randrange(64)] ^= 1 << self.random.randrange(8)
        document["payload"]["voucher"]["signature"] = "0x" + signature.hex()
        return document

    def malleable_signature(self) -> Document:
        document = self.good()
        signature = bytes.fromhex(document["payload"]["voucher"]["signature"][2:])
        s = (ORDER - int.from_bytes(signature[32:64], "big")).to_bytes(32, "big")
        other = signature[:32] + s + bytes((55 - signature[64],))
        document["payload"]["voucher"]["signature"] = "0x" + other.hex()
        return document

    def signature_for_another_amount(self) -> Document:
        document = self.good()
        more = self.next_amount() + self.random.randint(1, 10**6)
        document["payload"]["voucher"]["maxClaimableAmount"] = str(more)
        return document

    def replayed(self) -> Document:
        return self.document(self.wallet.payload(self.random.randint(1, CHARGED) * self.price))

    def too_low(self) -> Document:
        return self.document(self.wallet.payload(self.random.randint(0, self.next_amount() - 1)))

    def overspent(self) -> Document:
        return self.document(self.wallet.payload(COIN + self.random.choice([1, 10**6, 2**127])))

    def another_channel(self) -> Document:
        document = self.good()
        field = self.random.choice(list(document["payload"]["channelConfig"]))
        fresh = Key.generate().address
        changed = {"withdrawDelay": self.random.randint(901, 10**6), "salt": "0x" + "07" * 32}.get(
            field, fresh
        )
        document["payload"]["channelConfig"] = document["payload"]["channelConfig"] | {field: changed}
        return document

    def channel_without_money(self) -> Document:
        wallet = self.wallet
        config = wallet.channels.config(
            self.stranger.address, wallet.config.receiver, wallet.config.receiver_authorizer
        )
        channel_id = wallet.channels.digests.channel_id(config)
        voucher = wallet.channels.digests.sign(self.stranger, channel_id, self.price)
        return self.document(ChannelPayment("voucher", config, voucher).to_json())

    # deposits and transfers

    def deposit(self, payer: Key, amount: int, valid_before: int, signer: Key | None = None) -> Document:
        wallet = self.wallet
        config = wallet.channels.config(
            payer.address, wallet.config.receiver, wallet.config.receiver_authorizer
        )
        channel_id = wallet.channels.digests.channel_id(config)
        voucher = wallet.channels.digests.sign(payer, channel_id, self.price)
        authorization = self.chain.coin_digests.sign_deposit(
            signer or payer,
            wallet.channels.collector,
            channel_id,
            amount,
            valid_before=valid_before,
            salt=self.random.getrandbits(256),
        )
        return self.document(ChannelPayment("deposit", config, voucher, authorization).to_json())

    def expired_deposit(self) -> Document:
        return self.deposit(self.rich, 10 * self.price, int(time.time()) - self.random.randint(0, 10**6))

    def forged_deposit(self) -> Document:
        return self.deposit(self.rich, 10 * self.price, 2**40, self.stranger)

    def uncovered_deposit(self) -> Document:
        return self.deposit(self.poor, 10 * self.price, 2**40)

    def deposit_below_its_voucher(self) -> Document:
        return self.deposit(self.rich, self.random.randint(1, self.price - 1), 2**40)

    def transfer(self, **changes: Any) -> Document:
        payer: Key = changes.get("payer", self.rich)
        offer = self.offers["exact"]
        fields = {
            "from": payer.address,
            "to": changes.get("to", offer["payTo"]),
            "value": str(changes.get("value", self.price)),
            "validAfter": str(changes.get("valid_after", 0)),
            "validBefore": str(changes.get("valid_before", 2**40)),
            "nonce": "0x" + self.random.randbytes(32).hex(),
        }
        digest = self.chain.coin_digests.transfer(
            fields["from"],
            fields["to"],
            int(fields["value"]),
            valid_after=int(fields["validAfter"]),
            valid_before=int(fields["validBefore"]),
            nonce=bytes.fromhex(fields["nonce"][2:]),
        )
        signature = changes.get("signer", payer).sign(digest)
        payload = {"authorization": fields, "signature": "0x" + signature.hex()}
        return self.document(payload, "exact")

    def bad_transfer(self) -> Document:
        return self.random.choice(
            [
                lambda: self.transfer(valid_before=int(time.time()) - 1),
                lambda: self.transfer(valid_after=2**39),
                lambda: self.transfer(signer=self.stranger),
                lambda: self.transfer(value=self.price - 1),
                lambda: self.transfer(value=self.price + 1),
                lambda: self.transfer(to=self.stranger.address),
                lambda: self.transfer(payer=self.poor),
            ]
        )()

    # form

    def other_terms(self) -> Document:
        document = self.good()
        field = self.random.choice(["scheme", "network", "asset", "amount", "payTo"])
        document["accepted"][field] = self.random.choice(
            ["exact", "eip155:1", self.stranger.address, "1", "", None, 7]
        )
        return document

    def malformed(self) -> Document:
        """A random field anywhere is dropped, replaced or joined by another."""
        document: Document = json.loads(json.dumps(self.random.choice([self.good, self.transfer])()))
        places = list(self._places({name: document[name] for name in ("x402Version", "payload")}, document))
        parent, name = self.random.choice(places)
        action = self.random.choice(["drop", "replace", "add"])
        if action == "drop":
            del parent[name]
        elif action == "replace":
            parent[name] = self.random.choice([each for each in GARBAGE if each != parent[name]])
        elif parent is document:
            document["x402Version"] = 1
        else:
            parent["unknown"] = 1
        return document

    def _places(self, visible: Document, parent: Document) -> Iterator[tuple[Document, str]]:
        for name, value in visible.items():
            yield parent, name
            if isinstance(value, dict):
                yield from self._places(value, value)

    def kinds(self) -> list[Callable[[], Document]]:
        return [
            self.forged,
            self.flipped_signature,
            self.malleable_signature,
            self.signature_for_another_amount,
            self.replayed,
            self.too_low,
            self.overspent,
            self.another_channel,
            self.channel_without_money,
            self.expired_deposit,
            self.forged_deposit,
            self.uncovered_deposit,
            self.deposit_below_its_voucher,
            self.bad_transfer,
            self.other_terms,
            self.malformed,
            self.malformed,
            self.malformed,
        ]


def raw_headers(random_: random.Random) -> Iterator[bytes]:
    """What is not even base64 of JSON."""
    yield from (b"x", b"====", b"bm90IGpzb24=", b"W10=", b"MQ==", b"bnVsbA==", b"e30=", b"A" * 20_000)
    while True:
        yield base64.b64encode(random_.randbytes(random_.randint(1, 400)))


def test_a_thousand_bad_payments_change_nothing(hall: Hall, tmp_path: Path, app: Path) -> None:
    service = hall.service(Registry(tmp_path / "gateway"), f"{app}:score", inline=True)
    with hall.gateway(tmp_path / "gateway", hall.account(ether=10)) as gateway:
        wallet = Wallet(hall, gateway, service)
        for number in range(1, CHARGED + 1):
            assert wallet.send(wallet.payload(number * service.price)).status_code == 200
        forger = Forger(hall, gateway, wallet, service.price)
        block = hall.chain.block_number()
        health = httpx.get(f"{gateway.url}/health").json()
        kinds, headers = forger.kinds(), raw_headers(forger.random)
        refused: Counter[str] = Counter()
        with httpx.Client(timeout=60) as client:
            for case in range(CASES):
                if case % 20 == 19:
                    kind, header = "not a payment", next(headers)
                else:
                    make = kinds[case % len(kinds)]
                    kind, header = make.__name__, base64.b64encode(json.dumps(make()).encode())
                answer = client.post(
                    wallet.url, json={"income": 1}, headers={"PAYMENT-SIGNATURE": header.decode()}
                )
                assert 400 <= answer.status_code < 500, (kind, header, answer.status_code, answer.text)
                assert answer.headers["content-type"] == "application/problem+json"
                assert answer.json()["code"].startswith("payment."), (kind, answer.text)
                refused[kind] += 1
        assert sum(refused.values()) == CASES
        assert len(refused) >= 17
        assert wallet.charged() == CHARGED * service.price
        assert httpx.get(f"{gateway.url}/health").json() == health
        assert hall.chain.block_number() == block, "a refused payment reached the chain"
        assert hall.coins(forger.rich.address) == COIN
        assert wallet.send(wallet.payload((CHARGED + 1) * service.price)).status_code == 200
    assert hall.coins(service.till) == (CHARGED + 1) * service.price
