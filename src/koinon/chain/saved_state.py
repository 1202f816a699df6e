# SPDX-License-Identifier: Apache-2.0
"""Copies of a development chain on disk: which is good, which is the newest, which are kept.

``checkpoint.json`` is written by the supervisor while the chain runs and when it stops, ``state.json`` is
what anvil starts from, ``backups/`` has older copies, one from each start and one every ten minutes.
"""

from __future__ import annotations

import fcntl
import gzip
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import orjson

from koinon.chain.keys import write_private
from koinon.errors import IntegrityError

BACKUPS: Final = 3
HOLD: Final = "hold"
BACKUP_EVERY_S: Final = 600.0


def prepare_state(folder: Path, usable: Callable[[int], bool] = lambda _: True) -> int:
    """Make ``state.json`` the newest good copy of the chain, keep a backup of it, and return the number of
    its last block. A file cut short by a crash counts as missing.

    Parameters
    ----------
    usable : callable
        Whether the outbox can complete a copy that ends with this block.

    Raises
    ------
    IntegrityError
        No copy is good.
    """
    state, backups = folder / "state.json", folder / "backups"
    present = [path for path in (state, folder / "checkpoint.json") if path.is_file()]
    newest_first = sorted(present, key=lambda path: path.stat().st_mtime_ns, reverse=True)
    newest_first += sorted(backups.glob("state-*.json.gz"), reverse=True)
    for candidate in newest_first:
        content = _good_state(candidate)
        if content is None or not usable(number := last_block(content)):
            continue
        if candidate != state:
            write_private(state, content)
        if candidate.parent != backups:
            back_up(content, number, backups)
        return number
    raise IntegrityError(
        f"Every copy of the development chain in {folder} is damaged.",
        hint="Restore a backup (koinon restore), or move the folder away to begin a new chain; accounts and "
        "balances there are test money.",
        code="chain.devnet_state",
    )


def back_up(content: bytes, number: int, backups: Path) -> None:
    """Keep a copy that ends with block ``number``; the oldest beyond three goes."""
    backups.mkdir(mode=0o700, exist_ok=True)
    write_private(backups / f"state-{time.time_ns():020d}-{number}.json.gz", gzip.compress(content, 1))
    for old in sorted(backups.glob("state-*.json.gz"))[:-BACKUPS]:
        old.unlink()


def is_due(backups: Path, every_s: float = BACKUP_EVERY_S) -> bool:
    """Whether the newest backup is older than that."""
    newest = max((path.stat().st_mtime for path in backups.glob("state-*.json.gz")), default=0.0)
    return time.time() - newest >= every_s


def kept_since(backups: Path) -> int:
    """The block from which on the chain must be known, so that the newest two backups can be completed."""
    numbers = [path.name.removesuffix(".json.gz").split("-")[2:] for path in backups.glob("state-*.json.gz")]
    numbers = [number for number in numbers if number]  # older ones do not say
    return min((int(number[0]) for number in sorted(numbers, key=lambda one: int(one[0]))[-2:]), default=0)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Inside, whoever runs the chain in this folder makes no copy of it: a copy needs a moment without new
    blocks, and whoever mines thousands leaves none. The outbox keeps what is mined meanwhile."""
    with (folder / HOLD).open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def is_held(folder: Path) -> bool:
    """Whether somebody is in `held` for this folder now."""
    try:
        with (folder / HOLD).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def last_block(content: bytes) -> int:
    """The number of a copy's last block."""
    number = orjson.loads(content).get("best_block_number", 0)
    return int(number, 16) if isinstance(number, str) else int(number)


def _good_state(path: Path) -> bytes | None:
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        fields = orjson.loads(content)
        if not isinstance(fields, dict) or not {"accounts", "blocks"} <= set(fields):
            return None
        last_block(content)
    except (OSError, EOFError, ValueError, TypeError):
        return None
    return content
