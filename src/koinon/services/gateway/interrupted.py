# SPDX-License-Identifier: Apache-2.0
"""Settlement that was cut off, finished: a killed gateway's vouchers are brought on chain."""

from __future__ import annotations

from koinon.errors import KoinonError
from koinon.services.api import JOURNAL, Services
from koinon.services.gateway.journal_lock import in_use
from koinon.services.prices import to_text


def settle_interrupted(services: Services) -> list[str]:
    """Claim and settle what this data directory's gateway holds, unless one runs and does so itself.

    Settling goes by what the chain says, so after a kill at any instruction nothing is claimed twice.
    """
    journal = services.data_dir / JOURNAL
    if not journal.exists() or in_use(journal):
        return []
    try:
        report = services.settle()
    except KoinonError as fault:
        return [f"The vouchers in {services.data_dir} could not be settled: {fault.message}"]
    said = []
    if settled := sum(report["settled"].values()):
        coin = services.chain.coin
        amount = to_text(settled, int(coin.call("decimals")))
        said.append(f"{amount} {coin.call('symbol')} that a stopped gateway was owed are in the tills now.")
    if report["failed"]:
        said.append(
            f"{len(report['failed'])} channels of the gateway in {services.data_dir} refused their claim."
        )
    return said
