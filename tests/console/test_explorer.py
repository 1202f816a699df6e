# SPDX-License-Identifier: Apache-2.0
"""The chain in the console: what is found, what is told of it, and what nonsense gets for an answer."""

from __future__ import annotations

import re

import pytest

from koinon.chain.contract import Call
from koinon.chain.keys import Key
from koinon.console.explorer.decoding import Decoder
from tests.pages_support import COIN

NOBODY = "0x" + "12" * 20
NO_HASH = "0x" + "ab" * 32


@pytest.fixture(scope="module")
def transfer(town):
    """A transfer of coins: its receipt."""
    town.pay(town.owner.address, COIN)
    call = town.chain.coin.transaction("transfer", town.house.operator.address, COIN)
    return town.transact(call)


def where(visit, text):
    """The page that a search leads to at once."""
    answer = visit.client.get("/search", params={"q": text})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


# ------------------------------------------------------------ search


def test_one_box_finds_addresses_transactions_blocks_and_contracts(town, guest, transfer):
    address = town.owner.address
    assert where(guest, address) == f"/chain/address/{address}"
    assert where(guest, address.lower()[2:]) == f"/chain/address/{address}"
    assert where(guest, transfer.transaction_hash) == f"/chain/transaction/{transfer.transaction_hash}"
    assert where(guest, f" {transfer.transaction_hash.upper().replace('X', 'x', 1)} ").endswith(
        transfer.transaction_hash
    )
    block = town.chain.rpc.call("eth_getBlockByNumber", hex(transfer.block_number), False)
    assert where(guest, block["hash"]) == f"/chain/block/{transfer.block_number}"
    assert where(guest, "Reputation") == "/chain/contract/Reputation"


def test_a_number_may_be_a_work_and_a_block(town, guest):
    work = town.work("Numbered")
    page = guest.page(f"/search?q={work.work_id}")
    assert f'href="/works/{work.work_id}"' in page
    assert f'href="/chain/block/{work.work_id}"' in page


def test_words_find_works(town, guest):
    town.work("Unmistakable")
    assert "Unmistakable" in guest.page("/search?q=unmistak")


@pytest.mark.parametrize(
    "text",
    ["", " ", "²", "nothing like it", "9" * 18, "9" * 500, "%00", "'; DROP TABLE block; --", "<script>"],
)
def test_what_is_not_found_is_said_so(guest, text):
    answer = guest.client.get("/search", params={"q": text})
    assert answer.status_code == 200
    assert "Nothing found for" in answer.text
    assert "<script>”" not in answer.text


@pytest.mark.parametrize("text", ["0x", "0x12", "0xzz", "0x" + "a" * 41, "0xAB" + "c" * 38])
def test_what_looks_like_an_address_and_is_none_is_refused(guest, text):
    assert guest.client.get("/search", params={"q": text}).status_code == 422


def test_a_search_never_leads_elsewhere(guest):
    for text in ("//evil.example", "https://evil.example", "/\\evil.example"):
        assert guest.client.get("/search", params={"q": text}).status_code == 200


# ------------------------------------------------------------ blocks, transactions, addresses


def test_a_block_tells_its_transactions(guest, transfer):
    page = guest.page(f"/chain/block/{transfer.block_number}")
    assert "holds one transaction" in page
    assert "transfer" in page
    assert transfer.transaction_hash in page
    assert f'href="/chain/block/{transfer.block_number}"' in guest.page("/chain")


def test_earlier_blocks_are_a_page_further_on(guest):
    assert "Earlier blocks" in guest.page("/chain?before=10")
    for text in ("²", "-1", "0", "x", "9" * 15, "9" * 99):
        guest.page(f"/chain?before={text}")


@pytest.mark.parametrize("wanted", ["999999999", "9" * 15, NO_HASH])
def test_a_block_that_does_not_exist_is_not_found(guest, wanted):
    guest.page(f"/chain/block/{wanted}", status=404)


@pytest.mark.parametrize("wanted", ["²", "-1", "0x12", "latest", "9" * 16, "1.5", "٣"])
def test_what_is_no_block_is_refused(guest, wanted):
    guest.page(f"/chain/block/{wanted}", status=422)


def test_a_transaction_tells_what_was_asked_and_what_happened(town, guest, transfer):
    page = guest.page(f"/chain/transaction/{transfer.transaction_hash}")
    assert "Transfer" in page
    assert "transfer" in page
    assert town.house.operator.address in page


def test_a_refused_transaction_tells_the_contracts_reason(town, guest):
    coin = town.chain.coin
    asked = coin.transaction("transfer", NOBODY, 10**30)
    sent = town.chain.rpc.call(
        "eth_sendTransaction",
        {
            "from": _unlocked(town),
            "to": asked.to,
            "data": "0x" + asked.data.hex(),
            "gas": hex(200_000),
        },
    )
    page = guest.page(f"/chain/transaction/{sent}")
    assert "erc20: transfer amount exceeds balance" in page


def _unlocked(town):
    """An account that the development node signs for, with ETH and without coins."""
    account = Key.generate().address
    town.house.fund(account)
    town.chain.rpc.call("anvil_impersonateAccount", account)
    return account


def test_a_transaction_that_nobody_sent_is_not_found(guest):
    guest.page(f"/chain/transaction/{NO_HASH}", status=404)


@pytest.mark.parametrize("wanted", ["1", "0x12", "²", "0x" + "zz" * 32, NO_HASH + "00"])
def test_what_is_no_hash_is_refused(guest, wanted):
    guest.page(f"/chain/transaction/{wanted}", status=422)


def test_events_and_calls_of_strangers_are_told_as_guesses_or_raw(town, guest):
    # A contract that logs a topic nobody knows, whatever it is called with: PUSH32 topic, 0, 0, LOG1.
    code = bytes.fromhex("7f" + "ee" * 32 + "60006000a100")
    creation = bytes.fromhex(f"60{len(code):02x}600c60003960{len(code):02x}6000f3") + code
    stranger = town.transact(Call(None, creation)).contract_address
    data = town.chain.coin.transaction("transfer", NOBODY, 5).data
    receipt = town.transact(Call(stranger, data))
    page = guest.page(f"/chain/transaction/{receipt.transaction_hash}")
    assert "guessed from the first four bytes" in page
    assert "An event this node has no words for" in page
    assert "A contract that this node does not know was called" in page
    assert "(guessed)" in guest.page(f"/chain/block/{receipt.block_number}")
    assert "0x" + "ee" * 32 in page.replace('<span class="middle">', "").replace("</span>", "")
    assert "This is a contract" in guest.page(f"/chain/address/{stranger}")
    odd = town.transact(Call(stranger, b"\x01\x02\x03\x04\x05"))
    assert "sends ETH or data" in guest.page(f"/chain/block/{odd.block_number}")


def test_an_address_tells_its_money_and_what_names_it(town, guest, transfer):
    page = guest.page(f"/chain/address/{town.owner.address}")
    assert "coin · transfer" in page.lower()
    assert "What has this account done?" in page
    work = town.work("With a till", shares={NOBODY: 0.5})
    assert f"This is the till of Work {work.work_id}" in guest.page(f"/chain/address/{work.till}")
    assert "This is the contract Coin" in guest.page(f"/chain/address/{town.chain.coin.address}")
    assert "No event of Koinon's contracts names it." in guest.page(f"/chain/address/{NOBODY[:-2]}13")


@pytest.mark.parametrize("wanted", ["x", "0x12", "²", "0xAB" + "c" * 38, "0x" + "zz" * 20])
def test_what_is_no_address_is_refused(guest, wanted):
    guest.page(f"/chain/address/{wanted}", status=422)


# ------------------------------------------------------------ contracts


def ask(visit, name, function, *arguments, status=200):
    query = {"function": function} | {f"argument_{n}": text for n, text in enumerate(arguments)}
    answer = visit.client.get(f"/chain/contract/{name}", params=query)
    assert answer.status_code == status, answer.text
    return answer.text


def test_every_contract_has_a_page_of_what_it_can_do(town, guest):
    listed = guest.page("/chain/contracts")
    for name in town.chain.network.contracts:
        assert f'href="/chain/contract/{name}"' in listed
        assert "How it was compiled" in guest.page(f"/chain/contract/{name}")


@pytest.mark.parametrize("name", ["Nothing", "coin", "²", "%2e%2e%2fCoin"])
def test_a_contract_that_nobody_knows_is_not_found(guest, name):
    assert guest.client.get(f"/chain/contract/{name}").status_code in (404, 422)


def test_a_contract_answers_what_it_is_asked(town, guest):
    assert "tUSD" in ask(guest, "Coin", "symbol()")
    balance = town.coins(town.owner.address)
    assert f"{balance:,}" in ask(guest, "Coin", "balanceOf(address)", town.owner.address)


@pytest.mark.parametrize("text", ["", "x", "²", "0x12", "1e9", "9" * 20_000])
def test_a_wrong_argument_is_named(guest, text):
    assert "notice danger" in ask(guest, "Coin", "balanceOf(address)", text)


@pytest.mark.parametrize("text", ["", "-1", "²x", "1.5", "1e999999", "9" * 80, "9" * 5_000, "[1]"])
def test_a_number_that_does_not_fit_is_named(guest, text):
    assert "notice danger" in ask(guest, "Works", "ownerOf(uint256)", text)


def test_what_the_contract_refuses_is_told_in_its_words(guest):
    assert "notice danger" in ask(guest, "Works", "ownerOf(uint256)", "999999999")


def test_a_function_that_is_none_is_not_found(guest):
    ask(guest, "Coin", "selfdestruct()", status=404)


def test_a_visitor_writes_to_a_contract_after_a_review(town, guest):
    fields = {
        "contract": "Coin",
        "function": "transfer(address,uint256)",
        "argument_0": NOBODY,
        "argument_1": "1,000",
    }
    assert "units of gas" in guest.review("console.write", **fields)
    before = town.coins(NOBODY)
    assert "was carried out in block" in guest.do("console.write", **fields)
    assert town.coins(NOBODY) - before == 1_000


def test_a_write_that_the_contract_refuses_tells_its_reason_before_it_is_sent(guest):
    page = guest.refused(
        "console.write",
        contract="Coin",
        function="transfer(address,uint256)",
        argument_0=NOBODY,
        argument_1=str(10**30),
    )
    assert "The contract refuses this: erc20: transfer amount exceeds balance" in page


@pytest.mark.parametrize(
    "changed",
    [
        {"contract": ""},
        {"contract": "Nothing"},
        {"function": ""},
        {"function": "nothing()"},
        {"argument_0": "x"},
        {"argument_1": "²"},
        {"argument_1": ""},
        {"argument_1": "1e999999"},
        {"value": "1.5"},
        {"value": "²"},
        {"value": "-1"},
        {"value": "9" * 31},
        {"value": "1"},
    ],
)
def test_a_wrong_write_is_refused(guest, changed):
    fields = {"contract": "Coin", "function": "transfer(address,uint256)"}
    fields |= {"argument_0": NOBODY, "argument_1": "1"}
    guest.refused("console.write", **{**fields, **changed})


# ------------------------------------------------------------ what a page costs


def test_a_block_costs_the_node_a_handful_of_messages(town, guest, transfer, monkeypatch):
    messages = []
    rpc = town.chain.rpc
    call, batch = rpc.call, rpc.batch

    def counted(ask):
        def asked(*arguments, **options):
            messages.append(arguments)
            return ask(*arguments, **options)

        return asked

    monkeypatch.setattr(rpc, "call", counted(call))
    monkeypatch.setattr(rpc, "batch", counted(batch))
    for path in (
        f"/chain/block/{transfer.block_number}",
        f"/chain/transaction/{transfer.transaction_hash}",
        f"/chain/address/{town.owner.address}",
        "/chain",
        "/trust",
        "/explore",
    ):
        messages.clear()
        assert guest.client.get(path).status_code == 200
        assert len(messages) <= 8, (path, messages)


def test_a_till_that_is_deployed_later_is_recognised_then(town):
    now = [0.0]
    decoder = Decoder(town.chain, lambda: now[0])
    work = town.work("Late")
    assert decoder.work_of_till(work.till) is None
    town.transact(town.chain.contract("Works").transaction("deploy_till", work.work_id))
    now[0] += 60
    assert decoder.work_of_till(work.till) == work.work_id
    assert re.fullmatch("0x[0-9a-fA-F]{40}", work.till)
