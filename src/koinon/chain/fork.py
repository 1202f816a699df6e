# SPDX-License-Identifier: Apache-2.0
"""A private copy of a chain as it is now: an anvil that fetches what it needs and changes only itself.

Any account can be acted for, time is set, and tokens come out of nothing; nothing reaches the chain it was
copied from. It is gone when it is closed.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from koinon.chain import anvil
from koinon.chain.replay import free_port
from koinon.chain.rpc import Rpc, RpcError, redact
from koinon.chain.supervisor import HOST
from koinon.errors import NodeUnavailable

_START_S: Final = 30.0
_ANSWER_S: Final = 120.0


class Fork:
    """A copy of the chain behind a node, at its newest block.

    Parameters
    ----------
    source : Rpc
        The node. Its URL, which may hold a secret, is told to the copy over loopback only, so that it
        stands in no list of processes.
    anvil_path : Path, optional
        The anvil executable; found by `find_anvil` when not given.

    Raises
    ------
    SetupError
        There is no anvil.
    NodeUnavailable
        It does not start, or the node behind it does not answer.
    """

    def __init__(self, source: Rpc, anvil_path: Path | None = None) -> None:
        executable = anvil.find_anvil(anvil_path)
        self._folder = Path(tempfile.mkdtemp(prefix="koinon-fork-"))
        self._child: subprocess.Popen[bytes] | None = None
        self._rpc: Rpc | None = None
        try:
            self._begin(executable, source)
        except BaseException:
            self.close()
            raise

    @property
    def rpc(self) -> Rpc:
        """The copy's own; `NodeUnavailable` once it is closed."""
        if self._rpc is None:
            raise NodeUnavailable("The copy of the chain is closed.", hint="Make another.", code="chain.fork")
        return self._rpc

    def _begin(self, executable: Path, source: Rpc) -> None:
        port, log = free_port(), self._folder / "anvil.log"
        chain_id = int(source.call("eth_chainId"), 16)
        arguments = ["--host", HOST, "--port", str(port), "--chain-id", str(chain_id), "--accounts", "1"]
        with log.open("wb") as output:
            self._child = anvil.spawn(
                executable, [*arguments, "--no-cors", "--quiet"], output, home=self._folder
            )
        rpc = self._rpc = Rpc(f"http://{HOST}:{port}", timeout_s=_ANSWER_S)
        anvil.await_answer(rpc, self._child, log, _START_S)
        try:
            rpc.call("anvil_reset", {"forking": {"jsonRpcUrl": source.url}})
            rpc.call("anvil_autoImpersonateAccount", True)
        except RpcError as fault:
            raise NodeUnavailable(
                f"The chain behind {redact(source.url)} could not be copied.",
                hint="The node must answer requests for state at its newest block.",
                code="chain.fork",
            ) from fault

    def close(self) -> None:
        """End it; what happened on it is forgotten."""
        if self._rpc is not None:
            self._rpc.close()
            self._rpc = None
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
