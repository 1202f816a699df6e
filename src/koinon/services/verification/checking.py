# SPDX-License-Identifier: Apache-2.0
"""The front door of verification for who sells a service, who buys from it, and who audits it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import orjson

from koinon.chain.account import Account
from koinon.chain.handle import Chain
from koinon.chain.keys import write_private
from koinon.compute.sandbox import BubblewrapSandbox
from koinon.errors import BadInput, NotFound
from koinon.process import Say
from koinon.services.gateway.registry import Registry, Service
from koinon.services.selling.comparison import Comparison
from koinon.services.verification.contract import BondOptions, PromiseTerms, Verification
from koinon.services.verification.details import Details, Runtime
from koinon.services.verification.plant_book import FILE_NAME as PLANTS
from koinon.services.verification.plant_book import PlantBook
from koinon.services.verification.planting import Planter, PlantOptions
from koinon.services.verification.pledge import Pledge, PledgeRecord, read_pledges, write_pledge
from koinon.services.verification.stake import BASIS, MILLION, answers_covered, least_stake
from koinon.services.verification.store import AnswerStore
from koinon.services.verification.verdicts import Registry as Verdicts
from koinon.services.verification.verdicts import Verdict, known_verifiers
from koinon.works.committee import Committee

FOLDER: Final = "verification"
TRUST: Final = "crypto-economic"
"""ERC-8004's word for what a bond adds to a registration file's ``supportedTrust``."""


@dataclass(frozen=True)
class BondPlan:
    """What a provider decides.

    Parameters
    ----------
    stake : int
        In the coin's smallest unit.
    audit_rate : float
        Which share of its answers is audited: the lower, the more must be staked.
    window_s : int
        How long answers can be disputed.
    bounty_bps : int
        What who finds a lie gets of the stake, in 1e-4; the rest is lost to everybody.
    audits : {"open", "callers"}
        ``open``: anybody may read inputs and outputs of answers, which is what lets auditors sample them;
        ``callers``: only who got an answer can dispute it.
    url : str
        Where the clerk shows answers: `clerk.Clerk`.
    """

    stake: int
    audit_rate: float
    window_s: int
    url: str
    bounty_bps: int = BASIS // 2
    audits: Literal["open", "callers"] = "open"


@dataclass(frozen=True)
class Bonded:
    """A promise that was made: ``covered`` answers may stand at a time; its clerk needs ``folder``."""

    bond_id: int
    work_id: int
    stake: int
    covered: int
    details: str
    folder: str


class Checking:
    """Verification on one network.

    Parameters
    ----------
    chain : Chain
    data_dir : Path
        The gateway's.
    """

    def __init__(self, chain: Chain, data_dir: Path) -> None:
        self._chain, self._data_dir = chain, data_dir
        self._verification = Verification(chain)
        self._services = Registry(data_dir)

    def least_stake(
        self, work_id: int, audit_rate: float, *, bounty_bps: int = BASIS // 2, answers: int = 1
    ) -> int:
        """The smallest stake for a service sold here that covers so many answers at a time."""
        fee = self._fee(work_id)
        return least_stake(fee, _ppm(audit_rate), bounty_bps=bounty_bps, fees=answers * fee)

    def bond(self, promiser: Account, signer: str, work_id: int, plan: BondPlan) -> Bonded:
        """Stake on the answers of a service that is sold here.

        Parameters
        ----------
        promiser : Account
            The Work's owner or operator, who has the stake.
        signer : address
            The gateway's key.

        Raises
        ------
        BadInput
            The stake covers not a single answer (``verification.stake``), nobody else could run it again
            (``verification.not_rerunnable``), it answers in parts (``verification.streams``), or another
            version of it is staged (``verification.staged``).
        """
        service = self._services.get(work_id)
        _check_promisable(service)
        sandbox = BubblewrapSandbox()
        runtime, file = Runtime.of(service, sandbox.environment.installed)
        details = Details(work_id, runtime, Comparison.parse(service.comparison or "exact"), plan.audits)
        fee, audit_ppm = self._fee(work_id), _ppm(plan.audit_rate)
        covered = answers_covered(plan.stake, fee, audit_ppm, bounty_bps=plan.bounty_bps)
        if covered == 0:
            least = self.least_stake(work_id, plan.audit_rate, bounty_bps=plan.bounty_bps)
            raise BadInput(
                f"A stake of {plan.stake} does not make lying a loss when {plan.audit_rate:.1%} of the "
                "answers are audited.",
                hint=f"Stake at least {least}, or let more be audited.",
                code="verification.stake",
            )
        terms = PromiseTerms(work_id, signer, fee, audit_ppm, plan.window_s, plan.bounty_bps, details.digest)
        committee_fee = Committee(self._chain).rules().fee
        options = BondOptions(
            plan.stake, counter_stake=min(committee_fee, plan.stake * plan.bounty_bps // BASIS)
        )
        bond_id = self._verification.promise(promiser, terms, options, uri=plan.url)
        folder = self._data_dir / FOLDER / str(bond_id)
        write_private(folder / "details.json", details.to_bytes())
        write_private(folder / f"file{runtime.suffix}", file)
        write_private(
            folder / "clerk.json",
            orjson.dumps(
                {
                    "data_dir": str(self._data_dir),
                    "bond_id": bond_id,
                    "details": str(folder / "details.json"),
                    "file": str(folder / f"file{runtime.suffix}"),
                    "url": plan.url,
                }
            ),
        )
        write_pledge(
            self._data_dir,
            PledgeRecord(
                work_id, bond_id, runtime.digest.hex(), fee, covered, plan.window_s, service.version
            ),
        )
        if TRUST not in service.supported_trust:
            service = replace(service, supported_trust=(*service.supported_trust, TRUST))
        self._services.add(replace(service, comparison=str(details.comparison)))
        return Bonded(bond_id, work_id, plan.stake, covered, "0x" + details.digest.hex(), str(folder))

    def clerk_config(self, bond_id: int) -> dict[str, Any]:
        """What a bond's clerk is started with, but for network and key; NotFound
        (``verification.no_promise``)."""
        path = self._data_dir / FOLDER / str(bond_id) / "clerk.json"
        try:
            config: dict[str, Any] = orjson.loads(path.read_bytes())
        except FileNotFoundError:
            raise NotFound(f"Bond {bond_id} was not posted here.", code="verification.no_promise") from None
        return config

    def planter(self, sponsor: Account, signer: Account, options: PlantOptions, say: Say) -> Planter:
        """Who plants known answers behind a bond that was posted here; ``signer`` is the gateway's key.

        Raises
        ------
        NotFound
            As `clerk_config`.
        BadInput
            Another bond stands behind the service now (``verification.promise``).
        """
        details = Details.from_bytes(Path(self.clerk_config(options.bond_id)["details"]).read_bytes())
        record = read_pledges(self._data_dir)[details.work_id]
        if record.bond_id != options.bond_id:
            raise BadInput(
                f"Bond {record.bond_id} stands behind Work {details.work_id} now.",
                hint="Plant behind that.",
                code="verification.promise",
            )
        store = AnswerStore(self._data_dir)
        return Planter(
            self._chain,
            sponsor,
            Pledge(record, store, signer, self._verification.domain),
            (store, PlantBook(self._data_dir / FOLDER / PLANTS)),
            options,
            rule=details.comparison,
            say=say,
        )

    def verdicts(self, work_id: int) -> list[Verdict]:
        """Verdicts on a Work's answers."""
        return Verdicts(self._chain, known_verifiers(self._chain)).of_work(work_id)

    def _fee(self, work_id: int) -> int:
        service = self._services.get(work_id)
        return service.price * service.most_units


def summary(verdicts: list[Verdict]) -> Mapping[str, int]:
    """How many verdicts of each kind there are: tag, and ``broken`` for those that failed."""
    found: dict[str, int] = {}
    for verdict in verdicts:
        found[verdict.tag] = found.get(verdict.tag, 0) + 1
        found["broken"] = found.get("broken", 0) + (not verdict.kept)
    return found


def _check_promisable(service: Service) -> None:
    """BadInput where not every answer of a service could be signed as computed by one runtime."""
    if service.schema.get("streams"):
        raise BadInput(
            f"Work {service.work_id} answers in parts, and parts are not signed.",
            hint="Publish a function that returns its answer whole, and stake on that.",
            code="verification.streams",
        )
    if service.staged is not None:
        raise BadInput(
            f"Version {service.staged.version} of Work {service.work_id} is staged; a promise is about one.",
            hint=f"First: koinon service rollout {service.work_id} --promote, or --back.",
            code="verification.staged",
        )


def _ppm(rate: float) -> int:
    ppm = round(rate * MILLION)
    if not 0 < ppm <= MILLION:
        raise BadInput(
            f"{rate} is no share of all answers.",
            hint="Give a number above 0 and at most 1.",
            code="verification.audit_rate",
        )
    return ppm
