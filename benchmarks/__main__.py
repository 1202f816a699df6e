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

import importlib
import json
import pkgutil
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

import benchmarks

FIELDS = ("name", "ours", "peer", "ratio", "unit", "target", "ok")


def modules() -> Iterator[ModuleType]:
    """Every benchmark of this package, in the order of their names."""
    for found in pkgutil.iter_modules(benchmarks.__path__):
        if not found.name.startswith("_"):
            module = importlib.import_module(f"benchmarks.{found.name}")
            if hasattr(module, "run"):
                yield module


def wanted(module: ModuleType, names: Sequence[str]) -> bool:
    """Whether the module can print a figure that was asked for."""
    own = getattr(module, "NAMES", (module.__name__.rpartition(".")[2],))
    return not names or any(
        name.startswith(first) or first.startswith(name) for name in names for first in own
    )


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
    for figure in figures(modules(), names):
        print(json.dumps(figure), flush=True)
        failed |= "error" in figure
        printed = True
    if not printed:
        print(f"No benchmark has a figure that begins with {' or '.join(names)}.", file=sys.stderr)
    return 1 if failed or not printed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
