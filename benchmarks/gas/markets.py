# SPDX-License-Identifier: Apache-2.0
"""Pairs, pools, the router and price feeds; and Uniswap's own pair doing the same, where its code is here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.gas.stage import CHAIN_ID, LARGEST, Stage, key, opened
from koinon.chain.contract import Call, Contract
from koinon.chain.eip712 import Domain, TypedStruct, digest

ETHER = 10**18
PAIR_FEE_PPM = 3_000
WINDOW_S = 800
PERMIT = TypedStruct("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)")
PRICE = TypedStruct("Price(address feed,int256 price,uint64 observedAt,uint80 round)")
FEEDERS = tuple(f"feeder {number}" for number in range(5))
NOBODY = "0x000000000000000000000000000000000000dEaD"
UNISWAP = Path(__file__).parents[2] / "node_modules/@uniswap/v2-core/build"


def trading(stage: Stage) -> None:
    """A pair from its creation to a swap each way, and everything its shares can do."""
    first, second = _tokens(stage)
    factory = stage.contracts["PairFactory"]
    pair = stage.at("Pair", _created(stage, factory, first, second))
    for function, arguments, note in _life(stage, pair, first, second):
        stage.measure(pair, function, *arguments, note=note)
    _shares(stage, pair)


def pooling(stage: Stage) -> None:
    """Stable and weighted pools."""
    first, second = _tokens(stage)
    for name, number in (("StablePool", 200), ("WeightedPool", 80)):
        pool = stage.create(name, first.address, second.address, number, 400, noted=True)
        for token in (first, second):
            stage.send(token, "approve", pool.address, LARGEST)
        owner = key("publisher").address
        stage.measure(pool, "add_liquidity", 100 * ETHER, 100 * ETHER, 0, owner, note="the first")
        stage.measure(pool, "add_liquidity", ETHER, ETHER, 0, owner, note="more")
        stage.measure(pool, "swap_exact", first.address, ETHER, 0, owner)
        stage.measure(pool, "remove_liquidity", ETHER, 0, 0, owner)
        stage.send(first, "mint", pool.address, 1)
        stage.measure(pool, "sync")
        _shares(stage, pool)


def routing(stage: Stage) -> None:
    """Orders and arbitrage over two pairs and a stable pool."""
    router, owner = stage.contracts["Router"], key("publisher").address
    tokens = [*_tokens(stage), *_tokens(stage)[:1]]
    pairs = []
    for one, other in ((0, 1), (1, 2), (2, 0)):
        pairs.append(_created(stage, stage.contracts["PairFactory"], tokens[one], tokens[other], quiet=True))
    for token in tokens:
        stage.send(token, "approve", router.address, LARGEST)
    for number, pair in enumerate(pairs):
        # The third is out of line, so that going round pays.
        amounts = (100 * ETHER, 100 * ETHER) if number < 2 else _skewed(stage, pair, tokens[0])
        note = "the first of a pair" if number == 0 else ""
        arguments = (pair, *amounts, 0, 0, 0, LARGEST, owner)
        if note:
            stage.measure(router, "add_liquidity", *arguments, note=note)
        else:
            stage.send(router, "add_liquidity", *arguments)
    stage.measure(router, "add_liquidity", pairs[0], ETHER, ETHER, 0, 0, 0, LARGEST, owner, note="more")
    around = [
        (pairs[number], tokens[number].address, tokens[(number + 1) % 3].address, PAIR_FEE_PPM)
        for number in range(3)
    ]
    for hops in (1, 2):
        stage.measure(
            router,
            "swap_along",
            around[:hops],
            ETHER,
            0,
            LARGEST,
            owner,
            note=f"{hops} pair{'s'[: hops - 1]}",
        )
    split = [(ETHER, around[:1]), (ETHER, _other_way(around))]
    stage.measure(router, "swap_split", split, 0, LARGEST, owner, note="one pair beside two")
    for flash, note in ((True, "three pairs, lent"), (False, "three pairs, own money")):
        stage.measure(router, "arbitrage", [(ETHER, around, flash)], 0, tokens[0].address, note=note)
    stage.send(stage.at("Pair", pairs[0]), "approve", router.address, LARGEST)
    stage.measure(router, "remove_liquidity", pairs[0], ETHER, 0, 0, LARGEST, owner)


def feeding(stage: Stage) -> None:
    """A feed of three of five feeders: two rounds and an observation."""
    first, second = _tokens(stage)
    pair = stage.at("Pair", _created(stage, stage.contracts["PairFactory"], first, second, quiet=True))
    for token in (first, second):
        stage.send(token, "mint", pair.address, 100 * ETHER)
    stage.send(pair, "mint", key("publisher").address)
    feeders = [key(role).address for role in FEEDERS]
    terms = (8, "one / other", feeders, 3, 3_600, WINDOW_S, 300)
    feed = stage.create("PriceFeed", pair.address, first.address, *terms, noted=True)
    for round_id, note in ((1, "the first"), (2, "another")):
        stage.wait(WINDOW_S // 4)
        stage.measure(feed, "post", round_id, _reports(stage, feed, round_id), note=note)
    stage.wait(WINDOW_S // 4)
    stage.measure(feed, "observe")


def peers() -> dict[str, int]:
    """What the same costs at Uniswap V2's own pair, by function; empty where its code is not here."""
    file = UNISWAP / "UniswapV2Factory.json"
    if not file.is_file():
        return {}
    with opened() as stage:
        first, second = _tokens(stage)
        built = json.loads(file.read_text())
        creation = bytes.fromhex(built["bytecode"].removeprefix("0x")) + bytes(32)
        factory = Contract(stage.rpc, stage.put(Call(None, creation)), built["abi"])
        receipt = stage.send(factory, "createPair", first.address, second.address)
        costs = {"createPair": int(receipt["gasUsed"], 16)}
        address = factory.call("getPair", first.address, second.address)
        pair = Contract(stage.rpc, address, json.loads((UNISWAP / "UniswapV2Pair.json").read_text())["abi"])
        for function, arguments, note in _life(stage, pair, first, second):
            receipt = stage.send(pair, function, *arguments)
            costs[f"{function} · {note}" if note else function] = int(receipt["gasUsed"], 16)
        return costs


def figures(ours: dict[str, int]) -> Iterator[tuple[str, int, int | None]]:
    """Name, our gas and Uniswap's for the same."""
    theirs = peers()
    yield "gas.pair_create", ours["PairFactory.createPair"], theirs.get("createPair")
    for name, key_ in (
        ("gas.pair_swap", "swap · again"),
        ("gas.pair_mint", "mint · more"),
        ("gas.pair_burn", "burn"),
    ):
        yield name, ours[f"Pair.{key_}"], theirs.get(key_)


def _life(
    stage: Stage, pair: Contract, first: Contract, second: Contract
) -> Iterator[tuple[str, tuple[Any, ...], str]]:
    """What is done to a pair, after what must come before each."""
    owner = key("publisher").address
    for note, amount in (("the first", 100 * ETHER), ("more", ETHER)):
        for token in (first, second):
            stage.send(token, "mint", pair.address, amount)
        yield "mint", (owner,), note
    # Both coins have been traded before, so that no balance of the buyer begins at zero.
    for note, out in (("the first", ETHER // 2), ("again", ETHER // 4)):
        stage.send(first, "mint", pair.address, ETHER)
        zero_in = int(first.address, 16) < int(second.address, 16)
        yield "swap", ((0, out) if zero_in else (out, 0)) + (owner, b""), note
    stage.send(first, "mint", pair.address, 5)
    yield "skim", (NOBODY,), ""
    stage.send(first, "mint", pair.address, 5)
    yield "sync", (), ""
    yield "transfer", (pair.address, ETHER), ""
    yield "burn", (owner,), ""


def _shares(stage: Stage, token: Contract) -> None:
    """What every pool's shares can do."""
    owner, spender = key("publisher").address, key("stranger").address
    if token.name != "Pair":
        stage.measure(token, "transfer", NOBODY, ETHER)
    stage.measure(token, "approve", spender, ETHER)
    stage.measure(token, "transferFrom", owner, NOBODY, ETHER // 2, sender="stranger")
    domain = Domain("Koinon Liquidity", "1", CHAIN_ID, token.address)
    signed = key("publisher").sign(digest(domain, PERMIT.hash(owner, spender, ETHER, 0, LARGEST)))
    stage.measure(
        token,
        "permit",
        owner,
        spender,
        ETHER,
        LARGEST,
        signed[64],
        signed[:32],
        signed[32:64],
        sender="stranger",
    )


def _tokens(stage: Stage) -> list[Contract]:
    """Two new coins, much of each with the publisher."""
    found = [stage.create("Coin", name, name, 18) for name in ("One", "Other")]
    for token in found:
        stage.send(token, "mint", key("publisher").address, 10**6 * ETHER)
    return sorted(found, key=lambda token: int(token.address, 16))


def _created(stage: Stage, factory: Contract, one: Contract, other: Contract, *, quiet: bool = False) -> str:
    create = stage.send if quiet else stage.measure
    create(factory, "createPair", one.address, other.address)
    return str(factory.call("getPair", one.address, other.address))


def _skewed(stage: Stage, pair: str, cheap: Contract) -> tuple[int, int]:
    """Amounts for a pair in which one coin is cheap."""
    first = stage.at("Pair", pair).call("token0") == cheap.address
    return (200 * ETHER, 100 * ETHER) if first else (100 * ETHER, 200 * ETHER)


def _other_way(around: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """From the first coin to the second by the third."""
    return [(pair, token_out, token_in, fee) for pair, token_in, token_out, fee in reversed(around[1:])]


def _reports(stage: Stage, feed: Contract, round_id: int) -> list[tuple[Any, ...]]:
    domain = Domain("Koinon PriceFeed", "1", CHAIN_ID, feed.address)
    now = stage.now()
    found = []
    for index in range(3):
        price = 10**8 + index
        message = PRICE.hash(feed.address, price, now, round_id)
        found.append((index, price, now, key(FEEDERS[index]).sign(digest(domain, message))))
    return found
