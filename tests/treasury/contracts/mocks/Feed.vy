# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@title A price feed that says what it is told, or misbehaves
"""

decimals: public(uint8)
answer: public(int256)
updated_at: public(uint256)
manners: public(uint256)  # 0 answers, 1 reverts, 2 burns all gas, 3 answers too little, 4 answers nonsense


@deploy
def __init__(decimals: uint8, answer: int256):
    """
    @notice A feed.
    @param decimals Of its answers.
    @param answer The first.
    """
    self.decimals = decimals
    self.answer = answer
    self.updated_at = block.timestamp


@external
def say(answer: int256):
    """
    @notice Answer this from now on.
    @param answer What.
    """
    self.answer = answer
    self.updated_at = block.timestamp


@external
def say_since(answer: int256, updated_at: uint256):
    """
    @notice Answer this, of this second.
    @param answer What.
    @param updated_at Since when.
    """
    self.answer = answer
    self.updated_at = updated_at


@external
def misbehave(manners: uint256):
    """
    @notice Answer, or do not.
    @param manners How.
    """
    self.manners = manners


@external
@view
@raw_return
def latestRoundData() -> Bytes[160]:
    """
    @notice The price.
    @return Round, answer, when it began, when it was updated, round.
    """
    assert self.manners != 1, "no price"
    assert self.manners != 2, UNREACHABLE
    if self.manners == 3:
        return slice(abi_encode(self.answer, self.answer, self.answer, self.answer, self.answer), 0, 64)
    if self.manners == 4:
        most: uint256 = max_value(uint256)
        return abi_encode(most, most, most, most, most)
    return abi_encode(convert(1, uint256), self.answer, self.updated_at, self.updated_at, convert(1, uint256))
