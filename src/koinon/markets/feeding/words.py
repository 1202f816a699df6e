# SPDX-License-Identifier: Apache-2.0
"""Where feeders' signed prices meet: a folder that all of them can write to, whatever keeps it the same.

Anyone may write anything there; a word counts by its signature. One file a feeder and feed, its newest word.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import orjson

from koinon.chain.keys import write_private
from koinon.errors import BadInput
from koinon.markets.feeds import SignedPrice

MOST_FILES: Final = 1_000
MOST_BYTES: Final = 4_096


class Words:
    """Signed prices of one feed in a folder.

    Parameters
    ----------
    folder : Path
        Made where it is not there yet.
    """

    def __init__(self, folder: Path, feed: str) -> None:
        self.folder, self.feed = folder, feed

    def own(self, feeder: str) -> SignedPrice | None:
        """The word that a feeder kept here last; None where there is none that can be read."""
        return _read(self._file(feeder))

    def keep(self, word: SignedPrice) -> None:
        """Put a feeder's word in the place of its earlier one; on the disk when this returns.

        Raises
        ------
        BadInput
            The folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            file = self._file(word.feeder)
            write_private(file, orjson.dumps(word.to_json()))
            file.chmod(0o644)  # others read it
        except OSError as fault:
            raise BadInput(
                f"{self.folder} cannot be written ({fault.strerror or fault}).",
                hint="Name a folder that you may write.",
                code="markets.words",
            ) from None

    def of_round(self, round_id: int) -> Iterator[SignedPrice]:
        """Everybody's words for a round, as they are: not checked yet."""
        files = sorted(self.folder.glob(f"{self.feed}-*.json"))[:MOST_FILES] if self.folder.is_dir() else []
        for file in files:
            word = _read(file)
            if word is not None and word.feed == self.feed and word.round_id == round_id:
                yield word

    def _file(self, feeder: str) -> Path:
        return self.folder / f"{self.feed}-{feeder}.json"


def _read(file: Path) -> SignedPrice | None:
    """None for what is no word: another's writing is nobody's fault here."""
    try:
        with file.open("rb") as opened:
            return SignedPrice.from_json(orjson.loads(opened.read(MOST_BYTES)))
    except (OSError, ValueError, BadInput):
        return None
