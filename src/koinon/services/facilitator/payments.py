# SPDX-License-Identifier: Apache-2.0
"""An x402 facilitator: checks and settles payments for resource servers that speak x402 version 2.

It holds nobody's money: `exact` transfers and deposits carry their payers' signatures, claims and refunds the
channel's `receiverAuthorizer`, which a server may leave to this facilitator. It pays the gas, so it takes
only the network's coin and no payment below a minimum.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from koinon.errors import ChainError, NodeUnavailable, TransactionFailed
from koinon.services.facilitator.channels import ChannelPayments
from koinon.services.gateway.ledger import BATCH_REASON, EXACT_REASON, Refused
from koinon.services.gateway.onchain import OnChain
from koinon.services.gateway.transfers import Transfers
from koinon.services.gateway.x402 import BATCH, EXACT, Terms, TransferPayment, parse_payment
from koinon.works import wire
from koinon.works.payments import X402_VERSION
from koinon.works.vouchers import MIN_WITHDRAW_DELAY_S
from koinon.works.wire import MalformedPayment

PENDING: Final = "settlement_pending"
_ONE_INPUT: Final = bytes(32)
Document = dict[str, Any]


class Facilitator:
    """Verifies and settles for others.

    Parameters
    ----------
    chain : OnChain
        With the key that pays the gas and is the `receiverAuthorizer` of channels that leave it to us.
    transfers : Transfers
        Settles `exact` payments; remembers them.
    run : callable
        Runs a function that waits for the chain in a thread.
    minimum : int
        Of one payment or deposit, in the coin's smallest unit.
    """

    def __init__(
        self, chain: OnChain, transfers: Transfers, run: Callable[..., Awaitable[Any]], *, minimum: int = 1
    ) -> None:
        self._chain = chain
        self._transfers = transfers
        self._minimum = minimum
        self._channels = ChannelPayments(chain, run)
        self.network = f"eip155:{chain.chain.chain_id}"

    def supported(self) -> Document:
        """What ``GET /supported`` answers."""
        authorizer = {"receiverAuthorizer": self._chain.key.address}
        kinds = [
            {"x402Version": X402_VERSION, "scheme": EXACT, "network": self.network},
            {"x402Version": X402_VERSION, "scheme": BATCH, "network": self.network, "extra": authorizer},
        ]
        return {"kinds": kinds, "extensions": [], "signers": {"eip155:*": [self._chain.key.address]}}

    async def verify(self, document: Any) -> Document:
        """What ``POST /verify`` answers; NodeUnavailable where the node does not."""
        payer = None
        try:
            payment, requirements = _request(document)
            payer = _payer(payment)
            terms = self._terms(requirements)
            found = parse_payment(payment, terms)
            extra = None
            if isinstance(found, TransferPayment):
                self._enough(found.value, EXACT_REASON)
                await self._transfers.verify(terms, found)
            else:
                if found.deposit is not None:
                    self._enough(found.deposit.amount, BATCH_REASON)
                extra = await self._channels.verify(terms, found)
        except (Refused, MalformedPayment) as error:
            return {
                "isValid": False,
                "invalidReason": _reason(error),
                "invalidMessage": error.message,
                "payer": payer,
            }
        answer: Document = {"isValid": True, "payer": payer}
        return answer if extra is None else answer | {"extra": extra}

    async def settle(self, document: Any) -> Document:
        """What ``POST /settle`` answers. An `exact` payment succeeds once: the same again is refused, and one
        whose end is unknown is ``settlement_pending`` and may be sent again."""
        payer = None
        try:
            payment, requirements = _request(document)
            payer = _payer(payment)
            terms = self._terms(requirements)
            action = await self._channels.act(terms, payment["payload"])
            if action is not None:
                return self._settled(payer, **action)
            found = parse_payment(payment, terms)
            if isinstance(found, TransferPayment):
                self._enough(found.value, EXACT_REASON)
                _, response, record = await self._transfers.pay(terms, 0, found, _ONE_INPUT, _nothing)
                self._transfers.answered(record, response["transaction"])
                return self._settled(payer, response["transaction"], found.value)
            if found.deposit is not None:
                self._enough(found.deposit.amount, BATCH_REASON)
            return self._settled(payer, **await self._channels.deposit(terms, found))
        except (Refused, MalformedPayment) as error:
            return self._failed(payer, _reason(error), error.message)
        except TransactionFailed as error:
            return self._failed(payer, BATCH_REASON + "transaction_reverted", error.message)
        except NodeUnavailable as error:
            return self._failed(payer, PENDING, error.message)
        except ChainError as error:
            return self._failed(payer, PENDING, error.message)

    def _settled(
        self, payer: str | None, transaction: str, amount: int, extra: Document | None = None
    ) -> Document:
        answer = {
            "success": True,
            "payer": payer,
            "transaction": transaction,
            "network": self.network,
            "amount": str(amount),
        }
        return answer if extra is None else answer | {"extra": extra}

    def _failed(self, payer: str | None, reason: str, message: str) -> Document:
        return {
            "success": False,
            "errorReason": reason,
            "errorMessage": message,
            "payer": payer,
            "transaction": "",
            "network": self.network,
        }

    def _terms(self, requirements: Document) -> Terms:
        """The server's requirements, which may name any receiver."""
        scheme = requirements.get("scheme")
        if scheme not in (EXACT, BATCH):
            raise MalformedPayment("The scheme is neither exact nor batch-settlement.")
        prefix = EXACT_REASON if scheme == EXACT else BATCH_REASON
        if requirements.get("network") != self.network:
            raise Refused(prefix + "network_mismatch", f"This facilitator is on {self.network}.")
        if wire.address(requirements.get("asset"), "asset") != self._chain.coin:
            raise Refused(prefix + "token_mismatch", f"This facilitator takes {self._chain.coin} only.")
        extra = requirements.get("extra")
        extra = extra if isinstance(extra, dict) else {}
        delay = extra.get("withdrawDelay", MIN_WITHDRAW_DELAY_S)
        if isinstance(delay, bool) or not isinstance(delay, int):
            raise MalformedPayment("withdrawDelay is not a number.")
        authorizer = extra.get("receiverAuthorizer", self._chain.key.address)
        return Terms(
            self._chain.chain.chain_id,
            self._chain.coin,
            self._chain.coin_name,
            self._chain.coin_version,
            wire.address(requirements.get("payTo"), "payTo"),
            wire.integer(requirements.get("amount"), "amount", wire.AMOUNT_LIMIT),
            wire.address(authorizer, "receiverAuthorizer"),
            withdraw_delay_s=delay,
        )

    def _enough(self, amount: int, prefix: str) -> None:
        if amount < self._minimum:
            raise Refused(prefix + "below_minimum", f"This facilitator takes no less than {self._minimum}.")


async def _nothing() -> bytes:
    return b""


def _request(document: Any) -> tuple[Document, Document]:
    if isinstance(document, dict):
        payment, requirements = document.get("paymentPayload"), document.get("paymentRequirements")
        if (
            isinstance(payment, dict)
            and isinstance(requirements, dict)
            and isinstance(payment.get("payload"), dict)
            and payment.get("x402Version") == X402_VERSION
        ):
            return payment, requirements
    raise MalformedPayment("The request holds no payment of x402 version 2 and its requirements.")


def _payer(payment: Document) -> str | None:
    payload = payment["payload"]
    place: Any = payload.get("authorization") or payload.get("channelConfig")
    found = place.get("from", place.get("payer")) if isinstance(place, dict) else None
    return found if isinstance(found, str) else None


def _reason(error: Refused | MalformedPayment) -> str:
    return error.reason if isinstance(error, Refused) else "invalid_payload"
