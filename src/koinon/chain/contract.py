# SPDX-License-Identifier: Apache-2.0
"""A contract at an address: reading it, preparing transactions to it, reading its logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from koinon.chain import abi, artifacts
from koinon.chain.address import checksum
from koinon.chain.artifacts import Artifact
from koinon.chain.rpc import Rpc, RpcError
from koinon.errors import BadInput, NotFound, TransactionFailed, WrongNetwork

if TYPE_CHECKING:
    from koinon.chain.sender import Receipt

Block = int | str
"""A block number, or latest, earliest, pending, safe, finalized."""


@dataclass(frozen=True)
class Call:
    """What a transaction does. ``to`` None creates a contract, ``value`` in wei, ``gas`` None: estimated."""

    to: str | None
    data: bytes = field(default=b"", repr=False)
    value: int = 0
    gas: int | None = None


class Contract:
    """A contract on one node.

    Parameters
    ----------
    rpc : Rpc
    address : str
    interface : Artifact or JSON ABI
        What it can do. Where a name is overloaded, functions are named by their full signature,
        as in ``"register(string)"``.
    """

    def __init__(self, rpc: Rpc, address: str, interface: Artifact | Sequence[Mapping[str, Any]]) -> None:
        self.rpc = rpc
        self.address = checksum(address)
        self.name = interface.name if isinstance(interface, Artifact) else ""
        self.functions: Mapping[str, abi.Function]
        self.events: Mapping[str, abi.Event]
        if isinstance(interface, Artifact):
            self.functions, self.events = interface.functions, interface.events
        else:
            self.functions = artifacts.bind_functions(interface)
            self.events = artifacts.bind_events(interface)

    def function(self, name: str) -> abi.Function:
        """The function of this name or full signature; `NotFound` otherwise."""
        if name in self.functions:
            return self.functions[name]
        overloads = sorted(signature for signature in self.functions if signature.startswith(f"{name}("))
        raise NotFound(
            f"{self.name or self.address} has no function {name!r}.",
            hint=f"Name one of {', '.join(overloads)}." if overloads else "",
            code="chain.function",
        )

    def event(self, name: str) -> abi.Event:
        """The event of this name; `NotFound` otherwise."""
        if name not in self.events:
            raise NotFound(f"{self.name or self.address} has no event {name!r}.", code="chain.event")
        return self.events[name]

    def call(self, name: str, *arguments: Any, block: Block = "latest", sender: str | None = None) -> Any:
        """Run a function without a transaction: its single value, or a tuple of several.

        Raises
        ------
        TransactionFailed
            The contract refused; ``reason`` has its words.
        WrongNetwork
            There is no contract at this address.
        """
        function = self.function(name)
        request = self._eth_call(function, arguments, block, sender)
        try:
            answer = self.rpc.call(request[0], *request[1])
        except RpcError as error:
            raise reverted(error, f"{self.name}.{function.name}") from None
        return self._returned(function, answer)

    def call_many(self, requests: Sequence[tuple[Any, ...]], *, block: Block = "latest") -> list[Any]:
        """Several ``(name, *arguments)`` in one message to the node; errors as in `call`."""
        functions = [self.function(request[0]) for request in requests]
        answers = self.rpc.batch(
            [
                self._eth_call(function, request[1:], block, None)
                for function, request in zip(functions, requests, strict=True)
            ],
            raise_errors=False,
        )
        results = []
        for function, answer in zip(functions, answers, strict=True):
            if isinstance(answer, RpcError):
                raise reverted(answer, f"{self.name}.{function.name}")
            results.append(self._returned(function, answer))
        return results

    def transaction(self, name: str, *arguments: Any, value: int = 0, gas: int | None = None) -> Call:
        """What `Sender.send` takes. ``value`` in wei."""
        function = self.function(name)
        if value and not function.payable:
            raise BadInput(f"{function.signature} takes no ETH.", code="chain.not_payable")
        return Call(self.address, function.encode(*arguments), value, gas)

    def logs(self, receipt: Receipt, event_name: str) -> list[dict[str, Any]]:
        """This contract's events of that name in a receipt, decoded, in order."""
        event = self.event(event_name)
        return [
            event.decode(log)
            for log in receipt.logs
            if checksum(log["address"]) == self.address and event.matches(log)
        ]

    def history(
        self, event_name: str, from_block: Block = 0, to_block: Block = "latest", **indexed: Any
    ) -> list[dict[str, Any]]:
        """This contract's events of that name in a range of blocks, filtered by indexed fields, in order."""
        event = self.event(event_name)
        query = {
            "address": self.address,
            "topics": event.topics(**indexed),
            "fromBlock": block_tag(from_block),
            "toBlock": block_tag(to_block),
        }
        return [event.decode(log) for log in self.rpc.call("eth_getLogs", query) if event.matches(log)]

    def __repr__(self) -> str:
        return f"Contract({self.name or 'unnamed'} at {self.address})"

    def _eth_call(
        self, function: abi.Function, arguments: Sequence[Any], block: Block, sender: str | None
    ) -> tuple[str, list[Any]]:
        fields = {"to": self.address, "data": "0x" + function.encode(*arguments).hex()}
        if sender is not None:
            fields["from"] = sender
        return "eth_call", [fields, block_tag(block)]

    def _returned(self, function: abi.Function, answer: str) -> Any:
        data = bytes.fromhex(answer[2:])
        if not data and function.outputs.members:
            raise WrongNetwork(
                f"There is no {self.name or 'contract'} at {self.address}.",
                hint="Check the address and which network the node belongs to.",
                code="chain.no_contract",
            )
        return function.decode(data)


def block_tag(block: Block) -> str:
    """A block as JSON-RPC writes it."""
    return hex(block) if isinstance(block, int) else block


def reverted(error: RpcError, what: str) -> TransactionFailed | RpcError:
    """The typed error for a refused call or estimate; other errors of the node as they are."""
    if not error.data and error.rpc_code != 3 and "revert" not in error.message.lower():
        return error
    reason = abi.revert_reason(error.data, artifacts.custom_errors() if len(error.data) >= 4 else None)
    return TransactionFailed(
        f"{what} was refused: {reason}" if reason else f"{what} was refused without a reason.",
        reason=reason,
        code="chain.call_reverted",
    )
