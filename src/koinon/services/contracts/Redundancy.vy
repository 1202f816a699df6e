# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
"""
@title Redundancy: several providers answer the same
@notice Whoever asks names up to 15 providers by their bonds. Each commits to the digest of its output, then reveals it;
        the output that more than half of the stake named agrees on is right. Each provider that answered so is told to
        the Validation Registry with 100, every other one that committed with 0, tag `redundancy`; those lose the
        penalty to nobody (0x00..dEaD). Without such a majority nothing is told and nobody pays.
        A commitment is refused without a validation request, filed by the provider, that names this contract.
        Weight is stake, so that splitting it over accounts changes nothing; who has more than half of it decides. Who
        is asked and does not commit counts with the stake it had when asked: one alone agrees with nobody.
        A request is good for one round, so that no verdict is talked over in another, and a stake for as many rounds
        at once as it can pay penalties for.
@dev A provider's stake is a bond in Bonds whose judge is this contract and whose subject is `subject(work)`.
     Nobody owns this contract.
"""

from koinon.services.contracts.interfaces import IValidation
from koinon.works.contracts import commit_reveal
from koinon.works.contracts.interfaces import IBonds
from koinon.works.contracts.interfaces import IWorks

initializes: commit_reveal

event Asked:
    round_id: indexed(uint256)
    asker: indexed(address)
    input_digest: bytes32
    commit_until: uint64
    reveal_until: uint64
    bonds: DynArray[uint256, MAX_PROVIDERS]


event Committed:
    round_id: indexed(uint256)
    bond_id: indexed(uint256)
    request: bytes32


event Revealed:
    round_id: indexed(uint256)
    bond_id: indexed(uint256)
    output_digest: bytes32


event Concluded:
    round_id: indexed(uint256)
    output_digest: bytes32
    agreed: uint256
    stake: uint256


struct Round:
    asker: address
    input_digest: bytes32
    commit_until: uint64
    reveal_until: uint64
    concluded: bool
    bonds: DynArray[uint256, MAX_PROVIDERS]


struct Entry:
    request: bytes32  # empty until committed
    stake: uint256
    output_digest: bytes32
    revealed: bool


MAX_PROVIDERS: constant(uint256) = 15
CONCLUDE_S: constant(uint256) = 3_600
LIMIT: constant(uint256) = 2**96
NOBODY: constant(address) = 0x000000000000000000000000000000000000dEaD

BONDS: immutable(IBonds)
VALIDATION: immutable(IValidation)
WORKS: immutable(IWorks)
TOKEN: immutable(address)
PENALTY: immutable(uint256)

round_count: public(uint256)

_rounds: HashMap[uint256, Round]
_entries: HashMap[uint256, HashMap[uint256, Entry]]
# bond -> its commitments in rounds that are not concluded
_standing: HashMap[uint256, uint256]
_used: HashMap[bytes32, bool]


@deploy
def __init__(bonds: address, validation: address, token: address, penalty: uint256):
    """
    @param bonds Where providers stake.
    @param validation The Validation Registry that verdicts land in.
    @param token What stakes are in.
    @param penalty What disagreeing costs.
    """
    assert bonds != empty(address) and validation != empty(address) and token != empty(address), "contract missing"
    assert penalty > 0 and penalty < LIMIT, "penalty out of range"
    BONDS = IBonds(bonds)
    VALIDATION = IValidation(validation)
    WORKS = IWorks(staticcall IValidation(validation).getIdentityRegistry())
    TOKEN = token
    PENALTY = penalty


@external
def ask(
    input_digest: bytes32, bonds: DynArray[uint256, MAX_PROVIDERS], commit_until: uint64, reveal_until: uint64
) -> uint256:
    """
    @notice Ask providers the same.
    @param input_digest Of what they are asked.
    @param bonds Theirs; two or more, each once and in ascending order.
    @param commit_until Commitments are taken before this time, unix seconds.
    @param reveal_until Reveals are taken from then on and before this time.
    @return The round's id.
    """
    assert len(bonds) > 1, "one provider agrees with itself"
    assert convert(commit_until, uint256) > block.timestamp, "no time to commit"
    assert reveal_until > commit_until, "no time to reveal"
    round_id: uint256 = self.round_count + 1
    self.round_count = round_id
    last: uint256 = 0
    for bond_id: uint256 in bonds:
        assert bond_id > last, "bonds not in order"
        last = bond_id
        bond: IBonds.Bond = staticcall BONDS.bond_of(bond_id)
        if bond.judge == self and bond.token == TOKEN:
            self._entries[round_id][bond_id].stake = bond.amount
    self._rounds[round_id] = Round(
        asker=msg.sender,
        input_digest=input_digest,
        commit_until=commit_until,
        reveal_until=reveal_until,
        concluded=False,
        bonds=bonds,
    )
    log Asked(
        round_id=round_id,
        asker=msg.sender,
        input_digest=input_digest,
        commit_until=commit_until,
        reveal_until=reveal_until,
        bonds=bonds,
    )
    return round_id


@external
def commit(round_id: uint256, bond_id: uint256, work_id: uint256, request: bytes32, commitment: bytes32):
    """
    @notice Commit to the digest of an output, once.
    @param round_id The round.
    @param bond_id The caller's bond, named in the round, about `subject(work_id)`; it must stand until an hour after
           the reveals, so that there is time to conclude.
    @param work_id The Work that answers.
    @param request A validation request on it that names this contract, and was used in no round yet.
    @param commitment As `commitment` computes it.
    """
    assert block.timestamp < convert(self._rounds[round_id].commit_until, uint256), "too late to commit"
    assert bond_id in self._rounds[round_id].bonds, "not asked"
    assert self._entries[round_id][bond_id].request == empty(bytes32), "already committed"
    bond: IBonds.Bond = staticcall BONDS.bond_of(bond_id)
    assert bond.poster == msg.sender, "another's bond"
    assert bond.judge == self and bond.subject == self._subject(work_id), "bond on something else"
    assert bond.token == TOKEN, "another token"
    standing: uint256 = self._standing[bond_id] + 1
    assert bond.amount >= PENALTY * standing, "stake too small"
    conclude_until: uint256 = convert(self._rounds[round_id].reveal_until, uint256) + CONCLUDE_S
    if bond.ends_at == 0:
        assert block.timestamp + convert(bond.notice_s, uint256) > conclude_until, "bond ends before the round"
    else:
        assert convert(bond.ends_at, uint256) > conclude_until, "bond ends before the round"
    assert staticcall WORKS.isAuthorizedOrOwner(msg.sender, work_id), "only owner or operator"
    self._check_request(request, work_id)
    assert not self._used[request], "request already used"
    self._used[request] = True
    self._standing[bond_id] = standing
    self._entries[round_id][bond_id].request = request
    self._entries[round_id][bond_id].stake = bond.amount
    commit_reveal._commit(self._topic(round_id, bond_id), msg.sender, commitment)
    log Committed(round_id=round_id, bond_id=bond_id, request=request)


@external
def reveal(round_id: uint256, bond_id: uint256, output_digest: bytes32, salt: bytes32):
    """
    @notice Reveal what one committed to.
    @param round_id The round.
    @param bond_id The bond it was committed with.
    @param output_digest The digest.
    @param salt The salt.
    """
    assert block.timestamp >= convert(self._rounds[round_id].commit_until, uint256), "too early to reveal"
    assert block.timestamp < convert(self._rounds[round_id].reveal_until, uint256), "too late to reveal"
    commit_reveal._reveal(self._topic(round_id, bond_id), msg.sender, output_digest, salt)
    self._entries[round_id][bond_id].output_digest = output_digest
    self._entries[round_id][bond_id].revealed = True
    log Revealed(round_id=round_id, bond_id=bond_id, output_digest=output_digest)


@external
def conclude(round_id: uint256):
    """
    @notice Count, tell the registry, and take the penalty of those who did not agree. Anyone may.
    @param round_id The round; its time to reveal must be over.
    """
    round: Round = self._rounds[round_id]
    assert round.asker != empty(address), "no such round"
    assert block.timestamp >= convert(round.reveal_until, uint256), "outputs still come in"
    assert not round.concluded, "already concluded"
    self._rounds[round_id].concluded = True
    total: uint256 = 0
    for bond_id: uint256 in round.bonds:
        total += self._entries[round_id][bond_id].stake
        if self._entries[round_id][bond_id].request != empty(bytes32):
            self._standing[bond_id] -= 1
    right: bytes32 = empty(bytes32)
    agreed: uint256 = 0
    for bond_id: uint256 in round.bonds:
        entry: Entry = self._entries[round_id][bond_id]
        if not entry.revealed:
            continue
        same: uint256 = 0
        for other_id: uint256 in round.bonds:
            other: Entry = self._entries[round_id][other_id]
            if other.revealed and other.output_digest == entry.output_digest:
                same += other.stake
        if same > agreed:
            right = entry.output_digest
            agreed = same
    if agreed * 2 > total:
        self._tell(round_id, round.bonds, right)
    else:
        right = empty(bytes32)
    log Concluded(round_id=round_id, output_digest=right, agreed=agreed, stake=total)


# --- reading ---------------------------------------------------------------------------------------------------------


@external
@view
def subject(work_id: uint256) -> bytes32:
    """
    @return What a provider's bond must be about: keccak256(abi.encode(chain id, this contract, work)).
    """
    return self._subject(work_id)


@external
@view
def round_of(round_id: uint256) -> Round:
    """
    @return A round.
    """
    assert self._rounds[round_id].asker != empty(address), "no such round"
    return self._rounds[round_id]


@external
@view
def entry_of(round_id: uint256, bond_id: uint256) -> Entry:
    """
    @return What a provider committed and revealed, and its stake; the request is empty where it committed nothing.
    """
    return self._entries[round_id][bond_id]


@external
@view
def commitment(
    round_id: uint256, bond_id: uint256, account: address, output_digest: bytes32, salt: bytes32
) -> bytes32:
    """
    @return What an account commits with. Compute it at home: asking a stranger's node gives the output away.
    """
    return commit_reveal._commitment(self._topic(round_id, bond_id), account, output_digest, salt)


@external
@view
def topic(round_id: uint256, bond_id: uint256) -> bytes32:
    """
    @return The topic on which a provider commits.
    """
    return self._topic(round_id, bond_id)


# --- inside ----------------------------------------------------------------------------------------------------------


@internal
@pure
def _topic(round_id: uint256, bond_id: uint256) -> bytes32:
    return keccak256(abi_encode(round_id, bond_id))


@internal
@view
def _subject(work_id: uint256) -> bytes32:
    return keccak256(abi_encode(chain.id, self, work_id))


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
def _tell(round_id: uint256, bonds: DynArray[uint256, MAX_PROVIDERS], right: bytes32):
    for bond_id: uint256 in bonds:
        entry: Entry = self._entries[round_id][bond_id]
        if entry.request == empty(bytes32):
            continue
        response: uint8 = 100
        if not entry.revealed or entry.output_digest != right:
            response = 0
            amount: uint256 = min(PENALTY, (staticcall BONDS.bond_of(bond_id)).amount)
            extcall BONDS.slash(bond_id, [IBonds.Part(account=NOBODY, amount=amount)])
        extcall VALIDATION.validationResponse(entry.request, response, "", right, "redundancy")
