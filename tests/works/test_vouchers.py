# SPDX-License-Identifier: Apache-2.0
"""Channels and vouchers off chain: ids, digests and headers as x402's client has them, nothing malformed."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import orjson
import pytest
from eth_account import Account
from hypothesis import given, settings
from hypothesis import strategies as st
from x402.http.utils import encode_payment_signature_header
from x402.mechanisms.evm.batch_settlement import types as x402_types
from x402.mechanisms.evm.batch_settlement.authorizer_signer import (
    LocalAuthorizerSigner,
    sign_claim_batch,
    sign_refund,
)
from x402.mechanisms.evm.batch_settlement.client.voucher import sign_voucher
from x402.mechanisms.evm.batch_settlement.encoding import build_erc3009_deposit_nonce
from x402.mechanisms.evm.batch_settlement.utils import compute_channel_id
from x402.mechanisms.evm.signers import EthAccountSigner
from x402.schemas import PaymentPayload, PaymentRequirements, ResourceInfo

from koinon.chain.address import ZERO_ADDRESS, checksum
from koinon.chain.hashing import keccak256
from koinon.chain.keys import Key, PublicKeyCache
from koinon.errors import BadInput
from koinon.works.payments import (
    ChannelPayment,
    DepositAuthorization,
    decode_header,
    deposit_nonce,
    encode_header,
)
from koinon.works.vouchers import ChannelConfig, ChannelDigests, Claim, Voucher
from koinon.works.wire import MalformedPayment

SECRET = keccak256(b"koinon test: payer")
PAYER = Key.from_bytes(SECRET)
GATEWAY_SECRET = keccak256(b"koinon test: gateway")
GATEWAY = Key.from_bytes(GATEWAY_SECRET)
TILL = checksum(b"\x11" * 20)
COIN = checksum(b"\xc0" * 20)
CHAIN_ID = 84532
DIGESTS = ChannelDigests(CHAIN_ID)
CONFIG = ChannelConfig(PAYER.address, ZERO_ADDRESS, TILL, GATEWAY.address, COIN, 3600, bytes(range(32)))
REQUIREMENTS = {
    "scheme": "batch-settlement",
    "network": f"eip155:{CHAIN_ID}",
    "asset": COIN,
    "amount": "1000",
    "payTo": TILL,
    "maxTimeoutSeconds": 300,
    "extra": {"name": "Koinon test dollar", "version": "1", "receiverAuthorizer": GATEWAY.address},
}

addresses = st.binary(min_size=20, max_size=20).map(checksum)
configs = st.builds(
    ChannelConfig,
    payer=addresses,
    payer_authorizer=addresses,
    receiver=addresses,
    receiver_authorizer=addresses,
    token=addresses,
    withdraw_delay_s=st.integers(900, 2_592_000),
    salt=st.binary(min_size=32, max_size=32),
)
amounts = st.integers(0, 2**128 - 1)


def payment(kind: str = "voucher") -> ChannelPayment:
    channel_id = DIGESTS.channel_id(CONFIG)
    deposit = DepositAuthorization(10_000, 0, 2**40, 7, b"\x01" * 65) if kind == "deposit" else None
    refund = 500 if kind == "refund" else None
    return ChannelPayment(kind, CONFIG, DIGESTS.sign(PAYER, channel_id, 5000), deposit, refund)


@settings(max_examples=30, deadline=None)
@given(config=configs, chain_id=st.integers(1, 2**53))
def test_a_channel_has_the_id_that_x402_computes(config, chain_id):
    theirs = x402_types.ChannelConfig.from_dict(config.to_json())
    assert "0x" + config.id(chain_id).hex() == compute_channel_id(theirs, chain_id)


@settings(max_examples=30, deadline=None)
@given(config=configs, other_chain=st.integers(1, 2**53).filter(lambda chain: chain != CHAIN_ID))
def test_ids_and_digests_differ_between_chains_and_contracts(config, other_chain):
    elsewhere = (ChannelDigests(other_chain), ChannelDigests(CHAIN_ID, TILL))
    channel_id = DIGESTS.channel_id(config)
    for digests in elsewhere:
        assert digests.channel_id(config) != channel_id
        assert digests.voucher(channel_id, 1) != DIGESTS.voucher(channel_id, 1)


def test_a_voucher_is_the_one_x402s_client_signs():
    channel_id = DIGESTS.channel_id(CONFIG)
    theirs = sign_voucher(
        EthAccountSigner(Account.from_key(SECRET)), "0x" + channel_id.hex(), 5000, f"eip155:{CHAIN_ID}"
    )
    assert DIGESTS.sign(PAYER, channel_id, 5000).to_json() == theirs.to_dict()


def test_batches_of_claims_and_refunds_are_signed_as_x402_signs_them():
    channel_id = DIGESTS.channel_id(CONFIG)
    voucher = DIGESTS.sign(PAYER, channel_id, 5000)
    other = replace(CONFIG, salt=bytes(32))
    claims = [Claim(CONFIG, voucher, 4000), Claim(other, replace(voucher, amount=7), 7)]
    theirs = [
        x402_types.VoucherClaim(
            x402_types.ChannelConfig.from_dict(claim.config.to_json()),
            str(claim.voucher.amount),
            "0x" + claim.voucher.signature.hex(),
            str(claim.total),
        )
        for claim in claims
    ]
    signer = LocalAuthorizerSigner(Account.from_key(GATEWAY_SECRET))
    network = f"eip155:{CHAIN_ID}"
    assert "0x" + GATEWAY.sign(DIGESTS.claim_batch(claims)).hex() == sign_claim_batch(signer, theirs, network)
    refund = "0x" + GATEWAY.sign(DIGESTS.refund(channel_id, 3, 99)).hex()
    assert refund == sign_refund(signer, "0x" + channel_id.hex(), 99, 3, network)


@settings(max_examples=30, deadline=None)
@given(channel_id=st.binary(min_size=32, max_size=32), salt=st.integers(0, 2**256 - 1))
def test_a_deposits_nonce_is_x402s(channel_id, salt):
    theirs = build_erc3009_deposit_nonce("0x" + channel_id.hex(), hex(salt))
    assert "0x" + deposit_nonce(channel_id, salt).hex() == theirs


@pytest.mark.parametrize("kind", ["voucher", "deposit", "refund"])
def test_a_header_has_the_bytes_that_x402_writes(kind):
    ours = payment(kind)
    resource = {"url": "https://localhost/score", "description": "A score", "mimeType": "application/json"}
    theirs = PaymentPayload(
        payload=ours.to_json(),
        accepted=PaymentRequirements.model_validate(REQUIREMENTS),
        resource=ResourceInfo.model_validate(resource),
    )
    header = encode_header(ours, REQUIREMENTS, resource=resource)
    assert header.decode() == encode_payment_signature_header(theirs)
    assert decode_header(header) == (ours, REQUIREMENTS)


@pytest.mark.parametrize("kind", ["voucher", "deposit", "refund"])
def test_x402s_types_read_and_write_our_payloads_unchanged(kind):
    ours = payment(kind).to_json()
    reader: Any = {
        "voucher": x402_types.VoucherPayload,
        "deposit": x402_types.DepositPayload,
        "refund": x402_types.RefundPayload,
    }[kind]
    assert reader.from_dict(ours).to_dict() == ours


@settings(max_examples=50, deadline=None)
@given(config=configs, amount=amounts)
def test_whatever_is_written_is_read_back(config, amount):
    ours = ChannelPayment("voucher", config, Voucher(bytes(32), amount, b"\x01"))
    assert ChannelPayment.from_json(orjson.loads(orjson.dumps(ours.to_json()))) == ours


def test_only_the_signers_own_voucher_verifies():
    known = PublicKeyCache()
    channel_id = DIGESTS.channel_id(CONFIG)
    voucher = DIGESTS.sign(PAYER, channel_id, 5000)
    assert DIGESTS.verify(voucher, PAYER.address, known)
    assert not DIGESTS.verify(voucher, GATEWAY.address, known)
    assert not DIGESTS.verify(replace(voucher, amount=5001), PAYER.address, known)
    assert not DIGESTS.verify(replace(voucher, channel_id=bytes(32)), PAYER.address, known)
    assert not DIGESTS.verify(replace(voucher, signature=voucher.signature[:64]), PAYER.address, known)


def test_the_signer_is_the_authorizer_where_there_is_one():
    assert CONFIG.signer == PAYER.address
    assert replace(CONFIG, payer_authorizer=TILL).signer == TILL


@pytest.mark.parametrize("amount", [-1, 2**128])
def test_an_amount_beyond_128_bits_is_not_signed(amount):
    with pytest.raises(BadInput, match="voucher"):
        DIGESTS.sign(PAYER, bytes(32), amount)


def test_a_signature_is_not_shown():
    assert "signature" not in repr(payment("deposit").voucher)
    assert "signature" not in repr(payment("deposit").deposit)


def _changed(value, path, new):
    value = orjson.loads(orjson.dumps(value))
    place = value
    for name in path[:-1]:
        place = place[name]
    if new is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = new
    return value


BROKEN = [
    (("type",), "claim"),
    (("type",), ...),
    (("extra",), 1),
    (("channelConfig",), None),
    (("channelConfig", "payer"), "0x12"),
    (("channelConfig", "payer"), PAYER.address[2:]),
    (("channelConfig", "payer"), "0x" + "zz" * 20),
    (("channelConfig", "payer"), PAYER.address.swapcase()),
    (("channelConfig", "salt"), "0x00"),
    (("channelConfig", "salt"), "0x" + "0 " * 32),
    (("channelConfig", "withdrawDelay"), 899),
    (("channelConfig", "withdrawDelay"), 2_592_001),
    (("channelConfig", "withdrawDelay"), "3600"),
    (("channelConfig", "withdrawDelay"), True),
    (("channelConfig", "withdrawDelay"), 3600.0),
    (("channelConfig", "token"), ...),
    (("channelConfig", "note"), "x"),
    (("voucher", "maxClaimableAmount"), 5),
    (("voucher", "maxClaimableAmount"), "-5"),
    (("voucher", "maxClaimableAmount"), "٥"),
    (("voucher", "maxClaimableAmount"), "1e3"),
    (("voucher", "maxClaimableAmount"), str(2**128)),
    (("voucher", "maxClaimableAmount"), "9" * 5000),
    (("voucher", "channelId"), "0x" + "00" * 31),
    (("voucher", "channelId"), 7),
    (("voucher", "signature"), "0x"),
    (("voucher", "signature"), "0x" + "00" * 513),
    (("voucher", "signature"), "zz"),
    (("voucher", "signature"), "0xzz"),
    (("deposit", "amount"), str(2**128)),
    (("deposit", "authorization"), {}),
    (("deposit", "authorization", "erc3009Authorization", "validBefore"), str(2**256)),
    (("deposit", "authorization", "erc3009Authorization", "salt"), "7"),
    (("deposit", "authorization", "permit2Authorization"), {}),
    (("deposit",), ...),
    (("amount",), "5"),
]


@pytest.mark.parametrize(("path", "new"), BROKEN, ids=lambda value: str(value)[:40])
def test_a_malformed_payload_is_refused(path, new):
    with pytest.raises(MalformedPayment) as caught:
        ChannelPayment.from_json(_changed(payment("deposit").to_json(), path, new))
    assert caught.value.code == "payment.malformed"


def test_a_refund_may_leave_its_amount_out():
    whole = _changed(payment("refund").to_json(), ("amount",), ...)
    assert ChannelPayment.from_json(whole).refund_amount is None
    assert ChannelPayment.from_json(_changed(whole, ("amount",), None)).refund_amount is None


def _header(value):
    return base64.b64encode(orjson.dumps(value))


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"not base64!",
        base64.b64encode(b"not json"),
        base64.b64encode(b"\xff\xfe"),
        _header([1]),
        _header({"x402Version": 1, "payload": {}, "accepted": {"scheme": "batch-settlement"}}),
        _header({"x402Version": 2, "payload": {}, "accepted": {"scheme": "exact"}}),
        _header({"x402Version": 2, "payload": {}}),
        _header({"x402Version": 2, "accepted": {"scheme": "batch-settlement"}}),
        _header({"x402Version": 2, "payload": [], "accepted": {"scheme": "batch-settlement"}}),
        b"A" * 16_388,
    ],
    ids=lambda header: header[:12].decode(),
)
def test_a_malformed_header_is_refused(header):
    with pytest.raises(MalformedPayment):
        decode_header(header)


@settings(max_examples=200, deadline=None)
@given(junk=st.binary(max_size=200))
def test_junk_never_raises_anything_else(junk):
    with pytest.raises(MalformedPayment):
        decode_header(junk)
