# SPDX-License-Identifier: Apache-2.0
"""What the reference contracts do, written down: ``python -m tests.conformance.erc8004.record``.

Needs them compiled (``python tools/erc8004_reference.py``); runs a development chain of its own.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from koinon.chain.anvil import find_anvil
from koinon.chain.deploy import deploy
from koinon.chain.devnet import Devnet
from koinon.chain.handle import Chain
from koinon.chain.rpc import Rpc
from koinon.chain.sender import Sender
from tests.conformance.erc8004.stage import Stage, reference
from tests.conformance.erc8004.table import TABLE
from tools.erc8004_reference import build

EXPECTED: Final = Path(__file__).with_name("expected.jsonl")


def expected() -> list[dict[str, Any]]:
    """What was recorded, a step a line."""
    return [json.loads(line) for line in EXPECTED.read_text(encoding="utf-8").splitlines()]


def the_reference(chain: Chain) -> Stage:
    """Fresh registries of the reference on a chain."""
    return reference(chain, json.loads(build().read_text(encoding="utf-8")))


@contextmanager
def _own_chain() -> Iterator[Chain]:
    with tempfile.TemporaryDirectory() as folder, Devnet(Path(folder), find_anvil()) as devnet:
        with Rpc(devnet.rpc_url) as rpc:
            network = deploy(rpc, Sender(rpc, devnet.key(0), chain_id=devnet.chain_id))
        with Chain.open(network) as chain:
            yield chain


def main() -> int:
    """Command line."""
    with _own_chain() as chain:
        lines = [json.dumps(each, ensure_ascii=False) for each in the_reference(chain).run(TABLE)]
    EXPECTED.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(lines)} steps are in {EXPECTED}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
