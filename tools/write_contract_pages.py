# SPDX-License-Identifier: Apache-2.0
"""Makes a page for each contract from its ABI, its sources' words and the gas that was measured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from koinon.chain import artifacts
from koinon.chain.abi import Event, Function
from koinon.chain.artifacts import Artifact
from koinon.chain.canonical import CANONICAL, DEVNET_CHAIN_ID, FOREIGN
from koinon.chain.deploy import creations
from tools.markdown import code, plain, table, toctree
from tools.natspec import Described, Notes, describe

ROOT = Path(__file__).parent.parent
FOLDER = "reference/contracts"

_HEAD: Final = f"""# Contracts

What each contract offers, word for word from its sources and its ABI; [what they are
for](../../explanation/contracts.md) is told elsewhere. Addresses follow from the code alone. Those here are
of networks with Koinon's own test coin, such as the development chain (chain {DEVNET_CHAIN_ID}); with
another coin some differ, and a network's file has them. Gas is what a whole transaction used, from
`gas.json`, measured by `make gas`.
"""


def pages() -> dict[str, str]:
    """Every page by its path in the documents."""
    gas: dict[str, int] = json.loads((ROOT / "gas.json").read_text(encoding="utf-8"))
    addresses = {name: address for name, (address, _) in creations().items()} | CANONICAL
    names = artifacts.names()
    made = {f"{FOLDER}/{name}.md": _page(artifacts.load(name), addresses.get(name), gas) for name in names}
    rows = []
    for name in names:
        notice = _described(artifacts.load(name)).contract.notice
        first = notice.split(". ")[0].rstrip(".") + "."
        rows.append((f"[{code(name)}]({name}.md)", plain(first), code(addresses.get(name, "-"))))
    others = table(
        ["Of others, on development chains", "Address"], [(code(n), code(a)) for n, a in FOREIGN.items()]
    )
    listed = table(["Contract", "In a sentence", "Address"], rows)
    made[f"{FOLDER}/index.md"] = "\n".join([_HEAD, listed, others, toctree(names, hidden=True)])
    return made


def _described(artifact: Artifact) -> Described:
    return describe([ROOT / "src" / source for source in artifact.sources])


def _page(artifact: Artifact, address: str | None, gas: Mapping[str, int]) -> str:
    words = _described(artifact)
    lines = [f"# {artifact.name}", "", plain(words.contract.notice), ""]
    if words.contract.dev:
        lines += [plain(words.contract.dev), ""]
    deployed = gas.get(f"{artifact.name} · deployed")
    facts = [
        ("Source", code(f"src/{artifact.sources[0]}")),
        ("Standards", plain(words.contract.custom.get("source", "")) or "none"),
        ("Address", code(address) if address else "none of its own"),
        ("Code", f"{len(artifact.runtime):,} bytes, {artifact.compiler}"),
    ]
    if deployed is not None:
        facts.append(("Gas to deploy", f"{deployed:,}"))
    lines += [table(["", ""], facts)]
    functions = [Function(entry) for entry in artifact.abi if entry["type"] == "function"]
    entries = [entry for entry in artifact.abi if entry["type"] == "function"]
    for title, mutates in (("Transactions", True), ("Reading", False)):
        chosen = [(f, e) for f, e in zip(functions, entries, strict=True) if f.mutates == mutates]
        lines += [f"## {title}", ""] if chosen else []
        for function, entry in chosen:
            lines += _function(artifact.name, function, entry, words, gas)
    lines += _events(artifact)
    lines += _refusals(artifact, words)
    return "\n".join(lines) + "\n"


def _function(
    contract: str, function: Function, entry: Mapping[str, Any], words: Described, gas: Mapping[str, int]
) -> list[str]:
    inputs = entry.get("inputs", ())
    notes = words.functions.get((function.name, len(inputs)), Notes())
    shown = ", ".join(f"{_type(each)} {each['name']}".strip() for each in inputs)
    results = ", ".join(f"{_type(each)} {each['name']}".strip() for each in entry.get("outputs", ()))
    alone = function.name in artifacts.load(contract).functions
    lines = [f"### {code(function.name if alone else function.signature)}", ""]
    lines += [
        "```text",
        f"{function.name}({shown})" + (f" → {results}" if results else "") + f"   {entry['stateMutability']}",
        f"selector 0x{function.selector.hex()}",
        "```",
        "",
    ]
    said = notes.notice or _getter(words.getters.get(function.name), len(inputs))
    if said:
        lines += [plain(said), ""]
    if notes.dev:
        lines += [plain(notes.dev), ""]
    described = [(code(name), plain(meaning)) for name, meaning in notes.arguments.items()]
    lines += [table(["Argument", "Meaning"], described)] if described else []
    lines += [f"Returns: {plain(notes.returns)}", ""] if notes.returns else []
    measured = _gas_of(contract, function, gas)
    lines += [f"Gas: {measured}", ""] if measured else []
    return lines


def _getter(comment: str | None, keys: int) -> str:
    if comment is None:
        return ""
    return comment or ("Public state." if keys == 0 else "Public state, by its keys.")


def _gas_of(contract: str, function: Function, gas: Mapping[str, int]) -> str:
    found = []
    for name, used in gas.items():
        what, _, case = name.partition(" · ")
        if what in (f"{contract}.{function.name}", f"{contract}.{function.signature}"):
            found.append(f"{used:,}" + (f" ({plain(case)})" if case else ""))
    return ", ".join(found)


def _events(artifact: Artifact) -> list[str]:
    entries = [entry for entry in artifact.abi if entry["type"] == "event"]
    lines = ["## Events", ""] if entries else []
    for entry in sorted(entries, key=lambda each: str(each["name"])):
        lines += [f"### {code(entry['name'])}", ""]
        rows = [
            (code(field["name"]), code(_type(field)), "yes" if field.get("indexed") else "")
            for field in entry["inputs"]
        ]
        lines += [table(["Field", "Type", "Indexed"], rows) or "Without fields.\n"]
        lines += [f"Topic {code('0x' + Event(entry).topic.hex())}", ""]
    return lines


def _refusals(artifact: Artifact, words: Described) -> list[str]:
    errors = [entry for entry in artifact.abi if entry["type"] == "error"]
    if not errors and not words.refusals:
        return []
    lines = ["## What it refuses", ""]
    if errors:
        lines += [
            "By the standards' errors:",
            "",
            *(
                f"- {code(entry['name'] + '(' + ', '.join(_type(each) for each in entry['inputs']) + ')')}"
                for entry in sorted(errors, key=lambda each: str(each["name"]))
            ),
            "",
        ]
    if words.refusals:
        lines += ["In words, which `koinon` shows as they are:", ""]
        rows = [
            (plain(reason), ", ".join(map(code, places))) for reason, places in sorted(words.refusals.items())
        ]
        lines += [table(["Words", "Where"], rows)]
    return lines


def _type(field: Mapping[str, Any]) -> str:
    kind = str(field["type"])
    if not kind.startswith("tuple"):
        return kind
    return "(" + ", ".join(f"{_type(each)} {each['name']}" for each in field["components"]) + ")" + kind[5:]
