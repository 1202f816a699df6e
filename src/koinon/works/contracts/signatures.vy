# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@title Signature checks
@notice One question: did this account, a key or a contract, sign this digest? ECDSA is tried first (keys, and
        keys that delegate to code by EIP-7702), then ERC-1271.
@custom:source EIP-2 (low s), ERC-1271
"""

MAGIC: constant(bytes4) = 0x1626ba7e
HALF_ORDER: constant(uint256) = 57896044618658097711785492504343953926418782139537452191302581570759080747168


@internal
@pure
def _recover(digest: bytes32, signature: Bytes[1024]) -> address:
    """
    @dev The key that signed, or the zero address when the 65 bytes r, s, v are not a canonical signature.
    """
    if len(signature) != 65:
        return empty(address)
    s: uint256 = convert(extract32(signature, 32), uint256)
    if s > HALF_ORDER:
        return empty(address)
    v: uint256 = convert(slice(signature, 64, 1), uint256)
    if v != 27 and v != 28:
        return empty(address)
    return ecrecover(digest, v, convert(extract32(signature, 0), uint256), s)


@internal
@view
def _is_contract_signature(signer: address, digest: bytes32, signature: Bytes[1024]) -> bool:
    """
    @dev ERC-1271, by a call that cannot write and cannot make this one fail.
    """
    if signer.codesize == 0:
        return False
    success: bool = False
    answer: Bytes[32] = b""
    success, answer = raw_call(
        signer,
        abi_encode(digest, signature, method_id=method_id("isValidSignature(bytes32,bytes)")),
        max_outsize=32,
        is_static_call=True,
        revert_on_failure=False,
    )
    return success and len(answer) == 32 and convert(answer, bytes32) == convert(MAGIC, bytes32)


@internal
@view
def _signed_by(signer: address, digest: bytes32, signature: Bytes[1024]) -> bool:
    """
    @dev Whether `signer` signed `digest`; never for the zero address.
    """
    if signer == empty(address):
        return False
    if self._recover(digest, signature) == signer:
        return True
    return self._is_contract_signature(signer, digest, signature)
