# SPDX-License-Identifier: Apache-2.0
"""The watch's front door: screen, scan, look at cases, decide, and learn from what was decided."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
import orjson
from numpy.typing import NDArray

from koinon.chain.index import EventIndex
from koinon.errors import BadInput, NotFound
from koinon.watch.cases.alerts import AlertDesk
from koinon.watch.cases.record import OPEN, Case, Decision
from koinon.watch.cases.store import CaseStore
from koinon.watch.findings import Finding
from koinon.watch.graph.edges import Edges
from koinon.watch.graph.following import CONFIRMATIONS
from koinon.watch.graph.importing import EventRows, from_index
from koinon.watch.laundering.again import of_simulation
from koinon.watch.laundering.alerting import model_findings
from koinon.watch.laundering.feedback import Retrained, retrain
from koinon.watch.laundering.groups import service_names
from koinon.watch.laundering.heldout import HeldOut
from koinon.watch.laundering.measuring import Labels
from koinon.watch.laundering.model import Model
from koinon.watch.laundering.planted import SERVICES, Planted, plant
from koinon.watch.laundering.report import report
from koinon.watch.laundering.rules import Rules
from koinon.watch.laundering.screening import Hit, Screen, told
from koinon.watch.laundering.shelf import ListShelf, Shelved
from koinon.watch.laundering.table import Table, split_by_time
from koinon.watch.laundering.typologies import look
from koinon.watch.liquidity.keeping import Liquidity
from koinon.watch.monitors.keeping import AlertBook
from koinon.works.ground import Ground

ROOM: Final = "watch"
MODEL_FILE: Final = "model.json"
REPORT_FILE: Final = "report.json"
URGENT: Final = 0.7
SIMULATED: Final = "simulated transfers with planted laundering; not a real chain"


@dataclass(frozen=True)
class Scan:
    """What one look at a table of transfers found; ``cases`` is where each finding is, empty where nothing
    was kept."""

    transfers: int
    findings: tuple[Finding, ...]
    cases: tuple[int, ...]
    model: str

    @property
    def kinds(self) -> dict[str, int]:
        """How many findings of each kind."""
        names = sorted({each.kind for each in self.findings})
        return {name: sum(each.kind == name for each in self.findings) for name in names}


class Watch:
    """The watch of one data directory.

    Parameters
    ----------
    home : Path
        The room's folder: lists, cases, alerts, the model and its report.
    index : EventRows, optional
        The index of events, to scan the chain.
    clock : callable, optional
        Unix seconds now.
    """

    def __init__(
        self, home: Path, *, index: EventRows | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self.home, self._index, self._clock = home, index, clock
        self.lists = ListShelf(home / "lists")
        self._held_out = HeldOut(home)

    @classmethod
    def of(cls, ground: Ground, index: EventIndex | None = None) -> Watch:
        """A node's."""
        return cls(ground.settings.home / ROOM, index=index)

    @cached_property
    def cases(self) -> CaseStore:
        """The file of cases."""
        model = self.model
        return CaseStore(self.home, clock=self._clock, kinds=None if model is None else model.kinds)

    @cached_property
    def alerts(self) -> AlertDesk:
        """The file of alerts."""
        return AlertDesk(self.home, clock=self._clock)

    @cached_property
    def book(self) -> AlertBook:
        """Alerts of the monitors with their evidence."""
        return AlertBook(self.home, self.alerts)

    @cached_property
    def liquidity(self) -> Liquidity:
        """What pools and vaults can pay out."""
        return Liquidity(self.home, lambda: self.alerts, self._clock)

    @property
    def model(self) -> Model | None:
        """The champion; None before one was trained. IntegrityError (``watch.model``) where it is damaged."""
        path = self.home / MODEL_FILE
        return Model.load(path) if path.exists() else None

    def close(self) -> None:
        """Close what was opened."""
        for name in ("cases", "book", "alerts"):
            if name in self.__dict__:
                self.__dict__.pop(name).close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ------------------------------------------------------------ lists

    def add_list(self, path: Path, kind: str, *, as_of: str = "") -> Shelved:
        """Screen against a list from now on; errors as `ListShelf.add`."""
        return self.lists.add(path, kind, now=int(self._clock()), as_of=as_of)

    def screen(self, subjects: Iterable[str], *, known: Iterable[str] = ()) -> list[tuple[str, list[Hit]]]:
        """What each address or domain is.

        Raises
        ------
        NotFound
            There is no list yet and nobody is known (``watch.no_lists``).
        BadInput
            A subject is neither an address nor a domain (``watch.subject``).
        """
        friends = list(known)
        screen = self._screen(friends)
        if not screen.lists and not friends:
            raise NotFound(
                "There is no list to screen against.",
                hint="Add one: koinon watch lists --add FILE --kind ofac",
                code="watch.no_lists",
            )
        return [(each, screen.look_up(each)) for each in subjects]

    def _screen(self, known: Iterable[str] = ()) -> Screen:
        return Screen([each.listed for each in self.lists.all()], known)

    # ------------------------------------------------------------ scanning

    def chain_edges(
        self,
        *,
        table: str = "coin_transfer",
        decimals: int = 6,
        confirmations: int = CONFIRMATIONS,
        venues: Collection[str] = (),
    ) -> Edges:
        """The payments of a token in the index of events, but for exchanges with ``venues`` (markets, pools,
        vaults): through them everybody would be joined to everybody. Those of the last ``confirmations``
        blocks are left out: cases are kept for good, and those blocks may yet be undone. NotFound
        (``watch.no_chain``) without an index."""
        if self._index is None:
            raise NotFound("There is no index of events here.", code="watch.no_chain")
        head = self._index.rows("SELECT max(number) AS number FROM block")[0]["number"]
        through = None if head is None else int(head) - confirmations
        return from_index(self._index, table, decimals=decimals, through_block=through, venues=venues)

    def scan(self, edges: Edges, *, rules: Rules | None = None, keep: bool = True) -> Scan:
        """Look at a table of transfers: lists, patterns, and the model where one was trained.

        With ``keep``, findings become cases, and what is urgent an alert. Errors as `typologies.look`.
        """
        model = self.model
        if model is None:
            findings = look(edges, rules).findings()
        else:
            table = Table.of(edges, rules)
            findings = [*table.patterns.findings(), *model_findings(table, model)]
        findings = [*self._screen().findings(edges), *findings]
        cases: list[int] = []
        if keep:
            cases = self.cases.add(findings, service_names(edges))
            self._alert(dict.fromkeys(cases))
        return Scan(len(edges), tuple(findings), tuple(cases), "" if model is None else model.digest)

    def _alert(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            case = self.cases.case(number)
            if case.priority >= URGENT and case.status in OPEN:
                kinds = ", ".join(sorted({each.kind for each in case.findings}))
                self.alerts.raise_(f"case {case.id}", f"Case {case.id}: {kinds.replace('_', ' ')}.", level=2)

    # ------------------------------------------------------------ people

    def queue(self, budget: int = 20, statuses: Sequence[str] = OPEN) -> list[Case]:
        """The cases to look at first."""
        return [self.cases.case(each.id) for each in self.cases.queue(budget, statuses)]

    def case(self, case_id: int) -> Case:
        """One case; NotFound (``watch.no_case``)."""
        return self.cases.case(case_id)

    def decide(self, case_id: int, status: str, *, who: str, why: str) -> Decision:
        """Write down a decision; errors as `CaseStore.decide`."""
        return self.cases.decide(case_id, status, who=who, why=why)

    def newest_alerts(self, count: int = 20) -> list[dict[str, Any]]:
        """The newest alerts of the monitors with their evidence, the newest first."""
        return self.book.newest(count)

    # ------------------------------------------------------------ learning

    def train(
        self,
        edges: Edges,
        illicit: Labels,
        *,
        data: str,
        planted: Planted | None = None,
        known_at: NDArray[np.int64] | None = None,
        budget: float = 0.05,
        rules: Rules | None = None,
        draws: int = 200,
        seed: int = 0,
        source: Mapping[str, Any] | None = None,
    ) -> tuple[dict[str, Any], Retrained | None]:
        """Learn from labelled transfers and measure on the later ones; the report, which is kept.

        Where there is a champion, what was decided is learned from too, and the new model takes its place
        only where it is not worse (`feedback.retrain`). The report is of the model that is kept.

        Parameters
        ----------
        data : str
            What the transfers are, in words.
        planted : Planted, optional
            The truth about them, where they are simulated.
        known_at : int64[n], optional
            Unix seconds when each label was known; what became known after the measured part began is not
            learned from.
        source : mapping, optional
            Where the transfers came from, kept so that they can be learned from again (`again`).

        Errors as `report.report`.
        """
        if len(edges) == 0:
            raise BadInput("There are no transfers to learn from.", code="watch.learn")
        table, champion = Table.of(edges, rules, known_at), self.model
        services = None
        if planted is not None and (planted.service >= 0).any():
            services = {name: planted.service == at for at, name in enumerate(SERVICES)}
        patterns = None if planted is None else planted.pattern
        part = split_by_time(edges, patterns=patterns).measure
        looks, retrained = self._held_out.use(edges, part), None
        if champion is not None:
            decided = self.cases.decided()
            retrained = retrain(
                table, illicit, decided, champion, patterns=patterns, looks=looks, draws=draws, seed=seed
            )
        made, model = report(
            table,
            illicit,
            data=data,
            patterns=patterns,
            kinds=() if planted is None else planted.kinds,
            services=services,
            model=None if retrained is None else retrained.model,
            budget=budget,
            draws=draws,
            seed=seed,
        )
        document = {**made.document(), "looks": looks, "made_at": int(self._clock()), "model": model.digest}
        if source is not None:
            document["source"] = dict(source)
        if retrained is not None:
            document["retrained"] = retrained.document()
        model.save(self.home / MODEL_FILE)
        self.close()  # cases are opened again with what the model knows of each kind
        draft = self.home / f"{REPORT_FILE}.new"
        draft.write_bytes(orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY))
        draft.replace(self.home / REPORT_FILE)
        return document, retrained

    def train_simulated(
        self, *, seed: int = 0, budget: float = 0.05, draws: int = 200
    ) -> tuple[dict[str, Any], Retrained | None]:
        """The same on simulated transfers, which the report says."""
        planted = plant(seed=seed, patterns=96)
        return self.train(
            planted.edges,
            np.asarray(planted.illicit),
            data=f"{SIMULATED} (seed {seed})",
            planted=planted,
            budget=budget,
            draws=draws,
            seed=seed,
            source=of_simulation(seed, budget),
        )

    def report(self) -> dict[str, Any]:
        """The last report; NotFound (``watch.no_report``) before one was made."""
        path = self.home / REPORT_FILE
        if not path.exists():
            raise NotFound(
                "No model was trained here yet.",
                hint="Train one: koinon watch train FILE, or --simulated to see how it works.",
                code="watch.no_report",
            )
        document: dict[str, Any] = orjson.loads(path.read_bytes())
        return document


def described(subject: str, hits: Sequence[Hit]) -> dict[str, Any]:
    """What screening says of one address or domain, as JSON."""
    return {
        "subject": subject,
        "listed": any(hit.certain for hit in hits),
        "hits": [{**hit.document(), "told": told(hit)} for hit in hits],
    }
