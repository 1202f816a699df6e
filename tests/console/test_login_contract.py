# SPDX-License-Identifier: Apache-2.0
"""Accounts that are contracts: they come in and sign by ERC-1271, before deployment by ERC-6492."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import vyper

from koinon.chain import codec
from koinon.chain.address import create2_address
from koinon.chain.canonical import FACTORY
from koinon.chain.contract import Call, Contract
from koinon.chain.eip712 import TypedStruct, digest
from koinon.chain.hashing import keccak256
from koinon.console.wallet_signature import personal_digest, signed_by
from koinon.works.registration import registration_domain
from tests.console.test_actions import answer, begin, finished, state, wish
from tests.console.wallet_support import House, Wallet, browser, open_console, send_json

MOCK = Path(__file__).parent.parent / "works" / "contracts" / "mocks" / "ContractWallet.vy"
AGREES = bytes.fromhex("1626ba7e")
ALWAYS = """
# pragma version 0.4.3
@external
@view
def isValidSignature(digest: bytes32, signature: Bytes[512]) -> bytes4:
    assert signature == b"please"
    return 0x1626ba7e
"""
NOT_DEPLOYED = bytes.fromhex("6492" * 16)


def compiled(source: str) -> tuple[bytes, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = vyper.compile_code(source, output_formats=["bytecode", "abi"])
    return bytes.fromhex(found["bytecode"][2:]), found["abi"]


@pytest.fixture(scope="module")
def mock():
    return compiled(MOCK.read_text())


@pytest.fixture
def house(tmp_path, chain, devnet):
    return House(tmp_path, chain, devnet.key(6))


@pytest.fixture
def client(house):
    with browser(open_console(house)) as one:
        yield one


def deployed(chain, key, mock, says: bytes) -> Contract:
    code, abi = mock
    receipt = chain.sender(key).send(Call(None, code + codec.encode(["bytes4"], [says])))
    return Contract(chain.rpc, receipt.contract_address, abi)


def message_for(client, address: str) -> str:
    return str(send_json(client, "/login/wallet/message", {"address": address}).json()["message"])


def come_in(client, message: str, signature: bytes = b"\x01"):
    return send_json(client, "/login/wallet", {"message": message, "signature": "0x" + signature.hex()})


def test_a_contract_comes_in_when_it_agrees(client, chain, devnet, mock):
    wallet = deployed(chain, devnet.key(6), mock, AGREES)
    refused = come_in(client, message_for(client, wallet.address))
    assert refused.status_code == 403
    message = message_for(client, wallet.address)
    chain.sender(devnet.key(6)).send(wallet.transaction("agree", personal_digest(message.encode())))
    assert come_in(client, message).status_code == 200
    assert wallet.address in client.get("/login").text


def test_a_contract_that_answers_nonsense_does_not_come_in(client, chain, devnet, mock):
    wallet = deployed(chain, devnet.key(6), mock, bytes.fromhex("ffffffff"))
    message = message_for(client, wallet.address)
    chain.sender(devnet.key(6)).send(wallet.transaction("agree", personal_digest(message.encode())))
    assert come_in(client, message).json()["code"] == "login.signer"


def test_a_contract_signs_and_sends_for_its_people(client, chain, devnet, mock):
    key = devnet.key(6)
    wallet = deployed(chain, key, mock, AGREES)
    message = message_for(client, wallet.address)
    chain.sender(key).send(wallet.transaction("agree", personal_digest(message.encode())))
    come_in(client, message)
    path = begin(client)
    asked = wish(client, path)
    fields = asked["params"][0]
    act = wallet.transaction("act", fields["to"], bytes.fromhex(fields["data"][2:]))
    assert answer(client, path, asked, chain.sender(key).send(act).transaction_hash)
    assert state(finished(client, path)) == "done"
    assert chain.coin.call("balanceOf", wallet.address) == 5


def test_another_contracts_call_is_not_believed(client, chain, devnet, mock):
    key = devnet.key(6)
    wallet = deployed(chain, key, mock, AGREES)
    message = message_for(client, wallet.address)
    chain.sender(key).send(wallet.transaction("agree", personal_digest(message.encode())))
    come_in(client, message)
    path = begin(client)
    asked = wish(client, path)
    direct = Call(asked["params"][0]["to"], bytes.fromhex(asked["params"][0]["data"][2:]))
    assert answer(client, path, asked, chain.sender(key).send(direct).transaction_hash)
    assert "action.other_transaction" in finished(client, path)


def test_a_wallet_that_is_not_deployed_yet_signs_by_what_it_will_be(chain):
    code, _ = compiled(ALWAYS)
    address = create2_address(FACTORY, bytes(32), keccak256(code))
    struct = TypedStruct("Registration(bytes32 contentHash)")
    wanted = digest(registration_domain(chain.chain_id, address), struct.hash(bytes(32)))

    def wrapped(factory: str, inner: bytes) -> bytes:
        return codec.encode(["address", "bytes", "bytes"], [factory, bytes(32) + code, inner]) + NOT_DEPLOYED

    assert signed_by(chain, address, wanted, wrapped(FACTORY, b"please"))
    assert not signed_by(chain, address, wanted, wrapped(FACTORY, b"no"))
    assert not signed_by(chain, address, wanted, wrapped(address, b"please"))
    assert not signed_by(chain, address, wanted, b"\x00" * 7 + NOT_DEPLOYED)
    assert not signed_by(chain, Wallet(chain).address, wanted, wrapped(FACTORY, b"please"))
