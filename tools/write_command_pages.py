# SPDX-License-Identifier: Apache-2.0
"""Makes the reference of the `koinon` command: each command's help, arguments, options and an example.

Examples are commands that the documents show; `docs/notes/commands.md` has those that no page shows.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from tools.markdown import code, fence, plain, table, toctree
from tools.shown_commands import ROOT, Command, Shown, commands, documents, shown

FOLDER = "reference/commands"
NOTES: Final = ROOT / "docs" / "notes" / "commands.md"

_HEAD: Final = """# Commands

`koinon COMMAND --help` says the same in a terminal. Every command names the network it works on and whether
its money is real; with `--json` it answers with one JSON document on standard output and nothing else. What
goes wrong exits with the status of [its error](../errors/index.md).
"""


def pages() -> dict[str, str]:
    """Every page by its path in the documents: one for each first word after `koinon`."""
    tree = commands()
    first = [path for path in tree if len(path) == 1]
    found = examples()
    made = {
        f"{FOLDER}/{_file(top)}.md": "\n".join(
            line
            for path, each in tree.items()
            if path[:1] == top
            for line in _section(each, found.get(path, []))
        )
        for top in first
    }
    general = table(["Option", "Meaning", "Default"], _options(tree[()]))
    listed = table(
        ["Command", "What it does"],
        [(f"[{code('koinon ' + top[0])}]({_file(top)}.md)", plain(_summary(tree[top]))) for top in first],
    )
    names = toctree([_file(top) for top in first], hidden=True)
    made[f"{FOLDER}/index.md"] = "\n".join(
        [_HEAD, listed, "## Options before any command", "", general, names]
    )
    return made


def examples() -> dict[tuple[str, ...], list[Shown]]:
    """Command → how documents show it, in blocks; pages before notes."""
    found: dict[tuple[str, ...], list[Shown]] = {}
    for one in shown(sorted(documents(), key=lambda path: (path == NOTES, "zh-Hant" in str(path)))):
        if one.in_block and (path := _path_of(one.text)) in commands():
            found.setdefault(path, []).append(one)
    return found


def without_example() -> list[str]:
    """Commands that no document shows."""
    found = examples()
    return sorted(
        " ".join(path) for path, each in commands().items() if not each.is_group and path not in found
    )


def _file(path: tuple[str, ...]) -> str:
    return f"koinon-{path[0]}"


def _path_of(text: str) -> tuple[str, ...]:
    path: tuple[str, ...] = ()
    for word in text.split()[1:]:
        if (*path, word) in commands():
            path = (*path, word)
        elif not word.startswith("-") and commands()[path].is_group and path:
            break
    return path


def _summary(each: Command) -> str:
    return each.command.get_short_help_str(limit=300)


def _section(each: Command, found: list[Shown]) -> list[str]:
    spoken = " ".join(("koinon", *each.path))
    lines = [f"{'#' * min(len(each.path), 3)} {code(spoken)}", ""]
    help_text = (each.command.help or "").partition("\f")[0]
    lines += [line for part in help_text.split("\n\n") for line in (plain(part), "")]
    if each.is_group:
        return lines
    usage = each.command.get_usage(each.context).removeprefix("Usage: ")
    lines += [fence(usage, "text")]
    lines += [
        table(["Argument", "Takes"], _arguments(each)),
        table(["Option", "Meaning", "Default"], _options(each)),
    ]
    if found:
        seen = list(dict.fromkeys(one.text for one in found))[:3]
        lines += ["Example:" if len(seen) == 1 else "Examples:", "", fence("\n".join(seen), "text")]
        place = next(
            (one.page for one in found if one.page.startswith("docs/") and "notes" not in one.page), ""
        )
        lines += [f"Used in [{_title(place)}](../../{place.removeprefix('docs/')}).", ""] if place else []
    return lines


def _title(page: str) -> str:
    for line in Path(ROOT, page).read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            return plain(line[2:])
    return page


def _arguments(each: Command) -> list[tuple[str, str]]:
    rows = []
    for one in each.command.params:
        if isinstance(one, click.Argument):
            kind = _kind(one)
            several = "any number" if one.nargs == -1 else ""
            optional = "" if one.required else "may be left out"
            rows.append(
                (code(one.make_metavar(each.context)), ", ".join(filter(None, (kind, several, optional))))
            )
    return rows


def _options(each: Command) -> list[tuple[str, str, str]]:
    rows = []
    for one in each.command.get_params(each.context):
        if isinstance(one, click.Option) and not one.hidden:
            record = one.get_help_record(each.context)
            names = record[0] if record else ", ".join(one.opts)
            extra = one.get_help_extra(each.context)
            default = "required" if one.required else extra.get("default", "")
            wide = f" ({extra['range']})" if "range" in extra else ""
            again = " May be repeated." if one.multiple else ""
            rows.append((code(names), plain((one.help or "") + wide) + again, plain(default)))
    return rows


def _kind(one: click.Parameter) -> str:
    if isinstance(one.type, click.Choice):
        return "one of " + ", ".join(code(str(choice)) for choice in one.type.choices)
    return {
        "integer": "a whole number",
        "text": "text",
        "path": "a path",
        "directory": "a folder",
        "file": "a file",
    }.get(one.type.name, plain(one.type.name))
