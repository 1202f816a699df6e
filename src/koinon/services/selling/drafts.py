# SPDX-License-Identifier: Apache-2.0
"""Services before they are Works: looked at, loaded and described; nothing is registered."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from koinon.compute.sandbox.driver import Sandbox
from koinon.errors import BadInput
from koinon.services.gateway.endpoint import check_address
from koinon.services.gateway.executor import Workers
from koinon.services.gateway.registry import Service
from koinon.services.models.exact import features_of, open_runner
from koinon.services.models.files.conversion import GRAPH, PICKLES, to_onnx
from koinon.services.selling import schema
from koinon.services.selling.promises import Promises
from koinon.services.selling.signature import Signature

MODELS = "models"
"""Folder of the gateway's data where graphs made from other files are kept."""


@dataclass(frozen=True)
class Words:
    """What people are told, besides what the thing says of itself: ``name``, ``description``, and the card's
    evidence as `card_evidence` gives it."""

    name: str = ""
    description: str = ""
    card: Mapping[str, Any] | None = None


def function_draft(
    target: str,
    price: int,
    words: Words,
    promises: Promises,
    *,
    base: Path,
    workers: int = 1,
    timeout_s: float = 30.0,
) -> Service:
    """A Python function, loaded as the gateway will: in a process of its own. BadInput says what is wrong."""
    place = schema.absolute(target, base)
    signature = signature_of(place)
    return Service(
        work_id=0,
        till="",
        name=words.name or signature.name,
        description=words.description or signature.description or f"The function {signature.name}.",
        price=price,
        kind="function",
        target=place,
        workers=workers,
        timeout_s=timeout_s,
        card=dict(words.card or {}),
        example=signature.example(),
        schema=signature.to_dict(),
        **promises.fields(),
    )


def endpoint_draft(
    endpoint: str,
    price: int,
    words: Words,
    promises: Promises,
    *,
    example: Mapping[str, Any],
    timeout_s: float = 30.0,
) -> Service:
    """An HTTP endpoint; BadInput where its address is none."""
    return Service(
        work_id=0,
        till="",
        name=words.name,
        description=words.description or f"The service {words.name}.",
        price=price,
        kind="endpoint",
        target=check_address(endpoint),
        timeout_s=timeout_s,
        card=dict(words.card or {}),
        example=dict(example),
        **promises.fields(),
    )


def model_draft(
    file: Path,
    price: int,
    words: Words,
    promises: Promises,
    *,
    data_dir: Path,
    sandbox: Sandbox | None = None,
    workers: int = 1,
    timeout_s: float = 30.0,
) -> Service:
    """A model file of any kind that `models.files` names; what is pickled is made a graph in the sandbox.

    Raises
    ------
    BadInput
        It is no such file.
    SetupError
        It needs onnxruntime or the sandbox, and this machine lacks it.
    """
    if file.suffix in PICKLES:
        if sandbox is None:
            from koinon.compute.sandbox.bubblewrap import BubblewrapSandbox  # noqa: PLC0415  (Linux only)

            sandbox = BubblewrapSandbox()
        name = words.name or file.stem
        file = to_onnx(file, data_dir / MODELS, sandbox).path
    else:
        name = words.name or file.stem
    path = file.resolve()
    if file.suffix == GRAPH:
        signature = signature_of(str(path))
    elif file.suffix == ".npz":
        signature = open_runner(path, name, words.description).signature
    else:
        raise BadInput(
            f"{file.name} is not a model file that can be served.",
            hint="Give .npz, .onnx, .joblib, .pkl, or .pt2 (torch.export.save).",
            code="service.model_file",
        )
    return Service(
        work_id=0,
        till="",
        name=name,
        description=words.description or f"The model {name}.",
        price=price,
        kind="model",
        target=str(path),
        workers=workers,
        timeout_s=timeout_s,
        card=dict(words.card or {}),
        example=signature.example() if file.suffix == GRAPH else _zeros(path),
        schema=signature.to_dict(),
        **promises.fields(),
    )


def signature_of(target: str) -> Signature:
    """What a target takes and gives, asked in a process of its own."""

    async def ask() -> Signature:
        workers = Workers(target)
        try:
            return await workers.start()
        finally:
            await workers.close()

    return asyncio.run(ask())


def _zeros(path: Path) -> dict[str, Any]:
    return {"features": dict.fromkeys(features_of(path), 0)}
