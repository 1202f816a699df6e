# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
"""
@title ERC3009Collector: brings deposits into Channels by a signed ERC-3009 authorization
@license Apache-2.0
@author Koinon
@notice The payer signs `ReceiveWithAuthorization` of the token to this contract; whoever submits the deposit pays the
        gas. The nonce is keccak256(channel id, salt), so an authorization opens the one channel it was signed for.
        As x402's ERC3009DepositCollector. Only the Channels contract at its canonical address may call: anyone else
        could otherwise direct the money to themselves. A constant instead of a constructor argument lets the code
        be placed by a genesis block.
"""

from ethereum.ercs import IERC20


interface ERC3009:
    def receiveWithAuthorization(
        sender: address,
        to: address,
        amount: uint256,
        validAfter: uint256,
        validBefore: uint256,
        nonce: bytes32,
        signature: Bytes[512],
    ): nonpayable


x402BatchSettlement: public(constant(address)) = 0x4020074e9dF2ce1deE5A9C1b5c3f541D02a10003


@external
def collect(payer: address, token: address, amount: uint256, channelId: bytes32, collectorData: Bytes[2048]):
    """
    @notice Pull `amount` from the payer and pass it to Channels.
    @dev Errors: OnlyX402BatchSettlement; whatever the token says of the authorization; SafeERC20FailedOperation.
    @param payer The account that signed the authorization.
    @param token A token with ERC-3009 in its `bytes signature` form.
    @param amount In the token's smallest unit.
    @param channelId The channel, part of the nonce.
    @param collectorData abi.encode(uint256 validAfter, uint256 validBefore, uint256 salt, bytes signature).
    """
    if msg.sender != x402BatchSettlement:
        raw_revert(method_id("OnlyX402BatchSettlement()"))
    valid_after: uint256 = 0
    valid_before: uint256 = 0
    salt: uint256 = 0
    signature: Bytes[512] = b""
    valid_after, valid_before, salt, signature = abi_decode(
        collectorData, (uint256, uint256, uint256, Bytes[512])
    )
    extcall ERC3009(token).receiveWithAuthorization(
        payer,
        self,
        amount,
        valid_after,
        valid_before,
        keccak256(abi_encode(channelId, salt)),
        signature,
    )
    if not extcall IERC20(token).transfer(x402BatchSettlement, amount, default_return_value=True):
        raw_revert(abi_encode(token, method_id=method_id("SafeERC20FailedOperation(address)")))
