# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from koinon.chain import artifacts, codec
from koinon.chain.abi import CustomError, Event, Function, revert_reason
from koinon.chain.hashing import keccak256
from koinon.errors import BadInput, IntegrityError, NotFound

TRANSFER = {
    "type": "function",
    "name": "transfer",
    "stateMutability": "nonpayable",
    "inputs": [{"name": "to", "type": "address"}, {"name": "value", "type": "uint256"}],
    "outputs": [{"name": "", "type": "bool"}],
}
EVENT = {
    "type": "event",
    "name": "MetadataSet",
    "inputs": [
        {"name": "agentId", "type": "uint256", "indexed": True},
        {"name": "indexedMetadataKey", "type": "string", "indexed": True},
        {"name": "metadataKey", "type": "string", "indexed": False},
        {"name": "metadataValue", "type": "bytes", "indexed": False},
    ],
}
TO = "0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"


def test_a_function_knows_its_selector_and_call_data():
    function = Function(TRANSFER)
    assert function.signature == "transfer(address,uint256)"
    assert function.selector.hex() == "a9059cbb"
    data = function.encode(TO, 5)
    assert data.hex() == "a9059cbb" + "00" * 12 + "bb" * 20 + "00" * 31 + "05"
    assert function.decode_inputs(data) == (TO, 5)
    assert function.decode((1).to_bytes(32, "big")) is True
    assert function.mutates
    assert not function.payable


@pytest.mark.parametrize("values", [(), (TO,), (TO, -1), ("0x12", 1), (TO, 1, 2)])
def test_arguments_that_do_not_fit_name_the_function(values):
    with pytest.raises(BadInput, match="transfer"):
        Function(TRANSFER).encode(*values)


def test_call_data_of_another_function_is_refused():
    with pytest.raises(IntegrityError):
        Function(TRANSFER).decode_inputs(b"\0" * 68)


def test_outputs_are_none_one_value_or_a_tuple():
    def returning(*kinds: str) -> Function:
        return Function({**TRANSFER, "outputs": [{"name": "", "type": kind} for kind in kinds]})

    assert returning().decode(b"") is None
    assert returning("uint8").decode(codec.encode(["uint8"], [7])) == 7
    assert returning("uint8", "string").decode(codec.encode(["uint8", "string"], [7, "x"])) == (7, "x")


def log_of(key: str, text: str, value: bytes) -> dict[str, object]:
    return {
        "topics": [
            "0x" + keccak256(b"MetadataSet(uint256,string,string,bytes)").hex(),
            "0x" + (9).to_bytes(32, "big").hex(),
            "0x" + keccak256(key.encode()).hex(),
        ],
        "data": "0x" + codec.encode(["string", "bytes"], [text, value]).hex(),
    }


def test_an_event_decodes_in_the_abis_order():
    found = Event(EVENT).decode(log_of("colour", "colour", b"red"))
    assert list(found) == ["agentId", "indexedMetadataKey", "metadataKey", "metadataValue"]
    assert found == {
        "agentId": 9,
        "indexedMetadataKey": keccak256(b"colour"),
        "metadataKey": "colour",
        "metadataValue": b"red",
    }


def test_filters_name_indexed_fields():
    event = Event(EVENT)
    log = log_of("colour", "", b"")
    assert event.topics(agentId=9, indexedMetadataKey="colour") == log["topics"]
    assert event.topics(indexedMetadataKey="colour")[1] is None
    assert event.topics() == ["0x" + event.topic.hex()]
    with pytest.raises(BadInput, match="metadataKey"):
        event.topics(metadataKey="colour")


def test_a_log_of_another_event_or_damaged_is_refused():
    event = Event(EVENT)
    log = log_of("a", "a", b"")
    for wrong in (
        {**log, "topics": []},
        {**log, "topics": log["topics"][:2]},  # type: ignore[index]
        {**log, "topics": ["0x" + "00" * 32, *log["topics"][1:]]},  # type: ignore[index]
        {**log, "data": "0x"},
    ):
        with pytest.raises(IntegrityError):
            event.decode(wrong)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", ""),
        (bytes.fromhex("08c379a0") + codec.encode(["string"], ["not yours"]), "not yours"),
        (bytes.fromhex("4e487b71") + codec.encode(["uint256"], [0x11]), "arithmetic overflow or underflow"),
        (bytes.fromhex("4e487b71") + codec.encode(["uint256"], [0x99]), "panic 0x99"),
        (bytes.fromhex("08c379a0ff"), "0x08c379a0ff"),
        (b"\x12\x34\x56\x78", "0x12345678"),
        (b"\x12", "0x12"),
    ],
)
def test_revert_reasons(data, reason):
    assert revert_reason(data) == reason


def test_a_declared_error_is_named_with_its_values():
    error = CustomError(
        {
            "type": "error",
            "name": "Missing",
            "inputs": [{"name": "id", "type": "uint256"}, {"name": "h", "type": "bytes"}],
        }
    )
    data = error.selector + codec.encode(["uint256", "bytes"], [7, b"\xff"])
    assert revert_reason(data, {error.selector: error}) == "Missing(7, 0xff)"
    assert revert_reason(data[:20], {error.selector: error}) == "0x" + data[:20].hex()


def test_overloads_are_named_by_signature_only():
    functions = artifacts.load("Works").functions
    assert "register" not in functions
    assert functions["register()"].selector.hex() == "1aa3a008"
    assert functions["register(string)"].selector.hex() == "f2c298be"
    assert functions["register(string,(string,bytes)[])"].selector.hex() == "8ea42286"
    assert functions["ownerOf"] is functions["ownerOf(uint256)"]


@pytest.mark.parametrize("name", ["Nothing", "../Works", "", "Works.json"])
def test_contracts_that_do_not_ship_are_not_found(name):
    with pytest.raises(NotFound):
        artifacts.load(name)
