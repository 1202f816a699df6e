# SPDX-License-Identifier: Apache-2.0
"""Compile every contract into the artifacts that ship.

``python -m koinon.chain.compile [--check] [Name ...]`` needs the Vyper compiler (development only). A
contract is a CamelCase file in some domain's ``contracts/`` folder. Vyper refuses some argument names that
standards use (``value`` above all), and cannot express overloads served by ``__default__``;
``contracts/canonical/Name.json`` therefore may hold

* ``"transfer(address,uint256)": ["to", "value"]``, new names for the arguments of a function or event, or
  ``{"inputs": [...], "outputs": [...]}`` to name what it returns as well;
* ``"extra": [...]``, whole ABI entries to add, or to put in place of those with the same signature.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
import vyper
from vyper.compiler import CompilerData
from vyper.compiler.input_bundle import FilesystemInputBundle
from vyper.compiler.output import build_abi_output
from vyper.compiler.settings import OptimizationLevel, Settings, anchor_settings
from vyper.exceptions import VyperException

from koinon.chain.abi import Event, Function
from koinon.errors import BadInput, KoinonError

RUNTIME_LIMIT: Final = 24_000
"""Largest runtime code in bytes: EIP-170 allows 24,576, the rest is kept as margin."""

EVM_VERSION: Final = "cancun"
SMALLER_CODE: Final = frozenset({"Swarm", "Vault"})
"""Contracts compiled for code size because they do not fit otherwise; all others are compiled for gas."""

_SOURCES: Final = Path(__file__).resolve().parents[2]
_ARTIFACTS: Final = Path(__file__).with_name("artifacts")


@dataclass(frozen=True)
class Source:
    """A deployable contract's file. ``root`` is the folder that import paths start from."""

    name: str
    path: Path
    root: Path = _SOURCES

    @property
    def canonical(self) -> Path:
        """Where its canonical names are, if it has any."""
        return self.path.parent / "canonical" / f"{self.name}.json"


def discover(root: Path = _SOURCES) -> list[Source]:
    """Every deployable contract, by name; `BadInput` when two share one."""
    found: dict[str, Source] = {}
    for path in sorted(root.glob("koinon/*/contracts/[A-Z]*.vy")):
        if path.stem in found:
            raise BadInput(f"Two contracts are called {path.stem}: {found[path.stem].path} and {path}.")
        found[path.stem] = Source(path.stem, path, root)
    return [found[name] for name in sorted(found)]


def fingerprint(sources: Sequence[str], root: Path = _SOURCES) -> str:
    """SHA-256 over paths and contents of these files (paths relative to ``root``), in the given order."""
    total = hashlib.sha256()
    for name in sources:
        content = (root / name).read_bytes()
        total.update(f"{name}\n{len(content)}\n".encode() + content)
    return total.hexdigest()


def up_to_date(source: Source, folder: Path = _ARTIFACTS) -> bool:
    """Whether the artifact was made from these very sources with these settings."""
    file = folder / f"{source.name}.json"
    if not file.is_file():
        return False
    fields = orjson.loads(file.read_bytes())
    listed = fields["sources"]
    if source.canonical.is_file() != (_relative(source.canonical, source.root) in listed):
        return False
    if fields["settings"] != settings(source.name) or any(
        not (source.root / name).is_file() for name in listed
    ):
        return False
    return bool(fields["source_sha256"] == fingerprint(listed, source.root))


def settings(name: str) -> dict[str, str]:
    """The compiler settings of a contract."""
    return {"evm_version": EVM_VERSION, "optimize": "codesize" if name in SMALLER_CODE else "gas"}


def compile_source(source: Source, limit: int = RUNTIME_LIMIT) -> bytes:
    """The artifact's JSON.

    Raises
    ------
    BadInput
        It does not compile, is too large, or its canonical names do not fit it.
    """
    chosen = settings(source.name)
    # Contracts of other folders, too, import Koinon's modules.
    bundle = FilesystemInputBundle([*dict.fromkeys((_SOURCES, source.root, source.path.parent))])
    data = CompilerData(
        bundle.load_file(source.path),
        bundle,
        settings=Settings(
            evm_version=chosen["evm_version"], optimize=OptimizationLevel.from_string(chosen["optimize"])
        ),
        no_bytecode_metadata=True,
    )
    try:
        with anchor_settings(data.settings):
            abi = build_abi_output(data)
            init_code, runtime = data.bytecode, data.bytecode_runtime
            inputs = [file.resolved_path for file in data.resolved_imports.compiler_inputs]
    except VyperException as fault:
        raise BadInput(f"{source.path} does not compile: {fault}", code="chain.compile") from fault
    if len(runtime) > limit:
        raise BadInput(
            f"{source.name} has {len(runtime)} bytes of code; {limit} are allowed.",
            code="chain.code_size",
        )
    names = [_relative(source.path, source.root)]
    names += sorted(
        _relative(path, source.root)
        for path in {Path(path).resolve() for path in inputs}
        if path.is_relative_to(source.root) and path != source.path.resolve()
    )
    if source.canonical.is_file():
        names.append(_relative(source.canonical, source.root))
        abi = canonical_abi(abi, orjson.loads(source.canonical.read_bytes()), source.name)
    artifact = {
        "name": source.name,
        "abi": abi,
        "bytecode": "0x" + init_code.hex(),
        "runtime": "0x" + runtime.hex(),
        "source_sha256": fingerprint(names, source.root),
        "sources": names,
        "compiler": f"vyper {vyper.__version__.split('+')[0]}",
        "settings": chosen,
    }
    return orjson.dumps(artifact, option=orjson.OPT_INDENT_2) + b"\n"


def canonical_abi(abi: list[dict[str, Any]], names: dict[str, Any], contract: str) -> list[dict[str, Any]]:
    """The compiler's ABI with the standards' argument names; `BadInput` when a name has nothing to rename."""
    extra = list(names.get("extra", ()))
    replaced = {_signature(entry) for entry in extra}
    wanted = {signature: given for signature, given in names.items() if signature != "extra"}
    result = []
    for entry in abi:
        signature = _signature(entry)
        if signature in wanted:
            result.append(_rename(entry, wanted.pop(signature), f"{contract}.{signature}"))
        elif signature is None or signature not in replaced:
            result.append(entry)
    if wanted:
        raise BadInput(f"{contract} has no {', '.join(sorted(wanted))} to rename.")
    return result + extra


def _rename(entry: dict[str, Any], given: Any, place: str) -> dict[str, Any]:
    renamed = dict(entry)
    for side, names in (given if isinstance(given, dict) else {"inputs": given}).items():
        if len(names) != len(entry[side]):
            raise BadInput(f"{place} has {len(entry[side])} {side}, not {len(names)}.")
        renamed[side] = [{**field, "name": name} for field, name in zip(entry[side], names, strict=True)]
    return renamed


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 0 = done, or nothing to do."""
    parser = argparse.ArgumentParser(
        prog="python -m koinon.chain.compile", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--check", action="store_true", help="recompile everything, compare, write nothing")
    parser.add_argument("names", nargs="*", metavar="Name", help="only these contracts")
    options = parser.parse_args(arguments)
    _ARTIFACTS.mkdir(exist_ok=True)
    status = 0
    for source in discover():
        if options.names and source.name not in options.names:
            continue
        file = _ARTIFACTS / f"{source.name}.json"
        if not options.check and up_to_date(source):
            continue
        try:
            content = compile_source(source)
        except KoinonError as fault:
            print(f"{source.name}: {fault.message}", file=sys.stderr)
            status = 1
            continue
        if options.check:
            same = file.is_file() and file.read_bytes() == content
            print(f"{source.name}: {'matches' if same else 'differs from its artifact'}")
            status = status if same else 1
        else:
            file.write_bytes(content)
            size = len(orjson.loads(content)["runtime"]) // 2 - 1
            print(f"{source.name}: {size} bytes of code")
    return status


def _relative(path: Path, root: Path) -> str:
    return path.resolve().relative_to(root).as_posix()


def _signature(entry: dict[str, Any]) -> str | None:
    if entry["type"] == "function":
        return Function(entry).signature
    return Event(entry).signature if entry["type"] == "event" else None


if __name__ == "__main__":
    raise SystemExit(main())
