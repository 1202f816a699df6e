# SPDX-License-Identifier: Apache-2.0
"""Changes of a vault's rules: reviewed before they are made, tighter at once, looser in public."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from koinon.chain.account import Account
from koinon.chain.contract import Call
from koinon.chain.handle import Chain
from koinon.errors import BadInput, KeyFault
from koinon.treasury.vault import (
    NOBODY,
    WHOLE_BPS,
    Kind,
    Strategy,
    VaultState,
    announced,
    read_vault,
    vault_at,
)


@dataclass(frozen=True)
class Change:
    """A change of a vault's rules, before it is made. ``ready_at`` None: it takes effect at once; 0: it will
    be announced; else it was, and can be made from then on."""

    vault: str
    call: str
    arguments: tuple[Any, ...]
    before: Any
    after: Any
    ready_at: int | None

    def to_dict(self) -> dict[str, Any]:
        """For a JSON document."""
        return {**vars(self), "arguments": list(self.arguments)}


class Rules:
    """What the manager and the guardian of vaults do. What sends needs ``account``."""

    def __init__(self, chain: Chain, account: Account | None) -> None:
        self.chain, self._account = chain, account

    def bounds(self, address: str, slot: str, min_bps: int, max_bps: int) -> Change:
        """A slot's new bounds, to review and `make`."""
        found = read_vault(self.chain, address).slot(slot)
        before = (found.strategy.min_bps, found.strategy.max_bps)
        looser = min_bps < before[0] or max_bps > before[1]
        return self._change(
            address, "set_bounds", (found.number, min_bps, max_bps), before, (min_bps, max_bps), looser
        )

    def limits(self, address: str, **changes: int) -> Change:
        """New limits, by the names of `Limits`; what is not named stays."""
        before = read_vault(self.chain, address).limits
        after = replace(before, **changes)
        return self._change(
            address, "set_limits", (after.to_tuple(),), vars(before), vars(after), after.loosens(before)
        )

    def allocator(self, address: str, account: str) -> Change:
        """Another allocator; NOBODY dismisses the present one at once."""
        before = read_vault(self.chain, address).charter.allocator
        return self._change(address, "set_allocator", (account,), before, account, account != NOBODY)

    def strategy(self, address: str, slot: int, listed: Strategy) -> Change:
        """A slot's new strategy."""
        before = next((each for each in read_vault(self.chain, address).slots if each.number == slot), None)
        return self._change(
            address,
            "set_strategy",
            (slot, listed.to_tuple()),
            vars(before.strategy) if before else None,
            vars(listed),
            listed.kind is not Kind.EMPTY,
        )

    def resumption(self, address: str) -> Change:
        """Allocation goes on after a stop or a drawdown."""
        return self._change(address, "resume", (), "stopped", "allocating", True)

    def make(self, change: Change) -> VaultState:
        """Make a change, or announce it where it loosens; TransactionFailed with the vault's reason."""
        vault = vault_at(self.chain, change.vault)
        self._send(vault.transaction(change.call, *change.arguments))
        return read_vault(self.chain, change.vault)

    def stop(self, address: str) -> VaultState:
        """Stop allocation: the guardian or the manager may."""
        self._send(vault_at(self.chain, address).transaction("stop"))
        return read_vault(self.chain, address)

    def mark_down(self, address: str, slot: str, bps: int) -> VaultState:
        """Let a slot's shares count for ``bps`` of what they do now, and let nobody in while they say more:
        the guardian may."""
        number = read_vault(self.chain, address).slot(slot).number
        if not 0 <= bps <= WHOLE_BPS:
            raise BadInput(
                f"{bps} basis points are no part.", hint="From 0 to 10000.", code="treasury.mark_down"
            )
        self._send(vault_at(self.chain, address).transaction("mark_down", number, bps))
        return read_vault(self.chain, address)

    def veto(self, address: str, change_id: str) -> None:
        """Take an announced change away: the guardian may."""
        try:
            digest = bytes.fromhex(change_id.removeprefix("0x"))
        except ValueError:
            digest = b""
        if len(digest) != 32:
            raise BadInput(
                f"{change_id!r} is no change.", hint="See: koinon treasury vault show", code="treasury.change"
            )
        self._send(vault_at(self.chain, address).transaction("veto", digest))

    def _change(  # noqa: PLR0917
        self, address: str, call: str, arguments: tuple[Any, ...], before: Any, after: Any, looser: bool
    ) -> Change:
        if not looser:
            return Change(address, call, arguments, before, after, None)
        waiting = {(each.call, each.arguments): each.ready_at for each in announced(self.chain, address)}
        return Change(address, call, arguments, before, after, waiting.get((call, arguments), 0))

    def _send(self, call: Call) -> None:
        if self._account is None:
            raise KeyFault("This needs an account to act with.", hint="Name one.", code="treasury.no_account")
        self.chain.sender(self._account).send(call)
