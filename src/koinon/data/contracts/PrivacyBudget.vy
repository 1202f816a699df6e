# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
"""
@title Privacy budgets of datasets
@notice How much may ever be learnt from a dataset, and how much was: a total epsilon for each Work, and a public entry for
        every job that spends of it. Whoever is in the data sees both.
        - The first total is set at once; a higher one waits a week in public, and can be taken back until then. A lower
          one counts at once.
        - Nothing is ever spent above the total, no job spends twice, and what is spent never comes back.
        - The owner can name the accounts that run the dataset's nodes; they may spend, and set no total. Names are the
          owner's, and lapse when the Work changes hands.
        Epsilon is counted in millionths and summed (basic composition).
@dev Nobody owns this contract. It holds no money.
@custom:source Dwork and Roth, The Algorithmic Foundations of Differential Privacy, theorem 3.16
"""

from koinon.works.contracts.interfaces import IWorks

event TotalSet:
    work_id: indexed(uint256)
    total: uint64


event RaiseAnnounced:
    work_id: indexed(uint256)
    total: uint64
    from_second: uint64


event Spent:
    work_id: indexed(uint256)
    job: indexed(bytes32)
    operator: indexed(address)
    epsilon_micro: uint64
    spent: uint64


event OperatorNamed:
    work_id: indexed(uint256)
    owner: indexed(address)
    operator: indexed(address)
    named: bool


struct Budget:
    total: uint64  # in 1e-6
    spent: uint64  # in 1e-6, never above the total
    announced: uint64  # a higher total that waits; 0 for none
    from_second: uint64  # from when it can be put in force
    opened: bool  # whether a total was ever set


# Seconds that a higher total waits.
DELAY: public(constant(uint64)) = 604_800

WORKS: immutable(IWorks)

_budgets: HashMap[uint256, Budget]
_spent_by: HashMap[uint256, HashMap[bytes32, uint64]]
_named: HashMap[uint256, HashMap[address, HashMap[address, bool]]]


@deploy
def __init__(works: address):
    """
    @param works The register whose Works these budgets are for.
    """
    assert works != empty(address), "works missing"
    WORKS = IWorks(works)


# --- the owner's part ------------------------------------------------------------------------------------------------


@external
def set_total(work_id: uint256, total: uint64):
    """
    @notice Set the first total, or a lower one: at once. Set a higher one: it is announced and waits. Every call takes back
            what was announced before.
    @param work_id The Work; the caller must be its owner or operator.
    @param total Epsilon in all, in 1e-6; not below what is spent.
    """
    self._authorize(work_id)
    budget: Budget = self._budgets[work_id]
    assert total >= budget.spent, "less than is spent"
    if budget.opened and total > budget.total:
        from_second: uint64 = convert(block.timestamp, uint64) + DELAY
        self._budgets[work_id].announced = total
        self._budgets[work_id].from_second = from_second
        log RaiseAnnounced(work_id=work_id, total=total, from_second=from_second)
        return
    self._budgets[work_id] = Budget(total=total, spent=budget.spent, announced=0, from_second=0, opened=True)
    log TotalSet(work_id=work_id, total=total)


@external
def raise_total(work_id: uint256):
    """
    @notice Put an announced total in force, once it has waited.
    @param work_id The Work; the caller must be its owner or operator.
    """
    self._authorize(work_id)
    budget: Budget = self._budgets[work_id]
    assert budget.announced != 0, "nothing announced"
    assert block.timestamp >= convert(budget.from_second, uint256), "announced too recently"
    self._budgets[work_id] = Budget(
        total=budget.announced, spent=budget.spent, announced=0, from_second=0, opened=True
    )
    log TotalSet(work_id=work_id, total=budget.announced)


@external
def name_operator(work_id: uint256, operator: address, named: bool):
    """
    @notice Let an account run a node of the dataset, or no longer.
    @param work_id The Work; the caller must be its owner or operator.
    @param operator The node's account.
    @param named Whether it may act.
    """
    self._authorize(work_id)
    owner: address = staticcall WORKS.ownerOf(work_id)
    self._named[work_id][owner][operator] = named
    log OperatorNamed(work_id=work_id, owner=owner, operator=operator, named=named)


# --- the node's part -------------------------------------------------------------------------------------------------


@external
def spend(work_id: uint256, job: bytes32, epsilon_micro: uint64):
    """
    @notice Enter what a job spends, before anything of its result leaves.
    @param work_id The Work; the caller must be its owner, an operator or a named account.
    @param job What the result is for; each can spend once.
    @param epsilon_micro Epsilon in 1e-6, more than 0.
    """
    assert self._may_act(work_id, msg.sender), "only the owner or a named operator"
    assert epsilon_micro > 0, "nothing to spend"
    assert self._spent_by[work_id][job] == 0, "job already spent"
    budget: Budget = self._budgets[work_id]
    assert epsilon_micro <= budget.total - budget.spent, "budget exhausted"
    spent: uint64 = budget.spent + epsilon_micro
    self._budgets[work_id].spent = spent
    self._spent_by[work_id][job] = epsilon_micro
    log Spent(work_id=work_id, job=job, operator=msg.sender, epsilon_micro=epsilon_micro, spent=spent)


# --- reading ---------------------------------------------------------------------------------------------------------


@external
@view
def budget_of(work_id: uint256) -> Budget:
    """
    @return The budget as it is now; all zero where none was set.
    """
    return self._budgets[work_id]


@external
@view
def spent_by(work_id: uint256, job: bytes32) -> uint64:
    """
    @return What a job has spent, in 1e-6; 0 for nothing.
    """
    return self._spent_by[work_id][job]


@external
@view
def may_act(work_id: uint256, account: address) -> bool:
    """
    @return Whether an account may run the dataset's node: the present owner, its operator, or an account it has named.
    """
    return self._may_act(work_id, account)


@external
@view
def works() -> address:
    """
    @return The register whose Works these budgets are for.
    """
    return WORKS.address


# --- inside ----------------------------------------------------------------------------------------------------------


@internal
@view
def _authorize(work_id: uint256):
    assert staticcall WORKS.isAuthorizedOrOwner(msg.sender, work_id), "only the owner or an operator"


@internal
@view
def _may_act(work_id: uint256, account: address) -> bool:
    if staticcall WORKS.isAuthorizedOrOwner(account, work_id):
        return True
    return self._named[work_id][staticcall WORKS.ownerOf(work_id)][account]
