# SPDX-License-Identifier: Apache-2.0
"""Whoever signs and pays: a key in this process, or an account whose key is elsewhere (a person's wallet).

A domain asks an account for two things only. It signs typed data (EIP-712), never a bare digest, so that a
wallet can show its owner what is signed; and it sends calls. Chain's `sender` gives the queue to send
through; domains never ask what kind of account they have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

from koinon.chain.contract import Call
from koinon.chain.eip712 import Domain, TypedStruct
from koinon.chain.receipts import Receipt
from koinon.chain.rpc import BATCH
from koinon.errors import BadInput

if TYPE_CHECKING:
    from koinon.chain.handle import Chain

_DOMAIN_FIELDS: Final = (
    ("string", "name"),
    ("string", "version"),
    ("uint256", "chainId"),
    ("address", "verifyingContract"),
)


class Account(Protocol):
    """Signs for one address."""

    @property
    def address(self) -> str:
        """EIP-55 address."""

    def sign_typed(self, domain: Domain, struct: TypedStruct, *values: Any) -> bytes:
        """Sign ``struct`` with these values, one a field, given in full (see `TypedStruct.hash`).

        Returns 65 bytes (r ‖ s ‖ v) for an account with a key, or whatever a contract account's ERC-1271
        takes. Raises KeyFault when whoever holds the key refuses or does not answer.
        """


class Sending(Protocol):
    """Sends calls for one account and waits until they are mined; errors as in `Sender.send_all`."""

    @property
    def address(self) -> str:
        """The account."""

    def send(self, call: Call) -> Receipt:
        """One call."""

    def send_all(self, calls: Sequence[Call], batch: int = BATCH, *, check: bool = True) -> list[Receipt]:
        """Calls in order; with ``check`` False a reverted one is a receipt with status 0, not an error."""


@runtime_checkable
class SendsElsewhere(Protocol):
    """An account that brings its own way of sending, because its key is not in this process."""

    def sending(self, chain: Chain) -> Sending:
        """The queue for one chain."""


def typed_data(domain: Domain, struct: TypedStruct, values: Sequence[Any]) -> dict[str, Any]:
    """What ``eth_signTypedData_v4`` takes: ``types``, ``primaryType``, ``domain`` and ``message``.

    Whole numbers are decimal strings (JavaScript's lose digits from 2**53 on), bytes are 0x-hex.

    Raises
    ------
    BadInput
        A nested value is given as its hash, which a wallet cannot show.
    """
    types = {
        name: [{"name": field, "type": kind} for kind, field in fields]
        for name, fields in struct.types.items()
    }
    types["EIP712Domain"] = [{"name": field, "type": kind} for kind, field in _DOMAIN_FIELDS]
    return {
        "types": types,
        "primaryType": struct.name,
        "domain": {
            "name": domain.name,
            "version": domain.version,
            "chainId": domain.chain_id,
            "verifyingContract": domain.verifying_contract,
        },
        "message": _message(struct.name, values, struct.types),
    }


def _message(name: str, values: Any, types: Mapping[str, tuple[tuple[str, str], ...]]) -> dict[str, Any]:
    fields = types[name]
    if isinstance(values, bytes | str) or len(values) != len(fields):
        raise BadInput(
            f"A wallet is shown {name} by its {len(fields)} fields, not by its hash.", code="chain.typed_data"
        )
    return {field: _shown(kind, value, types) for (kind, field), value in zip(fields, values, strict=True)}


def _shown(kind: str, value: Any, types: Mapping[str, tuple[tuple[str, str], ...]]) -> Any:
    if kind.endswith("]"):
        if isinstance(value, bytes):
            raise BadInput("A wallet is shown every element, not a hash.", code="chain.typed_data")
        element = kind.rpartition("[")[0]
        return [_shown(element, one, types) for one in value]
    if kind in types:
        return _message(kind, value, types)
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, bool | str):
        return value
    return str(int(value))
