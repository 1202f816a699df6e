# SPDX-License-Identifier: Apache-2.0
"""Logs of protocols whose contracts are not at hand, encoded by their published signatures."""

from __future__ import annotations

import pytest

from koinon.chain import artifacts
from koinon.chain.abi import Event
from koinon.chain.events import Layout
from koinon.errors import BadInput, IntegrityError
from koinon.markets.history.decoding import Decoder
from koinon.markets.history.facts import Facts, MarketFacts
from koinon.markets.history.history import History
from koinon.markets.history.protocols import abi, bound
from koinon.markets.history.signatures import event_entry
from tests.markets.history.real_protocols import log_of, role

NOBODY = "0x" + "00" * 20
COMET, BASE, POOL, FEED = role("comet"), role("base token"), role("aave pool"), role("feed")
FACTS = Facts(
    {COMET: MarketFacts(BASE), FEED: MarketFacts(role("ether"), ""), role("vault"): MarketFacts(BASE)}
)


def entry(protocol, name):
    return next(each for each in abi(protocol) if each["name"] == name)


def log(protocol, name, contract, block=1, index=0, **values):
    return log_of(entry(protocol, name), contract, block, index, **values)


def rows(*logs, contracts, **options):
    return Decoder(contracts, FACTS, **options).decode(logs, {1: 1_000, 2: 2_000}).rows


def test_aave_borrows_on_behalf_of_somebody():
    made = log(
        "aave-v3",
        "Borrow",
        POOL,
        reserve=BASE,
        user=role("caller"),
        onBehalfOf=role("borrower"),
        amount=2**255,
        interestRateMode=2,
        borrowRate=7,
        referralCode=0,
    )
    (row,) = rows(made, contracts={POOL: "aave-v3"})
    assert (row.kind, row.account, row.counterparty) == ("borrow", role("borrower"), role("caller"))
    assert (row.asset, row.amount, row.timestamp) == (BASE, 2**255, 1_000)


def test_aave_liquidates():
    made = log(
        "aave-v3",
        "LiquidationCall",
        POOL,
        collateralAsset=role("ether"),
        debtAsset=BASE,
        user=role("borrower"),
        debtToCover=90,
        liquidatedCollateralAmount=100,
        liquidator=role("liquidator"),
        receiveAToken=False,
    )
    (row,) = rows(made, contracts={POOL: "aave-v3"})
    assert (row.kind, row.account, row.counterparty) == (
        "liquidation",
        role("borrower"),
        role("liquidator"),
    )
    assert (row.asset, row.amount, row.asset_2, row.amount_2) == (BASE, 90, role("ether"), 100)


@pytest.mark.parametrize(
    ("minted", "told"),
    [(0, [("repay", 100)]), (30, [("supply", 30), ("repay", 70)]), (100, [("supply", 100)])],
)
def test_compounds_supply_repays_what_is_not_minted(minted, told):
    logs = [
        log(
            "compound-v3", "Supply", COMET, src=0, dst=role("borrower"), amount=100, **{"from": role("payer")}
        )
    ]
    if minted:
        values = {"from": NOBODY, "to": role("borrower"), "amount": minted}
        logs.append(log("compound-v3", "Transfer", COMET, index=1, **values))
    found = rows(*logs, contracts={COMET: "compound-v3"})
    assert [(row.kind, row.amount) for row in found if row.kind != "transfer"] == told


def test_compounds_withdrawal_borrows_what_is_not_burned():
    burned = {"from": role("borrower"), "to": NOBODY, "amount": 40}
    found = rows(
        log("compound-v3", "Withdraw", COMET, src=role("borrower"), to=role("borrower"), amount=100),
        log("compound-v3", "Transfer", COMET, index=1, **burned),
        contracts={COMET: "compound-v3"},
    )
    assert [(row.kind, row.amount, row.asset) for row in found if row.asset] == [
        ("withdraw", 40, BASE),
        ("borrow", 60, BASE),
    ]


def test_compounds_absorption_is_one_liquidation_and_its_seizures():
    common = {"absorber": role("liquidator"), "borrower": role("borrower"), "usdValue": 1}
    found = rows(
        log("compound-v3", "AbsorbCollateral", COMET, asset=role("ether"), collateralAbsorbed=5, **common),
        log("compound-v3", "AbsorbDebt", COMET, index=1, basePaidOut=9, **common),
        contracts={COMET: "compound-v3"},
    )
    assert [(row.kind, row.asset, row.amount) for row in found] == [
        ("seizure", role("ether"), 5),
        ("liquidation", BASE, 9),
    ]


def test_a_vault_a_feed_and_a_role():
    vault = role("vault")
    found = rows(
        log("erc4626", "Deposit", vault, sender=role("payer"), owner=role("holder"), assets=7, shares=6),
        log("chainlink", "AnswerUpdated", FEED, index=1, current=2_000 * 10**8, roundId=1, updatedAt=1_000),
        log("chainlink", "AnswerUpdated", FEED, index=2, current=-1, roundId=2, updatedAt=1_001),
        log("erc4626", "RoleGranted", vault, index=3, role=b"\x01" * 32, account=role("a"), sender=role("b")),
        contracts={vault: "erc4626", FEED: "chainlink"},
    )
    assert [(row.kind, row.asset, row.amount) for row in found] == [
        ("vault_deposit", BASE, 7),
        ("price", role("ether"), 2_000 * 10**8),
        ("role", "", 0),
    ]
    assert found[-1].note == "0x" + "01" * 32


def test_only_named_contracts_are_believed():
    """Anybody may emit a Borrow that names a victim."""
    forged = log(
        "aave-v3",
        "LiquidationCall",
        role("attacker"),
        collateralAsset=BASE,
        debtAsset=BASE,
        user=role("victim"),
        debtToCover=1,
        liquidatedCollateralAmount=1,
        liquidator=role("attacker"),
        receiveAToken=False,
    )
    assert rows(forged, contracts={POOL: "aave-v3"}) == []
    assert rows(forged, contracts={POOL: "aave-v3"}, any_token=True) == []


def test_what_cannot_be_read_is_told_and_the_rest_is_read():
    values = {"from": role("a"), "to": role("b"), "value": 5}
    good = log("erc20", "Transfer", BASE, **values)
    bad = {**log("erc20", "Transfer", BASE, index=1, **values), "data": "0x1234"}
    unsigned = {**good, "topics": [], "logIndex": "0x2"}
    found = Decoder({BASE: "erc20"}).decode([bad, good, unsigned])
    assert [row.amount for row in found.rows] == [5]
    assert list(found.refused) == [(1, 1)]
    assert found.strangers == 1


def test_an_nft_moving_is_no_transfer_of_an_amount():
    nft = event_entry("Transfer(address indexed from, address indexed to, uint256 indexed tokenId)")
    moved = log_of(nft, BASE, 1, 0, **{"from": role("a"), "to": role("b"), "tokenId": 10**20})
    assert Decoder({}, any_token=True).decode([moved]).rows == []


@pytest.mark.parametrize("text", ["Transfer", "Transfer(address indexed)", "(address a)", "T(uint256 a"])
def test_what_is_no_event_is_refused(text):
    with pytest.raises(BadInput):
        event_entry(text)


def test_unknown_protocols_and_addresses_are_refused():
    with pytest.raises(BadInput, match="protocol"):
        Decoder({POOL: "aave-v1"})
    with pytest.raises(BadInput):
        Decoder({"0x12": "aave-v3"})


def transfers(*places):
    values = {"from": role("a"), "to": role("b"), "value": 5}
    return [log("erc20", "Transfer", BASE, block, index, **values) for block, index in places]


def test_a_history_shows_nothing_after_a_block():
    found = rows(*transfers((1, 0), (1, 1), (2, 0)), contracts={BASE: "erc20"})
    history = History.of(reversed(found))
    assert [row.place for row in history.rows] == [(1, 0, 0), (1, 1, 0), (2, 0, 0)]
    before = history.as_of(1)
    assert len(before) == 2
    assert before.anchor(5) == (1, f"0x{1:064x}") == history.anchor(1)
    assert History.of(found[:2]).anchor(1) == before.anchor(1)


def test_a_reorganised_block_voids_what_was_computed_as_of_it():
    found = rows(*transfers((1, 0), (2, 0)), contracts={BASE: "erc20"})
    anchor = History.of(found).anchor(2)
    History.of(found).check_anchor(anchor)
    replaced = History.of(found[:1], hashes={2: "0x" + "ab" * 32})
    with pytest.raises(IntegrityError, match="Block 2"):
        replaced.check_anchor(anchor)


def test_rows_that_contradict_each_other_are_refused():
    found = rows(*transfers((1, 0), (2, 0)), contracts={BASE: "erc20"})
    with pytest.raises(BadInput, match="Two rows"):
        History.of([*found, found[0]])
    with pytest.raises(BadInput, match="two hashes"):
        History.of(found, hashes={1: "0x" + "ab" * 32})
    late = Decoder({BASE: "erc20"}).decode(transfers((1, 0), (2, 0)), {1: 9, 2: 8}).rows
    with pytest.raises(BadInput, match="older"):
        History.of(late)


POOLS = "Deposited Withdrawn CollateralSupplied CollateralWithdrawn Borrowed Repaid Liquidated Defaulted"
OURS = [
    ("Pair", "koinon-pair", "Swap Sync Transfer"),
    ("PriceFeed", "koinon-feed", "Posted"),
    ("CreditPool", "koinon-pool", POOLS),
]


@pytest.mark.parametrize(("contract", "protocol", "names"), OURS)
def test_our_own_events_are_those_of_our_contracts(contract, protocol, names):
    ours = artifacts.load(contract).events
    assert {Event(entry(protocol, name)).topic for name in names.split()} <= {
        event.topic for event in ours.values()
    }
    assert all(len(Layout(entry(protocol, name)).columns) == len(ours[name].names) for name in names.split())


def test_a_governors_proposals_votes_and_executions_are_rows_with_the_proposals_number() -> None:
    governor, token, voter = role("governor"), role("voting token"), role("voter")
    facts = Facts({governor: MarketFacts(token)})
    place = {"block_number": 1, "timestamp": 5, "transaction_hash": "", "block_hash": "", "address": governor}
    event = {"proposal_id": 7, "proposer": voter, "voter": voter, "weight": 11}
    rules = {rule.name: rule for rule, _ in bound("governor").values()}
    told = [
        (rules[name], "governor", {**place, **event, "log_index": log})
        for log, name in enumerate(("ProposalCreated", "VoteCast", "ProposalExecuted"))
    ]
    rows = Decoder({}, facts).rows(told)
    assert [(row.kind, row.note, row.amount, row.asset) for row in rows] == [
        ("proposal", "7", 0, token),
        ("vote", "7", 11, token),
        ("execution", "7", 0, token),
    ]
