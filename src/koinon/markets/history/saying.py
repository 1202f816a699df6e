# SPDX-License-Identifier: Apache-2.0
"""What an event says, put into the fields of `EventRow`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from koinon.markets.history.facts import MarketFacts

Fields = Mapping[str, Any]
Part = dict[str, Any]
"""Some of an `EventRow`'s fields; the rest stay empty."""

_TIER: Final = "tier "

Reader = Callable[[Fields, MarketFacts], Sequence[Part]]


def says(kind: str, **fields: str) -> Reader:
    """Each field of the row from the event's field of that name (``address``: the emitter); ``@asset`` and
    ``@asset_2`` from the market's facts."""

    def read(event: Fields, facts: MarketFacts) -> Sequence[Part]:
        part: Part = {"kind": kind}
        for name, source in fields.items():
            part[name] = getattr(facts, source[1:]) if source.startswith("@") else event[source]
        return [part]

    return read


def v2_swap(event: Fields, facts: MarketFacts) -> Sequence[Part]:
    net_0 = event["amount0_in"] - event["amount0_out"]
    net_1 = event["amount1_in"] - event["amount1_out"]
    return _swap(net_0, net_1, facts, event["sender"], event["to"])


def v3_swap(event: Fields, facts: MarketFacts) -> Sequence[Part]:
    liquidity, root = event["liquidity"], event["sqrt_price_x96"]
    rows = list(_swap(event["amount0"], event["amount1"], facts, event["sender"], event["recipient"]))
    if root and liquidity:
        rows.append(
            _reserves((liquidity << 96) // root, (liquidity * root) >> 96, facts) | {"note": "virtual"}
        )
    return rows


def _swap(net_0: int, net_1: int, facts: MarketFacts, sender: str, to: str) -> Sequence[Part]:
    """``net`` what the pair received; where it received both, a flash swap paid in both."""
    base = {"kind": "swap", "account": to, "counterparty": sender}
    if net_0 > 0 and net_1 > 0:
        return [
            base | {"asset": facts.asset, "amount": net_0, "note": "flash"},
            base | {"asset": facts.asset_2, "amount": net_1, "note": "flash"},
        ]
    paid, got = (facts.asset, facts.asset_2), (net_0, net_1)
    if net_0 <= 0:
        paid, got = paid[::-1], got[::-1]
    return [
        base | {"asset": paid[0], "amount": max(got[0], 0), "asset_2": paid[1], "amount_2": max(-got[1], 0)}
    ]


def _reserves(amount_0: int, amount_1: int, facts: MarketFacts) -> Part:
    return {
        "kind": "reserves",
        "asset": facts.asset,
        "amount": amount_0,
        "asset_2": facts.asset_2,
        "amount_2": amount_1,
    }


def sync(event: Fields, facts: MarketFacts) -> Sequence[Part]:
    return [_reserves(event["reserve0"], event["reserve1"], facts)]


def morpho_liquidation(event: Fields, facts: MarketFacts) -> Sequence[Part]:
    parts = list(
        says(
            "liquidation",
            account="borrower",
            counterparty="caller",
            asset="@asset",
            amount="repaid_assets",
            asset_2="@asset_2",
            amount_2="seized_assets",
        )(event, facts)
    )
    if event["bad_debt_assets"]:
        parts += says("bad_debt", account="borrower", asset="@asset", amount="bad_debt_assets")(event, facts)
    return parts


def pool_loan(event: Fields, facts: MarketFacts) -> Sequence[Part]:
    """A credit pool's loan drawn further, or only moved (amount 0); the note names its tier (`tier_of`)."""
    rows = lending("borrow", "borrower", "receiver", "@asset", "amount")(event, facts)
    return [{**row, "note": f"{_TIER}{event['tier']}"} for row in rows]


def tier_of(note: str) -> int | None:
    """The tier that a borrow row's note names; None where it names none."""
    number = note.removeprefix(_TIER)
    return int(number) if note.startswith(_TIER) and number.isdecimal() else None


def approval_for_all(event: Fields, _facts: MarketFacts) -> Sequence[Part]:
    return [
        {
            "kind": "approval",
            "account": event["owner"],
            "counterparty": event["operator"],
            "amount": int(event["approved"]),
        }
    ]


def authorization(event: Fields, _facts: MarketFacts) -> Sequence[Part]:
    return [
        {
            "kind": "approval",
            "account": event["authorizer"],
            "counterparty": event["authorized"],
            "amount": int(event["new_is_authorized"]),
        }
    ]


def governed(kind: str, account: str = "", amount: str = "") -> Reader:
    """A governor's event; the proposal's number becomes the note."""

    def read(event: Fields, facts: MarketFacts) -> Sequence[Part]:
        return [
            {
                "kind": kind,
                "account": event[account] if account else "",
                "asset": facts.asset,
                "amount": event[amount] if amount else 0,
                "note": str(event["proposal_id"]),
            }
        ]

    return read


def price(event: Fields, facts: MarketFacts) -> Sequence[Part]:
    """Chainlink's feeds and ours; an answer that is no price is none."""
    answer = "current" if "current" in event else "answer"
    if event[answer] <= 0:
        return []
    return says("price", asset="@asset", amount=answer, asset_2="@asset_2")(event, facts)


def nothing(_event: Fields, _facts: MarketFacts) -> Sequence[Part]:
    return []


def lending(kind: str, account: str, other: str, asset: str = "@asset", amount: str = "assets") -> Reader:
    return says(kind, account=account, counterparty=other, asset=asset, amount=amount)
