# SPDX-License-Identifier: Apache-2.0
"""A wallet judged for its page: points with reasons, and what they were at earlier blocks.

The chain's history is read once a block for all wallets; reading it is what takes time.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from koinon.lending.api import ROOM, Lending
from koinon.lending.features.compute import feature_table
from koinon.lending.following import Followed
from koinon.lending.grades import letter, titles
from koinon.lending.issuing import Judgement, judge
from koinon.lending.scorecard_table import ScorecardTable
from koinon.lending.scoring.on_chain import rows_of
from koinon.lending.scoring.reasons import Explanation, explain
from koinon.lending.scoring.scorecard import Scorecard
from koinon.lending.scoring.serving import Scorer
from koinon.lending.scoring.words import notice, ways_up
from koinon.web import marked as _
from koinon.works.ground import Ground

SCORECARD: Final = "scorecard.json"
CHALLENGER: Final = "challenger.json"
LOOKS: Final = 12
"""At how many blocks of its life a wallet's points are told."""
_NAMED: Final = ("account", "counterparty")


@dataclass(frozen=True)
class Judged:
    """What this node's scorecard says of a wallet.

    ``is_known`` whether the history names the wallet at all; ``looks`` (time, points) at earlier blocks,
    oldest first, the last one now; ``least`` and ``most`` points that the card can give.
    """

    judgement: Judgement
    found: Explanation
    card: Scorecard
    is_known: bool
    looks: tuple[tuple[int, int], ...]
    least: int
    most: int

    def reasons(self) -> list[str]:
        """The adverse-action notice in the reader's language."""
        return notice(self.card, self.found, titles())

    def ways_up(self) -> list[str]:
        """What moves it one tier, in the reader's language."""
        return ways_up(self.card, self.found, titles(), letter)

    @property
    def about(self) -> dict[str, Any]:
        """What the card was made from, and its report."""
        return dict(self.card.about)


def usual_scorer(ground: Ground) -> Scorer | None:
    """The scorecard of the data directory, with its challenger where there is one; None without.

    Raises
    ------
    BadInput, SetupError
        The file is damaged, or the challenger's package is not installed.
    """
    path = folder(ground) / SCORECARD
    if not path.is_file():
        return None
    challenger = folder(ground) / CHALLENGER
    return Scorer.open(path, challenger if challenger.is_file() else None)


def folder(ground: Ground) -> Path:
    """The room's place in the data directory."""
    return ground.settings.home / ROOM


class Histories:
    """The chain's history, read again only when there is a new block."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at = -1
        self._followed: Followed | None = None

    def now(self, lending: Lending) -> Followed:
        """Up to the last confirmed block."""
        with self._lock:
            block = lending.chain.block_number()
            if self._followed is None or block != self._at:
                self._followed, self._at = lending.follow(), block
            return self._followed


def judged(lending: Lending, scorer: Scorer, wallet: str, histories: Histories, tell: Any) -> Judged:
    """Judge a wallet as of now, and its points at earlier blocks; errors as in `judge`."""
    tell(_("Reading what pools, feeds and tokens did"))
    followed = histories.now(lending)
    tell(_("Judging the wallet"))
    judgement = judge(scorer, wallet, followed=followed)
    card, history = scorer.scorecard, followed.history
    number = history.number(wallet)
    rows = np.zeros(0, np.int64)
    if number >= 0:
        named = [history.columns[name] == number for name in _NAMED if name in history.columns]
        rows = np.flatnonzero(np.any(named, axis=0))
    blocks = _looks(history.columns["block_number"][rows], followed.block)
    table = feature_table(history.as_of(followed.block), [wallet] * len(blocks), blocks)
    read = rows_of(card, table.integers())
    points = card.table.points(read).tolist()
    times = [history.time_of(block) for block in blocks[:-1]] + [lending.chain.timestamp()]
    return Judged(
        judgement,
        explain(card, read[-1]),
        card,
        bool(len(rows)),
        tuple(zip(times, points, strict=True)),
        *span(card.table),
    )


def _looks(blocks: Any, last: int) -> list[int]:
    """Some of the blocks that a wallet is named in, evenly by time, and the last one of all."""
    distinct = np.unique(blocks[blocks < last])
    if not len(distinct):
        return [last]
    wanted = np.linspace(distinct[0], last, LOOKS)[:-1]
    places = np.clip(np.searchsorted(distinct, wanted, side="right") - 1, 0, len(distinct) - 1)
    return [*(int(each) for each in np.unique(distinct[places])), last]


def span(table: ScorecardTable) -> tuple[int, int]:
    """The fewest and the most points that a row can have."""
    least = most = table.base_points
    for feature in table.features:
        given = [*feature.points, feature.missing_points]
        if feature.zero_points is not None:
            given.append(feature.zero_points)
        least, most = least + min(given), most + feature.best_points
    return least, most
