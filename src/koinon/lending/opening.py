# SPDX-License-Identifier: Apache-2.0
"""A credit pool of a development chain's own: its operator issues the scores, so quotes can be tried at once.

The simulator's pools have issuers of their own, whose plain rule is no scorecard; here the operator judges by
whatever scorecard was taught, and signs scores and offers (`koinon lending quote`, `score`, `issue`).
"""

from __future__ import annotations

from typing import Final

from koinon.chain.address import checksum
from koinon.lending.api import Lending
from koinon.lending.pool_terms import PoolTerms, TierTerms
from koinon.lending.pools import CreditPools
from koinon.lending.score_word import SCHEMA_TEXT
from koinon.works.attestations import Attestations, SchemaTerms
from koinon.works.ground import Ground

JUNIOR_WHOLE: Final = 150_000
SENIOR_WHOLE: Final = 350_000
"""What the operator lends to it, in whole test coins: the first loss, and the rest."""

LGD_BPS: Final = 4_000
CAPITAL_BPS: Final = 50
TIERS: Final = (
    # LLTV, cap in whole coins, probability of default a year in 1e-4
    (8_500, 100_000, 200),
    (7_500, 50_000, 800),
    (6_500, 25_000, 2_000),
    (5_000, 10_000, 10_000),
)
"""Best first; the last is for wallets without a score, of whom everything is assumed."""


def open_pool(ground: Ground, feed: str) -> str:
    """The address of the operator's pool over a feed's base token, lent in the network's coin.

    Made once: run again, it is found, and what a run that was cut off left out is done. Only where coins are
    test money; errors as in `Sender.send`.
    """
    chain, lending = ground.chain, Lending.of(ground)
    collateral = checksum(chain.contract("PriceFeed", feed).call("base_token"))
    schema_terms = SchemaTerms(SCHEMA_TEXT, issuers=(lending.me,))
    schema = Attestations(chain).register(ground.operator, schema_terms)
    unit = 10 ** int(chain.coin.call("decimals"))
    address = _find(ground, feed, schema)
    if address is None:
        terms = PoolTerms(
            chain.coin.address,
            collateral,
            checksum(feed),
            schema,
            tuple(
                TierTerms(lltv, pd * LGD_BPS // 10_000 + CAPITAL_BPS, cap * unit, pd, LGD_BPS, CAPITAL_BPS)
                for lltv, cap, pd in TIERS
            ),
            min_debt=100 * unit,
        )
        address = lending.create_pool(terms).address
    books = lending.at(address).books()
    missing = {
        True: 0 if books.junior else JUNIOR_WHOLE * unit,
        False: 0 if books.senior else SENIOR_WHOLE * unit,
    }
    if wanted := sum(missing.values()):
        chain.sender(ground.operator).send(chain.coin.transaction("mint", lending.me, wanted))
    for junior, amount in missing.items():
        if amount:
            lending.deposit(address, amount, junior=junior)
    return address


def _find(ground: Ground, feed: str, schema: bytes) -> str | None:
    for pool in CreditPools(ground.chain).all():
        terms = pool.terms()
        if terms.schema == schema and checksum(terms.feed) == checksum(feed):
            return pool.address
    return None
