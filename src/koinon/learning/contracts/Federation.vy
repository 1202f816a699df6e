# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
"""
@title Federation
@notice The public record of models taught together. An opener announces a run: the recipe, the sets it is measured on, and
        what part of the model's income goes to those who teach it. Owners of datasets agree by signature. Every round
        leaves its digests here, in order, so that anyone with the updates can compute the model again. At the end, one
        transaction publishes the model as a Work whose parents are exactly the datasets that taught it, writes its root
        and hands it to the opener. Nobody owns this contract.
@dev Only the opener writes to its run, so that nobody can fill another's lists. The contract holds a Work only
     within `finish`.
@custom:source EIP-712, ERC-721
"""

from koinon.works.contracts import eip712
from koinon.works.contracts import signatures
from koinon.works.contracts.interfaces import ITill
from koinon.works.contracts.interfaces import IWorks


struct Joining:
    work_id: uint256
    minimum_share: uint64  # the least part of the model's income, in 1e-9, that its owner agrees to
    deadline: uint256
    consent: Bytes[1024]  # the Work owner's signature over Consent


struct Member:
    work_id: uint256
    minimum_share: uint64


struct Run:
    opener: address
    rounds: uint32  # how many are planned
    round: uint32  # the last one recorded
    owners_share: uint64  # of the model's income, in 1e-9, for all its teachers together
    participants: uint256  # a bit for each member that took part in any round
    recipe: bytes32
    contribution_set: bytes32
    held_out_set: bytes32
    model: bytes32  # digest of the model after the last recorded round
    work_id: uint256  # the model's Work, 0 until finished


event RunOpened:
    run_id: indexed(uint256)
    opener: indexed(address)
    recipe: indexed(bytes32)
    contribution_set: bytes32
    held_out_set: bytes32
    rounds: uint32
    owners_share: uint64


event OwnerJoined:
    run_id: indexed(uint256)
    work_id: indexed(uint256)
    owner: indexed(address)
    member: uint256
    minimum_share: uint64


event RoundRecorded:
    run_id: indexed(uint256)
    round: uint32
    updates: bytes32
    model: bytes32
    participants: uint256


event RunFinished:
    run_id: indexed(uint256)
    work_id: indexed(uint256)
    model: bytes32
    contributions: bytes32
    root: bytes32


MAXIMUM_MEMBERS: constant(uint256) = 16  # as many parents as a Work may have
WHOLE: constant(uint64) = 1_000_000_000
NAME: constant(String[17]) = "Koinon Federation"
VERSION: constant(String[1]) = "1"
NAME_HASH: constant(bytes32) = keccak256(NAME)
VERSION_HASH: constant(bytes32) = keccak256(VERSION)
CONSENT: constant(bytes32) = keccak256("Consent(uint256 runId,uint256 workId,uint64 minimumShare,uint256 deadline)")
RECEIVED: constant(bytes4) = 0x150b7a02

WORKS: public(immutable(IWorks))

total: public(uint256)  # how many runs were opened; also the newest id
runs: HashMap[uint256, Run]
members: HashMap[uint256, DynArray[Member, 16]]
publishing: transient(bool)


@deploy
def __init__(works: IWorks):
    """
    @notice Binds the record to the register where models are published.
    @param works The Works contract; must be deployed.
    """
    assert works.address.codesize != 0, "no works"
    WORKS = works


@external
def open(
    recipe: bytes32, contribution_set: bytes32, held_out_set: bytes32, rounds: uint32, owners_share: uint64
) -> uint256:
    """
    @notice Announce a run. What is said here cannot be changed.
    @param recipe sha256 of the recipe's canonical JSON.
    @param contribution_set Digest of the set that contributions are measured on.
    @param held_out_set Digest of the set that the model is reported on.
    @param rounds How many rounds are planned, at least one.
    @param owners_share What all teachers together get of the model's income, in 1e-9; the rest is its owner's.
    @return The run's id, from 1.
    """
    assert recipe != empty(bytes32), "no recipe"
    assert contribution_set != empty(bytes32), "no contribution set"
    assert contribution_set != held_out_set, "the two sets must differ"
    assert rounds != 0, "no rounds"
    assert owners_share != 0 and owners_share <= WHOLE, "share out of range"
    run_id: uint256 = self.total + 1
    self.total = run_id
    run: Run = empty(Run)
    run.opener = msg.sender
    run.rounds = rounds
    run.owners_share = owners_share
    run.recipe = recipe
    run.contribution_set = contribution_set
    run.held_out_set = held_out_set
    self.runs[run_id] = run
    log RunOpened(
        run_id=run_id,
        opener=msg.sender,
        recipe=recipe,
        contribution_set=contribution_set,
        held_out_set=held_out_set,
        rounds=rounds,
        owners_share=owners_share,
    )
    return run_id


@external
def join(run_id: uint256, joinings: DynArray[Joining, 16]):
    """
    @notice Take in owners who agreed, until the run is finished. Only the opener; members are numbered in this order.
    @param run_id The run.
    @param joinings Each dataset Work with its owner's consent; where the opener is the Work's owner or operator, the
           consent may be empty.
    """
    self._check_opener(run_id)
    assert self.runs[run_id].work_id == 0, "run is finished"
    promised: uint256 = 0
    for member: Member in self.members[run_id]:
        promised += convert(max(member.minimum_share, 1), uint256)
    for joining: Joining in joinings:
        owner: address = staticcall WORKS.ownerOf(joining.work_id)
        for member: Member in self.members[run_id]:
            assert member.work_id != joining.work_id, "joined already"
        if len(joining.consent) == 0:
            assert staticcall WORKS.isAuthorizedOrOwner(msg.sender, joining.work_id), "owner not asked"
        else:
            assert block.timestamp <= joining.deadline, "consent expired"
            digest: bytes32 = eip712._digest(
                eip712._separator(NAME_HASH, VERSION_HASH, self),
                keccak256(
                    abi_encode(CONSENT, run_id, joining.work_id, joining.minimum_share, joining.deadline)
                ),
            )
            assert signatures._signed_by(owner, digest, joining.consent), "consent not signed by the owner"
        promised += convert(max(joining.minimum_share, 1), uint256)
        assert promised <= convert(self.runs[run_id].owners_share, uint256), "minimum shares above the owners' share"
        assert len(self.members[run_id]) < MAXIMUM_MEMBERS, "too many members"
        self.members[run_id].append(Member(work_id=joining.work_id, minimum_share=joining.minimum_share))
        log OwnerJoined(
            run_id=run_id,
            work_id=joining.work_id,
            owner=owner,
            member=len(self.members[run_id]) - 1,
            minimum_share=joining.minimum_share,
        )


@external
def record_round(run_id: uint256, round: uint32, updates: bytes32, model: bytes32, participants: uint256):
    """
    @notice Record a round. Only the opener, rounds strictly in order.
    @param run_id The run.
    @param round Its number, from 1; one more than the last.
    @param updates sha256 over (member as one byte, sha256 of its update) of everyone who took part, in order.
    @param model sha256 of the model after the round.
    @param participants A bit for each member that took part; at least one.
    """
    self._check_opener(run_id)
    run: Run = self.runs[run_id]
    assert run.work_id == 0, "run is finished"
    assert round == run.round + 1, "rounds go in order"
    assert round <= run.rounds, "more rounds than planned"
    assert participants != 0, "nobody took part"
    assert participants >> len(self.members[run_id]) == 0, "participant did not join"
    assert model != empty(bytes32), "no model"
    self.runs[run_id].round = round
    self.runs[run_id].model = model
    if run.participants | participants != run.participants:
        self.runs[run_id].participants = run.participants | participants
    log RoundRecorded(
        run_id=run_id, round=round, updates=updates, model=model, participants=participants
    )


@external
@nonreentrant
def finish(
    run_id: uint256,
    uri: String[2048],
    metadata: DynArray[IWorks.MetadataEntry, 16],
    royalty_bps: uint16,
    permissions: DynArray[Bytes[512], 16],
    root: bytes32,
    parent_proofs: DynArray[ITill.Proof, 16],
    contributions: bytes32,
) -> uint256:
    """
    @notice Publish the model: its parents are exactly the members that took part, in joining order, their shares
            together the owners' share of this run. Deploys its till, writes its root, hands the Work to the opener.
            Only the opener, once, after at least one round.
    @param run_id The run.
    @param uri Where the model's registration file lies.
    @param metadata Key and value pairs of the Work.
    @param royalty_bps What a resale owes, in 1/10,000.
    @param permissions For each parent, in order, its owner's ParentPermission for this contract as Works takes it; empty
           where the parent's rule needs none.
    @param root The till's root.
    @param parent_proofs For each parent, in order, its till's leaf.
    @param contributions Digest of the contributions and how they were computed.
    @return The model's Work.
    """
    self._check_opener(run_id)
    run: Run = self.runs[run_id]
    assert run.work_id == 0, "run is finished"
    assert run.round != 0, "no round yet"

    parents: DynArray[IWorks.Parent, 16] = []
    shares: uint256 = 0
    index: uint256 = 0
    for member: Member in self.members[run_id]:
        if run.participants >> index & 1 == 1:
            position: uint256 = len(parents)
            assert position < len(permissions) and position < len(parent_proofs), "one entry a parent"
            shares += convert(parent_proofs[position].share, uint256)
            parents.append(
                IWorks.Parent(
                    work_id=member.work_id, share=member.minimum_share, permission=permissions[position]
                )
            )
        index += 1
    assert len(permissions) == len(parents) and len(parent_proofs) == len(parents), "one entry a parent"
    assert shares == convert(run.owners_share, uint256), "not the owners' share"

    self.publishing = True
    work_id: uint256 = extcall WORKS.publish(uri, metadata, royalty_bps, parents)
    self.publishing = False
    self.runs[run_id].work_id = work_id
    till: ITill = ITill(extcall WORKS.deploy_till(work_id))
    extcall till.write_root(root, parent_proofs)
    extcall WORKS.transferFrom(self, msg.sender, work_id)
    log RunFinished(
        run_id=run_id, work_id=work_id, model=run.model, contributions=contributions, root=root
    )
    return work_id


@external
@view
def onERC721Received(operator: address, sender: address, token_id: uint256, data: Bytes[1024]) -> bytes4:
    """
    @notice Takes the Work it publishes itself, and nothing else: anything sent here would be lost.
    @param operator Who moves the token; this contract itself.
    @param sender Where it comes from; nowhere, it is new.
    @param token_id The Work.
    @param data Ignored.
    @return 0x150b7a02
    """
    assert self.publishing and msg.sender == WORKS.address, "takes no tokens"
    return RECEIVED


@external
@view
def run(run_id: uint256) -> Run:
    """
    @notice Everything known about a run.
    @param run_id The run; zeros when it was never opened.
    @return See the struct.
    """
    return self.runs[run_id]


@external
@view
def members_of(run_id: uint256) -> DynArray[Member, 16]:
    """
    @notice The dataset Works of a run in joining order.
    @param run_id The run.
    @return At most 16 members; bit i of `participants` is entry i.
    """
    return self.members[run_id]


@external
@view
def eip712Domain() -> (bytes1, String[17], String[1], uint256, address, bytes32, DynArray[uint256, 1]):
    """
    @notice The domain in which consents, offers, updates and models are signed (ERC-5267).
    @return fields, name, version, chainId, verifyingContract, salt, extensions
    """
    return 0x0f, NAME, VERSION, chain.id, self, empty(bytes32), []


@internal
@view
def _check_opener(run_id: uint256):
    assert self.runs[run_id].opener == msg.sender, "only the run's opener"
