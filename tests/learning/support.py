# SPDX-License-Identifier: Apache-2.0
"""Small tables, recipes and owners that tests of learning share."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import orjson

from koinon.chain.hashing import keccak256
from koinon.chain.keys import Key
from koinon.learning.codecs import Float32
from koinon.learning.messages import Joining, LocalUpdate, federation_domain, payload_digest
from koinon.learning.models import ModelSpec
from koinon.learning.recipe import Recipe
from koinon.learning.run import Run
from koinon.learning.scaling import Scaling, Statistics
from koinon.tables import Table

COLUMNS = ("age", "income", "late")
DOMAIN = federation_domain(31337, "0x" + "ab" * 20)
SCALING = Scaling((False, True, False), (40.0, 8.0, 1.0), (10.0, 1.0, 1.0))


def key(role: str) -> Key:
    return Key.from_bytes(keccak256(b"koinon learning test: " + role.encode()))


def table(rows: int = 60, seed: int = 0) -> Table:
    """Late payers default more often; the rest is noise."""
    random = np.random.default_rng(seed)
    age, income = random.uniform(20, 70, rows), np.exp(random.normal(8, 1, rows))
    late = random.poisson(1.0, rows)
    labels = (late + random.normal(0, 0.7, rows) > 1.5).astype(np.int64)
    labels[:2] = (0, 1)
    return Table(np.stack([age, income, late], axis=1).astype(np.float32), labels, COLUMNS)


def recipe(**changes: Any) -> Recipe:
    plain = Recipe(
        name="Late payers",
        columns=COLUMNS,
        label="default",
        model_spec=ModelSpec("perceptron", {"hidden": (4,)}),
        rounds=3,
        epochs=1,
        seed=5,
        signed_log=SCALING.signed_log,
        scaling=SCALING,
        round_deadline_s=20.0,
    )
    return replace(plain, **changes)


def joining(found: Recipe, owner: Key, rows: int = 60, run_id: int = 1, **changes: Any) -> bytes:
    """The frame by which an owner joins."""
    statistics = b""
    if found.scaling is None:
        own = Statistics.of(table(rows).features, found.signed_log)
        statistics = orjson.dumps(own.to_dict())
    message = Joining(
        run_id,
        owner.address,
        0,
        found.digest,
        rows,
        payload_digest(statistics),
        0,
        0,
        b"",
        b"",
    )
    return replace(message, **changes).pack(owner, DOMAIN, statistics)


def update(run: Run, signer: Key, change: Any = None, **changes: Any) -> bytes:
    """The frame of an owner's update for the round being collected."""
    assert run.current is not None
    size = run.recipe.model.size
    vector = np.full(size, 0.25, dtype=np.float32) if change is None else change
    payload = Float32().encode(vector)
    message = LocalUpdate(
        run.run_id,
        run.round_number,
        signer.address,
        run.current.model.model,
        payload_digest(payload),
        60,
    )
    return replace(message, **changes).pack(signer, DOMAIN, payload)


def started(owners: int = 3, **changes: Any) -> tuple[Run, list[Key]]:
    """A run whose owners have joined and which waits for round 1."""
    found = recipe(**changes)
    run = Run(found, 1, key("opener"), DOMAIN, expected=owners)
    keys = [key(f"owner {index}") for index in range(owners)]
    for owner in keys:
        run.join(joining(found, owner))
    run.start()
    return run, keys
