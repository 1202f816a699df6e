# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@notice A price feed that says what it is told, and logs it as `PriceFeed` does.
"""

event Posted:
    round_id: indexed(uint80)
    answer: int256
    observed_at: uint256
    reports: uint256


base_token: public(address)
quote_token: public(address)
decimals: public(uint8)
market_answer: public(int256)
feeder_answer: public(int256)
agrees: public(bool)
fresh: public(bool)


@deploy
def __init__(base_token: address, quote_token: address, decimals: uint8, answer: int256):
    self.base_token = base_token
    self.quote_token = quote_token
    self.decimals = decimals
    self.market_answer = answer
    self.feeder_answer = answer
    self.agrees = True
    self.fresh = True


@external
def set_answers(market: int256, feeders: int256):
    self.market_answer = market
    self.feeder_answer = feeders
    log Posted(round_id=1, answer=feeders, observed_at=block.timestamp, reports=1)


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
