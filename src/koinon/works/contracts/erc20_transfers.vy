# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@title Moving other people's ERC-20 tokens
@notice Tokens that answer nothing are accepted, tokens that answer false are refused, and what arrived is measured:
        a token that takes a fee, or mints or burns on the way, is refused by whoever counts on an exact amount.
"""

from ethereum.ercs import IERC20


@internal
def _collect(token: address, payer: address, receiver: address, amount: uint256):
    """
    @dev Move `amount` from `payer`, who allowed it, to `receiver`; reverts unless exactly that arrives.
    """
    if amount == 0:
        return
    before: uint256 = staticcall IERC20(token).balanceOf(receiver)
    assert extcall IERC20(token).transferFrom(payer, receiver, amount, default_return_value=True), "transfer refused"
    after: uint256 = staticcall IERC20(token).balanceOf(receiver)
    assert after >= before and after - before == amount, "token did not deliver exactly"


@internal
def _pay(token: address, receiver: address, amount: uint256):
    """
    @dev Send `amount` of this contract's own tokens.
    """
    if amount == 0:
        return
    assert extcall IERC20(token).transfer(receiver, amount, default_return_value=True), "transfer refused"
