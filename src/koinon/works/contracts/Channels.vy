# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
"""
@title Channels: prepaid, one-way payment channels with cumulative vouchers
@license Apache-2.0
@author Koinon
@notice A payer deposits once and then pays call by call with signed vouchers, each naming the whole amount paid so
        far. The receiver's side claims the newest voucher of many channels in one transaction and settles the sum
        to the receiver, for Koinon a Work's till. What is not claimed goes back to the payer: at once by a refund
        the receiver's side agrees to, or after a delay by the payer alone.

        ABI, events, errors, EIP-712 types and behaviour are those of x402's `batch-settlement` contract
        (x402-foundation/x402, contracts/evm/src/x402BatchSettlement.sol), so that its clients and facilitators work
        unchanged. Nothing is stored by a constructor and the EIP-712 domain is computed at run time: the runtime can
        be placed at x402's canonical address by a genesis block.

        Where this contract differs, and why:
        - An account's own key always counts for its vouchers, also when the account carries code (EIP-7702). The
          original asks such an account's code, which lets a payer void vouchers already spent.
        - A deposit is credited after it has arrived, not before, so views never show money that is not there.
        - Bounds: 100 claims a call, signatures of 512 bytes, collector data of 2,048 bytes, 8 calls of 4,096 bytes in
          a multicall, whose results are empty (no function worth batching returns anything).
        - `claim`, `claimWithSignature` and `getClaimBatchDigest` are read from calldata in place by `__default__`;
          their ABI entries are in canonical/Channels.json.
@custom:security Every function that moves money takes one lock. For each channel, totalClaimed <= balance; for each
        token, this contract holds at least the sum of unclaimed deposits and claimed amounts not yet settled. A token
        that lies about balances or takes fees can only harm channels in that token.
"""

from ethereum.ercs import IERC20

import calldata
import eip712
import signatures


struct ChannelConfig:
    payer: address
    payerAuthorizer: address
    receiver: address
    receiverAuthorizer: address
    token: address
    withdrawDelay: uint40
    salt: bytes32


struct ChannelState:
    balance: uint128
    totalClaimed: uint128


struct WithdrawalState:
    amount: uint128
    initiatedAt: uint40


struct ReceiverState:
    totalClaimed: uint128
    totalSettled: uint128


# The fixed part of one row of x402's VoucherClaim[]: ((channel, maxClaimableAmount), signature, totalClaimed).
struct ClaimRow:
    channel: ChannelConfig
    maxClaimableAmount: uint128
    signatureOffset: uint256
    totalClaimed: uint128


interface DepositCollector:
    def collect(
        payer: address, token: address, amount: uint256, channelId: bytes32, collectorData: Bytes[2048]
    ): nonpayable


event ChannelCreated:
    channelId: indexed(bytes32)
    config: ChannelConfig


event ChannelClosed:
    channelId: indexed(bytes32)
    config: ChannelConfig


event Deposited:
    channelId: indexed(bytes32)
    sender: indexed(address)
    amount: uint128
    newBalance: uint128


event Claimed:
    channelId: indexed(bytes32)
    sender: indexed(address)
    claimAmount: uint128
    newTotalClaimed: uint128


event Settled:
    receiver: indexed(address)
    token: indexed(address)
    sender: indexed(address)
    amount: uint128


event Refunded:
    channelId: indexed(bytes32)
    sender: indexed(address)
    amount: uint128


event WithdrawInitiated:
    channelId: indexed(bytes32)
    amount: uint128
    finalizeAfter: uint40


event WithdrawFinalized:
    channelId: indexed(bytes32)
    sender: indexed(address)
    amount: uint128


MIN_WITHDRAW_DELAY: public(constant(uint40)) = 900
MAX_WITHDRAW_DELAY: public(constant(uint40)) = 2_592_000
MAX_CLAIMS: constant(uint256) = 100
ROW_SIZE: constant(uint256) = 320
LOW_HALF: constant(uint256) = 2**128 - 1

DOMAIN_NAME: constant(String[21]) = "x402 Batch Settlement"
DOMAIN_VERSION: constant(String[1]) = "1"
NAME_HASH: constant(bytes32) = keccak256("x402 Batch Settlement")
VERSION_HASH: constant(bytes32) = keccak256("1")
CHANNEL_CONFIG_TYPEHASH: public(constant(bytes32)) = keccak256(
    "ChannelConfig(address payer,address payerAuthorizer,address receiver,address receiverAuthorizer,address token,uint40 withdrawDelay,bytes32 salt)"
)
VOUCHER_TYPEHASH: public(constant(bytes32)) = keccak256("Voucher(bytes32 channelId,uint128 maxClaimableAmount)")
REFUND_TYPEHASH: public(constant(bytes32)) = keccak256("Refund(bytes32 channelId,uint256 nonce,uint128 amount)")
CLAIM_ENTRY_TYPEHASH: public(constant(bytes32)) = keccak256(
    "ClaimEntry(bytes32 channelId,uint128 maxClaimableAmount,uint128 totalClaimed)"
)
CLAIM_BATCH_TYPEHASH: public(constant(bytes32)) = keccak256(
    "ClaimBatch(ClaimEntry[] claims)ClaimEntry(bytes32 channelId,uint128 maxClaimableAmount,uint128 totalClaimed)"
)

# The tuple of claim(...) is (((config), uint128), bytes, uint128)[].
CLAIM: constant(bytes4) = method_id(
    "claim((((address,address,address,address,address,uint40,bytes32),uint128),bytes,uint128)[])", output_type=bytes4
)
CLAIM_WITH_SIGNATURE: constant(bytes4) = method_id(
    "claimWithSignature((((address,address,address,address,address,uint40,bytes32),uint128),bytes,uint128)[],bytes)",
    output_type=bytes4,
)
CLAIM_BATCH_DIGEST: constant(bytes4) = method_id(
    "getClaimBatchDigest((((address,address,address,address,address,uint40,bytes32),uint128),bytes,uint128)[])",
    output_type=bytes4,
)

# Two numbers a slot, the first in the upper half:
_channels: HashMap[bytes32, uint256]  # channel id -> balance, totalClaimed
_receivers: HashMap[address, HashMap[address, uint256]]  # receiver -> token -> totalClaimed, totalSettled
_withdrawals: HashMap[bytes32, uint256]  # channel id -> amount, initiatedAt (0: none pending)
refundNonce: public(HashMap[bytes32, uint256])


# ----------------------------------------------------------------------------------------------- deposits


@external
@nonreentrant
def deposit(config: ChannelConfig, amount: uint128, collector: address, collectorData: Bytes[2048]):
    """
    @notice Put `amount` of the channel's token into the channel. The collector brings the money; this contract
            checks that exactly `amount` has arrived, so that a token taking a fee on transfer is refused.
    @dev Errors: InvalidChannel, WithdrawDelayOutOfRange, ZeroDeposit, InvalidCollector, DepositOverflow,
         DepositCollectionFailed.
    @param config The channel. Payer, receiver, receiverAuthorizer and token must not be zero; a zero
           payerAuthorizer means that the payer signs the vouchers.
    @param amount In the token's smallest unit.
    @param collector The contract that pulls the money from the payer and sends it here.
    @param collectorData Passed on to the collector as it is.
    """
    if (
        config.payer == empty(address)
        or config.receiver == empty(address)
        or config.receiverAuthorizer == empty(address)
        or config.token == empty(address)
    ):
        raw_revert(method_id("InvalidChannel()"))
    if config.withdrawDelay < MIN_WITHDRAW_DELAY or config.withdrawDelay > MAX_WITHDRAW_DELAY:
        raw_revert(method_id("WithdrawDelayOutOfRange()"))
    if amount == 0:
        raw_revert(method_id("ZeroDeposit()"))
    if collector == empty(address):
        raw_revert(method_id("InvalidCollector()"))
    channel_id: bytes32 = self._channel_id(self._domain(), config)
    state: ChannelState = self._state(channel_id)
    if amount > max_value(uint128) - state.balance:
        raw_revert(method_id("DepositOverflow()"))

    before: uint256 = staticcall IERC20(config.token).balanceOf(self)
    extcall DepositCollector(collector).collect(
        config.payer, config.token, convert(amount, uint256), channel_id, collectorData
    )
    if staticcall IERC20(config.token).balanceOf(self) != before + convert(amount, uint256):
        raw_revert(method_id("DepositCollectionFailed()"))

    state.balance += amount
    self._store(channel_id, state)
    if state.balance == amount and state.totalClaimed == 0:
        log ChannelCreated(channelId=channel_id, config=config)
    log Deposited(channelId=channel_id, sender=msg.sender, amount=amount, newBalance=state.balance)


# ----------------------------------------------------------------------------------------- claim and settle


@external
@raw_return
def __default__() -> Bytes[32]:
    """
    @notice The three functions that take rows of claims:

            claim(VoucherClaim[] voucherClaims): apply vouchers; the caller must be receiver or receiverAuthorizer of
            every row's channel. A row whose totalClaimed is not above what is already claimed changes nothing.

            claimWithSignature(VoucherClaim[] voucherClaims, bytes authorizerSignature): the same by anyone, with the
            signature of the one receiverAuthorizer of all rows over getClaimBatchDigest(voucherClaims).

            getClaimBatchDigest(VoucherClaim[] voucherClaims) -> bytes32: what the receiverAuthorizer signs.
    @dev Errors: EmptyBatch, NotAuthorizedToClaim, NotReceiverAuthorizer, InvalidSignature, ClaimExceedsCeiling,
         ClaimExceedsBalance. Ether and unknown functions are refused.
    """
    selector: bytes4 = calldata._selector()
    if selector == CLAIM:
        self._claim(empty(address))
    elif selector == CLAIM_WITH_SIGNATURE:
        self._claim_with_signature()
    elif selector == CLAIM_BATCH_DIGEST:
        return abi_encode(self._batch_digest(self._domain()))
    else:
        raw_revert(b"")
    return b""


@external
@nonreentrant
def settle(receiver: address, token: address):
    """
    @notice Send what has been claimed and not yet settled to the receiver. Anyone may call; does nothing when there
            is nothing to send.
    @param receiver The account the channels pay.
    @param token The token they pay in.
    """
    state: ReceiverState = self._receiver_state(receiver, token)
    amount: uint128 = state.totalClaimed - state.totalSettled
    if amount == 0:
        return
    state.totalSettled = state.totalClaimed
    self._store_receiver(receiver, token, state)
    self._send(token, receiver, amount)
    log Settled(receiver=receiver, token=token, sender=msg.sender, amount=amount)


# ----------------------------------------------------------------------------------- what goes back to the payer


@external
@nonreentrant
def initiateWithdraw(config: ChannelConfig, amount: uint128):
    """
    @notice Announce that the payer takes back `amount` once the channel's delay has passed. Vouchers claimed until
            then still count; vouchers not yet claimed reserve nothing.
    @dev Errors: InvalidChannel (caller is neither payer nor payerAuthorizer), NothingToWithdraw,
         WithdrawalAlreadyPending, WithdrawAmountExceedsAvailable.
    @param config The channel.
    @param amount At most the unclaimed balance.
    """
    if msg.sender != config.payer and msg.sender != config.payerAuthorizer:
        raw_revert(method_id("InvalidChannel()"))
    if amount == 0:
        raw_revert(method_id("NothingToWithdraw()"))
    channel_id: bytes32 = self._channel_id(self._domain(), config)
    if self._withdrawal(channel_id).initiatedAt != 0:
        raw_revert(method_id("WithdrawalAlreadyPending()"))
    state: ChannelState = self._state(channel_id)
    if amount > state.balance - state.totalClaimed:
        raw_revert(method_id("WithdrawAmountExceedsAvailable()"))
    now: uint40 = convert(block.timestamp, uint40)
    self._store_withdrawal(channel_id, WithdrawalState(amount=amount, initiatedAt=now))
    log WithdrawInitiated(channelId=channel_id, amount=amount, finalizeAfter=now + config.withdrawDelay)


@external
@nonreentrant
def finalizeWithdraw(config: ChannelConfig):
    """
    @notice Pay the announced withdrawal out to the payer, at most what is still unclaimed.
    @dev Errors: NotAuthorizedToFinalizeWithdraw (caller is neither payer nor payerAuthorizer), WithdrawalNotPending,
         WithdrawDelayNotElapsed.
    @param config The channel.
    """
    if msg.sender != config.payer and msg.sender != config.payerAuthorizer:
        raw_revert(method_id("NotAuthorizedToFinalizeWithdraw()"))
    channel_id: bytes32 = self._channel_id(self._domain(), config)
    pending: WithdrawalState = self._withdrawal(channel_id)
    if pending.initiatedAt == 0:
        raw_revert(method_id("WithdrawalNotPending()"))
    if block.timestamp < convert(pending.initiatedAt, uint256) + convert(config.withdrawDelay, uint256):
        raw_revert(method_id("WithdrawDelayNotElapsed()"))
    state: ChannelState = self._state(channel_id)
    amount: uint128 = min(pending.amount, state.balance - state.totalClaimed)
    state.balance -= amount
    self._withdrawals[channel_id] = 0
    self._store(channel_id, state)
    log WithdrawFinalized(channelId=channel_id, sender=msg.sender, amount=amount)
    if state.balance == 0 and state.totalClaimed == 0:
        log ChannelClosed(channelId=channel_id, config=config)
    if amount > 0:
        self._send(config.token, config.payer, amount)


@external
@nonreentrant
def refund(config: ChannelConfig, amount: uint128):
    """
    @notice The receiver's side gives unclaimed money back to the payer at once.
    @dev Errors: NotAuthorizedToRefund (caller is neither receiver nor receiverAuthorizer), ZeroRefund.
         Advances refundNonce even when nothing is left to refund, which voids signatures over the older nonce.
    @param config The channel.
    @param amount Capped to the unclaimed balance.
    """
    if msg.sender != config.receiver and msg.sender != config.receiverAuthorizer:
        raw_revert(method_id("NotAuthorizedToRefund()"))
    self._refund(self._channel_id(self._domain(), config), config, amount)


@external
@nonreentrant
def refundWithSignature(
    config: ChannelConfig, amount: uint128, nonce: uint256, receiverAuthorizerSignature: Bytes[512]
):
    """
    @notice The same by anyone, with the receiverAuthorizer's signature over getRefundDigest.
    @dev Errors: InvalidRefundNonce, InvalidSignature, ZeroRefund.
    @param config The channel.
    @param amount The amount signed, capped to the unclaimed balance.
    @param nonce Must be refundNonce of the channel.
    @param receiverAuthorizerSignature ECDSA or ERC-1271.
    """
    domain: bytes32 = self._domain()
    channel_id: bytes32 = self._channel_id(domain, config)
    if nonce != self.refundNonce[channel_id]:
        raw_revert(method_id("InvalidRefundNonce()"))
    digest: bytes32 = eip712._digest(domain, keccak256(abi_encode(REFUND_TYPEHASH, channel_id, nonce, amount)))
    if not signatures._signed_by(config.receiverAuthorizer, digest, receiverAuthorizerSignature):
        raw_revert(method_id("InvalidSignature()"))
    self._refund(channel_id, config, amount)


@external
def multicall(data: DynArray[Bytes[4096], 8]) -> DynArray[Bytes[32], 8]:
    """
    @notice Several calls to this contract in one transaction, all or none, each from the caller.
    @param data Calldata of each call.
    @return One empty result a call.
    """
    results: DynArray[Bytes[32], 8] = []
    for call: Bytes[4096] in data:
        raw_call(self, call, is_delegate_call=True)
        results.append(b"")
    return results


# ---------------------------------------------------------------------------------------------------- views


@external
@view
def channels(channelId: bytes32) -> (uint128, uint128):
    """
    @notice State of a channel.
    @param channelId Its id.
    @return balance (deposited less what went back to the payer) and totalClaimed.
    """
    state: ChannelState = self._state(channelId)
    return state.balance, state.totalClaimed


@external
@view
def pendingWithdrawals(channelId: bytes32) -> (uint128, uint40):
    """
    @notice The withdrawal the payer announced.
    @param channelId The channel's id.
    @return amount and initiatedAt (seconds; 0 when none is pending).
    """
    pending: WithdrawalState = self._withdrawal(channelId)
    return pending.amount, pending.initiatedAt


@external
@view
def receivers(receiver: address, token: address) -> (uint128, uint128):
    """
    @notice What a receiver's channels in one token have claimed, and how much of it has been settled.
    @param receiver The account the channels pay.
    @param token The token they pay in.
    @return totalClaimed and totalSettled.
    """
    state: ReceiverState = self._receiver_state(receiver, token)
    return state.totalClaimed, state.totalSettled


@external
@view
def getChannelId(config: ChannelConfig) -> bytes32:
    """
    @notice EIP-712 hash of the channel's parameters, bound to this chain and contract.
    @param config The channel.
    @return Its id.
    """
    return self._channel_id(self._domain(), config)


@external
@view
def getVoucherDigest(channelId: bytes32, maxClaimableAmount: uint128) -> bytes32:
    """
    @notice What the payer, or its authorizer, signs to pay `maxClaimableAmount` in all.
    @param channelId The channel's id.
    @param maxClaimableAmount The whole amount paid so far.
    @return EIP-712 digest.
    """
    return self._voucher_digest(self._domain(), channelId, maxClaimableAmount)


@external
@view
def getRefundDigest(channelId: bytes32, nonce: uint256, amount: uint128) -> bytes32:
    """
    @notice What the receiverAuthorizer signs to refund.
    @param channelId The channel's id.
    @param nonce refundNonce of the channel.
    @param amount The amount to refund.
    @return EIP-712 digest.
    """
    return eip712._digest(self._domain(), keccak256(abi_encode(REFUND_TYPEHASH, channelId, nonce, amount)))


@external
@view
def eip712Domain() -> (
    bytes1, String[21], String[1], uint256, address, bytes32, DynArray[uint256, 1]
):
    """
    @notice The EIP-712 domain of every signature here (ERC-5267).
    @return fields, name, version, chainId, verifyingContract, salt, extensions.
    """
    return 0x0f, DOMAIN_NAME, DOMAIN_VERSION, chain.id, self, empty(bytes32), []


# -------------------------------------------------------------------------------------------------- claims


@internal
@nonreentrant
def _claim(authorizer: address):
    """
    @notice Apply all rows of the first argument. With an authorizer, every row must name it; without, every row must
            be claimed by its receiver or receiverAuthorizer.
    """
    rows: uint256 = 0
    count: uint256 = 0
    rows, count = self._rows()
    if count == 0:
        raw_revert(method_id("EmptyBatch()"))
    domain: bytes32 = self._domain()
    # Consecutive rows of one receiver and token are added up and written once.
    receiver: address = empty(address)
    token: address = empty(address)
    amount: uint128 = 0
    for i: uint256 in range(count, bound=MAX_CLAIMS):
        # `rows` is a place in the calldata and there are few of them: this cannot overflow.
        place: uint256 = unsafe_add(rows, unsafe_mul(32, i))
        position: uint256 = rows + convert(slice(msg.data, place, 32), uint256)
        row: ClaimRow = abi_decode(slice(msg.data, position, ROW_SIZE), ClaimRow)
        if authorizer != empty(address):
            if row.channel.receiverAuthorizer != authorizer:
                raw_revert(method_id("NotReceiverAuthorizer()"))
        elif msg.sender != row.channel.receiverAuthorizer and msg.sender != row.channel.receiver:
            raw_revert(method_id("NotAuthorizedToClaim()"))
        if row.channel.receiver != receiver or row.channel.token != token:
            self._credit(receiver, token, amount)
            receiver = row.channel.receiver
            token = row.channel.token
            amount = 0
        amount += self._apply(domain, row, position + row.signatureOffset)
    self._credit(receiver, token, amount)


@internal
def _claim_with_signature():
    """
    @notice Check the authorizer's signature over the whole batch, then apply it.
    """
    rows: uint256 = 0
    count: uint256 = 0
    rows, count = self._rows()
    if count == 0:
        raw_revert(method_id("EmptyBatch()"))
    authorizer: address = self._row(rows + calldata._number(rows)).channel.receiverAuthorizer
    signature: Bytes[512] = calldata._short_bytes(4 + calldata._number(36))
    if not signatures._signed_by(authorizer, self._batch_digest(self._domain()), signature):
        raw_revert(method_id("InvalidSignature()"))
    self._claim(authorizer)


@internal
def _apply(domain: bytes32, row: ClaimRow, signature: uint256) -> uint128:
    """
    @notice Apply one voucher, whose signature stands at that position of the calldata.
    @return The amount newly claimed.
    """
    # As `eip712._digest` twice, spelled out: a batch pays for each call of it.
    config: bytes32 = keccak256(abi_encode(CHANNEL_CONFIG_TYPEHASH, row.channel))
    channel_id: bytes32 = keccak256(concat(b"\x19\x01", domain, config))
    packed: uint256 = self._channels[channel_id]
    claimed: uint128 = convert(packed & LOW_HALF, uint128)
    if row.totalClaimed <= claimed:
        return 0
    if row.totalClaimed > row.maxClaimableAmount:
        raw_revert(method_id("ClaimExceedsCeiling()"))
    if convert(row.totalClaimed, uint256) > packed >> 128:
        raw_revert(method_id("ClaimExceedsBalance()"))
    voucher: bytes32 = keccak256(abi_encode(VOUCHER_TYPEHASH, channel_id, row.maxClaimableAmount))
    digest: bytes32 = keccak256(concat(b"\x19\x01", domain, voucher))
    if not self._is_voucher_signed(row.channel.payer, row.channel.payerAuthorizer, digest, signature):
        raw_revert(method_id("InvalidSignature()"))
    amount: uint128 = unsafe_sub(row.totalClaimed, claimed)
    self._channels[channel_id] = unsafe_add(packed, convert(amount, uint256))
    log Claimed(channelId=channel_id, sender=msg.sender, claimAmount=amount, newTotalClaimed=row.totalClaimed)
    return amount


@internal
@view
def _is_voucher_signed(payer: address, authorizer: address, digest: bytes32, position: uint256) -> bool:
    """
    @notice An authorizer signs by ECDSA only; a payer that signs itself may be a contract.
    """
    signer: address = authorizer if authorizer != empty(address) else payer
    if position + 97 <= len(msg.data):
        # Length, r, s and v in one piece; as `signatures._recover`, which would copy them once more.
        given: Bytes[97] = slice(msg.data, position, 97)
        s: uint256 = convert(extract32(given, 64), uint256)
        v: uint256 = convert(extract32(given, 65), uint256) & 255
        if convert(extract32(given, 0), uint256) == 65 and s <= signatures.HALF_ORDER and (v == 27 or v == 28):
            if ecrecover(digest, v, convert(extract32(given, 32), uint256), s) == signer:
                return True
    return authorizer == empty(address) and signatures._is_contract_signature(
        payer, digest, calldata._short_bytes(position)
    )


@internal
@view
def _rows() -> (uint256, uint256):
    """
    @notice Where the first argument's table of offsets starts, and how many rows it has.
    """
    array: uint256 = 4 + calldata._number(4)
    count: uint256 = calldata._number(array)
    assert count <= MAX_CLAIMS, "channels: more than 100 claims"
    return array + 32, count


@internal
@view
def _row(position: uint256) -> ClaimRow:
    """
    @notice The fixed part of the row at that position; reverts unless every field is in its type's range.
    """
    return abi_decode(slice(msg.data, position, ROW_SIZE), ClaimRow)


@internal
@view
def _batch_digest(domain: bytes32) -> bytes32:
    """
    @notice EIP-712 digest of ClaimBatch over all rows of the first argument.
    """
    rows: uint256 = 0
    count: uint256 = 0
    rows, count = self._rows()
    entries: DynArray[bytes32, MAX_CLAIMS] = []
    for i: uint256 in range(count, bound=MAX_CLAIMS):
        row: ClaimRow = self._row(rows + calldata._number(rows + 32 * i))
        entries.append(
            keccak256(
                abi_encode(
                    CLAIM_ENTRY_TYPEHASH,
                    self._channel_id(domain, row.channel),
                    row.maxClaimableAmount,
                    row.totalClaimed,
                )
            )
        )
    packed: bytes32 = keccak256(slice(abi_encode(entries), 64, 32 * count))
    return eip712._digest(domain, keccak256(abi_encode(CLAIM_BATCH_TYPEHASH, packed)))


# -------------------------------------------------------------------------------------------------- moving money


@internal
def _refund(channel_id: bytes32, config: ChannelConfig, requested: uint128):
    """
    @notice Shared by both refunds: cap, shrink a pending withdrawal by as much, pay.
    """
    if requested == 0:
        raw_revert(method_id("ZeroRefund()"))
    self.refundNonce[channel_id] += 1
    state: ChannelState = self._state(channel_id)
    amount: uint128 = min(requested, state.balance - state.totalClaimed)
    if amount == 0:
        return
    state.balance -= amount
    self._store(channel_id, state)
    pending: WithdrawalState = self._withdrawal(channel_id)
    if pending.initiatedAt != 0:
        if amount >= pending.amount:
            self._withdrawals[channel_id] = 0
        else:
            pending.amount -= amount
            self._store_withdrawal(channel_id, pending)
    log Refunded(channelId=channel_id, sender=msg.sender, amount=amount)
    if state.balance == 0 and state.totalClaimed == 0:
        log ChannelClosed(channelId=channel_id, config=config)
    self._send(config.token, config.payer, amount)


@internal
def _send(token: address, to: address, amount: uint128):
    """
    @notice Transfer; tokens that return nothing are taken at their word, as everywhere.
    """
    if not extcall IERC20(token).transfer(to, convert(amount, uint256), default_return_value=True):
        raw_revert(abi_encode(token, method_id=method_id("SafeERC20FailedOperation(address)")))


@internal
def _credit(receiver: address, token: address, amount: uint128):
    """
    @notice Add newly claimed money to what the receiver may settle.
    """
    if amount == 0:
        return
    state: ReceiverState = self._receiver_state(receiver, token)
    state.totalClaimed += amount
    self._store_receiver(receiver, token, state)


# -------------------------------------------------------------------------------------------------- packed storage


@internal
@view
def _state(channel_id: bytes32) -> ChannelState:
    packed: uint256 = self._channels[channel_id]
    return ChannelState(
        balance=convert(packed >> 128, uint128), totalClaimed=convert(packed & LOW_HALF, uint128)
    )


@internal
def _store(channel_id: bytes32, state: ChannelState):
    self._channels[channel_id] = (convert(state.balance, uint256) << 128) | convert(state.totalClaimed, uint256)


@internal
@view
def _withdrawal(channel_id: bytes32) -> WithdrawalState:
    packed: uint256 = self._withdrawals[channel_id]
    return WithdrawalState(
        amount=convert(packed >> 128, uint128), initiatedAt=convert(packed & LOW_HALF, uint40)
    )


@internal
def _store_withdrawal(channel_id: bytes32, pending: WithdrawalState):
    self._withdrawals[channel_id] = (convert(pending.amount, uint256) << 128) | convert(
        pending.initiatedAt, uint256
    )


@internal
@view
def _receiver_state(receiver: address, token: address) -> ReceiverState:
    packed: uint256 = self._receivers[receiver][token]
    return ReceiverState(
        totalClaimed=convert(packed >> 128, uint128), totalSettled=convert(packed & LOW_HALF, uint128)
    )


@internal
def _store_receiver(receiver: address, token: address, state: ReceiverState):
    self._receivers[receiver][token] = (convert(state.totalClaimed, uint256) << 128) | convert(
        state.totalSettled, uint256
    )


# -------------------------------------------------------------------------------------------------- EIP-712


@internal
@view
def _domain() -> bytes32:
    return eip712._separator(NAME_HASH, VERSION_HASH, self)


@internal
@pure
def _channel_id(domain: bytes32, config: ChannelConfig) -> bytes32:
    return eip712._digest(domain, keccak256(abi_encode(CHANNEL_CONFIG_TYPEHASH, config)))


@internal
@pure
def _voucher_digest(domain: bytes32, channel_id: bytes32, ceiling: uint128) -> bytes32:
    return eip712._digest(domain, keccak256(abi_encode(VOUCHER_TYPEHASH, channel_id, ceiling)))
