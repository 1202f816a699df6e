# SPDX-License-Identifier: Apache-2.0
"""Blocks that are not here, fetched from those who have them.

Whoever sends bytes need not be trusted: what does not have the CID that was asked for is thrown away.
"""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from koinon.errors import NotFound
from koinon.store.blocks import BlockStore
from koinon.store.cid import cid_of

LIMIT: Final = 1 << 20
"""Bytes of the longest block taken from a peer: registration files are far shorter."""


class PeerBlockStore(BlockStore):
    """A folder of blocks that asks other people's gateways for what it lacks and keeps what they give.

    Parameters
    ----------
    path : Path
        The folder.
    peers : sequence of str
        Addresses of gateways, asked in this order: ``GET <peer>/blocks/<cid>``.
    timeout_s : float
        Longest wait for one peer's answer.
    """

    def __init__(self, path: Path, peers: Sequence[str], timeout_s: float = 5.0) -> None:
        super().__init__(path)
        self.peers = tuple(dict.fromkeys(peer.rstrip("/") for peer in peers))
        self._timeout_s = timeout_s

    def get(self, cid: str) -> bytes:
        """The bytes of ``cid``, from here or from a peer; errors as in `BlockStore.get`."""
        try:
            return super().get(cid)
        except NotFound:
            for peer in self.peers:
                data = _ask(peer, cid, self._timeout_s)
                if data is not None and cid_of(data) == cid:
                    self.put(data)
                    return data
            raise


def _ask(peer: str, cid: str, timeout_s: float) -> bytes | None:
    """What a peer says is the block; None where it has nothing, or nothing that could be it, to say."""
    parts = urlsplit(peer)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    connection = (
        http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=timeout_s, context=ssl.create_default_context()
        )
        if parts.scheme == "https"
        else http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout_s)
    )
    try:
        connection.request(
            "GET", f"{parts.path}/blocks/{cid}", headers={"Accept": "application/octet-stream"}
        )
        answer = connection.getresponse()
        data = answer.read(LIMIT + 1)
        return data if answer.status == 200 and len(data) <= LIMIT else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
