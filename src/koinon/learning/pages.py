# SPDX-License-Identifier: Apache-2.0
"""Training runs in the console: all of them, and one of them live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from koinon.errors import KoinonError, NotFound
from koinon.learning.disputes import Dispute, disputes
from koinon.learning.drift import LARGE, NOTABLE
from koinon.learning.folders import RunFolders
from koinon.learning.pictured import (
    curve,
    figure_words,
    gains,
    gaps,
    label,
    line,
    picture,
    spending,
    worth,
)
from koinon.learning.round_view import RunView, run_of_work, runs, runs_with, view, view_unrecorded
from koinon.learning.swarm_view import swarm_view
from koinon.web import Link, NavEntry, Router, gettext, ngettext, node, paginate, render
from koinon.web import marked as _
from koinon.web.pictures import draw_curve, draw_line, draw_marks, draw_round
from koinon.works.pages import hall

PAGE: Final = 20
UNRECORDED: Final = "unrecorded"

STAGES: Final = {
    "joining": _("owners are joining"),
    "teaching": _("teaching"),
    "measuring": _("measuring"),
    "measured": _("measured"),
    "published": _("published"),
    "stopped": _("stopped"),
    "elsewhere": _("open, led elsewhere"),
}
BADGES: Final = {"joining": "moving", "teaching": "moving", "measuring": "moving", "published": "good"}


@dataclass(frozen=True)
class Row:
    """A run in the list. ``score`` and ``baseline`` with their names, where they are known here."""

    path: str
    name: str
    run: RunView
    metric: str
    score: float | None
    baseline: float | None
    baseline_name: str


def beside(request: Request, work_id: int) -> Sequence[Link]:
    """On a model's page the run that made it; on a dataset's the newest runs it taught in."""
    index = node(request).index
    made_by = run_of_work(index, work_id)
    if made_by is not None:
        words = gettext("How it was taught, round by round: run %(id)s", id=made_by)
        return [Link(f"/runs/{made_by}", words)]
    return [
        Link(f"/runs/{one}", gettext("Taught in run %(id)s", id=one)) for one in runs_with(index, work_id)
    ]


router: Final = Router(
    "learning", nav=[NavEntry("explore", "/runs", _("Training runs"), order=40)], beside=beside
)


def folders(request: Request) -> RunFolders:
    """What this machine's runs tell, read once a change."""
    state = request.app.state
    if not hasattr(state, "run_folders"):
        state.run_folders = RunFolders(Path(node(request).settings.home))
    found: RunFolders = state.run_folders
    return found


@router.page("/runs")
def all_runs(request: Request) -> Response:
    """Every run on this network, newest first, and the last one without a chain."""
    index = node(request).index
    newest = runs(index, limit=1)
    total = newest[0] if newest else 0  # runs are numbered without gaps
    pages = paginate(request, total, PAGE)
    shown = runs(index, before=total - pages.offset + 1, limit=PAGE) if total else []
    hall(request).directory.catch_up()
    rows = [row for one in shown if (row := _row(request, one)) is not None]
    folder, told = folders(request).unrecorded()
    if folder is not None and told.began_at and pages.number == 1:
        run = view_unrecorded(told)
        rows.insert(0, _named(f"/runs/{UNRECORDED}", told.name or gettext("A run without a chain"), run))
    return render(
        request,
        "learning/runs.html",
        rows=rows,
        total=total,
        running=sum(row.run.running for row in rows),
        pages=pages,
        stages=STAGES,
        badges=BADGES,
        section="explore",
    )


@router.page("/runs/{run}")
def one_run(request: Request, run: str) -> Response:
    """One run: live while it goes on, then what it came to."""
    if run == UNRECORDED:
        folder, told = folders(request).unrecorded()
        if folder is None or not told.began_at:
            raise _unknown(run)
        return _page(request, run, view_unrecorded(told), folder)
    if not run.isascii() or not run.isdigit() or len(run) > 15:
        raise _unknown(run)
    seen, folder = follow(request, int(run))
    if seen is None:
        raise _unknown(run)
    return _page(request, run, seen, folder)


def follow(request: Request, run_id: int) -> tuple[RunView | None, Path | None]:
    """A run on chain with what its folder here tells; None where there is none."""
    index = node(request).index
    opened = index.rows("SELECT recipe FROM federation_run_opened WHERE run_id = ?", (run_id,))
    if not opened:
        return None, None
    folder, told = folders(request).of(run_id, str(opened[0]["recipe"]))
    swarm = swarm_view(index, run_id) if _has_swarms(request) else None
    return view(index, run_id, folder, told, swarm), folder


def name_of_run(request: Request, run: RunView) -> str:
    """What is taught: as its leader or its model's Work says, else by its number."""
    if run.name:
        return run.name
    entry = hall(request).directory.entry(run.work_id) if run.work_id else None
    if entry is not None and entry.name:
        return entry.name
    return gettext("Run %(id)s", id=run.run_id) if run.run_id else gettext("A run without a chain")


def baseline_words(name: str) -> str:
    """What a baseline is called."""
    known = {"chance": gettext("a guess"), "alone": gettext("owners alone, on average")}
    return known.get(name, name)


def _page(request: Request, run: str, seen: RunView, folder: Path | None) -> Response:
    hall(request).directory.catch_up()
    name = name_of_run(request, seen)
    datasets = [owner.work_id for owner in seen.owners if owner.work_id]
    drawn = gettext("peers by turns") if seen.swarm is not None else ""
    names = hall(request).directory.names(datasets) if datasets else {}
    measured, spent = line(seen, baseline_words(seen.baseline_name)), spending(seen)
    response = render(
        request,
        "learning/run.html",
        run=seen,
        key=run,
        name=name,
        title=_title(seen, name),
        names=names,
        ring=draw_round(picture(seen, name, names, drawn)),
        chart=None if measured is None else draw_line(measured),
        spending=None if spent is None else draw_line(spent),
        label=label,
        **_drawn(seen, names),
        disputes=_disputes(request, seen.run_id),
        baseline=baseline_words(seen.baseline_name),
        earned=_earned(request, seen),
        digests=_digests(request, seen),
        evidence=_evidence(request, folder),
        stages=STAGES,
        badges=BADGES,
        section="explore",
    )
    was = request.query_params.get("was")
    if was is not None and "hx-request" in request.headers and was != _phase(seen):
        response.headers["HX-Refresh"] = "true"  # its title says something else now
    return response


def _drawn(run: RunView, names: Mapping[int, str]) -> dict[str, Any]:
    """What was found out about it as pictures, and as what the tables behind them say."""
    found: dict[str, Any] = {
        "worth": worth(run, names),
        "gains": gains(run, names),
        "gaps": gaps(run.groups, run.metric),
    }
    drawn: dict[str, Any] = {
        name: None if marks is None else draw_marks(marks, name) for name, marks in found.items()
    }
    roc = curve(run)
    return drawn | {
        "curve": None if roc is None else draw_curve(roc),
        "roc": roc,
        "notable": NOTABLE,
        "large": LARGE,
        "figures": {} if run.groups is None else figure_words(run.groups, run.metric),
    }


def _disputes(request: Request, run_id: int) -> tuple[Dispute, ...]:
    """Of a swarm's run; none on networks that have no swarms."""
    return disputes(node(request).index, run_id) if run_id and _has_swarms(request) else ()


def _has_swarms(request: Request) -> bool:
    return "Swarm" in node(request).chain.network.contracts


def _phase(run: RunView) -> str:
    return "running" if run.running else run.stage


def _title(run: RunView, name: str) -> str:
    count = len(run.owners) or run.expected
    if run.running:
        return ngettext(
            "One owner is teaching “%(name)s”",
            "%(num)s owners are teaching “%(name)s” together",
            count,
            name=name,
        )
    if run.stage == "stopped":
        return gettext(
            "“%(name)s” was stopped after round %(last)s of %(rounds)s",
            name=name,
            last=run.last,
            rounds=run.rounds,
        )
    if run.stage == "elsewhere":
        return gettext("“%(name)s” is open, and nothing of it is heard here", name=name)
    if run.score is not None and run.baseline is not None:
        found = {"name": name, "metric": run.metric, "score": f"{run.score:.3f}"}
        if run.baseline_name == "alone":
            return ngettext(
                "One owner taught “%(name)s”: %(metric)s %(score)s",
                "%(num)s owners taught “%(name)s”: %(metric)s %(score)s together, %(alone)s alone",
                count,
                alone=f"{run.baseline:.3f}",
                **found,
            )
        return ngettext(
            "One owner taught “%(name)s”: %(metric)s %(score)s; a guess has %(chance)s",
            "%(num)s owners taught “%(name)s”: %(metric)s %(score)s; a guess has %(chance)s",
            count,
            chance=f"{run.baseline:.3f}",
            **found,
        )
    return ngettext(
        "One owner taught “%(name)s”", "%(num)s owners taught “%(name)s” together", count, name=name
    )


def _earned(request: Request, run: RunView) -> Mapping[int, int]:
    """Dataset Work → what reached its till of the model's income, in the coin's smallest unit."""
    if not run.work_id:
        return {}
    way = hall(request).ways.of(run.work_id)
    return {
        flow.parent: flow.amount
        for flow in way.flows
        if flow.source == run.work_id and flow.parent is not None
    }


def _digests(request: Request, run: RunView) -> dict[str, Any]:
    """What the chain records of it, with the transactions that say so."""
    if not run.run_id:
        return {"opened": None, "rounds": [], "finished": None}
    index = node(request).index

    def rows(table: str, order: str) -> list[dict[str, Any]]:
        sql = f"SELECT * FROM {table} WHERE run_id = ? ORDER BY {order}"  # noqa: S608  (our names)
        found: list[dict[str, Any]] = index.rows(sql, (run.run_id,))
        return found

    opened = rows("federation_run_opened", "block_number")
    finished = rows("federation_run_finished", "block_number")
    return {
        "opened": opened[0] if opened else None,
        "rounds": rows("federation_round_recorded", "round")[-200:],
        "finished": finished[0] if finished else None,
    }


def _evidence(request: Request, folder: Path | None) -> str | None:
    """Where the evidence lies on this machine, from the data directory on; None where there is none."""
    if folder is None or not (folder / "evidence.bin").exists():
        return None
    return (folder / "evidence.bin").relative_to(node(request).settings.home).as_posix()


def _row(request: Request, run_id: int) -> Row | None:
    run, _folder = follow(request, run_id)
    return None if run is None else _named(f"/runs/{run_id}", name_of_run(request, run), run, request)


def _named(path: str, name: str, run: RunView, request: Request | None = None) -> Row:
    if run.score is None and run.work_id and request is not None:
        card = _card_metric(request, run.work_id)
        if card is not None:
            return Row(path, name, run, card.name, card.value, card.baseline, card.baseline_name)
    return Row(path, name, run, run.metric, run.score, run.baseline, baseline_words(run.baseline_name))


def _card_metric(request: Request, work_id: int) -> Any:
    here = hall(request)
    entry = here.directory.entry(work_id)
    try:
        return None if entry is None else here.family.file(entry.uri).registration.card.metric
    except KoinonError:
        return None


def _unknown(run: str) -> NotFound:
    return NotFound(
        gettext("There is no training run %(run)s on this network.", run=run[:40]),
        hint=gettext("See all of them under Training runs."),
        code="learning.run",
    )
