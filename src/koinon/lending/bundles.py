# SPDX-License-Identifier: Apache-2.0
"""What wallets sign to become one borrower (`Bundles.vy`): good history counts for all, the worst too."""

from __future__ import annotations

from typing import Final

from koinon.chain.account import Account
from koinon.chain.eip712 import Domain, TypedStruct, digest

JOIN: Final = TypedStruct("Join(address bundle,address wallet,uint256 size,uint256 deadline)")
MAXIMUM_WALLETS: Final = 8


class JoinDomain:
    """What is signed for one Bundles contract on one chain.

    ``bundle`` is the bundle's first wallet, ``wallet`` who joins, ``size`` how many wallets ever were in it
    (1 for a new one), ``deadline`` the last second at which the signatures count.
    """

    def __init__(self, chain_id: int, contract: str) -> None:
        self.domain = Domain("Koinon Bundles", "1", chain_id, contract)

    def digest(self, bundle: str, wallet: str, size: int, deadline: int) -> bytes:
        """What is signed: 32 bytes."""
        return digest(self.domain, JOIN.hash(bundle, wallet, size, deadline))

    def sign(self, account: Account, bundle: str, wallet: str, size: int, deadline: int) -> bytes:
        """The signature of the joining wallet, or of one that is in."""
        return account.sign_typed(self.domain, JOIN, bundle, wallet, size, deadline)
