# SPDX-License-Identifier: Apache-2.0
"""Templates of every room in one environment, and `render`, which answers a request with one of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import (
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PrefixLoader,
    StrictUndefined,
    pass_context,
)
from jinja2.runtime import Context
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from koinon.web import formatting, language
from koinon.web.visitor import visitor

Contributor = Callable[[Request], Mapping[str, Any]]
"""Adds to every template's context: the console's layout takes its words from there."""


def make_environment(shared: Sequence[Path], rooms: Mapping[str, Path]) -> Environment:
    """The environment of the whole console.

    Parameters
    ----------
    shared : sequence of Path
        Folders of templates that every room may extend and import by their bare name.
    rooms : mapping of str to Path
        Room → its folder of templates, named ``<room>/<file>.html``.
    """
    folders = {room: FileSystemLoader(folder) for room, folder in rooms.items() if folder.is_dir()}
    environment = Environment(
        loader=ChoiceLoader([PrefixLoader(folders), FileSystemLoader(list(shared))]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
    )
    environment.globals |= {
        "_": _translated,
        "gettext": _translated,
        "ngettext": _translated_plural,
        "url": language.url,
    }
    environment.filters |= {
        "amount": _amount,
        "money": _money,
        "address": _address,
        "number": formatting.number,
        "percent": formatting.percent,
        "share": formatting.share,
        "digest": formatting.digest,
        "transaction": formatting.transaction,
        "block": formatting.block,
        "ago": formatting.ago,
        "moment": formatting.moment,
        "kind": formatting.kind,
    }
    return environment


def render(request: Request, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
    """Answer with a template: ``render(request, "works/work.html", work=work)``.

    The template also knows ``request``, ``visitor``, ``node``, ``language``, ``path``, and what the layout
    needs; ``section`` (a key of `SECTIONS`) overrides which part of the rail is lit.
    """
    environment: Environment = request.app.state.templates
    known: dict[str, Any] = {
        "request": request,
        "visitor": visitor(request),
        "language": language.language(),
        "path": getattr(request.state, "path", request.url.path),
    }
    contribute: Contributor | None = getattr(request.app.state, "contribute", None)
    if contribute is not None:
        known |= contribute(request)
    return HTMLResponse(environment.get_template(template).render({**known, **context}), status)


# A translator's sentence is trusted, what is filled into it is escaped unless it is markup already.


def _translated(message: str, /, **values: object) -> Markup:
    sentence = Markup(language.gettext(message))  # noqa: S704  (from our own catalogs)
    return sentence % values if values else sentence


def _translated_plural(singular: str, plural: str, number: int, /, **values: object) -> Markup:
    unfilled = {"num": "%(num)s", **{name: f"%({name})s" for name in values}}
    sentence = Markup(language.ngettext(singular, plural, number, **unfilled))  # noqa: S704
    return sentence % {"num": number, **values}


def _unit(context: Context, unit: formatting.Unit | None) -> formatting.Unit:
    return unit if unit is not None else context["coin"]


@pass_context
def _amount(context: Context, units: int, unit: formatting.Unit | None = None) -> Markup:
    return formatting.amount(units, _unit(context, unit))


@pass_context
def _money(context: Context, units: int, unit: formatting.Unit | None = None) -> Markup:
    return formatting.amount(units, _unit(context, unit), symbol=True)


@pass_context
def _address(context: Context, account: str, name: str | None = None, *, link: bool = True) -> Markup:
    names: Callable[[str], str | None] = context.get("name_of") or (lambda _account: None)
    return formatting.address(account, name or names(account), link=link)
