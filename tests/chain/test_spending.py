# SPDX-License-Identifier: Apache-2.0
"""The spending cap: no own key spends more than was said, whatever is killed in between."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from dataclasses import replace

import pytest

from koinon.chain.contract import Call
from koinon.chain.handle import Chain
from koinon.chain.keys import Key
from koinon.chain.network import Network
from koinon.chain.receipts import Receipt
from koinon.chain.spending import FILE_NAME, Cap, Purse, coins_moved, units
from koinon.errors import BadInput, PaymentError, SetupError, TransactionFailed

COIN = "0x" + "22" * 20
OTHER = "0x" + "33" * 20
NETWORK = Network(
    "Real", 1, "http://127.0.0.1:1", False, {"Coin": COIN, "Works": OTHER}, {}, 0, "0x" + "44" * 32
)


def receipt(status: int = 1, gas_used: int = 50, price: int = 2) -> Receipt:
    return Receipt("0x", 1, status, gas_used, (), effective_gas_price=price)


def transfer(amount: int, to: str = COIN) -> Call:
    return Call(to, bytes.fromhex("a9059cbb") + bytes(32) + amount.to_bytes(32, "big"))


@pytest.fixture
def purse(tmp_path):
    opened = Purse(tmp_path, NETWORK)
    yield opened
    opened.close()


def test_nothing_is_spent_before_somebody_says_how_much(purse):
    for spend in (lambda: purse.reserve([Call(OTHER)], [1]), lambda: purse.sign_away(1)):
        with pytest.raises(PaymentError) as caught:
            spend()
        assert caught.value.code == "spending.no_cap"
        assert "koinon network cap" in caught.value.hint
    assert purse.spent == Cap(0, 0)


def test_the_cap_holds_to_the_last_unit_for_coins_and_for_eth(purse):
    purse.set_cap(Cap(100, 1000))
    purse.reserve([transfer(60), transfer(40)], [400, 600])
    assert purse.spent == Cap(100, 1000)
    for calls, most in (([transfer(1)], [0]), ([Call(OTHER)], [1])):
        with pytest.raises(PaymentError) as caught:
            purse.reserve(calls, most)
        assert caught.value.code == "spending.cap"
    with pytest.raises(PaymentError):
        purse.sign_away(1)
    assert purse.spent == Cap(100, 1000), "what was refused does not count"


def test_what_was_reserved_becomes_what_it_cost(purse):
    purse.set_cap(Cap(100, 1000))
    calls = [transfer(60), transfer(30), Call(OTHER, value=7)]
    first, second, third = purse.reserve(calls, [300, 300, 300])
    purse.mined(first, receipt(), calls[0])
    purse.mined(second, receipt(status=0), calls[1])
    assert purse.spent == Cap(60, 500), "a call that failed moves no coins and costs its gas"
    purse.mined(third, receipt(), calls[2])
    assert purse.spent == Cap(60, 307)
    (fourth,) = purse.reserve([transfer(40)], [600])
    purse.dropped(fourth)
    assert purse.spent == Cap(60, 307)


def test_amounts_beyond_what_a_database_counts_in_are_exact(purse):
    purse.set_cap(Cap(2**255, 2**100))
    purse.sign_away(2**200 + 1)
    assert purse.spent.coins == 2**200 + 1
    with pytest.raises(PaymentError):
        purse.reserve([transfer(2**256 - 1)], [0])


def test_who_is_killed_between_asking_and_sending_has_spent_it(tmp_path, purse):
    purse.set_cap(Cap(100, 1000))
    program = (
        "import os, pathlib, sys, signal\n"
        "from tests.chain.test_spending import NETWORK, transfer\n"
        "from koinon.chain.spending import Purse\n"
        "Purse(pathlib.Path(sys.argv[1]), NETWORK).reserve([transfer(70)], [500])\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert killed.returncode == -9
    assert purse.spent == Cap(70, 500)
    with pytest.raises(PaymentError):
        purse.sign_away(31)


def test_two_that_hold_one_data_directory_share_one_cap(tmp_path, purse):
    purse.set_cap(Cap(100, 0))
    other = Purse(tmp_path, NETWORK)
    other.sign_away(80)
    with pytest.raises(PaymentError):
        purse.sign_away(21)
    purse.sign_away(20)
    other.close()


def test_another_network_has_a_cap_of_its_own(tmp_path, purse):
    purse.set_cap(Cap(100, 0))
    other = Purse(tmp_path, replace(NETWORK, genesis_hash="0x" + "55" * 32))
    assert other.cap is None
    other.close()


def test_a_damaged_count_stops_all_spending(tmp_path):
    (tmp_path / FILE_NAME).write_bytes(b"no database" * 1000)
    with pytest.raises(SetupError) as caught:
        Purse(tmp_path, NETWORK)
    assert caught.value.code == "spending.file"
    with pytest.raises(sqlite3.Error):
        sqlite3.connect(tmp_path / FILE_NAME).execute("select * from cap")


@pytest.mark.parametrize(
    ("call", "moved"),
    [
        (transfer(5), 5),
        (transfer(5, COIN.upper().replace("0X", "0x")), 5),
        (transfer(5, OTHER), 0),
        (Call(COIN, bytes.fromhex("095ea7b3") + bytes(32) + (9).to_bytes(32, "big")), 9),
        (Call(COIN, bytes.fromhex("23b872dd") + bytes(64) + (4).to_bytes(32, "big")), 4),
        (Call(COIN, bytes.fromhex("70a08231") + bytes(32)), 0),
        (Call(COIN, b"\xa9"), 0),
        (Call(COIN), 0),
        (Call(None, b"\x60"), 0),
    ],
)
def test_what_a_call_takes_from_its_account(call, moved):
    assert coins_moved(call, COIN) == moved


@pytest.mark.parametrize(
    ("text", "amount"), [("25", 25_000_000), ("0.05", 50_000), ("1.000000000", 1_000_000)]
)
def test_an_amount_as_people_write_it(text, amount):
    assert units(text, 6) == amount


@pytest.mark.parametrize("text", ["", "-1", "1e3", "1.", ".5", "1,5", "0.0000001", "٣", "9" * 31])
def test_what_is_no_amount_is_refused(text):
    with pytest.raises(BadInput):
        units(text, 6)


# On a chain


@pytest.fixture
def real(network, devnet, tmp_path):
    """The session's chain as if its money were real."""
    with Chain.open(replace(network, rpc_url=devnet.rpc_url)) as plain:
        chain = Chain(replace(network, test_money=False), plain.rpc, home=tmp_path)
        yield chain
        assert chain.purse is not None
        chain.purse.close()


def test_own_keys_send_within_the_cap_and_not_beyond(real, new_account):
    key, coin = new_account(), real.coin
    mint = coin.transaction("mint", key.address, 1000)
    with pytest.raises(PaymentError) as caught:
        real.sender(key).send(mint)
    assert caught.value.code == "spending.no_cap"
    real.purse.set_cap(Cap(500, 10**17))
    sent = real.sender(key).send(mint)
    assert real.purse.spent == Cap(0, sent.gas_used * sent.effective_gas_price)
    real.sender(key).send_all(
        [coin.transaction("transfer", OTHER, 200), coin.transaction("approve", OTHER, 300)]
    )
    with pytest.raises(PaymentError) as caught:
        real.sender(key).send(coin.transaction("transfer", OTHER, 1))
    assert caught.value.code == "spending.cap"
    assert coin.call("balanceOf", key.address) == 800
    spent = 10 * 10**18 - real.balance(key.address)
    assert real.purse.spent == Cap(500, spent), "the count is what the account paid"


def test_a_call_that_would_fail_costs_nothing_and_one_mined_in_vain_its_gas(real, new_account):
    key, coin = new_account(), real.coin
    real.purse.set_cap(Cap(10_000, 10**17))
    refused = coin.transaction("transfer", OTHER, 5)
    with pytest.raises(TransactionFailed):
        real.sender(key).send(refused)
    assert real.purse.spent == Cap(0, 0)
    with pytest.raises(TransactionFailed) as caught:
        real.sender(key).send(replace(refused, gas=100_000))
    assert caught.value.code == "chain.reverted"
    assert real.purse.spent == Cap(0, 10 * 10**18 - real.balance(key.address))


def test_an_account_without_eth_can_read_and_is_told_how_to_send(real):
    stranger = Key.generate()
    assert real.coin.call("balanceOf", stranger.address) == 0
    with pytest.raises(SetupError) as caught:
        real.sender(stranger).send(real.coin.transaction("mint", stranger.address, 1))
    assert caught.value.code == "node.read_only"
    assert stranger.address in caught.value.hint
