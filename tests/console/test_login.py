# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re

import pytest

from koinon.chain.keys import ORDER, Key
from koinon.console.operator import operator_link
from koinon.console.session import Sessions, cookie_header
from koinon.errors import SetupError
from tests.console.wallet_support import (
    BASE,
    House,
    Wallet,
    browser,
    open_console,
    send,
    send_json,
    sign_in,
    token,
)


@pytest.fixture
def house(tmp_path, chain, devnet):
    return House(tmp_path, chain, devnet.key(3))


@pytest.fixture
def app(house):
    return open_console(house)


@pytest.fixture
def client(app):
    with browser(app) as one:
        yield one


def test_a_guest_gets_an_account_with_test_money(client, chain):
    answer = send(client, "/login/guest", next="/money")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/money"
    page = client.get("/login").text
    (address,) = re.findall(r'<code title="(0x[0-9a-fA-F]{40})"', page)
    assert chain.balance(address) > 0
    assert chain.coin.call("balanceOf", address) > 0
    assert "guest" in page


def test_guests_are_counted(client, monkeypatch):
    monkeypatch.setattr("koinon.console.guest.AN_HOUR", 1)
    assert send(client, "/login/guest").status_code == 303
    assert send(client, "/login/guest").status_code == 402


def test_there_are_no_guests_where_money_is_real(client, monkeypatch):
    monkeypatch.setattr("koinon.chain.testnode.dialect", lambda rpc: None)
    assert "Come in as a guest" not in client.get("/login").text
    assert send(client, "/login/guest").status_code == 403


def test_the_operators_link_is_good_once_and_keeps_its_code_out_of_the_request(client, house):
    link = operator_link(house.settings, BASE)
    address, _, code = link.url.partition("#")
    assert code == link.code
    assert address == f"{BASE}/login/operator"
    assert code not in repr(link)
    answer = send(client, "/login/operator", code=code.lower())
    assert answer.status_code == 303
    assert "SameSite=Strict" in answer.headers["set-cookie"]
    assert f'title="{house.operator.address}"' in client.get("/login").text
    with browser(client.app) as other:
        assert send(other, "/login/operator", code=code).status_code == 403


def test_a_wrong_or_old_code_lets_nobody_in(client, house, app):
    assert send(client, "/login/operator", code="AAAAA-AAAAA-AAAAA-AAAAA-AAAAA").status_code == 403
    code = operator_link(house.settings, BASE).code
    app.state.records.change("UPDATE operator_code SET expires_at = 0")
    assert send(client, "/login/operator", code=code).status_code == 403


def test_a_wallet_comes_in_by_signing(client, chain):
    wallet = Wallet(chain)
    answer = sign_in(client, wallet)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"next": "/me"}
    page = client.get("/login").text
    assert wallet.address in page
    assert "your wallet" in page


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("127.0.0.1:8400 wants", "evil.example wants"),
        ("Chain ID: ", "Chain ID: 9"),
        ("moves no money", "moves all money"),
        ("Nonce: ", "Nonce: a"),
    ],
)
def test_a_message_that_the_node_did_not_write_is_refused(client, chain, old, new):
    wallet = Wallet(chain)
    message = send_json(client, "/login/wallet/message", {"address": wallet.address}).json()["message"]
    forged = message.replace(old, new)
    assert forged != message
    signature = wallet.request("personal_sign", ["0x" + forged.encode().hex(), wallet.address])
    answer = send_json(client, "/login/wallet", {"message": forged, "signature": signature})
    assert answer.status_code in (403, 422)
    assert wallet.address not in client.get("/login").text


def test_a_signed_message_is_worth_nothing_a_second_time_or_in_another_browser(client, app, chain):
    wallet = Wallet(chain)
    message = send_json(client, "/login/wallet/message", {"address": wallet.address}).json()["message"]
    signature = wallet.request("personal_sign", ["0x" + message.encode().hex(), wallet.address])
    fields = {"message": message, "signature": signature}
    with browser(app) as thief:
        assert send_json(thief, "/login/wallet", fields).status_code == 403
    answer = send_json(client, "/login/wallet", fields)
    assert answer.status_code == 403  # the thief's attempt used it up
    assert answer.json()["code"] == "login.nonce"


def test_another_signer_and_a_malleable_signature_are_refused(client, chain):
    wallet, other = Wallet(chain), Wallet(chain)
    for spoil in (False, True):
        message = send_json(client, "/login/wallet/message", {"address": wallet.address}).json()["message"]
        signer = wallet if spoil else other
        text = signer.request("personal_sign", ["0x" + message.encode().hex(), signer.address])
        raw = bytes.fromhex(text[2:])
        if spoil:  # (r, n - s) with the other v signs the same, for whoever does not look
            high = (ORDER - int.from_bytes(raw[32:64], "big")).to_bytes(32, "big")
            raw = raw[:32] + high + bytes((55 - raw[64],))
        answer = send_json(client, "/login/wallet", {"message": message, "signature": "0x" + raw.hex()})
        assert answer.status_code == 403
        assert answer.json()["code"] == "login.signer"


@pytest.mark.parametrize("signature", ["", "0x", "0xzz", "no", "0x" + "00" * 9_000])
def test_nonsense_for_a_signature_is_refused(client, chain, signature):
    wallet = Wallet(chain)
    message = send_json(client, "/login/wallet/message", {"address": wallet.address}).json()["message"]
    answer = send_json(client, "/login/wallet", {"message": message, "signature": signature})
    assert answer.status_code == 422


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"address": 3}', b'{"address": "0x1"}', b"x" * 40_000])
def test_nonsense_for_a_request_is_refused(client, body):
    headers = {"X-CSRF-Token": token(client), "Accept": "application/json"}
    assert client.post("/login/wallet/message", content=body, headers=headers).status_code == 422


def test_a_planted_cookie_is_worth_nothing_after_coming_in(app, chain):
    with browser(app) as attacker, browser(app) as victim:
        attacker.get("/login")
        name = app.state.sessions.cookie
        planted = attacker.cookies[name]
        victim.cookies.set(name, planted)
        assert sign_in(victim, wallet := Wallet(chain)).status_code == 200
        assert wallet.address not in attacker.get("/login").text


def test_going_out_ends_the_session_on_the_server(client, app, chain):
    sign_in(client, Wallet(chain))
    name = app.state.sessions.cookie
    stolen = [cookie.value for cookie in client.cookies.jar if cookie.name == name][-1]
    assert app.state.sessions.find(stolen) is not None
    assert send(client, "/logout").status_code == 303
    assert app.state.sessions.find(stolen) is None


def test_a_change_without_the_sessions_token_is_refused(client, app):
    good = token(client)
    assert client.post("/login/guest", data={}).status_code == 403
    assert client.post("/login/guest", data={"csrf_token": "0" * 64}).status_code == 403
    with browser(app) as other:
        assert client.post("/login/guest", data={"csrf_token": token(other)}).status_code == 403
    with browser(app) as fresh:  # the right token, without its cookie
        assert fresh.post("/login/guest", data={"csrf_token": good}).status_code == 403
    assert client.post("/login/guest", data={"csrf_token": good}).status_code == 303


def test_a_change_sent_from_another_site_is_refused(client):
    fields = {"csrf_token": token(client)}
    for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert client.post("/login/guest", data=fields, headers=headers).status_code == 403


def test_an_uploads_token_is_read_from_its_first_field_only(client):
    good = token(client)
    parts = {"csrf_token": (None, good), "file": ("a.bin", b"x" * 200_000)}
    assert client.post("/login/guest", files=parts).status_code == 303
    client.cookies.clear()
    good = token(client)
    parts = {"file": ("a.bin", b'name="csrf_token"\r\n\r\n' + good.encode()), "csrf_token": (None, "0" * 64)}
    assert client.post("/login/guest", files=parts).status_code == 403


def test_cookies_are_kept_from_scripts_and_strangers(client):
    line = client.get("/login").headers["set-cookie"]
    assert "HttpOnly" in line
    assert "SameSite=Lax" in line
    assert "Secure" not in line
    assert "Secure" in cookie_header("c", "v", "wallet", 1, secure=True)
    assert "SameSite=Strict" in cookie_header("c", "v", "operator", 1, secure=True)


def test_over_https_the_cookie_is_secure(app):
    with browser(app, "https://localhost") as client:
        assert "Secure" in client.get("/login").headers["set-cookie"]


def test_sessions_outlive_the_process_and_end_in_time(house, app, chain):
    name = app.state.sessions.begin("wallet", Key.generate().address)
    again = open_console(house)
    assert again.state.sessions.find(name).kind == "wallet"
    later = Sessions(again.state.records, clock=lambda: 10**11)
    assert later.find(name) is None
    assert again.state.sessions.find(name) is None


def test_the_database_does_not_hold_what_lets_one_in(house, app):
    name = app.state.sessions.begin("operator", house.operator.address)
    code = operator_link(house.settings, BASE).code
    files = b"".join(path.read_bytes() for path in house.settings.home.glob("console.sqlite*"))
    assert name.encode() not in files
    assert code.encode() not in files
    assert code.replace("-", "").encode() not in files


def test_the_session_closest_to_its_end_makes_room(app, monkeypatch):
    monkeypatch.setattr("koinon.console.session.SESSIONS", 2)
    names = [
        app.state.sessions.begin(kind, Key.generate().address) for kind in ("guest", "operator", "wallet")
    ]
    assert [app.state.sessions.find(name) is not None for name in names] == [True, False, True]


@pytest.mark.parametrize(
    "where", ["//evil.example", "https://evil.example", "/\\evil.example", "evil", "/a b"]
)
def test_coming_in_leads_nowhere_else(client, where):
    answer = send(client, "/login/guest", next=where)
    assert answer.headers["location"] == "/me"


def test_no_page_shows_a_key_or_a_code(client, house):
    operator_link(house.settings, BASE)
    send(client, "/login/guest")
    secrets = [(house.settings.keys / "guests" / "password").read_text()]
    for path in ("/login", "/login/operator", "/actions"):
        page = client.get(path).text
        assert not any(secret in page for secret in secrets)
        assert "console.secret" not in page


def test_records_that_cannot_be_opened_are_told(tmp_path, chain, devnet):
    (tmp_path / "console.sqlite").write_bytes(b"this is no database, and long enough to be read as one" * 40)
    with pytest.raises(SetupError) as caught:
        open_console(House(tmp_path, chain, devnet.key(3)))
    assert caught.value.code == "setup.console"


def test_the_ways_in_are_told_in_chinese_too(client):
    page = client.get("/zh-hant/login").text
    assert "你想用哪種方式登入" in page
    assert 'action="/zh-hant/login/guest"' in page
