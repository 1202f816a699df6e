# SPDX-License-Identifier: Apache-2.0
"""An account that runs the delegate's code, in titanoboa: its code is set as EIP-7702 would have it run."""

from __future__ import annotations

import warnings
from typing import Any

import boa

from koinon.chain import codec
from koinon.chain.abi import Function
from koinon.chain.eip712 import Domain, digest
from koinon.chain.hashing import keccak256
from koinon.services.mandates.delegation import (
    BATCH,
    BATCH_WITH_DATA,
    CALLS_AND_DATA,
    ONLY_CALLS,
    SESSION_CALLS,
)
from tests.contracts_support import account, deploy, deployable, key

OWNER, SESSION = "delegating owner", "session"
ETH = "0x" + "00" * 20
TRANSFER = keccak256(b"transfer(address,uint256)")[:4]
UNTIL = 2**40

CallTuple = tuple[str, int, bytes]


def delegating(role: str = OWNER) -> Any:
    """The account of a role, running the delegate's code."""
    code = boa.env.get_code(deploy("services", "Delegate").address)
    address = account(role)
    boa.env.set_code(address, code)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return deployable("services", "Delegate").at(address)


def transfer(token: Any, receiver: str, amount: int) -> CallTuple:
    return token.address, 0, TRANSFER + codec.encode(["address", "uint256"], [receiver, amount])


def encoded(contract: Any, name: str, *arguments: Any) -> bytes:
    """Call data of a function of a contract."""
    entry = next(
        each
        for each in contract.abi
        if each["type"] == "function" and each["name"] == name and len(each["inputs"]) == len(arguments)
    )
    return bytes(Function(entry).encode(*arguments))


def execute(wallet: Any, calls: list[CallTuple], sender: str, mode: bytes = BATCH) -> None:
    wallet.execute(mode, ONLY_CALLS.encode([calls]), sender=sender)


def signed(
    wallet: Any,
    calls: list[CallTuple],
    *,
    role: str = SESSION,
    named: str | None = None,
    nonce: int | None = None,
    deadline: int = UNTIL,
    domain: Domain | None = None,
) -> bytes:
    """opData of calls that a session key signed."""
    signer = key(role)
    name = named or signer.address
    used = int(wallet.nonces(name)) if nonce is None else nonce
    where = domain or Domain("Koinon Delegate", "1", boa.env.evm.patch.chain_id, wallet.address)
    signature = signer.sign(digest(where, SESSION_CALLS.hash(name, calls, used, deadline)))
    return codec.encode(["address", "uint256", "bytes"], [name, deadline, signature])


def relay(wallet: Any, calls: list[CallTuple], op_data: bytes, sender: str = "relayer") -> None:
    data = CALLS_AND_DATA.encode([calls, op_data])
    wallet.execute(BATCH_WITH_DATA, data, sender=account(sender))
