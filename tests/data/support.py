# SPDX-License-Identifier: Apache-2.0
"""Sealed content for tests, with keepers whose keys are known."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

from koinon.chain.keys import Key
from koinon.data.sealed import Keeper, SealedContent, content_domain, seal_content
from koinon.data.sealed_box import BoxKey
from koinon.store import Store

WORKS = "0x" + "17" * 20
DOMAIN = content_domain(31_337, WORKS)


@dataclass(frozen=True)
class KeeperKeys:
    """A keeper's two keys."""

    account: Key
    box: BoxKey

    def at(self, url: str) -> Keeper:
        return Keeper(self.account.address, self.box.public, url)


def keepers(count: int) -> list[KeeperKeys]:
    return [KeeperKeys(Key.generate(), BoxKey.generate()) for _ in range(count)]


def sealed(
    store: Store, content: bytes, keys: list[KeeperKeys], threshold: int = 2, **options: Any
) -> tuple[SealedContent, tuple[bytes, ...]]:
    named = [key.at(f"http://keeper{number}") for number, key in enumerate(keys)]
    settings: dict[str, Any] = {"work_id": 1, "domain": DOMAIN, "chunk_bytes": 100, **options}
    return seal_content(store, io.BytesIO(content), keepers=named, threshold=threshold, **settings)
