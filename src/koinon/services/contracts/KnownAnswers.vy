# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
"""
@title Known answers: what keeps auditors awake
@notice Where nobody lies, auditors find nothing, and would stop looking. So sponsors plant answers that are wrong in
        batches of `Verification`, for calls they paid for themselves: an auditor that finds one is paid, and one that
        says it checked it and found nothing pays.
        - A sponsor escrows rewards for a plant: the answer that a certain account will pay for. Which one is sealed,
          so that nothing tells provider, batch or answer. The account signs for it when the plant is exposed: nobody
          can call another's wrong answer a plant.
        - A window has four quarters. In the first, auditors attest for one sponsor what they found in a batch, sealed:
          a secret, from which the sample they checked follows, and the wrong answers in it. In the second they
          disclose it. In the third the sponsor exposes plants. In the last, what is wrong and no plant is disputed. In
          the quarter after the window guesses are fined.
        - Each of the first finders of a plant is paid its reward. Whoever had it in the sample and did not find it,
          attested and disclosed nothing, or named as wrong what is neither a plant nor in a batch that anybody
          disputed, loses the penalty, to nobody (0x00..dEaD): a sponsor wins nothing by calling a right answer wrong,
          and auditors choose for whom they attest.
        - Each attestation holds one penalty of its auditor's stake until then, and wins no more than the penalty: who
          names a wrong number loses at least what all the right ones can bring, so guessing never pays.
        - What finders did not take goes back to the sponsor.
@dev The sample is `draws` answers: number keccak256(abi.encode(secret, batch, i)) % count for i below draws. An
     auditor's stake is a bond in Bonds whose judge is this contract and whose subject is `subject()`. Who grinds
     secrets to be spared some answers does not know which are plants. Nobody owns this contract.
"""

from koinon.services.contracts.interfaces import IVerification
from koinon.works.contracts import eip712
from koinon.works.contracts import erc20_transfers
from koinon.works.contracts import merkle
from koinon.works.contracts import signatures
from koinon.works.contracts.interfaces import IBonds

event Planted:
    plant_id: indexed(uint256)
    sponsor: indexed(address)
    reward: uint256
    finders: uint256


event Attested:
    request: indexed(bytes32)
    auditor: indexed(address)
    sponsor: indexed(address)
    bond_id: uint256


event Disclosed:
    request: indexed(bytes32)
    auditor: indexed(address)
    secret: bytes32
    draws: uint256
    found: DynArray[uint256, MAX_FOUND]


event Exposed:
    plant_id: indexed(uint256)
    request: indexed(bytes32)
    number: uint256


event Rewarded:
    plant_id: indexed(uint256)
    auditor: indexed(address)
    amount: uint256


event Fined:
    request: indexed(bytes32)
    auditor: indexed(address)
    amount: uint256


event Released:
    request: indexed(bytes32)
    auditor: indexed(address)


event Reclaimed:
    plant_id: indexed(uint256)
    amount: uint256


struct Plant:
    sponsor: address
    sealed: bytes32
    reward: uint256
    finders: uint256  # that are not paid yet
    planted_at: uint64
    until: uint64  # when what is left goes back
    request: bytes32  # empty until exposed
    number: uint256


struct Attestation:
    sealed: bytes32
    sponsor: address
    bond_id: uint256
    secret: bytes32
    draws: uint256
    found: DynArray[uint256, MAX_FOUND]
    disclosed: bool
    fined: bool
    released: bool
    won: uint256


struct Answer:
    work_id: uint256
    bond_id: uint256
    payer: address
    input_digest: bytes32
    runtime_digest: bytes32
    output_digest: bytes32
    number: uint64
    issued_at: uint64


MAX_FOUND: constant(uint256) = 16
MAX_FINDERS: constant(uint256) = 16
LIMIT: constant(uint256) = 2**96
NOBODY: constant(address) = 0x000000000000000000000000000000000000dEaD
ANSWER_TYPE_HASH: constant(bytes32) = keccak256(
    "Answer(uint256 workId,uint256 bondId,address payer,bytes32 inputDigest,bytes32 runtimeDigest,bytes32 outputDigest,uint64 number,uint64 issuedAt)"
)
PLANT_TYPE_HASH: constant(bytes32) = keccak256("Plant(uint256 plantId,address sponsor)")

VERIFICATION: immutable(IVerification)
BONDS: immutable(IBonds)
TOKEN: immutable(address)
PENALTY: immutable(uint256)

plant_count: public(uint256)
# batch -> number -> the plant exposed there, 0 for none
plant_at: public(HashMap[bytes32, HashMap[uint256, uint256]])

# bond -> what of it open attestations hold
held: public(HashMap[uint256, uint256])

_plants: HashMap[uint256, Plant]
_attestations: HashMap[bytes32, HashMap[address, Attestation]]
_rewarded: HashMap[uint256, HashMap[address, bool]]


@deploy
def __init__(verification: address, bonds: address, token: address, penalty: uint256):
    """
    @param verification Whose batches are audited.
    @param bonds Where auditors stake.
    @param token What rewards and stakes are in.
    @param penalty What missing a plant, or naming what is none, costs; the most an attestation wins.
    """
    assert verification != empty(address) and bonds != empty(address) and token != empty(address), "contract missing"
    assert penalty > 0 and penalty < LIMIT, "penalty out of range"
    VERIFICATION = IVerification(verification)
    BONDS = IBonds(bonds)
    TOKEN = token
    PENALTY = penalty


# --- sponsors --------------------------------------------------------------------------------------------------------


@external
@nonreentrant
def plant(sealed: bytes32, reward: uint256, finders: uint256, until: uint64) -> uint256:
    """
    @notice Escrow rewards for finding one wrong answer that is going to be planted.
    @param sealed keccak256(abi.encode(chain id, this contract, the caller, the account that will pay, salt)).
    @param reward What each finder gets, at most the penalty; times finders approved to this contract.
    @param finders How many are paid, at most 16.
    @param until When what is left goes back, in unix seconds; exposed only in windows that end by then.
    @return The plant's id.
    """
    assert sealed != empty(bytes32), "seal missing"
    assert reward > 0 and reward <= PENALTY, "reward out of range"
    assert finders > 0 and finders <= MAX_FINDERS, "finders out of range"
    assert convert(until, uint256) > block.timestamp, "already over"
    plant_id: uint256 = self.plant_count + 1
    self.plant_count = plant_id
    self._plants[plant_id] = Plant(
        sponsor=msg.sender,
        sealed=sealed,
        reward=reward,
        finders=finders,
        planted_at=convert(block.timestamp, uint64),
        until=until,
        request=empty(bytes32),
        number=0,
    )
    erc20_transfers._collect(TOKEN, msg.sender, self, reward * finders)
    log Planted(plant_id=plant_id, sponsor=msg.sender, reward=reward, finders=finders)
    return plant_id


@external
def expose(
    plant_id: uint256,
    request: bytes32,
    number: uint256,
    answer: Answer,
    proof: DynArray[bytes32, 64],
    salt: bytes32,
    signature: Bytes[1024],
):
    """
    @notice Show where a plant is, in the third quarter of its batch's window.
    @param plant_id The caller's plant, planted before the batch was submitted; it must last until the window's end,
           so that there is time to pay finders.
    @param request The batch.
    @param number Which of the batch.
    @param answer The answer there.
    @param proof The siblings of its leaf, from the bottom up.
    @param salt Of the seal.
    @param signature Of the account that paid, under Plant(plantId, sponsor).
    """
    assert msg.sender == self._plants[plant_id].sponsor, "only its sponsor"
    assert self._plants[plant_id].request == empty(bytes32), "already exposed"
    assert (
        self._plants[plant_id].sealed
        == keccak256(abi_encode(chain.id, self, msg.sender, answer.payer, salt))
    ), "another seal"
    submitted_at: uint256 = 0
    quarter: uint256 = 0
    submitted_at, quarter = self._times(request)
    self._check_quarter(submitted_at, quarter, 2)
    assert submitted_at + 4 * quarter <= convert(self._plants[plant_id].until, uint256), "no time to pay finders"
    assert convert(self._plants[plant_id].planted_at, uint256) < submitted_at, "planted after the batch"
    assert self.plant_at[request][number] == 0, "another plant is there"
    batch: IVerification.Batch = staticcall VERIFICATION.batch_of(request)
    assert number < batch.count, "no such answer"
    assert self._is_there(batch.root, number, answer, proof), "not in the batch"
    digest: bytes32 = eip712._digest(
        eip712._separator(keccak256("Koinon Known Answers"), keccak256("1"), self),
        keccak256(abi_encode(PLANT_TYPE_HASH, plant_id, msg.sender)),
    )
    assert signatures._signed_by(answer.payer, digest, signature), "who paid did not sign"
    self._plants[plant_id].request = request
    self._plants[plant_id].number = number
    self.plant_at[request][number] = plant_id
    log Exposed(plant_id=plant_id, request=request, number=number)


@external
@nonreentrant
def reclaim(plant_id: uint256) -> uint256:
    """
    @notice Send what finders did not take back to the sponsor, when the plant is over. Anyone may.
    @param plant_id The plant.
    @return How much.
    """
    plant: Plant = self._plants[plant_id]
    assert plant.sponsor != empty(address), "no such plant"
    assert block.timestamp >= convert(plant.until, uint256), "plant is not over"
    amount: uint256 = plant.reward * plant.finders
    assert amount > 0, "nothing left"
    self._plants[plant_id].finders = 0
    erc20_transfers._pay(TOKEN, plant.sponsor, amount)
    log Reclaimed(plant_id=plant_id, amount=amount)
    return amount


# --- auditors --------------------------------------------------------------------------------------------------------


@external
def attest(request: bytes32, sealed: bytes32, bond_id: uint256, sponsor: address):
    """
    @notice Say, sealed, what one found in a batch; in the first quarter of its window. Once a batch.
    @param request The batch.
    @param sealed `seal_of(request, caller, secret, draws, found)`.
    @param bond_id The caller's bond, in this contract's token, judged by it, with a penalty that no other attestation
           holds.
    @param sponsor Whose plants count.
    """
    submitted_at: uint256 = 0
    quarter: uint256 = 0
    submitted_at, quarter = self._times(request)
    self._check_quarter(submitted_at, quarter, 0)
    assert sealed != empty(bytes32), "seal missing"
    assert self._attestations[request][msg.sender].sealed == empty(bytes32), "already attested"
    bond: IBonds.Bond = staticcall BONDS.bond_of(bond_id)
    assert bond.poster == msg.sender, "another's bond"
    assert bond.judge == self and bond.subject == self._subject(), "bond on something else"
    assert bond.token == TOKEN, "another token"
    held: uint256 = self.held[bond_id] + PENALTY
    assert bond.amount >= held, "stake too small"
    fines_until: uint256 = submitted_at + 5 * quarter
    if bond.ends_at == 0:
        assert block.timestamp + convert(bond.notice_s, uint256) >= fines_until, "bond ends before fines do"
    else:
        assert convert(bond.ends_at, uint256) >= fines_until, "bond ends before fines do"
    self.held[bond_id] = held
    self._attestations[request][msg.sender].sealed = sealed
    self._attestations[request][msg.sender].sponsor = sponsor
    self._attestations[request][msg.sender].bond_id = bond_id
    log Attested(request=request, auditor=msg.sender, sponsor=sponsor, bond_id=bond_id)


@external
def disclose(request: bytes32, secret: bytes32, draws: uint256, found: DynArray[uint256, MAX_FOUND]):
    """
    @notice Show what one attested; in the second quarter.
    @param request The batch.
    @param secret What the sample follows from.
    @param draws How many answers were drawn.
    @param found The wrong ones, at most 16.
    """
    submitted_at: uint256 = 0
    quarter: uint256 = 0
    submitted_at, quarter = self._times(request)
    self._check_quarter(submitted_at, quarter, 1)
    sealed: bytes32 = self._attestations[request][msg.sender].sealed
    assert sealed != empty(bytes32), "nothing attested"
    assert not self._attestations[request][msg.sender].disclosed, "already disclosed"
    assert sealed == self._seal(request, msg.sender, secret, draws, found), "not what was attested"
    self._attestations[request][msg.sender].disclosed = True
    self._attestations[request][msg.sender].secret = secret
    self._attestations[request][msg.sender].draws = draws
    self._attestations[request][msg.sender].found = found
    log Disclosed(request=request, auditor=msg.sender, secret=secret, draws=draws, found=found)


@external
@nonreentrant
def reward(plant_id: uint256, auditor: address):
    """
    @notice Pay a finder of an exposed plant, first come first served. Anyone may.
    @param plant_id The plant.
    @param auditor Who attested it for its sponsor.
    """
    plant: Plant = self._plants[plant_id]
    assert plant.request != empty(bytes32), "not exposed"
    assert block.timestamp < convert(plant.until, uint256), "plant is over"
    assert plant.finders > 0, "all finders are paid"
    assert not self._rewarded[plant_id][auditor], "already paid"
    assert self._attestations[plant.request][auditor].sponsor == plant.sponsor, "attested for another"
    assert plant.number in self._attestations[plant.request][auditor].found, "not found"
    won: uint256 = self._attestations[plant.request][auditor].won + plant.reward
    assert won <= PENALTY, "won as much as it risks"
    self._attestations[plant.request][auditor].won = won
    self._rewarded[plant_id][auditor] = True
    self._plants[plant_id].finders = plant.finders - 1
    erc20_transfers._pay(TOKEN, auditor, plant.reward)
    log Rewarded(plant_id=plant_id, auditor=auditor, amount=plant.reward)


@external
def fine(request: bytes32, auditor: address, plant_id: uint256, draw: uint256):
    """
    @notice Take the penalty from an auditor that missed a plant in its sample, or disclosed nothing in time. Once a
            batch, until its window is over. Anyone may.
    @param request The batch.
    @param auditor Who attested.
    @param plant_id A plant exposed there; 0 where nothing was disclosed.
    @param draw Which draw of the sample hit it.
    """
    attestation: Attestation = self._attestations[request][auditor]
    assert attestation.sealed != empty(bytes32), "nothing attested"
    assert not attestation.fined, "already fined"
    submitted_at: uint256 = 0
    quarter: uint256 = 0
    submitted_at, quarter = self._times(request)
    assert block.timestamp < submitted_at + 4 * quarter, "window over"
    if attestation.disclosed:
        plant: Plant = self._plants[plant_id]
        assert plant.request == request and plant.request != empty(bytes32), "no plant there"
        assert plant.sponsor == attestation.sponsor, "attested for another"
        assert plant.number not in attestation.found, "found"
        assert draw < attestation.draws, "not in the sample"
        batch: IVerification.Batch = staticcall VERIFICATION.batch_of(request)
        drawn: uint256 = convert(keccak256(abi_encode(attestation.secret, request, draw)), uint256) % batch.count
        assert drawn == plant.number, "not in the sample"
    else:
        assert block.timestamp >= submitted_at + 2 * quarter, "still time to disclose"
    self._take_penalty(request, auditor, attestation.bond_id)


@external
def fine_guess(request: bytes32, auditor: address, number: uint256):
    """
    @notice Take the penalty from an auditor that named as wrong what is no plant, in a batch that nobody disputed while
            its provider had a stake to lose; in the quarter after the window. Anyone may.
    @param request The batch.
    @param auditor Who attested.
    @param number What it named.
    """
    attestation: Attestation = self._attestations[request][auditor]
    assert not attestation.fined, "already fined"
    assert number in attestation.found, "not named"
    submitted_at: uint256 = 0
    quarter: uint256 = 0
    submitted_at, quarter = self._times(request)
    self._check_quarter(submitted_at, quarter, 4)
    assert self.plant_at[request][number] == 0, "a plant"
    assert not staticcall VERIFICATION.disputed(request), "disputed"
    batch: IVerification.Batch = staticcall VERIFICATION.batch_of(request)
    assert (staticcall BONDS.bond_of(batch.bond_id)).amount > 0, "nothing to dispute for"
    self._take_penalty(request, auditor, attestation.bond_id)


@external
def release(request: bytes32, auditor: address):
    """
    @notice Let go of the penalty that an attestation held, when it can no longer be fined. Anyone may.
    @param request The batch.
    @param auditor Who attested.
    """
    attestation: Attestation = self._attestations[request][auditor]
    assert attestation.sealed != empty(bytes32), "nothing attested"
    assert not attestation.fined, "already fined"
    assert not attestation.released, "already released"
    submitted_at: uint256 = 0
    quarter: uint256 = 0
    submitted_at, quarter = self._times(request)
    assert block.timestamp >= submitted_at + 5 * quarter, "too early"
    self._attestations[request][auditor].released = True
    self.held[attestation.bond_id] -= PENALTY
    log Released(request=request, auditor=auditor)


# --- reading ---------------------------------------------------------------------------------------------------------


@external
@view
def penalty() -> uint256:
    """
    @return What missing a plant, or naming what is none, costs; the most an attestation wins.
    """
    return PENALTY


@external
@view
def subject() -> bytes32:
    """
    @return What an auditor's bond must be about: keccak256(abi.encode(chain id, this contract)).
    """
    return self._subject()


@external
@view
def plant_of(plant_id: uint256) -> Plant:
    """
    @return A plant.
    """
    assert self._plants[plant_id].sponsor != empty(address), "no such plant"
    return self._plants[plant_id]


@external
@view
def attestation_of(request: bytes32, auditor: address) -> Attestation:
    """
    @return What an auditor attested; zeros for nothing.
    """
    return self._attestations[request][auditor]


@external
@view
def times(request: bytes32) -> (uint256, uint256, uint256, uint256, uint256):
    """
    @return Until when a batch is attested, disclosed, exposed and disputed, and guesses are fined, in unix seconds.
    """
    submitted_at: uint256 = 0
    quarter: uint256 = 0
    submitted_at, quarter = self._times(request)
    return (
        submitted_at + quarter,
        submitted_at + 2 * quarter,
        submitted_at + 3 * quarter,
        submitted_at + 4 * quarter,
        submitted_at + 5 * quarter,
    )


@external
@view
def seal_of(
    request: bytes32, auditor: address, secret: bytes32, draws: uint256, found: DynArray[uint256, MAX_FOUND]
) -> bytes32:
    """
    @return What an auditor attests with. Compute it at home: asking a stranger's node gives the findings away.
    """
    return self._seal(request, auditor, secret, draws, found)


# --- inside ----------------------------------------------------------------------------------------------------------


@internal
@view
def _subject() -> bytes32:
    return keccak256(abi_encode(chain.id, self))


@internal
@view
def _seal(
    request: bytes32, auditor: address, secret: bytes32, draws: uint256, found: DynArray[uint256, MAX_FOUND]
) -> bytes32:
    return keccak256(abi_encode(chain.id, self, request, auditor, secret, draws, found))


@internal
def _take_penalty(request: bytes32, auditor: address, bond_id: uint256):
    """
    @dev What the attestation held is taken instead of released.
    """
    self._attestations[request][auditor].fined = True
    self.held[bond_id] -= PENALTY
    extcall BONDS.slash(bond_id, [IBonds.Part(account=NOBODY, amount=PENALTY)])
    log Fined(request=request, auditor=auditor, amount=PENALTY)


@internal
@view
def _times(request: bytes32) -> (uint256, uint256):
    """
    @dev When a batch was submitted, and a quarter of its window.
    """
    batch: IVerification.Batch = staticcall VERIFICATION.batch_of(request)
    promise: IVerification.Promise = staticcall VERIFICATION.promise_of(batch.bond_id)
    window_s: uint256 = convert(promise.terms.window_s, uint256)
    return (convert(batch.open_until, uint256) - window_s, window_s // 4)


@internal
@view
def _check_quarter(submitted_at: uint256, quarter: uint256, which: uint256):
    assert block.timestamp >= submitted_at + which * quarter, "too early"
    assert block.timestamp < submitted_at + (which + 1) * quarter, "too late"


@internal
@view
def _is_there(root: bytes32, number: uint256, answer: Answer, proof: DynArray[bytes32, 64]) -> bool:
    """
    @dev Whether a batch holds this answer there: its leaf is keccak256(0x00, number, EIP-712 digest).
    """
    digest: bytes32 = eip712._digest(
        eip712._separator(keccak256("Koinon Verification"), keccak256("1"), VERIFICATION.address),
        keccak256(abi_encode(ANSWER_TYPE_HASH, answer)),
    )
    leaf: bytes32 = keccak256(concat(0x00, convert(number, bytes32), digest))
    return merkle._root(leaf, proof) == root
