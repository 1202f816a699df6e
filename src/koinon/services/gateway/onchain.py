# SPDX-License-Identifier: Apache-2.0
"""What a gateway and a buyer need of the chain, in one place. Synchronous; the gateway calls it from
threads."""

from __future__ import annotations

from collections.abc import Sequence

from koinon.chain.account import Account
from koinon.chain.address import checksum
from koinon.chain.contract import Call
from koinon.chain.handle import Chain
from koinon.chain.receipts import Receipt
from koinon.services.gateway.x402 import TransferPayment
from koinon.works.channels import Channels
from koinon.works.coin import TRANSFER_BY_KEY, CoinDigests
from koinon.works.vouchers import ChannelConfig


class OnChain:
    """Channels and coin of one network, with the key that signs and pays for transactions.

    ``coin`` is the coin's address, ``coin_name`` and ``coin_version`` its EIP-712 domain.
    """

    def __init__(self, chain: Chain, key: Account) -> None:
        self.chain = chain
        self.key = key
        self.channels = Channels(chain)
        self._coin = chain.coin
        self.coin = self._coin.address
        self.coin_symbol: str = self._coin.call("symbol")
        self.decimals: int = self._coin.call("decimals")
        _, self.coin_name, self.coin_version, *_ = self._coin.call("eip712Domain")
        self.coin_digests = CoinDigests(chain.chain_id, self.coin, self.coin_name, self.coin_version)

    def authorization_used(self, payer: str, nonce: bytes) -> bool:
        """Whether an ERC-3009 authorization was spent or cancelled."""
        return bool(self._coin.call("authorizationState", payer, nonce))

    def transfer_arrived(self, payment: TransferPayment) -> bool:
        """Whether this very payment was carried out.

        A used nonce alone proves nothing: its payer may have cancelled it, or spent it on another transfer.
        So the transfer to the receiver must stand beside the nonce's use in the same transaction.
        """
        used = self._coin.event("AuthorizationUsed")
        moved = self._coin.event("Transfer")
        query = {
            "address": self.coin,
            "topics": used.topics(authorizer=payment.payer, nonce=payment.nonce),
            "fromBlock": hex(self.chain.network.start_block),
            "toBlock": "latest",
        }
        wanted = (payment.payer, payment.receiver, payment.value)
        for log in self.chain.rpc.call("eth_getLogs", query):
            position = int(log["logIndex"], 16)
            receipt = self.chain.rpc.call("eth_getTransactionReceipt", log["transactionHash"])
            for other in receipt["logs"]:
                beside = abs(int(other["logIndex"], 16) - position) == 1
                ours = beside and checksum(other["address"]) == self.coin and moved.matches(other)
                if ours and tuple(moved.decode(other).values()) == wanted:
                    return True
        return False

    def try_transfer(self, payment: TransferPayment) -> None:
        """Simulate an EIP-3009 transfer; raises TransactionFailed with the reason when it would fail."""
        self._coin.call(TRANSFER_BY_KEY, *payment.arguments(), sender=self.key.address)

    def transfer(self, payment: TransferPayment) -> Receipt:
        """Submit an EIP-3009 transfer that its payer signed."""
        return self._send([self._coin.transaction(TRANSFER_BY_KEY, *payment.arguments())])[0]

    def settle(self, receivers: Sequence[str]) -> list[Receipt]:
        """Send what was claimed on to these receivers."""
        contract = self.channels.contract
        return self._send([contract.transaction("settle", receiver, self.coin) for receiver in receivers])

    def unsettled(self, receivers: Sequence[str]) -> list[int]:
        """What each receiver has claimed and not yet been sent, read in one message."""
        requests = [("receivers", receiver, self.coin) for receiver in receivers]
        return [claimed - settled for claimed, settled in self.channels.contract.call_many(requests)]

    def refund(self, config: ChannelConfig, amount: int) -> Receipt:
        """Give unclaimed money back to a channel's payer, as its receiverAuthorizer."""
        return self._send([self.channels.contract.transaction("refund", config.values(), amount)])[0]

    def send(self, call: Call) -> Receipt:
        """Send one transaction."""
        return self._send([call])[0]

    def gas_price(self) -> int:
        """What a unit of gas costs now, in wei."""
        return int(self.chain.rpc.call("eth_gasPrice"), 16)

    def balance(self, account: str) -> int:
        """An account's coins."""
        return int(self._coin.call("balanceOf", account))

    def _send(self, calls: Sequence[Call]) -> list[Receipt]:
        return self.chain.sender(self.key).send_all(calls)
