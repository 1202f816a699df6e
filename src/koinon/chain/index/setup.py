# SPDX-License-Identifier: Apache-2.0
"""Opening an index: which database, whose network, and tables for every contract the network has."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import orjson

from koinon.chain.index import ledger
from koinon.chain.index.engine import Engine, Writer
from koinon.chain.index.schema import FIXED, FIXED_TABLES, VERSION, quoted
from koinon.chain.index.sources import network_sources, table_names
from koinon.chain.index.sqlite import SqliteEngine
from koinon.chain.network import Network
from koinon.errors import BadInput, SetupError

SCHEMES: Final = ("postgresql://", "postgres://")


def engine_at(where: Path | str, network: Network) -> Engine:
    """The engine for a path or a ``postgresql://`` URL, in which each network has a schema of its own."""
    if isinstance(where, str) and where.startswith(SCHEMES):
        try:
            from koinon.chain.index.postgres import PostgresEngine  # noqa: PLC0415  (an extra)
        except ImportError as fault:
            raise SetupError(
                "An index in PostgreSQL needs the package psycopg.",
                hint='Install it with: pip install "koinon[postgres]"',
                code="index.no_psycopg",
            ) from fault
        works = network.contracts.get("Works", "none")[2:10].lower()
        return PostgresEngine(where, f"koinon_{network.chain_id}_{works}")
    if isinstance(where, str) and "://" in where:
        raise BadInput(
            "An index is a file or a postgresql:// URL.",
            hint="Correct the setting index_url.",
            code="index.url",
        )
    return SqliteEngine(Path(where))


def prepare(engine: Engine, network: Network) -> None:
    """Make the tables that are missing. An index of another chain or version is emptied first: it is a view,
    and made again from the chain.

    Raises
    ------
    SetupError
        It would have to be emptied, but another process follows with it.
    """
    identity = orjson.dumps(
        [VERSION, network.chain_id, network.genesis_hash, network.contracts.get("Works")]
    ).decode()
    if _is_ready(engine, identity, network):
        return
    with engine.follower() as mine, engine.write() as writer:
        writer.execute(FIXED[0])
        rows = writer.select("SELECT content FROM identity WHERE name = 'network'").rows
        if rows and rows[0][0] != identity:
            if not mine:
                raise SetupError(
                    f"The index at {engine.place} belongs to another chain, and a process is using it.",
                    hint="Stop that process, or give this node another index.",
                    code="index.other_chain",
                )
            _empty(writer)
        for statement in FIXED:
            writer.execute(statement)
        if not rows or rows[0][0] != identity:
            writer.execute("INSERT INTO identity (name, content) VALUES ('network', ?)", (identity,))
        stored = {each.source.name: each.source for each in ledger.read_sources(writer, {})}
        for source in network_sources(network):
            known = stored.get(source.name)
            if known is not None and (known.address, list(known.abi)) == (source.address, list(source.abi)):
                continue
            if known is not None:
                ledger.drop(writer, known)
            ledger.create(writer, engine, source, None)


def _is_ready(engine: Engine, identity: str, network: Network) -> bool:
    """Whether there is nothing to make, which most often is so; asked without writing."""
    try:
        with engine.read() as reader:
            rows = reader.select("SELECT content FROM identity WHERE name = 'network'").rows
            stored = {each.source.name: each.source for each in ledger.read_sources(reader, {})}
    except engine.missing:
        return False
    return (
        bool(rows)
        and rows[0][0] == identity
        and all(
            source.name in stored
            and stored[source.name].address == source.address
            and list(stored[source.name].abi) == list(source.abi)
            for source in network_sources(network)
        )
    )


def _empty(writer: Writer) -> None:
    for each in ledger.read_sources(writer, {}):
        for name in table_names(each.source):
            writer.execute(f"DROP TABLE IF EXISTS {quoted(name)}")
    for name in FIXED_TABLES:
        if name != "identity":
            writer.execute(f"DROP TABLE IF EXISTS {quoted(name)}")
    writer.execute("DELETE FROM identity")
