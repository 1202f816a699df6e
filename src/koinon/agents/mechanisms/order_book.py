# SPDX-License-Identifier: Apache-2.0
"""A continuous double auction: a limit order book with price-time priority.

An order trades at once with what rests on the other side at its limit or better, best price first and of one
price the oldest first, at the price of the resting order; the rest of it stays. Orders of one owner never
trade with each other: the resting one is withdrawn.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from koinon.errors import BadInput, NotFound

Side = Literal["buy", "sell"]
_OTHER: Final[dict[Side, Side]] = {"buy": "sell", "sell": "buy"}


@dataclass(frozen=True)
class Fill:
    """A trade of ``quantity`` units at ``price`` each; order numbers and owners of both sides."""

    buy: int
    sell: int
    buyer: str
    seller: str
    price: int
    quantity: int


@dataclass(frozen=True)
class Placed:
    """What came of an order.

    Attributes
    ----------
    number : int
        The order's own, rising.
    fills : tuple of Fill
    resting : int
        Units that wait in the book.
    withdrawn : tuple of int
        Resting orders of the same owner that stood in its way.
    """

    number: int
    fills: tuple[Fill, ...]
    resting: int
    withdrawn: tuple[int, ...]


@dataclass
class _Resting:
    number: int
    side: Side
    owner: str
    price: int
    quantity: int
    expires: float | None


class OrderBook:
    """The book of one good. Prices and quantities are integers; ``now`` is the caller's clock."""

    def __init__(self) -> None:
        self._orders: dict[int, _Resting] = {}
        self._queues: dict[Side, list[tuple[int, int]]] = {"buy": [], "sell": []}
        self._next = 1

    @classmethod
    def resumed(cls, orders: Mapping[int, Sequence[Any]], following: int) -> OrderBook:
        """A book as it was: what `resting` gave, and the number that the next order gets."""
        book = cls()
        book._next = following
        for number, (side, owner, price, quantity, expires) in orders.items():
            book._rest(_Resting(number, side, owner, price, quantity, expires))
        return book

    def resting(self) -> dict[int, list[Any]]:
        """Side, owner, price, quantity and end of every order in the book, by number."""
        return {
            order.number: [order.side, order.owner, order.price, order.quantity, order.expires]
            for order in self._orders.values()
        }

    def place(
        self,
        side: Side,
        owner: str,
        price: int,
        quantity: int,
        *,
        now: float = 0.0,
        expires: float | None = None,
        rest: bool = True,
    ) -> Placed:
        """Trade what can be traded, and rest with what remains unless ``rest`` is false.

        Raises BadInput where side, price (≥ 0) or quantity (≥ 1) are none, or the order has expired.
        """
        if side not in _OTHER or price < 0 or quantity < 1 or (expires is not None and expires <= now):
            raise BadInput(
                "This is no order.",
                hint="buy or sell, a price of 0 or more, a quantity of 1 or more, an end in the future.",
                code="agents.order",
            )
        number, self._next = self._next, self._next + 1
        fills: list[Fill] = []
        withdrawn: list[int] = []
        while quantity and (best := self._best(_OTHER[side], now)) is not None:
            if best.price > price if side == "buy" else best.price < price:
                break
            if best.owner == owner:
                withdrawn.append(best.number)
                del self._orders[best.number]
                continue
            traded = min(quantity, best.quantity)
            pair = (number, best.number) if side == "buy" else (best.number, number)
            owners = (owner, best.owner) if side == "buy" else (best.owner, owner)
            fills.append(Fill(*pair, *owners, best.price, traded))
            quantity -= traded
            best.quantity -= traded
            if not best.quantity:
                del self._orders[best.number]
        if quantity and rest:
            self._rest(_Resting(number, side, owner, price, quantity, expires))
        return Placed(number, tuple(fills), quantity if rest else 0, tuple(withdrawn))

    def cancel(self, number: int, owner: str) -> int:
        """Take an order out of the book; how many units were left. NotFound where the owner has none."""
        found = self._orders.get(number)
        if found is None or found.owner != owner:
            raise NotFound(f"There is no order {number} of yours in the book.", code="agents.order_gone")
        del self._orders[number]
        return found.quantity

    def best(self, side: Side, now: float = 0.0) -> int | None:
        """The best price of a side, or None where it is empty."""
        found = self._best(side, now)
        return None if found is None else found.price

    def depth(self, side: Side, now: float = 0.0) -> list[tuple[int, int]]:
        """Price and units of each level, best first."""
        levels: dict[int, int] = {}
        for order in self._orders.values():
            if order.side == side and not _over(order, now):
                levels[order.price] = levels.get(order.price, 0) + order.quantity
        return sorted(levels.items(), reverse=side == "buy")

    def _rest(self, order: _Resting) -> None:
        self._orders[order.number] = order
        rank = -order.price if order.side == "buy" else order.price
        heapq.heappush(self._queues[order.side], (rank, order.number))

    def _best(self, side: Side, now: float) -> _Resting | None:
        queue = self._queues[side]
        while queue:
            found = self._orders.get(queue[0][1])
            if found is not None and not _over(found, now):
                return found
            heapq.heappop(queue)
            if found is not None:
                del self._orders[found.number]
        return None


def _over(order: _Resting, now: float) -> bool:
    return order.expires is not None and order.expires <= now
