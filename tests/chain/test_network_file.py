# SPDX-License-Identifier: Apache-2.0
"""Network files: what a stranger's file must be before anything of it is believed."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from koinon.chain import network_file
from koinon.chain.keys import Key
from koinon.chain.network import Network
from koinon.errors import BadInput, IntegrityError, NotFound

MAKER = Key.from_bytes(b"\x01" * 32)
FORGER = Key.from_bytes(b"\x02" * 32)
PLAIN = Network(
    name="Harbour",
    chain_id=84532,
    rpc_url="https://me:hidden@node.example/key",
    test_money=True,
    contracts={"Works": "0x" + "11" * 20, "Coin": "0x" + "22" * 20},
    code_hashes={"Works": "0x" + "33" * 32},
    start_block=7,
    genesis_hash="0x" + "44" * 32,
    rpc_urls=("https://rpc.example",),
    peers=("https://gateway.example",),
)
SIGNED = network_file.sign(PLAIN, MAKER)
FILE = network_file.to_bytes(SIGNED)


def edited(**fields: object) -> bytes:
    content = {**orjson.loads(FILE), **fields}
    return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"


def test_a_file_comes_back_as_it_was_signed_without_its_makers_own_address(tmp_path):
    network_file.save(SIGNED, tmp_path / "file.json")
    found = network_file.load(tmp_path / "file.json")
    assert found == replace(SIGNED, rpc_url="https://rpc.example")
    assert found.signer == MAKER.address
    assert b"hidden" not in FILE
    assert b"node.example" not in FILE


def test_the_same_signature_holds_in_a_data_directory_whatever_its_own_node_is(tmp_path):
    replace(SIGNED, rpc_url="http://127.0.0.1:1").save(tmp_path / "network.json")
    network_file.check(Network.load(tmp_path / "network.json"))


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "Harbor"},
        {"chain_id": 1},
        {"test_money": False},
        {"genesis_hash": "0x" + "55" * 32},
        {"contracts": {"Works": "0x" + "11" * 20, "Coin": "0x" + "66" * 20}},
        {"code_hashes": {}},
        {"start_block": 8},
        {"canonical": {"IdentityRegistry": "0x" + "77" * 20}},
        {"rpc_urls": ["https://evil.example"]},
        {"peers": []},
        {"signer": FORGER.address},
        {"signature": "0x" + "00" * 65},
        {"signature": "0x"},
        {"signature": "no hex"},
    ],
)
def test_a_file_changed_in_any_field_is_forged(fields):
    with pytest.raises(IntegrityError) as caught:
        network_file.from_bytes(edited(**fields))
    assert caught.value.code == "network.signature"
    assert caught.value.hint


def test_a_file_signed_for_one_register_says_nothing_of_another():
    other = replace(SIGNED, contracts={**SIGNED.contracts, "Works": "0x" + "88" * 20})
    with pytest.raises(IntegrityError):
        network_file.check(other)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b"\xff",
        FILE[:-2],
        FILE[: len(FILE) // 2],
        FILE + b" ",
        FILE.replace(b"  ", b" "),
        b"{}",
        edited(version=2),
        edited(version="1"),
        edited(contracts=None),
        edited(contracts={"Works": "0x12"}),
        edited(signer="0x12"),
        edited(signer=5),
        edited(signature=5),
        edited(rpc_urls="https://rpc.example"),
        edited(rpc_urls=[5]),
        edited(rpc_url="http://127.0.0.1"),
        edited(more=1),
        b" " * (network_file.MAX_BYTES + 1),
    ],
)
def test_what_is_cut_off_or_unknown_or_not_canonical_is_no_network_file(content):
    with pytest.raises(BadInput) as caught:
        network_file.from_bytes(content)
    assert caught.value.hint


def test_an_unsigned_description_is_no_network_file():
    with pytest.raises(BadInput) as caught:
        network_file.from_bytes(PLAIN.to_json())
    assert "Nobody signed" in caught.value.message


@pytest.mark.parametrize(
    "url", ["https://me:pw@rpc.example", "file:///etc/passwd", "https://rpc.example/?key=1"]
)
def test_a_recommended_address_with_a_password_is_refused_even_when_signed(url):
    signed = network_file.sign(replace(PLAIN, rpc_urls=(url,)), MAKER)
    with pytest.raises(BadInput):
        network_file.from_bytes(network_file.to_bytes(signed))


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(NotFound) as caught:
        network_file.load(tmp_path / "none.json")
    assert caught.value.hint


@pytest.mark.parametrize(
    ("own", "shared"),
    [
        ("http://127.0.0.1:8545", ("http://127.0.0.1:8545",)),
        ("https://node.example/", ("https://node.example",)),
        ("https://node.example/v3/0123456789abcdef", ()),
        ("https://node.example/?key=1", ()),
        ("https://me:pw@node.example", ()),
    ],
)
def test_ones_own_node_is_recommended_only_where_its_address_holds_no_key(own, shared):
    assert network_file.public_urls(own) == shared


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://me:pw@node.example:8443/path/?key=1#x", "https://node.example:8443/path"),
        ("http://[::1]:80", "http://[::1]:80"),
        ("ftp://node.example", ""),
        ("https://", ""),
        ("http://node.example:many", ""),
    ],
)
def test_an_address_is_shared_without_what_is_private(url, kept):
    assert network_file.shared_url(url) == kept
