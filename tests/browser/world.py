# SPDX-License-Identifier: Apache-2.0
"""A small world to look at: Works with parents and shares, payments by every rail, words, grants, rights.

It is filled by the ordinary interfaces of a node that `koinon up` runs, and looked at by tests and by
``make screenshots``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import orjson

from koinon.agents.api import Agents
from koinon.chain.keys import Key
from koinon.data.api import Data
from koinon.data.job_client import JobClient
from koinon.data.policy_file import read_policy
from koinon.errors import KoinonError, PeerError
from koinon.node import Node
from koinon.services.buying.client import Buyer
from koinon.services.buying.transport import Http
from koinon.services.counter import GATEWAY, keyring, open_counter
from koinon.services.finding.rating import give_mark
from koinon.services.jobs.api import Commission, Jobs
from koinon.services.mandates.book import MandateBook
from koinon.services.mandates.mandate import Mandate
from koinon.services.verification.checking import BondPlan
from koinon.services.verification.clerk import make as make_clerk
from koinon.services.verification.contract import SINK, Claim, Reason, Verification
from koinon.services.verification.pledge import Pledge, read_pledges
from koinon.services.verification.store import AnswerStore
from koinon.settings import Settings
from koinon.up import record
from koinon.watch.api import Watch
from koinon.watch.graph.edges import Edges
from koinon.works.api import Parent, ParentMode, Works
from koinon.works.bonds import Bonds
from koinon.works.catalogue import URI_SCHEME
from koinon.works.committee import Committee
from koinon.works.portrait import CONTEST
from koinon.works.registration import Card, Metric, Registration
from koinon.works.reputation import Reputation
from koinon.works.terms import Terms, Use, text_digest
from koinon.works.validation import Validations
from tests.data.market_support import POLICY, table

COIN: Final = 10**6
SOURCE: Final = '''
def score(income: float, debts: float = 0.0, late_payments: int = 0) -> float:
    """How likely a customer is to pay back, from 0 to 1."""
    return round(max(0.0, min(1.0, 0.9 - debts / (income + 1) / 4 - late_payments / 10)), 3)
'''


class Command:
    """`koinon` in one data directory."""

    def __init__(self, home: Path, **more: str) -> None:
        self.home = home
        given = {name: text for name, text in os.environ.items() if not name.startswith("KOINON_")}
        self.environment = given | {"KOINON_HOME": str(home)} | more

    def json(self, *arguments: str) -> dict[str, Any]:
        """What a command says."""
        done = subprocess.run(
            [sys.executable, "-m", "koinon", *arguments, "--json"],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"koinon {' '.join(arguments)}: {done.stderr}")
        found: dict[str, Any] = json.loads(done.stdout)
        return found


@dataclass
class Place:
    """A running node: where its pages are, and how its operator comes in."""

    command: Command
    base: str
    gateway: str = ""

    @property
    def home(self) -> Path:
        return self.command.home

    def settings(self) -> Settings:
        return Settings.load({}, home=self.home)

    def link(self) -> str:
        """A new one-use link for the operator."""
        return str(self.command.json("up")["operator_link"])

    def pid(self) -> int:
        return record.holder(self.home) or 0

    def await_data(self, work_id: int) -> None:
        """Until buyers can compute on a dataset here."""
        for _ in range(600):
            url = str(self.command.json("status")["data"])
            with suppress(PeerError):
                if str(work_id) in JobClient(url, timeout_s=5).about()["datasets"]:
                    return
            time.sleep(0.1)
        raise RuntimeError("the node of the datasets does not answer")

    def await_agents(self, number: int) -> None:
        """Until the agents of the data directory, so many, can be asked."""
        url = str(self.command.json("status")["agents"])
        with closing(Http(5, whole_s=5)) as http:
            for _ in range(600):
                with suppress(KoinonError):
                    if len(Agents.told_by(http, url)) == number:
                        return
                time.sleep(0.1)
        raise RuntimeError("the agents do not run")


@contextmanager
def running(home: Path, **more: str) -> Iterator[Place]:
    """A node by `koinon up --detach`, until the block ends."""
    command = Command(home, **more)
    try:
        there = command.json("up", "--detach")
        yield Place(command, there["console"], there["gateway"])
    finally:
        command.json("down")


@dataclass
class World:
    """What was made: ids of Works, hashes, addresses."""

    loans: int = 0
    rain: int = 0
    model: int = 0
    service: int = 0
    song: int = 0
    taught: int = 0
    run: int = 0
    market: int = 0
    commission: int = 0
    agent: int = 0
    case: int = 0
    job: str = ""
    till: str = ""
    transaction: str = ""
    block: int = 0
    review: str = ""
    done: str = ""
    failed: str = ""
    cancelled: str = ""
    accounts: dict[str, str] = field(default_factory=dict)


def fill(place: Place, calls: int = 40) -> World:
    """Make the world, with a tour of so many calls in it; returns once the index has seen all of it."""
    toured = place.command.json("tour", "--calls", str(calls))
    with Node.open(place.settings()) as node:
        world = _World(node, place).fill()
        world.taught = toured["model_work"]
        world.run = int(node.chain.contract("Federation").call("total"))
        world.market = Data.of(node).publish(table(), read_policy(POLICY)).work_id
        newest = node.chain.block_number()
        for _ in range(600):
            head = node.index.head()
            if head is not None and head.number >= newest:
                break
            time.sleep(0.05)
        else:
            raise RuntimeError("the index did not come up with the chain")
    place.await_data(world.market)
    place.await_agents(3)
    return world


class _World:
    def __init__(self, node: Node, place: Place) -> None:
        self.node, self.place = node, place
        names = ("harbour", "meadow", "station", "buyer", "stranger", "auditor")
        self.keys = {name: Key.generate() for name in names}
        self.world = World(accounts={name: key.address for name, key in self.keys.items()})

    def fill(self) -> World:
        node, world = self.node, self.world
        node.fund(*(key.address for key in self.keys.values()))
        coin = node.chain.coin
        self._send("buyer", coin.transaction("mint", self.keys["buyer"].address, 500 * COIN))
        self.publish()
        self.pay()
        self.vouch()
        self.speak()
        self.lend()
        self.commission()
        self.employ()
        self.watch()
        receipt = self._send("buyer", coin.transaction("transfer", world.till, 2 * COIN))
        world.transaction, world.block = receipt.transaction_hash, receipt.block_number
        return world

    def _send(self, who: str, call: Any) -> Any:
        return self.node.chain.sender(self.keys[who]).send(call)

    def _works(self, who: str | None) -> Works:
        key = self.node.operator if who is None else self.keys[who]
        return Works(self.node.chain, self.node.store, key)

    def publish(self) -> None:
        world = self.world
        harbour = self._works("harbour")
        world.loans = harbour.publish(_dataset("Harbour loans, 2019 to 2024", "1,600 customers")).work_id
        harbour.set_parent_rule(world.loans, ParentMode.OPEN, 10**8)
        world.rain = (
            self._works("meadow").publish(_dataset("臺北逐時降雨紀錄", "1896 年至今的雨量站資料")).work_id
        )
        self._works("meadow").set_parent_rule(world.rain, ParentMode.OPEN, 10**8)
        self._works("station").publish(_artwork("Tide tables, sung"), royalty_bps=500)
        world.song = world.rain + 1
        operator = self._works(None)
        published = operator.publish(
            _model(),
            parents=[Parent(world.loans, 350_000_000), Parent(world.rain, 150_000_000)],
            shares={self.keys["station"].address: Fraction(12, 100)},
        )
        world.model, world.till = published.work_id, published.till
        source = self.place.home / "score.py"
        source.write_text(SOURCE, encoding="utf-8")
        counter = open_counter(self.node)
        shares = {world.till: Fraction(60, 100), self.keys["auditor"].address: Fraction(5, 100)}
        world.service = counter.publish(f"{source}:score", "0.25", shares=shares, name="Credit score").work_id

    def pay(self) -> None:
        node, world, buyer = self.node, self.world, self.keys["buyer"]
        url = f"{self.place.gateway}/services/{world.service}"
        with Buyer(node.chain, buyer, spending_limit=50 * COIN, deposit=10 * COIN) as paying:
            _patient(lambda: paying.call_exact(url, {"income": 42_000.0}))
            for late in range(8):
                paying.call(url, {"income": 31_000.0, "debts": 4_000.0, "late_payments": late})
        self._entrust(url)
        open_counter(node).settle()
        coin = node.chain.coin
        self._send("buyer", coin.transaction("transfer", world.till, 12 * COIN))
        self._works(None).collect(world.service)
        self._send("buyer", coin.transaction("transfer", world.till, 5 * COIN + 123_456))

    def vouch(self) -> None:
        """Two batches of signed answers, one of which somebody disputes."""
        node, work_id, challenger = self.node, self.world.service, self.keys["auditor"]
        checking, coin = open_counter(node).checking, node.chain.coin
        node.chain.sender(node.operator).send(coin.transaction("mint", node.operator.address, 600 * COIN))
        self._send("auditor", coin.transaction("mint", challenger.address, 100 * COIN))
        stake = checking.least_stake(work_id, 0.05, answers=1000)
        signer = keyring(node).open(GATEWAY)
        plan = BondPlan(stake, 0.05, 3600, "http://127.0.0.1:8403")
        bonded = checking.bond(node.operator, signer.address, work_id, plan)
        place = self.place.home / GATEWAY
        config = checking.clerk_config(bonded.bond_id) | {"batch_every_s": 0, "port": 0}
        said: list[dict[str, Any]] = []
        verification, bonds, committee = Verification(node.chain), Bonds(node.chain), Committee(node.chain)
        pledge = Pledge(read_pledges(place)[work_id], AnswerStore(place), signer, verification.domain)
        clerk = make_clerk(node.chain, node.operator, config, said.append)
        for answers in (3, 2):
            for number in range(answers):
                pledge.sign(self.keys["buyer"].address, b'{"income": %d}' % number, b"0.5")
            clerk.step()
        request = bytes.fromhex(said[0]["request"])
        claim = Claim(request, Reason.WRONG, 1, b"\x01" * 32, "http://127.0.0.1:8404/claims/1")
        challenge = bonds.challenge(challenger, bonded.bond_id, verification.evidence_of(claim))
        committee.open_case(challenger, challenge, amount=stake, beneficiary=SINK, bounty=stake // 2)
        verification.dispute(challenger, challenge, claim)
        clerk.close()
        pledge.close()

    def _entrust(self, url: str) -> None:
        """The operator lets the buyer's program spend, and it does."""
        node, buyer, now = self.node, self.keys["buyer"], int(time.time())
        mandate = Mandate(
            owner=node.operator.address,
            agent=buyer.address,
            token=node.chain.coin.address,
            per_call=COIN,
            per_day=5 * COIN,
            total=40 * COIN,
            per_counterparty=20 * COIN,
            not_before=now - 60,
            not_after=now + 30 * 86_400,
            works=(self.world.service,),
        )
        book = MandateBook(node.chain, node.settings.home)
        spending = book.spending(book.give(node.operator, mandate), buyer.address)
        with Buyer(node.chain, buyer, allowance=spending, deposit=2 * COIN) as program:
            program.call(url, {"income": 28_000.0})
        book.close()

    def speak(self) -> None:
        node, world = self.node, self.world
        words = Reputation(node.chain)
        for who, value, tag, text in (
            ("buyer", 91, "starred", "It answered 9 calls of ours within the interval on its card."),
            ("stranger", 20, CONTEST, "Two of the lenders count leap years twice. See rows 40 to 60."),
        ):
            content = orjson.dumps({"work": world.model, "author": self.keys[who].address, "text": text})
            uri = URI_SCHEME + node.store.put(content)
            words.give(self.keys[who], world.model, value, tag1=tag, uri=uri, content=content)
        give_mark(node, self.keys["buyer"], world.service, 88, "Nine calls, nine answers, each at once.")
        give_mark(node, self.keys["stranger"], world.service, 100, "The best there is, believe me!")
        checks = Validations(node.chain)
        asked = checks.ask(
            node.operator, world.model, self.keys["auditor"].address, uri="", request=b"measure it again"
        )
        checks.answer(self.keys["auditor"], asked, 96, tag="remeasured")
        asked = checks.ask(
            node.operator, world.service, self.keys["auditor"].address, uri="", request=b"run it again"
        )
        checks.answer(self.keys["auditor"], asked, 100, tag="reexec:soft")
        terms = Terms(node.chain)
        leave = text_digest("For research.")
        offer = terms.offer(
            self.keys["harbour"],
            world.loans,
            Use.DOWNLOAD,
            price=3 * COIN,
            terms_digest=leave,
            period_s=30 * 86_400,
        )
        terms.offer(node.operator, world.model, Use.REMIX, price=8 * COIN, terms_digest=leave)
        terms.buy(self.keys["buyer"], world.loans, Use.DOWNLOAD, offer)

    def commission(self) -> None:
        """One job that was handed in, and one that nobody does yet."""
        node, world = self.node, self.world
        client, judge = Jobs.of(node, self.keys["buyer"]), self.keys["auditor"]
        text = (
            "Chart the harbour by its tides\n\nA PDF at 1:500 with depths at low water, for a pilot to read."
        )
        asked = Commission(text, 7 * 86_400, str(world.rain), judge.address, budget=40 * COIN)
        world.commission = client.create(asked)
        client.fund(world.commission, 40 * COIN)
        Jobs.of(node, self.keys["meadow"]).submit(world.commission, b"%PDF-1.7 a chart")
        client.create(
            Commission("Translate the tide tables into Taiwanese Mandarin", 86_400, budget=6 * COIN)
        )

    def employ(self) -> None:
        """Three agents, one of whom has something to say to the others."""
        agents, target = Agents.of(self.node), Path(__file__).with_name("traders.py")
        mills = [
            agents.create(f"{target}:Mill", name=name, arguments={"price": price})
            for name, price in (("Mill by the brook", 9), ("Mill on the hill", 11))
        ]
        baker = agents.create(
            f"{target}:Baker", name="Baker Street", arguments={"mills": [str(mill.address) for mill in mills]}
        )
        self.world.agent = baker.work_id

    def watch(self) -> None:
        """Money that is parted and comes together again, for people to judge; a simulated pool; an alert."""
        begin, ends = 1_760_000_000, [f"0x{number:040x}" for number in range(1, 9)]
        first, last, between = ends[0], ends[-1], ends[1:-1]
        edges = Edges.of(
            [*[first] * len(between), *between],
            [*between, *[last] * len(between)],
            [begin + 3_600 * at for at in range(2 * len(between))],
            [900.0 + 10 * at for at in range(2 * len(between))],
        )
        with Watch.of(self.node) as watch:
            self.world.case = watch.scan(edges).cases[0]
            watch.liquidity.simulate(seed=3)
            watch.alerts.raise_("drains a bridge", "Half of what a bridge held left within an hour.", level=3)

    def lend(self) -> None:
        node = self.node
        sender, coin, works = node.chain.sender(node.operator), node.chain.coin, node.chain.contract("Works")
        sender.send(coin.transaction("approve", self.keys["stranger"].address, 7 * COIN))
        sender.send(works.transaction("setApprovalForAll", self.keys["auditor"].address, True))


def _patient(buy: Any) -> None:
    """The gateway looks at its list of services every moment or so."""
    for attempt in range(100):
        try:
            buy()
        except Exception:
            if attempt == 99:
                raise
            time.sleep(0.1)
        else:
            return


def _dataset(name: str, summary: str) -> Registration:
    card = Card(
        "dataset",
        summary,
        "Books of the lender, names and addresses removed.",
        ("It knows nothing of customers who were refused.", "Not to be used to decide on a single person."),
        "Write feedback with the tag contest; the owner answers within a week.",
        unmeasured="A table makes no predictions.",
    )
    return Registration(name, f"{summary}.", card)


def _artwork(name: str) -> Registration:
    card = Card(
        "artwork",
        "Four voices, nine minutes.",
        "Recorded in one evening.",
        ("Low notes drown in laptop speakers.",),
        "Contest it beside the Work.",
        unmeasured="There is nothing to measure.",
    )
    return Registration(name, "A year of tides for four voices.", card)


def _model() -> Registration:
    metric = Metric(
        "AUC", 0.759, (0.751, 0.766), 0.695, "mean lender alone", "18,000 customers nobody trained on", 18_000
    )
    card = Card(
        "model",
        "Ranks customers by how likely they are to pay back.",
        "Updates of lenders who kept their customers' rows to themselves.",
        ("It was taught on one island.", "It ranks; it does not decide."),
        "Write feedback with the tag contest; an auditor measures again.",
        metric=metric,
    )
    return Registration("Five lenders' default model", "Predicts which loans are not paid back.", card)
