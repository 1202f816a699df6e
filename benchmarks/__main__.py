# SPDX-License-Identifier: Apache-2.0
"""Runs benchmarks and prints one JSON line a figure.

    python -m benchmarks                     everything
    python -m benchmarks vouchers            every figure of benchmarks/vouchers.py
    python -m benchmarks vouchers.calls gas  figures whose names begin so

Each module here has ``run()``, which yields figures: ``name`` (``module.figure``), ``ours``, ``peer``,
``ratio``, ``unit``, ``target``, ``ok`` (``peer`` and ``ratio`` may be None where there is no peer). A module
whose figures have other first names lists them in ``NAMES``. A benchmark that fails prints a line with
``error`` and stops no other; the exit status is 1 if any failed. A figure that misses its target is
``"ok": false`` and no failure.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import json
import pkgutil
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import benchmarks

FIELDS = ("name", "ours", "peer", "ratio", "unit", "target", "ok")


def modules(names: Sequence[str] = ()) -> Iterator[ModuleType]:
    """Every benchmark of this package that can print a figure that was asked for, in the order of their
    names; the others are read and not imported, for some import half of science."""
    for found in pkgutil.iter_modules(benchmarks.__path__):
        spec = importlib.util.find_spec(f"benchmarks.{found.name}")
        if found.name.startswith("_") or spec is None or spec.origin is None:
            continue
        if could_print(declared(Path(spec.origin).read_text(), found.name), names):
            module = importlib.import_module(f"benchmarks.{found.name}")
            if hasattr(module, "run"):
                yield module


def declared(source: str, name: str) -> tuple[str, ...]:
    """The first names of a module's figures, from its source: its ``NAMES``, or the name itself."""
    for line in ast.parse(source).body:
        targets = line.targets if isinstance(line, ast.Assign) else [getattr(line, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == "NAMES" for target in targets):
            return tuple(ast.literal_eval(line.value))  # type: ignore[attr-defined]
    return (name,)


def could_print(own: Sequence[str], names: Sequence[str]) -> bool:
    """Whether a module whose figures have these first names can print one that was asked for."""
    return not names or any(
        name.startswith(first) or first.startswith(name) for name in names for first in own
    )


def wanted(module: ModuleType, names: Sequence[str]) -> bool:
    """Whether the module can print a figure that was asked for."""
    return could_print(getattr(module, "NAMES", (module.__name__.rpartition(".")[2],)), names)


def complete(figure: Mapping[str, Any]) -> Mapping[str, Any]:
    """The figure itself, if it has exactly the fields a figure has."""
    if set(figure) != set(FIELDS):
        raise ValueError(f"{figure} does not have exactly {', '.join(FIELDS)}")
    return figure


def figures(found: Iterable[ModuleType], names: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """The figures asked for; for a benchmark that failed, one with ``error`` instead."""
    for module in found:
        if not wanted(module, names):
            continue
        try:
            for figure in map(complete, module.run()):
                if not names or any(str(figure["name"]).startswith(name) for name in names):
                    yield {field: figure[field] for field in FIELDS}
        except Exception as error:
            traceback.print_exc()
            yield {
                "name": module.__name__.rpartition(".")[2],
                "ok": False,
                "error": f"{type(error).__name__}: {error}",
            }


def main(names: Sequence[str]) -> int:
    failed = False
    printed = False
    for figure in figures(modules(names), names):
        print(json.dumps(figure), flush=True)
        failed |= "error" in figure
        printed = True
    if not printed:
        print(f"No benchmark has a figure that begins with {' or '.join(names)}.", file=sys.stderr)
    return 1 if failed or not printed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
