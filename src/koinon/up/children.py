# SPDX-License-Identifier: Apache-2.0
"""What `koinon up` runs beside itself: gateway, the node of the datasets that lie here, agents, the watch."""

from __future__ import annotations

from collections.abc import Callable

from koinon.agents.kept import ROOM as AGENTS
from koinon.agents.kept import kept_agents, running_host
from koinon.data.api import ROOM
from koinon.data.job_server import DATASETS
from koinon.data.publishing import kept_datasets
from koinon.settings import Settings
from koinon.up.child import Child

Say = Callable[[str], None]
Changed = Callable[[int], object]


def gateway(settings: Settings, port: int, say: Say, changed: Changed) -> Child:
    """``koinon service serve``; the port is the same at every start, so that buyers find it again."""
    return Child(
        "gateway",
        ["service", "serve"],
        settings.home / "gateway.log",
        settings,
        say,
        changed,
        environment={"KOINON_HOST": settings.host, "KOINON_PORT": str(port)},
    )


def data_node(settings: Settings, port: int, say: Say, changed: Changed) -> Child:
    """``koinon data serve``, from when the first dataset lies here."""
    datasets = settings.home / ROOM / DATASETS
    return Child(
        "datasets' node",
        ["data", "serve", "--host", settings.host, "--port", str(port)],
        settings.home / "data-node.log",
        settings,
        say,
        changed,
        wanted=lambda: bool(kept_datasets(datasets)),
    )


def agents_host(settings: Settings, port: int, say: Say, changed: Changed) -> Child:
    """``koinon agent run``, from when the first agent is kept here, and anew when there is another. Where
    somebody runs it by hand, it is left alone."""
    folder = settings.home / AGENTS
    return Child(
        "agents' host",
        ["agent", "run", "--follow", "--host", settings.host, "--port", str(port)],
        settings.home / "agents-host.log",
        settings,
        say,
        changed,
        wanted=lambda: bool(kept_agents(folder)) and running_host(folder) is None,
    )


def watch(settings: Settings, say: Say, changed: Changed) -> Child:
    """``koinon watch run``: monitors, payments, pools and vaults of the node's chain; it only reads."""
    return Child("watch", ["watch", "run"], settings.home / "watch.log", settings, say, changed)
