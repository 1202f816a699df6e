# SPDX-License-Identifier: Apache-2.0
"""Our pair beside Uniswap's own bytecode under the same random actions: the same numbers to the wei, the same
refusals with the same reasons."""

from __future__ import annotations

import boa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.contracts_support import NOBODY, account, fresh_chain
from tests.markets.contracts.support import (
    amount_out,
    create_pair,
    deploy_factory,
    deploy_tokens,
    deploy_uniswap_factory,
    market_mock,
    outcome,
    uniswap,
)

ROLES = ("provider", "trader", "nobody", "pair")
ARITHMETIC = {
    "ds-math-sub-underflow": {
        "",
        "liquidity: transfer amount exceeds balance",
        "liquidity: insufficient allowance",
    },
    "ds-math-mul-overflow": {""},
    "": {""},  # a division by zero
}
"""What V2 says of sums that do not fit, and what ours may say then; Vyper's arithmetic says nothing."""
AMOUNTS = st.integers(0, 3_000) | st.integers(0, 10**22)
BPS = st.integers(0, 10_000)
SIDES = st.integers(0, 1)


class Twins(RuleBasedStateMachine):
    """The same tokens in both pairs; each pair has people of its own, so that balances tell them apart."""

    def __init__(self) -> None:
        super().__init__()
        self.chain = fresh_chain()
        self.chain.__enter__()
        self.tokens = deploy_tokens(18, 18)
        factory = deploy_uniswap_factory()
        self.pairs = (
            create_pair(deploy_factory(), *self.tokens),
            uniswap("UniswapV2Pair", str(factory.createPair(*(token.address for token in self.tokens)))),
        )
        self.actors = [market_mock("Actor") for _ in self.pairs]
        for index, pair in enumerate(self.pairs):
            self.tokens[0].mint(pair, 10**21)
            self.tokens[1].mint(pair, 4 * 10**21)
            pair.mint(self.person("provider", index))

    def teardown(self) -> None:
        self.chain.__exit__(None, None, None)

    def person(self, role: str, index: int) -> str:
        if role == "pair":
            return str(self.pairs[index].address)
        return NOBODY if role == "nobody" else account(f"{role} of pair {index}")

    def both(self, call):
        """Do the same to both; both must end the same."""
        ends = [outcome(pair, lambda pair=pair, i=i: call(pair, i)) for i, pair in enumerate(self.pairs)]
        (ours, our_answer), (theirs, their_answer) = ends
        assert ours == theirs, ends
        if ours or str(their_answer).startswith("UniswapV2"):
            assert our_answer == their_answer
        else:
            assert our_answer in ARITHMETIC[their_answer]
        return ours

    @rule(side=SIDES, amount=AMOUNTS)
    def someone_pays_in(self, side, amount):
        for pair in self.pairs:
            self.tokens[side].mint(pair, amount)

    @rule(side=SIDES, amount=st.sampled_from((2**112 - 1, 2**112)))
    def someone_pays_in_far_too_much(self, side, amount):
        before = [self.tokens[side].balanceOf(pair) for pair in self.pairs]
        for pair in self.pairs:
            self.tokens[side].set_balance(pair, amount)
        with boa.env.anchor():
            self.both(lambda pair, _: pair.sync())
        self.both(lambda pair, index: pair.mint(self.person("provider", index)))
        for pair, balance in zip(self.pairs, before, strict=True):
            if self.tokens[side].balanceOf(pair) > pair.getReserves()[side]:
                self.tokens[side].set_balance(pair, balance)

    @rule(side=SIDES, lost_bps=st.integers(0, 100) | BPS)
    def a_balance_shrinks(self, side, lost_bps):
        token = self.tokens[side]
        for pair in self.pairs:
            balance = token.balanceOf(pair)
            token.set_balance(pair, balance - balance * lost_bps // 10_000)

    @rule(seconds=st.integers(0, 10_000) | st.just(2**32))
    def time_passes(self, seconds):
        boa.env.time_travel(seconds=seconds)

    @rule(role=st.sampled_from(ROLES))
    def mint(self, role):
        self.both(lambda pair, index: pair.mint(self.person(role, index)))

    @rule(share_bps=BPS, role=st.sampled_from(ROLES))
    def burn(self, share_bps, role):
        for index, pair in enumerate(self.pairs):
            provider = self.person("provider", index)
            shares = pair.balanceOf(provider) * share_bps // 10_000
            pair.transfer(pair.address, shares, sender=provider)
        self.both(lambda pair, index: tuple(pair.burn(self.person(role, index))))

    @rule(side=SIDES, amount=AMOUNTS, more=st.integers(-2, 2), other=st.integers(0, 2))
    def swap(self, side, amount, more, other):
        """About the most there is to get, and perhaps something of what is paid in."""
        reserves = self.pairs[0].getReserves()[:2]
        wanted = max(0, amount_out(amount, reserves[side], reserves[1 - side]) + more)
        outs = (other, wanted) if side == 0 else (wanted, other)
        for pair in self.pairs:
            self.tokens[side].mint(pair, amount)
        self.both(lambda pair, index: pair.swap(*outs, self.person("trader", index), b""))

    @rule(outs=st.tuples(AMOUNTS, AMOUNTS))
    def swap_blindly(self, outs):
        self.both(lambda pair, index: pair.swap(*outs, self.person("trader", index), b""))

    @rule(side=SIDES)
    def swap_to_a_token(self, side):
        self.both(lambda pair, _: pair.swap(1, 0, self.tokens[side].address, b""))

    @rule(shares_bps=st.tuples(BPS, BPS), short=st.integers(-1, 1))
    def flash_swap(self, shares_bps, short):
        """Borrow a part of both reserves, and pay back about what is due."""
        reserves = self.pairs[0].getReserves()[:2]
        outs = tuple(share * reserve // 10_000 for share, reserve in zip(shares_bps, reserves, strict=True))
        repaid = tuple(max(0, -(-amount * 1_000 // 997) - short) for amount in outs)
        for actor in self.actors:
            actor.repay_with([token.address for token in self.tokens], repaid)
            for token, amount in zip(self.tokens, repaid, strict=True):
                token.mint(actor, amount)
        self.both(lambda pair, index: pair.swap(*outs, self.actors[index].address, b"borrow"))

    @rule(role=st.sampled_from(("provider", "trader", "nobody")))
    def skim(self, role):
        self.both(lambda pair, index: pair.skim(self.person(role, index)))

    @rule()
    def sync(self):
        self.both(lambda pair, _: pair.sync())

    @rule()
    def initialize_again(self):
        self.both(lambda pair, _: pair.initialize(*(token.address for token in self.tokens)))

    @rule(sender=st.sampled_from(ROLES[:2]), to=st.sampled_from(ROLES), amount=AMOUNTS)
    def transfer_shares(self, sender, to, amount):
        self.both(
            lambda pair, index: pair.transfer(
                self.person(to, index), amount, sender=self.person(sender, index)
            )
        )

    @rule(owner=st.sampled_from(ROLES[:2]), amount=AMOUNTS | st.just(2**256 - 1), moved=AMOUNTS)
    def move_allowed_shares(self, owner, amount, moved):
        def move(pair, index):
            holder, spender = self.person(owner, index), self.person("trader", index)
            pair.approve(spender, amount, sender=holder)
            pair.transferFrom(holder, self.person("trader", index), moved, sender=spender)
            return pair.allowance(holder, spender)

        self.both(move)

    @invariant()
    def both_pairs_tell_the_same(self):
        for name in (
            "getReserves",
            "price0CumulativeLast",
            "price1CumulativeLast",
            "totalSupply",
            "kLast",
            "MINIMUM_LIQUIDITY",
            "token0",
            "token1",
        ):
            ours, theirs = (getattr(pair, name)() for pair in self.pairs)
            assert (tuple(ours) == tuple(theirs)) if name == "getReserves" else ours == theirs, name

    @invariant()
    def everyone_holds_the_same(self):
        for role in ROLES:
            mine, yours = (
                [
                    pair.balanceOf(self.person(role, index)),
                    *(token.balanceOf(self.person(role, index)) for token in self.tokens if role != "nobody"),
                ]
                for index, pair in enumerate(self.pairs)
            )
            assert mine == yours, role
        for token in self.tokens:
            assert len({token.balanceOf(actor) for actor in self.actors}) == 1

    @invariant()
    def shares_add_up_to_the_supply(self):
        pair = self.pairs[0]
        assert sum(pair.balanceOf(self.person(role, 0)) for role in ROLES) == pair.totalSupply()


def test_our_pair_is_uniswaps_to_the_wei():
    run_state_machine_as_test(
        Twins,
        settings=settings(
            max_examples=4,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
