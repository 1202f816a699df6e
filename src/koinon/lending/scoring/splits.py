# SPDX-License-Identifier: Apache-2.0
"""Which rows teach, calibrate and judge: by time where there is time, never a borrower on two sides.

Rows with a time are never split at random: a score is used on the future, so it is judged on the future.
There, a borrower seen before is left out of the judging side and of no other: who comes back mostly paid, so
that rows without those who will come back would teach too many bad ones. And a label that was not yet known
when the next stretch began teaches nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput
from koinon.lending.scoring.frame import Frame, Integers

LEAST_ROWS = 30


@dataclass(frozen=True, eq=False)
class Parts:
    """Row numbers of the three parts, and how they were made.

    ``train`` teaches, ``calibrate`` turns points into probabilities, ``test`` judges and does nothing else.
    ``known`` are rows of the judging stretch whose borrower taught or calibrated: measured apart.
    ``stretches`` are all rows of the three stretches of time before any was left out; None without times.
    """

    train: Integers
    calibrate: Integers
    test: Integers
    how: str
    known: Integers = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    stretches: tuple[Integers, Integers, Integers] | None = None


def split(frame: Frame, *, test: float = 0.3, calibrate: float = 0.15, seed: int = 0) -> Parts:
    """The split that a frame allows.

    With times: the last rows judge, those before them calibrate, and rows of one moment stay together. Rows
    whose label was not known when the next stretch began are left out of teaching and calibrating; borrowers
    of these two are left out of judging. Without times: at random by borrower where
    rows have one, else at random, both with the same share of bad rows.

    Parameters
    ----------
    test, calibrate : float
        Shares of all rows.
    seed : int
        Of the random splits.

    Raises
    ------
    BadInput
        A part has too few rows, or lacks good or bad ones.
    """
    if not 0 < test < 1 or not 0 < calibrate < 1 or test + calibrate >= 0.9:
        raise BadInput(
            "The shares for judging and calibrating leave too little to teach.", code="lending.split"
        )
    if frame.time is not None:
        parts = _by_time(frame, test, calibrate)
    elif frame.entity is not None:
        parts = _by_borrower(frame, test, calibrate, seed)
    else:
        parts = _at_random(frame, test, calibrate, seed)
    for name, rows in (("teach", parts.train), ("calibrate", parts.calibrate), ("judge", parts.test)):
        bad = int(frame.labels[rows].sum())
        if len(rows) < LEAST_ROWS or not 0 < bad < len(rows):
            raise BadInput(
                f"{len(rows)} rows with {bad} bad ones are left to {name}; "
                f"{LEAST_ROWS} with both kinds are needed.",
                hint="Give more rows, other shares, or a shorter horizon of labels.",
                code="lending.split",
            )
    return parts


def folds(frame: Frame, count: int = 5, *, seed: int = 0) -> list[tuple[Integers, Integers]]:
    """(earlier, later) or (others, own) rows of a cross-validation.

    With times the window grows: each fold is judged on the stretch after all it learned from, by borrowers
    it did not learn from, and learns from labels that were known by then. Without, rows are dealt out by
    borrower, or at random.
    """
    if count < 2:
        raise BadInput("Cross-validation needs two folds or more.", code="lending.split")
    if frame.time is not None:
        edges = np.unique(np.quantile(frame.time, np.linspace(0, 1, count + 2)[1:-1], method="lower"))
        stretch = np.searchsorted(edges, frame.time, side="left")
        made = []
        for each in np.unique(stretch):
            late = np.flatnonzero(stretch == each)
            early = _known_before(frame, np.flatnonzero(stretch < each), late)
            made.append((early, _strangers(frame, late, early)))
        return [(early, late) for early, late in made if early.size and late.size]
    _, number = np.unique(
        np.arange(len(frame)).astype(str) if frame.entity is None else frame.entity, return_inverse=True
    )
    dealt = np.random.default_rng(seed).permutation(int(number.max()) + 1)[number] % count
    return [(np.flatnonzero(dealt != fold), np.flatnonzero(dealt == fold)) for fold in range(count)]


def held_back(frame: Frame, share: float, seed: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which of the rows that teach go on doing so, and which say when to stop.

    The last by time where there are several times, else drawn; none where either side would lack good or bad
    rows. A row whose label was not known when the held ones begin is on neither side.
    """
    chosen = np.random.default_rng(seed).random(len(frame)) < share
    if frame.time is not None and frame.time.min() < frame.time.max():
        chosen = frame.time > np.quantile(frame.time, 1 - share, method="lower")
        if not chosen.any():
            chosen = frame.time == frame.time.max()
    earlier = ~chosen
    if frame.time is not None and frame.known_at is not None and chosen.any():
        earlier &= frame.known_at < frame.time[chosen].min()
    sides = (frame.labels[chosen], frame.labels[earlier])
    if all(0 < int(side.sum()) < side.size for side in sides):
        return earlier, chosen
    return np.ones(len(frame), dtype=np.bool_), np.zeros(len(frame), dtype=np.bool_)


def _by_time(frame: Frame, test: float, calibrate: float) -> Parts:
    time = frame.time
    assert time is not None  # noqa: S101  the caller looked
    moments, counts = np.unique(time, return_counts=True)
    if moments.size < 3:
        raise BadInput(
            "All rows have fewer than three different times: there is no later part to judge on.",
            hint="Give a finer time.",
            code="lending.split",
        )
    share = np.cumsum(counts) / len(frame)
    last = int(np.clip(np.searchsorted(share, 1 - test), 1, moments.size - 2))
    first = int(np.clip(np.searchsorted(share, 1 - test - calibrate), 0, last - 1))
    late = np.flatnonzero(time > moments[last])
    middle = np.flatnonzero((time > moments[first]) & (time <= moments[last]))
    early = np.flatnonzero(time <= moments[first])
    teach, calibrated = _known_before(frame, early, middle), _known_before(frame, middle, late)
    judge = _strangers(frame, late, np.concatenate([teach, calibrated]))
    how = f"by time: taught up to {moments[first]}, calibrated up to {moments[last]}, judged after"
    if frame.known_at is not None:
        how += ", by labels known at each cut"
    if frame.entity is not None:
        how += ", on borrowers not seen before"
    return Parts(teach, calibrated, judge, how, np.setdiff1d(late, judge), (early, middle, late))


def _known_before(frame: Frame, early: Integers, late: Integers) -> Integers:
    """The earlier rows whose label was known when the later ones begin."""
    if frame.known_at is None or frame.time is None:
        return early
    found: Integers = early[frame.known_at[early] < frame.time[late].min()]
    return found


def _strangers(frame: Frame, late: Integers, seen: Integers) -> Integers:
    """The later rows of borrowers who are not among those seen."""
    if frame.entity is None:
        return late
    return late[~np.isin(frame.entity[late], frame.entity[seen])]


def _by_borrower(frame: Frame, test: float, calibrate: float, seed: int) -> Parts:
    _, number = np.unique(frame.entity, return_inverse=True)  # type: ignore[call-overload]
    borrowers = int(number.max()) + 1
    place = np.empty(borrowers)
    place[np.random.default_rng(seed).permutation(borrowers)] = (np.arange(borrowers) + 0.5) / borrowers
    at = place[number]
    return Parts(
        np.flatnonzero(at >= test + calibrate),
        np.flatnonzero((at >= test) & (at < test + calibrate)),
        np.flatnonzero(at < test),
        f"at random by borrower, seed {seed}",
    )


def _at_random(frame: Frame, test: float, calibrate: float, seed: int) -> Parts:
    random = np.random.default_rng(seed)
    parts: tuple[list[Integers], list[Integers], list[Integers]] = ([], [], [])
    for label in (0, 1):
        rows = random.permutation(np.flatnonzero(frame.labels == label))
        one, two = round(len(rows) * test), round(len(rows) * (test + calibrate))
        for part, chosen in zip(parts, (rows[two:], rows[one:two], rows[:one]), strict=True):
            part.append(chosen)
    made = [np.sort(np.concatenate(part)) for part in parts]
    return Parts(made[0], made[1], made[2], f"at random with equal shares of bad rows, seed {seed}")
