# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize codesize
"""
@title Swarm
@notice A federation that nobody runs. For Federation this contract is the opener, and it acts by rules instead of by will.
        Peers stake a bond of which this contract is the judge, and take turns: each round is aggregated by one of them,
        drawn by stake from a seed that the peers make together. Candidate k of a round may act in time slot k only, so
        that a dead or hostile one costs a slot and pays for it. What a leader proposes holds unless, within a window,
        peers with more than half of the stake that was active at the proposal say in agreement that the model is another:
        then the leader's whole bond goes to them, and the rounds from there on are done again.
        The seed: every peer commits to a chain of hashes, reveals the first preimage when it begins and the next whenever
        it leads. A leader who does not like the seed its reveal makes can keep it: it then misses its slot and pays
        `penalty` to whoever proposes instead. The first draw is weaker: whoever is last to be ready may choose whether it
        is. Who begins or leaves after the start does so from the draw after the next, the seed of which is not known yet
        even to the leader of the present one.
        Whoever holds more than half of the stake rules the run: it can take the bond of an honest leader. Let in those
        you know (`by_invitation`) or ask for a stake that is dear. Objecting costs nothing and does nothing below that
        half. The bonds of those who are about to leave count until they are taken out: `retire` them, anyone may.
        Slots must be longer than a round of training and several times as long as the chain takes for a block, or
        candidates pay for slots in which there was no block.
        A consent names no peer: who reads an owner's consent before it is in a block can use it first. The income is the
        owner's all the same. Owners who mind join themselves or send it privately.
@dev Who is active, and with what stake, changes between draws only, so that the order of a round's candidates never
     changes in it. Loops run over at most 32 peers. What is called in turn is known (Federation, Bonds, Works) and calls
     nobody back, but for wallets that are asked for their signature and cannot write. Nobody owns this contract.
"""

from koinon.works.contracts import commit_reveal
from koinon.works.contracts.interfaces import IBonds
from koinon.works.contracts.interfaces import IWorks

initializes: commit_reveal


struct Joining:
    work_id: uint256
    minimum_share: uint64
    deadline: uint256
    consent: Bytes[1024]


interface IFederation:
    def WORKS() -> address: view
    def open(
        recipe: bytes32, contribution_set: bytes32, held_out_set: bytes32, rounds: uint32, owners_share: uint64
    ) -> uint256: nonpayable
    def join(run_id: uint256, joinings: DynArray[Joining, 1]): nonpayable
    def record_round(run_id: uint256, round: uint32, updates: bytes32, model: bytes32, participants: uint256): nonpayable


struct Rules:
    token: address  # what bonds are in
    minimum_stake: uint256
    penalty: uint256  # for a slot missed, at most the minimum stake
    slot_s: uint32  # seconds in which one candidate may act
    window_s: uint32  # seconds in which a proposal can be overturned
    per_node: bool  # whether every participant submits its digest on chain itself
    by_invitation: bool  # whether only those join whom the initiator invited


struct Clock:
    round: uint256  # the last one proposed; one more than planned when the finish is
    settled: uint256  # the last one copied to Federation
    planned: uint256
    draw: uint256  # draws so far, the present one included; 0 until started
    parent: uint256  # the draw in which the last standing round was proposed
    t0: uint256  # when the present draw's slots begin, unix seconds
    slot_s: uint256
    window_s: uint256
    members: uint256
    peers: uint256
    per_node: bool


struct Standing:
    weight: uint256  # stake that counts
    since: uint256  # first draw it is in
    until: uint256  # last draw it is in; FOREVER while active


struct Peer:
    account: address
    bond_id: uint256
    tip: bytes32
    mixes: bool  # whether its first reveal counts for the seed: it was committed before any other was known


struct Round:
    updates: bytes32  # for the finish: the model's Work, once published
    model: bytes32  # for the finish: digest of its arguments
    facts: uint256  # packed: stake, draw, time, leader, participants


struct Order:
    numbers: DynArray[uint256, 32]  # candidates of the slots so far, then again from the first
    amounts: DynArray[uint256, 32]  # what is left of their bonds
    stake: uint256  # active stake of the draw


struct SwarmState:
    initiator: address
    rules: Rules
    rounds: uint32
    round: uint32
    settled: uint32
    draw: uint32
    t0: uint64
    members: uint256
    peers: uint256
    seed: bytes32


struct PeerState:
    number: uint256
    account: address
    member: uint256  # in Federation; 16 when it lends computing only
    bond_id: uint256
    tip: bytes32
    stake: uint256
    active: bool


struct RoundState:
    updates: bytes32
    model: bytes32
    participants: uint256
    leader: address
    draw: uint32
    proposed_at: uint64
    stake: uint256  # active at the proposal


event SwarmOpened:
    run_id: indexed(uint256)
    initiator: indexed(address)
    rules: Rules


event Invited:
    run_id: indexed(uint256)
    account: indexed(address)


event PeerJoined:
    run_id: indexed(uint256)
    peer: indexed(address)
    work_id: indexed(uint256)
    number: uint256
    member: uint256
    bond_id: uint256
    tip: bytes32
    certificate: Bytes[1024]
    url: String[256]


event PeerReady:
    run_id: indexed(uint256)
    peer: indexed(address)
    preimage: bytes32
    since: uint256


event PeerLeft:
    run_id: indexed(uint256)
    peer: indexed(address)
    until: uint256


event Started:
    run_id: indexed(uint256)
    seed: bytes32


event Submitted:
    run_id: indexed(uint256)
    round: indexed(uint256)
    peer: indexed(address)
    member: uint256
    digest: bytes32


event Proposed:
    run_id: indexed(uint256)
    round: indexed(uint256)
    leader: indexed(address)
    updates: bytes32
    model: bytes32
    participants: uint256
    preimage: bytes32
    seed: bytes32


event Missed:
    run_id: indexed(uint256)
    peer: indexed(address)
    round: uint256
    amount: uint256


event Objected:
    run_id: indexed(uint256)
    round: indexed(uint256)
    peer: indexed(address)
    model: bytes32


event Overturned:
    run_id: indexed(uint256)
    round: indexed(uint256)
    leader: indexed(address)
    model: bytes32
    amount: uint256


event Settled:
    run_id: indexed(uint256)
    round: uint256
    leader: indexed(address)


event ScoresCommitted:
    run_id: indexed(uint256)
    peer: indexed(address)
    commitment: bytes32


event ScoresRevealed:
    run_id: indexed(uint256)
    peer: indexed(address)
    scores: bytes32


event FinishProposed:
    run_id: indexed(uint256)
    leader: indexed(address)
    digest: bytes32


event SwarmFinished:
    run_id: indexed(uint256)
    work_id: indexed(uint256)
    initiator: indexed(address)


MAXIMUM_PEERS: constant(uint256) = 32
MAXIMUM_MEMBERS: constant(uint256) = 16
FINISH: constant(bytes4) = method_id(
    "finish(uint256,string,(string,bytes)[],uint16,bytes[],bytes32,(uint64,(bytes32,uint64,bool)[])[],bytes32)",
    output_type=bytes4,
)
STAKE_LIMIT: constant(uint256) = 2**120  # so that all stakes together fit 128 bits
FOREVER: constant(uint256) = 2**32 - 1
LONGEST_NOTICE: constant(uint64) = 2**63

FEDERATION: public(immutable(IFederation))
BONDS: public(immutable(IBonds))
WORKS: immutable(IWorks)

_initiator: HashMap[uint256, address]
_rules: HashMap[uint256, Rules]
_clock: HashMap[uint256, uint256]  # packed Clock
_seed: HashMap[uint256, bytes32]
_pending: HashMap[uint256, uint256]  # sum of what was revealed before the start
_invited: HashMap[uint256, HashMap[address, bool]]
# run -> account -> its number + 1, and from bit 8 its member + 1
_seat: HashMap[uint256, HashMap[address, uint256]]
_peers: HashMap[uint256, HashMap[uint256, Peer]]
_standing: HashMap[uint256, HashMap[uint256, uint256]]  # packed Standing
_rounds: HashMap[uint256, HashMap[uint256, Round]]
# run -> draw of the round before -> a bit for each member that submitted
_submitted: HashMap[uint256, HashMap[uint256, uint256]]
# run -> draw of the proposal -> model -> a bit for each peer that says it is this one
_backers: HashMap[uint256, HashMap[uint256, HashMap[bytes32, uint256]]]
_aggregations: HashMap[uint256, HashMap[uint256, uint256]]
_scores: HashMap[uint256, HashMap[uint256, bytes32]]
# run -> peer -> what its scores weigh: its stake when it revealed them
_score_weights: HashMap[uint256, HashMap[uint256, uint256]]


@deploy
def __init__(federation: IFederation, bonds: IBonds):
    """
    @notice Binds the swarm to where runs are recorded and where stakes lie.
    @param federation The Federation contract; must be deployed.
    @param bonds The Bonds contract; must be deployed.
    """
    assert federation.address.codesize != 0, "no federation"
    assert bonds.address.codesize != 0, "no bonds"
    FEDERATION = federation
    BONDS = bonds
    WORKS = IWorks(staticcall federation.WORKS())


# --- coming together -------------------------------------------------------------------------------------------------


@external
def open(
    recipe: bytes32,
    contribution_set: bytes32,
    held_out_set: bytes32,
    rounds: uint32,
    owners_share: uint64,
    rules: Rules,
) -> uint256:
    """
    @notice Announce a run without a server. Nothing said here can be changed.
    @param recipe sha256 of the recipe's canonical JSON.
    @param contribution_set Digest of the set that contributions are measured on.
    @param held_out_set Digest of the set that the model is reported on.
    @param rounds How many rounds are planned.
    @param owners_share What all teachers together get of the model's income, in 1e-9.
    @param rules What peers stake, what a missed slot costs, how long slots and windows are.
    @return The run's id, the same as in Federation. The caller gets the model's Work at the end.
    """
    assert rules.token != empty(address), "no token"
    assert rules.penalty != 0 and rules.penalty <= rules.minimum_stake, "penalty out of range"
    assert rules.slot_s != 0 and rules.window_s != 0, "no time"
    assert rounds < 2**24 - 1, "too many rounds"
    run_id: uint256 = extcall FEDERATION.open(recipe, contribution_set, held_out_set, rounds, owners_share)
    self._initiator[run_id] = msg.sender
    self._rules[run_id] = rules
    clock: Clock = empty(Clock)
    clock.planned = convert(rounds, uint256)
    clock.slot_s = convert(rules.slot_s, uint256)
    clock.window_s = convert(rules.window_s, uint256)
    clock.per_node = rules.per_node
    self._set_clock(run_id, clock)
    log SwarmOpened(run_id=run_id, initiator=msg.sender, rules=rules)
    return run_id


@external
def invite(run_id: uint256, accounts: DynArray[address, 32]):
    """
    @notice Let these join a run that is by invitation. Only the initiator.
    @param run_id The run.
    @param accounts Who may join.
    """
    self._check_initiator(run_id)
    for account: address in accounts:
        self._invited[run_id][account] = True
        log Invited(run_id=run_id, account=account)


@external
@nonreentrant
def join(
    run_id: uint256,
    joining: Joining,
    bond_id: uint256,
    tip: bytes32,
    certificate: Bytes[1024],
    url: String[256],
):
    """
    @notice Become a peer, also of a run that has begun; active once `ready`.
    @param run_id The run; its rounds must not be over.
    @param joining The dataset Work with its owner's consent, as Federation takes it; empty only where the caller is
           the Work's owner or operator and this contract an operator. `work_id` 0 lends computing only.
    @param bond_id The caller's open-ended bond in the run's token, judged by this contract, on `subject_of(run_id)`.
    @param tip keccak256 of the first preimage of the caller's chain of hashes.
    @param certificate The peer's TLS identity, a DER certificate it signed itself.
    @param url Where the peer listens.
    """
    clock: Clock = self._open_clock(run_id)
    assert clock.settled < clock.planned, "rounds are over"
    assert not self._rules[run_id].by_invitation or self._invited[run_id][msg.sender], "not invited"
    assert self._seat[run_id][msg.sender] == 0, "joined already"
    assert clock.peers < MAXIMUM_PEERS, "too many peers"
    assert tip != empty(bytes32), "no tip"
    bond: IBonds.Bond = self._bond(bond_id)
    assert bond.poster == msg.sender, "another's bond"
    assert bond.judge == self, "another judge"
    assert bond.token == self._rules[run_id].token, "another token"
    assert bond.subject == self._subject(run_id), "bond for something else"
    self._check_stake(run_id, bond)
    assert bond.notice_s < LONGEST_NOTICE, "notice too long"
    assert convert(bond.notice_s, uint256) >= clock.window_s, "notice too short"

    member: uint256 = MAXIMUM_MEMBERS
    seat: uint256 = clock.peers + 1
    if joining.work_id != 0:
        member = clock.members
        if len(joining.consent) == 0:
            assert staticcall WORKS.isAuthorizedOrOwner(msg.sender, joining.work_id), "owner not asked"
        extcall FEDERATION.join(run_id, [joining])
        clock.members += 1
        seat |= (member + 1) << 8
    self._seat[run_id][msg.sender] = seat
    self._peers[run_id][clock.peers] = Peer(
        account=msg.sender, bond_id=bond_id, tip=tip, mixes=self._pending[run_id] == 0
    )
    self._set_standing(run_id, clock.peers, Standing(weight=bond.amount, since=FOREVER, until=0))
    log PeerJoined(
        run_id=run_id,
        peer=msg.sender,
        work_id=joining.work_id,
        number=clock.peers,
        member=member,
        bond_id=bond_id,
        tip=tip,
        certificate=certificate,
        url=url,
    )
    clock.peers += 1
    self._set_clock(run_id, clock)


@external
def ready(run_id: uint256, preimage: bytes32):
    """
    @notice Begin to take part, or again after leaving: in the first draw, or in those from the one after the next on.
    @param run_id The run.
    @param preimage What the tip is the keccak256 of; it is the tip from now on.
    """
    clock: Clock = self._open_clock(run_id)
    number: uint256 = self._number(run_id)
    standing: Standing = self._standing_of(run_id, number)
    assert standing.until != FOREVER, "active already"
    assert not self._is_in(standing, clock.draw), "still in this draw"
    peer: Peer = self._peers[run_id][number]
    bond: IBonds.Bond = self._bond(peer.bond_id)
    self._check_stake(run_id, bond)
    self._turn(run_id, number, preimage)
    since: uint256 = clock.draw + 2
    if clock.draw == 0:
        since = 1
        if peer.mixes:
            self._pending[run_id] = unsafe_add(
                self._pending[run_id],
                convert(keccak256(concat(convert(msg.sender, bytes32), preimage)), uint256),
            )
            self._peers[run_id][number].mixes = False
    self._set_standing(run_id, number, Standing(weight=bond.amount, since=since, until=FOREVER))
    log PeerReady(run_id=run_id, peer=msg.sender, preimage=preimage, since=since)


@external
def start(run_id: uint256):
    """
    @notice Begin the first round: only the initiator, once two are active. Or, where nobody that could be drawn is left,
            go on to the next draw with those who are ready by then: anyone.
    @param run_id The run.
    """
    clock: Clock = self._open_clock(run_id)
    if clock.draw == 0:
        self._check_initiator(run_id)
        active: uint256 = 0
        for number: uint256 in range(clock.peers, bound=MAXIMUM_PEERS):
            if self._standing_of(run_id, number).until == FOREVER:
                active += 1
        assert active >= 2, "too few peers"
        self._seed[run_id] = keccak256(abi_encode(chain.id, self, run_id, self._pending[run_id]))
    else:
        assert len(self._order(run_id, clock, 0).numbers) == 0, "started already"
    self._next_draw(run_id, clock, max(clock.t0, block.timestamp))
    log Started(run_id=run_id, seed=self._seed[run_id])


@external
def leave(run_id: uint256):
    """
    @notice Take no part from the draw after the next on. Slots until then are still owed: announce the bond's end when
            they are over.
    @param run_id The run.
    """
    self._depart(run_id, self._number(run_id), 1)


@external
def retire(run_id: uint256, account: address):
    """
    @notice Take a peer that announced the end of its bond out of the draws after the present one. Anyone may.
    @param run_id The run.
    @param account The peer.
    """
    number: uint256 = self._number_of(run_id, account)
    assert self._bond(self._peers[run_id][number].bond_id).ends_at != 0, "its bond stays"
    self._depart(run_id, number, 0)


# --- rounds ----------------------------------------------------------------------------------------------------------


@external
def submit(run_id: uint256, round: uint32, digest: bytes32):
    """
    @notice Say what the caller's update of the next round is. Only where the rules say that everyone does.
    @param run_id The run.
    @param round The next round.
    @param digest sha256 of the update.
    """
    clock: Clock = self._open_clock(run_id)
    assert clock.per_node, "one root a round"
    self._check_next(clock, round)
    seat: uint256 = self._seat[run_id][msg.sender]
    assert seat >> 8 != 0, "not a member"
    standing: Standing = self._standing_of(run_id, (seat & 255) - 1)
    assert standing.until >= clock.draw and standing.since != FOREVER, "not active"
    assert digest != empty(bytes32), "no digest"
    member: uint256 = (seat >> 8) - 1
    before: uint256 = self._submitted[run_id][clock.parent]
    assert before >> member & 1 == 0, "submitted already"
    self._submitted[run_id][clock.parent] = before | 1 << member
    log Submitted(
        run_id=run_id, round=convert(round, uint256), peer=msg.sender, member=member, digest=digest
    )


@external
def propose(
    run_id: uint256,
    round: uint32,
    updates: bytes32,
    model: bytes32,
    participants: uint256,
    preimage: bytes32,
):
    """
    @notice Lead a round. Only the candidate of the present slot. Those of earlier slots pay the penalty to it.
    @param run_id The run.
    @param round The next round.
    @param updates sha256 over (member as one byte, sha256 of its update) of everyone who took part, in order; or a root
           over the same.
    @param model sha256 of the model after the round.
    @param participants A bit for each member that took part; where everyone submits, of those who did.
    @param preimage What the caller's tip is the keccak256 of.
    """
    clock: Clock = self._open_clock(run_id)
    self._check_next(clock, round)
    assert participants != 0, "nobody took part"
    assert participants >> clock.members == 0, "participant did not join"
    if clock.per_node:
        assert participants & ~self._submitted[run_id][clock.parent] == 0, "participant did not submit"
    assert model != empty(bytes32), "no model"
    order: Order = self._order(run_id, clock, self._slot(clock))
    number: uint256 = self._lead(run_id, clock, order)
    self._turn(run_id, number, preimage)
    self._slash_missing(run_id, clock, order, number)
    seed: bytes32 = keccak256(concat(self._seed[run_id], preimage))
    self._seed[run_id] = seed
    self._record(run_id, clock, number, order.stake, updates, model, participants)
    log Proposed(
        run_id=run_id,
        round=convert(round, uint256),
        leader=msg.sender,
        updates=updates,
        model=model,
        participants=participants,
        preimage=preimage,
        seed=seed,
    )


@external
def object(run_id: uint256, round: uint32, model: bytes32):
    """
    @notice Say within the window that a proposal is wrong. Everyone who was active at the proposal but its leader; once
            for each model that would be right to the caller.
    @param run_id The run.
    @param round The round; its window must not be over.
    @param model sha256 of the right model; zero where the updates or the model are withheld.
    """
    clock: Clock = self._open_clock(run_id)
    assert convert(round, uint256) <= clock.planned, "not a round"
    self._object(run_id, clock, convert(round, uint256), model)


@external
def settle(run_id: uint256, up_to: uint32):
    """
    @notice Copy rounds whose window is over to Federation; the last one begins the scoring. Anyone may.
    @param run_id The run.
    @param up_to The last round to copy; at most 16 at once.
    """
    clock: Clock = self._open_clock(run_id)
    last: uint256 = convert(up_to, uint256)
    assert last > clock.settled, "settled already"
    assert last <= min(clock.round, clock.planned), "not proposed"
    assert last - clock.settled <= 16, "at most 16 at once"
    for number: uint256 in range(clock.settled + 1, last + 1, bound=16):
        round: Round = self._rounds[run_id][number]
        self._check_window_over(clock, round)
        leader: uint256 = self._leader(round)
        self._aggregations[run_id][leader] += 1
        extcall FEDERATION.record_round(
            run_id, convert(number, uint32), round.updates, round.model, round.facts & 65535
        )
        log Settled(run_id=run_id, round=number, leader=self._peers[run_id][leader].account)
    clock.settled = last
    if last == clock.planned:
        self._next_draw(run_id, clock, block.timestamp + 2 * clock.slot_s)
    else:
        self._set_clock(run_id, clock)


# --- scores ----------------------------------------------------------------------------------------------------------


@external
def commit_scores(run_id: uint256, commitment: bytes32):
    """
    @notice Commit to what each member's part is worth: for one slot after the last round is settled.
    @param run_id The run.
    @param commitment keccak256(abi.encode(chain id, this contract, run id, caller, scores, salt)).
    """
    clock: Clock = self._open_clock(run_id)
    self._check_scoring(clock)
    assert block.timestamp < clock.t0 - clock.slot_s, "too late to commit"
    self._check_in_draw(run_id, self._number(run_id), clock.draw)
    commit_reveal._commit(convert(run_id, bytes32), msg.sender, commitment)
    log ScoresCommitted(run_id=run_id, peer=msg.sender, commitment=commitment)


@external
def reveal_scores(run_id: uint256, scores: bytes32, salt: bytes32):
    """
    @notice Reveal the scores committed to: in the slot after.
    @param run_id The run.
    @param scores Sixteen big-endian uint16, one a member.
    @param salt The salt.
    """
    clock: Clock = self._open_clock(run_id)
    self._check_scoring(clock)
    assert block.timestamp >= clock.t0 - clock.slot_s, "too early to reveal"
    assert block.timestamp < clock.t0, "too late to reveal"
    commit_reveal._reveal(convert(run_id, bytes32), msg.sender, scores, salt)
    number: uint256 = self._number(run_id)
    self._scores[run_id][number] = scores
    self._score_weights[run_id][number] = self._standing_of(run_id, number).weight
    log ScoresRevealed(run_id=run_id, peer=msg.sender, scores=scores)


# --- the end ---------------------------------------------------------------------------------------------------------


@external
def propose_finish(run_id: uint256, digest: bytes32):
    """
    @notice Say how the model is published. Only the candidate of the present slot, after the scores; again where nobody
            could publish it as proposed for another window after its own.
    @param run_id The run.
    @param digest keccak256 of the `arguments` that `finish` takes.
    """
    clock: Clock = self._open_clock(run_id)
    self._check_scoring(clock)
    before: Round = self._rounds[run_id][clock.planned + 1]
    assert before.updates == empty(bytes32), "finished already"
    if clock.round > clock.planned:
        assert (
            block.timestamp >= self._proposed_at(before) + 2 * clock.window_s
        ), "finish already proposed"
        clock.round = clock.planned
    assert digest != empty(bytes32), "no digest"
    order: Order = self._order(run_id, clock, self._slot(clock))
    number: uint256 = self._lead(run_id, clock, order)
    self._record(run_id, clock, number, order.stake, empty(bytes32), digest, 0)
    log FinishProposed(run_id=run_id, leader=msg.sender, digest=digest)


@external
def object_finish(run_id: uint256, digest: bytes32):
    """
    @notice Say within the window that the model should be published otherwise. As `object`, for the finish.
    @param run_id The run.
    @param digest The right digest; zero where the arguments are withheld.
    """
    clock: Clock = self._open_clock(run_id)
    self._object(run_id, clock, clock.planned + 1, digest)


@external
@nonreentrant
def finish(run_id: uint256, arguments: Bytes[49152]) -> uint256:
    """
    @notice Publish the model as it was proposed and not overturned. Anyone may; the Work is the initiator's.
    @param run_id The run.
    @param arguments What was proposed: the ABI encoding of every argument of Federation's `finish`, the run first.
    @return The model's Work.
    """
    clock: Clock = self._open_clock(run_id)
    assert clock.round > clock.planned, "finish not proposed"
    proposal: Round = self._rounds[run_id][clock.round]
    self._check_window_over(clock, proposal)
    assert keccak256(arguments) == proposal.model, "not what was proposed"
    assert extract32(arguments, 0) == convert(run_id, bytes32), "another run's"
    work_id: uint256 = convert(
        raw_call(FEDERATION.address, concat(FINISH, arguments), max_outsize=32), uint256
    )
    self._rounds[run_id][clock.round].updates = convert(work_id, bytes32)
    initiator: address = self._initiator[run_id]
    extcall WORKS.transferFrom(self, initiator, work_id)
    log SwarmFinished(run_id=run_id, work_id=work_id, initiator=initiator)
    return work_id


# --- reading ---------------------------------------------------------------------------------------------------------


@external
@view
def swarm(run_id: uint256) -> SwarmState:
    """
    @notice A run as it is now.
    @param run_id The run; zeros when it was never opened here.
    @return See the struct; `round` is one more than `rounds` once the finish is proposed.
    """
    clock: Clock = self._clock_of(run_id)
    return SwarmState(
        initiator=self._initiator[run_id],
        rules=self._rules[run_id],
        rounds=convert(clock.planned, uint32),
        round=convert(clock.round, uint32),
        settled=convert(clock.settled, uint32),
        draw=convert(clock.draw, uint32),
        t0=convert(clock.t0, uint64),
        members=clock.members,
        peers=clock.peers,
        seed=self._seed[run_id],
    )


@external
@view
def peers_of(run_id: uint256) -> DynArray[PeerState, 32]:
    """
    @notice Everyone who joined, in joining order.
    @param run_id The run.
    @return See the struct.
    """
    found: DynArray[PeerState, 32] = []
    for number: uint256 in range(self._clock_of(run_id).peers, bound=MAXIMUM_PEERS):
        peer: Peer = self._peers[run_id][number]
        standing: Standing = self._standing_of(run_id, number)
        member: uint256 = self._seat[run_id][peer.account] >> 8
        found.append(
            PeerState(
                number=number,
                account=peer.account,
                member=MAXIMUM_MEMBERS if member == 0 else member - 1,
                bond_id=peer.bond_id,
                tip=peer.tip,
                stake=standing.weight,
                active=standing.until == FOREVER,
            )
        )
    return found


@external
@view
def round_of(run_id: uint256, round: uint32) -> RoundState:
    """
    @notice A round that was proposed and not overturned; one more than planned is the finish.
    @param run_id The run.
    @param round The round.
    @return See the struct.
    """
    number: uint256 = convert(round, uint256)
    assert number != 0 and number <= self._open_clock(run_id).round, "no such round"
    found: Round = self._rounds[run_id][number]
    return RoundState(
        updates=found.updates,
        model=found.model,
        participants=found.facts & 65535,
        leader=self._peers[run_id][self._leader(found)].account,
        draw=convert(self._draw(found), uint32),
        proposed_at=convert(self._proposed_at(found), uint64),
        stake=found.facts >> 128,
    )


@external
@view
def candidate(run_id: uint256, slot: uint256) -> address:
    """
    @notice Who may act in a slot of the present draw.
    @param run_id The run.
    @param slot The slot, from 0; slot k lasts from t0 + k slot_s to the next.
    @return The peer; nobody before the start, or where nobody's bond stands.
    """
    return self._candidate(run_id, self._clock_of(run_id), slot)


@external
@view
def submitted(run_id: uint256) -> uint256:
    """
    @notice Who submitted for the next round.
    @param run_id The run.
    @return A bit for each member.
    """
    return self._submitted[run_id][self._clock_of(run_id).parent]


@external
@view
def subject_of(run_id: uint256) -> bytes32:
    """
    @notice What a peer's bond is for.
    @param run_id The run.
    @return keccak256(abi.encode(chain id, this contract, run id))
    """
    return self._subject(run_id)


@external
@view
def scores(run_id: uint256) -> DynArray[uint256, 16]:
    """
    @notice What each member's part is worth, by those who revealed.
    @param run_id The run.
    @return For each member the median by stake: the lowest score that, with those below, half of the revealing stake
            gave; zeros where nobody revealed.
    """
    clock: Clock = self._clock_of(run_id)
    words: uint256[32] = empty(uint256[32])
    weights: uint256[32] = empty(uint256[32])
    total: uint256 = 0
    for number: uint256 in range(clock.peers, bound=MAXIMUM_PEERS):
        words[number] = convert(self._scores[run_id][number], uint256)
        weights[number] = self._score_weights[run_id][number]
        total += weights[number]
    medians: DynArray[uint256, 16] = []
    for member: uint256 in range(clock.members, bound=MAXIMUM_MEMBERS):
        offset: uint256 = 240 - 16 * member
        median: uint256 = 0 if total == 0 else 65535
        for number: uint256 in range(clock.peers, bound=MAXIMUM_PEERS):
            score: uint256 = words[number] >> offset & 65535
            if weights[number] == 0 or score >= median:
                continue
            together: uint256 = 0
            for other: uint256 in range(clock.peers, bound=MAXIMUM_PEERS):
                if words[other] >> offset & 65535 <= score:
                    together += weights[other]
            if 2 * together >= total:
                median = score
        medians.append(median)
    return medians


@external
@view
def work_of(run_id: uint256, peer: address) -> (uint256, uint256):
    """
    @notice What a peer did for the run besides its updates.
    @param run_id The run.
    @param peer The peer.
    @return Settled rounds it aggregated, and scores it revealed.
    """
    seat: uint256 = self._seat[run_id][peer] & 255
    if seat == 0:
        return 0, 0
    return (
        self._aggregations[run_id][seat - 1],
        convert(self._score_weights[run_id][seat - 1] != 0, uint256),
    )


# --- inside: who acts when -------------------------------------------------------------------------------------------


@internal
@view
def _subject(run_id: uint256) -> bytes32:
    return keccak256(abi_encode(chain.id, self, run_id))


@internal
@view
def _bond(bond_id: uint256) -> IBonds.Bond:
    return staticcall BONDS.bond_of(bond_id)


@internal
@view
def _check_initiator(run_id: uint256):
    assert self._initiator[run_id] == msg.sender, "only the initiator"


@internal
@view
def _check_stake(run_id: uint256, bond: IBonds.Bond):
    assert bond.amount >= self._rules[run_id].minimum_stake, "stake too small"
    assert bond.amount < STAKE_LIMIT, "stake too large"
    assert bond.ends_at == 0, "bond ends"


@internal
@view
def _number_of(run_id: uint256, account: address) -> uint256:
    seat: uint256 = self._seat[run_id][account] & 255
    assert seat != 0, "not a peer"
    return seat - 1


@internal
@view
def _number(run_id: uint256) -> uint256:
    return self._number_of(run_id, msg.sender)


@internal
@view
def _slot(clock: Clock) -> uint256:
    assert block.timestamp >= clock.t0, "scores are not in yet"
    return (block.timestamp - clock.t0) // clock.slot_s


@internal
@view
def _check_next(clock: Clock, round: uint32):
    assert clock.draw != 0, "not started"
    assert convert(round, uint256) == clock.round + 1, "rounds go in order"
    assert convert(round, uint256) <= clock.planned, "more rounds than planned"


@internal
@view
def _check_scoring(clock: Clock):
    assert clock.settled == clock.planned, "rounds are not settled"


@internal
@view
def _check_window_over(clock: Clock, round: Round):
    assert block.timestamp >= self._proposed_at(round) + clock.window_s, "window still open"


@internal
@pure
def _is_in(standing: Standing, draw: uint256) -> bool:
    return standing.since <= draw and draw <= standing.until


@internal
@view
def _check_in_draw(run_id: uint256, number: uint256, draw: uint256):
    assert self._is_in(self._standing_of(run_id, number), draw), "not active"


@internal
@view
def _candidate(run_id: uint256, clock: Clock, slot: uint256) -> address:
    order: Order = self._order(run_id, clock, slot)
    if len(order.numbers) == 0:
        return empty(address)
    return self._peers[run_id][order.numbers[slot % len(order.numbers)]].account


@internal
@view
def _order(run_id: uint256, clock: Clock, slot: uint256) -> Order:
    """
    @dev Draws by stake, without replacement, until the slot has its candidate or nobody is left. A bond whose end was
         announced before the draw began does not count; one announced since does, so that the order stays.
    """
    weights: uint256[32] = empty(uint256[32])
    order: Order = empty(Order)
    for number: uint256 in range(clock.peers, bound=MAXIMUM_PEERS):
        standing: Standing = self._standing_of(run_id, number)
        if self._is_in(standing, clock.draw):
            weights[number] = standing.weight
            order.stake += standing.weight
    left: uint256 = order.stake
    seed: bytes32 = self._seed[run_id]
    for k: uint256 in range(MAXIMUM_PEERS):
        if left == 0 or len(order.numbers) > slot:
            break
        point: uint256 = convert(keccak256(abi_encode(seed, min(clock.round, clock.planned) + 1, k)), uint256) % left
        drawn: uint256 = 0
        for number: uint256 in range(MAXIMUM_PEERS):
            if point < weights[number]:
                drawn = number
                break
            point -= weights[number]
        left -= weights[drawn]
        weights[drawn] = 0
        bond: IBonds.Bond = self._bond(self._peers[run_id][drawn].bond_id)
        if bond.ends_at == 0 or convert(bond.ends_at, uint256) >= clock.t0 + convert(bond.notice_s, uint256):
            order.numbers.append(drawn)
            order.amounts.append(bond.amount)
    return order


@internal
@view
def _lead(run_id: uint256, clock: Clock, order: Order) -> uint256:
    """
    @dev The caller's number where it is the slot's candidate and its bond outlasts the window.
    """
    number: uint256 = self._number(run_id)
    assert len(order.numbers) != 0, "nobody to draw"
    assert number == order.numbers[self._slot(clock) % len(order.numbers)], "another's slot"
    ends_at: uint64 = self._bond(self._peers[run_id][number].bond_id).ends_at
    assert (
        ends_at == 0 or convert(ends_at, uint256) >= block.timestamp + clock.window_s
    ), "bond ends too soon"
    return number


@internal
def _turn(run_id: uint256, number: uint256, preimage: bytes32):
    assert keccak256(preimage) == self._peers[run_id][number].tip, "not the tip's preimage"
    self._peers[run_id][number].tip = preimage


@internal
def _depart(run_id: uint256, number: uint256, after: uint256):
    standing: Standing = self._standing_of(run_id, number)
    assert standing.until == FOREVER, "not active"
    draw: uint256 = self._clock_of(run_id).draw
    self._take_out(run_id, number, standing, 0 if draw == 0 else draw + after)


@internal
def _take_out(run_id: uint256, number: uint256, standing: Standing, draw: uint256):
    self._set_standing(run_id, number, Standing(weight=standing.weight, since=standing.since, until=draw))
    log PeerLeft(run_id=run_id, peer=self._peers[run_id][number].account, until=draw)


@internal
def _next_draw(run_id: uint256, clock: Clock, t0: uint256):
    changed: Clock = clock
    changed.draw += 1
    changed.t0 = t0
    self._set_clock(run_id, changed)


# --- inside: proposals and stakes ------------------------------------------------------------------------------------


@internal
def _record(
    run_id: uint256,
    clock: Clock,
    leader: uint256,
    stake: uint256,
    updates: bytes32,
    model: bytes32,
    participants: uint256,
):
    changed: Clock = clock
    changed.round += 1
    changed.parent = clock.draw
    self._rounds[run_id][changed.round] = Round(
        updates=updates,
        model=model,
        facts=stake << 128 | clock.draw << 96 | block.timestamp << 32 | leader << 24 | participants,
    )
    self._next_draw(run_id, changed, block.timestamp)


@internal
def _slash_missing(run_id: uint256, clock: Clock, order: Order, proposer: uint256):
    """
    @dev Everyone whose slot went by pays the proposer, once; below the minimum it is out.
    """
    rules: Rules = self._rules[run_id]
    missed: uint256 = min(self._slot(clock), len(order.numbers))
    for at: uint256 in range(missed, bound=MAXIMUM_PEERS):
        number: uint256 = order.numbers[at]
        if number == proposer:
            continue
        amount: uint256 = min(rules.penalty, order.amounts[at])
        peer: Peer = self._peers[run_id][number]
        if amount != 0:
            extcall BONDS.slash(peer.bond_id, [IBonds.Part(account=msg.sender, amount=amount)])
        standing: Standing = self._standing_of(run_id, number)
        standing.weight = min(standing.weight, order.amounts[at] - amount)
        self._set_standing(run_id, number, standing)
        log Missed(run_id=run_id, peer=peer.account, round=clock.round + 1, amount=amount)
        if standing.weight < rules.minimum_stake and standing.until > clock.draw:
            self._take_out(run_id, number, standing, clock.draw)


@internal
def _object(run_id: uint256, clock: Clock, round: uint256, model: bytes32):
    assert round > clock.settled and round <= clock.round, "not proposed, or settled"
    found: Round = self._rounds[run_id][round]
    assert block.timestamp < self._proposed_at(found) + clock.window_s, "window is over"
    assert model != found.model, "that is what was proposed"
    number: uint256 = self._number(run_id)
    leader: uint256 = self._leader(found)
    assert number != leader, "the leader's own"
    draw: uint256 = self._draw(found)
    self._check_in_draw(run_id, number, draw)
    bond: IBonds.Bond = self._bond(self._peers[run_id][number].bond_id)
    assert bond.ends_at == 0 or convert(bond.ends_at, uint256) > block.timestamp, "bond is over"
    backers: uint256 = self._backers[run_id][draw][model]
    assert backers >> number & 1 == 0, "objected already"
    backers |= 1 << number
    self._backers[run_id][draw][model] = backers
    log Objected(run_id=run_id, round=round, peer=msg.sender, model=model)

    weights: uint256[32] = empty(uint256[32])
    together: uint256 = 0
    for each: uint256 in range(clock.peers, bound=MAXIMUM_PEERS):
        if backers >> each & 1 == 1:
            standing: Standing = self._standing_of(run_id, each)
            if self._is_in(standing, draw):
                weights[each] = standing.weight
                together += standing.weight
    if 2 * together <= found.facts >> 128:
        return
    amount: uint256 = self._forfeit(run_id, leader, weights, together)
    standing: Standing = self._standing_of(run_id, leader)
    standing.weight = 0
    self._take_out(run_id, leader, standing, min(standing.until, clock.draw))
    changed: Clock = clock
    changed.round = round - 1
    changed.parent = self._draw(self._rounds[run_id][round - 1])
    self._next_draw(run_id, changed, block.timestamp)
    log Overturned(
        run_id=run_id, round=round, leader=self._peers[run_id][leader].account, model=model, amount=amount
    )


@internal
def _forfeit(run_id: uint256, leader: uint256, weights: uint256[32], together: uint256) -> uint256:
    """
    @dev Shares out all that is left of the leader's bond by weight; the last gets what rounding leaves.
    """
    bond_id: uint256 = self._peers[run_id][leader].bond_id
    amount: uint256 = self._bond(bond_id).amount
    if amount == 0:
        return 0
    left: uint256 = amount
    weight_left: uint256 = together
    parts: DynArray[IBonds.Part, 16] = []
    for each: uint256 in range(MAXIMUM_PEERS):
        if weights[each] == 0:
            continue
        part: uint256 = left * weights[each] // weight_left
        left -= part
        weight_left -= weights[each]
        parts.append(IBonds.Part(account=self._peers[run_id][each].account, amount=part))
        if len(parts) == 16:
            extcall BONDS.slash(bond_id, parts)
            parts = []
    if len(parts) != 0:
        extcall BONDS.slash(bond_id, parts)
    return amount


# --- inside: packed words --------------------------------------------------------------------------------------------


@internal
@view
def _open_clock(run_id: uint256) -> Clock:
    clock: Clock = self._clock_of(run_id)
    assert clock.planned != 0, "no such run"
    return clock


@internal
@view
def _clock_of(run_id: uint256) -> Clock:
    word: uint256 = self._clock[run_id]
    return Clock(
        round=word & (2**24 - 1),
        settled=word >> 24 & (2**24 - 1),
        planned=word >> 48 & (2**24 - 1),
        draw=word >> 72 & (2**32 - 1),
        parent=word >> 104 & (2**32 - 1),
        t0=word >> 136 & (2**40 - 1),
        slot_s=word >> 176 & (2**32 - 1),
        window_s=word >> 208 & (2**32 - 1),
        members=word >> 240 & 31,
        peers=word >> 245 & 63,
        per_node=word >> 251 & 1 == 1,
    )


@internal
def _set_clock(run_id: uint256, clock: Clock):
    self._clock[run_id] = (
        clock.round
        | clock.settled << 24
        | clock.planned << 48
        | clock.draw << 72
        | clock.parent << 104
        | clock.t0 << 136
        | clock.slot_s << 176
        | clock.window_s << 208
        | clock.members << 240
        | clock.peers << 245
        | convert(clock.per_node, uint256) << 251
    )


@internal
@view
def _standing_of(run_id: uint256, number: uint256) -> Standing:
    word: uint256 = self._standing[run_id][number]
    return Standing(weight=word >> 64, since=word >> 32 & FOREVER, until=word & FOREVER)


@internal
def _set_standing(run_id: uint256, number: uint256, standing: Standing):
    self._standing[run_id][number] = standing.weight << 64 | standing.since << 32 | standing.until


@internal
@pure
def _proposed_at(round: Round) -> uint256:
    return round.facts >> 32 & (2**64 - 1)


@internal
@pure
def _draw(round: Round) -> uint256:
    return round.facts >> 96 & (2**32 - 1)


@internal
@pure
def _leader(round: Round) -> uint256:
    return round.facts >> 24 & 255
