# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@title A hook of ERC-8183 for tests, that remembers what it was told, refuses, calls back or burns gas when told to
"""

struct Told:
    after: bool
    job_id: uint256
    selector: bytes4
    data: Bytes[4320]


told: DynArray[Told, 32]
supported: HashMap[bytes4, bool]
refuses_before: bool
refuses_after: bool
burns: bool
target: address
target_data: Bytes[1024]
called_back: public(bool)


@deploy
def __init__(is_hook: bool):
    """
    @param is_hook Whether it says that it is one.
    """
    self.supported[0x01ffc9a7] = True
    self.supported[0x7ff6bc9e] = is_hook


@external
def support(interface_id: bytes4, supported: bool):
    """
    @notice Say that an interface is supported, or not.
    @param interface_id Which.
    @param supported True to say so.
    """
    self.supported[interface_id] = supported


@external
def refuse(before: bool, after: bool):
    """
    @notice Refuse from now on.
    @param before True to refuse before the action.
    @param after True to refuse after it.
    """
    self.refuses_before = before
    self.refuses_after = after


@external
def burn(burns: bool):
    """
    @notice Use up all gas from now on.
    @param burns True to do so.
    """
    self.burns = burns


@external
def call_back(target: address, data: Bytes[1024]):
    """
    @notice Call this whenever something is done.
    @param target Whom; zero for nobody.
    @param data With what.
    """
    self.target = target
    self.target_data = data


@external
@view
def supportsInterface(interface_id: bytes4) -> bool:
    """
    @param interface_id Which.
    @return What it was told to say.
    """
    return self.supported[interface_id]


@external
@view
def heard() -> DynArray[Told, 32]:
    """
    @return All it was told.
    """
    return self.told


@external
def beforeAction(jobId: uint256, selector: bytes4, data: Bytes[4320]):
    """
    @param jobId The job.
    @param selector What is done.
    @param data With what.
    """
    assert not self.refuses_before, "refused before"
    self._hear(False, jobId, selector, data)


@external
def afterAction(jobId: uint256, selector: bytes4, data: Bytes[4320]):
    """
    @param jobId The job.
    @param selector What was done.
    @param data With what.
    """
    assert not self.refuses_after, "refused after"
    self._hear(True, jobId, selector, data)


@internal
def _hear(after: bool, job_id: uint256, selector: bytes4, data: Bytes[4320]):
    self.told.append(Told(after=after, job_id=job_id, selector=selector, data=data))
    if self.target != empty(address):
        self.called_back = raw_call(self.target, self.target_data, revert_on_failure=False)
    if self.burns:
        for i: uint256 in range(10**9):
            self.called_back = not self.called_back
