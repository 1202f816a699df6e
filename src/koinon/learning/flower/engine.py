# SPDX-License-Identifier: Apache-2.0
"""Runs that are opened, recorded and paid here, and taught by Flower.

`FlowerEngine` runs the owners of this machine as SuperNodes, of a SuperLink that runs already or of one
started for the run: ``Learning.run(recipe, split, engine=FlowerEngine(), …)``, or `run_on_flower`, which
gives a round the time Flower takes. Where the owners' SuperNodes run elsewhere, `submitted` hands the run to
their SuperLink.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from importlib import resources
from typing import Any, Final

import orjson

from koinon.chain.handle import Chain
from koinon.errors import PeerError
from koinon.learning.api import Learning
from koinon.learning.flower.environment import FlowerEnvironment
from koinon.learning.flower.node import check_recipe
from koinon.learning.flower.processes import FlowerProcess, stop_all
from koinon.learning.flower.superlink import (
    CONNECTION,
    LocalSuperLink,
    SuperLink,
    check_superlink,
    free_port,
)
from koinon.learning.led_run import LedRun
from koinon.learning.outcome import Outcome
from koinon.learning.processes import LocalOwner
from koinon.learning.recipe import Recipe
from koinon.learning.splits import Split
from koinon.settings import Settings

ROUND_S: Final = 180.0
"""The least deadline of a round: Flower starts a process for every message, which takes seconds."""
JOIN_S: Final = 600.0
FINISH_S: Final = 180.0
END_S: Final = 20.0
"""How long the app may take to notice that the run is over."""


class FlowerEngine:
    """Owners as SuperNodes on this machine.

    Parameters
    ----------
    environment : FlowerEnvironment, optional
        Found by itself when not given.
    superlink : SuperLink, optional
        One that runs already; without it, one is started for the run and stopped with it.
    """

    def __init__(
        self, environment: FlowerEnvironment | None = None, superlink: SuperLink | None = None
    ) -> None:
        self.environment = environment or FlowerEnvironment.find()
        self.superlink = superlink
        self.nodes: dict[str, FlowerProcess] = {}
        """The last run's SuperNodes by owner."""

    @classmethod
    def of(cls, settings: Settings) -> FlowerEngine:
        """As the settings ``flower``, ``flower_superlink`` and ``flower_certificates`` say.

        Raises
        ------
        SetupError
            Flower is not installed where they say.
        """
        link = settings.flower_superlink
        return cls(
            FlowerEnvironment.find(settings.flower),
            None if link is None else SuperLink(link, settings.flower_certificates),
        )

    @contextmanager
    def __call__(self, led: LedRun, owners: Sequence[LocalOwner], chain: Chain | None) -> Iterator[None]:
        """Start SuperNodes, and the SuperLink where it is ours; submit the run; stop them at the end.

        Raises
        ------
        SetupError
            A SuperLink of our own does not start.
        PeerError
            Nobody answers at the one that should run.
        """
        home = (led.folder / "flower").absolute()
        with ExitStack() as stack:
            link = self.superlink
            if link is None:
                local = LocalSuperLink(self.environment, home)
                stack.callback(local.process.stop)
                local.wait()
                link = local.link
            else:
                check_superlink(link)
            more = {} if chain is None else {"KOINON_RPC_URL": chain.rpc.url}
            self.nodes.clear()
            stack.callback(lambda: stop_all(list(self.nodes.values())))
            for owner in owners:
                self.nodes[owner.address] = self._supernode(link, owner, led, more)
            stack.enter_context(submitted(led, link, self.environment))
            yield

    def _supernode(
        self, link: SuperLink, owner: LocalOwner, led: LedRun, more: dict[str, str]
    ) -> FlowerProcess:
        config = (owner.home / "owner.json").absolute()
        owner.config.save(config)
        return FlowerProcess(
            [
                str(self.environment.program("flower-supernode")),
                *link.options(),
                "--node-config",
                f"koinon={orjson.dumps(str(config)).decode()}",
                "--port",
                str(free_port()),
            ],
            self.environment.variables(owner.home.absolute() / "flower" / "home", **more),
            owner.home.absolute() / "supernode.log",
            ended=lambda _: led.gone(owner.address),
        )


@contextmanager
def submitted(led: LedRun, link: SuperLink, environment: FlowerEnvironment) -> Iterator[None]:
    """Hand a led run to a SuperLink, whose nodes teach it; what the app says goes to ``flower/app.log``.

    The SuperLink's ServerApp must reach ``led.url``. A run whose app ends too early ends with PeerError,
    which `LedRun.lead` raises.
    """
    home = (led.folder / "flower").absolute()
    link.configure(home)

    def ended(app: FlowerProcess) -> None:
        led.fail(
            PeerError(
                "Flower's app ended before the run was over.",
                hint=app.last_words() or f"See {app.log}.",
                code="learning.engine",
            )
        )

    domain = led.domain
    config = {
        "coordinator": led.url,
        "opener": led.opener,
        "run": led.run_id,
        "chain": domain.chain_id,
        "federation": domain.verifying_contract,
        "finish-seconds": int(FINISH_S),
    }
    overrides = " ".join(f"{name}={orjson.dumps(value).decode()}" for name, value in config.items())
    with resources.as_file(resources.files("koinon.learning.flower") / "app") as app_folder:
        app = FlowerProcess(
            [
                str(environment.program("flwr")),
                "run",
                str(app_folder),
                CONNECTION,
                "--stream",
                "--run-config",
                overrides,
            ],
            environment.variables(home),
            home / "app.log",
            ended=ended,
        )
        try:
            yield
            app.wait(END_S)
        finally:
            app.stop()


def run_on_flower(
    learning: Learning,
    recipe: Recipe,
    split: Split,
    *,
    engine: FlowerEngine | None = None,
    **options: Any,
) -> Outcome:
    """Teach with one SuperNode an owner on this machine: as `Learning.run`, on Flower.

    The recipe gets at least three minutes a round, since a round of Flower's takes seconds however small the
    model is; everything else of it stays, and the model is bit for bit the one of coordinator mode.

    Parameters
    ----------
    engine : FlowerEngine, optional
        Such as ``FlowerEngine.of(settings)``; without it, a SuperLink is started for the run.
    options
        Of `Learning.run` and of `LedRun`.

    Raises
    ------
    SetupError
        Flower is not installed here, or does not start.
    BadInput
        The recipe has a private sum.
    PeerError
        The SuperLink is not there, its app ended, or too few owners stayed.
    """
    check_recipe(recipe)
    engine = engine or FlowerEngine()
    patient = replace(recipe, round_deadline_s=max(recipe.round_deadline_s, ROUND_S))
    deadlines = {"join_deadline_s": JOIN_S, "alone_deadline_s": FINISH_S}
    return learning.run(patient, split, engine=engine, **{**deadlines, **options})
