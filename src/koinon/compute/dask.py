# SPDX-License-Identifier: Apache-2.0
"""Work on the machines of a Dask scheduler, behind the same executor as a pool of processes.

Workers need Koinon itself, in the same version. For ``tls://`` the certificates are Dask's own settings
(``DASK_DISTRIBUTED__COMM__TLS__CA_FILE``, ``…__CLIENT__CERT``, ``…__CLIENT__KEY``). Whoever reaches
a scheduler runs code on its workers: keep ``tcp://`` to loopback and private networks.
"""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import BrokenExecutor, Executor, Future, wait
from typing import Any, Final, ParamSpec, TypeVar

from koinon.errors import SetupError

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_MUST_AGREE: Final = ("python", "distributed", "dask", "cloudpickle", "koinon")


class WorkersDied(BrokenExecutor):
    """The workers that ran a task died, or the scheduler did."""


class DaskExecutor(Executor):
    """The workers of a scheduler.

    A task whose worker dies is run again by the scheduler as often as it is set to (three times); then its
    future raises `WorkersDied`.

    Parameters
    ----------
    address : str
        ``tcp://host:port`` or ``tls://host:port``.
    timeout_s : float
        Longest wait for the scheduler and for its first worker.

    Raises
    ------
    SetupError
        Dask is not installed, the scheduler is silent or has no workers, or versions differ.
    """

    def __init__(self, address: str, *, timeout_s: float = 30.0) -> None:
        self.address = address
        self._client = _connect(address, timeout_s)
        self._lock = threading.Lock()
        self._closed = False
        self._pending: dict[Future[Any], Any] = {}

    @property
    def workers(self) -> int:
        """How many workers there are now."""
        return len(self._client.scheduler_info(n_workers=-1)["workers"])

    def submit(
        self, fn: Callable[Arguments, Result], /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Future[Result]:
        future: Future[Result] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("cannot submit work after shutdown")
            if self._client.status != "running":
                raise _lost(self.address)
            task = self._client.submit(_run, fn, args, kwargs, pure=False)
            self._pending[future] = task
        future.add_done_callback(self._settled)
        task.add_done_callback(lambda done: _copy(done, future))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        with self._lock:
            first, self._closed = not self._closed, True
            pending = list(self._pending)
        if cancel_futures:
            for future in pending:
                future.cancel()
        if not first:
            return
        if wait:
            self._finish(pending)
        else:
            threading.Thread(target=self._finish, args=(pending,), daemon=True).start()

    def _settled(self, future: Future[Any]) -> None:
        """Forget a task; where its future was cancelled, the workers need not run it."""
        with self._lock:
            task = self._pending.pop(future)
        if future.cancelled():
            task.cancel()

    def _finish(self, pending: list[Future[Any]]) -> None:
        wait(pending)
        self._client.close()


def _run(function: Callable[..., Result], arguments: tuple[Any, ...], named: Mapping[str, Any]) -> Result:
    return function(*arguments, **named)


def _copy(task: Any, future: Future[Any]) -> None:
    """Give ``future`` what came of ``task``."""
    from distributed.scheduler import KilledWorker  # noqa: PLC0415  (loaded with the client)

    if not future.set_running_or_notify_cancel():
        return
    try:
        error = task.exception() if task.status == "error" else None
        if task.status == "finished":
            future.set_result(task.result())
        elif error is not None and not isinstance(error, KilledWorker):
            future.set_exception(error)
        else:
            future.set_exception(WorkersDied(str(error or f"the task is {task.status}")))
    except Exception as lost:  # the connection ended while the result was on its way
        future.set_exception(WorkersDied(str(lost)))


def _connect(address: str, timeout_s: float) -> Any:
    try:
        from distributed import Client  # noqa: PLC0415  (heavy, and an extra)
        from distributed.versions import VersionMismatchWarning  # noqa: PLC0415
    except ImportError:
        raise SetupError(
            "Computing on a Dask scheduler needs Dask, which is not installed.",
            hint="Run: pip install 'koinon[dask]', or leave KOINON_DASK_SCHEDULER out.",
            code="setup.dask_missing",
        ) from None
    for name in ("distributed.client", "distributed.comm.tcp"):  # what it has to say is in our errors
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", VersionMismatchWarning)
            client: Any = Client(  # type: ignore[no-untyped-call]  # Dask's own has no types
                address, timeout=timeout_s, set_as_default=False, name="koinon"
            )
    except (OSError, TypeError, ValueError, RuntimeError) as error:
        raise SetupError(
            f"The Dask scheduler {address} does not answer ({type(error).__name__}).",
            hint="Start it (dask scheduler), correct KOINON_DASK_SCHEDULER, or leave it out to compute here.",
            code="setup.scheduler_silent",
        ) from error
    try:
        client.wait_for_workers(1, timeout=timeout_s)
        _check_versions(client.get_versions(packages=["koinon"]))
    except TimeoutError:
        client.close()
        raise SetupError(
            f"The Dask scheduler {address} has no workers.",
            hint=f"Start one: dask worker {address}",
            code="setup.scheduler_without_workers",
        ) from None
    except BaseException:
        client.close()
        raise
    return client


def _check_versions(seen: Mapping[str, Any]) -> None:
    """Refuse workers whose Python or packages differ from ours: what they send could not be read."""
    here = _versions(seen["client"])
    for address, worker in seen["workers"].items():
        there = _versions(worker)
        differing = [name for name in _MUST_AGREE if here[name] != there[name]]
        if differing:
            told = ", ".join(f"{name} {there[name]} (here {here[name]})" for name in differing)
            raise SetupError(
                f"The Dask worker {address} runs other versions: {told}.",
                hint="Install the same Koinon with the same packages there.",
                code="setup.worker_versions",
            )


def _versions(process: Mapping[str, Any]) -> dict[str, str]:
    packages = process["packages"]
    found = {name: str(packages.get(name) or "none") for name in _MUST_AGREE}
    found["python"] = ".".join(str(process["host"]["python"]).split(".")[:2])
    return found


def _lost(address: str) -> SetupError:
    return SetupError(
        f"The Dask scheduler {address} was lost.",
        hint="Start it again and run this again; what was not finished is done anew.",
        code="setup.scheduler_lost",
    )
