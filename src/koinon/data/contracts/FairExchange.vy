# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
"""
@title Fair exchange of content for money
@notice A seller and a buyer who need trust nobody. The seller publishes the Merkle root of the content, hands the buyer the
        content encrypted under a key made for this sale, with the hashes of its blocks, and signs the sale. The buyer
        checks both roots and locks the price; the seller reveals the key in time, or the buyer takes the money back.
        If the key opens any block to something else than was promised, the buyer shows that one block and is paid back;
        otherwise the price goes to the Work's till, through Terms where the same offer stands, so that the buyer holds
        a grant too.
        - Block number i of the ciphertext is the block of the content XOR, word w by word, keccak256(key, i, w).
        - A block is 1,024 bytes, the last one filled up with zeros. A leaf is keccak256(0x00, size, index, block), a
          node keccak256(0x01, left, right); a tree is filled up to a power of two with zero words. Size and index
          are in the leaf and the length of a proof is fixed, so no node passes for a leaf and no block for another.
        - The key is for everyone to see once revealed: hand the ciphertext to the buyer only.
        - The hashes of the blocks let whoever has them test a guess of a whole block before it is paid for.
@dev Only a digest, a state and a deadline are kept of a sale; every call brings the sale itself. Nobody owns this.
@custom:source Dziembowski, Eckey, Faust: FairSwap, 2018; EIP-712
"""

from ethereum.ercs import IERC20
from koinon.works.contracts import eip712
from koinon.works.contracts import erc20_transfers
from koinon.works.contracts import signatures
from koinon.works.contracts.interfaces import ITerms
from koinon.works.contracts.interfaces import IWorks


struct Sale:
    work_id: uint256
    seller: address  # the Work's owner or operator
    buyer: address
    plaintext_root: bytes32
    ciphertext_root: bytes32
    size: uint64  # of the content, in bytes
    key_commitment: bytes32  # keccak256 of the key
    token: address  # zero for ETH
    price: uint256
    period: uint64  # seconds of the grant that comes with it; 0 for ever
    terms_digest: bytes32
    reveal_s: uint64  # the seller has so long to reveal the key
    dispute_s: uint64  # the buyer has so long from then to dispute
    valid_until: uint64  # the last second to lock


struct Deal:
    state: uint8
    deadline: uint64  # the last second to reveal, then to dispute


event Locked:
    sale_id: indexed(bytes32)
    work_id: indexed(uint256)
    buyer: indexed(address)
    sale: Sale
    reveal_until: uint64


event Revealed:
    sale_id: indexed(bytes32)
    key: bytes32
    dispute_until: uint64


event Completed:
    sale_id: indexed(bytes32)
    grant_id: uint256


event Refunded:
    sale_id: indexed(bytes32)
    disputed: bool


LOCKED: public(constant(uint8)) = 1
REVEALED: public(constant(uint8)) = 2
COMPLETED: public(constant(uint8)) = 3
REFUNDED: public(constant(uint8)) = 4

WORDS: constant(uint256) = 32
BLOCK_BYTES: public(constant(uint256)) = 1_024
MAXIMUM_DEPTH: constant(uint256) = 32
MAXIMUM_SIZE: constant(uint64) = 2**42
LONGEST_S: constant(uint64) = 30 * 86_400
DOWNLOAD: constant(uint8) = 0
OPEN: constant(uint8) = 1
LISTED: constant(uint8) = 3
FOR_EVER: constant(uint64) = max_value(uint64)
NAME: constant(String[20]) = "Koinon Fair Exchange"
VERSION: constant(String[1]) = "1"
NAME_HASH: constant(bytes32) = keccak256("Koinon Fair Exchange")
VERSION_HASH: constant(bytes32) = keccak256("1")
SALE_TYPE_HASH: constant(bytes32) = keccak256(
    "Sale(uint256 workId,address seller,address buyer,bytes32 plaintextRoot,bytes32 ciphertextRoot,uint64 size,bytes32 keyCommitment,address token,uint256 price,uint64 period,bytes32 termsDigest,uint64 revealSeconds,uint64 disputeSeconds,uint64 validUntil)"
)

WORKS: public(immutable(IWorks))
TERMS: public(immutable(ITerms))

_deals: HashMap[bytes32, Deal]


@deploy
def __init__(terms: ITerms):
    """
    @notice Binds the exchange to the terms, and through them to the register, whose Works are sold.
    @param terms The Terms contract; must be deployed.
    """
    assert terms.address.codesize != 0, "no terms"
    TERMS = terms
    WORKS = IWorks(staticcall terms.works())


# --- a sale ----------------------------------------------------------------------------------------------------------


@external
@payable
@nonreentrant
def lock(sale: Sale, signature: Bytes[1024]) -> bytes32:
    """
    @notice Lock the price of a sale that the seller signed. Check both roots against what was handed over first.
    @dev A token must have been approved to this contract; for ETH the call carries exactly the price.
    @param sale The sale; the caller must be its buyer.
    @param signature The seller's EIP-712 or ERC-1271 signature of it.
    @return The sale's id: what was signed.
    """
    sale_id: bytes32 = self._sale_id(sale)
    assert self._deals[sale_id].state == 0, "sale already locked"
    assert msg.sender == sale.buyer, "only the buyer"
    assert block.timestamp <= convert(sale.valid_until, uint256), "sale no longer valid"
    assert sale.price > 0, "price missing"
    assert sale.size > 0 and sale.size <= MAXIMUM_SIZE, "size out of range"
    assert sale.reveal_s > 0 and sale.reveal_s <= LONGEST_S, "time to reveal out of range"
    assert sale.dispute_s > 0 and sale.dispute_s <= LONGEST_S, "time to dispute out of range"
    assert staticcall WORKS.isAuthorizedOrOwner(sale.seller, sale.work_id), "seller may not sell this Work"
    assert signatures._signed_by(sale.seller, sale_id, signature), "sale not signed by the seller"
    reveal_until: uint64 = convert(block.timestamp, uint64) + sale.reveal_s
    self._deals[sale_id] = Deal(state=LOCKED, deadline=reveal_until)
    if sale.token == empty(address):
        assert msg.value == sale.price, "send exactly the price"
    else:
        assert msg.value == 0, "price is not in ETH"
        erc20_transfers._collect(sale.token, msg.sender, self, sale.price)
    log Locked(sale_id=sale_id, work_id=sale.work_id, buyer=sale.buyer, sale=sale, reveal_until=reveal_until)
    return sale_id


@external
def reveal(sale: Sale, key: bytes32):
    """
    @notice Reveal the key of a locked sale in time. Whoever knows it may; everyone will.
    @param sale The sale.
    @param key The key committed to.
    """
    sale_id: bytes32 = self._sale_id(sale)
    assert self._deals[sale_id].state == LOCKED, "sale not locked"
    assert block.timestamp <= convert(self._deals[sale_id].deadline, uint256), "too late to reveal"
    assert keccak256(key) == sale.key_commitment, "not the key committed to"
    dispute_until: uint64 = convert(block.timestamp, uint64) + sale.dispute_s
    self._deals[sale_id] = Deal(state=REVEALED, deadline=dispute_until)
    log Revealed(sale_id=sale_id, key=key, dispute_until=dispute_until)


@external
@nonreentrant
def refund(sale: Sale):
    """
    @notice Give the buyer the price back when the key was not revealed in time. Anyone may.
    @param sale The sale.
    """
    sale_id: bytes32 = self._sale_id(sale)
    assert self._deals[sale_id].state == LOCKED, "sale not locked"
    assert block.timestamp > convert(self._deals[sale_id].deadline, uint256), "seller still has time"
    self._pay_back(sale_id, sale, False)


@external
@nonreentrant
def dispute(
    sale: Sale,
    key: bytes32,
    index: uint256,
    encrypted: bytes32[WORDS],
    ciphertext_proof: DynArray[bytes32, MAXIMUM_DEPTH],
    promised_leaf: bytes32,
    plaintext_proof: DynArray[bytes32, MAXIMUM_DEPTH],
):
    """
    @notice Show one block that the revealed key opens to something else than was promised: the buyer is paid back.
    @param sale The sale.
    @param key The revealed key.
    @param index The block's number, from 0.
    @param encrypted The block as it was handed over.
    @param ciphertext_proof Its siblings, from the bottom up, to the ciphertext's root.
    @param promised_leaf The hash that was promised for this block.
    @param plaintext_proof Its siblings, from the bottom up, to the promised root.
    """
    sale_id: bytes32 = self._sale_id(sale)
    assert self._deals[sale_id].state == REVEALED, "key not revealed"
    assert block.timestamp <= convert(self._deals[sale_id].deadline, uint256), "too late to dispute"
    assert keccak256(key) == sale.key_commitment, "not the key committed to"
    size: uint256 = convert(sale.size, uint256)
    count: uint256 = (size + BLOCK_BYTES - 1) // BLOCK_BYTES
    assert index < count, "no such block"
    depth: uint256 = self._depth(count)
    assert len(ciphertext_proof) == depth and len(plaintext_proof) == depth, "proof of another length"
    leaf: bytes32 = self._leaf(size, index, encrypted)
    assert self._root(leaf, index, ciphertext_proof) == sale.ciphertext_root, "not a block of the ciphertext"
    assert self._root(promised_leaf, index, plaintext_proof) == sale.plaintext_root, "not what was promised"
    opened: bytes32[WORDS] = self._decrypted(key, index, encrypted)
    assert self._leaf(size, index, opened) != promised_leaf, "the block is as promised"
    self._pay_back(sale_id, sale, True)


@external
@nonreentrant
def complete(sale: Sale) -> uint256:
    """
    @notice Pay the Work's till: by anyone after the time to dispute, by the buyer at any time after the key.
    @dev Whether the grant is bought is decided by what Terms says now, never by whether buying fails.
    @param sale The sale.
    @return The grant's id; 0 where the offer agreed on does not stand, and the till was paid plainly.
    """
    sale_id: bytes32 = self._sale_id(sale)
    assert self._deals[sale_id].state == REVEALED, "key not revealed"
    if msg.sender != sale.buyer:
        assert block.timestamp > convert(self._deals[sale_id].deadline, uint256), "buyer still has time"
    self._deals[sale_id].state = COMPLETED
    grant_id: uint256 = 0
    if self._offer_stands(sale):
        value: uint256 = sale.price
        if sale.token != empty(address):
            value = 0
            assert extcall IERC20(sale.token).approve(
                TERMS.address, sale.price, default_return_value=True
            ), "approval refused"
        grant_id = extcall TERMS.buy(
            sale.work_id,
            DOWNLOAD,
            sale.buyer,
            sale.token,
            sale.price,
            sale.period,
            sale.terms_digest,
            value=value,
        )
    else:
        self._pay(sale.token, staticcall WORKS.till_of(sale.work_id), sale.price)
    log Completed(sale_id=sale_id, grant_id=grant_id)
    return grant_id


# --- reading ---------------------------------------------------------------------------------------------------------


@external
@view
def sale_id(sale: Sale) -> bytes32:
    """
    @notice What the seller signs, and what names the sale.
    @param sale The sale.
    @return The EIP-712 digest, for this contract on this chain.
    """
    return self._sale_id(sale)


@external
@view
def deal_of(sale_id_: bytes32) -> (uint8, uint64):
    """
    @notice How far a sale is.
    @param sale_id_ The sale's id.
    @return State (0 unknown, 1 locked, 2 revealed, 3 completed, 4 refunded), and the last second to reveal or dispute.
    """
    return (self._deals[sale_id_].state, self._deals[sale_id_].deadline)


@external
@view
def eip712Domain() -> (bytes1, String[20], String[1], uint256, address, bytes32, DynArray[uint256, 1]):
    """
    @notice The signing domain (ERC-5267).
    @return Which fields are used, name, version, chain id, contract, salt and extensions.
    """
    return (0x0f, NAME, VERSION, chain.id, self, empty(bytes32), [])


# --- inside ----------------------------------------------------------------------------------------------------------


@internal
@view
def _sale_id(sale: Sale) -> bytes32:
    separator: bytes32 = eip712._separator(NAME_HASH, VERSION_HASH, self)
    return eip712._digest(separator, keccak256(abi_encode(SALE_TYPE_HASH, sale)))


@internal
@view
def _offer_stands(sale: Sale) -> bool:
    """
    @dev Whether Terms would sell this buyer exactly what was agreed at locking.
    """
    offer: ITerms.Offer = empty(ITerms.Offer)
    stands: bool = False
    offer, stands = staticcall TERMS.offer_of(sale.work_id, DOWNLOAD)
    if not stands:
        return False
    if offer.token != sale.token or offer.price != sale.price or offer.period != sale.period:
        return False
    if offer.terms_digest != sale.terms_digest:
        return False
    if staticcall TERMS.granted(sale.work_id, DOWNLOAD, sale.buyer) == FOR_EVER:
        return False  # Terms sells nothing more to who has it for ever
    if offer.consent == LISTED:
        return staticcall TERMS.is_allowed(sale.work_id, DOWNLOAD, sale.buyer)
    return offer.consent == OPEN


@internal
def _pay_back(sale_id_: bytes32, sale: Sale, disputed: bool):
    self._deals[sale_id_].state = REFUNDED
    self._pay(sale.token, sale.buyer, sale.price)
    log Refunded(sale_id=sale_id_, disputed=disputed)


@internal
def _pay(token: address, receiver: address, amount: uint256):
    if token == empty(address):
        raw_call(receiver, b"", value=amount)
    else:
        erc20_transfers._pay(token, receiver, amount)


@internal
@pure
def _leaf(size: uint256, index: uint256, content: bytes32[WORDS]) -> bytes32:
    return keccak256(concat(0x00, abi_encode(size, index, content)))


@internal
@pure
def _root(leaf: bytes32, index: uint256, proof: DynArray[bytes32, MAXIMUM_DEPTH]) -> bytes32:
    """
    @dev The root that the leaf at this place and its siblings lead to.
    """
    node: bytes32 = leaf
    place: uint256 = index
    for sibling: bytes32 in proof:
        if place & 1 == 0:
            node = keccak256(concat(0x01, node, sibling))
        else:
            node = keccak256(concat(0x01, sibling, node))
        place >>= 1
    return node


@internal
@pure
def _depth(count: uint256) -> uint256:
    """
    @dev The least depth of a tree with room for so many leaves.
    """
    depth: uint256 = 0
    for _: uint256 in range(MAXIMUM_DEPTH):
        if 1 << depth >= count:
            break
        depth += 1
    return depth


@internal
@pure
def _decrypted(key: bytes32, index: uint256, encrypted: bytes32[WORDS]) -> bytes32[WORDS]:
    opened: bytes32[WORDS] = encrypted
    for word: uint256 in range(WORDS):
        pad: uint256 = convert(keccak256(abi_encode(key, index, word)), uint256)
        opened[word] = convert(convert(encrypted[word], uint256) ^ pad, bytes32)
    return opened
