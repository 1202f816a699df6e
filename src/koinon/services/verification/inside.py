# SPDX-License-Identifier: Apache-2.0
"""Runs answers again, inside the sandbox: reads ``/data``, writes ``/out/results.json``.

The service is loaded and called exactly as a gateway does it.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Final

import orjson

from koinon.services.selling.signature import InvalidInput

TASK: Final = "task.json"
RESULTS: Final = "results.json"


def main(data: Path, out: Path) -> None:
    """Answer every input of the task: base64 of the result, or the name of what went wrong."""
    task = orjson.loads((data / TASK).read_bytes())
    call = _load(data / task["file"], task["entry"])
    results = [_answer(call, base64.b64decode(body)) for body in task["inputs"]]
    (out / RESULTS).write_bytes(orjson.dumps(results))


def _load(path: Path, entry: str) -> Callable[[bytes], bytes]:
    if entry:
        from koinon.services.selling import schema  # noqa: PLC0415  (brings pydantic)

        return schema.load(f"{path}:{entry}").call
    if path.suffix == ".onnx":
        from koinon.services.models.files.onnx_file import OnnxFile  # noqa: PLC0415  (needs onnxruntime)

        return OnnxFile(path).call
    from koinon.services.models import exact as exact_models  # noqa: PLC0415  (needs numpy)

    return exact_models.open_runner(path, "again", "").answer


def _answer(call: Callable[[bytes], bytes], body: bytes) -> dict[str, str]:
    try:
        return {"result": base64.b64encode(call(body)).decode()}
    except InvalidInput:
        return {"error": "InvalidInput"}
    except Exception as error:  # of somebody's function, which may raise anything
        return {"error": type(error).__name__}
