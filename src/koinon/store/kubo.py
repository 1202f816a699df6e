# SPDX-License-Identifier: Apache-2.0
"""Blocks in a Kubo node (IPFS), by its RPC; this machine's folder keeps a copy of what passed.

Source: Kubo RPC API v0 reference (``block/put``, ``block/get``, ``block/stat``, ``refs/local``; errors are
``{"Message", "Code", "Type"}`` with status 500). Every call is a POST. Kubo is not trusted: bytes that do
not have the CID that was asked for are an error.
"""

from __future__ import annotations

import http.client
import json
import secrets
import ssl
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from koinon.errors import BadInput, IntegrityError, NotFound, SetupError
from koinon.store.blocks import BlockStore
from koinon.store.cid import cid_of, digest_of
from koinon.store.peers import PeerBlockStore

BIG_BLOCK: Final = 1 << 20
"""Kubo refuses longer blocks unless told; those do not travel by bitswap, only by whoever asks this node."""
LIMIT: Final = 1 << 30
"""Bytes of the longest block taken from Kubo."""

_ANSWER_LIMIT: Final = 1 << 16
_LINE_LIMIT: Final = 4096
_ABSENT: Final = ("could not find", "not found", "deadline exceeded", "no providers")


class KuboStore(PeerBlockStore):
    """A Kubo node's blocks.

    What is put is pinned in Kubo and kept in the folder. What is asked for is taken from the folder, else
    from Kubo (which asks its network for up to ``timeout_s``), else from peers.

    Parameters
    ----------
    path : Path
        The folder.
    url : str
        Kubo's RPC, ``http://127.0.0.1:5001``. Never one that others reach: it obeys whoever asks.
    peers : sequence of str
        As in `PeerBlockStore`.
    timeout_s : float
        Longest wait for Kubo.
    """

    def __init__(self, path: Path, url: str, peers: Sequence[str] = (), timeout_s: float = 30.0) -> None:
        super().__init__(path, peers)
        self.rpc = KuboRpc(url, timeout_s)

    def put(self, data: bytes) -> str:
        """Keep ``data`` in Kubo, pinned, and in the folder; returns its CID. SetupError where one refuses."""
        self.rpc.put(data)
        return super().put(data)

    def get(self, cid: str) -> bytes:
        """The bytes of ``cid``. NotFound where nobody has them, IntegrityError where others came."""
        if BlockStore.has(self, cid):
            return BlockStore.get(self, cid)
        try:
            data = self.rpc.get(cid)
        except NotFound:
            return super().get(cid)
        BlockStore.put(self, data)
        return data

    def has(self, cid: str) -> bool:
        """Whether the folder or the Kubo node itself (not its network) holds this CID."""
        return super().has(cid) or self.rpc.has(cid)

    def cids(self) -> Iterator[str]:
        """Every raw SHA-256 block of the folder and the Kubo node, in order."""
        yield from sorted({*super().cids(), *self.rpc.cids()})


class KuboRpc:
    """The four calls that a store needs, each on a connection of its own."""

    def __init__(self, url: str, timeout_s: float = 30.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadInput(
                "This is not the address of a Kubo RPC.",
                hint="It looks like http://127.0.0.1:5001.",
                code="store.kubo_url",
            )
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._host, self._port, self._path = parts.hostname, parts.port, parts.path.rstrip("/")
        self._timeout_s = timeout_s

    def put(self, data: bytes) -> None:
        """Keep and pin one raw block. IntegrityError where Kubo names it otherwise than `cid_of`."""
        boundary = secrets.token_hex(16)
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="data"; filename="data"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        options = {"cid-codec": "raw", "mhtype": "sha2-256", "mhlen": "-1", "pin": "true"}
        if len(data) > BIG_BLOCK:
            options["allow-big-block"] = "true"
        answer = self._json(
            "block/put",
            options,
            head.encode() + data + f"\r\n--{boundary}--\r\n".encode(),
            {"Content-Type": f"multipart/form-data; boundary={boundary}"},
        )
        if answer.get("Key") != cid_of(data):
            raise IntegrityError(
                "Kubo kept a block under another name than its content has.",
                hint="Update Kubo, and check that the address is Kubo's.",
                code="store.kubo_key",
            )

    def get(self, cid: str) -> bytes:
        """A block's bytes, checked. NotFound, IntegrityError, SetupError."""
        digest_of(cid)
        options = {"arg": cid, "timeout": f"{max(1, int(self._timeout_s) - 1)}s"}
        data = self._call("block/get", options, limit=LIMIT)
        if cid_of(data) != cid:
            raise IntegrityError(
                f"Kubo gave other bytes than the block {cid}.",
                hint="Check its disk with: ipfs repo verify",
                code="store.corrupt",
            )
        return data

    def has(self, cid: str) -> bool:
        """Whether the node itself holds the block."""
        digest_of(cid)
        try:
            return self._json("block/stat", {"arg": cid, "offline": "true"}).get("Key") == cid
        except NotFound:
            return False

    def cids(self) -> Iterator[str]:
        """Every raw SHA-256 block that the node holds; blocks of other kinds are passed over."""
        connection, answer = self._open("refs/local", {}, b"", {})
        try:
            while line := answer.readline(_LINE_LIMIT):
                entry = _object(line)
                if entry.get("Err"):
                    raise _failed(str(entry["Err"]))
                try:
                    digest_of(str(entry.get("Ref", "")))
                except BadInput:
                    continue
                yield str(entry["Ref"])
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from None
        finally:
            connection.close()

    def _json(
        self,
        command: str,
        options: Mapping[str, str],
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        return _object(self._call(command, options, body, headers))

    def _call(
        self,
        command: str,
        options: Mapping[str, str],
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        limit: int = _ANSWER_LIMIT,
    ) -> bytes:
        connection, answer = self._open(command, options, body, headers or {})
        try:
            data = answer.read(limit + 1)
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from None
        finally:
            connection.close()
        if len(data) > limit:
            raise IntegrityError(
                f"Kubo answered {command} with more than {limit} bytes.",
                hint="Check that the address is Kubo's.",
                code="store.kubo_answer",
            )
        return data

    def _open(
        self, command: str, options: Mapping[str, str], body: bytes, headers: Mapping[str, str]
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        """Ask; the answer's body is still to be read. Errors of Kubo's own are raised here."""
        connection = (
            http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)
            if self._tls is None
            else http.client.HTTPSConnection(
                self._host, self._port, timeout=self._timeout_s, context=self._tls
            )
        )
        try:
            connection.request(
                "POST", f"{self._path}/api/v0/{command}?{urlencode(options)}", body, dict(headers)
            )
            answer = connection.getresponse()
            if answer.status == 200:
                return connection, answer
            said = answer.read(_ANSWER_LIMIT)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise self._unreachable(error) from None
        connection.close()
        if answer.status != 500:
            raise SetupError(
                f"What answers at Kubo's address refused {command} with HTTP status {answer.status}.",
                hint="Check kubo_url: it is the RPC's address (port 5001), not the gateway's (8080).",
                code="store.kubo_refused",
            )
        raise _failed(str(_object(said).get("Message", "")))

    def _unreachable(self, error: Exception) -> SetupError:
        why = (
            f"did not answer in {self._timeout_s:g} seconds"
            if isinstance(error, TimeoutError)
            else "is silent"
        )
        return SetupError(
            f"The Kubo node at {self._host}:{self._port or 80} {why}.",
            hint="Start it (ipfs daemon), correct KOINON_KUBO_URL, or leave it out to keep blocks here.",
            code="store.kubo_unreachable",
        )


def _object(content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise SetupError(
            "What answers at Kubo's address does not speak its RPC.",
            hint="Check kubo_url: it is the RPC's address (port 5001), not the gateway's (8080).",
            code="store.kubo_answer",
        )
    return value


def _failed(message: str) -> NotFound | SetupError:
    if any(word in message for word in _ABSENT):
        return NotFound(
            "The Kubo node and its network do not have this block.",
            hint="Fetch it from whoever published it.",
            code="store.missing",
        )
    return SetupError(
        f"The Kubo node refused: {message[:300]}",
        hint="Look at its log; its disk may be full.",
        code="store.kubo_refused",
    )
