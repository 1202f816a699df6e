# SPDX-License-Identifier: Apache-2.0
"""An owner's own process: it holds the table and the key, and only updates leave it.

``python -m koinon.learning.owner CONFIG.json``; the fields are those of :class:`OwnerConfig`. Progress goes
to standard output as one JSON object a line; errors as one line with a hint to standard error.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from koinon.chain.address import ZERO_ADDRESS, checksum
from koinon.chain.eip712 import Domain
from koinon.chain.keys import Key
from koinon.errors import BadInput, IntegrityError, KoinonError, NotFound
from koinon.learning.codec import CODECS
from koinon.learning.connection import HttpsTransport, Transport
from koinon.learning.messages import (
    CONSENT,
    PARENT_PERMISSION,
    AloneModel,
    GlobalModel,
    Joining,
    LocalUpdate,
    Offer,
    Start,
    federation_domain,
    payload_digest,
    works_domain,
)
from koinon.learning.model import Vector
from koinon.learning.recipe import Recipe
from koinon.learning.scaling import Scaling, Statistics
from koinon.learning.tables import Table, check_trainable, read_table
from koinon.learning.trained import TrainedModel

PERMISSION_S = 7 * 86_400
Report = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class OwnerConfig:
    """What an owner's process needs to know.

    Attributes
    ----------
    leader, opener, run_id
        Where the leader serves, whose signature counts, and which run.
    table
        The owner's own file; it is read here and goes nowhere.
    keystore, password_file
        Encrypted key; the password may come from the variable ``KOINON_PASSWORD`` instead of a file.
    data_dir
        Where the final model and the result are kept.
    network
        A network description's file; empty for runs without a chain.
    label
        The table's label column.
    work_id
        The owner's dataset Work; with a network and 0, it is published on first use.
    name
        What that Work is called.
    minimum_share
        The least share of the model's income this owner agrees to, in 1e-9.
    share_alone
        Whether the model made alone may be measured by the leader.
    """

    leader: str
    opener: str
    run_id: int
    table: str
    keystore: str
    data_dir: str
    password_file: str = ""
    network: str = ""
    label: str = "labels"
    work_id: int = 0
    name: str = "Data set"
    minimum_share: int = 0
    share_alone: bool = True

    @classmethod
    def load(cls, path: Path) -> OwnerConfig:
        """Read a config file; BadInput when a field is missing, unknown or of another kind."""
        try:
            content = orjson.loads(path.read_bytes())
        except OSError as error:
            raise NotFound(f"There is no owner's config at {path}.", code="learning.config") from error
        except ValueError as error:
            raise BadInput(f"{path.name} is not JSON.", code="learning.config") from error
        kinds: dict[str, type] = {"str": str, "int": int, "bool": bool}
        known = {field.name: kinds[str(field.type)] for field in fields(cls)}
        if not isinstance(content, dict) or set(content) - set(known):
            raise BadInput(f"{path.name} has fields no owner knows.", code="learning.config")
        for name, value in content.items():
            if type(value) is not known[name]:
                raise BadInput(
                    f"{path.name}: '{name}' must be {known[name].__name__}.", code="learning.config"
                )
        try:
            return cls(**content)
        except TypeError as error:
            raise BadInput(f"{path.name} lacks a field: {error}.", code="learning.config") from error

    def save(self, path: Path) -> None:
        """Write as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2))

    def key(self) -> Key:
        """Unlock the keystore."""
        password = os.environ.get("KOINON_PASSWORD", "")
        if self.password_file:
            try:
                password = Path(self.password_file).read_text(encoding="utf-8").rstrip("\n")
            except OSError as error:
                raise NotFound(
                    f"There is no password at {self.password_file}.", code="learning.config"
                ) from error
        return Key.load(self.keystore, password)


@dataclass(frozen=True)
class Network:
    """The three numbers an owner needs of a network."""

    chain_id: int
    federation: str
    works: str

    @classmethod
    def load(cls, path: str) -> Network:
        """From a network description's file; zeros without one."""
        if not path:
            return cls(0, ZERO_ADDRESS, ZERO_ADDRESS)
        try:
            content = orjson.loads(Path(path).read_bytes())
            contracts = content["contracts"]
            return cls(
                int(content["chain_id"]), checksum(contracts["Federation"]), checksum(contracts["Works"])
            )
        except OSError as error:
            raise NotFound(
                f"There is no network description at {path}.", code="chain.network_file"
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise BadInput(f"{path} is not a network description.", code="chain.network_file") from error


@dataclass(frozen=True)
class Taught:
    """What the owner has after a run: the common model, and in which rounds it took part."""

    model: TrainedModel
    rounds: tuple[int, ...]
    index: int


class Owner:
    """Trains on its own table and talks to a leader through a transport."""

    def __init__(
        self,
        key: Key,
        table: Table,
        transport: Transport,
        network: Network,
        *,
        opener: str,
        work_id: int = 0,
        minimum_share: int = 0,
        share_alone: bool = True,
        check_offer: Callable[[Offer], None] = lambda _: None,
        now: Callable[[], float] = time.time,
        report: Report = lambda _: None,
    ) -> None:
        self._key, self._table, self._transport, self._network = key, table, transport, network
        self._opener, self._work_id, self._minimum_share = opener, work_id, minimum_share
        self._share_alone, self._now, self._report = share_alone, now, report
        self._check_offer = check_offer
        self._domain = federation_domain(network.chain_id, network.federation)

    def take_part(self) -> Taught:
        """Join, train round after round, and show the model made alone if allowed."""
        offer, recipe = self._transport.offer()
        self._check_offer(offer)
        self._check(recipe)
        start, first = self._join(offer.run_id, recipe)
        scaling = Scaling.from_dict(orjson.loads(start.scaling))
        if recipe.scaling is not None and scaling != recipe.scaling:
            raise IntegrityError("The leader scales otherwise than the recipe says.", code="learning.scaling")
        inputs = scaling.apply(self._table.features)
        model, vector = first
        rounds: list[int] = []
        self._report({"event": "started", "run": offer.run_id, "index": start.index, "rounds": recipe.rounds})
        while not model.last:
            number = model.round + 1
            trained = recipe.model.train(
                vector, inputs, self._table.labels, recipe.training, recipe.local_seed(number, start.index)
            )
            model, vector = self._exchange(recipe, model, trained - vector)
            included = model.round == number and bool(model.participants >> start.index & 1)
            if included:
                rounds.append(number)
            self._report({"event": "round", "round": model.round, "included": included})
        if self._share_alone:
            self._show_alone(recipe, scaling, start.index, offer.run_id)
        return Taught(TrainedModel(recipe, scaling, vector), tuple(rounds), start.index)

    def _check(self, recipe: Recipe) -> None:
        if self._table.columns != recipe.columns:
            missing = [column for column in recipe.columns if column not in self._table.columns]
            raise BadInput(
                f"The table lacks the recipe's columns: {', '.join(missing[:8]) or 'their order differs'}.",
                hint=f"The recipe reads {', '.join(recipe.columns[:8])}…",
                code="learning.columns_differ",
            )
        check_trainable(self._table, "Your table", classes=recipe.classes, minimum_rows=recipe.minimum_rows)

    def _join(self, run_id: int, recipe: Recipe) -> tuple[Start, tuple[GlobalModel, Vector]]:
        statistics = b""
        if recipe.scaling is None:
            found = Statistics.of(self._table.features, recipe.signed_log)
            statistics = orjson.dumps(found.to_dict())
        deadline = int(self._now()) + PERMISSION_S
        consent = permission = b""
        if self._network.chain_id:
            consent, permission = self._consent(run_id, deadline)
        joining = Joining(
            run_id,
            self._key.address,
            self._work_id,
            recipe.digest,
            len(self._table),
            payload_digest(statistics),
            self._minimum_share,
            deadline,
            consent,
            permission,
        )
        limit = _answer_limit(recipe) + 256 * len(recipe.columns)
        answer = self._transport.send(
            "/join", joining.pack(self._key, self._domain, statistics), answer_limit=limit
        )
        start, frame = Start.unpack(answer, self._domain, self._opener)
        if start.run_id != run_id or start.owner != self._key.address:
            raise IntegrityError("The leader answered somebody else.", code="learning.other_run")
        return start, self._read_model(frame, recipe, run_id, 0)

    def _consent(self, run_id: int, deadline: int) -> tuple[bytes, bytes]:
        """Signatures by which the contracts let the run name this owner's Work as a parent of the model."""
        permission = self._key.sign_typed(
            works_domain(self._network.chain_id, self._network.works),
            PARENT_PERMISSION,
            self._work_id,
            self._network.federation,
            self._minimum_share,
            deadline,
        )
        consent = self._key.sign_typed(
            self._domain, CONSENT, run_id, self._work_id, self._minimum_share, deadline
        )
        return consent, deadline.to_bytes(32, "big") + permission

    def _exchange(self, recipe: Recipe, base: GlobalModel, change: Vector) -> tuple[GlobalModel, Vector]:
        payload = CODECS[recipe.codec].encode(change)
        update = LocalUpdate(
            base.run_id,
            base.round + 1,
            self._key.address,
            base.model,
            payload_digest(payload),
            len(self._table),
        )
        frame = self._transport.send(
            "/update", update.pack(self._key, self._domain, payload), answer_limit=_answer_limit(recipe)
        )
        return self._read_model(frame, recipe, base.run_id, base.round + 1)

    def _read_model(
        self, frame: bytes, recipe: Recipe, run_id: int, at_least: int
    ) -> tuple[GlobalModel, Vector]:
        model, payload = GlobalModel.unpack(frame, self._domain, self._opener)
        if model.run_id != run_id or model.round < at_least:
            raise IntegrityError("The leader answered with an old model.", code="learning.round")
        if payload_digest(payload) != model.model:
            raise IntegrityError("The model is not the one that was signed.", code="learning.digest")
        return model, CODECS[recipe.codec].decode(payload, recipe.model.size)

    def _show_alone(self, recipe: Recipe, scaling: Scaling, index: int, run_id: int) -> None:
        model = recipe.model
        vector = model.train(
            model.initial(recipe.seed),
            scaling.apply(self._table.features),
            self._table.labels,
            recipe.alone,
            recipe.local_seed(0, index),
        )
        payload = CODECS[recipe.codec].encode(vector)
        message = AloneModel(run_id, self._key.address, payload_digest(payload))
        self._transport.send("/alone", message.pack(self._key, self._domain, payload), answer_limit=1 << 12)
        self._report({"event": "alone"})


def run_owner(config: OwnerConfig, report: Report) -> Taught:
    """Everything an owner's process does, from its config to the saved model."""
    table = read_table(Path(config.table), config.label)
    key, network = config.key(), Network.load(config.network)
    opener = checksum(config.opener)
    domain: Domain = federation_domain(network.chain_id, network.federation)
    work_id: int = config.work_id
    check_offer: Callable[[Offer], None] = _accept
    if config.network:
        work_id, check_offer = _on_chain(config, key, table, opener, report)
    with HttpsTransport(config.leader, opener, domain, config.run_id) as transport:
        taught = Owner(
            key,
            table,
            transport,
            network,
            opener=opener,
            work_id=work_id,
            minimum_share=config.minimum_share,
            share_alone=config.share_alone,
            check_offer=check_offer,
            report=report,
        ).take_part()
    taught.model.save(Path(config.data_dir) / "model.npz")
    report(
        {
            "event": "done",
            "rounds": len(taught.rounds),
            "model": payload_digest(taught.model.vector.tobytes()).hex(),
        }
    )
    return taught


def _accept(_: Offer) -> None:
    """Without a chain the opener's signature is all there is to check."""


def _on_chain(
    config: OwnerConfig, key: Key, table: Table, opener: str, report: Report
) -> tuple[int, Callable[[Offer], None]]:
    """Publish the dataset where that is still to be done; a check of offers against the chain."""
    from koinon.chain.handle import Chain  # noqa: PLC0415  runs without a chain never load it
    from koinon.learning.dataset_work import publish_dataset  # noqa: PLC0415
    from koinon.learning.ledger import read_run  # noqa: PLC0415

    with Chain.open(Path(config.network), rpc_url=os.environ.get("KOINON_RPC_URL") or None) as chain:
        record = read_run(chain.contract("Federation"), config.run_id)
        work_id = config.work_id
        if not work_id:
            work_id = publish_dataset(chain, key, table, Path(config.data_dir), name=config.name).work_id
        report({"event": "dataset", "work_id": work_id})

    def check(offer: Offer) -> None:
        if (record.opener, record.recipe) != (opener, offer.recipe):
            raise IntegrityError(
                "The chain knows this run by another opener or recipe than the leader offers.",
                hint="Ask the opener; do not join.",
                code="learning.chain_differs",
            )

    return work_id, check


def _answer_limit(recipe: Recipe) -> int:
    return CODECS[recipe.codec].limit(recipe.model.size) + (1 << 14)


def _print(event: dict[str, Any]) -> None:
    sys.stdout.write(orjson.dumps(event).decode() + "\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> int:
    """Run one owner; returns the process's exit status."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m koinon.learning.owner CONFIG.json\n")
        return 2
    try:
        with np.errstate(all="ignore"):
            run_owner(OwnerConfig.load(Path(arguments[0])), _print)
    except KoinonError as error:
        _print({"event": "failed", "title": error.message, "code": error.code})
        sys.stderr.write(f"{error.message} {error.hint}".rstrip() + f" [{error.code}]\n")
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
