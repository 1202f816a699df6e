# SPDX-License-Identifier: Apache-2.0
"""Model files: ONNX graphs answered, pickles opened in the sandbox only, everything else refused."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from koinon.errors import BadInput
from koinon.services.buying.client import Buyer
from koinon.services.gateway.executor import Workers
from koinon.services.gateway.registry import Registry
from koinon.services.models.files.conversion import to_onnx
from koinon.services.models.files.onnx_file import OnnxFile
from koinon.services.selling.signature import InvalidInput
from tests.services.model_files_support import cancer, logistic, sandbox
from tests.services.support import COIN, Hall

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
TensorProto, helper, numpy_helper = onnx.TensorProto, onnx.helper, onnx.numpy_helper
FLOAT = TensorProto.FLOAT


def graph(path: Path, **changes: Any) -> Path:
    """y = x·W + b of three numbers into two."""
    weights = numpy_helper.from_array(np.arange(6, dtype=np.float32).reshape(3, 2), "W")
    bias = numpy_helper.from_array(np.array([0.5, -0.5], dtype=np.float32), "b")
    made = helper.make_graph(
        [helper.make_node("Gemm", ["x", "W", "b"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", FLOAT, changes.get("shape", [None, 3]))],
        [helper.make_tensor_value_info("y", FLOAT, [None, 2])],
        [weights, bias],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if names := changes.get("features"):
        entry = model.metadata_props.add()
        entry.key, entry.value = "koinon.features", json.dumps(names)
    path.write_bytes(model.SerializeToString())
    return path


def test_a_graph_answers_with_its_numbers(tmp_path: Path) -> None:
    model = OnnxFile(graph(tmp_path / "g.onnx"))
    assert json.loads(model.call(b'{"x": [1, 0, 2]}')) == {"y": [8.5, 10.5]}
    assert model.signature.input_schema["properties"]["x"]["minItems"] == 3
    assert model.signature.output_schema["properties"]["y"]["maxItems"] == 2
    assert json.loads(model.call(json.dumps(model.signature.example()).encode())) == {"y": [0.5, -0.5]}


def test_numbers_may_have_names(tmp_path: Path) -> None:
    model = OnnxFile(graph(tmp_path / "g.onnx", features=["a", "b", "c"]))
    assert json.loads(model.call(b'{"x": {"c": 2, "a": 1, "b": 0}}')) == {"y": [8.5, 10.5]}
    assert json.loads(model.call(b'{"x": [1, 0, 2]}')) == {"y": [8.5, 10.5]}
    with pytest.raises(InvalidInput):
        model.call(b'{"x": {"a": 1, "b": 0, "d": 2}}')


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"x": [1, 2, 3], "y": 1}',
        b'{"x": [1, 2]}',
        b'{"x": [1, 2, "3"]}',
        b'{"x": [1, 2, true]}',
        b'{"x": [1, 2, null]}',
        b'{"x": [1, 2, NaN]}',
        b'{"x": [[1], [2], [3]]}',
        b'{"x": [1, 2, 1e300]}',
        b'{"x": {"0": 1}}',
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, body: bytes) -> None:
    with pytest.raises(InvalidInput):
        OnnxFile(graph(tmp_path / "g.onnx")).call(body)


@pytest.mark.parametrize("content", [b"", b"not a graph", b"\x08\x07" * 40])
def test_what_is_no_graph_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "g.onnx"
    path.write_bytes(content)
    with pytest.raises(BadInput) as refused:
        OnnxFile(path)
    assert refused.value.code == "service.onnx"


@given(st.data())
def test_a_damaged_graph_is_refused_or_answers(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    path = graph(tmp_path_factory.mktemp("damaged") / "g.onnx")
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    with contextlib.suppress(BadInput):
        OnnxFile(path)


def test_weights_in_another_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(np.ones(6, dtype=np.float32).tobytes())
    model = onnx.load(graph(tmp_path / "g.onnx"))
    weights = model.graph.initializer[0]
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    entry = weights.external_data.add()
    entry.key, entry.value = "location", "secret"
    (tmp_path / "g.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(BadInput):
        OnnxFile(tmp_path / "g.onnx")


def test_a_graph_is_answered_in_a_process_of_its_own(tmp_path: Path) -> None:
    async def ask() -> bytes:
        workers = Workers(str(graph(tmp_path / "g.onnx")))
        try:
            assert (await workers.start()).name == "g"
            with pytest.raises(InvalidInput):
                await workers.call(b"{}")
            return await workers.call(b'{"x": [1, 0, 2]}')
        finally:
            await workers.close()

    assert json.loads(asyncio.run(ask())) == {"y": [8.5, 10.5]}


def test_a_gateway_sells_a_graph_by_the_call(hall: Hall, tmp_path: Path) -> None:
    target = str(graph(tmp_path / "g.onnx", features=["a", "b", "c"]))
    service = hall.service(Registry(tmp_path / "gateway"), target, kind="model", timeout_s=20)
    with (
        hall.gateway(tmp_path / "gateway", hall.account(ether=10)) as gateway,
        Buyer(hall.chain, hall.account(coins=COIN), spending_limit=COIN) as buyer,
    ):
        answer = buyer.call(gateway.address(service), {"x": {"a": 1, "b": 0, "c": 2}})
        with pytest.raises(BadInput):
            buyer.call(gateway.address(service), {"x": [1, 2]})
    assert answer.result == {"y": [8.5, 10.5]}
    assert hall.coins(service.till) == service.price


def test_a_pickle_becomes_a_graph_with_the_same_answers(tmp_path: Path) -> None:
    model = logistic(tmp_path / "model.joblib")
    converted = to_onnx(tmp_path / "model.joblib", tmp_path / "models", sandbox())
    assert converted.differs < 1e-6
    assert converted.model == "Pipeline"
    rows, _labels = cancer()
    served = OnnxFile(converted.path)
    for row in rows[:20]:
        answer = json.loads(served.call(json.dumps({"features": row.tolist()}).encode()))
        assert answer["probabilities"] == pytest.approx(model.predict_proba([row])[0], abs=1e-6)
        assert answer["label"] == model.predict([row])[0]


def test_a_torch_module_becomes_a_graph(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    box = sandbox()
    torch.manual_seed(0)
    layers = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2)).eval()
    batch = torch.export.Dim("batch")
    program = torch.export.export(layers, (torch.zeros(2, 4),), dynamic_shapes=({0: batch},))
    torch.export.save(program, str(tmp_path / "net.pt2"))
    converted = to_onnx(tmp_path / "net.pt2", tmp_path / "models", box)
    assert converted.differs < 1e-5
    (name,) = OnnxFile(converted.path).signature.input_schema["required"]
    answer = json.loads(OnnxFile(converted.path).call(json.dumps({name: [1, 2, 3, 4]}).encode()))
    with torch.no_grad():
        wanted = layers(torch.tensor([[1.0, 2.0, 3.0, 4.0]]))[0].tolist()
    assert next(iter(answer.values())) == pytest.approx(wanted, abs=1e-5)


class Bomb:
    """What a stranger's pickle does when it is opened: here, write a file and read the owner's home."""

    def __init__(self, place: Path) -> None:
        self.place = str(place)

    def __reduce__(self) -> Any:
        return os.system, (f"id > {self.place}; ls /root /home /etc > /out/report.json; exit 3",)


def test_a_pickle_that_is_a_program_reaches_nothing(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(Bomb(trace)))
    with pytest.raises(BadInput) as refused:
        to_onnx(tmp_path / "model.pkl", tmp_path / "models", sandbox())
    assert refused.value.code == "service.conversion"
    assert not trace.exists()
    assert not (tmp_path / "models").exists()
