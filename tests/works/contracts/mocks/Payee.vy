# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@title A payee that is a contract: it may refuse ETH, or call back when money arrives
"""

refuses: public(bool)
target: public(address)
data: Bytes[4096]
forwarded: public(uint256)


@external
def set_refuses(refuses: bool):
    """
    @notice Refuse ETH.
    @param refuses True to refuse.
    """
    self.refuses = refuses


@external
def call_back(target: address, data: Bytes[4096], forwarded: uint256):
    """
    @notice What to do when money arrives.
    @param target Whom to call; zero for nobody.
    @param data With what.
    @param forwarded How much ETH to send along.
    """
    self.target = target
    self.data = data
    self.forwarded = forwarded


@external
def token_arrived():
    """
    @notice The hook of a token with call-backs.
    """
    self._act()


@external
@payable
def __default__():
    """
    @notice ETH arrives.
    """
    assert not self.refuses, "no ETH please"
    self._act()


@internal
def _act():
    if self.target != empty(address):
        raw_call(self.target, self.data, value=self.forwarded)
