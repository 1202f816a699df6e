# SPDX-License-Identifier: Apache-2.0
"""A gateway's keys for sealed calls: each is used for half a day, kept for a day, then erased.

What was sealed to an erased key cannot be opened any more, not even by who takes the gateway's disk and
account: that is the forward secrecy of inputs. Answers have it at once, for the caller's key is never stored.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from koinon.chain.account import Account
from koinon.chain.eip712 import Domain
from koinon.chain.keys import write_private
from koinon.services.sealing.calls import SealingKey

FILE_NAME: Final = "sealing.json"
USED_S: Final = 43_200
KEPT_S: Final = 86_400


@dataclass(frozen=True)
class _Held:
    private: X25519PrivateKey
    since: int

    @property
    def public(self) -> bytes:
        return self.private.public_key().public_bytes_raw()


class SealingKeys:
    """The keys of one gateway, in its data directory.

    Parameters
    ----------
    folder : Path
    account : Account
        The gateway's; it signs each key.
    domain : Domain
        See `sealing_domain`.
    clock : callable, optional
        Unix seconds.
    """

    def __init__(
        self, folder: Path, account: Account, domain: Domain, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.account = account
        self.domain = domain
        self._path = folder / FILE_NAME
        self._clock = clock
        self._lock = threading.Lock()
        self._held = self._load()
        self._signed: SealingKey | None = None

    def current(self) -> SealingKey:
        """The key to seal to now; a new one where the last was used long enough."""
        with self._lock:
            now = int(self._clock())
            self._held = [held for held in self._held if now < held.since + KEPT_S]
            if not self._held or now >= self._held[-1].since + USED_S or self._held[-1].since > now:
                self._held.append(_Held(X25519PrivateKey.generate(), now))
                self._save()
            newest = self._held[-1]
            if self._signed is None or self._signed.key != newest.public:
                self._signed = SealingKey.sign(
                    self.account, self.domain, newest.public, newest.since, newest.since + USED_S
                )
            return self._signed

    def private(self, public: bytes) -> X25519PrivateKey | None:
        """The private key of a public one that is still kept."""
        with self._lock:
            now = int(self._clock())
            for held in self._held:
                if held.public == public and now < held.since + KEPT_S:
                    return held.private
        return None

    def _load(self) -> list[_Held]:
        try:
            rows = orjson.loads(self._path.read_bytes())
            return [
                _Held(X25519PrivateKey.from_private_bytes(bytes.fromhex(secret)), int(since))
                for secret, since in rows
            ]
        except (OSError, ValueError, TypeError):
            return []

    def _save(self) -> None:
        rows = [[held.private.private_bytes_raw().hex(), held.since] for held in self._held]
        write_private(self._path, orjson.dumps(rows))
