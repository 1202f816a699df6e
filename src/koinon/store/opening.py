# SPDX-License-Identifier: Apache-2.0
"""The store that the settings ask for."""

from __future__ import annotations

from collections.abc import Sequence

from koinon.settings import Settings
from koinon.store.blocks import BlockStore
from koinon.store.kubo import KuboStore
from koinon.store.peers import PeerBlockStore


def open_store(settings: Settings, peers: Sequence[str] = ()) -> BlockStore:
    """Blocks in the data directory; in a Kubo node where ``kubo_url`` is set; ``peers`` are asked for what is
    lacking."""
    if settings.kubo_url is not None:
        return KuboStore(settings.blocks, settings.kubo_url, peers)
    return PeerBlockStore(settings.blocks, peers) if peers else BlockStore(settings.blocks)
