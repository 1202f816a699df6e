# SPDX-License-Identifier: Apache-2.0
"""Who takes part: accounts whose keys follow from the seed, for test money only.

Everybody who knows a seed knows these keys. They are used on development chains, where money is worth
nothing, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from koinon.chain.address import checksum
from koinon.chain.hashing import keccak256
from koinon.chain.keys import Key


@dataclass(frozen=True)
class Person:
    """One account. ``role`` is what it does, ``kind`` what nobody sees (a borrower's type, a ring's part),
    ``owner`` who is behind it where one person has several."""

    name: str
    role: str
    kind: str
    owner: str
    key: Key = field(repr=False, compare=False)

    @property
    def address(self) -> str:
        """EIP-55 address."""
        return self.key.address


class Accounts:
    """Everybody of one simulation, in the order they came."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._people: dict[str, Person] = {}
        self._by_address: dict[str, Person] = {}
        self._counts: dict[str, int] = {}

    def new(self, role: str, kind: str = "", owner: str = "") -> Person:
        """The next account of a role."""
        number = self._counts.get(role, 0)
        self._counts[role] = number + 1
        name = f"{role} {number + 1}"
        key = Key.from_bytes(keccak256(f"koinon simulated market {self.seed}: {name}".encode()))
        person = Person(name, role, kind, owner or name, key)
        self._people[name] = person
        self._by_address[person.address] = person
        return person

    def only(self, role: str) -> Person:
        """The one account of a role, made when it is first asked for."""
        return self._people.get(f"{role} 1") or self.new(role)

    def several(self, count: int, role: str, kind: str = "") -> list[Person]:
        """So many accounts of a role."""
        return [self.new(role, kind) for _ in range(count)]

    def at(self, address: str) -> Person | None:
        """Whose account this is."""
        return self._by_address.get(checksum(address))

    def __iter__(self) -> Iterator[Person]:
        return iter(self._people.values())

    def __len__(self) -> int:
        return len(self._people)
