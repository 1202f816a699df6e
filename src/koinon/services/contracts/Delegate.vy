# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
"""
@title Delegate
@license Apache-2.0
@author Koinon
@notice What an account with a key delegates to (EIP-7702) so that programs may act for it within limits. The account's
        own key does everything by `execute` (ERC-7821). It grants session keys: until when, which functions of which
        contracts, and how much of which tokens in all, a call and a day. It takes one back, or all at once, in one
        transaction.
        A session's spending is measured by what the account has before and after, so whatever a granted function does
        counts; a plain transfer counts in full, whatever comes in meanwhile. Giving allowances is never granted: they would be spent later, unmeasured. Nor is calling the account
        itself, nor signing for it (ERC-1271): only the account's own key signs. So a session key may be the
        payerAuthorizer of a payment channel, bounded by what lies in the channel, but never authorizes a deposit.
@dev    This code runs in the account, and so does its storage. Accounts change delegates, and other delegates write to
        low slots, so everything here begins at a slot derived from a name, as ERC-7201 does. There is no constructor and
        nothing to initialise: until the account itself grants something, nobody else can do anything.
        Signatures name chain and account, so they are worth nothing on another chain or for another account; nonces are
        never set back, not even when a key is granted again.
@custom:source EIP-7702, ERC-7821, ERC-7201, ERC-1271, EIP-712
"""

from koinon.works.contracts import eip712
from koinon.works.contracts import signatures


struct Call:
    to: address  # zero for the account itself
    amount: uint256  # ETH in wei
    data: Bytes[1024]


struct Permission:
    target: address
    selector: bytes4  # zero for a plain transfer of ETH


struct Limit:
    token: address  # zero for ETH
    per_call: uint256
    per_day: uint256
    total: uint256


struct Spending:
    limit: Limit
    spent: uint256
    day: uint256  # days since 1970, UTC
    spent_today: uint256


struct Session:
    until: uint64
    serial: uint64  # counts the grants to this key; what was granted is kept under it
    epoch: uint256


interface Token:
    def balanceOf(holder: address) -> uint256: view


event SessionGranted:
    key: indexed(address)
    until: uint64
    serial: uint64


event SessionRevoked:
    key: indexed(address)


event AllRevoked:
    epoch: uint256


event SessionSpent:
    key: indexed(address)
    token: indexed(address)
    amount: uint256


NAME_HASH: constant(bytes32) = keccak256("Koinon Delegate")
VERSION_HASH: constant(bytes32) = keccak256("1")
CALL_TYPE_HASH: constant(bytes32) = keccak256("Call(address to,uint256 value,bytes data)")
SESSION_TYPE_HASH: constant(bytes32) = keccak256(
    "SessionCalls(address key,Call[] calls,uint256 nonce,uint256 deadline)Call(address to,uint256 value,bytes data)"
)
DAY_S: constant(uint256) = 86_400
MODE_WITH_DATA: constant(uint256) = 2_015_428_609  # 0x78210001
NOT_SIGNED: constant(bytes4) = 0xffffffff

ALLOWING: constant(bytes4[13]) = [
    0x095ea7b3,  # approve(address,uint256)
    0x39509351,  # increaseAllowance(address,uint256)
    0xd73dd623,  # increaseApproval(address,uint256)
    0xa22cb465,  # setApprovalForAll(address,bool)
    0x87517c45,  # approve(address,address,uint160,uint48)
    0x959b8c3f,  # authorizeOperator(address)
    0x558a7297,  # setOperator(address,bool)
    0x426a8493,  # approve(address,uint256,uint256)
    0x3177029f,  # approveAndCall(address,uint256)
    0xcae9ca51,  # approveAndCall(address,uint256,bytes)
    0xac9650d8,  # multicall(bytes[]), which may hold any of them
    0x5ae401dc,  # multicall(uint256,bytes[])
    0x1f0464d1,  # multicall(bytes32,bytes[])
]
SENDING: constant(bytes4[5]) = [
    0xa9059cbb,  # transfer(address,uint256)
    0x1296ee62,  # transferAndCall(address,uint256)
    0x4000aea0,  # transferAndCall(address,uint256,bytes)
    0x9bd9bbc6,  # send(address,uint256,bytes)
    0x9dc29fac,  # burn(address,uint256)
]
MOVING: constant(bytes4[6]) = [
    0x23b872dd,  # transferFrom(address,address,uint256)
    0xd8fbe994,  # transferFromAndCall(address,address,uint256)
    0xc1d34b89,  # transferFromAndCall(address,address,uint256,bytes)
    0x42842e0e,  # safeTransferFrom(address,address,uint256)
    0xb88d4fde,  # safeTransferFrom(address,address,uint256,bytes)
    0x42966c68,  # burn(uint256)
]

# Moves everything below to keccak256(abi.encode(uint256(keccak256("koinon.delegate.1")) - 1)) & ~0xff.
_others: uint256[31827241290076748478198078879271365110382680561639650136056659652019825129984]

epoch: public(uint256)
nonces: public(HashMap[address, uint256])
_sessions: HashMap[address, Session]
_granted: HashMap[bytes32, bool]
_tokens: HashMap[bytes32, DynArray[address, 4]]
_spending: HashMap[bytes32, HashMap[address, Spending]]


@external
@payable
def __default__():
    """
    @notice Take plain ETH, as an account without code does.
    """
    assert len(msg.data) == 0, "no such function"


@external
@payable
@nonreentrant
def execute(mode: bytes32, executionData: Bytes[12288]):
    """
    @notice Make calls from the account, all or none of them (ERC-7821). The account itself may make any; a session key
            those granted to it, in a transaction of its own or, in the second mode, by a signature that anyone sends.
    @param mode Two are taken: 0x01000000000000000000, and 0x01000000000078210001 where opData may follow.
    @param executionData abi.encode(Call[]) or abi.encode(Call[], bytes opData), with Call = (address to, uint256 value,
           bytes data), at most 8 of them. opData is empty, or abi.encode(address key, uint256 deadline, bytes signature).
    """
    kind: uint256 = self._kind(mode)
    assert kind != 0, "mode not supported"
    calls: DynArray[Call, 8] = []
    op_data: Bytes[320] = b""
    if kind == 2 and convert(slice(executionData, 0, 32), uint256) == 64:
        calls, op_data = abi_decode(executionData, (DynArray[Call, 8], Bytes[320]))
    else:
        calls = abi_decode(executionData, (DynArray[Call, 8]))
    key: address = msg.sender
    if len(op_data) > 0:
        key = self._signer(calls, op_data)
    if key == self:
        for each: Call in calls:
            to: address = each.to if each.to != empty(address) else self
            raw_call(to, each.data, value=each.amount)
    else:
        self._run_session(key, calls)


@external
def grant(key: address, until: uint64, permissions: DynArray[Permission, 16], limits: DynArray[Limit, 4]):
    """
    @notice Let a key act for the account; what it was granted before is taken back. Only the account itself.
    @param key The session key.
    @param until The last second, unix time.
    @param permissions Which functions of which contracts; never this account's, and none that gives an allowance.
    @param limits How much of which tokens; a token's own transfers, and ETH, need one.
    """
    assert msg.sender == self, "only the account"
    assert key != empty(address) and key != self, "no such key"
    assert convert(until, uint256) > block.timestamp, "already over"
    assert len(permissions) > 0, "nothing granted"
    session: Session = self._sessions[key]
    session = Session(until=until, serial=session.serial + 1, epoch=self.epoch)
    self._sessions[key] = session
    name: bytes32 = self._name(key, session.serial)
    tokens: DynArray[address, 4] = []
    for limit: Limit in limits:
        assert limit.token not in tokens, "token twice"
        assert limit.total > 0, "nothing to spend"
        tokens.append(limit.token)
        self._spending[name][limit.token].limit = limit
    self._tokens[name] = tokens
    for permission: Permission in permissions:
        assert permission.target != empty(address) and permission.target != self, "no such target"
        assert permission.selector not in ALLOWING, "allowances are not granted"
        if permission.selector in SENDING or permission.selector in MOVING:
            assert permission.target in tokens, "no limit on this token"
        self._granted[self._right(name, permission.target, permission.selector)] = True
    log SessionGranted(key=key, until=until, serial=session.serial)


@external
def revoke(key: address):
    """
    @notice Take a key's session back, at once. The account itself, or the key.
    @param key The session key.
    """
    assert msg.sender == self or msg.sender == key, "only the account or the key"
    assert self._sessions[key].until > 0, "no session"
    self._sessions[key].until = 0
    log SessionRevoked(key=key)


@external
def revoke_all():
    """
    @notice Take every session back, at once. Only the account itself.
    """
    assert msg.sender == self, "only the account"
    self.epoch += 1
    log AllRevoked(epoch=self.epoch)


@external
@view
def session_of(key: address) -> (uint64, uint64):
    """
    @param key A session key.
    @return The last second of its session, 0 where it has none now; and how often it was granted one.
    """
    session: Session = self._sessions[key]
    return session.until if self._is_live(session) else 0, session.serial


@external
@view
def is_granted(key: address, target: address, selector: bytes4) -> bool:
    """
    @param key A session key.
    @param target A contract.
    @param selector A function's, or zero for plain ETH.
    @return Whether the key may call it now.
    """
    session: Session = self._sessions[key]
    return self._is_live(session) and self._granted[self._right(self._name(key, session.serial), target, selector)]


@external
@view
def spending_of(key: address, token: address) -> Spending:
    """
    @param key A session key.
    @param token Zero for ETH.
    @return Its limit and what was spent, of its latest session.
    """
    return self._spending[self._name(key, self._sessions[key].serial)][token]


@external
@view
def supportsExecutionMode(mode: bytes32) -> bool:
    """
    @param mode See `execute`.
    @return Whether it is taken (ERC-7821).
    """
    return self._kind(mode) != 0


@external
@view
def isValidSignature(digest: bytes32, signature: Bytes[1024]) -> bytes4:
    """
    @notice ERC-1271: the account's own key signs for it, and no session key.
    @param digest What was signed.
    @param signature r, s, v.
    @return 0x1626ba7e if so, 0xffffffff otherwise.
    """
    return signatures.MAGIC if signatures._recover(digest, signature) == self else NOT_SIGNED


@external
@view
def eip712Domain() -> (bytes1, String[15], String[1], uint256, address, bytes32, DynArray[uint256, 1]):
    """
    @notice ERC-5267: what session calls are signed for, this account on this chain.
    @return fields, name, version, chain id, verifying contract, salt, extensions.
    """
    return 0x0f, "Koinon Delegate", "1", chain.id, self, empty(bytes32), []


@external
@pure
def supportsInterface(interface_id: bytes4) -> bool:
    """
    @param interface_id ERC-165.
    @return Whether it is ERC-165, ERC-1271, or a receiver of ERC-721 or ERC-1155.
    """
    return interface_id in [0x01ffc9a7, 0x1626ba7e, 0x150b7a02, 0x4e2312e0]


@external
@pure
def onERC721Received(operator: address, sender: address, token_id: uint256, data: Bytes[1024]) -> bytes4:
    """
    @notice Take any NFT, as an account without code does.
    @param operator Ignored.
    @param sender Ignored.
    @param token_id Ignored.
    @param data Ignored.
    @return The function's selector.
    """
    return 0x150b7a02


@external
@pure
def onERC1155Received(operator: address, sender: address, id: uint256, amount: uint256, data: Bytes[1024]) -> bytes4:
    """
    @notice Take any ERC-1155 token.
    @param operator Ignored.
    @param sender Ignored.
    @param id Ignored.
    @param amount Ignored.
    @param data Ignored.
    @return The function's selector.
    """
    return 0xf23a6e61


@external
@pure
def onERC1155BatchReceived(
    operator: address, sender: address, ids: DynArray[uint256, 64], amounts: DynArray[uint256, 64], data: Bytes[1024]
) -> bytes4:
    """
    @notice Take up to 64 kinds of ERC-1155 tokens.
    @param operator Ignored.
    @param sender Ignored.
    @param ids Ignored.
    @param amounts Ignored.
    @param data Ignored.
    @return The function's selector.
    """
    return 0xbc197c81


@internal
@pure
def _kind(mode: bytes32) -> uint256:
    """
    @dev 1 for calls alone, 2 where opData may follow, 0 for others. Four bytes of a mode are unused (ERC-7579).
    """
    word: uint256 = convert(mode, uint256)
    chosen: uint256 = (word >> 176) % 2**32
    if word >> 240 != 256:  # batch, all or nothing
        return 0
    if chosen == 0:
        return 1
    return 2 if chosen == MODE_WITH_DATA else 0


@internal
def _signer(calls: DynArray[Call, 8], op_data: Bytes[320]) -> address:
    """
    @dev The session key that signed these calls with its next nonce, which is used up.
    """
    key: address = empty(address)
    deadline: uint256 = 0
    signature: Bytes[65] = b""
    key, deadline, signature = abi_decode(op_data, (address, uint256, Bytes[65]))
    assert block.timestamp <= deadline, "signature expired"
    hashes: DynArray[bytes32, 8] = []
    for each: Call in calls:
        hashes.append(keccak256(abi_encode(CALL_TYPE_HASH, each.to, each.amount, keccak256(each.data))))
    packed: Bytes[320] = abi_encode(hashes)
    listed: bytes32 = keccak256(slice(packed, 64, 32 * len(calls)))
    nonce: uint256 = self.nonces[key]
    self.nonces[key] = nonce + 1
    digest: bytes32 = eip712._digest(
        eip712._separator(NAME_HASH, VERSION_HASH, self),
        keccak256(abi_encode(SESSION_TYPE_HASH, key, listed, nonce, deadline)),
    )
    assert key != empty(address) and key != self and signatures._recover(digest, signature) == key, "not signed"
    return key


@internal
def _run_session(key: address, calls: DynArray[Call, 8]):
    """
    @dev Make granted calls, and count what each of them took.
    """
    session: Session = self._sessions[key]
    assert self._is_live(session), "no session"
    name: bytes32 = self._name(key, session.serial)
    tokens: DynArray[address, 4] = self._tokens[name]
    spent: DynArray[uint256, 4] = []
    for token: address in tokens:
        spent.append(0)
    for each: Call in calls:
        assert len(each.data) == 0 or len(each.data) >= 4, "no selector"
        selector: bytes4 = empty(bytes4)
        if len(each.data) >= 4:
            selector = convert(slice(each.data, 0, 4), bytes4)
            assert selector != empty(bytes4), "no selector"
        assert each.to != self and self._granted[self._right(name, each.to, selector)], "not granted"
        assert each.amount == 0 or empty(address) in tokens, "no limit on ETH"
        before: DynArray[uint256, 4] = self._balances(tokens)
        raw_call(each.to, each.data, value=each.amount)
        after: DynArray[uint256, 4] = self._balances(tokens)
        for i: uint256 in range(len(tokens), bound=4):
            taken: uint256 = before[i] - after[i] if after[i] < before[i] else 0
            spent[i] += max(taken, self._stated(tokens[i], each.to, each.amount, each.data))
    assert self._is_live(self._sessions[key]), "no session"
    for i: uint256 in range(len(tokens), bound=4):
        if spent[i] > 0:
            self._count(name, tokens[i], spent[i])
            log SessionSpent(key=key, token=tokens[i], amount=spent[i])


@internal
@pure
def _stated(token: address, to: address, amount: uint256, data: Bytes[1024]) -> uint256:
    """
    @dev How much of a token a call says that it sends, where it is nothing but that.
    """
    if token == empty(address):
        return amount if len(data) == 0 else 0
    if token != to or len(data) < 68 or convert(slice(data, 0, 4), bytes4) not in SENDING:
        return 0
    return convert(slice(data, 36, 32), uint256)


@internal
def _count(name: bytes32, token: address, amount: uint256):
    """
    @dev Count what a session spent; reverts beyond a limit.
    """
    found: Spending = self._spending[name][token]
    today: uint256 = block.timestamp // DAY_S
    spent_today: uint256 = amount
    if found.day == today:
        spent_today += found.spent_today
    assert amount <= found.limit.per_call, "more than a call may spend"
    assert spent_today <= found.limit.per_day, "more than a day may spend"
    assert found.spent + amount <= found.limit.total, "more than the session may spend"
    self._spending[name][token].spent = found.spent + amount
    self._spending[name][token].day = today
    self._spending[name][token].spent_today = spent_today


@internal
@view
def _balances(tokens: DynArray[address, 4]) -> DynArray[uint256, 4]:
    """
    @dev What the account has of each.
    """
    found: DynArray[uint256, 4] = []
    for token: address in tokens:
        if token == empty(address):
            found.append(self.balance)
        else:
            found.append(staticcall Token(token).balanceOf(self))
    return found


@internal
@view
def _is_live(session: Session) -> bool:
    """
    @dev Whether a session stands now.
    """
    return block.timestamp <= convert(session.until, uint256) and session.epoch == self.epoch


@internal
@pure
def _name(key: address, serial: uint64) -> bytes32:
    """
    @dev One session of one key.
    """
    return keccak256(abi_encode(key, serial))


@internal
@pure
def _right(name: bytes32, target: address, selector: bytes4) -> bytes32:
    """
    @dev One function that is granted to one session.
    """
    return keccak256(abi_encode(name, target, selector))
