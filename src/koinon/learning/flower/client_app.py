# SPDX-License-Identifier: Apache-2.0
"""The ClientApp: an owner's answers to the messages of a run.

The SuperNode is started with ``--node-config 'koinon="/path/to/owner.json"'``, a file with the fields of
`OwnerConfig`.
"""

from __future__ import annotations

from pathlib import Path

from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from koinon.errors import BadInput
from koinon.learning.flower.node import OwnerNode
from koinon.learning.flower.records import packed, unpacked
from koinon.learning.owner_config import OwnerConfig

app = ClientApp()


@app.query("join")
def join(message: Message, context: Context) -> Message:
    """Ask to take part."""
    frame = _node(context).join(unpacked(message.content)["offer"])
    return Message(packed({"frame": frame}), reply_to=message)


@app.train()
def train(message: Message, context: Context) -> Message:
    """Teach one round."""
    fields = unpacked(message.content)
    frame = _node(context).teach(fields["run"], fields["start"], fields["model"])
    return Message(packed({"frame": frame}), reply_to=message)


@app.query("finish")
def finish(message: Message, context: Context) -> Message:
    """Keep the result, and show as much of what it is worth as this owner does."""
    fields = unpacked(message.content)
    shown = _node(context).finish(fields["run"], fields["start"], fields["model"])
    return Message(packed(shown), reply_to=message)


def _node(context: Context) -> OwnerNode:
    path = context.node_config.get("koinon")
    if not isinstance(path, str):
        raise BadInput(
            "This SuperNode does not say which owner it is.",
            hint="""Start it with --node-config 'koinon="/path/to/owner.json"'.""",
            code="learning.config",
        )
    return OwnerNode(OwnerConfig.load(Path(path)))
