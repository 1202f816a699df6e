# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@title A lender with two faults: it believes a pair's price of this moment, and lets collateral be given away
"""

interface Token:
    def transfer(to: address, amount: uint256) -> bool: nonpayable
    def transferFrom(owner: address, to: address, amount: uint256) -> bool: nonpayable


interface Pair:
    def token0() -> address: view
    def getReserves() -> (uint112, uint112, uint32): view


event CollateralSupplied:
    borrower: indexed(address)
    payer: indexed(address)
    amount: uint256


event Borrowed:
    borrower: indexed(address)
    receiver: indexed(address)
    tier: indexed(uint256)
    amount: uint256
    debt: uint256


event Liquidated:
    borrower: indexed(address)
    liquidator: indexed(address)
    receiver: indexed(address)
    repaid: uint256
    seized: uint256
    bonus_bps: uint256
    debt: uint256


event Defaulted:
    borrower: indexed(address)
    tier: indexed(uint256)
    bad_debt: uint256
    from_junior: uint256
    from_senior: uint256
    from_fees: uint256


loan: public(address)
collateral: public(address)
pair: public(address)
pledged: public(HashMap[address, uint256])
debt: public(HashMap[address, uint256])


@deploy
def __init__(loan: address, collateral: address, pair: address):
    """
    @param loan What is lent.
    @param collateral What is pledged.
    @param pair Whose price of this moment counts.
    """
    self.loan = loan
    self.collateral = collateral
    self.pair = pair


@external
def pledge(amount: uint256):
    """
    @notice Pledge collateral.
    @param amount How much.
    """
    extcall Token(self.collateral).transferFrom(msg.sender, self, amount)
    self.pledged[msg.sender] += amount
    log CollateralSupplied(borrower=msg.sender, payer=msg.sender, amount=amount)


@external
def borrow(amount: uint256):
    """
    @notice Borrow up to nine tenths of what is pledged.
    @param amount How much.
    """
    self.debt[msg.sender] += amount
    assert self.debt[msg.sender] * 10 <= self._worth(msg.sender) * 9, "too little pledged"
    extcall Token(self.loan).transfer(msg.sender, amount)
    log Borrowed(
        borrower=msg.sender, receiver=msg.sender, tier=0, amount=amount, debt=self.debt[msg.sender]
    )


@external
def donate(amount: uint256):
    """
    @notice Give collateral away, whatever one owes: the fault.
    @param amount How much.
    """
    self.pledged[msg.sender] -= amount


@external
def liquidate(borrower: address):
    """
    @notice Take all the collateral of one who owes too much, for half of what it is worth.
    @param borrower Who.
    """
    worth: uint256 = self._worth(borrower)
    assert self.debt[borrower] * 10 > worth * 9, "in order"
    paid: uint256 = worth // 2
    seized: uint256 = self.pledged[borrower]
    owed: uint256 = self.debt[borrower]
    self.pledged[borrower] = 0
    self.debt[borrower] = 0
    extcall Token(self.loan).transferFrom(msg.sender, self, paid)
    extcall Token(self.collateral).transfer(msg.sender, seized)
    log Liquidated(
        borrower=borrower,
        liquidator=msg.sender,
        receiver=msg.sender,
        repaid=paid,
        seized=seized,
        bonus_bps=5_000,
        debt=0,
    )
    log Defaulted(
        borrower=borrower, tier=0, bad_debt=owed - paid, from_junior=0, from_senior=owed - paid, from_fees=0
    )


@internal
@view
def _worth(borrower: address) -> uint256:
    reserve0: uint256 = 0
    reserve1: uint256 = 0
    a: uint112 = 0
    b: uint112 = 0
    when: uint32 = 0
    a, b, when = staticcall Pair(self.pair).getReserves()
    reserve0 = convert(a, uint256)
    reserve1 = convert(b, uint256)
    if staticcall Pair(self.pair).token0() == self.collateral:
        return self.pledged[borrower] * reserve1 // reserve0
    return self.pledged[borrower] * reserve0 // reserve1
