# SPDX-License-Identifier: Apache-2.0
"""Calls for nothing: so many a day for each account that signs for them (EIP-712), counted on the disk.

The caller signs which gateway, Work and input it means, a nonce of its own and until when. The nonce is
counted once, before the service runs; the same request again gets the answer again (`REPEATS` times) and is
not counted again. Accounts cost nothing, so a service also has a bound for all of them together.

The header ``KOINON-FREE-CALL`` is base64 of ``{"caller", "nonce", "validUntil", "signature"}``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from koinon.chain.account import Account
from koinon.chain.eip712 import Domain, TypedStruct, digest
from koinon.errors import PaymentError
from koinon.services.gateway.journal import Journal
from koinon.services.gateway.journal_records import FreeCall
from koinon.services.gateway.registry import Service
from koinon.services.gateway.signers import Signers
from koinon.services.gateway.x402 import Terms, decode, encode
from koinon.works import wire

DAY_S: Final = 86_400
LONGEST_S: Final = 3_600
"""How far ahead a request may be valid: so long a nonce must be remembered at least."""
SKEW_S: Final = 60
"""By how much a caller's clock may be wrong."""
REPEATS: Final = 3

FREE_CALL: Final = TypedStruct(
    "FreeCall(address caller,uint256 workId,address gateway,bytes32 inputDigest,bytes32 nonce,"
    "uint64 validUntil)"
)


class NoFreeCall(PaymentError):
    """A free call that is not given: HTTP 402, so that the caller may pay instead."""

    code = "payment.no_free_call"


@dataclass(frozen=True, slots=True)
class FreeRequest:
    """What a caller signed; ``nonce`` has 32 bytes, ``valid_until`` in Unix seconds."""

    caller: str
    nonce: bytes
    valid_until: int
    signature: bytes


def free_domain(chain_id: int, works: str) -> Domain:
    """The EIP-712 domain; ``works`` is the registry of Works."""
    return Domain("Koinon free call", "1", chain_id, works)


def free_terms(service: Service, terms: Terms) -> dict[str, Any]:
    """What a description says of free calls."""
    return {
        "calls": service.free_calls,
        "every_s": DAY_S,
        "gateway": terms.authorizer,
        "longest_s": LONGEST_S,
    }


def sign_free_call(
    key: Account,
    domain: Domain,
    *,
    work_id: int,
    gateway: str,
    input_digest: bytes,
    nonce: bytes,
    valid_until: int,
) -> bytes:
    """The header's value for one free call; ``input_digest`` is the SHA-256 of the request's body."""
    signature = key.sign_typed(
        domain, FREE_CALL, key.address, work_id, gateway, input_digest, nonce, valid_until
    )
    return encode(
        {
            "caller": key.address,
            "nonce": "0x" + nonce.hex(),
            "validUntil": str(valid_until),
            "signature": "0x" + signature.hex(),
        }
    )


def read_free_call(header: bytes) -> FreeRequest:
    """The request in a header; MalformedPayment."""
    fields = wire.fields_of(decode(header), "The free call", "caller", "nonce", "validUntil", "signature")
    return FreeRequest(
        wire.address(fields["caller"], "caller"),
        wire.hex_bytes(fields["nonce"], "nonce", 32),
        wire.integer(fields["validUntil"], "validUntil", 1 << 64),
        wire.hex_bytes(fields["signature"], "signature", 65),
    )


class FreeCalls:
    """The free calls of one gateway.

    Parameters
    ----------
    journal : Journal
    domain : Domain
    gateway : str
        Its address.
    clock : callable
        Unix seconds.
    """

    def __init__(
        self, journal: Journal, domain: Domain, gateway: str, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._journal = journal
        self._domain = domain
        self._gateway = gateway
        self._clock = clock
        self._signers = Signers()

    def take(self, service: Service, request: FreeRequest, input_digest: bytes) -> FreeCall:
        """Count a call, or find it counted; on the disk when this returns. Raises NoFreeCall."""
        now = int(self._clock())
        if not service.free_calls:
            raise NoFreeCall("This service gives no free calls.", hint="Pay for the call.")
        if not now - SKEW_S <= request.valid_until <= now + LONGEST_S + SKEW_S:
            raise NoFreeCall(
                "The free call has expired, or is valid for too long.",
                hint=f"Sign it for at most {LONGEST_S} s from now; look at the clock.",
                code="payment.free_call_time",
            )
        struct = FREE_CALL.hash(
            request.caller,
            service.work_id,
            self._gateway,
            input_digest,
            request.nonce,
            request.valid_until,
        )
        if not self._signers.verify(digest(self._domain, struct), request.signature, request.caller):
            raise NoFreeCall(
                "The free call is not signed by its caller for this gateway, service and input.",
                hint="Sign it again.",
                code="payment.free_call_signature",
            )
        call = FreeCall(
            service.work_id, request.caller, request.nonce, input_digest, request.valid_until, now // DAY_S
        )
        found = self._journal.free_call(call)
        if found is not None:
            if found.input_digest != input_digest or found.answers >= REPEATS:
                raise NoFreeCall(
                    "This free call was used.",
                    hint="Sign another with a new nonce.",
                    code="payment.free_call_used",
                )
            call = found
        elif self._journal.free_calls(call, of_caller=True) >= service.free_calls:
            raise NoFreeCall("Today's free calls of this caller are used up.", hint="Pay for the call.")
        elif service.free_in_all and self._journal.free_calls(call, of_caller=False) >= service.free_in_all:
            raise NoFreeCall("Today's free calls are used up.", hint="Pay for the call.")
        self._journal.count_free_call(call)
        return call

    def give_back(self, call: FreeCall) -> None:
        """A call that got no answer is not counted."""
        self._journal.uncount_free_call(call)
