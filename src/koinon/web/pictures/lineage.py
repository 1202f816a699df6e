# SPDX-License-Identifier: Apache-2.0
"""The family tree of a Work: what it was made from on the left, what was made from it on the right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from koinon.web.formatting import SHARE_WHOLE, percent
from koinon.web.language import gettext as _
from koinon.web.language import ngettext
from koinon.web.pictures.svg import cut, element, number

_BOX: Final = (290.0, 52.0)
_COLUMNS: Final = (8.0, 415.0, 822.0)
_MOST: Final = 12


@dataclass(frozen=True)
class Relative:
    """A parent or child. ``share`` is the least of the child's income that the parent gets, in 1e-9."""

    label: str
    kind: str
    share: int
    href: str = ""


def draw_lineage(
    name: str,
    kind: str,
    parents: Sequence[Relative],
    children: Sequence[Relative],
    identity: str = "lineage",
) -> Markup:
    """The tree for wide pages, and for phones as an indented one."""
    said = " ".join(
        (
            ngettext(
                "%(name)s was made from %(num)s Work.",
                "%(name)s was made from %(num)s Works.",
                len(parents),
                name=name,
            ),
            ngettext("%(num)s Work was made from it.", "%(num)s Works were made from it.", len(children)),
        )
    )
    left, right = _shown(parents), _shown(children)
    return element(
        "div",
        {"class": "picture lineage", "id": identity},
        _wide((name, kind), left, right, said, f"{identity}-wide"),
        _narrow((name, kind), left, right, said, f"{identity}-narrow"),
    )


def _shown(relatives: Sequence[Relative]) -> list[Relative]:
    if len(relatives) <= _MOST:
        return list(relatives)
    rest = len(relatives) - _MOST + 1
    return [*relatives[: _MOST - 1], Relative(ngettext("%(num)s other", "%(num)s others", rest), "", 0)]


def _wide(
    me: tuple[str, str], parents: list[Relative], children: list[Relative], said: str, identity: str
) -> Markup:
    rows = max(len(parents), len(children), 1)
    height = rows * 68.0 + 12
    middle = height / 2
    parts = []
    for column, relatives in ((0, parents), (2, children)):
        top = middle - len(relatives) * 34.0
        for position, relative in enumerate(relatives):
            y = top + position * 68 + 34
            parts.append(_link(column, y, middle))
            parts.append(_box(relative, _COLUMNS[column], y - 26, _words(relative, is_parent=column == 0)))
    parts.append(_box(Relative(me[0], me[1], 0), _COLUMNS[1], middle - 26, me[1], chosen=True))
    return _frame(said, identity, (1120, height), parts)


def _narrow(
    me: tuple[str, str], parents: list[Relative], children: list[Relative], said: str, identity: str
) -> Markup:
    y, parts = 4.0, []

    def heading(words: str) -> None:
        nonlocal y
        parts.append(element("text", {"class": "note", "x": 8, "y": y + 14}, words))
        y += 24

    def branch(relatives: list[Relative], *, is_parent: bool, trunk: float) -> None:
        nonlocal y
        for relative in relatives:
            path = f"M20 {number(trunk)}V{number(y + 26)}H34"
            parts.append(element("path", {"class": "kin", "d": path}))
            parts.append(_box(relative, 34, y, _words(relative, is_parent=is_parent), width=318))
            y += 62

    parts.append(_box(Relative(me[0], me[1], 0), 8, y, me[1], chosen=True, width=344))
    trunk = y + 52
    y += 66
    if parents:
        heading(_("Made from"))
        branch(parents, is_parent=True, trunk=trunk)
    if children:
        heading(_("Used in"))
        branch(children, is_parent=False, trunk=trunk)
    return _frame(said, identity, (360, y), parts)


def _frame(said: str, identity: str, size: tuple[float, float], parts: list[Markup]) -> Markup:
    width, height = size
    return element(
        "svg",
        {
            "class": "wide" if width > 500 else "narrow",
            "viewBox": f"0 0 {number(width)} {number(height)}",
            "width": width,
            "height": height,
            "role": "graphics-document",
            "aria_labelledby": f"{identity}-title",
            "aria_describedby": f"{identity}-words",
            "xmlns": "http://www.w3.org/2000/svg",
        },
        element("title", {"id": f"{identity}-title"}, _("Lineage")),
        element("desc", {"id": f"{identity}-words"}, said),
        *parts,
    )


def _words(relative: Relative, *, is_parent: bool) -> str:
    if not relative.share:
        return relative.kind
    part = percent(relative.share / SHARE_WHOLE, 2)
    words = (
        _("gets at least %(part)s", part=part) if is_parent else _("passes up at least %(part)s", part=part)
    )
    return f"{relative.kind} · {words}" if relative.kind else words


def _link(column: int, y: float, middle: float) -> Markup:
    start, end = (_COLUMNS[0] + _BOX[0], _COLUMNS[1]) if column == 0 else (_COLUMNS[2], _COLUMNS[1] + _BOX[0])
    half, level = number((start + end) / 2), number(middle)
    path = f"M{number(start)} {number(y)}C{half} {number(y)} {half} {level} {number(end)} {level}"
    return element("path", {"class": "kin", "d": path})


def _box(
    relative: Relative, x: float, y: float, note: str, *, chosen: bool = False, width: float = _BOX[0]
) -> Markup:
    said = f"{relative.label}, {note}" if note else relative.label
    content = (
        element("title", {}, said),
        element(
            "rect",
            {
                "class": f"box{' chosen' if chosen else ''}",
                "x": x,
                "y": y,
                "width": width,
                "height": _BOX[1],
                "rx": 3,
            },
        ),
        element("text", {"class": "name", "x": x + 12, "y": y + 22}, cut(relative.label, 14, width - 24)),
        element("text", {"class": "note", "x": x + 12, "y": y + 40}, cut(note, 12.5, width - 24)),
    )
    if relative.href:
        return element("a", {"class": "place", "href": relative.href}, *content)
    return element(
        "g", {"class": "place", "tabindex": "0", "role": "graphics-symbol", "aria_label": said}, *content
    )
