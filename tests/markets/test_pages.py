# SPDX-License-Identifier: Apache-2.0
"""Markets in the console: what pools hold, swaps and liquidity read before they are signed, cycles sent."""

from __future__ import annotations

import re
import threading
from decimal import Decimal

import pytest

from koinon.chain import artifacts
from koinon.chain.contract import Call
from koinon.errors import SetupError
from koinon.markets import exploring
from koinon.markets.api import Markets
from koinon.markets.feeds import Feed, Terms, scaled
from koinon.markets.forms import board_of
from koinon.markets.pages import price_text
from koinon.markets.tokens import Token, balance_of
from koinon.watch.desk import liquidity
from tests.console.wallet_support import Wallet
from tests.markets.test_pairs import DOLLAR, ETHER, new_token
from tests.pages_support import open_town, words

PRICE = 2_000
WIDE = (
    "0x5f3560e01c63313ce56714603b57"  # decimals? then from 0x3b on
    "365f5f375f5f365f73%s5af43d5f5f3e6037573d5ffd5b3d5ff3"  # else whatever another contract's code says
    "5b60ff5f5260205ff3"  # 255
)
"""A token that says it has 255 digits after the point."""


@pytest.fixture(scope="module")
def town(tmp_path_factory, own_chain, own_devnet):
    with open_town(tmp_path_factory.mktemp("town"), own_chain.network, own_devnet) as opened:
        opened.pay(opened.owner.address, 900_000 * DOLLAR)
        yield opened


@pytest.fixture(scope="module")
def markets(town):
    return Markets(town.chain)


@pytest.fixture(scope="module")
def nothing_yet(town):
    """What the pages say before there is a pair."""
    return {path: town.nobody().page(path) for path in ("/markets", "/arbitrage")}


@pytest.fixture(scope="module")
def ether(town, nothing_yet):
    return new_token(town.chain, town.owner, "tETH", 18)


@pytest.fixture(scope="module")
def pair(town, markets, ether):
    """A deep pair of a token and the coin; one token costs 2,000."""
    found, _ = markets.provide(town.owner, ether, 100 * ETHER, markets.token(), 100 * PRICE * DOLLAR)
    return found


@pytest.fixture(scope="module")
def feed(town, pair, ether):
    """A feed of the pair that the index follows, with a round 1 % above the market."""
    terms = Terms(pair.address, ether.address, 8, "tETH / tUSD", (town.owner.address,), 1, 3_600, 8, 300)
    made = Feed.create(town.chain, town.owner, terms)
    town.house.index.add("teth_feed", made.address, artifacts.load("PriceFeed").abi)
    say(town, made, Decimal(PRICE) * Decimal("1.01"))
    return made


def say(town, feed, price):
    """A round, some seconds later."""
    town.chain.rpc.call("evm_increaseTime", 10)
    town.chain.rpc.call("evm_mine")
    feed.post(town.owner, [feed.sign(town.owner, scaled(price, 8))])


@pytest.fixture
def rich(town, ether):
    """A guest with coins and tokens."""
    guest = town.guest()
    town.pay(guest.address, 10_000 * DOLLAR)
    transfer = town.chain.contract("Coin", ether.address).transaction("transfer", guest.address, 5 * ETHER)
    town.transact(transfer)
    return guest


def seen_on(page):
    """What a pool's page says that the pair held."""
    (found,) = re.findall(r'name="seen" value="([^"]*)"', page)
    return found


def strange_token(town, markets, symbol, decimals=6):
    """A stranger's token in a pair with the coin."""
    code = artifacts.load("Coin").creation(symbol, symbol, decimals)
    address = town.chain.sender(town.owner).send(Call(None, code)).contract_address
    token = Token(address, symbol, decimals)
    town.transact(town.chain.contract("Coin", address).transaction("mint", town.owner.address, 10**9))
    markets.provide(town.owner, token, 10**8, markets.token(), 10**8)
    return token


def test_a_network_without_pairs_says_what_to_do(nothing_yet):
    assert "Nothing is traded here yet" in nothing_yet["/markets"]
    assert "koinon markets fill" in nothing_yet["/markets"]
    assert "There are no pools yet" in nothing_yet["/arbitrage"]


def test_pools_are_listed_with_price_and_feed(town, pair, feed):
    page = town.nobody().page("/markets")
    said = words(page)
    assert "tETH / tUSD" in said
    assert "2,000.00" in said
    assert "−0.99 %" in said, "the pool beside its feed"
    assert f"/markets/{pair.address}" in page
    assert "valid" in said
    assert "資金池" in town.nobody().page("/zh-hant/markets")


def test_a_feed_that_lies_far_from_its_market_is_told_as_not_valid(town, feed):
    say(town, feed, Decimal(PRICE * 2))
    try:
        page = town.nobody().page("/markets")
        assert "One price is not valid now" in page
        assert "feeders and market differ by more than the bound" in page
        assert "far off" in page
    finally:
        say(town, feed, Decimal(PRICE))


def test_a_pool_is_shown_with_its_price_in_time_and_what_it_holds(town, pair, feed):
    page = town.nobody().page(f"/markets/{pair.address}")
    assert "One tETH costs" in page
    assert page.count('class="series"') >= 2, "wide and narrow"
    assert page.count('class="baseline"') >= 2, "the feed beside it"
    assert "pair (constant product)" in page


def test_addresses_without_a_pool_are_not_found(town, ether):
    identity = "0x" + "4".zfill(40)  # says whatever it is told
    for address in ("0x1", "nobody", ether.address, "0x" + "11" * 20, town.owner.address, identity):
        page = town.nobody().page(f"/markets/{address}", 404)
        assert "There is no pool at" in page, address


def test_a_swap_is_quoted_reviewed_and_made(town, pair, ether, rich):
    coin = town.chain.coin.address
    page = rich.page(f"/markets/{pair.address}?give={coin}&amount=1000&slippage=1")
    assert "Price impact" in page
    fields = dict(re.findall(r'name="(pool|give|amount|slippage|minimum)" value="([^"]*)"', page))
    assert set(fields) == {"pool", "give", "amount", "slippage", "minimum"}
    review = rich.review("markets.swap", **fields)
    for said in ("1,000.00 tUSD", "or nothing happens", "0.30 %", "Least you accept"):
        assert said in review
    before = balance_of(town.chain, ether.address, rich.address)
    done = rich.do("markets.swap", **fields)
    got = balance_of(town.chain, ether.address, rich.address) - before
    assert got >= Decimal(fields["minimum"]) * ETHER
    assert "1,000.00 tUSD brought" in done


def test_a_wallet_swaps_and_signs_each_step_in_the_browser(town, pair, ether):
    wallet = Wallet(town.chain)
    visit = town.wallet(wallet)
    town.pay(wallet.address, 100 * DOLLAR)
    asked = {"pool": pair.address, "give": town.chain.coin.address, "amount": "100"}
    visit.agree_by_wallet(visit.ask("markets.swap", **asked), wallet)
    assert balance_of(town.chain, ether.address, wallet.address) > 0


def test_a_swap_whose_price_moved_is_refused_before_signing(town, pair, ether, rich):
    coin = town.chain.coin.address
    asked = {"pool": pair.address, "give": coin, "amount": "100"}
    assert "less than your least" in rich.refused("markets.swap", **asked, minimum="5")


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": "0"},
        {"amount": "-1"},
        {"amount": "one"},
        {"amount": "1.0000001"},
        {"amount": "1,5"},
        {"amount": "999999999"},
        {"give": "0x1"},
        {"give": ""},
        {"pool": "0x1"},
        {"slippage": "99"},
        {"slippage": "much"},
    ],
)
def test_a_swap_that_makes_no_sense_is_refused_in_words(town, pair, rich, wrong):
    fields = {"pool": pair.address, "give": town.chain.coin.address, "amount": "10", **wrong}
    rich.refused("markets.swap", **fields)
    if "pool" not in wrong:
        asked = "&".join(f"{name}={value}" for name, value in fields.items())
        town.nobody().page(f"/markets/{pair.address}?{asked}")


def test_liquidity_goes_in_and_comes_out(town, pair, ether, rich):
    amounts = ("1", "1900") if pair.token0.address == ether.address else ("1900", "1")
    seen = seen_on(rich.page(f"/markets/{pair.address}"))
    asked = {"pool": pair.address, "amount0": amounts[0], "amount1": amounts[1], "seen": seen}
    assert "Your part of the pair" in rich.review("markets.add_liquidity", **asked)
    assert "go in, or nothing happens" in rich.review("markets.add_liquidity", **asked)
    rich.do("markets.add_liquidity", **asked)
    assert balance_of(town.chain, pair.address, rich.address) > 0
    assert "Take liquidity out" in rich.page(f"/markets/{pair.address}")
    assert "100.00 %" in rich.review("markets.remove_liquidity", pool=pair.address, percent="100")
    rich.do("markets.remove_liquidity", pool=pair.address, percent="100")
    assert balance_of(town.chain, pair.address, rich.address) == 0
    for percent in ("0", "101", "half", ""):
        rich.refused("markets.remove_liquidity", pool=pair.address, percent=percent)
    assert "no shares" in rich.refused("markets.remove_liquidity", pool=pair.address, percent="50")
    too_much = {"amount0": "99999999", "amount1": "99999999"}
    assert "this takes" in rich.refused("markets.add_liquidity", **(asked | too_much))
    for seen in ("", "1,2", "1,2,x", "-1,1,1", "0,0,5"):
        refused = rich.refused("markets.add_liquidity", **(asked | {"seen": seen}))
        assert "does not say what the pair held" in refused


def test_liquidity_whose_price_moved_since_its_page_is_refused(town, pair, ether, rich):
    one, many = ("1", "1900") if pair.token0.address == ether.address else ("1900", "1")
    reserve0, reserve1, supply = seen_on(rich.page(f"/markets/{pair.address}")).split(",")
    asked = {"pool": pair.address, "amount0": one, "amount1": many}
    moved = f"{reserve0},{reserve1},{int(supply) * 2}"  # when it promised twice the shares
    assert "has moved since" in rich.refused("markets.add_liquidity", **asked, seen=moved)


def test_liquidity_goes_into_no_pair_that_the_factory_did_not_make(town, pair, rich):
    code = artifacts.load("Pair").creation(pair.token0.address, pair.token1.address)
    strange = town.chain.sender(town.owner).send(Call(None, code)).contract_address
    page = rich.page(f"/markets/{strange}")
    assert "nobody says what its code does" in page
    assert "Put liquidity in" not in page
    asked = {"pool": strange, "amount0": "1", "amount1": "1", "seen": "0,0,0"}
    assert "did not make this pool" in rich.refused("markets.add_liquidity", **asked)
    assert "did not make" in rich.refused("markets.remove_liquidity", pool=strange, percent="5")


@pytest.fixture
def triangle(town, markets, pair, ether):
    """A second token, 5 % too cheap in one of its two pairs."""
    euro = new_token(town.chain, town.owner, "tEUR", 6)
    markets.provide(town.owner, ether, 100 * ETHER, euro, 180_000 * DOLLAR)
    markets.provide(town.owner, euro, 90_000 * DOLLAR, markets.token(), 105_000 * DOLLAR)
    return euro


def test_a_cycle_is_shown_reviewed_and_sent_with_its_floor(town, triangle):
    guest = town.guest()
    page = guest.page("/arbitrage")
    assert re.search(r"cycles? would earn", words(page))
    assert "tEUR" in page
    assert 'class="way"' in page
    assert "in whole units with the pools' own formulas" in page
    (least,) = re.findall(r'name="least"[^>]*value="([^"]+)"', page)
    review = guest.review("markets.arbitrage", least=least)
    for said in ("It takes none of your money", "it brings", "undoes itself where it would bring less than"):
        assert said in review
    assert "less than your floor" in guest.refused("markets.arbitrage", least="99999")
    before = town.coins(guest.address)
    done = guest.do("markets.arbitrage", least=least)
    earned = town.coins(guest.address) - before
    assert earned >= Decimal(least) * DOLLAR > 0
    assert "It brought" in done
    after = guest.page("/arbitrage?eth=1000000")
    assert "Pools agree: nothing to gain" in after
    assert "nothing to gain" in guest.refused("markets.arbitrage", eth="1000000")


def test_one_cycle_by_its_pools_is_sized_anew(town, markets, triangle, ether):
    guest, coin = town.guest(), town.chain.coin.address
    ways = [(coin, ether.address), (ether.address, triangle.address), (triangle.address, coin)]
    pools = [markets.pairs.find(*way) for way in ways]
    for cycle in (",".join([coin, *pools]), ",".join([coin, *reversed(pools)])):
        answer = guest.client.get("/arbitrage")
        assert answer.status_code == 200
        try:
            guest.review("markets.arbitrage", cycle=cycle)
            break
        except AssertionError:
            continue
    else:
        pytest.fail("neither way around earns anything")
    for nonsense in (coin, "x,y", ",".join([coin, pools[0]]), ",".join([coin, pools[0], pools[0]])):
        assert "names no cycle" in guest.refused("markets.arbitrage", cycle=nonsense)


def test_what_an_eth_is_worth_must_be_a_number(town, pair):
    for wrong in ("much", "1,5", "-1", "1e99"):
        assert "is not what an ETH is worth" in town.nobody().page(f"/arbitrage?eth={wrong}", 422)
    assert "is not what" not in town.nobody().page("/arbitrage?eth=2,400.5")


def test_cycles_are_planned_once_for_a_block_whatever_an_eth_is_worth(town, triangle, monkeypatch):
    planned, plan = [], exploring._plan

    def counted(*arguments):
        planned.append(arguments)
        return plan(*arguments)

    monkeypatch.setattr(exploring, "_plan", counted)
    for eth in ("", "0", "1", "2", "2,400", "1000000000000"):
        page = town.nobody().page(f"/arbitrage?eth={eth}")
    assert len(planned) == 1
    assert "Pools agree: nothing to gain" in page, "no cycle pays for such gas"


def test_who_waits_for_one_answer_holds_up_nobody_else(town, pair):
    board, begun, go_on = board_of(town.house), threading.Event(), threading.Event()

    def slow():
        begun.set()
        return go_on.wait(30)

    waiting = threading.Thread(target=board.once, args=("slow", 1, slow))
    waiting.start()
    try:
        assert begun.wait(30)
        assert board.once("quick", 1, lambda: "done") == "done"
        assert "tETH / tUSD" in words(town.nobody().page("/markets"))
    finally:
        go_on.set()
        waiting.join()
    assert board.once("slow", 1, lambda: pytest.fail("it is kept")) is True


def test_one_who_is_called_as_the_coin_is_told_apart_everywhere(town, markets, rich):
    fake = strange_token(town, markets, "TUSD")
    marked = f"TUSD ({fake.address[:6]}…{fake.address[-4:]})"
    for path in ("/markets", "/arbitrage"):
        page = words(town.nobody().page(path))
        assert f"{marked} / tUSD" in page, path
        assert "TUSD / tUSD" not in page, path
        assert "tUSD (0x" not in page, "the coin keeps its name"
    pool = markets.pairs.find(fake.address, town.chain.coin.address)
    page = rich.page(f"/markets/{pool}?give={town.chain.coin.address}&amount=1")
    assert marked in page
    coin = town.chain.coin.address
    assert marked in rich.review("markets.swap", pool=pool, give=coin, amount="1")
    own = {"amount0": "1", "amount1": "1", "seen": seen_on(page)}
    assert marked in rich.refused("markets.add_liquidity", pool=pool, **own), "the guest has none of it"


def test_a_symbol_that_turns_the_line_around_is_not_shown(town, markets):
    turned = strange_token(town, markets, "\u202eDSUt")
    assert "\u202e" not in town.nobody().page("/markets")
    assert markets.token(turned.address).symbol == turned.address[:8]


def test_a_token_of_255_digits_makes_no_page_of_digits(town, markets):
    token, other = strange_token(town, markets, "WIDE"), "0x" + "51" * 20
    node = town.chain.rpc
    node.call("anvil_setCode", other, node.call("eth_getCode", token.address, "latest"))
    node.call("anvil_setCode", token.address, WIDE % other[2:])
    for path in ("/markets", "/arbitrage"):
        page = words(town.nobody().page(path))
        assert "WIDE / tUSD" in page
        assert not re.search(r"[0-9,]{40}", page), path
    assert price_text(1e255) == "1e+255"
    assert price_text(123_456.0) == "123,456.00"


def test_without_its_extra_the_explorer_says_how_to_get_it(town, pair, monkeypatch):
    def missing(*_):
        raise SetupError("This needs scipy.", hint="pip install 'koinon[markets]'", code="setup.no_extra")

    monkeypatch.setattr(exploring, "_plan", missing)
    town.pay(town.owner.address, 1)  # a new block: nothing is kept
    page = town.nobody().page("/arbitrage")
    assert "pip install 'koinon[markets]'" in page


def test_a_token_that_names_itself_by_markup_is_text(town, markets):
    sender = town.chain.sender(town.owner)
    code = artifacts.load("Coin").creation("<b>X", "<b>X", 6)
    address = sender.send(Call(None, code)).contract_address
    token = markets.token(address)
    town.transact(town.chain.contract("Coin", address).transaction("mint", town.owner.address, 10**9))
    markets.provide(town.owner, token, 10**8, markets.token(), 10**8)
    assert "<b>X" not in town.nobody().raw("/markets").text
    assert "<b>X" not in town.nobody().raw("/arbitrage").text


def test_depths_are_reckoned_once_for_a_block_and_the_deepest_come_first(town, triangle, monkeypatch):
    reckoned, curves = [], liquidity._curves

    def counted(*arguments):
        reckoned.append(arguments)
        return curves(*arguments)

    monkeypatch.setattr(liquidity, "_curves", counted)
    town.pay(town.owner.address, 1)  # a new block
    page = [town.nobody().page("/liquidity") for _look in range(3)][-1]
    assert len(reckoned) == 1
    # a namesake that another test made puts an address behind the symbol
    sold = re.findall(r"<h3>(\S+)(?: \(\S+\))? for tUSD</h3>", page)
    assert sold[:2] == ["tETH", "tEUR"], "most of the coin stands beside them"
    assert "賣出" in town.nobody().page("/zh-hant/liquidity"), "kept as figures, in no language"
    assert len(reckoned) == 1
