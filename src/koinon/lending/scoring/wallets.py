# SPDX-License-Identifier: Apache-2.0
"""What wallets are compared by when a score is audited: how old, how large, and where from, at that time.

Nobody on chain has a race or a sex. What a score may punish without anybody wanting it is being new, small,
or paid first by the wrong kind of account. Nothing here is learned from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from koinon.lending.fairness import wallet_groups
from koinon.lending.features.point_in_time import Floats, Integers, Options, Queries, World
from koinon.lending.features.wallet import Flows
from koinon.lending.scoring.frame import Texts
from koinon.markets.history.history import History

COLUMNS: Final[Mapping[str, str]] = {
    "wallet_age": "wallet age",
    "wallet_size": "wallet size",
    "origin_of_funds": "origin of funds",
}
"""Column of a file of loans → the group it tells."""

SERVICE: Final = 50
"""Who had paid so many different accounts by then is taken for a service, such as an exchange."""
ORIGINS: Final = ("a service", "another wallet", "")


def groups_of_history(
    history: History,
    subjects: Sequence[str],
    blocks: Sequence[int],
    age_days: Floats,
    options: Options | None = None,
) -> Mapping[str, Texts]:
    """Groups of wallets, each as of the end of a block.

    Parameters
    ----------
    subjects, blocks : sequence of str, of int
        Whose, and as of which block; one of each a row.
    age_days : float64[rows]
        The feature of that name.
    options : Options, optional
        Dust and the like; money below the dust value makes no origin, so that nobody can be given one.
    """
    world = World.of(history, options)
    queries, flows = Queries.of(history, list(subjects), list(blocks)), Flows(world)
    nothing = np.zeros(len(queries), np.int64)
    span = flows.incoming.span(queries.subjects, nothing, queries.ends)
    received = flows.incoming.total(flows.cents, span).astype(np.float64) / 100
    return wallet_groups(age_days, received, _origins(flows, span))


def _origins(flows: Flows, span: tuple[Integers, Integers]) -> Texts:
    """Who paid each subject first; '' where nobody was seen to."""
    first, end = span
    some = np.flatnonzero(end > first)
    found = np.full(first.size, 2)
    entries = flows.incoming.order[first[some]]
    givers, rows = flows.partner[entries], flows.incoming.rows[first[some]]
    # of each giver, how many different accounts it had paid before that row
    fresh = flows.outgoing.firsts(flows.partner[flows.outgoing.order])
    sums = np.concatenate([[0], np.cumsum(fresh)])
    begin, until = flows.outgoing.span(givers, np.zeros(givers.size, np.int64), rows)
    found[some] = np.where(sums[until] - sums[begin] >= SERVICE, 0, 1)
    names: Texts = np.array(ORIGINS, dtype=np.str_)[found]
    return names
