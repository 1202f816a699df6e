# SPDX-License-Identifier: Apache-2.0
"""Linear equations on the graph of tokens, whose edges are pools."""

from __future__ import annotations

from typing import Final

import numpy as np

from koinon.extras import required
from koinon.markets.routing.tables import Floats, Ints

STEPS: Final = 500


def solve(coins: Ints, weight: Floats, diagonal: Floats, right: Floats, *, tolerance: float) -> Floats:
    """``x`` of ``(L + diag(diagonal)) x = right``, where ``L`` is the graph's Laplacian with these weights.

    By conjugate gradients, preconditioned with the diagonal, to ``tolerance`` of the residual's first length.

    ``coins`` (n, 2), ``weight`` (n,) ≥ 0, ``diagonal`` and ``right`` (tokens,). Good enough where it stops
    early, for whoever calls checks what the step brings.
    """
    tokens = len(right)
    sparse = required("scipy.sparse", extra="markets")
    first, second = coins[:, 0], coins[:, 1]
    own = np.bincount(first, weight, tokens) + np.bincount(second, weight, tokens) + diagonal
    links = sparse.coo_matrix((weight, (first, second)), shape=(tokens, tokens)).tocsr()
    links = links + links.T
    scale = 1 / np.where(own > 0, own, 1.0)
    x, residual = np.zeros(tokens), right.copy()
    ready = scale * residual
    direction, size = ready, float(residual @ ready)
    enough = size * tolerance**2
    for _ in range(STEPS):
        if size <= enough or size <= 0:
            break
        image = own * direction - links @ direction
        bent = float(direction @ image)
        if bent <= 0:
            break
        length = size / bent
        x = x + length * direction
        residual = residual - length * image
        ready = scale * residual
        size, before = float(residual @ ready), size
        direction = ready + size / before * direction
    return x
