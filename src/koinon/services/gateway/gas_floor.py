# SPDX-License-Identifier: Apache-2.0
"""What a deposit must be worth, and a channel have paid before it is refunded: the gateway pays gas for both.

Without it anybody with a few coins makes a gateway burn its ether: by deposits of one unit, or by depositing
the same coins and having them refunded again and again. Coins that lie in a channel cannot be deposited a
second time, and whoever takes them out without the gateway pays the gas of that. Where gas costs nothing, or
nobody said what it costs, nothing is asked.
"""

from __future__ import annotations

from typing import Final

from koinon.services.gateway.gas_policy import CLAIM_GAS, ROW_GAS, GasPolicy
from koinon.services.gateway.ledger import BELOW_LEAST_DEPOSIT, Refused, refuse

DEPOSIT_GAS: Final = 131_500
"""Of a deposit that opens a channel; as in gas.json."""
REFUND_GAS: Final = CLAIM_GAS + ROW_GAS + 72_800
"""Of a refund and the claim before it."""


class GasFloor:
    """Both amounts, in the coin's smallest unit, at the gas price last looked at; 0 before the first look.

    Parameters
    ----------
    policy : GasPolicy
        Its share says how many times its gas a deposit must be worth: 20 times at 5 percent.
    """

    def __init__(self, policy: GasPolicy) -> None:
        self.policy = policy
        self.least_deposit = 0
        self.round_trip = 0

    def look(self, gas_price_wei: int) -> bool:
        """Take a gas price over; whether the least deposit changed. It stays while gas moves by less than a
        quarter up or a half down, so that a deposit signed a moment ago is not refused."""
        policy = self.policy
        self.round_trip = policy.cost(DEPOSIT_GAS + REFUND_GAS, gas_price_wei)
        needed = -(-100 * policy.cost(DEPOSIT_GAS, gas_price_wei) // policy.share_percent)
        if needed <= self.least_deposit <= 2 * needed:
            return False
        self.least_deposit = -(-5 * needed // 4)
        return True

    def check_deposit(self, amount: int) -> None:
        """Raises Refused for a deposit that is not worth its gas."""
        if amount < self.least_deposit:
            raise Refused(
                BELOW_LEAST_DEPOSIT,
                f"A deposit of {amount} is not worth its gas: the least is {self.least_deposit}.",
                hint=f"Deposit at least {self.least_deposit}, as minDeposit says.",
            )

    def check_refund(self, charged: int, refunds: int) -> None:
        """Raises Refused where what a channel was ever charged does not cover the gas of its deposits and
        refunds: ``refunds`` before this one."""
        due = (refunds + 1) * self.round_trip
        if charged < due:
            raise refuse(
                "refund_not_earned",
                f"A refund costs gas, and the channel has paid {charged} of the {due} that cover it.",
                "Go on calling, or withdraw on chain without the gateway (initiateWithdraw).",
            )
