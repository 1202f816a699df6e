# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@notice A price feed that says what it is told.
"""

decimals: public(uint8)
market_answer: public(int256)
feeder_answer: public(int256)
agrees: public(bool)
fresh: public(bool)


@deploy
def __init__(decimals: uint8, answer: int256):
    self.decimals = decimals
    self.market_answer = answer
    self.feeder_answer = answer
    self.agrees = True
    self.fresh = True


@external
def set_answers(market: int256, feeders: int256):
    self.market_answer = market
    self.feeder_answer = feeders


@external
def set_state(agrees: bool, fresh: bool):
    self.agrees = agrees
    self.fresh = fresh


@external
@view
def latestRoundData() -> (uint80, int256, uint256, uint256, uint80):
    assert self.fresh, "feeders' price is stale"
    assert self.agrees, "feeders and market disagree"
    return (1, self.market_answer, block.timestamp, block.timestamp, 1)


@external
@view
def latestFeederData() -> (uint80, int256, uint256, uint256, uint80):
    assert self.fresh, "feeders' price is stale"
    return (1, self.feeder_answer, block.timestamp, block.timestamp, 1)
