# SPDX-License-Identifier: Apache-2.0
"""The treasury's front door on a chain: begin, deposit, allocate, change rules, leave."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from koinon.errors import BadInput, KeyFault, NotFound, PaymentError, SetupError, TransactionFailed
from koinon.treasury.api import Treasury
from koinon.treasury.vault import DELAY_S, KEEP, NOBODY, Kind, Strategy
from tests.treasury.market_support import World, move_on, send

COIN = 10**6


@pytest.fixture(scope="module")
def world(own_chain, own_devnet):
    return World.build(own_chain, own_devnet.key(0))


@pytest.fixture
def key(world, own_account):
    made = own_account()
    send(world.chain, made, world.chain.coin.transaction("mint", made.address, 50_000 * COIN))
    return made


@pytest.fixture
def treasury(world, key, tmp_path):
    return Treasury(world.chain, tmp_path, key)


@pytest.fixture
def vault(world, key, treasury):
    return treasury.create(world.terms(key.address)).address


def test_a_vault_is_begun_and_found(world, key, treasury, vault):
    state = treasury.vault(vault)
    assert state.known
    assert treasury.vaults()[0] == vault
    assert (state.name, state.asset_decimals, state.net, state.valid) == ("Test vault", 6, 0, True)
    assert state.charter.manager == key.address
    assert [(slot.number, slot.strategy.kind) for slot in state.slots] == [(0, Kind.TOKEN), (1, Kind.SHARES)]
    assert state.slot("1").strategy.token == world.pool.address
    assert state.slot(world.token.address).number == 0
    with pytest.raises(NotFound, match="slot"):
        state.slot("gold")
    with pytest.raises(NotFound):
        treasury.vault(world.token.address)
    with pytest.raises(NotFound):
        treasury.vault(NOBODY)


def test_a_vault_that_may_not_be_is_refused_in_the_contracts_words(world, key, treasury):
    terms = world.terms(key.address)
    with pytest.raises(TransactionFailed, match="fee too large"):
        treasury.create(replace(terms, charter=replace(terms.charter, fee_bps=2_001)))


def test_money_comes_and_goes(treasury, vault):
    shares = treasury.deposit(vault, 1_000 * COIN)
    assert shares == treasury.shares_of(vault) == 1_000 * COIN * 10**6
    assert treasury.withdraw(vault, 100 * COIN).assets == 100 * COIN
    with pytest.raises(PaymentError, match="At most"):
        treasury.withdraw(vault, 901 * COIN)
    kind = treasury.withdraw_in_kind(vault, treasury.shares_of(vault) // 2)
    assert kind.assets in (450 * COIN - 1, 450 * COIN)
    assert treasury.withdraw(vault).assets in (450 * COIN, 450 * COIN + 1)
    with pytest.raises(PaymentError, match="no shares"):
        treasury.withdraw_in_kind(vault)
    for amount in (0, 10**18):
        with pytest.raises(PaymentError, match="does not have"):
            treasury.deposit(vault, amount)


def test_a_proposal_is_brought_within_bounds_and_made(treasury, vault):
    treasury.deposit(vault, 10_000 * COIN)
    proposal = treasury.propose(vault, {"0": 0.7, "1": 0.3})
    assert proposal.targets == [*(move.target_bps for move in proposal.moves), *[KEEP] * 6]
    assert sum(proposal.targets[:2]) <= 8_000  # this epoch's turnover
    assert proposal.targets[0] <= 6_000
    state = treasury.rebalance(proposal)
    assert abs(state.slots[0].worth / state.gross - proposal.targets[0] / 10_000) < 0.01
    assert state.turnover_left < 0.001
    with pytest.raises(BadInput, match="nothing to move"):
        treasury.rebalance(treasury.propose(vault, {"0": state.slots[0].worth / state.gross}))
    move_on(treasury.chain, 86_400)
    back = treasury.rebalance(treasury.propose(vault, {"0": 0.1, "1": 0.0}))
    assert back.slots[1].held == 0
    assert back.gross > 9_850 * COIN


def test_a_rebalancing_that_finds_a_drawdown_moves_nothing_and_says_so(world, own_devnet, treasury, vault):
    treasury.deposit(vault, 10_000 * COIN)
    snapshot = world.chain.rpc.call("evm_snapshot")
    treasury.rebalance(treasury.propose(vault, {"0": 0.5}))
    proposal = treasury.propose(vault, {"0": 0.4})
    send(world.chain, own_devnet.key(0), world.feed.transaction("say", 200 * 10**8))
    with pytest.raises(TransactionFailed, match="Nothing was moved"):
        treasury.rebalance(proposal)
    assert treasury.vault(vault).tripped
    world.chain.rpc.call("evm_revert", snapshot)


def test_weights_that_are_none_are_said(treasury, vault):
    with pytest.raises(BadInput, match="holds nothing"):
        treasury.propose(vault, {"0": 0.5})
    treasury.deposit(vault, 100 * COIN)
    for weights in ({}, {"0": -0.1}, {"0": 0.6, "1": 0.6}, {"0": float("nan")}):
        with pytest.raises(BadInput, match="eights"):
            treasury.propose(vault, weights)
    with pytest.raises(BadInput, match="tolerance"):
        treasury.propose(vault, {"0": 0.5}, tolerance_bps=-1)


def test_a_pool_that_moved_after_the_proposal_is_refused(world, own_devnet, treasury, vault):
    treasury.deposit(vault, 10_000 * COIN)
    proposal = treasury.propose(vault, {"0": 0.3}, tolerance_bps=1)
    payer = own_devnet.key(0)
    snapshot = world.chain.rpc.call("evm_snapshot")
    send(world.chain, payer, world.chain.coin.transaction("mint", world.pair.address, 10_000 * COIN))
    send(world.chain, payer, world.pair.transaction("sync"))
    with pytest.raises(TransactionFailed, match="less than the least"):
        treasury.rebalance(proposal)
    world.chain.rpc.call("evm_revert", snapshot)


def test_tightening_is_instant_and_loosening_is_announced_and_vetoed(treasury, vault):
    rules = treasury.rules
    tighter = rules.bounds(vault, "0", 0, 5_000)
    assert tighter.ready_at is None
    assert rules.make(tighter).slots[0].strategy.max_bps == 5_000
    looser = rules.bounds(vault, "0", 0, 5_500)
    assert looser.ready_at == 0
    assert rules.make(looser).slots[0].strategy.max_bps == 5_000
    waiting = treasury.announced(vault)
    assert [(each.call, each.arguments) for each in waiting] == [("set_bounds", (0, 0, 5_500))]
    assert rules.bounds(vault, "0", 0, 5_500).ready_at == waiting[0].ready_at
    rules.veto(vault, waiting[0].change_id)
    assert treasury.announced(vault) == []
    rules.make(looser)
    move_on(treasury.chain, DELAY_S)
    assert rules.make(looser).slots[0].strategy.max_bps == 5_500
    with pytest.raises(BadInput, match="no change"):
        rules.veto(vault, "0x12")


def test_every_rule_has_its_review(world, treasury, vault, key):
    rules = treasury.rules
    assert rules.make(rules.limits(vault, slippage_bps=50)).limits.slippage_bps == 50
    assert rules.limits(vault, slippage_bps=51, idle_bps=600).ready_at == 0
    assert rules.allocator(vault, key.address).ready_at == 0
    assert rules.make(rules.allocator(vault, NOBODY)).charter.allocator == NOBODY
    listed = Strategy(Kind.SHARES, world.pool.address, max_bps=100)
    assert rules.strategy(vault, 1, listed).ready_at == 0
    emptied = rules.make(rules.strategy(vault, 1, Strategy(Kind.EMPTY, NOBODY)))
    assert [slot.number for slot in emptied.slots] == [0]
    assert rules.stop(vault).stopped
    treasury.deposit(vault, 100 * COIN)
    with pytest.raises(BadInput, match="stopped"):
        treasury.propose(vault, {"0": 0.1})
    resumption = rules.resumption(vault)
    rules.make(resumption)
    move_on(treasury.chain, DELAY_S)
    assert not rules.make(rules.resumption(vault)).stopped
    assert treasury.settle(vault).net == 100 * COIN


def test_without_a_price_there_are_withdrawals_in_kind(world, own_devnet, treasury, vault):
    treasury.deposit(vault, 1_000 * COIN)
    treasury.rebalance(treasury.propose(vault, {"0": 0.4}))
    payer = own_devnet.key(0)
    send(world.chain, payer, world.feed.transaction("misbehave", 1))
    try:
        state = treasury.vault(vault)
        assert not state.valid
        with pytest.raises(PaymentError, match="no valid price"):
            treasury.deposit(vault, COIN)
        with pytest.raises(BadInput, match="valid price"):
            treasury.propose(vault, {"0": 0.1})
        with pytest.raises(PaymentError, match="At most 0"):
            treasury.withdraw(vault)
        paid = treasury.withdraw_in_kind(vault)
        assert paid.tokens[state.slots[0].symbol] > 0
    finally:
        send(world.chain, payer, world.feed.transaction("misbehave", 0))


def test_a_pool_that_lies_lets_nobody_in_and_is_marked_down(world, own_devnet, treasury, vault):
    treasury.deposit(vault, 1_000 * COIN)
    snapshot = world.chain.rpc.call("evm_snapshot")
    treasury.rebalance(treasury.propose(vault, {"1": 0.3}))
    send(world.chain, own_devnet.key(0), world.pool.transaction("earn", 10**6 * COIN))
    assert abs(treasury.vault(vault).slot("1").worth - 330 * COIN) < COIN
    with pytest.raises(PaymentError, match="claims to be worth more"):
        treasury.deposit(vault, COIN)
    state = treasury.rules.mark_down(vault, "1", 5_000)
    assert abs(state.slot("1").worth - 165 * COIN) < COIN
    for bps in (-1, 10_001):
        with pytest.raises(BadInput, match="no part"):
            treasury.rules.mark_down(vault, "1", bps)
    with pytest.raises(NotFound):
        treasury.rules.mark_down(vault, "gold", 5_000)
    world.chain.rpc.call("evm_revert", snapshot)


def test_looking_needs_no_account_and_acting_does(world, treasury, vault, tmp_path):
    visitor = Treasury(world.chain, tmp_path)
    assert visitor.vault(vault).name == "Test vault"
    with pytest.raises(KeyFault):
        visitor.deposit(vault, 1)
    with pytest.raises(KeyFault):
        visitor.rules.stop(vault)


def test_a_network_without_a_factory_says_so(world, tmp_path):
    class Elsewhere:
        network = replace(world.chain.network, contracts={})

    elsewhere: Any = Elsewhere()
    with pytest.raises(SetupError, match="no factory"):
        Treasury(elsewhere, tmp_path).vaults()
