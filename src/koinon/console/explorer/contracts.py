# SPDX-License-Identifier: Apache-2.0
"""Reading and writing any function of a contract that this node knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from koinon.chain.abi import Function
from koinon.chain.artifacts import Artifact
from koinon.chain.contract import Call, Contract
from koinon.chain.handle import Chain
from koinon.console.explorer.decoding import Field, fields_of
from koinon.console.explorer.forms import read_arguments
from koinon.errors import NotFound


@dataclass(frozen=True)
class FunctionForm:
    """One function as a form. ``inputs`` the ABI's; ``payable`` whether it takes ETH."""

    signature: str
    name: str
    inputs: tuple[Mapping[str, Any], ...]
    payable: bool


@dataclass(frozen=True)
class ContractForms:
    """A contract's functions: those that are only read, and those that change something."""

    reads: tuple[FunctionForm, ...]
    writes: tuple[FunctionForm, ...]


def forms(interface: Artifact) -> ContractForms:
    """Every function of a contract, in the order of their names."""
    reads: list[FunctionForm] = []
    writes: list[FunctionForm] = []
    for entry in sorted(
        (each for each in interface.abi if each["type"] == "function"), key=lambda each: str(each["name"])
    ):
        function = Function(entry)
        form = FunctionForm(function.signature, function.name, tuple(entry["inputs"]), function.payable)
        (writes if function.mutates else reads).append(form)
    return ContractForms(tuple(reads), tuple(writes))


def form_of(interface: Artifact, signature: str) -> FunctionForm:
    """The function of that signature; `NotFound` otherwise."""
    found = forms(interface)
    for form in (*found.reads, *found.writes):
        if form.signature == signature:
            return form
    raise NotFound(
        f"{interface.name} has no function {signature[:120]!r}.",
        hint="Choose one from the contract's page.",
        code="explorer.function",
    )


def read(
    chain: Chain, address: str, interface: Artifact, signature: str, texts: Sequence[str]
) -> tuple[Field, ...]:
    """What a function answers now; errors as in `Contract.call`, and BadInput for a wrong argument."""
    form = form_of(interface, signature)
    contract = Contract(chain.rpc, address, interface)
    answer = contract.call(signature, *read_arguments(form.inputs, texts))
    outputs = _outputs(interface, signature)
    values = () if not outputs else (answer,) if len(outputs) == 1 else tuple(answer)
    return fields_of(outputs, values)


def prepare(
    chain: Chain,
    address: str,
    interface: Artifact,
    signature: str,
    texts: Sequence[str],
    *,
    value: int = 0,
) -> Call:
    """The transaction that a function asks for. ``value`` in wei. `BadInput` for a wrong argument."""
    form = form_of(interface, signature)
    contract = Contract(chain.rpc, address, interface)
    return contract.transaction(signature, *read_arguments(form.inputs, texts), value=value)


def _outputs(interface: Artifact, signature: str) -> Sequence[Mapping[str, Any]]:
    return next(
        entry.get("outputs", ())
        for entry in interface.abi
        if entry["type"] == "function" and Function(entry).signature == signature
    )
