# SPDX-License-Identifier: Apache-2.0
"""Every error Koinon raises on purpose.

    KoinonError
    ├── UsageError             the caller asked for something that cannot be
    │   ├── BadInput           a value, file or table is not what it must be
    │   └── NotFound           a name, id or address that nobody registered
    ├── SetupError             something this machine lacks or holds wrongly
    ├── ChainError             the chain or its node
    │   ├── NodeUnavailable    no answer, or not the node it should be
    │   ├── WrongNetwork       chain id, genesis or code differs from what is expected
    │   └── TransactionFailed  included and reverted, refused, or lost
    ├── KeyFault               keys, passwords, keystores
    ├── PaymentError           a payment is missing, wrong or not covered
    ├── IntegrityError         bytes, digests or signatures do not match
    └── PeerError              another party failed, lied or left

Each error carries a stable ``code`` (never reused), one sentence for people and a ``hint`` that says what to
do.
"""

from __future__ import annotations

from typing import ClassVar


class KoinonError(Exception):
    """Root of the tree.

    Parameters
    ----------
    message : str
        One sentence a user understands.
    hint : str
        What to do about it; may be empty.
    code : str, optional
        Stable identifier, ``area.reason``; the class's own when not given.
    """

    code: str = "koinon.error"
    exit_status: ClassVar[int] = 1
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, *, hint: str = "", code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code is not None:
            self.code = code

    def problem(self) -> dict[str, object]:
        """The error as RFC 9457 problem details."""
        return {
            "type": f"urn:koinon:error:{self.code}",
            "title": self.message,
            "status": self.http_status,
            "detail": self.hint,
            "code": self.code,
        }


class UsageError(KoinonError):
    code = "usage"
    exit_status = 2
    http_status = 400


class BadInput(UsageError):
    code = "usage.bad_input"
    http_status = 422


class NotFound(UsageError):
    code = "usage.not_found"
    http_status = 404


class SetupError(KoinonError):
    code = "setup"
    exit_status = 3


class ChainError(KoinonError):
    code = "chain"
    exit_status = 4
    http_status = 502


class NodeUnavailable(ChainError):
    code = "chain.unavailable"
    http_status = 503


class WrongNetwork(ChainError):
    code = "chain.wrong_network"


class TransactionFailed(ChainError):
    """A transaction reverted or could not be included.

    ``reason`` is the contract's own words (decoded revert reason), ``transaction_hash`` 0x-hex or None.
    """

    code = "chain.transaction_failed"

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        transaction_hash: str | None = None,
        hint: str = "",
        code: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, code=code)
        self.reason = reason
        self.transaction_hash = transaction_hash


class KeyFault(KoinonError):
    code = "key"
    exit_status = 5
    http_status = 403


class PaymentError(KoinonError):
    code = "payment"
    exit_status = 6
    http_status = 402


class IntegrityError(KoinonError):
    code = "integrity"
    exit_status = 7
    http_status = 400


class PeerError(KoinonError):
    code = "peer"
    exit_status = 8
    http_status = 502
