# SPDX-License-Identifier: Apache-2.0
"""What buyers and keepers say to each other, signed (EIP-712), and who may speak for a Work.

A buyer asks for a share with a request that names the keeper, the content, the key to seal to, a deadline
and a nonce: none of it works a second time, elsewhere or for somebody else. The keeper signs what it
answers, so that a false share can be laid at its door.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any, Final, Self

from koinon.chain.account import Account
from koinon.chain.address import checksum
from koinon.chain.contract import Contract
from koinon.chain.eip712 import Domain, TypedStruct, digest
from koinon.chain.handle import Chain
from koinon.chain.hashing import keccak256
from koinon.chain.keys import verify
from koinon.data.sealed import SealedContent, content_domain
from koinon.errors import BadInput, IntegrityError, TransactionFailed, WrongNetwork

SHARE_REQUEST: Final = TypedStruct(
    "ShareRequest(address keeper,uint256 workId,bytes32 contentId,bytes32 sealingKey,uint256 deadline,"
    "bytes32 nonce)"
)
RELEASE: Final = TypedStruct("Release(bytes32 request,bytes32 sealedShare)")
LONGEST_REQUEST_S: Final = 600
"""How far ahead a request's deadline may lie: so long a keeper remembers its nonce."""

_MAGIC: Final = bytes.fromhex("1626ba7e")
_ERC1271: Final = (
    {
        "type": "function",
        "name": "isValidSignature",
        "stateMutability": "view",
        "inputs": [{"name": "digest", "type": "bytes32"}, {"name": "signature", "type": "bytes"}],
        "outputs": [{"name": "", "type": "bytes4"}],
    },
)


def keeper_domain(chain_id: int, terms: str) -> Domain:
    """What requests and answers are signed for: grants of this Terms contract."""
    return Domain("Koinon Keeper", "1", chain_id, terms)


@dataclass(frozen=True, slots=True)
class ShareRequest:
    """A grantee's request to one keeper for its share of one content.

    ``sealing_key`` X25519 (32 bytes); ``deadline`` Unix seconds; ``nonce`` 32 random bytes.
    """

    grantee: str
    keeper: str
    work_id: int
    content_id: bytes
    sealing_key: bytes
    deadline: int
    nonce: bytes
    signature: bytes = field(default=b"", repr=False)

    @classmethod
    def sign(
        cls,
        grantee: Account,
        domain: Domain,
        *,
        keeper: str,
        work_id: int,
        content_id: bytes,
        sealing_key: bytes,
        deadline: int,
    ) -> Self:
        """A new request, with a nonce of its own."""
        values = (keeper, work_id, content_id, sealing_key, deadline, secrets.token_bytes(32))
        signature = grantee.sign_typed(domain, SHARE_REQUEST, *values)
        return cls(grantee.address, *values, signature)

    def digest(self, domain: Domain) -> bytes:
        """What is signed: 32 bytes."""
        return digest(
            domain,
            SHARE_REQUEST.hash(
                self.keeper, self.work_id, self.content_id, self.sealing_key, self.deadline, self.nonce
            ),
        )

    def to_fields(self) -> dict[str, Any]:
        """As JSON carries it."""
        return {
            "grantee": self.grantee,
            "keeper": self.keeper,
            "work_id": str(self.work_id),
            "content_id": self.content_id.hex(),
            "sealing_key": self.sealing_key.hex(),
            "deadline": self.deadline,
            "nonce": self.nonce.hex(),
            "signature": self.signature.hex(),
        }

    @classmethod
    def from_fields(cls, fields: Any) -> Self:
        """Read what `to_fields` wrote; BadInput for anything else."""
        try:
            request = cls(
                grantee=checksum(fields["grantee"]),
                keeper=checksum(fields["keeper"]),
                work_id=int(fields["work_id"]),
                content_id=bytes.fromhex(fields["content_id"]),
                sealing_key=bytes.fromhex(fields["sealing_key"]),
                deadline=int(fields["deadline"]),
                nonce=bytes.fromhex(fields["nonce"]),
                signature=bytes.fromhex(fields["signature"]),
            )
        except (KeyError, TypeError, ValueError, BadInput):
            raise _not_a_request() from None
        if {len(request.content_id), len(request.sealing_key), len(request.nonce)} != {32}:
            raise _not_a_request()
        if not (0 <= request.work_id < 2**256 and 0 <= request.deadline < 2**64):
            raise _not_a_request()
        return request


def sign_release(keeper: Account, domain: Domain, request: ShareRequest, sealed_share: bytes) -> bytes:
    """A keeper's signature under what it answers to a request."""
    return keeper.sign_typed(domain, RELEASE, request.digest(domain), keccak256(sealed_share))


@dataclass(frozen=True, slots=True)
class Release:
    """What a keeper answered to a request, and its signature under both: evidence of what it did."""

    request: ShareRequest
    sealed_share: bytes
    signature: bytes

    def check(self, domain: Domain) -> None:
        """IntegrityError unless the keeper asked signed this answer to this request."""
        signed = digest(domain, RELEASE.hash(self.request.digest(domain), keccak256(self.sealed_share)))
        if not verify(signed, self.signature, self.request.keeper):
            raise IntegrityError(
                "The answer is not signed by the keeper that was asked.",
                hint="Somebody else may be answering at its address: ask another keeper.",
                code="data.release_signature",
            )


def is_signed_by(chain: Chain, account: str, signed: bytes, signature: bytes) -> bool:
    """Whether an account signed a digest: by key, or as a contract (ERC-1271)."""
    if verify(signed, signature, account):
        return True
    try:
        answer = Contract(chain.rpc, account, _ERC1271).call("isValidSignature", signed, signature)
    except (TransactionFailed, WrongNetwork, BadInput):
        return False
    return bytes(answer) == _MAGIC


def check_owner(chain: Chain, described: SealedContent, owner: str | None = None) -> bytes:
    """The content's id, once its description is found to be signed by the Work's owner.

    ``owner`` is whoever owned the Work when it was signed; who owns it now by default.

    Raises IntegrityError: signed by another; TransactionFailed: no such Work.
    """
    works = chain.contract("Works")
    signer = owner or str(works.call("ownerOf", described.work_id))
    content_id = described.content_id(content_domain(chain.chain_id, works.address))
    if not is_signed_by(chain, signer, content_id, described.signature):
        raise IntegrityError(
            f"The description of this content is not signed by the owner of Work {described.work_id}.",
            hint="Ask the owner to sign it; after a change of hands the new owner signs again.",
            code="data.content_signature",
        )
    return content_id


def _not_a_request() -> BadInput:
    return BadInput("This is not a request for a share.", hint="See ShareRequest.", code="data.share_request")
