# SPDX-License-Identifier: Apache-2.0
"""Any contract's logs become rows, with eth-abi as the oracle; nonsense is refused and disturbs nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from eth_abi.abi import encode as encode_abi
from hypothesis import given
from hypothesis import strategies as st

from koinon.chain.address import checksum
from koinon.chain.events import Layout, layouts, snake

SOMEBODY = "0x" + "5a" * 20
WORD = st.binary(min_size=32, max_size=32)

BASKET: dict[str, Any] = {
    "type": "event",
    "name": "BasketFilled",
    "inputs": [
        {"name": "basketId", "type": "uint256", "indexed": True},
        {"name": "payees", "type": "address[]"},
        {
            "name": "parts",
            "type": "tuple[]",
            "components": [
                {"name": "amount", "type": "uint256"},
                {"name": "place", "type": "tuple", "components": [{"name": "tag", "type": "bytes4"}]},
            ],
        },
        {"name": "grid", "type": "int8[2][]"},
        {"name": "config", "type": "tuple", "components": [{"name": "isOpen", "type": "bool"}]},
        {"name": "note", "type": "string"},
    ],
}
BASKET_TYPES = ["address[]", "(uint256,(bytes4))[]", "int8[2][]", "(bool)", "string"]

FLAT: dict[str, Any] = {
    "type": "event",
    "name": "Flat",
    "inputs": [
        {"name": "who", "type": "address", "indexed": True},
        {"name": "small", "type": "uint8"},
        {"name": "signed", "type": "int64", "indexed": True},
        {"name": "lowest", "type": "int256"},
        {"name": "yes", "type": "bool"},
        {"name": "tag", "type": "bytes4"},
        {"name": "digest", "type": "bytes32"},
        {"name": "pair", "type": "tuple", "components": [{"name": "left", "type": "uint256"}]},
    ],
}
FLAT_DATA = ["uint8", "int256", "bool", "bytes4", "bytes32", "(uint256)"]


def log(layout: Layout, topics: list[bytes], data: bytes) -> dict[str, Any]:
    return {"topics": [layout.key[0], *("0x" + topic.hex() for topic in topics)], "data": "0x" + data.hex()}


def basket(number: int, *values: Any) -> dict[str, Any]:
    layout = Layout(BASKET)
    return log(layout, [number.to_bytes(32, "big")], encode_abi(BASKET_TYPES, values))


def test_arrays_become_rows_of_their_own_and_structs_become_columns() -> None:
    layout = Layout(BASKET)
    assert [(column.name, column.kind, column.indexed) for column in layout.columns] == [
        ("basket_id", "integer", True),
        ("config_is_open", "boolean", False),
        ("note", "text", False),
    ]
    assert [
        (child.name, [(each.name, each.kind) for each in child.columns]) for child in layout.children
    ] == [
        ("payees", [("value", "text")]),
        ("parts", [("amount", "integer"), ("place_tag", "text")]),
        ("grid", [("value", "text")]),
    ]
    decoded = layout.decode(
        [
            basket(7, [SOMEBODY, "0x" + "00" * 20], [(2**255, (b"abcd",))], [(-1, 2)], (True,), "a\0b 茶"),
            basket(8, [], [], [], (False,), ""),
        ]
    )
    assert decoded.rows == [(7, True, "a\ufffdb 茶"), (8, False, "")]
    assert decoded.children == [
        [(0, 0, (checksum(SOMEBODY),)), (0, 1, ("0x" + "00" * 20,))],
        [(0, 0, (2**255, "0x61626364"))],
        [(0, 0, ("[-1,2]",))],
    ]
    assert not decoded.refused


def test_a_log_that_lies_about_its_length_is_refused_and_the_others_are_read() -> None:
    good = basket(1, [SOMEBODY], [], [], (True,), "x")
    endless = dict(good, data=good["data"][:2] + "f" * 64 + good["data"][66:])
    short = dict(good, data=good["data"][:-64])
    huge = dict(good, data="0x" + encode_abi(["uint256"] * 5, [160, 160, 160, 1, 160]).hex() + "ff" * 32)
    decoded = Layout(BASKET).decode([endless, good, short, huge, good])
    assert decoded.places == [1, 4]
    assert sorted(decoded.refused) == [0, 2, 3]
    assert all(decoded.refused.values())
    assert [place for place, _, _ in decoded.children[0]] == [1, 4]


@given(
    st.lists(
        st.tuples(
            st.binary(min_size=20, max_size=20),
            st.integers(0, 255),
            st.integers(-(2**63), 2**63 - 1),
            st.integers(-(2**255), 2**255 - 1),
            st.booleans(),
            st.binary(min_size=4, max_size=4),
            WORD,
            st.integers(0, 2**256 - 1),
        ),
        max_size=5,
    )
)
def test_what_eth_abi_encoded_is_read_again(values: list[tuple[Any, ...]]) -> None:
    layout = Layout(FLAT)
    logs, rows = [], []
    for who, small, signed, lowest, yes, tag, digest, left in values:
        topics = [encode_abi(["address"], [who]), encode_abi(["int64"], [signed])]
        logs.append(log(layout, topics, encode_abi(FLAT_DATA, [small, lowest, yes, tag, digest, (left,)])))
        texts = (yes, "0x" + tag.hex(), "0x" + digest.hex(), left)
        rows.append((checksum("0x" + who.hex()), small, signed, lowest, *texts))
    assert layout.decode(logs).rows == rows


@given(st.lists(st.tuples(st.lists(WORD, min_size=2, max_size=2), st.binary(max_size=300)), max_size=4))
def test_no_bytes_whatsoever_stop_the_reading(contents: list[tuple[list[bytes], bytes]]) -> None:
    for layout, topics in ((Layout(FLAT), 2), (Layout(BASKET), 1)):
        logs = [log(layout, given[:topics], data) for given, data in contents]
        decoded = layout.decode(logs)
        assert sorted([*decoded.places, *decoded.refused]) == list(range(len(logs)))
        assert len(decoded.rows) == len(decoded.places)


def flat_log(*, who: bytes = b"", data: bytes = b"") -> dict[str, Any]:
    data = data or encode_abi(FLAT_DATA, [1, -1, True, b"abcd", b"x" * 32, (5,)])
    return log(Layout(FLAT), [who or encode_abi(["address"], [SOMEBODY]), bytes(32)], data)


def changed(word: int, content: bytes) -> bytes:
    data = encode_abi(FLAT_DATA, [1, -1, True, b"abcd", b"x" * 32, (5,)])
    return data[: 32 * word] + content.rjust(32, b"\0") + data[32 * word + 32 :]


@pytest.mark.parametrize(
    "bad",
    [
        flat_log(who=b"\1" + bytes(31)),
        flat_log() | {"topics": [Layout(FLAT).key[0], "0x" + "0" * 24 + " " * 40, "0x" + "00" * 32]},
        flat_log(data=changed(0, b"\1\0")),
        flat_log(data=changed(2, b"\2")),
        flat_log(data=changed(3, b"abcde".ljust(32, b"\0"))),
        flat_log(data=changed(0, b"\1") + bytes(32))
        | {"data": "0x" + changed(0, b"\1").hex().replace("61", "_1", 1)},
        flat_log() | {"data": flat_log()["data"][:-2]},
        flat_log() | {"data": None},
        {"data": "0x"},
        flat_log() | {"topics": flat_log()["topics"][:2]},
        flat_log() | {"topics": [*flat_log()["topics"][:2], "0x" + " " * 64]},
    ],
    ids=[
        "an address of 21 bytes", "an address of spaces", "256 in a uint8", "a bool of 2",
        "five bytes in bytes4", "an underscore", "half a word", "no data", "no topics",
        "a topic too few", "a topic of spaces",
    ],
)  # fmt: skip
def test_a_value_outside_its_type_is_refused_alone(bad: dict[str, Any]) -> None:
    decoded = Layout(FLAT).decode([flat_log(), bad, flat_log()])
    assert (decoded.places, sorted(decoded.refused)) == ([0, 2], [1])
    assert decoded.rows[0] == decoded.rows[1]


def test_indexed_texts_and_arrays_are_their_hashes() -> None:
    inputs = [
        {"name": "note", "type": "string", "indexed": True},
        {"name": "list", "type": "uint8[]", "indexed": True},
    ]
    layout = Layout({"type": "event", "name": "Noted", "inputs": inputs})
    decoded = layout.decode([log(layout, [b"\xaa" * 32, b"\xbb" * 32], b"")])
    assert decoded.rows == [("0x" + "aa" * 32, "0x" + "bb" * 32)]
    assert not layout.children


def test_a_field_never_takes_another_columns_name() -> None:
    names = ["address", "blockNumber", "", "value", "_value", "Value", "from"]
    inputs = [{"name": name, "type": "uint256"} for name in names]
    layout = Layout({"type": "event", "name": "Odd", "inputs": inputs})
    found = [column.name for column in layout.columns]
    assert found == ["address_2", "block_number_2", "field_2", "value", "value_2", "value_3", "from"]


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("agentURI", "agent_uri"),
        ("_tokenId", "token_id"),
        ("HTTPServer", "http_server"),
        ("x402Version", "x402_version"),
        ("$odd-näme", "odd_n_me"),
        ("___", "field"),
    ],
)
def test_names_read_as_sql_writes_them(name: str, column: str) -> None:
    assert snake(name) == column


def test_anonymous_events_are_left_out() -> None:
    entries = [json.loads(json.dumps(BASKET)), {**FLAT, "anonymous": True}, {"type": "constructor"}]
    assert [layout.event.name for layout in layouts(entries)] == ["BasketFilled"]
