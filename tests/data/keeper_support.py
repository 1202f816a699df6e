# SPDX-License-Identifier: Apache-2.0
"""Keepers as processes of their own: honest ones, and one that gives out wrong shares."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from koinon.chain.keys import Key
from koinon.data.door import Refusal
from koinon.data.keeper_client import KeeperClient
from koinon.data.keeper_process import run_config
from koinon.data.keeper_server import Keeper
from koinon.data.keepers import ShareRequest, sign_release
from koinon.data.sealed import SealedContent, share_context
from koinon.data.sealed_box import seal_to
from koinon.shamir import Share

ROOT = Path(__file__).parents[2]


class LyingKeeper(Keeper):
    """Checks everything as it should, and gives out a share that it made up, properly signed."""

    def release(self, request: ShareRequest) -> dict[str, Any]:
        super().release(request)
        context = share_context(request.content_id, request.grantee)
        sealed = seal_to(request.sealing_key, b"\x01" + bytes(32), context)
        signature = sign_release(self.account, self._domain, request, sealed)
        return {"sealed_share": sealed.hex(), "signature": signature.hex()}


class EarlyKeeper(Keeper):
    """Gives its share to whoever asks."""

    def _is_granted(self, request: ShareRequest) -> bool:
        return True


class SilentKeeper(Keeper):
    """Takes what is left with it and never gives it out."""

    def release(self, request: ShareRequest) -> dict[str, Any]:
        raise Refusal(503, "Not now.", "Never.", "data.not_now")

    def share_of(self, content_id: bytes) -> tuple[SealedContent, Share] | None:
        return None


class RubbishKeeper(SilentKeeper):
    """Answers complaints, with something that is not its share."""

    def share_of(self, content_id: bytes) -> tuple[SealedContent, Share] | None:
        left = Keeper.share_of(self, content_id)
        return left and (left[0], Share(left[1].index, bytes(32)))


KINDS = {
    "honest": Keeper,
    "lying": LyingKeeper,
    "early": EarlyKeeper,
    "silent": SilentKeeper,
    "rubbish": RubbishKeeper,
}


@dataclass
class KeeperProcess:
    """One keeper's process; `kill` it and `start` it again on the same folder."""

    folder: Path
    network_file: Path
    kind: str = "honest"
    port: int = 0
    look_s: float = 0
    ready: dict[str, Any] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        (self.folder / "password").write_text("keeper")
        Key.generate().save(self.folder / "key.json", "keeper", derivation="pbkdf2")

    def start(self) -> KeeperProcess:
        config = {
            "network": str(self.network_file),
            "key": str(self.folder / "key.json"),
            "password_file": str(self.folder / "password"),
            "data_dir": str(self.folder / "data"),
            "port": self.port,
            "look_s": self.look_s,
        }
        (self.folder / "config.json").write_bytes(orjson.dumps(config))
        with (self.folder / "errors").open("ab") as errors:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "tests.data.keeper_support",
                    self.kind,
                    str(self.folder / "config.json"),
                ],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        assert self.process.stdout is not None
        self.ready = orjson.loads(self.process.stdout.readline())
        assert self.ready["event"] == "ready", self.ready
        self.port = int(self.ready["url"].rpartition(":")[2])
        return self

    def client(self) -> KeeperClient:
        return KeeperClient(self.ready["url"])

    def kill(self) -> None:
        """As a crash would: SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            assert self.process.stdout is not None
            self.process.stdout.close()
            self.process = None


if __name__ == "__main__":
    sys.exit(run_config(Path(sys.argv[2]), make=KINDS[sys.argv[1]]))
