# SPDX-License-Identifier: Apache-2.0
"""Runs of values that are too telling to occur by accident, recognised by their hashes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Words = NDArray[np.uint64]

RATIOS: Final = 12
"""How many ratios of differences make a shape."""

_BITS: Final = 48.0
_LENGTHS: Final = (3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
_MOST_RUNS: Final = 4_000_000
_BASE: Final = np.uint64(0x9E3779B97F4A7C15)
_INVERSE: Final = np.uint64(pow(0x9E3779B97F4A7C15, -1, 1 << 64))
_MIX: Final = np.uint64(0xD6E8FEB86659FD93)
_NO_RATIO: Final = _MIX
_LONG: Final = 100


@dataclass(frozen=True)
class Runs:
    """Hashes of runs of symbols that are too telling to be accidents: sorted, by the length of the run."""

    by_length: dict[int, Words] = field(repr=False)

    @classmethod
    def of(cls, symbols: Words, bits: Numbers, values: Numbers, lengths: tuple[int, ...] = _LENGTHS) -> Runs:
        """Each run within a row at the first length at which it tells enough.

        Parameters
        ----------
        symbols, bits : shape (rows, width)
            A word for each value, and how many bits it tells.
        values : shape (rows, width or more)
            To leave out what any program may write.
        """
        bits = bits.copy()
        bits[:, 1:][symbols[:, 1:] == symbols[:, :-1]] = 0  # after a zero, another is no news
        every = max(1, symbols.size // _MOST_RUNS)
        at_once = max(1, _MOST_RUNS // symbols.shape[1])
        found: dict[int, list[Words]] = {}
        for first in range(0, symbols.shape[0], at_once):
            chunk = slice(first, first + at_once)
            totals = np.cumsum(np.pad(bits[chunk], ((0, 0), (1, 0))), axis=1)
            told_shorter = np.zeros_like(bits[chunk], dtype=bool)
            for length in (each for each in lengths if each <= symbols.shape[1]):
                telling = totals[:, length:] - totals[:, :-length] >= _BITS
                wanted = telling & ~told_shorter[:, : telling.shape[1]]
                wanted &= ~_monotonous(symbols[chunk], values[chunk], length)
                wanted &= (np.arange(telling.shape[1]) % every == 0)[None, :]
                told_shorter[:, : telling.shape[1]] |= telling
                if wanted.any():
                    found.setdefault(length, []).append(_hashes(symbols[chunk], length)[wanted])
        return cls({length: np.unique(np.concatenate(hashes)) for length, hashes in found.items()})

    def hits(self, symbols: Words, values: Numbers, *, least: int = 1) -> bool:
        """Whether at least so many different runs of these symbols are the data's."""
        count = 0
        for length, known in self.by_length.items():
            if symbols.size < length:
                continue
            looked = _hashes(symbols, length)
            at = np.minimum(np.searchsorted(known, looked), known.size - 1)
            same = known[at] == looked
            if same.any():
                same &= ~_monotonous(symbols, values, length)
                count += np.unique(looked[same]).size
        return count >= least


def words_of(values: Numbers) -> Words:
    """One word for each number, by its float32."""
    with np.errstate(over="ignore"):
        bits = (values + 0.0).astype(np.float32).view(np.uint32).astype(np.uint64)
    return (bits + np.uint64(1)) * _MIX


def ratios_of(values: Numbers) -> Words:
    """A word for the ratio of successive differences: its sign, and its size in eighths of an octave."""
    differences = np.diff(values)
    differences[np.abs(differences) <= 1e-6 * np.abs(values[..., 1:])] = 0  # what float32 rounds is no shape
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = differences[..., 1:] / differences[..., :-1]
        size = np.rint(np.log2(np.abs(ratio)) * 8)
    fine = np.isfinite(size) & (np.abs(size) < 1000)
    told = np.where(fine, np.where(ratio < 0, size + 4000, size + 2000), 0.0)
    return (told.astype(np.uint64) + np.uint64(1)) * _MIX


def bits_of(symbols: Words) -> Numbers:
    """How rare each is among all."""
    _values, inverse, counts = np.unique(symbols, return_inverse=True, return_counts=True)
    bits: Numbers = -np.log2(counts[inverse] / symbols.size)
    return bits.reshape(symbols.shape)


def _hashes(symbols: Words, length: int) -> Words:
    """A hash of every run along the last axis: a polynomial over the whole, cut and shifted, modulo 2⁶⁴."""
    with np.errstate(over="ignore"):
        width = symbols.shape[-1]
        before = np.zeros((*symbols.shape[:-1], 1), dtype=np.uint64)
        sums = np.cumsum(symbols * _powers(_BASE, width), axis=-1, dtype=np.uint64)
        sums = np.concatenate([before, sums], axis=-1)
        return (sums[..., length:] - sums[..., :-length]) * _powers(_INVERSE, width)[: width - length + 1]


def _powers(base: np.uint64, count: int) -> Words:
    factors = np.full(max(count, 1), base, dtype=np.uint64)
    factors[0] = 1
    return np.cumprod(factors, dtype=np.uint64)


def _monotonous(symbols: Words, values: Numbers, length: int) -> NDArray[np.bool_]:
    """Runs that any program may write: one symbol again and again, or numbers in even steps."""
    same = _all_of(symbols[..., 1:] == symbols[..., :-1], length - 1)
    if symbols.shape != values.shape:
        return same
    steps = np.diff(values)
    return same | _all_of(np.abs(np.diff(steps)) <= 1e-6 * np.abs(steps[..., 1:]), length - 2)


def _all_of(flags: NDArray[np.bool_], length: int) -> NDArray[np.bool_]:
    before = np.zeros((*flags.shape[:-1], 1), dtype=np.int64)
    sums = np.concatenate([before, np.cumsum(flags, axis=-1)], axis=-1)
    return np.asarray(sums[..., length:] - sums[..., : sums.shape[-1] - length] == length)


def shapes_of(rows: Numbers) -> Runs:
    """Runs within rows by the ratios of successive differences, which a scale and a shift leave alone."""
    if rows.shape[1] < RATIOS + 2:
        return Runs({})
    symbols = ratios_of(rows)
    bits = bits_of(symbols)
    if rows.shape[1] >= _LONG:  # a flag's few shapes are rare among all columns, and common in its own
        bits = np.minimum(bits, np.vstack([bits_of(row) for row in symbols]))
    return Runs.of(symbols, np.where(symbols == _NO_RATIO, 0.0, bits), rows, (RATIOS,))
