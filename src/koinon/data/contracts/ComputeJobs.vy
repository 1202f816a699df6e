# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
"""
@title Compute jobs: the money behind computing on someone's data
@notice A buyer with a grant to compute on a dataset orders one run of one algorithm, and pays in the most it can cost.
        The dataset's node says how the job ended before the deadline, once: for a result it is paid by the second, into
        the Work's till, and the rest goes back in the same call; for a failure or a refusal everything goes back. After the
        deadline anyone can send the buyer's money back.
        Exactly what is ordered must arrive: a token that takes a fee is refused.
@dev Nobody owns this contract. Money of each job is its own: a token's misbehaviour hurts only jobs paid in it.
     Who may run a dataset's node is written in the privacy budget.
"""

from koinon.works.contracts import erc20_transfers
from koinon.works.contracts.interfaces import IWorks
from interfaces import IPrivacyBudget
from interfaces import ITerms

event Ordered:
    job_id: indexed(uint256)
    work_id: indexed(uint256)
    buyer: indexed(address)
    algorithm: bytes32
    schema: bytes32
    token: address
    price_per_second: uint256
    max_seconds: uint64
    deadline: uint64


event Delivered:
    job_id: indexed(uint256)
    work_id: indexed(uint256)
    outcome: indexed(uint8)
    seconds: uint64
    paid: uint256
    returned: uint256
    result: bytes32


event Refunded:
    job_id: indexed(uint256)
    work_id: indexed(uint256)
    buyer: indexed(address)
    returned: uint256


struct Job:
    work_id: uint256
    buyer: address
    token: address
    algorithm: bytes32  # digest of the program
    schema: bytes32  # digest of what its results are declared to be
    price_per_second: uint256  # in the token's smallest unit
    max_seconds: uint64
    deadline: uint64  # the last second to deliver
    state: uint8  # 0 open, else how it ended
    seconds: uint64  # what was paid for
    result: bytes32  # digest of the sealed result


COMPUTE: constant(uint8) = 1
OPEN: public(constant(uint8)) = 0
RELEASED: public(constant(uint8)) = 1
FAILED: public(constant(uint8)) = 2
REFUSED: public(constant(uint8)) = 3
REFUNDED: public(constant(uint8)) = 4

WORKS: immutable(IWorks)
TERMS: immutable(ITerms)
BUDGET: immutable(IPrivacyBudget)

_jobs: HashMap[uint256, Job]

# How many jobs were ever ordered; ids run from 1 to this.
job_count: public(uint256)


@deploy
def __init__(terms: address, budget: address):
    """
    @param terms Where grants are.
    @param budget Where the accounts of the datasets' nodes are.
    """
    assert terms != empty(address) and budget != empty(address), "contract missing"
    TERMS = ITerms(terms)
    BUDGET = IPrivacyBudget(budget)
    WORKS = IWorks(staticcall TERMS.works())
    assert staticcall BUDGET.works() == WORKS.address, "other works"


@external
@nonreentrant
def order(
    work_id: uint256,
    algorithm: bytes32,
    schema: bytes32,
    price_per_second: uint256,
    max_seconds: uint64,
    deadline: uint64,
    token: address,
) -> uint256:
    """
    @notice Order a run and pay in the most it can cost.
    @param work_id The dataset; the caller must hold a running grant to compute on it.
    @param algorithm sha256 of the program.
    @param schema sha256 of what its results are declared to be.
    @param price_per_second In the token's smallest unit; 0 where it is free.
    @param max_seconds The most that is paid for.
    @param deadline The last second to deliver, unix time.
    @param token What is paid in; the whole price must have been approved to this contract.
    @return The job's id.
    """
    assert convert(staticcall TERMS.granted(work_id, COMPUTE, msg.sender), uint256) > block.timestamp, "no grant"
    assert algorithm != empty(bytes32) and schema != empty(bytes32), "digest missing"
    assert max_seconds > 0, "seconds missing"
    assert convert(deadline, uint256) > block.timestamp, "deadline already past"
    assert token != empty(address), "token missing"
    job_id: uint256 = self.job_count + 1
    self.job_count = job_id
    self._jobs[job_id] = Job(
        work_id=work_id,
        buyer=msg.sender,
        token=token,
        algorithm=algorithm,
        schema=schema,
        price_per_second=price_per_second,
        max_seconds=max_seconds,
        deadline=deadline,
        state=OPEN,
        seconds=0,
        result=empty(bytes32),
    )
    erc20_transfers._collect(token, msg.sender, self, price_per_second * convert(max_seconds, uint256))
    log Ordered(
        job_id=job_id,
        work_id=work_id,
        buyer=msg.sender,
        algorithm=algorithm,
        schema=schema,
        token=token,
        price_per_second=price_per_second,
        max_seconds=max_seconds,
        deadline=deadline,
    )
    return job_id


@external
@nonreentrant
def deliver(job_id: uint256, outcome: uint8, seconds: uint64, result: bytes32):
    """
    @notice Say how a job ended: with a result the till is paid and the rest goes back, else everything goes back.
    @param job_id The job; the caller must be its dataset's owner, an operator or a named account.
    @param outcome 1 released, 2 failed, 3 refused.
    @param seconds What is paid for, at most what was ordered; 0 without a result.
    @param result sha256 of the sealed result; empty without one.
    """
    job: Job = self._open_job(job_id)
    assert staticcall BUDGET.may_act(job.work_id, msg.sender), "only the owner or a named operator"
    assert block.timestamp <= convert(job.deadline, uint256), "deadline past"
    assert outcome >= RELEASED and outcome <= REFUSED, "unknown outcome"
    assert seconds <= job.max_seconds, "more seconds than ordered"
    if outcome == RELEASED:
        assert result != empty(bytes32), "result missing"
    else:
        assert seconds == 0 and result == empty(bytes32), "only a result is paid"
    self._jobs[job_id].state = outcome
    self._jobs[job_id].seconds = seconds
    self._jobs[job_id].result = result
    paid: uint256 = job.price_per_second * convert(seconds, uint256)
    returned: uint256 = job.price_per_second * convert(job.max_seconds - seconds, uint256)
    erc20_transfers._pay(job.token, staticcall WORKS.till_of(job.work_id), paid)
    erc20_transfers._pay(job.token, job.buyer, returned)
    log Delivered(
        job_id=job_id,
        work_id=job.work_id,
        outcome=outcome,
        seconds=seconds,
        paid=paid,
        returned=returned,
        result=result,
    )


@external
@nonreentrant
def refund(job_id: uint256):
    """
    @notice Send a buyer's money back after the deadline. Anyone may.
    @param job_id The job.
    """
    job: Job = self._open_job(job_id)
    assert block.timestamp > convert(job.deadline, uint256), "still deliverable"
    self._jobs[job_id].state = REFUNDED
    returned: uint256 = job.price_per_second * convert(job.max_seconds, uint256)
    erc20_transfers._pay(job.token, job.buyer, returned)
    log Refunded(job_id=job_id, work_id=job.work_id, buyer=job.buyer, returned=returned)


@external
@view
def job_of(job_id: uint256) -> Job:
    """
    @return The job as it is now.
    """
    assert job_id > 0 and job_id <= self.job_count, "no such job"
    return self._jobs[job_id]


@external
@view
def terms() -> address:
    """
    @return Where grants are.
    """
    return TERMS.address


@external
@view
def budget() -> address:
    """
    @return Where the accounts of the datasets' nodes are.
    """
    return BUDGET.address


@internal
@view
def _open_job(job_id: uint256) -> Job:
    assert job_id > 0 and job_id <= self.job_count, "no such job"
    job: Job = self._jobs[job_id]
    assert job.state == OPEN, "already ended"
    return job
