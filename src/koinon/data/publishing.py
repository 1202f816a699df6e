# SPDX-License-Identifier: Apache-2.0
"""A dataset as a Work, without it leaving its owner: described, priced, with a privacy budget.

What everyone sees is a signed registration file and, named in it, one document: columns, noised statistics,
a made-up sample where the owner wants one, a salted commitment to the table, and the terms. The table itself,
the salt and the policy lie in the owner's data directory under the Work's id.

Publishing goes on where it was cut off, and never publishes twice: what is done is noted before and after.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson

from koinon.chain.account import Account
from koinon.chain.handle import Chain
from koinon.chain.keys import write_private
from koinon.data.budget import PrivacyBudget
from koinon.data.document import DOCUMENT, DatasetDocument, terms_of
from koinon.data.policy_file import USES, DatasetPolicy, read_policy, units
from koinon.data.statistics import Statistics, statistics
from koinon.errors import BadInput, IntegrityError, NotFound
from koinon.store import Store
from koinon.tables import Table
from koinon.works.api import Works
from koinon.works.catalogue import URI_SCHEME
from koinon.works.registration import Card, Content, Registration, Service, registration_domain
from koinon.works.terms import Terms

COMMITMENT_KEY: Final = "datasetCommitment"
NOTE: Final = "note.json"
TABLE: Final = "table.npz"
HELD_OUT: Final = "held-out.npz"
SERVICE: Final = "koinon-compute"
STATISTICS_JOB: Final = hashlib.sha256(b"koinon statistics 1").digest()
"""Under which name the public statistics are in the privacy budget."""

_SAMPLE_ROWS: Final = 5


@dataclass(frozen=True)
class KeptDataset:
    """A dataset in its owner's data directory."""

    work_id: int
    folder: Path
    policy: DatasetPolicy
    table: Table = field(repr=False)
    held_out: Table | None = field(repr=False)


def publish_dataset(  # noqa: PLR0917  (what a publication is made of)
    chain: Chain,
    store: Store,
    owner: Account,
    home: Path,
    table: Table,
    policy: DatasetPolicy,
    *,
    url: str = "",
    generator: np.random.Generator | None = None,
) -> KeptDataset:
    """Publish a table, or go on with publishing it where that was cut off; nothing of it is sent anywhere.

    Parameters
    ----------
    home : Path
        The owner's folder of datasets.
    url : str
        Where the dataset's node answers; it can be told to buyers later as well.
    generator : numpy Generator, optional
        For tests: noise, sample and which rows are held back.

    Raises
    ------
    BadInput
        A column with bounds is not in the table, or too few rows are left.
    TransactionFailed
        As `Works.publish`.
    """
    name = _name(chain, owner, table, policy)
    draft = home / f"draft-{name[:16]}"
    work_id = _kept_as(home, name)
    if work_id is None:
        drafted = _draft(draft, chain, table, policy, generator) | {"name": name}
        document = _drafted_document(drafted)
        work_id = _registered(chain, owner, document) if drafted.get("sent") else None
        if work_id is None:
            write_private(draft / NOTE, orjson.dumps(drafted | {"sent": True}))
            work_id = _register(chain, store, owner, policy, document, url)
        _keep(draft, home / str(work_id), table, policy, drafted)
    policy = kept_dataset(home, work_id).policy  # its terms may have been changed since
    document = _drafted_document(orjson.loads((home / str(work_id) / NOTE).read_bytes()))
    budget = PrivacyBudget(chain)
    if not budget.of(work_id).opened:
        budget.set_total(owner, work_id, policy.epsilon_total)
    if policy.statistics_epsilon:
        budget.spend(owner, work_id, STATISTICS_JOB, policy.statistics_epsilon)
    offer_uses(chain, owner, work_id, policy, document)
    return kept_dataset(home, work_id)


def offer_uses(
    chain: Chain, owner: Account, work_id: int, policy: DatasetPolicy, document: DatasetDocument
) -> None:
    """Open the uses that the policy sells and close the others; what stands as it should stays as it is."""
    terms, decimals = Terms(chain), int(chain.coin.call("decimals"))
    for use in set(USES.values()) - set(policy.sales):
        if terms.offer_of(work_id, use) is not None:
            terms.close(owner, work_id, use)
    for use, sale in policy.sales.items():
        wanted: dict[str, Any] = {
            "price": units(sale.price, decimals),
            "period_s": sale.period_days * 86_400,
            "consent": sale.consent,
            "expires_at": sale.expires_at,
            "terms_digest": document.terms_digest,
        }
        standing = terms.offer_of(work_id, use)
        if standing is None or any(getattr(standing, name) != value for name, value in wanted.items()):
            terms.offer(owner, work_id, use, **wanted)


def change_terms(  # noqa: PLR0917  (as `publish_dataset`)
    chain: Chain,
    store: Store,
    owner: Account,
    home: Path,
    work_id: int,
    policy: DatasetPolicy,
    *,
    url: str | None = None,
) -> KeptDataset:
    """Sell a dataset on other terms from now on; grants that were bought stay. After a crash it goes on.

    Parameters
    ----------
    url : str, optional
        Where its node answers from now on; as before when not given.

    Raises
    ------
    BadInput
        The policy changes what was fixed at publishing (rows held back, statistics, sample, epsilon_total).
    """
    kept = kept_dataset(home, work_id)
    check_kept(chain, kept)
    for name in ("held_out", "statistics_epsilon", "sample", "columns", "epsilon_total"):
        if getattr(policy, name) != getattr(kept.policy, name):
            raise BadInput(
                f"The policy has another {name} than the dataset was published with.",
                hint="Publish it as another Work; the budget is changed by: koinon data budget",
                code="data.fixed_terms",
            )
    _check_rows(policy, len(kept.table))
    note = orjson.loads((kept.folder / NOTE).read_bytes())
    terms = terms_of(policy, int(chain.coin.call("decimals")))
    document = replace(_drafted_document(note), terms=terms)
    works = Works(chain, store, owner)
    before = works.registration_of(work_id).registration
    services = before.services if url is None else _services(url)
    file = replace(before, services=services, contents=(_content(store, document),))
    write_private(kept.folder / NOTE, orjson.dumps(note | {"document": document.to_bytes().hex()}))
    write_private(kept.folder / "policy.toml", policy.text.encode())
    if file != before:
        domain = registration_domain(chain.chain_id, works.contract.address)
        uri = URI_SCHEME + store.put(file.sign(owner, domain).to_bytes())
        chain.sender(owner).send(works.contract.transaction("setAgentURI", work_id, uri))
    offer_uses(chain, owner, work_id, policy, document)
    return kept_dataset(home, work_id)


def kept_dataset(home: Path, work_id: int) -> KeptDataset:
    """A dataset of this data directory; NotFound when it is not here."""
    folder = home / str(work_id)
    if not (folder / "policy.toml").is_file():
        raise NotFound(
            f"The data of Work {work_id} are not here.",
            hint="Only its owner's data directory holds them.",
            code="data.not_here",
        )
    held_out = folder / HELD_OUT
    return KeptDataset(
        work_id,
        folder,
        read_policy((folder / "policy.toml").read_text(encoding="utf-8")),
        _load(folder / TABLE),
        _load(held_out) if held_out.exists() else None,
    )


def check_kept(chain: Chain, kept: KeptDataset) -> None:
    """IntegrityError where the Work of this id on this network is not the dataset that is kept here."""
    told = _drafted_document(orjson.loads((kept.folder / NOTE).read_bytes())).commitment
    works = chain.contract("Works")
    there = int(works.call("total")) >= kept.work_id
    if not there or works.call("getMetadata", kept.work_id, COMMITMENT_KEY) != bytes.fromhex(told):
        raise IntegrityError(
            f"Work {kept.work_id} on {chain.network.name} is not the dataset that is kept here.",
            hint="It was published on another network. Publish it here.",
            code="data.other_network",
        )


def kept_datasets(home: Path) -> list[int]:
    """Ids of the datasets of this data directory."""
    return sorted(int(path.parent.name) for path in home.glob("*/policy.toml") if path.parent.name.isdigit())


def _draft(
    draft: Path, chain: Chain, table: Table, policy: DatasetPolicy, generator: np.random.Generator | None
) -> dict[str, Any]:
    """What is published, made once: noise drawn again would spend again."""
    note = draft / NOTE
    if note.exists():
        found: dict[str, Any] = orjson.loads(note.read_bytes())
        return found
    chance = generator or np.random.default_rng(secrets.randbits(128))
    order = chance.permutation(len(table))
    held_back = int(len(table) * policy.held_out)
    left = len(table) - held_back
    _check_rows(policy, left)
    salt = secrets.token_bytes(32)
    shown: Statistics | None = None
    if policy.statistics_epsilon:
        shown = statistics(table, policy.columns, policy.statistics_epsilon, generator)
    sample = shown.synthetic(_SAMPLE_ROWS, chance) if shown and policy.sample == "synthetic" else []
    document = DatasetDocument(
        table.columns,
        shown.to_json() if shown else None,
        sample,
        hashlib.sha256(salt + table.digest).hexdigest(),
        terms_of(policy, int(chain.coin.call("decimals"))),
    )
    drafted = {
        "document": document.to_bytes().hex(),
        "salt": salt.hex(),
        "held_out": sorted(int(row) for row in order[:held_back]),
    }
    write_private(note, orjson.dumps(drafted))
    return drafted


def _check_rows(policy: DatasetPolicy, left: int) -> None:
    """BadInput when so many rows are too few for what the policy promises."""
    if left < max(2, policy.gate.min_group):
        raise BadInput(
            f"{left} rows are too few to compute on.",
            hint="Hold fewer back, or add rows.",
            code="data.too_few_rows",
        )
    if policy.compute and policy.max_blocks * policy.gate.min_group > left:
        raise BadInput(
            f"{policy.max_blocks} blocks of {policy.gate.min_group} rows are more than there are.",
            hint=f"Set node.max_blocks to {left // max(1, policy.gate.min_group)} or less.",
            code="data.too_few_rows",
        )


def _services(url: str) -> tuple[Service, ...]:
    return (Service(SERVICE, url),) if url else ()


def _content(store: Store, document: DatasetDocument) -> Content:
    content = document.to_bytes()
    return Content(DOCUMENT, store.put(content), len(content), "application/json")


def _register(  # noqa: PLR0917  (as `publish_dataset`)
    chain: Chain, store: Store, owner: Account, policy: DatasetPolicy, document: DatasetDocument, url: str
) -> int:
    registration = Registration(
        name=policy.name,
        description=policy.summary,
        card=Card(
            kind="dataset",
            summary=policy.summary,
            data=policy.data,
            limits=policy.limits,
            contest=policy.contest,
            unmeasured="A dataset is measured by what models learn from it; see its children.",
        ),
        services=_services(url),
        contents=(_content(store, document),),
    )
    commitment = bytes.fromhex(document.commitment)
    published = Works(chain, store, owner).publish(registration, metadata=[(COMMITMENT_KEY, commitment)])
    return published.work_id


def _keep(draft: Path, folder: Path, table: Table, policy: DatasetPolicy, drafted: dict[str, Any]) -> None:
    """The table, cut into what programs see and what is held back, in one step at its place."""
    held = np.zeros(len(table), dtype=bool)
    held[drafted["held_out"]] = True
    draft.chmod(0o700)
    table.take(np.flatnonzero(~held).astype(np.int64)).save(draft / TABLE)
    if held.any():
        table.take(np.flatnonzero(held).astype(np.int64)).save(draft / HELD_OUT)
    write_private(draft / NOTE, orjson.dumps(drafted | {"sent": True}))
    write_private(draft / "policy.toml", policy.text.encode())
    draft.rename(folder)


def _load(path: Path) -> Table:
    """As `Table.save` wrote it: labels stay the numbers they are, whichever of them are here."""
    with np.load(path, allow_pickle=False) as stored:
        columns = tuple(str(name) for name in stored["columns"])
        return Table(stored["features"], stored["labels"], columns)


def _name(chain: Chain, owner: Account, table: Table, policy: DatasetPolicy) -> str:
    """What publishing this table on these terms is known by here."""
    state = hashlib.sha256(f"{chain.network.genesis_hash} {owner.address}\n".encode())
    state.update(table.digest + policy.text.encode())
    return state.hexdigest()


def _kept_as(home: Path, name: str) -> int | None:
    for work_id in kept_datasets(home):
        if orjson.loads((home / str(work_id) / NOTE).read_bytes())["name"] == name:
            return work_id
    return None


def _registered(chain: Chain, owner: Account, document: DatasetDocument) -> int | None:
    """The Work that was registered before its id could be noted."""
    works, wanted = chain.contract("Works"), bytes.fromhex(document.commitment)
    for entry in works.history("Registered", owner=owner.address):
        if works.call("getMetadata", entry["agentId"], COMMITMENT_KEY) == wanted:
            return int(entry["agentId"])
    return None


def _drafted_document(drafted: dict[str, Any]) -> DatasetDocument:
    return DatasetDocument.from_bytes(bytes.fromhex(drafted["document"]))
