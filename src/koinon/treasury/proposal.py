# SPDX-License-Identifier: Apache-2.0
"""What an allocator proposes: wanted weights, brought within a vault's bounds, with the least each trade may
bring. Nothing is sent here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from koinon.chain.handle import Chain
from koinon.errors import BadInput
from koinon.treasury.allocation.projection import Box, project, to_bps
from koinon.treasury.vault import KEEP, SLOTS, WHOLE_BPS, Kind, Slot, VaultState

TOLERANCE_BPS: Final = 30
"""How much less than the pair would give now a trade may bring, by default."""

SMALLEST_BPS: Final = 5
"""Moves of less than this part of the vault are not worth a trade."""

PAIR_FEE: Final = (997, 1_000)


@dataclass(frozen=True)
class Move:
    """One trade: ``amount`` of the asset's smallest unit is bought (or sold, below 0) at the present price;
    it is expected to bring ``expected`` of what comes in, and must bring ``least``."""

    slot: Slot
    before_bps: int
    wanted_bps: int
    target_bps: int
    amount: int
    expected: int
    least: int


@dataclass(frozen=True)
class Proposal:
    """A rebalancing within bounds. ``turnover`` and ``left`` parts of what is held: what it takes of this
    epoch's turnover, and what there was."""

    vault: str
    moves: tuple[Move, ...]
    kept: tuple[str, ...]
    turnover: float
    left: float

    @property
    def targets(self) -> list[int]:
        """For each slot its target in 1e-4, or KEEP."""
        found = [KEEP] * SLOTS
        for move in self.moves:
            found[move.slot.number] = move.target_bps
        return found

    @property
    def least(self) -> list[int]:
        """For each slot what its trade must bring."""
        found = [0] * SLOTS
        for move in self.moves:
            found[move.slot.number] = move.least
        return found

    def to_dict(self) -> dict[str, Any]:
        """For a JSON document."""
        return {
            "vault": self.vault,
            "turnover": self.turnover,
            "turnover_left": self.left,
            "kept": list(self.kept),
            "moves": [
                {
                    "slot": move.slot.number,
                    "symbol": move.slot.symbol,
                    "before_bps": move.before_bps,
                    "wanted_bps": move.wanted_bps,
                    "target_bps": move.target_bps,
                    "amount": move.amount,
                    "expected": move.expected,
                    "least": move.least,
                }
                for move in self.moves
            ],
        }


def propose(
    chain: Chain, state: VaultState, wanted: Mapping[int, float], *, tolerance_bps: int = TOLERANCE_BPS
) -> Proposal:
    """The nearest rebalancing to wanted weights that the vault's bounds and turnover allow.

    Parameters
    ----------
    chain : Chain
        Where pairs are asked what they would give.
    state : VaultState
    wanted : mapping of int to float
        Slot number to its part of what is held; slots that are not named stay as they are.
    tolerance_bps : int
        How much less than pairs would give now is still taken.

    Raises
    ------
    BadInput
        The weights are no parts of a whole, the vault does not allocate now, or nothing is allowed.
    """
    _check(state, wanted, tolerance_bps)
    slots = {slot.number: slot for slot in state.slots}
    held = np.array([slots[n].worth / state.gross if n in slots else 0.0 for n in range(SLOTS)])
    asked = np.array([wanted.get(n, held[n]) for n in range(SLOTS)])
    low, high = held.copy(), held.copy()
    for number in wanted:
        strategy = slots[number].strategy
        low[number], high[number] = strategy.min_bps / WHOLE_BPS, strategy.max_bps / WHOLE_BPS
    box = Box(low, high, state.limits.idle_bps / WHOLE_BPS, state.turnover_left)
    if low.sum() > 1.0 - box.idle:
        # What drifted above what may be held is left as it is, and with it the floor of what is idle.
        box = Box(low, high, max(0.0, 1.0 - low.sum()), box.turnover)
    targets = to_bps(project(asked, held, box), held)
    moves, kept, turnover = [], [], 0.0
    for number in sorted(wanted):
        slot = slots[number]
        change = targets[number] / WHOLE_BPS - held[number]
        outside = not slot.strategy.min_bps <= held[number] * WHOLE_BPS <= slot.strategy.max_bps
        if abs(change) * WHOLE_BPS < SMALLEST_BPS and not outside:
            kept.append(slot.symbol)
            continue
        amount = state.gross * targets[number] // WHOLE_BPS - slot.worth
        expected = _expected(chain, state, slot, amount)
        moves.append(
            Move(
                slot,
                round(held[number] * WHOLE_BPS),
                round(asked[number] * WHOLE_BPS),
                targets[number],
                amount,
                expected,
                expected * (WHOLE_BPS - tolerance_bps) // WHOLE_BPS,
            )
        )
        turnover += abs(change)
    return Proposal(state.address, tuple(moves), tuple(kept), turnover, state.turnover_left)


def _check(state: VaultState, wanted: Mapping[int, float], tolerance_bps: int) -> None:
    known = {slot.number for slot in state.slots}
    if not wanted or not set(wanted) <= known:
        raise BadInput("The weights name no slot, or one that is empty.", code="treasury.weights")
    if any(not np.isfinite(each) or each < 0 for each in wanted.values()) or sum(wanted.values()) > 1 + 1e-9:
        raise BadInput("Weights are not negative, and at most 1 together.", code="treasury.weights")
    if not 0 <= tolerance_bps <= WHOLE_BPS:
        raise BadInput("The tolerance is from 0 to 10000 basis points.", code="treasury.weights")
    if state.stopped or state.tripped:
        raise BadInput(
            f"Allocation of {state.name} is stopped.",
            hint="Its manager may announce that it goes on: koinon treasury vault resume",
            code="treasury.stopped",
        )
    if not state.valid or state.gross == 0:
        raise BadInput(
            f"{state.name} holds nothing, or something without a valid price.",
            hint="Wait until its feeds answer; see: koinon treasury vault show",
            code="treasury.no_price",
        )


def _expected(chain: Chain, state: VaultState, slot: Slot, amount: int) -> int:
    """What a trade would bring now, of what comes in."""
    strategy = slot.strategy
    sold = 0
    if amount < 0:
        sold = slot.held if -amount == slot.worth else slot.held * -amount // slot.worth
    if strategy.kind is Kind.SHARES:
        pool = chain.contract("Vault", strategy.token)  # every ERC-4626 has these
        return int(pool.call("previewRedeem", sold) if sold else pool.call("previewDeposit", amount))
    pair = chain.contract("Pair", strategy.pair)
    reserve0, reserve1, _ = pair.call("getReserves")
    asset_first = str(pair.call("token0")) == state.charter.asset
    assets, tokens = (reserve0, reserve1) if asset_first else (reserve1, reserve0)
    if sold:
        return pair_gives(sold, tokens, assets)
    return pair_gives(amount, assets, tokens)


def pair_gives(amount_in: int, reserve_in: int, reserve_out: int) -> int:
    """What a pair gives, by Uniswap V2's formula, rounded as it rounds."""
    counted = amount_in * PAIR_FEE[0]
    return counted * reserve_out // (reserve_in * PAIR_FEE[1] + counted)
