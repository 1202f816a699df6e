# SPDX-License-Identifier: Apache-2.0
"""What issuers sign: a year's probability, only what each found itself, on a block that still stands."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from koinon.chain.handle import Chain
from koinon.errors import BadInput, IntegrityError, TransactionFailed
from koinon.lending.api import Lending
from koinon.lending.credit_offer import CreditOffer
from koinon.lending.following import check_block
from koinon.lending.issuing import Judgement, ScoreFile, word_of
from koinon.lending.offer_file import SignedOffer
from koinon.lending.scoring.serving import Answer
from tests.bench_support import account, key
from tests.lending.bench_chain import open_chain
from tests.lending.contracts.support import DAY, ISSUERS, open_bank

ANSWER = Answer(640, 0, 1, 0.04, ["Why."], ["How."], "", "0x" + "07" * 32, None, None, "")
FOUND = Judgement(account("borrower"), 7, (-1, ""), word_of(ANSWER), ANSWER)
OFFER = SignedOffer(
    1, CreditOffer(account("pool"), account("borrower"), 5, 0, 150, 0, 100, 1), account("i"), b"s"
)


@pytest.mark.parametrize(
    ("chance", "days", "pd_bps"), [(0.04, 365, 400), (0.0, 1, 0), (1.0, 30, 10_000), (0.01, 73, 491)]
)
def test_what_goes_on_chain_is_for_a_year_and_rounded_up(chance, days, pd_bps):
    word = word_of(replace(ANSWER, probability=chance), days)
    assert (word.tier, word.pd_bps, word.points) == (1, pd_bps, 640)


def test_a_horizon_is_at_most_a_year():
    with pytest.raises(BadInput):
        word_of(ANSWER, 366)


def test_enough_issuers_who_agree_give_a_tier_and_one_alone_does_not(tmp_path):
    bank = open_bank()
    pool = bank.pool(work_id=0, fee_bps=0).address
    first, second = (Lending(open_chain(bank), tmp_path, key(role)) for role in ISSUERS[:2])
    begun = first.begin_score(pool, FOUND, lasts_s=30 * DAY)
    assert not first.is_enough(pool, begun)
    with pytest.raises(TransactionFailed):
        first.post_score(begun)
    handed = ScoreFile.from_json(begun.to_json())
    assert handed == begun
    other = replace(FOUND, word=replace(FOUND.word, pd_bps=401))
    with pytest.raises(IntegrityError, match="otherwise"):
        second.join_score(pool, handed, other)
    with pytest.raises(IntegrityError):
        second.join_score(pool, first.begin_score(pool, FOUND, lasts_s=400 * DAY), FOUND)
    both = second.join_score(pool, handed, FOUND)
    assert second.is_enough(pool, both)
    Lending(first.chain, tmp_path, key("anyone")).post_score(both)
    standing = first.standing(pool, FOUND.subject)
    assert (standing.word, standing.as_of_block) == (FOUND.word.word(), 7)
    with pytest.raises(BadInput, match="no issuer"):
        Lending(first.chain, tmp_path, key("anyone")).begin_score(pool, FOUND)


def test_a_block_that_was_replaced_voids_a_judgement():
    chain = cast("Chain", SimpleNamespace(rpc=SimpleNamespace(call=lambda *_: {"hash": "0xAB"})))
    check_block(chain, (3, "0xab"))
    check_block(chain, (-1, ""))
    with pytest.raises(IntegrityError):
        check_block(chain, (3, "0xcd"))


def test_an_offer_is_read_as_written_and_only_for_whom_where_and_while_it_counts():
    assert SignedOffer.from_json(OFFER.to_json()) == OFFER
    OFFER.check(1, account("borrower"), 100)
    for wrong in ((2, account("borrower"), 100), (1, account("other"), 100), (1, account("borrower"), 101)):
        with pytest.raises(BadInput):
            OFFER.check(*wrong)
    with pytest.raises(BadInput):
        SignedOffer.from_json({**OFFER.to_json(), "format": "another"})
