# SPDX-License-Identifier: Apache-2.0
"""Where a book comes from: a pool on the chain, a table of positions, or a description in JSON."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import orjson

from koinon.chain import artifacts
from koinon.chain.address import checksum
from koinon.chain.contract import Contract
from koinon.chain.handle import Chain
from koinon.errors import BadInput
from koinon.lending.risk.book import Book, Terms, Venue
from koinon.lending.risk.ecosystem import Ecosystem, Holder, Pool
from koinon.lending.risk.history import ever_named
from koinon.lending.risk.holders import holders_behind
from koinon.markets.tokens import Token, token_at

STEP_S: Final = 3_600
"""What one step of a simulation is taken to be, where a pool's own auction says how long it lasts."""

_BPS: Final = 10_000


@dataclass(frozen=True)
class Subject:
    """What a report is about.

    ``lgd`` the share of a loan that a default loses; ``junior`` and ``senior`` what lenders hold, in whole
    loan tokens; ``tiers`` what scores would allow; ``network`` others who share collateral; ``evidence`` what
    the positions are: given, simulated, on-chain.
    """

    name: str
    book: Book
    venue: Venue
    lgd: float = 0.4
    junior: float = 0.0
    senior: float = 0.0
    tiers: tuple[Terms, ...] = ()
    network: Ecosystem | None = None
    evidence: str = "given in a file"


def read_subject(path: Path, venue: Venue | None = None) -> Subject:
    """A ``.csv`` of positions (collateral, debt, lltv, and where known pd and account; then ``venue`` says
    where collateral is sold), or ``.json`` with ``positions``, ``venue`` and what `Subject` has.

    Raises
    ------
    BadInput
        The file is unreadable or lacks something.
    """
    try:
        if path.suffix.lower() == ".csv":
            with path.open(newline="", encoding="utf-8-sig") as file:
                rows = list(csv.DictReader(file))
            if venue is None:
                raise BadInput(
                    "A table of positions does not say where collateral is sold.",
                    hint="Give the pair's reserves: --reserves COLLATERAL:LOAN, in whole tokens.",
                    code="lending.venue",
                )
            return Subject(path.stem, Book.of(rows), venue)
        document = orjson.loads(path.read_bytes())
    except OSError:
        raise BadInput(f"{path} cannot be read.", hint="Check the path.", code="lending.risk_file") from None
    except (orjson.JSONDecodeError, UnicodeDecodeError, csv.Error) as fault:
        raise _unreadable(path, fault) from fault
    return _described(path, document, venue)


def _described(path: Path, document: Any, venue: Venue | None) -> Subject:
    try:
        tiers = tuple(Terms(**each) for each in document.get("tiers", ()))
        return Subject(
            name=str(document.get("name", path.stem)),
            book=Book.of(document["positions"]),
            venue=venue or Venue(**document["venue"]),
            lgd=float(document.get("lgd", 0.4)),
            junior=float(document.get("junior", 0.0)),
            senior=float(document.get("senior", 0.0)),
            tiers=tiers,
            network=read_network(document["network"]) if "network" in document else None,
            evidence=str(document.get("evidence", "given in a file")),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as fault:
        raise _unreadable(path, fault) from fault


def read_network(document: Mapping[str, Any]) -> Ecosystem:
    """Pools, holders, prices and depth, as JSON has them; errors as the classes' own."""
    pools = [
        Pool(
            str(each["name"]),
            str(each["asset"]),
            Book.of(each["positions"]),
            float(each.get("idle", 0.0)),
            {str(name): float(claim) for name, claim in each.get("depositors", {}).items()},
        )
        for each in document["pools"]
    ]
    holders = [Holder(**each) for each in document.get("holders", ())]
    prices = {str(name): float(price) for name, price in document["prices"].items()}
    depth = {str(name): float(tokens) for name, tokens in document["depth"].items()}
    return Ecosystem(pools, holders, prices, depth)


def _unreadable(path: Path, fault: Exception) -> BadInput:
    return BadInput(
        f"{path.name} does not describe a book of loans ({type(fault).__name__}: {fault}).",
        hint="Give positions (collateral, debt, lltv) and a venue (base, quote).",
        code="lending.risk_file",
    )


def read_pool(chain: Chain, address: str) -> Subject:
    """Every open loan of a credit pool now, in the pair that its feed watches.

    Raises
    ------
    WrongNetwork
        There is no contract at this address.
    """
    pool = chain.contract("CreditPool", checksum(address))
    market, tiers, books = pool.call_many([("market",), ("tiers",), ("books",)])
    terms = dict(zip(_names(pool, "market"), market, strict=True))
    loan, collateral = (token_at(chain, terms[name]) for name in ("loan_token", "collateral_token"))
    borrowers = ever_named(chain.rpc, pool, "Borrowed", "borrower")
    positions = pool.call_many([("position_of", borrower) for borrower in borrowers])
    names = _names(pool, "position_of")
    rows = []
    for borrower, values in zip(borrowers, positions, strict=True):
        position = dict(zip(names, values, strict=True))
        if position["debt"]:
            tier = tiers[position["tier"]]
            rows.append(
                {
                    "account": borrower,
                    "collateral": position["collateral"] / 10**collateral.decimals,
                    "debt": position["debt"] / 10**loan.decimals,
                    "lltv": tier[0] / _BPS,
                    "pd": tier[3] / _BPS,
                }
            )
    senior, junior = (part / 10**loan.decimals for part in books[:2])
    return Subject(
        name=f"pool {pool.address}",
        book=Book.of(rows),
        venue=_venue(chain, terms, (collateral.decimals, loan.decimals)),
        lgd=max((tier[4] for tier in tiers), default=0) / _BPS,
        junior=junior,
        senior=senior,
        evidence="on-chain positions of this network, simulated prices",
    )


def read_pools(chain: Chain, addresses: Sequence[str]) -> Subject:
    """The first pool, with all of them as one network: who lends in which, what collateral they share, and
    who holds the vaults that lend (`holders_behind`). One pool whose lenders are no vaults has no network.

    Senior lenders have claims; the junior tranche is the pool's own equity, which loses first. What lenders
    that are no vaults owe to others is not on the chain, and taken to be nothing.

    Raises
    ------
    BadInput
        The pools lend different tokens.
    WrongNetwork
        As in `read_pool`.
    """
    subjects = [read_pool(chain, address) for address in addresses]
    pools: list[Pool] = []
    prices: dict[str, float] = {}
    depth: dict[str, float] = {}
    lent: dict[str, Token] = {}
    owed: dict[str, float] = {}
    for subject, address in zip(subjects, addresses, strict=True):
        contract = chain.contract("CreditPool", checksum(address))
        market = dict(zip(_names(contract, "market"), contract.call("market"), strict=True))
        asset, loan = market["collateral_token"], token_at(chain, market["loan_token"])
        lenders = ever_named(chain.rpc, contract, "Deposited", "receiver")
        held = contract.call_many([("assets_of", 0, lender) for lender in lenders])
        claims = {
            lender: units / 10**loan.decimals for lender, units in zip(lenders, held, strict=True) if units
        }
        lent[loan.address] = loan
        for lender, claim in claims.items():
            owed[lender] = owed.get(lender, 0.0) + claim
        idle = contract.call("liquidity") / 10**loan.decimals
        pools.append(Pool(contract.address, asset, subject.book, idle, claims))
        prices[asset] = subject.venue.price
        depth[asset] = max(subject.venue.base, depth.get(asset, 0.0))
    if len(lent) > 1:
        symbols = ", ".join(token.symbol for token in lent.values())
        raise BadInput(
            f"These pools lend {symbols}, and what is owed in one token cannot be added to another.",
            hint="Give pools that lend the same token.",
            code="lending.network",
        )
    holders = holders_behind(chain, next(iter(lent.values())), owed)
    if len(pools) == 1 and len(holders) == len(owed):
        return subjects[0]
    return replace(subjects[0], network=Ecosystem(pools, holders, prices, depth))


def _venue(chain: Chain, terms: Mapping[str, Any], decimals: tuple[int, int]) -> Venue:
    feed = chain.contract("PriceFeed", terms["feed"])
    pair = chain.contract("Pair", feed.call("pair"))
    token0, reserves = pair.call_many([("token0",), ("getReserves",)])
    base, quote = reserves[:2] if token0 == terms["collateral_token"] else reserves[1::-1]
    return Venue(
        base=base / 10 ** decimals[0],
        quote=quote / 10 ** decimals[1],
        min_bonus=terms["min_bonus_bps"] / _BPS,
        max_bonus=terms["max_bonus_bps"] / _BPS,
        auction_steps=max(1, round(terms["auction_s"] / STEP_S)),
        close_factor=terms["close_factor_bps"] / _BPS,
        min_debt=terms["min_debt"] / 10 ** decimals[1],
    )


def _names(pool: Contract, function: str) -> list[str]:
    """The fields of the struct that a function returns."""
    entry = next(each for each in artifacts.load(pool.name).abi if each.get("name") == function)
    return [str(each["name"]) for each in entry["outputs"][0]["components"]]
