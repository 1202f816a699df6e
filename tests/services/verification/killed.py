# SPDX-License-Identifier: Apache-2.0
"""One step of a juror or a sponsor in a process that ends itself by kill -9 where it would note what it did.

``python -m tests.services.verification.killed``, with the case as JSON on standard input: ``role``,
``network`` (file), ``key`` (keystore), ``dies_at`` (a method of its book), ``folder`` and what the role
needs.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

from koinon.chain.handle import Chain
from koinon.chain.keys import Key
from koinon.chain.network import Network
from koinon.services.selling.comparison import Comparison
from koinon.services.verification.casebook import Casebook
from koinon.services.verification.contract import Verification
from koinon.services.verification.evidence import Asker
from koinon.services.verification.judging import Judge
from koinon.services.verification.juror import Juror
from koinon.services.verification.plant_book import PlantBook
from koinon.services.verification.planting import Planter, PlantOptions
from koinon.services.verification.pledge import Pledge, read_pledges
from koinon.services.verification.store import AnswerStore
from tests.services.verification.court import COIN, Court, Direct
from tests.services.verification.processes import PASSWORD

EVER = 10**9


def planter(court: Court, bond_id: int) -> Planter:
    """The provider as sponsor of one plant, with the book that lies in the court's folder."""
    return _planter(court.chain, court.provider, court.folder, court.work_id, bond_id, court.said)


def step_and_die(court: Court, role: str, key: Key, dies_at: str, **case: Any) -> None:
    """Let it step, and see that it was killed."""
    court.chain.network.save(court.folder / "network.json")
    key.save(court.folder / "killed.json", PASSWORD, derivation="pbkdf2")
    told = {
        "role": role,
        "network": str(court.folder / "network.json"),
        "key": str(court.folder / "killed.json"),
        "dies_at": dies_at,
        "folder": str(court.folder),
        "work_id": court.work_id,
        **case,
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.services.verification.killed"],
        input=json.dumps(told),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == -signal.SIGKILL, (done.returncode, done.stdout, done.stderr)


def _planter(
    chain: Chain, key: Key, folder: Path, work_id: int, bond_id: int, said: list[dict[str, Any]]
) -> Planter:
    store, record = AnswerStore(folder / "gateway"), read_pledges(folder / "gateway")[work_id]
    domain = Verification(chain).domain
    return Planter(
        chain,
        key,
        Pledge(record, store, key, domain, clock=chain.next_timestamp),
        (store, PlantBook(folder / "plants.sqlite")),
        PlantOptions(bond_id, reward=COIN, finders=2, every_s=EVER),
        rule=Comparison(),
        say=said.append,
    )


def _die(*_: Any, **__: Any) -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("not killed")


def main() -> None:
    """Step; the end comes on the way."""
    case, said = json.load(sys.stdin), list[dict[str, Any]]()
    key, folder = Key.load(case["key"], PASSWORD), Path(case["folder"])
    with Chain.open(Network.load(case["network"])) as chain:
        if case["role"] == "juror":
            book = Casebook(Path(case["book"]))
            setattr(book, case["dies_at"], _die)
            judge = Judge(Verification(chain), Asker(), Direct(folder))
            Juror(chain, key, book, judge=judge, say=said.append).step()
        else:
            sponsor = _planter(chain, key, folder, case["work_id"], case["bond_id"], said)
            setattr(sponsor._book, case["dies_at"], _die)
            sponsor.step()
    print(json.dumps(said, default=str))


if __name__ == "__main__":
    main()
