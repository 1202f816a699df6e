# SPDX-License-Identifier: Apache-2.0
"""Keepers as their users and attackers meet them: processes on a chain."""

from __future__ import annotations

import asyncio
import http.client
import io
import socket
import time
from dataclasses import replace
from urllib.parse import urlsplit

import orjson
import pytest

from koinon.chain.keys import Key
from koinon.data.download import download, gather, keepers_of
from koinon.data.keeper_book import KeeperBook
from koinon.data.keeper_client import KeeperClient
from koinon.data.keeper_server import Keeper, KeeperApp
from koinon.data.keepers import LONGEST_REQUEST_S, SHARE_REQUEST, ShareRequest, keeper_domain
from koinon.data.sealed import content_domain, seal_content, share_context
from koinon.data.sealed_box import BoxKey, seal_to
from koinon.errors import BadInput, IntegrityError, PaymentError, PeerError
from koinon.store import BlockStore
from koinon.works.terms import Terms, Use, text_digest
from tests.data.keeper_support import KeeperProcess

pytestmark = pytest.mark.e2e
CONTENT = bytes(range(256)) * 40
TEXT = text_digest("Read it; do not pass it on.")


@pytest.fixture(scope="module")
def processes(tmp_path_factory, network_file):
    """Two honest keepers and a liar."""
    folder = tmp_path_factory.mktemp("keepers")
    started = [
        KeeperProcess(folder / f"keeper{number}", network_file, kind).start()
        for number, kind in enumerate(("lying", "honest", "honest"))
    ]
    yield started
    for each in started:
        each.kill()


class Sale:
    """A Work on sale, sealed and left with keepers."""

    def __init__(self, chain, owner, folder, processes, *, threshold=2, chunk_bytes=1000):
        self.chain, self.owner, self.terms = chain, owner, Terms(chain)
        works = chain.contract("Works")
        receipt = chain.sender(owner).send(works.transaction("register(string)", "ipfs://work"))
        self.work_id = int(works.logs(receipt, "Registered")[0]["agentId"])
        self.store = BlockStore(folder / "store")
        self.domain = content_domain(chain.chain_id, works.address)
        keepers = [each.client().keeper() for each in processes]
        described, self.boxes = seal_content(
            self.store,
            io.BytesIO(CONTENT),
            work_id=self.work_id,
            keepers=keepers,
            threshold=threshold,
            domain=self.domain,
            chunk_bytes=chunk_bytes,
        )
        self.described = described.signed(owner, self.domain)
        self.content_id = described.content_id(self.domain)

    def deposit(self, processes):
        for each, box in zip(processes, self.boxes, strict=True):
            each.client().deposit(self.described, box)
        return self

    def grant(self, grantee, period_s=0):
        self.terms.give(
            self.owner, self.work_id, Use.DOWNLOAD, grantee.address, terms_digest=TEXT, period_s=period_s
        )

    def request(self, grantee, keeper, **changes):
        values = {
            "keeper": keeper,
            "work_id": self.work_id,
            "content_id": self.content_id,
            "sealing_key": BoxKey.generate().public,
            "deadline": int(time.time()) + 60,
        } | changes
        return ShareRequest.sign(grantee, self.request_domain, **values)

    @property
    def request_domain(self):
        return keeper_domain(self.chain.chain_id, self.terms.contract.address)


@pytest.fixture
def sale(chain, new_account, tmp_path, processes):
    return Sale(chain, new_account(), tmp_path, processes).deposit(processes)


def post(process, path, body, headers=None):
    """Status and problem of a raw request."""
    parts = urlsplit(process.ready["url"])
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    body = body if isinstance(body, bytes) else orjson.dumps(body)
    connection.request("POST", path, body, headers or {})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, orjson.loads(content)


def test_a_buyer_gets_the_content_though_a_keeper_lies_and_the_liar_is_named(
    chain, sale, tmp_path, processes, new_account
):
    buyer = new_account()
    sale.grant(buyer)
    told = []
    done = download(
        sale.store,
        sale.described,
        tmp_path / "bought",
        keepers_of(chain, buyer, sale.described),
        progress=lambda *numbers: told.append(numbers),
    )
    assert (tmp_path / "bought").read_bytes() == CONTENT
    assert [(fault.keeper.account, fault.lied) for fault in done.faults] == [
        (processes[0].ready["account"], True)
    ]
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bought", "store"]


def test_before_the_grant_nobody_gives_anything_and_after_its_end_neither(
    chain, devnet, sale, tmp_path, new_account
):
    buyer = new_account()
    ask = keepers_of(chain, buyer, sale.described)
    with pytest.raises(PaymentError) as refused:
        download(sale.store, sale.described, tmp_path / "bought", ask)
    assert refused.value.code == "data.not_granted"
    assert not (tmp_path / "bought").exists()
    sale.grant(buyer, period_s=3600)
    assert gather(sale.described, ask).key
    sale.terms.surrender(buyer, sale.work_id, Use.DOWNLOAD)
    with pytest.raises(PaymentError):
        gather(sale.described, ask)


def test_a_grant_of_another_use_or_another_work_opens_nothing(chain, sale, new_account, processes):
    buyer = new_account()
    sale.terms.give(sale.owner, sale.work_id, Use.COMPUTE, buyer.address, terms_digest=TEXT)
    sale.terms.give(sale.owner, sale.work_id, Use.TRAIN, buyer.address, terms_digest=TEXT)
    with pytest.raises(PaymentError):
        gather(sale.described, keepers_of(chain, buyer, sale.described))
    keeper = processes[1].ready["account"]
    status, problem = post(
        processes[1], "/shares", sale.request(buyer, keeper, work_id=sale.work_id - 1).to_fields()
    )
    assert (status, problem["code"]) == (404, "data.no_deposit")


def test_an_answered_request_works_once_even_after_a_crash(sale, new_account, processes):
    buyer, keeper = new_account(), processes[2]
    sale.grant(buyer)
    fields = sale.request(buyer, keeper.ready["account"]).to_fields()
    status, answer = post(keeper, "/shares", fields)
    assert status == 200
    assert set(answer) == {"sealed_share", "signature"}
    assert post(keeper, "/shares", fields)[1]["code"] == "data.replayed_request"
    keeper.kill()
    keeper.start()
    status, problem = post(keeper, "/shares", fields)
    assert (status, problem["code"]) == (409, "data.replayed_request")
    assert post(keeper, "/shares", sale.request(buyer, keeper.ready["account"]).to_fields())[0] == 200


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"grantee": "0x" + "11" * 20}, 403, "data.request_signature"),
        ({"sealing_key": "22" * 32}, 403, "data.request_signature"),
        ({"nonce": "33" * 32}, 403, "data.request_signature"),
        ({"signature": ""}, 403, "data.request_signature"),
        ({"signature": "00" * 65}, 403, "data.request_signature"),
        ({"keeper": "0x" + "11" * 20}, 422, "data.other_keeper"),
        ({"content_id": "44"}, 422, "data.share_request"),
        ({"deadline": -1}, 422, "data.share_request"),
        ({"deadline": 1}, 422, "data.request_deadline"),
        ({"deadline": None}, 422, "data.share_request"),
        ({"work_id": "5" * 90}, 422, "data.share_request"),
        ({"grantee": "you"}, 422, "data.share_request"),
    ],
)
def test_a_request_that_was_changed_is_refused(sale, new_account, processes, change, status, code):
    buyer = new_account()
    sale.grant(buyer)
    fields = sale.request(buyer, processes[1].ready["account"]).to_fields() | change
    found, problem = post(processes[1], "/shares", fields)
    assert (found, problem["code"]) == (status, code)


def test_a_request_signed_by_another_or_for_another_contract_is_refused(sale, new_account, processes):
    buyer, keeper = new_account(), processes[1].ready["account"]
    sale.grant(buyer)
    stolen = replace(sale.request(Key.generate(), keeper), grantee=buyer.address)
    assert post(processes[1], "/shares", stolen.to_fields())[1]["code"] == "data.request_signature"
    request = sale.request(buyer, keeper)
    values = (keeper, sale.work_id, sale.content_id, request.sealing_key, request.deadline, request.nonce)
    elsewhere = keeper_domain(sale.chain.chain_id + 1, sale.terms.contract.address)
    signed = replace(request, signature=buyer.sign_typed(elsewhere, SHARE_REQUEST, *values))
    assert post(processes[1], "/shares", signed.to_fields())[1]["code"] == "data.request_signature"


def test_requests_that_a_grantee_did_not_sign_take_none_of_its_turns(chain, sale, new_account, tmp_path):
    buyer, account, book = new_account(), Key.generate(), KeeperBook(tmp_path / "book.sqlite")
    app = KeeperApp(Keeper(chain, account, BoxKey.generate(), book), each_minute=2)
    real = sale.request(buyer, account.address).to_fields()
    forged = real | {"signature": "00" * 65}

    async def asked(fields, host):
        said = []

        async def receive():
            return {"type": "http.request", "body": orjson.dumps(fields)}

        async def send(message):
            said.append(message)

        scope = {"type": "http", "method": "POST", "path": "/shares", "headers": [], "client": (host, 1)}
        await app(scope, receive, send)
        return orjson.loads(said[1]["body"])["code"]

    async def talk():
        return [await asked(forged, f"host {number}") for number in range(4)], await asked(real, "home")

    assert asyncio.run(talk()) == (["data.request_signature"] * 4, "data.no_deposit")
    book.close()


def test_a_deadline_far_away_is_refused_because_its_nonce_would_be_forgotten(sale, new_account, processes):
    buyer = new_account()
    sale.grant(buyer)
    late = int(time.time()) + LONGEST_REQUEST_S + 60
    fields = sale.request(buyer, processes[1].ready["account"], deadline=late).to_fields()
    assert post(processes[1], "/shares", fields)[1]["code"] == "data.request_deadline"


@pytest.mark.parametrize("path", ["/shares", "/deposits"])
@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"3", b'"x"', b"\xff", b"{}", b'{"content": {}, "share": 1}']
)
def test_what_is_no_request_is_refused(processes, path, body):
    status, problem = post(processes[1], path, body)
    assert status in (400, 422)
    assert problem["code"].startswith("data.")


def test_a_huge_body_is_refused_before_it_is_sent_and_while_it_is(processes):
    parts = urlsplit(processes[1].ready["url"])
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as line:
        line.sendall(b"POST /shares HTTP/1.1\r\nHost: k\r\nContent-Length: 10000000000\r\n\r\n")
        assert line.recv(100).startswith(b"HTTP/1.1 413")
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as line:
        line.sendall(b"POST /deposits HTTP/1.1\r\nHost: k\r\nTransfer-Encoding: chunked\r\n\r\n")
        line.sendall(b"a000\r\n" + bytes(0xA000) + b"\r\n")
        assert line.recv(100).startswith(b"HTTP/1.1 413")
    assert processes[1].client().keeper().account == processes[1].ready["account"]


def test_there_is_nothing_at_other_paths(processes):
    assert post(processes[1], "/", b"{}")[0] == 404


def test_a_deposit_is_taken_from_the_owner_only_and_twice_changes_nothing(
    chain, sale, new_account, tmp_path, processes
):
    client = processes[1].client()
    client.deposit(sale.described, sale.boxes[1])
    thief = new_account()
    stolen = sale.described.signed(thief, sale.domain)
    with pytest.raises(PeerError, match="not signed by the owner"):
        client.deposit(stolen, sale.boxes[1])
    with pytest.raises(PeerError, match="not signed by the owner"):
        client.deposit(replace(sale.described, size=sale.described.size + 1), sale.boxes[1])


def test_a_deposit_for_another_keeper_or_of_a_wrong_share_is_refused(sale, processes):
    client, account = processes[1].client(), processes[1].ready["account"]
    with pytest.raises(PeerError, match="another reader"):
        client.deposit(sale.described, sale.boxes[2])
    box = bytes.fromhex(processes[1].ready["sealing_key"])
    wrong = seal_to(box, b"\x02" + bytes(32), share_context(sale.content_id, account))
    with pytest.raises(PeerError, match="not a share"):
        client.deposit(sale.described, wrong)
    others = replace(sale.described, keepers=sale.described.keepers[::2], commitments=(bytes(32),) * 2)
    with pytest.raises(PeerError, match="names other keepers"):
        client.deposit(others.signed(sale.owner, sale.domain), sale.boxes[1])


def test_a_dead_keeper_a_lying_one_and_one_more_is_too_few(chain, sale, new_account, tmp_path, processes):
    buyer = new_account()
    sale.grant(buyer)
    processes[2].kill()
    try:
        with pytest.raises(PeerError) as failed:
            gather(sale.described, keepers_of(chain, buyer, sale.described))
    finally:
        processes[2].start()
    assert failed.value.code == "data.too_few_shares"
    assert processes[0].ready["account"] in failed.value.message
    assert processes[2].ready["account"] in failed.value.message
    assert gather(sale.described, keepers_of(chain, buyer, sale.described)).key


def test_one_dead_keeper_of_three_does_not_matter(chain, new_account, tmp_path, processes, network_file):
    three = [processes[1], processes[2], KeeperProcess(tmp_path / "third", network_file).start()]
    try:
        sale = Sale(chain, new_account(), tmp_path, three).deposit(three)
        buyer = new_account()
        sale.grant(buyer)
        three[0].kill()
        found = gather(sale.described, keepers_of(chain, buyer, sale.described))
        assert [fault.lied for fault in found.faults] == [False]
    finally:
        three[0].start()
        three[2].kill()


def test_neither_files_nor_logs_of_a_keeper_show_a_share(chain, sale, new_account, processes):
    buyer = new_account()
    sale.grant(buyer)
    keeper = processes[1]
    box = BoxKey.generate()
    request = sale.request(buyer, keeper.ready["account"], sealing_key=box.public)
    _, answer = post(keeper, "/shares", request.to_fields())
    share = box.open(bytes.fromhex(answer["sealed_share"]), share_context(sale.content_id, buyer.address))
    for file in keeper.folder.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert share[1:] not in content
            assert share[1:].hex().encode() not in content
    assert (keeper.folder / "errors").read_bytes() == b""


def test_a_description_the_owner_did_not_sign_is_not_bought_from(chain, sale, new_account):
    with pytest.raises(IntegrityError) as refused:
        keepers_of(chain, new_account(), sale.described.signed(Key.generate(), sale.domain))
    assert refused.value.code == "data.content_signature"


@pytest.mark.parametrize("url", ["ftp://keeper", "file:///etc/passwd", "keeper", "http://"])
def test_only_web_addresses_are_asked(url, processes):
    with pytest.raises(BadInput) as refused:
        KeeperClient(url)
    assert refused.value.code == "data.keeper_url"
