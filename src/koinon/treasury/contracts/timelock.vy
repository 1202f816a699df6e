# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@title Changes that wait in public
@license Apache-2.0
@author Koinon
@notice A change is the call that makes it. The first time it is made it is only announced; made again after `DELAY_S` and
        within `GRACE_S` from then, it takes effect, once. What was not made in time must be announced again, so that no
        old announcement lies ready for ever. Whoever may veto takes an announcement away.
"""

event Announced:
    change_id: indexed(bytes32)
    ready_at: uint256
    call: Bytes[260]


event Vetoed:
    change_id: indexed(bytes32)


event Changed:
    change_id: indexed(bytes32)


DELAY_S: constant(uint256) = 48 * 3_600
GRACE_S: constant(uint256) = 7 * 86_400

_ready_at: HashMap[bytes32, uint256]


@internal
def _ripe(call: Bytes[260]) -> bool:
    """
    @dev Whether a change takes effect now; announces it otherwise.
    """
    change_id: bytes32 = keccak256(call)
    ready_at: uint256 = self._ready_at[change_id]
    if ready_at == 0 or block.timestamp > ready_at + GRACE_S:
        self._ready_at[change_id] = block.timestamp + DELAY_S
        log Announced(change_id=change_id, ready_at=block.timestamp + DELAY_S, call=call)
        return False
    assert block.timestamp >= ready_at, "still waiting"
    self._ready_at[change_id] = 0
    log Changed(change_id=change_id)
    return True


@internal
def _veto(change_id: bytes32):
    """
    @dev Take an announcement away.
    """
    assert self._ready_at[change_id] != 0, "nothing announced"
    self._ready_at[change_id] = 0
    log Vetoed(change_id=change_id)
