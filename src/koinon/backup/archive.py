# SPDX-License-Identifier: Apache-2.0
"""The file: a compressed tar in age encryption, with a list of everything in it at its end.

    koinon backup 1\\n | 4 bytes: length of the next part | an age file | an age file

The second age file has the tar. Sealed by a password, it is for a reader made for this backup alone, whose
identity is in the first, which the password opens (age's scrypt). Sealed for a recipient (age1…), the first
part is empty. Both are written and read as streams: memory does not grow with the data.

age authenticates every 64 KiB and the end, so a truncated or changed file is noticed, and only whoever knows
the password can have made one that opens with it. One that was sealed for a recipient anybody can have made.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Final

import orjson
import pyrage

from koinon.backup.snapshot import Entry
from koinon.errors import BadInput, IntegrityError, KeyFault

MAGIC: Final = b"koinon backup 1\n"
_MANIFEST: Final = "manifest.json"
_SEALED_LIMIT: Final = 1 << 16
_PIECE: Final = 1 << 20


@dataclass(frozen=True)
class Manifest:
    """What is in a backup: name → (bytes, SHA-256 hex), link → where to; ``made_at`` Unix seconds."""

    made_at: int
    files: dict[str, tuple[int, str]] = field(repr=False)
    links: dict[str, str] = field(repr=False)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(size for size, _ in self.files.values())

    def to_json(self) -> bytes:
        return orjson.dumps({"made_at": self.made_at, "files": self.files, "links": self.links})

    @classmethod
    def from_json(cls, content: bytes) -> Manifest:
        """`IntegrityError` unless it is one."""
        try:
            fields = orjson.loads(content)
            return cls(
                int(fields["made_at"]),
                {str(name): (int(size), str(digest)) for name, (size, digest) in fields["files"].items()},
                {str(name): str(target) for name, target in fields["links"].items()},
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            raise damaged() from None


@dataclass(frozen=True)
class Secret:
    """What seals or opens a backup: a ``password``, or for sealing a ``recipient`` (age1…), for opening an
    ``identity`` (AGE-SECRET-KEY-1…)."""

    password: str = field(default="", repr=False)
    recipient: str = ""
    identity: str = field(default="", repr=False)


def write(target: IO[bytes], contents: Iterable[Entry], secret: Secret, made_at: int) -> Manifest:
    """Write a backup of these entries.

    Raises
    ------
    BadInput
        There is no password and no recipient, or it is none.
    OSError, sqlite3.Error
        From reading the entries, or writing.
    """
    first, recipient = _seal(secret)
    target.write(MAGIC + len(first).to_bytes(4, "big") + first)
    manifest = Manifest(made_at, {}, {})
    with _pumped(lambda sink: _write_tar(sink, contents, manifest)) as source:
        try:
            pyrage.encrypt_io(source, target, [recipient])
        except pyrage.EncryptError as error:  # age's words for what writing raised
            raise OSError(str(error)) from error
    return manifest


def unlock(source: IO[bytes], secret: Secret) -> pyrage.x25519.Identity:
    """The reader of a backup, which stands at its content afterwards.

    Raises
    ------
    IntegrityError
        No backup, or truncated in its first bytes.
    KeyFault
        The password or identity does not open it.
    """
    if source.read(len(MAGIC)) != MAGIC:
        raise IntegrityError(
            "This is not a backup of Koinon.",
            hint="Give the file that `koinon backup` wrote.",
            code="backup.format",
        )
    length = int.from_bytes(source.read(4), "big")
    first = source.read(length) if length <= _SEALED_LIMIT else b""
    if len(first) != length:
        raise damaged()
    identity = _unseal(first, secret)
    _check_reader(source, identity)
    return identity


def read(source: IO[bytes], identity: pyrage.x25519.Identity, folder: Path | None = None) -> Manifest:
    """Check the whole content of a backup that was unlocked and, with a ``folder``, put everything there.

    Raises
    ------
    IntegrityError
        Truncated, or changed, or with names that lead outside.
    """

    def decrypt(sink: IO[bytes]) -> None:
        pyrage.decrypt_io(source, sink, [identity])

    try:
        with _pumped(decrypt) as plain:
            manifest = _read_tar(plain, folder)
            while plain.read(_PIECE):  # to its end, which age authenticates
                pass
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, pyrage.DecryptError, _Undecipherable) as error:
        raise damaged() from error
    return manifest


def damaged() -> IntegrityError:
    """The error for a backup that is not whole."""
    return IntegrityError(
        "The backup is damaged: cut short, or changed. Nothing was restored.",
        hint="Use another copy of the file.",
        code="backup.damaged",
    )


class _Undecipherable(Exception):
    """age refused part of the file."""


def _seal(secret: Secret) -> tuple[bytes, pyrage.x25519.Recipient]:
    if secret.recipient:
        try:
            return b"", pyrage.x25519.Recipient.from_str(secret.recipient)
        except pyrage.RecipientError:
            raise BadInput(
                "This is not an age X25519 recipient.", hint="It starts with age1.", code="backup.recipient"
            ) from None
    if not secret.password:
        raise BadInput(
            "A backup needs a password or a recipient.",
            hint="Set KOINON_BACKUP_PASSWORD, or give --to.",
            code="backup.password",
        )
    identity = pyrage.x25519.Identity.generate()
    return bytes(pyrage.passphrase.encrypt(str(identity).encode(), secret.password)), identity.to_public()


def _unseal(first: bytes, secret: Secret) -> pyrage.x25519.Identity:
    if first and not secret.password:
        raise KeyFault(
            "This backup is sealed with a password.",
            hint="Set KOINON_BACKUP_PASSWORD.",
            code="backup.wrong_secret",
        )
    if not first and not secret.identity:
        raise KeyFault(
            "This backup is sealed for an age recipient.",
            hint="Give its identity file with --identity.",
            code="backup.wrong_secret",
        )
    try:
        text = pyrage.passphrase.decrypt(first, secret.password).decode() if first else secret.identity
        return pyrage.x25519.Identity.from_str(text.strip())
    except (pyrage.DecryptError, pyrage.IdentityError, UnicodeDecodeError):
        raise KeyFault(
            "The password or identity does not open this backup.",
            hint="Give the one it was sealed with. If it is, the file is damaged.",
            code="backup.wrong_secret",
        ) from None


def _check_reader(source: IO[bytes], identity: pyrage.x25519.Identity) -> None:
    """KeyFault where the identity is not the reader: age tells from the head of the file."""
    start = source.tell()
    head = source.read(1 << 10)
    source.seek(start)
    if not head.startswith(b"age-encryption.org/v1\n"):
        raise damaged()
    try:
        pyrage.decrypt_io(io.BytesIO(head), io.BytesIO(), [identity])
    except pyrage.DecryptError:
        raise KeyFault(
            "The identity does not open this backup.",
            hint="Give the one it was sealed for. If it is, the file is damaged.",
            code="backup.wrong_secret",
        ) from None
    except OSError:
        return  # the head was accepted, and ends in the middle of a piece


@contextmanager
def _pumped(work: object) -> Iterator[IO[bytes]]:
    """What ``work`` writes into the file it is called with, to be read here, while it writes. Its error is
    raised at the end, instead of what reading made of it."""
    reading, writing = os.pipe()
    fault: list[BaseException] = []

    def run() -> None:
        try:
            with os.fdopen(writing, "wb") as sink:
                work(sink)  # type: ignore[operator]
        except BrokenPipeError:
            pass  # the reader has had enough, and says why
        except OSError as error:
            fault.append(_Undecipherable() if error.errno is None else error)
        except BaseException as error:
            fault.append(error)

    thread = threading.Thread(target=run, name="backup")
    thread.start()
    source = os.fdopen(reading, "rb")
    try:
        yield source
    except (tarfile.TarError, OSError, EOFError):
        source.close()
        thread.join()
        if fault:
            raise fault[0] from None
        raise
    finally:
        source.close()
        thread.join()
    if fault:
        raise fault[0]


def _write_tar(sink: IO[bytes], contents: Iterable[Entry], manifest: Manifest) -> None:
    with (
        gzip.GzipFile(fileobj=sink, mode="wb", compresslevel=3, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        for entry in contents:
            if entry.link is not None:
                manifest.links[entry.name] = entry.link
                continue
            with entry.source.open("rb") as file:
                member = tarfile.TarInfo(entry.name)
                member.size = os.fstat(file.fileno()).st_size
                counted = _Counted(file)
                tar.addfile(member, counted)
                manifest.files[entry.name] = (member.size, counted.digest.hexdigest())
        content = manifest.to_json()
        member = tarfile.TarInfo(_MANIFEST)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))


def _read_tar(plain: IO[bytes], folder: Path | None) -> Manifest:
    found: dict[str, tuple[int, str]] = {}
    manifest: Manifest | None = None
    with (
        gzip.GzipFile(fileobj=plain, mode="rb") as packed,
        tarfile.open(fileobj=packed, mode="r|", errorlevel=2) as tar,
    ):
        for member in tar:
            file = tar.extractfile(member) if member.isreg() else None
            if file is None or manifest is not None:
                raise damaged()
            if member.name == _MANIFEST:
                manifest = Manifest.from_json(file.read())
                continue
            _check_name(member.name)
            if member.name in found:
                raise damaged()
            found[member.name] = _take(file, None if folder is None else folder / member.name)
    if manifest is None or manifest.files != found:
        raise damaged()
    for name, target in manifest.links.items():
        _check_name(name)
        _check_name(os.path.normpath(PurePosixPath(name).parent / target))
        if folder is not None:
            _make_folder((folder / name).parent)
            (folder / name).symlink_to(target)
    return manifest


def _take(file: IO[bytes], path: Path | None) -> tuple[int, str]:
    counted = _Counted(file)
    size = 0
    if path is None:
        while piece := counted.read(_PIECE):
            size += len(piece)
        return size, counted.digest.hexdigest()
    _make_folder(path.parent)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
        while piece := counted.read(_PIECE):
            size += target.write(piece)
        target.flush()
        os.fsync(target.fileno())
    return size, counted.digest.hexdigest()


def _make_folder(path: Path) -> None:
    """With all folders above it, for their owner only."""
    if not path.is_dir():
        _make_folder(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)


def _check_name(name: str) -> None:
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or "\0" in name:
        raise damaged()


class _Counted(io.RawIOBase):
    """Reads a file and keeps the SHA-256 of what was read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(size)
        self.digest.update(piece)
        return piece
