# SPDX-License-Identifier: Apache-2.0
"""A network's description as a signed file: what someone hands to another so that they meet on one network.

The file is canonical JSON (keys sorted, no unknown ones; any other bytes are refused) and carries the
signature of whoever made it: EIP-712, domain ``Koinon network`` version 1 with the chain's id and the address
of its register of Works, over the network's name, the file's version and the Keccak-256 of everything in it
but the signature. It never holds the maker's own way to the chain, which may carry a password.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit, urlunsplit

import orjson

from koinon.chain.eip712 import Domain, TypedStruct, digest
from koinon.chain.hashing import keccak256
from koinon.chain.keys import verify, write_private
from koinon.chain.network import Network
from koinon.errors import BadInput, IntegrityError, NotFound

VERSION: Final = 1
MAX_BYTES: Final = 65_536

_STRUCT: Final = TypedStruct("NetworkFile(string name,uint256 version,bytes32 content)")
_PUBLIC: Final = (
    "name",
    "chain_id",
    "genesis_hash",
    "test_money",
    "contracts",
    "code_hashes",
    "start_block",
    "canonical",
    "rpc_urls",
    "peers",
)


class Signs(Protocol):
    """Who signs: any account, see `koinon.chain.account`."""

    @property
    def address(self) -> str: ...

    def sign_typed(self, domain: Domain, struct: TypedStruct, *values: Any) -> bytes: ...


def sign(network: Network, account: Signs) -> Network:
    """The same network with this account's signature."""
    signature = account.sign_typed(_domain(network), _STRUCT, *_values(network))
    return replace(network, signer=account.address, signature="0x" + signature.hex())


def check(network: Network) -> None:
    """`IntegrityError` unless the signer it names signed exactly this."""
    try:
        signature = bytes.fromhex(network.signature.removeprefix("0x"))
    except ValueError:
        signature = b""
    signed = digest(_domain(network), _STRUCT.hash(*_values(network)))
    if not network.signer or not verify(signed, signature, network.signer):
        raise IntegrityError(
            f"The description of {network.name} was not signed by {network.signer or 'anyone'}.",
            hint="It was changed on its way. Ask whoever runs the network for it again.",
            code="network.signature",
        )


def to_bytes(network: Network) -> bytes:
    """The file of a signed network, fit for sharing."""
    fields = {**_fields(network), "signer": network.signer, "signature": network.signature}
    return orjson.dumps(fields, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"


def from_bytes(content: bytes) -> Network:
    """Read what `to_bytes` wrote, its signature checked. ``rpc_url`` is the first of the nodes it recommends.

    Raises
    ------
    BadInput
        It is cut off, unsigned, of another version, or holds what nobody knows.
    IntegrityError
        Its signer did not sign this.
    """
    if len(content) > MAX_BYTES:
        raise _malformed(f"It has {len(content):,} bytes, more than {MAX_BYTES:,}.")
    try:
        fields = orjson.loads(content)
    except ValueError:
        raise _malformed("It is no JSON, or was cut off.") from None
    if not isinstance(fields, dict):
        raise _malformed("It holds no JSON object.")
    if not fields.get("signature"):
        raise _malformed("Nobody signed it.")
    if fields.get("version") != VERSION:
        raise _malformed(f"Its version is {fields.get('version')!r}; this Koinon reads version {VERSION}.")
    strangers = set(fields) - {*_PUBLIC, "version", "signer", "signature"}
    if strangers:
        raise _malformed(f"It has fields nobody knows: {', '.join(sorted(strangers))}.")
    urls = fields.get("rpc_urls")
    network = Network.from_json(
        orjson.dumps({**fields, "rpc_url": urls[0] if isinstance(urls, list) and urls else ""})
    )
    if to_bytes(network) != content:
        raise _malformed("It is not in canonical form.")
    for url in (*network.rpc_urls, *network.peers):
        if url != shared_url(url):
            raise _malformed("It recommends an address that is no http address or holds a password.")
    check(network)
    return network


def load(path: Path | str) -> Network:
    """Read a file; errors as in `from_bytes`, and `NotFound`."""
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise NotFound(
            f"There is no network file at {path} ({error.strerror}).",
            hint="Ask whoever runs the network for theirs: koinon network export FILE",
            code="network.missing_file",
        ) from None
    return from_bytes(content)


def save(network: Network, path: Path | str) -> None:
    """Write a signed network's file for sharing."""
    write_private(Path(path), to_bytes(network))


def shared_url(url: str) -> str:
    """The address without user name, password, query and fragment; '' where it is no http address."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return urlunsplit((parts.scheme, host + port, parts.path.rstrip("/"), "", ""))


def public_urls(url: str) -> tuple[str, ...]:
    """What to recommend of one's own node: nothing where its address seems to hold a key (providers put
    theirs into path and query), else the address without user name and password."""
    parts = urlsplit(url)
    if parts.path not in ("", "/") or parts.query or parts.username is not None:
        return ()
    return (shared_url(url),)


def _domain(network: Network) -> Domain:
    return Domain("Koinon network", "1", network.chain_id, network.address("Works"))


def _values(network: Network) -> tuple[str, int, bytes]:
    content = orjson.dumps(_fields(network), option=orjson.OPT_SORT_KEYS)
    return network.name, VERSION, keccak256(content)


def _fields(network: Network) -> Mapping[str, Any]:
    return {"version": VERSION, **{name: getattr(network, name) for name in _PUBLIC}}


def _malformed(what: str) -> BadInput:
    return BadInput(
        f"This is not a network file. {what}",
        hint="Ask whoever runs the network for it again: koinon network export FILE",
        code="network.file",
    )
