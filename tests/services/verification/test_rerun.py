# SPDX-License-Identifier: Apache-2.0
"""Answers run again in the sandbox: a function, a model, other people's bad code, and another machine."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import orjson
import pytest

from koinon.compute.sandbox import BubblewrapSandbox
from koinon.errors import BadInput, IntegrityError, PeerError, SetupError
from koinon.services.gateway.registry import Service
from koinon.services.selling.comparison import Comparison
from koinon.services.verification.details import Details, Runtime
from koinon.services.verification.rerun import Rerunner

SOURCE = '''
import os
import socket


def score(income: float, age: int = 40) -> float:
    """How good a customer is."""
    return income / 1000 + age


def hostile(path: str) -> str:
    if path == "network":
        socket.create_connection(("127.0.0.1", 80))
    return open(path).read()


def endless(number: int) -> int:
    while True:
        number += 1


def dies(code: int) -> int:
    os._exit(code)
'''


@pytest.fixture(scope="module")
def sandbox() -> BubblewrapSandbox:
    made = BubblewrapSandbox()
    try:
        made.check()
    except SetupError as error:
        pytest.skip(f"{error.message} {error.hint}")
    return made


def service(target: str, kind: Literal["function", "model", "endpoint"] = "function") -> Service:
    return Service(work_id=7, name="s", description="", till="", price=1, kind=kind, target=target)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "app.py"
    path.write_text(SOURCE)
    return path


def runtime(source: Path, entry: str, sandbox: BubblewrapSandbox | None = None) -> tuple[Runtime, bytes]:
    installed: Mapping[str, str] = sandbox.environment.installed if sandbox else {}
    return Runtime.of(service(f"{source}:{entry}"), installed)


def test_a_function_answers_again_as_it_did(sandbox: BubblewrapSandbox, source: Path) -> None:
    found, content = runtime(source, "score", sandbox)
    results = Rerunner(sandbox).run(found, content, [b'{"income": 5000}', b'{"income": "much"}', b"junk"])
    assert results == [b"45.0", None, None]


def test_a_model_answers_again_as_it_did(sandbox: BubblewrapSandbox, tmp_path: Path) -> None:
    import numpy as np  # noqa: PLC0415

    from koinon.services.models import perceptron as models  # noqa: PLC0415

    model = models.Mlp(
        features=("a", "b"),
        signed_log=np.zeros(2, dtype=np.bool_),
        center=np.zeros(2),
        scale=np.ones(2),
        layers=((np.ones((2, 2)), np.zeros(2)),),
        activation="relu",
        classes=("no", "yes"),
    )
    path = tmp_path / "model.npz"
    models.save(path, model)
    found, content = Runtime.of(service(str(path), "model"), sandbox.environment.installed)
    body = b'{"features": [1.5, -2]}'
    (again,) = Rerunner(sandbox).run(found, content, [body])
    assert again == models.ModelRunner(model, "m", "").answer(body)


def test_what_runs_again_reaches_no_files_and_no_network(sandbox: BubblewrapSandbox, source: Path) -> None:
    found, content = runtime(source, "hostile", sandbox)
    paths = ["network", "/etc/passwd", str(source), os.path.expanduser("~/.bashrc")]
    bodies = [orjson.dumps({"path": path}) for path in paths]
    assert Rerunner(sandbox).run(found, content, bodies) == [None] * 4


@pytest.mark.parametrize("entry", ["endless", "dies"])
def test_what_comes_to_no_end_is_not_waited_for(sandbox: BubblewrapSandbox, source: Path, entry: str) -> None:
    found, content = runtime(source, entry, sandbox)
    body = b'{"number": 1}' if entry == "endless" else b'{"code": 3}'
    with pytest.raises(PeerError) as refused:
        Rerunner(sandbox, wall_s=3.0).run(found, content, [body])
    assert refused.value.code == "verification.no_end"


def test_another_file_or_another_machine_is_refused(sandbox: BubblewrapSandbox, source: Path) -> None:
    found, content = runtime(source, "score", sandbox)
    with pytest.raises(IntegrityError):
        Rerunner(sandbox).run(found, content + b"#", [])
    for other in (replace(found, packages={"numpy": "0.1"}), replace(found, python="2.7")):
        with pytest.raises(SetupError) as refused:
            Rerunner(sandbox).run(other, content, [])
        assert refused.value.code == "verification.runtime_missing"


def test_what_nobody_else_could_run_is_not_promised(source: Path) -> None:
    wrong: list[tuple[str, Literal["function", "model", "endpoint"]]] = [
        ("https://example.org", "endpoint"),
        ("json:dumps", "function"),
        (str(source.with_name("none.npz")), "model"),
    ]
    for target, kind in wrong:
        with pytest.raises(BadInput) as refused:
            Runtime.of(service(target, kind), {})
        assert refused.value.code == "verification.not_rerunnable"


def test_details_are_the_same_bytes_when_read_again(source: Path) -> None:
    found, content = runtime(source, "score")
    details = Details(7, found, Comparison.parse("quantised:0.01:0.001"))
    again = Details.from_bytes(details.to_bytes())
    assert again == details
    assert again.digest == hashlib.sha256(details.to_bytes()).digest()
    assert found.file == hashlib.sha256(content).hexdigest()


def _changed(document: bytes, **changes: Any) -> bytes:
    return orjson.dumps(orjson.loads(document) | changes, option=orjson.OPT_SORT_KEYS)


def test_documents_that_are_no_details_are_refused(source: Path) -> None:
    document = Details(7, runtime(source, "score")[0], Comparison()).to_bytes()
    wrong = [
        b"",
        b"[]",
        b"junk",
        document + b" ",
        b'{"x":"' + b"a" * 70_000 + b'"}',
        _changed(document, format="another"),
        _changed(document, comparison="about"),
        _changed(document, runtime={"kind": "function"}),
        _changed(document, audits="nobody"),
        _changed(document, more=1),
    ]
    for each in wrong:
        with pytest.raises(BadInput) as refused:
            Details.from_bytes(each)
        assert refused.value.code == "verification.details"
