# SPDX-License-Identifier: Apache-2.0
"""Whether numbers that leave without noise hold the data: as they are, in a code, or packed."""

from __future__ import annotations

from typing import Final

import numpy as np

from koinon.data.gate.compression import Control
from koinon.data.gate.noise import Numbers
from koinon.data.gate.policy import Reason
from koinon.data.gate.readings import byte_readings, decoded, numbers_of
from koinon.data.gate.verbatim import Fingerprints
from koinon.tables import Table

SHORTER: Final = "what only someone who knows the data can say so shortly"


class Copies:
    """What the rows of a table are recognised by; made once for all outputs of a job.

    Parameters
    ----------
    held_out : Table or None
        Rows from the same source, to compare compressed lengths with.
    generator : numpy Generator
        Shuffles rows where there are none held out.
    """

    def __init__(self, table: Table, held_out: Table | None, generator: np.random.Generator) -> None:
        self._known, self._control = Fingerprints(table), Control(table, held_out, generator)

    def find(self, numbers: Numbers) -> tuple[Reason, str] | None:
        """Which check found what, in words; None where none did."""
        found = self._known.find(numbers) or self._find_coded(numbers)
        if not found:
            return None
        return Reason.COMPRESSION if found == SHORTER else Reason.VERBATIM, found

    def _find_coded(self, numbers: Numbers) -> str:
        for plain in byte_readings(numbers):
            for content in (plain, *decoded(plain)):
                for read in numbers_of(content):
                    if found := self._known.find_exact(read):
                        return found
                if self._control.tells(content):
                    return SHORTER
        return ""
