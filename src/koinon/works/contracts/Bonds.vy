# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
"""
@title Bonds behind promises
@notice Somebody promises something (`subject`, a digest) and stakes tokens on it. The bond names its judge when it is
        posted: a contract, a committee, a person; nobody else ever moves the stake.
        - Anyone may challenge while the bond stands, with the counter-stake the bond asks for. The judge upholds the
          challenge (stake goes where the ruling says, the challenger gets the counter-stake back and a bounty) or
          dismisses it (the counter-stake goes to the bonded party). A judge that does not rule in time loses the right:
          the counter-stake goes back, and the challenge no longer holds the bond.
        - The bonded party withdraws once the bond's time is over and no challenge is open.
        - The judge may also slash without a challenge, as a tournament does with its own results.
        Every bond has its own challenges, counted, never listed: nobody can fill anything. What is won or freed is
        credited and collected by each for themselves, so that no receiver can stop a ruling.
        Exactly the amount named must arrive: a token that takes a fee is refused. An amount is below 2**128, so that
        no credit ever overflows and stops a ruling. A token whose balances change by
        themselves can hurt only those who chose that token.
        The second half keeps commitments: say something now, reveal it later, on a topic with two deadlines.
@dev Nobody owns this contract.
"""

import commit_reveal
import erc20_transfers

initializes: commit_reveal

event Posted:
    bond_id: indexed(uint256)
    poster: indexed(address)
    judge: indexed(address)
    token: address
    amount: uint256
    subject: bytes32
    counter_stake: uint256
    ends_at: uint64
    notice_s: uint64
    ruling_s: uint64


event ToppedUp:
    bond_id: indexed(uint256)
    amount: uint256


event Ending:
    bond_id: indexed(uint256)
    ends_at: uint64


event Withdrawn:
    bond_id: indexed(uint256)
    amount: uint256


event Challenged:
    challenge_id: indexed(uint256)
    bond_id: indexed(uint256)
    challenger: indexed(address)
    evidence: bytes32
    deadline: uint64


event Upheld:
    challenge_id: indexed(uint256)
    bounty: uint256
    slashed: uint256


event Dismissed:
    challenge_id: indexed(uint256)


event Lapsed:
    challenge_id: indexed(uint256)


event Slashed:
    bond_id: indexed(uint256)
    beneficiary: indexed(address)
    amount: uint256


event Collected:
    token: indexed(address)
    account: indexed(address)
    amount: uint256


event TopicOpened:
    topic: indexed(bytes32)
    opener: indexed(address)
    commit_until: uint64
    reveal_until: uint64


event Committed:
    topic: indexed(bytes32)
    account: indexed(address)
    commitment: bytes32


event Revealed:
    topic: indexed(bytes32)
    account: indexed(address)
    value: bytes32


struct Bond:
    poster: address
    judge: address
    token: address
    amount: uint256  # what is still staked
    subject: bytes32
    counter_stake: uint256
    ends_at: uint64  # challenges before, withdrawal from then on; 0 while open-ended
    notice_s: uint64  # seconds between announcing the end of an open-ended bond and its end
    ruling_s: uint64  # seconds the judge has for a challenge
    open_challenges: uint64


struct Challenge:
    bond_id: uint256
    challenger: address
    counter_stake: uint256
    evidence: bytes32
    deadline: uint64  # the last second to rule
    open: bool


struct Part:
    account: address
    amount: uint256


struct Topic:
    commit_until: uint64
    reveal_until: uint64


MAX_PARTS: constant(uint256) = 16
LIMIT: constant(uint256) = 2**128
DISMISSED: public(constant(uint8)) = 1
UPHELD: public(constant(uint8)) = 2
LAPSED: public(constant(uint8)) = 3

bond_count: public(uint256)
challenge_count: public(uint256)
# token -> account -> what they may collect
credit: public(HashMap[address, HashMap[address, uint256]])
# challenge -> how it ended: dismissed, upheld or lapsed; 0 while it is open
outcome: public(HashMap[uint256, uint8])

_bonds: HashMap[uint256, Bond]
_challenges: HashMap[uint256, Challenge]
_topics: HashMap[bytes32, Topic]
_values: HashMap[bytes32, HashMap[address, bytes32]]


# --- the bonded party ------------------------------------------------------------------------------------------------


@external
@nonreentrant
def post(
    token: address,
    amount: uint256,
    judge: address,
    subject: bytes32,
    ends_at: uint64,
    notice_s: uint64,
    counter_stake: uint256,
    ruling_s: uint64,
) -> uint256:
    """
    @notice Stake tokens behind a promise. Everything but the amount is fixed for ever.
    @param token What is staked; the amount must have been approved to this contract.
    @param amount How much, in the smallest unit.
    @param judge The only one who can slash.
    @param subject Digest of the promise.
    @param ends_at When challenges end and withdrawal begins, in unix seconds; 0 for a bond that stands until its end is
           announced.
    @param notice_s Seconds from that announcement to the end; 0 for a bond with a fixed end.
    @param counter_stake What a challenger must stake, in the same token.
    @param ruling_s Seconds the judge has for each challenge.
    @return The bond's id.
    """
    assert token != empty(address), "token missing"
    assert amount > 0, "amount missing"
    assert amount < LIMIT and counter_stake < LIMIT, "amount too large"
    assert judge != empty(address), "judge missing"
    assert ruling_s > 0, "time to rule missing"
    if ends_at == 0:
        assert notice_s > 0, "end or notice missing"
    else:
        assert notice_s == 0, "either an end or a notice"
        assert convert(ends_at, uint256) > block.timestamp, "end already past"
    bond_id: uint256 = self.bond_count + 1
    self.bond_count = bond_id
    self._bonds[bond_id] = Bond(
        poster=msg.sender,
        judge=judge,
        token=token,
        amount=amount,
        subject=subject,
        counter_stake=counter_stake,
        ends_at=ends_at,
        notice_s=notice_s,
        ruling_s=ruling_s,
        open_challenges=0,
    )
    erc20_transfers._collect(token, msg.sender, self, amount)
    log Posted(
        bond_id=bond_id,
        poster=msg.sender,
        judge=judge,
        token=token,
        amount=amount,
        subject=subject,
        counter_stake=counter_stake,
        ends_at=ends_at,
        notice_s=notice_s,
        ruling_s=ruling_s,
    )
    return bond_id


@external
@nonreentrant
def top_up(bond_id: uint256, amount: uint256):
    """
    @notice Add to a bond that stands. Anyone may.
    @param bond_id The bond.
    @param amount How much more.
    """
    assert amount > 0, "amount missing"
    assert amount < LIMIT, "amount too large"
    assert self._stands(bond_id), "bond does not stand"
    self._bonds[bond_id].amount += amount
    erc20_transfers._collect(self._bonds[bond_id].token, msg.sender, self, amount)
    log ToppedUp(bond_id=bond_id, amount=amount)


@external
def announce_end(bond_id: uint256):
    """
    @notice Let an open-ended bond end after its notice. Cannot be undone.
    @param bond_id The bond; the caller must have posted it.
    """
    assert msg.sender == self._bonds[bond_id].poster, "only the bonded party"
    assert self._bonds[bond_id].ends_at == 0, "the end is fixed"
    ends_at: uint64 = max_value(uint64)
    now: uint64 = convert(block.timestamp, uint64)
    if self._bonds[bond_id].notice_s < ends_at - now:
        ends_at = now + self._bonds[bond_id].notice_s
    self._bonds[bond_id].ends_at = ends_at
    log Ending(bond_id=bond_id, ends_at=ends_at)


@external
def withdraw(bond_id: uint256):
    """
    @notice Free what is left of a bond that is over; `collect` pays it out.
    @param bond_id The bond; the caller must have posted it.
    """
    assert msg.sender == self._bonds[bond_id].poster, "only the bonded party"
    assert not self._is_running(bond_id), "bond still stands"
    assert self._bonds[bond_id].open_challenges == 0, "challenge still open"
    amount: uint256 = self._bonds[bond_id].amount
    assert amount > 0, "nothing left"
    self._bonds[bond_id].amount = 0
    self.credit[self._bonds[bond_id].token][msg.sender] += amount
    log Withdrawn(bond_id=bond_id, amount=amount)


@external
@nonreentrant
def collect(token: address, account: address) -> uint256:
    """
    @notice Pay out what an account has won or freed. Anyone may do it for anyone.
    @param token Which token.
    @param account Whose credit.
    @return How much was paid.
    """
    amount: uint256 = self.credit[token][account]
    assert amount > 0, "nothing to collect"
    self.credit[token][account] = 0
    erc20_transfers._pay(token, account, amount)
    log Collected(token=token, account=account, amount=amount)
    return amount


# --- challenger and judge --------------------------------------------------------------------------------------------


@external
@nonreentrant
def challenge(bond_id: uint256, evidence: bytes32) -> uint256:
    """
    @notice Say that a promise was broken, staking what the bond asks of challengers.
    @param bond_id The bond; it must stand.
    @param evidence Digest of the reasons.
    @return The challenge's id.
    """
    assert self._stands(bond_id), "bond does not stand"
    bond: Bond = self._bonds[bond_id]
    now: uint64 = convert(block.timestamp, uint64)
    deadline: uint64 = max_value(uint64)
    if bond.ruling_s < deadline - now:
        deadline = now + bond.ruling_s
    challenge_id: uint256 = self.challenge_count + 1
    self.challenge_count = challenge_id
    self._challenges[challenge_id] = Challenge(
        bond_id=bond_id,
        challenger=msg.sender,
        counter_stake=bond.counter_stake,
        evidence=evidence,
        deadline=deadline,
        open=True,
    )
    self._bonds[bond_id].open_challenges += 1
    erc20_transfers._collect(bond.token, msg.sender, self, bond.counter_stake)
    log Challenged(
        challenge_id=challenge_id, bond_id=bond_id, challenger=msg.sender, evidence=evidence, deadline=deadline
    )
    return challenge_id


@external
def uphold(challenge_id: uint256, bounty: uint256, parts: DynArray[Part, MAX_PARTS]):
    """
    @notice Rule for the challenger: counter-stake back, and of the stake a bounty and parts for others.
    @param challenge_id The challenge; the caller must be the bond's judge, in time.
    @param bounty What the challenger gets of the stake.
    @param parts Who gets what else of it. With the bounty no more than what is left; the rest stays staked.
    """
    bond_id: uint256 = self._rule(challenge_id, UPHELD)
    token: address = self._bonds[bond_id].token
    challenger: address = self._challenges[challenge_id].challenger
    self.credit[token][challenger] += self._challenges[challenge_id].counter_stake
    slashed: uint256 = self._slash(bond_id, parts)
    if bounty > 0:
        slashed += self._slash(bond_id, [Part(account=challenger, amount=bounty)])
    log Upheld(challenge_id=challenge_id, bounty=bounty, slashed=slashed)


@external
def dismiss(challenge_id: uint256):
    """
    @notice Rule for the bonded party, who gets the challenger's counter-stake.
    @param challenge_id The challenge; the caller must be the bond's judge, in time.
    """
    bond_id: uint256 = self._rule(challenge_id, DISMISSED)
    self.credit[self._bonds[bond_id].token][self._bonds[bond_id].poster] += self._challenges[challenge_id].counter_stake
    log Dismissed(challenge_id=challenge_id)


@external
def lapse(challenge_id: uint256):
    """
    @notice Close a challenge on which the judge did not rule in time; the counter-stake goes back. Anyone may.
    @param challenge_id The challenge.
    """
    found: Challenge = self._challenges[challenge_id]
    assert found.open, "challenge not open"
    assert block.timestamp > convert(found.deadline, uint256), "judge still has time"
    self._close(challenge_id, LAPSED)
    self.credit[self._bonds[found.bond_id].token][found.challenger] += found.counter_stake
    log Lapsed(challenge_id=challenge_id)


@external
def slash(bond_id: uint256, parts: DynArray[Part, MAX_PARTS]):
    """
    @notice Take of the stake without a challenge.
    @param bond_id The bond; the caller must be its judge.
    @param parts Who gets what; together no more than what is left.
    """
    assert msg.sender == self._bonds[bond_id].judge, "only the judge"
    self._slash(bond_id, parts)


# --- commitments -----------------------------------------------------------------------------------------------------


@external
def open_topic(key: bytes32, commit_until: uint64, reveal_until: uint64) -> bytes32:
    """
    @notice Open a topic on which accounts commit and then reveal.
    @param key Any name the caller has not used before.
    @param commit_until Commitments are taken before this time, unix seconds.
    @param reveal_until Reveals are taken from then on and before this time.
    @return The topic: keccak256(abi.encode(caller, key)).
    """
    topic: bytes32 = keccak256(abi_encode(msg.sender, key))
    assert self._topics[topic].reveal_until == 0, "topic already open"
    assert convert(commit_until, uint256) > block.timestamp, "no time to commit"
    assert reveal_until > commit_until, "no time to reveal"
    self._topics[topic] = Topic(commit_until=commit_until, reveal_until=reveal_until)
    log TopicOpened(topic=topic, opener=msg.sender, commit_until=commit_until, reveal_until=reveal_until)
    return topic


@external
def commit(topic: bytes32, commitment: bytes32):
    """
    @notice Commit to a value; a later commitment replaces an earlier one.
    @param topic The topic.
    @param commitment As `commitment` computes it.
    """
    assert self._topics[topic].reveal_until != 0, "no such topic"
    assert block.timestamp < convert(self._topics[topic].commit_until, uint256), "too late to commit"
    commit_reveal._commit(topic, msg.sender, commitment)
    log Committed(topic=topic, account=msg.sender, commitment=commitment)


@external
def reveal(topic: bytes32, value_: bytes32, salt: bytes32):
    """
    @notice Reveal what one committed to.
    @param topic The topic.
    @param value_ The value.
    @param salt The salt.
    """
    assert block.timestamp >= convert(self._topics[topic].commit_until, uint256), "too early to reveal"
    assert block.timestamp < convert(self._topics[topic].reveal_until, uint256), "too late to reveal"
    commit_reveal._reveal(topic, msg.sender, value_, salt)
    self._values[topic][msg.sender] = value_
    log Revealed(topic=topic, account=msg.sender, value=value_)


# --- reading ---------------------------------------------------------------------------------------------------------


@external
@view
def bond_of(bond_id: uint256) -> Bond:
    """
    @return The bond as it is now.
    """
    assert bond_id > 0 and bond_id <= self.bond_count, "no such bond"
    return self._bonds[bond_id]


@external
@view
def challenge_of(challenge_id: uint256) -> Challenge:
    """
    @return The challenge as it is now.
    """
    assert challenge_id > 0 and challenge_id <= self.challenge_count, "no such challenge"
    return self._challenges[challenge_id]


@external
@view
def stands(bond_id: uint256) -> bool:
    """
    @return Whether stake is behind the promise and can be challenged.
    """
    return self._stands(bond_id)


@external
@view
def can_rule(challenge_id: uint256) -> bool:
    """
    @return Whether the challenge is open and its judge still in time.
    """
    return (
        self._challenges[challenge_id].open
        and block.timestamp <= convert(self._challenges[challenge_id].deadline, uint256)
    )


@external
@view
def topic_of(topic: bytes32) -> Topic:
    """
    @return The topic's two deadlines; zeros when nobody opened it.
    """
    return self._topics[topic]


@external
@view
def commitment(topic: bytes32, account: address, value_: bytes32, salt: bytes32) -> bytes32:
    """
    @return What an account commits with: keccak256(abi.encode(chain id, this contract, topic, account, value, salt)).
            Compute it at home: asking a stranger's node gives the value away.
    """
    return commit_reveal._commitment(topic, account, value_, salt)


@external
@view
def revealed(topic: bytes32, account: address) -> (bool, bytes32):
    """
    @return Whether an account revealed, and what.
    """
    return (commit_reveal._has_revealed(topic, account), self._values[topic][account])


# --- inside ----------------------------------------------------------------------------------------------------------


@internal
@view
def _is_running(bond_id: uint256) -> bool:
    """
    @dev Whether the bond's time is not over.
    """
    ends_at: uint256 = convert(self._bonds[bond_id].ends_at, uint256)
    return ends_at == 0 or block.timestamp < ends_at


@internal
@view
def _stands(bond_id: uint256) -> bool:
    return self._bonds[bond_id].amount > 0 and self._is_running(bond_id)


@internal
def _rule(challenge_id: uint256, ruling: uint8) -> uint256:
    """
    @dev Closes a challenge for its judge and says which bond it was about.
    """
    bond_id: uint256 = self._challenges[challenge_id].bond_id
    assert self._challenges[challenge_id].open, "challenge not open"
    assert msg.sender == self._bonds[bond_id].judge, "only the judge"
    assert block.timestamp <= convert(self._challenges[challenge_id].deadline, uint256), "too late to rule"
    self._close(challenge_id, ruling)
    return bond_id


@internal
def _close(challenge_id: uint256, outcome: uint8):
    self.outcome[challenge_id] = outcome
    self._challenges[challenge_id].open = False
    self._bonds[self._challenges[challenge_id].bond_id].open_challenges -= 1


@internal
def _slash(bond_id: uint256, parts: DynArray[Part, MAX_PARTS]) -> uint256:
    """
    @dev Credits parts of the stake to others; how much in all.
    """
    token: address = self._bonds[bond_id].token
    left: uint256 = self._bonds[bond_id].amount
    slashed: uint256 = 0
    for part: Part in parts:
        assert part.account != empty(address), "beneficiary missing"
        assert part.amount <= left - slashed, "more than is staked"
        slashed += part.amount
        self.credit[token][part.account] += part.amount
        log Slashed(bond_id=bond_id, beneficiary=part.account, amount=part.amount)
    self._bonds[bond_id].amount = left - slashed
    return slashed
