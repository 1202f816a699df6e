# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@title EIP-712 digests
@notice The domain is computed when it is asked for, so that it follows the chain id through a fork and needs
        no storage where code is placed by genesis.
@custom:source EIP-712
"""

DOMAIN_TYPE_HASH: constant(bytes32) = keccak256(
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)


@internal
@view
def _separator(name_hash: bytes32, version_hash: bytes32, verifying_contract: address) -> bytes32:
    """
    @dev The domain separator of a contract on this chain; names are given as their hashes.
    """
    return keccak256(abi_encode(DOMAIN_TYPE_HASH, name_hash, version_hash, chain.id, verifying_contract))


@internal
@pure
def _digest(separator: bytes32, struct_hash: bytes32) -> bytes32:
    """
    @dev What is signed.
    """
    return keccak256(concat(b"\x19\x01", separator, struct_hash))
