# SPDX-License-Identifier: Apache-2.0
"""What a domain needs to bring pages to the console, and nothing else. It knows no domain.

A domain has ``pages.py`` with a `Router` named ``router``, ``templates/``, and Chinese in
``locale/zh_Hant/LC_MESSAGES/messages.po``. The console mounts what it finds in its list of rooms.

**A page** is a plain function (it runs in a thread; domain code is synchronous), thin: read, render::

    # works/pages.py
    from starlette.requests import Request
    from starlette.responses import Response
    from koinon.web import NavEntry, Router, gettext, node, paginate, render
    from koinon.web import marked as _

    router = Router(
        "works",
        nav=[NavEntry("explore", "/models", _("Models"), order=10)],
        actions=[COLLECT],
    )

    @router.page("/works/{work_id}")
    def work(request: Request, work_id: int) -> Response:
        ground: Ground = node(request)
        works = Works(ground.chain, ground.store)
        return render(request, "works/work.html", work=describe(works, work_id))

Raise errors of Koinon's freely (`NotFound`, `BadInput`): they become a page that says what happened, what it
means and what to do, or RFC 9457 JSON for programs. Lists: ``pages = paginate(request, total)`` and
``LIMIT pages.size OFFSET pages.offset``. Read the index by ``ground.index.rows(sql, parameters)``.

**Its template** extends the layout. The title is the question the page answers, or the answer; one picture,
then the table behind it, then the evidence folded away::

    {% extends "layout.html" %}
    {% import "parts.html" as parts %}
    {% block title %}{{ _("%(name)s has earned", name=work.name) }}{% endblock %}
    {% block lead %}{{ _("One sentence more, where it helps.") }}{% endblock %}
    {% block action %}
    <a class="button primary" href="{{ url('/works/3/call') }}">{{ _("Call it") }}</a>
    {% endblock %}
    {% block content %}
    <div class="scroll"><table>
      <caption>{{ _("Who was paid") }}</caption>
      <thead><tr><th>{{ _("Payee") }}</th><th class="number">{{ coin.symbol }}</th></tr></thead>
      <tbody>{% for row in rows %}
        <tr><td>{{ row.payee|address }}</td><td class="number">{{ row.amount|amount }}</td></tr>
      {% else %}<tr><td colspan="2">{{ _("Nobody yet.") }}</td></tr>{% endfor %}</tbody>
    </table></div>
    {{ parts.pages(pages) }}
    {% endblock %}
    {% block evidence %}
    <details><summary>{{ _("Transactions") }}</summary>…</details>
    {% endblock %}

The title block is plain text (it is the browser's title too). Every link goes through ``url(path, **query)``,
which keeps the language; static files through ``static("vendor/uPlot.css")``. Scripts and styles stand in
files only: the policy allows no inline script, no ``style=`` attribute, no ``on…=`` attribute (SVG takes
presentation attributes such as ``fill`` and classes). Extra ones: ``{% block scripts %}<script
src="{{ static('…') }}" defer></script>{% endblock %}``. A domain's own static files lie in
``<room>/static/`` and are ``static("<room>/file.js")``.

**Filters**: ``units|amount`` (number alone, for tables that name the unit once in the head), ``units|money``
(with the unit); both take another `Unit`: ``units|amount(unit)``. ``account|address`` (name, short form,
link; ``address(name="…", link=False)``), ``hash|transaction``, ``number|block``, ``digest|digest``,
``shares|share`` (1e-9), ``fraction|percent``, ``count|number``, ``timestamp|ago``, ``timestamp|moment``.
Context: ``visitor``, ``language``, ``path``, ``coin`` (Unit), ``network`` (name, chain_id, test_money),
``csrf_token``, ``name_of(address)``.

**Macros** of ``parts.html``: ``pages(pages)``, ``empty(sentence, label=None, href=None, command=None)``,
``notice(kind, text)`` (kind: info, good, warning, danger), ``badge(kind, text)``,
``field(name, label, value="", hint="", error="", type="text", required=False, …)``,
``choice(name, label, options, value)``, ``csrf(csrf_token)``, ``progress(label, done, total)``.
**Classes**: ``scroll`` around each table, ``number`` on its numeric cells; ``facts`` on a ``<dl>``;
``button``, ``button primary``, ``button danger``; ``form``; ``tabs`` on a ``<nav>``; ``figure`` with
``<figcaption>``; ``timeline`` on an ``<ol>``; ``columns`` for two side by side; ``muted``, ``gain``,
``loss``, ``moving`` (never colour alone: a sign or word beside it); ``visually-hidden``.

**Words**: ``_("…")`` in templates, ``gettext("… %(name)s", name=…)`` in code, ``ngettext`` with ``%(num)s``.
The English sentence is the message id, whole sentences only. ``python tools/check_translations.py --write``
puts new ones into each room's ``messages.po``; without ``--write`` it fails on any that is not translated.

**A change** is an `Action`: ``prepare`` makes the review, ``run`` does it by the domain's ordinary API::

    def _prepare(ground: Ground, visitor: Visitor, fields: Fields) -> Review:
        work_id = int(fields["work_id"])
        return Review(
            title=gettext("Collect what Work %(id)s earned?", id=work_id),
            button=gettext("Collect"),
            changes=(gettext("Everyone who is due something is paid."),),
            costs=(gettext("Gas for one transaction."),),
        )

    def _run(ground: Ground, account: Account, fields: Fields, say: Say) -> Outcome:
        say(gettext("Paying out"))
        paid = Works(ground.chain, ground.store, account).collect(int(fields["work_id"]))
        return Outcome(gettext("Paid to %(num)s payees.", num=len(paid.payouts)), "/works/3")

    COLLECT = Action("works.collect", _prepare, _run, back="/works")

and its form posts to it; the console asks for an account, shows the review, runs it and tells the outcome::

    <form class="form" method="post" action="{{ url('/act/works.collect') }}">
      {{ parts.csrf(csrf_token) }}
      <input type="hidden" name="work_id" value="{{ work.id }}">
      <button class="button primary">{{ _("Collect") }}</button>
    </form>

A form that brings files goes to a ``@router.change(path)`` of the domain's own, which keeps the bytes and
ends with ``return review(request, "works.publish", fields)``.

**A live region** asks for itself again when the index has seen an event it shows. The region needs an id; the
page stays whole without JavaScript::

    {% block live %}{{ true }}{% endblock %}
    <section id="river" aria-live="polite" hx-get="{{ url(path) }}" hx-select="#river" hx-target="#river"
             hx-swap="outerHTML" hx-trigger="till_released from:#live delay:200ms">…</section>

Event names are the index's table names; ``block`` comes with each new head.
"""

from koinon.web.actions import Action, Fields, Outcome, Review, Say, review
from koinon.web.formatting import (
    Unit,
    address,
    ago,
    ago_text,
    amount,
    amount_text,
    digest,
    moment,
    number,
    percent,
    share,
    transaction,
)
from koinon.web.language import gettext, marked, ngettext, speaking, url
from koinon.web.pages import Beside, Link, NavEntry, Pages, Router, paginate
from koinon.web.problems import problem, status_problem, wants_json
from koinon.web.templates import make_environment, render
from koinon.web.visitor import Visitor, language_of, node, visitor

__all__ = [
    "Action",
    "Beside",
    "Fields",
    "Link",
    "NavEntry",
    "Outcome",
    "Pages",
    "Review",
    "Router",
    "Say",
    "Unit",
    "Visitor",
    "address",
    "ago",
    "ago_text",
    "amount",
    "amount_text",
    "digest",
    "gettext",
    "language_of",
    "make_environment",
    "marked",
    "moment",
    "ngettext",
    "node",
    "number",
    "paginate",
    "percent",
    "problem",
    "render",
    "review",
    "share",
    "speaking",
    "status_problem",
    "transaction",
    "url",
    "visitor",
    "wants_json",
]
