# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
"""
@title Verification: answers that somebody stakes on
@notice Whoever sells a Work by the call promises here that its answers are what its model gives, with a bond in Bonds
        whose judge is the committee. Each answer is signed; every so often the answers of a while are submitted as one
        root. Until its window is over anyone may run an answer again and, where it breaks the declared rule, dispute
        it: a challenge in Bonds, a case before the committee, whose jurors run it again themselves.
        - Every verdict lands in the Validation Registry of ERC-8004, where this contract is the validator. The promiser
          asks for it (`validationRequest`) beforehand: without that request no promise and no submission is taken, so
          that nobody escapes a verdict by not asking for one. This contract is never an operator of anybody's Works.
        - `reexec:soft` 100: the window is over and nobody disputed. `reexec:hard`: a committee ran it again; 0 where the
          promise was broken, 100 where it was kept. A 0 stays.
        - The bond must be dear enough. Where an answer is audited with probability p and costs f, lying once pays less
          than it costs if the stake exceeds f (1 - p) / p; and because fees of answers not yet over are kept, lying often
          does not pay either if it exceeds f (1 - p) / p and all of those fees together. Less is refused. What counts of
          the stake is what a promiser who challenges itself would lose for certain: all but the bounty.
        - What is left after the bounty belongs to nobody: it goes to an address without a key.
@dev Holds no tokens. Nobody owns this contract. No loop runs over batches but one whose length the caller sets.
"""

from koinon.services.contracts.interfaces import ICommittee
from koinon.services.contracts.interfaces import IRuledBonds
from koinon.services.contracts.interfaces import IValidation
from koinon.works.contracts.interfaces import IBonds
from koinon.works.contracts.interfaces import IWorks

event Promised:
    bond_id: indexed(uint256)
    work_id: indexed(uint256)
    promiser: indexed(address)
    signer: address
    fee: uint256
    audit_ppm: uint256
    window_s: uint64
    bounty_bps: uint256
    details: bytes32
    request: bytes32


event Submitted:
    request: indexed(bytes32)
    bond_id: indexed(uint256)
    work_id: indexed(uint256)
    root: bytes32
    count: uint256
    open_until: uint64


event Disputed:
    challenge_id: indexed(uint256)
    request: indexed(bytes32)
    bond_id: indexed(uint256)
    case_id: uint256
    reason: uint8
    number: uint256
    answer: bytes32
    uri: String[512]


event Settled:
    challenge_id: indexed(uint256)
    request: indexed(bytes32)
    outcome: uint8


event Passed:
    request: indexed(bytes32)


struct Terms:
    work_id: uint256
    signer: address  # whose signature stands under every answer
    fee: uint256  # the most an answer costs, in the bond's token
    audit_ppm: uint256  # how many of a million answers are audited
    window_s: uint64  # how long answers can be disputed after they were submitted
    bounty_bps: uint256  # the most of what is slashed that whoever found it gets, in 1e-4
    details: bytes32  # digest of what runs, and of the rule by which answers are compared


struct Promise:
    promiser: address
    terms: Terms
    request: bytes32
    fees: uint256  # of batches whose window is not known to be over
    batches: uint256
    over: uint256  # so many of them, from the first, are over


struct Batch:
    bond_id: uint256
    root: bytes32
    count: uint256
    open_until: uint64
    disputes: uint64  # not settled
    verdict: uint8  # 0 none, else as below


MILLION: constant(uint256) = 1_000_000
BASIS: constant(uint256) = 10_000
MAX_STEPS: constant(uint256) = 64
LONGEST_WINDOW_S: constant(uint64) = 31_536_000
LONGEST_RULING_S: constant(uint64) = 94_608_000
LIMIT: constant(uint256) = 2**96
PHASES_OF_A_CASE: constant(uint256) = 11

WRONG: public(constant(uint8)) = 1
WITHHELD: public(constant(uint8)) = 2
LEFT_OUT: public(constant(uint8)) = 3

DISMISSED: constant(uint8) = 1
UPHELD: constant(uint8) = 2

SOFT: public(constant(uint8)) = 1
KEPT: public(constant(uint8)) = 2
BROKEN: public(constant(uint8)) = 3

NOBODY: constant(address) = 0x000000000000000000000000000000000000dEaD

BONDS: immutable(IBonds)
COMMITTEE: immutable(ICommittee)
VALIDATION: immutable(IValidation)
WORKS: immutable(IWorks)
TOKEN: immutable(address)
LEAST_RULING_S: immutable(uint256)

_promises: HashMap[uint256, Promise]
_batches: HashMap[bytes32, Batch]
# bond -> number from 0 -> request
_batch_at: HashMap[uint256, HashMap[uint256, bytes32]]
# challenge -> the request on which its outcome is told; empty when nobody disputed by it, or it is settled
dispute_on: public(HashMap[uint256, bytes32])
# batch -> whether anybody disputed it
disputed: public(HashMap[bytes32, bool])
# request of a promise -> disputes about single answers that are not settled
_standing: HashMap[bytes32, uint256]


@deploy
def __init__(committee: address, validation: address):
    """
    @param committee Who judges; its Bonds and token are those used here.
    @param validation The Validation Registry that verdicts land in; its Works are those spoken of.
    """
    assert committee != empty(address) and validation != empty(address), "committee or validation missing"
    COMMITTEE = ICommittee(committee)
    VALIDATION = IValidation(validation)
    BONDS = IBonds(staticcall ICommittee(committee).bonds())
    TOKEN = staticcall ICommittee(committee).token()
    WORKS = IWorks(staticcall IValidation(validation).getIdentityRegistry())
    LEAST_RULING_S = PHASES_OF_A_CASE * (staticcall ICommittee(committee).rules()).phase_s


# --- the promiser ----------------------------------------------------------------------------------------------------


@external
def promise(bond_id: uint256, terms: Terms, salt: bytes32):
    """
    @notice Stake a bond on a Work's answers. The request `promise_request(bond, terms, salt)` must have been filed in
            the Validation Registry, naming this contract; verdicts on answers outside batches land there.
    @param bond_id A bond in the committee's token, posted by the caller, judged by the committee, whose subject is
           `subject_of(terms)`.
    @param terms What is promised; fixed for ever.
    @param salt Any value.
    """
    assert self._promises[bond_id].promiser == empty(address), "already promised"
    assert terms.signer != empty(address), "signer missing"
    assert terms.fee > 0 and terms.fee < LIMIT, "fee out of range"
    assert terms.audit_ppm > 0 and terms.audit_ppm <= MILLION, "audit rate out of range"
    assert terms.window_s > 0 and terms.window_s <= LONGEST_WINDOW_S, "window out of range"
    assert terms.bounty_bps > 0 and terms.bounty_bps < BASIS, "bounty out of range"
    assert staticcall WORKS.isAuthorizedOrOwner(msg.sender, terms.work_id), "only owner or operator"
    bond: IBonds.Bond = staticcall BONDS.bond_of(bond_id)
    assert bond.poster == msg.sender, "another's bond"
    assert bond.judge == COMMITTEE.address, "another judge"
    assert bond.token == TOKEN, "another token"
    assert bond.subject == self._subject(terms), "bond on something else"
    assert convert(bond.ruling_s, uint256) >= LEAST_RULING_S, "no time for a verdict"
    assert bond.ruling_s <= LONGEST_RULING_S, "challenges would never lapse"
    assert bond.counter_stake <= bond.amount * terms.bounty_bps // BASIS, "challenging is too dear"
    self._check_stake(bond, terms, 0)
    request: bytes32 = self._promise_request(bond_id, terms, salt)
    self._check_request(request, terms.work_id)
    self._promises[bond_id] = Promise(
        promiser=msg.sender, terms=terms, request=request, fees=0, batches=0, over=0
    )
    log Promised(
        bond_id=bond_id,
        work_id=terms.work_id,
        promiser=msg.sender,
        signer=terms.signer,
        fee=terms.fee,
        audit_ppm=terms.audit_ppm,
        window_s=terms.window_s,
        bounty_bps=terms.bounty_bps,
        details=terms.details,
        request=request,
    )


@external
def submit(bond_id: uint256, root: bytes32, count: uint256, salt: bytes32) -> bytes32:
    """
    @notice Submit the answers of a while. The request `batch_request(bond, root, count, salt)` must have been filed in
            the Validation Registry, naming this contract.
    @param bond_id The promise's bond.
    @param root Of the tree of answers: leaf keccak256(0x00, number, answer), node keccak256(0x01, smaller, greater).
    @param count How many answers it holds.
    @param salt Any value.
    @return The request, by which the batch is known from now on.
    """
    promised: Promise = self._promises[bond_id]
    assert promised.promiser == msg.sender, "only the promiser"
    assert root != empty(bytes32), "root missing"
    assert count > 0 and count < LIMIT, "answers missing"
    request: bytes32 = self._batch_request(bond_id, root, count, salt)
    assert self._batches[request].bond_id == 0, "already submitted"
    self._check_request(request, promised.terms.work_id)
    fees: uint256 = self._pass_over(bond_id, MAX_STEPS) + promised.terms.fee * count
    bond: IBonds.Bond = staticcall BONDS.bond_of(bond_id)
    self._check_stake(bond, promised.terms, fees)
    open_until: uint64 = convert(block.timestamp, uint64) + promised.terms.window_s
    assert self._outlasts(bond, open_until), "bond ends before the window"
    self._promises[bond_id].fees = fees
    self._batch_at[bond_id][promised.batches] = request
    self._promises[bond_id].batches = promised.batches + 1
    self._batches[request] = Batch(
        bond_id=bond_id, root=root, count=count, open_until=open_until, disputes=0, verdict=0
    )
    log Submitted(
        request=request,
        bond_id=bond_id,
        work_id=promised.terms.work_id,
        root=root,
        count=count,
        open_until=open_until,
    )
    return request


@external
def pass_over(bond_id: uint256, steps: uint256):
    """
    @notice Count out the fees of batches whose window is over; `submit` does the same for the oldest 64. Anyone may.
    @param bond_id The promise's bond.
    @param steps How many batches to look at, at most 64.
    """
    assert self._promises[bond_id].promiser != empty(address), "no such promise"
    self._promises[bond_id].fees = self._pass_over(bond_id, min(steps, MAX_STEPS))


@external
def pass_softly(request: bytes32):
    """
    @notice Tell the registry that a batch's window is over and nobody disputed it. Anyone may.
    @param request The batch.
    """
    batch: Batch = self._batches[request]
    assert batch.bond_id != 0, "no such batch"
    assert block.timestamp >= convert(batch.open_until, uint256), "window still open"
    assert batch.disputes == 0, "disputed"
    assert batch.verdict == 0, "verdict already told"
    self._batches[request].verdict = SOFT
    extcall VALIDATION.validationResponse(request, 100, "", batch.root, "reexec:soft")
    log Passed(request=request)


# --- whoever disputes ------------------------------------------------------------------------------------------------


@external
def dispute(
    challenge_id: uint256, request: bytes32, reason: uint8, number: uint256, answer: bytes32, uri: String[512]
):
    """
    @notice Say what a challenge in Bonds is about; then its outcome lands in the registry. The caller has brought it
            before the committee, asking for all of the stake or more (anyone may top it up): no more than the promised
            bounty of what is staked now for itself, the rest for nobody (0x00..dEaD).
    @param challenge_id The caller's challenge, whose evidence is `evidence_of(request, reason, number, answer, uri)`.
    @param request The batch; its window must be open. Or `promise_request` of the bond, for an answer that is signed
           but in no batch.
    @param reason 1 the answer is wrong, 2 the promiser does not show it, 3 it was signed and left out of every batch.
    @param number Which of the batch; 0 where there is none.
    @param answer EIP-712 digest of the answer; empty where it was not shown.
    @param uri Where jurors find the evidence.
    """
    challenge: IBonds.Challenge = staticcall BONDS.challenge_of(challenge_id)
    promised: Promise = self._promises[challenge.bond_id]
    assert promised.promiser != empty(address), "no such promise"
    assert challenge.challenger == msg.sender, "only the challenger"
    assert self.dispute_on[challenge_id] == empty(bytes32), "already disputed"
    assert staticcall BONDS.can_rule(challenge_id), "challenge not open"
    assert challenge.evidence == self._evidence(request, reason, number, answer, uri), "challenged for something else"
    if request == promised.request:
        assert reason == WRONG or reason == LEFT_OUT, "no such reason"
        assert answer != empty(bytes32), "answer missing"
        self._standing[request] += 1
    else:
        assert reason == WRONG or reason == WITHHELD, "no such reason"
        assert self._batches[request].bond_id == challenge.bond_id, "no such batch"
        assert number < self._batches[request].count, "no such answer"
        assert block.timestamp < convert(self._batches[request].open_until, uint256), "window over"
        self._batches[request].disputes += 1
        self.disputed[request] = True
    case_id: uint256 = staticcall COMMITTEE.case_on(challenge_id)
    assert case_id != 0, "not before the committee"
    case: ICommittee.Case = staticcall COMMITTEE.case_of(case_id)
    staked: uint256 = (staticcall BONDS.bond_of(challenge.bond_id)).amount
    assert case.amount >= staked, "not for the whole stake"
    assert case.bounty <= staked * promised.terms.bounty_bps // BASIS, "bounty too large"
    assert case.beneficiary == NOBODY, "the rest belongs to nobody"
    self.dispute_on[challenge_id] = request
    log Disputed(
        challenge_id=challenge_id,
        request=request,
        bond_id=challenge.bond_id,
        case_id=case_id,
        reason=reason,
        number=number,
        answer=answer,
        uri=uri,
    )


@external
def settle(challenge_id: uint256):
    """
    @notice Tell the registry how a dispute ended. Anyone may. One that lapsed decides nothing.
    @param challenge_id The challenge.
    """
    request: bytes32 = self.dispute_on[challenge_id]
    assert request != empty(bytes32), "no such dispute"
    outcome: uint8 = staticcall IRuledBonds(BONDS.address).outcome(challenge_id)
    assert outcome != 0, "not decided"
    self.dispute_on[challenge_id] = empty(bytes32)
    if self._standing[request] > 0:
        self._standing[request] -= 1
    else:
        self._batches[request].disputes -= 1
    verdict: uint8 = self._batches[request].verdict
    if outcome == UPHELD and verdict != BROKEN:
        self._batches[request].verdict = BROKEN
        extcall VALIDATION.validationResponse(request, 0, "", convert(challenge_id, bytes32), "reexec:hard")
    elif outcome == DISMISSED and verdict != BROKEN:
        self._batches[request].verdict = KEPT
        extcall VALIDATION.validationResponse(request, 100, "", convert(challenge_id, bytes32), "reexec:hard")
    log Settled(challenge_id=challenge_id, request=request, outcome=outcome)


# --- reading ---------------------------------------------------------------------------------------------------------


@external
@view
def committee() -> address:
    """
    @return Who judges.
    """
    return COMMITTEE.address


@external
@view
def validation() -> address:
    """
    @return The registry that verdicts land in.
    """
    return VALIDATION.address


@external
@view
def promise_of(bond_id: uint256) -> Promise:
    """
    @return The promise that a bond stands behind.
    """
    assert self._promises[bond_id].promiser != empty(address), "no such promise"
    return self._promises[bond_id]


@external
@view
def batch_of(request: bytes32) -> Batch:
    """
    @return A batch; its verdict is 0 none, 1 soft, 2 kept, 3 broken.
    """
    assert self._batches[request].bond_id != 0, "no such batch"
    return self._batches[request]


@external
@view
def batch_at(bond_id: uint256, position: uint256) -> bytes32:
    """
    @return A promise's batches in the order they came, from 0; empty beyond the last.
    """
    return self._batch_at[bond_id][position]


@external
@pure
def least_stake(fee: uint256, audit_ppm: uint256, bounty_bps: uint256, fees: uint256) -> uint256:
    """
    @return The smallest bond that is taken for answers of this fee, audited so often, while this much was paid for
            answers that can still be disputed.
    """
    return self._least_stake(fee, audit_ppm, bounty_bps, fees)


@external
@view
def subject_of(terms: Terms) -> bytes32:
    """
    @return What the bond must be about: keccak256(abi.encode(chain id, this contract, terms)).
    """
    return self._subject(terms)


@external
@view
def promise_request(bond_id: uint256, terms: Terms, salt: bytes32) -> bytes32:
    """
    @return The request to file before `promise`.
    """
    return self._promise_request(bond_id, terms, salt)


@external
@view
def batch_request(bond_id: uint256, root: bytes32, count: uint256, salt: bytes32) -> bytes32:
    """
    @return The request to file before `submit`.
    """
    return self._batch_request(bond_id, root, count, salt)


@external
@view
def evidence_of(request: bytes32, reason: uint8, number: uint256, answer: bytes32, uri: String[512]) -> bytes32:
    """
    @return What a challenge in Bonds gives as its evidence.
    """
    return self._evidence(request, reason, number, answer, uri)


# --- inside ----------------------------------------------------------------------------------------------------------


@internal
@view
def _subject(terms: Terms) -> bytes32:
    return keccak256(abi_encode(chain.id, self, terms))


@internal
@view
def _promise_request(bond_id: uint256, terms: Terms, salt: bytes32) -> bytes32:
    return keccak256(abi_encode(chain.id, self, bond_id, self._subject(terms), salt))


@internal
@view
def _batch_request(bond_id: uint256, root: bytes32, count: uint256, salt: bytes32) -> bytes32:
    return keccak256(abi_encode(chain.id, self, bond_id, root, count, salt))


@internal
@view
def _evidence(request: bytes32, reason: uint8, number: uint256, answer: bytes32, uri: String[512]) -> bytes32:
    return keccak256(abi_encode(chain.id, self, request, reason, number, answer, keccak256(uri)))


@internal
@view
def _check_request(request: bytes32, work_id: uint256):
    """
    @dev Reverts with the registry's own words where nobody filed it.
    """
    validator: address = empty(address)
    agent_id: uint256 = 0
    response: uint8 = 0
    response_hash: bytes32 = empty(bytes32)
    tag: String[64] = ""
    updated_at: uint256 = 0
    validator, agent_id, response, response_hash, tag, updated_at = staticcall VALIDATION.getValidationStatus(request)
    assert validator == self, "another validator"
    assert agent_id == work_id, "request on another Work"


@internal
@pure
def _least_stake(fee: uint256, audit_ppm: uint256, bounty_bps: uint256, fees: uint256) -> uint256:
    """
    @dev The smallest whole number of which more than fee (1 - p) / p + fees is left after the bounty.
    """
    assert audit_ppm > 0 and audit_ppm <= MILLION, "audit rate out of range"
    assert bounty_bps < BASIS, "bounty out of range"
    gain: uint256 = fee * (MILLION - audit_ppm) // audit_ppm + fees
    return (gain + 1) * BASIS // (BASIS - bounty_bps) + 1


@internal
@view
def _check_stake(bond: IBonds.Bond, terms: Terms, fees: uint256):
    least: uint256 = self._least_stake(terms.fee, terms.audit_ppm, terms.bounty_bps, fees)
    assert bond.amount >= least, "stake too small"
    assert self._outlasts(bond, convert(block.timestamp, uint64)), "bond is over"


@internal
@view
def _outlasts(bond: IBonds.Bond, moment: uint64) -> bool:
    """
    @dev Whether a bond stands until then even if its end is announced now.
    """
    if bond.ends_at != 0:
        return bond.ends_at > moment
    return block.timestamp + convert(bond.notice_s, uint256) > convert(moment, uint256)


@internal
def _pass_over(bond_id: uint256, steps: uint256) -> uint256:
    """
    @dev Goes past batches that are over, the oldest first; the fees of the others.
    """
    fees: uint256 = self._promises[bond_id].fees
    fee: uint256 = self._promises[bond_id].terms.fee
    over: uint256 = self._promises[bond_id].over
    batches: uint256 = self._promises[bond_id].batches
    for i: uint256 in range(steps, bound=MAX_STEPS):
        if over == batches:
            break
        batch: Batch = self._batches[self._batch_at[bond_id][over]]
        if block.timestamp < convert(batch.open_until, uint256):
            break
        fees -= fee * batch.count
        over += 1
    self._promises[bond_id].over = over
    return fees
