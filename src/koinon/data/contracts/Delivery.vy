# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
"""
@title Delivery: money back when keepers do not hand over what was bought
@notice A seller promises that keepers, each holding a share of a content's key, give their shares to every grantee, and
        stakes a bond on it whose judge is this contract. A grantee who was not served complains here, with a new public
        key for each keeper. Keepers answer in public, each hiding its share so that only the grantee reads it. Where
        fewer right shares than needed were given in time, and the grantee gives the grant up, the payer is paid back
        from the bond: what was paid, up to what was promised and what is left.
        - A share is checked against what the promise says of it: a grantee who was given something else shows the one
          secret key it was hidden for, and the answer no longer counts.
        - A grantee who was served may complain: keepers answer once more, and nothing is paid.
        - A complaint reserves its cover, so that no later one takes it.
        - Only bonds are accepted that outlast every deadline here, whenever their end is announced.
        - What the shares open is not judged: who does not trust a seller buys in a fair exchange.
        - A seller who buys from himself and lets it fail gets his own stake back: the bond covers those who complain
          while something is left, as `cover_left` says before one buys.
@dev Nothing is held here. Nobody owns this contract. A hidden share is value XOR keccak256(grant id, keeper's number,
     address of r K), with r R's secret and K the grantee's key for this keeper.
"""

from koinon.data.contracts import secp256k1
from koinon.works.contracts.interfaces import IBonds
from koinon.works.contracts.interfaces import ITerms
from koinon.works.contracts.interfaces import IWorks


struct Promise:
    work_id: uint256
    bond_id: uint256
    promiser: address
    content_id: bytes32  # what the Work's owner signed about the content
    threshold: uint8
    max_refund: uint256  # for one grant, in the bond's token
    complaint_s: uint64  # how long after a grant starts its grantee may complain
    answer_s: uint64  # how long keepers have to answer
    since: uint64
    until: uint64  # grants that start from then on are not covered; 0 while it stands
    keepers: DynArray[address, 16]
    commitments: DynArray[bytes32, 16]  # keccak256("koinon share 1", number from 1 in one byte, value)


struct Complaint:
    promise_id: uint256
    grantee: address
    payer: address
    cover: uint256  # reserved of the bond
    keys_digest: bytes32
    answer_until: uint64
    answered: uint256  # a bit for each keeper whose answer counts
    open: bool


struct Answer:
    x: uint256  # of R, the keeper's point
    odd: bool  # whether its ordinate is
    hidden: bytes32


event Promised:
    promise_id: indexed(uint256)
    work_id: indexed(uint256)
    bond_id: indexed(uint256)
    promiser: address
    content_id: bytes32
    threshold: uint8
    max_refund: uint256
    complaint_s: uint64
    answer_s: uint64
    keepers: DynArray[address, 16]
    commitments: DynArray[bytes32, 16]


event PromiseEnded:
    promise_id: indexed(uint256)
    until: uint64


event Complained:
    grant_id: indexed(uint256)
    promise_id: indexed(uint256)
    grantee: indexed(address)
    keys: DynArray[secp256k1.Point, 16]
    cover: uint256
    answer_until: uint64


event Answered:
    grant_id: indexed(uint256)
    keeper: indexed(address)
    number: uint256
    x: uint256
    odd: bool
    hidden: bytes32


event Refuted:
    grant_id: indexed(uint256)
    keeper: indexed(address)
    number: uint256


event Resolved:
    grant_id: indexed(uint256)
    answers: uint256
    refunded: uint256


DOWNLOAD: constant(uint8) = 0
MAXIMUM_KEEPERS: constant(uint256) = 16
LONGEST_S: constant(uint64) = 30 * 86_400
NOTICE_S: public(constant(uint64)) = 86_400  # between ending a promise and its end
CHECK_S: public(constant(uint64)) = 86_400  # a grantee has so long from the last answer to refute one
RESOLVE_S: public(constant(uint64)) = 3 * 86_400  # and so long from then to give the grant up and be paid back

TERMS: public(immutable(ITerms))
WORKS: public(immutable(IWorks))
BONDS: public(immutable(IBonds))
FAIR_EXCHANGE: public(immutable(address))

# How many promises were ever made; ids run from 1 to this.
promise_count: public(uint256)
# bond -> what open complaints have reserved of it
reserved: public(HashMap[uint256, uint256])

_promises: HashMap[uint256, Promise]
_complaints: HashMap[uint256, Complaint]
_answers: HashMap[uint256, HashMap[uint256, bytes32]]


@deploy
def __init__(terms: ITerms, bonds: IBonds, fair_exchange: address):
    """
    @notice Binds the judge to where grants are sold and bonds are posted.
    @param terms The Terms contract; must be deployed.
    @param bonds The Bonds contract; must be deployed.
    @param fair_exchange Whose grants need no delivery: there the content is handed over first.
    """
    assert terms.address.codesize != 0, "no terms"
    assert bonds.address.codesize != 0, "no bonds"
    TERMS = terms
    WORKS = IWorks(staticcall terms.works())
    BONDS = bonds
    FAIR_EXCHANGE = fair_exchange


# --- the seller's part -----------------------------------------------------------------------------------------------


@external
def promise(
    work_id: uint256,
    bond_id: uint256,
    content_id: bytes32,
    keepers: DynArray[address, 16],
    commitments: DynArray[bytes32, 16],
    threshold: uint8,
    max_refund: uint256,
    complaint_s: uint64,
    answer_s: uint64,
) -> uint256:
    """
    @notice Promise delivery to whoever buys a Work's download from now on. Nothing of it can be changed, only ended.
    @param work_id The Work; the caller must be its owner or operator.
    @param bond_id The bond behind it; the caller must have posted it, with this contract as its judge.
    @param content_id What the Work's owner signed about the content.
    @param keepers Who holds the shares.
    @param commitments To each one's share, in the same order.
    @param threshold How many shares give the key.
    @param max_refund The most that is paid back for one grant, in the bond's token.
    @param complaint_s Seconds from a grant's start in which its grantee may complain.
    @param answer_s Seconds the keepers have from a complaint to answer.
    @return The promise's id.
    """
    assert staticcall WORKS.isAuthorizedOrOwner(msg.sender, work_id), "only the owner or an operator"
    assert content_id != empty(bytes32), "content missing"
    assert len(keepers) == len(commitments), "every keeper needs one commitment"
    assert threshold > 0 and convert(threshold, uint256) <= len(keepers), "threshold out of range"
    self._assert_distinct(keepers)
    assert max_refund > 0, "refund missing"
    assert complaint_s > 0 and complaint_s <= LONGEST_S, "time to complain out of range"
    assert answer_s > 0 and answer_s <= LONGEST_S, "time to answer out of range"
    bond: IBonds.Bond = staticcall BONDS.bond_of(bond_id)
    assert bond.judge == self, "bond has another judge"
    assert bond.poster == msg.sender, "bond is another's"
    assert self._free(bond_id, bond.amount) > 0, "nothing left of the bond"
    assert self._outlasts(bond, complaint_s + answer_s), "bond ends too soon"
    promise_id: uint256 = self.promise_count + 1
    self.promise_count = promise_id
    self._promises[promise_id] = Promise(
        work_id=work_id,
        bond_id=bond_id,
        promiser=msg.sender,
        content_id=content_id,
        threshold=threshold,
        max_refund=max_refund,
        complaint_s=complaint_s,
        answer_s=answer_s,
        since=convert(block.timestamp, uint64),
        until=0,
        keepers=keepers,
        commitments=commitments,
    )
    log Promised(
        promise_id=promise_id,
        work_id=work_id,
        bond_id=bond_id,
        promiser=msg.sender,
        content_id=content_id,
        threshold=threshold,
        max_refund=max_refund,
        complaint_s=complaint_s,
        answer_s=answer_s,
        keepers=keepers,
        commitments=commitments,
    )
    return promise_id


@external
def end_promise(promise_id: uint256):
    """
    @notice Promise nothing more to those whose grant starts a day from now or later; what was sold stays covered.
    @param promise_id The promise; the caller must have made it.
    """
    assert msg.sender == self._promises[promise_id].promiser, "only who promised"
    assert self._promises[promise_id].until == 0, "promise already ended"
    until: uint64 = convert(block.timestamp, uint64) + NOTICE_S
    self._promises[promise_id].until = until
    log PromiseEnded(promise_id=promise_id, until=until)


# --- a complaint -----------------------------------------------------------------------------------------------------


@external
def complain(promise_id: uint256, grant_id: uint256, keys: DynArray[secp256k1.Point, 16]):
    """
    @notice Say that a grant that was paid for is not served. Once for each grant.
    @param promise_id The promise under which it was sold.
    @param grant_id The grant; the caller must be its grantee, and it must be running.
    @param keys A public key for each keeper, in the promise's order, made for this complaint alone.
    """
    promised: Promise = self._promises[promise_id]
    assert promised.promiser != empty(address), "no such promise"
    assert self._complaints[grant_id].promise_id == 0, "complained already"
    grant: ITerms.Grant = staticcall TERMS.grant_of(grant_id)
    assert msg.sender == grant.grantee, "only the grantee"
    assert grant.work_id == promised.work_id and grant.use == DOWNLOAD, "grant of another Work or use"
    assert grant.paid > 0, "nothing was paid"
    assert grant.payer != FAIR_EXCHANGE, "handed over in a fair exchange"
    assert staticcall TERMS.holds(grant_id), "grant is not running"
    assert grant.starts_at >= promised.since, "sold before the promise"
    assert promised.until == 0 or grant.starts_at < promised.until, "sold after the promise"
    complain_until: uint256 = convert(grant.starts_at, uint256) + convert(promised.complaint_s, uint256)
    assert block.timestamp <= complain_until, "too late to complain"
    assert len(keys) == len(promised.keepers), "every keeper needs a key"
    for key: secp256k1.Point in keys:
        assert secp256k1._is_point(key), "not a public key"
    bond: IBonds.Bond = staticcall BONDS.bond_of(promised.bond_id)
    assert grant.token == bond.token, "paid in another token"
    assert self._outlasts(bond, promised.answer_s), "bond ends too soon"
    cover: uint256 = min(min(grant.paid, promised.max_refund), self._free(promised.bond_id, bond.amount))
    assert cover > 0, "nothing left of the bond"
    self.reserved[promised.bond_id] += cover
    answer_until: uint64 = convert(block.timestamp, uint64) + promised.answer_s
    self._complaints[grant_id] = Complaint(
        promise_id=promise_id,
        grantee=msg.sender,
        payer=grant.payer,
        cover=cover,
        keys_digest=keccak256(abi_encode(keys)),
        answer_until=answer_until,
        answered=0,
        open=True,
    )
    log Complained(
        grant_id=grant_id,
        promise_id=promise_id,
        grantee=msg.sender,
        keys=keys,
        cover=cover,
        answer_until=answer_until,
    )


@external
def answer(grant_id: uint256, number: uint256, answered: Answer):
    """
    @notice Give one's share to a grantee who complained, hidden for its key. Once.
    @param grant_id The grant complained about.
    @param number The keeper's number in the promise, from 0; the caller must be that keeper.
    @param answered The hidden share.
    """
    complaint: Complaint = self._complaints[grant_id]
    assert complaint.open, "no open complaint"
    assert block.timestamp <= convert(complaint.answer_until, uint256), "too late to answer"
    assert number < len(self._promises[complaint.promise_id].keepers), "no such keeper"
    assert msg.sender == self._promises[complaint.promise_id].keepers[number], "only that keeper"
    assert self._answers[grant_id][number] == empty(bytes32), "answered already"
    self._answers[grant_id][number] = keccak256(abi_encode(answered))
    self._complaints[grant_id].answered = complaint.answered | 1 << number
    log Answered(
        grant_id=grant_id,
        keeper=msg.sender,
        number=number,
        x=answered.x,
        odd=answered.odd,
        hidden=answered.hidden,
    )


@external
def refute(
    grant_id: uint256, number: uint256, keys: DynArray[secp256k1.Point, 16], secret: uint256, answered: Answer
):
    """
    @notice Show that an answer was not the share promised: it no longer counts, and that keeper cannot answer again.
    @dev The secret is for everyone to see from then on: it opens this one answer and nothing else.
    @param grant_id The grant complained about.
    @param number The keeper's number.
    @param keys The keys of the complaint.
    @param secret The secret key of the one for this keeper.
    @param answered What the keeper answered.
    """
    complaint: Complaint = self._complaints[grant_id]
    assert complaint.open, "no open complaint"
    check_until: uint256 = convert(complaint.answer_until + CHECK_S, uint256)
    assert block.timestamp <= check_until, "too late to refute"
    assert keccak256(abi_encode(keys)) == complaint.keys_digest, "other keys"
    assert number < len(keys), "no such keeper"
    assert complaint.answered >> number & 1 == 1, "no answer to refute"
    assert keccak256(abi_encode(answered)) == self._answers[grant_id][number], "not what was answered"
    assert secp256k1._public(secret) == secp256k1._address(keys[number]), "not the secret of this key"
    shared: address = secp256k1._times(secret, answered.x, answered.odd)
    if shared != empty(address):
        pad: uint256 = convert(keccak256(abi_encode(grant_id, number, shared)), uint256)
        value: bytes32 = convert(convert(answered.hidden, uint256) ^ pad, bytes32)
        given: bytes32 = keccak256(concat(b"koinon share 1", self._byte(number + 1), value))
        assert given != self._promises[complaint.promise_id].commitments[number], "the share is as promised"
    self._complaints[grant_id].answered = complaint.answered ^ 1 << number
    log Refuted(
        grant_id=grant_id, keeper=self._promises[complaint.promise_id].keepers[number], number=number
    )


@external
def resolve(grant_id: uint256):
    """
    @notice Close a complaint. Anyone may, once it is decided:
            enough answers, and the grantee says so or the time to refute is over: nothing is paid back;
            too few when the time to answer is over, and the grant is given up or over: the payer is paid back;
            too few, and the grantee kept the grant to the end of the time to give it up: nothing is paid back.
    @param grant_id The grant complained about.
    """
    complaint: Complaint = self._complaints[grant_id]
    assert complaint.open, "no open complaint"
    answers: uint256 = self._count(complaint.answered)
    bond_id: uint256 = self._promises[complaint.promise_id].bond_id
    check_until: uint256 = convert(complaint.answer_until + CHECK_S, uint256)
    refunded: uint256 = 0
    if answers >= convert(self._promises[complaint.promise_id].threshold, uint256):
        assert msg.sender == complaint.grantee or block.timestamp > check_until, "answers may still be refuted"
    else:
        assert block.timestamp > convert(complaint.answer_until, uint256), "keepers still have time"
        if staticcall TERMS.holds(grant_id):
            assert block.timestamp > check_until + convert(RESOLVE_S, uint256), "grant not given up"
        else:
            bond: IBonds.Bond = staticcall BONDS.bond_of(bond_id)
            refunded = min(complaint.cover, bond.amount)
    self._complaints[grant_id].open = False
    self.reserved[bond_id] -= complaint.cover
    if refunded > 0:
        extcall BONDS.slash(bond_id, [IBonds.Part(account=complaint.payer, amount=refunded)])
    log Resolved(grant_id=grant_id, answers=answers, refunded=refunded)


# --- reading ---------------------------------------------------------------------------------------------------------


@external
@view
def promise_of(promise_id: uint256) -> Promise:
    """
    @notice What was promised.
    @param promise_id The promise.
    @return The promise.
    """
    assert promise_id > 0 and promise_id <= self.promise_count, "no such promise"
    return self._promises[promise_id]


@external
@view
def complaint_of(grant_id: uint256) -> Complaint:
    """
    @notice What was complained about, and whose answers count.
    @param grant_id The grant complained about.
    @return The complaint; zeros when there was none.
    """
    return self._complaints[grant_id]


@external
@view
def cover_left(promise_id: uint256) -> uint256:
    """
    @notice What one who buys now could be paid back at most. Others may complain first.
    @param promise_id The promise.
    @return Units of the bond's token; 0 where nothing is promised any more, or the bond ends too soon.
    """
    promised: Promise = self._promises[promise_id]
    if promised.promiser == empty(address):
        return 0
    if promised.until != 0 and block.timestamp >= convert(promised.until, uint256):
        return 0
    bond: IBonds.Bond = staticcall BONDS.bond_of(promised.bond_id)
    if not self._outlasts(bond, promised.complaint_s + promised.answer_s):
        return 0
    return min(promised.max_refund, self._free(promised.bond_id, bond.amount))


# --- inside ----------------------------------------------------------------------------------------------------------


@internal
@view
def _outlasts(bond: IBonds.Bond, seconds: uint64) -> bool:
    """
    @dev Whether the stake stays so long from now, and to the end of a complaint after that, even if its end is announced
         now.
    """
    wanted: uint256 = convert(seconds + CHECK_S + RESOLVE_S, uint256)
    if bond.ends_at == 0:
        return convert(bond.notice_s, uint256) >= wanted
    return convert(bond.ends_at, uint256) >= block.timestamp + wanted


@internal
@view
def _free(bond_id: uint256, amount: uint256) -> uint256:
    """
    @dev What is staked and not reserved.
    """
    return amount - min(amount, self.reserved[bond_id])


@internal
@pure
def _assert_distinct(keepers: DynArray[address, 16]):
    for place: uint256 in range(len(keepers), bound=MAXIMUM_KEEPERS):
        assert keepers[place] != empty(address), "keeper missing"
        for other: uint256 in range(place, bound=MAXIMUM_KEEPERS):
            assert keepers[other] != keepers[place], "keeper named twice"


@internal
@pure
def _byte(number: uint256) -> bytes1:
    return convert(convert(number, uint8), bytes1)


@internal
@pure
def _count(bits: uint256) -> uint256:
    found: uint256 = 0
    for place: uint256 in range(MAXIMUM_KEEPERS):
        found += bits >> place & 1
    return found
