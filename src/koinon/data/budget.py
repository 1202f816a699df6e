# SPDX-License-Identifier: Apache-2.0
"""What may be learnt from a dataset, and what was: `PrivacyBudget.vy`.

Epsilon is counted on chain in millionths. What is spent is rounded up, so that the chain never says less
than was spent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from koinon.chain.account import Account
from koinon.chain.contract import Call
from koinon.chain.handle import Chain
from koinon.errors import BadInput, PaymentError

MILLION: Final = 1_000_000
_LARGEST: Final = 2**64 - 1


@dataclass(frozen=True, slots=True)
class BudgetState:
    """A budget in millionths of epsilon; ``announced`` a higher total that can count from ``from_second``.

    ``opened`` whether a total was ever set.
    """

    total: int
    spent: int
    announced: int
    from_second: int
    opened: bool

    @property
    def left(self) -> int:
        return self.total - self.spent


def micro(epsilon: float) -> int:
    """Epsilon in millionths, rounded up. BadInput when it is no number from 0 to 2^64 millionths."""
    if not math.isfinite(epsilon) or not 0 <= epsilon * MILLION <= _LARGEST:
        raise BadInput(f"An epsilon of {epsilon} cannot be counted.", code="data.epsilon")
    return math.ceil(round(epsilon * MILLION, 3))


class PrivacyBudget:
    """The budgets of a network's datasets. What sends takes the key that pays; errors as in `Sender.send`."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.contract = chain.contract("PrivacyBudget")

    def of(self, work_id: int) -> BudgetState:
        """A dataset's budget; all zero where none was set."""
        return BudgetState(*self.contract.call("budget_of", work_id))

    def set_total(self, owner: Account, work_id: int, epsilon: float) -> BudgetState:
        """Set the first or a lower total at once, announce a higher one; what stands then."""
        self._send(owner, self.contract.transaction("set_total", work_id, micro(epsilon)))
        return self.of(work_id)

    def raise_total(self, owner: Account, work_id: int) -> BudgetState:
        """Put an announced total in force after its week."""
        self._send(owner, self.contract.transaction("raise_total", work_id))
        return self.of(work_id)

    def name_operator(self, owner: Account, work_id: int, operator: str, named: bool = True) -> None:
        """Let an account run a node of the dataset: spend of its budget and deliver its jobs."""
        self._send(owner, self.contract.transaction("name_operator", work_id, operator, named))

    def may_act(self, work_id: int, account: str) -> bool:
        """Whether an account may run the dataset's node."""
        return bool(self.contract.call("may_act", work_id, account))

    def spent_by(self, work_id: int, job: bytes) -> int:
        """What a job has spent, in millionths; 0 for nothing."""
        return int(self.contract.call("spent_by", work_id, job))

    def spend(self, operator: Account, work_id: int, job: bytes, epsilon: float) -> None:
        """Enter what a job spends; done before for the same amount, it does nothing.

        Raises
        ------
        PaymentError
            Less is left, or the job has spent another amount.
        """
        wanted = micro(epsilon)
        if wanted == 0:
            return
        before = self.spent_by(work_id, job)
        if before == wanted:
            return
        if before or self.of(work_id).left < wanted:
            raise PaymentError(
                f"The privacy budget of Work {work_id} does not allow epsilon {epsilon:g} for this.",
                hint="See what is left with: koinon data show",
                code="data.budget_exhausted",
            )
        self._send(operator, self.contract.transaction("spend", work_id, job, wanted))

    def _send(self, key: Account, call: Call) -> None:
        self.chain.sender(key).send(call)
