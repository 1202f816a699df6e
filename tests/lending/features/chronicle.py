# SPDX-License-Identifier: Apache-2.0
"""Histories made of short steps, for tests of features."""

from __future__ import annotations

import hashlib
from typing import Any

from koinon.chain.address import checksum
from koinon.markets.history.facts import Facts, MarketFacts
from koinon.markets.history.history import History
from koinon.markets.history.rows import EventRow

START_S = 1_700_000_000
DAY_S = 86_400
BLOCK_S = 3_600


def role(name: str) -> str:
    return checksum(hashlib.sha256(name.encode()).digest()[:20])


DOLLAR, ETHER, FAKE = role("dollar"), role("ether"), role("worthless token")
POOL, FEED, PAIR, AAVE = role("pool"), role("feed"), role("pair"), role("aave")
FACTS = Facts(
    {
        POOL: MarketFacts(DOLLAR, ETHER, 800_000),
        FEED: MarketFacts(ETHER),
        PAIR: MarketFacts(ETHER, DOLLAR),
    },
    {DOLLAR: 6, ETHER: 18},
    units={DOLLAR},
)
CENT, MILLIETHER = 10**4, 10**15


class Chronicle:
    """Rows in the order in which they are told, one block an hour unless said otherwise."""

    def __init__(self) -> None:
        self.rows: list[EventRow] = []
        self.block = 0

    def wait(self, days: float = 0, blocks: int = 0) -> Chronicle:
        self.block += blocks + int(days * DAY_S / BLOCK_S)
        return self

    def tell(self, kind: str, account: str = "", counterparty: str = "", **fields: Any) -> Chronicle:
        contract = fields.pop("contract", POOL)
        here = [row for row in self.rows if row.block_number == self.block]
        values: dict[str, Any] = {
            "block_number": self.block,
            "log_index": len(here),
            "position": 0,
            "timestamp": START_S + BLOCK_S * self.block,
            "block_hash": "0x" + hashlib.sha256(b"%d" % self.block).hexdigest(),
            "transaction_hash": "",
            "kind": kind,
            "protocol": "morpho-blue",
            "contract": contract,
            "market": contract,
            "account": role(account) if account else "",
            "counterparty": role(counterparty) if counterparty else "",
            "asset": "",
            "amount": 0,
            "asset_2": "",
            "amount_2": 0,
            "note": "",
        }
        self.rows.append(EventRow(**{**values, **fields}))
        return self

    def price(self, dollars: float) -> Chronicle:
        return self.tell("price", contract=FEED, asset=ETHER, amount=round(dollars * 10**8))

    def reserves(self, ether: float, dollars: float) -> Chronicle:
        amounts: dict[str, Any] = {"amount": round(ether * 10**18), "amount_2": round(dollars * 10**6)}
        return self.tell("reserves", contract=PAIR, asset=ETHER, asset_2=DOLLAR, **amounts)

    def pay(self, sender: str, receiver: str, dollars: float, token: str = DOLLAR) -> Chronicle:
        return self.tell(
            "transfer", sender, receiver, contract=token, asset=token, amount=round(dollars * 10**6)
        )

    def pledge(self, who: str, ether: float, payer: str = "") -> Chronicle:
        return self.tell("deposit_collateral", who, payer or who, asset=ETHER, amount=round(ether * 10**18))

    def borrow(self, who: str, dollars: float) -> Chronicle:
        return self.tell("borrow", who, who, asset=DOLLAR, amount=round(dollars * 10**6))

    def repay(self, who: str, dollars: float, payer: str = "") -> Chronicle:
        return self.tell("repay", who, payer or who, asset=DOLLAR, amount=round(dollars * 10**6))

    def liquidate(self, who: str, dollars: float, ether: float) -> Chronicle:
        amounts: dict[str, Any] = {"amount": round(dollars * 10**6), "amount_2": round(ether * 10**18)}
        return self.tell("liquidation", who, "liquidator", asset=DOLLAR, asset_2=ETHER, **amounts)

    def history(self) -> History:
        return History.of(self.rows, FACTS)
