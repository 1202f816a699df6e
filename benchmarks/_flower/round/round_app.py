# SPDX-License-Identifier: Apache-2.0
"""A plain Flower app: FedAvg over one array, as Flower's own quickstarts have it; nothing signed or recorded.

It trains a recipe's model with the recipe's training, so that only what carries the rounds differs. The
folder holds ``recipe.json`` and a table for every partition; each round's end is noted in ``moments``.
"""

from __future__ import annotations

import functools
import time
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from koinon.learning.recipe import Recipe
from koinon.tables import Table, read_table

client = ClientApp()
server = ServerApp()


@functools.cache
def _recipe(folder: Path) -> Recipe:
    return Recipe.from_json((folder / "recipe.json").read_bytes())


@functools.cache
def _table(folder: Path, partition: int) -> Table:
    return read_table(folder / f"{partition}.npz", "labels")


def teach(folder: Path, message: Message, context: Context) -> Message:
    """One round on this node's partition."""
    partition = int(context.node_config["partition-id"])
    recipe, table = _recipe(folder), _table(folder, partition)
    (vector,) = message.content["arrays"].to_numpy_ndarrays()
    number = int(message.content["config"]["server-round"])
    scaling = recipe.scaling
    assert scaling is not None
    vector = recipe.model.train(
        vector,
        scaling.apply(table.features),
        table.labels,
        recipe.training,
        recipe.local_seed(number, partition),
    )
    content = RecordDict(
        {
            "arrays": ArrayRecord([vector]),
            "metrics": MetricRecord({"num-examples": len(table)}),
        }
    )
    return Message(content, reply_to=message)


def lead(folder: Path, nodes: int, rounds: int, grid: Grid) -> None:
    """All rounds, their ends noted."""
    recipe = _recipe(folder)
    moments = folder / "moments"
    vectors: list[Any] = []

    def note(number: int, arrays: ArrayRecord) -> None:
        (vector,) = arrays.to_numpy_ndarrays()
        if vectors and np.array_equal(vectors.pop(), vector):
            raise RuntimeError(f"Nobody taught anything in round {number}.")
        vectors.append(vector)
        with moments.open("a") as file:
            file.write(f"{time.monotonic()}\n")

    strategy = FedAvg(
        fraction_evaluate=0.0, min_train_nodes=nodes, min_evaluate_nodes=0, min_available_nodes=nodes
    )
    first: Any = np.asarray(recipe.model.initial(recipe.seed))
    strategy.start(grid, ArrayRecord([first]), num_rounds=rounds, evaluate_fn=note)


def _train(message: Message, context: Context) -> Message:
    return teach(Path(str(context.run_config["folder"])), message, context)


def _main(grid: Grid, context: Context) -> None:
    config = context.run_config
    lead(Path(str(config["folder"])), int(config["nodes"]), int(config["rounds"]), grid)


client.train()(_train)
server.main()(_main)
