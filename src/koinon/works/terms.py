# SPDX-License-Identifier: Apache-2.0
"""What may be done with a Work, at what price and by whose leave; and who has paid: `Terms.vy`."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, Self

from koinon.chain.account import Account
from koinon.chain.address import ZERO_ADDRESS, checksum
from koinon.chain.contract import Call
from koinon.chain.eip712 import Domain, TypedStruct, digest
from koinon.chain.handle import Chain
from koinon.chain.hashing import keccak256
from koinon.errors import BadInput, PaymentError

FOR_EVER: Final = 2**64 - 1
"""What `Terms.granted` says of a grant without end."""
_BUY: Final = "buy(uint256,uint8,address,address,uint256,uint64,bytes32)"
_BUY_WITH_CONSENT: Final = "buy(uint256,uint8,address,address,uint256,uint64,bytes32,bytes32,uint256,bytes)"
_BUY_GAS: Final = 600_000
LONGEST_SIGNATURE: Final = 1_024
"""Of a contract that owns a Work (ERC-1271); a key's has 65 bytes."""
_CONSENT: Final = TypedStruct(
    "Consent(uint256 workId,uint8 use,address grantee,address token,uint256 price,uint64 period,"
    "bytes32 termsDigest,bytes32 salt,uint256 deadline)"
)


class Use(IntEnum):
    """What one may be granted; numbers above these are for domains to name."""

    DOWNLOAD = 0
    COMPUTE = 1
    TRAIN = 2
    CALL = 3
    REMIX = 4


class Consent(IntEnum):
    """Who may take an offer up."""

    OPEN = 1
    SIGNED = 2
    LISTED = 3


@dataclass(frozen=True, slots=True)
class Offer:
    """On what terms a use is open.

    ``price`` in the token's smallest unit (``token`` zero: wei), ``period_s`` 0 for ever, ``expires_at`` Unix
    seconds or 0, ``terms_digest`` Keccak-256 of the terms' text (32 bytes; see `text_digest`).
    """

    token: str
    price: int
    period_s: int
    consent: Consent
    expires_at: int
    terms_digest: bytes

    def values(self) -> tuple[str, int, int, int, int, bytes]:
        """As the contract takes it."""
        return (
            self.token,
            self.price,
            self.period_s,
            int(self.consent),
            self.expires_at,
            self.terms_digest,
        )


@dataclass(frozen=True, slots=True)
class Grant:
    """A receipt: who may use which Work how, from when until when (Unix seconds), and what was paid."""

    work_id: int
    use: int
    grantee: str
    payer: str
    token: str
    paid: int
    starts_at: int
    valid_until: int
    terms_digest: bytes


@dataclass(frozen=True, slots=True)
class SignedConsent:
    """An owner's leave for one grantee to take one offer up once, until ``deadline`` (Unix seconds)."""

    salt: bytes
    deadline: int
    signature: bytes

    def to_text(self) -> str:
        """As it is handed to the grantee: hexadecimal; 32 bytes of salt, 8 of the deadline, the signature."""
        return "0x" + (self.salt + self.deadline.to_bytes(8, "big") + self.signature).hex()

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read it, white space around it or not; BadInput when it is none."""
        try:
            told = bytes.fromhex(text.strip().removeprefix("0x"))
        except ValueError:
            told = b""
        if not 40 < len(told) <= 40 + LONGEST_SIGNATURE:
            raise BadInput(
                "This is not an owner's signed consent.",
                hint="It is one line of hexadecimal, as koinon data consent prints it.",
                code="terms.no_consent",
            )
        return cls(told[:32], int.from_bytes(told[32:40], "big"), told[40:])


def text_digest(text: str) -> bytes:
    """The digest of a terms' text: Keccak-256 of its UTF-8."""
    return keccak256(text.encode())


class Terms:
    """The Terms contract of a network. What sends takes the key that pays; errors as in `Sender.send`."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.contract = chain.contract("Terms")
        self._domain = Domain("Koinon Terms", "1", chain.chain_id, self.contract.address)

    def offer(
        self,
        owner: Account,
        work_id: int,
        use: int,
        *,
        price: int,
        terms_digest: bytes,
        period_s: int = 0,
        consent: Consent = Consent.OPEN,
        expires_at: int = 0,
        token: str | None = None,
    ) -> Offer:
        """Open a use, in the network's coin unless ``token`` is named (the zero address: ETH)."""
        if period_s < 0 or price < 0:
            raise BadInput("Price and period are never negative.", code="terms.offer")
        where = self.chain.coin.address if token is None else checksum(token)
        offer = Offer(where, price, period_s, consent, expires_at, terms_digest)
        self._send(owner, self.contract.transaction("offer", work_id, int(use), offer.values()))
        return offer

    def close(self, owner: Account, work_id: int, use: int) -> None:
        """Take an offer back; grants stay."""
        self._send(owner, self.contract.transaction("close", work_id, int(use)))

    def allow(self, owner: Account, work_id: int, use: int, account: str, allowed: bool = True) -> None:
        """Put a grantee on an offer's allow list, or take them off it."""
        self._send(owner, self.contract.transaction("allow", work_id, int(use), account, allowed))

    def give(
        self, owner: Account, work_id: int, use: int, grantee: str, *, terms_digest: bytes, period_s: int = 0
    ) -> int:
        """Grant for nothing; returns the grant's id."""
        call = self.contract.transaction("give", work_id, int(use), grantee, period_s, terms_digest)
        return self._granted_id(owner, [call])

    def offer_of(self, work_id: int, use: int) -> Offer | None:
        """The offer that stands, or None."""
        (token, price, period, consent, expires_at, text), stands = self.contract.call(
            "offer_of", work_id, int(use)
        )
        return Offer(token, price, period, Consent(consent), expires_at, text) if stands else None

    def consent_digest(
        self, work_id: int, use: int, grantee: str, offer: Offer, *, salt: bytes, deadline: int
    ) -> bytes:
        """What the owner of a Work signs (EIP-712), by key or as a contract (ERC-1271)."""
        return digest(
            self._domain, _CONSENT.hash(*_consent(work_id, use, grantee, offer, salt=salt, deadline=deadline))
        )

    def sign_consent(
        self, owner: Account, work_id: int, use: int, grantee: str, offer: Offer, *, deadline: int
    ) -> SignedConsent:
        """Let one grantee take an offer up once; sends nothing."""
        salt = secrets.token_bytes(32)
        leave = _consent(work_id, use, grantee, offer, salt=salt, deadline=deadline)
        signed = owner.sign_typed(self._domain, _CONSENT, *leave)
        return SignedConsent(salt, deadline, signed)

    def take_back(self, owner: Account, consent: SignedConsent) -> None:
        """Make a consent one has signed worthless."""
        self._send(owner, self.contract.transaction("spend_consent", consent.salt))

    def buy(
        self,
        buyer: Account,
        work_id: int,
        use: int,
        offer: Offer,
        *,
        grantee: str | None = None,
        consent: SignedConsent | None = None,
    ) -> int:
        """Pay an offer the buyer has read, for itself unless ``grantee`` is named; returns the grant's id.

        Raises
        ------
        PaymentError
            The offer asks for the owner's consent and none is given.
        TransactionFailed
            The offer was changed or closed, or the buyer cannot pay.
        """
        if offer.consent is Consent.SIGNED and consent is None:
            raise PaymentError(
                "This use is sold only with the owner's consent.",
                hint="Ask the owner for a signed consent.",
                code="terms.consent",
            )
        arguments = (
            work_id,
            int(use),
            grantee or buyer.address,
            offer.token,
            offer.price,
            offer.period_s,
            offer.terms_digest,
        )
        value = offer.price if offer.token == ZERO_ADDRESS else 0
        calls = []
        gas = None
        if offer.price and not value:
            coin = self.chain.contract("Coin", offer.token)
            calls.append(coin.transaction("approve", self.contract.address, offer.price))
            gas = _BUY_GAS
        if consent is None:
            calls.append(self.contract.transaction(_BUY, *arguments, value=value, gas=gas))
        else:
            leave = (consent.salt, consent.deadline, consent.signature)
            calls.append(
                self.contract.transaction(_BUY_WITH_CONSENT, *arguments, *leave, value=value, gas=gas)
            )
        return self._granted_id(buyer, calls)

    def surrender(self, grantee: Account, work_id: int, use: int) -> None:
        """Give up all one's grants of a use."""
        self._send(grantee, self.contract.transaction("surrender", work_id, int(use)))

    def granted(self, work_id: int, use: int, grantee: str) -> int:
        """Until when an account may use a Work (Unix seconds); 0 never, `FOR_EVER` without end."""
        return int(self.contract.call("granted", work_id, int(use), grantee))

    def is_granted(self, work_id: int, use: int, grantee: str) -> bool:
        """Whether an account may use a Work now, by the chain's clock."""
        return self.granted(work_id, use, grantee) > self.chain.timestamp()

    def grant(self, grant_id: int) -> Grant:
        """One receipt; TransactionFailed when there is none."""
        return Grant(*self.contract.call("grant_of", grant_id))

    def _granted_id(self, key: Account, calls: list[Call]) -> int:
        receipt = self.chain.sender(key).send_all(calls)[-1]
        return int(self.contract.logs(receipt, "Granted")[0]["grant_id"])

    def _send(self, key: Account, call: Call) -> None:
        self.chain.sender(key).send(call)


def _consent(
    work_id: int, use: int, grantee: str, offer: Offer, *, salt: bytes, deadline: int
) -> tuple[Any, ...]:
    return (
        work_id,
        int(use),
        grantee,
        offer.token,
        offer.price,
        offer.period_s,
        offer.terms_digest,
        salt,
        deadline,
    )
