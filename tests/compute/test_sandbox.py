# SPDX-License-Identifier: Apache-2.0
"""What the sandbox promises to whoever buys computing: programs run, and end as they should."""

from __future__ import annotations

import hashlib
import os
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from koinon.compute.sandbox import BubblewrapSandbox, Limits, Outcome, Program
from koinon.compute.sandbox.driver import MEBIBYTE
from koinon.compute.sandbox.environment import look_at
from koinon.compute.sandbox.lockfile import check_lock, read_lock
from koinon.compute.sandbox.obstacles import cannot_isolate, find_bubblewrap
from koinon.compute.sandbox.results import read_results
from koinon.errors import BadInput, SetupError

LIMITS = Limits(wall_s=20, cpu_s=10, memory_bytes=256 * MEBIBYTE, output_bytes=MEBIBYTE)


@pytest.fixture(scope="module")
def sandbox():
    made = BubblewrapSandbox()
    try:
        made.check()
    except SetupError as reason:
        pytest.skip(reason.message)
    return made


def write(folder, code, name="main.py"):
    path = folder / name
    path.write_text(textwrap.dedent(code))
    return Program(path)


def test_a_program_reads_its_inputs_and_its_files_come_back(sandbox, tmp_path):
    (tmp_path / "rows.csv").write_text("1\n2\n3\n")
    program = write(
        tmp_path,
        """
        import sys
        from pathlib import Path
        data, out = map(Path, sys.argv[1:])
        total = sum(map(int, (data / "rows.csv").read_text().split()))
        (out / "sum.txt").write_text(str(total))
        (out / "empty").touch()
        """,
    )
    finished = sandbox.run(program, {"rows.csv": tmp_path / "rows.csv"}, LIMITS)
    assert finished.outcome is Outcome.OK, finished.log
    assert finished.outputs == {"sum.txt": b"6", "empty": b""}
    assert 0 < finished.cpu_s < 5
    assert 0 < finished.wall_s < 20
    assert finished.peak_bytes > MEBIBYTE


def test_a_program_can_use_the_packages_of_the_environment(sandbox, tmp_path):
    program = write(
        tmp_path,
        """
        import numpy, sys
        numpy.save(sys.argv[2] + "/x.npy", numpy.linalg.inv(numpy.eye(3) * 2))
        """,
    )
    finished = sandbox.run(program, {}, LIMITS)
    assert finished.outcome is Outcome.OK, finished.log
    assert len(finished.outputs["x.npy"]) > 72


def test_a_directory_runs_with_its_own_modules_and_a_lock_that_is_met(sandbox, tmp_path):
    folder = tmp_path / "program"
    folder.mkdir()
    write(folder, "import helper, sys; open(sys.argv[2] + '/a', 'w').write(helper.WORD)")
    (folder / "helper.py").write_text("WORD = 'helped'")
    numpy = sandbox.environment.installed["numpy"]
    (folder / "requirements.txt").write_text(f"# locked\nNumPy=={numpy} \\\n    --hash=sha256:{'0' * 64}\n")
    finished = sandbox.run(Program(folder), {}, LIMITS)
    assert (finished.outcome, finished.outputs) == (Outcome.OK, {"a": b"helped"}), finished.log


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("raise ValueError('row 7 is 42')", Outcome.FAILED),
        ("import sys; sys.exit(3)", Outcome.FAILED),
        ("import sys; sys.exit('a sentence')", Outcome.FAILED),
        ("import sys; sys.exit(0)", Outcome.OK),
        ("def", Outcome.FAILED),
        ("import os; os.kill(os.getpid(), 11)", Outcome.FAILED),
        ("raise MemoryError", Outcome.MEMORY),
        ("import atexit; atexit.register(lambda: open('/out/late', 'w').write('x'))", Outcome.OK),
        (
            "from threading import *; Timer(0.3, lambda: open('/out/late', 'w')).start()",
            Outcome.OK,
        ),
    ],
)
def test_how_a_program_ends_is_one_of_few_words(sandbox, tmp_path, code, outcome):
    finished = sandbox.run(write(tmp_path, code), {}, LIMITS)
    assert finished.outcome is outcome, finished.log
    if "late" in code:
        assert set(finished.outputs) == {"late"}
    else:
        assert not finished.outputs


def test_what_a_failed_program_wrote_stays_inside(sandbox, tmp_path):
    finished = sandbox.run(write(tmp_path, "open('/out/a', 'w').write('x'); raise ValueError"), {}, LIMITS)
    assert (finished.outcome, finished.outputs) == (Outcome.FAILED, {})
    assert b"ValueError" in finished.log


def test_the_log_is_kept_to_its_cap_and_never_shown_by_accident(sandbox, tmp_path):
    program = write(tmp_path, "import sys\nfor _ in range(3000): print('secret' * 200)")
    finished = sandbox.run(program, {}, Limits(wall_s=20, log_bytes=1000))
    assert finished.outcome is Outcome.OK
    assert len(finished.log) == 1000
    assert "secret" not in repr(finished)


def test_several_run_at_one_time(sandbox, tmp_path):
    program = write(tmp_path, "import os; open('/out/pid', 'w').write(str(os.getpid()))")
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(sandbox.run(program, {}, LIMITS))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each.outcome for each in found] == [Outcome.OK] * 4
    assert {each.outputs["pid"] for each in found} == {b"2"}


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "a" * 101])
def test_an_input_has_a_plain_name(sandbox, tmp_path, name):
    with pytest.raises(BadInput) as refused:
        sandbox.run(write(tmp_path, ""), {name: tmp_path}, LIMITS)
    assert refused.value.code == "sandbox.input"


def test_an_input_must_exist(sandbox, tmp_path):
    with pytest.raises(BadInput, match="missing"):
        sandbox.run(write(tmp_path, ""), {"a": tmp_path / "a"}, LIMITS)


def test_a_program_must_be_one(tmp_path):
    with pytest.raises(BadInput) as refused:
        Program(tmp_path)
    assert refused.value.code == "sandbox.no_program"


@pytest.mark.parametrize(
    "wrong", [{"wall_s": 0}, {"processes": -1}, {"memory_bytes": MEBIBYTE}, {"wall_s": float("nan")}]
)
def test_limits_must_leave_room_for_a_program(wrong):
    with pytest.raises(BadInput) as refused:
        Limits(**wrong)
    assert refused.value.code == "sandbox.limit"


def test_a_digest_covers_every_file_and_no_link(tmp_path):
    (tmp_path / "main.py").write_text("a")
    first = Program(tmp_path).digest
    content = hashlib.sha256(b"a").digest()
    assert first == hashlib.sha256((7).to_bytes(4, "little") + b"main.py" + content).digest()
    assert first == Program(tmp_path / "main.py").digest
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.py").write_text("b")
    assert Program(tmp_path).digest != first
    (tmp_path / "link").symlink_to("/etc/passwd")
    with pytest.raises(BadInput, match="no plain file"):
        _ = Program(tmp_path).digest


# lock files


def locked(folder, text):
    path = folder / "requirements.txt"
    path.write_text(text)
    return path


HASH = "--hash=sha256:" + "a" * 64


def test_a_lock_is_read_as_pip_writes_it(tmp_path):
    text = f"""
# by hand
numpy==2.2.0 \\
    {HASH} \\
    {HASH}
Scikit_Learn[extra]==1.7.0 {HASH}  # why
"""
    assert read_lock(locked(tmp_path, text)) == {"numpy": "2.2.0", "scikit-learn": "1.7.0"}


@pytest.mark.parametrize(
    "line",
    [
        "numpy",
        "numpy>=2",
        "numpy==2.2.0",
        f"numpy==2.2.0 {HASH} --index-url=x",
        f"numpy==2.2.0 ; python_version > '3' {HASH}",
        "-r other.txt",
        f"numpy==2.* {HASH}",
        f"numpy==1 {HASH}\nnumpy==2 {HASH}",
    ],
)
def test_a_line_that_does_not_pin_is_refused(tmp_path, line):
    with pytest.raises(BadInput) as refused:
        read_lock(locked(tmp_path, line))
    assert refused.value.code == "sandbox.lock_line"


def test_a_directory_without_a_lock_is_refused(sandbox, tmp_path):
    write(tmp_path, "")
    with pytest.raises(BadInput) as refused:
        sandbox.run(Program(tmp_path), {}, LIMITS)
    assert refused.value.code == "sandbox.no_lock"


def test_what_is_missing_or_differs_is_listed_and_nothing_runs(sandbox, tmp_path):
    write(tmp_path, "")
    locked(tmp_path, f"numpy==0.1 {HASH}\nno-such-thing==1 {HASH}\n")
    with pytest.raises(SetupError) as refused:
        sandbox.run(Program(tmp_path), {}, LIMITS)
    assert refused.value.code == "sandbox.packages"
    assert f"numpy 0.1 (here {sandbox.environment.installed['numpy']})" in refused.value.message
    assert "no-such-thing 1 (missing)" in refused.value.message


def test_a_lock_that_is_met_passes():
    check_lock({"a": "1"}, {"a": "1", "b": "2"})


# hosts that cannot isolate


def test_without_bubblewrap_it_says_what_to_install():
    with pytest.raises(SetupError) as refused:
        BubblewrapSandbox(bubblewrap="no-such-bwrap").check()
    assert refused.value.code == "sandbox.no_bubblewrap"
    assert "apt-get install bubblewrap" in refused.value.hint


def test_a_bubblewrap_that_fails_is_quoted_and_nothing_runs(tmp_path):
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    fake.chmod(0o755)
    sandbox = BubblewrapSandbox(bubblewrap=str(fake))
    for _ in range(2):
        with pytest.raises(SetupError) as refused:
            sandbox.run(write(tmp_path, ""), {}, LIMITS)
        assert refused.value.code == "sandbox.cannot_isolate"
        assert "No permissions to create new namespace" in refused.value.message


def test_a_bubblewrap_that_does_not_isolate_is_found_out(tmp_path):
    """Leaves out one wall: the filter of system calls, without which the trial can open a socket."""
    fake = tmp_path / "bwrap"
    fake.write_text(
        textwrap.dedent(
            f"""\
            #!{sys.executable}
            import os, shutil, sys
            words = sys.argv[1:]
            at = words.index("--seccomp")
            del words[at : at + 2]
            os.execv(shutil.which("bwrap", path="/usr/bin:/bin:/usr/local/bin"), ["bwrap", *words])
            """
        )
    )
    fake.chmod(0o755)
    with pytest.raises(SetupError) as refused:
        BubblewrapSandbox(bubblewrap=str(fake)).check()
    assert refused.value.code == "sandbox.cannot_isolate"


@pytest.mark.skipif(os.geteuid() != 0, reason="about root")
def test_root_without_control_groups_is_refused(monkeypatch):
    monkeypatch.setattr("koinon.compute.sandbox.bubblewrap.hierarchies", dict)
    with pytest.raises(SetupError) as refused:
        BubblewrapSandbox().check()
    assert refused.value.code == "sandbox.root_without_groups"


def test_elsewhere_than_linux_it_says_so(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(SetupError) as refused:
        find_bubblewrap("bwrap")
    assert refused.value.code == "sandbox.not_linux"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("kernel/unprivileged_userns_clone", "0", "unprivileged_userns_clone=1"),
        ("user/max_user_namespaces", "0", "max_user_namespaces"),
        ("kernel/apparmor_restrict_unprivileged_userns", "1", "AppArmor"),
        ("user/max_user_namespaces", "100", "container"),
    ],
)
def test_the_hint_names_the_setting_that_is_off(tmp_path, name, value, said):
    (tmp_path / name).parent.mkdir()
    (tmp_path / name).write_text(value + "\n")
    assert said in cannot_isolate("\nbwrap: no\n", tmp_path).hint


def test_an_interpreter_that_is_none_is_refused(tmp_path):
    with pytest.raises(SetupError) as refused:
        look_at(tmp_path / "python")
    assert refused.value.code == "sandbox.interpreter"


@pytest.mark.skipif(sys.prefix.startswith("/usr"), reason="about interpreters elsewhere")
def test_an_interpreter_that_would_show_the_home_is_refused():
    prefix = Path(sys.prefix)
    with pytest.raises(SetupError) as refused:
        look_at(Path(sys.executable), home=prefix / "home" / "someone")
    assert refused.value.code == "sandbox.interpreter_place"


# what comes out of the pipe

PEAK = (4096).to_bytes(8, "little")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"KOINON1\n",
        b"KOINON1\n\0\0",
        b"KOINON1\n\0\0" + PEAK + b"\x01\0\xff\0\0\0\0\0\0\0aX\xff\xff",
        b"KOINON1\n\0\0" + PEAK + b"\x01\0\x01\0\0\0\0\0\0\0/X\xff\xff",
        b"KOINON1\n\0\0" + PEAK + b"\x02\0\x01\0\0\0\0\0\0\0..X\xff\xff",
        b"KOINON1\n\0\0" + PEAK + b"\x01\0\x01\0\0\0\0\0\0\0aX" * 2 + b"\xff\xff",
        b"KOINON1\n\0\0" + PEAK + b"\x01\0\x09\0\0\0\0\0\0\0a123456789\xff\xff",
        b"KOINON1\n\0\0" + PEAK + b"\xff\xffmore",
    ],
)
def test_a_result_that_breaks_off_or_lies_is_not_whole(content):
    assert not read_results(content, output_bytes=8, output_files=2).whole


def test_a_result_within_its_limits_is_whole():
    handed = read_results(
        b"KOINON1\n\x03\0" + PEAK + b"\x01\0\x01\0\0\0\0\0\0\0aX\xff\xff", output_bytes=8, output_files=2
    )
    assert (handed.status, handed.files, handed.whole) == (3, {"a": b"X"}, True)
    assert handed.peak_bytes == 4096


def test_more_files_than_allowed_are_not_whole():
    content = b"KOINON1\n\0\0" + PEAK + b"\x01\0\x01\0\0\0\0\0\0\0aX\x01\0\x01\0\0\0\0\0\0\0bX\xff\xff"
    assert read_results(content, output_bytes=8, output_files=2).whole
    assert not read_results(content, output_bytes=8, output_files=1).whole


def test_an_interrupted_run_leaves_nothing(sandbox, tmp_path, monkeypatch):
    program = write(tmp_path, "import time; time.sleep(60)")
    seen = []

    def interrupted(self):
        time.sleep(0.2)
        raise KeyboardInterrupt

    monkeypatch.setattr("koinon.compute.sandbox.process._Watch._check", interrupted)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        seen.append(sandbox.run(program, {}, LIMITS))
    assert time.monotonic() - began < 10
