# SPDX-License-Identifier: Apache-2.0
"""Running answers again, in the sandbox of `compute`: other people's code on other people's inputs."""

from __future__ import annotations

import base64
import hashlib
import platform
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import orjson

import koinon
from koinon.compute.sandbox import BubblewrapSandbox, Limits, Outcome, Program
from koinon.errors import IntegrityError, PeerError, SetupError
from koinon.services.verification.details import Runtime
from koinon.services.verification.inside import RESULTS, TASK

MEBIBYTE: Final = 1 << 20
_MAIN: Final = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from koinon.services.verification.inside import main
main(Path(sys.argv[1]), Path(sys.argv[2]))
"""


class Rerunner:
    """Runs services again.

    Parameters
    ----------
    sandbox : BubblewrapSandbox, optional
    wall_s : float
        Seconds that one run of any number of inputs may take.
    memory_bytes : int
        What it may use.
    """

    def __init__(
        self,
        sandbox: BubblewrapSandbox | None = None,
        *,
        wall_s: float = 60.0,
        memory_bytes: int = 1024 * MEBIBYTE,
    ) -> None:
        self.sandbox = sandbox or BubblewrapSandbox()
        self._limits = Limits(
            wall_s=wall_s,
            cpu_s=max(1, round(wall_s)),
            memory_bytes=memory_bytes,
            output_bytes=64 * MEBIBYTE,
            output_files=2,
        )

    def check(self, runtime: Runtime) -> None:
        """SetupError (``verification.runtime_missing``) where this machine cannot run the very same."""
        installed = self.sandbox.environment.installed
        mine = {
            "Python": ".".join(platform.python_version_tuple()[:2]),
            "koinon": koinon.__version__,
            **{name: installed.get(name, "") for name in runtime.packages},
        }
        wanted = {"Python": runtime.python, "koinon": runtime.koinon, **runtime.packages}
        for name, version in wanted.items():
            if mine[name] != version:
                raise SetupError(
                    f"The answers were computed with {name} {version}; here is {mine[name] or 'none'}.",
                    hint=f"Install {name} {version}.",
                    code="verification.runtime_missing",
                )

    def run(self, runtime: Runtime, content: bytes, inputs: Sequence[bytes]) -> list[bytes | None]:
        """The results for these request bodies, in order; None where there is none (the input does not fit,
        or the function raises).

        Raises
        ------
        IntegrityError
            ``content`` is not the runtime's file (``verification.file``).
        SetupError
            As `check`, and as the sandbox's.
        PeerError
            It did not come to an end within the limits (``verification.no_end``).
        """
        if hashlib.sha256(content).hexdigest() != runtime.file:
            raise IntegrityError("This is not the file that the promise names.", code="verification.file")
        self.check(runtime)
        with tempfile.TemporaryDirectory(prefix="koinon-rerun-") as folder:
            place = Path(folder)
            subject = place / f"subject{runtime.suffix}"
            subject.write_bytes(content)
            task = {
                "kind": runtime.kind,
                "entry": runtime.entry,
                "file": subject.name,
                "inputs": [base64.b64encode(body).decode() for body in inputs],
            }
            (place / TASK).write_bytes(orjson.dumps(task))
            (place / "main.py").write_text(_MAIN)
            given = {
                subject.name: subject,
                TASK: place / TASK,
                "koinon": Path(koinon.__file__).parent,
            }
            finished = self.sandbox.run(Program(place / "main.py"), given, self._limits)
        if finished.outcome is not Outcome.OK or RESULTS not in finished.outputs:
            raise PeerError(
                f"Running the answers again ended with: {finished.outcome}.",
                hint="Give it more time or memory.",
                code="verification.no_end",
            )
        return _read(finished.outputs[RESULTS], len(inputs))


def _read(document: bytes, count: int) -> list[bytes | None]:
    try:
        results = orjson.loads(document)
        found = [
            base64.b64decode(each["result"], validate=True) if "result" in each else None for each in results
        ]
    except (ValueError, TypeError, KeyError) as error:
        raise PeerError("What ran again wrote no results.", code="verification.no_end") from error
    if len(found) != count:
        raise PeerError("What ran again wrote too few results.", code="verification.no_end")
    return found
