# SPDX-License-Identifier: Apache-2.0
"""The ServerApp's part of a run: ask nodes, aggregate, and have every step confirmed by the coordinator.

The rounds' updates are aggregated here by the recipe's rules. The coordinator gets the same signed updates,
does the same, signs and records the result; a ServerApp that comes to another digest stops.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import Protocol

from koinon.chain.eip712 import Domain
from koinon.errors import IntegrityError, KoinonError, PeerError
from koinon.learning.aggregation import Update
from koinon.learning.codecs import codec_named
from koinon.learning.common import CommonModel
from koinon.learning.flower.node import run_name
from koinon.learning.global_model import whole_model
from koinon.learning.messages import GlobalModel, Joining, LocalUpdate, Start, split_frame
from koinon.learning.recipe import Recipe

POLL_S = 0.25
ENDED = {"learning.too_few_owners", "learning.ended", "learning.leader_gone", "learning.engine"}
"""Answers of the coordinator that mean that the run is over for everybody."""

CHECK_S = 15.0
"""How often a ServerApp that hears of nobody looks whether the coordinator is still there."""


@dataclass(frozen=True)
class Reply:
    """What a node answered: fields, or the words of what went wrong."""

    message: str
    fields: Mapping[str, bytes]
    fault: str = ""


class Nodes(Protocol):
    """The nodes of a federation, as Flower's Grid reaches them."""

    def here(self) -> set[int]:
        """Who is connected now."""

    def send(self, node: int, kind: str, fields: Mapping[str, bytes], *, patience_s: float) -> str:
        """Send one message; its id."""

    def receive(self, messages: Collection[str]) -> Sequence[Reply]:
        """Answers to these that are there, without waiting."""


class Confirming(Protocol):
    """Where frames are handed over; see `koinon.learning.flower.coordinator`."""

    opener: str
    domain: Domain
    recipe: Recipe
    invitation: bytes

    def send(self, owner: str, path: str, frame: bytes) -> Future[bytes]:
        """Hand over an owner's frame."""

    def check(self) -> None:
        """PeerError where nobody is there."""


@dataclass
class _Owner:
    """An owner that takes part: where it answers from, the model it gets next, the last round it was asked
    for, and the message it has not answered yet."""

    index: int
    node: int
    start: bytes
    model: bytes
    asked: int = 0
    busy: str = ""


class FlowerRounds:
    """Leads one run over nodes.

    Parameters
    ----------
    finish_s : float
        How long to wait, after the last round, for the models owners made alone.
    say : callable
        Gets a sentence about what an operator should know.
    """

    def __init__(
        self,
        nodes: Nodes,
        coordinator: Confirming,
        *,
        finish_s: float = 120.0,
        say: Callable[[str], None] = lambda _: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._nodes, self._coordinator = nodes, coordinator
        self._finish_s, self._say, self._sleep = finish_s, say, sleep
        self._recipe = coordinator.recipe
        self._codec = codec_named(self._recipe.codec)
        self._run = run_name(coordinator.invitation)
        self.common = CommonModel(self._recipe)
        self._owners: dict[str, _Owner] = {}
        self._asked: dict[str, int] = {}
        self._waiting: dict[str, str] = {}
        self._known: set[int] = set()
        self._last: GlobalModel | None = None

    def lead(self) -> CommonModel:
        """Gather owners, teach every round, let them finish; the last common model.

        Raises
        ------
        PeerError
            The coordinator ended the run, or is gone.
        IntegrityError
            The coordinator came to another model.
        """
        self._gather()
        while self._last is None or not self._last.last:
            self._round()
        self._finish()
        return self.common

    def _gather(self) -> None:
        joining: dict[str, Future[bytes]] = {}
        nodes: dict[str, int] = {}
        quiet = 0.0
        while not any(future.done() and future.exception() is None for future in joining.values()):
            for owner, node, frame in self._introductions():
                nodes[owner] = node
                if owner not in joining:
                    joining[owner] = self._coordinator.send(owner, "/join", frame)
            for owner, future in list(joining.items()):
                if future.done() and future.exception() is not None:
                    self._refused(owner, future.exception())
                    del joining[owner]
            quiet = 0.0 if joining else quiet + POLL_S
            self._check_now_and_then(quiet)
            self._sleep(POLL_S)
        wait(joining.values(), timeout=CHECK_S)
        for owner, future in joining.items():
            if future.done() and future.exception() is None:
                self._take_in(owner, nodes[owner], future.result())
            else:
                self._refused(owner, future.exception() if future.done() else None)

    def _introductions(self) -> list[tuple[str, int, bytes]]:
        """Owners, their nodes and requests to join, of nodes not heard of before."""
        for node in self._nodes.here() - self._known:
            self._known.add(node)
            message = self._nodes.send(
                node,
                "query.join",
                {"offer": self._coordinator.invitation},
                patience_s=self._recipe.round_deadline_s,
            )
            self._asked[message] = node
        found = []
        for reply in self._nodes.receive(self._asked):
            node = self._asked.pop(reply.message)
            try:
                if reply.fault:
                    raise PeerError(reply.fault)
                frame = reply.fields["frame"]
                found.append((Joining.unpack(frame, self._coordinator.domain)[0].owner, node, frame))
            except (KoinonError, KeyError) as error:
                self._say(f"Node {node} cannot join: {error}")
        return found

    def _take_in(self, owner: str, node: int, answer: bytes) -> None:
        start, model = Start.unpack(answer, self._coordinator.domain, self._coordinator.opener)
        self._last, _ = self._signed(model)
        if self._last.round != 0 or self._last.model != self.common.digest:
            raise IntegrityError(
                "The coordinator starts from another model than the recipe.", code="learning.base"
            )
        head = answer[: len(answer) - len(model)]
        self._owners[owner] = _Owner(start.index, node, head, model)

    def _round(self) -> None:
        number = self.common.round + 1
        updates: dict[str, Update] = {}
        answers: dict[str, Future[bytes]] = {}
        quiet = 0.0
        while (closed := self._closed(answers, number)) is None:
            for owner, node, _ in self._introductions():
                if owner in self._owners:  # a node that was away is back
                    back = self._owners[owner]
                    back.node, back.busy, back.asked = node, "", number - 1
            here = self._nodes.here()
            for owner, one in self._owners.items():
                if not one.busy and one.asked < number and one.node in here:
                    self._ask(owner, "train", patience_s=2 * self._recipe.round_deadline_s)
                    one.asked = number
            for owner, fields in self._replies():
                try:
                    frame = fields["frame"]
                    update = self._read(owner, frame, number)
                except (KoinonError, KeyError) as error:
                    self._say(f"{owner} sent no update: {error}")
                    continue
                if update is not None:
                    updates[owner] = update
                answers[owner] = self._coordinator.send(owner, "/update", frame)
            quiet = 0.0 if answers else quiet + POLL_S
            self._check_now_and_then(quiet)
            self._sleep(POLL_S)
        wait(answers.values(), timeout=CHECK_S)
        self._advance(closed, updates, answers)

    def _read(self, owner: str, frame: bytes, number: int) -> Update | None:
        """An owner's update, or nothing where it is of a round before."""
        message, payload = LocalUpdate.unpack(frame, self._coordinator.domain, owner)
        if message.round != number:
            return None
        update = Update(self._codec.decode(payload, self.common.vector.shape[0]), message.examples)
        self.common.check(self._owners[owner].index, update)
        return update

    def _closed(self, answers: dict[str, Future[bytes]], number: int) -> bytes | None:
        """The frame by which the coordinator closed round ``number``, once it has."""
        for owner, future in list(answers.items()):
            if not future.done():
                continue
            fault = future.exception()
            if fault is not None:
                self._refused(owner, fault)
            elif self._signed(future.result())[0].round >= number:
                return future.result()
            del answers[owner]  # refused, or too late for its round
        return None

    def _advance(
        self, closed: bytes, updates: Mapping[str, Update], answers: Mapping[str, Future[bytes]]
    ) -> None:
        """Aggregate the round's updates; everybody's next model is the one the coordinator signed for it."""
        model, _ = self._signed(closed)
        present = {owner: one for owner, one in self._owners.items() if model.participants >> one.index & 1}
        if not present.keys() <= updates.keys():
            raise IntegrityError(
                "The coordinator counts updates that never passed here.", code="learning.updates"
            )
        self.common.advance({one.index: updates[owner] for owner, one in present.items()})
        if self.common.digest != model.model or self.common.round != model.round:
            raise IntegrityError(
                f"Round {model.round} makes another model here than at the coordinator.",
                hint="Are both of the same version, and on the same kind of processor?",
                code="learning.replay",
            )
        whole = closed[: len(closed) - len(split_frame(closed)[1])] + whole_model(self.common.vector)
        for owner, one in self._owners.items():
            answer = answers.get(owner)
            follows = owner in present and answer is not None and answer.done() and not answer.exception()
            one.model = answer.result() if answer is not None and follows else whole
        self._last = model
        self._say(f"Round {model.round} of {self._recipe.rounds}: {len(present)} owners.")

    def _finish(self) -> None:
        here = self._nodes.here()
        asked = {
            self._ask(owner, "query.finish", patience_s=self._finish_s): one.node
            for owner, one in self._owners.items()
            if not one.busy and one.node in here
        }
        shown: list[Future[bytes]] = []
        waited = 0.0
        while waited < self._finish_s and any(
            message in self._waiting and node in here for message, node in asked.items()
        ):
            for owner, fields in self._replies():
                for name in ("report", "alone"):
                    if name in fields:
                        shown.append(self._coordinator.send(owner, f"/{name}", fields[name]))
            self._sleep(POLL_S)
            waited += POLL_S
            here = self._nodes.here()
        wait(shown, timeout=CHECK_S)

    def _ask(self, owner: str, kind: str, *, patience_s: float) -> str:
        one = self._owners[owner]
        fields = {"run": self._run, "start": one.start, "model": one.model}
        one.busy = self._nodes.send(one.node, kind, fields, patience_s=patience_s)
        self._waiting[one.busy] = owner
        return one.busy

    def _replies(self) -> list[tuple[str, Mapping[str, bytes]]]:
        """Owners and what they answered."""
        found = []
        for reply in self._nodes.receive(self._waiting):
            owner = self._waiting.pop(reply.message)
            if self._owners[owner].busy == reply.message:
                self._owners[owner].busy = ""
            if reply.fault:
                self._say(f"{owner} could not answer: {reply.fault}")
            else:
                found.append((owner, reply.fields))
        return found

    def _signed(self, frame: bytes) -> tuple[GlobalModel, bytes]:
        return GlobalModel.unpack(frame, self._coordinator.domain, self._coordinator.opener)

    def _refused(self, owner: str, fault: BaseException | None) -> None:
        """Go on without this answer, unless the run is over."""
        if isinstance(fault, KoinonError) and fault.code not in ENDED:
            self._say(f"{owner} was refused: {fault.message} {fault.hint}".rstrip())
        elif fault is not None:
            raise fault
        else:
            self._say(f"The coordinator did not take in {owner} in time.")

    def _check_now_and_then(self, quiet: float) -> None:
        if quiet and quiet % CHECK_S < POLL_S:
            self._coordinator.check()
