# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import pytest

from koinon.errors import BadInput
from koinon.services.selling.schema import absolute, load
from koinon.services.selling.signature import InvalidInput, Signature


def write(folder: Path, source: str) -> str:
    path = folder / "published.py"
    path.write_text(source)
    return str(path)


def test_a_function_is_called_with_a_json_object(app: Path) -> None:
    function = load(f"{app}:score")
    assert json.loads(function.call(b'{"income": 2000}')) == 42.0
    assert json.loads(function.call(b'{"income": 2000, "age": 1}')) == 3.0


def test_schemas_come_from_the_hints(app: Path) -> None:
    signature = load(f"{app}:score").signature
    assert signature.description == "How good a customer is."
    assert signature.input_schema["required"] == ["income"]
    assert signature.input_schema["properties"]["age"]["default"] == 40
    assert signature.input_schema["additionalProperties"] is False
    assert signature.output_schema == {"type": "number"}
    assert signature.example() == {"income": 1.0}


def test_structured_types_pass(tmp_path: Path) -> None:
    target = write(
        tmp_path,
        "from dataclasses import dataclass\n"
        "@dataclass\nclass Point:\n    x: float\n    y: float\n"
        "def middle(points: list[Point]) -> Point:\n"
        "    n = len(points)\n"
        "    return Point(sum(p.x for p in points) / n, sum(p.y for p in points) / n)\n",
    )
    function = load(f"{target}:middle")
    answer = function.call(b'{"points": [{"x": 0, "y": 2}, {"x": 4, "y": 4}]}')
    assert json.loads(answer) == {"x": 2.0, "y": 3.0}


def test_a_file_may_import_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "neighbour_of_published.py").write_text("FACTOR = 3\n")
    target = write(
        tmp_path,
        "from neighbour_of_published import FACTOR\ndef triple(n: int) -> int:\n    return FACTOR * n\n",
    )
    assert load(f"{target}:triple").call(b'{"n": 5}') == b"15"


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b'{"income": "much"}', "income"),
        (b"{}", "income"),
        (b'{"income": 1, "agee": 2}', "agee"),
        (b'{"income": 1, "age": 2.5}', "age"),
        (b"[1]", ""),
        (b"not json", ""),
        (b"", ""),
        (b'{"income": NaN}', "income"),
        (b'{"income": 1e999}', "income"),
    ],
)
def test_a_body_that_does_not_fit_is_refused(app: Path, body: bytes, place: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        load(f"{app}:score").call(body)
    assert refused.value.problems[0]["at"] == place
    assert refused.value.http_status == 422


def test_a_result_that_does_not_fit_its_hint_is_the_publishers_fault(app: Path) -> None:
    with pytest.raises(BadInput, match="does not fit its return hint") as refused:
        load(f"{app}:lies").call(b'{"text": "x"}')
    assert refused.value.code == "service.output_schema"


def test_a_result_that_json_cannot_carry_is_the_publishers_fault(tmp_path: Path) -> None:
    target = write(tmp_path, "def f(x: float) -> float:\n    return x * float('nan')\n")
    with pytest.raises(BadInput) as refused:
        load(f"{target}:f").call(b'{"x": 1}')
    assert refused.value.code == "service.output_schema"


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("app.py", "service.target"),
        ("app.py:not a name", "service.target"),
        (":score", "service.target"),
        ("missing.py:score", "service.file_missing"),
        ("no_such_module_anywhere:score", "service.import_failed"),
    ],
)
def test_a_target_that_names_nothing(target: str, code: str) -> None:
    with pytest.raises(BadInput) as refused:
        load(target)
    assert refused.value.code == code
    assert refused.value.hint


def test_a_missing_function_lists_what_there_is(app: Path) -> None:
    with pytest.raises(BadInput) as refused:
        load(f"{app}:scor")
    assert refused.value.code == "service.function_missing"
    assert "score" in refused.value.hint


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("def f(x) -> int: return 1", "service.hints_missing"),
        ("def f(x: int): return 1", "service.hints_missing"),
        ("def f(*x: int) -> int: return 1", "service.type_unsupported"),
        ("def f(x: int, /) -> int: return 1", "service.type_unsupported"),
        ("def f(**x: int) -> int: return 1", "service.type_unsupported"),
        ("def f(x: 'Nowhere') -> int: return 1", "service.type_unsupported"),
        ("class T: pass\ndef f(x: T) -> int: return 1", "service.type_unsupported"),
        ("class T: pass\ndef f(x: int) -> T: return T()", "service.type_unsupported"),
        ("import threading\ndef f(x: threading.Lock) -> int: return 1", "service.type_unsupported"),
        (
            "from typing import Callable\ndef f(x: Callable[[int], int]) -> int: return 1",
            "service.type_unsupported",
        ),
        ("async def f(x: int) -> int: return 1", "service.not_a_function"),
        ("f = 7", "service.not_a_function"),
        ("raise RuntimeError('at import')", "service.import_failed"),
        ("import sys; sys.exit(3)", "service.import_failed"),
        ("def f(x: int) -> int return 1", "service.import_failed"),
    ],
)
def test_what_cannot_be_published_says_why(tmp_path: Path, source: str, code: str) -> None:
    with pytest.raises(BadInput) as refused:
        load(f"{write(tmp_path, source)}:f")
    assert refused.value.code == code
    assert refused.value.hint


def test_relative_targets_are_made_absolute(tmp_path: Path) -> None:
    assert absolute("a/b.py:f", tmp_path) == f"{(tmp_path / 'a/b.py').resolve()}:f"
    assert absolute("package.module:f", tmp_path) == "package.module:f"


def test_the_example_of_nested_objects_choices_and_lists_fits_the_schema_itself():
    schema = {
        "type": "object",
        "required": ["customer", "size", "note", "pair"],
        "$defs": {
            "Customer": {
                "type": "object",
                "required": ["income", "home"],
                "properties": {"income": {"type": "number"}, "home": {"$ref": "#/$defs/Home"}},
            },
            "Home": {
                "type": "object",
                "required": ["kind"],
                "properties": {"kind": {"enum": ["flat", "house"]}},
            },
        },
        "properties": {
            "customer": {"$ref": "#/$defs/Customer"},
            "size": {"const": 4},
            "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "pair": {"type": "array", "items": {"type": "integer"}, "minItems": 2},
        },
    }
    assert Signature("f", "", schema, {}).example() == {
        "customer": {"income": 1.0, "home": {"kind": "flat"}},
        "size": 4,
        "note": "text",
        "pair": [1, 1],
    }


def test_the_example_of_a_type_that_holds_itself_ends():
    node = {"type": "object", "required": ["next"], "properties": {"next": {"$ref": "#/$defs/Node"}}}
    schema = {
        "type": "object",
        "required": ["next"],
        "properties": node["properties"],
        "$defs": {"Node": node},
    }
    assert Signature("f", "", schema, {}).example()["next"]
