# SPDX-License-Identifier: Apache-2.0
"""Channels: what fills them, who may claim and settle, and what goes back to the payer."""

from __future__ import annotations

import boa
import pytest

from koinon.chain import codec
from koinon.chain.address import ZERO_ADDRESS
from koinon.chain.hashing import keccak256
from koinon.works.payments import deposit_nonce
from koinon.works.vouchers import CANONICAL_CHANNELS, CANONICAL_COLLECTOR, Claim, Voucher
from tests.contracts_support import NOBODY, account, deploy_mock, fresh_chain, key
from tests.works.contracts.channels_support import FOREVER, Bank, Reverted, rows


@pytest.fixture(scope="module")
def the_bank():
    with fresh_chain():
        yield Bank()


@pytest.fixture
def bank(the_bank):
    with fresh_chain():
        yield the_bank


def refuses(reason):
    return pytest.raises(Reverted, match=f"^{reason}")


# Deposits


def test_a_deposit_by_authorization_fills_the_channel_and_is_announced(bank):
    config = bank.config()
    channel_id = bank.deposit(config, 1000)
    created, deposited = bank.channels.events("ChannelCreated"), bank.channels.events("Deposited")
    assert created == [{"channelId": channel_id, "config": config.values()}]
    assert deposited == [
        {"channelId": channel_id, "sender": bank.stranger, "amount": 1000, "newBalance": 1000}
    ]
    assert bank.channels("channels", channel_id) == (1000, 0)
    assert bank.balance(CANONICAL_CHANNELS) == 1000
    assert bank.balance(CANONICAL_COLLECTOR) == bank.balance(bank.payer) == 0


def test_a_second_deposit_adds_up_and_is_no_creation(bank):
    bank.deposit(bank.config(), 1000)
    channel_id = bank.deposit(bank.config(), 500, salt=2)
    assert bank.channels.events("ChannelCreated") == []
    assert bank.channels("channels", channel_id) == (1500, 0)


@pytest.mark.parametrize("field", ["payer", "receiver", "receiver_authorizer", "token"])
def test_a_channel_without_one_of_its_parties_is_refused(bank, field):
    with refuses("InvalidChannel"):
        bank.bring(bank.config(**{field: ZERO_ADDRESS}), 1)


@pytest.mark.parametrize("delay", [0, 899, 2_592_001, 2**40 - 1])
def test_a_withdraw_delay_out_of_range_is_refused(bank, delay):
    with refuses("WithdrawDelayOutOfRange"):
        bank.bring(bank.config(withdraw_delay_s=delay), 1)


def test_an_empty_deposit_and_a_missing_collector_are_refused(bank):
    with refuses("ZeroDeposit"):
        bank.bring(bank.config(), 0)
    with refuses("InvalidCollector"):
        bank.channels("deposit", bank.config().values(), 1, NOBODY, b"", sender=bank.stranger)


def test_a_balance_beyond_128_bits_is_refused(bank):
    token = deploy_mock("Token")
    token.mint(bank.bringer, 2**128)
    config = bank.config(token=token.address)
    bank.bring(config, 2**128 - 1)
    with refuses("DepositOverflow"):
        bank.bring(config, 1)


@pytest.mark.parametrize("shortfall", [1, 1000])
def test_a_collector_that_brings_less_is_refused(bank, shortfall):
    bank.mint(bank.bringer.address, 1000)
    bank.bringer.keep_back(shortfall)
    with refuses("DepositCollectionFailed"):
        bank.bring(bank.config(), 1000)


def test_an_authorization_opens_only_the_channel_it_was_signed_for(bank):
    config, other = bank.config(), bank.config(salt=b"\x01" * 32)
    bank.mint(bank.payer, 1000)
    data = bank.collector_data(config, 1000, key("payer"))
    with refuses("coin: invalid signature"):
        bank.channels("deposit", other.values(), 1000, CANONICAL_COLLECTOR, data)
    with refuses("coin: invalid signature"):
        bank.channels("deposit", config.values(), 999, CANONICAL_COLLECTOR, data)


def test_an_authorization_is_used_once(bank):
    config = bank.config()
    bank.deposit(config, 1000)
    bank.mint(bank.payer, 1000)
    data = bank.collector_data(config, 1000, key("payer"))
    with refuses("coin: authorization used"):
        bank.channels("deposit", config.values(), 1000, CANONICAL_COLLECTOR, data)


def test_nobody_else_may_use_the_collector(bank):
    config = bank.config()
    bank.mint(bank.payer, 1000)
    data = bank.collector_data(config, 1000, key("payer"))
    arguments = (bank.payer, bank.coin.address, 1000, bank.digests.channel_id(config), data)
    with refuses("OnlyX402BatchSettlement"):
        bank.collector("collect", *arguments, sender=bank.stranger)
    assert bank.collector("x402BatchSettlement") == CANONICAL_CHANNELS


def test_the_collector_refuses_malformed_data_and_tokens_that_answer_false(bank):
    with pytest.raises(Reverted):
        bank.channels("deposit", bank.config().values(), 1, CANONICAL_COLLECTOR, b"\x00" * 96)
    liar = account("a token that answers false")
    boa.env.set_code(liar, bytes.fromhex("5f5f5260205ff3"))
    data = codec.encode(["uint256", "uint256", "uint256", "bytes"], [0, 1, 1, b"\x01"])
    arguments = (bank.payer, liar, 1, bytes(32), data)
    with refuses("SafeERC20FailedOperation"):
        bank.collector("collect", *arguments, sender=CANONICAL_CHANNELS)


def test_a_contract_pays_by_erc_1271(bank):
    wallet = deploy_mock("ContractWallet", bytes.fromhex("1626ba7e"))
    config = bank.config(payer=wallet.address)
    bank.mint(wallet.address, 1000)
    nonce = deposit_nonce(bank.digests.channel_id(config), 1)
    signed = bank.coin_digests.receive(
        wallet.address, CANONICAL_COLLECTOR, 1000, valid_after=0, valid_before=FOREVER, nonce=nonce
    )
    data = codec.encode(["uint256", "uint256", "uint256", "bytes"], [0, FOREVER, 1, b"word" * 50])
    with refuses("coin: invalid signature"):
        bank.channels("deposit", config.values(), 1000, CANONICAL_COLLECTOR, data)
    wallet.agree(signed)
    bank.channels("deposit", config.values(), 1000, CANONICAL_COLLECTOR, data)
    claim = bank.unsigned(config, 400, b"anything, of any length up to 512 bytes" * 13)
    with refuses("InvalidSignature"):
        bank.claim(claim)
    wallet.agree(bank.digests.voucher(claim.voucher.channel_id, 400))
    bank.claim(claim)
    assert bank.channels("channels", claim.voucher.channel_id) == (1000, 400)


# Claims


def test_claims_of_many_channels_are_settled_in_one_sum(bank):
    configs = [bank.config(salt=bytes([n] * 32)) for n in range(5)]
    for n, config in enumerate(configs):
        bank.deposit(config, 1000, salt=n)
    bank.claim(*(bank.claim_of(config, 100 + n, 1000) for n, config in enumerate(configs)))
    assert [event["claimAmount"] for event in bank.channels.events("Claimed")] == [100, 101, 102, 103, 104]
    assert bank.channels.events("Claimed")[0]["sender"] == bank.gateway
    assert bank.channels("receivers", bank.till, bank.coin.address) == (510, 0)
    bank.channels("settle", bank.till, bank.coin.address, sender=bank.stranger)
    assert bank.channels.events("Settled") == [
        {"receiver": bank.till, "token": bank.coin.address, "sender": bank.stranger, "amount": 510}
    ]
    assert bank.balance(bank.till) == 510
    assert bank.channels("receivers", bank.till, bank.coin.address) == (510, 510)


def test_receivers_and_tokens_in_any_order_are_each_credited_their_own(bank):
    other_till = account("other till")
    token = deploy_mock("Token")
    token.mint(bank.bringer, 10**6)
    first = bank.config()
    second = bank.config(receiver=other_till)
    third = bank.config(token=token.address)
    bank.deposit(first, 1000)
    bank.deposit(second, 1000, salt=2)
    bank.bring(third, 1000)
    claims = [
        bank.claim_of(config, total)
        for config, total in ((first, 10), (second, 20), (third, 30), (first, 40), (second, 50))
    ]
    bank.claim(*claims)
    assert bank.channels("receivers", bank.till, bank.coin.address) == (40, 0)
    assert bank.channels("receivers", other_till, bank.coin.address) == (50, 0)
    assert bank.channels("receivers", bank.till, token.address) == (30, 0)


def test_a_hundred_claims_fit_and_one_more_is_refused(bank):
    token = deploy_mock("Token")
    token.mint(bank.bringer, 10**6)
    configs = [
        bank.config(token=token.address, salt=n.to_bytes(32, "big"), payer_authorizer=bank.payer)
        for n in range(101)
    ]
    for config in configs:
        bank.bring(config, 1000)
    claims = [bank.claim_of(config, 10) for config in configs]
    with refuses("channels: more than 100 claims"):
        bank.claim(*claims)
    with refuses("channels: more than 100 claims"):
        bank.channels("getClaimBatchDigest", rows(*claims))
    bank.claim(*claims[:100])
    assert bank.channels("receivers", bank.till, token.address) == (1000, 0)


def test_an_old_voucher_changes_nothing_and_a_newer_one_adds_the_difference(bank):
    config = bank.config()
    channel_id = bank.deposit(config, 1000)
    bank.claim(bank.claim_of(config, 300))
    for total in (0, 299, 300):
        bank.claim(bank.claim_of(config, total, 1000))
        assert bank.channels.events("Claimed") == []
    bank.claim(bank.claim_of(config, 301))
    assert bank.channels.events("Claimed")[0]["claimAmount"] == 1
    assert bank.channels("channels", channel_id) == (1000, 301)


def test_the_receiver_itself_may_claim_and_strangers_may_not(bank):
    config = bank.config()
    bank.deposit(config, 1000)
    bank.claim(bank.claim_of(config, 10), sender=bank.till)
    for outsider in (bank.stranger, bank.payer):
        with refuses("NotAuthorizedToClaim"):
            bank.claim(bank.claim_of(config, 20), sender=outsider)


def test_one_row_of_somebody_else_stops_a_plain_claim(bank):
    mine, theirs = bank.config(), bank.config(receiver_authorizer=bank.stranger, receiver=bank.stranger)
    bank.deposit(mine, 1000)
    bank.deposit(theirs, 1000, salt=2)
    with refuses("NotAuthorizedToClaim"):
        bank.claim(bank.claim_of(mine, 10), bank.claim_of(theirs, 10))


def test_a_claim_above_voucher_or_balance_is_refused(bank):
    config = bank.config()
    bank.deposit(config, 1000)
    with refuses("ClaimExceedsCeiling"):
        bank.claim(bank.claim_of(config, 11, 10))
    with refuses("ClaimExceedsBalance"):
        bank.claim(bank.claim_of(config, 1001))
    with refuses("ClaimExceedsBalance"):
        bank.claim(bank.claim_of(bank.config(salt=b"\x05" * 32), 1))


def test_an_empty_batch_is_refused_but_has_a_digest(bank):
    with refuses("EmptyBatch"):
        bank.claim()
    with refuses("EmptyBatch"):
        bank.channels("claimWithSignature", [], b"")
    assert bank.channels("getClaimBatchDigest", []) == bank.digests.claim_batch([])


SIGNATURES = {
    "none": lambda good: b"",
    "short": lambda good: good[:64],
    "long": lambda good: good + b"\x00",
    "v of 0": lambda good: good[:64] + b"\x00",
    "v of 29": lambda good: good[:64] + b"\x1d",
    "other v": lambda good: good[:64] + bytes([55 - good[64]]),
    "upper s": lambda good: (
        good[:32]
        + (
            0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
            - int.from_bytes(good[32:64], "big")
        ).to_bytes(32, "big")
        + bytes([55 - good[64]])
    ),
    "zeros": lambda good: bytes(65),
    "changed": lambda good: bytes([good[0] ^ 1]) + good[1:],
}


@pytest.mark.parametrize("form", SIGNATURES)
@pytest.mark.parametrize("authorizer", ["payer", "nobody"])
def test_a_signature_that_is_not_exactly_right_is_refused(bank, form, authorizer):
    config = bank.config(payer_authorizer=bank.payer if authorizer == "payer" else ZERO_ADDRESS)
    bank.deposit(config, 1000)
    good = bank.claim_of(config, 10)
    bad = SIGNATURES[form](good.voucher.signature)
    with refuses("InvalidSignature"):
        bank.claim(bank.unsigned(config, 10, bad))
    bank.claim(good)


def test_a_signature_of_more_than_512_bytes_is_refused(bank):
    config = bank.config()
    bank.deposit(config, 1000)
    with refuses("calldata: longer than 512 bytes"):
        bank.claim(bank.unsigned(config, 10, bytes(513)))


def test_only_the_authorizers_signature_counts_where_there_is_one(bank):
    config = bank.config(payer_authorizer=account("pen"))
    bank.deposit(config, 1000)
    with refuses("InvalidSignature"):
        bank.claim(bank.claim_of(config, 10, signer="payer"))
    bank.claim(bank.claim_of(config, 10, signer="pen"))


def test_a_contract_cannot_be_a_payers_authorizer(bank):
    wallet = deploy_mock("ContractWallet", bytes.fromhex("1626ba7e"))
    config = bank.config(payer_authorizer=wallet.address)
    bank.deposit(config, 1000)
    claim = bank.unsigned(config, 10, b"\x01" * 65)
    wallet.agree(bank.digests.voucher(claim.voucher.channel_id, 10))
    with refuses("InvalidSignature"):
        bank.claim(claim)


def test_a_payer_cannot_void_vouchers_by_delegating_its_account_to_code(bank):
    """EIP-7702: the account has code that refuses every signature; its own key still counts."""
    config = bank.config()
    bank.deposit(config, 1000)
    boa.env.set_code(bank.payer, bytes.fromhex("5f5ffd"))
    bank.claim(bank.claim_of(config, 10))


def test_a_claim_by_signature_is_submitted_by_anyone(bank):
    configs = [bank.config(salt=bytes([n] * 32)) for n in range(3)]
    for n, config in enumerate(configs):
        bank.deposit(config, 1000, salt=n)
    claims = [bank.claim_of(config, 10) for config in configs]
    assert bank.channels("getClaimBatchDigest", rows(*claims)) == bank.digests.claim_batch(claims)
    signature = key("gateway").sign(bank.digests.claim_batch(claims))
    with refuses("InvalidSignature"):
        bank.channels("claimWithSignature", rows(*claims[:2]), signature, sender=bank.stranger)
    with refuses("InvalidSignature"):
        bank.channels("claimWithSignature", rows(*claims), signature[:64] + b"\x00", sender=bank.stranger)
    bank.channels("claimWithSignature", rows(*claims), signature, sender=bank.stranger)
    assert bank.channels("receivers", bank.till, bank.coin.address) == (30, 0)
    assert bank.channels.events("Claimed")[0]["sender"] == bank.stranger


def test_a_batch_by_signature_has_one_authorizer(bank):
    mine, theirs = bank.config(), bank.config(receiver_authorizer=bank.stranger)
    bank.deposit(mine, 1000)
    bank.deposit(theirs, 1000, salt=2)
    claims = [bank.claim_of(mine, 10), bank.claim_of(theirs, 10)]
    signature = key("gateway").sign(bank.digests.claim_batch(claims))
    with refuses("NotReceiverAuthorizer"):
        bank.channels("claimWithSignature", rows(*claims), signature)


def test_a_contract_may_be_the_receivers_authorizer(bank):
    wallet = deploy_mock("ContractWallet", bytes.fromhex("1626ba7e"))
    config = bank.config(receiver_authorizer=wallet.address)
    bank.deposit(config, 1000)
    claims = [bank.claim_of(config, 10)]
    with refuses("InvalidSignature"):
        bank.channels("claimWithSignature", rows(*claims), b"agreed")
    wallet.agree(bank.digests.claim_batch(claims))
    bank.channels("claimWithSignature", rows(*claims), b"agreed")
    assert bank.channels("receivers", bank.till, bank.coin.address) == (10, 0)


def test_vouchers_never_replay_across_channels_chains_and_contracts(bank):
    config, other = bank.config(), bank.config(salt=b"\x01" * 32)
    bank.deposit(config, 1000)
    bank.deposit(other, 1000, salt=2)
    voucher = bank.claim_of(config, 10).voucher
    with refuses("InvalidSignature"):
        bank.claim(Claim(other, voucher, 10))
    token = deploy_mock("Token")
    token.mint(bank.bringer, 1000)
    elsewhere = "0x" + "40" * 20
    boa.env.set_code(elsewhere, boa.env.get_code(CANONICAL_CHANNELS))
    twin = type(bank.channels)("Channels", elsewhere)
    twin("deposit", bank.config(token=token.address).values(), 1000, bank.bringer.address, b"")
    foreign = bank.claim_of(bank.config(token=token.address), 10)
    with refuses("InvalidSignature"):
        twin("claim", rows(foreign), sender=bank.gateway)
    with boa.env.anchor():
        boa.env.evm.patch.chain_id = 99
        with refuses("ClaimExceedsBalance"):
            bank.claim(bank.claim_of(config, 10))
    boa.env.evm.patch.chain_id = 1337


def test_settling_nothing_does_nothing(bank):
    bank.channels("settle", bank.till, bank.coin.address)
    assert bank.channels.logs == []


# What is in the calldata


def test_calldata_that_is_not_a_list_of_claims_is_refused(bank):
    config = bank.config()
    bank.deposit(config, 1000)
    good = bank.channels.data("claim", rows(bank.claim_of(config, 10)))
    selector, body = good[:4], good[4:]
    words = [body[i : i + 32] for i in range(0, len(body), 32)]
    far, most = (2**200).to_bytes(32, "big"), b"\xff" * 32
    bad = [
        selector,
        selector + body[:31],
        good[:-33],
        selector + far + body[32:],
        selector + most + body[32:],
    ]
    for position in range(len(words)):
        if position in (0, 1, 2, 11, 13):  # offsets and lengths
            bad += [
                selector + b"".join([*words[:position], wrong, *words[position + 1 :]])
                for wrong in (far, most)
            ]
    for position in (3, 4, 5, 6, 7, 8, 10, 12):  # addresses, delay, amounts out of their types' range
        bad.append(selector + b"".join([*words[:position], most, *words[position + 1 :]]))
    for data in bad:
        with pytest.raises(Reverted):
            bank.channels.raw(data, sender=bank.gateway)
    bank.channels.raw(good, sender=bank.gateway)


def test_the_last_signature_needs_no_padding(bank):
    config = bank.config()
    channel_id = bank.deposit(config, 1000)
    good = bank.channels.data("claim", rows(bank.claim_of(config, 10)))
    with pytest.raises(Reverted):
        bank.channels.raw(good[:-32], sender=bank.gateway)
    bank.channels.raw(good[:-31], sender=bank.gateway)
    assert bank.channels("channels", channel_id) == (1000, 10)


def test_unknown_functions_ether_and_empty_calls_are_refused(bank):
    boa.env.set_balance(bank.stranger, 10**18)
    good = bank.channels.data("settle", bank.till, bank.coin.address)
    for data, value in ((b"", 0), (b"", 1), (b"\x01\x02\x03", 0), (b"\x01\x02\x03\x04", 0), (good, 1)):
        with pytest.raises(Reverted):
            bank.channels.raw(data, sender=bank.stranger, value=value)


# Withdrawals


def test_the_payer_takes_unclaimed_money_back_after_the_delay(bank):
    config = bank.config()
    channel_id = bank.deposit(config, 1000)
    bank.claim(bank.claim_of(config, 300))
    bank.channels("initiateWithdraw", config.values(), 700, sender=bank.payer)
    started = boa.env.timestamp
    assert bank.channels.events("WithdrawInitiated") == [
        {"channelId": channel_id, "amount": 700, "finalizeAfter": started + 3600}
    ]
    assert bank.channels("pendingWithdrawals", channel_id) == (700, started)
    boa.env.timestamp = started + 3599
    with refuses("WithdrawDelayNotElapsed"):
        bank.channels("finalizeWithdraw", config.values(), sender=bank.payer)
    boa.env.timestamp = started + 3600
    bank.channels("finalizeWithdraw", config.values(), sender=bank.payer)
    assert bank.channels.events("WithdrawFinalized")[0]["amount"] == 700
    assert bank.channels.events("ChannelClosed") == []
    assert bank.balance(bank.payer) == 700
    assert bank.channels("channels", channel_id) == (300, 300)
    assert bank.channels("pendingWithdrawals", channel_id) == (0, 0)


def test_a_claim_within_the_delay_comes_first(bank):
    config = bank.config()
    bank.deposit(config, 1000)
    bank.channels("initiateWithdraw", config.values(), 1000, sender=bank.payer)
    bank.claim(bank.claim_of(config, 900))
    boa.env.timestamp += 3600
    bank.channels("finalizeWithdraw", config.values(), sender=bank.payer)
    assert bank.balance(bank.payer) == 100


def test_a_withdrawal_whose_money_was_all_claimed_pays_nothing(bank):
    config = bank.config()
    bank.deposit(config, 1000)
    bank.channels("initiateWithdraw", config.values(), 1000, sender=bank.payer)
    bank.claim(bank.claim_of(config, 1000))
    boa.env.timestamp += 3600
    bank.channels("finalizeWithdraw", config.values(), sender=bank.payer)
    assert bank.channels.events("WithdrawFinalized")[0]["amount"] == 0
    assert bank.balance(bank.payer) == 0


def test_an_emptied_channel_closes_and_opens_again(bank):
    config = bank.config(payer_authorizer=account("pen"))
    channel_id = bank.deposit(config, 1000)
    bank.channels("initiateWithdraw", config.values(), 1000, sender=account("pen"))
    boa.env.timestamp += 3600
    bank.channels("finalizeWithdraw", config.values(), sender=account("pen"))
    assert bank.channels.events("ChannelClosed") == [{"channelId": channel_id, "config": config.values()}]
    bank.deposit(config, 5, salt=2)
    assert len(bank.channels.events("ChannelCreated")) == 1


def test_what_a_withdrawal_must_be(bank):
    config = bank.config()
    bank.deposit(config, 1000)
    for outsider in (bank.stranger, bank.gateway, bank.till):
        with refuses("InvalidChannel"):
            bank.channels("initiateWithdraw", config.values(), 1, sender=outsider)
        with refuses("NotAuthorizedToFinalizeWithdraw"):
            bank.channels("finalizeWithdraw", config.values(), sender=outsider)
    with refuses("NothingToWithdraw"):
        bank.channels("initiateWithdraw", config.values(), 0, sender=bank.payer)
    with refuses("WithdrawAmountExceedsAvailable"):
        bank.channels("initiateWithdraw", config.values(), 1001, sender=bank.payer)
    with refuses("WithdrawalNotPending"):
        bank.channels("finalizeWithdraw", config.values(), sender=bank.payer)
    bank.channels("initiateWithdraw", config.values(), 1, sender=bank.payer)
    with refuses("WithdrawalAlreadyPending"):
        bank.channels("initiateWithdraw", config.values(), 1, sender=bank.payer)


# Refunds


def test_the_receivers_side_refunds_at_once_and_at_most_what_is_unclaimed(bank):
    config = bank.config()
    channel_id = bank.deposit(config, 1000)
    bank.claim(bank.claim_of(config, 300))
    bank.channels("refund", config.values(), 100, sender=bank.gateway)
    assert bank.channels.events("Refunded") == [
        {"channelId": channel_id, "sender": bank.gateway, "amount": 100}
    ]
    bank.channels("refund", config.values(), 2**128 - 1, sender=bank.till)
    assert bank.balance(bank.payer) == 700
    assert bank.channels("channels", channel_id) == (300, 300)
    assert bank.channels("refundNonce", channel_id) == 2
    bank.channels("refund", config.values(), 1, sender=bank.gateway)
    assert bank.channels.logs == []
    assert bank.channels("refundNonce", channel_id) == 3


def test_a_full_refund_closes_the_channel(bank):
    config = bank.config()
    bank.deposit(config, 1000)
    bank.channels("refund", config.values(), 1000, sender=bank.gateway)
    assert len(bank.channels.events("ChannelClosed")) == 1


@pytest.mark.parametrize(("refunded", "left"), [(100, (400, True)), (500, (0, False)), (900, (0, False))])
def test_a_refund_shrinks_a_pending_withdrawal_by_as_much(bank, refunded, left):
    config = bank.config()
    channel_id = bank.deposit(config, 1000)
    bank.channels("initiateWithdraw", config.values(), 500, sender=bank.payer)
    bank.channels("refund", config.values(), refunded, sender=bank.gateway)
    amount, since = bank.channels("pendingWithdrawals", channel_id)
    assert (amount, since != 0) == left


def test_what_a_refund_must_be(bank):
    config = bank.config()
    bank.deposit(config, 1000)
    for outsider in (bank.stranger, bank.payer):
        with refuses("NotAuthorizedToRefund"):
            bank.channels("refund", config.values(), 1, sender=outsider)
    with refuses("ZeroRefund"):
        bank.channels("refund", config.values(), 0, sender=bank.gateway)


def test_a_refund_by_signature_counts_once(bank):
    config = bank.config()
    channel_id = bank.deposit(config, 1000)
    digest = bank.channels("getRefundDigest", channel_id, 0, 250)
    assert digest == bank.digests.refund(channel_id, 0, 250)
    signature = key("gateway").sign(digest)
    for amount, wrong in ((251, signature), (250, key("payer").sign(digest)), (250, b"")):
        with refuses("InvalidSignature"):
            bank.channels("refundWithSignature", config.values(), amount, 0, wrong)
    bank.channels("refundWithSignature", config.values(), 250, 0, signature, sender=bank.stranger)
    assert bank.balance(bank.payer) == 250
    with refuses("InvalidRefundNonce"):
        bank.channels("refundWithSignature", config.values(), 250, 0, signature)
    zero = key("gateway").sign(bank.digests.refund(channel_id, 1, 0))
    with refuses("ZeroRefund"):
        bank.channels("refundWithSignature", config.values(), 0, 1, zero)


def test_a_direct_refund_voids_signatures_over_the_older_nonce(bank):
    config = bank.config()
    channel_id = bank.deposit(config, 1000)
    signature = key("gateway").sign(bank.digests.refund(channel_id, 0, 250))
    bank.channels("refund", config.values(), 1, sender=bank.gateway)
    with refuses("InvalidRefundNonce"):
        bank.channels("refundWithSignature", config.values(), 250, 0, signature)


# Several calls at once, views, hostile tokens


def test_a_multicall_claims_and_refunds_together_or_not_at_all(bank):
    config = bank.config()
    channel_id = bank.deposit(config, 1000)
    claims = [bank.claim_of(config, 300)]
    claim = bank.channels.data(
        "claimWithSignature", rows(*claims), key("gateway").sign(bank.digests.claim_batch(claims))
    )
    signature = key("gateway").sign(bank.digests.refund(channel_id, 0, 700))
    refund = bank.channels.data("refundWithSignature", config.values(), 700, 0, signature)
    with refuses("InvalidRefundNonce"):
        bank.channels("multicall", [claim, refund, refund])
    assert bank.channels("channels", channel_id) == (1000, 0)
    assert bank.channels("multicall", [claim, refund]) == [b"", b""]
    assert bank.channels("channels", channel_id) == (300, 300)
    assert bank.channels("multicall", []) == []


def test_a_multicall_acts_for_its_caller_only(bank):
    config = bank.config()
    bank.deposit(config, 1000)
    refund = bank.channels.data("refund", config.values(), 1)
    with refuses("NotAuthorizedToRefund"):
        bank.channels("multicall", [refund], sender=bank.stranger)
    bank.channels("multicall", [refund], sender=bank.gateway)


def test_the_views_answer_as_the_python_twin(bank):
    config = bank.config()
    channel_id = bank.digests.channel_id(config)
    assert bank.channels("getChannelId", config.values()) == channel_id
    assert bank.channels("getVoucherDigest", channel_id, 2**128 - 1) == bank.digests.voucher(
        channel_id, 2**128 - 1
    )
    assert bank.channels("eip712Domain") == (
        b"\x0f",
        "x402 Batch Settlement",
        "1",
        1337,
        CANONICAL_CHANNELS,
        bytes(32),
        [],
    )
    assert bank.channels("MIN_WITHDRAW_DELAY") == 900
    assert bank.channels("MAX_WITHDRAW_DELAY") == 2_592_000
    assert bank.channels("VOUCHER_TYPEHASH") == keccak256(
        b"Voucher(bytes32 channelId,uint128 maxClaimableAmount)"
    )
    with pytest.raises(Reverted):
        bank.channels.raw(bank.channels.data("getChannelId", config.values())[:-1])


INTRUSIONS = ("settle", "deposit", "claim", "refund", "initiateWithdraw", "finalizeWithdraw", "multicall")


@pytest.mark.parametrize("name", INTRUSIONS)
def test_nobody_acts_while_money_moves(bank, name):
    """A token that calls back into any function that moves money finds it locked."""
    token = deploy_mock("HostileToken")
    token.mint(bank.bringer, 10**6)
    intruder = bank.bringer.address
    config = bank.config(
        token=token.address, payer=intruder, payer_authorizer=bank.payer, receiver_authorizer=intruder
    )
    bank.bring(config, 1000)
    arguments = {
        "settle": (bank.till, token.address),
        "deposit": (config.values(), 1, intruder, b""),
        "claim": (rows(bank.claim_of(config, 20)),),
        "refund": (config.values(), 1),
        "initiateWithdraw": (config.values(), 1),
        "finalizeWithdraw": (config.values(),),
        "multicall": ([bank.channels.data("settle", bank.till, token.address)],),
    }[name]
    bank.claim(bank.claim_of(config, 10), sender=bank.till)
    bank.bringer.intrude(CANONICAL_CHANNELS, bank.channels.data(name, *arguments))
    token.set_hook(intruder)
    bank.channels("settle", bank.till, token.address)
    assert (bank.bringer.tried(), bank.bringer.succeeded()) == (1, 0)
    assert token.balanceOf(bank.till) == 10


@pytest.mark.parametrize("name", ["deposit", "settle"])
def test_a_collector_that_calls_back_finds_the_contract_locked(bank, name):
    token = deploy_mock("Token")
    token.mint(bank.bringer, 10**6)
    config = bank.config(token=token.address)
    arguments = (
        (config.values(), 500, bank.bringer.address, b"")
        if name == "deposit"
        else (
            bank.till,
            token.address,
        )
    )
    bank.bringer.intrude(CANONICAL_CHANNELS, bank.channels.data(name, *arguments))
    channel_id = bank.bring(config, 500)
    assert (bank.bringer.tried(), bank.bringer.succeeded()) == (1, 0)
    assert bank.channels("channels", channel_id) == (500, 0)


def test_tokens_that_take_a_fee_or_lie_are_refused_at_the_door(bank):
    token = deploy_mock("HostileToken")
    token.mint(bank.bringer, 10**6)
    config = bank.config(token=token.address)
    token.take_fee(100, 0)
    with refuses("DepositCollectionFailed"):
        bank.bring(config, 1000)
    token.take_fee(0, 0)
    token.set_manners(False, True, False)
    with refuses("DepositCollectionFailed"):
        bank.bring(config, 1000)
    token.set_manners(False, False, False)
    token.lie(CANONICAL_CHANNELS, 5)
    with refuses("DepositCollectionFailed"):
        bank.bring(config, 1000)


def test_a_token_that_refuses_to_pay_harms_its_own_channels_only(bank):
    token = deploy_mock("HostileToken")
    token.mint(bank.bringer, 10**6)
    hostile, honest = bank.config(token=token.address), bank.config()
    bank.bring(hostile, 1000)
    bank.deposit(honest, 1000)
    bank.claim(bank.claim_of(hostile, 10), bank.claim_of(honest, 10))
    token.set_manners(True, False, False)
    for call in (("settle", bank.till, token.address), ("refund", hostile.values(), 5)):
        with refuses("SafeERC20FailedOperation"):
            bank.channels(*call, sender=bank.gateway)
    token.set_manners(False, False, False)
    token.set_block(bank.till, True)
    with refuses("blacklisted"):
        bank.channels("settle", bank.till, token.address)
    bank.channels("settle", bank.till, bank.coin.address)
    bank.channels("refund", honest.values(), 990, sender=bank.gateway)
    assert (bank.balance(bank.till), bank.balance(bank.payer)) == (10, 990)


def test_a_token_whose_transfer_returns_nothing_works(bank):
    token = deploy_mock("SilentToken")
    token.mint(bank.bringer, 1000)
    config = bank.config(token=token.address)
    bank.bring(config, 1000)
    bank.claim(bank.claim_of(config, 10))
    bank.channels("settle", bank.till, token.address)
    assert token.balanceOf(bank.till) == 10


def test_a_voucher_over_less_than_was_claimed_is_passed_over_even_if_forged(bank):
    """As in x402's contract: what changes nothing is not checked, so a batch is not held up by old rows."""
    config = bank.config()
    channel_id = bank.deposit(config, 1000)
    bank.claim(bank.claim_of(config, 300))
    bank.claim(Claim(config, Voucher(channel_id, 300, b""), 300))
    assert bank.channels("channels", channel_id) == (1000, 300)
