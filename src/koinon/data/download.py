# SPDX-License-Identifier: Apache-2.0
"""A buyer's side of a download: shares from keepers, the key from shares, the content from pieces.

A download that was cut off goes on: the key, once it was had, is beside the target in a file that only the
buyer can read, and what was written is kept to the last whole piece.
"""

from __future__ import annotations

import hashlib
import os
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import orjson

from koinon.chain.account import Account
from koinon.chain.handle import Chain
from koinon.chain.keys import write_private
from koinon.data.keeper_client import KeeperClient
from koinon.data.keepers import check_owner, keeper_domain
from koinon.data.sealed import Keeper, SealedContent, open_chunks
from koinon.data.sealed_box import BoxKey
from koinon.errors import IntegrityError, KoinonError, PaymentError, PeerError, SetupError
from koinon.shamir import Share, combine
from koinon.store import Store

HEDGE_S: Final = 3.0
"""After so long without an answer another keeper is asked as well."""

Ask = Callable[[Keeper], Share]


@dataclass(frozen=True)
class Fault:
    """What one keeper did wrong. ``lied``: it signed, or gave, what cannot be its share."""

    keeper: Keeper
    reason: str
    lied: bool


@dataclass(frozen=True)
class Received:
    """A key, and the keepers that did not help to get it."""

    key: bytes = field(repr=False)
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True)
class Downloaded:
    """Where the content is, its size, and the keepers that did not help."""

    path: Path
    size: int
    faults: tuple[Fault, ...] = ()


def gather(
    described: SealedContent, ask: Ask, *, timeout_s: float = 20.0, hedge_s: float = HEDGE_S
) -> Received:
    """The key, from as many keepers as it takes: so many at once, another for each that fails or is slow.

    ``ask`` is called in threads of their own, once a keeper at most.

    Raises
    ------
    PaymentError
        No keeper sees a grant.
    PeerError
        Too few keepers gave their share in time; the sentence names each and says why.
    """
    answers: queue.SimpleQueue[tuple[Keeper, Share | KoinonError]] = queue.SimpleQueue()
    waiting = list(described.keepers)
    shares: list[Share] = []
    faults: list[Fault] = []
    errors: list[KoinonError] = []
    asked: list[Keeper] = []

    def start() -> None:
        if waiting:
            asked.append(waiting.pop(0))
            threading.Thread(target=_ask, args=(ask, asked[-1], answers), daemon=True).start()

    for _ in range(described.threshold):
        start()
    end = time.monotonic() + timeout_s
    while len(shares) < described.threshold and (left := end - time.monotonic()) > 0:
        if len(shares) + len(faults) == len(asked) and not waiting:
            break
        try:
            keeper, answer = answers.get(timeout=min(left, hedge_s) if waiting else left)
        except queue.Empty:
            start()
            continue
        if isinstance(answer, Share):
            shares.append(answer)
        else:
            errors.append(answer)
            faults.append(Fault(keeper, answer.message, isinstance(answer, IntegrityError)))
            start()
    if len(shares) >= described.threshold:
        return Received(combine(shares, described.threshold), tuple(faults))
    refused = next((error for error in errors if isinstance(error, PaymentError)), None)
    if refused is not None and len(errors) == sum(isinstance(error, PaymentError) for error in errors):
        raise refused
    heard = {fault.keeper.account for fault in faults}
    reasons = [f"{fault.keeper.account}: {fault.reason}" for fault in faults]
    silent = len(asked) - len(shares) - len(heard)
    raise PeerError(
        f"Only {len(shares)} of the {described.threshold} keepers needed gave their share. "
        + " ".join(reasons + [f"{silent} did not answer in time."] * bool(silent)),
        hint="Try again; if it stays so, complain on chain for your money back.",
        code="data.too_few_shares",
    )


def keepers_of(
    chain: Chain,
    buyer: Account,
    described: SealedContent,
    *,
    timeout_s: float = 10.0,
    owner: str | None = None,
) -> Ask:
    """How `gather` asks the keepers of a content for a buyer; IntegrityError when the owner did not sign it.

    ``owner`` as for `check_owner`. Every call seals to the same new key, which ends with this process.
    """
    content_id = check_owner(chain, described, owner)
    domain = keeper_domain(chain.chain_id, chain.contract("Terms").address)
    box = BoxKey.generate()

    def ask(keeper: Keeper) -> Share:
        client = KeeperClient(keeper.url, timeout_s=timeout_s)
        return client.ask(buyer, described, keeper, content_id=content_id, domain=domain, box=box)

    return ask


def download(
    store: Store,
    described: SealedContent,
    target: Path,
    ask: Ask,
    *,
    timeout_s: float = 20.0,
    progress: Callable[[int, int], None] = lambda _done, _size: None,
) -> Downloaded:
    """Write the content to ``target``, going on where an earlier call was cut off.

    ``progress`` is told bytes written and bytes in all after each piece.

    Raises
    ------
    IntegrityError
        A piece, or the whole, is not what the owner signed for.
    SetupError
        The disk refuses.
    PaymentError, PeerError
        As from `gather`.
    """
    partial, state = target.with_name(f".{target.name}.part"), target.with_name(f".{target.name}.key")
    try:
        key, faults = _kept_key(state, described), tuple[Fault, ...]()
        if key is None:
            received = gather(described, ask, timeout_s=timeout_s)
            key, faults = received.key, received.faults
            write_private(state, orjson.dumps({"content": described.to_json().hex(), "key": key.hex()}))
        if not _write(store, described, key, partial, progress):
            partial.unlink()  # what an earlier call wrote may have been damaged: once more from the beginning
            if not _write(store, described, key, partial, progress):
                partial.unlink()
                raise IntegrityError(
                    "The content is not what its owner signed for: its digest is another.",
                    hint="Ask for your money back.",
                    code="data.content_digest",
                )
        partial.replace(target)
        state.unlink(missing_ok=True)
    except OSError as error:
        raise SetupError(
            f"The content could not be written to {target} ({error.strerror}).",
            hint="Free some space or choose another place; what was written is kept.",
            code="data.write",
        ) from error
    return Downloaded(target, described.size, faults)


def _ask(ask: Ask, keeper: Keeper, answers: queue.SimpleQueue[tuple[Keeper, Share | KoinonError]]) -> None:
    try:
        answers.put((keeper, ask(keeper)))
    except KoinonError as error:
        answers.put((keeper, error))
    except Exception as error:  # a fault of ours must not leave the buyer waiting
        answers.put(
            (keeper, PeerError(f"Asking failed ({type(error).__name__}).", code="data.keeper_silent"))
        )


def _kept_key(state: Path, described: SealedContent) -> bytes | None:
    """The key an earlier call had for this very content."""
    try:
        fields = orjson.loads(state.read_bytes())
        same = fields["content"] == described.to_json().hex()
        return bytes.fromhex(fields["key"]) if same else None
    except FileNotFoundError:
        return None
    except (KeyError, TypeError, ValueError):
        return None


def _write(
    store: Store, described: SealedContent, key: bytes, partial: Path, progress: Callable[[int, int], None]
) -> bool:
    """Write what is missing; whether the whole has the digest signed for."""
    descriptor = os.open(partial, os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+b") as stream:
        whole = os.fstat(descriptor).st_size // described.chunk_bytes
        begin = min(whole, described.chunk_count - 1)
        hasher, done = hashlib.sha256(), 0
        for _ in range(begin):
            chunk = stream.read(described.chunk_bytes)
            hasher.update(chunk)
            done += len(chunk)
        stream.truncate(done)
        for chunk in open_chunks(store, described, key, begin=begin):
            stream.write(chunk)
            hasher.update(chunk)
            done += len(chunk)
            progress(done, described.size)
        stream.flush()
        os.fsync(descriptor)
    return hasher.digest() == described.content_digest
