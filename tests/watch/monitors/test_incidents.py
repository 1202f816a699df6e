# SPDX-License-Identifier: Apache-2.0
"""Incidents that happened, once more on a chain in memory; each is caught by the monitor meant for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from koinon.chain.address import ZERO_ADDRESS
from koinon.markets.history.facts import MarketFacts
from koinon.markets.history.rows import EventRow
from koinon.markets.simulation.bench import Placed
from koinon.watch.monitors.monitoring import Monitoring, all_monitors
from koinon.watch.monitors.sightings import NOW, Sighting
from tests.watch.monitors.stage import DAY_S, WHOLE, Stage, call, named, role

TAKER, RECEIVER, ATTACKER, BRIDGE = role("taker"), role("receiver"), role("attacker"), role("bridge")


def live(stage: Stage, rows: list[EventRow] | None = None, **options: object) -> list[Sighting]:
    """The alerts, block by block as a follower sees them."""
    monitoring = Monitoring(all_monitors(stage.facts, **options))  # type: ignore[arg-type]
    blocks: dict[int, list[EventRow]] = {}
    for row in stage.rows() if rows is None else rows:
        blocks.setdefault(row.block_number, []).append(row)
    return [each for block in blocks.values() for each in monitoring.feed(block)]


@pytest.fixture
def stage() -> Stage:
    return Stage()


def trade(stage: Stage, pair: Placed, token: Placed, hours: int) -> None:
    """A small swap an hour, so that the monitors know what is usual."""
    trader = role("trader")
    stage.give(token, trader, hours)
    for _ in range(hours):
        stage.wait(3_600)
        _, *amounts = stage.out(pair, token, WHOLE)
        stage.pay(trader, token, pair.address, WHOLE)
        stage.bench.act(trader, pair, "swap", *amounts, trader, b"")


def test_wallets_approve_a_stranger_for_weeks_and_then_it_takes_as_at_badger_dao(stage: Stage) -> None:
    """December 2021: a script in the web page asked for approvals; about 120 million dollars went."""
    token = stage.token("wBTC")
    wallets = [role(f"wallet {number}") for number in range(12)]
    for wallet in wallets:
        stage.give(token, wallet, 10)
    stage.wait(2 * DAY_S)
    for wallet in wallets:
        stage.bench.act(wallet, token, "approve", TAKER, 2**256 - 1)
        stage.wait(DAY_S)
    asked = stage.alerts()
    assert named(asked) == {"approvals": 2}
    assert asked[0].accounts[0] == TAKER
    assert asked[0].timestamp < stage.bench.timestamp - DAY_S, "before anything is taken"
    assert stage.alerts(trusted=[TAKER]) == []
    for wallet in wallets[:4]:
        stage.bench.act(TAKER, token, "transferFrom", wallet, RECEIVER, 10 * WHOLE)
    taken = stage.alerts()
    assert named(taken) == {"approvals": NOW}
    assert RECEIVER in taken[-1].accounts
    assert live(stage) == taken


def test_a_thin_pair_is_pushed_and_believed_by_a_lender_as_at_bzx(stage: Stage) -> None:
    """18 February 2020: borrowed ether pushed sUSD up in a thin market, and a lender believed that price."""
    ether, dollar, other = stage.token("ETH"), stage.token("sUSD"), stage.token("DAI")
    thin = stage.pair(ether, 1_000, dollar, 200_000)
    deep = stage.pair(ether, 50_000, other, 10_000_000)
    lender = stage.place("SpotLender", ether.address, dollar.address, thin.address, protocol="koinon-pool")
    stage.facts.markets[lender.address] = MarketFacts(ether.address, dollar.address)
    stage.give(ether, lender.address, 6_000)
    trade(stage, thin, dollar, 48)
    assert stage.alerts() == []
    hands = stage.place("Hands")
    got, *amounts = stage.out(thin, ether, 2_000 * WHOLE)
    steps = [
        call(ether, "transfer", thin.address, 2_000 * WHOLE),
        call(thin, "swap", *amounts, hands.address, b""),
        call(dollar, "approve", lender.address, got),
        call(lender, "pledge", got),
        call(lender, "borrow", 5_000 * WHOLE),
        call(ether, "transfer", deep.address, 2_007 * WHOLE),
    ]
    stage.bench.act(ATTACKER, hands, "plan", steps)
    stage.wait(12)
    lent = stage.amounts(deep, ether, 2_000 * WHOLE)
    stage.bench.act(ATTACKER, deep, "swap", *lent, hands.address, b"x")
    assert stage.bench.ask(ether, "balanceOf", hands.address) > 2_900 * WHOLE
    alerts = stage.alerts()
    assert named(alerts)["flash"] == NOW
    assert named(alerts)["prices"] >= 2
    assert any(thin.address in each.accounts and deep.address in each.accounts for each in alerts)
    assert live(stage) == alerts


def test_votes_are_borrowed_and_the_proposal_executed_in_one_transaction_as_at_beanstalk(
    stage: Stage,
) -> None:
    """17 April 2022: a proposal of the day before, passed with a flash loan; 182 million dollars went."""
    votes, dollar = stage.token("STALK"), stage.token("USDC")
    pair = stage.pair(votes, 900_000, dollar, 900_000)
    senate = stage.place("Senate", votes.address, 500_000 * WHOLE, protocol="governor")
    stage.facts.markets[senate.address] = MarketFacts(votes.address)
    stage.give(dollar, senate.address, 180_000)
    trade(stage, pair, dollar, 30)
    hands = stage.place("Hands")
    loot = dollar.encode("transfer", hands.address, 180_000 * WHOLE)
    stage.bench.act(ATTACKER, senate, "propose", 18, dollar.address, loot)
    stage.give(votes, hands.address, 3_000)
    stage.wait(DAY_S + 60)
    holders = [senate.address]
    assert stage.alerts(holders=holders) == []
    steps = [
        call(senate, "vote", 18),
        call(senate, "execute", 18),
        call(votes, "transfer", pair.address, 602_000 * WHOLE),
    ]
    stage.bench.act(ATTACKER, hands, "plan", steps)
    stage.bench.act(ATTACKER, pair, "swap", *stage.amounts(pair, votes, 600_000 * WHOLE), hands.address, b"x")
    alerts = stage.alerts(holders=holders)
    assert named(alerts) == {"governance": NOW, "flash": NOW, "drains": NOW}
    assert {each.subject.split()[0] for each in alerts if each.monitor == "governance"} == {
        "vote",
        "execution",
    }
    assert live(stage, holders=holders) == alerts


def test_a_proposal_is_passed_with_votes_bought_the_day_before_and_executed_at_once(stage: Stage) -> None:
    votes = stage.token("VOTE")
    senate = stage.place("Senate", votes.address, 100 * WHOLE, protocol="governor")
    stage.facts.markets[senate.address] = MarketFacts(votes.address)
    seller, member = role("seller"), role("member")
    stage.give(votes, seller, 500)
    stage.give(votes, member, 150)
    stage.wait(10 * DAY_S)
    nothing = (votes.address, votes.encode("transfer", RECEIVER, 0))
    stage.bench.act(member, senate, "propose", 1, *nothing)
    stage.bench.act(member, senate, "vote", 1)
    stage.wait(2 * DAY_S)
    stage.bench.act(member, senate, "execute", 1)
    assert stage.alerts() == [], "who held its votes for long and waits is in order"
    stage.pay(seller, votes, ATTACKER, 400 * WHOLE)
    stage.wait(DAY_S)
    stage.bench.act(ATTACKER, senate, "propose", 2, *nothing)
    stage.bench.act(ATTACKER, senate, "vote", 2)
    stage.wait(600)
    stage.bench.act(ATTACKER, senate, "execute", 2)
    alerts = stage.alerts()
    assert [(each.monitor, each.level) for each in alerts] == [("governance", 2), ("governance", 2)]
    assert "shortly before" in alerts[0].why
    assert "600 seconds" in alerts[1].why
    assert seller in alerts[0].accounts


def test_a_bridge_is_emptied_in_two_transactions_as_ronins_was(stage: Stage) -> None:
    """23 March 2022: 173,600 ether and 25.5 million dollars; it was noticed six days later."""
    ether, dollar = stage.token("ETH"), stage.token("USDC")
    users = role("users")
    stage.give(ether, users, 400_000)
    stage.give(dollar, users, 60_000_000)
    for number in range(20):
        for token, whole in ((ether, 10_000), (dollar, 1_500_000)):
            stage.pay(users, token, BRIDGE, whole * WHOLE)
            stage.pay(BRIDGE, token, role(f"user {number}"), whole * WHOLE // 10)
        stage.wait(DAY_S // 4)
    assert stage.alerts(holders=[BRIDGE]) == []
    before = len(stage.bench.logs)
    stage.pay(BRIDGE, ether, ATTACKER, 173_600 * WHOLE)
    stage.wait(180)
    stage.pay(BRIDGE, dollar, ATTACKER, 25_500_000 * WHOLE)
    alerts = stage.alerts(holders=[BRIDGE])
    assert [(each.monitor, each.level) for each in alerts] == [("drains", NOW), ("drains", NOW)]
    assert [each.subject for each in alerts] == [f"{BRIDGE} {ether.address}", f"{BRIDGE} {dollar.address}"]
    assert alerts[0].rows[-1] == stage.rows()[before]
    assert stage.alerts() == [], "only whoever is named is looked at by its transfers"
    assert live(stage, holders=[BRIDGE]) == alerts


def test_a_borrower_gives_its_collateral_away_and_liquidates_itself_as_at_euler(stage: Stage) -> None:
    """13 March 2023: a borrower donated its collateral and another contract of its own liquidated it at a
    discount, all with a flash loan; 197 million dollars went."""
    dollar, share = stage.token("DAI"), stage.token("eDAI")
    pair = stage.pair(dollar, 900_000, share, 900_000)
    lender = stage.place("SpotLender", dollar.address, share.address, pair.address, protocol="koinon-pool")
    stage.facts.markets[lender.address] = MarketFacts(dollar.address, share.address)
    stage.give(dollar, lender.address, 500_000)
    deep = stage.pair(share, 900_000, stage.token("USDC"), 900_000)
    trade(stage, pair, dollar, 30)
    borrower, liquidator = (
        stage.place("Hands"),
        stage.bench.deploy(stage.place("Hands").artifact, salt=b"2" * 32),
    )
    stage.give(dollar, liquidator.address, 100_000)
    units = 100_000 * WHOLE
    steps = [call(dollar, "approve", lender.address, 2**255), call(lender, "liquidate", borrower.address)]
    steps += [call(share, "transfer", borrower.address, units // 2)]
    stage.bench.act(ATTACKER, liquidator, "plan", steps)
    steps = [
        call(share, "approve", lender.address, units),
        call(lender, "pledge", units),
        call(lender, "borrow", units * 85 // 100),
        call(lender, "donate", units // 2),
        call(liquidator, "uniswapV2Call", borrower.address, 0, 0, b""),
        call(share, "transfer", deep.address, units * 1_004 // 1_000),
    ]
    stage.give(share, borrower.address, 60_000)
    stage.bench.act(ATTACKER, borrower, "plan", steps)
    assert stage.alerts() == []
    stage.bench.act(ATTACKER, deep, "swap", *stage.amounts(deep, share, units), borrower.address, b"x")
    alerts = stage.alerts()
    assert named(alerts) == {"flash": NOW}
    assert alerts[0].accounts[:2] == (borrower.address, liquidator.address)
    assert {row.kind for row in alerts[0].rows} >= {"borrow", "liquidation", "bad_debt"}
    assert live(stage) == alerts


def test_a_feed_stands_still_while_its_pair_is_pushed_as_at_inverse_finance(stage: Stage) -> None:
    """2 April 2022: INV was bought up about fiftyfold in a thin pair; 15 million dollars were borrowed."""
    token, ether, feed = stage.token("INV"), stage.token("ETH"), role("feed")
    pair = stage.pair(token, 3_000, ether, 300)
    stage.give(ether, ATTACKER, 500)
    stage.facts.markets[feed] = MarketFacts(token.address, ether.address, decimals=18)
    trade(stage, pair, token, 30)
    row = stage.rows()[-1]
    answer = replace(
        row, log_index=900, transaction_hash="0xfeed", kind="price", protocol="chainlink", contract=feed
    )
    answer = replace(answer, market=feed, asset=token.address, asset_2=ether.address, amount=WHOLE // 10)
    assert live(stage, [*stage.rows(), answer]) == []
    stage.wait(60)
    _, *amounts = stage.out(pair, ether, 500 * WHOLE)
    stage.pay(ATTACKER, ether, pair.address, 500 * WHOLE)
    stage.bench.act(ATTACKER, pair, "swap", *amounts, ATTACKER, b"")
    rows = sorted([*stage.rows(), answer], key=lambda each: each.place)
    alerts = live(stage, rows)
    assert named(alerts) == {"prices": NOW}
    assert {each.subject.split()[0] for each in alerts} == {"jump", "gap"}
    assert ATTACKER in alerts[-1].accounts


def test_a_token_is_made_out_of_nothing_as_cover_was(stage: Stage) -> None:
    """28 December 2020: a fault in the rewards made quintillions of COVER."""
    token = stage.token("COVER")
    stage.give(token, role("founder"), 5_000_000)
    for _ in range(10):
        stage.wait(DAY_S)
        stage.give(token, role("rewarded"), 20_000)
    assert stage.alerts() == []
    stage.wait(60)
    stage.give(token, ATTACKER, 3_000_000)
    alerts = stage.alerts()
    assert named(alerts) == {"minting": NOW}
    assert ATTACKER in alerts[0].accounts
    assert live(stage) == alerts


def role_row(number: int, note: str, account: str, before: str = "") -> EventRow:
    contract = role("treasury")
    return EventRow(
        number, 0, 0, 1_700_000_000 + number, "", f"0x{number:064x}", "role", "erc20", contract, contract,
        account, before, "", 0, "", 0, note,
    )  # fmt: skip


def test_powers_that_change_hands_are_told_and_a_contracts_first_are_not(stage: Stage) -> None:
    """As when Parity's wallets got an owner whom nobody had chosen, in July 2017."""
    setting_up = [
        role_row(1, "OwnershipTransferred", role("deployer"), ZERO_ADDRESS),
        role_row(2, "Upgraded", role("code")),
    ]
    assert live(stage, setting_up) == []
    taken = [
        role_row(10, "OwnershipTransferred", ATTACKER, role("deployer")),
        role_row(11, "Upgraded", role("other code")),
    ]
    alerts = live(stage, [*setting_up, *taken])
    assert [(each.monitor, each.level) for each in alerts] == [("powers", 2), ("powers", NOW)]
    assert "other code" in alerts[1].why
    many = [role_row(20, "0x" + "00" * 32, ATTACKER), role_row(21, "0x" + "0a" * 32, ATTACKER)]
    assert live(stage, many)[0].level == 2
    more = [role_row(22, "AdminChanged", ATTACKER, role("admin")), role_row(23, "SetOwner", ATTACKER)]
    assert [each.level for each in live(stage, [*many, *more])] == [2, 1, NOW, NOW]
    given_up = role_row(30, "OwnershipTransferred", ZERO_ADDRESS, role("deployer"))
    assert [each.level for each in live(stage, [given_up])] == [1]
