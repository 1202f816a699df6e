# SPDX-License-Identifier: Apache-2.0
"""What a river is made of: places, the money between them, and small ones told together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from koinon.web.formatting import Unit, amount_text
from koinon.web.language import gettext as _
from koinon.web.language import ngettext

Kind = Literal["payer", "till", "account", "others"]
OTHER_PAYERS: Final = "other-payers"
OTHER_PAYEES: Final = "other-payees"


@dataclass(frozen=True)
class Place:
    """Where money comes from, passes through or ends. ``key`` is unique in the river; ``href`` its page.

    One whose key is `OTHER_PAYERS` stands for ``count`` payers that are too small to be told apart.
    """

    key: str
    label: str
    kind: Kind
    href: str = ""
    count: int = 1


def others(count: int, key: str = OTHER_PAYERS) -> Place:
    """Several places told together."""
    return Place(key, ngettext("%(num)s other", "%(num)s others", count), "others", count=count)


@dataclass(frozen=True)
class Stream:
    """Money from one place to another, in the token's smallest unit.

    ``done`` has arrived, ``waiting`` still lies at the source; ``fresh`` when part of it moved just now.
    """

    source: str
    target: str
    done: int
    waiting: int = 0
    fresh: bool = False

    @property
    def amount(self) -> int:
        return self.done + self.waiting


@dataclass(frozen=True)
class River:
    """One Work's money from its payers to everyone upstream.

    Parameters
    ----------
    name : str
        The Work's.
    till : str
        Key of its till.
    places : mapping of key to Place
        Every source and target of a stream.
    streams : tuple of Stream
        Without circles. From payers they lead to the Work's till, from tills to tills and accounts.
    unit : Unit
    """

    name: str
    till: str
    places: Mapping[str, Place]
    streams: tuple[Stream, ...]
    unit: Unit

    def money(self, units: int) -> str:
        """An amount with its unit, in words."""
        return f"{amount_text(units, self.unit)} {self.unit.symbol}"

    @property
    def earned(self) -> int:
        """Everything that came to the Work's till."""
        return sum(stream.amount for stream in self.streams if stream.target == self.till)

    @property
    def paid_out(self) -> int:
        """What has reached accounts."""
        return sum(stream.done for stream in self.streams if self.places[stream.target].kind != "till")

    @property
    def waiting(self) -> int:
        """What lies in tills for somebody."""
        return sum(stream.waiting for stream in self.streams)

    def into(self, key: str) -> list[Stream]:
        return [stream for stream in self.streams if stream.target == key]

    def out_of(self, key: str) -> list[Stream]:
        return [stream for stream in self.streams if stream.source == key]

    def amounts(self, key: str) -> list[str]:
        """What is to be said of a place: a phrase for each amount."""
        came, gone = self.into(key), self.out_of(key)
        kind = self.places[key].kind
        if not came:
            return [_("paid %(amount)s", amount=self.money(sum(one.amount for one in gone)))]
        if kind == "till" or gone:
            total = sum(one.amount for one in came) if key == self.till else sum(one.done for one in came)
            phrases = [_("earned %(amount)s", amount=self.money(total))]
            lies = sum(one.waiting for one in gone)
            if lies:
                phrases.append(_("%(amount)s waiting here", amount=self.money(lies)))
            return phrases
        phrases = []
        done, waits = sum(one.done for one in came), sum(one.waiting for one in came)
        if done or not waits:
            phrases.append(_("%(amount)s paid out", amount=self.money(done)))
        if waits:
            phrases.append(_("%(amount)s to withdraw", amount=self.money(waits)))
        return phrases

    def sentence(self) -> str:
        """The whole picture in words."""
        if not self.earned:
            return _("%(name)s has earned nothing yet. The first payment will take this way.", name=self.name)
        return _(
            "%(name)s earned %(earned)s. %(paid)s was paid out to accounts, %(waiting)s waits in tills.",
            name=self.name,
            earned=self.money(self.earned),
            paid=self.money(self.paid_out),
            waiting=self.money(self.waiting),
        )

    def simplified(self, most: int) -> River:
        """The same with at most ``most`` payers and ``most`` accounts; the smallest are told together."""
        payers = {stream.source for stream in self.streams if self.places[stream.source].kind != "till"}
        ends = {stream.target for stream in self.streams if self.places[stream.target].kind != "till"}
        renamed = self._others(payers, most, OTHER_PAYERS) | self._others(ends, most, OTHER_PAYEES)
        if not renamed:
            return self
        merged: dict[tuple[str, str], Stream] = {}
        for stream in self.streams:
            key = renamed.get(stream.source, stream.source), renamed.get(stream.target, stream.target)
            known = merged.get(key, Stream(*key, 0))
            merged[key] = Stream(
                *key, known.done + stream.done, known.waiting + stream.waiting, known.fresh or stream.fresh
            )
        places = {key: place for key, place in self.places.items() if key not in renamed}
        for name in set(renamed.values()):
            count = sum(self.places[key].count for key, one in renamed.items() if one == name)
            places[name] = others(count, name)
        return replace(self, places=places, streams=tuple(merged.values()))

    def _others(self, keys: set[str], most: int, name: str) -> dict[str, str]:
        together, keys = keys & {name}, keys - {name}
        if len(keys) + len(together) <= most:
            return {}
        size: dict[str, int] = defaultdict(int)
        for stream in self.streams:
            for key in {stream.source, stream.target} & keys:
                size[key] += stream.amount
        ranked = sorted(keys, key=lambda key: (-size[key], key))
        return dict.fromkeys((*ranked[most - 1 :], *together), name)

    def flowing(self) -> River:
        """Without streams that carry nothing, unless the whole river is dry; then with a first payer."""
        if self.earned:
            streams = tuple(stream for stream in self.streams if stream.amount)
            kept = {self.till, *(stream.source for stream in streams), *(stream.target for stream in streams)}
            return replace(
                self,
                streams=streams,
                places={key: place for key, place in self.places.items() if key in kept},
            )
        streams = tuple(stream for stream in self.streams if self.places[stream.source].kind == "till")
        kept = {self.till, *(stream.source for stream in streams), *(stream.target for stream in streams)}
        places = {key: place for key, place in self.places.items() if key in kept}
        places[OTHER_PAYERS] = Place(OTHER_PAYERS, _("the first payer"), "others")
        return replace(self, places=places, streams=(Stream(OTHER_PAYERS, self.till, 0), *streams))
