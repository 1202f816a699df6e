# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@title Saying something now that others may read later
@notice A commitment hides a 32-byte value behind a salt, and is good for one account, one topic, one contract and one
        chain: nobody can copy another's, or use one twice. A topic is 32 bytes that the contract using this module
        chooses; it also decides when to commit and when to reveal.
"""

_commitments: HashMap[bytes32, HashMap[address, bytes32]]
_revealed: HashMap[bytes32, HashMap[address, bool]]


@internal
@view
def _commitment(topic: bytes32, account: address, value_: bytes32, salt: bytes32) -> bytes32:
    """
    @dev keccak256(abi.encode(chain id, contract, topic, account, value, salt)).
    """
    return keccak256(abi_encode(chain.id, self, topic, account, value_, salt))


@internal
@view
def _has_committed(topic: bytes32, account: address) -> bool:
    return self._commitments[topic][account] != empty(bytes32)


@internal
@view
def _has_revealed(topic: bytes32, account: address) -> bool:
    return self._revealed[topic][account]


@internal
def _commit(topic: bytes32, account: address, commitment: bytes32):
    """
    @dev Takes a first commitment, or another instead of it; never after revealing.
    """
    assert commitment != empty(bytes32), "empty commitment"
    assert not self._revealed[topic][account], "already revealed"
    self._commitments[topic][account] = commitment


@internal
def _reveal(topic: bytes32, account: address, value_: bytes32, salt: bytes32):
    """
    @dev Reverts unless this is what the account committed to; works once.
    """
    assert not self._revealed[topic][account], "already revealed"
    assert self._commitments[topic][account] != empty(bytes32), "nothing committed"
    assert (
        self._commitments[topic][account] == self._commitment(topic, account, value_, salt)
    ), "not what was committed"
    self._revealed[topic][account] = True
