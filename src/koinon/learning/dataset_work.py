# SPDX-License-Identifier: Apache-2.0
"""An owner's dataset as a Work: published once, without showing a row, and used again in later runs."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from pathlib import Path

import orjson

from koinon.chain.handle import Chain
from koinon.chain.keys import Key, write_private
from koinon.store import BlockStore
from koinon.tables import Table
from koinon.works.api import Works
from koinon.works.registration import Card, Registration

COMMITMENT_KEY = "datasetCommitment"


@dataclass(frozen=True)
class DatasetWork:
    """The Work and the secret salt that opens its commitment sha256(salt ‖ table digest)."""

    work_id: int
    salt: bytes
    commitment: bytes
    works: str


def publish_dataset(chain: Chain, key: Key, table: Table, data_dir: Path, *, name: str) -> DatasetWork:
    """Publish the table's Work, or find the one this data directory published for the same table before.

    Only its size, columns and a salted commitment are shown. Files are put into ``data_dir/blocks``.
    """
    note = data_dir / "dataset.json"
    registry = chain.contract("Works").address
    known = _remembered(note, table, registry, chain, key)
    if known is not None:
        return known
    salt = secrets.token_bytes(32)
    commitment = hashlib.sha256(salt + table.digest).digest()
    published = Works(chain, BlockStore(data_dir / "blocks"), key).publish(
        Registration(
            name=name, description=f"{len(table)} rows that stay with their owner.", card=_card(table)
        ),
        metadata=[(COMMITMENT_KEY, commitment)],
    )
    work = DatasetWork(published.work_id, salt, commitment, registry)
    write_private(
        note,
        orjson.dumps(
            {
                "work_id": work.work_id,
                "salt": salt.hex(),
                "commitment": commitment.hex(),
                "works": registry,
            }
        ),
    )
    return work


def _remembered(note: Path, table: Table, registry: str, chain: Chain, key: Key) -> DatasetWork | None:
    try:
        found = orjson.loads(note.read_bytes())
        work = DatasetWork(
            int(found["work_id"]),
            bytes.fromhex(found["salt"]),
            bytes.fromhex(found["commitment"]),
            str(found["works"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    works = chain.contract("Works")
    same = (
        work.works == registry
        and hashlib.sha256(work.salt + table.digest).digest() == work.commitment
        and int(works.call("total")) >= work.work_id
        and works.call("getMetadata", work.work_id, COMMITMENT_KEY) == work.commitment
        and works.call("ownerOf", work.work_id) == key.address
    )
    return work if same else None


def _card(table: Table) -> Card:
    return Card(
        kind="dataset",
        summary=f"{len(table)} rows with the columns {', '.join(table.columns[:24])}.",
        data="The owner's own records; they are used where they lie and never handed out.",
        limits=("Only what models taught with it show about it is known.",),
        contest="Write to the owner of this Work.",
        unmeasured="A dataset is measured by what models learn from it; see its children.",
    )
