# SPDX-License-Identifier: Apache-2.0
"""Lists of addresses and domains: where each comes from, of which day it is, and what its file hashes to.

Nothing is downloaded. A list is read from what the user or the development set-up installed: the sanctions
list of the US Treasury's OFAC as packed in the wheel ``sra_riskgate``, the domains of MetaMask's
``eth-phishing-detect`` from npm, or the user's own files. A list that is old is still a list; its date is
shown beside every hit.
"""

from __future__ import annotations

import csv
import hashlib
import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from koinon.errors import BadInput

ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")
_DATE: Final = re.compile(r"as_of:\s*(\d{4}-\d{2}-\d{2})")
OFAC_MEMBER: Final = "sra_riskgate/data/ofac_sdn_evm.txt"
OFAC_SOURCE: Final = "US Treasury, OFAC SDN list, EVM addresses; as packed in PyPI's sra-riskgate"
PHISHING_SOURCE: Final = "MetaMask eth-phishing-detect, as packed in npm"


@dataclass(frozen=True)
class NamedList:
    """One list.

    Parameters
    ----------
    name : str
        What hits are told under, such as ``ofac``.
    kind : str
        ``sanctions``, ``phishing`` or ``own``.
    source : str
        Where it comes from, in words.
    as_of : str
        The day it says it is of, ISO; empty where it does not say.
    sha256 : str
        Of the file that was read.
    addresses : dict
        Address in lower case → note.
    domains, allowed, imitated : frozenset of str
        Domains that are bad, that are fine, and that others imitate.
    tolerance : int
        How many letters a domain may differ from an imitated one and still count as imitating it.
    """

    name: str
    kind: str
    source: str
    as_of: str
    sha256: str
    addresses: dict[str, str] = field(default_factory=dict)
    domains: frozenset[str] = frozenset()
    allowed: frozenset[str] = frozenset()
    imitated: frozenset[str] = frozenset()
    tolerance: int = 0

    def provenance(self) -> dict[str, Any]:
        """What is shown beside every hit."""
        return {
            "name": self.name,
            "kind": self.kind,
            "source": self.source,
            "as_of": self.as_of,
            "sha256": self.sha256,
            "addresses": len(self.addresses),
            "domains": len(self.domains),
        }


def read_ofac(path: Path) -> NamedList:
    """The sanctions list from the wheel, or from a text file of the same form.

    Raises BadInput (``watch.list``) where there is none in it.
    """
    if path.suffix == ".whl":
        try:
            with zipfile.ZipFile(path) as wheel:
                content = wheel.read(OFAC_MEMBER)
        except (OSError, KeyError, zipfile.BadZipFile) as fault:
            raise BadInput(f"{path.name} holds no sanctions list.", code="watch.list") from fault
    else:
        content = _bytes(path)
    text = content.decode("utf-8", "replace")
    found = {each.lower(): "OFAC SDN" for line in text.splitlines() for each in _listed(line)}
    if not found:
        raise BadInput(f"{path.name} lists no address.", code="watch.list")
    date = _DATE.search(text)
    return NamedList("ofac", "sanctions", OFAC_SOURCE, date.group(1) if date else "", _digest(content), found)


def read_phishing(path: Path) -> NamedList:
    """The domains of ``eth-phishing-detect``: its ``config.json``, or the package's folder, whose version
    stands for a date. Raises BadInput (``watch.list``) where it is not that."""
    folder = path if path.is_dir() else path.parent.parent
    content = _bytes(path / "src" / "config.json" if path.is_dir() else path)
    version = ""
    try:
        document = orjson.loads(content)
        if (folder / "package.json").is_file():
            version = str(orjson.loads((folder / "package.json").read_bytes()).get("version", ""))
        return NamedList(
            "eth-phishing-detect",
            "phishing",
            f"{PHISHING_SOURCE} {version}".strip(),
            "",
            _digest(content),
            domains=_names(document["blacklist"]),
            allowed=_names(document["whitelist"]),
            imitated=_names(document["fuzzylist"]),
            tolerance=int(document["tolerance"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as fault:
        raise BadInput(f"{path.name} is no list of phishing domains.", code="watch.list") from fault


def read_own(path: Path, *, name: str = "", as_of: str = "") -> NamedList:
    """The user's own list: one address or domain a line, a note behind a comma; ``#`` begins a remark.

    Raises BadInput (``watch.list``), naming the line, where one is neither.
    """
    content = _bytes(path)
    addresses: dict[str, str] = {}
    domains: set[str] = set()
    for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), start=1):
        entry, *notes = next(csv.reader([line.split("#")[0]]), [""]) or [""]
        entry = entry.strip()
        note = notes[0].strip() if notes else ""
        if not entry:
            continue
        if ADDRESS.fullmatch(entry):
            addresses[entry.lower()] = note
        elif re.fullmatch(r"[\w-]+(\.[\w-]+)+", entry):
            domains.add(entry.lower())
        else:
            raise BadInput(
                f"{path.name}, line {number}: {entry[:60]!r} is neither an address nor a domain.",
                code="watch.list",
            )
    return NamedList(
        name or path.stem,
        "own",
        f"the file {path.name}",
        as_of,
        _digest(content),
        addresses,
        frozenset(domains),
    )


def _listed(line: str) -> list[str]:
    return [] if line.lstrip().startswith("#") else ADDRESS.findall(line)


def _names(values: Iterable[Any]) -> frozenset[str]:
    return frozenset(str(each).lower().rstrip(".") for each in values)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as fault:
        raise BadInput(f"The list {path} cannot be read ({fault.strerror}).", code="watch.list") from fault


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
