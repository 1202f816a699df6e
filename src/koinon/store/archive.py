# SPDX-License-Identifier: Apache-2.0
"""Carrying blocks from one store to another in a file."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from koinon.errors import BadInput, NotFound, SetupError
from koinon.store.blocks import Store
from koinon.store.car import CarReader, write_car


@dataclass(frozen=True)
class Imported:
    """What came of an archive: its roots, the blocks kept, and by kind those that a store cannot keep."""

    roots: tuple[str, ...]
    kept: int
    kept_bytes: int
    passed_over: dict[str, int]


def export_blocks(store: Store, cids: Sequence[str], file: Path) -> int:
    """Write blocks to a CAR file, whole or not at all; returns its size in bytes. Each is a root of it.

    Raises NotFound and IntegrityError as the store does, SetupError where the file cannot be written.
    """
    wanted = list(dict.fromkeys(cids))
    if not wanted:
        raise BadInput("There is nothing to export.", hint="Name a CID.", code="store.export")
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=".", dir=file.parent)
    except OSError as error:
        raise _unwritable(file, error) from error
    try:
        with os.fdopen(descriptor, "wb") as stream:
            size = write_car(stream, wanted, ((cid, store.get(cid)) for cid in wanted))
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).replace(file)
    except OSError as error:
        Path(temporary).unlink(missing_ok=True)
        raise _unwritable(file, error) from error
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return size


def import_blocks(store: Store, file: Path) -> Imported:
    """Keep every block of a CAR file that is what its CID says.

    Blocks before a broken one stay: each is good by itself. Raises NotFound, BadInput and IntegrityError.
    """
    kept = kept_bytes = 0
    passed_over: Counter[str] = Counter()
    try:
        with file.open("rb") as stream:
            reader = CarReader(stream)
            for link, data in reader:
                if link.is_ours:
                    store.put(data)
                    kept, kept_bytes = kept + 1, kept_bytes + len(data)
                else:
                    passed_over[f"codec 0x{link.codec:x}, hash 0x{link.hash_function:x}"] += 1
    except FileNotFoundError:
        raise NotFound(f"There is no file {file}.", hint="Check its path.", code="store.car_file") from None
    except OSError as error:
        raise SetupError(
            f"{file} cannot be read ({error.strerror}).", hint="Give it to this user.", code="store.car_read"
        ) from error
    return Imported(tuple(map(str, reader.roots)), kept, kept_bytes, dict(passed_over))


def _unwritable(file: Path, error: OSError) -> SetupError:
    return SetupError(
        f"{file} cannot be written ({error.strerror}).",
        hint="Free some space, or choose a folder that this user may write.",
        code="store.car_write",
    )
