# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@title A contract that receives NFTs well or badly, and can register Works
"""

interface Works:
    def register() -> uint256: nonpayable
    def transferFrom(sender: address, to: address, tokenId: uint256): nonpayable


GOOD: constant(uint256) = 0
WRONG_ANSWER: constant(uint256) = 1
REFUSES: constant(uint256) = 2
PASSES_ON: constant(uint256) = 3
SILENT: constant(uint256) = 4

manner: public(uint256)
heir: public(address)
last_operator: public(address)
last_data: public(Bytes[512])


@deploy
def __init__(manner: uint256, heir: address):
    """
    @notice A new receiver.
    @param manner 0 good, 1 wrong answer, 2 refuses with a reason, 3 passes the token on at once, 4 fails without words.
    @param heir Who gets what is passed on.
    """
    self.manner = manner
    self.heir = heir


@external
def register(works: address) -> uint256:
    """
    @notice Register a Work as this contract.
    @param works The register.
    @return The new id.
    """
    return extcall Works(works).register()


@external
def onERC721Received(operator: address, sender: address, token_id: uint256, data: Bytes[512]) -> bytes4:
    """
    @notice ERC-721's hook.
    @param operator Who moved it.
    @param sender Whose it was.
    @param token_id The token.
    @param data What was passed along.
    @return The selector, or not.
    """
    self.last_operator = operator
    self.last_data = data
    if self.manner == PASSES_ON:
        extcall Works(msg.sender).transferFrom(self, self.heir, token_id)
    assert self.manner != REFUSES, "I want no tokens"
    if self.manner == SILENT:
        raw_revert(b"")
    return 0xdeadbeef if self.manner == WRONG_ANSWER else 0x150b7a02
