# SPDX-License-Identifier: Apache-2.0
"""The ledger never grants more than a mandate allows, whoever asks, crashes or sets the clock."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from koinon.errors import NotFound, PaymentError, SetupError
from koinon.services.mandates.account import MandateAccount
from koinon.services.mandates.ledger import FILE_NAME, SpendingLedger
from tests.services.mandates import payee, signed

DAY = 86_400
CHANNEL = b"\7" * 32

SPENDER = """
import sys
from pathlib import Path
from koinon.errors import PaymentError
from koinon.services.mandates.mandate import SignedMandate
from koinon.services.mandates.account import MandateAccount
from koinon.services.mandates.ledger import SpendingLedger
from tests.services.mandates import payee

account = MandateAccount(SpendingLedger(Path(sys.argv[1])), SignedMandate.load(Path(sys.argv[2])))
print("ready", flush=True)
sys.stdin.readline()
while True:
    try:
        print(account.voucher(payee(), bytes([7]) * 32, 0, 10), flush=True)
    except PaymentError as error:
        print(error.code, flush=True)
        break
"""


@pytest.fixture
def time_now():
    return [100.0 * DAY]


@pytest.fixture
def open_account(tmp_path, time_now):
    def opened(**fields):
        fields.setdefault("nonce", bytes(32))
        ledger = SpendingLedger(tmp_path, clock=lambda: time_now[0])
        return MandateAccount(ledger, signed(**fields)), ledger

    return opened


def refused(code, act, *arguments):
    with pytest.raises(PaymentError) as error:
        act(*arguments)
    assert error.value.code == f"mandate.{code}"


def test_each_cap_holds_and_nothing_refused_is_counted(open_account):
    account, _ = open_account(total=100, per_day=60, per_counterparty=50)
    assert [account.voucher(payee(), CHANNEL, 0, 20) for _ in range(2)] == [20, 40]
    refused("per_counterparty", account.voucher, payee(), CHANNEL, 0, 20)
    other = payee(owner="0x" + "44" * 20)
    account.reserve(other, 20, b"\1" * 32, 0)
    refused("per_day", account.reserve, other, 1, b"\2" * 32, 0)
    assert account.spent.signed == account.spent.today == 60
    assert account.left(other) == 0


def test_a_day_by_utc_frees_the_days_cap_and_the_total_holds(open_account, time_now):
    account, _ = open_account(total=100, per_day=60)
    account.voucher(payee(), CHANNEL, 0, 60)
    time_now[0] += DAY
    account.voucher(payee(), CHANNEL, 0, 40)
    time_now[0] += DAY
    refused("total", account.voucher, payee(), CHANNEL, 0, 1)


def test_a_clock_that_is_set_back_and_forth_opens_no_day_twice(open_account, time_now):
    account, _ = open_account(total=1000, per_day=60)
    account.voucher(payee(), CHANNEL, 0, 60)
    time_now[0] -= DAY
    account.voucher(payee(), CHANNEL, 0, 60)
    for days in (1, -1, 1):
        time_now[0] += days * DAY
        refused("per_day", account.voucher, payee(), CHANNEL, 0, 1)


def test_a_transfer_counts_once_however_often_it_is_tried(open_account):
    account, _ = open_account(total=100)
    for _ in range(5):
        account.reserve(payee(), 60, b"\1" * 32, 50)
    account.reserve(payee(), 70, b"\1" * 32, 40)
    assert account.spent.signed == 70
    assert [each.until for each in account.open_transfers()] == [50]
    refused("nonce", account.reserve, payee(owner="0x" + "44" * 20), 1, b"\1" * 32, 0)


def test_a_release_frees_once_and_never_what_was_made(open_account):
    account, _ = open_account(total=100)
    account.reserve(payee(), 60, b"\1" * 32, 0)
    account.reserve(payee(), 40, b"\2" * 32, 0)
    account.commit(b"\1" * 32)
    for _ in range(2):
        account.release(b"\1" * 32)
        account.release(b"\2" * 32)
        account.release(b"\3" * 32)
    assert account.spent.signed == 60
    assert account.spent.today == 100, "the day's cap limits the speed, and is not freed"
    account.reserve(payee(), 40, b"\2" * 32, 0)
    assert account.spent.signed == 100


def test_a_closed_channel_gives_back_what_was_not_taken_and_its_vouchers_count_if_it_is_filled_again(
    open_account,
):
    account, _ = open_account(total=100)
    for _ in range(6):
        account.voucher(payee(), CHANNEL, 0, 10)
    account.closed(CHANNEL, 20)
    assert account.spent.signed == 20
    refused("total", account.voucher, payee(), CHANNEL, 20, 50)
    assert account.voucher(payee(), CHANNEL, 20, 10) == 70
    assert account.spent.signed == 70
    account.closed(CHANNEL, 20)
    account.again(payee(), CHANNEL, 30)
    assert account.spent.signed == 70, "whoever fills the channel opens it to its highest voucher"
    account.closed(b"\5" * 32, 0)


def test_what_the_key_signed_elsewhere_is_no_use_of_this_mandate(open_account):
    account, _ = open_account(total=100)
    assert account.voucher(payee(), CHANNEL, 500, 10) == 510
    assert account.voucher(payee(), CHANNEL, 900, 10) == 910
    assert account.spent.signed == 20
    account.closed(CHANNEL, 0)
    assert account.spent.signed == 0


def test_a_stopped_mandate_grants_nothing_in_any_process(open_account):
    account, ledger = open_account()
    account.voucher(payee(), CHANNEL, 0, 10)
    other, elsewhere = open_account()
    elsewhere.stop(other.id)
    assert ledger.is_stopped(account.id)
    refused("stopped", account.voucher, payee(), CHANNEL, 0, 10)
    refused("stopped", account.again, payee(), CHANNEL, 10)
    refused("stopped", account.reserve, payee(), 1, b"\1" * 32, 0)
    with pytest.raises(NotFound):
        ledger.is_stopped(bytes(32))


def test_a_damaged_ledger_grants_nothing(tmp_path):
    (tmp_path / FILE_NAME).write_bytes(b"no database" * 1000)
    with pytest.raises(SetupError):
        SpendingLedger(tmp_path)


def spender(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SPENDER, str(folder), str(folder / "mandate.json")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )


def test_processes_together_never_overspend_even_when_one_is_killed(tmp_path):
    chosen = signed(total=1000)
    chosen.save(tmp_path / "mandate.json")
    processes = [spender(tmp_path) for _ in range(3)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    victim = processes[0]
    assert victim.stdout is not None
    first = victim.stdout.readline()
    victim.send_signal(signal.SIGKILL)
    rest, _ = victim.communicate()
    granted = [line for line in (first, *rest.splitlines()) if line.strip().isdigit()]
    for process in processes[1:]:
        said, _ = process.communicate()
        *numbers, last = said.splitlines()
        assert last == "mandate.total"
        granted += numbers
    amounts = [int(line) for line in granted]
    assert len(amounts) == len(set(amounts)), "no two processes sign the same voucher"
    assert max(amounts) <= 1000
    assert MandateAccount(SpendingLedger(tmp_path), chosen).spent.signed == 1000


class Accounts(RuleBasedStateMachine):
    """Several buyers with handles of their own grant, release, close and crash, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.now = 100.0 * DAY
        self.chosen = signed(total=500, per_day=200, per_counterparty=300, nonce=bytes(32))
        self.handles = [self.open() for _ in range(2)]
        self.vouchers: dict[bytes, int] = {}
        self.claimed: dict[bytes, int] = {}
        self.open_channels: set[bytes] = set()
        self.granted_on: dict[int, int] = {}

    def open(self) -> tuple[MandateAccount, SpendingLedger]:
        ledger = SpendingLedger(self.folder, clock=lambda: self.now)
        return MandateAccount(ledger, self.chosen), ledger

    def teardown(self) -> None:
        for _, ledger in self.handles:
            ledger.close()
        shutil.rmtree(self.folder)

    def grant(self, act, *arguments):
        before = self.handles[0][0].spent.signed
        try:
            found = act(*arguments)
        except PaymentError:
            assert self.handles[0][0].spent.signed == before
            return None
        day = int(self.now // DAY)
        self.granted_on[day] = self.granted_on.get(day, 0) + self.handles[0][0].spent.signed - before
        return found

    @rule(who=st.integers(0, 1), channel=st.integers(0, 2), price=st.integers(1, 60))
    def voucher(self, who, channel, price):
        name = bytes((channel,)) * 32
        above = self.claimed.get(name, 0)
        amount = self.grant(self.handles[who][0].voucher, payee(owner=owner_of(channel)), name, above, price)
        if amount is not None:
            assert amount > self.vouchers.get(name, 0), "a voucher is higher than any before"
            self.vouchers[name] = amount
            self.open_channels.add(name)

    @rule(who=st.integers(0, 1), nonce=st.integers(0, 3), amount=st.integers(1, 60))
    def reserve(self, who, nonce, amount):
        name = bytes((nonce,)) * 32
        self.grant(self.handles[who][0].reserve, payee(owner=owner_of(nonce)), amount, name, 0)

    @rule(who=st.integers(0, 1), nonce=st.integers(0, 3), made=st.booleans())
    def settle(self, who, nonce, made):
        name = bytes((nonce,)) * 32
        if made:
            self.handles[who][0].commit(name)
        else:
            self.handles[who][0].release(name)

    @precondition(lambda self: self.open_channels)
    @rule(who=st.integers(0, 1), data=st.data())
    def close(self, who, data):
        name = data.draw(st.sampled_from(sorted(self.open_channels)))
        taken = data.draw(st.integers(self.claimed.get(name, 0), self.vouchers[name]))
        self.claimed[name] = taken
        self.open_channels.discard(name)
        self.handles[who][0].closed(name, taken)

    @rule(who=st.integers(0, 1))
    def crash(self, who):
        self.handles[who][1].close()
        self.handles[who] = self.open()

    @rule(days=st.integers(-1, 2))
    def set_clock(self, days):
        self.now += days * DAY

    @invariant()
    def the_caps_hold(self):
        spent = self.handles[0][0].spent
        assert 0 <= spent.signed <= 500
        assert all(0 <= amount <= 300 for amount in spent.by_owner.values())
        assert sum(spent.by_owner.values()) == spent.signed
        assert all(amount <= 200 for amount in self.granted_on.values())

    @invariant()
    def what_was_taken_is_counted(self):
        assert sum(self.claimed.values()) <= self.handles[0][0].spent.signed

    @invariant()
    def both_handles_see_the_same(self):
        assert self.handles[0][0].spent == self.handles[1][0].spent


def owner_of(number: int) -> str:
    return "0x" + ("55" if number % 2 else "66") * 20


TestAccounts = Accounts.TestCase
TestAccounts.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
