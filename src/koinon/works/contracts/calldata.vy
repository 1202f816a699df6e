# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
"""
@title Calldata read in place
@license Apache-2.0
@author Koinon
@notice Vyper copies every dynamic argument into memory of its greatest size. Where that costs too much (a hundred
        claims), or where one name needs two argument lists, `__default__` reads its calldata with these.
        A position is counted in bytes from the start of the calldata; reading past the end reverts.
"""


@internal
@view
def _selector() -> bytes4:
    """
    @notice The four bytes that name the function called.
    """
    return convert(slice(msg.data, 0, 4), bytes4)


@internal
@view
def _word(position: uint256) -> bytes32:
    """
    @notice The 32 bytes at `position`.
    """
    return convert(slice(msg.data, position, 32), bytes32)


@internal
@view
def _number(position: uint256) -> uint256:
    """
    @notice The 32 bytes at `position` as an unsigned number.
    """
    return convert(slice(msg.data, position, 32), uint256)


@internal
@view
def _short_bytes(position: uint256) -> Bytes[512]:
    """
    @notice ABI `bytes` whose length word stands at `position`, padded to whole words as every encoder does.
            Reverts above 512 bytes.
    """
    length: uint256 = self._number(position)
    assert length <= 512, "calldata: longer than 512 bytes"
    words: bytes32[16] = empty(bytes32[16])
    for i: uint256 in range(16):
        if 32 * i >= length:
            break
        words[i] = self._word(position + 32 + 32 * i)
    return slice(abi_encode(words), 0, length)
