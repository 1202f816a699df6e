# SPDX-License-Identifier: Apache-2.0
"""A swarm as the chain has it (`Swarm.vy`). Anyone can read it, without a key.

Digests are 32 bytes, times Unix seconds, amounts in the smallest unit of the rules' token, bitmasks have one
bit a member.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from koinon.chain.address import ZERO_ADDRESS
from koinon.chain.contract import Contract
from koinon.chain.handle import Chain
from koinon.errors import NotFound, TransactionFailed
from koinon.works.bonds import Bond

MAXIMUM_MEMBERS: Final = 16
MAXIMUM_PEERS: Final = 32
NO_ROUND: Final = "swarm.no_round"
"""Code of the error where a round is not there: not yet, or not any more."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a swarm's initiator fixes for ever.

    Parameters
    ----------
    token : address
        What bonds are in.
    minimum_stake, penalty : int
        The least bond, and what a missed slot costs of it; 0 < penalty ≤ minimum_stake.
    slot_s : int
        Seconds in which one candidate may act: longer than a round of training, and several times as long as
        the chain takes for a block.
    window_s : int
        Seconds in which a proposal can be overturned: enough to aggregate again and to get into a block.
    per_node : bool
        Whether every participant submits its digest itself; otherwise one root a round is all there is.
    by_invitation : bool
        Whether only those join whom the initiator invited.
    """

    token: str
    minimum_stake: int
    penalty: int
    slot_s: int
    window_s: int
    per_node: bool = False
    by_invitation: bool = False


@dataclass(frozen=True, slots=True)
class SwarmState:
    """A run as it is now.

    Attributes
    ----------
    rounds, round, settled : int
        How many are planned; the last one proposed, one more than planned where the finish is; the last one
        that is final.
    draw : int
        How often candidates were drawn, the present ones included; 0 before the start.
    t0 : int
        When slot 0 of the present draw begins; in the future while scores are collected: they are committed
        before t0 − slot_s and revealed from then until t0.
    members, peers : int
        How many teach, and how many there are.
    """

    run_id: int
    initiator: str
    rules: Rules
    rounds: int
    round: int
    settled: int
    draw: int
    t0: int
    members: int
    peers: int
    seed: bytes

    @property
    def started(self) -> bool:
        """Whether candidates are drawn."""
        return self.draw != 0

    @property
    def scoring(self) -> bool:
        """Whether every round is final; scores and then the finish follow."""
        return self.settled == self.rounds

    def slot_at(self, second: int) -> int | None:
        """The slot of the present draw at a time; None before the first."""
        return (second - self.t0) // self.rules.slot_s if self.started and second >= self.t0 else None


@dataclass(frozen=True, slots=True)
class SwarmPeer:
    """A peer as it joined and as it stands.

    ``member`` is its place among those who teach and ``work_id`` its dataset; None and 0 where it lends
    computing only. ``certificate`` (DER) and ``url`` are what it announced, ``tip`` the last preimage it
    revealed, ``stake`` what counts of its bond, ``active`` whether it takes part (maybe from a later draw).
    """

    number: int
    account: str
    member: int | None
    work_id: int
    bond_id: int
    tip: bytes
    stake: int
    active: bool
    certificate: bytes
    url: str


@dataclass(frozen=True, slots=True)
class SwarmRound:
    """A round that was proposed and not overturned; for the finish ``model`` is its arguments' digest and
    ``updates`` the model's Work id, zero until it is published. ``stake`` was active at the proposal."""

    number: int
    updates: bytes
    model: bytes
    participants: int
    leader: str
    draw: int
    proposed_at: int
    stake: int


def swarm_contract(chain: Chain) -> Contract:
    """The network's Swarm."""
    return chain.contract("Swarm")


def read_swarm(chain: Chain, run_id: int) -> SwarmState:
    """A run; NotFound when no swarm was opened under this id."""
    found = swarm_contract(chain).call("swarm", run_id)
    initiator, rules, rounds, last, settled, draw, t0, members, peers, seed = found
    if initiator == ZERO_ADDRESS:
        raise NotFound(f"There is no swarm {run_id} on this network.", code="swarm.no_run")
    return SwarmState(
        run_id, initiator, Rules(*rules), rounds, last, settled, draw, t0, members, peers, bytes(seed)
    )


def read_peers(chain: Chain, run_id: int) -> list[SwarmPeer]:
    """Everyone who joined, in joining order; empty where nobody did."""
    contract = swarm_contract(chain)
    joined = {event["peer"]: event for event in contract.history("PeerJoined", run_id=run_id)}
    return [
        SwarmPeer(
            number,
            account,
            None if member == MAXIMUM_MEMBERS else member,
            joined[account]["work_id"],
            bond_id,
            bytes(tip),
            stake,
            active,
            bytes(joined[account]["certificate"]),
            joined[account]["url"],
        )
        for number, account, member, bond_id, tip, stake, active in contract.call("peers_of", run_id)
        if account in joined  # one that joined between the two questions is there the next time
    ]


def read_ending(chain: Chain, peers: Iterable[SwarmPeer]) -> list[str]:
    """Accounts that still take part though their bond's end is announced: `SwarmLedger.retire` them."""
    active = [one for one in peers if one.active]
    bonds = chain.contract("Bonds").call_many([("bond_of", one.bond_id) for one in active])
    return [one.account for one, bond in zip(active, bonds, strict=True) if Bond(*bond).ends_at]


def read_round(chain: Chain, run_id: int, number: int) -> SwarmRound:
    """A round; NotFound unless it was proposed and not overturned. One more than planned is the finish."""
    try:
        updates, model, *rest = swarm_contract(chain).call("round_of", run_id, number)
    except TransactionFailed as error:
        if error.reason != "no such round":
            raise
        raise NotFound(f"Swarm {run_id} has no round {number} yet.", code=NO_ROUND) from None
    return SwarmRound(number, bytes(updates), bytes(model), *rest)


def read_rounds(chain: Chain, run_id: int) -> list[SwarmRound]:
    """All rounds that stand, the first first; the finish, where proposed, is the last."""
    state = read_swarm(chain, run_id)
    answers = swarm_contract(chain).call_many(
        [("round_of", run_id, number) for number in range(1, state.round + 1)]
    )
    return [
        SwarmRound(number, bytes(updates), bytes(model), *rest)
        for number, (updates, model, *rest) in enumerate(answers, start=1)
    ]


def read_candidate(chain: Chain, run_id: int, slot: int) -> str | None:
    """Who may act in a slot of the present draw; None where nobody may."""
    found = str(swarm_contract(chain).call("candidate", run_id, slot))
    return None if found == ZERO_ADDRESS else found


def candidate_now(chain: Chain, run_id: int, second: int | None = None) -> str | None:
    """Who may act now; None where nobody may.

    Parameters
    ----------
    second : int, optional
        The time that counts as now; the latest block's when not given. The next block's is what decides.
    """
    slot = read_swarm(chain, run_id).slot_at(chain.timestamp() if second is None else second)
    return None if slot is None else read_candidate(chain, run_id, slot)


def read_submitted(chain: Chain, run_id: int) -> int:
    """Which members submitted for the next round, as a bitmask."""
    return int(swarm_contract(chain).call("submitted", run_id))


def read_digests(chain: Chain, run_id: int, number: int) -> dict[int, bytes]:
    """What each member submitted for a round, by member."""
    found = swarm_contract(chain).history("Submitted", run_id=run_id, round=number)
    return {event["member"]: bytes(event["digest"]) for event in found}


def read_scores(chain: Chain, run_id: int) -> list[int]:
    """Each member's score: the median by stake of those who revealed, 0 to 65,535; zeros where nobody did."""
    return [int(score) for score in swarm_contract(chain).call("scores", run_id)]


def read_revealed(chain: Chain, run_id: int) -> dict[str, bytes]:
    """Every account's revealed scores, 32 bytes each: sixteen big-endian uint16."""
    found = swarm_contract(chain).history("ScoresRevealed", run_id=run_id)
    return {event["peer"]: bytes(event["scores"]) for event in found}


def read_work(chain: Chain, run_id: int, account: str) -> tuple[int, int]:
    """Settled rounds that a peer aggregated, and whether (1 or 0) it revealed scores."""
    rounds, scored = swarm_contract(chain).call("work_of", run_id, account)
    return int(rounds), int(scored)
