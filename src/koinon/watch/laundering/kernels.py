# SPDX-License-Identifier: Apache-2.0
"""Loops over transfers in time: cycles, paths over one middle, chains that peel.

``grouped`` are rows in the order of an account and then of time, with each account's first place
(`koinon.watch.laundering.grouping`). Rows stand for moments: a lower row happened first.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from koinon.watch.compiled import compiled


@compiled
def place_before(rows: Any, first: Any, last: Any, row: Any) -> Any:
    """How far ``rows[first:last]``, which ascend, stay below ``row``."""
    while first < last:
        middle = (first + last) // 2
        if rows[middle] < row:
            first = middle + 1
        else:
            last = middle
    return first


@compiled
def backwards(ends: Any, incoming: Any, span: Any, hops: Any, late: Any, queue: Any) -> Any:  # noqa: PLR0917
    """Fill ``late[h, x]``: the latest row by which money can leave x and arrive at the payer of row
    ``span[1]`` before that row over at most h + 1 transfers; no row below ``span[0]``. The number of
    accounts touched, which are in ``queue``."""
    source, _ = ends
    starts, rows = incoming
    low, closing = span
    payer = source[closing]
    touched = 0
    for hop in range(hops):
        # what is known over fewer transfers holds over more
        before = touched
        for at in range(before):
            account = queue[at]
            if hop and late[hop - 1, account] > late[hop, account]:
                late[hop, account] = late[hop - 1, account]
        for at in range(1 if hop == 0 else before):
            account = payer if hop == 0 else queue[at]
            limit = closing if hop == 0 else late[hop - 1, account]
            if limit < 0 or (hop and account == payer):
                continue
            place = place_before(rows, starts[account], starts[account + 1], limit) - 1
            while place >= starts[account] and rows[place] >= low:
                other = source[rows[place]]
                if rows[place] > late[hop, other]:
                    seen = False
                    for each in range(hop + 1):
                        if late[each, other] >= 0:
                            seen = True
                    if not seen:
                        queue[touched] = other
                        touched += 1
                    late[hop, other] = rows[place]
                place -= 1
    return touched


@compiled
def forget(late: Any, queue: Any, touched: Any) -> None:
    for at in range(touched):
        late[:, queue[at]] = -1


@compiled
def meets(ends: Any, outgoing: Any, span: Any, late: Any, hops: Any) -> Any:
    """Whether money can go from the payee of the closing row over at most two transfers to an account from
    which ``late`` says it gets back over at most ``hops`` more."""
    _, target = ends
    starts, rows = outgoing
    low, closing = span
    payee = target[closing]
    back = late[hops - 1]
    if back[payee] >= 0:
        return True
    first = place_before(rows, starts[payee], starts[payee + 1], low)
    while first < starts[payee + 1] and rows[first] < closing:
        middle = target[rows[first]]
        if back[middle] > rows[first]:
            return True
        second = place_before(rows, starts[middle], starts[middle + 1], rows[first] + 1)
        while second < starts[middle + 1] and rows[second] < closing:
            if back[target[rows[second]]] > rows[second]:
                return True
            second += 1
        first += 1
    return False


@compiled
def enumerate_cycles(  # noqa: PLR0917
    ends: Any, outgoing: Any, span: Any, late: Any, lengths: Any, found: Any, count: Any, most: Any
) -> Any:
    """Write the simple cycles that the closing row completes, at most ``most``, after the first ``count`` of
    ``found``; (how many there are now, whether there were more)."""
    source, target = ends
    starts, rows = outgoing
    low, closing = span
    shortest, longest = lengths
    payer, payee = source[closing], target[closing]
    path = np.empty(longest, np.int64)  # rows
    visited = np.empty(longest + 1, np.int64)
    place = np.empty(longest, np.int64)
    visited[0] = payee
    place[0] = place_before(rows, starts[payee], starts[payee + 1], low)
    depth = 0
    written = 0
    while depth >= 0:
        account = visited[depth]
        at = place[depth]
        if at >= starts[account + 1] or rows[at] >= closing:
            depth -= 1
            continue
        place[depth] += 1
        row = rows[at]
        other = target[row]
        left = longest - 2 - depth  # transfers that may still follow this one before the closing one
        if other == payer:
            if depth + 2 >= shortest:
                if written == most:
                    return count + written, True
                path[depth] = row
                found[count + written, : depth + 1] = path[: depth + 1]
                found[count + written, depth + 1] = closing
                written += 1
            continue
        if left < 1 or late[left - 1, other] <= row:
            continue
        again = False
        for each in range(depth + 1):
            if visited[each] == other:
                again = True
        if again:
            continue
        path[depth] = row
        depth += 1
        visited[depth] = other
        place[depth] = place_before(rows, starts[other], starts[other + 1], row + 1)
    return count + written, False


@compiled
def cycles(  # noqa: PLR0917
    ends: Any, timestamp: Any, groups: Any, begin: Any, window: Any, lengths: Any, found: Any, most: Any
) -> Any:
    """Cycles by their closing row, from ``begin`` on, until all rows are done or ``found`` could overflow:
    (next row, cycles found). ``crowded`` (last of ``groups``) marks closing rows that have more."""
    outgoing, incoming, late, queue, last, crowded = groups
    source, target = ends
    _, longest = lengths
    low, count = 0, 0
    rows = timestamp.shape[0]
    for row in range(begin, rows):
        while timestamp[low] <= timestamp[row] - window:
            low += 1
        payer, payee = source[row], target[row]
        if payer == payee:
            continue
        if last[payee] >= low and payer != payee:
            if count + most > found.shape[0]:
                return row, count
            span = (low, row)
            half = min(3, longest - 1)
            touched = backwards(ends, incoming, span, half, late, queue)
            if touched and meets(ends, outgoing, span, late, half):
                if half < longest - 1:
                    forget(late, queue, touched)
                    touched = backwards(ends, incoming, span, longest - 1, late, queue)
                count, more = enumerate_cycles(ends, outgoing, span, late, lengths, found, count, most)
                crowded[row] = more
            forget(late, queue, touched)
        last[payer] = row
    return rows, count


@compiled
def middles(ends: Any, timestamp: Any, incoming: Any, window: Any, busiest: Any, found: Any) -> Any:  # noqa: PLR0917
    """Pairs (row in, row out) of money that went over a middle within the window, as many as fit into
    ``found`` int64[n, 2]; how many there are. A middle with more than ``busiest`` payments in the window is
    a hub and not counted."""
    source, target = ends
    starts, rows = incoming
    count = 0
    for row in range(timestamp.shape[0]):
        middle = source[row]
        last = place_before(rows, starts[middle], starts[middle + 1], row) - 1
        first = last
        while first >= starts[middle] and timestamp[rows[first]] > timestamp[row] - window:
            first -= 1
        if last - first > busiest:
            continue
        for at in range(first + 1, last + 1):
            payer = source[rows[at]]
            if payer == middle or payer == target[row] or target[row] == middle:
                continue
            if count < found.shape[0]:
                found[count, 0] = rows[at]
                found[count, 1] = row
            count += 1
    return count


@compiled
def peels(ends: Any, columns: Any, outgoing: Any, window: Any, share: Any, marks: Any) -> None:  # noqa: PLR0917
    """For each row, the row that carries most of its money on while a small part is peeled off.

    ``marks``: ``depth`` (steps that lead here), ``before`` (the row this one carries on), ``peel`` (the row
    peeled off then) and ``known`` (the row at which the step can be seen)."""
    source, target = ends
    timestamp, amount = columns
    starts, rows = outgoing
    depth, before, peel, known = marks
    for row in range(timestamp.shape[0]):
        account = target[row]
        if account == source[row] or amount[row] <= 0.0:
            continue
        first = place_before(rows, starts[account], starts[account + 1], row + 1)
        last = first
        while last < starts[account + 1] and timestamp[rows[last]] < timestamp[row] + window:
            last += 1
        if last - first > 16:
            last = first + 16
        done = False
        for main in range(first, last):
            large = rows[main]
            if amount[large] < (1.0 - share) * amount[row] or amount[large] >= amount[row]:
                continue
            for other in range(first, last):
                small = rows[other]
                if other == main or amount[small] > share * amount[row] or target[small] == target[large]:
                    continue
                if amount[small] <= 0.0 or amount[small] + amount[large] > 1.001 * amount[row]:
                    continue
                if depth[large] < depth[row] + 1:
                    depth[large] = depth[row] + 1
                    before[large] = row
                    peel[large] = small
                    known[large] = max(large, small)
                done = True
                break
            if done:
                break
