# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
"""
@title Jobs
@notice Work that is not a call, by ERC-8183: a client pays a price into escrow, a provider hands in a deliverable, an
        evaluator says that it is done, which pays the provider, or that it is not, which pays the client back. After
        the job's expiry anyone may send the client's money back, and no hook can stand in the way.
        The provider may be a Work's till: then whoever may act for the Work acts as provider, and the price is the
        Work's income, shared as all of it is.
@dev Nobody owns this contract: it takes no fee and keeps no list of hooks. A hook is the client's choice at creation,
     must answer ERC-165 for IACPHook, and gets HOOK_GAS a call. Where the standard's text and its example contract
     differ (arguments of setProvider, fund and setBudget, what hooks are told) the text is followed; JobCreated
     is the example's, which also names the hook. `optParams` may be left out.
     Bounds: description and optParams 4,096 bytes.
@custom:source ERC-8183, ERC-165
"""

from koinon.works.contracts import erc20_transfers
from koinon.works.contracts.interfaces import IWorks
from interfaces import IACPHook

event JobCreated:
    jobId: indexed(uint256)
    client: indexed(address)
    provider: indexed(address)
    evaluator: address
    expiredAt: uint256
    hook: address


event ProviderSet:
    jobId: indexed(uint256)
    provider: indexed(address)


event BudgetSet:
    jobId: indexed(uint256)
    amount: uint256


event JobFunded:
    jobId: indexed(uint256)
    client: indexed(address)
    amount: uint256


event JobSubmitted:
    jobId: indexed(uint256)
    provider: indexed(address)
    deliverable: bytes32


event JobCompleted:
    jobId: indexed(uint256)
    evaluator: indexed(address)
    reason: bytes32


event JobRejected:
    jobId: indexed(uint256)
    rejector: indexed(address)
    reason: bytes32


event JobExpired:
    jobId: indexed(uint256)


event PaymentReleased:
    jobId: indexed(uint256)
    provider: indexed(address)
    amount: uint256


event Refunded:
    jobId: indexed(uint256)
    client: indexed(address)
    amount: uint256


event TillNamed:
    work_id: indexed(uint256)
    till: indexed(address)


struct Job:
    id: uint256
    client: address
    provider: address
    evaluator: address
    description: String[4096]
    budget: uint256
    expiredAt: uint256
    status: uint8
    hook: address


OPEN: constant(uint8) = 0
FUNDED: constant(uint8) = 1
SUBMITTED: constant(uint8) = 2
COMPLETED: constant(uint8) = 3
REJECTED: constant(uint8) = 4
EXPIRED: constant(uint8) = 5

HOOK_GAS: public(constant(uint256)) = 1_000_000
PROBE_GAS: constant(uint256) = 30_000  # ERC-165
ERC165_ID: constant(bytes4) = 0x01ffc9a7
NO_INTERFACE: constant(bytes4) = 0xffffffff
HOOK_ID: constant(bytes4) = 0x7ff6bc9e  # IACPHook: beforeAction ^ afterAction
SET_PROVIDER: constant(bytes4) = method_id("setProvider(uint256,address,bytes)", output_type=bytes4)
SET_BUDGET: constant(bytes4) = method_id("setBudget(uint256,uint256,bytes)", output_type=bytes4)
FUND: constant(bytes4) = method_id("fund(uint256,uint256,bytes)", output_type=bytes4)
SUBMIT: constant(bytes4) = method_id("submit(uint256,bytes32,bytes)", output_type=bytes4)
COMPLETE: constant(bytes4) = method_id("complete(uint256,bytes32,bytes)", output_type=bytes4)
REJECT: constant(bytes4) = method_id("reject(uint256,bytes32,bytes)", output_type=bytes4)

WORKS: immutable(IWorks)

# What jobs are paid in.
paymentToken: public(immutable(address))

# How many jobs were ever created; ids run from 1 to this.
jobCounter: public(uint256)

# The budgets of all jobs that are funded or submitted.
escrowed: public(uint256)

# Till -> its Work, where somebody named it.
work_of_till: public(HashMap[address, uint256])

_jobs: HashMap[uint256, Job]


@deploy
def __init__(works: address, token: address):
    """
    @param works Where Works and their tills are.
    @param token What jobs are paid in.
    """
    assert works != empty(address) and token != empty(address), "contract missing"
    WORKS = IWorks(works)
    paymentToken = token


# --- the life of a job -----------------------------------------------------------------------------------------------


@external
@nonreentrant
def createJob(
    provider: address, evaluator: address, expiredAt: uint256, description: String[4096], hook: address = empty(address)
) -> uint256:
    """
    @notice Create a job; the caller is its client.
    @param provider Who does it: an account or a Work's till; zero to say later.
    @param evaluator Who alone says whether a deliverable is what was asked for; may be the client.
    @param expiredAt From when on the money can be sent back, unix time.
    @param description What is asked for.
    @param hook A contract that is called before and after what is done to the job; zero for none.
    @return The job's id.
    """
    assert evaluator != empty(address), "evaluator missing"
    assert expiredAt > block.timestamp, "expiry not in the future"
    if hook != empty(address):
        assert self._is_hook(hook), "not a hook"
    job_id: uint256 = self.jobCounter + 1
    self.jobCounter = job_id
    self._jobs[job_id] = Job(
        id=job_id,
        client=msg.sender,
        provider=provider,
        evaluator=evaluator,
        description=description,
        budget=0,
        expiredAt=expiredAt,
        status=OPEN,
        hook=hook,
    )
    log JobCreated(
        jobId=job_id, client=msg.sender, provider=provider, evaluator=evaluator, expiredAt=expiredAt, hook=hook
    )
    return job_id


@external
@nonreentrant
def setProvider(jobId: uint256, provider: address, optParams: Bytes[4096] = b""):
    """
    @notice Say who does an open job that nobody does yet.
    @param jobId The job; the caller is its client.
    @param provider An account or a Work's till.
    @param optParams For the hook alone.
    """
    self._check_status(jobId, OPEN)
    assert msg.sender == self._jobs[jobId].client, "only the client"
    assert self._jobs[jobId].provider == empty(address), "provider already set"
    assert provider != empty(address), "provider missing"
    hook: address = self._jobs[jobId].hook
    data: Bytes[4320] = abi_encode(provider, optParams)
    self._before(hook, jobId, SET_PROVIDER, data)
    self._jobs[jobId].provider = provider
    log ProviderSet(jobId=jobId, provider=provider)
    self._after(hook, jobId, SET_PROVIDER, data)


@external
@nonreentrant
def setBudget(jobId: uint256, amount: uint256, optParams: Bytes[4096] = b""):
    """
    @notice Propose a price; the last one before the client pays counts.
    @param jobId The job, open; the caller is its client or provider.
    @param amount In the token's smallest unit.
    @param optParams For the hook alone.
    """
    self._check_status(jobId, OPEN)
    assert (
        msg.sender == self._jobs[jobId].client or self._is_provider(jobId, msg.sender)
    ), "only the client or the provider"
    hook: address = self._jobs[jobId].hook
    data: Bytes[4320] = abi_encode(amount, optParams)
    self._before(hook, jobId, SET_BUDGET, data)
    self._jobs[jobId].budget = amount
    log BudgetSet(jobId=jobId, amount=amount)
    self._after(hook, jobId, SET_BUDGET, data)


@external
@nonreentrant
def fund(jobId: uint256, expectedBudget: uint256, optParams: Bytes[4096] = b""):
    """
    @notice Pay the price into escrow, which must have been approved to this contract.
    @param jobId The job, open and not expired; the caller is its client.
    @param expectedBudget The price the client means to pay.
    @param optParams For the hook alone.
    """
    self._check_status(jobId, OPEN)
    assert msg.sender == self._jobs[jobId].client, "only the client"
    budget: uint256 = self._jobs[jobId].budget
    assert budget != 0, "no budget"
    assert self._jobs[jobId].provider != empty(address), "provider missing"
    assert budget == expectedBudget, "another budget"
    assert block.timestamp < self._jobs[jobId].expiredAt, "expired"
    hook: address = self._jobs[jobId].hook
    self._before(hook, jobId, FUND, optParams)
    self._jobs[jobId].status = FUNDED
    self.escrowed += budget
    erc20_transfers._collect(paymentToken, msg.sender, self, budget)
    log JobFunded(jobId=jobId, client=msg.sender, amount=budget)
    self._after(hook, jobId, FUND, optParams)


@external
@nonreentrant
def submit(jobId: uint256, deliverable: bytes32, optParams: Bytes[4096] = b""):
    """
    @notice Hand in what was asked for.
    @param jobId The job, funded; the caller is its provider.
    @param deliverable What the work is known by: the sha-256 of a CID.
    @param optParams For the hook alone.
    """
    self._check_status(jobId, FUNDED)
    assert self._is_provider(jobId, msg.sender), "only the provider"
    hook: address = self._jobs[jobId].hook
    data: Bytes[4320] = abi_encode(deliverable, optParams)
    self._before(hook, jobId, SUBMIT, data)
    self._jobs[jobId].status = SUBMITTED
    log JobSubmitted(jobId=jobId, provider=self._jobs[jobId].provider, deliverable=deliverable)
    self._after(hook, jobId, SUBMIT, data)


@external
@nonreentrant
def complete(jobId: uint256, reason: bytes32, optParams: Bytes[4096] = b""):
    """
    @notice Say that the deliverable is what was asked for: the provider is paid.
    @param jobId The job, submitted; the caller is its evaluator.
    @param reason Digest of why; zero for none.
    @param optParams For the hook alone.
    """
    self._check_status(jobId, SUBMITTED)
    assert msg.sender == self._jobs[jobId].evaluator, "only the evaluator"
    hook: address = self._jobs[jobId].hook
    data: Bytes[4320] = abi_encode(reason, optParams)
    self._before(hook, jobId, COMPLETE, data)
    self._jobs[jobId].status = COMPLETED
    amount: uint256 = self._jobs[jobId].budget
    provider: address = self._jobs[jobId].provider
    self.escrowed -= amount
    erc20_transfers._pay(paymentToken, provider, amount)
    log JobCompleted(jobId=jobId, evaluator=msg.sender, reason=reason)
    log PaymentReleased(jobId=jobId, provider=provider, amount=amount)
    self._after(hook, jobId, COMPLETE, data)


@external
@nonreentrant
def reject(jobId: uint256, reason: bytes32, optParams: Bytes[4096] = b""):
    """
    @notice End a job without pay: its client while it is open, its evaluator once it is funded. The money goes back.
    @param jobId The job.
    @param reason Digest of why; zero for none.
    @param optParams For the hook alone.
    """
    status: uint8 = self._status(jobId)
    if status == OPEN:
        assert msg.sender == self._jobs[jobId].client, "only the client"
    else:
        assert status == FUNDED or status == SUBMITTED, "wrong status"
        assert msg.sender == self._jobs[jobId].evaluator, "only the evaluator"
    hook: address = self._jobs[jobId].hook
    data: Bytes[4320] = abi_encode(reason, optParams)
    self._before(hook, jobId, REJECT, data)
    self._jobs[jobId].status = REJECTED
    if status != OPEN:
        self._refund(jobId)
    log JobRejected(jobId=jobId, rejector=msg.sender, reason=reason)
    self._after(hook, jobId, REJECT, data)


@external
@nonreentrant
def claimRefund(jobId: uint256):
    """
    @notice Send the client's money back once the job has expired. Anyone may; no hook is asked.
    @param jobId The job, funded or submitted.
    """
    status: uint8 = self._status(jobId)
    assert status == FUNDED or status == SUBMITTED, "wrong status"
    assert block.timestamp >= self._jobs[jobId].expiredAt, "not expired"
    self._jobs[jobId].status = EXPIRED
    self._refund(jobId)
    log JobExpired(jobId=jobId)


# --- a Work as provider ----------------------------------------------------------------------------------------------


@external
def name_till(work_id: uint256):
    """
    @notice Let whoever may act for a Work act as provider where its till is the provider. Anyone may, once a Work.
    @param work_id The Work; must exist (ERC721NonexistentToken).
    """
    till: address = staticcall WORKS.till_of(work_id)
    if self.work_of_till[till] == 0:
        self.work_of_till[till] = work_id
        log TillNamed(work_id=work_id, till=till)


# --- reading ---------------------------------------------------------------------------------------------------------


@external
@view
def getJob(jobId: uint256) -> Job:
    """
    @return The job as it is now; all zero where there is none.
    """
    return self._jobs[jobId]


@external
@view
def is_provider(jobId: uint256, account: address) -> bool:
    """
    @return Whether the account acts as the job's provider now.
    """
    return self._is_provider(jobId, account)


@external
@view
def works() -> address:
    """
    @return Where Works and their tills are.
    """
    return WORKS.address


# --- inside ----------------------------------------------------------------------------------------------------------


@internal
@view
def _status(job_id: uint256) -> uint8:
    assert job_id != 0 and job_id <= self.jobCounter, "no such job"
    return self._jobs[job_id].status


@internal
@view
def _check_status(job_id: uint256, status: uint8):
    assert self._status(job_id) == status, "wrong status"


@internal
@view
def _is_provider(job_id: uint256, account: address) -> bool:
    """
    @dev The provider itself, or who may act for the Work whose till is the provider.
    """
    provider: address = self._jobs[job_id].provider
    if provider == empty(address):
        return False
    if account == provider:
        return True
    work_id: uint256 = self.work_of_till[provider]
    return work_id != 0 and staticcall WORKS.isAuthorizedOrOwner(account, work_id)


@internal
def _refund(job_id: uint256):
    amount: uint256 = self._jobs[job_id].budget
    client: address = self._jobs[job_id].client
    self.escrowed -= amount
    erc20_transfers._pay(paymentToken, client, amount)
    log Refunded(jobId=job_id, client=client, amount=amount)


@internal
def _before(hook: address, job_id: uint256, selector: bytes4, data: Bytes[4320]):
    if hook != empty(address):
        extcall IACPHook(hook).beforeAction(job_id, selector, data, gas=HOOK_GAS)


@internal
def _after(hook: address, job_id: uint256, selector: bytes4, data: Bytes[4320]):
    if hook != empty(address):
        extcall IACPHook(hook).afterAction(job_id, selector, data, gas=HOOK_GAS)


@internal
@view
def _is_hook(hook: address) -> bool:
    """
    @dev As ERC-165 says to ask.
    """
    return (
        self._supports(hook, ERC165_ID)
        and not self._supports(hook, NO_INTERFACE)
        and self._supports(hook, HOOK_ID)
    )


@internal
@view
def _supports(hook: address, interface_id: bytes4) -> bool:
    answered: bool = False
    answer: Bytes[32] = b""
    answered, answer = raw_call(
        hook,
        abi_encode(interface_id, method_id=method_id("supportsInterface(bytes4)")),
        max_outsize=32,
        gas=PROBE_GAS,
        is_static_call=True,
        revert_on_failure=False,
    )
    return answered and len(answer) == 32 and convert(answer, uint256) == 1
