# SPDX-License-Identifier: Apache-2.0
"""Encrypted keys: Web3 Secret Storage, version 3 (the format wallets import and export).

The derived key is 32 bytes: 16 for AES-128-CTR, 16 for the keccak256 check of the ciphertext.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import unicodedata
import uuid
from collections.abc import Mapping
from typing import Any, Final, Literal, cast

from Crypto.Cipher import AES
from Crypto.Protocol.KDF import scrypt

from koinon.chain.hashing import keccak256
from koinon.errors import KeyFault

Derivation = Literal["scrypt", "pbkdf2"]

_SCRYPT: Final = {"n": 2**18, "r": 8, "p": 1}
_PBKDF2_ROUNDS: Final = 1000
_MEMORY_LIMIT: Final = 2**30


def encrypt(secret: bytes, address: str, password: str, derivation: Derivation = "scrypt") -> dict[str, Any]:
    """The keystore of a 32-byte secret. ``pbkdf2`` runs with few rounds: for tests and devnets only."""
    salt, counter = os.urandom(16), os.urandom(16)
    parameters: dict[str, Any] = {"dklen": 32, "salt": salt.hex()}
    if derivation == "scrypt":
        parameters |= _SCRYPT
    else:
        parameters |= {"c": _PBKDF2_ROUNDS, "prf": "hmac-sha256"}
    derived = _derive(derivation, parameters, password)
    ciphertext = _aes(derived[:16], counter, secret)
    return {
        "version": 3,
        "id": str(uuid.uuid4()),
        "address": address[2:].lower(),
        "crypto": {
            "cipher": "aes-128-ctr",
            "cipherparams": {"iv": counter.hex()},
            "ciphertext": ciphertext.hex(),
            "kdf": derivation,
            "kdfparams": parameters,
            "mac": keccak256(derived[16:32] + ciphertext).hex(),
        },
    }


def decrypt(content: Any, password: str, place: str) -> bytes:
    """The secret in a parsed keystore; ``place`` names it in errors.

    Raises
    ------
    KeyFault
        The password is wrong (``key.password``) or this is no version-3 keystore (``key.keystore``).
    """
    try:
        if content["version"] != 3:
            raise not_a_keystore(place)
        crypto = {name.lower(): part for name, part in content.items()}["crypto"]
        if crypto["cipher"] != "aes-128-ctr":
            raise not_a_keystore(place)
        ciphertext = bytes.fromhex(crypto["ciphertext"].removeprefix("0x"))
        expected = bytes.fromhex(crypto["mac"].removeprefix("0x"))
        counter = bytes.fromhex(crypto["cipherparams"]["iv"].removeprefix("0x"))
        derived = _derive(crypto["kdf"], crypto["kdfparams"], password)
        if hmac.compare_digest(keccak256(derived[16:32] + ciphertext), expected):
            return _aes(derived[:16], counter, ciphertext)
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError):
        raise not_a_keystore(place) from None
    raise KeyFault(
        f"The password does not open {place}.",
        hint="Try again; a keystore cannot be opened without its password.",
        code="key.password",
    )


def not_a_keystore(place: str) -> KeyFault:
    """The error for anything that is not a version-3 keystore."""
    return KeyFault(
        f"{place} is not a readable keystore.",
        hint="Expected a Web3 Secret Storage file, version 3.",
        code="key.keystore",
    )


def _derive(derivation: str, parameters: Mapping[str, Any], password: str) -> bytes:
    secret = unicodedata.normalize("NFC", password).encode()
    salt = bytes.fromhex(parameters["salt"].removeprefix("0x"))
    length = parameters["dklen"]
    if length < 32:
        raise ValueError("derived key too short")
    if derivation == "scrypt":
        n, r, p = parameters["n"], parameters["r"], parameters["p"]
        if n * r * 128 > _MEMORY_LIMIT or r * p * length > _MEMORY_LIMIT:
            raise ValueError("needs too much memory")
        # not hashlib.scrypt: OpenSSL refuses n >= 2**16 with r = 1, which other wallets have written
        derived: bytes = cast(Any, scrypt)(secret, salt, length, n, r, p)
        return derived
    if derivation == "pbkdf2" and parameters["prf"] == "hmac-sha256":
        return hashlib.pbkdf2_hmac("sha256", secret, salt, parameters["c"], dklen=length)
    raise ValueError("unknown key derivation")


def _aes(key: bytes, counter: bytes, data: bytes) -> bytes:
    return AES.new(key, AES.MODE_CTR, nonce=b"", initial_value=counter.rjust(16, b"\0")).encrypt(data)
