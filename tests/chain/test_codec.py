# SPDX-License-Identifier: Apache-2.0
"""Our ABI codec against eth_abi, the reference Python implementation."""

from __future__ import annotations

import contextlib

import pytest
from eth_abi import abi as eth_abi
from hypothesis import given, settings
from hypothesis import strategies as st

from koinon.chain import codec
from koinon.chain.address import checksum
from koinon.errors import BadInput, IntegrityError

VALUES = {
    "uint8": st.integers(0, 255),
    "uint256": st.integers(0, 2**256 - 1),
    "int128": st.integers(-(2**127), 2**127 - 1),
    "int256": st.integers(-(2**255), 2**255 - 1),
    "bool": st.booleans(),
    "address": st.binary(min_size=20, max_size=20).map(checksum),
    "bytes4": st.binary(min_size=4, max_size=4),
    "bytes32": st.binary(min_size=32, max_size=32),
    "bytes": st.binary(max_size=70),
    "string": st.text(max_size=40),
}


def _array(inner):
    entry, values = inner
    return st.one_of(
        st.just(({**entry, "type": entry["type"] + "[]"}, st.lists(values, max_size=4))),
        st.integers(1, 3).map(
            lambda n: ({**entry, "type": f"{entry['type']}[{n}]"}, st.lists(values, min_size=n, max_size=n))
        ),
    )


def _tuple(members):
    components = [{**entry, "name": f"part{index}"} for index, (entry, _) in enumerate(members)]
    return {"type": "tuple", "components": components}, st.tuples(*(values for _, values in members))


parameter = st.recursive(
    st.sampled_from(sorted(VALUES)).map(lambda name: ({"type": name}, VALUES[name])),
    lambda inner: st.one_of(inner.flatmap(_array), st.lists(inner, min_size=1, max_size=3).map(_tuple)),
    max_leaves=5,
)
parameters = st.lists(parameter, max_size=4).flatmap(
    lambda found: st.tuples(
        st.just([{**entry, "name": f"argument{index}"} for index, (entry, _) in enumerate(found)]),
        st.tuples(*(values for _, values in found)),
    )
)


def _plain(value):
    """eth_abi's form: lower-case addresses, tuples for arrays."""
    if isinstance(value, str) and value.startswith("0x") and len(value) == 42:
        return value.lower()
    return tuple(map(_plain, value)) if isinstance(value, list | tuple) else value


@given(parameters)
def test_any_parameters_encode_as_eth_abi_does_and_read_back(case):
    entries, values = case
    kind = codec.parameters(entries)
    encoded = kind.encode(values)
    assert encoded == eth_abi.encode([member.name for member in kind.members], values)
    assert kind.read(codec.Reader(encoded), 0) == values


@given(parameters, st.data())
def test_damaged_data_reads_as_eth_abi_reads_it_or_is_refused(case, data):
    entries, values = case
    kind = codec.parameters(entries)
    encoded = bytearray(kind.encode(values))
    if not encoded:
        return
    encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= data.draw(st.integers(1, 255))
    damaged = bytes(encoded[: data.draw(st.integers(0, len(encoded)))])
    try:
        found = kind.read(codec.Reader(damaged), 0)
    except IntegrityError:
        return
    if "\ufffd" in str(found):  # text that is not UTF-8 is shown by us and refused there
        return
    assert _plain(found) == _plain(eth_abi.decode([m.name for m in kind.members], damaged, strict=False))


@settings(max_examples=300)
@given(parameters, st.binary(max_size=400))
def test_arbitrary_bytes_never_raise_anything_else(case, data):
    kind = codec.parameters(case[0])
    with contextlib.suppress(IntegrityError):
        kind.read(codec.Reader(data), 0)


def test_data_that_points_into_itself_cannot_grow():
    """A list whose hundred elements are all the same large text, again and again."""
    inner = codec.from_name("string[][]")
    text = b"\x20".rjust(32, b"\0") + (3000).to_bytes(32, "big") + bytes(3008)
    words = [len(text)] * 200
    bomb = (32).to_bytes(32, "big") + (200).to_bytes(32, "big")
    bomb += b"".join((200 * 32).to_bytes(32, "big") for _ in words) + (1).to_bytes(32, "big") + text
    with pytest.raises(IntegrityError, match="twice"):
        codec.Tuple([inner], [""]).read(codec.Reader(bomb), 0)


def test_text_that_is_not_utf8_is_shown_not_refused():
    data = eth_abi.encode(["bytes"], [b"ok\xff"])
    assert codec.decode(["string"], data) == ("ok\ufffd",)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("uint8", 256),
        ("uint8", -1),
        ("uint8", True),
        ("uint8", "1"),
        ("uint8", 1.0),
        ("int8", 128),
        ("bool", 1),
        ("address", "0x12"),
        ("address", 5),
        ("bytes4", b"123"),
        ("bytes4", "0x12345678"),
        ("bytes", "text"),
        ("string", b"bytes"),
        ("uint8[]", 5),
        ("uint8[]", b"12"),
        ("uint8[2]", [1]),
        ("uint8[]", [300]),
    ],
)
def test_values_that_do_not_fit_are_refused(kind, value):
    with pytest.raises(BadInput):
        codec.encode([kind], [value])


def test_a_struct_may_be_given_by_name():
    entry = {"type": "tuple", "components": [{"name": "a", "type": "uint8"}, {"name": "b", "type": "bool"}]}
    kind = codec.from_parameter(entry)
    assert kind.encode({"b": True, "a": 3}) == kind.encode((3, True))
    for wrong in ({"a": 3}, {"a": 3, "b": True, "c": 1}, (3,), "ab", 3):
        with pytest.raises(BadInput):
            kind.encode(wrong)


@pytest.mark.parametrize("name", ["", "uint7", "uint264", "bytes33", "bytes0", "float", "uint8[", "tuple2"])
def test_unknown_types_are_refused(name):
    with pytest.raises(BadInput):
        codec.from_name(name)
