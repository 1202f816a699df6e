# SPDX-License-Identifier: Apache-2.0
"""A buyer as a process of its own: ``python -m koinon.services.buyer CONFIG.json``.

The configuration: ``network`` (file), ``key`` (keystore), ``password_file``, ``url`` (the service),
``inputs`` (a JSON file: a list of request bodies, used in turn), ``calls`` (how many), ``spending_limit``,
and optionally ``deposit`` (both in the coin's smallest unit), ``in_flight``, ``rpc_url``. Standard output
carries one JSON document a line: progress, then the report.
"""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from koinon.errors import BadInput, KoinonError
from koinon.services.client import Buyer
from koinon.services.serve import open_chain, open_key, read_config

PROGRESS_EVERY = 50


def run(config: dict[str, Any], say: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
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
            open_key(config),
            spending_limit=int(config["spending_limit"]),
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


def main() -> int:
    def say(event: dict[str, Any]) -> None:
        sys.stdout.write(orjson.dumps(event).decode() + "\n")
        sys.stdout.flush()

    try:
        report = run(read_config(Path(sys.argv[1])), say)
    except KoinonError as error:
        say({"event": "failed", **error.problem()})
        return error.exit_status
    say(report)
    return 0 if not report["failed"] else 8


if __name__ == "__main__":
    sys.exit(main())
