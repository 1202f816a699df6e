# SPDX-License-Identifier: Apache-2.0
"""secp256k1 keys: signing, recovery and encrypted keystores (Web3 Secret Storage v3)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final, NoReturn

import coincurve
import orjson

from koinon.chain import keystore
from koinon.chain.address import checksum
from koinon.chain.eip712 import Domain, TypedStruct, digest
from koinon.chain.hashing import keccak256
from koinon.errors import BadInput, KeyFault

ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_HALF_ORDER: Final = (ORDER // 2).to_bytes(32, "big")


class Key:
    """A private key. It signs and saves itself encrypted; the secret never leaves it otherwise."""

    __slots__ = ("_address", "_private", "_public_key")

    def __init__(self, private: coincurve.PrivateKey) -> None:
        self._private = private
        self._public_key = private.public_key.format(compressed=False)[1:]
        self._address = public_key_address(self._public_key)

    @classmethod
    def generate(cls) -> Key:
        """A new random key from the system's entropy."""
        return cls(coincurve.PrivateKey())

    @classmethod
    def from_bytes(cls, secret: bytes) -> Key:
        """The key with this 32-byte secret, which must lie in 1 … order − 1."""
        if len(secret) != 32 or not 0 < int.from_bytes(secret, "big") < ORDER:
            raise KeyFault("A private key is 32 bytes and lies within the curve's order.", code="key.secret")
        return cls(coincurve.PrivateKey(secret))

    @property
    def address(self) -> str:
        """EIP-55 address."""
        return self._address

    @property
    def public_key(self) -> bytes:
        """Uncompressed public key without its prefix: 64 bytes, x ‖ y."""
        return self._public_key

    def sign(self, digest: bytes) -> bytes:
        """Sign a 32-byte digest: r ‖ s ‖ v (65 bytes), v in {27, 28}, s low (EIP-2), RFC 6979 nonce."""
        if len(digest) != 32:
            raise BadInput("Only 32-byte digests are signed.")
        signature = self._private.sign_recoverable(digest, hasher=None)
        return signature[:64] + bytes((27 + signature[64],))

    def sign_typed(self, domain: Domain, struct: TypedStruct, *values: Any) -> bytes:
        """Sign typed structured data (EIP-712), as `Account` asks for; 65 bytes as from `sign`."""
        return self.sign(digest(domain, struct.hash(*values)))

    def save(self, path: Path | str, password: str, *, derivation: keystore.Derivation = "scrypt") -> None:
        """Write an encrypted V3 keystore, readable by its owner only, in one step (never half a file).

        ``pbkdf2`` runs with few rounds and is meant for tests and devnets only.
        """
        content = keystore.encrypt(self._private.secret, self._address, password, derivation)
        write_private(Path(path), orjson.dumps(content, option=orjson.OPT_INDENT_2))

    @classmethod
    def load(cls, path: Path | str, password: str) -> Key:
        """Read a V3 keystore.

        Raises
        ------
        KeyFault
            The file is missing or not a keystore, or the password is wrong.
        """
        try:
            content = orjson.loads(Path(path).read_bytes())
        except FileNotFoundError:
            raise KeyFault(
                f"There is no key at {path}.",
                hint="Create one first, or give the path of an existing keystore.",
                code="key.missing",
            ) from None
        except (OSError, ValueError):
            raise keystore.not_a_keystore(str(path)) from None
        return cls.from_bytes(keystore.decrypt(content, password, str(path)))

    def __repr__(self) -> str:
        return f"Key({self._address})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and self._public_key == other._public_key

    def __hash__(self) -> int:
        return hash(self._public_key)

    def __reduce__(self) -> NoReturn:
        raise TypeError("A private key is not pickled; save it as a keystore.")


class PublicKeyCache:
    """Checks many signatures by few signers.

    A signature counts only in the form contracts accept: 65 bytes, v in {27, 28}, low s, and its recovered
    key is the signer's. The recovery byte is checked too: a signature that verifies with the wrong v would be
    refused on chain. What is saved against `verify` is hashing the recovered key into an address each time.
    """

    __slots__ = ("_keys", "_limit")

    def __init__(self, limit: int = 65_536) -> None:
        self._keys: dict[str, bytes] = {}
        self._limit = limit

    def verify(self, digest: bytes, signature: bytes, address: str) -> bool:
        """Whether ``address`` (EIP-55) signed the 32-byte ``digest``."""
        public_key = _recover_public_key(digest, signature)
        if public_key is None:
            return False
        known = self._keys.get(address)
        if known is not None:
            return known == public_key
        if public_key_address(public_key) != address:
            return False
        if len(self._keys) >= self._limit:
            self._keys.clear()
        self._keys[address] = public_key
        return True


def public_key_address(public_key: bytes) -> str:
    """Address of a 64-byte public key."""
    return checksum(keccak256(public_key)[12:])


def recover(digest: bytes, signature: bytes) -> str:
    """Address that made this signature; `KeyFault` when nobody can have made it."""
    public_key = _recover_public_key(digest, signature)
    if public_key is None:
        raise KeyFault(
            "The signature is malformed.",
            hint="Expected r ‖ s ‖ v: 65 bytes, low s, v 27 or 28.",
            code="key.signature",
        )
    return public_key_address(public_key)


def verify(digest: bytes, signature: bytes, address: str) -> bool:
    """Whether the account at ``address`` signed this digest (accounts with a key only, not ERC-1271)."""
    public_key = _recover_public_key(digest, signature)
    return public_key is not None and public_key_address(public_key) == checksum(address)


def write_private(path: Path, content: bytes) -> None:
    """Replace ``path`` with ``content`` in one step, on the disk when this returns; only its owner may read
    it (mode 0600). `OSError` where it cannot be written; the old content then stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the name too
    finally:
        os.close(folder)


def _recover_public_key(digest: bytes, signature: bytes) -> bytes | None:
    if len(digest) != 32 or len(signature) != 65 or signature[64] not in (27, 28):
        return None
    if signature[32:64] > _HALF_ORDER:
        return None
    compact = signature[:64] + bytes((signature[64] - 27,))
    try:
        found = coincurve.PublicKey.from_signature_and_message(compact, digest, hasher=None)
    except ValueError:
        return None
    return found.format(compressed=False)[1:]
