# SPDX-License-Identifier: Apache-2.0
"""Three agents of the small world: a baker orders flour of two mills."""

from __future__ import annotations

from koinon.agents import Address, Agent, Context, message, on


@message
class Ask:
    """How much for so many sacks?"""

    sacks: int


@message
class Quote:
    price: int


@message
class Order:
    sacks: int
    price: int


class Mill(Agent):
    """Sells flour by the sack."""

    def __init__(self, price: int) -> None:
        super().__init__()
        self.price = price

    @on(Ask, skill=True)
    def quote(self, asked: Ask, context: Context) -> Quote:
        """Ask what so many sacks cost."""
        return Quote(asked.sacks * self.price)

    @on(Order)
    def deliver(self, order: Order, context: Context) -> None:
        """Order at a price that was quoted."""
        context.memory["sold"] = context.memory.get("sold", 0) + order.sacks


class Baker(Agent):
    """Buys flour where it is cheapest."""

    def __init__(self, mills: list[str]) -> None:
        super().__init__()
        self.mills = [Address.parse(mill) for mill in mills]

    def startup(self, context: Context) -> None:
        if "asked" not in context.memory:
            context.memory["asked"] = True
            for sacks in (2, 3, 5):
                for mill in self.mills:
                    context.send(mill, Ask(sacks), session=context.new_session())

    @on(Quote)
    def consider(self, quote: Quote, context: Context) -> None:
        """Order what is cheap."""
        if quote.price <= 40:
            context.send(context.sender, Order(quote.price // 10, quote.price))
