# SPDX-License-Identifier: Apache-2.0
"""What conditions ask of services, as columns beside the rows of the text index."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from koinon.services.finding.price_list import Listed

Mask = NDArray[np.bool_]
_FIRST: Final = 1_024


class Columns:
    """A row's price and whether it stands; grows with the rows.

    Prices are kept as 64-bit floats, exact up to 2**53 units; beyond that a condition may be off by a unit.
    """

    def __init__(self) -> None:
        self.size = 0
        self._price = np.full(_FIRST, np.nan)
        self._unsold = np.zeros(_FIRST, dtype=np.bool_)
        self._standing = np.zeros(_FIRST, dtype=np.bool_)

    @property
    def price(self) -> NDArray[np.float64]:
        """In the coin's smallest unit; nan where it was never told."""
        return self._price[: self.size]

    @property
    def unsold(self) -> Mask:
        """Which are known to be sold by nobody."""
        return self._unsold[: self.size]

    @property
    def standing(self) -> Mask:
        """Which are a Work's present rows."""
        return self._standing[: self.size]

    def add(self) -> int:
        """One more row, standing; its place."""
        if self.size == len(self._price):
            self._price = np.concatenate([self._price, np.full(self.size, np.nan)])
            self._unsold = np.concatenate([self._unsold, np.zeros(self.size, dtype=np.bool_)])
            self._standing = np.concatenate([self._standing, np.zeros(self.size, dtype=np.bool_)])
        self._standing[self.size] = True
        self.size += 1
        return self.size - 1

    def fall(self, place: int) -> None:
        """A row is not its Work's any more."""
        self._standing[place] = False

    def tell(self, place: int, listed: Listed) -> None:
        """What a gateway said of the Work in this row."""
        self._price[place] = np.nan if listed.price is None else float(listed.price)
        self._unsold[place] = listed.state == "unsold"

    def only(self, places: Iterable[int | None]) -> Mask:
        """Which rows are among these."""
        mask = np.zeros(self.size, dtype=np.bool_)
        mask[[place for place in places if place is not None]] = True
        return mask
