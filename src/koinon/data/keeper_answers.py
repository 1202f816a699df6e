# SPDX-License-Identifier: Apache-2.0
"""A keeper's side of complaints on chain: it answers those about contents that were left with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from koinon.chain.handle import Chain
from koinon.data.delivery import Delivery
from koinon.data.hidden_share import HiddenShare, hide_share
from koinon.data.keeper_server import Keeper
from koinon.errors import KoinonError, NodeUnavailable


@dataclass
class ComplaintDesk:
    """Answers complaints, each once, wherever it was cut off before.

    A share is given only under a promise that says what the owner signed: this Work, these keepers, these
    shares. So nobody gets a content by promising it under a Work of their own. A complaint must be ``depth``
    blocks old, where blocks can be taken back. Each answer costs the keeper gas.

    ``trouble`` is what kept it from one of them at the last look; that one waits for the next look, and
    keeps no other from being answered.
    """

    chain: Chain
    keeper: Keeper
    depth: int = 0
    trouble: KoinonError | None = field(default=None, init=False)
    _seen_up_to: int | None = field(default=None, init=False)
    _waiting: dict[int, dict[str, Any]] = field(default_factory=dict, init=False)

    def answer(self) -> list[int]:
        """Answer what waits; the grants answered, by id, the most urgent first.

        Raises NodeUnavailable; what was not answered then waits for the next call.
        """
        delivery = Delivery(self.chain)
        newest = self.chain.block_number() - self.depth
        begin = self.chain.network.start_block if self._seen_up_to is None else self._seen_up_to + 1
        if newest >= begin:
            for log in delivery.complaints(from_block=begin, to_block=newest):
                self._waiting[int(log["grant_id"])] = log
            self._seen_up_to = newest
        answered = []
        self.trouble = None
        for grant_id, log in sorted(self._waiting.items(), key=lambda item: int(item[1]["answer_until"])):
            try:
                found = self._answer_to(delivery, grant_id, log)
                if found is not None:
                    delivery.answer(self.keeper.account, grant_id, *found)
                    answered.append(grant_id)
            except NodeUnavailable:
                raise
            except KoinonError as error:
                self.trouble = error
            else:
                del self._waiting[grant_id]
        return answered

    def _answer_to(
        self, delivery: Delivery, grant_id: int, log: dict[str, Any]
    ) -> tuple[int, HiddenShare] | None:
        """This keeper's number and answer; None where none is due."""
        complaint = delivery.complaint_of(grant_id)
        if complaint is None or not complaint.open or self.chain.timestamp() > complaint.answer_until:
            return None
        promised = delivery.promise_of(complaint.promise_id)
        account = self.keeper.account.address
        if account not in promised.keepers:
            return None
        number = promised.keepers.index(account)
        if complaint.answered >> number & 1:
            return None
        left = self.keeper.share_of(promised.content_id)
        if left is None or not promised.fits(left[0], promised.content_id):
            return None
        x, y = log["keys"][number]
        return number, hide_share(left[1].value, (int(x), int(y)), grant_id, number)
