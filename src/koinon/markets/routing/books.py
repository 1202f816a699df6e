# SPDX-License-Identifier: Apache-2.0
"""Pools as swaps leave them one after another, in whole units: what a plan will really bring."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from koinon.markets.routing.flows import MOST_HOPS, Hop
from koinon.markets.routing.pools import Pool


class Books:
    """The state of pools; `swap` changes it, `quote` does not."""

    def __init__(self, pools: Sequence[Pool]) -> None:
        self.pools = list(pools)

    def quote(self, hops: Sequence[Hop], amount: int) -> int:
        """What comes out of the last hop for ``amount`` into the first."""
        changed: dict[int, Pool] = {}
        repeated = len({hop.pool for hop in hops}) < len(hops)
        for hop in hops:
            pool = changed.get(hop.pool, self.pools[hop.pool])
            if repeated:
                changed[hop.pool] = pool.after(hop.coin_in, amount)
            amount = pool.amount_out(hop.coin_in, amount)
        return amount

    def swap(self, hops: Sequence[Hop], amount: int) -> int:
        """The same, and the pools stay as that leaves them."""
        for hop in hops:
            pool = self.pools[hop.pool]
            self.pools[hop.pool] = pool.after(hop.coin_in, amount)
            amount = pool.amount_out(hop.coin_in, amount)
        return amount

    def best_path(
        self, token_in: str, token_out: str, amount: int, most_hops: int = MOST_HOPS
    ) -> tuple[int, tuple[Hop, ...]]:
        """The path on which most comes out, and how much; 0 and no hops where nothing does.

        The best way to each token is extended hop by hop (Moore, Bellman and Ford, on what really comes out),
        and takes no pool twice.
        """
        best: dict[str, tuple[int, tuple[Hop, ...]]] = {token_in: (amount, ())}
        grown = {token_in}
        for _ in range(most_hops):
            new: dict[str, tuple[int, tuple[Hop, ...]]] = {}
            for number, pool in enumerate(self.pools):
                for coin_in in (0, 1):
                    source, target = pool.tokens[coin_in], pool.tokens[1 - coin_in]
                    if source not in grown or target == token_in or source == token_out:
                        continue
                    held, way = best[source]
                    if any(hop.pool == number for hop in way):
                        continue
                    out = pool.amount_out(coin_in, held)
                    if out > max(best.get(target, (0, ()))[0], new.get(target, (0, ()))[0]):
                        new[target] = (out, (*way, Hop(number, coin_in)))
            best |= new
            grown = set(new)
            if not grown:
                break
        return best.get(token_out, (0, ()))

    def best_size(self, hops: Sequence[Hop], most: int) -> int:
        """The amount, up to ``most``, with which a cycle earns most."""
        return largest(lambda amount: self.quote(hops, amount) - amount, most)


def largest(gain: Callable[[int], int], most: int) -> int:
    """The whole number from 0 to ``most`` where a concave function is largest, by thirds; where it is flat by
    rounding, one nearby."""
    low, high = 0, most
    while high - low > 3:
        third = (high - low) // 3
        if gain(low + third) < gain(high - third):
            low += third
        else:
            high -= third
    return max(range(low, high + 1), key=gain)
