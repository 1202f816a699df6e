# SPDX-License-Identifier: Apache-2.0
"""What ships is what the sources compile to."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from koinon.chain import artifacts
from koinon.chain.compile import (
    RUNTIME_LIMIT,
    Source,
    canonical_abi,
    compile_source,
    discover,
    main,
    up_to_date,
)
from koinon.errors import BadInput

SOURCES = {source.name: source for source in discover()}


def test_every_contract_has_an_artifact_and_every_artifact_a_contract():
    assert artifacts.names() == sorted(SOURCES)


@pytest.mark.filterwarnings("ignore:Use of large arrays")  # how Delegate puts its storage elsewhere
@pytest.mark.parametrize("name", sorted(SOURCES))
def test_the_artifact_is_what_its_source_compiles_to(name):
    shipped = Path(artifacts.__file__).with_name("artifacts") / f"{name}.json"
    assert compile_source(SOURCES[name]) == shipped.read_bytes(), "run: python -m koinon.chain.compile"


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_runtime_code_leaves_room_below_the_limit_of_the_chain(name):
    artifact = artifacts.load(name)
    assert 0 < len(artifact.runtime) <= RUNTIME_LIMIT
    assert artifact.runtime in artifact.init_code


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_functions_and_events_bind(name):
    artifact = artifacts.load(name)
    assert artifact.functions
    selectors = [function.selector for signature, function in artifact.functions.items() if "(" in signature]
    assert len(selectors) == len(set(selectors))
    assert all(event.topic for event in artifact.events.values())


def write(folder: Path, text: str, name: str = "Thing") -> Source:
    contracts = folder / "koinon" / "room" / "contracts"
    contracts.mkdir(parents=True, exist_ok=True)
    (contracts / f"{name}.vy").write_text(text)
    return Source(name, contracts / f"{name}.vy", folder)


THING = """
# pragma version 0.4.3
from koinon.room.contracts import helper

event Moved:
    amount: uint256

@external
def move(to: address, amount: uint256) -> uint256:
    log Moved(amount=amount)
    return helper._twice(amount)
"""
HELPER = """
# pragma version 0.4.3
@internal
@pure
def _twice(amount: uint256) -> uint256:
    return amount * 2
"""


@pytest.fixture
def thing(tmp_path):
    source = write(tmp_path, THING)
    (source.path.parent / "helper.vy").write_text(HELPER)
    return source


def test_a_contract_compiles_with_modules_beside_it(thing):
    artifact = artifacts.parse(compile_source(thing))
    assert artifact.name == "Thing"
    assert artifact.sources == ("koinon/room/contracts/Thing.vy", "koinon/room/contracts/helper.vy")
    assert artifact.compiler == "vyper 0.4.3"
    assert artifact.settings == {"evm_version": "cancun", "optimize": "gas"}
    assert artifact.creation() == artifact.init_code


def test_only_a_changed_source_is_compiled_again(thing, tmp_path):
    folder = tmp_path / "artifacts"
    folder.mkdir()
    assert not up_to_date(thing, folder)
    (folder / "Thing.json").write_bytes(compile_source(thing))
    assert up_to_date(thing, folder)
    helper = thing.path.parent / "helper.vy"
    helper.write_text(HELPER.replace("* 2", "* 3"))
    assert not up_to_date(thing, folder)
    helper.write_text(HELPER)
    assert up_to_date(thing, folder)
    thing.canonical.parent.mkdir()
    thing.canonical.write_text('{"Moved(uint256)": ["value"]}')
    assert not up_to_date(thing, folder)
    helper.unlink()
    assert not up_to_date(thing, folder)


def test_canonical_names_replace_what_the_compiler_refuses(thing):
    thing.canonical.parent.mkdir()
    names = {
        "move(address,uint256)": {"inputs": ["to", "value"], "outputs": ["doubled"]},
        "Moved(uint256)": ["value"],
        "extra": [{"type": "error", "name": "Never", "inputs": []}],
    }
    thing.canonical.write_text(orjson.dumps(names).decode())
    plain = artifacts.parse(compile_source(Source("Thing", thing.path, thing.root)))
    function = plain.functions["move"]
    assert function.inputs.names == ("to", "value")
    assert function.outputs.names == ("doubled",)
    assert plain.events["Moved"].names == ("value",)
    assert plain.abi[-1]["name"] == "Never"
    assert "koinon/room/contracts/canonical/Thing.json" in plain.sources


def test_an_extra_entry_takes_the_place_of_the_same_function():
    entry = {"type": "function", "name": "f", "inputs": [], "outputs": [], "stateMutability": "nonpayable"}
    changed = {**entry, "stateMutability": "view"}
    assert canonical_abi([entry], {"extra": [changed]}, "Thing") == [changed]


@pytest.mark.parametrize("names", [{"gone(uint256)": ["a"]}, {"f()": ["a"]}, {"f()": {"outputs": ["x"]}}])
def test_names_that_do_not_fit_are_refused(names):
    entry = {"type": "function", "name": "f", "inputs": [], "outputs": [], "stateMutability": "nonpayable"}
    with pytest.raises(BadInput):
        canonical_abi([entry], names, "Thing")


def test_what_does_not_compile_is_named(tmp_path):
    source = write(tmp_path, "# pragma version 0.4.3\n@external\ndef f() -> uint256:\n    return True\n")
    with pytest.raises(BadInput, match=r"Thing\.vy does not compile"):
        compile_source(source)


def test_a_contract_too_large_is_refused(thing):
    with pytest.raises(BadInput, match="bytes of code"):
        compile_source(thing, limit=10)


def test_two_contracts_of_one_name_are_refused(tmp_path):
    for room in ("one", "two"):
        folder = tmp_path / "koinon" / room / "contracts"
        folder.mkdir(parents=True)
        (folder / "Thing.vy").write_text("")
    with pytest.raises(BadInput, match="Two contracts"):
        discover(tmp_path)


def test_the_command_has_nothing_to_do(capsys):
    assert main(["Till"]) == 0
    assert main(["--check", "Till"]) == 0
    assert "Till: matches" in capsys.readouterr().out
