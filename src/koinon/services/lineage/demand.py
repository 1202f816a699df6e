# SPDX-License-Identifier: Apache-2.0
"""The demand for verified lineage, as mandates make it."""

from __future__ import annotations

from collections.abc import Callable

from koinon.chain.handle import Chain
from koinon.works.catalogue import Blocks, Catalogue
from koinon.works.fingerprints.verdict import lineage_verified


def lineage_check(chain: Chain, store: Blocks) -> Callable[[int], bool]:
    """What `MandateSpending` asks of a Work: registered fingerprints that are nobody else's, a stake of its
    owner's on that, and no claim open or upheld. ``store`` is where registration files are looked up."""
    catalogue = Catalogue(chain, store)
    return lambda work_id: lineage_verified(catalogue, work_id).verified
