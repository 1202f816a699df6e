# SPDX-License-Identifier: Apache-2.0
"""The same app in Flower's simulation, run in its environment: ``python simulate.py FOLDER NODES ROUNDS``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "round"))

from flwr.app import Context, Message
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.simulation import run_simulation
from round_app import lead, teach  # type: ignore[import-not-found]


def main(folder: Path, nodes: int, rounds: int) -> None:
    """Run it; moments go to the folder."""
    client, server = ClientApp(), ServerApp()

    def train(message: Message, context: Context) -> Message:
        return teach(folder, message, context)

    def run(grid: Grid, _context: Context) -> None:
        lead(folder, nodes, rounds, grid)

    client.train()(train)
    server.main()(run)
    run_simulation(
        server_app=server,
        client_app=client,
        num_supernodes=nodes,
        backend_config={"client_resources": {"num_cpus": 1, "num_gpus": 0.0}},
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
