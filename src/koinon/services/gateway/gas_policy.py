# SPDX-License-Identifier: Apache-2.0
"""When claiming is worth its gas; numbers in, numbers out.

Vouchers cost nothing to hold, and claiming many at once is cheaper than one by one, so a gateway waits until
gas is a small part of what it brings in. Two things do not wait: a payer who announced a withdrawal, and a
voucher that has been held for half of its channel's withdrawal delay. What owes less than the gas of its own
row is left until it owes more, also then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

CLAIM_GAS: Final = 47_000
"""Of a claiming transaction with one row, beyond the row."""
ROW_GAS: Final = 18_500
"""Of each channel in it, at its first claim. All three as in gas.json."""
SETTLE_GAS: Final = 62_500
"""Of bringing what was claimed into one till."""
ETHER: Final = 10**18


class Owing(NamedTuple):
    """A channel that owes: ``amount`` in the coin's smallest unit, for ``age_s`` seconds; ``delay_s`` is its
    withdrawal delay, ``leaving`` whether its payer announced a withdrawal."""

    amount: int
    age_s: float
    delay_s: int
    leaving: bool
    till: str


@dataclass(frozen=True)
class GasPolicy:
    """What gas is worth.

    Parameters
    ----------
    coins_per_ether : int, optional
        In the coin's smallest unit; 0 where gas costs nothing (test networks), None where nobody said: then
        only what does not wait is claimed.
    share_percent : int
        Of what is claimed, the most that gas may be.
    """

    coins_per_ether: int | None = 0
    share_percent: int = 5

    def cost(self, gas: int, gas_price_wei: int) -> int:
        """Of so much gas, in the coin's smallest unit, rounded up."""
        return -(-gas * gas_price_wei * (self.coins_per_ether or 0) // ETHER)

    def choose(self, owing: Sequence[Owing], gas_price_wei: int, *, ripe: bool) -> list[int]:
        """Which of the channels to claim now, by their places in ``owing``.

        ``ripe`` says that enough time has passed to claim whatever is worth it.
        """
        row = self.cost(ROW_GAS, gas_price_wei)
        worth = [place for place, each in enumerate(owing) if each.amount > row]
        tills = len({owing[place].till for place in worth})
        gas = CLAIM_GAS + ROW_GAS * len(worth) + SETTLE_GAS * tills
        total = sum(owing[place].amount for place in worth)
        cheap = total * self.share_percent >= 100 * self.cost(gas, gas_price_wei)
        if worth and ripe and cheap and self.coins_per_ether is not None:
            return worth
        urgent = [
            place for place in worth if owing[place].leaving or owing[place].age_s * 2 >= owing[place].delay_s
        ]
        gas = CLAIM_GAS + ROW_GAS * len(urgent) + SETTLE_GAS * len({owing[place].till for place in urgent})
        if sum(owing[place].amount for place in urgent) > self.cost(gas, gas_price_wei):
            return urgent
        return []
