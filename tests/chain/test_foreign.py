# SPDX-License-Identifier: Apache-2.0
"""Other people's contracts: their code is what their files say, and does what its authors say."""

from __future__ import annotations

import hashlib
from pathlib import Path

import orjson
import pytest
from eth_account.messages import encode_typed_data

from koinon.chain import artifacts, foreign
from koinon.chain.canonical import FOREIGN
from koinon.chain.contract import Contract
from koinon.chain.hashing import keccak256
from koinon.chain.keys import Key
from koinon.errors import TransactionFailed

FOLDER = Path(artifacts.__file__).with_name("artifacts") / "foreign"
LICENCES = Path(__file__).parents[2] / "LICENSES" / "multicall3-permit2-MIT.txt"

MAIN_NETWORK = {
    "Multicall3": "0xd5c15df687b16f2ff992fc8d767b4216323184a2bbc6ee2f9c398c318e770891",
    "Permit2": "0xc67d1657868aa5146eaf24fb879fb1fdec3d2d493b3683a61c9c2f4fb2851131",
}
"""EXTCODEHASH at their addresses on Ethereum's main network."""


def test_every_foreign_contract_ships_and_nothing_else():
    assert {path.stem for path in FOLDER.iterdir()} == set(FOREIGN) == set(MAIN_NETWORK)


@pytest.mark.parametrize("name", sorted(FOREIGN))
def test_its_code_is_the_main_networks_and_its_origin_is_told(name):
    fields = orjson.loads((FOLDER / f"{name}.json").read_bytes())
    code = foreign.runtime(name)
    assert hashlib.sha256(code).hexdigest() == fields["runtime_sha256"]
    assert "0x" + keccak256(code).hex() == fields["code_hash"] == MAIN_NETWORK[name]
    source = fields["source"]
    assert (fields["licence"], source["licence"]) == ("MIT", "MIT")
    told = LICENCES.read_text()
    assert f"{source['package']} {source['version']}" in told
    assert all(word in told for word in (name, source["file"], source["constant"]))


def function(name, inputs, outputs, mutability="view"):
    return {
        "type": "function",
        "name": name,
        "inputs": inputs,
        "outputs": outputs,
        "stateMutability": mutability,
    }


def field(kind, name="", components=None):
    return {"type": kind, "name": name} | ({"components": components} if components else {})


CALLS = [field("address", "target"), field("bool", "allowFailure"), field("bytes", "callData")]
RESULTS = [field("bool", "success"), field("bytes", "returnData")]
MULTICALL3 = [
    function(
        "aggregate3",
        [field("tuple[]", "calls", CALLS)],
        [field("tuple[]", "", RESULTS)],
        mutability="payable",
    ),
    function("getChainId", [], [field("uint256")]),
    function("getBlockNumber", [], [field("uint256")]),
]

PERMITTED = [field("address", "token"), field("uint256", "amount")]
PERMIT = [
    field("tuple", "permitted", PERMITTED),
    field("uint256", "nonce"),
    field("uint256", "deadline"),
]
DETAILS = [field("address", "to"), field("uint256", "requestedAmount")]
PERMIT2 = [
    function("DOMAIN_SEPARATOR", [], [field("bytes32")]),
    function(
        "permitTransferFrom",
        [
            field("tuple", "permit", PERMIT),
            field("tuple", "transferDetails", DETAILS),
            field("address", "owner"),
            field("bytes", "signature"),
        ],
        [],
        mutability="nonpayable",
    ),
]
SIGNED_TYPES = {
    "PermitTransferFrom": [
        field("TokenPermissions", "permitted"),
        field("address", "spender"),
        field("uint256", "nonce"),
        field("uint256", "deadline"),
    ],
    "TokenPermissions": PERMITTED,
}
EMPTY = {
    "permitted": {"token": "0x" + "00" * 20, "amount": 0},
    "spender": "0x" + "00" * 20,
    "nonce": 0,
    "deadline": 0,
}


def test_multicall3_reads_many_contracts_in_one_call(chain):
    multicall = Contract(chain.rpc, FOREIGN["Multicall3"], MULTICALL3)
    works, coin = chain.contract("Works"), chain.coin
    calls = [
        (multicall.address, False, multicall.function("getChainId").encode()),
        (coin.address, False, coin.function("decimals").encode()),
        (works.address, True, works.function("ownerOf").encode(10**9)),
    ]
    (one, chain_id), (two, decimals), (three, refusal) = multicall.call("aggregate3", calls)
    assert (one, two, three) == (True, True, False)
    assert (int.from_bytes(chain_id), int.from_bytes(decimals)) == (chain.chain_id, 6)
    assert refusal
    with pytest.raises(TransactionFailed) as caught:
        multicall.call("aggregate3", [(works.address, False, works.function("ownerOf").encode(10**9))])
    assert "Multicall3: call failed" in caught.value.reason
    assert multicall.call("getBlockNumber") == chain.block_number()


def test_permit2_moves_our_coin_once_by_a_signature_for_this_chain(chain, new_account):
    permit2 = Contract(chain.rpc, FOREIGN["Permit2"], PERMIT2)
    domain = {"name": "Permit2", "chainId": chain.chain_id, "verifyingContract": permit2.address}
    assert permit2.call("DOMAIN_SEPARATOR") == encode_typed_data(domain, SIGNED_TYPES, EMPTY).header
    coin, owner, spender, payee = chain.coin, new_account(), new_account(), Key.generate().address
    chain.sender(owner).send_all(
        [
            coin.transaction("mint", owner.address, 1_000),
            coin.transaction("approve", permit2.address, 2**256 - 1),
        ]
    )
    deadline = chain.timestamp() + 3_600

    def take(amount, *, signer=owner, spender_signed=spender.address, chain_id=chain.chain_id):
        message = {
            "permitted": {"token": coin.address, "amount": 600},
            "spender": spender_signed,
            "nonce": 0,
            "deadline": deadline,
        }
        signable = encode_typed_data(domain | {"chainId": chain_id}, SIGNED_TYPES, message)
        signature = signer.sign(keccak256(b"\x19\x01" + signable.header + signable.body))
        permit = ((coin.address, 600), 0, deadline)
        call = permit2.transaction(
            "permitTransferFrom", permit, (payee, amount), owner.address, signature, gas=200_000
        )
        return chain.sender(spender).send(call)

    for refused in (
        lambda: take(601),
        lambda: take(600, spender_signed=owner.address),
        lambda: take(600, signer=spender),
        lambda: take(600, chain_id=1),
    ):
        with pytest.raises(TransactionFailed):
            refused()
    assert coin.call("balanceOf", payee) == 0
    take(600)
    assert (coin.call("balanceOf", payee), coin.call("balanceOf", owner.address)) == (600, 400)
    with pytest.raises(TransactionFailed):
        take(600)  # a nonce is good once
