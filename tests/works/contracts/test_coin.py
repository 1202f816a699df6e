# SPDX-License-Identifier: Apache-2.0
"""The test dollar: ERC-20, permits and authorizations, in both forms and against eth_account's signatures."""

from __future__ import annotations

import boa
import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data

from koinon.chain.eip712 import Domain
from koinon.works.coin import (
    CANCEL_BY_BYTES,
    RECEIVE_BY_BYTES,
    TRANSFER_BY_BYTES,
    TRANSFER_BY_KEY,
)
from tests.contracts_support import NOBODY, deploy, deploy_mock, fresh_chain, key
from tests.works.contracts.channels_support import CHAIN_ID, FOREVER, At, Bank, Reverted

RECEIVE_BY_KEY = TRANSFER_BY_KEY.replace("transferWith", "receiveWith")
CANCEL_BY_KEY = "cancelAuthorization(address,bytes32,uint8,bytes32,bytes32)"
NONCE = b"\x4e" * 32
MAXIMUM = 2**256 - 1


@pytest.fixture(scope="module")
def the_bank():
    with fresh_chain():
        yield Bank()


@pytest.fixture
def bank(the_bank):
    with fresh_chain():
        the_bank.mint(the_bank.payer, 1000)
        yield the_bank


@pytest.fixture
def coin(bank):
    return bank.coin


def refuses(reason):
    return pytest.raises(Reverted, match=f"^{reason}")


def split(signature):
    return signature[64], signature[:32], signature[32:64]


def authorization(bank, kind="transfer", *, amount=400, after=0, before=FOREVER, signer="payer", to=None):
    """Arguments without the signature, and the signature."""
    to = to or bank.till
    digests = {"transfer": bank.coin_digests.transfer, "receive": bank.coin_digests.receive}
    digest = digests[kind](bank.payer, to, amount, valid_after=after, valid_before=before, nonce=NONCE)
    return (bank.payer, to, amount, after, before, NONCE), key(signer).sign(digest)


def test_it_says_what_it_is(coin):
    assert (coin("name"), coin("symbol"), coin("decimals"), coin("version")) == (
        "Koinon test dollar",
        "tUSD",
        6,
        "1",
    )
    domain = Domain("Koinon test dollar", "1", CHAIN_ID, coin.address)
    assert coin("DOMAIN_SEPARATOR") == domain.separator
    assert coin("eip712Domain") == (
        b"\x0f",
        "Koinon test dollar",
        "1",
        CHAIN_ID,
        coin.address,
        bytes(32),
        [],
    )


def test_anyone_makes_test_money_up_to_a_limit_a_call(bank, coin):
    limit = coin("mintLimit")
    assert limit == 10**6 * 10**6
    coin("mint", bank.stranger, limit, sender=bank.stranger)
    assert coin.events("Transfer") == [{"from": NOBODY, "to": bank.stranger, "value": limit}]
    assert coin("totalSupply") == limit + 1000
    with refuses("coin: more than the limit"):
        coin("mint", bank.stranger, limit + 1)
    with refuses("erc20: mint to the zero address"):
        coin("mint", NOBODY, 1)


def test_it_has_at_most_18_decimals():
    assert deploy("works", "Coin", "Fine", "F", 18).decimals() == 18
    with boa.reverts("coin: more than 18 decimals"):
        deploy("works", "Coin", "Too fine", "F", 19)


def test_what_a_transfer_must_be(bank, coin):
    with refuses("erc20: transfer amount exceeds balance"):
        coin("transfer", bank.till, 1001, sender=bank.payer)
    with refuses("erc20: transfer to the zero address"):
        coin("transfer", NOBODY, 1, sender=bank.payer)
    with refuses("erc20: transfer from the zero address"):
        coin("transfer", bank.till, 0, sender=NOBODY)
    with refuses("erc20: insufficient allowance"):
        coin("transferFrom", bank.payer, bank.till, 1, sender=bank.stranger)
    with refuses("erc20: approve to the zero address"):
        coin("approve", NOBODY, 1, sender=bank.payer)
    with refuses("erc20: approve from the zero address"):
        coin("approve", bank.till, 1, sender=NOBODY)
    coin("transfer", bank.till, 1000, sender=bank.payer)
    assert (bank.balance(bank.payer), bank.balance(bank.till)) == (0, 1000)


def test_an_endless_allowance_does_not_run_down(bank, coin):
    for allowed, left in ((MAXIMUM, MAXIMUM), (MAXIMUM - 1, MAXIMUM - 11)):
        coin("approve", bank.stranger, allowed, sender=bank.payer)
        coin("transferFrom", bank.payer, bank.till, 10, sender=bank.stranger)
        assert coin("allowance", bank.payer, bank.stranger) == left


# Permits


def test_a_permit_counts_once_and_until_its_deadline(bank, coin):
    deadline = boa.env.timestamp
    signature = key("payer").sign(bank.coin_digests.permit(bank.payer, bank.stranger, 300, 0, deadline))
    arguments = (bank.payer, bank.stranger, 300, deadline, *split(signature))
    for wrong in (
        (bank.payer, bank.stranger, 301, deadline, *split(signature)),
        (bank.payer, bank.till, 300, deadline, *split(signature)),
        (bank.stranger, bank.stranger, 300, deadline, *split(signature)),
        (bank.payer, bank.stranger, 300, deadline + 1, *split(signature)),
    ):
        with refuses("coin: invalid signature"):
            coin("permit", *wrong)
    coin("permit", *arguments, sender=bank.till)
    assert (coin("allowance", bank.payer, bank.stranger), coin("nonces", bank.payer)) == (300, 1)
    with refuses("coin: invalid signature"):
        coin("permit", *arguments)
    boa.env.timestamp = deadline + 1
    with refuses("coin: permit expired"):
        coin("permit", *arguments)


def test_the_zero_address_signs_nothing(bank, coin):
    with refuses("coin: invalid signature"):
        coin("permit", NOBODY, bank.stranger, 1, FOREVER, 27, bytes(32), bytes(32))


# Authorizations


@pytest.mark.parametrize("kind", ["transfer", "receive"])
@pytest.mark.parametrize("form", ["key", "bytes"])
def test_an_authorization_is_carried_out_once(bank, coin, kind, form):
    arguments, signature = authorization(bank, kind)
    name = {
        ("transfer", "key"): TRANSFER_BY_KEY,
        ("transfer", "bytes"): TRANSFER_BY_BYTES,
        ("receive", "key"): RECEIVE_BY_KEY,
        ("receive", "bytes"): RECEIVE_BY_BYTES,
    }[kind, form]
    proof = split(signature) if form == "key" else (signature,)
    sender = bank.till if kind == "receive" else bank.stranger
    if kind == "receive":
        with refuses("coin: the caller must be the receiver"):
            coin(name, *arguments, *proof, sender=bank.stranger)
    assert not coin("authorizationState", bank.payer, NONCE)
    coin(name, *arguments, *proof, sender=sender)
    assert coin.events("AuthorizationUsed") == [{"authorizer": bank.payer, "nonce": NONCE}]
    assert coin.events("Transfer") == [{"from": bank.payer, "to": bank.till, "value": 400}]
    assert coin("authorizationState", bank.payer, NONCE)
    with refuses("coin: authorization used or canceled"):
        coin(name, *arguments, *proof, sender=sender)
    assert bank.balance(bank.till) == 400


@pytest.mark.parametrize("form", ["key", "bytes"])
def test_one_kind_of_authorization_is_not_the_other(bank, coin, form):
    for signed, name in (("transfer", "receive"), ("receive", "transfer")):
        arguments, signature = authorization(bank, signed)
        function = {
            ("receive", "key"): RECEIVE_BY_KEY,
            ("receive", "bytes"): RECEIVE_BY_BYTES,
            ("transfer", "key"): TRANSFER_BY_KEY,
            ("transfer", "bytes"): TRANSFER_BY_BYTES,
        }[name, form]
        proof = split(signature) if form == "key" else (signature,)
        with refuses("coin: invalid signature"):
            coin(function, *arguments, *proof, sender=bank.till)


def test_both_ends_of_an_authorizations_time_are_outside_it(bank, coin):
    now = boa.env.timestamp
    for after, before, reason in (
        (now, FOREVER, "coin: authorization not yet valid"),
        (0, now, "coin: authorization expired"),
    ):
        arguments, signature = authorization(bank, after=after, before=before)
        with refuses(reason):
            coin(TRANSFER_BY_BYTES, *arguments, signature)
    arguments, signature = authorization(bank, after=now - 1, before=now + 1)
    coin(TRANSFER_BY_BYTES, *arguments, signature)


@pytest.mark.parametrize("position", range(6))
def test_nothing_signed_can_be_changed(bank, coin, position):
    arguments, signature = authorization(bank)
    changed = list(arguments)
    changed[position] = [bank.till, bank.stranger, 401, 1, FOREVER - 1, bytes(32)][position]
    with refuses("coin: invalid signature"):
        coin(TRANSFER_BY_BYTES, *changed, signature)
    with refuses("coin: invalid signature"):
        coin(TRANSFER_BY_KEY, *changed, *split(signature))


def test_malformed_signatures_are_refused(bank, coin):
    arguments, good = authorization(bank)
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    upper = (
        good[:32] + (order - int.from_bytes(good[32:64], "big")).to_bytes(32, "big") + bytes([55 - good[64]])
    )
    for bad in (b"", good[:64], good + b"\x00", good[:64] + b"\x00", upper, bytes(65), bytes(512)):
        with refuses("coin: invalid signature"):
            coin(TRANSFER_BY_BYTES, *arguments, bad)
    with refuses("calldata: longer than 512 bytes"):
        coin(TRANSFER_BY_BYTES, *arguments, bytes(513))
    with refuses("coin: invalid signature"):
        coin(TRANSFER_BY_KEY, *arguments, *split(upper))


def test_a_failed_transfer_leaves_the_authorization_unused(bank, coin):
    arguments, signature = authorization(bank, amount=1001)
    with refuses("erc20: transfer amount exceeds balance"):
        coin(TRANSFER_BY_BYTES, *arguments, signature)
    assert not coin("authorizationState", bank.payer, NONCE)


@pytest.mark.parametrize("form", ["key", "bytes"])
def test_a_cancelled_authorization_is_never_used(bank, coin, form):
    signature = key("payer").sign(bank.coin_digests.cancel(bank.payer, NONCE))
    name, proof = (CANCEL_BY_KEY, split(signature)) if form == "key" else (CANCEL_BY_BYTES, (signature,))
    with refuses("coin: invalid signature"):
        coin(name, bank.payer, bytes(32), *proof)
    with refuses("coin: invalid signature"):
        coin(name, bank.stranger, NONCE, *proof)
    coin(name, bank.payer, NONCE, *proof, sender=bank.stranger)
    assert coin.events("AuthorizationCanceled") == [{"authorizer": bank.payer, "nonce": NONCE}]
    arguments, signed = authorization(bank)
    with refuses("coin: authorization used or canceled"):
        coin(TRANSFER_BY_BYTES, *arguments, signed)
    with refuses("coin: authorization used or canceled"):
        coin(name, bank.payer, NONCE, *proof)


def test_a_contract_authorizes_by_erc_1271(bank, coin):
    wallet = deploy_mock("ContractWallet", bytes.fromhex("1626ba7e"))
    coin("mint", wallet.address, 50)
    arguments = (wallet.address, bank.till, 50, 0, FOREVER, NONCE)
    digest = bank.coin_digests.transfer(
        wallet.address, bank.till, 50, valid_after=0, valid_before=FOREVER, nonce=NONCE
    )
    with refuses("coin: invalid signature"):
        coin(TRANSFER_BY_BYTES, *arguments, b"any bytes")
    wallet.agree(digest)
    coin(TRANSFER_BY_BYTES, *arguments, b"any bytes" * 20)
    assert bank.balance(bank.till) == 50


def test_signatures_never_replay_on_another_coin_or_chain(bank, coin):
    arguments, signature = authorization(bank)
    other = At("Coin", deploy("works", "Coin", "Koinon test dollar", "tUSD", 6).address)
    other("mint", bank.payer, 1000)
    with refuses("coin: invalid signature"):
        other(TRANSFER_BY_BYTES, *arguments, signature)
    boa.env.evm.patch.chain_id = CHAIN_ID + 1
    try:
        with refuses("coin: invalid signature"):
            coin(TRANSFER_BY_BYTES, *arguments, signature)
    finally:
        boa.env.evm.patch.chain_id = CHAIN_ID


def test_calldata_that_is_no_authorization_is_refused(bank, coin):
    arguments, signature = authorization(bank)
    good = coin.data(TRANSFER_BY_BYTES, *arguments, signature)
    wide = bytearray(good)
    wide[4] = 1  # an address of more than 20 bytes
    far = good[:196] + (2**255).to_bytes(32, "big") + good[228:]
    for bad in (
        b"",
        good[:3],
        good[:4],
        good[:150],
        good[:-32],
        bytes(wide),
        far,
        b"\xde\xad\xbe\xef" + good[4:],
    ):
        with pytest.raises(Reverted):
            coin.raw(bad)
    boa.env.set_balance(bank.stranger, 10**18)
    with pytest.raises(Reverted):
        coin.raw(b"", sender=bank.stranger, value=1)
    with pytest.raises(Reverted):
        coin.raw(good, sender=bank.stranger, value=1)
    coin.raw(good)


TYPED = {
    "TransferWithAuthorization": ["from", "to", "value", "validAfter", "validBefore", "nonce"],
    "ReceiveWithAuthorization": ["from", "to", "value", "validAfter", "validBefore", "nonce"],
    "CancelAuthorization": ["authorizer", "nonce"],
    "Permit": ["owner", "spender", "value", "nonce", "deadline"],
}
KINDS = {"nonce": "bytes32", "from": "address", "to": "address", "authorizer": "address", "owner": "address"}


@pytest.mark.parametrize("primary", TYPED)
def test_digests_and_signatures_are_eth_accounts(bank, primary):
    fields = {
        "from": bank.payer,
        "to": bank.till,
        "value": 400,
        "validAfter": 1,
        "validBefore": FOREVER,
        "nonce": 7 if primary == "Permit" else NONCE,
        "authorizer": bank.payer,
        "owner": bank.payer,
        "spender": bank.stranger,
        "deadline": FOREVER,
    }
    kinds = KINDS | {"spender": "address"} | ({"nonce": "uint256"} if primary == "Permit" else {})
    domain = {
        "name": "Koinon test dollar",
        "version": "1",
        "chainId": CHAIN_ID,
        "verifyingContract": bank.coin.address,
    }
    message = encode_typed_data(
        domain_data=domain,
        message_types={
            primary: [{"name": name, "type": kinds.get(name, "uint256")} for name in TYPED[primary]]
        },
        message_data={name: fields[name] for name in TYPED[primary]},
    )
    digests = bank.coin_digests
    times = {"valid_after": 1, "valid_before": FOREVER, "nonce": NONCE}
    ours = {
        "TransferWithAuthorization": lambda: digests.transfer(bank.payer, bank.till, 400, **times),
        "ReceiveWithAuthorization": lambda: digests.receive(bank.payer, bank.till, 400, **times),
        "CancelAuthorization": lambda: digests.cancel(bank.payer, NONCE),
        "Permit": lambda: digests.permit(bank.payer, bank.stranger, 400, 7, FOREVER),
    }[primary]()
    theirs = Account.sign_message(message, key("payer")._private.secret).signature
    assert key("payer").sign(ours) == bytes(theirs)


def test_the_abi_has_the_standards_names(coin):
    names = {
        entry["name"]: [field["name"] for field in entry["inputs"]]
        for entry in coin.artifact.abi
        if entry["type"] == "function"
    }
    assert names["transferFrom"] == ["from", "to", "value"]
    assert names["permit"] == ["owner", "spender", "value", "deadline", "v", "r", "s"]
    assert names["receiveWithAuthorization"][:6] == TYPED["ReceiveWithAuthorization"]
    selectors = {
        TRANSFER_BY_KEY: "e3ee160e",
        TRANSFER_BY_BYTES: "cf092995",
        RECEIVE_BY_KEY: "ef55bec6",
        RECEIVE_BY_BYTES: "88b7ab63",
        CANCEL_BY_KEY: "5a049a70",
        CANCEL_BY_BYTES: "b7b72899",
    }
    for signature, selector in selectors.items():
        assert coin.artifact.functions[signature].selector.hex() == selector
