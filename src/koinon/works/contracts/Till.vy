# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
"""
@title Till
@notice A Work's own address. Whatever ERC-20 or ETH arrives here, from anyone and by any route, is the Work's
        income and belongs to those in its root: a write-once Merkle-sum tree of (payee, share in 1e-9).
        Anyone may release what a payee is due; each release pays that payee alone, so a token that lies or a
        payee that refuses harms nobody else.
@dev Runs by delegatecall from clones whose code ends with (chain id, registry, work id). The clones accept
     plain ETH themselves. A payee is an account, a parent's till, or zero: whoever owns the Work when it is
     released. Leaf: keccak256(0x00, payee, share); node: keccak256(0x01, left hash, left sum, right hash,
     right sum), sums and shares as 8 bytes. Two addresses of one and the same ledger (a token with two entry
     points) are two tokens here.
@custom:source ERC-1271, ERC-8004 (setAgentWallet)
"""

from ethereum.ercs import IERC20
from interfaces import IERC1271
from interfaces import IWorks
from . import eip712

implements: IERC1271


struct ProofNode:
    hash: bytes32
    sum: uint64
    left: bool  # this sibling stands on the left


struct Proof:
    share: uint64
    nodes: DynArray[ProofNode, 32]


event RootWritten:
    root: bytes32


event Released:
    token: indexed(address)
    payee: indexed(address)
    receiver: indexed(address)
    amount: uint256


WHOLE: constant(uint256) = 1_000_000_000
OWNER: constant(address) = empty(address)
NATIVE: constant(address) = empty(address)
FOOTER_START: constant(uint256) = 51
NAME_HASH: constant(bytes32) = keccak256("ERC8004IdentityRegistry")
VERSION_HASH: constant(bytes32) = keccak256("1")
AGENT_WALLET_SET: constant(bytes32) = keccak256(
    "AgentWalletSet(uint256 agentId,address newWallet,address owner,uint256 deadline)"
)
VALID: constant(bytes4) = 0x1626ba7e
INVALID: constant(bytes4) = 0xffffffff

IMPLEMENTATION: immutable(address)

root: public(bytes32)
claimed: public(HashMap[address, HashMap[address, uint256]])  # token -> payee -> amount
released: public(HashMap[address, uint256])  # token -> amount


@deploy
def __init__():
    """
    @notice The code that clones run; on its own address it does nothing.
    """
    IMPLEMENTATION = self


@external
@view
def work() -> (uint256, address, uint256):
    """
    @notice Whose till this is.
    @return Chain id, registry (Works), work id.
    """
    return self._work()


@external
@nonreentrant
def write_root(root: bytes32, parent_proofs: DynArray[Proof, 16]):
    """
    @notice Say once and for ever who shares in this Work's income. Before the first release, by the Work's
            owner or operator.
    @param root The Merkle-sum root, whose sum is 1e9.
    @param parent_proofs For each declared parent, in order, that its till has a leaf of at least what was
           promised.
    """
    registry: address = empty(address)
    work_id: uint256 = 0
    registry, work_id = self._authorized_work()
    assert self.root == empty(bytes32), "root already written"
    assert root != empty(bytes32), "empty root"
    parents: DynArray[IWorks.ParentShare, 16] = staticcall IWorks(registry).parents_of(work_id)
    assert len(parent_proofs) == len(parents), "one proof a parent"
    index: uint256 = 0
    for proof: Proof in parent_proofs:
        parent: IWorks.ParentShare = parents[index]
        assert proof.share != 0 and proof.share >= parent.minimum_share, "share below the promise"
        till: address = staticcall IWorks(registry).till_of(parent.work_id)
        assert self._root_of(till, proof.share, proof.nodes) == root, "proof does not fit the root"
        index += 1
    self._write_root(root)


@external
@nonreentrant
def release(token: address, payee: address, share: uint64, nodes: DynArray[ProofNode, 32]) -> uint256:
    """
    @notice Pay a payee what it is due in one token. Anyone may; for the owner's part only the owner or
            operator. A Work without parents and without a root belongs to its owner: the first release by its
            owner writes that.
    @param token An ERC-20, or zero for ETH.
    @param payee Who is in the root; zero for the Work's owner.
    @param share Its share in 1e-9.
    @param nodes Its proof, from the leaf's sibling upwards.
    @return What was paid: min(due, balance); zero changes nothing.
    """
    receiver: address = payee
    registry: address = empty(address)
    work_id: uint256 = 0
    if payee == OWNER:
        registry, work_id = self._authorized_work()
        receiver = staticcall IWorks(registry).ownerOf(work_id)
    computed: bytes32 = self._root_of(payee, share, nodes)
    first: bool = self.root == empty(bytes32)
    if first:
        assert payee == OWNER and convert(share, uint256) == WHOLE and len(nodes) == 0, "no root yet"
        assert len(staticcall IWorks(registry).parents_of(work_id)) == 0, "parents need a root"
    else:
        assert computed == self.root, "proof does not fit the root"

    balance: uint256 = self._balance(token)
    amount: uint256 = self._due(token, payee, share, balance)
    if amount == 0:
        return 0
    if first:
        self._write_root(computed)
    already: uint256 = self.claimed[token][payee]
    self.claimed[token][payee] = already + amount
    self.released[token] += amount
    if token == NATIVE:
        raw_call(receiver, b"", value=amount)
    else:
        assert extcall IERC20(token).transfer(receiver, amount, default_return_value=True), "transfer refused"
        # A token that takes its fee from the sender takes it from the part of this payee, not of the others.
        left: uint256 = self._balance(token)
        if left < balance and balance - left > amount:
            fee: uint256 = balance - left - amount
            self.claimed[token][payee] += fee
            self.released[token] += fee
    log Released(token=token, payee=payee, receiver=receiver, amount=amount)
    return amount


@external
@view
@nonreentrant
def due(token: address, payee: address, share: uint64) -> uint256:
    """
    @notice What a release would pay now, if `share` is what the root says.
    @param token An ERC-20, or zero for ETH.
    @param payee The payee; zero for the owner's part.
    @param share Its share in 1e-9.
    @return min(due, balance) in the token's smallest unit.
    """
    assert convert(share, uint256) <= WHOLE, "share above the whole"
    return self._due(token, payee, share, self._balance(token))


@external
@view
def isValidSignature(digest: bytes32, signature: Bytes[1024]) -> bytes4:
    """
    @notice Agrees to be its own Work's ERC-8004 agent wallet, in Works or in the registry the Work is bound
            to, and to nothing else.
    @param digest What is to be signed.
    @param signature abi.encode(registry, owner, deadline): the rest of the message, so that it can be
           computed again.
    @return 0x1626ba7e if it agrees, 0xffffffff otherwise.
    """
    if len(signature) != 96:
        return INVALID
    claimed_registry: address = empty(address)
    owner: address = empty(address)
    deadline: uint256 = 0
    claimed_registry, owner, deadline = abi_decode(slice(signature, 0, 96), (address, address, uint256))
    chain_id: uint256 = 0
    registry: address = empty(address)
    agent_id: uint256 = 0
    chain_id, registry, agent_id = self._work()
    if claimed_registry != registry:
        registry, agent_id = staticcall IWorks(registry).agent_of(agent_id)
    if claimed_registry == empty(address) or claimed_registry != registry:
        return INVALID
    expected: bytes32 = eip712._digest(
        eip712._separator(NAME_HASH, VERSION_HASH, registry),
        keccak256(abi_encode(AGENT_WALLET_SET, agent_id, self, owner, deadline)),
    )
    return VALID if digest == expected else INVALID


# ---------------------------------------------------------------- internal


@internal
@view
def _work() -> (uint256, address, uint256):
    """
    @dev The words behind the clone's code. `self.code` would be read by CODECOPY, which under delegatecall
         sees the implementation; a variable is read by EXTCODECOPY.
    """
    assert self != IMPLEMENTATION, "not a till"
    me: address = self
    return abi_decode(slice(me.code, FOOTER_START, 96), (uint256, address, uint256))


@internal
@view
def _authorized_work() -> (address, uint256):
    """
    @dev Registry and work id, for the Work's owner and operators only.
    """
    chain_id: uint256 = 0
    registry: address = empty(address)
    work_id: uint256 = 0
    chain_id, registry, work_id = self._work()
    assert staticcall IWorks(registry).isAuthorizedOrOwner(msg.sender, work_id), "Not authorized"
    return registry, work_id


@internal
def _write_root(root: bytes32):
    self.root = root
    log RootWritten(root=root)


@internal
@view
def _balance(token: address) -> uint256:
    if token == NATIVE:
        return self.balance
    return staticcall IERC20(token).balanceOf(self)


@internal
@view
def _due(token: address, payee: address, share: uint64, balance: uint256) -> uint256:
    """
    @dev min(share of everything that ever arrived - claimed, balance); zero where a lying balance fell. The
         product is split so that it is exact and cannot overflow.
    """
    received: uint256 = balance + self.released[token]
    part: uint256 = convert(share, uint256)
    entitled: uint256 = received // WHOLE * part + received % WHOLE * part // WHOLE
    already: uint256 = self.claimed[token][payee]
    if entitled <= already:
        return 0
    return min(entitled - already, balance)


@internal
@pure
def _root_of(payee: address, share: uint64, nodes: DynArray[ProofNode, 32]) -> bytes32:
    """
    @dev The root this leaf and these siblings lead to. Every node commits the sums of both its children, so
         the verifiable leaves of one root never add up to more than the whole.
    """
    computed: bytes32 = keccak256(concat(x"00", convert(payee, bytes20), convert(share, bytes8)))
    sum: uint256 = convert(share, uint256)
    for node: ProofNode in nodes:
        mine: bytes8 = convert(convert(sum, uint64), bytes8)
        other: bytes8 = convert(node.sum, bytes8)
        if node.left:
            computed = keccak256(concat(x"01", node.hash, other, computed, mine))
        else:
            computed = keccak256(concat(x"01", computed, mine, node.hash, other))
        sum += convert(node.sum, uint256)
        assert sum <= WHOLE, "sum is not the whole"
    assert sum == WHOLE, "sum is not the whole"
    return computed
