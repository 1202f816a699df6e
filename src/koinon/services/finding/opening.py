# SPDX-License-Identifier: Apache-2.0
"""Opening the market of a node, for its commands and its pages."""

from __future__ import annotations

from typing import Any

from koinon.services.finding.market import Market
from koinon.services.finding.measured import Measurements
from koinon.services.finding.price_list import PriceList
from koinon.works.hall import Hall


def open_market(node: Any, hall: Hall | None = None) -> Market:
    """Every service of a node's network; with the pages' own hall where there is one."""
    return Market(
        hall or Hall(node.chain, node.index, node.store),
        PriceList(node, node.index, node.index),
        Measurements(node.settings.home),
        contracts=tuple(node.chain.network.contracts.values()),
        meaning_folder=node.settings.home,
    )
