# SPDX-License-Identifier: Apache-2.0
"""Takeovers of governance: votes with tokens bought or borrowed just before, proposals executed at once.

Beanstalk lost 182 million dollars on 17 April 2022 to a vote and its execution in the one transaction that
had borrowed the votes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from koinon.markets.history.rows import EventRow
from koinon.watch.monitors.remembering import Recent, Window
from koinon.watch.monitors.sightings import ACT, NOW, Sighting, Transaction

DAY_S: Final = 86_400


@dataclass
class _Proposal:
    made_at: int = -1
    total: int = 0
    votes: Window[EventRow] = field(default_factory=lambda: Window(365 * DAY_S, 20))


class Governance:
    """Parameters
    ----------
    window_s : int
        What a voter received within so many seconds before its vote is bought or borrowed for it.
    bought : float
        Share of its weight.
    weight : float
        Share of all weight cast so far from which on a vote matters.
    delay_s : int
        A proposal that is executed sooner after it was made is an alert, in seconds.

    Weight that others delegate moves no tokens and is not seen.
    """

    name = "governance"

    def __init__(
        self, *, window_s: int = 2 * DAY_S, bought: float = 0.5, weight: float = 0.2, delay_s: int = DAY_S
    ) -> None:
        self._bought, self._weight, self._delay_s = bought, weight, delay_s
        self._received: Recent[tuple[str, str], Window[EventRow]] = Recent(lambda: Window(window_s, 200))
        self._proposals: Recent[tuple[str, str], _Proposal] = Recent(_Proposal, 2_000)

    def see(self, seen: Transaction) -> list[Sighting]:
        """Count what moves, and look at votes and executions."""
        found = []
        for row in seen.rows:
            if row.kind == "transfer":
                token = row.asset or row.contract
                for account in (row.account, row.counterparty):
                    self._received[account, token].add(row.timestamp, row)
            elif row.kind == "proposal":
                self._proposals[row.contract, row.note].made_at = row.timestamp
            elif row.kind == "vote":
                found += self._voted(row, seen)
            elif row.kind == "execution":
                found += self._executed(row, seen)
        return found

    def _voted(self, row: EventRow, seen: Transaction) -> list[Sighting]:
        proposal = self._proposals[row.contract, row.note]
        proposal.total += row.amount
        proposal.votes.add(row.timestamp, row)
        moves = self._received.get((row.account, row.asset))
        if moves is None or not row.amount or row.amount < self._weight * proposal.total:
            return []
        moves.forget(row.timestamp)
        net = sum(each.amount if each.counterparty == row.account else -each.amount for each in moves)
        if net < self._bought * row.amount:
            return []
        at_once = any(each.transaction_hash == row.transaction_hash for each in moves)
        share = min(1.0, net / row.amount)
        why = f"{row.account} votes on proposal {row.note} of {row.contract}; {share:.0%} of the weight came "
        why += "in the same transaction." if at_once else "shortly before."
        return [
            Sighting.of(
                self.name,
                f"vote {row.contract} {row.note} {row.account}",
                NOW if at_once else ACT,
                why,
                seen,
                accounts=[row.account, *(each.account for each in moves), row.contract],
                rows=[*moves, row],
            )
        ]

    def _executed(self, row: EventRow, seen: Transaction) -> list[Sighting]:
        proposal = self._proposals[row.contract, row.note]
        with_votes = [
            each for each in seen.of_kind("vote") if (each.contract, each.note) == (row.contract, row.note)
        ]
        soon = proposal.made_at >= 0 and row.timestamp - proposal.made_at < self._delay_s
        if not with_votes and not soon:
            return []
        why = f"Proposal {row.note} of {row.contract} was executed "
        if with_votes:
            why += "in the same transaction as a vote for it."
        else:
            why += f"{row.timestamp - proposal.made_at} seconds after it was made."
        return [
            Sighting.of(
                self.name,
                f"execution {row.contract} {row.note}",
                NOW if with_votes else ACT,
                why,
                seen,
                accounts=[row.contract, *(each.account for each in proposal.votes)],
                rows=[*proposal.votes, row],
            )
        ]
