# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@title Does what it was told when it is called back: by a flash swap or by a token
"""

interface Token:
    def transfer(to: address, amount: uint256) -> bool: nonpayable


target: address
request: Bytes[4_096]
must_succeed: bool
tokens: address[2]
repay: uint256[2]

succeeded: public(bool)
answer: public(Bytes[1_024])
calls: public(uint256)
sender: public(address)
data: public(Bytes[1_024])


@external
def plan(target: address, request: Bytes[4_096], must_succeed: bool):
    """
    @notice Call something when called.
    @param target What; zero for nothing.
    @param request With what call data.
    @param must_succeed Fail when it fails.
    """
    self.target = target
    self.request = request
    self.must_succeed = must_succeed


@external
def repay_with(tokens: address[2], amounts: uint256[2]):
    """
    @notice Pay a flash swap back with own coins.
    @param tokens The pair's.
    @param amounts Of each.
    """
    self.tokens = tokens
    self.repay = amounts


@external
def perform(target: address, request: Bytes[4_096]) -> Bytes[1_024]:
    """
    @notice Call something now.
    @param target What.
    @param request With what call data.
    @return Its answer.
    """
    return raw_call(target, request, max_outsize=1_024)


@external
def act():
    """
    @notice What tokens call.
    """
    self._act()


@external
def uniswapV2Call(sender: address, amount0: uint256, amount1: uint256, data: Bytes[1_024]):
    """
    @notice What pairs call.
    @param sender Who swaps.
    @param amount0 Of token0.
    @param amount1 Of token1.
    @param data Given along.
    """
    self.sender = sender
    self.data = data
    self._act()
    for index: uint256 in range(2):
        if self.repay[index] > 0:
            extcall Token(self.tokens[index]).transfer(msg.sender, self.repay[index])


@internal
def _act():
    self.calls += 1
    if self.target == empty(address) or self.calls > 1:
        return
    self.succeeded, self.answer = raw_call(
        self.target, self.request, max_outsize=1_024, revert_on_failure=False
    )
    assert self.succeeded or not self.must_succeed, "call back failed"
    self.calls = 0
