# SPDX-License-Identifier: Apache-2.0
"""Agents, tokens, servers and files that stand elsewhere become Works, and only their owners prove it."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest

from koinon.chain import artifacts
from koinon.chain.address import checksum
from koinon.chain.contract import Call, Contract
from koinon.chain.keys import Key
from koinon.errors import BadInput, KeyFault, KoinonError, NotFound, WrongNetwork
from koinon.services.adopting.api import Adopted, Adoptions
from koinon.services.adopting.found import TOPIC
from koinon.services.adopting.proofs import Proof
from koinon.store import BlockStore
from koinon.works.api import Works
from koinon.works.erc8004 import export, problems
from koinon.works.registration import TYPE
from tests.services.support import CHAIN_ID, Hall

AGENT = {
    "type": TYPE,
    "name": "Weather",
    "description": "Says what the weather will be.",
    "image": "https://example.org/a.png",
    "endpoints": [{"name": "MCP", "endpoint": "https://example.org/mcp", "version": "2025-06-18"}],
    "registrations": [],
}
CARD = {
    "name": "Translator",
    "description": "Translates.",
    "url": "https://example.org/a2a",
    "protocolVersion": "1.0",
    "version": "3",
    "capabilities": {},
    "skills": [{"id": "t", "name": "Translate", "description": "x", "tags": []}],
}
SNET = {
    "version": 1,
    "display_name": "Annotation Service",
    "encoding": "proto",
    "service_type": "grpc",
    "model_ipfs_hash": "QmXqonxB9EvNBe11J8oCYXMQAtPKAb2x8CyFLmQpkvVaLf",
    "mpe_address": "0x8FB1dC8df86b388C7e00689d1eCb533A160B4D0C",
    "groups": [
        {
            "group_name": "default_group",
            "group_id": "m5FKWq4hW0foGW5qSbzGSjgZRuKs7A1ZwbIrJ9e96rc=",
            "pricing": [{"price_model": "fixed_price", "price_in_cogs": 3, "default": True}],
            "endpoints": ["https://mozi.example:8000"],
            "free_calls": 5,
        }
    ],
    "service_description": {"url": "https://x.example", "description": "Annotates genomes."},
}
ORGANIZATION = {
    "org_name": "Mozi",
    "org_id": "mozi",
    "groups": [
        {
            "group_name": "default_group",
            "group_id": "m5FKWq4hW0foGW5qSbzGSjgZRuKs7A1ZwbIrJ9e96rc=",
            "payment": {"payment_address": "0x90F79bf6EB2c4f870365E785982E1f101E93b906"},
        }
    ],
}


class Elsewhere:
    """A host with documents that a test may change."""

    def __init__(self) -> None:
        self.documents: dict[str, bytes] = {}
        documents = self.documents

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                content = documents.get(self.path)
                self.send_response(404 if content is None else 200)
                self.send_header("content-length", str(len(content or b"")))
                self.end_headers()
                self.wfile.write(content or b"")

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def name(self, adopted: Adopted, **changes: Any) -> None:
        """Show at this host what proves control."""
        assert adopted.well_known is not None
        document = {**adopted.well_known["document"], **changes}
        self.documents[adopted.well_known["path"]] = orjson.dumps(document)


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    host = Elsewhere()
    yield host
    host.server.shutdown()
    host.server.server_close()


@pytest.fixture
def store(tmp_path: Path) -> BlockStore:
    return BlockStore(tmp_path / "blocks")


@pytest.fixture(scope="module")
def register(hall: Hall) -> Contract:
    """Another register of agents on the same chain."""
    till = hall.chain.network.address("Till")
    call = Call(None, artifacts.load("Works").creation(till))
    address = hall.chain.sender(hall.publisher).send(call).contract_address
    assert address is not None
    return hall.chain.contract("Works", address)


@pytest.fixture
def owner(hall: Hall) -> Key:
    return hall.account(ether=10)


def opened(hall: Hall, store: BlockStore, tmp_path: Path, key: Key, **more: Any) -> Adoptions:
    return Adoptions(hall.chain, store, tmp_path / "gateway", key, **more)


def token(hall: Hall, register: Contract, owner: Key, uri: str) -> str:
    receipt = hall.chain.sender(owner).send(register.transaction("register(string)", uri))
    number = int(register.logs(receipt, "Registered")[0]["agentId"])
    return f"eip155:{CHAIN_ID}:{register.address.lower()}/{number}"


def data_uri(document: Any) -> str:
    return "data:application/json;base64," + base64.b64encode(orjson.dumps(document)).decode()


def test_an_agent_is_adopted_by_its_owner_and_nobody_else(
    hall: Hall, store: BlockStore, tmp_path: Path, register: Contract, owner: Key
) -> None:
    source = token(hall, register, owner, data_uri(AGENT))
    thief = hall.account(ether=10)
    with opened(hall, store, tmp_path, thief) as adoptions:
        found = adoptions.look(source)
        assert (found.kind, found.name) == ("erc8004", "Weather")
        with pytest.raises(KeyFault) as refused:
            adoptions.adopt(found)
        assert refused.value.code == "service.adopt_not_owner"
        with pytest.raises(KeyFault):
            adoptions.sign_for(source, thief.address)
        forged = Proof("token", owner.address, thief.sign(b"\x01" * 32))
        with pytest.raises(KoinonError):
            adoptions.adopt(found, proof=forged)
    with opened(hall, store, tmp_path, owner) as adoptions:
        adopted = adoptions.adopt(adoptions.look(source))
        assert adopted.control.proven, adopted.control.reason
        with pytest.raises(BadInput) as twice:
            adoptions.adopt(adoptions.look(source))
        assert twice.value.code == "service.adopted_already"
    file = Works(hall.chain, store).registration_of(adopted.work_id).registration
    number = int(source.rpartition("/")[2])
    assert file.registrations == ((number, f"eip155:{CHAIN_ID}:{register.address}"),)
    assert [(each.name, each.endpoint) for each in file.services] == [("MCP", "https://example.org/mcp")]


def test_a_token_that_was_sold_proves_nothing_any_more(
    hall: Hall, store: BlockStore, tmp_path: Path, register: Contract, owner: Key
) -> None:
    source = token(hall, register, owner, data_uri({"name": "A picture"}))
    friend, buyer = hall.account(ether=10), hall.account(ether=10)
    with opened(hall, store, tmp_path, owner) as signing:
        proof = signing.sign_for(source, friend.address)
    with opened(hall, store, tmp_path, hall.account(ether=10)) as other, pytest.raises(KeyFault):
        other.adopt(other.look(source), proof=proof)
    with opened(hall, store, tmp_path, friend) as adoptions:
        found = adoptions.look(source)
        assert (found.kind, found.name) == ("erc721", "A picture")
        adopted = adoptions.adopt(found, proof=Proof.from_json(proof.to_json()))
        assert adopted.control.proven
        number = int(source.rpartition("/")[2])
        sale = register.transaction("transferFrom", owner.address, buyer.address, number)
        hall.chain.sender(owner).send(sale)
        assert not adoptions.status(adopted.work_id).control.proven
    with opened(hall, store, tmp_path, buyer) as adoptions:
        assert adoptions.adopt(adoptions.look(source)).control.proven, "the new owner adopts it anew"


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "https://127.0.0.1:1/none",
        "ftp://x",
        "data:application/json;base64,!!",
        "data:,{",
        "ipfs://bafy",
        "x" * 500,
    ],
)
def test_a_token_whose_file_cannot_be_had_is_adopted_without_it(
    hall: Hall, store: BlockStore, tmp_path: Path, register: Contract, owner: Key, uri: str
) -> None:
    source = token(hall, register, owner, uri)
    with opened(hall, store, tmp_path, owner) as adoptions:
        assert adoptions.look(source).kind == "erc721"


def test_tokens_that_are_not_there(
    hall: Hall, store: BlockStore, tmp_path: Path, register: Contract, owner: Key
) -> None:
    with opened(hall, store, tmp_path, owner) as adoptions:
        with pytest.raises(NotFound):
            adoptions.look(f"eip155:{CHAIN_ID}:{register.address}/99999")
        with pytest.raises(KoinonError):
            adoptions.look(f"eip155:{CHAIN_ID}:{hall.chain.coin.address}/1")
        with pytest.raises(KoinonError):
            adoptions.look(f"eip155:{CHAIN_ID}:0x{'12' * 20}/1")
        with pytest.raises(WrongNetwork):
            adoptions.look(f"eip155:1:{register.address}/1")
        for wrong in ("eip155:1:0x12/1", "eip155:1", f"eip155:{CHAIN_ID}:{register.address}/{2**256}"):
            with pytest.raises(BadInput):
                adoptions.look(wrong)
    with (
        opened(hall, store, tmp_path, owner, rpc_url=hall.chain.rpc.url) as adoptions,
        pytest.raises(NotFound),
    ):
        adoptions.look(f"eip155:{CHAIN_ID}:{register.address}/99999")


def test_a_server_is_unproven_until_its_host_names_the_work(
    hall: Hall, store: BlockStore, tmp_path: Path, owner: Key, elsewhere: Elsewhere
) -> None:
    stranger = hall.account(ether=10)
    source = f"{elsewhere.url}/api"
    with (
        opened(hall, store, tmp_path, owner) as mine,
        opened(hall, store, tmp_path, stranger) as theirs,
    ):
        false = theirs.adopt(theirs.look(source))
        assert (false.kind, false.control.proven) == ("http", False)
        true = mine.adopt(mine.look(source))
        assert not true.control.proven
        elsewhere.documents["/.well-known/agent-registration.json"] = b"[1]"
        assert not mine.status(true.work_id).control.proven
        elsewhere.name(true, registrations=[{"agentId": true.work_id, "agentRegistry": "eip155:1:0x12"}, 7])
        assert not mine.status(true.work_id).control.proven
        elsewhere.name(true)
        assert mine.status(true.work_id).control.proven
        assert not theirs.status(false.work_id).control.proven
        assert mine.works_of(source) == sorted((false.work_id, true.work_id))
    with opened(hall, store, tmp_path, hall.account(ether=10)) as third, pytest.raises(BadInput) as late:
        third.adopt(third.look(source))
    assert late.value.code == "service.adopted_already"


def test_an_agent_card_is_read(
    hall: Hall, store: BlockStore, tmp_path: Path, owner: Key, elsewhere: Elsewhere
) -> None:
    elsewhere.documents["/.well-known/agent-card.json"] = orjson.dumps(CARD)
    with opened(hall, store, tmp_path, owner) as adoptions:
        found = adoptions.look(f"{elsewhere.url}/.well-known/agent-card.json")
        assert (found.kind, found.name, found.details["skills"]) == ("a2a", "Translator", ["Translate"])
        assert [each.name for each in found.services] == ["A2A", "web"]
        adopted = adoptions.adopt(found)
        elsewhere.name(adopted)
        assert adoptions.status(adopted.work_id).control.proven


def test_a_singularitynet_service_is_imported(
    hall: Hall, store: BlockStore, tmp_path: Path, owner: Key
) -> None:
    service, organization = tmp_path / "service_metadata.json", tmp_path / "org.json"
    service.write_text(json.dumps(SNET))
    organization.write_text(json.dumps(ORGANIZATION))
    with opened(hall, store, tmp_path, owner) as adoptions:
        found = adoptions.look(str(service), organization=organization)
        (group,) = found.details["groups"]
        assert (found.kind, found.name, found.host) == (
            "snet",
            "Annotation Service",
            "https://mozi.example:8000",
        )
        assert group["pricing"] == [{"model": "fixed_price", "cogs": "3"}]
        assert group["payment_address"] == ORGANIZATION["groups"][0]["payment"]["payment_address"]  # type: ignore[index]
        adopted = adoptions.adopt(found)
        assert not adopted.control.proven
        organization.write_text(json.dumps({"groups": []}))
        with pytest.raises(BadInput):
            adoptions.look(str(service), organization=tmp_path / "missing.json")
    file = Works(hall.chain, store).registration_of(adopted.work_id).registration
    assert file.about[TOPIC]["details"]["groups"] == [group]


@pytest.mark.parametrize(
    "change",
    [
        {"display_name": ""},
        {"groups": []},
        {"groups": [{"endpoints": ["ftp://x"]}]},
        {"groups": "all"},
        {"groups": [5, None]},
    ],
)
def test_what_is_no_singularitynet_service_is_refused(
    hall: Hall, store: BlockStore, tmp_path: Path, owner: Key, change: dict[str, Any]
) -> None:
    path = tmp_path / "s.json"
    path.write_text(json.dumps({**SNET, **change}))
    with opened(hall, store, tmp_path, owner) as adoptions, pytest.raises(BadInput):
        adoptions.look(str(path))


@pytest.mark.parametrize(
    "source", ["", "nothing.txt", "http://", "ftp://example.org", "missing.onnx", "{folder}"]
)
def test_what_is_nothing_is_refused(
    hall: Hall, store: BlockStore, tmp_path: Path, owner: Key, source: str
) -> None:
    with opened(hall, store, tmp_path, owner) as adoptions, pytest.raises(BadInput):
        adoptions.look(source.format(folder=tmp_path))


def test_a_work_that_was_not_adopted_says_so(
    hall: Hall, store: BlockStore, tmp_path: Path, owner: Key
) -> None:
    work_id, _till = hall.work()
    with opened(hall, store, tmp_path, owner) as adoptions, pytest.raises(NotFound):
        adoptions.status(work_id)


def test_ours_are_files_that_explorers_read(
    hall: Hall, store: BlockStore, tmp_path: Path, owner: Key, elsewhere: Elsewhere
) -> None:
    with opened(hall, store, tmp_path, owner) as adoptions:
        adopted = adoptions.adopt(adoptions.look(f"{elsewhere.url}/api"))
    document = export(Works(hall.chain, store), adopted.work_id)
    assert problems(document) == []
    assert document["registrations"] == [
        {
            "agentId": adopted.work_id,
            "agentRegistry": f"eip155:{CHAIN_ID}:{checksum(hall.chain.network.address('Works'))}",
        }
    ]
    assert document["image"].startswith("data:image/svg+xml;base64,")
    assert "koinon" not in document


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"type": "x"}, "type"),
        ({"name": " "}, "name"),
        ({"description": 5}, "description"),
        ({"image": ""}, "image"),
        ({"active": "yes"}, "active"),
        ({"services": []}, "services"),
        ({"services": [{"name": "web"}]}, "services[0]"),
        ({"registrations": [{"agentId": "1", "agentRegistry": "eip155:1:0x12"}]}, "registrations[0]"),
        ({"registrations": [{"agentId": 1, "agentRegistry": "eip155:1:0x12"}]}, "registrations[0]"),
        ({"supportedTrust": "reputation"}, "supportedTrust"),
    ],
)
def test_a_file_that_the_standard_does_not_allow_is_told(change: dict[str, Any], said: str) -> None:
    whole = {
        **AGENT,
        "services": AGENT["endpoints"],
        "registrations": [{"agentId": 1, "agentRegistry": f"eip155:1:0x{'11' * 20}"}],
    }
    assert problems(whole) == []
    assert [each.split(" ")[0] for each in problems({**whole, **change})] == [said]
    assert problems([]) == ["It is not an object."]
