# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@title An ERC-1271 wallet that agrees to what it was told to agree to, or answers nonsense
"""

agreed: HashMap[bytes32, bool]
answer: bytes4


@deploy
def __init__(answer: bytes4):
    """
    @notice A new wallet.
    @param answer What it says when it agrees; the right one is 0x1626ba7e.
    """
    self.answer = answer


@external
def agree(digest: bytes32):
    """
    @notice Sign a digest.
    @param digest What is signed.
    """
    self.agreed[digest] = True


@external
@view
def isValidSignature(digest: bytes32, signature: Bytes[512]) -> bytes4:
    """
    @notice ERC-1271.
    @param digest What is to be signed.
    @param signature Anything.
    @return The answer it was made with; reverts where it did not agree.
    """
    assert self.agreed[digest], "never agreed"
    return self.answer


@external
def act(target: address, data: Bytes[4096]) -> Bytes[512]:
    """
    @notice Do something as this wallet.
    @param target Whom to call.
    @param data With what.
    @return What came back.
    """
    return raw_call(target, data, max_outsize=512)
