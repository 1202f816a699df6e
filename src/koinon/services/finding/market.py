# SPDX-License-Identifier: Apache-2.0
"""The market of services: searched by words and conditions, ranked for one reader."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from koinon.services.finding import checks, meaning, ranking
from koinon.services.finding.catalogue_rows import Row, Rows
from koinon.services.finding.checks import Verdict
from koinon.services.finding.evidence import Evidence, evidence_of
from koinon.services.finding.found import Filters, Found, Result
from koinon.services.finding.measured import Measured, Measurements
from koinon.services.finding.price_list import PriceList
from koinon.services.finding.returning import Returning
from koinon.services.finding.trust import Trust, trust_of
from koinon.works.hall import Hall

CANDIDATES: Final = 100
"""Texts that are looked at with their feedback: the best by words, and as many of those that somebody
spoke of."""

READING_S: Final = 1.0
"""How long a search by meaning reads texts that are new to it, in seconds; the next one goes on."""

_FAR: Final = 0.84
_NEAR: Final = 0.92
"""Cosines of multilingual-e5-small lie close together: from the first a text counts as related, at the second
as saying the same."""

_REMEMBERED: Final = 4_096


@dataclass
class _Known:
    """What is remembered for one head of the chain."""

    head: str
    returning: Returning
    spoken: frozenset[int] = frozenset()
    mask: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))
    evidence: dict[tuple[int, frozenset[tuple[str, Any]]], Evidence] = field(default_factory=dict)


class Market:
    """All services of a network, as one node sees them. Safe to share between threads.

    Parameters
    ----------
    hall : Hall
    prices : PriceList
    measurements : Measurements
    contracts : collection of str
        Addresses whose verdicts nobody can bend: the network's own.
    meaning_folder : Path, optional
        Where vectors are kept; searches by meaning too where the extra is installed.
    """

    def __init__(
        self,
        hall: Hall,
        prices: PriceList,
        measurements: Measurements,
        *,
        contracts: Collection[str] = (),
        meaning_folder: Path | None = None,
    ) -> None:
        self.hall, self.prices, self.measurements = hall, prices, measurements
        self.contracts = frozenset(contracts)
        self._rows = Rows(hall.family)
        self._known = _Known("", self._paths())
        self._lock = RLock()
        self._meaning = (
            meaning.Meaning(meaning_folder) if meaning_folder is not None and meaning.available() else None
        )
        self._vectors = meaning.Vectors()

    def trust(self, reader: Sequence[str] = (), named: Sequence[str] = ()) -> Trust:
        """Whom a reader believes (see `trust_of`)."""
        return trust_of(self.hall.index, reader, named)

    def find(
        self,
        words: str = "",
        filters: Filters | None = None,
        *,
        trust: Trust | None = None,
        sold_here: Collection[int] = (),
        limit: int = 24,
        ask: bool = True,
    ) -> Found:
        """Search and rank; all services from the newest on where there are no words.

        Parameters
        ----------
        words : str
        filters : Filters, optional
        trust : Trust, optional
            The reader's.
        sold_here : collection of int
            Works that this node's own gateway sells.
        limit : int
            How many at most.
        ask : bool
            Whether gateways that were not asked for a while are asked for their price.
        """
        filters, trust = filters or Filters(), trust or Trust()
        self.hall.directory.catch_up()
        with self._lock:
            self._take_in(self._rows.refresh(sold_here))
            relevance = self._relevance(words)
        if ask:
            first = self._best(relevance, relevance > 0, limit)
            self.prices.look(self._rows.rows[row].work_id for row in first)
        with self._lock:
            self._take_in()
            wanted = relevance > 0
            columns = self._rows.columns
            untold = np.isnan(columns.price) & ~columns.unsold
            unknown = int(np.count_nonzero(wanted & untold[: len(wanted)]))
            wanted &= self._allowed(filters, trust)[: len(wanted)]
            known = self._known_of_head()
            spoken = wanted & self._spoken_of(known)[: len(wanted)]
            if filters.min_quality is not None:
                wanted = spoken
            matching = int(np.count_nonzero(wanted))
            rows = self._best(relevance, wanted, CANDIDATES) + self._best(relevance, spoken, CANDIDATES)
            rows = list(dict.fromkeys(rows))
        measured = self.measurements.all()
        best = float(relevance.max()) if len(relevance) else 0.0
        results = [
            self._result(self._rows.rows[row], float(relevance[row]) / best, known, trust, measured)
            for row in rows
        ]
        if filters.min_quality is not None:
            least = filters.min_quality
            results = [each for each in results if (each.evidence.mean or -1) >= least]
            matching = len(results)
        age = 1 if words.strip() else -1  # nobody can make a Work older; a list without words is of news
        results.sort(key=lambda each: (-each.score, age * each.work_id))
        shown = results[:limit]
        verdicts = checks.verdicts_on(
            self.hall.index, (each.work_id for each in shown), trust, self.contracts
        )
        shown = [replace(each, verdicts=verdicts.get(each.work_id, ())) for each in shown]
        return Found(tuple(shown), matching, len(self._rows), unknown)

    def about(self, work_id: int, trust: Trust) -> tuple[Evidence, tuple[Verdict, ...]]:
        """What counts of one service: feedback and verdicts."""
        verdicts = checks.verdicts_on(self.hall.index, [work_id], trust, self.contracts)
        return self._evidence(work_id, self._known_of_head(), trust), verdicts.get(work_id, ())

    def quality(self, evidence: Evidence) -> float:
        """Between 0 and 1 (see `ranking.quality`)."""
        if not evidence.words:
            return ranking.UNKNOWN
        return ranking.quality(evidence.mean, evidence.weight, self._coin)

    # inside

    @cached_property
    def _coin(self) -> int:
        """Units a coin."""
        units: int = 10 ** int(self.hall.chain.coin.call("decimals"))
        return units

    def _relevance(self, words: str) -> NDArray[np.float32]:
        """Each row's relevance, 0 for those that are not asked for."""
        standing = self._rows.columns.standing
        if not words.strip():
            return standing.astype(np.float32)
        scores = self._rows.index.scores(words)
        if self._meaning is not None:
            scores = self._by_meaning(self._meaning, words, scores)
        return np.where(standing, scores, np.float32(0))

    def _by_meaning(
        self, meant: meaning.Meaning, words: str, scores: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Words and meaning, each told as a part of its best; a text must be close in meaning to be found by
        it alone. Texts that were not read yet are read for a moment, the best by words first."""
        deadline = time.monotonic() + READING_S
        best = self._best(scores, scores > 0, CANDIDATES)
        for row in (*best, *range(len(scores) - 1, -1, -1)):
            if row in self._vectors:
                continue
            if time.monotonic() > deadline:
                break
            self._vectors.add(row, meant.text(f"{self._rows.rows[row].name}. {self._rows.rows[row].summary}"))
        rows, close = self._vectors.closeness(meant.question(words))
        found = scores / (float(scores.max(initial=0)) or 1.0)
        found[rows] += np.clip((close - _FAR) / (_NEAR - _FAR), 0, 1)
        return found

    def _best(self, relevance: NDArray[np.float32], allowed: NDArray[np.bool_], most: int) -> list[int]:
        """The rows of the highest relevance, oldest first among equals, or newest where all are equal."""
        rows = np.nonzero((relevance > 0) & allowed)[0]
        if len(rows) > most:
            weight = relevance[rows]
            least = np.partition(weight, len(rows) - most)[len(rows) - most]
            above = rows[weight > least]
            equal = rows[weight == least]
            rows = np.concatenate([above, equal[: most - len(above)] if len(above) else equal[-most:]])
        return [int(row) for row in sorted(rows, key=lambda row: (-relevance[row], row))]

    def _result(
        self,
        row: Row,
        relevance: float,
        known: _Known,
        trust: Trust,
        measured: Mapping[int, Measured],
    ) -> Result:
        evidence = self._evidence(row.work_id, known, trust)
        good = self.quality(evidence)
        return Result(
            row=row,
            listed=self.prices.known.get(row.work_id),
            measured=measured.get(row.work_id),
            evidence=evidence,
            verdicts=(),
            quality=good,
            score=ranking.score(relevance, good),
        )

    def _take_in(self, added: Sequence[int] = ()) -> None:
        """What gateways told of new rows, and news of the others."""
        told, columns = self.prices.news(), self._rows.columns
        for listed in told:
            place = self._rows.place_of(listed.work_id)
            if place is not None:
                columns.tell(place, listed)
        known = self.prices.known
        for place in added:
            before = known.get(self._rows.rows[place].work_id)
            if before is not None:
                columns.tell(place, before)

    def _allowed(self, filters: Filters, trust: Trust) -> NDArray[np.bool_]:
        """Which rows fulfil everything but the condition on feedback."""
        columns = self._rows.columns
        mask: NDArray[np.bool_] = ~columns.unsold
        if filters.max_price is not None:
            mask &= columns.price <= filters.max_price
        if filters.max_latency_ms is not None:
            slowest, measured = filters.max_latency_ms, self.measurements.all()
            mask &= self._only(
                work_id for work_id, each in measured.items() if each.answered and each.p95_ms <= slowest
            )
        if filters.validated:
            mask &= self._only(checks.validated(self.hall.index, trust, self.contracts))
        return mask

    def _only(self, work_ids: Iterable[int]) -> NDArray[np.bool_]:
        return self._rows.columns.only(self._rows.place_of(work_id) for work_id in work_ids)

    def _spoken_of(self, known: _Known) -> NDArray[np.bool_]:
        """Rows that somebody spoke of; asked for again only when there are more rows."""
        if len(known.mask) != self._rows.columns.size:
            known.mask = self._only(known.spoken)
        return known.mask

    def _known_of_head(self) -> _Known:
        """What is remembered for the newest block."""
        head = self.hall.index.head()
        mark = "" if head is None else head.hash
        with self._lock:
            if self._known.head != mark or len(self._known.evidence) >= _REMEMBERED:
                rows = self.hall.index.rows("SELECT DISTINCT agent_id FROM reputation_new_feedback")
                spoken = frozenset(int(row["agent_id"]) for row in rows)
                self._known = _Known(mark, self._paths(), spoken)
            return self._known

    def _evidence(self, work_id: int, known: _Known, trust: Trust) -> Evidence:
        if work_id not in known.spoken:
            return Evidence()
        key = (work_id, frozenset(trust.believed.items()))
        if key not in known.evidence:
            known.evidence[key] = evidence_of(
                self.hall.family, work_id, self.hall.book.of, trust, known.returning
            )
        return known.evidence[key]

    def _paths(self) -> Returning:
        chain = self.hall.chain
        jobs = chain.network.contracts.get("Jobs", "")
        return Returning(self.hall.index, chain.coin.address, chain.network.address("Channels"), jobs)
