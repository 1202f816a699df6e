# SPDX-License-Identifier: Apache-2.0
"""Attacks on the hall, each named after what the attacker tries. None of them may work."""

from __future__ import annotations

from typing import Any

import boa
import pytest

from koinon.works.shares import OWNER, WHOLE, ShareTable, leaf_hash, node_hash
from tests.contracts_support import ETH, account, deploy_hall, deploy_mock, fresh_chain, give_eth, key
from tests.works.contracts.channels_support import Bank, Reverted, rows
from tests.works.contracts.test_committee import (
    CHANGE,
    DEPOSIT,
    DRAW,
    HOUR,
    JURORS,
    LONG,
    SALT,
    SEAT_STAKE,
    SEATS,
    UPHOLD,
    VICTIM,
    Court,
    timestamp,
)

ENDLESS = 2**256 - 1


@pytest.fixture(scope="module")
def the_court():
    with fresh_chain():
        yield Court()


@pytest.fixture
def court(the_court):
    with fresh_chain():
        yield the_court


def _party(court: Court, name: str) -> str:
    """An account with tokens that both contracts may take."""
    party = account(name)
    court.token.mint(party, 100_000)
    for spender in (court.bonds, court.committee):
        court.token.approve(spender, ENDLESS, sender=party)
    return party


def _refusal(call: Any, *arguments: Any, **options: Any) -> str | None:
    """Why a call is refused, if it is."""
    try:
        call(*arguments, **options)
    except boa.BoaError as error:
        return str(error.stack_trace.last_frame.pretty_vm_reason)
    return None


def _dispute(court: Court, poster: str, challenger: str, ruling_s: int = LONG) -> int:
    """A worthless bond and a challenge of it, both the attacker's own."""
    bond = court.bonds.post(
        court.token, 1, court.committee.address, SALT, timestamp() + LONG, 0, 0, ruling_s, sender=poster
    )
    return int(court.bonds.challenge(bond, SALT, sender=challenger))


def test_worthless_cases_lock_honest_stakes_so_that_one_juror_holds_every_seat(court):
    """A juror is never drawn for its own cases: it opens enough of them to lock everybody else.

    With a fifth of the stake it would hold every seat, always; the case has to wait, or be drawn fairly.
    """
    attacker = _party(court, "capturing juror")
    court.staked(520, 520, 520, 520)
    court.committee.stake(520, sender=attacker)
    target = court.case()
    spam = [
        int(court.committee.open_case(_dispute(court, attacker, attacker), 1, attacker, 0, sender=attacker))
        for _ in range(4)
    ]
    court.seeded(JURORS[:3])
    refusals = [reason for case in (*spam, target) if (reason := _refusal(court.committee.draw, case))]
    assert refusals
    assert set(refusals) == {"too many jurors are busy"}
    assert court.seats(target, attacker) <= SEATS // 2


def test_honest_jurors_whose_stakes_are_locked_cannot_commit_seeds(court):
    """Then only the attacker's seeds would count, and it would know the draw before it is made."""
    court.staked(*[5 * SEAT_STAKE + DEPOSIT - 1] * 3)
    cases = [court.case() for _ in range(3)]
    court.seeded(JURORS[:2])
    drawn = [case for case in cases if _refusal(court.committee.draw, case) is None]
    assert drawn
    court.pass_phase()
    court.seeded(JURORS[:3])
    assert court.committee.seeds_revealed(2) == 3


def test_a_bond_in_a_token_without_end_stops_the_verdict_and_locks_the_jurors(court):
    """Credit beyond 2**256 would make every ruling revert, for ever where the deadline never comes."""
    attacker = _party(court, "overflowing party")
    token = deploy_mock("StakeToken")
    token.approve(court.bonds, ENDLESS, sender=attacker)

    def bond(judge: str, amount: int, counter_stake: int = 0, ruling_s: int = 1) -> int:
        token.eval(f"self.balanceOf[{attacker}] = {amount} + {counter_stake}")
        token.eval(f"self.balanceOf[{court.bonds.address}] = 0")
        terms = (SALT, timestamp() + LONG, 0, counter_stake, ruling_s)
        return int(court.bonds.post(token, amount, judge, *terms, sender=attacker))

    for amount, counter_stake in ((ENDLESS, 0), (2**128, 0), (1, 2**128)):
        with boa.reverts("amount too large"):
            bond(attacker, amount, counter_stake)
    most = 2**128 - 1
    for account_ in (VICTIM, attacker):
        filled = bond(attacker, most)
        court.bonds.slash(filled, [(account_, most)], sender=attacker)
    judged = bond(court.committee.address, 100, most, 2**64 - 1)
    with boa.reverts("amount too large"):
        court.bonds.top_up(judged, 2**128, sender=attacker)
    token.approve(court.bonds, ENDLESS, sender=attacker)
    dispute = court.bonds.challenge(judged, SALT, sender=attacker)
    court.staked(1000, 1000, 1000)
    case = int(court.committee.open_case(dispute, 100, VICTIM, 0, sender=attacker))
    court.vote(case, dict.fromkeys(court.drawn(case), UPHOLD))
    court.committee.conclude(case)
    assert all(court.committee.juror_of(juror)[1] == 0 for juror in JURORS)
    assert court.bonds.credit(token, VICTIM) == most + 100


def test_a_bond_leaves_the_committee_no_time_to_rule(court):
    """A time to rule that ends in the very second the votes are counted is no time: the case is refused."""
    court.staked(1000, 1000, 1000)
    court.go_to(DRAW)
    court.go_to(CHANGE)
    with boa.reverts("no time left for a verdict"):
        court.case(ruling_s=7 * HOUR - 1)
    case = court.case(ruling_s=7 * HOUR)
    court.vote(case, dict.fromkeys(court.drawn(case), UPHOLD))
    boa.env.time_travel(seconds=HOUR)
    court.committee.conclude(case)
    assert court.bonds.credit(court.token, VICTIM) == 500


# --- tills -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def the_hall():
    with fresh_chain():
        yield deploy_hall()


@pytest.fixture
def hall(the_hall):
    with fresh_chain():
        yield the_hall


@pytest.fixture
def owner():
    return account("owner")


def test_sums_that_wrap_around_64_bits_prove_more_than_the_whole(hall, owner):
    greedy, more = account("greedy"), 2 * WHOLE
    rest = (b"\x07" * 32, 2**64 - WHOLE, False)
    root = node_hash(leaf_hash(greedy, more), more, rest[0], rest[1])
    till = hall.till(hall.publish(owner))
    till.write_root(root, [], sender=owner)
    give_eth(till.address, 1000)
    with boa.reverts("sum is not the whole"):
        till.release(ETH, greedy, more, [rest], sender=greedy)
    assert boa.env.get_balance(till.address) == 1000


def test_a_payee_with_two_leaves_takes_from_the_others(hall, owner):
    """Its greater leaf is what it gets, in whatever order; nobody else's part shrinks."""
    twice, other = account("named twice", 0), account("named once", 0)
    small, great = leaf_hash(twice, 200_000_000), leaf_hash(twice, 300_000_000)
    both = node_hash(small, 200_000_000, great, 300_000_000)
    single = leaf_hash(other, 500_000_000)
    till = hall.till(hall.publish(owner))
    till.write_root(node_hash(both, 500_000_000, single, 500_000_000), [], sender=owner)
    give_eth(till.address, 1000)
    last = (single, 500_000_000, False)
    paths = {
        200_000_000: [(great, 300_000_000, False), last],
        300_000_000: [(small, 200_000_000, True), last],
    }
    paid = [
        till.release(ETH, twice, share, paths[share]) for share in (200_000_000, 300_000_000, 200_000_000)
    ]
    assert paid == [200, 100, 0]
    assert till.release(ETH, other, 500_000_000, [(both, 500_000_000, True)]) == 500


def test_one_parents_leaf_is_shown_in_place_of_anothers(hall, owner):
    parents = [hall.publish(owner), hall.publish(owner)]
    child = hall.publish(owner, [(parent, 100_000_000, b"") for parent in parents])
    first, second = (str(hall.works.till_of(parent)) for parent in parents)
    table = ShareTable({first: 200_000_000, OWNER: 800_000_000})
    till = hall.till(child)
    proof = table.proof(first)
    for proofs in ([proof, proof], [proof], [proof, proof, proof], []):
        with boa.reverts():
            till.write_root(table.root, proofs, sender=owner)
    honest = ShareTable({first: 100_000_000, second: 100_000_000, OWNER: 800_000_000})
    with boa.reverts("proof does not fit the root"):
        till.write_root(honest.root, [honest.proof(second), honest.proof(first)], sender=owner)
    till.write_root(honest.root, [honest.proof(first), honest.proof(second)], sender=owner)


# --- signatures ------------------------------------------------------------------------------------------

ECHO = """
# pragma version 0.4.3
@external
@raw_return
def __default__() -> Bytes[256]:
    return slice(msg.data, 0, 160)
"""
LOOSE = """
# pragma version 0.4.3
@external
@raw_return
def __default__() -> Bytes[32]:
    return concat(0x1626ba7e, 0x00000000000000000000000000000000000000000000000000000001)
"""


@pytest.mark.parametrize("source", [ECHO, LOOSE])
def test_a_contract_that_answers_anything_passes_for_a_signer(hall, owner, source):
    """An account that sends its calldata back, or the magic value with more behind it, has signed nothing."""
    wallet = boa.loads(source)
    work, deadline = hall.publish(owner), boa.env.timestamp + 60
    with boa.reverts("invalid wallet sig"):
        hall.works.setAgentWallet(work, wallet.address, deadline, b"", sender=owner)


def test_an_account_with_delegated_code_disowns_its_keys_permission(hall, owner):
    """By EIP-7702 a key may carry code that agrees to nothing; what the key signed still counts."""
    parent, publisher = hall.publish(owner), account("publisher")
    deadline = boa.env.timestamp + 60
    permission = hall.permission(parent, key("owner"), publisher, 5, deadline)
    boa.env.set_code(owner, deploy_mock("ContractWallet", bytes(4)).bytecode)
    child = hall.publish(publisher, [(parent, 5, permission)])
    assert hall.works.parents_of(child) == [(parent, 5)]


# --- channels --------------------------------------------------------------------------------------------


def _words(data: bytes) -> list[bytes]:
    return [data[i : i + 32] for i in range(4, len(data), 32)]


def test_one_voucher_counts_twice_through_offsets_that_overlap():
    """Two entries of the table of offsets point to one row; rows begin within others."""
    with fresh_chain():
        bank = Bank()
        config = bank.config()
        channel_id = bank.deposit(config, 1000)
        data = bank.channels.data("claim", rows(bank.claim_of(config, 10)))
        words = _words(data)
        for wrapping in (2**256 - 32, 2**256 - 4, 2**256 - 36, 2**256 - 68, 2**256 - 320):
            for position in (0, 2, 11):
                wrong = [*words]
                wrong[position] = wrapping.to_bytes(32, "big")
                with pytest.raises(Reverted):
                    bank.channels.raw(data[:4] + b"".join(wrong), sender=bank.gateway)
        two, start = (2).to_bytes(32, "big"), (64).to_bytes(32, "big")
        overlapping = [words[0], two, start, start, *words[3:]]
        bank.channels.raw(data[:4] + b"".join(overlapping), sender=bank.gateway)
        assert bank.channels("channels", channel_id) == (1000, 10)
        assert bank.channels("receivers", bank.till, bank.coin.address) == (10, 0)
