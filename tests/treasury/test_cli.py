# SPDX-License-Identifier: Apache-2.0
"""``koinon treasury …`` as people and programs run it."""

from __future__ import annotations

import io
import json
from contextlib import nullcontext
from types import SimpleNamespace

import click
import numpy as np
import pytest

from koinon.errors import BadInput, NotFound, PaymentError
from koinon.services.buying.replies import Answer
from koinon.settings import Settings
from koinon.terminal import Session, Terminal
from koinon.treasury import buying
from koinon.treasury.cli import group
from koinon.treasury.vault import DELAY_S
from tests.treasury.market_support import World, move_on, send

CHARTER = """name = "Bal[b]anced"
symbol = "BAL"
allocator = "{me}"
guardian = "{me}"
work = 1
fee_bps = 1000
[limits]
turnover_bps = 8000
slippage_bps = 100
drawdown_bps = 2000
[[strategies]]
kind = "token"
token = "{token}"
feed = "{feed}"
pair = "{pair}"
max_age_hours = 100000
max_bps = 6000
[[strategies]]
kind = "shares"
token = "{pool}"
max_bps = 5000
"""


@pytest.fixture(scope="module")
def world(own_chain, own_devnet):
    return World.build(own_chain, own_devnet.key(0))


@pytest.fixture
def manager(world, own_account):
    made = own_account()
    send(world.chain, made, world.chain.coin.transaction("mint", made.address, 50_000 * 10**6))
    return made


@pytest.fixture
def run(world, manager, tmp_path):
    """Run a command: its document with ``--json``, what it says without."""

    def command(*arguments, as_json=True):
        out = io.StringIO()
        terminal = Terminal(json_output=as_json, stdout=out, stderr=io.StringIO())
        settings = Settings.load({}, home=tmp_path)
        node = SimpleNamespace(chain=world.chain, operator=manager, settings=settings, store=None)
        session = Session(settings, terminal, opener=lambda _: nullcontext(node))
        group.main([str(each) for each in arguments], standalone_mode=False, obj=session)
        return json.loads(out.getvalue()) if as_json else out.getvalue()

    return command


@pytest.fixture
def vault(world, manager, run, tmp_path):
    works = world.chain.contract("Works")
    if not works.call("total"):
        send(world.chain, manager, works.transaction("publish", "ipfs://model", [], 0, []))
    path = tmp_path / "charter.toml"
    path.write_text(
        CHARTER.format(
            me=manager.address,
            token=world.token.address,
            feed=world.feed.address,
            pair=world.pair.address,
            pool=world.pool.address,
        )
    )
    return run("vault", "create", path, "--yes")["address"]


@pytest.fixture
def prices(tmp_path):
    generator = np.random.default_rng(1)
    table = 100 * np.cumprod(1 + generator.standard_normal((200, 2)) * [0.01, 0.03], axis=0)
    rows = [
        f"{np.datetime64('2024-01-01') + day},{first},{second}" for day, (first, second) in enumerate(table)
    ]
    path = tmp_path / "prices.csv"
    path.write_text("\n".join(["date,CALM,WILD", *rows]))
    return path


def test_a_vault_from_its_beginning_to_its_end(world, run, vault):
    shown = run("vault", "show", vault)
    assert shown["known"]
    assert shown["charter"]["fee_to"] == world.chain.contract("Works").call("till_of", 1)
    assert vault in [each["address"] for each in run("vault", "list")["vaults"]]
    assert run("vault", "deposit", vault, "1000")["shares"] == 1_000 * 10**12
    moved = run("vault", "rebalance", vault, "0=0.4", "1=0.3", "--yes")
    assert [move["target_bps"] for move in moved["moves"]] == [4_000, 3_000]
    said = run("vault", "show", vault, as_json=False)
    assert "Bal[b]anced" in said  # a name is never markup
    assert "at most 0.8 % can be lost" in said
    assert "You have 1000 BAL." in said
    with pytest.raises(BadInput, match="--yes"):
        run("vault", "mark-down", vault, "1", "9900")
    marked = run("vault", "mark-down", vault, "1", "9900", "--yes")
    assert abs(marked["worth"] - 297 * 10**6) < 10**6
    part = run("vault", "withdraw", vault, "100")
    assert part["assets"] == 100 * 10**6
    kind = run("vault", "withdraw", vault, "100", "--in-kind")
    assert len(kind["tokens"]) == 2
    assert "You got" in run("vault", "withdraw", vault, "--in-kind", "--skip", "1", as_json=False)
    with pytest.raises(PaymentError):
        run("vault", "withdraw", vault)


def test_changes_are_reviewed_announced_and_vetoed(world, run, vault, monkeypatch):
    with pytest.raises(BadInput, match="--yes"):
        run("vault", "bounds", vault, "0", "0", "5000")
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    with pytest.raises(click.Abort):
        run("vault", "bounds", vault, "0", "0", "5000", as_json=False)
    done = run("vault", "bounds", vault, "0", "0", "5000", "--yes")
    assert (done["ready_at"], done["announced"]) == (None, False)
    looser = run("vault", "limits", vault, "--slippage-bps", "150", "--yes")
    assert looser["announced"]
    (waiting,) = run("vault", "show", vault)["announced"]
    assert waiting["call"] == "set_limits"
    assert waiting["change_id"] in run("vault", "show", vault, as_json=False)
    run("vault", "veto", vault, waiting["change_id"])
    assert run("vault", "show", vault)["announced"] == []
    run("vault", "allocator", vault, "--yes")
    assert int(run("vault", "show", vault)["charter"]["allocator"], 16) == 0
    assert run("vault", "stop", vault)["stopped"]
    assert "Allocation is stopped" in run("vault", "show", vault, as_json=False)
    run("vault", "resume", vault, "--yes")
    move_on(world.chain, DELAY_S)
    assert "at once" not in run("vault", "resume", vault, "--yes", as_json=False)
    assert not run("vault", "show", vault)["stopped"]


def test_what_cannot_be_asked_for(run, vault, tmp_path):
    for weights in ("gold=0.5", "0"):
        with pytest.raises((BadInput, NotFound)):
            run("vault", "rebalance", vault, weights, "--yes")
    with pytest.raises(BadInput, match="No limit"):
        run("vault", "limits", vault)
    with pytest.raises(NotFound):
        run("vault", "show", "0x" + "11" * 20)
    with pytest.raises(BadInput):
        run("vault", "create", tmp_path / "missing.toml")
    path = tmp_path / "charter.toml"
    path.write_text(path.read_text().replace("work = 1", "work = 999"))
    with pytest.raises(NotFound):  # a till of no Work would keep the fee for ever
        run("vault", "create", path, "--yes")


def test_methods_are_tried_beside_equal_weight(run, prices):
    found = run(
        "backtest", prices, "--method", "inverse-volatility", "--train", "60", "--step", "20", "--folds", "4"
    )
    assert [row["method"] for row in found["rows"]] == ["equal-weight", "inverse-volatility"]
    said = run(
        "backtest",
        prices,
        prices,
        "--method",
        "equal-weight",
        "--train",
        "60",
        "--last",
        "150",
        as_json=False,
    )
    assert said.count("None is better than equal weight") == 2
    with pytest.raises(BadInput, match="prices alone"):
        run("backtest", prices, "--method", "black-litterman")


def test_a_method_says_what_it_would_hold(run, prices):
    found = run("allocate", prices, "--method", "inverse-volatility")
    assert found["weights"]["CALM"] > found["weights"]["WILD"]
    assert "CALM" in run("allocate", prices, "--method", "inverse-volatility", as_json=False)


def test_views_are_bought_and_shown(run, prices, tmp_path, monkeypatch):
    class Model:
        def call(self, url, arguments, *, number=None):
            return Answer({"expected": {"CALM": 0.001}}, {"work_id": 9}, 250)

    monkeypatch.setattr(buying, "open_buyer", lambda node, limit, mandate: nullcontext(Model()))
    asked = ("allocate", prices, "--method", "equal-weight", "--views", "https://model.example")
    found = run(*asked)
    assert found["views"]["work_id"] == 9
    assert (tmp_path / "treasury" / "views" / f"{found['views']['asked_sha256']}.json").is_file()
    assert "0.10%" in run(*asked, as_json=False)
