# SPDX-License-Identifier: Apache-2.0
"""What a round of a swarm costs: peers' processes, TLS both ways, signatures, every digest on chain.

From one peer's acceptance of a round to that of the next, in which everybody has taught, the drawn leader has
gathered and proposed, the chain has mined and each peer has computed the model again. The digits recipe with
its training, and without; the median of the rounds after the first three.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from koinon.chain.contract import Call
from koinon.chain.deploy import deploy
from koinon.chain.devnet import Devnet, find_anvil
from koinon.chain.handle import Chain
from koinon.chain.keys import Key
from koinon.chain.rpc import Rpc
from koinon.chain.sender import Sender
from koinon.learning.datasets import load_digits8
from koinon.learning.recipe import Recipe
from koinon.learning.recipes import read_recipe
from koinon.learning.splits import Split, split_evenly
from koinon.learning.swarm.run import LocalSwarm, local_rules

NAMES = ("swarm",)
ROUNDS, WARM_UP = 23, 3
_SLOT_S = 120
_PATIENCE_S = 600.0


def run() -> Iterator[dict[str, Any]]:
    for nodes in (2, 10):
        for epochs, training in ((2, "two epochs each"), (0, "no training")):
            recipe = read_recipe("digits-torch", rounds=ROUNDS, epochs=epochs)
            found = swarm_round_seconds(nodes, ROUNDS, recipe=recipe)
            yield {
                "name": f"swarm.round_ms_{nodes}" + ("" if epochs else "_bare"),
                "ours": round(1000 * statistics.median(found), 1),
                "peer": None,
                "ratio": None,
                "unit": f"ms a round, {recipe.model.size * 4 / 1000:.0f} kB, {nodes} peers, {training}",
                "target": None,
                "ok": None,
            }


def swarm_round_seconds(
    nodes: int, rounds: int = ROUNDS, *, recipe: Recipe | None = None, split: Split | None = None
) -> list[float]:
    """Seconds each round took, without the first three.

    Parameters
    ----------
    nodes : int
        Peers, a process each, at least two.
    recipe, split : optional
        The digits recipe and its data, dealt out evenly, when not given.
    """
    used = replace(recipe or read_recipe("digits-torch"), rounds=rounds)
    data = split or split_evenly(load_digits8(), nodes, 1)
    with tempfile.TemporaryDirectory() as folder, Devnet(Path(folder) / "chain", find_anvil()) as devnet:
        with Rpc(devnet.rpc_url) as rpc:
            network = deploy(rpc, Sender(rpc, devnet.key(0), chain_id=devnet.chain_id))
        with Chain.open(network, rpc_url=devnet.rpc_url) as chain:

            def fund(*accounts: str) -> None:
                calls = [Call(account, value=10**18) for account in accounts]
                chain.sender(devnet.key(0)).send_all(calls)

            initiator = Key.generate()
            fund(initiator.address)
            rules = local_rules(chain.coin.address, slot_s=_SLOT_S, window_s=_SLOT_S)
            swarm = LocalSwarm(
                used, initiator, Path(folder) / "swarm", data, chain=chain, rules=rules, fund=fund
            )
            try:
                swarm.start(patience_s=_PATIENCE_S)
                moments = _moments(swarm, rounds)
            finally:
                for peer in swarm.peers:
                    peer.kill()
    return [after - before for before, after in pairwise(moments[WARM_UP - 1 :])]


def _moments(swarm: LocalSwarm, rounds: int) -> list[float]:
    """When the first peer accepted each round."""
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        found = [event["at"] for event in swarm.peers[0].events() if event["event"] == "round"]
        if len(found) >= rounds:
            return found
        time.sleep(0.2)
    raise TimeoutError(swarm.peers[0].last_words())
