# SPDX-License-Identifier: Apache-2.0
"""What is process 1 inside the sandbox: it starts the program, ends all others, and hands over ``/out``.

Run by the sandbox as a file of its own, so it uses the standard library alone and as little of it as it can:
every import is time before the program starts. It is no part of the isolation, which namespaces, the filter
of system calls and the host's limits are: whatever the program did to this process, it could only put other
bytes into the pipe whose content it decides anyway. As process 1 it cannot be killed from inside.

Its arguments are numbers in the order of `_main`, then the program's path. On descriptor ``result`` it writes
the magic word once it runs, and starts the program at a byte on ``go``; when the program has
ended its status, the memory of its largest process, each file as (length of name, length, name, content), and
a mark of the end.
"""

import _signal as signal  # type: ignore[import-not-found]  # the module around it loads enum, which takes long
import os
import resource
import stat
import sys

MAGIC = b"KOINON1\n"
END = 0xFFFF
MEMORY_STATUS = 200
REFUSED_STATUS = 201
_ENOMEM = 12
_POLL_S = 0.02
_NAME_BYTES = 100


def _main() -> None:
    _check_first()
    result, go, cpu_s, space, file_bytes, processes, files, out_files, scratch_files = (
        int(each) for each in sys.argv[1:10]
    )
    _write(result, MAGIC)
    if not os.read(go, 1):
        return  # whoever started us is gone
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
    program = os.fork()
    if program == 0:
        _become(sys.argv[10], cpu_s, space, file_bytes, processes, files)
    status = _watch(program, out_files, scratch_files)
    _end_all_others()
    packed = _pack(out_files) if status == 0 else []
    if packed is None:
        status, packed = REFUSED_STATUS, []
    peak_bytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    _write(result, status.to_bytes(2, "little") + peak_bytes.to_bytes(8, "little"))
    for name, path in packed:
        _send(result, name, path)
    _write(result, END.to_bytes(2, "little"))
    os._exit(0)


def _check_first() -> None:
    """Outside a namespace of its own, what ends all others would end everything on the machine."""
    if os.getpid() != 1 or os.getppid() != 0:
        os._exit(1)


def _become(path: str, cpu_s: int, space: int, *others: int) -> None:
    """Turn into the program; never returns."""
    status = 1
    file_bytes, processes, files = others
    try:
        os.closerange(3, 1 << 20)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))  # told first (SIGXCPU), then killed
        for what, limit in (
            (resource.RLIMIT_CORE, 0),
            (resource.RLIMIT_MSGQUEUE, 0),
            (resource.RLIMIT_MEMLOCK, 0),
            (resource.RLIMIT_FSIZE, file_bytes),
            (resource.RLIMIT_NOFILE, files),
            (resource.RLIMIT_NPROC, processes),
            (resource.RLIMIT_AS, space),
        ):
            resource.setrlimit(what, (limit, limit))
        main = type(sys)("__main__")
        main.__file__ = path
        vars(main)["__builtins__"] = __builtins__
        sys.modules["__main__"] = main
        sys.argv = [path, "/data", "/out"]
        sys.path.insert(0, os.path.dirname(path))
        with open(path, "rb") as source:
            code = compile(source.read(), path, "exec")
        exec(code, main.__dict__)  # noqa: S102  (to run it is what this is for)
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except MemoryError:
        status = MEMORY_STATUS
    except BaseException as error:
        status = MEMORY_STATUS if getattr(error, "errno", None) == _ENOMEM else 1
        sys.excepthook(*sys.exc_info())
    finally:
        _finish(status & 0xFF)


def _finish(status: int) -> None:
    """End as an interpreter does: threads, then what modules registered, then the streams."""
    try:
        threading = sys.modules.get("threading")
        if threading is not None:
            threading._shutdown()
        atexit = sys.modules.get("atexit")
        if atexit is not None:
            atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    except MemoryError:
        status = status or MEMORY_STATUS
    except BaseException:
        status = status or 1
    finally:
        os._exit(status)


def _watch(program: int, out_files: int, scratch_files: int) -> int:
    """Wait for the program while reaping orphans; its exit status, or 256 and more for a signal."""
    places = (("/out", out_files), ("/tmp", scratch_files), ("/dev/shm", scratch_files))  # noqa: S108
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == program:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 256 - code
        if pid:
            continue
        if any(_files(place) > most + 1 for place, most in places):
            return REFUSED_STATUS
        signal.sigtimedwait([signal.SIGCHLD], _POLL_S)


def _files(place: str) -> int:
    """Inodes in use on a file system of our own, its root among them."""
    seen = os.statvfs(place)
    return seen.f_files - seen.f_ffree


def _end_all_others() -> None:
    """Kill every process of the namespace but this one, until there is none to wait for."""
    _check_first()
    while True:
        try:  # noqa: SIM105  (contextlib takes long to load)
            os.kill(-1, signal.SIGKILL)
        except ProcessLookupError:
            pass
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _pack(most: int) -> "list[tuple[bytes, int]] | None":
    """Name and descriptor of each file of ``/out``; None where it holds anything else, or too many."""
    found: list[tuple[bytes, int]] = []
    for entry in sorted(os.listdir("/out")):
        name = os.fsencode(entry)
        try:
            kind = os.lstat("/out/" + entry).st_mode
            if not stat.S_ISREG(kind) or len(name) > _NAME_BYTES or len(found) == most:
                return None
            found.append((name, os.open("/out/" + entry, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)))
        except OSError:
            return None
    return found


def _send(result: int, name: bytes, file: int) -> None:
    size = os.fstat(file).st_size
    _write(result, len(name).to_bytes(2, "little") + size.to_bytes(8, "little") + name)
    while block := os.read(file, 1 << 16):
        _write(result, block)
    os.close(file)


def _write(result: int, content: bytes) -> None:
    while content:
        content = content[os.write(result, content) :]


if __name__ == "__main__":
    _main()
