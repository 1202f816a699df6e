# SPDX-License-Identifier: Apache-2.0
"""Pairs and the router: create a pair, put liquidity in and take it out, quote, swap; in smallest units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt
from typing import Final

from koinon.chain.account import Account
from koinon.chain.address import ZERO_ADDRESS, checksum
from koinon.chain.contract import Call, Contract
from koinon.chain.handle import Chain
from koinon.chain.receipts import Receipt
from koinon.errors import BadInput, NotFound
from koinon.markets.tokens import Token, leave_for, token_at

PAIR_FEE_PPM: Final = 3_000
MINIMUM_LIQUIDITY: Final = 1_000
"""Shares of a pair's first liquidity that nobody can ever redeem."""
PATIENCE_S: Final = 1_200
"""How long a swap that was sent may wait for its block."""
BPS: Final = 10_000


@dataclass(frozen=True)
class Hop:
    """One pool on a way; ``pair_fee_ppm`` in 1e-6, 0 for a pool that prices itself."""

    pool: str
    token_in: str
    token_out: str
    pair_fee_ppm: int = PAIR_FEE_PPM

    def values(self) -> tuple[str, str, str, int]:
        """As the router takes it."""
        return self.pool, self.token_in, self.token_out, self.pair_fee_ppm


@dataclass(frozen=True)
class Liquidity:
    """What went in or came out, and for how many shares."""

    amount0: int
    amount1: int
    shares: int


@dataclass(frozen=True)
class Pair:
    """A pair as of one block: reserves in smallest units, ``shares`` the supply of its LP token."""

    address: str
    token0: Token
    token1: Token
    reserve0: int
    reserve1: int
    shares: int

    def amount_out(self, token_in: str, amount_in: int) -> int:
        """What a swap of ``amount_in`` pays now, to the unit; BadInput for a token that is not in it."""
        reserve_in, reserve_out = self._ordered(token_in)
        counted = amount_in * (1_000_000 - PAIR_FEE_PPM)
        return counted * reserve_out // (reserve_in * 1_000_000 + counted) if reserve_in else 0

    def liquidity(self, amount0: int, amount1: int) -> Liquidity:
        """What at most these amounts would pay in and bring now, as the router and the pair count.

        0 shares or fewer: the pair refuses so little. Reserves without shares were given away and say nothing
        about the price.
        """
        if not self.shares:
            return Liquidity(amount0, amount1, isqrt(amount0 * amount1) - MINIMUM_LIQUIDITY)
        fitting = amount0 * self.reserve1 // self.reserve0
        if fitting <= amount1:
            amount1 = fitting
        else:
            amount0 = amount1 * self.reserve0 // self.reserve1
        shares = min(amount0 * self.shares // self.reserve0, amount1 * self.shares // self.reserve1)
        return Liquidity(amount0, amount1, shares)

    def hop(self, token_in: str) -> Hop:
        """This pair as a hop; errors as in `amount_out`."""
        self._ordered(token_in)
        other = self.token1 if token_in == self.token0.address else self.token0
        return Hop(self.address, token_in, other.address)

    def _ordered(self, token_in: str) -> tuple[int, int]:
        if token_in == self.token0.address:
            return self.reserve0, self.reserve1
        if token_in == self.token1.address:
            return self.reserve1, self.reserve0
        raise BadInput(
            f"{token_in} is not in the pair {self.address}.",
            hint=f"It trades {self.token0.symbol} and {self.token1.symbol}.",
            code="markets.not_in_pair",
        )


class Pairs:
    """The pairs of a network. What sends takes the account that pays; errors as in `Sender.send`."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.factory = chain.contract("PairFactory")
        self.router = chain.contract("Router")

    def find(self, token_a: str, token_b: str) -> str | None:
        """The address of the pair of two tokens, in any order; None where nobody created it."""
        found = checksum(self.factory.call("getPair", checksum(token_a), checksum(token_b)))
        return None if found == ZERO_ADDRESS else found

    def addresses(self) -> list[str]:
        """Every pair of the factory, in the order of creation."""
        count = int(self.factory.call("allPairsLength"))
        found = self.factory.call_many([("allPairs", index) for index in range(count)])
        return [checksum(address) for address in found]

    def read(self, address: str) -> Pair:
        """A pair as it is now; errors as in `Contract.call`."""
        contract = self.contract(address)
        first, second, reserves, shares = contract.call_many(
            [("token0",), ("token1",), ("getReserves",), ("totalSupply",)]
        )
        tokens = (token_at(self.chain, first), token_at(self.chain, second))
        return Pair(contract.address, *tokens, int(reserves[0]), int(reserves[1]), int(shares))

    def of(self, token_a: str, token_b: str) -> Pair:
        """The pair of two tokens as it is now; NotFound where nobody created it."""
        address = self.find(token_a, token_b)
        if address is None:
            raise NotFound(
                f"Nobody has created a pair of {token_a} and {token_b}.",
                hint="Create it: koinon markets liquidity add",
                code="markets.no_pair",
            )
        return self.read(address)

    def contract(self, address: str) -> Contract:
        """A pair's functions."""
        return self.chain.contract("Pair", address)

    def create(self, account: Account, token_a: str, token_b: str) -> str:
        """Create the pair of two tokens where it is not there yet; its address."""
        found = self.find(token_a, token_b)
        if found is None:
            creation = self.factory.transaction("createPair", checksum(token_a), checksum(token_b))
            receipt = self.chain.sender(account).send(creation)
            (event,) = self.factory.logs(receipt, "PairCreated")
            found = checksum(event["pair"])
        return found

    def add_liquidity(
        self,
        account: Account,
        pair: str,
        amount0: int,
        amount1: int,
        *,
        minimum0: int = 0,
        minimum1: int = 0,
        minimum_shares: int = 1,
        to: str | None = None,
    ) -> Liquidity:
        """Pay in at most these amounts, in the proportion of the reserves where the pair has shares.

        TransactionFailed where that takes less of a coin, or gives fewer shares, than the minimum.
        """
        contract = self.contract(pair)
        receiver = to or account.address
        calls = [
            *leave_for(self.chain, account, contract.call("token0"), self.router.address, amount0),
            *leave_for(self.chain, account, contract.call("token1"), self.router.address, amount1),
            self.router.transaction(
                "add_liquidity",
                pair,
                amount0,
                amount1,
                minimum0,
                minimum1,
                minimum_shares,
                self.deadline(),
                receiver,
            ),
        ]
        receipt = self._send(account, calls)
        (minted,) = contract.logs(receipt, "Mint")
        shares = sum(
            int(moved["value"])
            for moved in contract.logs(receipt, "Transfer")
            if moved["from"] == ZERO_ADDRESS and moved["to"] == receiver
        )
        return Liquidity(int(minted["amount0"]), int(minted["amount1"]), shares)

    def remove_liquidity(
        self,
        account: Account,
        pair: str,
        shares: int,
        *,
        minimum0: int = 1,
        minimum1: int = 1,
        to: str | None = None,
    ) -> Liquidity:
        """Redeem shares."""
        contract = self.contract(pair)
        calls = [
            *leave_for(self.chain, account, pair, self.router.address, shares),
            self.router.transaction(
                "remove_liquidity", pair, shares, minimum0, minimum1, self.deadline(), to or account.address
            ),
        ]
        (burned,) = contract.logs(self._send(account, calls), "Burn")
        return Liquidity(int(burned["amount0"]), int(burned["amount1"]), shares)

    def quote(self, hops: Sequence[Hop], amount_in: int) -> int:
        """What a way would pay now; errors as in `Contract.call`."""
        return int(self.router.call("quote", [hop.values() for hop in hops], amount_in))

    def swap(
        self,
        account: Account,
        hops: Sequence[Hop],
        amount_in: int,
        minimum_out: int,
        *,
        to: str | None = None,
    ) -> int:
        """Swap along a way; how much the receiver got. TransactionFailed when it would be less than the
        minimum: then nothing was paid."""
        if not hops:
            raise BadInput("A swap needs a pool.", code="markets.no_hops")
        receiver = to or account.address
        calls = [
            *leave_for(self.chain, account, hops[0].token_in, self.router.address, amount_in),
            self.router.transaction(
                "swap_along",
                [hop.values() for hop in hops],
                amount_in,
                minimum_out,
                self.deadline(),
                receiver,
            ),
        ]
        (routed,) = self.router.logs(self._send(account, calls), "Routed")
        return int(routed["amount_out"])

    def deadline(self) -> int:
        """The last second for what is sent now."""
        return self.chain.next_timestamp() + PATIENCE_S

    def _send(self, account: Account, calls: Sequence[Call]) -> Receipt:
        """The last call once those that allow it are mined: the node tries it out before it is sent."""
        sender = self.chain.sender(account)
        *leave, action = calls
        if leave:
            sender.send_all(leave)
        return sender.send(action)


def at_least(expected: int, slippage_bps: int) -> int:
    """The least to accept where ``expected`` was quoted: less the share, in 1e-4, that prices may move by."""
    if not 0 <= slippage_bps < BPS:
        raise BadInput("Slippage is from 0 to 9,999 in 1/10,000.", code="markets.slippage")
    return max(1, expected * (BPS - slippage_bps) // BPS)
