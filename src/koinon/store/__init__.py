# SPDX-License-Identifier: Apache-2.0
"""Bytes by their content: CIDs, blocks on disk or in Kubo, archives (CAR), sealing for chosen readers."""

from koinon.store.blocks import BlockStore, Store
from koinon.store.cid import cid_of, digest_of
from koinon.store.kubo import KuboStore
from koinon.store.opening import open_store
from koinon.store.sealing import SealingIdentity, seal, unseal

__all__ = [
    "BlockStore",
    "KuboStore",
    "SealingIdentity",
    "Store",
    "cid_of",
    "digest_of",
    "open_store",
    "seal",
    "unseal",
]
