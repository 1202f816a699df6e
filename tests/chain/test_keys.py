# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
import json
import pickle
import stat
import traceback
from typing import Any

import pytest
from eth_account import Account
from eth_keyfile import keyfile
from hypothesis import given, settings
from hypothesis import strategies as st

from koinon.chain.keys import ORDER, Key, PublicKeyCache, recover, verify
from koinon.errors import BadInput, KeyFault

secrets = st.integers(1, ORDER - 1).map(lambda number: number.to_bytes(32, "big"))
digests = st.binary(min_size=32, max_size=32)


@settings(max_examples=40)
@given(secrets, digests)
def test_signatures_and_addresses_agree_with_eth_account(secret, digest):
    key, account = Key.from_bytes(secret), Account.from_key(secret)
    assert key.address == account.address
    assert key.sign(digest) == bytes(account.unsafe_sign_hash(digest).signature)


@given(secrets, digests)
def test_a_signature_recovers_to_its_signer_and_no_other_digest(secret, digest):
    key = Key.from_bytes(secret)
    signature = key.sign(digest)
    other = bytes((digest[0] ^ 1,)) + digest[1:]
    assert recover(digest, signature) == key.address
    assert verify(digest, signature, key.address)
    assert not verify(other, signature, key.address)


@given(secrets, digests, st.integers(0, 64), st.integers(1, 255))
def test_no_changed_byte_of_a_signature_passes_the_fast_check(secret, digest, position, change):
    key, cache = Key.from_bytes(secret), PublicKeyCache()
    signature = key.sign(digest)
    forged = bytearray(signature)
    forged[position] ^= change
    assert cache.verify(digest, signature, key.address)
    assert cache.verify(digest, signature, key.address)
    assert not cache.verify(digest, bytes(forged), key.address)


def test_the_fast_check_refuses_what_a_contract_would_refuse(key):
    digest, cache = bytes(range(32)), PublicKeyCache()
    signature = key.sign(digest)
    high_s = ORDER - int.from_bytes(signature[32:64], "big")
    flipped = bytes((55 - signature[64],))
    malleable = signature[:32] + high_s.to_bytes(32, "big") + flipped
    for wrong in (
        malleable,
        signature[:64] + flipped,
        signature[:64] + bytes((signature[64] - 27,)),
        signature[:64],
    ):
        assert not cache.verify(digest, wrong, key.address)
        assert not verify(digest, wrong, key.address)


def test_the_fast_check_forgets_rather_than_grows():
    cache, digest = PublicKeyCache(limit=2), bytes(32)
    keys = [Key.generate() for _ in range(5)]
    assert all(cache.verify(digest, key.sign(digest), key.address) for key in keys * 2)
    assert not cache.verify(digest, keys[0].sign(digest), keys[1].address)


def test_a_malformed_signature_recovers_to_nobody():
    for signature in (b"", bytes(65), b"\xff" * 64 + b"\x1b", bytes(64) + b"\x1b"):
        with pytest.raises(KeyFault):
            recover(bytes(32), signature)


@pytest.mark.parametrize("secret", [b"", bytes(32), b"\xff" * 32, ORDER.to_bytes(32, "big"), bytes(31)])
def test_secrets_outside_the_order_are_refused(secret):
    with pytest.raises(KeyFault):
        Key.from_bytes(secret)


def test_only_digests_are_signed(key):
    with pytest.raises(BadInput):
        key.sign(b"a message")


@pytest.fixture
def key():
    return Key.from_bytes(bytes(31) + b"\x07")


def test_the_secret_never_shows(key, tmp_path):
    secret = key._private.secret.hex()
    key.save(tmp_path / "key.json", "password", derivation="pbkdf2")
    shown = [repr(key), str(key), f"{key}", (tmp_path / "key.json").read_text()]
    for copier in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError) as caught:
            copier(key)
        shown.append(str(caught.value))
    with pytest.raises(KeyFault) as fault:
        Key.load(tmp_path / "key.json", "wrong password")
    assert "wrong password" not in str(fault.value)
    shown += traceback.format_exception(fault.value)
    assert not any(secret in text for text in shown)
    assert key.address in repr(key)


def test_a_keystore_opens_with_its_password_only(key, tmp_path):
    path = tmp_path / "deep" / "key.json"
    key.save(path, "pass wörd", derivation="pbkdf2")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["key.json"]
    assert Key.load(path, "pass wörd") == key
    with pytest.raises(KeyFault) as caught:
        Key.load(path, "pass word")
    assert caught.value.code == "key.password"
    assert caught.value.hint


def test_saving_again_replaces_the_file_in_one_step(key, tmp_path):
    path = tmp_path / "key.json"
    key.save(path, "one", derivation="pbkdf2")
    key.save(path, "two", derivation="pbkdf2")
    assert Key.load(path, "two") == key


def test_keystores_pass_to_and_from_other_wallets(key, tmp_path):
    key.save(tmp_path / "scrypt.json", "password")
    ours = json.loads((tmp_path / "scrypt.json").read_text())
    assert keyfile.decode_keyfile_json(ours, b"password") == key._private.secret
    for derivation in ("scrypt", "pbkdf2"):
        theirs = keyfile.create_keyfile_json(
            key._private.secret, b"password", kdf=derivation, iterations=1024
        )
        (tmp_path / "theirs.json").write_text(json.dumps(theirs))
        assert Key.load(tmp_path / "theirs.json", "password") == key


# https://github.com/ethereum/wiki/wiki/Web3-Secret-Storage-Definition, test vectors
VECTORS: list[dict[str, Any]] = [
    {
        "crypto": {
            "cipher": "aes-128-ctr",
            "cipherparams": {"iv": "6087dab2f9fdbbfaddc31a909735c1e6"},
            "ciphertext": "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46",
            "kdf": "pbkdf2",
            "kdfparams": {
                "c": 262144,
                "dklen": 32,
                "prf": "hmac-sha256",
                "salt": "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd",
            },
            "mac": "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2",
        },
        "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
        "version": 3,
    },
    {
        "crypto": {
            "cipher": "aes-128-ctr",
            "cipherparams": {"iv": "83dbcc02d8ccb40e466191a123791e0e"},
            "ciphertext": "d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c",
            "kdf": "scrypt",
            "kdfparams": {
                "dklen": 32,
                "n": 262144,
                "p": 8,
                "r": 1,
                "salt": "ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19",
            },
            "mac": "2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097",
        },
        "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
        "version": 3,
    },
]


@pytest.mark.parametrize("vector", VECTORS)
def test_the_published_keystore_vectors_open(vector, tmp_path):
    (tmp_path / "key.json").write_text(json.dumps(vector))
    secret = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d"
    assert Key.load(tmp_path / "key.json", "testpassword") == Key.from_bytes(bytes.fromhex(secret))


@pytest.mark.parametrize(
    "content",
    [
        "",
        "not json",
        "[]",
        "{}",
        "null",
        '{"version": 4}',
        '{"version": 3}',
        '{"version": 3, "crypto": {"cipher": "rot13"}}',
        json.dumps({"version": 3, "crypto": {**VECTORS[0]["crypto"], "kdf": "argon2"}}),
        json.dumps({"version": 3, "crypto": {**VECTORS[0]["crypto"], "mac": "zz"}}),
        json.dumps(
            {
                "version": 3,
                "crypto": {
                    **VECTORS[1]["crypto"],
                    "kdfparams": {"n": 2**40, "r": 8, "p": 1, "dklen": 32, "salt": ""},
                },
            }
        ),
    ],
)
def test_a_file_that_is_no_keystore_is_named_so(content, tmp_path):
    (tmp_path / "key.json").write_text(content)
    with pytest.raises(KeyFault) as caught:
        Key.load(tmp_path / "key.json", "password")
    assert caught.value.code == "key.keystore"


def test_a_missing_key_is_named_so(tmp_path):
    with pytest.raises(KeyFault) as caught:
        Key.load(tmp_path / "none.json", "password")
    assert caught.value.code == "key.missing"
