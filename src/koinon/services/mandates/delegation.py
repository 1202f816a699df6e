# SPDX-License-Identifier: Apache-2.0
"""An account that lets programs act for it within limits that the chain enforces: `Delegate.vy`.

A mandate binds a program that keeps to it. A session binds one that does not: the account's money stays where
it is, and the chain lets the session's key take no more than was granted. `Delegation.top_up` is how the two
meet: the program fetches what it needs for its channels, within the session's limits, and spends that under
its mandate.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from koinon.chain import codec
from koinon.chain.account import Account
from koinon.chain.address import ZERO_ADDRESS
from koinon.chain.contract import Call
from koinon.chain.eip712 import Domain, TypedStruct
from koinon.chain.handle import Chain
from koinon.chain.hashing import keccak256
from koinon.chain.keys import Key
from koinon.chain.receipts import Receipt
from koinon.chain.set_code import delegate_of, set_code
from koinon.errors import BadInput, PaymentError

BATCH: Final = b"\1" + bytes(31)
BATCH_WITH_DATA: Final = bytes.fromhex("01000000000078210001") + bytes(22)
MOST_CALLS: Final = 8
SIGNED_S: Final = 300

SESSION_CALLS: Final = TypedStruct(
    "SessionCalls(address key,Call[] calls,uint256 nonce,uint256 deadline)"
    "Call(address to,uint256 value,bytes data)"
)
_CALLS: Final = {
    "name": "calls",
    "type": "tuple[]",
    "components": [
        {"name": "to", "type": "address"},
        {"name": "value", "type": "uint256"},
        {"name": "data", "type": "bytes"},
    ],
}
ONLY_CALLS: Final = codec.parameters([_CALLS])
CALLS_AND_DATA: Final = codec.parameters([_CALLS, {"name": "opData", "type": "bytes"}])


@dataclass(frozen=True)
class Permission:
    """One function of one contract: ``selector`` 4 bytes, zero for plain ETH."""

    target: str
    selector: bytes

    @classmethod
    def of(cls, target: str, signature: str) -> Permission:
        """By its signature, like ``transfer(address,uint256)``."""
        return cls(target, keccak256(signature.encode())[:4])


@dataclass(frozen=True)
class SpendLimit:
    """How much of a token (zero for ETH) a session may take: a call, a day by UTC, in all; in its smallest
    unit."""

    token: str
    per_call: int
    per_day: int
    total: int


@dataclass(frozen=True)
class SpentBySession:
    """What a session took of one token, in its smallest unit; ``day`` counts from 1970."""

    limit: SpendLimit
    spent: int
    day: int
    spent_on_day: int


@dataclass(frozen=True)
class SignedCalls:
    """Calls that a session key signed; anyone may send them, once."""

    calls: tuple[Call, ...]
    key: str
    deadline: int
    signature: bytes = field(repr=False)


class Delegation:
    """One account and the sessions it grants. What sends raises as `Sender.send` does, with the contract's
    own words as ``reason``.

    Parameters
    ----------
    chain : Chain
    account : str
    """

    def __init__(self, chain: Chain, account: str) -> None:
        self.chain = chain
        self.account = account
        self.code = chain.network.address("Delegate")
        self.contract = chain.contract("Delegate", account)

    @property
    def domain(self) -> Domain:
        """What session keys sign for: this account on this chain."""
        return Domain("Koinon Delegate", "1", self.chain.chain_id, self.account)

    @property
    def stands(self) -> bool:
        """Whether the account runs the delegate's code now."""
        return delegate_of(self.chain.rpc, self.account) == self.code

    def begin(self, owner: Key) -> Receipt:
        """Let the account run the delegate's code. Sessions granted before it ended stand again, unless
        revoked or over."""
        self._must_own(owner)
        return set_code(self.chain, owner, self.code)

    def end(self, owner: Key) -> Receipt:
        """Let the account run no code any more: no session can act."""
        self._must_own(owner)
        return set_code(self.chain, owner, ZERO_ADDRESS)

    def grant(
        self,
        owner: Account,
        key: str,
        until: int,
        permissions: Sequence[Permission],
        limits: Sequence[SpendLimit],
    ) -> Receipt:
        """Let ``key`` call these functions until a moment (Unix seconds) and take this much; what it was
        granted before ends."""
        self._must_stand()
        return self._send(
            owner,
            "grant",
            key,
            until,
            [(each.target, each.selector) for each in permissions],
            [(each.token, each.per_call, each.per_day, each.total) for each in limits],
        )

    def revoke(self, owner: Account, key: str) -> Receipt:
        """Take a key's session back."""
        return self._send(owner, "revoke", key)

    def revoke_all(self, owner: Account) -> Receipt:
        """Take every session back."""
        return self._send(owner, "revoke_all")

    def until(self, key: str) -> int:
        """The last second of a key's session; 0 where it has none now."""
        return int(self.contract.call("session_of", key)[0]) if self.stands else 0

    def spent(self, key: str, token: str) -> SpentBySession:
        """What a key's latest session took of a token."""
        limit, spent, day, today = self.contract.call("spending_of", key, token)
        return SpentBySession(SpendLimit(*limit), spent, day, today)

    def execute(self, sender: Account, calls: Sequence[Call]) -> Receipt:
        """Make calls from the account, by its owner or by a session key that pays for the gas."""
        self._must_stand()
        data = ONLY_CALLS.encode([_listed(calls)])
        return self.chain.sender(sender).send(self.contract.transaction("execute", BATCH, data))

    def sign(self, session: Account, calls: Sequence[Call], deadline: int | None = None) -> SignedCalls:
        """What a session key without ETH signs; the key's next nonce is read from the chain."""
        nonce = int(self.contract.call("nonces", session.address))
        until = int(time.time()) + SIGNED_S if deadline is None else deadline
        signature = session.sign_typed(
            self.domain, SESSION_CALLS, session.address, _listed(calls), nonce, until
        )
        return SignedCalls(tuple(calls), session.address, until, signature)

    def relay(self, sender: Account, signed: SignedCalls) -> Receipt:
        """Send what a session key signed, and pay for its gas."""
        self._must_stand()
        op_data = codec.encode(
            ["address", "uint256", "bytes"], [signed.key, signed.deadline, signed.signature]
        )
        data = CALLS_AND_DATA.encode([_listed(signed.calls), op_data])
        return self.chain.sender(sender).send(self.contract.transaction("execute", BATCH_WITH_DATA, data))

    def allow_top_up(self, owner: Account, key: str, until: int, limit: SpendLimit) -> Receipt:
        """Grant a key to move the network's coin, within a limit, and nothing else."""
        permission = Permission.of(limit.token, "transfer(address,uint256)")
        return self.grant(owner, key, until, [permission], [limit])

    def top_up(self, session: Account, amount: int) -> Receipt:
        """Move coins from the account to the session key's own, for its channels."""
        if amount <= 0:
            raise BadInput("A top-up is more than nothing.", code="delegate.amount")
        call = self.chain.coin.transaction("transfer", session.address, amount)
        return self.execute(session, [call])

    def _send(self, owner: Account, name: str, *arguments: Any) -> Receipt:
        self._must_own(owner)
        return self.chain.sender(owner).send(self.contract.transaction(name, *arguments))

    def _must_own(self, owner: Account) -> None:
        if owner.address != self.account:
            raise BadInput(f"Only {self.account} decides this.", code="delegate.owner")

    def _must_stand(self) -> None:
        if not self.stands:
            raise PaymentError(
                f"{self.account} does not run the delegate's code.",
                hint="Its owner begins that first: nothing was sent, and nothing could act.",
                code="delegate.none",
            )


def _listed(calls: Sequence[Call]) -> list[tuple[str, int, bytes]]:
    if not 0 < len(calls) <= MOST_CALLS:
        raise BadInput(f"Between one and {MOST_CALLS} calls are made at once.", code="delegate.calls")
    return [(call.to or ZERO_ADDRESS, call.value, call.data) for call in calls]
