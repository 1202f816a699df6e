# SPDX-License-Identifier: Apache-2.0
"""Who stands behind a lender: the holders of an ERC-4626 vault that lends, theirs where they are vaults too.

A pool's loss is not a vault's own: it is passed on to whoever holds the vault's shares. Any contract that
answers ERC-4626's ``asset`` with the token that is lent is followed; everybody else is an end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from koinon.chain.contract import Contract
from koinon.chain.handle import Chain
from koinon.chain.rpc import RpcError
from koinon.errors import ChainError
from koinon.lending.risk.ecosystem import Holder
from koinon.lending.risk.history import ever_named
from koinon.markets.tokens import Token

DEEPEST: Final = 4
"""So many vaults within vaults are followed; what is deeper counts as an end."""

_NOBODY: Final = "0x" + "00" * 20


@dataclass
class _Behind:
    """What is found on the way: what each vault ``owes`` to whom, and has in ``total``, in whole tokens."""

    chain: Chain
    token: Token
    owes: dict[str, dict[str, float]] = field(default_factory=dict)
    total: dict[str, float] = field(default_factory=dict)

    def look(self, address: str, depth: int = 0) -> None:
        if address in self.owes or depth >= DEEPEST:
            return
        vault = self._vault(address)
        if vault is None:
            return
        holders = [
            each for each in ever_named(self.chain.rpc, vault, "Transfer", "receiver") if each != _NOBODY
        ]
        supply, assets, *held = vault.call_many(
            [("totalSupply",), ("totalAssets",), *(("balanceOf", each) for each in holders)]
        )
        whole = assets / 10**self.token.decimals
        self.total[address] = whole
        self.owes[address] = {
            holder: whole * shares / supply for holder, shares in zip(holders, held, strict=True) if shares
        }
        for holder in self.owes[address]:
            self.look(holder, depth + 1)

    def _vault(self, address: str) -> Contract | None:
        """A vault of this token at an address; None where there is none."""
        if len(self.chain.rpc.call("eth_getCode", address, "latest")) <= 2:
            return None
        vault = self.chain.contract("PoolShares", address)  # its ABI is ERC-4626's
        try:
            return vault if vault.call("asset") == self.token.address else None
        except (ChainError, RpcError, ValueError):
            return None


def holders_behind(chain: Chain, token: Token, claims: Mapping[str, float]) -> list[Holder]:
    """Everybody behind the lenders of a network.

    Parameters
    ----------
    chain : Chain
    token : Token
        What is lent.
    claims : mapping of str to float
        What pools owe to each lender, in whole tokens.

    Returns
    -------
    list of Holder
        The lenders first, in their order. A vault's ``cash`` is what it has beside its claims, at the price
        it gives itself: other strategies are taken to be sound.
    """
    found = _Behind(chain, token)
    for lender in claims:
        found.look(lender)
    names = dict.fromkeys([*claims, *(name for owed in found.owes.values() for name in owed)])
    owed_to = {name: claims.get(name, 0.0) for name in names}
    for owed in found.owes.values():
        for name, amount in owed.items():
            owed_to[name] += amount
    return [
        Holder(
            name,
            cash=max(0.0, found.total.get(name, 0.0) - owed_to[name]),
            owes=found.owes.get(name, {}),
        )
        for name in names
    ]
