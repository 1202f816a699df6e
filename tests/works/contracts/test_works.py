# SPDX-License-Identifier: Apache-2.0
"""Works as an ERC-8004 Identity Registry and ERC-721: the reference's names, behaviour and refusals."""

from __future__ import annotations

import boa
import pytest
from eth_account import Account

from koinon.chain.eip712 import digest
from koinon.chain.hashing import keccak256
from tests.contracts_support import (
    AGENT_WALLET_SET,
    NOBODY,
    account,
    custom_error,
    deploy,
    deploy_hall,
    deploy_mock,
    events,
    fresh_chain,
    key,
    raw_call,
    refused,
)

# From the reference's published ABI (abis/IdentityRegistry.json), less what belongs to its proxy and owner.
REFERENCE_FUNCTIONS = {
    "approve(address,uint256)",
    "balanceOf(address)",
    "eip712Domain()",
    "getAgentWallet(uint256)",
    "getApproved(uint256)",
    "getMetadata(uint256,string)",
    "getVersion()",
    "isApprovedForAll(address,address)",
    "isAuthorizedOrOwner(address,uint256)",
    "name()",
    "ownerOf(uint256)",
    "register()",
    "register(string)",
    "register(string,(string,bytes)[])",
    "safeTransferFrom(address,address,uint256)",
    "safeTransferFrom(address,address,uint256,bytes)",
    "setAgentURI(uint256,string)",
    "setAgentWallet(uint256,address,uint256,bytes)",
    "setApprovalForAll(address,bool)",
    "setMetadata(uint256,string,bytes)",
    "supportsInterface(bytes4)",
    "symbol()",
    "tokenURI(uint256)",
    "transferFrom(address,address,uint256)",
    "unsetAgentWallet(uint256)",
}
REFERENCE_EVENTS = {
    "Approval(address,address,uint256)",
    "ApprovalForAll(address,address,bool)",
    "MetadataSet(uint256,string,string,bytes)",
    "MetadataUpdate(uint256)",
    "Registered(uint256,string,address)",
    "Transfer(address,address,uint256)",
    "URIUpdated(uint256,string,address)",
}
INDEXED = {
    "Approval": [True, True, True],
    "ApprovalForAll": [True, True, False],
    "MetadataSet": [True, True, False, False],
    "MetadataUpdate": [False],
    "Registered": [True, False, True],
    "Transfer": [True, True, True],
    "URIUpdated": [True, False, True],
}


@pytest.fixture(scope="module")
def hall():
    with fresh_chain():
        yield deploy_hall()


@pytest.fixture(autouse=True)
def _undo(hall):
    with fresh_chain():
        yield


@pytest.fixture
def works(hall):
    return hall.works


@pytest.fixture
def owner():
    return account("owner")


@pytest.fixture
def stranger():
    return account("stranger")


@pytest.fixture
def work(works, owner):
    return works.register("ipfs://work", sender=owner)


def _shape(parameter: dict) -> str:
    if parameter["type"].startswith("tuple"):
        return f"({','.join(map(_shape, parameter['components']))}){parameter['type'][5:]}"
    return str(parameter["type"])


def test_every_function_of_the_reference_is_there(works):
    ours = {
        f"{entry['name']}({','.join(map(_shape, entry['inputs']))})"
        for entry in works.abi
        if entry["type"] == "function"
    }
    assert ours >= REFERENCE_FUNCTIONS


def test_every_event_of_the_reference_is_there_with_the_same_topics(works):
    ours = {entry["name"]: entry for entry in works.abi if entry["type"] == "event"}
    for signature in REFERENCE_EVENTS:
        event = ours[signature.split("(")[0]]
        assert f"{event['name']}({','.join(map(_shape, event['inputs']))})" == signature
        assert [field["indexed"] for field in event["inputs"]] == INDEXED[event["name"]]


def test_the_register_selectors_are_those_of_the_standard(works, owner):
    assert [int.from_bytes(raw_call(works.address, bytes.fromhex(data), sender=owner)) for data in (
        "1aa3a008",
        "f2c298be" + f"{32:064x}" + f"{0:064x}",
        "8ea42286" + f"{64:064x}" + f"{96:064x}" + f"{0:064x}" * 2,
    )] == [1, 2, 3]  # fmt: skip


def test_it_says_which_interfaces_it_has(works):
    for known in ("01ffc9a7", "80ac58cd", "5b5e139f", "2a55205a", "49064906"):
        assert works.supportsInterface(bytes.fromhex(known))
    for unknown in ("ffffffff", "780e9d63"):
        assert not works.supportsInterface(bytes.fromhex(unknown))


def test_names_and_domain(works):
    assert (works.name(), works.symbol(), works.getVersion()) == ("Koinon Works", "WORK", "2.0.0")
    fields, name, version, chain_id, contract, salt, extensions = works.eip712Domain()
    assert (fields, name, version) == (b"\x0f", "ERC8004IdentityRegistry", "1")
    assert (chain_id, contract, salt, extensions) == (
        boa.env.evm.patch.chain_id,
        works.address,
        bytes(32),
        [],
    )


def test_registration_writes_owner_uri_wallet_and_metadata_in_the_references_order(works, owner):
    entries = [("colour", b"blue"), ("size", b"\x01")]
    assert works.register("ipfs://agent", entries, sender=owner) == 1
    assert events(works, "Transfer") == [{"sender": NOBODY, "to": owner, "tokenId": 1}]
    assert events(works, "MetadataUpdate") == [{"_tokenId": 1}]
    assert events(works, "Registered") == [{"agentId": 1, "agentURI": "ipfs://agent", "owner": owner}]
    assert [(event["metadataKey"], event["metadataValue"]) for event in events(works, "MetadataSet")] == [
        ("agentWallet", bytes.fromhex(owner[2:])),
        *entries,
    ]
    assert all(
        event["indexedMetadataKey"] == keccak256(event["metadataKey"].encode())
        for event in events(works, "MetadataSet")
    )
    assert works.ownerOf(1) == works.getAgentWallet(1) == owner
    assert works.getMetadata(1, "agentWallet") == bytes.fromhex(owner[2:])
    assert works.getMetadata(1, "colour") == b"blue"
    assert works.tokenURI(1) == "ipfs://agent"
    assert works.balanceOf(owner) == works.total() == 1


def test_ids_count_up_from_one_and_a_uri_may_come_later(works, owner, stranger):
    assert [works.register(sender=owner), works.register(sender=stranger)] == [1, 2]
    assert works.tokenURI(1) == ""
    works.setAgentURI(1, "https://example.com/agent.json", sender=owner)
    assert events(works, "URIUpdated") == [
        {"agentId": 1, "newURI": "https://example.com/agent.json", "updatedBy": owner}
    ]
    assert works.tokenURI(1) == "https://example.com/agent.json"


def test_strings_are_taken_up_to_their_bounds_and_not_beyond(works, owner, work):
    works.setAgentURI(work, "u" * 2048, sender=owner)
    works.setMetadata(work, "k" * 64, b"v" * 4096, sender=owner)
    assert works.tokenURI(work) == "u" * 2048
    assert works.getMetadata(work, "k" * 64) == b"v" * 4096
    with boa.reverts():
        works.setAgentURI(work, "u" * 2049, sender=owner)
    with boa.reverts():
        works.setMetadata(work, "k" * 65, b"", sender=owner)
    with boa.reverts():
        works.setMetadata(work, "k", b"v" * 4097, sender=owner)


def test_the_reserved_key_is_refused_everywhere(works, owner, work):
    with boa.reverts("reserved key"):
        works.setMetadata(work, "agentWallet", b"\xde\xad", sender=owner)
    with boa.reverts("reserved key"):
        works.register("", [("agentWallet", b"\xde\xad")], sender=owner)
    with boa.reverts("reserved key"):
        works.publish("", [("agentWallet", b"\xde\xad")], 0, [], sender=owner)


def test_only_the_owner_and_who_it_allowed_may_write(works, owner, stranger, work):
    writes = [
        lambda sender: works.setMetadata(work, "k", b"v", sender=sender),
        lambda sender: works.setAgentURI(work, "ipfs://new", sender=sender),
        lambda sender: works.unsetAgentWallet(work, sender=sender),
        lambda sender: works.set_parent_rule(work, 1, 0, sender=sender),
    ]
    for write in writes:
        with boa.reverts("Not authorized"):
            write(stranger)
    with boa.reverts("Not authorized"):
        works.setAgentWallet(work, stranger, boa.env.timestamp, b"", sender=stranger)
    assert not works.isAuthorizedOrOwner(stranger, work)
    works.approve(stranger, work, sender=owner)
    assert works.isAuthorizedOrOwner(stranger, work)
    for write in writes:
        write(stranger)
    works.approve(NOBODY, work, sender=owner)
    works.setApprovalForAll(stranger, True, sender=owner)
    for write in writes:
        write(stranger)


def test_what_does_not_exist_is_refused_as_the_reference_refuses_it(works, owner):
    nonexistent = custom_error("ERC721NonexistentToken(uint256)", 7)
    for call in (
        lambda: works.ownerOf(7),
        lambda: works.tokenURI(7),
        lambda: works.getApproved(7),
        lambda: works.isAuthorizedOrOwner(owner, 7),
        lambda: works.till_of(7),
        lambda: works.deploy_till(7),
        lambda: works.royaltyInfo(7, 100),
        lambda: works.setMetadata(7, "k", b"", sender=owner),
        lambda: works.setAgentURI(7, "", sender=owner),
        lambda: works.setAgentWallet(7, owner, 0, b"", sender=owner),
        lambda: works.unsetAgentWallet(7, sender=owner),
        lambda: works.approve(owner, 7, sender=owner),
        lambda: works.transferFrom(owner, owner, 7, sender=owner),
        lambda: works.set_parent_rule(7, 0, 0, sender=owner),
        lambda: works.bind_agent(7, works.address, 1, sender=owner),
    ):
        assert refused(works, call) == nonexistent
    assert works.getAgentWallet(7) == NOBODY
    assert works.getMetadata(7, "k") == works.getMetadata(7, "agentWallet") == b""
    assert works.parents_of(7) == []


# ---------------------------------------------------------------- the agent wallet


def _wallet_digest(hall, work, wallet, owner, deadline):
    return digest(hall.domain, AGENT_WALLET_SET.hash(work, wallet, owner, deadline))


def test_a_wallet_that_signed_is_taken(hall, works, owner, work):
    wallet, deadline = key("wallet"), boa.env.timestamp + 240
    signature = wallet.sign(_wallet_digest(hall, work, wallet.address, owner, deadline))
    works.setAgentWallet(work, wallet.address, deadline, signature, sender=owner)
    assert events(works, "MetadataSet")[0]["metadataValue"] == bytes.fromhex(wallet.address[2:])
    assert works.getAgentWallet(work) == wallet.address
    assert works.getMetadata(work, "agentWallet") == bytes.fromhex(wallet.address[2:])
    works.unsetAgentWallet(work, sender=owner)
    assert events(works, "MetadataSet")[0]["metadataValue"] == b""
    assert works.getAgentWallet(work) == NOBODY


def test_a_wallet_signature_made_by_eth_account_is_taken(hall, works, owner, work):
    wallet, deadline = Account.from_key(keccak256(b"an independent signer")), boa.env.timestamp + 300
    signed = wallet.sign_typed_data(
        full_message={
            "domain": {
                "name": "ERC8004IdentityRegistry",
                "version": "1",
                "chainId": boa.env.evm.patch.chain_id,
                "verifyingContract": str(works.address),
            },
            "primaryType": "AgentWalletSet",
            "types": {
                "EIP712Domain": [
                    {"name": "name", "type": "string"},
                    {"name": "version", "type": "string"},
                    {"name": "chainId", "type": "uint256"},
                    {"name": "verifyingContract", "type": "address"},
                ],
                "AgentWalletSet": [
                    {"name": "agentId", "type": "uint256"},
                    {"name": "newWallet", "type": "address"},
                    {"name": "owner", "type": "address"},
                    {"name": "deadline", "type": "uint256"},
                ],
            },
            "message": {"agentId": work, "newWallet": wallet.address, "owner": owner, "deadline": deadline},
        }
    )
    works.setAgentWallet(work, wallet.address, deadline, signed.signature, sender=owner)
    assert works.getAgentWallet(work) == wallet.address


def test_a_contract_wallet_that_agreed_is_taken_and_others_are_not(hall, works, owner, work):
    deadline = boa.env.timestamp + 10
    wallet = deploy_mock("ContractWallet", bytes.fromhex("1626ba7e"))
    with boa.reverts("invalid wallet sig"):
        works.setAgentWallet(work, wallet.address, deadline, b"", sender=owner)
    wallet.agree(_wallet_digest(hall, work, wallet.address, owner, deadline))
    works.setAgentWallet(work, wallet.address, deadline, b"", sender=owner)
    assert works.getAgentWallet(work) == wallet.address
    wrong = deploy_mock("ContractWallet", bytes.fromhex("ffffffff"))
    wrong.agree(_wallet_digest(hall, work, wrong.address, owner, deadline))
    with boa.reverts("invalid wallet sig"):
        works.setAgentWallet(work, wrong.address, deadline, b"", sender=owner)


def test_wallet_deadlines_and_signatures_are_checked(hall, works, owner, stranger, work):
    wallet, now = key("wallet"), boa.env.timestamp

    def attempt(
        deadline, *, signer=wallet, signed_work=work, signed_owner=owner, spoil=lambda signature: signature
    ):
        message = _wallet_digest(hall, signed_work, wallet.address, signed_owner, deadline)
        works.setAgentWallet(work, wallet.address, deadline, spoil(signer.sign(message)), sender=owner)

    with boa.reverts("expired"):
        attempt(now - 1)
    with boa.reverts("deadline too far"):
        attempt(now + 301)
    with boa.reverts("bad wallet"):
        works.setAgentWallet(work, NOBODY, now, b"", sender=owner)
    for wrong in (
        {"signer": key("stranger")},
        {"signed_work": work + 1},
        {"signed_owner": stranger},
        {"spoil": lambda signature: signature[:64]},
        {"spoil": lambda signature: signature + b"\0"},
        {"spoil": lambda signature: signature[:64] + bytes((signature[64] - 27,))},
        {"spoil": _high_s},
        {"spoil": lambda signature: b""},
    ):
        with boa.reverts("invalid wallet sig"):
            attempt(now + 300, **wrong)
    attempt(now + 300)


def _high_s(signature: bytes) -> bytes:
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    other = order - int.from_bytes(signature[32:64], "big")
    return signature[:32] + other.to_bytes(32, "big") + bytes((55 - signature[64],))


def test_a_transfer_clears_the_wallet(works, owner, stranger, work):
    works.transferFrom(owner, stranger, work, sender=owner)
    assert [event["metadataValue"] for event in events(works, "MetadataSet")] == [b""]
    assert works.getAgentWallet(work) == NOBODY
    assert works.getMetadata(work, "agentWallet") == b""
    assert works.ownerOf(work) == stranger


# ---------------------------------------------------------------- transfers


def test_transfers_need_leave_owner_and_receiver(works, owner, stranger, work):
    assert refused(works, lambda: works.transferFrom(owner, stranger, work, sender=stranger)) == custom_error(
        "ERC721InsufficientApproval(address,uint256)", stranger, work
    )
    assert refused(works, lambda: works.transferFrom(stranger, stranger, work, sender=owner)) == custom_error(
        "ERC721IncorrectOwner(address,uint256,address)", stranger, work, owner
    )
    assert refused(works, lambda: works.transferFrom(owner, NOBODY, work, sender=owner)) == custom_error(
        "ERC721InvalidReceiver(address)", NOBODY
    )
    assert refused(works, lambda: works.approve(stranger, work, sender=stranger)) == custom_error(
        "ERC721InvalidApprover(address)", stranger
    )
    assert refused(works, lambda: works.setApprovalForAll(NOBODY, True, sender=owner)) == custom_error(
        "ERC721InvalidOperator(address)", NOBODY
    )
    assert refused(works, lambda: works.balanceOf(NOBODY)) == custom_error(
        "ERC721InvalidOwner(address)", NOBODY
    )


def test_an_approval_ends_with_the_transfer(works, owner, stranger, work):
    works.approve(stranger, work, sender=owner)
    assert works.getApproved(work) == stranger
    works.transferFrom(owner, account("buyer"), work, sender=stranger)
    assert works.getApproved(work) == NOBODY
    assert works.balanceOf(owner) == 0


@pytest.mark.parametrize("manner", [1, 2, 4])
def test_a_contract_that_does_not_answer_gets_no_work(works, owner, work, manner):
    receiver = deploy_mock("Receiver", manner, owner)
    expected = (
        keccak256(b"Error(string)")[:4]
        if manner == 2
        else custom_error("ERC721InvalidReceiver(address)", receiver.address)
    )
    for call in (
        lambda: works.safeTransferFrom(owner, receiver.address, work, sender=owner),
        lambda: works.safeTransferFrom(owner, receiver.address, work, b"note", sender=owner),
    ):
        assert refused(works, call).startswith(expected)
    with boa.reverts():
        receiver.register(works.address)
    assert refused(
        works, lambda: works.safeTransferFrom(owner, works.address, work, sender=owner)
    ) == custom_error("ERC721InvalidReceiver(address)", works.address)
    works.transferFrom(owner, receiver.address, work, sender=owner)
    assert works.ownerOf(work) == receiver.address


def test_a_contract_that_answers_gets_the_work_and_the_note(works, owner, work):
    receiver = deploy_mock("Receiver", 0, owner)
    works.safeTransferFrom(owner, receiver.address, work, b"note", sender=owner)
    assert (receiver.last_operator(), receiver.last_data()) == (owner, b"note")
    assert receiver.register(works.address) == work + 1


def test_a_receiver_that_passes_a_new_work_on_leaves_true_records(works, owner):
    receiver = deploy_mock("Receiver", 3, owner)
    work = receiver.register(works.address)
    assert works.ownerOf(work) == owner
    assert works.getAgentWallet(work) == NOBODY
    assert [event["metadataValue"] for event in events(receiver, "MetadataSet", works)] == [
        bytes.fromhex(receiver.address[2:]),
        b"",
    ]


# ---------------------------------------------------------------- deployment


def test_the_register_needs_a_till_implementation():
    with boa.reverts("no till implementation"):
        deploy("works", "Works", account("not a contract"))
