# SPDX-License-Identifier: Apache-2.0
"""Random orders, arbitrage, liquidity and gifts over pools and the router: no unit appears or is lost."""

from __future__ import annotations

from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from koinon.errors import TransactionFailed
from tests.bench_support import account
from tests.markets.contracts.router_stage import FOR_EVER, NAMES, make_stage
from tests.markets.contracts.support import WHOLE

KINDS = {
    ("ether", "dollars"): ("pair", "weighted"),
    ("ether", "euros"): ("pair",),
    ("dollars", "euros"): ("stable",),
}
TOO_LITTLE = {"UniswapV2: INSUFFICIENT_OUTPUT_AMOUNT", "nothing paid in", "less than the minimum"}
"""Why pools refuse an order of which some hop makes nothing."""
NO_PROFIT = {"cycle does not pay its loan", "profit below the floor"}
AMOUNTS = st.integers(0, 2_000) | st.integers(1, 50).map(lambda tenths: tenths * WHOLE // 10)


@st.composite
def paths(draw, start=None, closed=False):
    """A route through pools of which none occurs twice."""
    steps = [start or draw(st.sampled_from(NAMES))]
    used = set()
    for _ in range(draw(st.integers(1, 4))):
        choices = [
            (kind, other)
            for (first, second), kinds in KINDS.items()
            for kind in kinds
            for here, other in ((first, second), (second, first))
            if here == steps[-1] and (kind, first, second) not in used
        ]
        if not choices:
            break
        kind, other = draw(st.sampled_from(choices))
        used.add(
            (kind, *next(pair for pair in KINDS if set(pair) == {steps[-1], other} and kind in KINDS[pair]))
        )
        steps += [kind, other]
        if closed and other == steps[0]:
            break
    return tuple(steps)


def attempt(call):
    """Why a call was refused, or None and what it answered."""
    try:
        return None, call()
    except TransactionFailed as refusal:
        event(refusal.reason)
        return refusal.reason, None


class Markets(RuleBasedStateMachine):
    """A trader, an arbitrageur without money, a provider."""

    def __init__(self) -> None:
        super().__init__()
        self.stage = make_stage()
        for name in NAMES:
            self.stage.give(name, 1_000 * WHOLE)
        self.people = [self.stage.trader, account("arbitrageur"), account("provider")]
        self.holders = [*self.people, *{pool.address for pool in self.stage.pools.values()}]
        self.total = {name: self.sum_of(name) for name in NAMES}
        self.products = self.worths()

    def sum_of(self, name: str) -> int:
        return sum(self.stage.balance(name, holder) for holder in self.holders)

    def worths(self):
        """Of each pool, how much it has for each share; only ever more."""
        found = {}
        for (kind, first, second), pool in self.stage.pools.items():
            if (kind, first, second) not in self.pool_names():
                continue
            reserves = pool.getReserves()[:2] if kind == "pair" else pool.reserves()
            worth = reserves[0] * reserves[1]
            if kind == "stable":
                worth = pool.invariant_D()
            elif kind == "weighted":
                worth = reserves[0] ** 4 * reserves[1]  # 80 to 20
            found[kind, first, second] = worth, pool.totalSupply(), tuple(reserves)
        return found

    @staticmethod
    def pool_names():
        return [(kind, *pair) for pair, kinds in KINDS.items() for kind in kinds]

    def comes_to_nothing(self, hops, amount):
        """Whether some hop of a route pays nothing for so little."""
        return any(self.stage.router.quote(hops[: end + 1], amount) == 0 for end in range(len(hops)))

    @rule(path=paths(), amount=AMOUNTS)
    def someone_trades(self, path, amount):
        """An order at its own quote is refused only where some hop makes nothing of it."""
        hops, trader = self.stage.path(*path), self.stage.trader
        amount = min(amount, self.stage.balance(path[0]))
        due = self.stage.router.quote(hops, amount)
        around = path[0] == path[-1]  # what does not earn leaves the balance below what it was
        nothing = self.comes_to_nothing(hops, amount)
        before = self.stage.balance(path[-1])
        least = 0 if around else due
        reason, got = attempt(
            lambda: self.stage.router.swap_along(hops, amount, least, FOR_EVER, trader, sender=trader)
        )
        if reason is not None:
            assert reason in (TOO_LITTLE if nothing else {"less than the minimum"} if around else ())
            assert self.stage.balance(path[-1]) == before
        else:
            assert around or got >= due

    @rule(path=paths(start="ether", closed=True), amount=AMOUNTS, flash=st.booleans())
    def someone_tries_arbitrage(self, path, amount, flash):
        if path[-1] != "ether":
            return
        who = account("arbitrageur") if flash else self.stage.trader
        before = self.stage.balance("ether", who)
        amount = amount if flash else min(amount, before)
        hops = self.stage.path(*path)
        allowed = TOO_LITTLE if self.comes_to_nothing(hops, amount) else NO_PROFIT
        if flash and path[1] != "pair":
            allowed = {"a flash cycle begins with a pair"}
        reason, profit = attempt(
            lambda: self.stage.router.arbitrage(
                [(amount, hops, flash)], 0, self.stage.tokens["ether"], sender=who
            )
        )
        assert reason is None or reason in allowed
        assert self.stage.balance("ether", who) == before + (profit or 0)

    @rule(
        name=st.sampled_from([(kind, *pair) for pair, kinds in KINDS.items() for kind in kinds]),
        part=st.integers(1, 50),
    )
    def the_provider_takes_some_out(self, name, part):
        pool, provider = self.stage.pools[name], account("provider")
        shares = pool.balanceOf(provider) * part // 100
        if name[0] == "pair":
            pool.transfer(pool, shares, sender=provider)
            pool.burn(provider)
        else:
            pool.remove_liquidity(shares, 0, 0, provider, sender=provider)
        self.products[name] = self.worths()[name]

    @rule(
        name=st.sampled_from([(kind, *pair) for pair, kinds in KINDS.items() for kind in kinds]),
        token=st.sampled_from(NAMES),
        amount=AMOUNTS,
    )
    def someone_gives_coins_away(self, name, token, amount):
        amount = min(amount, self.stage.balance(token))
        self.stage.tokens[token].transfer(self.stage.pools[name], amount, sender=self.stage.trader)

    @invariant()
    def no_coin_appears_or_is_lost(self):
        for name in NAMES:
            assert self.sum_of(name) == self.total[name]

    @invariant()
    def the_router_holds_nothing(self):
        assert self.stage.left_in_router() == 0

    @invariant()
    def pools_hold_what_their_books_say(self):
        for name in self.pool_names():
            pool = self.stage.pools[name]
            reserves = pool.getReserves()[:2] if name[0] == "pair" else pool.reserves()
            tokens = {token.address: token for token in self.stage.tokens.values()}
            for address, reserve in zip((pool.token0(), pool.token1()), reserves, strict=True):
                assert tokens[address].balanceOf(pool) >= reserve

    @invariant()
    def trading_never_makes_a_pool_poorer(self):
        after = self.worths()
        for name, (worth, _, _) in self.products.items():
            known = 4 if name[0] == "stable" else 0  # as well as D itself is known
            assert after[name][0] >= worth - known
        self.products = after


def test_markets_conserve_every_unit():
    run_state_machine_as_test(
        Markets,
        settings=settings(
            max_examples=12, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
