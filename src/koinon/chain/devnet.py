# SPDX-License-Identifier: Apache-2.0
"""The embedded development chain: an anvil process that Koinon starts, watches, saves and stops.

It listens on loopback only, has a chain id of its own and twenty accounts with test ETH. Their keys derive
from a secret in the data directory that anvil never sees: the genesis block funds their addresses and nobody
else's.

A second process that starts the same folder attaches to the running chain. What the folder holds:
``root.secret`` (owner only), ``devnet.json`` (port and identity), ``state.json``, ``checkpoint.json`` and
``backups/`` (the chain), ``outbox.sqlite`` (what was mined since, and what waits to be; see `devnet_outbox`),
``recoveries.jsonl`` (each time blocks were mined again), ``anvil.log``, and ``lock``, held by the process
that runs the chain.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import hmac
import secrets
import socket
import time
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

import orjson

from koinon.chain import anvil, artifacts, foreign
from koinon.chain.anvil import find_anvil, install_anvil
from koinon.chain.canonical import CANONICAL, FACTORY, FACTORY_CODE, FOREIGN
from koinon.chain.canonical import DEVNET_CHAIN_ID as CHAIN_ID
from koinon.chain.devnet_outbox import DevnetOutbox
from koinon.chain.keys import ORDER, Key, write_private
from koinon.chain.replay import free_port
from koinon.chain.rpc import Rpc
from koinon.chain.supervisor import HOST, Identity, Supervisor, Watch, end_leftover, outbox_of
from koinon.errors import BadInput, ChainError, IntegrityError, NodeUnavailable, SetupError

__all__ = ["CHAIN_ID", "FUNDED", "Devnet", "Watch", "find_anvil", "free_port", "install_anvil"]

FUNDED: Final = 20
"""Accounts that hold test ETH from the start: `Devnet.key` 0 to 19."""

_BALANCE: Final = 10_000 * 10**18


class Devnet:
    """A development chain in a folder.

    Parameters
    ----------
    data_dir : Path
        Made at the first start. Two folders are two chains.
    anvil_path : Path, optional
        The anvil executable; found by `find_anvil` when not given.
    port : int, optional
        A fixed port; otherwise a free one, the same again at every start where possible.
    watch : Watch, optional
    begins : int, optional
        Unix seconds of a new chain's first block, for one given a past; its clock begins there, too. A
        chain that is there already keeps its own.
    """

    def __init__(
        self,
        data_dir: Path | str,
        anvil_path: Path | None = None,
        *,
        port: int | None = None,
        watch: Watch | None = None,
        begins: int | None = None,
    ) -> None:
        self._begins = begins
        self.data_dir = Path(data_dir).absolute()
        self._anvil_path = anvil_path
        self._fixed_port = port
        self._watch = watch or Watch()
        self._lock: IO[bytes] | None = None
        self._supervisor: Supervisor | None = None
        self._root: bytes | None = None
        self._url: str | None = None
        self._identity: Identity | None = None
        self._outbox: DevnetOutbox | None = None

    @property
    def chain_id(self) -> int:
        """EIP-155 chain id."""
        return CHAIN_ID

    @property
    def rpc_url(self) -> str:
        """Where it answers; `NodeUnavailable` before `start`."""
        if self._url is None:
            raise NodeUnavailable("The development chain is not running.", hint="Start it first.")
        return self._url

    @property
    def genesis_hash(self) -> str:
        """Hash of block 0, unlike every other devnet's; 0x-hex."""
        if self._identity is None:
            raise NodeUnavailable("The development chain is not running.", hint="Start it first.")
        return self._identity.genesis_hash

    @property
    def outbox(self) -> DevnetOutbox:
        """Where every sender on this chain keeps its transactions; `NodeUnavailable` before `start`."""
        if self._identity is None:
            raise NodeUnavailable("The development chain is not running.", hint="Start it first.")
        if self._outbox is None:
            self._outbox = outbox_of(self.data_dir, self._identity)
        return self._outbox

    @property
    def supervisor(self) -> Supervisor | None:
        """What watches the chain, in the process that runs it; None where it is only attached."""
        return self._supervisor

    def start(self) -> str:
        """Run the chain, or attach to it where another process runs it; its URL.

        Raises
        ------
        SetupError
            anvil is missing, or the fixed port is taken.
        NodeUnavailable, WrongNetwork
            It does not start, or another node answers in its place.
        IntegrityError
            The saved chain is damaged.
        """
        if self._url is not None:
            return self._url
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        deadline = time.monotonic() + self._watch.start_s
        while not self._take_lock():
            if self._attach():
                return self.rpc_url
            if time.monotonic() >= deadline:
                raise NodeUnavailable(
                    f"Another process holds the development chain in {self.data_dir}, which does not answer.",
                    hint="End that process, then try again.",
                    code="chain.devnet_held",
                )
            time.sleep(0.05)
        try:
            self._run()
        except BaseException:
            self._release_lock()
            raise
        return self.rpc_url

    def stop(self) -> None:
        """Save and end the chain, if this process runs it; otherwise only let go of it."""
        if self._supervisor is not None:
            self._supervisor.stop()
            self._supervisor = None
        self._release_lock()
        if self._outbox is not None:
            self._outbox.close()
        self._url = None

    def key(self, index: int) -> Key:
        """The chain's account number ``index``, the same at every start; the first twenty are funded."""
        if index < 0:
            raise BadInput("Accounts are numbered from 0.")
        if self._root is None:
            self._root = self._load_root()
        for attempt in range(256):
            label = f"koinon devnet account {index} {attempt}".encode()
            secret = hmac.new(self._root, label, hashlib.sha256).digest()
            if 0 < int.from_bytes(secret, "big") < ORDER:
                return Key.from_bytes(secret)
        raise IntegrityError("No key derives from this secret.")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"Devnet({str(self.data_dir)!r})"

    # The folder

    def _load_root(self) -> bytes:
        path = self.data_dir / "root.secret"
        if not path.is_file():
            write_private(path, secrets.token_hex(32).encode())
        try:
            root = bytes.fromhex(path.read_text())
        except (OSError, ValueError):
            root = b""
        if len(root) != 32:
            raise SetupError(
                f"{path} is damaged.", hint="Restore it, or move the folder away to begin a new chain."
            )
        return root

    def _take_lock(self) -> bool:
        lock = (self.data_dir / "lock").open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return False
        self._lock = lock
        return True

    def _release_lock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _record(self) -> tuple[Identity, int] | None:
        try:
            fields = orjson.loads((self.data_dir / "devnet.json").read_bytes())
            port = int(fields.pop("port"))
            return Identity(**fields), port
        except (OSError, ValueError, KeyError, TypeError):
            return None

    # Starting

    def _attach(self) -> bool:
        record = self._record()
        if record is None:
            return False
        identity, port = record
        url = f"http://{HOST}:{port}"
        try:
            with Rpc(url, timeout_s=self._watch.answer_s) as rpc:
                identity.check(rpc)
        except ChainError:
            return False
        self._url, self._identity = url, identity
        return True

    def _run(self) -> None:
        executable = find_anvil(self._anvil_path)
        end_leftover(self.data_dir, self._watch.stop_s)
        record = self._record()
        if record is None:
            identity, port = self._make_genesis(executable), self._choose_port(None)
        else:
            identity, port = record[0], self._choose_port(record[1])
        write_private(self.data_dir / "devnet.json", orjson.dumps({**asdict(identity), "port": port}))
        supervisor = Supervisor(executable, self.data_dir, identity, port, self._watch)
        supervisor.start()
        self._supervisor, self._identity, self._url = supervisor, identity, f"http://{HOST}:{port}"
        if record is None and self._begins is not None:
            with Rpc(self._url, timeout_s=self._watch.answer_s) as rpc:
                rpc.call("evm_setTime", identity.genesis_time + 1)

    def _choose_port(self, last: int | None) -> int:
        if self._fixed_port is not None:
            if _is_free(self._fixed_port):
                return self._fixed_port
            raise SetupError(
                f"Port {self._fixed_port} is taken by another program.",
                hint="Stop that program, or let the development chain choose a port.",
                code="setup.port",
            )
        return last if last is not None and _is_free(last) else free_port()

    def _make_genesis(self, executable: Path) -> Identity:
        """Anvil takes a genesis file or a saved chain, never both: run it once on one to get the other."""
        # A random second makes the genesis hash unlike any other devnet's.
        latest, spread = (int(time.time()), 2**22) if self._begins is None else (self._begins, 600)
        born = latest - secrets.randbelow(spread)
        path = self.data_dir / "genesis.json"
        write_private(path, orjson.dumps(self._genesis(born)))
        port = free_port()
        log_path = self.data_dir / "anvil.log"
        with log_path.open("wb") as log:
            arguments = ["--host", HOST, "--port", str(port), "--chain-id", str(CHAIN_ID), "--accounts", "0"]
            child = anvil.spawn(executable, [*arguments, "--init", str(path), "--no-cors", "--quiet"], log)
        try:
            with Rpc(f"http://{HOST}:{port}", timeout_s=self._watch.answer_s) as rpc:
                deadline = time.monotonic() + self._watch.start_s
                while True:
                    try:
                        genesis = rpc.call("eth_getBlockByNumber", "0x0", False)
                        break
                    except NodeUnavailable:
                        if child.poll() is not None or time.monotonic() >= deadline:
                            raise
                        time.sleep(0.02)
                packed = rpc.call("anvil_dumpState")
                identity = Identity(int(rpc.call("eth_chainId"), 16), genesis["hash"], born)
        finally:
            child.kill()
            child.wait()
        write_private(self.data_dir / "state.json", gzip.decompress(bytes.fromhex(packed[2:])))
        path.unlink()
        return identity

    def _genesis(self, born: int) -> dict[str, Any]:
        alloc: dict[str, dict[str, str]] = {
            self.key(index).address: {"balance": hex(_BALANCE)} for index in range(FUNDED)
        }
        alloc[FACTORY] = {"balance": "0x0", "nonce": "0x1", "code": "0x" + FACTORY_CODE.hex()}
        codes = {address: artifacts.load(name).runtime for name, address in CANONICAL.items()}
        codes |= {address: foreign.runtime(name) for name, address in FOREIGN.items()}
        for address, code in codes.items():
            alloc[address] = {"balance": "0x0", "nonce": "0x1", "code": "0x" + code.hex()}
        zero = "0x" + "00" * 32
        return {
            "config": {"chainId": CHAIN_ID},
            "nonce": "0x0",
            "timestamp": hex(born),
            "extraData": "0x",
            "gasLimit": hex(30_000_000),
            "difficulty": "0x0",
            "mixHash": zero,
            "coinbase": "0x" + "00" * 20,
            "alloc": alloc,
        }


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
