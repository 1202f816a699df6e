# SPDX-License-Identifier: Apache-2.0
"""Owners and leader over TLS on loopback: the same model as in one process, every fault said plainly."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from koinon.errors import BadInput, IntegrityError, KoinonError, NotFound, PeerError, SetupError
from koinon.learning import simulation
from koinon.learning.certificates import pinning_context
from koinon.learning.connection import HttpsTransport, patience_s
from koinon.learning.leader import AloneReceived, Full, Joined, Leader, RoundClosed
from koinon.learning.messages import Joining, federation_domain, payload_digest
from koinon.learning.owner import Owner
from koinon.learning.owner_config import Network, OwnerConfig
from koinon.learning.privacy.plan import Privacy
from koinon.learning.trained import TrainedModel
from tests.learning.support import joining, key, recipe, table

OPENER = key("opener")
NETWORK = Network(31337, "0x" + "AB" * 20, "0x" + "cd" * 20)
DOMAIN = federation_domain(NETWORK.chain_id, NETWORK.federation)


def leader(folder, found, expected=3, domain=DOMAIN, **options):
    return Leader(found, OPENER, folder, run_id=1, domain=domain, expected=expected, **options)


def line(url, **options):
    return HttpsTransport(
        url, options.pop("opener", OPENER.address), DOMAIN, options.pop("run_id", 1), **options
    )


@contextmanager
def owners_in_threads(url, *indices, **options):
    """Owners taking part in threads of this process; what each came back with, by index."""
    results: dict[int, Any] = {}

    def take_part(index):
        with line(url) as found:
            one = Owner(
                key(f"owner {index}"), table(60, index), found, NETWORK, opener=OPENER.address, **options
            )
            try:
                results[index] = one.take_part()
            except KoinonError as error:
                results[index] = error

    threads = [threading.Thread(target=take_part, args=(index,)) for index in indices]
    for thread in threads:
        thread.start()
    try:
        yield results
    finally:
        for thread in threads:
            thread.join(60)


@contextmanager
def silent_owner(url, found, role):
    """An owner that joins and then says nothing more."""
    owner_key = key(role)
    frame = Joining(1, owner_key.address, 0, found.digest, 60, payload_digest(b""), 0, 0, b"", b"").pack(
        owner_key, DOMAIN
    )
    with line(url) as silent:
        silent.offer()
        waiting = threading.Thread(
            target=silent.send, args=("/join", frame), kwargs={"answer_limit": 1 << 20}
        )
        waiting.start()
        try:
            yield owner_key.address
        finally:
            waiting.join(30)


def lead(serving):
    """Go through the whole run; all events."""
    events = []
    for event in serving.events():
        events.append(event)
        if isinstance(event, Full):
            serving.begin()
    return events


@pytest.mark.parametrize("scaled", [True, False])
def test_a_run_over_tls_makes_the_model_of_one_process(tmp_path, scaled):
    found = recipe() if scaled else recipe(scaling=None)
    with leader(tmp_path, found) as serving, owners_in_threads(serving.url, 0, 1, 2) as got:
        events = lead(serving)
    order = [member.address for member in serving.run.members.values()]
    indices = [order.index(key(f"owner {i}").address) for i in range(3)]
    tables = [table(60, indices.index(place)) for place in range(3)]
    expected = simulation.train_together(found, tables)
    assert np.array_equal(serving.run.common.parameters, expected.vector)
    for index in range(3):
        assert np.array_equal(got[index].model.vector, expected.vector)
        assert got[index].rounds == (1, 2, 3)
        alone = simulation.train_alone(found, table(60, index), indices[index], expected.scaling)
        assert np.array_equal(serving.run.alone[indices[index]], alone)
    kinds = [type(event) for event in events]
    assert kinds[:4] == [Joined, Joined, Joined, Full]
    assert kinds.count(RoundClosed) == 4
    assert kinds.count(AloneReceived) == 3


def test_an_owner_that_stays_silent_is_left_out_after_the_deadline(tmp_path):
    found = recipe(round_deadline_s=0.5)
    with (
        leader(tmp_path, found) as serving,
        silent_owner(serving.url, found, "owner 2") as silent,
        owners_in_threads(serving.url, 0, 1) as got,
    ):
        events = lead(serving)
    closed = [event.closed for event in events if isinstance(event, RoundClosed)]
    assert [one.missing for one in closed] == [(), *[(silent,)] * 3]
    assert [len(got[index].rounds) for index in range(2)] == [3, 3]


def test_an_owner_that_joins_again_does_not_stop_the_clock_of_the_round(tmp_path):
    found = recipe(round_deadline_s=2.0)
    with (
        leader(tmp_path, found) as serving,
        silent_owner(serving.url, found, "owner 2") as silent,
        owners_in_threads(serving.url, 0, 1),
    ):
        for event in serving.events():
            if isinstance(event, Full):
                serving.begin()
            if isinstance(event, RoundClosed) and not event.closed.model.last:
                with silent_owner(serving.url, found, "owner 2"):
                    pass
    assert len(serving.run.rounds) == 3
    assert serving.run.left == {silent}


def test_an_owner_known_to_be_gone_is_not_waited_for(tmp_path):
    found = recipe(round_deadline_s=600.0)
    with (
        leader(tmp_path, found) as serving,
        silent_owner(serving.url, found, "owner 2") as silent,
        owners_in_threads(serving.url, 0, 1),
    ):
        for event in serving.events():
            if isinstance(event, Full):
                serving.begin()
                serving.gone(silent)
    assert len(serving.run.rounds) == 3
    assert serving.run.left == {silent}


def test_too_few_owners_end_the_run_with_a_reason_for_all(tmp_path):
    found = recipe()
    with (
        leader(tmp_path, found, join_deadline_s=0.5) as serving,
        owners_in_threads(serving.url, 0) as got,
        pytest.raises(PeerError, match="Only 1 of 3 owners joined"),
    ):
        lead(serving)
    assert isinstance(got[0], PeerError)
    assert got[0].code == "learning.too_few_owners"


def test_a_run_whose_engine_has_gone_ends_with_that_reason_for_all(tmp_path):
    with leader(tmp_path, recipe()) as serving:
        with owners_in_threads(serving.url, 0) as got:
            for event in serving.events():
                assert isinstance(event, Joined)
                serving.fail(PeerError("The engine has stopped."))
                break
            with pytest.raises(PeerError, match="has stopped"):
                list(serving.events())
        assert "has stopped" in got[0].message


def test_an_engine_that_goes_after_the_last_round_ends_only_the_waiting(tmp_path):
    with leader(tmp_path, recipe()) as serving:
        with owners_in_threads(serving.url, 0, 1, 2, share_alone=False) as got:
            kinds = []
            for event in serving.events():
                kinds.append(type(event))
                if isinstance(event, Full):
                    serving.begin()
                if isinstance(event, RoundClosed) and event.closed.model.last:
                    serving.fail(PeerError("The engine has stopped."))
        assert kinds[-1] is RoundClosed
        assert [len(got[index].rounds) for index in range(3)] == [3, 3, 3]


def test_a_fault_of_the_leaders_own_ends_the_run_for_all(tmp_path, monkeypatch):
    with leader(tmp_path, recipe()) as serving:
        monkeypatch.setattr(serving.run, "advance", lambda: int("none"))
        with owners_in_threads(serving.url, 0, 1, 2) as got, pytest.raises(KoinonError) as ended:
            lead(serving)
    assert ended.value.code == "learning.leader_failed"
    assert isinstance(ended.value.__cause__, ValueError)
    assert {got[index].code for index in range(3)} == {"learning.leader_failed"}


def test_an_owner_is_as_patient_as_the_recipe_it_was_offered():
    long = recipe(round_deadline_s=3_600.0)
    assert patience_s(recipe()) == 600
    assert patience_s(long) == 2 * 3_600
    promised = Privacy("private_sum", clip_norm=1.0)
    private = replace(long, privacy=promised, aggregation="mean", contribution="equal", minimum_owners=3)
    assert patience_s(private) == 7 * 3_600


def test_patience_comes_with_the_offer_and_one_that_was_set_stays(tmp_path):
    with leader(tmp_path, recipe(round_deadline_s=3_600.0)) as serving:
        with line(serving.url) as patient:
            patient.offer()
            assert patient._connection.sock.gettimeout() == 2 * 3_600
        with line(serving.url, timeout_s=5.0) as hasty:
            hasty.offer()
            assert hasty._connection.sock.gettimeout() == 5


def test_closing_the_leader_tells_waiting_owners(tmp_path):
    serving = leader(tmp_path, recipe())
    serving.open()
    with owners_in_threads(serving.url, 0) as got:
        assert isinstance(next(serving.events()), Joined)
        serving.close()
    assert isinstance(got[0], PeerError)


def test_an_owner_refuses_another_opener_run_or_leader(tmp_path):
    with leader(tmp_path / "one", recipe()) as serving, leader(tmp_path / "two", recipe()) as second:
        with line(serving.url, opener=key("stranger").address) as wrong, pytest.raises(IntegrityError):
            wrong.offer()
        with line(serving.url, run_id=2) as wrong, pytest.raises(BadInput, match="offers run 1"):
            wrong.offer()
        serving._offer = second._offer  # an offer copied by somebody in between
        with line(serving.url) as wrong, pytest.raises(IntegrityError, match="stands between"):
            wrong.offer()


def test_a_certificate_that_changes_during_the_run_is_refused(tmp_path):
    with leader(tmp_path / "one", recipe()) as serving, line(serving.url) as found:
        found.offer()
        port = serving._socket.getsockname()[1]
        found.close()
        with leader(tmp_path / "two", recipe()) as second:
            found._port = second._socket.getsockname()[1]
            assert found._port != port
            with pytest.raises(IntegrityError, match="changed during the run"):
                found.send("/update", b"", answer_limit=100)


def test_nothing_is_sent_before_the_offer_and_silence_is_an_error(tmp_path):
    with leader(tmp_path, recipe()) as serving:
        with line(serving.url) as found, pytest.raises(BadInput, match="Fetch the offer"):
            found.send("/update", b"", answer_limit=10)
        with line(serving.url, timeout_s=0.3) as impatient:
            impatient.offer()
            with pytest.raises(PeerError, match="did not answer within"):
                impatient.send("/join", joining(recipe(), key("owner 0")), answer_limit=1 << 20)
    with line(serving.url) as gone, pytest.raises(PeerError, match="cannot be reached"):
        gone.offer()
    for url in ("http://localhost:1", "https://localhost", "nonsense"):
        with pytest.raises(BadInput):
            line(url)


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/update", b"", 422, "learning.message"),
        ("/update", b"\x00" * 500, 422, "learning.message"),
        ("/join", b"\xff" * 500, 422, "learning.message"),
        ("/alone", b"{}", 422, "learning.round"),
        ("/update", b"\x00" * 300_000, 422, "learning.message_too_large"),
        ("/nowhere", b"", 404, "learning.path"),
    ],
)
def test_the_leader_refuses_what_is_no_message(tmp_path, path, body, status, code):
    with leader(tmp_path, recipe()) as serving:
        host, port = serving._socket.getsockname()
        plain = http.client.HTTPSConnection(host, port, context=pinning_context(), timeout=10)
        plain.request("POST", path, body=body)
        answer = plain.getresponse()
        problem = orjson.loads(answer.read())
        plain.close()
    assert (answer.status, problem["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_message_that_never_ends_holds_up_no_place(tmp_path, monkeypatch):
    monkeypatch.setattr("koinon.learning.leader.PART_S", 0.2)
    with leader(tmp_path, recipe()) as serving:
        host, port = serving._socket.getsockname()
        plain = http.client.HTTPSConnection(host, port, context=pinning_context(), timeout=10)
        plain.putrequest("POST", "/join")
        plain.putheader("content-length", "1000")
        plain.endheaders(b"a part")
        answer = plain.getresponse()
        assert (answer.status, orjson.loads(answer.read())["code"]) == (422, "learning.message")
        plain.close()


def test_a_taken_port_is_said(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(SetupError, match="Cannot listen"):
            leader(tmp_path, recipe(), port=taken.getsockname()[1])


def test_the_certificates_key_is_private(tmp_path):
    with leader(tmp_path, recipe()):
        assert (tmp_path / "certificate.key").stat().st_mode & 0o077 == 0


def test_an_owner_whose_table_does_not_fit_says_so_before_joining(tmp_path):
    with leader(tmp_path, recipe()) as serving:
        good = table()
        other = replace(good, columns=("age", "income", "early"))
        single = replace(good, labels=np.zeros(60, np.int64))
        empty = good.take(np.arange(0))
        for wrong, words in (
            (other, "lacks the recipe's columns: late"),
            (single, "only the class 0"),
            (empty, "0 rows"),
        ):
            with pytest.raises(BadInput, match=words), line(serving.url) as found:
                Owner(key("owner 0"), wrong, found, NETWORK, opener=OPENER.address).take_part()
        assert not serving.run.members


# ------------------------------------------------------------------ as processes of their own


def spawn(folder: Path, url: str, index: int, **changes) -> subprocess.Popen:
    folder.mkdir(parents=True, exist_ok=True)
    owner_key = key(f"owner {index}")
    owner_key.save(folder / "key.json", "secret words", derivation="pbkdf2")
    (folder / "password").write_text("secret words\n")
    table(60, index).save(folder / "table.npz")
    fields = {
        "leader": url,
        "opener": OPENER.address,
        "run_id": 1,
        "table": str(folder / "table.npz"),
        "keystore": str(folder / "key.json"),
        "data_dir": str(folder / "data"),
        "password_file": str(folder / "password"),
        **changes,
    }
    OwnerConfig(**fields).save(folder / "owner.json")
    return subprocess.Popen(
        [sys.executable, "-m", "koinon.learning.owner", str(folder / "owner.json")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )


@pytest.mark.e2e
def test_an_owner_killed_mid_round_does_not_stop_the_others(tmp_path):
    found = recipe(rounds=4, round_deadline_s=3.0)
    with leader(tmp_path / "leader", found, domain=federation_domain(0)) as serving, ExitStack() as stack:
        running = [
            stack.enter_context(spawn(tmp_path / f"owner{index}", serving.url, index)) for index in range(3)
        ]
        stopped = ""
        closed = []
        for event in serving.events():
            if isinstance(event, Full):
                serving.begin()
            if isinstance(event, RoundClosed):
                closed.append(event.closed)
                if event.closed.number == 1:
                    running[1].send_signal(signal.SIGKILL)
                    stopped = key("owner 1").address
        codes = [process.wait(60) for process in running]
        output = [process.communicate() for process in running]
    assert codes == [0, -signal.SIGKILL, 0]
    assert closed[-1].missing == (stopped,)
    assert closed[-1].model.last
    for index in (0, 2):
        lines = [orjson.loads(line) for line in output[index][0].splitlines()]
        assert lines[-1]["event"] == "done"
        assert lines[-1]["rounds"] == 4
        model = TrainedModel.load(tmp_path / f"owner{index}" / "data" / "model.npz")
        assert np.array_equal(model.vector, serving.run.common.parameters)


@pytest.mark.e2e
def test_an_owners_process_killed_in_a_private_run_is_started_again_and_ends_with_the_same_model(tmp_path):
    summed = {"aggregation": "mean", "contribution": "equal", "minimum_owners": 3}
    found = recipe(privacy=Privacy("private_sum", clip_norm=2.0), round_deadline_s=2.0, **summed)
    with (
        leader(tmp_path / "leader", found, 4, federation_domain(0), alone_deadline_s=0) as serving,
        ExitStack() as stack,
    ):
        running = [
            stack.enter_context(spawn(tmp_path / f"owner{index}", serving.url, index)) for index in range(4)
        ]
        for event in serving.events():
            if isinstance(event, Full):
                serving.begin()
            if isinstance(event, RoundClosed) and event.closed.number == 1:
                running[0].kill()
                running[0].wait(30)
                (written,) = (tmp_path / "owner0" / "data" / "taught").glob("*.json")
                assert orjson.loads(written.read_bytes())["taught"] in (1, 2)
                running[0] = stack.enter_context(spawn(tmp_path / "owner0", serving.url, 0))
        assert [process.wait(60) for process in running] == [0] * 4
    for index in range(4):
        model = TrainedModel.load(tmp_path / f"owner{index}" / "data" / "model.npz")
        assert np.array_equal(model.vector, serving.run.common.parameters)


@pytest.mark.e2e
def test_an_owners_process_ends_with_a_sentence_not_a_traceback(tmp_path):
    process = spawn(tmp_path, "https://127.0.0.1:9", 0)
    _, fault = process.communicate(timeout=60)
    assert process.returncode == PeerError.exit_status
    assert b"cannot be reached" in fault
    assert b"Traceback" not in fault
    assert b"secret words" not in fault


def test_an_owners_config_is_checked(tmp_path):
    path = tmp_path / "owner.json"
    with pytest.raises(NotFound):
        OwnerConfig.load(path)
    for content in (b"", b"[]", b"{}", b'{"leader": 1}', b'{"secret": "x"}'):
        path.write_bytes(content)
        with pytest.raises(BadInput):
            OwnerConfig.load(path)
    with pytest.raises(NotFound):
        Network.load(str(tmp_path / "network.json"))
    (tmp_path / "network.json").write_text("{}")
    with pytest.raises(BadInput):
        Network.load(str(tmp_path / "network.json"))


def test_an_owner_imports_neither_web_framework_nor_web3():
    code = "import koinon.learning.owner, sys; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {
        "fastapi",
        "pydantic",
        "uvicorn",
        "web3",
        "httpx",
        "sklearn",
        "pyarrow",
        "cryptography",
        "eth_abi",
    }
    assert not heavy & set(found.stdout.split())
