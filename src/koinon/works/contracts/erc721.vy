# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@title ERC-721 core
@notice Ownership, approvals and transfers of numbered tokens with a URI each, with the errors of ERC-6093.
        The contract that uses it writes its own `transferFrom` around `_transfer_from`, because what a
        transfer clears is its affair.
@custom:source ERC-721, ERC-4906, ERC-6093
"""

event Transfer:
    sender: indexed(address)
    to: indexed(address)
    tokenId: indexed(uint256)


event Approval:
    owner: indexed(address)
    approved: indexed(address)
    tokenId: indexed(uint256)


event ApprovalForAll:
    owner: indexed(address)
    operator: indexed(address)
    approved: bool


event MetadataUpdate:
    _tokenId: uint256


RECEIVED: constant(bytes4) = 0x150b7a02

owners: HashMap[uint256, address]
balances: HashMap[address, uint256]
approvals: HashMap[uint256, address]
operators: HashMap[address, HashMap[address, bool]]
uris: HashMap[uint256, String[2048]]


@external
@view
def balanceOf(owner: address) -> uint256:
    """
    @notice How many tokens `owner` holds.
    @param owner The account; not the zero address (ERC721InvalidOwner).
    @return The count.
    """
    if owner == empty(address):
        raw_revert(abi_encode(owner, method_id=method_id("ERC721InvalidOwner(address)")))
    return self.balances[owner]


@external
@view
def ownerOf(tokenId: uint256) -> address:
    """
    @notice Who holds the token.
    @param tokenId The token; must exist (ERC721NonexistentToken).
    @return The holder.
    """
    return self._existing_owner(tokenId)


@external
@view
def getApproved(tokenId: uint256) -> address:
    """
    @notice The one account that may move this token besides its owner and the owner's operators.
    @param tokenId The token; must exist (ERC721NonexistentToken).
    @return The account, or zero.
    """
    self._existing_owner(tokenId)
    return self.approvals[tokenId]


@external
@view
def isApprovedForAll(owner: address, operator: address) -> bool:
    """
    @notice Whether `operator` may act for all tokens of `owner`.
    @param owner The holder.
    @param operator The account that would act.
    @return True if so.
    """
    return self.operators[owner][operator]


@external
@view
def tokenURI(tokenId: uint256) -> String[2048]:
    """
    @notice Where the token's registration file lies.
    @param tokenId The token; must exist (ERC721NonexistentToken).
    @return The URI as it was set; may be empty.
    """
    self._existing_owner(tokenId)
    return self.uris[tokenId]


@external
def approve(to: address, tokenId: uint256):
    """
    @notice Let `to` move this token; zero takes it back. Owner or the owner's operator only
            (ERC721InvalidApprover).
    @param to The account allowed.
    @param tokenId The token; must exist (ERC721NonexistentToken).
    """
    owner: address = self._existing_owner(tokenId)
    if msg.sender != owner and not self.operators[owner][msg.sender]:
        raw_revert(abi_encode(msg.sender, method_id=method_id("ERC721InvalidApprover(address)")))
    self.approvals[tokenId] = to
    log Approval(owner=owner, approved=to, tokenId=tokenId)


@external
def setApprovalForAll(operator: address, approved: bool):
    """
    @notice Let `operator` act for all tokens of the caller, or stop it.
    @param operator The account; not the zero address (ERC721InvalidOperator).
    @param approved True to allow.
    """
    if operator == empty(address):
        raw_revert(abi_encode(operator, method_id=method_id("ERC721InvalidOperator(address)")))
    self.operators[msg.sender][operator] = approved
    log ApprovalForAll(owner=msg.sender, operator=operator, approved=approved)


@internal
@view
def _existing_owner(token_id: uint256) -> address:
    """
    @dev The holder; reverts for a token nobody minted.
    """
    owner: address = self.owners[token_id]
    if owner == empty(address):
        raw_revert(abi_encode(token_id, method_id=method_id("ERC721NonexistentToken(uint256)")))
    return owner


@internal
@view
def _is_authorized(spender: address, token_id: uint256) -> bool:
    """
    @dev Owner, the owner's operator, or the token's approved account; never the zero address.
    """
    owner: address = self._existing_owner(token_id)
    if spender == owner or self.operators[owner][spender]:
        return True
    return spender != empty(address) and self.approvals[token_id] == spender


@internal
def _mint(to: address, token_id: uint256):
    """
    @dev Gives a new token to `to`; the caller makes sure that the id is new and tells the receiver at the
         end.
    """
    self.balances[to] += 1
    self.owners[token_id] = to
    log Transfer(sender=empty(address), to=to, tokenId=token_id)


@internal
def _transfer_from(spender: address, sender: address, to: address, token_id: uint256):
    """
    @dev Moves the token and clears its approval. Errors in the order of the reference: receiver, existence,
         approval, owner.
    """
    if to == empty(address):
        raw_revert(abi_encode(to, method_id=method_id("ERC721InvalidReceiver(address)")))
    owner: address = self._existing_owner(token_id)
    if not self._is_authorized(spender, token_id):
        raw_revert(
            abi_encode(spender, token_id, method_id=method_id("ERC721InsufficientApproval(address,uint256)"))
        )
    if owner != sender:
        raw_revert(
            abi_encode(
                sender, token_id, owner, method_id=method_id("ERC721IncorrectOwner(address,uint256,address)")
            )
        )
    self.approvals[token_id] = empty(address)
    self.balances[sender] -= 1
    self.balances[to] += 1
    self.owners[token_id] = to
    log Transfer(sender=sender, to=to, tokenId=token_id)


@internal
def _tell_receiver(operator: address, sender: address, to: address, token_id: uint256, data: Bytes[4096]):
    """
    @dev A contract that receives must say that it knows ERC-721; its own words are passed on when it refuses.
    """
    if to.codesize == 0:
        return
    success: bool = False
    answer: Bytes[512] = b""
    success, answer = raw_call(
        to,
        abi_encode(
            operator,
            sender,
            token_id,
            data,
            method_id=method_id("onERC721Received(address,address,uint256,bytes)"),
        ),
        max_outsize=512,
        revert_on_failure=False,
    )
    if not success and len(answer) != 0:
        raw_revert(answer)
    accepted: bool = False
    if success and len(answer) >= 32:
        accepted = extract32(answer, 0) == convert(RECEIVED, bytes32)
    if not accepted:
        raw_revert(abi_encode(to, method_id=method_id("ERC721InvalidReceiver(address)")))


@internal
def _set_uri(token_id: uint256, uri: String[2048]):
    """
    @dev Writes where the token's file lies and says so by ERC-4906.
    """
    self.uris[token_id] = uri
    log MetadataUpdate(_tokenId=token_id)
