# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@title A schema's resolver for tests, that remembers, refuses, burns all its gas or calls back when told to
"""

told: public(uint256)
last_word: public(uint256)
revocations: public(uint256)
gas_seen: public(uint256)
refuses: bool
burns: bool
target: address
target_data: Bytes[2048]
called_back: public(bool)


@external
def behave(refuses: bool, burns: bool):
    """
    @notice Misbehave from now on.
    @param refuses True to refuse.
    @param burns True to use all gas.
    """
    self.refuses = refuses
    self.burns = burns


@external
def call_back(target: address, data: Bytes[2048]):
    """
    @notice Call this whenever told something.
    @param target Whom; zero for nobody.
    @param data With what.
    """
    self.target = target
    self.target_data = data


@external
def attested(uid: bytes32, schema: bytes32, subject: address, word: uint256, work_id: uint256, expires_at: uint64):
    """
    @param uid The attestation.
    @param schema Its schema.
    @param subject Of whom.
    @param word Its data.
    @param work_id Who judged.
    @param expires_at Until when.
    """
    self._act()
    self.told += 1
    self.last_word = word


@external
def revoked(uid: bytes32, schema: bytes32, subject: address):
    """
    @param uid The attestation.
    @param schema Its schema.
    @param subject Of whom.
    """
    self._act()
    self.revocations += 1


@internal
def _act():
    self.gas_seen = msg.gas
    assert not self.refuses, "refused"
    if self.burns:
        for i: uint256 in range(10**9):
            self.called_back = not self.called_back
    if self.target != empty(address):
        self.called_back = raw_call(self.target, self.target_data, revert_on_failure=False)
