# SPDX-License-Identifier: Apache-2.0
"""The main job, end to end: five lenders teach a model, it is sold by the call, and everyone is paid."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import orjson

from koinon.console.story import Applicant, Story
from koinon.learning.api import Learning, Pooled, model_card
from koinon.learning.datasets import load_credit
from koinon.learning.outcome import Outcome
from koinon.learning.recipe import credit_recipe
from koinon.learning.splits import Split, split_credit
from koinon.node import Node
from koinon.services.api import Services
from koinon.services.counter import open_counter
from koinon.tables import Table
from koinon.terminal import Terminal
from koinon.tour.finance import Finance
from koinon.tour.ledger import Figure, Ledger, Money, Row
from koinon.tour.parties import Cast, Party, Process
from koinon.works.api import Published
from koinon.works.registration import Service
from koinon.works.shares import OWNER, WHOLE

LENDERS: Final = ("Harbour Bank", "Meadow Credit", "Station Finance", "Temple Street", "Island Union")
ASKED: Final = 200
"""How many different applicants the buyer asks about, again and again."""
PARALLEL: Final = 8
"""The buyer's calls in flight."""
SHOWN: Final = (0.1, 0.7, 0.97)
"""Whom a visitor is offered to ask about: applicants this far up in the model's ranking, by fraction."""
DESCRIPTION: Final = "Probability that a card holder defaults next month."


class Job:
    """One run of the tour on an open node.

    Parameters
    ----------
    folder : Path
        Where the parties live; the same folder keeps their keys and dataset Works from run to run.
    calls : int
        How many calls the buyer pays for.
    price : str
        Of one call, in coins.
    seed : int
        Of the split and the training.
    """

    def __init__(
        self, node: Node, terminal: Terminal, folder: Path, *, calls: int, price: str, seed: int
    ) -> None:
        self._node, self._terminal, self._folder = node, terminal, folder
        self._calls, self._price, self._seed = calls, price, seed
        self.stages: dict[str, float] = {}
        self._story = Story(int(time.time()))

    def run(self) -> Ledger:
        """Everything, from the lenders' tables to the last unit withdrawn."""
        with self._stage("parties"):
            split = split_credit(load_credit(), self._seed)
            self._tell()
            cast = self._gather()
            parties = (cast.opener, cast.gateway, cast.buyer, *cast.lenders)
            self._tell(parties={party.address: party.name for party in parties})
        learning = Learning(self._folder, cast.opener.key, chain=self._node.chain, store=self._node.store)
        with self._stage("learn"):
            outcome = self._learn(learning, split)
        with self._stage("compare"):
            pooled = learning.pooled(outcome, split)
        with self._stage("publish"):
            counter = open_counter(self._node)
            published = learning.publish(
                outcome,
                description="Will this card holder default next month? Taught by five lenders.",
                services=(Service("x402", f"{counter.running() or counter.url}/services"),),
            )
            self._tell(work_id=published.work_id)
        before = {party.address: self._coins(party.address) for party in (cast.opener, *cast.lenders)}
        self._sell(outcome, published, cast, split.held_out)
        with self._stage("collect"):
            self._collect(outcome, published, cast)
        with self._stage("offer"):
            self._offer(counter, outcome, published, split.held_out)
        withdrawn = {address: self._coins(address) - coins for address, coins in before.items()}
        ledger = self._read_back(outcome, pooled, published, cast, withdrawn)
        with self._stage("lend"):
            finance = Finance(self._node, self._terminal, self._folder, cast, self._tell)
            lent, why_not = finance.attempt(outcome, self._model_file(published), published, split)
        self._tell(over=True)
        return replace(ledger, lent=lent, not_lent=why_not, stages=self._seconds())

    # ------------------------------------------------------------ the steps

    def _gather(self) -> Cast:
        cast = Cast(
            Party.settle_in(self._node, "Opener", self._folder / "opener"),
            Party.settle_in(self._node, "Gateway", self._folder / "gateway"),
            Party.settle_in(self._node, "Buyer", self._folder / "buyer"),
            tuple(
                Party.settle_in(self._node, name, self._folder / "owners" / str(number))
                for number, name in enumerate(LENDERS, 1)
            ),
        )
        # The buyer needs coins only: the gateway brings its signed deposit on chain.
        self._node.fund(*(party.address for party in (cast.opener, cast.gateway, *cast.lenders)))
        return cast

    def _learn(self, learning: Learning, split: Split) -> Outcome:
        recipe = credit_recipe(seed=self._seed)
        with self._terminal.progress("Five lenders teach one model", recipe.rounds) as advance:

            def progress(event: dict[str, Any]) -> None:
                if event["event"] == "opened":
                    self._tell(run_id=event["run"])
                elif event["event"] == "round":
                    advance(1)

            return learning.run(
                recipe, split, progress=progress, names=[f"Customers of {name}" for name in LENDERS]
            )

    def _sell(self, outcome: Outcome, published: Published, cast: Cast, held_out: Table) -> None:
        """Serve the model, have the buyer pay for every call, and settle into the model's till."""
        gateway, opener = cast.gateway, cast.opener
        gateway_home = gateway.home / "gateway"
        model_file = self._model_file(published)
        outcome.model.save(model_file)
        services = Services(
            self._node.chain, self._node.store, gateway_home, opener.key, gateway_key=gateway.key
        )
        listing = services.offer_model(
            published.work_id,
            model_file,
            self._price,
            name=outcome.model.recipe.name,
            description=DESCRIPTION,
            card=model_card(outcome),
        )
        budget = listing.price * self._calls
        self._give_coins(cast.buyer.address, budget)
        config = gateway.home / "gateway.json"
        config.write_bytes(orjson.dumps({**gateway.account(), "data_dir": str(gateway_home)}))
        started = time.monotonic()
        with gateway.start("koinon.services.gateway.app", str(config), rpc_url=self._rpc_url) as serving:
            url = f"{serving.wait_for('ready')['url']}/services/{published.work_id}"
            self.stages["serve"] = time.monotonic() - started
            with self._stage("calls"):
                self._buy(cast.buyer, url, budget, held_out, serving)
            with self._stage("settle"):
                services.settle()

    def _buy(self, buyer: Party, url: str, budget: int, held_out: Table, serving: Process) -> None:
        applicants = buyer.home / "applicants.json"
        applicants.write_bytes(
            orjson.dumps([{"features": [float(x) for x in row]} for row in held_out.features[:ASKED]])
        )
        config = buyer.home / "buyer.json"
        config.write_bytes(
            orjson.dumps(
                {
                    **buyer.account(),
                    "url": url,
                    "inputs": str(applicants),
                    "calls": self._calls,
                    "spending_limit": budget,
                    "deposit": budget,
                    "in_flight": PARALLEL,
                }
            )
        )
        done = 0
        with (
            self._terminal.progress(f"A buyer pays for {self._calls:,} calls", self._calls) as advance,
            buyer.start("koinon.services.buying.buyer", str(config), rpc_url=self._rpc_url) as buying,
        ):
            for event in buying.events(needs=serving):
                if event.get("event") == "progress":
                    advance(int(event["calls"]) - done)
                    done = int(event["calls"])

    def _collect(self, outcome: Outcome, published: Published, cast: Cast) -> None:
        """The opener pays everyone's part out of the model's till; each lender then empties its own."""
        with self._collector(cast.opener, published.work_id) as collecting:
            collecting.result()
        works = {owner.address: owner.work_id for owner in outcome.owners}
        with ExitStack() as stack:
            started = [
                stack.enter_context(self._collector(lender, works[lender.address]))
                for lender in cast.lenders
                if lender.address in works
            ]
            for collecting in started:
                collecting.result()

    def _offer(self, counter: Services, outcome: Outcome, published: Published, held_out: Table) -> None:
        """Sell it on at the node's own gateway, so that whoever reads the tour's page can ask it too."""
        order = outcome.model.predict(held_out.features).argsort(kind="stable")
        columns = outcome.model.recipe.columns
        shown = [int(order[int(part * len(order))]) for part in SHOWN]
        applicants = tuple(
            Applicant(
                dict(zip(columns, (float(value) for value in held_out.features[row]), strict=True)),
                bool(held_out.labels[row]),
            )
            for row in shown
        )
        counter.offer_model(
            published.work_id,
            self._model_file(published),
            self._price,
            name=outcome.model.recipe.name,
            description=DESCRIPTION,
            card=model_card(outcome),
            example=applicants[0].features,
        )
        self._tell(applicants=applicants)

    def _collector(self, party: Party, work_id: int) -> Process:
        return party.start("koinon", "works", "collect", str(work_id), "--json", rpc_url=self._rpc_url)

    def _read_back(
        self,
        outcome: Outcome,
        pooled: Pooled,
        published: Published,
        cast: Cast,
        withdrawn: dict[str, int],
    ) -> Ledger:
        chain = self._node.chain
        till = chain.contract("Till", published.till)
        waiting = self._coins(published.till)
        paid = waiting + int(till.call("released", chain.coin.address))
        owners = {owner.address: owner for owner in outcome.owners}
        rows, alone = [], {}
        for lender in cast.lenders:
            owner = owners.get(lender.address)
            if owner is None:
                rows.append(Row(lender.name, "did not take part", lender.address, 0, 0, 0))
                continue
            if owner.alone is not None:
                alone[lender.name] = owner.alone
            own_till = self._till_of(owner.work_id)
            waiting += self._coins(own_till)
            rows.append(
                Row(
                    lender.name,
                    f"{owner.rows:,} customers",
                    lender.address,
                    published.shares.get(own_till, 0),
                    int(till.call("claimed", chain.coin.address, own_till)),
                    withdrawn[lender.address],
                )
            )
        opener = cast.opener
        rows.append(
            Row(
                opener.name,
                "led the run",
                opener.address,
                published.shares.get(OWNER, 0),
                int(till.call("claimed", chain.coin.address, OWNER)),
                withdrawn[opener.address],
            )
        )
        shares = sum(row.share for row in rows)
        rows.append(Row(cast.buyer.name, "paid", cast.buyer.address, 0, 0, 0, spent=paid))
        gain, money = outcome.gain, outcome.money
        names = {lender.address: lender.name for lender in cast.lenders}
        return Ledger(
            alone=alone,
            alone_mean=outcome.alone_mean,
            together=Figure(outcome.together.value, (outcome.together.low, outcome.together.high)),
            pooled=pooled.score,
            pooled_epochs=pooled.epochs,
            gain=Figure(gain.value, (gain.low, gain.high)) if gain else None,
            money=Money(money.approval_rate, money.alone, money.together) if money else None,
            held_out_rows=outcome.held_out_rows,
            rounds=len(outcome.evidence.rounds),
            missing={
                str(number): [names.get(address, address) for address in who]
                for number, who in outcome.missing.items()
            },
            calls=self._calls,
            price=paid // self._calls,
            paid=paid,
            waiting=waiting,
            parties=tuple(rows),
            conserved=paid == sum(withdrawn.values()) + waiting and shares == WHOLE,
            model_work=published.work_id,
            model_till=published.till,
            symbol=str(chain.coin.call("symbol")),
            decimals=int(chain.coin.call("decimals")),
            stages=self._seconds(),
            rpc_url=self._node.rpc_url,
            contracts=dict(chain.network.contracts),
        )

    # ------------------------------------------------------------ small things

    def _seconds(self) -> dict[str, float]:
        return {name: round(seconds, 3) for name, seconds in self.stages.items()}

    def _tell(self, **more: Any) -> None:
        """Say on the tour's page how far it is."""
        self._story = replace(self._story, **more)
        self._story.save(self._node.settings.home)

    def _model_file(self, published: Published) -> Path:
        return self._folder / "opener" / f"model-{published.work_id}.npz"

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        started = time.monotonic()
        try:
            yield
        finally:
            self.stages[name] = self.stages.get(name, 0.0) + time.monotonic() - started

    @property
    def _rpc_url(self) -> str:
        return self._node.chain.rpc.url

    def _coins(self, address: str) -> int:
        return int(self._node.chain.coin.call("balanceOf", address))

    def _give_coins(self, address: str, amount: int) -> None:
        coin = self._node.chain.coin
        self._node.chain.sender(self._node.operator).send(coin.transaction("mint", address, amount))

    def _till_of(self, work_id: int) -> str:
        return str(self._node.chain.contract("Works").call("till_of", work_id))
