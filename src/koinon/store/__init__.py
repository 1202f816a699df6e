# SPDX-License-Identifier: Apache-2.0
"""Bytes by their content: CIDs, blocks on disk, sealing for chosen readers."""

from koinon.store.blocks import BlockStore, Store
from koinon.store.cid import cid_of, digest_of
from koinon.store.sealing import SealingIdentity, seal, unseal

__all__ = ["BlockStore", "SealingIdentity", "Store", "cid_of", "digest_of", "seal", "unseal"]
