# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
"""
@title Payouts to many by one root
@notice A funder pays in a total and the root of a Merkle tree of (index, account, amount); each account gets its amount
        when anyone shows the proof. Every index is paid once. What nobody claimed by the deadline goes back to the
        funder. A fund never pays more than was paid into it, whatever its root says.
        Exactly the total must arrive: a token that takes a fee is refused.
@dev Nobody owns this contract.
"""

import erc20_transfers
import merkle

event Funded:
    fund_id: indexed(uint256)
    funder: indexed(address)
    root: indexed(bytes32)
    token: address
    total: uint256
    deadline: uint64


event Paid:
    fund_id: indexed(uint256)
    index: indexed(uint256)
    account: indexed(address)
    amount: uint256


event Reclaimed:
    fund_id: indexed(uint256)
    amount: uint256


struct Fund:
    funder: address
    token: address
    root: bytes32
    left: uint256
    deadline: uint64  # claims until this second, the remainder goes back afterwards


fund_count: public(uint256)

_funds: HashMap[uint256, Fund]
_paid: HashMap[uint256, HashMap[uint256, uint256]]


@external
@nonreentrant
def fund_payouts(root: bytes32, token: address, total: uint256, deadline: uint64) -> uint256:
    """
    @notice Pay in what a tree of payouts needs.
    @param root The tree's root.
    @param token What is paid; the total must have been approved to this contract.
    @param total The sum of all amounts.
    @param deadline The last second to claim, unix time.
    @return The fund's id.
    """
    assert root != empty(bytes32), "root missing"
    assert token != empty(address), "token missing"
    assert total > 0, "total missing"
    assert convert(deadline, uint256) > block.timestamp, "deadline already past"
    fund_id: uint256 = self.fund_count + 1
    self.fund_count = fund_id
    self._funds[fund_id] = Fund(funder=msg.sender, token=token, root=root, left=total, deadline=deadline)
    erc20_transfers._collect(token, msg.sender, self, total)
    log Funded(fund_id=fund_id, funder=msg.sender, root=root, token=token, total=total, deadline=deadline)
    return fund_id


@external
@nonreentrant
def claim(fund_id: uint256, index: uint256, account: address, amount: uint256, proof: DynArray[bytes32, 64]):
    """
    @notice Pay one leaf of the tree to its account. Anyone may.
    @param fund_id The fund.
    @param index The leaf's index.
    @param account Who is paid.
    @param amount How much.
    @param proof The sibling at every level, from the bottom up.
    """
    found: Fund = self._funds[fund_id]
    assert found.root != empty(bytes32), "no such fund"
    assert block.timestamp <= convert(found.deadline, uint256), "deadline past"
    assert not self._is_paid(fund_id, index), "already paid"
    assert merkle._root(merkle._leaf(index, account, amount), proof) == found.root, "not in the tree"
    assert amount <= found.left, "more than is left in the fund"
    self._paid[fund_id][index // 256] |= 1 << (index % 256)
    self._funds[fund_id].left = found.left - amount
    erc20_transfers._pay(found.token, account, amount)
    log Paid(fund_id=fund_id, index=index, account=account, amount=amount)


@external
@nonreentrant
def reclaim(fund_id: uint256) -> uint256:
    """
    @notice Send what nobody claimed back to the funder, after the deadline. Anyone may.
    @param fund_id The fund.
    @return How much went back.
    """
    found: Fund = self._funds[fund_id]
    assert found.root != empty(bytes32), "no such fund"
    assert block.timestamp > convert(found.deadline, uint256), "still claimable"
    assert found.left > 0, "nothing left"
    self._funds[fund_id].left = 0
    erc20_transfers._pay(found.token, found.funder, found.left)
    log Reclaimed(fund_id=fund_id, amount=found.left)
    return found.left


@external
@view
def fund_of(fund_id: uint256) -> Fund:
    """
    @return The fund as it is now.
    """
    assert fund_id > 0 and fund_id <= self.fund_count, "no such fund"
    return self._funds[fund_id]


@external
@view
def is_paid(fund_id: uint256, index: uint256) -> bool:
    """
    @return Whether this leaf was paid.
    """
    return self._is_paid(fund_id, index)


@internal
@view
def _is_paid(fund_id: uint256, index: uint256) -> bool:
    return (self._paid[fund_id][index // 256] >> (index % 256)) & 1 == 1
