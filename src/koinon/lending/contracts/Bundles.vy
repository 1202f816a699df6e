# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
"""
@title Bundles of wallets
@license Apache-2.0
@author Koinon
@notice One borrower's wallets, joined by their own signatures. A good history counts for all of them, and so does the worst.
        A wallet joins one bundle in its life, with the signatures of everyone in it. It may leave: then the others' good
        history is no longer its own, nor its good history theirs, but whatever is bad still counts both ways. So a
        wallet gains nothing by joining and leaving that it would not have alone.
@dev A bundle is named by its first wallet. It has eight places, which are never freed, so that reading is bounded.
     Nobody owns this contract.
@custom:source EIP-712, ERC-1271, ERC-5267
"""

from interfaces import IBundles
from koinon.works.contracts import eip712
from koinon.works.contracts import signatures
from koinon.works.contracts.interfaces import IAttestations

implements: IBundles


event Joined:
    bundle: indexed(address)
    wallet: indexed(address)
    size: uint256


event Left:
    bundle: indexed(address)
    wallet: indexed(address)


NAME: constant(String[14]) = "Koinon Bundles"
VERSION: constant(String[1]) = "1"
NAME_HASH: constant(bytes32) = keccak256("Koinon Bundles")
VERSION_HASH: constant(bytes32) = keccak256("1")
JOIN_TYPE_HASH: constant(bytes32) = keccak256("Join(address bundle,address wallet,uint256 size,uint256 deadline)")

bundle_of: public(HashMap[address, address])  # for ever; zero: none
has_left: public(HashMap[address, bool])
_wallets: HashMap[address, DynArray[address, 8]]  # everyone that ever was in a bundle


@external
def join(
    bundle: address,
    wallet: address,
    deadline: uint256,
    signature: Bytes[1024],
    members_signatures: DynArray[Bytes[1024], 8],
):
    """
    @notice Let a wallet into a bundle, or found one of two wallets. Anyone may post this.
    @param bundle The bundle's first wallet; one without a bundle founds its own.
    @param wallet Who joins.
    @param deadline The last second at which the signatures count.
    @param signature The joining wallet's signature over Join(bundle, wallet, size, deadline), where size is how many
           wallets there ever were in the bundle (1 for a new one).
    @param members_signatures The same by everyone in the bundle that has not left, in the order of `wallets_of`.
    """
    assert block.timestamp <= deadline, "too late"
    assert wallet != bundle and self.bundle_of[wallet] == empty(address), "already in a bundle"
    wallets: DynArray[address, 8] = self._wallets[bundle]
    if len(wallets) == 0:
        assert self.bundle_of[bundle] == empty(address), "not a bundle's first wallet"
        wallets = [bundle]
        self.bundle_of[bundle] = bundle
        self._wallets[bundle] = wallets
        log Joined(bundle=bundle, wallet=bundle, size=1)
    assert len(wallets) < 8, "bundle is full"
    digest: bytes32 = self._digest(bundle, wallet, len(wallets), deadline)
    assert signatures._signed_by(wallet, digest, signature), "wrong signature"
    index: uint256 = 0
    for member: address in wallets:
        if self.has_left[member]:
            continue
        assert index < len(members_signatures), "a signature is missing"
        assert signatures._signed_by(member, digest, members_signatures[index]), "wrong signature"
        index += 1
    assert index > 0, "everyone has left"
    self.bundle_of[wallet] = bundle
    self._wallets[bundle].append(wallet)
    log Joined(bundle=bundle, wallet=wallet, size=len(wallets) + 1)


@external
def leave():
    """
    @notice Leave one's bundle for ever. What is bad goes on to count, both ways.
    """
    bundle: address = self.bundle_of[msg.sender]
    assert bundle != empty(address), "in no bundle"
    assert not self.has_left[msg.sender], "left before"
    self.has_left[msg.sender] = True
    log Left(bundle=bundle, wallet=msg.sender)


@external
@view
def score_of(attestations: address, schema: bytes32, work_id: uint256, wallet: address) -> IBundles.Score:
    """
    @notice What a model's scores say of a wallet and its bundle: the worst of all that was ever said and not taken
            back, expired or not. Reverts where the wallet's own score has ended, or is another model's.
    @param attestations Where scores are posted.
    @param schema The scores' schema: the word's lowest 8 bits are the tier and one, the next 16 the probability of default
           a year in 1e-4. A word that names no tier gives the worst there is.
    @param work_id The model.
    @param wallet Who wants to borrow.
    @return The wallets whose history counts, the worst tier and probability among their scores, whether a valid score is
            good for this wallet, and the last block that such a one looked at.
    """
    wallets: DynArray[address, 8] = []
    good: uint256 = 0
    wallets, good = self._history_of(wallet)
    found: IBundles.Score = empty(IBundles.Score)
    found.wallets = wallets
    index: uint256 = 0
    for each: address in wallets:
        score: IAttestations.Standing = staticcall IAttestations(attestations).latest(schema, each)
        valid: bool = block.timestamp < convert(score.expires_at, uint256)
        if each == wallet and score.uid != empty(bytes32):
            assert not score.revoked, "score revoked"
            assert valid, "score expired"
            assert score.work_id == work_id, "score of another model"
        if score.uid != empty(bytes32) and not score.revoked and score.work_id == work_id:
            tier: uint256 = score.word & 255
            found.tier = max(found.tier, tier - 1 if tier > 0 else 255)
            found.pd_bps = max(found.pd_bps, (score.word >> 8) & 65535)
            if valid and (good >> index) & 1 == 1:
                found.is_valid = True
                found.as_of_block = max(found.as_of_block, convert(score.as_of_block, uint256))
        index += 1
    return found


@external
@view
def history_of(wallet: address) -> (DynArray[address, 8], uint256):
    """
    @param wallet Who.
    @return The wallets whose history counts for it, and a bit for each, from the lowest, whose good history does too.
    """
    return self._history_of(wallet)


@external
@view
def wallets_of(bundle: address) -> DynArray[address, 8]:
    """
    @param bundle A bundle's first wallet.
    @return Everyone that ever was in it, in order of joining.
    """
    return self._wallets[bundle]


@external
@view
def join_digest(bundle: address, wallet: address, size: uint256, deadline: uint256) -> bytes32:
    """
    @param bundle The bundle's first wallet.
    @param wallet Who joins.
    @param size How many wallets ever were in it; 1 for a new one.
    @param deadline The last second at which the signatures count.
    @return What all of them sign (EIP-712).
    """
    return self._digest(bundle, wallet, size, deadline)


@external
@view
def eip712Domain() -> (bytes1, String[14], String[1], uint256, address, bytes32, DynArray[uint256, 1]):
    """
    @notice The signing domain (ERC-5267).
    @return Which fields are used, name, version, chain id, contract, salt and extensions.
    """
    return (0x0f, NAME, VERSION, chain.id, self, empty(bytes32), [])


# --- inside ----------------------------------------------------------------------------------------------------------


@internal
@view
def _history_of(wallet: address) -> (DynArray[address, 8], uint256):
    """
    @dev Good history is shared among those that have not left; each keeps its own.
    """
    bundle: address = self.bundle_of[wallet]
    if bundle == empty(address):
        return [wallet], 1
    wallets: DynArray[address, 8] = self._wallets[bundle]
    stays: bool = not self.has_left[wallet]
    good: uint256 = 0
    index: uint256 = 0
    for each: address in wallets:
        if each == wallet or (stays and not self.has_left[each]):
            good |= 1 << index
        index += 1
    return wallets, good


@internal
@view
def _digest(bundle: address, wallet: address, size: uint256, deadline: uint256) -> bytes32:
    return eip712._digest(
        eip712._separator(NAME_HASH, VERSION_HASH, self),
        keccak256(abi_encode(JOIN_TYPE_HASH, bundle, wallet, size, deadline)),
    )
