# SPDX-License-Identifier: Apache-2.0
"""The ServerApp: leads a run over the SuperLink's nodes, and reports to the coordinator that opened it.

Its run config says where that is: ``coordinator`` (``https://host:port``), ``opener`` (whose signature
counts), ``run``, and of a recorded run ``chain`` and ``federation``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from logging import INFO
from typing import Any

from flwr.app import Context, Message
from flwr.common.logger import log
from flwr.serverapp import Grid, ServerApp

from koinon.chain.address import checksum
from koinon.errors import BadInput
from koinon.learning.flower.coordinator import Coordinator
from koinon.learning.flower.records import packed, unpacked
from koinon.learning.flower.rounds import FlowerRounds, Reply
from koinon.learning.messages import federation_domain

app = ServerApp()


class GridNodes:
    """Nodes as `FlowerRounds` knows them, over Flower's Grid."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid

    def here(self) -> set[int]:
        return set(self._grid.get_node_ids())

    def send(self, node: int, kind: str, fields: Mapping[str, bytes], *, patience_s: float) -> str:
        message = Message(packed(fields), node, kind, ttl=patience_s)
        (found,) = self._grid.push_messages([message])
        return str(found)

    def receive(self, messages: Collection[str]) -> Sequence[Reply]:
        if not messages:
            return []
        return [_reply(message) for message in self._grid.pull_messages(list(messages))]


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Lead the run."""
    found = context.run_config
    domain = federation_domain(_number(found, "chain"), checksum(_text(found, "federation")))
    with Coordinator(
        _text(found, "coordinator"), checksum(_text(found, "opener")), domain, _number(found, "run")
    ) as coordinator:
        FlowerRounds(
            GridNodes(grid),
            coordinator,
            finish_s=_number(found, "finish-seconds"),
            say=lambda sentence: log(INFO, sentence),
        ).lead()


def _reply(message: Any) -> Reply:
    about = message.metadata.reply_to_message_id
    if message.has_error():
        return Reply(about, {}, message.error.reason or f"error {message.error.code}")
    try:
        return Reply(about, unpacked(message.content))
    except BadInput as error:
        return Reply(about, {}, error.message)


def _text(config: Mapping[str, Any], name: str) -> str:
    value = config.get(name)
    if not isinstance(value, str):
        raise BadInput(f"The run config lacks '{name}'.", code="learning.config")
    return value


def _number(config: Mapping[str, Any], name: str) -> int:
    value = config.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadInput(f"The run config lacks '{name}'.", code="learning.config")
    return value
