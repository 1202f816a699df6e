# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
"""
@title A committee of jurors drawn by stake
@notice A judge that a bond can name. Jurors stake; each case draws its seats by stake from a seed that jurors made
        together by commit and reveal; those drawn vote by commit and reveal; the majority rules on the challenge.
        Time runs in epochs of four phases of equal length, fixed by the clock, so that nobody can hold them up:
          0 stakes change, 1 seeds are committed, 2 seeds are revealed, 3 cases are drawn.
        Weights stand still from phase 1 to 3, and a case is drawn with a seed committed after the case was opened:
        who knows the seed can change neither the weights nor the cases. One honest seed makes it unpredictable; a juror
        who withholds a seed loses its deposit to those who revealed. Who sees all other seeds before revealing chooses
        between two draws for each seed of its own that it could withhold, at one deposit each: deposits must be dear.
        An epoch with too few seeds draws nothing; its cases wait for the next.
        Each seat locks a stake, but never what a juror's next seed needs. Where more draws than half the seats fall on
        jurors busy with other cases, the case waits: locking up others' stakes with worthless cases delays a case, at a
        fee for every seat, rather than handing its seats to who is left. Whoever votes with the minority or does not reveal loses a part of it; the majority
        shares that and the fee the challenger paid. Without a majority the fee and those parts go to the challenger,
        and the challenge lapses in Bonds: both stakes go back.
        Loops run over seats, draws and levels of a tree only, never over members or cases.
@dev Whoever owns more than half of the stake rules. The seats' owners are drawn with replacement, so that splitting a
     stake over accounts changes nothing. Nobody owns this contract.
"""

from interfaces import IBonds
import commit_reveal
import erc20_transfers
import weighted_draw

initializes: commit_reveal
initializes: weighted_draw

event Staked:
    juror: indexed(address)
    amount: uint256
    stake: uint256


event Unstaked:
    juror: indexed(address)
    amount: uint256
    stake: uint256


event SeedCommitted:
    epoch: indexed(uint256)
    juror: indexed(address)


event SeedRevealed:
    epoch: indexed(uint256)
    juror: indexed(address)
    secret: bytes32


event CaseOpened:
    case_id: indexed(uint256)
    challenge_id: indexed(uint256)
    opener: indexed(address)
    amount: uint256
    bounty: uint256
    beneficiary: address


event Seated:
    case_id: indexed(uint256)
    juror: indexed(address)
    seat: uint256


event VoteCommitted:
    case_id: indexed(uint256)
    juror: indexed(address)


event VoteRevealed:
    case_id: indexed(uint256)
    juror: indexed(address)
    vote: uint8
    seats: uint256


event Concluded:
    case_id: indexed(uint256)
    ruling: uint8
    uphold: uint256
    dismiss: uint256
    ruled: bool


event GivenUp:
    case_id: indexed(uint256)


event Collected:
    account: indexed(address)
    amount: uint256


struct Rules:
    seats: uint256  # of each case: odd, at most 15
    seat_stake: uint256  # what a seat locks
    slash_bps: uint256  # of it lost by minority and absent votes
    fee_per_seat: uint256  # what a challenger pays for each seat
    seed_deposit: uint256  # what withholding a seed costs
    minimum_seeds: uint256  # revealed seeds that an epoch needs to draw
    phase_s: uint256  # seconds of a phase, and of committing votes, and of revealing them


struct Juror:
    stake: uint256
    locked: uint256  # by seats in cases not concluded
    weight: uint256  # stake as the draw knows it
    position: uint256


struct Case:
    challenge_id: uint256
    opener: address
    poster: address
    beneficiary: address
    amount: uint256
    bounty: uint256
    fee: uint256
    deadline: uint256  # the last second to rule
    first_epoch: uint256
    drawn_epoch: uint256  # 0 until drawn
    jurors: uint256  # distinct
    closed: bool


MAX_SEATS: constant(uint256) = 15
MAX_DRAWS: constant(uint256) = 64
CHANGE: constant(uint256) = 0
COMMIT: constant(uint256) = 1
REVEAL: constant(uint256) = 2
DRAW: constant(uint256) = 3
DISMISS: public(constant(uint8)) = 1
UPHOLD: public(constant(uint8)) = 2

BONDS: immutable(IBonds)
TOKEN: immutable(address)
RULES: immutable(Rules)
BEGIN: immutable(uint256)

case_count: public(uint256)
credit: public(HashMap[address, uint256])
# challenge -> the case opened on it, 0 for none
case_on: public(HashMap[uint256, uint256])
# epoch -> exclusive or of what was revealed
seed: public(HashMap[uint256, bytes32])
seeds_revealed: public(HashMap[uint256, uint256])
# epoch -> deposits of seeds not revealed
forfeits: public(HashMap[uint256, uint256])

_jurors: HashMap[address, Juror]
_at_position: HashMap[uint256, address]
_shares_left: HashMap[uint256, uint256]
_share_taken: HashMap[uint256, HashMap[address, bool]]
_cases: HashMap[uint256, Case]
_case_jurors: HashMap[uint256, HashMap[uint256, address]]
_seats: HashMap[uint256, HashMap[address, uint256]]
_votes: HashMap[uint256, HashMap[address, uint8]]
_tally: HashMap[uint256, HashMap[uint8, uint256]]


@deploy
def __init__(bonds: address, token: address, rules: Rules):
    """
    @param bonds The Bonds whose challenges are ruled on.
    @param token What jurors stake and challengers pay in.
    @param rules Numbers fixed for ever.
    """
    assert bonds != empty(address) and token != empty(address), "bonds or token missing"
    assert rules.seats % 2 == 1 and rules.seats <= MAX_SEATS, "seats must be odd, at most 15"
    assert rules.seat_stake > 0 and rules.seed_deposit > 0, "stakes missing"
    assert rules.slash_bps <= 10_000, "more than all slashed"
    assert rules.minimum_seeds > 0, "seeds missing"
    assert rules.phase_s > 0, "phase missing"
    BONDS = IBonds(bonds)
    TOKEN = token
    RULES = rules
    BEGIN = block.timestamp


# --- jurors ----------------------------------------------------------------------------------------------------------


@external
@nonreentrant
def stake(amount: uint256):
    """
    @notice Stake to be drawn. Counts from the next phase 0 (`update_weight`), at once in phase 0.
    @param amount How much; approved to this contract.
    """
    assert amount > 0, "amount missing"
    self._jurors[msg.sender].stake += amount
    if self._phase() == CHANGE:
        self._update_weight(msg.sender)
    erc20_transfers._collect(TOKEN, msg.sender, self, amount)
    log Staked(juror=msg.sender, amount=amount, stake=self._jurors[msg.sender].stake)


@external
@nonreentrant
def unstake(amount: uint256):
    """
    @notice Take back what no seat locks, in phase 0; leave nothing or enough to be drawn.
    @param amount How much.
    """
    assert self._phase() == CHANGE, "stakes stand still"
    juror: Juror = self._jurors[msg.sender]
    assert amount > 0 and amount <= juror.stake - juror.locked, "not free"
    left: uint256 = juror.stake - amount
    assert left == 0 or left >= self._minimum(), "leave nothing or the minimum"
    self._jurors[msg.sender].stake = left
    self._update_weight(msg.sender)
    erc20_transfers._pay(TOKEN, msg.sender, amount)
    log Unstaked(juror=msg.sender, amount=amount, stake=left)


@external
def update_weight(juror: address):
    """
    @notice Let the draw know a juror's present stake, in phase 0. Anyone may.
    @param juror Whose.
    """
    assert self._phase() == CHANGE, "stakes stand still"
    self._update_weight(juror)


@external
def commit_seed(commitment: bytes32):
    """
    @notice Commit to a part of this epoch's seed, in phase 1, with a deposit out of one's free stake.
    @param commitment As `commitment` computes it, with `seed_topic(epoch)` as topic.
    """
    assert self._phase() == COMMIT, "not the time for seeds"
    epoch: uint256 = self._epoch()
    juror: Juror = self._jurors[msg.sender]
    assert juror.weight > 0, "not a juror"
    assert juror.stake - juror.locked >= RULES.seed_deposit, "not free"
    topic: bytes32 = self._seed_topic(epoch)
    assert not commit_reveal._has_committed(topic, msg.sender), "seed already committed"
    commit_reveal._commit(topic, msg.sender, commitment)
    self._jurors[msg.sender].stake = juror.stake - RULES.seed_deposit
    self.forfeits[epoch] += RULES.seed_deposit
    log SeedCommitted(epoch=epoch, juror=msg.sender)


@external
def reveal_seed(secret: bytes32, salt: bytes32):
    """
    @notice Reveal one's part of the seed, in phase 2; the deposit comes back.
    @param secret The part.
    @param salt The salt.
    """
    assert self._phase() == REVEAL, "not the time to reveal seeds"
    epoch: uint256 = self._epoch()
    commit_reveal._reveal(self._seed_topic(epoch), msg.sender, secret, salt)
    self._jurors[msg.sender].stake += RULES.seed_deposit
    self.forfeits[epoch] -= RULES.seed_deposit
    self.seeds_revealed[epoch] += 1
    self._shares_left[epoch] += 1
    part: uint256 = convert(keccak256(abi_encode(secret, msg.sender)), uint256)
    self.seed[epoch] = convert(convert(self.seed[epoch], uint256) ^ part, bytes32)
    log SeedRevealed(epoch=epoch, juror=msg.sender, secret=secret)


@external
def take_forfeits(epoch: uint256):
    """
    @notice Be credited one's equal share of the deposits that others lost in an epoch one revealed in.
    @param epoch Which; it must be over.
    """
    assert epoch < self._epoch(), "epoch not over"
    assert commit_reveal._has_revealed(self._seed_topic(epoch), msg.sender), "revealed nothing"
    assert not self._share_taken[epoch][msg.sender], "already taken"
    self._share_taken[epoch][msg.sender] = True
    share: uint256 = self.forfeits[epoch] // self._shares_left[epoch]
    self._shares_left[epoch] -= 1
    self.forfeits[epoch] -= share
    self.credit[msg.sender] += share


@external
def carry_forfeits(epoch: uint256):
    """
    @notice Move the deposits of an epoch in which nobody revealed to the present one. Anyone may.
    @param epoch Which; it must be over.
    """
    present: uint256 = self._epoch()
    assert epoch < present, "epoch not over"
    assert self.seeds_revealed[epoch] == 0, "they belong to those who revealed"
    self.forfeits[present] += self.forfeits[epoch]
    self.forfeits[epoch] = 0


# --- cases -----------------------------------------------------------------------------------------------------------


@external
@nonreentrant
def open_case(challenge_id: uint256, amount: uint256, beneficiary: address, bounty: uint256) -> uint256:
    """
    @notice Bring one's challenge before the committee and pay its fee (seats times fee, approved to this contract).
    @param challenge_id The challenge in Bonds, on a bond that names this committee.
    @param amount What jurors shall take of the stake if they uphold it; at most what is left then.
    @param beneficiary Who gets it but for the bounty.
    @param bounty The part of it that goes to the challenger.
    @return The case's id.
    """
    challenge: IBonds.Challenge = staticcall BONDS.challenge_of(challenge_id)
    bond: IBonds.Bond = staticcall BONDS.bond_of(challenge.bond_id)
    assert bond.judge == self, "another judge"
    assert challenge.challenger == msg.sender, "only the challenger"
    assert self.case_on[challenge_id] == 0, "case already open"
    assert staticcall BONDS.can_rule(challenge_id), "challenge not open"
    assert beneficiary != empty(address), "beneficiary missing"
    assert bounty <= amount, "bounty above the amount"
    first_epoch: uint256 = self._epoch()
    if self._phase() != CHANGE:
        first_epoch += 1
    deadline: uint256 = convert(challenge.deadline, uint256)
    assert self._end_of_verdict(first_epoch) <= deadline, "no time left for a verdict"
    case_id: uint256 = self.case_count + 1
    self.case_count = case_id
    self.case_on[challenge_id] = case_id
    fee: uint256 = RULES.seats * RULES.fee_per_seat
    self._cases[case_id] = Case(
        challenge_id=challenge_id,
        opener=msg.sender,
        poster=bond.poster,
        beneficiary=beneficiary,
        amount=amount,
        bounty=bounty,
        fee=fee,
        deadline=deadline,
        first_epoch=first_epoch,
        drawn_epoch=0,
        jurors=0,
        closed=False,
    )
    erc20_transfers._collect(TOKEN, msg.sender, self, fee)
    log CaseOpened(
        case_id=case_id,
        challenge_id=challenge_id,
        opener=msg.sender,
        amount=amount,
        bounty=bounty,
        beneficiary=beneficiary,
    )
    return case_id


@external
def draw(case_id: uint256):
    """
    @notice Seat a case's jurors, in phase 3. Anyone may.
    @dev Up to 64 draws. The parties themselves, and jurors whose whole stake serves in this case already, count for
         nothing while it is drawn. Jurors busy elsewhere keep their weight and are drawn in vain; with too many of
         them, or too few others, the call reverts and the case waits. Who calls chooses which of several cases is drawn
         first, which matters only where stakes run out.
    @param case_id The case.
    """
    assert self._phase() == DRAW, "not the time to draw"
    case: Case = self._cases[case_id]
    epoch: uint256 = self._epoch()
    assert case.opener != empty(address), "no such case"
    assert case.drawn_epoch == 0 and not case.closed, "already drawn"
    assert epoch >= case.first_epoch, "opened after the seed"
    assert self._end_of_verdict(epoch) <= case.deadline, "no time left for a verdict"
    assert self.seeds_revealed[epoch] >= RULES.minimum_seeds, "too few seeds"
    passed_over: DynArray[address, MAX_DRAWS + 2] = []
    for party: address in [case.opener, case.poster]:
        if self._jurors[party].weight > 0 and party not in passed_over:
            self._pass_over(party)
            passed_over.append(party)
    taken: uint256 = 0
    distinct: uint256 = 0
    busy: uint256 = 0
    for attempt: uint256 in range(MAX_DRAWS):
        total: uint256 = weighted_draw._total
        if taken == RULES.seats or total == 0:
            break
        point: uint256 = convert(keccak256(abi_encode(self.seed[epoch], case_id, attempt)), uint256) % total
        juror: address = self._at_position[weighted_draw._find(point)]
        locked: uint256 = self._jurors[juror].locked
        if self._jurors[juror].stake - locked < self._minimum():
            if locked == self._seats[case_id][juror] * RULES.seat_stake:
                self._pass_over(juror)
                passed_over.append(juror)
            else:
                busy += 1
                assert busy <= RULES.seats // 2, "too many jurors are busy"
            continue
        self._jurors[juror].locked = locked + RULES.seat_stake
        if self._seats[case_id][juror] == 0:
            self._case_jurors[case_id][distinct] = juror
            distinct += 1
        self._seats[case_id][juror] += 1
        log Seated(case_id=case_id, juror=juror, seat=taken)
        taken += 1
    assert taken == RULES.seats, "too few jurors can serve"
    for juror: address in passed_over:
        weighted_draw._change(self._jurors[juror].position, 0, self._jurors[juror].weight)
    self._cases[case_id].drawn_epoch = epoch
    self._cases[case_id].jurors = distinct


@external
def commit_vote(case_id: uint256, commitment: bytes32):
    """
    @notice Commit to a vote; until the time is over a later commitment replaces an earlier one.
    @param case_id The case one has a seat in.
    @param commitment As `commitment` computes it, with `vote_topic(case_id)` as topic and the vote as value.
    """
    assert self._seats[case_id][msg.sender] > 0, "no seat in this case"
    assert block.timestamp < self._end_of_commits(case_id), "too late to commit"
    commit_reveal._commit(self._vote_topic(case_id), msg.sender, commitment)
    log VoteCommitted(case_id=case_id, juror=msg.sender)


@external
def reveal_vote(case_id: uint256, vote: uint8, salt: bytes32):
    """
    @notice Reveal one's vote.
    @param case_id The case.
    @param vote 1 dismiss, 2 uphold.
    @param salt The salt.
    """
    assert self._seats[case_id][msg.sender] > 0, "no seat in this case"
    assert block.timestamp >= self._end_of_commits(case_id), "too early to reveal"
    assert block.timestamp < self._end_of_votes(self._cases[case_id].drawn_epoch), "too late to reveal"
    assert vote == DISMISS or vote == UPHOLD, "no such vote"
    commit_reveal._reveal(self._vote_topic(case_id), msg.sender, convert(convert(vote, uint256), bytes32), salt)
    seats: uint256 = self._seats[case_id][msg.sender]
    self._votes[case_id][msg.sender] = vote
    self._tally[case_id][vote] += seats
    log VoteRevealed(case_id=case_id, juror=msg.sender, vote=vote, seats=seats)


@external
@nonreentrant
def conclude(case_id: uint256):
    """
    @notice Count the votes, free the seats, pay the majority, and rule. Anyone may.
    @param case_id The case; its time to reveal must be over.
    """
    case: Case = self._cases[case_id]
    assert case.drawn_epoch != 0, "not drawn"
    assert not case.closed, "already concluded"
    assert block.timestamp >= self._end_of_votes(case.drawn_epoch), "votes still come in"
    self._cases[case_id].closed = True
    uphold: uint256 = self._tally[case_id][UPHOLD]
    dismiss: uint256 = self._tally[case_id][DISMISS]
    ruling: uint8 = 0
    if uphold > dismiss:
        ruling = UPHOLD
    elif dismiss > uphold:
        ruling = DISMISS
    self._pay_and_slash(case_id, ruling, case.fee, case.opener, case.jurors, max(uphold, dismiss))
    ruled: bool = ruling != 0 and staticcall BONDS.can_rule(case.challenge_id)
    if ruled:
        self._rule(case, ruling)
    log Concluded(case_id=case_id, ruling=ruling, uphold=uphold, dismiss=dismiss, ruled=ruled)


@external
def give_up(case_id: uint256):
    """
    @notice Close a case that was never drawn and can no longer be; the fee goes back. Anyone may.
    @param case_id The case.
    """
    case: Case = self._cases[case_id]
    assert case.opener != empty(address), "no such case"
    assert case.drawn_epoch == 0 and not case.closed, "already drawn"
    assert self._end_of_verdict(self._epoch()) > case.deadline, "can still be drawn"
    self._cases[case_id].closed = True
    self.credit[case.opener] += case.fee
    log GivenUp(case_id=case_id)


@external
@nonreentrant
def collect(account: address) -> uint256:
    """
    @notice Pay out what an account was credited. Anyone may do it for anyone.
    @param account Whose credit.
    @return How much was paid.
    """
    amount: uint256 = self.credit[account]
    assert amount > 0, "nothing to collect"
    self.credit[account] = 0
    erc20_transfers._pay(TOKEN, account, amount)
    log Collected(account=account, amount=amount)
    return amount


# --- reading ---------------------------------------------------------------------------------------------------------


@external
@view
def rules() -> Rules:
    """
    @return The numbers fixed at the start.
    """
    return RULES


@external
@view
def token() -> address:
    """
    @return What jurors stake.
    """
    return TOKEN


@external
@view
def bonds() -> address:
    """
    @return The Bonds ruled on.
    """
    return BONDS.address


@external
@view
def now_at() -> (uint256, uint256, uint256):
    """
    @return The epoch (from 1), its phase (0 stakes, 1 commit seeds, 2 reveal them, 3 draw), and when the phase ends.
    """
    phase: uint256 = self._phase()
    epoch: uint256 = self._epoch()
    return (epoch, phase, BEGIN + ((epoch - 1) * 4 + phase + 1) * RULES.phase_s)


@external
@view
def juror_of(account: address) -> Juror:
    """
    @return Stake, what of it is locked, and the weight the draw knows.
    """
    return self._jurors[account]


@external
@view
def total_weight() -> uint256:
    """
    @return All jurors' weights.
    """
    return weighted_draw._total


@external
@view
def case_of(case_id: uint256) -> Case:
    """
    @return The case as it is now.
    """
    assert case_id > 0 and case_id <= self.case_count, "no such case"
    return self._cases[case_id]


@external
@view
def jurors_of(case_id: uint256) -> DynArray[address, MAX_SEATS]:
    """
    @return Those drawn, each once.
    """
    found: DynArray[address, MAX_SEATS] = []
    for i: uint256 in range(self._cases[case_id].jurors, bound=MAX_SEATS):
        found.append(self._case_jurors[case_id][i])
    return found


@external
@view
def seats_of(case_id: uint256, juror: address) -> uint256:
    """
    @return How many seats, and votes, a juror has in a case.
    """
    return self._seats[case_id][juror]


@external
@view
def vote_of(case_id: uint256, juror: address) -> uint8:
    """
    @return A revealed vote; 0 for none.
    """
    return self._votes[case_id][juror]


@external
@view
def vote_times(case_id: uint256) -> (uint256, uint256):
    """
    @return Until when votes are committed, and until when revealed; unix seconds. Reverts before the draw.
    """
    return (self._end_of_commits(case_id), self._end_of_votes(self._cases[case_id].drawn_epoch))


@external
@view
def seed_topic(epoch: uint256) -> bytes32:
    """
    @return The topic on which an epoch's seeds are committed.
    """
    return self._seed_topic(epoch)


@external
@view
def vote_topic(case_id: uint256) -> bytes32:
    """
    @return The topic on which a case's votes are committed.
    """
    return self._vote_topic(case_id)


@external
@view
def commitment(topic: bytes32, account: address, value_: bytes32, salt: bytes32) -> bytes32:
    """
    @return What an account commits with: keccak256(abi.encode(chain id, this contract, topic, account, value, salt)).
            Compute it at home: asking a stranger's node gives the value away.
    """
    return commit_reveal._commitment(topic, account, value_, salt)


# --- inside ----------------------------------------------------------------------------------------------------------


@internal
@view
def _epoch() -> uint256:
    return (block.timestamp - BEGIN) // (4 * RULES.phase_s) + 1


@internal
@view
def _phase() -> uint256:
    return (block.timestamp - BEGIN) // RULES.phase_s % 4


@internal
@view
def _end_of_votes(epoch: uint256) -> uint256:
    """
    @dev When the votes of cases drawn in an epoch are counted.
    """
    return BEGIN + (epoch * 4 + 2) * RULES.phase_s


@internal
@view
def _end_of_verdict(epoch: uint256) -> uint256:
    """
    @dev Until when there is time to conclude those cases: a phase after the votes.
    """
    return self._end_of_votes(epoch) + RULES.phase_s


@internal
@view
def _end_of_commits(case_id: uint256) -> uint256:
    epoch: uint256 = self._cases[case_id].drawn_epoch
    assert epoch != 0, "not drawn"
    return self._end_of_votes(epoch) - RULES.phase_s


@internal
@view
def _minimum() -> uint256:
    """
    @dev The least stake that is drawn: one seat and one seed.
    """
    return RULES.seat_stake + RULES.seed_deposit


@internal
@pure
def _seed_topic(epoch: uint256) -> bytes32:
    return keccak256(abi_encode(convert(1, uint256), epoch))


@internal
@pure
def _vote_topic(case_id: uint256) -> bytes32:
    return keccak256(abi_encode(convert(2, uint256), case_id))


@internal
def _pass_over(juror: address):
    """
    @dev Takes a juror's weight out of the draw; the caller puts it back.
    """
    weighted_draw._change(self._jurors[juror].position, self._jurors[juror].weight, 0)


@internal
def _update_weight(account: address):
    """
    @dev The weight is the stake, or nothing below the minimum.
    """
    juror: Juror = self._jurors[account]
    weight: uint256 = juror.stake if juror.stake >= self._minimum() else 0
    if juror.position != 0:
        weighted_draw._change(juror.position, juror.weight, weight)
    elif weight > 0:
        position: uint256 = weighted_draw._append(weight)
        self._jurors[account].position = position
        self._at_position[position] = account
    self._jurors[account].weight = weight


@internal
def _pay_and_slash(
    case_id: uint256, ruling: uint8, fee: uint256, opener: address, jurors: uint256, majority: uint256
):
    """
    @dev Frees every seat; moves what minority and absent lose, and the fee, to the majority, or to the opener when
         there is none. The first of the majority gets what does not divide.
    """
    pot: uint256 = fee
    seated: address[MAX_SEATS] = empty(address[MAX_SEATS])
    for i: uint256 in range(jurors, bound=MAX_SEATS):
        juror: address = self._case_jurors[case_id][i]
        locked: uint256 = self._seats[case_id][juror] * RULES.seat_stake
        self._jurors[juror].locked -= locked
        seated[i] = juror
        vote: uint8 = self._votes[case_id][juror]
        if vote == 0 or (ruling != 0 and vote != ruling):
            lost: uint256 = locked * RULES.slash_bps // 10_000
            self._jurors[juror].stake -= lost
            pot += lost
            if self._phase() == CHANGE:
                self._update_weight(juror)
    if ruling == 0:
        self.credit[opener] += pot
        return
    left: uint256 = pot
    first: address = empty(address)
    for i: uint256 in range(jurors, bound=MAX_SEATS):
        juror: address = seated[i]
        if self._votes[case_id][juror] == ruling:
            share: uint256 = pot * self._seats[case_id][juror] // majority
            self.credit[juror] += share
            left -= share
            if first == empty(address):
                first = juror
    self.credit[first] += left


@internal
def _rule(case: Case, ruling: uint8):
    """
    @dev Tells Bonds, asking for no more than the bond still has.
    """
    if ruling == DISMISS:
        extcall BONDS.dismiss(case.challenge_id)
        return
    challenge: IBonds.Challenge = staticcall BONDS.challenge_of(case.challenge_id)
    left: uint256 = (staticcall BONDS.bond_of(challenge.bond_id)).amount
    bounty: uint256 = min(case.bounty, left)
    rest: uint256 = min(case.amount - case.bounty, left - bounty)
    parts: DynArray[IBonds.Part, 16] = []
    if rest > 0:
        parts.append(IBonds.Part(account=case.beneficiary, amount=rest))
    extcall BONDS.uphold(case.challenge_id, bounty, parts)
