# SPDX-License-Identifier: Apache-2.0
"""What the protocols' own bytecode emits is read as what was done."""

from __future__ import annotations

from pathlib import Path

import pytest
from vyper import compile_code

from koinon.chain.abi import Event
from koinon.markets.history.decoding import Decoder
from koinon.markets.history.facts import Facts, MarketFacts
from koinon.markets.history.protocols import AAVE_V3, abi
from tests.markets.history.aave import OWNER, USD, Aave
from tests.markets.history.real_protocols import Deployed, World, morpho, packaged, role

WHOLE = 10**18
MOCK = Path(__file__).with_name("mocks") / "V3Payer.vy"
V2 = ("@uniswap", "v2-core", "build")
V3 = ("@uniswap", "v3-core", "artifacts", "contracts")


def tokens(world: World) -> tuple[Deployed, Deployed]:
    """Two of Morpho's plain test tokens, the lower address first."""
    artifact = morpho()["ERC20Mock"]
    found = sorted((world.deploy(artifact) for _ in range(2)), key=lambda token: int(token.address, 16))
    return found[0], found[1]


def of_kind(rows, *kinds):
    return [row for row in rows if row.kind in kinds]


def test_a_uniswap_v2_pair_swaps_and_syncs():
    world = World()
    token_0, token_1 = tokens(world)
    factory = world.deploy(packaged(*V2, "UniswapV2Factory.json"), role("fee setter"))
    pair_address = factory.send(role("provider"), "createPair", token_0.address, token_1.address)
    pair = world.at(packaged(*V2, "UniswapV2Pair.json"), pair_address)
    token_0.send(role("provider"), "setBalance", pair.address, 1_000 * WHOLE)
    token_1.send(role("provider"), "setBalance", pair.address, 2_000_000 * WHOLE)
    pair.send(role("provider"), "mint", role("provider"))
    token_0.send(role("trader"), "setBalance", role("trader"), 5 * WHOLE)
    token_0.send(role("trader"), "transfer", pair.address, 5 * WHOLE)
    out = (5 * WHOLE * 997 * 2_000_000 * WHOLE) // (1_000 * WHOLE * 1_000 + 5 * WHOLE * 997)
    pair.send(role("trader"), "swap", 0, out, role("trader"), b"")

    facts = Facts({pair.address: MarketFacts(token_0.address, token_1.address)})
    decoder = Decoder({pair.address: "uniswap-v2", token_0.address: "erc20"}, facts)
    found = decoder.decode(world.logs, world.timestamps())

    assert found.refused == {}
    (swap,) = of_kind(found.rows, "swap")
    assert (swap.asset, swap.amount) == (token_0.address, 5 * WHOLE)
    assert (swap.asset_2, swap.amount_2) == (token_1.address, out)
    assert (swap.account, swap.counterparty) == (role("trader"), role("trader"))
    last = of_kind(found.rows, "reserves")[-1]
    assert (last.amount, last.amount_2) == pair.call("getReserves")[:2]
    assert (last.asset, last.asset_2) == (token_0.address, token_1.address)
    sent = [row for row in of_kind(found.rows, "transfer") if row.asset == token_0.address]
    assert [(row.account, row.counterparty, row.amount) for row in sent] == [
        (role("trader"), pair.address, 5 * WHOLE)
    ]
    assert swap.timestamp == world.timestamps()[swap.block_number]


def test_a_uniswap_v3_pool_swaps_at_a_price():
    world = World()
    token_0, token_1 = tokens(world)
    factory = world.deploy(packaged(*V3, "UniswapV3Factory.sol", "UniswapV3Factory.json"))
    address = factory.send(role("provider"), "createPool", token_0.address, token_1.address, 3000)
    pool = world.at(packaged(*V3, "UniswapV3Pool.sol", "UniswapV3Pool.json"), address)
    paying = payer(world, pool, token_0, token_1)
    pool.send(role("provider"), "initialize", 2**96)
    paying.send(role("provider"), "provide", role("provider"), -6000, 6000, 10**21)
    paying.send(role("trader"), "trade", role("trader"), True, 10**18, 2**96 * 9 // 10)

    facts = Facts({pool.address: MarketFacts(token_0.address, token_1.address)})
    found = Decoder({pool.address: "uniswap-v3"}, facts).decode(world.logs)

    (swap,) = of_kind(found.rows, "swap")
    assert (swap.asset, swap.amount, swap.asset_2) == (token_0.address, 10**18, token_1.address)
    assert 0.99 < swap.amount_2 / (0.997 * 10**18) < 1
    (reserves,) = of_kind(found.rows, "reserves")
    root = pool.call("slot0")[0]
    assert abs(reserves.amount_2 / reserves.amount - (root / 2**96) ** 2) < 1e-9
    assert swap.account == role("trader")


def payer(world: World, pool: Deployed, *paid: Deployed) -> Deployed:
    """A contract that holds enough of both tokens and pays what the pool asks for."""
    compiled = compile_code(MOCK.read_text(), output_formats=["abi", "bytecode"])
    found = world.deploy(compiled, pool.address, *(token.address for token in paid))
    for token in paid:
        token.send(role("trader"), "setBalance", found.address, 10**24)
    return found


def test_morpho_lends_liquidates_and_gives_up_bad_debt():
    world = World()
    contracts = morpho()
    loan, collateral = tokens(world)
    oracle = world.deploy(contracts["OracleMock"])
    irm = world.deploy(contracts["IrmMock"])
    blue = world.deploy(contracts["Morpho"], role("owner"))
    lltv = 8 * 10**17
    parameters = (loan.address, collateral.address, oracle.address, irm.address, lltv)
    oracle.send(role("feeder"), "setPrice", 2_000 * 10**36)
    for name, value in (("enableIrm", irm.address), ("enableLltv", lltv)):
        blue.send(role("owner"), name, value)
    blue.send(role("owner"), "createMarket", parameters)
    for token, who in ((loan, "lender"), (loan, "liquidator"), (collateral, "borrower")):
        token.send(role(who), "setBalance", role(who), 10**9 * WHOLE)
        token.send(role(who), "approve", blue.address, 2**255)
    nobody = "0x" + "00" * 20
    blue.send(role("lender"), "supply", parameters, 100_000 * WHOLE, 0, role("lender"), b"")
    blue.send(role("borrower"), "supplyCollateral", parameters, 10 * WHOLE, role("borrower"), b"")
    blue.send(role("borrower"), "borrow", parameters, 15_000 * WHOLE, 0, role("borrower"), role("borrower"))
    loan.send(role("borrower"), "approve", blue.address, 2**255)
    blue.send(role("borrower"), "repay", parameters, 500 * WHOLE, 0, role("borrower"), b"")
    blue.send(role("lender"), "withdraw", parameters, 50 * WHOLE, 0, role("lender"), role("lender"))
    oracle.send(role("feeder"), "setPrice", 1_000 * 10**36)
    blue.send(role("liquidator"), "liquidate", parameters, role("borrower"), 10 * WHOLE, 0, b"")
    blue.send(role("borrower"), "setAuthorization", role("manager"), True)

    found = Decoder({blue.address: "morpho-blue"}).decode(world.logs)

    assert found.refused == {}
    told = [(row.kind, row.account, row.asset, row.amount) for row in found.rows]
    assert ("supply", role("lender"), loan.address, 100_000 * WHOLE) in told
    assert ("deposit_collateral", role("borrower"), collateral.address, 10 * WHOLE) in told
    assert ("borrow", role("borrower"), loan.address, 15_000 * WHOLE) in told
    assert ("repay", role("borrower"), loan.address, 500 * WHOLE) in told
    assert ("withdraw", role("lender"), loan.address, 50 * WHOLE) in told
    assert ("role", role("owner"), "", 0) in told
    assert ("approval", role("borrower"), "", 1) in told
    (liquidation,) = of_kind(found.rows, "liquidation")
    assert (liquidation.asset_2, liquidation.amount_2) == (collateral.address, 10 * WHOLE)
    (given_up,) = of_kind(found.rows, "bad_debt")
    interest = liquidation.amount + given_up.amount - 14_500 * WHOLE
    assert 0 <= interest < WHOLE, "what was borrowed is repaid or given up, and nothing else"
    assert nobody not in {row.account for row in found.rows}
    market = found.rows[-3].market
    assert liquidation.market == market != blue.address


def test_aave_lends_and_liquidates():
    world = World()
    aave = Aave(world)
    loan, collateral = tokens(world)
    aave.reserve(loan, USD)
    aave.reserve(collateral, 2_000 * USD)
    for token, who in ((loan, "lender"), (loan, "liquidator"), (loan, "borrower"), (collateral, "borrower")):
        token.send(role(who), "setBalance", role(who), 10**6 * WHOLE)
        token.send(role(who), "approve", aave.pool.address, 2**255)
    pool, borrower = aave.pool, role("borrower")
    pool.send(role("lender"), "supply", loan.address, 100_000 * WHOLE, role("lender"), 0)
    pool.send(borrower, "supply", collateral.address, 10 * WHOLE, borrower, 0)
    pool.send(borrower, "borrow", loan.address, 15_000 * WHOLE, 2, 0, borrower)
    pool.send(borrower, "repay", loan.address, 500 * WHOLE, 2, borrower)
    pool.send(role("lender"), "withdraw", loan.address, 50 * WHOLE, role("lender"))
    aave.oracle.send(OWNER, "setAssetPrice", collateral.address, 1_500 * USD)
    before = loan.call("balanceOf", role("liquidator"))
    pool.send(
        role("liquidator"), "liquidationCall", collateral.address, loan.address, borrower, 2**256 - 1, False
    )
    paid = before - loan.call("balanceOf", role("liquidator"))

    found = Decoder({pool.address: "aave-v3"}).decode(world.logs)

    assert found.refused == {}
    told = [(row.kind, row.account, row.asset, row.amount) for row in found.rows]
    assert ("supply", role("lender"), loan.address, 100_000 * WHOLE) in told
    assert ("supply", borrower, collateral.address, 10 * WHOLE) in told
    assert ("borrow", borrower, loan.address, 15_000 * WHOLE) in told
    assert ("repay", borrower, loan.address, 500 * WHOLE) in told
    assert ("withdraw", role("lender"), loan.address, 50 * WHOLE) in told
    (liquidation,) = of_kind(found.rows, "liquidation")
    assert (liquidation.account, liquidation.counterparty) == (borrower, role("liquidator"))
    assert (liquidation.asset, liquidation.amount) == (loan.address, paid)
    taken = collateral.call("balanceOf", role("liquidator"))
    assert (liquidation.asset_2, liquidation.amount_2) == (collateral.address, taken)
    assert taken * 1_500 * 100 == pytest.approx(paid * 105)


def test_the_signatures_are_those_of_aaves_own_abi():
    published = packaged(
        "@aave", "core-v3", "artifacts", "contracts", "protocol", "pool", "Pool.sol", "Pool.json"
    )["abi"]
    events = {Event(entry).topic: entry for entry in published if entry["type"] == "event"}
    ours = {entry["name"]: entry for entry in abi("aave-v3")}
    for rule in AAVE_V3:
        entry = ours[rule.name]
        theirs = events[Event(entry).topic]
        assert [(each["type"], each["name"], each["indexed"]) for each in entry["inputs"]] == [
            (each["type"], each["name"], each["indexed"]) for each in theirs["inputs"]
        ]
