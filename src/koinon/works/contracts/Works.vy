# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
"""
@title Works
@notice The register of everything of value made by or for AI: a Work has an owner (ERC-721), a registration
        file and metadata (the ERC-8004 Identity Registry's ABI, exact), parents that were asked, a fixed
        royalty, and an address of its own where its income arrives (its till). Nobody owns this contract; it
        cannot be paused or upgraded.
@dev Differs from the ERC-8004 reference in what it must: ids start at 1, strings are bounded (URI 2,048
     bytes, metadata key 64, value 4,096, 16 entries at registration), and the receiver is told after
     everything is written.
@custom:source ERC-8004, ERC-721, ERC-2981, ERC-4906, ERC-5267
"""

from ethereum.ercs import IERC165
from . import eip712
from . import erc721
from . import signatures

implements: IERC165
initializes: erc721
exports: (
    erc721.balanceOf,
    erc721.ownerOf,
    erc721.getApproved,
    erc721.isApprovedForAll,
    erc721.tokenURI,
    erc721.approve,
    erc721.setApprovalForAll,
)


interface Registry:
    def ownerOf(agent_id: uint256) -> address: view


struct MetadataEntry:
    metadataKey: String[64]
    metadataValue: Bytes[4096]


struct Parent:
    work_id: uint256
    share: uint64  # the least part, in 1e-9 of all income, that the child promises this parent
    permission: Bytes[512]  # empty, or the deadline (32 bytes) and the parent owner's signature


struct ParentShare:
    work_id: uint256
    minimum_share: uint64


struct ParentRule:
    mode: uint8
    minimum_share: uint64


struct Agent:
    registry: address
    agent_id: uint256


event Registered:
    agentId: indexed(uint256)
    agentURI: String[2048]
    owner: indexed(address)


event MetadataSet:
    agentId: indexed(uint256)
    indexedMetadataKey: indexed(String[64])
    metadataKey: String[64]
    metadataValue: Bytes[4096]


event URIUpdated:
    agentId: indexed(uint256)
    newURI: String[2048]
    updatedBy: indexed(address)


event RoyaltyFixed:
    work_id: indexed(uint256)
    royalty_bps: uint16


event ParentDeclared:
    child: indexed(uint256)
    parent: indexed(uint256)
    minimum_share: uint64


event ParentRuleSet:
    work_id: indexed(uint256)
    mode: uint8
    minimum_share: uint64


event TillDeployed:
    work_id: indexed(uint256)
    till: indexed(address)


event AgentBound:
    work_id: indexed(uint256)
    registry: indexed(address)
    agent_id: indexed(uint256)


name: public(constant(String[12])) = "Koinon Works"
symbol: public(constant(String[4])) = "WORK"

SIGNED: constant(uint8) = 0  # the parent's owner or operator, or who brings the owner's signature
OPEN: constant(uint8) = 1  # anyone who promises at least the minimum share
CLOSED: constant(uint8) = 2  # nobody

WHOLE: constant(uint256) = 1_000_000_000
PRICE_BASE: constant(uint256) = 10_000
DOMAIN_NAME: constant(String[23]) = "ERC8004IdentityRegistry"
DOMAIN_VERSION: constant(String[1]) = "1"
NAME_HASH: constant(bytes32) = keccak256(DOMAIN_NAME)
VERSION_HASH: constant(bytes32) = keccak256(DOMAIN_VERSION)
WALLET_KEY: constant(String[11]) = "agentWallet"
WALLET_KEY_HASH: constant(bytes32) = keccak256(WALLET_KEY)
MAX_DEADLINE_DELAY: constant(uint256) = 300
AGENT_WALLET_SET: constant(bytes32) = keccak256(
    "AgentWalletSet(uint256 agentId,address newWallet,address owner,uint256 deadline)"
)
PARENT_PERMISSION: constant(bytes32) = keccak256(
    "ParentPermission(uint256 parentId,address publisher,uint64 minimumShare,uint256 deadline)"
)
INTERFACES: constant(bytes4[5]) = [
    0x01ffc9a7,  # ERC-165
    0x80ac58cd,  # ERC-721
    0x5b5e139f,  # ERC-721 metadata
    0x2a55205a,  # ERC-2981
    0x49064906,  # ERC-4906
]

TILL_IMPLEMENTATION: public(immutable(address))
HOME_CHAIN: immutable(uint256)  # tills keep their addresses when a fork takes another chain id

total: public(uint256)  # how many Works there are; also the newest id
wallets: HashMap[uint256, address]
metadata: HashMap[uint256, HashMap[String[64], Bytes[4096]]]
royalties: HashMap[uint256, uint16]
rules: HashMap[uint256, ParentRule]
parents: HashMap[uint256, DynArray[uint256, 16]]  # work id << 64 | least share
agents: HashMap[uint256, Agent]


@deploy
def __init__(till_implementation: address):
    """
    @notice Opens the register.
    @param till_implementation The code that every till runs; must be deployed.
    """
    assert till_implementation.codesize != 0, "no till implementation"
    TILL_IMPLEMENTATION = till_implementation
    HOME_CHAIN = chain.id


# ---------------------------------------------------------------- publishing


@external
def register(agentURI: String[2048] = "", metadata: DynArray[MetadataEntry, 16] = []) -> uint256:
    """
    @notice Register a Work without parents and without a royalty; three overloads, as ERC-8004 has them.
    @param agentURI Where its registration file lies.
    @param metadata Key and value pairs; the key "agentWallet" is reserved.
    @return The new id. The caller owns it and is its agent wallet.
    """
    work_id: uint256 = self._create(agentURI)
    for entry: MetadataEntry in metadata:
        self._write_metadata(work_id, entry.metadataKey, entry.metadataValue)
    erc721._tell_receiver(msg.sender, empty(address), msg.sender, work_id, b"")
    return work_id


@external
def publish(
    agentURI: String[2048],
    metadata: DynArray[MetadataEntry, 16],
    royalty_bps: uint16,
    parents: DynArray[Parent, 16],
) -> uint256:
    """
    @notice Register a Work with the Works it was made from and a royalty, both fixed for ever.
    @param agentURI Where its registration file lies.
    @param metadata Key and value pairs; the key "agentWallet" is reserved.
    @param royalty_bps What `royaltyInfo` asks of a resale, in 1/10,000 of the price.
    @param parents Each parent with the least share promised to it (together at most 1e9, none twice) and,
           where its rule needs one, its owner's permission.
    @return The new id. The caller owns it and is its agent wallet.
    """
    assert convert(royalty_bps, uint256) <= PRICE_BASE, "royalty above price"
    work_id: uint256 = self._create(agentURI)
    for entry: MetadataEntry in metadata:
        self._write_metadata(work_id, entry.metadataKey, entry.metadataValue)
    if royalty_bps != 0:
        self.royalties[work_id] = royalty_bps
        log RoyaltyFixed(work_id=work_id, royalty_bps=royalty_bps)
    promised: uint256 = 0
    for parent: Parent in parents:
        assert parent.work_id < work_id, "parent is not older"
        self._admit(parent.work_id, parent.share, parent.permission)
        # A parent always has a leaf of at least one unit.
        promised += max(convert(parent.share, uint256), 1)
        assert promised <= WHOLE, "parents above the whole"
        for earlier: uint256 in self.parents[work_id]:
            assert earlier >> 64 != parent.work_id, "parent named twice"
        self.parents[work_id].append(parent.work_id << 64 | convert(parent.share, uint256))
        log ParentDeclared(child=work_id, parent=parent.work_id, minimum_share=parent.share)
    erc721._tell_receiver(msg.sender, empty(address), msg.sender, work_id, b"")
    return work_id


@external
def set_parent_rule(work_id: uint256, mode: uint8, minimum_share: uint64):
    """
    @notice Who may name this Work as a parent from now on; children already published keep what they
            promised.
    @param work_id The Work; the caller is authorised for it.
    @param mode 0 SIGNED: its owner or operator, or who brings the owner's signature. 1 OPEN: also anyone who
           promises at least `minimum_share`. 2 CLOSED: nobody; this also stops permissions that were signed.
    @param minimum_share In 1e-9 of all income; only OPEN uses it.
    """
    self._check_authorized(work_id)
    assert mode <= CLOSED, "no such mode"
    assert convert(minimum_share, uint256) <= WHOLE, "share above the whole"
    self.rules[work_id] = ParentRule(mode=mode, minimum_share=minimum_share)
    log ParentRuleSet(work_id=work_id, mode=mode, minimum_share=minimum_share)


@external
@view
def parent_rule(work_id: uint256) -> ParentRule:
    """
    @notice Who may name this Work as a parent.
    @param work_id The Work.
    @return mode and minimum_share as in `set_parent_rule`.
    """
    return self.rules[work_id]


@external
@view
def parents_of(work_id: uint256) -> DynArray[ParentShare, 16]:
    """
    @notice The Works it was made from, with the least share each was promised.
    @param work_id The Work.
    @return At most 16 pairs, in the order they were declared.
    """
    answer: DynArray[ParentShare, 16] = []
    for packed: uint256 in self.parents[work_id]:
        answer.append(
            ParentShare(
                work_id=packed >> 64,
                minimum_share=convert(packed & convert(max_value(uint64), uint256), uint64),
            )
        )
    return answer


# ---------------------------------------------------------------- the till


@external
@view
def till_of(work_id: uint256) -> address:
    """
    @notice The address where this Work's income arrives. It can be paid before the till is deployed.
    @param work_id The Work; must exist (ERC721NonexistentToken).
    @return The address.
    """
    erc721._existing_owner(work_id)
    return self._till_address(self._till_code(work_id))


@external
def deploy_till(work_id: uint256) -> address:
    """
    @notice Put the till's code where `till_of` says. Anyone may; a second time changes nothing.
    @param work_id The Work; must exist (ERC721NonexistentToken).
    @return The till.
    """
    erc721._existing_owner(work_id)
    code: Bytes[157] = self._till_code(work_id)
    till: address = self._till_address(code)
    if till.codesize == 0:
        deployed: address = raw_create(code, salt=empty(bytes32))
        assert deployed == till  # dev: the prediction is the address
        log TillDeployed(work_id=work_id, till=till)
    return till


@external
@view
def royaltyInfo(work_id: uint256, price: uint256) -> (address, uint256):
    """
    @notice What a resale owes, and to whom: the till, so that everyone in the root has a part (ERC-2981).
    @param work_id The Work; must exist (ERC721NonexistentToken).
    @param price The sale's price in any currency.
    @return The till and the amount in the same currency, rounded down.
    """
    erc721._existing_owner(work_id)
    royalty_bps: uint256 = convert(self.royalties[work_id], uint256)
    amount: uint256 = price // PRICE_BASE * royalty_bps + price % PRICE_BASE * royalty_bps // PRICE_BASE
    return self._till_address(self._till_code(work_id)), amount


# ---------------------------------------------------------------- identity (ERC-8004)


@external
@view
def getMetadata(agentId: uint256, metadataKey: String[64]) -> Bytes[4096]:
    """
    @notice What was written under a key; empty when nothing was.
    @param agentId The Work.
    @param metadataKey The key; "agentWallet" answers the wallet's 20 bytes.
    @return The value.
    """
    if keccak256(metadataKey) == WALLET_KEY_HASH:
        return self._wallet_bytes(self.wallets[agentId])
    return self.metadata[agentId][metadataKey]


@external
def setMetadata(agentId: uint256, metadataKey: String[64], metadataValue: Bytes[4096]):
    """
    @notice Write a value under a key.
    @param agentId The Work; the caller is authorised for it.
    @param metadataKey Any key but "agentWallet".
    @param metadataValue The value.
    """
    self._check_authorized(agentId)
    self._write_metadata(agentId, metadataKey, metadataValue)


@external
def setAgentURI(agentId: uint256, newURI: String[2048]):
    """
    @notice Point to another registration file.
    @param agentId The Work; the caller is authorised for it.
    @param newURI Where the file lies.
    """
    self._check_authorized(agentId)
    erc721._set_uri(agentId, newURI)
    log URIUpdated(agentId=agentId, newURI=newURI, updatedBy=msg.sender)


@external
@view
def getAgentWallet(agentId: uint256) -> address:
    """
    @notice The account that the Work is paid at and acts from: its owner at registration, nobody after a
            transfer, or one that proved itself by `setAgentWallet`.
    @param agentId The Work.
    @return The account, or zero.
    """
    return self.wallets[agentId]


@external
def setAgentWallet(agentId: uint256, newWallet: address, deadline: uint256, signature: Bytes[1024]):
    """
    @notice Name an account that agrees to be the Work's wallet.
    @param agentId The Work; the caller is authorised for it.
    @param newWallet The account.
    @param deadline Unix seconds; at most five minutes ahead.
    @param signature The account's own, over AgentWalletSet in this contract's domain: ECDSA or ERC-1271.
    """
    owner: address = erc721._existing_owner(agentId)
    self._check_authorized(agentId)
    assert newWallet != empty(address), "bad wallet"
    assert block.timestamp <= deadline, "expired"
    assert deadline <= block.timestamp + MAX_DEADLINE_DELAY, "deadline too far"
    digest: bytes32 = self._digest(
        keccak256(abi_encode(AGENT_WALLET_SET, agentId, newWallet, owner, deadline))
    )
    assert signatures._signed_by(newWallet, digest, signature), "invalid wallet sig"
    self._write_wallet(agentId, newWallet)


@external
def unsetAgentWallet(agentId: uint256):
    """
    @notice Leave the Work without a wallet.
    @param agentId The Work; the caller is authorised for it.
    """
    self._check_authorized(agentId)
    self._write_wallet(agentId, empty(address))


@external
@view
def isAuthorizedOrOwner(spender: address, agentId: uint256) -> bool:
    """
    @notice Whether `spender` is the owner, the owner's operator or the token's approved account.
    @param spender The account.
    @param agentId The Work; must exist (ERC721NonexistentToken).
    @return True if so.
    """
    return erc721._is_authorized(spender, agentId)


@external
@pure
def getVersion() -> String[5]:
    """
    @notice The version of the ERC-8004 reference whose behaviour this follows.
    @return The version.
    """
    return "2.0.0"


@external
@view
def eip712Domain() -> (bytes1, String[23], String[1], uint256, address, bytes32, DynArray[uint256, 1]):
    """
    @notice The signing domain (ERC-5267): the reference's, so that its clients sign for this registry too.
    @return fields, name, version, chainId, verifyingContract, salt, extensions
    """
    return 0x0f, DOMAIN_NAME, DOMAIN_VERSION, chain.id, self, empty(bytes32), []


@external
def bind_agent(work_id: uint256, registry: address, agent_id: uint256):
    """
    @notice Say which agent of another ERC-8004 registry this Work is. The caller owns both.
    @param work_id The Work.
    @param registry The other registry; zero takes the binding back.
    @param agent_id The agent's id there.
    """
    assert erc721._existing_owner(work_id) == msg.sender, "not the owner"
    if registry == empty(address):
        assert agent_id == 0, "agent without a registry"
    else:
        assert registry != self, "own registry"
        assert staticcall Registry(registry).ownerOf(agent_id) == msg.sender, "not the agent's owner"
    self.agents[work_id] = Agent(registry=registry, agent_id=agent_id)
    log AgentBound(work_id=work_id, registry=registry, agent_id=agent_id)


@external
@view
def agent_of(work_id: uint256) -> (address, uint256):
    """
    @notice The agent of another ERC-8004 registry that this Work was bound to.
    @param work_id The Work.
    @return The registry (zero if none) and the agent's id there.
    """
    agent: Agent = self.agents[work_id]
    return agent.registry, agent.agent_id


# ---------------------------------------------------------------- transfers


@external
def transferFrom(sender: address, to: address, tokenId: uint256):
    """
    @notice Give a Work to another account; its agent wallet is cleared.
    @param sender The owner.
    @param to The new owner.
    @param tokenId The Work; the caller is authorised for it (ERC721InsufficientApproval).
    """
    self._move(sender, to, tokenId)


@external
def safeTransferFrom(sender: address, to: address, tokenId: uint256, data: Bytes[4096] = b""):
    """
    @notice Give a Work to another account and make sure that a contract there knows what it received.
    @param sender The owner.
    @param to The new owner; a contract must answer `onERC721Received` (ERC721InvalidReceiver).
    @param tokenId The Work; the caller is authorised for it (ERC721InsufficientApproval).
    @param data Passed on to the receiver.
    """
    self._move(sender, to, tokenId)
    erc721._tell_receiver(msg.sender, sender, to, tokenId, data)


@external
@view
def supportsInterface(interfaceId: bytes4) -> bool:
    """
    @notice ERC-165: 165, 721 and its metadata, 2981, 4906.
    @param interfaceId The interface asked for.
    @return True if it is one of them.
    """
    return interfaceId in INTERFACES


# ---------------------------------------------------------------- internal


@internal
def _create(uri: String[2048]) -> uint256:
    """
    @dev The next id to the caller, in the reference's order of events.
    """
    work_id: uint256 = self.total + 1
    self.total = work_id
    self.wallets[work_id] = msg.sender
    erc721._mint(msg.sender, work_id)
    if len(uri) != 0:
        erc721._set_uri(work_id, uri)
    log Registered(agentId=work_id, agentURI=uri, owner=msg.sender)
    self._log_wallet(work_id, msg.sender)
    return work_id


@internal
def _move(sender: address, to: address, work_id: uint256):
    """
    @dev A wallet proven to one owner is not the next owner's.
    """
    self._write_wallet(work_id, empty(address))
    erc721._transfer_from(msg.sender, sender, to, work_id)


@internal
def _write_metadata(work_id: uint256, key: String[64], data: Bytes[4096]):
    assert keccak256(key) != WALLET_KEY_HASH, "reserved key"
    self.metadata[work_id][key] = data
    log MetadataSet(agentId=work_id, indexedMetadataKey=key, metadataKey=key, metadataValue=data)


@internal
def _write_wallet(work_id: uint256, wallet: address):
    self.wallets[work_id] = wallet
    self._log_wallet(work_id, wallet)


@internal
def _log_wallet(work_id: uint256, wallet: address):
    log MetadataSet(
        agentId=work_id,
        indexedMetadataKey=WALLET_KEY,
        metadataKey=WALLET_KEY,
        metadataValue=self._wallet_bytes(wallet),
    )


@internal
@pure
def _wallet_bytes(wallet: address) -> Bytes[20]:
    """
    @dev The wallet as metadata: its 20 bytes, or none.
    """
    if wallet == empty(address):
        return b""
    return concat(convert(wallet, bytes20), b"")


@internal
@view
def _check_authorized(work_id: uint256):
    assert erc721._is_authorized(msg.sender, work_id), "Not authorized"


@internal
@view
def _admit(parent_id: uint256, share: uint64, permission: Bytes[512]):
    """
    @dev Whether the caller may name this parent with this share; reverts if not.
    """
    owner: address = erc721._existing_owner(parent_id)
    rule: ParentRule = self.rules[parent_id]
    assert rule.mode != CLOSED, "parent is closed"
    if rule.mode == OPEN and share >= rule.minimum_share:
        return
    if erc721._is_authorized(msg.sender, parent_id):
        return
    assert len(permission) > 32, "parent not asked"
    deadline: uint256 = convert(extract32(permission, 0), uint256)
    assert block.timestamp <= deadline, "permission expired"
    digest: bytes32 = self._digest(
        keccak256(abi_encode(PARENT_PERMISSION, parent_id, msg.sender, share, deadline))
    )
    signature: Bytes[512] = slice(permission, 32, len(permission) - 32)
    assert signatures._signed_by(owner, digest, signature), "permission not signed by the parent's owner"


@internal
@view
def _digest(struct_hash: bytes32) -> bytes32:
    return eip712._digest(eip712._separator(NAME_HASH, VERSION_HASH, self), struct_hash)


@internal
@view
def _till_code(work_id: uint256) -> Bytes[157]:
    """
    @dev Init code (10 bytes), then the till's code: six bytes that accept plain ETH and stop, the ERC-1167
         proxy with its jump moved by six, and who the till is: chain id, registry, work id.
    """
    return concat(
        x"3d609380600a3d3981f3",
        x"36600557005b",
        x"363d3d373d3d3d363d73",
        convert(TILL_IMPLEMENTATION, bytes20),
        x"5af43d82803e903d91603157fd5bf3",
        convert(HOME_CHAIN, bytes32),
        convert(convert(self, uint256), bytes32),
        convert(work_id, bytes32),
    )


@internal
@view
def _till_address(code: Bytes[157]) -> address:
    """
    @dev EIP-1014 with a zero salt: the code already says whose till it is.
    """
    return convert(
        convert(
            keccak256(concat(x"ff", convert(self, bytes20), empty(bytes32), keccak256(code))),
            uint256,
        ) & convert(max_value(uint160), uint256),
        address,
    )
