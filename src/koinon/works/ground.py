# SPDX-License-Identifier: Apache-2.0
"""What every domain is built on: an open node, as far as the hall and the domains see it."""

from __future__ import annotations

from typing import Protocol

from koinon.chain.handle import Chain
from koinon.chain.keys import Key
from koinon.settings import Settings
from koinon.store import BlockStore


class Ground(Protocol):
    """A node that is open: its chain, its content store, and the key of whoever operates it."""

    @property
    def settings(self) -> Settings: ...

    @property
    def chain(self) -> Chain: ...

    @property
    def store(self) -> BlockStore: ...

    @property
    def operator(self) -> Key: ...
