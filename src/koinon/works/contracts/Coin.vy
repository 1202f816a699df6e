# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
"""
@title Coin: the devnet's test dollar
@license Apache-2.0
@author Koinon
@notice Test money without worth: anyone may mint it to anyone, up to a limit a call. There is no owner, pause or list
        of blocked accounts. On real networks Koinon uses tokens that are there already.

        ERC-20 with EIP-2612 permits and ERC-3009 authorizations in both forms, (v, r, s) and `bytes signature`, each
        for keys and, by ERC-1271, for contracts. One name cannot have two argument lists in Vyper: the `bytes`
        forms are served by `__default__`, their ABI entries are in canonical/Coin.json.
@custom:source ERC-20, EIP-2612, ERC-3009, ERC-5267
"""

from ethereum.ercs import IERC20

import calldata
import eip712
import erc20
import signatures

implements: IERC20

initializes: erc20

exports: (
    erc20.totalSupply,
    erc20.balanceOf,
    erc20.allowance,
    erc20.transfer,
    erc20.transferFrom,
    erc20.approve,
)


struct Authorization:
    sender: address
    to: address
    amount: uint256
    validAfter: uint256
    validBefore: uint256
    nonce: bytes32


struct Cancellation:
    authorizer: address
    nonce: bytes32


event AuthorizationUsed:
    authorizer: indexed(address)
    nonce: indexed(bytes32)


event AuthorizationCanceled:
    authorizer: indexed(address)
    nonce: indexed(bytes32)


VERSION: constant(String[1]) = "1"
VERSION_HASH: constant(bytes32) = keccak256("1")
MINT_LIMIT: constant(uint256) = 1_000_000  # whole coins a call

PERMIT_TYPEHASH: public(constant(bytes32)) = keccak256(
    "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
)
TRANSFER_WITH_AUTHORIZATION_TYPEHASH: public(constant(bytes32)) = keccak256(
    "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
)
RECEIVE_WITH_AUTHORIZATION_TYPEHASH: public(constant(bytes32)) = keccak256(
    "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
)
CANCEL_AUTHORIZATION_TYPEHASH: public(constant(bytes32)) = keccak256(
    "CancelAuthorization(address authorizer,bytes32 nonce)"
)

TRANSFER_BY_BYTES: constant(bytes4) = method_id(
    "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,bytes)", output_type=bytes4
)
RECEIVE_BY_BYTES: constant(bytes4) = method_id(
    "receiveWithAuthorization(address,address,uint256,uint256,uint256,bytes32,bytes)", output_type=bytes4
)
CANCEL_BY_BYTES: constant(bytes4) = method_id("cancelAuthorization(address,bytes32,bytes)", output_type=bytes4)

name: public(immutable(String[64]))
symbol: public(immutable(String[16]))
decimals: public(immutable(uint8))
NAME_HASH: immutable(bytes32)
nonces: public(HashMap[address, uint256])
_used: HashMap[address, HashMap[bytes32, bool]]


@deploy
def __init__(name_: String[64], symbol_: String[16], decimals_: uint8):
    """
    @notice A token without any supply.
    @param name_ Its name, also of its EIP-712 domain.
    @param symbol_ Its symbol.
    @param decimals_ Digits after the point of one coin, at most 18.
    """
    assert decimals_ <= 18, "coin: more than 18 decimals"
    name = name_
    symbol = symbol_
    decimals = decimals_
    NAME_HASH = keccak256(name_)


# --------------------------------------------------------------------------------------------- test money


@external
def mint(to: address, amount: uint256):
    """
    @notice Make test money. Anyone may.
    @param to Who gets it.
    @param amount In the smallest unit, at most `mintLimit`.
    """
    assert amount <= self._mint_limit(), "coin: more than the limit of one mint"
    erc20._mint(to, amount)


@external
@view
def mintLimit() -> uint256:
    """
    @notice The most that one call may mint, in the smallest unit.
    """
    return self._mint_limit()


# --------------------------------------------------------------------------------------------- EIP-2612


@external
def permit(owner: address, spender: address, amount: uint256, deadline: uint256, v: uint8, r: bytes32, s: bytes32):
    """
    @notice Set an allowance by the owner's signature over its next nonce.
    @param owner Whose tokens.
    @param spender Who may move them.
    @param amount In the smallest unit.
    @param deadline Last second at which the signature counts.
    @param v Recovery byte, 27 or 28.
    @param r First half of the signature.
    @param s Second half of the signature.
    """
    assert block.timestamp <= deadline, "coin: permit expired"
    nonce: uint256 = self.nonces[owner]
    struct_hash: bytes32 = keccak256(abi_encode(PERMIT_TYPEHASH, owner, spender, amount, nonce, deadline))
    self._check(owner, struct_hash, self._packed(v, r, s))
    self.nonces[owner] = nonce + 1
    erc20._approve(owner, spender, amount)


@external
@view
def DOMAIN_SEPARATOR() -> bytes32:
    """
    @notice The EIP-712 domain separator on this chain.
    """
    return eip712._separator(NAME_HASH, VERSION_HASH, self)


@external
@view
def version() -> String[1]:
    """
    @notice The version in the EIP-712 domain.
    """
    return VERSION


@external
@view
def eip712Domain() -> (bytes1, String[64], String[1], uint256, address, bytes32, DynArray[uint256, 1]):
    """
    @notice The EIP-712 domain of permits and authorizations (ERC-5267).
    @return fields, name, version, chainId, verifyingContract, salt, extensions.
    """
    return 0x0f, name, VERSION, chain.id, self, empty(bytes32), []


# --------------------------------------------------------------------------------------------- ERC-3009


@external
@view
def authorizationState(authorizer: address, nonce: bytes32) -> bool:
    """
    @notice Whether an authorization has been used or canceled.
    @param authorizer The account that signed it.
    @param nonce Its nonce, any 32 bytes.
    @return True if it can no longer be used.
    """
    return self._used[authorizer][nonce]


@external
def transferWithAuthorization(
    sender: address,
    to: address,
    amount: uint256,
    validAfter: uint256,
    validBefore: uint256,
    nonce: bytes32,
    v: uint8,
    r: bytes32,
    s: bytes32,
):
    """
    @notice Carry out a transfer that `sender` signed. Anyone may submit it.
    @param sender The account that pays and signed.
    @param to The receiver.
    @param amount In the smallest unit.
    @param validAfter It counts after this second.
    @param validBefore It counts before this second.
    @param nonce Any 32 bytes not yet used by `sender`.
    @param v Recovery byte, 27 or 28.
    @param r First half of the signature.
    @param s Second half of the signature.
    """
    self._carry_out(
        TRANSFER_WITH_AUTHORIZATION_TYPEHASH,
        Authorization(
            sender=sender, to=to, amount=amount, validAfter=validAfter, validBefore=validBefore, nonce=nonce
        ),
        self._packed(v, r, s),
    )


@external
def receiveWithAuthorization(
    sender: address,
    to: address,
    amount: uint256,
    validAfter: uint256,
    validBefore: uint256,
    nonce: bytes32,
    v: uint8,
    r: bytes32,
    s: bytes32,
):
    """
    @notice As transferWithAuthorization, submitted by the receiver only, so that nobody can carry it out ahead of the
            contract that acts on it.
    @param sender The account that pays and signed.
    @param to The receiver; must be the caller.
    @param amount In the smallest unit.
    @param validAfter It counts after this second.
    @param validBefore It counts before this second.
    @param nonce Any 32 bytes not yet used by `sender`.
    @param v Recovery byte, 27 or 28.
    @param r First half of the signature.
    @param s Second half of the signature.
    """
    assert to == msg.sender, "coin: the caller must be the receiver"
    self._carry_out(
        RECEIVE_WITH_AUTHORIZATION_TYPEHASH,
        Authorization(
            sender=sender, to=to, amount=amount, validAfter=validAfter, validBefore=validBefore, nonce=nonce
        ),
        self._packed(v, r, s),
    )


@external
def cancelAuthorization(authorizer: address, nonce: bytes32, v: uint8, r: bytes32, s: bytes32):
    """
    @notice Void an authorization before it is used, by its signer's signature.
    @param authorizer The account that signed.
    @param nonce The nonce to use up.
    @param v Recovery byte, 27 or 28.
    @param r First half of the signature.
    @param s Second half of the signature.
    """
    self._cancel(Cancellation(authorizer=authorizer, nonce=nonce), self._packed(v, r, s))


@external
def __default__():
    """
    @notice The ERC-3009 functions in their `bytes signature` form: transferWithAuthorization,
            receiveWithAuthorization and cancelAuthorization. Ether and unknown functions are refused.
    """
    selector: bytes4 = calldata._selector()
    if selector == CANCEL_BY_BYTES:
        self._cancel(
            abi_decode(slice(msg.data, 4, 64), Cancellation), calldata._short_bytes(4 + calldata._number(68))
        )
        return
    assert selector == TRANSFER_BY_BYTES or selector == RECEIVE_BY_BYTES, "coin: unknown function"
    authorization: Authorization = abi_decode(slice(msg.data, 4, 192), Authorization)
    kind: bytes32 = TRANSFER_WITH_AUTHORIZATION_TYPEHASH
    if selector == RECEIVE_BY_BYTES:
        assert authorization.to == msg.sender, "coin: the caller must be the receiver"
        kind = RECEIVE_WITH_AUTHORIZATION_TYPEHASH
    self._carry_out(kind, authorization, calldata._short_bytes(4 + calldata._number(196)))


# --------------------------------------------------------------------------------------------- inside


@internal
def _carry_out(kind: bytes32, authorization: Authorization, signature: Bytes[512]):
    """
    @dev Check an authorization of this kind, use its nonce up and transfer.
    """
    assert block.timestamp > authorization.validAfter, "coin: authorization not yet valid"
    assert block.timestamp < authorization.validBefore, "coin: authorization expired"
    self._use(authorization.sender, authorization.nonce)
    self._check(authorization.sender, keccak256(abi_encode(kind, authorization)), signature)
    log AuthorizationUsed(authorizer=authorization.sender, nonce=authorization.nonce)
    erc20._transfer(authorization.sender, authorization.to, authorization.amount)


@internal
def _cancel(cancellation: Cancellation, signature: Bytes[512]):
    """
    @dev Use a nonce up without a transfer.
    """
    self._use(cancellation.authorizer, cancellation.nonce)
    self._check(
        cancellation.authorizer, keccak256(abi_encode(CANCEL_AUTHORIZATION_TYPEHASH, cancellation)), signature
    )
    log AuthorizationCanceled(authorizer=cancellation.authorizer, nonce=cancellation.nonce)


@internal
def _use(authorizer: address, nonce: bytes32):
    """
    @dev Mark a nonce, once.
    """
    assert not self._used[authorizer][nonce], "coin: authorization used or canceled"
    self._used[authorizer][nonce] = True


@internal
@view
def _check(signer: address, struct_hash: bytes32, signature: Bytes[512]):
    """
    @dev Revert unless `signer`, a key or a contract, signed this in the token's domain.
    """
    digest: bytes32 = eip712._digest(eip712._separator(NAME_HASH, VERSION_HASH, self), struct_hash)
    assert signatures._signed_by(signer, digest, signature), "coin: invalid signature"


@internal
@view
def _mint_limit() -> uint256:
    """
    @dev MINT_LIMIT in the smallest unit.
    """
    return MINT_LIMIT * 10 ** convert(decimals, uint256)


@internal
@pure
def _packed(v: uint8, r: bytes32, s: bytes32) -> Bytes[65]:
    """
    @dev r, s, v as one signature.
    """
    return concat(r, s, convert(v, bytes1))
