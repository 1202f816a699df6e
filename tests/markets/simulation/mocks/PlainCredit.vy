# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
"""
@title Plain credit
@license Apache-2.0
@notice A stand-in for tests: one coin lent without interest against another, at one limit for everybody.
"""

from ethereum.ercs import IERC20


interface Feed:
    def latestRoundData() -> (uint80, int256, uint256, uint256, uint80): view
    def latestFeederData() -> (uint80, int256, uint256, uint256, uint80): view


event Borrow:
    borrower: indexed(address)
    amount: uint256


event Liquidate:
    borrower: indexed(address)
    liquidator: indexed(address)
    paid: uint256
    taken: uint256


LIMIT_BPS: constant(uint256) = 7_500
CLOSE_BPS: constant(uint256) = 8_000
BONUS_BPS: constant(uint256) = 10_500

loan: public(immutable(address))
collateral: public(immutable(address))
feed: public(immutable(address))
SCALE: immutable(uint256)
deposits: public(HashMap[address, uint256])
pledged: public(HashMap[address, uint256])
debt: public(HashMap[address, uint256])


@deploy
def __init__(loan_: address, collateral_: address, feed_: address, scale: uint256):
    loan = loan_
    collateral = collateral_
    feed = feed_
    SCALE = scale


@external
def deposit(amount: uint256):
    extcall IERC20(loan).transferFrom(msg.sender, self, amount)
    self.deposits[msg.sender] += amount


@external
def withdraw(amount: uint256):
    self.deposits[msg.sender] -= amount
    extcall IERC20(loan).transfer(msg.sender, amount)


@external
def pledge(amount: uint256):
    extcall IERC20(collateral).transferFrom(msg.sender, self, amount)
    self.pledged[msg.sender] += amount


@external
def unpledge(amount: uint256):
    self.pledged[msg.sender] -= amount
    assert self.debt[msg.sender] == 0, "debt"
    extcall IERC20(collateral).transfer(msg.sender, amount)


@external
def borrow(amount: uint256):
    self.debt[msg.sender] += amount
    price: uint256 = self._price(True)
    assert self.debt[msg.sender] * 10_000 <= self._worth(self.pledged[msg.sender], price) * LIMIT_BPS, "limit"
    extcall IERC20(loan).transfer(msg.sender, amount)
    log Borrow(borrower=msg.sender, amount=amount)


@external
def repay(amount: uint256):
    paid: uint256 = min(amount, self.debt[msg.sender])
    self.debt[msg.sender] -= paid
    extcall IERC20(loan).transferFrom(msg.sender, self, paid)


@external
def liquidate(borrower: address):
    price: uint256 = self._price(False)
    owed: uint256 = self.debt[borrower]
    held: uint256 = self.pledged[borrower]
    assert owed > 0 and owed * 10_000 > self._worth(held, price) * CLOSE_BPS, "safe"
    taken: uint256 = min(held, owed * BONUS_BPS // 10_000 * SCALE // price)
    self.debt[borrower] = 0
    self.pledged[borrower] = held - taken
    extcall IERC20(loan).transferFrom(msg.sender, self, owed)
    extcall IERC20(collateral).transfer(msg.sender, taken)
    log Liquidate(borrower=borrower, liquidator=msg.sender, paid=owed, taken=taken)


@internal
@view
def _worth(units: uint256, price: uint256) -> uint256:
    return units * price // SCALE


@internal
@view
def _price(confirmed: bool) -> uint256:
    round: uint80 = 0
    answer: int256 = 0
    started: uint256 = 0
    updated: uint256 = 0
    answered: uint80 = 0
    if confirmed:
        round, answer, started, updated, answered = staticcall Feed(feed).latestRoundData()
    else:
        round, answer, started, updated, answered = staticcall Feed(feed).latestFeederData()
    return convert(answer, uint256)
