# SPDX-License-Identifier: Apache-2.0
"""A pool from a file of terms, and a score that its issuers take back, as people run both."""

from __future__ import annotations

import json
import tomllib

import pytest

from koinon.errors import BadInput, IntegrityError, NotFound, TransactionFailed
from koinon.lending.pool_file import EXAMPLE, read_plan
from koinon.lending.revoking import Revocation
from koinon.lending.score_word import ScoreWord
from koinon.works.attestations import Attestation, Attestations
from tests.conftest import account_maker
from tests.lending.test_cli_story import Town

COIN = "0x" + "cc" * 20
OTHER, FEED = "0x" + "11" * 20, "0x" + "22" * 20
ISSUERS = tuple("0x" + digit * 40 for digit in "345")


@pytest.fixture(scope="module")
def town(own_chain, own_devnet, tmp_path_factory):
    return Town(own_chain, account_maker(own_chain, own_devnet), tmp_path_factory.mktemp("founding"))


def written(path, text: str = EXAMPLE, **changes: str):
    """The help's example with real addresses, and lines replaced by name."""
    lines = text.splitlines()
    values = {
        "lends": f'"{COIN}"',
        "against": f'"{OTHER}"',
        "feed": f'"{FEED}"',
        "issuers": json.dumps(ISSUERS),
        **changes,
    }
    for name, value in values.items():
        (at,) = (at for at, line in enumerate(lines) if line.startswith(f"{name} = "))
        lines[at] = f"{name} = {value}" if value else ""
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_the_helps_example_is_a_pool(tmp_path):
    assert tomllib.loads(EXAMPLE)["limits"]["coverage_bps"] == 2_000
    plan = read_plan(written(tmp_path / "pool.toml", lends=""), coin=COIN)
    assert plan.loan_token.lower() == COIN
    assert plan.schema is None
    assert plan.issuers is not None
    assert (plan.issuers.threshold, len(plan.issuers.issuers)) == (2, 3)


def test_a_file_makes_a_pool_with_its_own_issuers_for_ever(town, tmp_path):
    people = [town.people[role].address for role in ("issuer", "second")]
    path = written(
        tmp_path / "pool.toml",
        lends=f'"{town.loan}"',
        against=f'"{town.other}"',
        feed=f'"{town.feed}"',
        issuers=json.dumps(people),
        work="0",
        fee_bps="0",
    )
    with pytest.raises(BadInput, match="--yes"):
        town.run("owner", "pool", "create", path)
    made = town.run("owner", "pool", "create", path, "--yes")
    assert (made["threshold"], set(made["issuers"])) == (2, set(people))
    assert [tier["lltv_bps"] for tier in made["tiers"]] == [8_500, 5_000]
    assert made["tiers"][0]["cap"] == 400_000 * 10**6
    terms = town.door("owner").at(made["address"]).terms()
    assert (terms.junior_notice_s, terms.grace_s, terms.auction_s) == (5 * 86_400, 7 * 86_400, 3_600)
    assert (terms.min_debt, terms.full_rate_bps, terms.work_id) == (100 * 10**6, 5_000, 0)
    again = town.run("owner", "pool", "create", path, "--yes")
    assert again["address"] != made["address"]
    assert again["schema"] == made["schema"]
    assert "50,000" in town.run("owner", "pool", "create", path, "--yes", as_json=False)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"against": ""}, "against is missing"),
        ({"against": '"0x1"'}, "no address"),
        ({"lends": "5"}, "no address"),
        ({"threshold": "4"}, "cannot sign"),
        ({"issuers": ""}, "issuers or a schema"),
        ({"min_debt": "1.5"}, "in quotes"),
        ({"offer_only": '"yes"'}, "neither true nor false"),
        ({"fee_bps": "-1"}, "no whole number"),
        ({"fee_bps": "1\nsurprise = 2"}, "surprise is not known"),
        ({"issuers": "", "threshold": 'schema = "0x12"'}, "holds no terms"),
        ({"minutes": '"long"'}, "no number of days or minutes"),
    ],
)
def test_a_file_that_says_something_that_no_pool_is(tmp_path, changes, said):
    with pytest.raises(BadInput, match=said):
        read_plan(written(tmp_path / "pool.toml", **changes), coin=COIN)


def test_a_file_that_is_none_is_refused(tmp_path):
    with pytest.raises(BadInput, match="holds no terms"):
        read_plan(tmp_path / "nothing.toml", coin=COIN)


def scored(town, tier: int, nonce: int = 0):
    """Both issuers attest a tier to the borrower."""
    attestations, pool = Attestations(town.chain), town.door("owner").at(town.pool)
    now = town.chain.timestamp()
    word = ScoreWord(tier, 0).word()
    made = Attestation(
        pool.terms().schema, town.people["borrower"].address, word, now, now + 10**6, nonce=nonce
    )
    signed = [attestations.domain.sign(town.people[role], made) for role in ("issuer", "second")]
    return attestations.post(town.people["owner"], made, signed)


def test_issuers_take_a_score_back_together_and_it_lends_nothing_new(town, tmp_path):
    wallet, file = town.people["borrower"].address, tmp_path / "revocation.json"
    asked = ("revoke", wallet, "--pool", town.pool)
    with pytest.raises(NotFound, match="no score"):
        town.run("issuer", *asked, "--out", file)
    uid = scored(town, 0)
    pool = town.door("owner").at(town.pool)
    assert pool.tier_of(wallet) == 0
    with pytest.raises(BadInput, match="no issuer"):
        town.run("borrower", *asked, "--out", file)
    with pytest.raises(BadInput, match="Other issuers"):
        town.run("issuer", *asked)
    begun = town.run("issuer", *asked, "--out", file)
    assert begun == {"revoked": False, "uid": "0x" + uid.hex(), "signed": 1}
    assert pool.tier_of(wallet) == 0
    assert town.run("issuer", *asked, "--with", file, "--out", file)["signed"] == 1
    assert "is taken back" in town.run("second", *asked, "--with", file, as_json=False)
    with pytest.raises(TransactionFailed) as refusal:
        pool.tier_of(wallet)
    assert refusal.value.reason == "score revoked"
    with pytest.raises(NotFound, match="no score"):
        town.run("second", *asked, "--with", file)


def test_what_was_begun_for_an_older_score_is_not_signed_for_a_newer_one(town, tmp_path):
    wallet, file = town.people["borrower"].address, tmp_path / "revocation.json"
    asked = ("revoke", wallet, "--pool", town.pool)
    scored(town, 1, 1)
    town.run("issuer", *asked, "--out", file)
    scored(town, 0, 2)
    with pytest.raises(IntegrityError, match="another score"):
        town.run("second", *asked, "--with", file)


@pytest.mark.parametrize("fields", [{}, [], {"schema": "0x", "subject": OTHER, "uid": "0x", "signed": []}])
def test_what_is_no_revocation_is_refused(fields):
    with pytest.raises(BadInput, match="no revocation"):
        Revocation.from_json(fields)
