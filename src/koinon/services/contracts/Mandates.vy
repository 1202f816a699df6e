# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
"""
@title Mandates
@license Apache-2.0
@author Koinon
@notice Where an owner takes a mandate back. A mandate (what a program may spend, on what, until when) is signed off chain
        (EIP-712, with this contract as its domain's verifyingContract) and named by its owner and nonce. Who spends
        under it looks here before it signs anything.
@dev Nobody owns this contract. Revoking is for ever: a new mandate has a new nonce.
"""

event MandateRevoked:
    owner: indexed(address)
    nonce: indexed(bytes32)


revoked: public(HashMap[address, HashMap[bytes32, bool]])


@external
def revoke(nonce: bytes32):
    """
    @notice Take back the caller's mandate with this nonce, before or after it was given out.
    @param nonce The mandate's.
    """
    assert not self.revoked[msg.sender][nonce], "already revoked"
    self.revoked[msg.sender][nonce] = True
    log MandateRevoked(owner=msg.sender, nonce=nonce)


@external
def revoke_many(nonces: DynArray[bytes32, 64]):
    """
    @notice Take several of the caller's mandates back at once; those that were already are passed over.
    @param nonces The mandates'.
    """
    for nonce: bytes32 in nonces:
        if not self.revoked[msg.sender][nonce]:
            self.revoked[msg.sender][nonce] = True
            log MandateRevoked(owner=msg.sender, nonce=nonce)
