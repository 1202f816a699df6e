# SPDX-License-Identifier: Apache-2.0
"""Scores, pools and bundles; beside them Morpho Blue's own code doing the same, and what Aave publishes."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks.gas.markets import FEEDERS, PRICE, WINDOW_S
from benchmarks.gas.stage import CHAIN_ID, LARGEST, Stage, digest, key, opened
from koinon.chain import eip712
from koinon.chain.contract import Call, Contract
from koinon.lending.bundles import JoinDomain
from koinon.lending.credit_offer import CreditOffer, OfferDomain
from koinon.lending.score_word import ScoreWord
from koinon.lending.scorecard_table import Feature, ScorecardTable
from koinon.works.attestations import Attestation, AttestationDomain, SchemaTerms, in_order, rising

ETHER = 10**18
NOBODY = "0x" + "00" * 20
ISSUERS = ("first issuer", "second issuer", "third issuer")
TIERS = [(8_500, 150, 10**23, 100, 4_000, 50), (7_000, 600, 10**22, 1_200, 4_000, 50)]
FEATURES = 12
COMPARED: Final = {
    "deposit": "senior, again",
    "withdraw": "senior",
    "borrow": "more",
    "repay": "a part",
    "liquidate": "a part, again",
}
"""The functions that other protocols have too, and the note of the figure that is compared."""
AAVE: Final = {
    "deposit": 146_755,
    "withdraw": 181_916,
    "borrow": 249_018,
    "repay": 189_949,
    "liquidate": 383_166,
}
"""Aave v3's own snapshot of its Pool: "supply: collateralEnabled", "withdraw: partial withdraw", "borrow:
recurrent borrow", "repay: partial repay", "liquidationCall: partial liquidation". Source:
github.com/aave-dao/aave-v3-origin, snapshots/Pool.Operations.json at commit
69d65c9a8c46c0f269bcd28c8d3372fa38b26acc. A test framework measures it, which may leave out what a
transaction itself costs (21,000 and its call data)."""
MODULES = Path(__file__).parents[2] / "node_modules"
MORPHO_FILES = ("Morpho.sol", "mocks/ERC20Mock.sol", "mocks/OracleMock.sol", "mocks/IrmMock.sol")


def scoring(stage: Stage) -> None:
    """Attestations of two issuers in three, and a scorecard of twelve features of eleven bins."""
    contract = stage.contracts["Attestations"]
    issuers = [key(role).address for role in ISSUERS]
    terms = SchemaTerms("credit score", NOBODY, tuple(issuers), 2, 3_600)
    stage.measure(contract, "register", *terms.values(), note="three issuers")
    schema = terms.id(CHAIN_ID, contract.address, key("publisher").address)
    domain = AttestationDomain(CHAIN_ID, contract.address)
    for nonce, note in ((1, "the first of a subject"), (2, "again")):
        made = _attestation(stage, schema, 1, nonce)
        stage.measure(contract, "attest", made.values(), _signed(domain, made), note=f"two sign, {note}")
    taken = in_order([domain.sign_revocation(key(role), made) for role in ISSUERS[:2]])
    stage.measure(contract, "revoke", schema, made.subject, domain.uid(made), taken, note="two sign")
    change = in_order([domain.sign_change(key(role), schema, issuers[:2], 1, 0) for role in ISSUERS[:2]])
    stage.measure(contract, "change_issuers", schema, rising(issuers[:2]), 1, change, note="two sign")
    features = tuple(
        Feature(f"f{number}", tuple(range(0, 100, 10)), tuple(range(11))) for number in range(FEATURES)
    )
    card = stage.create("Scorecard", ScorecardTable(features, (90, 60, 30)).encode(), noted=True)
    stage.measure(card, "points", [45] * FEATURES, note="twelve features")


def bundling(stage: Stage) -> None:
    """Two wallets become one borrower, and one of them leaves."""
    contract = stage.contracts["Bundles"]
    domain = JoinDomain(CHAIN_ID, contract.address)
    wallets = [key(role).address for role in ("buyer", "lender")]
    signatures = [domain.sign(key(role), wallets[0], wallets[1], 1, LARGEST) for role in ("lender", "buyer")]
    stage.measure(contract, "join", *wallets, LARGEST, signatures[0], signatures[1:], note="of two")
    stage.measure(contract, "leave", sender="lender")


def lending(stage: Stage) -> None:
    """A pool from its creation to a loss: two lenders, a borrower with a score, a liquidator."""
    loan, collateral, feed = _market(stage)
    pool = _pool(stage, loan, collateral, feed)
    for tranche, amount in ((0, 8_000), (1, 2_000)):
        name = ("senior", "junior")[tranche]
        for note in ("the first", "again"):
            lender = key("lender").address
            stage.measure(
                pool, "deposit", tranche, amount * ETHER, lender, sender="lender", note=f"{name}, {note}"
            )
    borrower = key("buyer").address
    for note in ("the first", "more"):
        stage.measure(pool, "supply_collateral", 100 * ETHER, borrower, sender="buyer", note=note)
    stage.measure(pool, "withdraw_collateral", 50 * ETHER, borrower, sender="buyer", note="without a loan")
    stage.measure(pool, "borrow", 10 * ETHER, borrower, sender="buyer", note="the first")
    stage.measure(pool, "borrow", 10 * ETHER, borrower, sender="buyer", note="more")
    offers = OfferDomain(CHAIN_ID, pool.address)
    offer = CreditOffer(pool.address, borrower, 10 * ETHER, 12_000, TIERS[0][1], 0, LARGEST, 1)
    signed = offers.sign(key(ISSUERS[0]), offer)
    stage.measure(pool, "borrow_with_offer", offer.values(), *signed, borrower, sender="buyer")
    stage.fund(ISSUERS[0])
    other = CreditOffer(pool.address, borrower, ETHER, 0, TIERS[0][1], 0, LARGEST, 2)
    stage.measure(pool, "cancel_offer", other.values(), sender=ISSUERS[0])
    stage.measure(pool, "refinance", sender="buyer", note="same tier")
    stage.measure(pool, "withdraw_collateral", 50 * ETHER, borrower, sender="buyer", note="with a loan")
    stage.measure(pool, "repay", 10 * ETHER, borrower, sender="buyer", note="a part")
    stage.measure(pool, "repay", LARGEST, borrower, sender="buyer", note="all")
    stage.send(pool, "borrow", 80 * ETHER, borrower, sender="buyer")
    lender = key("lender").address
    stage.measure(pool, "withdraw", 0, 10 * ETHER, lender, sender="lender", note="senior")
    stage.measure(pool, "announce_exit", 10**27, sender="lender")
    stage.measure(pool, "redeem", 1, 10**24, lender, sender="lender", note="junior")
    stage.send(loan, "mint", key("gateway").address, 10**6 * ETHER)
    stage.send(loan, "approve", pool.address, LARGEST, sender="gateway")
    _post(stage, feed, 2, 85 * 10**6)
    stage.measure(pool, "mark", borrower, sender="gateway", note="an auction begins")
    receiver = key("gateway").address
    for note in ("a part, the first", "a part, again"):
        stage.measure(pool, "liquidate", borrower, 5 * ETHER, 0, receiver, sender="gateway", note=note)
    _post(stage, feed, 3, 30 * 10**6)
    stage.measure(
        pool, "liquidate", borrower, LARGEST, 0, receiver, sender="gateway", note="all, with a loss"
    )
    stage.measure(pool, "pay_fee", note="the first")


def peers() -> dict[str, int]:
    """What the same costs in Morpho Blue's own code, with its mocks of tokens, oracle and rate; empty where
    its sources or a Solidity compiler are not here."""
    code = _morpho()
    if code is None:
        return {}
    with opened() as stage:
        made = {}
        owner = bytes(12) + bytes.fromhex(key("publisher").address[2:])
        for name, argument in (("Morpho", owner), ("OracleMock", b""), ("IrmMock", b"")):
            creation = bytes.fromhex(code[name]["bytecode"]) + argument
            made[name] = Contract(stage.rpc, stage.put(Call(None, creation)), code[name]["abi"])
        tokens = [
            Contract(stage.rpc, stage.put(Call(None, bytes.fromhex(code["ERC20Mock"]["bytecode"]))), abi)
            for abi in [code["ERC20Mock"]["abi"]] * 2
        ]
        morpho, oracle = made["Morpho"], made["OracleMock"]
        stage.send(oracle, "setPrice", 10**36)
        lltv = 86 * 10**16
        stage.send(morpho, "enableIrm", made["IrmMock"].address)
        stage.send(morpho, "enableLltv", lltv)
        terms = (tokens[0].address, tokens[1].address, oracle.address, made["IrmMock"].address, lltv)
        stage.send(morpho, "createMarket", terms)
        who = key("publisher").address
        for token in tokens:
            stage.send(token, "setBalance", who, 10**6 * ETHER)
            stage.send(token, "approve", morpho.address, LARGEST)
        costs: dict[str, int] = {}
        steps: tuple[tuple[str, tuple[Any, ...]], ...] = (
            ("supply", (10**4 * ETHER, 0, who, b"")),
            ("supply", (10**4 * ETHER, 0, who, b"")),
            ("supplyCollateral", (100 * ETHER, who, b"")),
            ("borrow", (40 * ETHER, 0, who, who)),
            ("borrow", (40 * ETHER, 0, who, who)),
            ("withdraw", (10 * ETHER, 0, who, who)),
            ("repay", (ETHER, 0, who, b"")),
        )
        for name, arguments in steps:
            costs[name] = int(stage.send(morpho, name, terms, *arguments)["gasUsed"], 16)
        stage.send(oracle, "setPrice", 85 * 10**34)
        for _ in range(2):
            receipt = stage.send(morpho, "liquidate", terms, who, 5 * ETHER, 0, b"")
        costs["liquidate"] = int(receipt["gasUsed"], 16)
        return costs


def figures(ours: dict[str, int]) -> Iterator[tuple[str, int, int | None]]:
    """Name, our gas and Morpho Blue's for the same; Aave's published ones are in `AAVE`."""
    theirs = peers()
    for function, note in COMPARED.items():
        same = theirs.get("supply" if function == "deposit" else function)
        yield f"gas.lending_{function}", ours[f"CreditPool.{function} · {note}"], same


def beside_aave(ours: dict[str, int]) -> Iterator[tuple[str, int, int]]:
    """Name, our gas without a transaction's 21,000, and what Aave publishes (`AAVE`)."""
    for function, note in COMPARED.items():
        gas = ours[f"CreditPool.{function} · {note}"] - 21_000
        yield f"gas.lending_{function}_aave", gas, AAVE[function]


def _market(stage: Stage) -> tuple[Contract, Contract, Contract]:
    """Two coins at one to one, and a feed of three of five feeders."""
    coins = [stage.create("Coin", name, name, 18) for name in ("Loan", "Collateral")]
    factory = stage.contracts["PairFactory"]
    stage.send(factory, "createPair", *(coin.address for coin in coins))
    pair = stage.at("Pair", factory.call("getPair", *(coin.address for coin in coins)))
    for coin in coins:
        stage.send(coin, "mint", pair.address, 10**5 * ETHER)
        for role in ("buyer", "lender"):
            stage.send(coin, "mint", key(role).address, 10**6 * ETHER)
    stage.send(pair, "mint", key("publisher").address)
    feeders = [key(role).address for role in FEEDERS]
    terms = (8, "collateral / loan", feeders, 3, 86_400, WINDOW_S, 300)
    feed = stage.create("PriceFeed", pair.address, coins[1].address, *terms)
    for _ in range(5):
        stage.wait(WINDOW_S // 4)
        stage.send(feed, "observe")
    _post(stage, feed, 1, 10**8)
    return coins[0], coins[1], feed


def _pool(stage: Stage, loan: Contract, collateral: Contract, feed: Contract) -> Contract:
    """A pool of two tiers whose model is a new Work, and a score for the buyer."""
    attestations, factory = stage.contracts["Attestations"], stage.contracts["CreditPoolFactory"]
    terms = SchemaTerms("credit score", NOBODY, tuple(key(role).address for role in ISSUERS), 2)
    stage.send(attestations, "register", *terms.values())
    schema = terms.id(CHAIN_ID, attestations.address, key("publisher").address)
    stage.send(stage.contracts["Works"], "publish", "ipfs://model", [], 0, [])
    work_id = stage.contracts["Works"].call("total")
    addresses = (loan.address, collateral.address, feed.address, attestations.address)
    rest = (stage.contracts["Bundles"].address, stage.contracts["Works"].address, work_id)
    numbers = (100, 600, 5_000, 8_000, 1_000, 10_000, 1_000, 5_000, 100, 1_000, 3_600, 3_600, 0, 1_000, False)
    market = (*addresses, schema, *rest, *numbers)
    stage.measure(factory, "create", market, TIERS, digest("salt"), note="two tiers")
    address = factory.call("pools", factory.call("pool_count") - 1)
    pool = stage.at("CreditPool", address)
    for coin, role in ((loan, "lender"), (loan, "buyer"), (collateral, "buyer")):
        stage.send(coin, "approve", pool.address, LARGEST, sender=role)
    domain = AttestationDomain(CHAIN_ID, attestations.address)
    made = _attestation(stage, schema, work_id, 1)
    stage.send(attestations, "attest", made.values(), _signed(domain, made))
    return pool


def _attestation(stage: Stage, schema: bytes, work_id: int, nonce: int) -> Attestation:
    now = stage.now()
    best = ScoreWord(0, 0).word()
    return Attestation(schema, key("buyer").address, best, now, now + 10**7, work_id=work_id, nonce=nonce)


def _signed(domain: AttestationDomain, made: Attestation) -> list[tuple[str, bytes]]:
    return in_order([domain.sign(key(role), made) for role in ISSUERS[:2]])


def _post(stage: Stage, feed: Contract, round_id: int, price: int) -> None:
    domain = eip712.Domain("Koinon PriceFeed", "1", CHAIN_ID, feed.address)
    now = stage.now()
    reports = []
    for index in range(3):
        message = PRICE.hash(feed.address, price, now, round_id)
        reports.append((index, price, now, key(FEEDERS[index]).sign(eip712.digest(domain, message))))
    stage.send(feed, "post", round_id, reports)


def _morpho() -> dict[str, Any] | None:
    """Morpho Blue compiled from its npm package, kept in build/ for the next time."""
    sources = MODULES / "@morpho-org" / "morpho-blue" / "src"
    if not sources.is_dir() or not (MODULES / "solc").is_dir():
        return None
    total = hashlib.sha256()
    for file in sorted(sources.rglob("*.sol")):
        total.update(file.read_bytes())
    kept = MODULES.parent / "build" / "solidity" / f"morpho-{total.hexdigest()[:16]}.json"
    if not kept.is_file():
        script = MODULES.parent / "tests" / "markets" / "history" / "compile_solidity.cjs"
        made = subprocess.run(
            ["node", str(script), str(MODULES), str(sources), *MORPHO_FILES],
            check=True,
            capture_output=True,
            text=True,
        )
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(made.stdout, encoding="utf-8")
    found: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
    return found
