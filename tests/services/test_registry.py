# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from koinon.errors import BadInput, NotFound
from koinon.services.gateway.registry import FILE_NAME, Registry, Service

SERVICE = Service(3, "score", "A score.", "0x" + "11" * 20, 1000, "function", "/app.py:score", card={"a": 1})


def test_services_are_kept_by_their_work(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    assert registry.all() == {}
    before = registry.version()
    registry.add(SERVICE)
    assert registry.version() != before
    registry.add(replace(SERVICE, work_id=1))
    assert list(Registry(tmp_path).all()) == [1, 3]
    assert registry.get(3) == SERVICE
    registry.add(replace(SERVICE, price=5))
    assert registry.get(3).price == 5
    registry.remove(3)
    assert list(registry.all()) == [1]


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        Registry(tmp_path).get(3)
    with pytest.raises(NotFound):
        Registry(tmp_path).remove(3)


def entry(**fields: object) -> str:
    whole = {
        "work_id": 1,
        "name": "",
        "description": "",
        "till": "",
        "price": 1,
        "kind": "model",
        "target": "",
    }
    return json.dumps({"services": [whole | fields]})


@pytest.mark.parametrize(
    "content",
    ["nothing", '{"services": [{"work_id": 1}]}', entry(price=0), entry(kind="x"), entry(more=1)],
)
def test_a_broken_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE_NAME).write_text(content)
    with pytest.raises(BadInput) as refused:
        Registry(tmp_path).all()
    assert refused.value.code == "service.registry"
