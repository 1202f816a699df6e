# SPDX-License-Identifier: Apache-2.0
"""Makes a page for each error code from the error tree and from every place in the sources that raises one.

What a page says in more words than the sources comes from ``docs/notes/errors/``: one file an area, with a
section a code, and ``classes.md`` with a section a class.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from koinon import errors
from tools.markdown import code, plain, table

ROOT = Path(__file__).parent.parent
SOURCES = ROOT / "src" / "koinon"
NOTES = ROOT / "docs" / "notes" / "errors"
FOLDER = "reference/errors"
UNEXPECTED: Final = "koinon.unexpected"

_ALONE: Final = "---\norphan: true\n---\n"
"""Two hundred pages in the side bar of each other would be no help, and slow."""

_HEAD: Final = """# Errors

Every error Koinon raises on purpose has a stable code, one sentence and a hint. A command prints them and
exits with the status of the error's class; with `--json` it prints [RFC
9457](https://www.rfc-editor.org/rfc/rfc9457) problem details instead, as the HTTP services do. `koinon
--debug …` shows the traceback. Unforeseen errors exit with 70, Ctrl-C with 130. A code is never used again
for something else.

Words in ⟨angle brackets⟩ are filled in where the error happens.
"""


@dataclass(frozen=True)
class Raised:
    """One place that raises an error: its code, class, sentence, hint and where it stands."""

    code: str
    kind: type[errors.KoinonError]
    sentence: str
    hint: str
    file: str
    function: str


def pages() -> dict[str, str]:
    """Every page by its path in the documents."""
    found: dict[str, list[Raised]] = {}
    for each in raised():
        found.setdefault(each.code, []).append(each)
    made = {f"{FOLDER}/{name}.md": _page(name, places) for name, places in found.items()}
    for kind, _depth in tree(errors.KoinonError):
        if kind.code not in found:
            made[f"{FOLDER}/{kind.code}.md"] = _class_page(kind)
    return {f"{FOLDER}/index.md": _index(found), **made}


def tree(kind: type[errors.KoinonError], depth: int = 0) -> Iterator[tuple[type[errors.KoinonError], int]]:
    """Every class with its depth, parents before children."""
    yield kind, depth
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from tree(child, depth + 1)


@cache
def raised() -> tuple[Raised, ...]:
    """Every call ``SomeError("…", hint="…", code="area.reason")``; without a code, the class's own."""
    kinds = {kind.__name__: kind for kind, _depth in tree(errors.KoinonError)}
    return tuple(
        found
        for path in sorted(SOURCES.rglob("*.py"))
        for found in _in_module(
            ast.parse(path.read_text(encoding="utf-8")), path.relative_to(SOURCES).as_posix(), kinds
        )
    )


def notes(name: str) -> dict[str, str]:
    """A file of notes: what stands before its first section under '', then each section by its title."""
    path = NOTES / f"{name}.md"
    if not path.is_file():
        return {}
    first, *sections = re.split(r"^## +(.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    named = {
        title.strip("` "): text.strip() for title, text in zip(sections[::2], sections[1::2], strict=True)
    }
    return {"": re.sub(r"^# .+\n", "", first).strip(), **named}


def _in_module(
    tree_of_file: ast.Module, file: str, kinds: dict[str, type[errors.KoinonError]]
) -> Iterator[Raised]:
    def walk(node: ast.AST, function: str) -> Iterator[Raised]:
        for child in ast.iter_child_nodes(node):
            inside = function
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                inside = f"{function}.{child.name}".lstrip(".")
            if isinstance(child, ast.ClassDef):
                yield from _of_class(child, kinds, file, inside)
            if isinstance(child, ast.Call) and isinstance(child.func, ast.Name) and child.func.id in kinds:
                found = _of_call(child, kinds[child.func.id], file, function)
                if found is not None:
                    yield found
            yield from walk(child, inside)

    yield from walk(tree_of_file, "")


def _of_class(
    defined: ast.ClassDef, kinds: dict[str, type[errors.KoinonError]], file: str, function: str
) -> Iterator[Raised]:
    """A domain's own kind of error, which names its code and words where it is defined."""
    bases = [base.id for base in defined.bases if isinstance(base, ast.Name) and base.id in kinds]
    codes = [
        node.value.value
        for node in defined.body
        if isinstance(node, ast.Assign)
        and [target.id for target in node.targets if isinstance(target, ast.Name)] == ["code"]
        and isinstance(node.value, ast.Constant)
    ]
    for node in ast.walk(defined):
        own = isinstance(node, ast.Call) and ast.unparse(node.func) == "super().__init__"
        if own and bases and codes and isinstance(node, ast.Call):
            given = {argument.arg: argument.value for argument in node.keywords}
            message = node.args[0] if node.args else None
            hint = _words(given.get("hint"))
            yield Raised(str(codes[0]), kinds[bases[0]], _words(message), hint, file, function)


def _of_call(call: ast.Call, kind: type[errors.KoinonError], file: str, function: str) -> Raised | None:
    given = {argument.arg: argument.value for argument in call.keywords if argument.arg}
    name = given.get("code")
    if name is None:
        stable = kind.code
    elif isinstance(name, ast.Constant) and isinstance(name.value, str):
        stable = name.value
    else:
        return None  # an error passed on under the code it came with
    message = call.args[0] if call.args else given.get("message")
    return Raised(stable, kind, _words(message), _words(given.get("hint")), file, function)


def _words(node: ast.expr | None) -> str:
    """A text as it will read, with ⟨names⟩ where values are filled in."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_words(part) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return f"⟨{_name_of(node.value)}⟩"
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _words(node.left) + _words(node.right)
    return ""


def _name_of(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        name = node.attr
    elif isinstance(node, ast.Name):
        name = node.id
    elif isinstance(node, ast.Call) and node.args:
        return _name_of(node.args[0])
    elif isinstance(node, ast.BoolOp):
        return _name_of(node.values[-1])
    else:
        inner = next((each for each in ast.walk(node) if isinstance(each, ast.Name)), None)
        name = inner.id if inner is not None else "…"
    return {"strerror": "the system's words", "error": "the reason", "fault": "the reason"}.get(
        name, name.strip("_").replace("_", " ").lower()
    )


def _page(name: str, places: list[Raised]) -> str:
    kinds = list(dict.fromkeys(place.kind for place in places))
    seen = list(dict.fromkeys((place.sentence, place.hint) for place in places if place.sentence))
    area = notes(name.partition(".")[0])
    lines = [_ALONE, f"# {code(name)}", "", _facts(name, kinds), "", "## What you see", ""]
    if not seen:
        lines += ["Its sentence is put together where it happens.", ""]
    for sentence, hint in seen:
        lines += [f"> {plain(sentence)}", *([">", f"> *{plain(hint)}*"] if hint else []), "", "<!-- -->", ""]
    lines += ["## What it means and what to do", ""]
    lines += [area[name], ""] if name in area else []
    lines += [notes("classes").get(kind.__name__, "") + "\n" for kind in kinds]
    lines += [area[""], ""] if area.get("") else []
    lines += ["## Where it is raised", ""]
    lines += sorted({f"- {code(f'src/koinon/{place.file}')} {_function(place)}".rstrip() for place in places})
    return "\n".join(lines) + "\n"


def _class_page(kind: type[errors.KoinonError]) -> str:
    lines = [
        _ALONE,
        f"# {code(kind.code)}",
        "",
        _facts(kind.code, [kind]),
        "",
        "## What it means and what to do",
        "",
    ]
    lines += [notes("classes").get(kind.__name__, ""), ""]
    lines += ["This is the code of the class itself; the sources raise it only with a narrower one.", ""]
    return "\n".join(lines)


def _facts(name: str, kinds: list[type[errors.KoinonError]]) -> str:
    rows = [(code(kind.__name__), str(kind.exit_status), str(kind.http_status)) for kind in kinds]
    if name == UNEXPECTED:
        rows = [(rows[0][0], "70", rows[0][2])]
    return table(["Class", "Exit status", "HTTP status"], rows) + (
        f"\n`type` of its problem details: `urn:koinon:error:{name}`"
    )


def _function(place: Raised) -> str:
    return f"in {code(place.function)}" if place.function else ""


def _index(found: dict[str, list[Raised]]) -> str:
    kinds = list(tree(errors.KoinonError))
    classes = table(
        ["Class", "Code", "Exit status", "HTTP status"],
        [
            (
                "· " * depth + code(kind.__name__),
                f"[{code(kind.code)}]({kind.code}.md)",
                str(kind.exit_status),
                str(kind.http_status),
            )
            for kind, depth in kinds
        ],
    )
    listed = table(
        ["Code", "Class", "Sentence"],
        [
            (
                f"[{code(name)}]({name}.md)",
                ", ".join(dict.fromkeys(code(place.kind.__name__) for place in places)),
                plain(next((place.sentence for place in places if place.sentence), "")),
            )
            for name, places in sorted(found.items())
        ],
    )
    return "\n".join([_HEAD, "## Classes", "", classes, "## Codes", "", listed])
