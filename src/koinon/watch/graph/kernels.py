# SPDX-License-Identifier: Apache-2.0
"""The sweep over edges in time: what left each window is taken out, what happened is put in.

State, for slots of accounts and W windows in ascending order: ``counts`` int32[slots, W, 4] (edges out, in;
distinct partners out, in), ``sums`` float64[slots, W, 4] (out and its rounding error, in and its), ``keys``
int64[power of two] and ``pairs`` int32[same, W], a table of who paid whom how often.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from koinon.watch.compiled import compiled

EMPTY: Final = np.int64(-1)
_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_HALF: Final = np.uint64(32)


@compiled
def home_of(key: Any, mask: Any) -> Any:
    return np.int64((np.uint64(key) * _GOLDEN) >> _HALF) & mask


@compiled
def place_of(keys: Any, key: Any) -> Any:
    """Where a key is, or the empty place where it would be put (linear probing)."""
    mask = np.int64(keys.shape[0] - 1)
    at = home_of(key, mask)
    while keys[at] != EMPTY and keys[at] != key:
        at = (at + 1) & mask
    return at


@compiled
def remove(keys: Any, pairs: Any, at: Any) -> None:
    """Take a key out and move those behind it up, so that no mark stays behind (Knuth 6.4, algorithm R)."""
    mask = np.int64(keys.shape[0] - 1)
    hole, behind = at, (at + 1) & mask
    while keys[behind] != EMPTY:
        home = home_of(keys[behind], mask)
        if ((behind - home) & mask) >= ((behind - hole) & mask):
            keys[hole] = keys[behind]
            pairs[hole] = pairs[behind]
            hole = behind
        behind = (behind + 1) & mask
    keys[hole] = EMPTY
    pairs[hole] = 0


@compiled
def rehash(keys: Any, pairs: Any, new_keys: Any, new_pairs: Any) -> None:
    for at in range(keys.shape[0]):
        if keys[at] != EMPTY:
            there = place_of(new_keys, keys[at])
            new_keys[there] = keys[at]
            new_pairs[there] = pairs[at]


@compiled
def add(sums: Any, account: Any, window: Any, column: Any, amount: Any) -> None:
    """A sum that carries its rounding error along (Neumaier 1974)."""
    before = sums[account, window, column]
    after = before + amount
    moved = after - before
    sums[account, window, column] = after
    sums[account, window, column + 1] += (before - (after - moved)) + (amount - moved)


@compiled
def leave(state: Any, columns: Any, row: Any, window: Any) -> None:
    counts, sums, keys, pairs = state
    source, target, _, amount = columns
    payer, payee = source[row], target[row]
    counts[payer, window, 0] -= 1
    counts[payee, window, 1] -= 1
    if counts[payer, window, 0] == 0:
        sums[payer, window, 0] = 0.0
        sums[payer, window, 1] = 0.0
    else:
        add(sums, payer, window, 0, -amount[row])
    if counts[payee, window, 1] == 0:
        sums[payee, window, 2] = 0.0
        sums[payee, window, 3] = 0.0
    else:
        add(sums, payee, window, 2, -amount[row])
    at = place_of(keys, (np.int64(payer) << 32) | np.int64(payee))
    pairs[at, window] -= 1
    if pairs[at, window] == 0:
        counts[payer, window, 2] -= 1
        counts[payee, window, 3] -= 1
        if window == counts.shape[1] - 1:
            remove(keys, pairs, at)


@compiled
def enter(state: Any, columns: Any, row: Any) -> None:
    counts, sums, keys, pairs = state
    source, target, _, amount = columns
    payer, payee = source[row], target[row]
    key = (np.int64(payer) << 32) | np.int64(payee)
    at = place_of(keys, key)
    keys[at] = key
    for window in range(counts.shape[1]):
        counts[payer, window, 0] += 1
        counts[payee, window, 1] += 1
        add(sums, payer, window, 0, amount[row])
        add(sums, payee, window, 2, amount[row])
        pairs[at, window] += 1
        if pairs[at, window] == 1:
            counts[payer, window, 2] += 1
            counts[payee, window, 3] += 1


@compiled
def tell(state: Any, account: Any, found: Any, column: Any) -> Any:
    """Write what is known of an account now; the next free column."""
    counts, sums, _, _ = state
    for window in range(counts.shape[1]):
        for side in range(2):
            total = sums[account, window, 2 * side] + sums[account, window, 2 * side + 1]
            found[column] = counts[account, window, side]
            found[column + 1] = max(total, 0.0)
            found[column + 2] = counts[account, window, 2 + side]
            column += 3
    return column


@compiled
def sweep(columns: Any, rows: Any, lengths: Any, state: Any, found: Any) -> None:
    """Put the rows from ``rows[0]`` to ``rows[1]`` in.

    ``columns`` are source, target, timestamp, amount; ``lengths`` the first row still inside each window, and
    each window's seconds.
    """
    source, target, timestamp, _ = columns
    begin, end = rows
    heads, windows = lengths
    for row in range(begin, end):
        for window in range(windows.shape[0]):
            oldest = timestamp[row] - windows[window]
            head = heads[window]
            while head < row and timestamp[head] <= oldest:
                leave(state, columns, head, window)
                head += 1
            heads[window] = head
        enter(state, columns, row)
        told = found[row - begin]
        column = tell(state, source[row], told, 0)
        tell(state, target[row], told, column)
