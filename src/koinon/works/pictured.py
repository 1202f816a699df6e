# SPDX-License-Identifier: Apache-2.0
"""A Work's money as a river: from its payers through its till to everyone upstream."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Final

from koinon.web.formatting import Unit
from koinon.web.language import gettext as _
from koinon.web.language import url
from koinon.web.pictures import Place, River, Stream
from koinon.web.pictures.streams import others
from koinon.works.purse import Purse
from koinon.works.shares import OWNER
from koinon.works.way import Way

Named = Callable[[str], str | None]

MOST_PAYERS: Final = 60
"""Payers that are told apart; a picture shows fewer still."""


def river(way: Way, names: Mapping[int, str], unit: Unit, name_of: Named, *, fresh_since: int = 0) -> River:
    """The river of a way.

    Parameters
    ----------
    way : Way
    names : mapping of int to str
        Names of the Works on the way, where they are known.
    unit : Unit
        Of the coin.
    name_of : callable
        What an account is called here, or None.
    fresh_since : int
        Payments from this moment on (Unix seconds) are drawn as money in motion; 0 for none.
    """
    work_id = way.income.work_id
    places = {
        _till(each): Place(_till(each), _work_label(each, names), "till", url(f"/works/{each}"))
        for each in way.works
    }
    streams: list[Stream] = []
    fresh = {payer for payer, at in way.income.last_paid.items() if fresh_since and at >= fresh_since}
    payers = list(way.income.by_payer.items())
    for payer, amount in payers[:MOST_PAYERS]:
        key = f"payer-{payer}"
        places[key] = Place(key, name_of(payer) or _short(payer), "payer", url(f"/chain/address/{payer}"))
        streams.append(Stream(key, _till(work_id), amount, fresh=payer in fresh))
    small = payers[MOST_PAYERS:]
    if small:
        together = others(len(small))
        places[together.key] = together
        moved = any(payer in fresh for payer, _amount in small)
        streams.append(Stream(together.key, _till(work_id), sum(amount for _, amount in small), fresh=moved))
    merged: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for flow in way.flows:
        if not flow.amount:
            continue
        if flow.parent is not None:
            target = _till(flow.parent)
        else:
            account = way.receiver(flow)
            target = f"account-{account}"
            label = name_of(account) or _short(account)
            if flow.payee == OWNER:
                label = _("%(account)s (owner)", account=label)
            places.setdefault(target, Place(target, label, "account", url(f"/chain/address/{account}")))
        places.setdefault(target, Place(target, _work_label(flow.parent or 0, names), "till"))
        both = merged[_till(flow.source), target]
        both[0] += flow.withdrawn
        both[1] += flow.waiting
    streams += [Stream(source, target, done, waits) for (source, target), (done, waits) in merged.items()]
    return River(_work_label(work_id, names), _till(work_id), places, tuple(streams), unit)


def _till(work_id: int) -> str:
    return f"till-{work_id}"


def _work_label(work_id: int, names: Mapping[int, str]) -> str:
    return names.get(work_id) or _("Work %(id)s", id=work_id)


def _short(account: str) -> str:
    return f"{account[:6]}…{account[-4:]}"


def account_river(
    purse: Purse, work_of: Callable[[str], int | None], names: Mapping[int, str], unit: Unit
) -> River:
    """One account's money as a river: from the Works that pay it to what it received and what waits for it.

    ``work_of`` says whose till an address is; ``names`` of Works where they are known.
    """
    amounts: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for till, received in purse.by_till.items():
        amounts[work_of(till) or 0][0] += received
    for part in purse.parts:
        amounts[part.work_id][1] += part.withdrawable
    places = {
        "you": Place("you", _("You"), "till", url("/money")),
        "account": Place("account", _("Your account"), "account", url(f"/chain/address/{purse.account}")),
    }
    streams = []
    paying = sorted(amounts.items(), key=lambda each: (-sum(each[1]), each[0]))
    for work_id, (received, waits) in sorted(paying[:MOST_PAYERS]):
        if received or waits:
            key = f"work-{work_id}"
            places[key] = Place(key, _work_label(work_id, names), "payer", url(f"/works/{work_id}"))
            streams.append(Stream(key, "you", received, waits))
    small = [each for _work_id, each in paying[MOST_PAYERS:] if sum(each)]
    if small:
        together = others(len(small))
        places[together.key] = together
        done, waiting = sum(each[0] for each in small), sum(each[1] for each in small)
        streams.append(Stream(together.key, "you", done, waiting))
    if purse.received:
        streams.append(Stream("you", "account", purse.received))
    return River(_("You"), "you", places, tuple(streams), unit)
