# SPDX-License-Identifier: Apache-2.0
"""A swarm as a run's page shows it: who opened it, who led which round, and what its peers lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


class Index(Protocol):
    """What is read of the event index."""

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]: ...


@dataclass(frozen=True)
class PeerView:
    """A peer. ``work_id`` is its dataset's Work, 0 where it lends computing only; ``led`` how many rounds
    that stand it proposed, ``missed`` how many turns it let pass, ``lost`` what of its bond is lost, in the
    smallest unit of the bonds' coin."""

    account: str
    work_id: int
    led: int
    missed: int
    lost: int


@dataclass(frozen=True)
class SwarmView:
    """A swarm. ``rounds`` has leader and participants (a bit a member) of each proposal that stands."""

    initiator: str
    peers: tuple[PeerView, ...]
    rounds: Mapping[int, tuple[str, int]]

    @property
    def participants(self) -> Mapping[int, int]:
        """Who is in each round, a bit a member."""
        return {number: members for number, (_, members) in self.rounds.items()}


def swarm_view(index: Index, run_id: int) -> SwarmView | None:
    """A run of a network whose index has the contract Swarm; None where the run is no swarm's."""

    def rows(table: str, columns: str) -> list[dict[str, Any]]:
        order = "ORDER BY block_number, log_index"
        sql = f"SELECT block_number, log_index, {columns} FROM {table} WHERE run_id = ? {order}"  # noqa: S608  (our names)
        return index.rows(sql, (run_id,))

    opened = rows("swarm_swarm_opened", "initiator")
    if not opened:
        return None
    overturned = rows("swarm_overturned", "round, leader, amount, 0 AS participants")
    rounds: dict[int, tuple[str, int]] = {}
    proposals = rows("swarm_proposed", "round, leader, participants, NULL AS amount")
    for one in sorted(proposals + overturned, key=lambda row: (row["block_number"], row["log_index"])):
        if one["amount"] is None:
            rounds[int(one["round"])] = (str(one["leader"]), int(one["participants"]))
        else:  # what was built on it falls too
            rounds = {number: led for number, led in rounds.items() if number < int(one["round"])}
    missed = rows("swarm_missed", "peer, amount")
    lost = [(str(one["peer"]), int(one["amount"])) for one in missed]
    lost += [(str(one["leader"]), int(one["amount"])) for one in overturned]
    peers = [
        PeerView(
            account := str(joined["peer"]),
            int(joined["work_id"]),
            led=sum(leader == account for leader, _ in rounds.values()),
            missed=sum(one["peer"] == account for one in missed),
            lost=sum(amount for loser, amount in lost if loser == account),
        )
        for joined in rows("swarm_peer_joined", "peer, work_id")
    ]
    return SwarmView(str(opened[0]["initiator"]), tuple(peers), rounds)
