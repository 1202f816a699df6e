# SPDX-License-Identifier: Apache-2.0
"""A market that is always open: a continuous double auction of one good, kept by an agent.

The book is rebuilt from the agent's memory, so it outlives the process; an order and what it traded with are
written in one transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final

from pydantic import Field

from koinon.agents.address import Address
from koinon.agents.behaviour import Protocol, on
from koinon.agents.context import Context
from koinon.agents.mechanisms import OrderBook
from koinon.agents.message import message
from koinon.agents.protocols.terms import Amount, Moment, Quantity, Reason
from koinon.errors import KoinonError


@message
class PlaceOrder:
    """``expires``: until when it may rest, Unix seconds; 0 for never."""

    buys: bool
    price: Amount
    quantity: Quantity
    expires: Moment = 0


@message
class OrderPlaced:
    """``resting``: units that wait in the book under this number."""

    number: Annotated[int, Field(ge=1)]
    resting: Annotated[int, Field(ge=0)]


@message
class Trade:
    """To both sides of each trade: what they did, under which of their orders, with whom."""

    number: Annotated[int, Field(ge=1)]
    buys: bool
    price: Amount
    quantity: Quantity
    partner: str


@message
class CancelOrder:
    number: Annotated[int, Field(ge=1)]


@message
class OrderGone:
    """An order left the book with this many units untraded."""

    number: Annotated[int, Field(ge=1)]
    quantity: Annotated[int, Field(ge=0)]


@message
class OrderRefused:
    reason: Reason


class ContinuousAuction(Protocol):
    name = "continuous-auction"
    messages = (PlaceOrder, OrderPlaced, Trade, CancelOrder, OrderGone, OrderRefused)


MOST_RESTING: Final = 200
"""Orders that one owner may have in the book."""

MOST_ORDERS: Final = 5_000
"""Orders in the book, of all owners."""

MOST_FILLS: Final = 400
"""Orders that one order may meet: both sides of each trade are told, within what a handler may send."""


class Market(ContinuousAuction):
    """Keeps the book; ``traded(context, buyer, seller, price, quantity)`` after each trade."""

    def __init__(
        self,
        traded: Callable[[Context, Address, Address, int, int], None] = lambda *_trade: None,
    ) -> None:
        self._traded = traded

    @on(PlaceOrder)
    def place(self, order: PlaceOrder, context: Context) -> OrderPlaced | OrderRefused:
        orders = {int(number): row for number, row in context.memory.items() if number.isdigit()}
        owner = str(context.sender)
        if sum(row[1] == owner for row in orders.values()) >= MOST_RESTING:
            return OrderRefused(f"At most {MOST_RESTING} orders rest for one owner.")
        if len(orders) >= MOST_ORDERS:
            return OrderRefused("The book is full.")
        book = OrderBook.resumed(orders, int(context.memory.get("next", 1)))
        try:
            placed = book.place(
                "buy" if order.buys else "sell",
                owner,
                order.price,
                order.quantity,
                now=context.now,
                expires=order.expires or None,
            )
        except KoinonError as error:
            return OrderRefused(error.message[:400])
        if len(placed.fills) + len(placed.withdrawn) > MOST_FILLS:
            return OrderRefused(f"It would meet more than {MOST_FILLS} orders at once; place a smaller one.")
        after = book.resting()
        for number in orders.keys() - after.keys():
            del context.memory[str(number)]
        for number, row in after.items():
            if orders.get(number) != row:
                context.memory[str(number)] = row
        context.memory["next"] = placed.number + 1
        for fill in placed.fills:
            for number, buys, one, other in (
                (fill.buy, True, fill.buyer, fill.seller),
                (fill.sell, False, fill.seller, fill.buyer),
            ):
                context.send(Address.parse(one), Trade(number, buys, fill.price, fill.quantity, other))
            self._traded(
                context, Address.parse(fill.buyer), Address.parse(fill.seller), fill.price, fill.quantity
            )
        for number in placed.withdrawn:
            context.send(context.sender, OrderGone(number, orders[number][3]))
        return OrderPlaced(placed.number, placed.resting)

    @on(CancelOrder)
    def cancel(self, order: CancelOrder, context: Context) -> OrderGone | OrderRefused:
        row = context.memory.get(str(order.number))
        if row is None or row[1] != str(context.sender):
            return OrderRefused(f"There is no order {order.number} of yours in the book.")
        del context.memory[str(order.number)]
        return OrderGone(order.number, row[3])


class Trader(ContinuousAuction):
    """Places orders with a market it trusts to keep its book by the rule.

    ``traded(context, trade)`` for each trade, ``told(context, message)`` for every other answer.
    """

    def __init__(
        self,
        market: Address,
        traded: Callable[[Context, Trade], None],
        told: Callable[[Context, OrderPlaced | OrderGone | OrderRefused], None] = lambda *_told: None,
    ) -> None:
        self._market, self._traded, self._told = market, traded, told

    def place(self, context: Context, *, buys: bool, price: int, quantity: int, expires: int = 0) -> None:
        """Send an order to the market."""
        context.of(self).send(self._market, PlaceOrder(buys, price, quantity, expires))

    def cancel(self, context: Context, number: int) -> None:
        """Ask for an order to be taken out of the book."""
        context.of(self).send(self._market, CancelOrder(number))

    @on(Trade)
    def trade(self, trade: Trade, context: Context) -> None:
        if context.sender == self._market:
            self._traded(context, trade)

    @on(OrderPlaced)
    def placed(self, placed: OrderPlaced, context: Context) -> None:
        self._heard(placed, context)

    @on(OrderGone)
    def gone(self, gone: OrderGone, context: Context) -> None:
        self._heard(gone, context)

    @on(OrderRefused)
    def refused(self, refused: OrderRefused, context: Context) -> None:
        self._heard(refused, context)

    def _heard(self, told: OrderPlaced | OrderGone | OrderRefused, context: Context) -> None:
        if context.sender == self._market:
            self._told(context, told)
