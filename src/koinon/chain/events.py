# SPDX-License-Identifier: Apache-2.0
"""Logs to rows: what an event's table looks like, and decoding many logs of one event at once.

Events with fields of fixed size are sliced by position, a column at a time (several hundred times faster than
decoding each log by its types); events with strings, bytes or arrays go through `koinon.chain.codec`. Structs
are flattened into columns (``config_payer``); each array is a `Child`: rows of its own with a position.

Values of a column, by its kind: ``integer`` int, ``boolean`` bool, ``text`` str (EIP-55 addresses, strings
with NUL read as U+FFFD, bytes as ``0x…`` in lower case, indexed strings, bytes and arrays as their hashes,
arrays within arrays as JSON).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from koinon.chain.abi import Event
from koinon.chain.address import checksum
from koinon.errors import IntegrityError

Row = tuple[Any, ...]
Log = Mapping[str, Any]

RESERVED: Final = ("block_number", "log_index", "transaction_hash", "address", "position")
"""Columns every table has; a field of such a name gets ``_2`` after it."""

_ARRAY: Final = re.compile(r"^(.*)\[(\d*)\]$")
_INTEGER: Final = re.compile(r"^(u?)int(\d*)$")
_FIXED_BYTES: Final = re.compile(r"^bytes(\d+)$")
_WORD: Final = 64  # hex digits


@dataclass(frozen=True)
class Column:
    """``kind``: integer, boolean or text. ``indexed``: whether the ABI says so."""

    name: str
    kind: str
    indexed: bool = False


@dataclass(frozen=True)
class Child:
    """An array of an event: the columns of one element, in a table of its own."""

    name: str
    columns: tuple[Column, ...]


@dataclass
class Decoded:
    """What `Layout.decode` found.

    ``places`` the positions of the logs that could be read, ``rows`` their rows, ``children`` for each
    `Child` (place, position, element), ``refused`` place → why a log could not be read.
    """

    places: list[int]
    rows: list[Row]
    children: list[list[tuple[int, int, Row]]] = field(default_factory=list)
    refused: dict[int, str] = field(default_factory=dict)


class Layout:
    """The table of one event.

    ``columns`` in the ABI's order (arrays left out), ``children`` its arrays, ``key`` the first topic and how
    many topics its logs have.
    """

    def __init__(self, entry: Mapping[str, Any]) -> None:
        self.event = Event(entry)
        self.entry = dict(entry)
        names = _Names(RESERVED)
        self.columns: tuple[Column, ...] = ()
        self.children: tuple[Child, ...] = ()
        self._leaves: list[tuple[str, bool]] = []  # (ABI type, whether it is its own topic), by column
        self._flat = True
        for position, field_ in enumerate(entry["inputs"]):
            self._add(field_, str(field_.get("name") or f"field_{position}"), names)
        indexed = sum(1 for field_ in entry["inputs"] if field_.get("indexed"))
        self.key = ("0x" + self.event.topic.hex(), 1 + indexed)
        self._slices = self._plan() if self._flat else []

    def decode(self, logs: Sequence[Log]) -> Decoded:
        """Rows of logs that all have this layout's ``key``. Nothing is raised: what cannot be read is
        ``refused``, since anybody may deploy a contract that emits nonsense."""
        if self._flat:
            try:
                return Decoded(list(range(len(logs))), self._slice(logs))
            except (ValueError, TypeError, KeyError, IndexError, AttributeError, IntegrityError):
                pass  # find out which one it was
        decoded = Decoded([], [], [[] for _ in self.children])
        for place, log in enumerate(logs):
            try:
                row, children = self._flatten(self.event.decode(log))
            except (ValueError, TypeError, KeyError, IndexError, AttributeError) as fault:
                decoded.refused[place] = f"{type(fault).__name__}: {fault}"
            except IntegrityError as fault:
                decoded.refused[place] = fault.message
            else:
                decoded.places.append(place)
                decoded.rows.append(row)
                for kept, found in zip(decoded.children, children, strict=True):
                    kept += [(place, position, element) for position, element in enumerate(found)]
        return decoded

    def _add(self, field_: Mapping[str, Any], name: str, names: _Names) -> None:
        kind, indexed = str(field_["type"]), bool(field_.get("indexed"))
        if indexed:
            hashed = kind in ("string", "bytes", "tuple") or kind.endswith("]")
            self._column(name, "bytes32" if hashed else kind, True, names)
        elif match := _ARRAY.match(kind):
            self._flat = False
            element = {**field_, "type": match[1], "name": "value"}
            columns = tuple(_element_columns(element, _Names(RESERVED)))
            self.children += (Child(names.take(name), columns),)
        elif kind == "tuple":
            for position, part in enumerate(field_["components"]):
                self._add(part, f"{name}_{part.get('name') or position}", names)
        else:
            self._flat = self._flat and kind not in ("string", "bytes")
            self._column(name, kind, False, names)

    def _column(self, name: str, kind: str, indexed: bool, names: _Names) -> None:
        self.columns += (Column(names.take(name), _column_kind(kind), indexed),)
        self._leaves.append((kind, indexed))

    def _plan(self) -> list[tuple[int | None, int, Callable[[list[str]], list[Any]]]]:
        """For each column: its topic or None, where its word starts in the data, and what reads a column."""
        topic, start = 0, 2
        plan: list[tuple[int | None, int, Callable[[list[str]], list[Any]]]] = []
        for kind, indexed in self._leaves:
            if indexed:
                topic += 1
                plan.append((topic, 0, _topic_reader(kind)))
            else:
                plan.append((None, start, _column_reader(kind)))
                start += _WORD
        self._data_length = start
        return plan

    def _slice(self, logs: Sequence[Log]) -> list[Row]:
        data = [log["data"] for log in logs]
        topics = [log["topics"] for log in logs]
        if set(map(len, data)) - {self._data_length} or {text[:2] for text in data} - {"0x"}:
            raise ValueError("the data has another length, or is not hex")
        columns = [
            read([text[start : start + _WORD] for text in data])
            if topic is None
            else read([given[topic] for given in topics])
            for topic, start, read in self._slices
        ]
        return list(zip(*columns, strict=True)) if columns else [()] * len(logs)

    def _flatten(self, values: Mapping[str, Any]) -> tuple[Row, list[list[Row]]]:
        row: list[Any] = []
        children: list[list[Row]] = []
        for field_, value in zip(self.entry["inputs"], values.values(), strict=True):
            _spread(field_, value, row, children)
        return tuple(row), children


def snake(name: str) -> str:
    """A name of the ABI as SQL writes it: ``agentURI`` → agent_uri, ``_tokenId`` → token_id."""
    spaced = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name)
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", spaced)
    return re.sub(r"[^a-z0-9_]", "_", spaced.lower()).strip("_") or "field"


def layouts(abi: Sequence[Mapping[str, Any]]) -> list[Layout]:
    """One for each event of a JSON ABI; anonymous events, whose logs do not say what they are, left out."""
    return [Layout(entry) for entry in abi if entry.get("type") == "event" and not entry.get("anonymous")]


class _Names:
    """Gives each column a name of its own."""

    def __init__(self, taken: Sequence[str]) -> None:
        self._taken = set(taken)

    def take(self, name: str) -> str:
        wanted = unique = snake(name)
        number = 2
        while unique in self._taken:
            unique, number = f"{wanted}_{number}", number + 1
        self._taken.add(unique)
        return unique


class _Addresses(dict[str, str]):
    """Text of a word → EIP-55 address; what was seen before costs one look-up.

    ``prefix`` what the text begins with: ``0x`` for topics.
    """

    def __init__(self, prefix: str = "") -> None:
        super().__init__()
        self._prefix = prefix

    def __missing__(self, text: str) -> str:
        if len(text) != len(self._prefix) + _WORD or not text.startswith(self._prefix + "0" * 24):
            raise IntegrityError("The encoded address has more than 20 bytes.", code="chain.abi_data")
        raw = bytes.fromhex(text[-40:])
        if len(raw) != 20:
            raise IntegrityError("The encoded address is not hex.", code="chain.abi_data")
        address = checksum(raw)
        if len(self) > 100_000:
            self.clear()
        self[text] = address
        return address


_ADDRESSES: Final = _Addresses()
_TOPIC_ADDRESSES: Final = _Addresses("0x")


def _column_kind(kind: str) -> str:
    if kind == "bool":
        return "boolean"
    return "integer" if _INTEGER.match(kind) else "text"


def _topic_reader(kind: str) -> Callable[[list[str]], list[Any]]:
    """Reads topics, which are words with ``0x`` before them."""
    if kind == "address":
        return lambda topics: list(map(_TOPIC_ADDRESSES.__getitem__, topics))
    read = _column_reader(kind)

    def read_topics(topics: list[str]) -> list[Any]:
        if {topic[:2] for topic in topics} - {"0x"}:
            raise ValueError("not hex")
        return read([topic[2:] for topic in topics])

    return read_topics


def _column_reader(kind: str) -> Callable[[list[str]], list[Any]]:
    if kind == "address":
        return lambda words: list(map(_ADDRESSES.__getitem__, words))
    if match := _INTEGER.match(kind):
        bits = int(match[2] or 256)
        return _unsigned(bits) if match[1] else _signed(bits)
    if kind == "bool":
        return _booleans
    match = _FIXED_BYTES.match(kind)
    if match is None:
        raise IntegrityError(f"{kind!r} is not a type of the contract ABI.", code="chain.abi_type")
    return _fixed_bytes(2 * int(match[1]))


def _raw(words: list[str]) -> bytes:
    """32 bytes a word. bytes.fromhex() lets spaces pass, which then are missing."""
    raw = bytes.fromhex("".join(words))
    if len(raw) != 32 * len(words) or set(map(len, words)) - {_WORD}:
        raise ValueError("a word is not 32 bytes in hex")
    return raw


def _unsigned(bits: int) -> Callable[[list[str]], list[Any]]:
    def read(words: list[str]) -> list[Any]:
        raw, number = _raw(words), int.from_bytes
        numbers = [number(raw[at : at + 32], "big") for at in range(0, len(raw), 32)]
        if bits < 256 and max(numbers, default=0) >> bits:
            raise ValueError("a number is outside its range")
        return numbers

    return read


def _signed(bits: int) -> Callable[[list[str]], list[Any]]:
    def read(words: list[str]) -> list[Any]:
        raw = _raw(words)
        numbers = [int.from_bytes(raw[at : at + 32], "big", signed=True) for at in range(0, len(raw), 32)]
        if any(not -(1 << bits - 1) <= number < 1 << bits - 1 for number in numbers):
            raise ValueError("a number is outside its range")
        return numbers

    return read


def _booleans(words: list[str]) -> list[Any]:
    return [number == 1 for number in _unsigned(1)(words)]


def _fixed_bytes(digits: int) -> Callable[[list[str]], list[Any]]:
    padding = "0" * (_WORD - digits)

    def read(words: list[str]) -> list[Any]:
        text = _raw(words).hex()
        if padding and any(word[digits:] != padding for word in words):
            raise ValueError("fixed bytes are too long")
        return ["0x" + text[at : at + digits] for at in range(0, len(text), _WORD)]

    return read


def _text(value: Any) -> Any:
    if isinstance(value, bytes):
        return "0x" + value.hex()
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value


def _spread(field_: Mapping[str, Any], value: Any, row: list[Any], children: list[list[Row]]) -> None:
    kind = str(field_["type"])
    if field_.get("indexed"):
        row.append(_text(value))
    elif match := _ARRAY.match(kind):
        element = {**field_, "type": match[1]}
        children.append([tuple(_element_values(element, each)) for each in value])
    elif kind == "tuple":
        for part, each in zip(field_["components"], value, strict=True):
            _spread({**part, "indexed": False}, each, row, children)
    else:
        row.append(_text(value))


def _element_columns(field_: Mapping[str, Any], names: _Names, prefix: str = "") -> Iterator[Column]:
    kind = str(field_["type"])
    name = prefix or "value"
    if kind == "tuple":
        for position, part in enumerate(field_["components"]):
            inner = str(part.get("name") or f"field_{position}")
            yield from _element_columns(part, names, f"{prefix}_{inner}" if prefix else inner)
    else:
        yield Column(names.take(name), "text" if kind.endswith("]") else _column_kind(kind))


def _element_values(field_: Mapping[str, Any], value: Any) -> Iterator[Any]:
    kind = str(field_["type"])
    if kind == "tuple":
        for part, each in zip(field_["components"], value, strict=True):
            yield from _element_values(part, each)
    else:
        yield orjson.dumps(_plain(value)).decode() if kind.endswith("]") else _text(value)


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, int) and abs(value) >= 1 << 53 else _text(value)
