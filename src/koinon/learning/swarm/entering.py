# SPDX-License-Identifier: Apache-2.0
"""Coming into a run, and out of it again: the stake, the agreement, the announcement on chain."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from koinon.chain.eip712 import digest
from koinon.chain.handle import Chain
from koinon.chain.keys import Key, verify
from koinon.errors import BadInput
from koinon.learning.dataset_work import publish_dataset
from koinon.learning.messages import CONSENT, PARENT_PERMISSION, Joining, federation_domain, works_domain
from koinon.learning.owner_frames import OwnerFrames
from koinon.learning.swarm.chain_state import read_swarm
from koinon.learning.swarm.config import PeerConfig
from koinon.learning.swarm.identity import Identity
from koinon.learning.swarm.ledger import NO_DATASET, Dataset, SwarmLedger
from koinon.learning.swarm.onion import Onion
from koinon.learning.swarm.seat import Seat
from koinon.learning.train_grant import check_train_grant
from koinon.tables import Table
from koinon.works.bonds import Bonds

PERMISSION_S: Final = 30 * 86_400
"""How long the owner's signatures hold: until then the run must be finished."""


def enter(
    seat: Seat,
    config: PeerConfig,
    onion: Onion,
    identity: Identity,
    *,
    table: Table | None,
    rows: tuple[Table, Table] | None,
) -> None:
    """Join where this peer did not yet, and tell the others what its owner agreed to.

    Parameters
    ----------
    table, rows
        The owner's, and its parts: what teaches, and what it keeps to measure on.
    """
    state = read_swarm(seat.chain, seat.run_id)
    seat.look(state, again=True)
    frame = seat.journal.fact("agreement")
    if frame is None and table is not None and rows is not None:
        work_id = config.work_id or _published(seat, config, table)
        check_train_grant(seat.chain, work_id, state.initiator)
        frame = agreement(seat, rows[0], work_id, config.minimum_share)
    if seat.me is None:
        url = config.url or seat.exchange.url
        join(seat, onion, certificate=identity.certificate, url=url, stake=config.stake, frame=frame)
        seat.look(state, again=True)
    if frame is not None:
        seat.roster.agree(frame)
        seat.exchange.tell("/agreement", frame)


def _published(seat: Seat, config: PeerConfig, table: Table) -> int:
    folder = Path(config.dataset_dir or config.data_dir)
    return publish_dataset(seat.chain, seat.key, table, folder, name=config.name).work_id


def agreement(seat: Seat, table: Table, work_id: int, minimum_share: int) -> bytes:
    """What the owner of a dataset signs to take part, once and for all; its frame.

    Raises
    ------
    BadInput
        The table has not the recipe's columns, or cannot be trained on.
    """
    deadline = seat.now() + PERMISSION_S
    frame = frames_of(seat, len(table)).joining(
        table, work_id=work_id, minimum_share=minimum_share, deadline=deadline
    )
    return seat.journal.note("agreement", frame)


def frames_of(seat: Seat, rows: int) -> OwnerFrames:
    """What an owner who teaches with so many rows signs."""
    return OwnerFrames(
        seat.key,
        seat.inbox.domain,
        seat.chain.contract("Works").address,
        opener=seat.account,
        run_id=seat.run_id,
        recipe=seat.recipe,
        rows=rows,
    )


def check_agreement(chain: Chain, run_id: int, joining: Joining) -> None:
    """What the contracts will check of an owner's signatures, before it can spoil the run for the others."""
    federation, works = chain.contract("Federation").address, chain.contract("Works").address
    fields = (joining.work_id, joining.minimum_share, joining.deadline)
    consent = digest(federation_domain(chain.chain_id, federation), CONSENT.hash(run_id, *fields))
    permission = digest(
        works_domain(chain.chain_id, works), PARENT_PERMISSION.hash(fields[0], federation, *fields[1:])
    )
    good = (
        joining.permission[:32] == joining.deadline.to_bytes(32, "big")
        and verify(consent, joining.consent, joining.owner)
        and verify(permission, joining.permission[32:], joining.owner)
    )
    if not good:
        raise BadInput("The consent or permission would not be accepted.", code="learning.consent")


def join(seat: Seat, onion: Onion, *, certificate: bytes, url: str, stake: int, frame: bytes | None) -> None:
    """Stake and join; a stake posted before a crash is used again. ``frame`` is the owner's agreement."""
    dataset = NO_DATASET
    if frame is not None:
        joining, _ = Joining.unpack(frame, seat.inbox.domain)
        dataset = Dataset(joining.work_id, joining.minimum_share, joining.deadline, joining.consent)
    bond_id = _unused_bond(seat.ledger, seat.run_id) or seat.ledger.stake(seat.run_id, stake or None)
    number = seat.ledger.join(
        seat.run_id, bond_id, tip=onion.tip, certificate=certificate, url=url, dataset=dataset
    )
    seat.report({"event": "joined", "number": number, "bond": bond_id})


def take_back_stake(seat: Seat, key: Key) -> int:
    """End this peer's bond, wait for its notice, and collect what it and others' failures came to."""
    me, bonds = seat.me, Bonds(seat.chain)
    if me is None:
        return 0
    token = str(bonds.bond(me.bond_id).token)
    if not bonds.bond(me.bond_id).ends_at:
        bonds.announce_end(key, me.bond_id)
    while seat.now() < bonds.bond(me.bond_id).ends_at:
        time.sleep(0.5)
    if bonds.bond(me.bond_id).amount:
        bonds.withdraw(key, me.bond_id)
    if not bonds.credit(seat.account, token=token):
        return 0
    return bonds.collect(key, seat.account, token=token)


def _unused_bond(ledger: SwarmLedger, run_id: int) -> int:
    """A bond of this account for this run that an earlier process posted; 0 for none."""
    bonds = Bonds(ledger.chain)
    subject = bytes(ledger.contract.call("subject_of", run_id))
    posted = bonds.contract.history("Posted", poster=ledger.account)
    found = [
        int(event["bond_id"])
        for event in posted
        if bytes(event["subject"]) == subject and event["judge"] == ledger.contract.address
    ]
    return found[-1] if found else 0
