# SPDX-License-Identifier: Apache-2.0
"""How fast the chain's events become rows, and how that compares with others.

``index.events_per_s``: 50,000 transfers in 1,000 blocks of an anvil, from the first request to the last
commit, with the journal and every SQL index. ``index.verified_events_per_s``: the same with every block
proven. ``index.decode_ratio``: our decoding over web3.py's ``process_log`` on the same logs.
``index.vs_ponder``: the same chain through Ponder, where npm can install it within the time given.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from koinon.chain import artifacts
from koinon.chain.codec import encode
from koinon.chain.deploy import deploy
from koinon.chain.devnet import Devnet
from koinon.chain.events import Layout, layouts
from koinon.chain.handle import Chain
from koinon.chain.index import EventIndex
from koinon.chain.rpc import Rpc
from koinon.chain.sender import Sender

EVENTS: Final = 50_000
BLOCKS: Final = 1_000
LOGS: Final = 100_000
PEER_LOGS: Final = 10_000  # the first of them: web3.py takes over a minute for all
PONDER: Final = "0.16.10"
INSTALL_S: Final = 240
PONDER_S: Final = 240

Figure = Mapping[str, Any]


def run() -> Iterator[Figure]:
    """The figures of this module."""
    yield decoding()
    with tempfile.TemporaryDirectory() as folder, Devnet(Path(folder) / "devnet") as devnet:
        chain = Chain(deploy_on(devnet), Rpc(devnet.rpc_url))
        try:
            fill(chain, EVENTS, BLOCKS)
            ours = speed(chain, Path(folder) / "plain.sqlite", verified=False)
            yield figure("events_per_s", ours, "events/s", target=10_000)
            proven = speed(chain, Path(folder) / "verified.sqlite", verified=True)
            yield figure("verified_events_per_s", proven, "events/s")
            yield against_ponder(chain, ours)
        finally:
            chain.close()


def figure(
    name: str, ours: float, unit: str, *, peer: float | None = None, target: float | None = None
) -> Figure:
    """``target`` is of the ratio where there is a peer, else of our own number."""
    ratio = None if peer is None else ours / peer
    reached = ours if ratio is None else ratio
    return {
        "name": f"index.{name}",
        "ours": round(ours, 1),
        "peer": None if peer is None else round(peer, 1),
        "ratio": None if ratio is None else round(ratio, 1),
        "unit": unit,
        "target": target,
        "ok": target is None or reached >= target,
    }


def deploy_on(devnet: Devnet) -> Any:
    """Koinon's contracts on a development chain."""
    with Rpc(devnet.rpc_url) as rpc:
        return deploy(rpc, Sender(rpc, devnet.key(0), chain_id=devnet.chain_id))


def fill(chain: Chain, events: int, blocks: int) -> None:
    """``events`` transfers, as many in each of ``blocks`` blocks, from a token made for this."""
    emit_at = install_emitter(chain)
    sender = chain.rpc.call("eth_accounts")
    account = sender[0] if sender else "0x" + "51" * 20
    if not sender:
        chain.rpc.call("anvil_impersonateAccount", account)
        chain.rpc.call("anvil_setBalance", account, hex(10**24))
    each = events // blocks
    before = chain.block_number()
    for block in range(blocks):
        data = encode(["uint256", "uint256"], [block * each, each])
        fields = {
            "from": account,
            "to": emit_at,
            "data": "0x" + data.hex(),
            "gas": hex(200_000 + 3_000 * each),
        }
        chain.rpc.call("eth_sendTransaction", fields)
        chain.rpc.call("evm_mine")
    if chain.block_number() - before < blocks:
        raise RuntimeError("the chain has fewer blocks than it was asked to mine")


def install_emitter(chain: Chain) -> str:
    """The Coin's address, its code now a loop of transfers: ``(first, count)`` in call data."""
    topic = "0x" + artifacts.load("Coin").events["Transfer"].topic.hex()
    chain.rpc.call("anvil_setCode", chain.coin.address, "0x" + assemble(topic).hex())
    return chain.coin.address


def assemble(topic: str) -> bytes:
    """The loop as EVM code."""
    start, done = 1, 0
    body = b""
    for _ in range(2):  # once to find where it ends
        body = (
            b"\x5f"  # i = 0
            b"\x5b"  # start:
            b"\x60\x20\x35\x81\x10"  # i < count
            b"\x15\x60" + bytes((done,)) + b"\x57"  # if not: done
            b"\x5f\x35\x81\x01"  # first + i
            b"\x80\x5f\x52"  # memory[0] = first + i
            b"\x33"  # topic 3: the caller
            b"\x73" + bytes(19) + b"\x07"  # topic 2: an account
            b"\x7f" + bytes.fromhex(topic[2:]) + b"\x60\x20\x5f\xa3"  # log3(0, 32, topic, 7, caller)
            b"\x50"  # drop first + i
            b"\x60\x01\x01"  # i + 1
            b"\x60" + bytes((start,)) + b"\x56"
        )
        done = len(body)
    return body + b"\x5b\x00"


def speed(chain: Chain, path: Path, *, verified: bool) -> float:
    """Events a second, from an empty index to one at the chain's head."""
    with EventIndex.open(path, chain, verified=verified) as index:
        begin = time.perf_counter()
        index.sync()
        took = time.perf_counter() - begin
        found = int(index.rows("SELECT COUNT(*) AS n FROM coin_transfer")[0]["n"])
    if found < EVENTS:
        raise RuntimeError(f"only {found} of {EVENTS} events were found")
    return found / took


def decoding() -> Figure:
    """Our decoding against web3.py's, on the same logs."""
    from web3 import Web3  # noqa: PLC0415  (slow to import, and only here)

    abi = artifacts.load("Coin").abi
    layout = next(layout for layout in layouts(abi) if layout.event.name == "Transfer")
    logs = [transfer(layout, number) for number in range(LOGS)]
    ours = LOGS / timed(lambda: layout.decode(logs))
    event = Web3().eth.contract(address=Web3.to_checksum_address("0x" + "11" * 20), abi=abi).events.Transfer()
    prepared = [as_web3(log) for log in logs[:PEER_LOGS]]
    peer = PEER_LOGS / timed(lambda: [event.process_log(log) for log in prepared])
    return figure("decode_ratio", ours, "logs/s", peer=peer, target=100)


def transfer(layout: Layout, number: int) -> dict[str, Any]:
    account = f"0x{number % 5_000 + 1:064x}"
    return {
        "address": "0x" + "11" * 20,
        "topics": [layout.key[0], account, f"0x{number % 777 + 1:064x}"],
        "data": f"0x{number * 10**6:064x}",
        "blockNumber": hex(number // 50),
        "blockHash": "0x" + "22" * 32,
        "transactionHash": "0x" + "33" * 32,
        "transactionIndex": "0x0",
        "logIndex": hex(number % 50),
    }


def as_web3(log: Mapping[str, Any]) -> Any:
    """A log as web3.py gets it from its own provider."""
    from hexbytes import HexBytes  # noqa: PLC0415
    from web3.datastructures import AttributeDict  # noqa: PLC0415

    return AttributeDict(
        {
            "address": log["address"],
            "topics": [HexBytes(topic) for topic in log["topics"]],
            "data": HexBytes(log["data"]),
            "blockNumber": int(log["blockNumber"], 16),
            "blockHash": HexBytes(log["blockHash"]),
            "transactionHash": HexBytes(log["transactionHash"]),
            "transactionIndex": 0,
            "logIndex": int(log["logIndex"], 16),
        }
    )


def timed(work: Any) -> float:
    """Seconds of this process's own time."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def against_ponder(chain: Chain, ours: float) -> Figure:
    """Ponder on the same chain; without ``peer`` where it did not install or did not finish."""
    with tempfile.TemporaryDirectory() as folder:
        peer = ponder(Path(folder), chain)
    if peer is None:
        return {
            **figure("vs_ponder", ours, "events/s"),
            "unit": "events/s (Ponder did not install or finish)",
        }
    return figure("vs_ponder", ours, "events/s", peer=peer)


def ponder(folder: Path, chain: Chain) -> float | None:
    """Events a second of Ponder's backfill into its default database, its start not counted."""
    npm = shutil.which("npm")
    if npm is None:
        return None
    abi = json.dumps(list(artifacts.load("Coin").abi))
    files = {
        "package.json": json.dumps({"name": "bench", "type": "module", "private": True}),
        "ponder.config.ts": f"""
import {{ createConfig }} from "ponder";
export default createConfig({{
  chains: {{ dev: {{ id: {chain.chain_id}, rpc: "{chain.rpc.url}" }} }},
  contracts: {{
    Coin: {{ chain: "dev", abi: {abi} as const, address: "{chain.coin.address}", startBlock: 0 }},
  }},
}});""",
        "ponder.schema.ts": """
import { onchainTable } from "ponder";
export const transfer = onchainTable("transfer", (t) => ({
  id: t.text().primaryKey(), from: t.hex().notNull(), to: t.hex().notNull(), value: t.bigint().notNull(),
}));""",
        "src/index.ts": """
import { ponder } from "ponder:registry";
import { transfer } from "ponder:schema";
ponder.on("Coin:Transfer", async ({ event, context }) => {
  await context.db.insert(transfer).values({ id: event.id, ...event.args });
});""",
        "src/api/index.ts": """
import { Hono } from "hono";
export default new Hono();""",
    }
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    install = [
        npm,
        "install",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        f"ponder@{PONDER}",
        "hono",
        "viem",
    ]
    try:
        subprocess.run(install, cwd=folder, check=True, capture_output=True, timeout=INSTALL_S)
    except (subprocess.SubprocessError, OSError):
        return None
    log = folder / "ponder.log"
    with log.open("wb") as output:
        child = subprocess.Popen(
            [str(folder / "node_modules/.bin/ponder"), "start", "--schema", "bench", "--log-format", "json"],
            cwd=folder, stdout=output, stderr=output, start_new_session=True,
            env={**os.environ, "PONDER_TELEMETRY_DISABLED": "true", "DO_NOT_TRACK": "1"},
        )  # fmt: skip
        try:
            return _backfill(log, child)
        finally:
            child.terminate()
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def _backfill(log: Path, child: subprocess.Popen[bytes]) -> float | None:
    begun: float | None = None
    end = time.perf_counter() + PONDER_S
    while time.perf_counter() < end and child.poll() is None:
        text = log.read_text(encoding="utf-8", errors="replace").lower()
        if begun is None and "backfill" in text:
            begun = time.perf_counter()
        if begun is not None and ("completed backfill indexing" in text or "completed indexing" in text):
            return EVENTS / (time.perf_counter() - begun)
        time.sleep(0.1)
    return None
