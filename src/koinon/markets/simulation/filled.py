# SPDX-License-Identifier: Apache-2.0
"""A development chain that was given a past: begun, taken up again, done, and where its ground truth lies.

For each filling the data directory has two files in ``simulations/``: what decides it (seed, scenario, first
second, fee), written before the first transaction so that a filling that was cut off can go on; and, once it
is done, its ground truth.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from koinon.chain.handle import Chain
from koinon.chain.keys import write_private
from koinon.errors import BadInput, IntegrityError, TransactionFailed
from koinon.markets.simulation.accounts import Accounts
from koinon.markets.simulation.credit import Opener, nothing_lent
from koinon.markets.simulation.filling import (
    LEAD_S,
    Played,
    differences,
    fee_cap,
    play,
    refuse_elsewhere,
    sources,
)
from koinon.markets.simulation.scenario import Scenario
from koinon.markets.simulation.simulation import simulate
from koinon.markets.simulation.world import World

FOLDER: Final = "simulations"
MARGIN_S: Final = 900
"""What a new chain is begun earlier than the history it is given: its contracts are put there first."""

Bar = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Makes a progress bar: what is done, and how many steps it takes."""


@dataclass(frozen=True)
class Filled:
    """One filling. Times in Unix seconds; ``already`` whether it was there before; ``contracts`` name →
    address; ``per_s`` transactions a second that were played (0 where none were)."""

    seed: int
    scenario: str
    begins: int
    ends: int
    already: bool
    transactions: int
    per_s: float
    simulated_s: float
    played_s: float
    truth: str
    counts: dict[str, Any]
    contracts: dict[str, str]
    indexed: list[tuple[str, str, Any]]

    def shown(self) -> dict[str, Any]:
        """For ``--json``."""
        return {key: value for key, value in asdict(self).items() if key != "indexed"}


def begins_for(scenario: Scenario, now: float | None = None) -> int:
    """When a new chain must begin so that the scenario ends about now."""
    return int(time.time() if now is None else now) - scenario.seconds - World.setting_s - 2 * MARGIN_S


def fill(
    chain: Chain,
    home: Path,
    scenario: Scenario,
    seed: int,
    *,
    fund: Callable[[str], None],
    bar: Bar,
    ahead: bool = False,
    lenders: Opener = nothing_lent,
) -> Filled:
    """Simulate, and play it onto the chain; only what is missing where that was begun before.

    Parameters
    ----------
    fund : callable
        Gives an account test ETH, as `Node.fund` does.
    ahead : bool
        Let the chain's clock run ahead of the world's where there is not enough past left for the scenario.

    Raises
    ------
    WrongNetwork
        It is no development chain of this machine.
    BadInput
        There is no room for it in the chain's past, or the seed was used for something else here.
    TransactionFailed
        The chain refuses something, or does other than what was simulated.
    """
    refuse_elsewhere(chain)
    stem = f"{chain.network.genesis_hash[2:10]}-seed-{seed}"
    plan_path, truth_path = home / FOLDER / f"{stem}.json", home / FOLDER / f"{stem}-truth.json"
    plan = _plan(chain, plan_path, scenario, seed, ahead=ahead)
    began = time.monotonic()
    with bar(f"Simulating {scenario.steps:,} steps", scenario.steps) as advance:
        simulation = simulate(scenario, seed, start=plan["start"], lenders=lenders, progress=advance)
    simulated_s = time.monotonic() - began
    if plan["done"] and truth_path.is_file():
        played = Played({}, 0, 0, 0.0)
    else:
        count = len(simulation.world.tape)
        with bar(f"Playing {count:,} transactions", count) as advance:
            played = play(chain, simulation, fund, max_fee_wei=plan["max_fee_wei"], progress=advance)
    if played.transactions and (wrong := differences(chain, simulation)):
        raise TransactionFailed(
            f"The chain came to another state than the simulation in {len(wrong)} places: {wrong[0]}.",
            hint="Somebody traded meanwhile, or another version began it: use a new data directory.",
            code="markets.fill_differs",
        )
    if not plan["done"] or not truth_path.is_file():
        document = simulation.world.truth.document(simulation.world.accounts, played.hashes)
        document |= {"seed": seed, "scenario": scenario.described(), "digest": simulation.world.tape.digest}
        write_private(truth_path, orjson.dumps(document))
        write_private(plan_path, orjson.dumps(plan | {"done": True}))
    indexed = sources(simulation)
    return Filled(
        seed=seed,
        scenario=scenario.name,
        begins=plan["start"],
        ends=simulation.world.now,
        already=played.transactions == 0,
        transactions=len(simulation.world.tape),
        per_s=round(played.transactions / played.seconds, 1) if played.transactions else 0.0,
        simulated_s=round(simulated_s, 1),
        played_s=round(played.seconds, 1),
        truth=str(truth_path),
        counts=simulation.counts(),
        contracts={name: address for name, address, _ in indexed},
        indexed=[(name, address, list(abi)) for name, address, abi in indexed],
    )


def _plan(chain: Chain, path: Path, scenario: Scenario, seed: int, *, ahead: bool) -> dict[str, Any]:
    """What was decided when this filling began, or is decided now."""
    if path.is_file():
        plan = _read(path)
        if plan["scenario"] != orjson.loads(orjson.dumps(scenario.described())):
            raise BadInput(
                f"Seed {seed} was used on this chain for {plan['scenario']['months']:g} months of "
                f"{plan['scenario']['name']!r} already.",
                hint="Choose another --seed, or begin with a new data directory.",
                code="markets.seed_used",
            )
        return plan
    builder = Accounts(seed).only("builder").address
    if int(chain.rpc.call("eth_getTransactionCount", builder, "latest"), 16):
        raise BadInput(
            f"This chain holds a simulation of seed {seed} that this data directory knows nothing of.",
            hint="Choose another --seed.",
            code="markets.seed_used",
        )
    start = _room(chain, scenario, ahead=ahead)
    plan = {
        "seed": seed,
        "scenario": scenario.described(),
        "start": start,
        "max_fee_wei": fee_cap(chain),
        "done": False,
    }
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(path, orjson.dumps(plan))
    return plan


def _room(chain: Chain, scenario: Scenario, *, ahead: bool) -> int:
    """The second at which a filling can begin."""
    latest, now = chain.timestamp(), int(time.time())
    long = scenario.seconds + World.setting_s
    start = max(latest + LEAD_S, now - long)
    if start + long <= now + LEAD_S + MARGIN_S:
        chain.rpc.call("evm_setTime", latest + 1)  # what is mined before it must not use its time up
        return start
    if ahead:
        return max(latest, now) + LEAD_S
    missing = (start + long - now) / 86_400
    raise BadInput(
        f"There is no room for {scenario.months:g} months: its clock would run {missing:.1f} days ahead.",
        hint="Begin with a new data directory, whose chain then begins in the past: "
        "koinon --home DIR markets fill. Or say --ahead.",
        code="markets.no_room",
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        plan = orjson.loads(path.read_bytes())
        if {"seed", "scenario", "start", "max_fee_wei", "done"} <= set(plan):
            return dict(plan)
    except (ValueError, TypeError):
        pass
    raise IntegrityError(
        f"{path} is damaged.",
        hint="Move it away and fill with another seed.",
        code="markets.plan_damaged",
    )
