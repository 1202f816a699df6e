# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from koinon.errors import SetupError
from koinon.services.gateway.journal import KEEP_CALLS_S, Journal
from koinon.services.gateway.journal_lock import in_use
from koinon.services.gateway.journal_records import CallRecord, TransferRecord, Watermark

BIG = 2**128 - 1


def test_what_is_committed_is_there_after_reopening(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite")
    number = journal.open_channel(b"\1" * 32, 7, b'{"payer":"0x"}')
    journal.commit([(number, Watermark(30, 50, 40, b"s" * 65))], [(number, CallRecord(b"key", b"d" * 32))])
    journal.commit([(number, Watermark(40, BIG, 50, b"t" * 65))])
    journal.close()

    journal = Journal(tmp_path / "journal.sqlite")
    (found,) = journal.channels()
    assert (found.number, found.channel_id, found.work_id) == (number, b"\1" * 32, 7)
    assert found.watermark == Watermark(40, BIG, 50, b"t" * 65)
    assert journal.call(number, b"key") == CallRecord(b"key", b"d" * 32)
    assert journal.call(number, b"other") is None
    assert journal.open_channel(b"\1" * 32, 7, b"") == number
    journal.forget_channel(number)
    assert journal.channels() == []
    journal.close()


def test_transfers_are_marked_as_answered(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite")
    record = TransferRecord("0xpayer", b"n" * 32, 7, b"d" * 32, 1000, None, False)
    assert journal.transfer("0xpayer", b"n" * 32) is None
    journal.save_transfer(record)
    assert journal.transfer("0xpayer", b"n" * 32) == record
    journal.save_transfer(TransferRecord("0xpayer", b"n" * 32, 7, b"d" * 32, 1000, "0xhash", True))
    found = journal.transfer("0xpayer", b"n" * 32)
    assert found is not None
    assert found.answered
    journal.close()


def test_old_calls_are_forgotten_on_opening(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite")
    number = journal.open_channel(b"\1" * 32, 7, b"")
    journal.commit([], [(number, CallRecord(b"old", b""))], at=1_000_000)
    journal.commit([], [(number, CallRecord(b"new", b""))])
    journal.close()
    assert KEEP_CALLS_S > 0
    journal = Journal(tmp_path / "journal.sqlite")
    assert journal.call(number, b"old") is None
    assert journal.call(number, b"new") is not None
    journal.close()


def test_a_failed_transaction_leaves_nothing_half_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite")
    number = journal.open_channel(b"\1" * 32, 7, b"")
    journal.commit([(number, Watermark(1, 1, 1, b""))])
    with pytest.raises(OverflowError):
        journal.commit([(number, Watermark(2, 2, 2, b"")), (number, Watermark(BIG + 1, 2, 2, b""))])
    assert journal.channels()[0].watermark.charged == 1
    journal.close()


def test_one_process_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    assert not in_use(path)
    journal = Journal(path)
    assert in_use(path)
    with pytest.raises(SetupError) as refused:
        Journal(path)
    assert refused.value.code == "service.journal_in_use"
    journal.close()
    assert not in_use(path)


def test_a_file_that_is_no_journal_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    path.write_bytes(b"something else entirely, " * 100)
    with pytest.raises(SetupError) as refused:
        Journal(path)
    assert refused.value.code == "service.journal"
    assert path.read_bytes().startswith(b"something else")


def test_a_killed_process_forgets_nothing_it_committed(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from koinon.services.gateway.journal import Journal, Watermark\n"
        "journal = Journal(Path(sys.argv[1]))\n"
        "number = journal.open_channel(b'1' * 32, 7, b'')\n"
        "charged = 0\n"
        "while True:\n"
        "    charged += 1\n"
        "    journal.commit([(number, Watermark(charged, charged, charged, b''))])\n"
        "    print(charged, flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    for _ in range(500):
        acknowledged = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    rest = process.stdout.read().splitlines()
    process.wait()
    process.stdout.close()
    acknowledged = max([acknowledged, *(int(line) for line in rest if line)])
    journal = Journal(path)
    assert journal.channels()[0].watermark.charged >= acknowledged >= 500
    journal.close()


FULL_DISK = """
import resource, sys
from pathlib import Path
from koinon.errors import SetupError
from koinon.services.gateway.journal import Journal
from koinon.services.gateway.journal_records import CallRecord, TransferRecord, Watermark

path = Path(sys.argv[1])
journal = Journal(path)
number = journal.open_channel(bytes(32), 7, b"{}")
journal.commit([(number, Watermark(1, 1, 1, bytes(65)))])
size = path.with_name(path.name + "-wal").stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50_000, resource.RLIM_INFINITY))
acknowledged, refused = 1, 0
while refused < 5:
    mark = Watermark(acknowledged + 1, acknowledged + 1, acknowledged + 1, bytes(65))
    try:
        journal.commit([(number, mark)], [(number, CallRecord(str(acknowledged).encode(), bytes(4000)))])
        acknowledged += 1
    except SetupError as error:
        assert error.code == "service.journal" and error.hint
        refused += 1
for change in (
    lambda: journal.open_channel(bytes(31) + b"1", 7, bytes(60_000)),
    lambda: journal.save_transfer(TransferRecord("a" * 60_000, bytes(32), 7, bytes(32), 1, None, False)),
):
    try:
        change()
    except SetupError as error:
        assert error.code == "service.journal"
    else:
        raise AssertionError("there was room")
assert journal.channels()[0].watermark.charged == acknowledged
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
journal.commit([(number, Watermark(acknowledged + 1, 1, 1, bytes(65)))])
print(acknowledged + 1, flush=True)
os = __import__("os")
os.kill(os.getpid(), 9)
"""


def test_on_a_full_disk_nothing_is_acknowledged_or_torn_and_it_goes_on_when_there_is_room(
    tmp_path: Path,
) -> None:
    child = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / "journal.sqlite")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr
    journal = Journal(tmp_path / "journal.sqlite")
    assert journal.channels()[0].watermark.charged == int(child.stdout)
    journal.close()


def test_what_cannot_be_forced_to_the_disk_is_not_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Path) -> None:
        raise OSError(28, "No space left on device")

    journal = Journal(tmp_path / "journal.sqlite")
    number = journal.open_channel(b"\1" * 32, 7, b"{}")
    with monkeypatch.context() as patched:
        patched.setattr("koinon.services.gateway.journal._sync", fail)
        journal.commit([(number, Watermark(1, 1, 1, b"s" * 65))])
        while journal._unsynced is None:
            threading.Event().wait(0.01)
        with pytest.raises(SetupError) as caught:
            journal.commit([(number, Watermark(1, 1, 1, b"s" * 65))])
        assert caught.value.code == "service.journal"
    while journal._unsynced is not None:
        threading.Event().wait(0.01)
    journal.commit([(number, Watermark(2, 2, 2, b"s" * 65))])
    journal.close()
