# SPDX-License-Identifier: Apache-2.0
"""A node in one file: made while it works, opened only with its password, restored whole or not at all."""

from __future__ import annotations

import io
import os
import resource
import sqlite3
import stat
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pyrage
import pytest

from koinon.backup import Secret, back_up, restore
from koinon.backup import archive as archives
from koinon.backup.archive import MAGIC, read, unlock, write
from koinon.backup.snapshot import Entry
from koinon.chain.contract import Call
from koinon.cli import main
from koinon.errors import BadInput, IntegrityError, KeyFault, NotFound, SetupError
from koinon.node import Node
from koinon.settings import Settings

PASSWORD = Secret(password="correct horse")
TARGET = "0x" + "77" * 20


@pytest.fixture(scope="module")
def reader() -> tuple[Secret, Secret]:
    """Sealing for an age recipient: faster than a password, which takes age a second."""
    identity = pyrage.x25519.Identity.generate()
    return Secret(recipient=str(identity.to_public())), Secret(identity=str(identity))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A small data directory."""
    folder = tmp_path / "home"
    for name, content in {
        "koinon.toml": b"port = 0\n",
        "keys/operator.json": b"{}",
        "keys/password": b"secret",
        "blocks/aa/bafy1": b"content",
        "devnet/root.secret": b"00",
        "devnet/lock": b"",
        "devnet/anvil.log": b"noise",
        "lock": b"",
        ".half.written": b"",
        "big": os.urandom(3_000_000),
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "tour" / "opener").mkdir(parents=True)
    (folder / "tour" / "opener" / "blocks").symlink_to(folder / "blocks", target_is_directory=True)
    database = sqlite3.connect(folder / "gateway.sqlite")
    database.executescript("PRAGMA journal_mode = WAL; CREATE TABLE t (x); INSERT INTO t VALUES (7);")
    database.close()
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".sqlite"
    }


def test_everything_comes_back_and_nothing_else(home, tmp_path, reader):
    seal, opening = reader
    file = tmp_path / "node.backup"
    manifest = back_up(home, file, seal, now=lambda: 1234.5)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert manifest.made_at == 1234
    target = tmp_path / "new" / "home"
    assert restore(file, target, opening) == manifest
    expected = tree(home)
    for left_out in ("lock", "devnet/lock", "devnet/anvil.log", ".half.written"):
        del expected[left_out]
    assert tree(target) == expected
    assert (target / "tour" / "opener" / "blocks").resolve() == target / "blocks"
    database = sqlite3.connect(target / "gateway.sqlite")
    assert database.execute("SELECT x FROM t").fetchone() == (7,)
    database.close()
    for path in target.rglob("*"):
        assert stat.S_IMODE(path.lstat().st_mode) & 0o077 == 0 or path.is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "new", "node.backup"]


def test_a_password_seals_it_and_another_does_not_open_it(home, tmp_path):
    file = tmp_path / "node.backup"
    back_up(home, file, PASSWORD)
    content = file.read_bytes()
    assert b"operator" not in content
    assert b"correct horse" not in content
    for wrong in (Secret(password="wrong horse"), Secret(identity="AGE-SECRET-KEY-1QQ")):
        with pytest.raises(KeyFault) as caught:
            restore(file, tmp_path / "new", wrong)
        assert caught.value.code == "backup.wrong_secret"
        assert caught.value.hint
    assert not (tmp_path / "new").exists()
    restore(file, tmp_path / "new", PASSWORD)
    assert (tmp_path / "new" / "keys" / "password").read_bytes() == b"secret"


def test_an_identity_that_it_is_not_for_does_not_open_it(home, tmp_path, reader):
    file = tmp_path / "node.backup"
    back_up(home, file, reader[0])
    other = str(pyrage.x25519.Identity.generate())
    for wrong in (Secret(identity=other), Secret(identity="nonsense"), PASSWORD):
        with pytest.raises(KeyFault) as caught:
            restore(file, tmp_path / "new", wrong)
        assert caught.value.code == "backup.wrong_secret"


@pytest.mark.parametrize("keep", [0, 10, 20, 150, 400, 70_000, 1_500_000, -1, -70_000])
def test_a_truncated_file_is_refused_before_anything_is_written(home, tmp_path, reader, keep):
    file = tmp_path / "node.backup"
    back_up(home, file, reader[0])
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises((IntegrityError, KeyFault)) as caught:
        restore(file, tmp_path / "new", reader[1])
    assert caught.value.code.startswith("backup.")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "node.backup"]


@pytest.mark.parametrize("at", [3, 18, 21, 60, 250, 100_000, 2_000_000, -1])
def test_a_changed_file_is_refused_before_anything_is_written(home, tmp_path, reader, at):
    file = tmp_path / "node.backup"
    back_up(home, file, reader[0])
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(content)
    with pytest.raises((IntegrityError, KeyFault)) as caught:
        restore(file, tmp_path / "new", reader[1])
    assert caught.value.code.startswith("backup.")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "node.backup"]


def forged(seal: Secret, change: str) -> bytes:
    """A backup by somebody who knows only the recipient."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w:gz") as tar:
        name = {"up": "../escaped", "absolute": "/escaped"}.get(change, "file")
        member = tarfile.TarInfo(name)
        content = b"x"
        member.size = len(content)
        if change == "link":
            member.type, member.linkname, member.size = tarfile.SYMTYPE, "/etc/passwd", 0
        tar.addfile(member, io.BytesIO(content))
        if change == "twice":
            tar.addfile(member, io.BytesIO(content))
        digest = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
        links = {"inner": "../../etc"} if change == "outer link" else {}
        size = 2 if change == "size" else 1
        manifest = archives.Manifest(1, {name: (size, digest)}, links).to_json()
        if change == "no list":
            manifest = b"[]"
        if change != "nothing":
            last = tarfile.TarInfo("manifest.json")
            last.size = len(manifest)
            tar.addfile(last, io.BytesIO(manifest))
    recipient = pyrage.x25519.Recipient.from_str(seal.recipient)
    content = plain.getvalue() if change != "no tar" else b"no tar at all"
    return MAGIC + bytes(4) + bytes(pyrage.encrypt(content, [recipient]))


@pytest.mark.parametrize(
    "change", ["up", "absolute", "link", "twice", "outer link", "size", "no list", "nothing", "no tar"]
)
def test_a_forged_file_leads_nowhere(tmp_path, reader, change):
    file = tmp_path / "node.backup"
    file.write_bytes(forged(reader[0], change))
    with pytest.raises(IntegrityError) as caught:
        restore(file, tmp_path / "new", reader[1])
    assert caught.value.code == "backup.damaged"
    assert [path.name for path in tmp_path.iterdir()] == ["node.backup"]


def test_what_is_no_backup_is_refused(tmp_path, reader):
    file = tmp_path / "node.backup"
    file.write_bytes(b"something else entirely")
    with pytest.raises(IntegrityError) as caught:
        restore(file, tmp_path / "new", reader[1])
    assert caught.value.code == "backup.format"
    with pytest.raises(NotFound):
        restore(tmp_path / "none", tmp_path / "new", reader[1])


def test_nothing_is_written_over(home, tmp_path, reader):
    file = tmp_path / "node.backup"
    back_up(home, file, reader[0])
    with pytest.raises(SetupError) as caught:
        back_up(home, file, reader[0])
    assert caught.value.code == "backup.exists"
    with pytest.raises(SetupError) as caught:
        restore(file, home, reader[1])
    assert caught.value.code == "backup.not_empty"
    (tmp_path / "empty").mkdir()
    restore(file, tmp_path / "empty", reader[1])
    assert (tmp_path / "empty" / "koinon.toml").exists()


def test_no_secret_no_recipient_and_no_home_are_errors(home, tmp_path):
    file = tmp_path / "node.backup"
    for bad in (Secret(), Secret(recipient="age1wrong")):
        with pytest.raises(BadInput):
            back_up(home, file, bad)
    with pytest.raises(NotFound):
        back_up(tmp_path / "none", file, PASSWORD)
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_on_a_full_disk_no_half_file_is_left(home, tmp_path, reader):
    program = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from koinon.backup import Secret, back_up\n"
        "from koinon.errors import SetupError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))\n"
        "try:\n"
        "    back_up(Path(sys.argv[1]), Path(sys.argv[2]), Secret(recipient=sys.argv[3]))\n"
        "except SetupError as error:\n"
        "    print(error.code)\n"
    )
    file = tmp_path / "node.backup"
    done = subprocess.run(
        [sys.executable, "-c", program, str(home), str(file), reader[0].recipient],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "backup.write\n", done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_memory_does_not_grow_with_the_data(tmp_path, reader):
    big = tmp_path / "big"
    with big.open("wb") as file:
        for _ in range(64):
            file.write(os.urandom(1 << 20))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with (tmp_path / "out").open("w+b") as target:
        write(target, [Entry("big", big)], reader[0], 1)
        target.seek(0)
        read(target, unlock(target, reader[1]))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30 * 1024  # KiB on Linux


@pytest.fixture
def node(tmp_path: Path, anvil_path: Path) -> Iterator[Node]:
    settings = Settings.load({"KOINON_ANVIL": str(anvil_path)}, home=tmp_path / "node")
    with Node.open(settings) as opened:
        yield opened


@pytest.mark.e2e
def test_a_node_at_work_is_restored_with_every_payment_made_before(node, tmp_path, reader, anvil_path):
    sender, stop = node.chain.sender(node.operator), threading.Event()
    cid = node.store.put(b"a registration file")

    def work() -> None:
        while not stop.is_set():
            sender.send_all([Call(TARGET, value=1, gas=21_000)] * 20)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        latest = sender.send_all([Call(TARGET, value=1, gas=21_000)] * 50)[-1].block_number
        before = 50
        digest = node.chain.rpc.call("eth_getBlockByNumber", hex(latest), False)["hash"]
        back_up(node.settings.home, tmp_path / "node.backup", reader[0])
    finally:
        stop.set()
        thread.join()
    operator = node.operator.address
    node.close()
    restore(tmp_path / "node.backup", tmp_path / "second", reader[1])
    settings = Settings.load({"KOINON_ANVIL": str(anvil_path)}, home=tmp_path / "second")
    with Node.open(settings) as second:
        assert second.operator.address == operator
        assert second.chain.balance(TARGET) >= before
        assert second.chain.rpc.call("eth_getBlockByNumber", hex(latest), False)["hash"] == digest
        assert second.store.get(cid) == b"a registration file"
        assert second.chain.sender(second.operator).send(Call(TARGET, value=1)).status == 1


def test_the_commands_take_the_password_from_the_environment(home, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KOINON_BACKUP_PASSWORD", "correct horse")
    monkeypatch.setenv("KOINON_HOME", str(home))
    file = tmp_path / "node.backup"
    assert main(["backup", str(file), "--json"]) == 0
    assert main(["restore", str(file), "--home", str(tmp_path / "new"), "--json"]) == 0
    assert (tmp_path / "new" / "koinon.toml").exists()
    assert "correct horse" not in capsys.readouterr().out
    assert main(["restore", str(file), "--home", str(tmp_path / "new")]) == 3
    monkeypatch.setenv("KOINON_BACKUP_PASSWORD", " ")
    assert main(["backup", str(tmp_path / "other")]) == 2


def test_the_commands_seal_for_a_recipient_and_open_with_its_identity(home, tmp_path, monkeypatch, reader):
    monkeypatch.setenv("KOINON_HOME", str(home))
    file, identity = tmp_path / "node.backup", tmp_path / "identity"
    identity.write_text(f"# created by age-keygen\n{reader[1].identity}\n")
    assert main(["backup", str(file), "--to", reader[0].recipient]) == 0
    assert main(["restore", str(file), "--home", str(tmp_path / "new"), "--identity", str(identity)]) == 0
    assert (
        main(["restore", str(file), "--home", str(tmp_path / "b"), "--identity", str(tmp_path / "no")]) == 5
    )
