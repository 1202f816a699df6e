# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@title A verifier of the smallest proofs there are
@notice Schnorr's proof of knowing a point's logarithm on alt_bn128, made for one statement (Fiat-Shamir): s G = R + e P,
        e = keccak256(R, P, statement). Proves that the key's holder vouches for the statement, and nothing of a model.
"""

X: immutable(uint256)
Y: immutable(uint256)
ORDER: constant(uint256) = 21888242871839275222246405745257275088548364400416034343698204186575808495617


@deploy
def __init__(x: uint256, y: uint256):
    X = x
    Y = y


@external
@view
def verify(statement: bytes32, proof: Bytes[8192]) -> bool:
    x: uint256 = 0
    y: uint256 = 0
    s: uint256 = 0
    x, y, s = abi_decode(proof, (uint256, uint256, uint256))
    e: uint256 = convert(keccak256(abi_encode(x, y, X, Y, statement)), uint256) % ORDER
    left: uint256[2] = ecmul([1, 2], s)
    right: uint256[2] = ecadd([x, y], ecmul([X, Y], e))
    return left[0] == right[0] and left[1] == right[1]
