# SPDX-License-Identifier: Apache-2.0
"""A prepaid token keeps the price that was agreed to: at the gateway, and at whoever pays with it."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import httpx
import pytest

from koinon.chain.hashing import keccak256
from koinon.errors import IntegrityError, PaymentError
from koinon.services.buying.prepaid import Prepaid
from koinon.services.buying.streaming import StreamingBuyer
from koinon.services.buying.transport import Http, Response
from koinon.services.gateway.headroom import Headroom, HeadroomTokens
from koinon.services.gateway.ledger import Refused
from koinon.services.gateway.registry import Registry, Service
from koinon.services.gateway.x402 import Terms
from tests.services.lying import Asked, open_proxy, rewritten
from tests.services.support import COIN, GatewayProcess, Hall

PRICE = 100
TERMS = Terms(1, "0xcoin", "coin", "1", "0xtill", 6 * PRICE, "0xgateway", unit="row", unit_price=PRICE)


def test_a_token_says_what_was_agreed_to_and_takes_nothing_dearer() -> None:
    tokens = HeadroomTokens(b"secret", clock=lambda: 1_000_000.0)
    headroom = tokens.read(tokens.issue(keccak256(b"channel"), 2**100, TERMS)[0].encode())
    assert headroom == Headroom(keccak256(b"channel"), 2**100, 6 * PRICE, PRICE, 1_003_600)
    headroom.check_price(TERMS)
    headroom.check_price(replace(TERMS, price=PRICE, unit_price=1))
    for dearer in (
        replace(TERMS, price=6 * PRICE + 1),
        replace(TERMS, price=PRICE, unit_price=PRICE + 1),
    ):
        with pytest.raises(Refused, match="signed for"):
            headroom.check_price(dearer)


def test_nobody_raises_the_price_in_a_token() -> None:
    tokens = HeadroomTokens(b"secret")
    token = bytearray(base64.urlsafe_b64decode(tokens.issue(bytes(32), 500, TERMS)[0]))
    token[48] ^= 1
    with pytest.raises(Refused, match="not of this gateway"):
        tokens.read(base64.urlsafe_b64encode(bytes(token)))


@pytest.fixture(scope="module")
def served(
    hall: Hall, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[GatewayProcess, Registry, dict[str, Service]]]:
    folder = tmp_path_factory.mktemp("prices")
    app = folder / "app.py"
    app.write_text(
        "from collections.abc import Iterator\n\n\n"
        "def double(number: int) -> int:\n    return 2 * number\n\n\n"
        "def tell(count: int) -> Iterator[int]:\n    yield from range(count)\n"
    )
    registry = Registry(folder / "gateway")
    services = {
        "double": hall.service(registry, f"{app}:double", price=PRICE),
        "tell": hall.service(registry, f"{app}:tell", price=PRICE, unit="part", most_units=4),
    }
    with hall.gateway(folder / "gateway", hall.account(ether=10)) as gateway:
        yield gateway, registry, services


def reprice(gateway: GatewayProcess, registry: Registry, service: Service, price: int) -> None:
    """Change a service's price and wait until its gateway asks it."""
    registry.change(service.work_id, lambda found: replace(found, price=price))
    deadline = time.monotonic() + 120
    while httpx.get(gateway.address(service), timeout=60).json()["price"]["amount"] != str(price):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.e2e
def test_a_rise_is_not_paid_without_asking_and_what_was_paid_is_still_answered(
    hall: Hall, served: tuple[GatewayProcess, Registry, dict[str, Service]]
) -> None:
    gateway, registry, services = served
    service, telling = services["double"], services["tell"]
    url, payer = gateway.address(service), hall.account(coins=COIN)
    with (
        StreamingBuyer(hall.chain, payer, spending_limit=COIN) as buyer,
        closing(Http()) as http,
    ):
        prepaid = buyer.sign_ahead(url, 20 * PRICE)
        ahead = buyer.sign_ahead(gateway.address(telling), 20 * PRICE)
        assert prepaid.call(http, {"number": 4}, number="paid").charged == PRICE
        reprice(gateway, registry, service, 3 * PRICE)
        reprice(gateway, registry, telling, 3 * PRICE)
        for refused, arguments in ((prepaid, {"number": 4}), (ahead, {"count": 1})):
            with pytest.raises(PaymentError) as error:
                refused.call(http, arguments)
            assert error.value.code == "payment.headroom_price"
        assert prepaid.call(http, {"number": 4}, number="paid").result == 8, "it is paid already"
        reprice(gateway, registry, service, PRICE // 2)
        assert prepaid.call(http, {"number": 4}).charged == PRICE // 2
    with StreamingBuyer(hall.chain, payer, spending_limit=0) as later:
        assert later.channel(url).charged == PRICE + PRICE // 2


@pytest.mark.e2e
def test_a_gateway_that_says_it_charged_more_is_not_believed(
    hall: Hall, served: tuple[GatewayProcess, Registry, dict[str, Service]]
) -> None:
    gateway, registry, services = served
    reprice(gateway, registry, services["double"], PRICE)
    with (
        open_proxy(gateway.url) as proxy,
        closing(Http()) as http,
        StreamingBuyer(hall.chain, hall.account(coins=COIN), spending_limit=COIN) as buyer,
    ):
        url = f"{proxy.url}/services/{services['double'].work_id}"
        prepaid: Prepaid = buyer.sign_ahead(url, 20 * PRICE)

        def dearer(_: Asked, answer: Response) -> Response:
            def more(said: dict[str, Any]) -> None:
                said["extra"]["chargedAmount"] = str(PRICE + 1)

            return rewritten(answer, "payment-response", more)

        proxy.after = dearer
        with pytest.raises(IntegrityError) as error:
            prepaid.call(http, {"number": 4})
        assert error.value.code == "payment.false_account"
