# SPDX-License-Identifier: Apache-2.0
"""What a round costs in a swarm, and in Flower: its SuperLink with SuperNodes, and its simulation.

The same perceptron on the same split of handwritten digits with the same training, on this machine, one after
the other. Ours is a swarm of processes with TLS both ways, signatures and every digest on chain; Flower's is
its own FedAvg with its defaults, nothing signed or recorded, its SuperLink over TLS. Seconds are the median
over rounds after the first ones, in which processes and connections start. Needs `tools/setup.sh flower`.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import orjson

from benchmarks.swarm import swarm_round_seconds
from koinon.learning.datasets import load_digits8
from koinon.learning.flower.environment import FlowerEnvironment
from koinon.learning.flower.processes import FlowerProcess, stop_all
from koinon.learning.flower.superlink import CONNECTION, LocalSuperLink, free_port
from koinon.learning.models import ModelSpec
from koinon.learning.recipe import Recipe
from koinon.learning.recipes import read_recipe
from koinon.learning.splits import Split, split_evenly

NODES: Final = (2, 10)
DEPLOYED_ROUNDS, SIMULATED_ROUNDS, SWARM_ROUNDS, WARM_UP = 5, 23, 13, 2
DEPLOYED_TARGET, SIMULATED_TARGET = 100.0, 2.0
APP: Final = Path(__file__).parent / "_flower"
PATIENCE_S: Final = 3_600.0


def run() -> Iterator[dict[str, Any]]:
    environment = FlowerEnvironment.find()
    for nodes in NODES:
        recipe = read_recipe("digits-torch", model_spec=ModelSpec("perceptron", {"hidden": (64,)}))
        split = split_evenly(load_digits8(), nodes, 1)
        ours = statistics.median(swarm_round_seconds(nodes, SWARM_ROUNDS, recipe=recipe, split=split))
        about = f"{recipe.model.size * 4 / 1000:.0f} kB, {nodes} nodes, {os.cpu_count()} cores"
        for name, measure, target in (
            ("deployed", deployed_round_seconds, DEPLOYED_TARGET),
            ("simulation", simulated_round_seconds, SIMULATED_TARGET),
        ):
            theirs = statistics.median(measure(environment, nodes, recipe, split))
            yield {
                "name": f"federation.vs_flower_{name}_{nodes}",
                "ours": round(ours, 4),
                "peer": round(theirs, 4),
                "ratio": round(theirs / ours, 2),
                "unit": f"s a round, {about}; peer: Flower 1.41 {name}",
                "target": target,
                "ok": theirs / ours >= target,
            }


def deployed_round_seconds(
    environment: FlowerEnvironment, nodes: int, recipe: Recipe, split: Split
) -> list[float]:
    """Seconds a round on a SuperLink with so many SuperNodes, without the first two."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        _lay_out(folder, recipe, split)
        superlink = LocalSuperLink(environment, folder / "superlink")
        stack.callback(superlink.process.stop)
        superlink.wait()
        superlink.link.configure(folder / "superlink")
        variables = _defaults(environment.variables(folder / "superlink"))
        supernodes: list[FlowerProcess] = []
        stack.callback(stop_all, supernodes)
        for partition in range(nodes):
            command = [
                str(environment.program("flower-supernode")),
                *superlink.link.options(),
                "--node-config",
                f"partition-id={partition} num-partitions={nodes}",
                "--port",
                str(free_port()),
            ]
            home = folder / f"supernode {partition}"
            supernodes.append(
                FlowerProcess(command, _defaults(environment.variables(home)), home / "supernode.log")
            )
        config = {"folder": str(folder), "nodes": nodes, "rounds": DEPLOYED_ROUNDS}
        overrides = " ".join(f"{key}={orjson.dumps(value).decode()}" for key, value in config.items())
        command = [str(environment.program("flwr")), "run", str(APP / "round"), CONNECTION]
        command += ["--stream", "--run-config", overrides]
        app = FlowerProcess(command, variables, folder / "app.log")
        stack.callback(app.stop)
        return _seconds(folder, DEPLOYED_ROUNDS, app)


def simulated_round_seconds(
    environment: FlowerEnvironment, nodes: int, recipe: Recipe, split: Split
) -> list[float]:
    """Seconds a round in Flower's simulation of so many SuperNodes, without the first two."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        _lay_out(folder, recipe, split)
        command = [str(environment.program("python")), str(APP / "simulate.py"), str(folder)]
        command += [str(nodes), str(SIMULATED_ROUNDS)]
        app = FlowerProcess(command, environment.variables(folder / "home"), folder / "app.log")
        stack.callback(app.stop)
        return _seconds(folder, SIMULATED_ROUNDS, app)


def _lay_out(folder: Path, recipe: Recipe, split: Split) -> None:
    (folder / "recipe.json").write_bytes(recipe.to_json())
    for partition, table in enumerate(split.owners):
        table.save(folder / f"{partition}.npz")


def _defaults(variables: dict[str, str]) -> dict[str, str]:
    """Flower as it comes, but silent: how often it looks for work is left to it."""
    return {key: text for key, text in variables.items() if key != "FLWR_SUPEREXEC_TASK_POLL_INTERVAL"}


def _seconds(folder: Path, rounds: int, app: FlowerProcess) -> list[float]:
    """From the moments the app notes at the start and after every round."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            found = [float(line) for line in (folder / "moments").read_text().splitlines()]
        except (FileNotFoundError, ValueError):
            found = []
        if len(found) > rounds:
            return [after - before for before, after in pairwise(found)][WARM_UP:]
        if not app.running:
            break
        time.sleep(0.5)
    raise RuntimeError(f"Flower noted {len(found)} moments of {rounds + 1}: {app.last_words()}")
