# SPDX-License-Identifier: Apache-2.0
"""Break contracts on purpose, one small place at a time, and see whether their own tests notice.

``python -m tools.mutants [Name ...]`` works on a copy of sources and tests. A mutant that its contract's
tests pass survives: either it means the same as the original, or a test is missing. Which, a reader says.
Slow: for every mutant a contract is compiled and its tests run until one fails.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final, NamedTuple

import hypothesis

from koinon.chain.compile import Source, discover

ROOT: Final = Path(__file__).resolve().parent.parent
ALSO: Final = {
    "Bonds": ["test_audit"], "Committee": ["test_audit"], "ERC3009Collector": ["test_channels"],
    "FairExchange": ["test_fair_machine"], "KnownAnswers": ["test_verdicts_audit"],
    "ProofVerdicts": ["test_other_verdicts"], "Redundancy": ["test_other_verdicts", "test_verdicts_audit"],
    "Verification": ["test_verdicts_audit"],
}  # fmt: skip
"""Contract -> tests that are to notice and are not called after it."""

OPERATORS: Final = (
    (" < ", " <= "), (" > ", " >= "), (" += ", " -= "), (" + ", " - "), (" and ", " or "), ("min(", "max("),
)  # fmt: skip
SWAPS: Final = (*OPERATORS, *((new, old) for old, new in OPERATORS), (" not ", " "), (" // ", " * "))
DROPPED: Final = {
    "assertion": re.compile(r"assert .*, \"[^\"]*\""),
    "update": re.compile(r"self\.[\w.\[\]]+ [-+]?= [^(]*"),
    "call": re.compile(r"(extcall|self\._|\w+\._)[^=]*\)"),
}
PAIR: Final = re.compile(r"(?<=[(\s])([a-z][\w.]*), ([a-z][\w.]*)(?=[,)])")
NUMBER: Final = re.compile(r"(?<=[ (])(\d[\d_]*)(?=[\s,)]|$)")


class Mutant(NamedTuple):
    """One changed line, numbered from 1."""

    kind: str
    line: int
    was: str
    becomes: str

    def of(self, source: str) -> str:
        lines = source.split("\n")
        lines[self.line - 1] = lines[self.line - 1].replace(self.was, self.becomes)
        return "\n".join(lines)


def mutants(source: str) -> Iterator[Mutant]:
    """Every way to break one line of a function's body."""
    inside = in_words = False
    for number, line in enumerate(source.split("\n"), 1):
        code = line.split("  #")[0].strip()
        if line and not line.startswith(" "):
            inside = code.startswith("def ") or (inside and code.startswith(")"))
        in_words ^= code.count('"""') == 1
        if not inside or line == code or in_words or code.startswith(("#", '"""', "log ", "for ")):
            continue
        for kind, pattern in DROPPED.items():
            if pattern.fullmatch(code):
                yield Mutant(kind, number, code, "pass")
        active = code.split(', "')[0]
        changes = [("operator", at, new) for old, new in SWAPS for at in re.finditer(re.escape(old), active)]
        changes += [("order", found, f"{found[2]}, {found[1]}") for found in PAIR.finditer(active)]
        changes += [("number", found, str(int(found[1]) + 1)) for found in NUMBER.finditer(active)]
        for kind, found, new in changes:
            yield Mutant(kind, number, code, code[: found.start()] + new + code[found.end() :])


def by_turns(source: str, seed: int) -> list[Mutant]:
    """All mutants, shuffled, one of every kind after the other."""
    piles = dict[str, list[Mutant]]()
    for mutant in mutants(source):
        piles.setdefault(mutant.kind, []).append(mutant)
    for pile in piles.values():
        random.Random(seed).shuffle(pile)  # noqa: S311
    return [mutant for turn in zip_longest(*piles.values()) for mutant in turn if mutant]


def pytest_configure() -> None:
    """As a plugin of the runs: what fails need not be made small, and fails each time."""
    phases = [hypothesis.Phase.explicit, hypothesis.Phase.generate]
    hypothesis.settings.register_profile("mutants", deadline=None, phases=phases, derandomize=True)
    hypothesis.settings.load_profile("mutants")


def tests_of(contract: Source) -> list[str]:
    """Files of tests, state machines last."""
    folder = ROOT / "tests" / contract.path.parent.relative_to(ROOT / "src" / "koinon")
    own = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", contract.name).lower()
    found = {*folder.glob(f"test_{own}.py"), *folder.glob(f"test_{own}_*.py")}
    found |= {folder / f"{name}.py" for name in ALSO.get(contract.name, ())}
    ordered = sorted(found, key=lambda file: ("machine" in file.name, file))
    return [str(file.relative_to(ROOT)) for file in ordered]


def run(copy: Path, tests: list[str], limit_s: int) -> str:
    """``survived``, ``killed by`` a test, or nothing where it does not compile."""
    command = [sys.executable, "-m", "pytest", "-p", "tools.mutants", "-x", "-q", "--tb=line", *tests]
    where = os.environ | {"PYTHONPATH": f"{copy / 'src'}:{copy}", "PYTHONDONTWRITEBYTECODE": "1"}
    how: Any = {"cwd": copy, "env": where, "capture_output": True, "text": True, "timeout": limit_s}
    try:
        done = subprocess.run(command, check=False, **how)
    except subprocess.TimeoutExpired:
        return "killed by its time limit"
    if "vyper.exceptions." in done.stdout:
        return ""
    found = re.search(r"^(?:FAILED|ERROR) \S*?::(\S+)", done.stdout, re.MULTILINE)
    return f"killed by {found[1]}" if found else "killed" if done.returncode else "survived"


def main() -> int:
    """Command line; 1 where a mutant survived."""
    parser = argparse.ArgumentParser(prog="python -m tools.mutants", description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="Name", help="only these contracts")
    parser.add_argument("--take", type=int, default=12, help="how many mutants of each")
    parser.add_argument("--seed", type=int, default=0, help="which ones")
    parser.add_argument("--limit", type=int, default=300, help="seconds that a mutant's tests may take")
    options = parser.parse_args()
    survived = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for part in ("src", "tests", "tools"):
            shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", copy)
        for contract in discover():
            if options.names and contract.name not in options.names:
                continue
            file, source, alive = copy / contract.path.relative_to(ROOT), contract.path.read_text(), 0
            for mutant in by_turns(source, options.seed):
                file.write_text(mutant.of(source))
                if verdict := run(copy, tests_of(contract), options.limit):
                    alive, survived = alive + 1, survived + (verdict == "survived")
                    print(file.name, mutant.line, mutant.was, "->", mutant.becomes, ":", verdict, flush=True)
                if alive == options.take:
                    break
            file.write_text(source)
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
