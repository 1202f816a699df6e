# SPDX-License-Identifier: Apache-2.0
"""How many units a call took: as reported, or counted from outside; never guessed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from koinon.errors import BadInput, PeerError
from koinon.services.gateway.frames import pack, unpack
from koinon.services.gateway.headroom import LIFE_S, HeadroomTokens
from koinon.services.gateway.ledger import Account, Refused
from koinon.services.gateway.metering import MOST_UNITS, Measured, Metered, count
from koinon.services.gateway.x402 import Terms
from koinon.services.selling.schema import Function, load


@pytest.mark.parametrize(
    ("unit", "measured", "seconds", "units"),
    [
        ("token", Measured(b"1", 7), 0.0, 7),
        ("second", Measured(b"1", None), 2.1, 3),
        ("second", Measured(b"1", None), 0.0, 1),
        ("second", Measured(b"1", 9), 2.1, 9),
        ("row", Measured(b"[1, 2, 3]", None), 0.0, 3),
        ("row", Measured(b"[]", None), 0.0, 0),
        ("token", Measured(b'{"usage": {"total_tokens": 42}}', None), 0.0, 42),
    ],
)
def test_units_are_reported_or_counted(unit: str, measured: Measured, seconds: float, units: int) -> None:
    assert count(unit, measured, seconds) == units


@pytest.mark.parametrize(
    ("unit", "body"),
    [
        ("row", b"3"),
        ("token", b'{"usage": {"total_tokens": "42"}}'),
        ("token", b'{"usage": {"total_tokens": true}}'),
        ("token", b'{"usage": {"total_tokens": -1}}'),
        ("token", b'{"usage": 1}'),
        ("page", b"1"),
    ],
)
def test_who_does_not_say_is_not_paid(unit: str, body: bytes) -> None:
    with pytest.raises(PeerError) as fault:
        count(unit, Measured(body, None), 1.0)
    assert fault.value.code == "service.units"


def test_units_cross_the_pipe_with_their_result() -> None:
    for measured in (Measured(b"[1]", None), Measured(b"", 0), Measured(b"{}", MOST_UNITS)):
        assert unpack(pack(measured)) == measured


def test_a_generators_parts_have_the_schema_of_what_it_yields(tmp_path: Path) -> None:
    file = tmp_path / "app.py"
    file.write_text(
        "from collections.abc import Iterator\n"
        "from koinon.services.gateway.metering import Metered\n"
        "def tell(n: int) -> Iterator[Metered[str]]:\n"
        "    for i in range(n):\n"
        "        yield Metered(str(i), units=i)\n"
    )
    function = load(f"{file}:tell")
    assert function.signature.streams
    assert function.signature.output_schema == {"type": "string"}
    assert list(function.stream(b'{"n": 3}')) == [Measured(b'"%d"' % n, n) for n in range(3)]


def lies(n: int) -> Iterator[int]:
    yield n
    yield "text"  # type: ignore[misc]


def unsaid(n: int) -> Iterator:
    yield n


def overstated(n: int) -> Metered[int]:
    return Metered(n, units=-1)


def test_parts_and_units_that_do_not_fit_are_refused() -> None:
    parts = Function(lies).stream(b'{"n": 1}')
    assert next(parts) == Measured(b"1", None)
    with pytest.raises(BadInput, match="does not fit"):
        next(parts)
    with pytest.raises(BadInput, match="what it yields"):
        Function(unsaid)
    with pytest.raises(BadInput, match="units"):
        Function(overstated).measure(b'{"n": 1}')


def test_an_account_covers_a_stream_only_as_far_as_it_was_signed() -> None:
    account = Account(balance=100)
    account.sign_ahead(30, b"signature")
    assert account.covers(30)
    assert not account.covers(31)
    assert not account.covers(30, limit=29)
    account.spend(30, 30)
    assert account.unclaimed == 30
    account.sign_ahead(20, b"older")
    assert (account.signed, account.signature) == (30, b"signature")
    with pytest.raises(Refused):
        account.sign_ahead(101, b"")
    account.give_back(10)
    assert account.charged == 20
    account.claimed = 20
    account.give_back(10)
    assert account.charged == 20, "what was claimed on chain stays charged"


def test_a_call_that_counts_nothing_leaves_its_voucher_good() -> None:
    account = Account(balance=100)
    for cost in (0, 3):
        account.check(10, 10)
        account.reserve(10, 10, b"")
        account.charge(10, 10, cost)
    assert (account.charged, account.reserved, account.floor) == (3, 0, 10)
    with pytest.raises(Refused):
        account.check(10, 1)


def test_a_token_is_the_gateways_own_and_ends() -> None:
    now = [1_000_000.0]
    tokens = HeadroomTokens(b"secret", clock=lambda: now[0])
    terms = Terms(1, "0xcoin", "coin", "1", "0xtill", 10, "0xgateway")
    token, until = tokens.issue(bytes(32), 500, terms)
    assert tokens.read(token.encode()).limit == 500
    for bad in (b"", b"x", token[:-2].encode(), b"B" + token[1:].encode(), "ü".encode()):
        with pytest.raises(Refused):
            tokens.read(bad)
    with pytest.raises(Refused):
        HeadroomTokens(b"other").read(token.encode())
    now[0] = until + 1.0
    with pytest.raises(Refused, match="ended"):
        tokens.read(token.encode())
    assert until == 1_000_000 + LIFE_S
