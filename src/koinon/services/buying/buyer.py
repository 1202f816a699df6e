# SPDX-License-Identifier: Apache-2.0
"""A buyer as a process of its own: ``python -m koinon.services.buying.buyer CONFIG.json``.

The configuration: ``network`` (file), ``key`` (keystore), ``password_file``, ``url`` (the service),
``inputs`` (a JSON file: a list of request bodies, used in turn), ``calls`` (how many), ``spending_limit`` or
``mandate`` (file) with ``ledger`` (folder), and optionally ``deposit`` (in the coin's smallest unit, as the
limit), ``in_flight``, ``rpc_url``. Standard output carries one JSON document a line: progress, then the
report.
"""

from __future__ import annotations

import itertools
import sys
import threading
from pathlib import Path
from typing import Any

import orjson

from koinon import process
from koinon.chain.account import Account
from koinon.chain.handle import Chain
from koinon.errors import BadInput
from koinon.process import Say
from koinon.services.buying.allowance import Allowance, Limit
from koinon.services.buying.client import Buyer
from koinon.services.gateway.serve import open_chain, open_key, read_config
from koinon.services.mandates.ledger import SpendingLedger
from koinon.services.mandates.mandate import SignedMandate
from koinon.services.mandates.spending import MandateSpending

PROGRESS_EVERY = 50


def run(config: dict[str, Any], say: Say) -> dict[str, Any]:
    """Buy, and report: ``calls``, ``paid``, ``signed``, ``failed``, ``errors``, ``seconds``, and one
    ``sample`` answer with its evidence."""
    inputs = orjson.loads(Path(config["inputs"]).read_bytes())
    if not isinstance(inputs, list) or not inputs:
        raise BadInput("The inputs are not a list of request bodies.", code="service.config")
    calls = int(config["calls"])
    done = 0
    lock = threading.Lock()

    def progress(steps: int) -> None:
        nonlocal done
        with lock:
            done += steps
            if done % PROGRESS_EVERY == 0 or done == calls:
                say({"event": "progress", "calls": done, "of": calls})

    with (
        open_chain(config) as chain,
        Buyer(
            chain,
            key := open_key(config),
            allowance=_allowance(chain, key, config),
            deposit=int(config["deposit"]) if config.get("deposit") else None,
        ) as buyer,
    ):
        bill = buyer.call_many(
            config["url"],
            itertools.islice(itertools.cycle(inputs), calls),
            in_flight=int(config.get("in_flight", 8)),
            on_answer=progress,
        )
        sample = next((answer for answer in bill.answers if answer is not None), None)
        return {
            "event": "report",
            "buyer": buyer.key.address,
            "calls": bill.calls,
            "paid": bill.paid,
            "signed": buyer.signed,
            "failed": len(bill.failures),
            "errors": sorted({error.code for error in bill.failures}),
            "seconds": bill.seconds,
            "sample": None
            if sample is None
            else {"result": sample.result, "evidence": sample.evidence, "charged": sample.charged},
        }


def _allowance(chain: Chain, key: Account, config: dict[str, Any]) -> Allowance:
    if "mandate" not in config:
        return Limit(int(config["spending_limit"]))
    ledger = SpendingLedger(Path(config["ledger"]))
    return MandateSpending(chain, ledger, SignedMandate.load(Path(config["mandate"])), key.address)


def main() -> int:
    def run_described() -> int:
        report = run(read_config(Path(sys.argv[1])), process.say)
        process.say(report)
        return 0 if not report["failed"] else 8

    return process.exit_status(run_described, misread=())


if __name__ == "__main__":
    sys.exit(main())
