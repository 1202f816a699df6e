# SPDX-License-Identifier: Apache-2.0
"""Ports for a node of a test's own: the usual ones another test's node may take while this one is down."""

from __future__ import annotations

from koinon.chain.devnet import free_port


def own_ports() -> dict[str, str]:
    """The settings that name four free ports, as variables of the environment."""
    return {f"KOINON_{whose}PORT": str(free_port()) for whose in ("", "DATA_", "AGENTS_", "CONSOLE_")}
