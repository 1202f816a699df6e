# SPDX-License-Identifier: Apache-2.0
"""Two agents of two owners, each in a process of its own, negotiate and settle a trade under a mandate."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from contextlib import ExitStack, closing

import pytest

from koinon.agents.api import Agents
from koinon.agents.host import MAILBOXES
from koinon.services.mandates.book import MandateBook
from tests.agents.test_host import ROOT, config_of, free_port, hosting, people
from tests.services.mandates import mandate

__all__ = ["people"]

pytestmark = pytest.mark.e2e
TARGET = "tests.agents.parking"
PATIENCE_S = 120.0
COIN = 10**6


def remembered(agents: Agents, key: str):
    """What an agent of a data directory remembers by a name."""
    with closing(sqlite3.connect(agents.home / MAILBOXES)) as database:
        try:
            row = database.execute("SELECT value FROM memory WHERE key = ? AND scope = ''", (key,)).fetchone()
        except sqlite3.OperationalError:  # its host has not begun
            return None
    return json.loads(row[0]) if row else None


def coins(chain, account):
    return int(chain.coin.call("balanceOf", account))


@pytest.fixture
def town(people, chain, network_file, devnet):
    return Town(people, chain, network_file, devnet)


class Town:
    """A car park and a driver, each with an owner, a data directory and a host's configuration."""

    def __init__(self, people, chain, network_file, devnet):
        self.driver_owner, self.park_owner = people
        self.chain, self.network_file, self.devnet = chain, network_file, devnet
        self.ports = {id(who): free_port() for who in people}
        self.park = self.park_owner.create(f"{TARGET}:CarPark", url=self.url(self.park_owner))
        self.till = chain.contract("Works").call("till_of", self.park.work_id)

    def url(self, who):
        return f"http://127.0.0.1:{self.ports[id(who)]}"

    def hire(self, per_call, seconds=6):
        """A driver with a coin, and a mandate."""
        arguments = {"car_park": str(self.park.address), "seconds": seconds}
        owner = self.driver_owner
        self.driver = owner.create(f"{TARGET}:Driver", url=self.url(owner), arguments=arguments)
        coin, operator = self.chain.coin, owner._operator
        self.chain.sender(operator).send(coin.transaction("mint", self.driver.account, COIN))
        chosen = mandate(
            owner=operator.address,
            agent=self.driver.account,
            token=coin.address,
            uses=("trade",),
            per_call=per_call,
        )
        book = MandateBook(self.chain, owner.home.parent)
        book.give(operator, chosen)
        book.close()

    def config(self, who):
        config = config_of(who, self.network_file, self.devnet.rpc_url, self.ports[id(who)])
        config["agents"][0]["home"] = str(who.home.parent)
        # the car park pays gas to take what it is paid
        self.chain.rpc.call("anvil_setBalance", who.kept()[0].account, hex(10**18))
        return config

    def coins(self, account):
        return int(self.chain.coin.call("balanceOf", account))

    def wait(self, done):
        end = time.monotonic() + PATIENCE_S
        while not done():
            assert time.monotonic() < end
            time.sleep(0.1)

    def over(self):
        return any(remembered(self.driver_owner, name) is not None for name in ("parked", "turned away"))


def test_two_agents_negotiate_and_settle_under_a_mandate(town):
    town.hire(per_call=80_000)
    with ExitStack() as stack:
        for who in (town.park_owner, town.driver_owner):
            assert stack.enter_context(hosting(who.home, town.config(who)))["event"] == "ready"
        town.wait(town.over)
    price = remembered(town.driver_owner, "parked")
    assert 50_000 <= price <= 80_000
    assert remembered(town.park_owner, "sold") == [price]
    assert town.coins(town.till) == price == COIN - town.coins(town.driver.account)


def test_what_the_mandate_forbids_is_not_paid_whatever_was_agreed(town):
    town.hire(per_call=10)
    with ExitStack() as stack:
        for who in (town.park_owner, town.driver_owner):
            stack.enter_context(hosting(who.home, town.config(who)))
        town.wait(town.over)
    assert "[mandate.per_call]" in remembered(town.driver_owner, "turned away")
    assert town.coins(town.till) == 0


def test_a_driver_that_is_killed_on_the_way_pays_once_or_not_at_all(town, tmp_path):
    town.hire(per_call=80_000, seconds=15)
    with hosting(town.park_owner.home, town.config(town.park_owner)):
        file = tmp_path / "driver.json"
        file.write_text(json.dumps(town.config(town.driver_owner)))
        command = [sys.executable, "-m", "koinon.agents.host", str(file)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
            try:
                town.wait(lambda: remembered(town.driver_owner, "looking"))
            finally:
                process.kill()
        with hosting(town.driver_owner.home, town.config(town.driver_owner)):
            town.wait(town.over)
    price = remembered(town.driver_owner, "parked") or 0
    assert town.coins(town.till) == price == COIN - town.coins(town.driver.account)
