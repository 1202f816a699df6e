# SPDX-License-Identifier: Apache-2.0
"""Where to cut a column so that a few bins say nearly what a curve says."""

from __future__ import annotations

import numpy as np

from koinon.extras import required
from koinon.lending.scoring.frame import Floats, Integers


def leaf_edges(
    values: Integers, wanted: Floats, most: int, least: int, counted: Floats | None = None
) -> tuple[int, ...]:
    """Upper edges of at most so many bins, each of at least so many rows: a regression tree's cuts.

    Parameters
    ----------
    values : int64 array, shape (rows,)
    wanted : float64 array, shape (rows,)
        What the bins are to tell apart: a curve's height, or labels.
    counted : float64 array, shape (rows,), optional
        How much each row counts in that; by default all the same.
    """
    if not values.size or np.unique(values).size < 2 or len(values) < 2 * least:
        return ()
    tree = required("sklearn.tree", extra="lending").DecisionTreeRegressor(
        max_leaf_nodes=most, min_samples_leaf=least, random_state=0
    )
    # scikit-learn reads float32: ranks stay exact where large values would be rounded together
    distinct, ranks = np.unique(values, return_inverse=True)
    grown = tree.fit(ranks[:, None].astype(np.float32), wanted, sample_weight=counted).tree_
    cuts = np.sort(grown.threshold[grown.feature >= 0])
    return tuple(int(distinct[int(cut)]) for cut in np.unique(np.floor(cuts)))
