# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
"""
@title Attestations
@license Apache-2.0
@author Koinon
@notice What known issuers say of an account: a credit score, a proof of personhood, a credential. Anyone registers a schema:
        a text that says what its attestations mean, the issuers and how many of them must sign, and a contract that is
        told of each (its resolver). Issuers sign off chain and anyone posts. Of each schema and subject the newest
        attestation stands; it ends at its expiry, or when as many issuers revoke it. An attestation that is not newer
        than what stands is refused, so none can be replayed, also not after a revocation.
        A schema's issuers never change, or change by the signatures of as many of the present ones, after the delay
        that the schema names.
@dev Nobody owns this contract. Only the facts that other contracts need are kept; `uid` commits to all others, which are
     in the event. A resolver gets bounded gas, may refuse an attestation and never a revocation; this contract holds
     nothing and is allowed nothing that a resolver could take.
@custom:source EIP-712, ERC-1271, ERC-5267; Ethereum Attestation Service (schemas and resolvers)
"""

from interfaces import IAttestations
from . import eip712
from . import signatures

implements: IAttestations


struct Attestation:
    schema: bytes32
    subject: address
    word: uint256  # the data themselves, where they fit one word
    digest: bytes32  # the data's digest, where they do not
    work_id: uint256  # the model or other Work that judged, 0 none
    feature_root: bytes32  # Merkle root of what was judged, zero where nothing is to be proven
    as_of_block: uint64  # the last block that was looked at
    issued_at: uint64
    expires_at: uint64
    nonce: uint64  # orders attestations of one second


struct Signed:
    issuer: address
    signature: Bytes[1024]


struct Issuers:
    accounts: DynArray[address, 16]
    threshold: uint256


event SchemaRegistered:
    schema: indexed(bytes32)
    registrant: indexed(address)
    text: String[256]
    resolver: address
    issuers: DynArray[address, 16]
    threshold: uint256
    change_delay_s: uint64


event IssuersChanging:
    schema: indexed(bytes32)
    issuers: DynArray[address, 16]
    threshold: uint256
    change: uint64
    from_time: uint64


event Attested:
    uid: indexed(bytes32)
    schema: indexed(bytes32)
    subject: indexed(address)
    word: uint256
    digest: bytes32
    work_id: uint256
    feature_root: bytes32
    as_of_block: uint64
    issued_at: uint64
    expires_at: uint64
    nonce: uint64


event Revoked:
    uid: indexed(bytes32)
    schema: indexed(bytes32)
    subject: indexed(address)
    resolver_told: bool


NAME: constant(String[19]) = "Koinon Attestations"
VERSION: constant(String[1]) = "1"
NAME_HASH: constant(bytes32) = keccak256("Koinon Attestations")
VERSION_HASH: constant(bytes32) = keccak256("1")
ATTESTATION_TYPE_HASH: constant(bytes32) = keccak256(
    "Attestation(bytes32 schema,address subject,uint256 word,bytes32 digest,uint256 workId,bytes32 featureRoot,uint64 asOfBlock,uint64 issuedAt,uint64 expiresAt,uint64 nonce)"
)
REVOCATION_TYPE_HASH: constant(bytes32) = keccak256("Revocation(bytes32 schema,address subject,bytes32 uid)")
CHANGE_TYPE_HASH: constant(bytes32) = keccak256(
    "IssuerChange(bytes32 schema,address[] issuers,uint256 threshold,uint64 change)"
)
HOOK_GAS: public(constant(uint256)) = 100_000  # what a resolver gets, always in full
MAXIMUM_DELAY_S: constant(uint64) = 31_536_000

_registered: HashMap[bytes32, bool]
resolver_of: public(HashMap[bytes32, address])
change_delay_of: public(HashMap[bytes32, uint64])
changes: public(HashMap[bytes32, uint64])  # how many changes of issuers a schema has seen
_issuers: HashMap[bytes32, Issuers]
_next_issuers: HashMap[bytes32, Issuers]
next_issuers_from: public(HashMap[bytes32, uint64])
_uid: HashMap[bytes32, HashMap[address, bytes32]]
_word: HashMap[bytes32, HashMap[address, uint256]]
_work_id: HashMap[bytes32, HashMap[address, uint256]]
_times: HashMap[bytes32, HashMap[address, uint256]]  # as_of_block, issued_at, expires_at, nonce: 64 bits each
is_revoked: public(HashMap[bytes32, HashMap[bytes32, bool]])  # schema -> uid, posted or not


# --- schemas ---------------------------------------------------------------------------------------------------------


@external
def register(
    text: String[256],
    resolver: address,
    issuers: DynArray[address, 16],
    threshold: uint256,
    change_delay_s: uint64,
) -> bytes32:
    """
    @notice Register a schema. Anyone may.
    @param text What its attestations mean: a sentence, or the CID of a document.
    @param resolver A contract told of every attestation and revocation; zero for none.
    @param issuers Who may sign, in rising order of their addresses.
    @param threshold How many of them must.
    @param change_delay_s Seconds between a change of issuers and its effect, up to a year; 0: they never change.
    @return The schema's id, which follows from the caller and all of this.
    """
    assert len(text) > 0, "say what it means"
    assert resolver == empty(address) or resolver.is_contract, "resolver has no code"
    assert change_delay_s <= MAXIMUM_DELAY_S, "delay too long"
    self._check(issuers, threshold)
    schema: bytes32 = keccak256(
        abi_encode(chain.id, self, msg.sender, text, resolver, issuers, threshold, change_delay_s)
    )
    assert not self._registered[schema], "schema exists"
    self._registered[schema] = True
    self.resolver_of[schema] = resolver
    self.change_delay_of[schema] = change_delay_s
    self._issuers[schema] = Issuers(accounts=issuers, threshold=threshold)
    log SchemaRegistered(
        schema=schema,
        registrant=msg.sender,
        text=text,
        resolver=resolver,
        issuers=issuers,
        threshold=threshold,
        change_delay_s=change_delay_s,
    )
    return schema


@external
def change_issuers(
    schema: bytes32, issuers: DynArray[address, 16], threshold: uint256, signed: DynArray[Signed, 16]
):
    """
    @notice Change who may sign, after the schema's delay. Until then the present issuers go on, and may replace this
            change by another.
    @param schema Which.
    @param issuers The new ones, in rising order of their addresses.
    @param threshold How many of them must sign.
    @param signed As many signatures of present issuers as must sign, in rising order of the issuers.
    """
    delay: uint64 = self.change_delay_of[schema]
    assert delay != 0, "issuers never change"
    self._check(issuers, threshold)
    change: uint64 = self.changes[schema]
    self._require_signed(schema, self._change_digest(schema, issuers, threshold, change), signed)
    if self._has_next(schema):
        self._issuers[schema] = self._next_issuers[schema]
    self._next_issuers[schema] = Issuers(accounts=issuers, threshold=threshold)
    from_time: uint64 = convert(block.timestamp, uint64) + delay
    self.next_issuers_from[schema] = from_time
    self.changes[schema] = change + 1
    log IssuersChanging(schema=schema, issuers=issuers, threshold=threshold, change=change, from_time=from_time)


# --- attestations ----------------------------------------------------------------------------------------------------


@external
@nonreentrant
def attest(attestation: Attestation, signed: DynArray[Signed, 16]) -> bytes32:
    """
    @notice Post what issuers signed. Anyone may.
    @param attestation What they say.
    @param signed As many signatures as the schema asks for, in rising order of the issuers.
    @return The attestation's uid, which commits to all of it.
    """
    schema: bytes32 = attestation.schema
    subject: address = attestation.subject
    assert subject != empty(address), "subject missing"
    now: uint64 = convert(block.timestamp, uint64)
    assert attestation.issued_at <= now, "issued in the future"
    assert attestation.expires_at > now, "expired"
    times: uint256 = self._times[schema][subject]
    issued_at: uint64 = self._field(times, 1)
    assert attestation.issued_at > issued_at or (
        attestation.issued_at == issued_at and attestation.nonce > self._field(times, 3)
    ), "not newer than what stands"
    uid: bytes32 = self._uid_of(attestation)
    assert not self.is_revoked[schema][uid], "revoked"
    self._require_signed(schema, uid, signed)
    self._uid[schema][subject] = uid
    self._word[schema][subject] = attestation.word
    self._work_id[schema][subject] = attestation.work_id
    self._times[schema][subject] = (
        (convert(attestation.as_of_block, uint256) << 192)
        | (convert(attestation.issued_at, uint256) << 128)
        | (convert(attestation.expires_at, uint256) << 64)
        | convert(attestation.nonce, uint256)
    )
    log Attested(
        uid=uid,
        schema=schema,
        subject=subject,
        word=attestation.word,
        digest=attestation.digest,
        work_id=attestation.work_id,
        feature_root=attestation.feature_root,
        as_of_block=attestation.as_of_block,
        issued_at=attestation.issued_at,
        expires_at=attestation.expires_at,
        nonce=attestation.nonce,
    )
    assert self._tell(
        self.resolver_of[schema],
        abi_encode(
            uid,
            schema,
            subject,
            attestation.word,
            attestation.work_id,
            attestation.expires_at,
            method_id=method_id("attested(bytes32,bytes32,address,uint256,uint256,uint64)"),
        ),
    ), "the resolver refuses"
    return uid


@external
@nonreentrant
def revoke(schema: bytes32, subject: address, uid: bytes32, signed: DynArray[Signed, 16]):
    """
    @notice Post that issuers take an attestation back, posted or not yet posted. Anyone may. Nothing brings it back.
    @param schema Its schema.
    @param subject Of whom it is.
    @param uid Which.
    @param signed As many signatures as the schema asks for, in rising order of the issuers.
    """
    assert not self.is_revoked[schema][uid], "already revoked"
    self._require_signed(schema, self._revocation_digest(schema, subject, uid), signed)
    self.is_revoked[schema][uid] = True
    told: bool = self._tell(
        self.resolver_of[schema],
        abi_encode(uid, schema, subject, method_id=method_id("revoked(bytes32,bytes32,address)")),
    )
    log Revoked(uid=uid, schema=schema, subject=subject, resolver_told=told)


# --- reading ---------------------------------------------------------------------------------------------------------


@external
@view
def latest(schema: bytes32, subject: address) -> IAttestations.Standing:
    """
    @notice The newest attestation, valid or not.
    @param schema Which schema.
    @param subject Of whom.
    @return What is kept of it; all zero where there never was one.
    """
    times: uint256 = self._times[schema][subject]
    uid: bytes32 = self._uid[schema][subject]
    return IAttestations.Standing(
        uid=uid,
        word=self._word[schema][subject],
        work_id=self._work_id[schema][subject],
        as_of_block=self._field(times, 0),
        issued_at=self._field(times, 1),
        expires_at=self._field(times, 2),
        nonce=self._field(times, 3),
        revoked=self.is_revoked[schema][uid],
    )


@external
@view
def is_valid(schema: bytes32, subject: address) -> bool:
    """
    @param schema Which schema.
    @param subject Of whom.
    @return Whether an attestation stands that is neither expired nor revoked.
    """
    return (
        block.timestamp < convert(self._field(self._times[schema][subject], 2), uint256)
        and not self.is_revoked[schema][self._uid[schema][subject]]
    )


@external
@view
def is_registered(schema: bytes32) -> bool:
    """
    @param schema An id.
    @return Whether it is a schema's.
    """
    return self._registered[schema]


@external
@view
def issuers_of(schema: bytes32) -> (DynArray[address, 16], uint256):
    """
    @param schema Which schema.
    @return Its present issuers, and how many of them must sign.
    """
    issuers: Issuers = self._present(schema)
    return issuers.accounts, issuers.threshold


@external
@view
def is_issuer(schema: bytes32, account: address) -> bool:
    """
    @param schema Which schema.
    @param account An account.
    @return Whether it is one of the present issuers.
    """
    return account in self._present(schema).accounts


@external
@view
def is_signed_by_issuer(schema: bytes32, issuer: address, digest: bytes32, signature: Bytes[1024]) -> bool:
    """
    @notice For other things that one issuer signs: an offer that follows from a score.
    @param schema Which schema.
    @param issuer Who is said to have signed.
    @param digest What.
    @param signature The signature, of a key or a contract (ERC-1271).
    @return Whether this is one of the present issuers and its signature.
    """
    return issuer in self._present(schema).accounts and signatures._signed_by(issuer, digest, signature)


@external
@view
def uid_of(attestation: Attestation) -> bytes32:
    """
    @param attestation What issuers say.
    @return The EIP-712 digest that they sign, which is also its uid.
    """
    return self._uid_of(attestation)


@external
@view
def revocation_digest(schema: bytes32, subject: address, uid: bytes32) -> bytes32:
    """
    @param schema The attestation's schema.
    @param subject Of whom it is.
    @param uid Which.
    @return What issuers sign to take it back.
    """
    return self._revocation_digest(schema, subject, uid)


@external
@view
def change_digest(schema: bytes32, issuers: DynArray[address, 16], threshold: uint256, change: uint64) -> bytes32:
    """
    @param schema Which schema.
    @param issuers The new issuers.
    @param threshold How many of them must sign.
    @param change How many changes there were before (`changes`).
    @return What the present issuers sign.
    """
    return self._change_digest(schema, issuers, threshold, change)


@external
@view
def eip712Domain() -> (bytes1, String[19], String[1], uint256, address, bytes32, DynArray[uint256, 1]):
    """
    @notice The signing domain (ERC-5267).
    @return Which fields are used, name, version, chain id, contract, salt and extensions.
    """
    return (0x0f, NAME, VERSION, chain.id, self, empty(bytes32), [])


# --- inside ----------------------------------------------------------------------------------------------------------


@internal
@pure
def _check(issuers: DynArray[address, 16], threshold: uint256):
    """
    @dev Rising addresses are all different, and none is zero.
    """
    assert threshold > 0 and threshold <= len(issuers), "threshold out of range"
    last: uint256 = 0
    for issuer: address in issuers:
        number: uint256 = convert(issuer, uint256)
        assert number > last, "issuers must rise"
        last = number


@internal
@view
def _has_next(schema: bytes32) -> bool:
    """
    @dev Whether the issuers last chosen are in office.
    """
    from_time: uint64 = self.next_issuers_from[schema]
    return from_time != 0 and block.timestamp >= convert(from_time, uint256)


@internal
@view
def _present(schema: bytes32) -> Issuers:
    if self._has_next(schema):
        return self._next_issuers[schema]
    return self._issuers[schema]


@internal
@view
def _require_signed(schema: bytes32, digest: bytes32, signed: DynArray[Signed, 16]):
    """
    @dev Signers rise, so that none counts twice; every one must be an issuer and every signature good.
    """
    issuers: Issuers = self._present(schema)
    assert issuers.threshold != 0, "no such schema"
    assert len(signed) >= issuers.threshold, "too few signatures"
    last: uint256 = 0
    for each: Signed in signed:
        number: uint256 = convert(each.issuer, uint256)
        assert number > last, "signers must rise"
        last = number
        assert each.issuer in issuers.accounts, "not an issuer"
        assert signatures._signed_by(each.issuer, digest, each.signature), "wrong signature"


@internal
def _tell(resolver: address, data: Bytes[228]) -> bool:
    """
    @dev Whether the resolver agrees. It gets all of its gas or the transaction fails, so that whoever posts cannot
         make it fail by sending little.
    """
    if resolver == empty(address):
        return True
    assert msg.gas > HOOK_GAS * 64 // 63 + 10_000, "bring more gas"
    return raw_call(resolver, data, gas=HOOK_GAS, revert_on_failure=False)


@internal
@pure
def _field(times: uint256, index: uint256) -> uint64:
    """
    @dev The 64-bit number at this place of four, from the left.
    """
    return convert((times >> (64 * (3 - index))) & (2**64 - 1), uint64)


@internal
@view
def _uid_of(attestation: Attestation) -> bytes32:
    return self._digest(
        keccak256(
            abi_encode(
                ATTESTATION_TYPE_HASH,
                attestation.schema,
                attestation.subject,
                attestation.word,
                attestation.digest,
                attestation.work_id,
                attestation.feature_root,
                attestation.as_of_block,
                attestation.issued_at,
                attestation.expires_at,
                attestation.nonce,
            )
        )
    )


@internal
@view
def _revocation_digest(schema: bytes32, subject: address, uid: bytes32) -> bytes32:
    return self._digest(keccak256(abi_encode(REVOCATION_TYPE_HASH, schema, subject, uid)))


@internal
@view
def _change_digest(schema: bytes32, issuers: DynArray[address, 16], threshold: uint256, change: uint64) -> bytes32:
    # abi_encode writes the offset and the length before the elements; EIP-712 hashes the elements alone.
    packed: Bytes[576] = abi_encode(issuers)
    elements: Bytes[576] = slice(packed, 64, 32 * len(issuers))
    return self._digest(keccak256(abi_encode(CHANGE_TYPE_HASH, schema, keccak256(elements), threshold, change)))


@internal
@view
def _digest(struct_hash: bytes32) -> bytes32:
    return eip712._digest(eip712._separator(NAME_HASH, VERSION_HASH, self), struct_hash)
