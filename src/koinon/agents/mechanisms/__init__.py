# SPDX-License-Identifier: Apache-2.0
"""Rules by which agents come to prices: pure functions of integers, without messages or money.

`second_price` and `mcafee` reward honesty: nobody gains by bidding anything but what a thing is worth to
them. `OrderBook` trades at once, at whatever price is there. `bargaining` is for two.
"""

from koinon.agents.mechanisms.bargaining import Concession, accepts
from koinon.agents.mechanisms.double_auction import Clearing, mcafee, most_welfare
from koinon.agents.mechanisms.order_book import Fill, OrderBook, Placed
from koinon.agents.mechanisms.second_price import Award, award_to_highest, award_to_lowest

__all__ = [
    "Award",
    "Clearing",
    "Concession",
    "Fill",
    "OrderBook",
    "Placed",
    "accepts",
    "award_to_highest",
    "award_to_lowest",
    "mcafee",
    "most_welfare",
]
