# SPDX-License-Identifier: Apache-2.0
"""Exports of real chains, as explorers and warehouses write them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koinon.errors import BadInput
from koinon.markets.history import cells
from koinon.markets.history.facts import Facts, MarketFacts
from koinon.markets.history.files import write_rows
from koinon.markets.history.tables import Reading, read_rows
from tests.markets.history.real_protocols import role

A, B, TOKEN, POOL = role("sender"), role("receiver"), role("token"), role("pool")
HUGE = 2**256 - 1


def written(path, text):
    path.write_text(text)
    return path


def test_etherscan_gives_whole_tokens_and_no_log_index(tmp_path):
    path = written(
        tmp_path / "export.csv",
        '"Transaction Hash","Blockno","UnixTimestamp","DateTime (UTC)","From","To","TokenValue",'
        '"ContractAddress"\n'
        f'"0x{"0a" * 32}","19000000","1705000000","2024-01-11 19:06:40","{A.lower()}","{B.lower()}",'
        f'"1,234.5","{TOKEN.lower()}"\n'
        f'"0x{"0a" * 32}","19000000","1705000000","2024-01-11 19:06:40","{A.lower()}","{B.lower()}",'
        f'"0.000001","{TOKEN.lower()}"\n',
    )
    found = read_rows([path], Facts(decimals={TOKEN: 6}))
    assert [(row.kind, row.account, row.counterparty, row.amount) for row in found] == [
        ("transfer", A, B, 1_234_500_000),
        ("transfer", A, B, 1),
    ]
    assert [row.log_index for row in found] == [0, 1]
    assert found[0].timestamp == 1_705_000_000
    with pytest.raises(BadInput, match="decimals are not known"):
        read_rows([path])
    with pytest.raises(BadInput, match=r"row 2.*more than the token's 2 decimals"):
        read_rows([path], Facts(decimals={TOKEN: 2}))


def test_bigquery_gives_text_amounts(tmp_path):
    path = written(
        tmp_path / "token_transfers.csv",
        "token_address,from_address,to_address,value,transaction_hash,log_index,block_timestamp,block_number\n"
        f"{TOKEN},{A},{B},{HUGE},0x{'0b' * 32},7,2024-01-11 19:06:40 UTC,5\n",
    )
    (row,) = read_rows([path])
    assert (row.amount, row.asset, row.log_index) == (HUGE, TOKEN, 7)
    assert row.timestamp == 1_705_000_000


def test_dune_gives_one_decoded_event_a_table(tmp_path):
    path = written(
        tmp_path / "aave_v3_ethereum_pool_evt_borrow.csv",
        "contract_address,evt_tx_hash,evt_index,evt_block_time,evt_block_number,amount,borrowRate,"
        "interestRateMode,onBehalfOf,referralCode,reserve,user\n"
        f"{POOL},0x{'0c' * 32},3,2024-01-11 19:06:40.000 UTC,5,{10**30},1,2,{A},0,{TOKEN},{B}\n",
    )
    (row,) = read_rows([path], reading=Reading(protocol="aave-v3", event="Borrow"))
    assert (row.kind, row.account, row.counterparty) == ("borrow", A, B)
    assert (row.asset, row.amount, row.contract) == (TOKEN, 10**30, POOL)
    with pytest.raises(BadInput, match="no event"):
        read_rows([path], reading=Reading(protocol="aave-v3", event="Mint"))


def test_raw_logs_are_decoded(tmp_path):
    words = [f"0x{'00' * 12}{each[2:].lower()}" for each in (A, B)]
    topic = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
    path = written(
        tmp_path / "logs.csv",
        "log_index,transaction_hash,address,data,topics,block_timestamp,block_number,block_hash\n"
        f'1,0x{"0d" * 32},{TOKEN},0x{5:064x},"[{topic}, {words[0]}, {words[1]}]",1705000000000,5,'
        f"0x{'0e' * 32}\n",
    )
    (row,) = read_rows([path])
    assert (row.account, row.counterparty, row.amount, row.block_hash) == (A, B, 5, "0x" + "0e" * 32)
    assert row.timestamp == 1_705_000_000


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_what_is_written_is_read_again(tmp_path, ending):
    source = written(
        tmp_path / "a.csv",
        f"block_number,log_index,timestamp,from,to,value,token\n1,2,3,{A},{B},{HUGE},{TOKEN}\n",
    )
    found = read_rows([source])
    path = tmp_path / f"rows.{ending}"
    assert write_rows(found, path) == 1
    assert read_rows([path]) == found


def test_parquet_keeps_integers_of_any_width_exact(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet  # noqa: PLC0415

    columns = {
        "block_number": [1, 2],
        "log_index": [0, 0],
        "block_time": [datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=UTC)],
        "from": [bytes.fromhex(A[2:])] * 2,
        "to": [bytes.fromhex(B[2:])] * 2,
        "contract_address": [bytes.fromhex(TOKEN[2:])] * 2,
        "value": pyarrow.array([Decimal(10**40), Decimal(1)], pyarrow.decimal256(60)),
    }
    parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
    assert [row.amount for row in read_rows([tmp_path / "a.parquet"])] == [10**40, 1]


def test_columns_can_be_named(tmp_path):
    path = written(tmp_path / "a.csv", f"n,t,payer,payee,wad\n1,3,{A},{B},4\n")
    named = {"block_number": "n", "timestamp": "t", "from": "payer", "to": "payee"}
    (row,) = read_rows([path], reading=Reading(columns=named, asset=TOKEN))
    assert (row.account, row.asset, row.amount) == (A, TOKEN, 4)
    with pytest.raises(BadInput, match="no column 'x'"):
        read_rows([path], reading=Reading(columns={"from": "x"}))


HEADER = "block_number,log_index,timestamp,from,to,value,token\n"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f"1,0,3,{A},{B},1.5,{TOKEN}", r"row 1, column 'value': '1\.5' is no whole number"),
        (f"1,0,3,{A},{B},many,{TOKEN}", r"'many' is no number"),
        (f"1,0,3,{A},{B},{2**256},{TOKEN}", "larger than 256 bits"),
        (f"1,0,3,{A},0x12,1,{TOKEN}", r"column 'to': '0x12' is no address"),
        (f"1,0,yesterday,{A},{B},1,{TOKEN}", "is no time"),
        (f",0,3,{A},{B},1,{TOKEN}", "is empty"),
        (f"1,0,3,{A}", "has 4 values for 7 columns"),
    ],
)
def test_a_wrong_cell_is_named(tmp_path, line, said):
    with pytest.raises(BadInput, match=said):
        read_rows([written(tmp_path / "a.csv", HEADER + line + "\n")])


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", "x", "are .csv or .parquet"),
        ("a.csv", "", "no columns"),
        ("a.csv", "a,a\n", "two columns of one name"),
        ("a.csv", "a,b\n1,2\n", "no table of events"),
        ("a.parquet", "not parquet", "cannot be read"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, name, content, said):
    with pytest.raises(BadInput, match=said):
        read_rows([written(tmp_path / name, content)])


def test_a_rounded_amount_is_refused():
    assert cells.integer(2.0) == 2
    with pytest.raises(ValueError, match="export it as text"):
        cells.integer(1e18)


@given(st.integers(-(2**256) + 1, 2**256 - 1))
def test_integers_of_any_size_come_through_as_text(number):
    assert cells.integer(str(number)) == cells.integer(Decimal(number)) == number
    assert cells.integer(f"{number}.0") == number


@given(st.integers(0, 2**200), st.integers(0, 30))
def test_whole_tokens_come_through_exactly(amount, decimals):
    whole = f"{amount // 10**decimals}.{amount % 10**decimals:0{decimals}d}" if decimals else str(amount)
    assert cells.whole_units(whole, decimals) == amount


def test_facts_come_back_as_they_were():
    facts = Facts({POOL: MarketFacts(TOKEN, A, 800_000)}, {TOKEN: 6}, {TOKEN: "USD"}, {TOKEN})
    assert Facts.from_json(facts.to_json()) == facts
    with pytest.raises(BadInput):
        Facts.from_json(b'{"markets": 5}')
