# SPDX-License-Identifier: Apache-2.0
"""What a hostile program tries, run for real. Each test is named after what it attempts."""

from __future__ import annotations

import ast
import contextlib
import errno
import os
import socket
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from koinon.compute.sandbox import BubblewrapSandbox, Limits, Outcome, Program, syscalls
from koinon.compute.sandbox.cgroup import ControlGroup, hierarchies, remove_orphans
from koinon.compute.sandbox.driver import MEBIBYTE
from koinon.errors import SetupError

ROOT = Path(__file__).parent.parent.parent
LIMITS = Limits(wall_s=20, cpu_s=10, memory_bytes=256 * MEBIBYTE, scratch_bytes=8 * MEBIBYTE)

PLACES = ["/out", "/tmp", "/dev/shm"]  # noqa: S108

TRY = """
import ctypes, errno, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    ctypes.set_errno(0)
    answer = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(each) for each in arguments])
    return answer, errno.errorcode.get(ctypes.get_errno(), 0)
def tell(what):
    open("/out/told", "w").write(repr(what))
"""


WAYS = ["groups"] * bool(hierarchies()) + ["alone"] * (os.geteuid() != 0)
"""With control groups where the host has them; without them where this is an ordinary user."""


@pytest.fixture(scope="module", params=WAYS or ["groups"])
def sandbox(request):
    made = BubblewrapSandbox()
    if request.param == "alone":
        made._groups = {}
    try:
        made.check()
    except SetupError as reason:
        pytest.skip(reason.message)
    return made


@dataclass(frozen=True)
class Run:
    """Runs code in the sandbox, from a folder of this test's own."""

    sandbox: BubblewrapSandbox
    folder: Path

    def __call__(self, code, inputs=None, limits=LIMITS):
        folder = self.folder / "program"
        folder.mkdir(exist_ok=True)
        program = folder / "main.py"
        program.write_text(TRY + textwrap.dedent(code))
        return self.sandbox.run(Program(program), inputs or {}, limits)


@pytest.fixture
def run(sandbox, tmp_path):
    return Run(sandbox, tmp_path)


def told(finished):
    assert finished.outcome is Outcome.OK, (finished.outcome, finished.log.decode())
    return finished.outputs["told"].decode()


def processes():
    return {
        int(each): Path(f"/proc/{each}/cmdline").read_bytes()
        for each in os.listdir("/proc")
        if each.isdigit() and Path(f"/proc/{each}/cmdline").exists()
    }


def nothing_is_left(run):
    """Neither a process that sees this test's program nor a group of this process."""
    for pid in processes():
        with contextlib.suppress(OSError):
            assert str(run.folder) not in Path(f"/proc/{pid}/mountinfo").read_text()
    for place in set(hierarchies().values()):
        assert list(place.glob(f"koinon-{os.getpid()}-*")) == []


def test_the_network(run):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        finished = run(
            f"""
            import socket
            seen = []
            for family, kind in ((2, 1), (2, 2), (10, 1), (16, 3), (17, 3), (38, 5), (40, 1)):  # 40: AF_VSOCK
                try:
                    socket.socket(family, kind)
                    seen.append("made")
                except OSError as error:
                    seen.append(errno.errorcode[error.errno])
            try:
                socket.create_connection(("127.0.0.1", {listening.getsockname()[1]}), 1)
                seen.append("connected")
            except OSError:
                pass
            interfaces = [line.split(":")[0].strip() for line in open("/proc/net/dev") if ":" in line]
            tell((seen, interfaces))
            """
        )
    assert told(finished) == repr((["EPERM"] * 7, ["lo"]))


def test_a_socket_of_the_host_by_its_name(run):
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("\0koinon-test-abstract")
        listening.listen()
        finished = run(
            """
            import socket
            try:
                socket.socket(socket.AF_UNIX).connect("\\0koinon-test-abstract")
                tell("connected")
            except OSError as error:
                tell(errno.errorcode[error.errno])
            """
        )
    assert told(finished) == "'ECONNREFUSED'"


def test_reading_the_hosts_files(run, tmp_path):
    (tmp_path / "secret").write_text("of the owner")
    places = [
        "/etc/shadow",
        "/etc/passwd",
        str(Path.home() / ".bashrc"),
        "/sys/kernel",
        "/var",
        "/run",
        "/boot",
    ]
    places += [str(tmp_path / "secret"), str(ROOT / "pyproject.toml"), str(ROOT / "src"), str(ROOT / ".git")]
    finished = run(f"tell([place for place in {places} if os.path.exists(place)])")
    assert told(finished) == "[]"


def test_nothing_of_the_owners_environment(run, monkeypatch):
    monkeypatch.setenv("KOINON_PASSWORD", "of the owner")
    told_ = told(
        run("tell(sorted(os.environ)); open('/out/env', 'wb').write(open('/proc/1/environ', 'rb').read())")
    )
    assert "KOINON" not in told_
    assert set(ast.literal_eval(told_)) <= {
        "HOME", "LANG", "PATH", "PWD", "TMPDIR", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS",
        "POLARS_MAX_THREADS", "LC_CTYPE",
    }  # fmt: skip


def test_who_it_is(run):
    finished = run(
        """
        lines = open("/proc/self/status").read().splitlines()
        status = dict(line.split(":\\t") for line in lines if ":\\t" in line)
        tell([os.getuid(), os.getgid(), os.uname().nodename] + [status[name].strip() for name in
             ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp")])
        """
    )
    assert told(finished) == repr([65534, 65534, "sandbox", *["0" * 16] * 5, "1", "2"])


def test_writing_into_its_inputs_its_program_or_the_system(run, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "rows").write_text("1")
    finished = run(
        """
        seen = []
        for place in ("/data/x", "/data/in/rows", "/data/in/new", "/program/main.py", "/usr/x", "/x",
                      "/dev/x", "/koinon/x", sys.prefix + "/x", "/proc/sys/kernel/core_pattern",
                      "/proc/sysrq-trigger", "/proc/self/oom_score_adj", "/proc/sys/vm/overcommit_memory"):
            try:
                open(place, "a").close()
                seen.append(place)
            except OSError:
                pass
        for change in (lambda: os.remove("/data/in/rows"), lambda: os.rename("/data/in/rows", "/tmp/rows"),
                       lambda: os.chmod("/data/in/rows", 0o777), lambda: os.mkdir("/new"),
                       lambda: os.link("/data/in/rows", "/tmp/rows")):
            try:
                change()
                seen.append("changed")
            except OSError:
                pass
        tell(seen)
        """,
        {"in": data},
    )
    assert told(finished) == "[]"
    assert [each.name for each in data.iterdir()] == ["rows"]


def test_system_calls_that_reach_the_kernels_depths(run):
    column = {"x86_64": 0, "aarch64": 1}[os.uname().machine]
    named = [
        (name, pair[column], expected)
        for numbers, expected in ((syscalls.ABSENT, "ENOSYS"), (syscalls.FORBIDDEN, "EPERM"))
        for name, pair in numbers.items()
        if pair[column] is not None
    ]
    finished = run(f"tell([(n, w, call(n_, 0, 0, 0, 0, 0)) for n, n_, w in {named}])")
    answers = ast.literal_eval(told(finished))
    assert len(answers) > 70
    assert [each for each in answers if each[2] != (-1, each[1])] == []


def test_new_namespaces_by_clone_and_calls_that_are_newer_than_the_list(run):
    clone = {"x86_64": 56, "aarch64": 220}[os.uname().machine]
    finished = run(
        f"""
        namespaces = (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000)
        seen = [call({clone}, flag | 17, 0, 0, 0, 0) for flag in namespaces]
        seen += [call(number, 0) for number in (451, 462, 500, 0x40000000 + 39)]
        tell(seen)
        """
    )
    assert ast.literal_eval(told(finished)) == [(-1, "EPERM")] * 7 + [(-1, "ENOSYS")] * 4


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="about x86_64")
def test_a_call_of_the_32_bit_architecture_ends_it(run):
    finished = run(
        """
        import mmap
        code = b"\\xb8\\x14\\x00\\x00\\x00\\xcd\\x80\\xc3"  # mov eax, 20 (getpid); int 0x80; ret
        page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        page.write(code)
        ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
        tell("alive")
        """
    )
    assert finished.outcome is Outcome.FAILED


def test_tracing_process_1(run):
    finished = run(
        """
        attach, read = {"x86_64": (101, 310), "aarch64": (117, 270)}[os.uname().machine]
        tell((call(attach, 16, 1, 0, 0), call(read, 1, 0, 0, 0, 0)))
        """
    )
    assert told(finished) == repr(((-1, "EPERM"), (-1, "EPERM")))


def test_signals_to_the_outside(run):
    outside = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        finished = run(
            f"""
            import signal
            seen = []
            for pid in (1, {outside.pid}, {os.getpid()}):
                try:
                    os.kill(pid, signal.SIGKILL)
                    seen.append("sent")
                except OSError as error:
                    seen.append(errno.errorcode[error.errno])
            tell(seen)
            """
        )
        assert outside.poll() is None
    finally:
        outside.kill()
        outside.wait()
    assert told(finished) == repr(
        ["sent", "ESRCH", "ESRCH"]
    )  # process 1 is its namespace's own, and ignores it


def test_killing_all_it_can_reach_kills_only_itself(run):
    finished = run(
        "import signal; tell('x'); os.kill(-1, signal.SIGKILL); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert finished.outcome is Outcome.FAILED
    nothing_is_left(run)


def test_ways_out_through_proc(run):
    finished = run(
        """
        seen = []
        for place in ("/proc/1/root/etc/shadow", "/proc/self/root/etc/shadow", "/proc/1/cwd/../etc/shadow",
                      "/proc/kcore", "/proc/kmsg", "/proc/1/root/../../../etc/shadow"):
            try:
                open(place, "rb").read(1)
                seen.append(place)
            except OSError:
                pass
        for descriptor in os.listdir("/proc/1/fd"):
            try:
                target = os.readlink("/proc/1/fd/" + descriptor)
            except OSError:
                continue
            if not target.startswith(("pipe:", "/dev/null", "anon_inode:", "/memfd:")):
                seen.append(target)
        seen += [each for each in os.listdir("/proc") if each.isdigit() and int(each) > 3]
        tell(seen)
        """
    )
    assert told(finished) == "[]"


def test_writing_into_the_pipe_of_process_1_only_breaks_its_own_result(run):
    finished = run(
        """
        for descriptor in os.listdir("/proc/1/fd"):
            try:
                with open("/proc/1/fd/" + descriptor, "wb", buffering=0) as pipe:
                    pipe.write(b"\\0\\0\\x01\\0\\x09\\0\\0\\0\\0\\0\\0\\0../../etc" * 3)
            except OSError:
                pass
        tell("fine")
        """
    )
    assert finished.outcome in (Outcome.OK, Outcome.OUTPUT, Outcome.FAILED)
    assert set(finished.outputs) <= {"told"}


def test_a_fork_bomb(run):
    finished = run(
        """
        while True:
            try:
                os.fork()
            except OSError:
                pass
        """,
        limits=Limits(wall_s=2, cpu_s=2, processes=20),
    )
    assert finished.outcome is Outcome.TIMEOUT
    nothing_is_left(run)


def test_more_processes_than_allowed(run):
    finished = run(
        """
        made = 0
        try:
            for _ in range(100):
                if os.fork() == 0:
                    import time
                    time.sleep(60)
                made += 1
        except OSError as error:
            tell((made, errno.errorcode[error.errno]))
        """,
        limits=Limits(wall_s=20, processes=10),
    )
    assert told(finished) == repr((9, "EAGAIN"))
    nothing_is_left(run)


def test_a_process_that_hides_from_its_parent(run):
    finished = run(
        """
        import signal, time
        if os.fork() == 0:
            os.setsid()
            for number in range(1, 32):
                if number not in (9, 19):
                    signal.signal(number, signal.SIG_IGN)
            if os.fork() == 0:
                time.sleep(60)
            os._exit(0)
        tell("gone")
        """
    )
    assert told(finished) == "'gone'"
    nothing_is_left(run)


def test_running_for_ever(run):
    finished = run("import time; time.sleep(1000)", limits=Limits(wall_s=1))
    assert finished.outcome is Outcome.TIMEOUT
    assert finished.wall_s >= 1
    nothing_is_left(run)


def test_computing_for_ever(run):
    finished = run(
        "import signal; signal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass",
        limits=Limits(wall_s=20, cpu_s=1),
    )
    assert finished.outcome is Outcome.TIMEOUT
    assert finished.cpu_s >= 1


@pytest.mark.parametrize(
    "code",
    [
        "x = bytearray(1 << 30)",
        "x = []\nwhile True: x.append(bytearray(os.urandom(1 << 20)))",
        "import mmap; x = mmap.mmap(-1, 1 << 30)\nfor at in range(0, 1 << 30, 4096): x[at] = 1",
    ],
)
def test_eating_memory(run, code):
    finished = run(code, limits=Limits(wall_s=30, memory_bytes=64 * MEBIBYTE, scratch_bytes=MEBIBYTE))
    assert finished.outcome is Outcome.MEMORY, finished.log
    assert finished.peak_bytes < 200 * MEBIBYTE
    nothing_is_left(run)


def test_eating_memory_with_many_processes(run):
    finished = run(
        """
        import time
        for _ in range(8):
            if os.fork() == 0:
                break
        x = bytearray(os.urandom(40 << 20))
        time.sleep(20)
        """,
        limits=Limits(wall_s=30, memory_bytes=64 * MEBIBYTE, scratch_bytes=MEBIBYTE),
    )
    assert finished.outcome in (Outcome.MEMORY, Outcome.FAILED), finished.log
    nothing_is_left(run)


@pytest.mark.parametrize("place", PLACES)
def test_filling_the_disk(run, place):
    finished = run(
        f"""
        wrote = 0
        try:
            for number in range(100):
                with open("{place}/" + str(number), "wb", buffering=0) as file:
                    for _ in range(16):
                        wrote += file.write(bytes(1 << 16))
        except OSError as error:
            reason = errno.errorcode[error.errno]
        for number in range(100):
            if os.path.exists("{place}/" + str(number)):
                os.remove("{place}/" + str(number))
        tell((wrote >> 20, reason))
        """
    )
    assert told(finished) == repr((1 if place == "/out" else 8, "ENOSPC"))


def test_one_file_larger_than_any_place(run):
    finished = run(
        """
        import signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            os.truncate(os.open("/tmp/x", os.O_CREAT | os.O_RDWR), 1 << 40)
        except OSError as error:
            tell(errno.errorcode[error.errno])
        """
    )
    assert told(finished) == "'EFBIG'"


@pytest.mark.parametrize("place", PLACES)
def test_a_huge_number_of_files(run, place):
    finished = run(
        f"""
        number = 0
        while True:
            open("{place}/" + str(number), "w").close()
            number += 1
        """,
        limits=Limits(wall_s=20, scratch_files=500),
    )
    assert finished.outcome is Outcome.OUTPUT


@pytest.mark.parametrize(
    "code",
    [
        "os.symlink('/etc/shadow', '/out/link')",
        "os.symlink('/out', '/out/link')",
        "os.symlink('/data/rows', '/out/link')",
        "os.mkfifo('/out/fifo')",
        "os.mkdir('/out/folder')",
        "import socket; socket.socket(socket.AF_UNIX).bind('/out/socket')",
        "open('/out/' + 'n' * 101, 'w')",
        "open('/out/.hidden', 'w')",
        "open('/out/line\\nbreak', 'w')",
        "open('/out/ünïcode', 'w')",
        "[open(f'/out/{n}', 'w') for n in range(17)]",
        "open('/out/a', 'w'); os.chmod('/out/a', 0)",
        "os.truncate(os.open('/out/sparse', os.O_CREAT | os.O_RDWR), 2 << 20)",
    ],
)
def test_leaving_something_that_is_no_plain_file(run, tmp_path, code):
    (tmp_path / "rows").write_text("private")
    finished = run(f"open('/out/good', 'w').write('x')\n{code}", {"rows": tmp_path / "rows"})
    assert (finished.outcome, finished.outputs) == (Outcome.OUTPUT, {}), finished.log


def test_leaving_a_device(run):
    finished = run(
        """
        import stat
        try:
            os.mknod("/out/disk", stat.S_IFBLK | 0o666, os.makedev(254, 0))
        except OSError as error:
            tell(errno.errorcode[error.errno])
        """
    )
    assert told(finished) == "'EPERM'"


def test_a_flood_of_words(run):
    finished = run("import time\nend = time.time() + 1\nwhile time.time() < end: os.write(1, b'x' * 65536)")
    assert finished.outcome is Outcome.OK
    assert len(finished.log) == LIMITS.log_bytes


def test_the_host_process_dies_and_takes_the_program_along(tmp_path):
    program = tmp_path / "main.py"
    program.write_text("import time; time.sleep(61.5)")
    code = f"""
from pathlib import Path
from koinon.compute.sandbox import *
BubblewrapSandbox().run(Program(Path({str(program)!r})), {{}}, Limits(wall_s=50))
"""
    host = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)
    marker = str(program).encode()

    def running():
        return [line for line in processes().values() if marker in line and b"--info-fd" in line]

    until = time.monotonic() + 20
    while not running() and host.poll() is None and time.monotonic() < until:
        threading.Event().wait(0.05)
    if host.poll() is not None:
        pytest.skip("this host cannot isolate")
    host.kill()
    host.communicate()
    until = time.monotonic() + 10
    while running() and time.monotonic() < until:
        threading.Event().wait(0.05)
    assert running() == []
    remove_orphans(hierarchies())  # its groups are empty, and whoever comes next removes them
    for place in set(hierarchies().values()):
        assert list(place.glob(f"koinon-{host.pid}-*")) == []


def test_groups_in_use_or_of_others_are_not_removed_as_orphans(tmp_path):
    mine, others, gone = (
        tmp_path / name for name in (f"koinon-{os.getpid()}-ab", "system-1", "koinon-9999999-cd")
    )
    for each in (mine, others, gone):
        each.mkdir()
    remove_orphans({"memory": tmp_path})
    assert sorted(tmp_path.iterdir()) == sorted([mine, others])


def test_a_group_that_cannot_be_made_leaves_no_half(tmp_path):
    places = {"memory": tmp_path, "pids": tmp_path / "none"}
    with (
        pytest.raises(OSError, match=r".") as failed,
        ControlGroup(places, memory_bytes=1, processes=1, cores=1),
    ):
        pass
    assert failed.value.errno in (errno.ENOENT, errno.EACCES)
    assert list(tmp_path.iterdir()) == []
