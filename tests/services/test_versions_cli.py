# SPDX-License-Identifier: Apache-2.0
"""From a file to a retired service, from the shell."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from koinon.chain.keyring import Keyring
from koinon.cli import main
from koinon.errors import BadInput, NotFound
from koinon.services.gateway.registry import Registry
from koinon.services.models.files.prints import probes_file
from koinon.settings import Settings
from tests.services.model_files_support import logistic, sandbox
from tests.services.support import Hall

pytest.importorskip("skl2onnx")
pytest.importorskip("onnxruntime")


@pytest.mark.e2e
def test_a_model_file_is_published_replaced_and_retired(
    hall: Hall, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox()
    home = tmp_path / "home"
    settings = Settings.load({"KOINON_RPC_URL": hall.chain.rpc.url}, home=home)
    settings.ensure_home()
    hall.chain.network.save(settings.network)
    hall.fund(Keyring(settings.keys, derivation="pbkdf2", environment={}).open("operator").address, ether=10)
    monkeypatch.setenv("KOINON_HOME", str(home))
    monkeypatch.setenv("KOINON_RPC_URL", hall.chain.rpc.url)
    logistic(tmp_path / "one.joblib")

    def koinon(*arguments: str) -> tuple[int, dict[str, Any]]:
        status = main(["service", *arguments, "--json"])
        told = capsys.readouterr()
        return status, json.loads(told.out or told.err)

    publish = ("publish", "--price", "0.002", "--no-serve", "--comparison", "tolerance:1e-6", "--rate", "60")
    status, listing = koinon(*publish, str(tmp_path / "one.joblib"), "--trust", "crypto-economic")
    assert (status, listing["price"]) == (0, 2000), listing
    work_id = listing["work_id"]
    first = Registry(home / "gateway").get(work_id)
    assert first.target.endswith(".onnx")
    assert (first.comparison, first.limits.calls_per_minute) == ("tolerance:1e-6", 60)
    assert first.supported_trust == ("crypto-economic",)
    assert probes_file(home / "gateway", work_id).exists()
    works = hall.chain.contract("Works")
    assert len(works.call("getMetadata", work_id, "weights")) == 32
    assert len(works.call("getMetadata", work_id, "fingerprints")) == 32

    shutil.copy(first.target, tmp_path / "two.onnx")
    status, staged = koinon(*publish, str(tmp_path / "two.onnx"), "--version-of", str(work_id))
    assert (status, staged["work_id"]) == (0, work_id), staged
    assert koinon("rollout", str(work_id), "--share", "10%")[1]["staged"] == {
        "version": "2",
        "share_bps": 1000,
    }
    assert koinon("rollout", str(work_id), "--share", "10%", "--back")[0] == BadInput.exit_status
    assert koinon("rollout", str(work_id), "--promote")[1]["version"] == "2"
    assert Registry(home / "gateway").get(work_id).target != first.target
    assert koinon("rollout", str(work_id), "--back")[0] == NotFound.exit_status
    status, retired = koinon("retire", str(work_id), "--replaced-by", str(work_id))
    assert retired["replaced_by"].endswith(f"/{work_id}")
    (tmp_path / "weights.pt").write_bytes(b"nothing")
    assert koinon(*publish, str(tmp_path / "weights.pt"))[0] == BadInput.exit_status
