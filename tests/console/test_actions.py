# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import time

import pytest

from koinon.chain.keys import Key
from koinon.console.records import Records
from koinon.console.tasks import Task
from koinon.errors import UsageError
from koinon.web import Outcome
from tests.console.wallet_support import (
    House,
    Wallet,
    browser,
    open_console,
    send,
    send_json,
    sign_in,
)

PATIENCE_S = 30.0
COLUMNS = ("id", "owner", "name", "fields", "language", "state", "title", "created_at", "changed_at")


@pytest.fixture
def house(tmp_path, chain, devnet):
    return House(tmp_path, chain, devnet.key(4))


@pytest.fixture
def app(house):
    return open_console(house)


@pytest.fixture
def client(app):
    with browser(app) as one:
        yield one


@pytest.fixture
def wallet(client, chain, house):
    one = Wallet(chain)
    house.fund(one.address)
    assert sign_in(client, one).status_code == 200
    return one


def ask(client, name="test.mint", **fields):
    """Send a form in; the path of its review."""
    answer = send(client, f"/act/{name}", **{"amount": "5", **fields})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def begin(client, **fields):
    path = ask(client, **fields)
    assert send(client, f"{path}/begin").status_code == 303
    return path


def finished(client, path):
    """The page once nothing moves any more."""
    deadline = time.monotonic() + PATIENCE_S
    while 'data-state="running"' in (page := client.get(path).text):
        assert time.monotonic() < deadline, page
        time.sleep(0.02)
    return page


def wish(client, path):
    """What the wallet is asked for, once it is."""
    deadline = time.monotonic() + PATIENCE_S
    while (found := client.get(f"{path}/wish").json()) is None:
        assert time.monotonic() < deadline
        assert 'data-state="running"' in client.get(path).text, client.get(path).text
        time.sleep(0.02)
    return found


def answer(client, path, asked, text, kind="result"):
    fields = {"wish": asked["id"], "kind": kind, "text": text}
    return send_json(client, f"{path}/answer", fields).json()["taken"]


def state(page):
    return page.split('data-state="', 1)[1].split('"', 1)[0]


def test_a_guest_reads_the_review_agrees_and_sees_what_happened(client, chain):
    send(client, "/login/guest")
    path = ask(client)
    review = client.get(path).text
    assert "Mint 5?" in review
    assert "New coins come into being." in review
    assert "Your guest account signs" in review
    before = chain.block_number()
    send(client, f"{path}/begin")
    page = finished(client, path)
    assert state(page) == "done"
    assert "The coins are there." in page
    assert chain.block_number() > before
    assert "/chain/transaction/0x" in page
    assert "Mint 5?" in client.get("/actions").text


def test_nothing_is_signed_before_the_visitor_agrees(client, chain):
    send(client, "/login/guest")
    before = chain.block_number()
    path = ask(client)
    client.get(path)
    send(client, f"{path}/cancel")
    assert "Nothing was changed" in client.get(path).text
    send(client, f"{path}/begin")  # too late: it was left
    assert chain.block_number() == before


def test_a_wrong_form_is_told_at_once(client):
    send(client, "/login/guest")
    answer = send(client, "/act/test.mint", amount="many")
    assert answer.status_code == 422
    assert "The amount is not a number." in answer.text
    assert send(client, "/act/test.unknown").status_code == 404


def test_who_is_nobody_comes_in_first_and_finds_the_form_again(client):
    answer = send(client, "/act/test.mint", amount="7")
    assert answer.headers["location"].startswith("/login?next=%2Factions%2F")
    where = answer.headers["location"].partition("next=")[2].replace("%2F", "/")
    led = send(client, "/login/guest", next=where)
    assert led.headers["location"] == where
    assert "Mint 7?" in client.get(where).text


def test_the_operators_key_and_a_persons_are_never_confused(client, app, house, chain):
    name = app.state.sessions.begin("operator", house.operator.address)
    client.cookies.set(app.state.sessions.cookie, name)
    path = ask(client)
    assert "This node&#39;s own key signs" in (page := client.get(path).text) or "own key signs" in page
    with browser(app) as other:
        send(other, "/login/guest")
        assert other.get(path).status_code == 404
        assert send(other, f"{path}/begin").status_code == 404
        assert send(other, f"{path}/cancel").status_code == 404
        assert other.get(f"{path}/wish").status_code == 404


def test_a_wallet_signs_each_transaction_in_the_browser(client, wallet, chain):
    path = begin(client, times="2")
    for _ in range(2):
        asked = wish(client, path)
        assert asked["method"] == "eth_sendTransaction"
        assert "Coin" in client.get(path).text
        assert answer(client, path, asked, wallet.request(asked["method"], asked["params"]))
    page = finished(client, path)
    assert state(page) == "done", page
    assert chain.coin.call("balanceOf", wallet.address) == 10
    assert page.count("/chain/transaction/0x") >= 2


def test_a_wallet_signs_typed_data_that_it_can_show(client, wallet):
    path = begin(client, name="test.sign")
    asked = wish(client, path)
    assert asked["method"] == "eth_signTypedData_v4"
    assert "contentHash" in client.get(path).text
    assert answer(client, path, asked, wallet.request(asked["method"], asked["params"]))
    assert state(finished(client, path)) == "done"


def test_a_wallet_that_signs_with_another_key_is_not_believed(client, wallet, chain):
    path = begin(client, name="test.sign")
    asked = wish(client, path)
    liar = Wallet(chain)
    liar.address = wallet.address
    assert answer(client, path, asked, liar.request(asked["method"], asked["params"]))
    page = finished(client, path)
    assert state(page) == "failed"
    assert "action.signature" in page


@pytest.mark.parametrize("field", ["to", "data", "value"])
def test_a_wallet_that_sends_something_else_is_not_believed(client, wallet, field):
    path = begin(client)
    asked = wish(client, path)
    other = {"to": Key.generate().address, "data": asked["params"][0]["data"][:-1] + "9", "value": "0x1"}
    sent = {**asked["params"][0], field: other[field], "gas": hex(200_000)}
    if field == "value":
        sent["data"], sent["to"] = asked["params"][0]["data"], Key.generate().address
    answer(client, path, asked, wallet.request("eth_sendTransaction", [sent]))
    page = finished(client, path)
    assert state(page) == "failed"
    assert "action.other_transaction" in page


def test_an_old_transaction_does_not_count_again(client, wallet, chain):
    first = begin(client)
    asked = wish(client, first)
    old = wallet.request(asked["method"], asked["params"])
    answer(client, first, asked, old)
    finished(client, first)
    second = begin(client)
    asked = wish(client, second)
    answer(client, second, asked, old)
    assert state(finished(client, second)) == "failed"


@pytest.mark.parametrize("nonsense", ["", "0x12", "yes", "0x" + "zz" * 32])
def test_nonsense_for_a_transaction_is_refused(client, wallet, nonsense):
    path = begin(client)
    answer(client, path, wish(client, path), nonsense)
    page = finished(client, path)
    assert "action.transaction" in page


def test_a_transaction_that_nobody_sees_is_given_up(client, wallet, monkeypatch):
    monkeypatch.setattr("koinon.console.wallet.SEEN_S", 0.1)
    path = begin(client)
    answer(client, path, wish(client, path), "0x" + "ab" * 32)
    assert "action.unseen" in finished(client, path)


def test_a_wallet_that_pays_more_for_the_same_call_is_followed(client, wallet, chain):
    path = begin(client)
    asked = wish(client, path)
    rpc = chain.rpc
    fields = asked["params"][0]
    nonce = int(rpc.call("eth_getTransactionCount", wallet.address, "pending"), 16)

    def raw(times):
        return wallet.account.sign_transaction(
            {
                "to": fields["to"],
                "data": fields["data"],
                "value": 0,
                "gas": 200_000,
                "nonce": nonce,
                "maxFeePerGas": times * 10**11,
                "maxPriorityFeePerGas": times * 10**9,
                "chainId": chain.chain_id,
            }
        ).raw_transaction.hex()

    rpc.call("evm_setAutomine", False)
    try:
        slow = rpc.call("eth_sendRawTransaction", "0x" + raw(1))
        answer(client, path, asked, slow)
        deadline = time.monotonic() + PATIENCE_S
        while slow not in client.get(path).text and time.monotonic() < deadline:
            time.sleep(0.02)
        rpc.call("eth_sendRawTransaction", "0x" + raw(3))
        rpc.call("evm_mine")
    finally:
        rpc.call("evm_setAutomine", True)
    assert state(finished(client, path)) == "done"


def test_a_refusal_ends_it_and_says_so(client, wallet):
    path = begin(client)
    answer(client, path, wish(client, path), "", kind="refused")
    page = finished(client, path)
    assert state(page) == "failed"
    assert "The wallet refused to sign." in page
    again = send(client, f"{path}/again").headers["location"]
    assert "Mint 5?" in client.get(again).text


def test_a_call_that_would_fail_never_reaches_the_wallet(client, wallet, chain):
    limit = chain.coin.call("mintLimit")
    path = begin(client, amount=str(limit + 1))
    page = finished(client, path)
    assert state(page) == "failed"
    assert "coin: more than the limit" in page
    assert wallet.asked[-1][0] == "personal_sign"


def test_cancelling_signs_nothing_more(client, wallet):
    path = begin(client)
    asked = wish(client, path)
    send(client, f"{path}/cancel")
    assert state(finished(client, path)) == "cancelled"
    assert answer(client, path, asked, "0x" + "ab" * 32) is False


def test_a_wallet_that_never_answers_is_given_up(client, wallet, app):
    app.state.desk._answer_s = 0.05
    path = begin(client)
    assert "action.no_answer" in finished(client, path)


def test_an_answer_counts_once_and_only_for_what_is_asked(client, wallet):
    path = begin(client)
    asked = wish(client, path)
    assert answer(client, path, {"id": "another"}, "0x") is False
    assert answer(client, path, asked, "x", kind="shrug") is False
    assert answer(client, path, asked, wallet.request(asked["method"], asked["params"])) is True
    assert answer(client, path, asked, "again") is False
    assert state(finished(client, path)) == "done"


def test_pressing_twice_does_it_once(client, wallet, chain):
    path = begin(client)
    send(client, f"{path}/begin")
    asked = wish(client, path)
    answer(client, path, asked, wallet.request(asked["method"], asked["params"]))
    finished(client, path)
    send(client, f"{path}/begin")
    assert state(client.get(path).text) == "done"
    assert chain.coin.call("balanceOf", wallet.address) == 5


def test_one_visitor_cannot_fill_the_desk(client, wallet, monkeypatch):
    monkeypatch.setattr("koinon.console.desk.AT_ONCE", 1)
    first = begin(client)
    second = ask(client)
    assert send(client, f"{second}/begin").status_code == UsageError.http_status
    send(client, f"{first}/cancel")
    finished(client, first)
    assert send(client, f"{second}/begin").status_code == 303
    send(client, f"{second}/cancel")


def test_what_was_under_way_when_the_node_died_is_told_with_what_is_known(client, wallet, house, app):
    path = begin(client, times="2")
    asked = wish(client, path)
    sent = wallet.request(asked["method"], asked["params"])
    answer(client, path, asked, sent)
    deadline = time.monotonic() + PATIENCE_S
    while client.get(f"{path}/wish").json() in (None, asked) and time.monotonic() < deadline:
        time.sleep(0.02)
    again = open_console(house)  # the records as a killed process leaves them
    name = [c.value for c in client.cookies.jar if c.name == app.state.sessions.cookie][-1]
    with browser(again) as later:
        later.cookies.set(again.state.sessions.cookie, name)
        page = later.get(path).text
        assert state(page) == "interrupted"
        assert sent in page
        assert "done, in block" in page
        assert send(later, f"{path}/again").status_code == 303
    send(client, f"{path}/cancel")


def test_the_page_is_told_of_each_step(client, wallet):
    path = begin(client)
    asked = wish(client, path)
    with client.stream("GET", f"{path}/events") as lines:
        assert "text/event-stream" in lines.headers["content-type"]
        answer_text = wallet.request(asked["method"], asked["params"])
        first = next(lines.iter_lines())
    assert first == "event: change"
    answer(client, path, asked, answer_text)
    finished(client, path)


def test_records_of_an_earlier_version_are_read_and_get_what_they_lack(tmp_path):
    before = Records(tmp_path)
    before.insert("action", COLUMNS, "a1", "guest:0x1", "test.mint", "{}", "en", "done", "Mint?", 1.0, 1.0)
    before.change("ALTER TABLE action DROP COLUMN link")
    before.close()
    for _ in range(2):
        after = Records(tmp_path)
        (row,) = after.rows("SELECT title, link FROM action")
        assert (row["title"], row["link"]) == ("Mint?", "")
        after.close()


def test_the_page_s_title_and_link_are_what_came_of_it(app, client, wallet):
    path = begin(client)
    wallet_id = path.rpartition("/")[2]
    app.state.desk.cancel({"id": wallet_id})
    finished(client, path)
    task = Task(app.state.records, wallet_id, 1.0)
    task.run(lambda: Outcome("Five came.", "/money", title="They came", link="Count them"))
    page = client.get(path).text
    assert "<h1>They came</h1>" in page
    assert 'href="/money">Count them</a>' in page
