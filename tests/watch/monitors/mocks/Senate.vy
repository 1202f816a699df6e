# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@title A governor that counts what voters hold at the moment, and executes as soon as there are enough votes
"""

interface Token:
    def balanceOf(holder: address) -> uint256: view


event ProposalCreated:
    proposalId: uint256
    proposer: address
    targets: DynArray[address, 4]
    amounts: DynArray[uint256, 4]
    signatures: DynArray[String[32], 4]
    calldatas: DynArray[Bytes[256], 4]
    voteStart: uint256
    voteEnd: uint256
    description: String[64]


event VoteCast:
    voter: indexed(address)
    proposalId: uint256
    support: uint8
    weight: uint256
    reason: String[32]


event ProposalExecuted:
    proposalId: uint256


token: public(address)
needed: uint256
votes: public(HashMap[uint256, uint256])
targets: HashMap[uint256, address]
requests: HashMap[uint256, Bytes[256]]


@deploy
def __init__(token: address, needed: uint256):
    """
    @param token What votes.
    @param needed How much of it passes a proposal.
    """
    self.token = token
    self.needed = needed


@external
def propose(number: uint256, target: address, request: Bytes[256]):
    """
    @notice Make a proposal.
    @param number Its name.
    @param target What it calls.
    @param request With what.
    """
    self.targets[number] = target
    self.requests[number] = request
    log ProposalCreated(
        proposalId=number,
        proposer=msg.sender,
        targets=[target],
        amounts=[0],
        signatures=[""],
        calldatas=[request],
        voteStart=block.timestamp,
        voteEnd=block.timestamp,
        description="",
    )


@external
def vote(number: uint256):
    """
    @notice Vote for a proposal with all that one holds now.
    @param number Which.
    """
    weight: uint256 = staticcall Token(self.token).balanceOf(msg.sender)
    self.votes[number] += weight
    log VoteCast(voter=msg.sender, proposalId=number, support=1, weight=weight, reason="")


@external
def execute(number: uint256):
    """
    @notice Do what a proposal says.
    @param number Which.
    """
    assert self.votes[number] >= self.needed, "not enough votes"
    raw_call(self.targets[number], self.requests[number])
    log ProposalExecuted(proposalId=number)
