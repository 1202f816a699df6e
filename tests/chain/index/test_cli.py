# SPDX-License-Identifier: Apache-2.0
"""``koinon sql`` and ``koinon index …`` as people and programs run them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from koinon.chain import artifacts
from koinon.cli import main
from koinon.node import Node
from koinon.settings import Settings

pytestmark = pytest.mark.e2e

Said = tuple[int, str, str]
FRIEND = "0x" + "22" * 20
HUGE = 2**200


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, anvil_path: Path) -> Any:
    """A node with a payment and two allowances on its chain, open so that every command attaches to it."""
    settings = replace(Settings.load({}, home=tmp_path_factory.mktemp("reader")), anvil=anvil_path)
    with Node.open(settings) as opened:
        sender = opened.chain.sender(opened.operator)
        sender.send(opened.chain.coin.transaction("mint", FRIEND, 5))
        for allowance in (5, HUGE):
            sender.send(opened.chain.coin.transaction("approve", FRIEND, allowance))
        yield opened


@pytest.fixture
def koinon(
    node: Node, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Said]:
    """Run a command: (exit status, stdout, stderr)."""
    for name in ("KOINON_PASSWORD", "KOINON_RPC_URL", "KOINON_NETWORK", "KOINON_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KOINON_LANG", "en")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("KOINON_HOME", str(node.settings.home))

    def run(*arguments: str) -> Said:
        capsys.readouterr()
        status = main(list(arguments))
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


@pytest.fixture
def ask(koinon: Callable[..., Said]) -> Callable[..., Any]:
    """Run a command with ``--json`` that must succeed; its document."""

    def run(*arguments: str) -> Any:
        status, out, err = koinon(*arguments, "--json")
        assert (status, err) == (0, "")
        return json.loads(out)

    return run


@pytest.fixture
def synced(koinon: Callable[..., Said]) -> None:
    assert koinon("index", "sync")[0] == 0


@pytest.fixture
def refused(koinon: Callable[..., Said]) -> Callable[..., Any]:
    """The code of the error that a command must end with; without a traceback."""

    def run(*arguments: str) -> str:
        status, out, err = koinon(*arguments, "--json")
        assert status != 0
        assert out == ""
        assert "Traceback" not in err
        return str(json.loads(err)["code"])

    return run


ALLOWANCES = (
    f"select spender as \"to\", value from coin_approval where spender = '{FRIEND}' order by block_number"  # noqa: S608  (a constant)
)


def test_an_index_is_filled_and_says_where_it_is(ask: Callable[..., Any], node: Node) -> None:
    assert ask("index", "sync") == {"block": node.chain.block_number()}
    found = ask("index", "status")
    assert found["place"] == str(node.settings.home / "index.sqlite")
    assert found["block"] == node.chain.block_number()
    (transfers,) = [table for table in found["tables"] if table["table"] == "coin_transfer"]
    assert transfers["columns"] == ["from", "to", "value"]
    assert (transfers["rows"] >= 1, transfers["through"]) == (True, node.chain.block_number())


def test_verified_mode_can_be_asked_for_and_an_index_checked(ask: Callable[..., Any], node: Node) -> None:
    assert ask("index", "sync", "--verified") == {"block": node.chain.block_number()}
    assert ask("index", "verify") == {"verified_through": node.chain.block_number()}


@pytest.mark.usefixtures("synced")
def test_a_query_is_a_table_for_people_and_rows_for_programs(
    koinon: Callable[..., Said], ask: Callable[..., Any]
) -> None:
    assert ask("sql", ALLOWANCES) == [{"to": FRIEND, "value": 5}, {"to": FRIEND, "value": HUGE}]
    status, out, _ = koinon("sql", ALLOWANCES)
    assert status == 0
    assert all(word in out for word in ("to", "value", FRIEND, str(HUGE)))


@pytest.mark.usefixtures("synced")
def test_comma_separated_values_can_be_read_again(koinon: Callable[..., Said]) -> None:
    status, out, _ = koinon("sql", "--csv", ALLOWANCES.replace("select", "select 'a,\"b' as odd,"))
    assert status == 0
    assert list(csv.reader(io.StringIO(out))) == [
        ["odd", "to", "value"],
        ['a,"b', FRIEND, "5"],
        ['a,"b', FRIEND, str(HUGE)],
    ]


@pytest.mark.usefixtures("synced")
def test_a_parquet_file_keeps_every_digit(ask: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "allowances.parquet"
    assert ask("sql", ALLOWANCES, "--parquet", str(file)) == {"file": str(file), "rows": 2}
    assert parquet.read_table(file).to_pydict() == {"to": [FRIEND] * 2, "value": ["5", str(HUGE)]}
    small = ALLOWANCES.replace("order by", "and value = 5 order by")
    ask("sql", small, "--parquet", str(file))
    assert parquet.read_table(file).to_pydict() == {"to": [FRIEND], "value": [5]}
    ask("sql", ALLOWANCES.replace("order by", "and value = 6 order by"), "--parquet", str(file))
    assert parquet.read_table(file).to_pydict() == {"to": [], "value": []}


@pytest.mark.usefixtures("synced")
def test_a_parquet_file_holds_columns_of_one_name_and_of_numbers_and_texts(
    ask: Callable[..., Any], tmp_path: Path
) -> None:
    file = tmp_path / "odd.parquet"
    query = "select 1 as a, 2 as a, value as mixed from (select 1 as value union all select 'x') s order by 3"
    ask("sql", query, "--parquet", str(file))
    table = parquet.read_table(file)
    assert table.column_names == ["a", "a_2", "mixed"]
    assert table.to_pydict()["mixed"] == ["1", "x"]


@pytest.mark.usefixtures("synced")
def test_rows_left_out_are_said_to_be(koinon: Callable[..., Said]) -> None:
    status, out, err = koinon("sql", ALLOWANCES, "--limit", "1", "--json")
    assert (status, len(json.loads(out))) == (0, 1)
    status, out, err = koinon("sql", ALLOWANCES, "--limit", "1")
    assert "Only the first 1 rows" in out + err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("sql", "delete from block"), "index.sql_write"),
        (("sql", "selec 1"), "index.sql"),
        (("sql", ""), "index.sql"),
        (
            (
                "sql",
                "with recursive n(x) as (select 1 union all select x + 1 from n) select count(*) from n",
                "--time-limit",
                "0.1",
            ),
            "index.sql_time",
        ),
        (("sql", "select 1", "--parquet", "/nowhere/at/all.parquet"), "index.parquet"),
    ],
)
def test_what_cannot_be_answered_is_a_sentence_with_a_code(
    refused: Callable[..., str], arguments: tuple[str, ...], code: str
) -> None:
    assert refused(*arguments) == code


def test_a_contract_is_added_by_its_abi_and_then_filled(
    ask: Callable[..., Any], node: Node, tmp_path: Path
) -> None:
    file = tmp_path / "abi.json"
    file.write_text(json.dumps({"abi": list(artifacts.load("Coin").abi)}))
    added = ask("index", "add", "mirror", node.chain.coin.address, str(file), "--from", "1")
    assert "mirror_transfer" in added["tables"]
    ask("index", "sync")
    mirrored = ask("sql", "select * from mirror_transfer order by 1, 2")
    assert mirrored == ask("sql", "select * from coin_transfer order by 1, 2") != []


@pytest.mark.parametrize(
    ("content", "name", "address", "code"),
    [
        ("{", "mine", FRIEND, "index.abi"),
        ('{"abi": 5}', "mine", FRIEND, "index.abi"),
        ("[]", "mine", FRIEND, "index.abi"),
        (
            '[{"type": "event", "name": "E", "inputs": [{"type": "nothing"}]}]',
            "mine",
            FRIEND,
            "chain.abi_type",
        ),
        ('[{"type": "event", "name": "E", "inputs": []}]', "Mine", FRIEND, "index.name"),
        ('[{"type": "event", "name": "E", "inputs": []}]', "mine", "0x12", "chain.address"),
        ('[{"type": "event", "name": "Transfer", "inputs": []}]', "coin", FRIEND, "index.name"),
    ],
)
def test_a_contract_that_cannot_be_added_is_refused_and_changes_nothing(
    refused: Callable[..., str],
    ask: Callable[..., Any],
    tmp_path: Path,
    content: str,
    name: str,
    address: str,
    code: str,
) -> None:
    file = tmp_path / "abi.json"
    file.write_text(content)
    before = ask("index", "status")["tables"]
    assert refused("index", "add", name, address, str(file)) == code
    assert ask("index", "status")["tables"] == before


def test_an_index_that_was_changed_is_not_called_proven(
    refused: Callable[..., str], koinon: Callable[..., Said], node: Node
) -> None:
    import sqlite3  # noqa: PLC0415  (only to forge)

    koinon("index", "sync")
    with sqlite3.connect(node.settings.home / "index.sqlite") as forger:
        forger.execute("UPDATE coin_approval SET value = 6 WHERE value = 5")
    forger.close()
    try:
        assert refused("index", "verify") == "index.differs"
    finally:
        with sqlite3.connect(node.settings.home / "index.sqlite") as forger:
            forger.execute("UPDATE coin_approval SET value = 5 WHERE value = 6")
        forger.close()
