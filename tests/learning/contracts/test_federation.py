# SPDX-License-Identifier: Apache-2.0
"""The record of a run: who may write, in which order, and what the model's Work is at the end."""

from __future__ import annotations

import boa
import pytest

from koinon.chain.eip712 import digest
from koinon.learning.messages import CONSENT, federation_domain
from koinon.works.shares import OWNER, ShareTable
from tests.contracts_support import ETH, account, deploy, deploy_mock, events, fresh_chain, give_eth
from tests.learning.contracts.federation_support import (
    CONTRIBUTIONS,
    JUDGE,
    LATER,
    MODEL,
    RECIPE,
    TEST,
    UPDATES,
    Record,
)


@pytest.fixture(autouse=True)
def chain():
    with fresh_chain():
        yield


@pytest.fixture
def record():
    return Record()


@pytest.fixture
def ready(record):
    """A run with two members and one recorded round."""
    run_id = record.open()
    record.join(run_id, "bank", "shop")
    record.record(run_id, 1, 0b11)
    return record, run_id


SHARES = {"bank": 500_000_000, "shop": 300_000_000}


def test_finishing_publishes_pays_and_hands_over(ready):
    record, run_id = ready
    work_id = record.finish(run_id, SHARES)
    works = record.hall.works
    assert works.ownerOf(work_id) == record.opener
    assert works.tokenURI(work_id) == "ipfs://model"
    assert works.getAgentWallet(work_id) == "0x" + "00" * 20
    assert [parent[0] for parent in works.parents_of(work_id)] == [
        record.dataset("bank"),
        record.dataset("shop"),
    ]
    assert works.royaltyInfo(work_id, 10_000) == (works.till_of(work_id), 250)
    finished = events(record.contract, "RunFinished")[0]
    assert (finished["work_id"], finished["model"], finished["contributions"]) == (
        work_id,
        MODEL,
        CONTRIBUTIONS,
    )
    found = record.contract.run(run_id)
    assert (found.work_id, found.round, found.participants) == (work_id, 1, 3)

    till = record.hall.till(work_id)
    give_eth(till.address, 10**18)
    tills = {role: works.till_of(record.dataset(role)) for role in SHARES}
    table = ShareTable({tills["bank"]: 500_000_000, tills["shop"]: 300_000_000, OWNER: 200_000_000})
    for role, address in tills.items():
        till.release(ETH, address, *table.proof(address))
        assert boa.env.get_balance(address) == 10**18 * SHARES[role] // 10**9
    before = boa.env.get_balance(record.opener)
    till.release(ETH, OWNER, *table.proof(OWNER), sender=record.opener)
    assert boa.env.get_balance(record.opener) - before == 2 * 10**17
    assert boa.env.get_balance(till.address) == 0


def test_only_those_who_took_part_are_parents(record):
    run_id = record.open()
    record.join(run_id, "bank", "shop", "absent")
    record.record(run_id, 1, 0b01)
    record.record(run_id, 2, 0b10)
    work_id = record.finish(run_id, SHARES)
    assert len(record.hall.works.parents_of(work_id)) == 2


def test_a_minimum_share_is_kept(record):
    run_id = record.open()
    record.join(run_id, "bank", "shop", share=300_000_000)
    record.record(run_id, 1, 0b11)
    with boa.reverts("share below the promise"):
        record.finish(run_id, {"bank": 500_000_001, "shop": 299_999_999}, 300_000_000)
    work_id = record.finish(run_id, SHARES, 300_000_000)
    assert [parent[1] for parent in record.hall.works.parents_of(work_id)] == [300_000_000] * 2


def test_opening_leaves_what_was_announced(record):
    run_id = record.open()
    opened = events(record.contract, "RunOpened")[0]
    assert (opened["opener"], opened["recipe"], opened["owners_share"]) == (
        record.opener,
        RECIPE,
        800_000_000,
    )
    assert record.contract.run(run_id).contribution_set == JUDGE
    assert record.contract.run(run_id + 1).opener == "0x" + "00" * 20
    assert record.open() == run_id + 1 == record.contract.total()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((bytes(32), JUDGE, TEST, 1, 1), "no recipe"),
        ((RECIPE, bytes(32), TEST, 1, 1), "no contribution set"),
        ((RECIPE, JUDGE, JUDGE, 1, 1), "the two sets must differ"),
        ((RECIPE, JUDGE, TEST, 0, 1), "no rounds"),
        ((RECIPE, JUDGE, TEST, 1, 0), "share out of range"),
        ((RECIPE, JUDGE, TEST, 1, 10**9 + 1), "share out of range"),
    ],
)
def test_an_impossible_run_is_not_opened(record, arguments, reason):
    with boa.reverts(reason):
        record.contract.open(*arguments)


def test_only_the_opener_writes(ready):
    record, run_id = ready
    stranger = account("stranger")
    for call in (
        lambda: record.contract.join(run_id, [], sender=stranger),
        lambda: record.contract.record_round(run_id, 2, UPDATES, MODEL, 1, sender=stranger),
        lambda: record.contract.finish(*record.finish_arguments(run_id, SHARES), sender=stranger),
        lambda: record.contract.record_round(99, 1, UPDATES, MODEL, 1, sender=record.opener),
    ):
        with boa.reverts("only the run's opener"):
            call()


def test_owners_join_until_the_run_is_finished(ready):
    record, run_id = ready
    record.join(run_id, "late")
    record.record(run_id, 2, 0b100)
    record.finish(run_id, {"bank": 400_000_000, "shop": 300_000_000, "late": 100_000_000})
    with boa.reverts("run is finished"):
        record.join(run_id, "later")


def test_nobody_joins_twice_or_unasked(record):
    run_id = record.open()
    record.join(run_id, "bank")
    with boa.reverts("joined already"):
        record.join(run_id, "bank")
    work_id = record.dataset("shop")
    good = record.consent(run_id, work_id, "shop")
    wrong = {
        "owner not asked": (work_id, 0, LATER, b""),
        "consent expired": (work_id, 0, 1, record.consent(run_id, work_id, "shop", deadline=1)),
        "consent not signed by the owner": (work_id, 0, LATER, record.consent(run_id, work_id, "bank")),
    }
    for reason, joining in wrong.items():
        with boa.reverts(reason):
            record.contract.join(run_id, [joining], sender=record.opener)
    other = record.open()
    for run, joining in ((other, (work_id, 0, LATER, good)), (run_id, (work_id, 1, LATER, good))):
        with boa.reverts("consent not signed by the owner"):
            record.contract.join(run, [joining], sender=record.opener)


def test_the_opener_needs_no_consent_for_its_own_dataset(record):
    run_id, work_id = record.open(), record.dataset("opener")
    record.contract.join(run_id, [(work_id, 0, 0, b"")], sender=record.opener)
    joined = events(record.contract, "OwnerJoined")[0]
    assert (joined["work_id"], joined["owner"], joined["member"]) == (work_id, record.opener, 0)
    assert record.contract.members_of(run_id)[0].work_id == work_id


def test_a_dataset_that_does_not_exist_cannot_join(record):
    run_id = record.open()
    with boa.reverts():
        record.contract.join(
            run_id, [(999, 0, LATER, record.consent(run_id, 999, "bank"))], sender=record.opener
        )


def test_minimum_shares_must_fit_the_owners_share(record):
    run_id = record.open(owners_share=500)
    with boa.reverts("minimum shares above the owners' share"):
        record.join(run_id, "bank", "shop", share=251)
    record.join(run_id, "bank", "shop", share=250)
    with boa.reverts("minimum shares above the owners' share"):
        record.join(run_id, "late")


def test_at_most_sixteen_take_part(record):
    run_id = record.open()
    works = [record.hall.publish(record.opener) for _ in range(17)]
    record.contract.join(run_id, [(work, 0, 0, b"") for work in works[:16]], sender=record.opener)
    with boa.reverts("too many members"):
        record.contract.join(run_id, [(works[16], 0, 0, b"")], sender=record.opener)
    record.record(run_id, 1, 2**16 - 1)
    with boa.reverts("participant did not join"):
        record.record(run_id, 2, 2**16)


@pytest.mark.parametrize(
    ("number", "participants", "model", "reason"),
    [
        (1, 1, MODEL, "rounds go in order"),
        (3, 1, MODEL, "rounds go in order"),
        (2, 0, MODEL, "nobody took part"),
        (2, 0b100, MODEL, "participant did not join"),
        (2, 2**255, MODEL, "participant did not join"),
        (2, 1, bytes(32), "no model"),
    ],
)
def test_a_round_out_of_order_or_without_members_is_refused(ready, number, participants, model, reason):
    record, run_id = ready
    with boa.reverts(reason):
        record.contract.record_round(run_id, number, UPDATES, model, participants, sender=record.opener)


def test_no_more_rounds_than_planned(record):
    run_id = record.open(rounds=1)
    record.join(run_id, "bank")
    record.record(run_id, 1, 1)
    with boa.reverts("more rounds than planned"):
        record.record(run_id, 2, 1)


def test_a_run_finishes_once_and_after_a_round(ready):
    record, run_id = ready
    fresh = record.open()
    record.join(fresh, "bank", "shop")
    with boa.reverts("no round yet"):
        record.finish(fresh, SHARES)
    record.finish(run_id, SHARES)
    with boa.reverts("run is finished"):
        record.finish(run_id, SHARES)
    with boa.reverts("run is finished"):
        record.record(run_id, 2, 1)


def test_owners_cannot_be_left_out_or_paid_less_together(ready):
    record, run_id = ready
    with boa.reverts("one entry a parent"):
        record.finish(run_id, {"bank": 800_000_000})
    with boa.reverts("one entry a parent"):
        record.finish(run_id, {"bank": 500_000_000, "shop": 200_000_000, "stranger": 100_000_000})
    with boa.reverts("not the owners' share"):
        record.finish(run_id, {"bank": 500_000_000, "shop": 299_999_999})
    swapped = record.finish_arguments(run_id, {"shop": 300_000_000, "bank": 500_000_000})
    with boa.reverts("permission not signed by the parent's owner"):
        record.contract.finish(*swapped, sender=record.opener)


def test_a_root_that_does_not_hold_the_proofs_is_refused(ready):
    record, run_id = ready
    arguments = record.finish_arguments(run_id, SHARES)
    arguments[5] = record.finish_arguments(run_id, {"bank": 400_000_000, "shop": 400_000_000})[5]
    with boa.reverts("proof does not fit the root"):
        record.contract.finish(*arguments, sender=record.opener)


def test_a_parent_that_changed_its_mind_can_close(ready):
    record, run_id = ready
    record.hall.works.set_parent_rule(record.dataset("bank"), 2, 0, sender=account("bank"))
    with boa.reverts("parent is closed"):
        record.finish(run_id, SHARES)


def test_it_takes_no_tokens_but_the_one_it_publishes(record):
    work_id = record.dataset("bank")
    with boa.reverts("takes no tokens"):
        record.hall.works.safeTransferFrom(
            account("bank"), record.contract.address, work_id, sender=account("bank")
        )
    with boa.reverts("takes no tokens"):
        record.contract.onERC721Received(account("bank"), account("bank"), 1, b"")


def test_it_needs_a_register():
    with boa.reverts("no works"):
        deploy("learning", "Federation", account("nobody"))


def test_a_contract_owner_consents_by_erc1271(record):
    run_id, work_id = record.open(), record.dataset("bank")
    wallet = deploy_mock("ContractWallet", bytes.fromhex("1626ba7e"))
    record.hall.works.transferFrom(account("bank"), wallet.address, work_id, sender=account("bank"))
    joining = (work_id, 0, LATER, b"any words")
    with boa.reverts("consent not signed by the owner"):
        record.contract.join(run_id, [joining], sender=record.opener)
    domain = federation_domain(record.chain_id, record.contract.address)
    wallet.agree(digest(domain, CONSENT.hash(run_id, work_id, 0, LATER)))
    record.contract.join(run_id, [joining], sender=record.opener)
    assert events(record.contract, "OwnerJoined")[0]["owner"] == wallet.address


def test_its_domain_is_the_one_owners_sign_for(record):
    fields, name, version, chain_id, address, _, _ = record.contract.eip712Domain()
    assert (fields, name, version, chain_id) == (b"\x0f", "Koinon Federation", "1", record.chain_id)
    assert address == record.contract.address
