# SPDX-License-Identifier: Apache-2.0
"""A mandate: what a program may spend, on what, until when, signed by the owner of the money (EIP-712).

The mandate names the program by its key. It is enforced where the program signs (`spending_ledger`): nothing
that is not granted is ever signed. Whoever steals the program's key can spend what that key holds, mandate or
not; give it no more than that, or bind it on chain (`delegation`).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from koinon.chain import keys
from koinon.chain.account import Account
from koinon.chain.contract import Contract
from koinon.chain.eip712 import Domain, TypedStruct, digest
from koinon.chain.handle import Chain
from koinon.chain.keys import write_private
from koinon.errors import BadInput, ChainError, IntegrityError, PaymentError
from koinon.services.buying.allowance import Payee
from koinon.works import wire

USES: Final = ("call", "job", "download", "compute", "train", "remix", "trade")
MOST_LISTED: Final = 64
FILE_LIMIT: Final = 64 << 10
_TYPE: Final = TypedStruct(
    "Mandate(address owner,address agent,address token,uint128 perCall,uint128 perDay,uint128 total,"
    "uint128 perCounterparty,uint256[] works,address[] counterparties,string[] uses,bool verifiedLineage,"
    "uint8 minimumValidation,address[] validators,uint64 notBefore,uint64 notAfter,bytes32 nonce)"
)
_IS_VALID: Final = (
    {
        "type": "function",
        "name": "isValidSignature",
        "stateMutability": "view",
        "inputs": [{"name": "digest", "type": "bytes32"}, {"name": "signature", "type": "bytes"}],
        "outputs": [{"name": "", "type": "bytes4"}],
    },
)
_MAGIC: Final = bytes.fromhex("1626ba7e")


@dataclass(frozen=True)
class Mandate:
    """What an owner grants a program. Amounts in the token's smallest unit, times in Unix seconds.

    Parameters
    ----------
    owner, agent, token : str
        Who grants, whose key spends, in which ERC-20 (EIP-55 addresses).
    per_call, per_day, total, per_counterparty : int
        Caps: one use, one day by UTC, all in all, and all in all for one payee (the Works' owner's account).
    uses : tuple of str
        Which uses, of `USES`; at least one.
    works, counterparties : tuple
        Which Works, and which owners of Works; empty for any.
    verified_lineage : bool
        Only Works whose owner stakes on their lineage, with no claim open or upheld (`lineage_demand`).
    minimum_validation : int
        0 to 100: least average that the ``validators`` named gave a Work; 0 demands none.
    not_before, not_after : int
        First and last second.
    nonce : bytes
        32 bytes that name this mandate among its owner's; by it, it is revoked.
    """

    owner: str
    agent: str
    token: str
    per_call: int
    per_day: int
    total: int
    per_counterparty: int
    not_before: int
    not_after: int
    uses: tuple[str, ...] = ("call",)
    works: tuple[int, ...] = ()
    counterparties: tuple[str, ...] = ()
    verified_lineage: bool = False
    minimum_validation: int = 0
    validators: tuple[str, ...] = ()
    nonce: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    def __post_init__(self) -> None:
        amounts = (self.per_call, self.per_day, self.total, self.per_counterparty)
        if not all(0 < amount < wire.AMOUNT_LIMIT for amount in amounts):
            raise _wrong("Every cap is more than nothing and below 2**128.")
        if not 0 <= self.not_before < self.not_after < 2**64:
            raise _wrong("A mandate begins before it ends.")
        if not self.uses or any(use not in USES for use in self.uses):
            raise _wrong(f"Its uses are some of {', '.join(USES)}.")
        listed = (self.works, self.counterparties, self.validators)
        if any(len(each) > MOST_LISTED for each in listed) or len(self.nonce) != 32:
            raise _wrong(f"A list has at most {MOST_LISTED} entries, and a nonce 32 bytes.")
        if not 0 <= self.minimum_validation <= 100 or (self.minimum_validation and not self.validators):
            raise _wrong("A least validation is 0 to 100, by validators that are named.")

    def values(self) -> tuple[Any, ...]:
        """As EIP-712 takes it."""
        return (
            self.owner,
            self.agent,
            self.token,
            self.per_call,
            self.per_day,
            self.total,
            self.per_counterparty,
            list(self.works),
            list(self.counterparties),
            list(self.uses),
            self.verified_lineage,
            self.minimum_validation,
            list(self.validators),
            self.not_before,
            self.not_after,
            self.nonce,
        )

    def to_json(self) -> dict[str, Any]:
        """With the names of the EIP-712 type; amounts and ids as decimal strings."""
        found = dict(zip(_TYPE.fields, self.values(), strict=True))
        for name in ("perCall", "perDay", "total", "perCounterparty", "notBefore", "notAfter"):
            found[name] = str(found[name])
        return found | {"works": [str(work) for work in self.works], "nonce": "0x" + self.nonce.hex()}

    @classmethod
    def from_json(cls, value: object) -> Mandate:
        """The inverse of `to_json`; BadInput where it is anything else."""
        try:
            found = wire.fields_of(value, "The mandate", *_TYPE.fields)
            amounts = {
                name: wire.integer(found[key], key, wire.AMOUNT_LIMIT)
                for name, key in (
                    ("per_call", "perCall"),
                    ("per_day", "perDay"),
                    ("total", "total"),
                    ("per_counterparty", "perCounterparty"),
                    ("not_before", "notBefore"),
                    ("not_after", "notAfter"),
                )
            }
            lists = ("works", "counterparties", "uses", "validators")
            if not all(isinstance(found[name], list) for name in lists):
                raise _wrong("Works, counterparties, uses and validators are lists.")
            lineage, validation = found["verifiedLineage"], found["minimumValidation"]
            if (
                not isinstance(lineage, bool)
                or not isinstance(validation, int)
                or isinstance(validation, bool)
            ):
                raise _wrong("Its demands are a truth value and a number.")
            return cls(
                owner=wire.address(found["owner"], "owner"),
                agent=wire.address(found["agent"], "agent"),
                token=wire.address(found["token"], "token"),
                uses=tuple(str(use) for use in found["uses"]),
                works=tuple(wire.integer(work, "works", wire.WORD_LIMIT) for work in found["works"]),
                counterparties=tuple(
                    wire.address(each, "counterparties") for each in found["counterparties"]
                ),
                verified_lineage=lineage,
                minimum_validation=validation,
                validators=tuple(wire.address(each, "validators") for each in found["validators"]),
                nonce=wire.hex_bytes(found["nonce"], "nonce", 32),
                **amounts,
            )
        except wire.MalformedPayment as error:
            raise _wrong(error.message) from None

    def check(self, use: str, payee: Payee, amount: int, now: int) -> None:
        """What needs no counting. Raises PaymentError with a code that starts with ``mandate.``."""
        if not self.not_before <= now <= self.not_after:
            raise PaymentError(
                "The mandate is not valid at this time.",
                hint="Ask its owner for a new one.",
                code="mandate.time",
            )
        if use not in self.uses:
            raise PaymentError(f"The mandate does not cover the use “{use}”.", code="mandate.use")
        if self.works and payee.work_id not in self.works:
            raise PaymentError(f"The mandate does not cover Work {payee.work_id}.", code="mandate.work")
        if self.counterparties and payee.owner not in self.counterparties:
            raise PaymentError(
                f"The mandate does not cover paying {payee.owner}.", code="mandate.counterparty"
            )
        if amount > self.per_call:
            raise PaymentError(
                f"It costs {amount} units; the mandate allows {self.per_call} a call.",
                code="mandate.per_call",
            )


@dataclass(frozen=True)
class SignedMandate:
    """A mandate with its owner's signature, for one chain. ``id``: the digest that was signed, 32 bytes."""

    mandate: Mandate
    signature: bytes = field(repr=False)
    domain: Domain

    @property
    def id(self) -> bytes:
        return mandate_id(self.mandate, self.domain)

    def verify(self, chain: Chain) -> None:
        """Raises IntegrityError unless it is for this chain and its owner, a key or a contract, signed it."""
        owner = self.mandate.owner
        if self.domain != mandate_domain(chain):
            raise IntegrityError(
                "The mandate is for another network.", hint="Ask for one for this.", code="mandate.network"
            )
        if keys.verify(self.id, self.signature, owner):
            return
        try:
            answer = Contract(chain.rpc, owner, _IS_VALID).call("isValidSignature", self.id, self.signature)
        except ChainError:
            answer = b""
        if bytes(answer)[:4] != _MAGIC:
            raise IntegrityError(
                f"{owner} did not sign this mandate.",
                hint="Ask for it again; it was changed, or is nobody's.",
                code="mandate.signature",
            )

    def save(self, path: Path) -> None:
        """Write it to a file for its agent."""
        write_private(path, orjson.dumps(self.to_json(), option=orjson.OPT_INDENT_2))

    @classmethod
    def load(cls, path: Path) -> SignedMandate:
        """Read what `save` wrote; BadInput where it is anything else. Nothing is verified yet."""
        try:
            if path.stat().st_size > FILE_LIMIT:
                raise _wrong("The file is too long for a mandate.")
            return cls.from_json(orjson.loads(path.read_bytes()))
        except (OSError, ValueError):
            raise BadInput(
                f"{path} is not a readable mandate.",
                hint="`koinon mandate give` writes one.",
                code="mandate.file",
            ) from None

    @classmethod
    def from_json(cls, value: object) -> SignedMandate:
        """From a mandate file's JSON."""
        try:
            found = wire.fields_of(
                value, "The mandate", "mandate", "chainId", "verifyingContract", "signature"
            )
            chain_id = found["chainId"]
            if not isinstance(chain_id, int) or not 0 < chain_id < 2**256:
                raise _wrong("Its chain id is not a number.")
            contract = wire.address(found["verifyingContract"], "verifyingContract")
            signature = wire.signature(found["signature"])
        except wire.MalformedPayment as error:
            raise _wrong(error.message) from None
        return cls(Mandate.from_json(found["mandate"]), signature, _domain(chain_id, contract))

    def to_json(self) -> Mapping[str, Any]:
        """What `from_json` takes."""
        return {
            "mandate": self.mandate.to_json(),
            "chainId": self.domain.chain_id,
            "verifyingContract": self.domain.verifying_contract,
            "signature": "0x" + self.signature.hex(),
        }


def mandate_domain(chain: Chain) -> Domain:
    """What a mandate's signature is for."""
    return _domain(chain.chain_id, chain.network.address("Mandates"))


def mandate_id(mandate: Mandate, domain: Domain) -> bytes:
    """The digest that its owner signs."""
    return digest(domain, _TYPE.hash(*mandate.values()))


def sign_mandate(chain: Chain, owner: Account, mandate: Mandate) -> SignedMandate:
    """The owner's signature on a mandate; BadInput where the account is not its owner's."""
    if owner.address != mandate.owner:
        raise _wrong(f"Only {mandate.owner} signs it.")
    domain = mandate_domain(chain)
    return SignedMandate(mandate, owner.sign_typed(domain, _TYPE, *mandate.values()), domain)


def _domain(chain_id: int, contract: str) -> Domain:
    return Domain("Koinon Mandates", "1", chain_id, contract)


def _wrong(message: str) -> BadInput:
    return BadInput(message, hint="See docs/how-to/give-an-agent-a-mandate.md.", code="mandate.form")
