# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
"""
@title The token that stands for a share of a pool
@license Apache-2.0
@author Koinon
@notice ERC-20 with EIP-2612 permits, 18 decimals. As in Uniswap V2, tokens may be sent to the zero address, where a pool
        locks its first liquidity for ever; an allowance of 2**256 - 1 never runs down. Unlike there, the domain follows
        the chain id through a fork, a signature's s must be low, and contracts sign by ERC-1271.
@custom:source ERC-20, EIP-2612, EIP-2
"""

from ethereum.ercs import IERC20
from koinon.works.contracts import eip712
from koinon.works.contracts import signatures

implements: IERC20


event Transfer:
    sender: indexed(address)
    receiver: indexed(address)
    amount: uint256


event Approval:
    owner: indexed(address)
    spender: indexed(address)
    amount: uint256


name: public(constant(String[16])) = "Koinon Liquidity"
symbol: public(constant(String[6])) = "KOI-LP"
decimals: public(constant(uint8)) = 18
NAME_HASH: constant(bytes32) = keccak256("Koinon Liquidity")
VERSION_HASH: constant(bytes32) = keccak256("1")
PERMIT_TYPEHASH: public(constant(bytes32)) = keccak256(
    "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
)

totalSupply: public(uint256)
balanceOf: public(HashMap[address, uint256])
allowance: public(HashMap[address, HashMap[address, uint256]])
nonces: public(HashMap[address, uint256])


@external
def transfer(to: address, amount: uint256) -> bool:
    """
    @notice Move shares of the caller.
    @param to The receiver.
    @param amount In the smallest unit.
    @return Always True; it reverts otherwise.
    """
    self._transfer(msg.sender, to, amount)
    return True


@external
def transferFrom(sender: address, to: address, amount: uint256) -> bool:
    """
    @notice Move shares of `sender` within the allowance it gave the caller.
    @param sender The account that pays.
    @param to The receiver.
    @param amount In the smallest unit.
    @return Always True; it reverts otherwise.
    """
    allowed: uint256 = self.allowance[sender][msg.sender]
    if allowed != max_value(uint256):
        assert amount <= allowed, "liquidity: insufficient allowance"
        self.allowance[sender][msg.sender] = unsafe_sub(allowed, amount)
    self._transfer(sender, to, amount)
    return True


@external
def approve(spender: address, amount: uint256) -> bool:
    """
    @notice Set what `spender` may move of the caller's shares.
    @param spender The account allowed.
    @param amount In the smallest unit; 2**256 - 1 for no limit.
    @return Always True.
    """
    self._approve(msg.sender, spender, amount)
    return True


@external
def permit(owner: address, spender: address, amount: uint256, deadline: uint256, v: uint8, r: bytes32, s: bytes32):
    """
    @notice Set an allowance by the owner's signature over its next nonce.
    @param owner Whose shares.
    @param spender Who may move them.
    @param amount In the smallest unit.
    @param deadline Last second at which the signature counts.
    @param v Recovery byte, 27 or 28.
    @param r First half of the signature.
    @param s Second half of the signature.
    """
    assert block.timestamp <= deadline, "UniswapV2: EXPIRED"
    nonce: uint256 = self.nonces[owner]
    struct_hash: bytes32 = keccak256(abi_encode(PERMIT_TYPEHASH, owner, spender, amount, nonce, deadline))
    digest: bytes32 = eip712._digest(self._separator(), struct_hash)
    signature: Bytes[65] = concat(r, s, convert(v, bytes1))
    assert signatures._signed_by(owner, digest, signature), "UniswapV2: INVALID_SIGNATURE"
    self.nonces[owner] = nonce + 1
    self._approve(owner, spender, amount)


@external
@view
def DOMAIN_SEPARATOR() -> bytes32:
    """
    @notice The EIP-712 domain separator on this chain: name, version 1, chain id, this pool.
    """
    return self._separator()


@internal
@view
def _separator() -> bytes32:
    return eip712._separator(NAME_HASH, VERSION_HASH, self)


@internal
def _transfer(sender: address, to: address, amount: uint256):
    """
    @dev Move shares; no authorization is checked here.
    """
    balance: uint256 = self.balanceOf[sender]
    assert amount <= balance, "liquidity: transfer amount exceeds balance"
    self.balanceOf[sender] = unsafe_sub(balance, amount)
    # The sum of all balances is totalSupply, which fits.
    self.balanceOf[to] = unsafe_add(self.balanceOf[to], amount)
    log Transfer(sender=sender, receiver=to, amount=amount)


@internal
def _approve(owner: address, spender: address, amount: uint256):
    """
    @dev Set an allowance; no authorization is checked here.
    """
    self.allowance[owner][spender] = amount
    log Approval(owner=owner, spender=spender, amount=amount)


@internal
def _mint(to: address, amount: uint256):
    """
    @dev Create shares.
    """
    self.totalSupply += amount
    self.balanceOf[to] = unsafe_add(self.balanceOf[to], amount)
    log Transfer(sender=empty(address), receiver=to, amount=amount)


@internal
def _burn(owner: address, amount: uint256):
    """
    @dev Destroy shares; `owner` must hold them.
    """
    self.balanceOf[owner] -= amount
    self.totalSupply = unsafe_sub(self.totalSupply, amount)
    log Transfer(sender=owner, receiver=empty(address), amount=amount)
