# SPDX-License-Identifier: Apache-2.0
"""How a round's time grows with the number of owners, from 2 to 100, without training.

A leader over TLS with signed updates of a softmax regression on 8x8 digits (650 parameters); owners are
threads of one process, so that two cores can hold a hundred. The median of the rounds after the first; the
``ratio`` is the time an owner costs at 100 over the time one costs at 10: 1 grows in proportion.
"""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from koinon.chain.address import ZERO_ADDRESS
from koinon.chain.keys import Key
from koinon.learning.connection import HttpsTransport
from koinon.learning.leader import Full, Leader, RoundClosed
from koinon.learning.messages import federation_domain
from koinon.learning.models import ModelSpec
from koinon.learning.owner import Owner
from koinon.learning.owner_config import Network
from koinon.learning.recipe import Recipe
from koinon.learning.scaling import Scaling
from koinon.tables import Table

NAMES = ("rounds",)
OWNERS, ROUNDS, COLUMNS = (2, 5, 10, 20, 50, 100), 12, 64


def run() -> Iterator[dict[str, Any]]:
    found = {owners: round_ms(owners) for owners in OWNERS}
    for owners, milliseconds in found.items():
        yield {
            "name": f"rounds.scaling_{owners}",
            "ours": round(milliseconds, 1),
            "peer": None,
            "ratio": None,
            "unit": f"ms a round, {owners} owners, no training",
            "target": None,
            "ok": None,
        }
    growth = (found[100] / 100) / (found[10] / 10)
    yield {
        "name": "rounds.scaling",
        "ours": round(found[100] / 100, 2),
        "peer": round(found[10] / 10, 2),
        "ratio": round(growth, 2),
        "unit": "ms an owner and round at 100, against at 10",
        "target": 2.0,
        "ok": growth <= 2.0,
    }


def round_ms(owners: int) -> float:
    """Milliseconds between two models of the common vector, the median."""
    columns = tuple(f"pixel_{index}" for index in range(COLUMNS))
    recipe = Recipe(
        "Digits",
        columns,
        "digit",
        classes=10,
        model_spec=ModelSpec("perceptron", {"hidden": ()}),
        rounds=ROUNDS,
        epochs=0,
        scaling=Scaling((False,) * COLUMNS, (0.0,) * COLUMNS, (1.0,) * COLUMNS),
        round_deadline_s=120.0,
    )
    opener, domain, moments = Key.generate(), federation_domain(0), []
    table = Table(np.zeros((40, COLUMNS), np.float32), np.arange(40) % 10, columns)
    with (
        tempfile.TemporaryDirectory() as folder,
        Leader(
            recipe, opener, Path(folder), run_id=1, domain=domain, expected=owners, alone_deadline_s=0.0
        ) as leader,
    ):

        def teach() -> None:
            with HttpsTransport(leader.url, opener.address, domain, 1) as transport:
                network = Network(0, ZERO_ADDRESS, ZERO_ADDRESS)
                Owner(
                    Key.generate(), table, transport, network, opener=opener.address, share_alone=False
                ).take_part()

        threads = [threading.Thread(target=teach) for _ in range(owners)]
        for thread in threads:
            thread.start()
        for event in leader.events():
            if isinstance(event, Full):
                leader.begin()
            if isinstance(event, RoundClosed):
                moments.append(time.perf_counter())
        for thread in threads:
            thread.join()
    return 1000 * statistics.median(after - before for before, after in pairwise(moments[1:]))
