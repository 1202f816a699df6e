# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
"""
@title Terms of Works, and grants
@notice What may be done with a Work, at what price and by whose leave; and who has paid. The owner opens a use with an
        offer; whoever takes it up pays straight into the Work's till and gets a grant: the receipt that keepers,
        gateways, sandboxes and markets check with `granted`.
        - A grant that was given stays: the owner can close an offer, change it or sell the Work; only the grantee can
          give a grant up. Time bought again under the same terms is added; under other terms it runs from now, so that
          nobody's gift delays what one has bought.
        - An offer, its allow list and the consents signed for it are the owner's, and lapse when the Work changes hands.
        - A buyer names token, highest price, shortest period and terms: an offer changed on the way is not taken up.
        - Exactly the price must reach the till: a token that takes a fee is refused.
        Uses are numbers: 0 download, 1 compute, 2 train, 3 call, 4 remix; the others are free for domains to name.
@dev Nothing is held here; payments go from payer to till in the same call. Nobody owns this contract.
@custom:source EIP-712, ERC-1271, ERC-5267
"""

from interfaces import IWorks
import eip712
import erc20_transfers
import signatures

event OfferMade:
    work_id: indexed(uint256)
    use: indexed(uint8)
    owner: indexed(address)
    token: address
    price: uint256
    period: uint64
    consent: uint8
    expires_at: uint64
    terms_digest: bytes32


event OfferClosed:
    work_id: indexed(uint256)
    use: indexed(uint8)


event Allowed:
    work_id: indexed(uint256)
    use: indexed(uint8)
    account: indexed(address)
    allowed: bool


event ConsentSpent:
    signer: indexed(address)
    salt: indexed(bytes32)


event Granted:
    grant_id: indexed(uint256)
    work_id: indexed(uint256)
    grantee: indexed(address)
    use: uint8
    payer: address
    token: address
    paid: uint256
    starts_at: uint64
    valid_until: uint64
    terms_digest: bytes32


event Surrendered:
    work_id: indexed(uint256)
    use: indexed(uint8)
    grantee: indexed(address)


struct Offer:
    token: address  # what is paid in; zero for ETH
    price: uint256  # in the token's smallest unit; 0 is a gift to whoever may take it
    period: uint64  # seconds a grant lasts; 0 for ever
    consent: uint8  # 1 open to all, 2 by the owner's signature, 3 by the allow list
    expires_at: uint64  # the last second the offer stands; 0 without end
    terms_digest: bytes32  # digest of the terms' text


struct Standing:
    offer: Offer
    owner: address


struct Grant:
    work_id: uint256
    use: uint8
    grantee: address
    payer: address
    token: address
    paid: uint256
    starts_at: uint64
    valid_until: uint64
    terms_digest: bytes32


OPEN: public(constant(uint8)) = 1
SIGNED: public(constant(uint8)) = 2
LISTED: public(constant(uint8)) = 3
FOR_EVER: public(constant(uint64)) = max_value(uint64)
CONSENT_TYPE_HASH: constant(bytes32) = keccak256(
    "Consent(uint256 workId,uint8 use,address grantee,address token,uint256 price,uint64 period,bytes32 termsDigest,bytes32 salt,uint256 deadline)"
)
NAME: constant(String[12]) = "Koinon Terms"
VERSION: constant(String[1]) = "1"
NAME_HASH: constant(bytes32) = keccak256("Koinon Terms")
VERSION_HASH: constant(bytes32) = keccak256("1")

WORKS: immutable(IWorks)

_standing: HashMap[uint256, HashMap[uint8, Standing]]
_allowed: HashMap[uint256, HashMap[uint8, HashMap[address, HashMap[address, bool]]]]
_spent: HashMap[address, HashMap[bytes32, bool]]
_grants: HashMap[uint256, Grant]
_granted: HashMap[uint256, HashMap[uint8, HashMap[address, uint64]]]
_granted_under: HashMap[uint256, HashMap[uint8, HashMap[address, HashMap[bytes32, uint64]]]]
_surrendered_up_to: HashMap[uint256, HashMap[uint8, HashMap[address, uint256]]]

# How many grants were ever given; ids run from 1 to this.
grant_count: public(uint256)


@deploy
def __init__(works: address):
    """
    @param works The register whose Works these terms are for.
    """
    assert works != empty(address), "works missing"
    WORKS = IWorks(works)


# --- the owner's part ------------------------------------------------------------------------------------------------


@external
def offer(work_id: uint256, use: uint8, terms: Offer):
    """
    @notice Open a use of a Work, or change on what terms it is open. Grants already given stay as they are.
    @param work_id The Work; the caller must be its owner or operator.
    @param use Which use.
    @param terms Price, period, consent rule, end of the offer and digest of the text.
    """
    owner: address = self._authorize(work_id)
    assert terms.consent >= OPEN and terms.consent <= LISTED, "unknown consent rule"
    assert terms.expires_at == 0 or convert(terms.expires_at, uint256) >= block.timestamp, "offer already expired"
    self._standing[work_id][use] = Standing(offer=terms, owner=owner)
    log OfferMade(
        work_id=work_id,
        use=use,
        owner=owner,
        token=terms.token,
        price=terms.price,
        period=terms.period,
        consent=terms.consent,
        expires_at=terms.expires_at,
        terms_digest=terms.terms_digest,
    )


@external
def close(work_id: uint256, use: uint8):
    """
    @notice Take an offer back. Grants already given stay.
    @param work_id The Work; the caller must be its owner or operator.
    @param use Which use.
    """
    self._authorize(work_id)
    self._standing[work_id][use] = empty(Standing)
    log OfferClosed(work_id=work_id, use=use)


@external
def allow(work_id: uint256, use: uint8, account: address, allowed: bool):
    """
    @notice Put a grantee on the allow list of an offer with rule 3, or take them off it.
    @param work_id The Work; the caller must be its owner or operator.
    @param use Which use.
    @param account The grantee.
    @param allowed Whether they may take the offer up.
    """
    owner: address = self._authorize(work_id)
    self._allowed[work_id][use][owner][account] = allowed
    log Allowed(work_id=work_id, use=use, account=account, allowed=allowed)


@external
def spend_consent(salt: bytes32):
    """
    @notice Take back a consent one has signed and that was not used yet.
    @param salt The consent's salt.
    """
    self._spend(msg.sender, salt)


@external
def give(work_id: uint256, use: uint8, grantee: address, period: uint64, terms_digest: bytes32) -> uint256:
    """
    @notice Grant a use for nothing.
    @param work_id The Work; the caller must be its owner or operator.
    @param use Which use.
    @param grantee Who may use it.
    @param period Seconds; 0 for ever.
    @param terms_digest Digest of the terms' text.
    @return The grant's id.
    """
    self._authorize(work_id)
    return self._grant(work_id, use, grantee, empty(address), 0, period, terms_digest)


# --- the buyer's part ------------------------------------------------------------------------------------------------


@external
@payable
@nonreentrant
def buy(
    work_id: uint256,
    use: uint8,
    grantee: address,
    token: address,
    max_price: uint256,
    min_period: uint64,
    terms_digest: bytes32,
    salt: bytes32 = empty(bytes32),
    deadline: uint256 = 0,
    signature: Bytes[1024] = b"",
) -> uint256:
    """
    @notice Take an offer up: the price goes from the caller into the Work's till, the grantee gets a grant.
    @dev A token must have been approved to this contract; for ETH the call carries exactly the price.
    @param work_id The Work.
    @param use Which use.
    @param grantee Who may use it; the caller may pay for another.
    @param token The token the buyer expects to pay in; zero for ETH.
    @param max_price The most the buyer pays.
    @param min_period The shortest period, in seconds, the buyer accepts (0: only for ever).
    @param terms_digest The terms the buyer has read.
    @param salt Of the owner's consent, where the offer asks for one.
    @param deadline Last second of the owner's consent.
    @param signature The owner's EIP-712 or ERC-1271 signature of the consent.
    @return The grant's id.
    """
    owner: address = staticcall WORKS.ownerOf(work_id)
    standing: Standing = self._standing[work_id][use]
    assert self._stands(standing, owner), "not on offer"
    terms: Offer = standing.offer
    assert terms.token == token, "other token"
    assert terms.price <= max_price, "price above the maximum"
    assert terms.period == 0 or (min_period != 0 and terms.period >= min_period), "period too short"
    assert terms.terms_digest == terms_digest, "other terms"
    if terms.consent == LISTED:
        assert self._allowed[work_id][use][owner][grantee], "not on the allow list"
    elif terms.consent == SIGNED:
        assert block.timestamp <= deadline, "consent expired"
        self._spend(owner, salt)
        digest: bytes32 = self._consent_digest(work_id, use, grantee, terms, salt, deadline)
        assert signatures._signed_by(owner, digest, signature), "consent not signed by the owner"
    grant_id: uint256 = self._grant(work_id, use, grantee, token, terms.price, terms.period, terms_digest)
    till: address = staticcall WORKS.till_of(work_id)
    if token == empty(address):
        assert msg.value == terms.price, "send exactly the price"
        raw_call(till, b"", value=msg.value)
    else:
        assert msg.value == 0, "price is not in ETH"
        erc20_transfers._collect(token, msg.sender, till, terms.price)
    return grant_id


@external
def surrender(work_id: uint256, use: uint8):
    """
    @notice Give up all one's grants of a use; nothing is paid back.
    @param work_id The Work.
    @param use Which use.
    """
    assert convert(self._granted[work_id][use][msg.sender], uint256) > block.timestamp, "nothing to surrender"
    self._granted[work_id][use][msg.sender] = 0
    self._surrendered_up_to[work_id][use][msg.sender] = self.grant_count
    log Surrendered(work_id=work_id, use=use, grantee=msg.sender)


# --- reading ---------------------------------------------------------------------------------------------------------


@external
@view
def granted(work_id: uint256, use: uint8, grantee: address) -> uint64:
    """
    @notice Until when an account may use a Work.
    @return Unix seconds: the use is granted while this is greater than the current time; 0 never granted or given up,
            2**64 - 1 for ever.
    """
    return self._granted[work_id][use][grantee]


@external
@view
def grant_of(grant_id: uint256) -> Grant:
    """
    @return What was granted, to whom, by whom paid, for how long, under which terms. See also `holds`.
    """
    assert grant_id > 0 and grant_id <= self.grant_count, "no such grant"
    return self._grants[grant_id]


@external
@view
def holds(grant_id: uint256) -> bool:
    """
    @return Whether this very grant is running: begun, not over, not given up.
    """
    grant: Grant = self._grants[grant_id]
    return (
        block.timestamp >= convert(grant.starts_at, uint256)
        and block.timestamp < convert(grant.valid_until, uint256)
        and grant_id > self._surrendered_up_to[grant.work_id][grant.use][grant.grantee]
    )


@external
@view
def offer_of(work_id: uint256, use: uint8) -> (Offer, bool):
    """
    @return The offer last made, and whether it stands: not closed, not expired, made by the present owner.
    """
    standing: Standing = self._standing[work_id][use]
    return (standing.offer, self._stands(standing, staticcall WORKS.ownerOf(work_id)))


@external
@view
def is_allowed(work_id: uint256, use: uint8, account: address) -> bool:
    """
    @return Whether an account is on the present owner's allow list.
    """
    return self._allowed[work_id][use][staticcall WORKS.ownerOf(work_id)][account]


@external
@view
def is_spent(signer: address, salt: bytes32) -> bool:
    """
    @return Whether a consent with this salt was used or taken back.
    """
    return self._spent[signer][salt]


@external
@view
def consent_digest(
    work_id: uint256, use: uint8, grantee: address, terms: Offer, salt: bytes32, deadline: uint256
) -> bytes32:
    """
    @notice What the owner signs to let one grantee take an offer up once.
    @return The EIP-712 digest, for this contract on this chain.
    """
    return self._consent_digest(work_id, use, grantee, terms, salt, deadline)


@external
@view
def works() -> address:
    """
    @return The register whose Works these terms are for.
    """
    return WORKS.address


@external
@view
def eip712Domain() -> (bytes1, String[12], String[1], uint256, address, bytes32, DynArray[uint256, 1]):
    """
    @notice The signing domain (ERC-5267).
    @return Which fields are used, name, version, chain id, contract, salt and extensions.
    """
    return (0x0f, NAME, VERSION, chain.id, self, empty(bytes32), [])


# --- inside ----------------------------------------------------------------------------------------------------------


@internal
@view
def _authorize(work_id: uint256) -> address:
    """
    @dev The Work's owner; reverts unless the caller is the owner or an operator.
    """
    assert staticcall WORKS.isAuthorizedOrOwner(msg.sender, work_id), "only the owner or an operator"
    return staticcall WORKS.ownerOf(work_id)


@internal
@view
def _stands(standing: Standing, owner: address) -> bool:
    """
    @dev Whether an offer can be taken up now.
    """
    return (
        standing.owner == owner
        and owner != empty(address)
        and (standing.offer.expires_at == 0 or block.timestamp <= convert(standing.offer.expires_at, uint256))
    )


@internal
def _spend(signer: address, salt: bytes32):
    """
    @dev Every consent works once.
    """
    assert not self._spent[signer][salt], "consent already used"
    self._spent[signer][salt] = True
    log ConsentSpent(signer=signer, salt=salt)


@internal
@view
def _consent_digest(
    work_id: uint256, use: uint8, grantee: address, terms: Offer, salt: bytes32, deadline: uint256
) -> bytes32:
    struct_hash: bytes32 = keccak256(
        abi_encode(
            CONSENT_TYPE_HASH,
            work_id,
            use,
            grantee,
            terms.token,
            terms.price,
            terms.period,
            terms.terms_digest,
            salt,
            deadline,
        )
    )
    return eip712._digest(eip712._separator(NAME_HASH, VERSION_HASH, self), struct_hash)


@internal
def _grant(
    work_id: uint256,
    use: uint8,
    grantee: address,
    token: address,
    paid: uint256,
    period: uint64,
    terms_digest: bytes32,
) -> uint256:
    """
    @dev Write the receipt; what was granted before never becomes shorter.
    """
    assert grantee != empty(address), "grantee missing"
    now: uint64 = convert(block.timestamp, uint64)
    under: bytes32 = keccak256(abi_encode(terms_digest, self._surrendered_up_to[work_id][use][grantee]))
    starts_at: uint64 = max(now, self._granted_under[work_id][use][grantee][under])
    assert starts_at != FOR_EVER, "already granted for ever"
    valid_until: uint64 = FOR_EVER
    if period != 0 and period < FOR_EVER - starts_at:
        valid_until = starts_at + period
    grant_id: uint256 = self.grant_count + 1
    self.grant_count = grant_id
    self._grants[grant_id] = Grant(
        work_id=work_id,
        use=use,
        grantee=grantee,
        payer=msg.sender,
        token=token,
        paid=paid,
        starts_at=starts_at,
        valid_until=valid_until,
        terms_digest=terms_digest,
    )
    self._granted_under[work_id][use][grantee][under] = valid_until
    if valid_until > self._granted[work_id][use][grantee]:
        self._granted[work_id][use][grantee] = valid_until
    log Granted(
        grant_id=grant_id,
        work_id=work_id,
        grantee=grantee,
        use=use,
        payer=msg.sender,
        token=token,
        paid=paid,
        starts_at=starts_at,
        valid_until=valid_until,
        terms_digest=terms_digest,
    )
    return grant_id
