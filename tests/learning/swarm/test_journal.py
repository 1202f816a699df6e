# SPDX-License-Identifier: Apache-2.0
"""What a peer wrote down is there after kill -9, and it never signs two updates for one round."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from koinon.errors import IntegrityError, SetupError
from koinon.learning.messages import payload_digest
from koinon.learning.swarm.journal import Accepted, Journal

BASE = b"\x01" * 32


def test_a_journal_remembers(tmp_path):
    journal = Journal(tmp_path)
    assert journal.note("secret", b"one") == b"one"
    assert journal.note("secret", b"two") == b"one"
    assert journal.fact("other") is None
    journal.sign(1, BASE, b"frame", b"memory")
    journal.sign(1, BASE, b"frame", b"memory")
    with pytest.raises(IntegrityError, match="signed before"):
        journal.sign(1, BASE, b"another", b"memory")
    journal.sign(1, b"\x02" * 32, b"another", b"memory")  # another beginning is another round
    journal.accept(Accepted(1, b"m1", b"listing", b"snapshot"), b"digest", [b"frame"])
    journal.accept(Accepted(2, b"m2", b"listing", b"snapshot"), b"digest", [b"frame"])
    with pytest.raises(SetupError, match="Another process"):
        Journal(tmp_path)
    journal.close()

    again = Journal(tmp_path)
    signed = again.signed(1, BASE)
    assert signed is not None
    assert (signed.frame, signed.memory) == (b"frame", b"memory")
    assert again.signed(2, BASE) is None
    assert again.last() == 2
    assert again.models() == {1: b"m1", 2: b"m2"}
    assert again.frame(payload_digest(b"frame")) == b"frame"
    assert again.frame(b"nothing") is None
    assert again.listing(b"digest") == b"listing"
    assert again.listing(b"nothing") is None
    again.settle(2)
    first, second = again.accepted(1), again.accepted(2)
    assert first is not None
    assert second is not None
    assert (first.snapshot, second.snapshot) == (b"", b"snapshot")
    again.roll_back(1)
    assert again.last() == 1
    assert again.accepted(2) is None
    again.close()


def test_what_was_signed_survives_kill(tmp_path):
    code = (
        "import sys; from pathlib import Path; from koinon.learning.swarm.journal import Journal\n"
        "journal, number = Journal(Path(sys.argv[1])), 0\n"
        "while True:\n"
        "    number += 1\n"
        "    journal.sign(number, b'base', b'frame %d' % number, b'')\n"
        "    print(number, flush=True)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    said = [child.stdout.readline() for _ in range(20)]
    os.kill(child.pid, signal.SIGKILL)
    said += child.stdout.read().splitlines()
    child.wait()
    child.stdout.close()
    journal = Journal(tmp_path)
    for number in range(1, int(said[-1]) + 1):
        signed = journal.signed(number, b"base")
        assert signed is not None
        assert signed.frame == b"frame %d" % number
    journal.close()


def test_a_folder_that_cannot_be_written_says_so(tmp_path):
    journal = Journal(tmp_path)
    journal._database.execute("PRAGMA query_only = 1")
    with pytest.raises(SetupError, match="cannot be written"):
        journal.note("name", b"value")
    journal.close()
