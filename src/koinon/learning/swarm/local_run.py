# SPDX-License-Identifier: Apache-2.0
"""A whole run in a swarm on this machine: opened, told as it goes, measured, kept like every other run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import orjson

from koinon.chain.handle import Chain
from koinon.chain.keys import Key, write_private
from koinon.learning import metrics
from koinon.learning.gains import set_aside
from koinon.learning.interrupted import Underway
from koinon.learning.outcome import Outcome
from koinon.learning.progress import ProgressLog
from koinon.learning.recipe import Recipe
from koinon.learning.simulation import scaling_for
from koinon.learning.splits import Split
from koinon.learning.swarm.chain_state import Rules
from koinon.learning.swarm.outcome import course_of
from koinon.learning.swarm.run import LocalSwarm, Progress
from koinon.learning.told import OUTCOME


def learn_in_swarm(
    recipe: Recipe,
    key: Key,
    data_dir: Path,
    runs: Path,
    split: Split,
    *,
    chain: Chain,
    store: Path | None = None,
    lenders: int = 0,
    rules: Rules | None = None,
    fund: Callable[..., None] | None = None,
    names: Sequence[str] = (),
    progress: Progress = lambda _: None,
) -> Outcome:
    """Teach with one peer an owner, until the peers have published the model.

    A recipe that leaves its scaling open gets that of the rows that teach, which are all on this machine.

    Parameters
    ----------
    data_dir, runs : Path
        Where owners have their folders, and where the run gets one.
    lenders : int
        Peers that lend computing only.

    Raises
    ------
    BadInput
        The recipe hides updates from the others, which a swarm cannot, or the common sets do not fit.
    PeerError
        Too few peers came or stayed.
    """
    teaching = [set_aside(recipe, table)[0] for table in split.owners]
    recipe = replace(recipe, scaling=scaling_for(recipe, teaching))
    swarm = LocalSwarm(
        recipe,
        key,
        data_dir,
        split,
        chain=chain,
        lenders=lenders,
        rules=rules,
        fund=fund,
        names=names,
        store=store,
    )
    folder = runs / str(swarm.run_id)
    underway, log = Underway(folder, swarm.run_id, recipe.rounds), ProgressLog(folder)

    def tell(event: dict[str, Any]) -> None:
        log.write(event)
        progress(event)

    try:
        outcome = _take_part(swarm, tell, underway)
        _keep(folder, outcome)
        scores, trail = course_of(outcome.model, outcome.evidence, split.held_out)
        groups = {number: asdict(report) for number, report in trail}
        for number, score in scores:
            log.write(
                {
                    "event": "score",
                    "round": number,
                    "metric": outcome.metric,
                    "score": score.value,
                    "low": score.low,
                    "high": score.high,
                    "chance": metrics.chance(recipe.classes),
                    "groups": groups.get(number),
                }
            )
        underway.done()
        tell({"event": "measured", "together": outcome.together.value, "metric": outcome.metric})
        log.write({"event": "measured", "alone": outcome.alone_mean})
        return outcome
    finally:
        log.close()
        underway.close()


def _take_part(swarm: LocalSwarm, tell: Progress, underway: Underway) -> Outcome:
    recipe, stages, began = swarm.recipe, dict[str, float](), time.monotonic()

    def passed(stage: str) -> None:
        stages.pop(stage, None)  # the last round may be done again
        stages[stage] = time.monotonic() - began - sum(stages.values())

    def follow(event: dict[str, Any]) -> None:
        if event["event"] == "round":
            underway.reached(event["round"])
            if event["round"] == recipe.rounds:
                passed("rounds")
        tell(event)

    tell(
        {
            "event": "opened",
            "mode": "swarm",
            "run": swarm.run_id,
            "name": recipe.name,
            "recipe": recipe.digest.hex(),
            "rounds": recipe.rounds,
            "owners": len(swarm.split.owners),
        }
    )
    with swarm:
        swarm.start(progress=tell)
        passed("joining")
        tell({"event": "started", "owners": len(swarm.split.owners), "rounds": recipe.rounds})
        work_id = swarm.watch(follow)
        passed("publishing")
    passed("leaving")
    return swarm.outcome(work_id, stages)


def _keep(folder: Path, outcome: Outcome) -> None:
    outcome.model.save(folder / "model.npz")
    write_private(folder / "evidence.bin", outcome.evidence.to_bytes())
    write_private(folder / "contributions.json", outcome.contributions.to_bytes())
    write_private(folder / OUTCOME, orjson.dumps(outcome.to_dict()))
