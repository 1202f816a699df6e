# SPDX-License-Identifier: Apache-2.0
"""A stock client, web3.py with the ABI of the ERC's own text, reads and moves Works as any NFT."""

from __future__ import annotations

from typing import Any

import pytest
from eth_account import Account
from web3 import Web3
from web3.exceptions import ContractCustomError

from koinon.chain.address import ZERO_ADDRESS
from koinon.chain.keys import Key


def function(name: str, inputs: str, outputs: str = "", *, changes: bool = False) -> dict[str, Any]:
    """An ABI entry from types with commas between them."""
    return {
        "type": "function",
        "name": name,
        "inputs": [
            {"name": f"_{place}", "type": kind} for place, kind in enumerate(inputs.split(",")) if kind
        ],
        "outputs": [{"name": "", "type": kind} for kind in outputs.split(",") if kind],
        "stateMutability": "nonpayable" if changes else "view",
    }


def event(name: str, **kinds: str) -> dict[str, Any]:
    """An ABI entry of an event, all of whose fields are indexed."""
    fields = [{"name": f"_{field}", "type": kind, "indexed": True} for field, kind in kinds.items()]
    return {"type": "event", "name": name, "inputs": fields, "anonymous": False}


ERC721 = [
    function("supportsInterface", "bytes4", "bool"),
    function("name", "", "string"),
    function("symbol", "", "string"),
    function("tokenURI", "uint256", "string"),
    function("balanceOf", "address", "uint256"),
    function("ownerOf", "uint256", "address"),
    function("getApproved", "uint256", "address"),
    function("isApprovedForAll", "address,address", "bool"),
    function("approve", "address,uint256", changes=True),
    function("setApprovalForAll", "address,bool", changes=True),
    function("transferFrom", "address,address,uint256", changes=True),
    function("safeTransferFrom", "address,address,uint256", changes=True),
    function("safeTransferFrom", "address,address,uint256,bytes", changes=True),
    function("royaltyInfo", "uint256,uint256", "address,uint256"),
    event("Transfer", **{"from": "address", "to": "address", "tokenId": "uint256"}),
    event("Approval", owner="address", approved="address", tokenId="uint256"),
]


@pytest.fixture
def web3(chain):
    return Web3(Web3.HTTPProvider(chain.rpc.url, request_kwargs={"timeout": 60}))


@pytest.fixture
def nft(web3, chain):
    return web3.eth.contract(address=chain.network.address("Works"), abi=ERC721)


def person(chain):
    """An account of the client's own, with ETH."""
    made = Account.create()
    chain.rpc.call("anvil_setBalance", made.address, hex(10**19))
    return made


@pytest.fixture
def work(chain):
    owner = person(chain)
    works = chain.contract("Works")
    receipt = chain.sender(Key.from_bytes(bytes(owner.key))).send(
        works.transaction("publish", "ipfs://file", [], 500, [])
    )
    return owner, int(works.logs(receipt, "Registered")[0]["agentId"]), receipt.block_number


def test_a_stock_client_reads_a_work_as_an_nft(nft, chain, work):
    owner, work_id, block = work
    call = nft.functions
    assert (call.name().call(), call.symbol().call()) == ("Koinon Works", "WORK")
    for interface in ("01ffc9a7", "80ac58cd", "5b5e139f", "2a55205a"):
        assert call.supportsInterface(bytes.fromhex(interface)).call()
    assert not call.supportsInterface(b"\xff" * 4).call()
    assert call.ownerOf(work_id).call() == owner.address
    assert call.balanceOf(owner.address).call() == 1
    assert call.tokenURI(work_id).call() == "ipfs://file"
    assert call.getApproved(work_id).call() == ZERO_ADDRESS
    till = chain.contract("Works").call("till_of", work_id)
    assert call.royaltyInfo(work_id, 10_000).call() == [till, 500]
    [minted] = nft.events.Transfer().get_logs(
        from_block=block, to_block=block, argument_filters={"_tokenId": work_id}
    )
    assert (minted.args["_from"], minted.args["_to"]) == (ZERO_ADDRESS, owner.address)


def test_a_stock_client_sells_a_work_on(web3, chain, nft, work):
    owner, work_id, _ = work
    market, buyer = person(chain), person(chain)
    sold = (owner.address, buyer.address, work_id)
    with pytest.raises(ContractCustomError):
        nft.functions.safeTransferFrom(*sold).call({"from": market.address})
    for call, key in (
        (nft.functions.approve(market.address, work_id), owner),
        (nft.functions.safeTransferFrom(*sold), market),
    ):
        fields = call.build_transaction(
            {"from": key.address, "nonce": web3.eth.get_transaction_count(key.address)}
        )
        signed = key.sign_transaction(fields)
        receipt = web3.eth.wait_for_transaction_receipt(web3.eth.send_raw_transaction(signed.raw_transaction))
        assert receipt.status == 1
    assert nft.functions.ownerOf(work_id).call() == buyer.address
    with pytest.raises(ContractCustomError):
        nft.functions.ownerOf(2**200).call()
