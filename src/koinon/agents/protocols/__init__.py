# SPDX-License-Identifier: Apache-2.0
"""Ways in which agents come to an agreement and settle it: reusable modules that an agent includes."""

from koinon.agents.protocols.bargain import Bargainer
from koinon.agents.protocols.contract_net import Contractor, Manager
from koinon.agents.protocols.double_auction import Auctioneer, Participant
from koinon.agents.protocols.exchange import Market, Trader
from koinon.agents.protocols.sealed_bid import Bidder, Offerer
from koinon.agents.protocols.settlement import Collector, Payer

__all__ = [
    "Auctioneer",
    "Bargainer",
    "Bidder",
    "Collector",
    "Contractor",
    "Manager",
    "Market",
    "Offerer",
    "Participant",
    "Payer",
    "Trader",
]
