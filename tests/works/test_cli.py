# SPDX-License-Identifier: Apache-2.0
"""``koinon works …`` as people and programs run it, on a data directory and chain of their own."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from koinon.chain.contract import Call
from koinon.cli import main
from koinon.errors import KoinonError
from koinon.node import Node
from koinon.settings import Settings
from koinon.terminal import Session, Terminal
from koinon.works.api import Works
from koinon.works.cli import group
from koinon.works.shares import OWNER, WHOLE
from koinon.works.till import ETH

pytestmark = pytest.mark.e2e

FRIEND = "0x" + "22" * 20
NOBODY = 10**80
CARD: dict[str, Any] = {
    "name": "A song",
    "description": "Sung by a test.",
    "card": {
        "kind": "artwork",
        "summary": "A song.",
        "data": "None.",
        "limits": ["Only a test."],
        "contest": "Tell the tester.",
        "unmeasured": "Taste.",
    },
}


@pytest.fixture(scope="module")
def node(tmp_path_factory, anvil_path):
    """The singer's node, kept open so that every command attaches to it."""
    settings = replace(Settings.load({}, home=tmp_path_factory.mktemp("singer")), anvil=anvil_path)
    with Node.open(settings) as opened:
        yield opened


@pytest.fixture(scope="module")
def works(node):
    return Works(node.chain, node.store, node.operator)


@pytest.fixture(scope="module")
def remixer(node, tmp_path_factory):
    """Somebody else with a key and a content store of their own, on the same chain."""
    home = tmp_path_factory.mktemp("remixer")
    node.chain.network.save(home / "network.json")
    return home


@pytest.fixture
def card(tmp_path):
    """Write a card file; its path."""

    def write(content=CARD, **changes):
        path = tmp_path / "card.json"
        path.write_text(content if isinstance(content, str) else json.dumps({**content, **changes}))
        return str(path)

    return write


@pytest.fixture
def koinon(node, monkeypatch, capsys):
    """Run ``koinon works …``: (exit status, stdout, stderr)."""
    for name in ("KOINON_PASSWORD", "KOINON_RPC_URL", "KOINON_NETWORK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KOINON_LANG", "en")
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments, home=node.settings.home, rpc_url=""):
        monkeypatch.setenv("KOINON_HOME", str(home))
        monkeypatch.setenv("KOINON_RPC_URL", rpc_url)
        capsys.readouterr()
        status = main(["works", *map(str, arguments)])
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


@pytest.fixture
def ask(koinon):
    """Run a command with ``--json`` that must succeed; its document."""

    def run(*arguments, **options):
        status, out, err = koinon(*arguments, "--json", **options)
        assert (status, err) == (0, "")
        return json.loads(out)

    return run


@pytest.fixture
def refuse(koinon, works):
    """Run a command with ``--json`` that must fail and change nothing; its problem document."""

    def run(status, *arguments, **options):
        before = works.contract.call("total")
        found, out, err = koinon(*arguments, "--json", **options)
        assert (found, out) == (status, "")
        problem = json.loads(err)
        assert "Traceback" not in err
        assert works.contract.call("total") == before
        return problem

    return run


def pay(works, work_id, amount):
    works.chain.sender(works.key).send(works.chain.coin.transaction("mint", works.till_of(work_id), amount))


# Publish


def test_publish_and_show_as_documents(ask, card, works):
    published = ask("publish", card(), "--share", f"{FRIEND}=30%", "--royalty", "500")
    work_id = published["work_id"]
    shares = {OWNER: 700_000_000, FRIEND: 300_000_000}
    assert published == {
        "work_id": works.contract.call("total"),
        "till": works.till_of(work_id),
        "uri": works.contract.call("tokenURI", work_id),
        "shares": shares,
    }
    assert works.contract.call("royaltyInfo", work_id, 1000) == (published["till"], 50)
    found = ask("show", work_id)
    assert found.pop("registration")["koinon"] == {"card": CARD["card"], "shares": shares}
    assert found == {
        "work_id": work_id,
        "owner": works.key.address,
        "signer": works.key.address,
        "agent": None,
        "till": published["till"],
        "parents": [],
        "shares": shares,
        "balances": {works.chain.coin.address: 0, ETH: 0},
        "faults": {},
    }


def test_publish_and_show_for_people(koinon, card, ask):
    status, out, err = koinon("publish", card(), "--share", f"{FRIEND}=30%")
    assert status == 0
    assert "test money" in err
    assert "A song is Work" in out
    assert f"30.0000%  {FRIEND}" in out
    assert "70.0000%  its owner" in out
    work_id = int(out.split("is Work ")[1].split(".")[0])
    till = ask("show", work_id)["till"]
    status, out, err = koinon("show", work_id)
    assert status == 0
    for line in (f"Work {work_id} A song", "Sung by a test.", till, "0 tUSD waiting", "0 ETH waiting"):
        assert line in out


def test_a_work_without_shares_is_all_its_owners(ask, card, works):
    published = ask("publish", card())
    assert published["shares"] == {OWNER: WHOLE}
    assert not works.is_deployed(published["work_id"]), "one transaction, no till in vain"


@pytest.mark.parametrize(
    "name", ["A [red]song[/bold]", "[/]", "ends with \\", "\x1b]0;owned\x07\x1b[2J", "a\nb", "\u202elive"]
)
def test_a_hostile_name_is_only_text(koinon, card, name):
    status, out, _err = koinon("publish", card(name=name, description=name))
    assert status == 0
    work_id = int(out.split("is Work ")[1].split(".")[0])
    status, shown, _err = koinon("show", work_id)
    assert status == 0
    for text in (out, shown):
        assert not {sign for sign in text if not sign.isprintable()} - {"\n"}
    assert name.isprintable() is (name in shown)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("", "works.card"),
        ("{", "works.card"),
        ("\x00", "works.card"),
        ("NaN", "works.card"),
        ("[]", "works.registration"),
        ("null", "works.registration"),
        ("{}", "works.registration"),
        (json.dumps({**CARD, "name": 7}), "works.registration"),
        (json.dumps({**CARD, "name": " "}), "works.registration"),
        (json.dumps({**CARD, "description": None}), "works.registration"),
        (json.dumps({**CARD, "card": []}), "works.registration"),
        (json.dumps({**CARD, "card": {**CARD["card"], "limits": []}}), "works.registration"),
        (json.dumps({**CARD, "card": {**CARD["card"], "unmeasured": ""}}), "works.registration"),
        (json.dumps({**CARD, "card": {**CARD["card"], "metric": {}}}), "works.registration"),
        (json.dumps({**CARD, "card": {**CARD["card"], "metrics": 1}}), "works.card"),
        (json.dumps({**CARD, "discription": ""}), "works.card"),
    ],
)
def test_a_malformed_card_is_refused_before_anything_is_published(refuse, card, content, code):
    problem = refuse(2, "publish", card(content))
    assert problem["code"] == code
    assert problem["status"] == 422


def test_a_card_that_is_not_there(refuse, tmp_path):
    assert refuse(2, "publish", tmp_path / "none.json")["status"] == 404
    assert refuse(2, "publish", tmp_path)["code"] == "usage.command_line"


@pytest.mark.parametrize(
    "shares",
    [
        ["0%"],
        ["101%"],
        ["abc"],
        ["60%", "40.1%"],
        ["10%", "10%"],
    ],
)
def test_shares_that_do_not_fit_are_refused_before_anything_is_published(refuse, card, shares):
    payees = [FRIEND, "0x" + "33" * 20] if shares[0] != "10%" else [FRIEND, FRIEND]
    given = [
        part for payee, share in zip(payees, shares, strict=False) for part in ("--share", f"{payee}={share}")
    ]
    problem = refuse(2, "publish", card(), *given)
    assert problem["detail"], "a hint"


@pytest.mark.parametrize(
    "option",
    [
        ["--royalty", "-1"],
        ["--royalty", "10001"],
        ["--royalty", "1%"],
        ["--share", f"{FRIEND[:-1]}=30%"],
        ["--parent", "1"],
        ["--parent", "1=0%"],
        ["--parent", f"{NOBODY}=10%"],
        ["--parent", "1=10%", "--parent", "1=20%"],
        ["--parent", "1=10%", "--permission", "1=what"],
    ],
)
def test_other_options_that_make_no_sense_are_refused(refuse, card, option):
    assert refuse(2, "publish", card(), *option)["detail"]


# Show


@pytest.mark.parametrize("work_id", [0, 999_999, 2**256, NOBODY])
def test_a_work_that_nobody_published(refuse, work_id):
    for command in ("show", "collect"):
        problem = refuse(2, command, work_id)
        assert problem["code"] == "works.work"
        assert problem["detail"]


def test_a_work_whose_file_is_elsewhere_is_still_shown(ask, koinon, card, node, remixer):
    published = ask("publish", card(), "--share", f"{FRIEND}=30%", home=remixer, rpc_url=node.chain.rpc.url)
    found = ask("show", published["work_id"])
    assert found["till"] == published["till"]
    assert found["registration"] is found["shares"] is found["signer"] is None
    assert set(found["faults"]) == {"registration", "shares"}
    status, out, err = koinon("show", published["work_id"])
    assert status == 0
    assert published["till"] in out
    assert found["faults"]["registration"] in err


def test_a_changed_file_is_not_believed(ask, card, node):
    published = ask("publish", card(name="Changed on disk"))
    cid = published["uri"].removeprefix("ipfs://")
    (block,) = node.store.path.glob(f"??/{cid}")
    block.write_bytes(block.read_bytes().replace(b"Changed", b"chanGed"))
    found = ask("show", published["work_id"])
    assert found["registration"] is None
    assert "changed on disk" in found["faults"]["registration"]


# Collect


def test_income_is_collected_once_to_the_unit(ask, koinon, card, works):
    work_id = ask("publish", card(), "--share", f"{FRIEND}=30%")["work_id"]
    pay(works, work_id, 1_000_001)
    found = ask("collect", work_id, work_id)
    coin = works.chain.coin.address
    assert found["account"] == works.key.address
    assert found["received"] == 700_000
    assert found["skipped"] == {}
    assert sorted(found["payouts"], key=lambda payout: payout["amount"]) == [
        {"work_id": work_id, "token": coin, "payee": FRIEND, "receiver": FRIEND, "amount": 300_000},
        {"work_id": work_id, "token": coin, "payee": OWNER, "receiver": works.key.address, "amount": 700_000},
    ]
    assert ask("show", work_id)["balances"][coin] == 1
    assert koinon("collect", work_id)[1] == "Nothing was due.\n"
    pay(works, work_id, 1_500_000)
    status, out, _err = koinon("collect", work_id)
    assert status == 0
    assert "1.05 tUSD" in out
    assert "0.45 tUSD" in out


def test_eth_is_collected_when_asked_for(ask, card, works):
    work_id = ask("publish", card())["work_id"]
    works.chain.sender(works.key).send(Call(works.till_of(work_id), value=10**9))
    assert ask("collect", work_id)["payouts"] == []
    assert ask("collect", work_id, "--token", "eth")["received"] == 10**9
    assert ask("collect", work_id, "--token", ETH)["received"] == 0


def test_nothing_is_paid_where_one_of_the_works_does_not_exist(ask, refuse, card, works):
    work_id = ask("publish", card())["work_id"]
    pay(works, work_id, 7)
    assert refuse(2, "collect", work_id, NOBODY)["code"] == "works.work"
    assert ask("collect", work_id)["received"] == 7


@pytest.mark.parametrize("arguments", [[], ["one"], ["1", "--token", "coin"], ["1", "--token", FRIEND[:-1]]])
def test_a_collection_that_makes_no_sense(refuse, arguments):
    assert refuse(2, "collect", *arguments)["detail"]


# Parents


def test_a_lineage_from_the_rule_to_the_payout(ask, koinon, refuse, card, node, works, remixer):
    there = {"home": remixer, "rpc_url": node.chain.rpc.url}
    song = ask("publish", card())["work_id"]
    rule = ask("parents", song, "open", "--minimum", "10%")
    assert rule == {"work_id": song, "mode": "open", "minimum_share": WHOLE // 10}
    assert works.contract.call("parent_rule", song) == (1, WHOLE // 10)
    assert refuse(4, "publish", card(), "--parent", f"{song}=9%", **there)["title"]
    remix = ask("publish", card(name="A remix"), "--parent", f"{song}=20%", **there)
    assert remix["shares"] == {OWNER: 800_000_000, works.till_of(song): 200_000_000}
    pay(works, remix["work_id"], 100)
    assert ask("collect", remix["work_id"], **there)["received"] == 80
    assert ask("collect", song)["received"] == 20
    found = ask("show", remix["work_id"])
    till = ask("show", song)["till"]
    assert found["parents"] == [{"work_id": song, "minimum_share": 200_000_000, "till": till}]
    assert f"made from Work {song}, which gets 20.0000%" in koinon("show", remix["work_id"])[1]
    status, out, _err = koinon("parents", song, "closed")
    assert (status, out) == (0, f"Work {song} may now be a parent: closed.\n")
    assert "closed" in refuse(4, "publish", card(), "--parent", f"{song}=20%", **there)["title"]


def test_a_permission_lets_one_publisher_in(ask, koinon, refuse, card, node, works, remixer):
    there = {"home": remixer, "rpc_url": node.chain.rpc.url}
    with Node.open(
        replace(node.settings, home=remixer, network=remixer / "network.json", rpc_url=there["rpc_url"])
    ) as theirs:
        publisher = theirs.operator.address
    song = ask("publish", card())["work_id"]
    parent = ["--parent", f"{song}=5%"]
    assert "not asked" in refuse(4, "publish", card(), *parent, **there)["title"]
    given = ask("permit", song, publisher, "5%", "--days", "1")
    assert (given["publisher"], given["minimum_share"]) == (publisher, WHOLE // 20)
    assert 0 < given["deadline"] - node.chain.timestamp() <= 86_400
    permission = f"{song}={given['permission']}"
    refuse(4, "publish", card(), "--parent", f"{song}=4%", "--permission", permission, **there)
    assert ask("publish", card(), *parent, "--permission", permission, **there)["work_id"] > song
    said = koinon("permit", song, publisher, "5%")[1]
    assert f"--parent {song}=5% --permission {song}=0x" in said
    assert refuse(5, "permit", song, publisher, "5%", **there)["code"] == "works.not_owner"


@pytest.mark.parametrize(
    "arguments",
    [
        ["parents", "1", "anyone"],
        ["parents", "1", "open", "--minimum", "0%"],
        ["parents", "1", "open", "--minimum", "101%"],
        ["parents", "1", "open", "--minimum", "some"],
        ["parents", "1", "closed", "--minimum", "10%"],
        ["parents", NOBODY, "open"],
        ["permit", "1", FRIEND, "0%"],
        ["permit", "1", FRIEND[:-1], "5%"],
        ["permit", "1", FRIEND, "5%", "--days", "0"],
        ["permit", NOBODY, FRIEND, "5%"],
    ],
)
def test_rules_and_permissions_that_make_no_sense(refuse, arguments):
    assert refuse(2, *arguments)["detail"]


def test_only_the_owner_says_who_may_build_on_a_work(ask, refuse, card, node, remixer):
    song = ask("publish", card())["work_id"]
    problem = refuse(4, "parents", song, "closed", home=remixer, rpc_url=node.chain.rpc.url)
    assert "Not authorized" in problem["title"]


def test_every_command_answers_with_json():
    for name, command in group.commands.items():
        assert any("--json" in parameter.opts for parameter in command.params), name


def test_a_session_without_a_node_says_so(node):
    with pytest.raises(KoinonError) as caught:
        Session(node.settings, Terminal()).node()
    assert caught.value.code == "koinon.no_node"
