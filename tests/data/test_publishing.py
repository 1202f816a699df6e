# SPDX-License-Identifier: Apache-2.0
"""A dataset becomes a Work, stays where it is, and is published once however often publishing is cut off."""

from __future__ import annotations

import hashlib
import stat

import numpy as np
import orjson
import pytest

from koinon.data import publishing
from koinon.data.api import Data
from koinon.data.budget import PrivacyBudget, micro
from koinon.data.document import document_of
from koinon.data.policy_file import read_policy
from koinon.data.publishing import (
    COMMITMENT_KEY,
    change_terms,
    check_kept,
    kept_dataset,
    kept_datasets,
    publish_dataset,
)
from koinon.errors import BadInput, IntegrityError, NotFound, PaymentError
from koinon.learning.train_grant import check_train_grant
from koinon.store import BlockStore
from koinon.works.api import Works
from koinon.works.terms import Terms, Use
from tests.data.market_support import COIN, POLICY, ROWS, table


@pytest.fixture
def owner(new_account):
    return new_account()


@pytest.fixture
def store(tmp_path):
    return BlockStore(tmp_path / "store")


def test_what_everyone_sees_is_statistics_terms_and_a_commitment(chain, store, owner, tmp_path):
    rows, policy = table(), read_policy(POLICY)
    kept = publish_dataset(
        chain, store, owner, tmp_path / "datasets", rows, policy, url="http://node.example"
    )
    registration = Works(chain, store).registration_of(kept.work_id).registration
    document = document_of(store, registration)
    assert document.columns == ("income", "age")
    assert document.statistics is not None
    assert set(document.statistics["columns"]) == {"age", "label"}
    assert len(document.sample) == 5
    assert document.terms["compute"]["price_per_second"] == COIN // 100
    assert registration.services[0].endpoint == "http://node.example"
    offer = Terms(chain).offer_of(kept.work_id, Use.COMPUTE)
    assert offer is not None
    assert (offer.price, offer.period_s) == (5 * COIN, 30 * 86_400)
    assert offer.terms_digest == document.terms_digest
    assert Terms(chain).offer_of(kept.work_id, Use.DOWNLOAD) is None
    state = PrivacyBudget(chain).of(kept.work_id)
    assert (state.total, state.spent) == (micro(10), micro(1))
    note = orjson.loads((kept.folder / "note.json").read_bytes())
    commitment = hashlib.sha256(bytes.fromhex(note["salt"]) + rows.digest).digest()
    assert chain.contract("Works").call("getMetadata", kept.work_id, COMMITMENT_KEY) == commitment
    check_kept(chain, kept)


def test_nothing_of_a_row_is_in_the_store_and_the_rows_are_the_owners_alone(chain, store, owner, tmp_path):
    rows = table()
    kept = publish_dataset(chain, store, owner, tmp_path / "datasets", rows, read_policy(POLICY))
    assert stat.S_IMODE(kept.folder.stat().st_mode) == 0o700
    public = b"".join(path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.is_file())
    for row in rows.features[:50]:
        assert row.tobytes() not in public
        assert str(float(row[0])).encode() not in public


def test_rows_are_held_back_and_labels_stay_what_they_are(chain, store, owner, tmp_path):
    rows = table()
    kept = publish_dataset(chain, store, owner, tmp_path / "datasets", rows, read_policy(POLICY))
    assert kept.held_out is not None
    assert (len(kept.table), len(kept.held_out)) == (ROWS * 4 // 5, ROWS // 5)
    together = np.concatenate([kept.table.features, kept.held_out.features])
    assert np.array_equal(np.sort(together, axis=0), np.sort(rows.features, axis=0))
    kept.table.take(np.flatnonzero(kept.table.labels == 1)).save(kept.folder / "table.npz")
    assert set(kept_dataset(tmp_path / "datasets", kept.work_id).table.labels) == {1}


@pytest.mark.parametrize("step", ["_register", "_keep", "PrivacyBudget", "offer_uses"])
@pytest.mark.parametrize("before", [True, False])
def test_publishing_that_was_cut_off_goes_on_and_spends_once(
    chain, store, owner, tmp_path, monkeypatch, step, before
):
    class Cut(Exception):
        """The power goes."""

    done = getattr(publishing, step)

    def cut(*arguments, **options):
        if not before:
            done(*arguments, **options)
        raise Cut

    works = chain.contract("Works")
    count, home = int(works.call("total")), tmp_path / "datasets"
    with monkeypatch.context() as patched:
        patched.setattr(publishing, step, cut)
        with pytest.raises(Cut):
            publish_dataset(chain, store, owner, home, table(), read_policy(POLICY))
    kept = publish_dataset(chain, store, owner, home, table(), read_policy(POLICY))
    again = publish_dataset(chain, store, owner, home, table(), read_policy(POLICY))
    assert again.work_id == kept.work_id == count + 1
    assert int(works.call("total")) == count + 1
    assert kept_datasets(home) == [kept.work_id]
    assert PrivacyBudget(chain).of(kept.work_id).spent == micro(1)
    assert Terms(chain).offer_of(kept.work_id, Use.TRAIN) is not None


def test_too_few_rows_are_not_published(chain, store, owner, tmp_path):
    with pytest.raises(BadInput, match="blocks of 10 rows are more than there are"):
        publish_dataset(chain, store, owner, tmp_path, table(150), read_policy(POLICY))
    with pytest.raises(BadInput, match="too few to compute on"):
        publish_dataset(chain, store, owner, tmp_path, table(8), read_policy(POLICY))
    wrong = read_policy(POLICY.replace("[columns.age]", "[columns.height]"))
    with pytest.raises(BadInput, match="no column height"):
        publish_dataset(chain, store, owner, tmp_path, table(), wrong)


def test_data_that_are_not_here_or_of_another_network_are_not_taken_for_it(chain, store, owner, tmp_path):
    with pytest.raises(NotFound, match="not here"):
        kept_dataset(tmp_path, 1)
    kept = publish_dataset(chain, store, owner, tmp_path / "datasets", table(), read_policy(POLICY))
    other = publish_dataset(chain, store, owner, tmp_path / "datasets", table(seed=8), read_policy(POLICY))
    (kept.folder / "note.json").write_bytes((other.folder / "note.json").read_bytes())
    with pytest.raises(IntegrityError):
        check_kept(chain, kept)


def test_a_work_of_another_kind_is_no_dataset_of_this_market(store, chain, owner):
    from koinon.works.registration import Card, Registration  # noqa: PLC0415

    card = Card("artwork", "A song.", "Sung.", ("Low.",), "Ask.", unmeasured="A song.")
    with pytest.raises(BadInput, match="no dataset of this market"):
        document_of(store, Registration("Song", "A song.", card))


CHEAPER = (
    POLICY.replace('price = "5"', 'price = "4"').partition("[train]")[0] + POLICY[POLICY.index("[gate]") :]
)


@pytest.mark.parametrize("step", ["", "write_private", "offer_uses"])
def test_other_terms_count_from_now_on_and_what_was_bought_stays(
    chain, store, owner, new_account, tmp_path, monkeypatch, step
):
    class Cut(Exception):
        """The power goes."""

    def cut(*_arguments, **_options):
        raise Cut

    home, works, terms = tmp_path / "datasets", Works(chain, store), Terms(chain)
    kept = publish_dataset(chain, store, owner, home, table(), read_policy(POLICY), url="http://old.example")
    buyer = new_account()
    chain.sender(buyer).send(chain.coin.transaction("mint", buyer.address, 10 * COIN))
    offer = terms.offer_of(kept.work_id, Use.COMPUTE)
    assert offer is not None
    terms.buy(buyer, kept.work_id, Use.COMPUTE, offer)
    arguments = (chain, store, owner, home, kept.work_id, read_policy(CHEAPER))
    if step:
        with monkeypatch.context() as patched:
            patched.setattr(publishing, step, cut)
            with pytest.raises(Cut):
                change_terms(*arguments, url="http://new.example")
    changed = change_terms(*arguments, url="http://new.example")
    file = works.registration_of(kept.work_id).registration
    document = document_of(store, file)
    assert file.services[0].endpoint == "http://new.example"
    assert document.terms["compute"]["price"] == 4 * COIN
    assert "train" not in document.terms
    now = terms.offer_of(kept.work_id, Use.COMPUTE)
    assert now is not None
    assert (now.price, now.terms_digest) == (4 * COIN, document.terms_digest)
    assert terms.offer_of(kept.work_id, Use.TRAIN) is None
    assert terms.is_granted(kept.work_id, Use.COMPUTE, buyer.address)
    assert changed.policy.sales[Use.COMPUTE].price == 4
    check_kept(chain, changed)
    publish_dataset(chain, store, owner, home, table(), read_policy(POLICY))
    assert terms.offer_of(kept.work_id, Use.COMPUTE) == now


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("statistics_epsilon = 1.0", "statistics_epsilon = 0.5", "another statistics_epsilon"),
        ("bounds = [18, 98]", "bounds = [0, 98]", "another columns"),
        ("epsilon_total = 10.0", "epsilon_total = 11.0", "another epsilon_total"),
        ("max_blocks = 16", "max_blocks = 64", "blocks of 10 rows"),
    ],
)
def test_what_was_fixed_at_publishing_is_not_changed(chain, store, owner, tmp_path, old, new, said):
    kept = publish_dataset(chain, store, owner, tmp_path, table(), read_policy(POLICY))
    wanted = read_policy(POLICY.replace(old, new, 1))
    with pytest.raises(BadInput, match=said):
        change_terms(chain, store, owner, tmp_path, kept.work_id, wanted)


def test_leave_to_train_is_bought_at_the_front_door_and_is_what_learning_asks_for(
    chain, store, owner, new_account, tmp_path
):
    data = Data(chain, store, tmp_path / "data", owner)
    work_id = data.publish(table(), read_policy(POLICY)).work_id
    key = new_account()
    chain.sender(key).send(chain.coin.transaction("mint", key.address, 10 * COIN))
    buyer = Data(chain, store, tmp_path / "buyer", key)
    with pytest.raises(PaymentError):
        check_train_grant(chain, work_id, key.address)
    with pytest.raises(PaymentError, match="at most"):
        buyer.buy(work_id, Use.TRAIN, most=7 * COIN - 1)
    with pytest.raises(PaymentError, match="not for sale"):
        buyer.buy(work_id, Use.DOWNLOAD, most=7 * COIN)
    buyer.buy(work_id, Use.TRAIN, most=7 * COIN)
    check_train_grant(chain, work_id, key.address)
    with pytest.raises(PaymentError):
        check_train_grant(chain, work_id, owner.address)
    assert data.give(work_id, Use.TRAIN, owner.address)
    check_train_grant(chain, work_id, owner.address)
    seen = buyer.dataset(work_id)
    assert (seen.here, data.dataset(work_id).here) == (False, True)
    with pytest.raises(NotFound, match="Nobody says where"):
        buyer.node_url(work_id)
    with pytest.raises(NotFound, match="No dataset lies here"):
        buyer.serve()
