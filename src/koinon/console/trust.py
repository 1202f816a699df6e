# SPDX-License-Identifier: Apache-2.0
"""Whom one trusts by using this node: keys, quorums, assumptions, and who can change which contract."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from koinon.chain import rights
from koinon.chain.canonical import CANONICAL, FOREIGN
from koinon.chain.deploy import COMMITTEE, PHASE_S, RECIPE, TEST_PHASE_S
from koinon.chain.joining import own_contracts
from koinon.chain.rights import Rights
from koinon.web import Router, node, render
from koinon.web import marked as _

_REMEMBERED_S: Final = 60.0

router: Final = Router("console")


@dataclass(frozen=True)
class ContractTrust:
    """One contract and who can change it.

    ``whose`` it is: ``koinon``, ``x402``, ``erc8004``, ``coin`` or ``other``. ``code_hash`` 0x-hex keccak256,
    '' where it was not recorded.
    """

    name: str
    address: str
    whose: str
    rights: Rights
    code_hash: str


@dataclass(frozen=True)
class Quorum:
    """How many must agree, on what. ``what`` and ``rule`` are message ids; ``values`` fill ``rule``."""

    what: str
    rule: str
    values: dict[str, int]


@dataclass(frozen=True)
class Assumption:
    """What has to hold, and what happens where it does not: message ids."""

    holds: str
    otherwise: str


ASSUMPTIONS: Final = (
    Assumption(
        _("The node behind this console tells the truth about the chain."),
        _(
            "A lying node can show you false balances, and it cannot move your money: what you sign in a "
            "wallet "
            "is shown by the wallet. `koinon index verify` computes every block's receipts again and "
            "catches a "
            "node that hides or invents events."
        ),
    ),
    Assumption(
        _("Whoever runs this console serves these pages unchanged."),
        _(
            "Run your own node: `koinon up --join FILE` gives you the same pages on your machine, from "
            "the same "
            "chain."
        ),
    ),
    Assumption(
        _("A seller answers the calls that are paid for."),
        _(
            "A seller who takes a voucher and does not answer keeps the price of that one call. What is "
            "left in "
            "a channel comes back to you after its delay, whoever objects."
        ),
    ),
    Assumption(
        _("A registration file says what its signer means."),
        _(
            "Signatures prove who said it, not that it is true. Metrics stand beside a baseline and an "
            "interval; "
            "every card says how to contest it."
        ),
    ),
    Assumption(
        _("Whoever holds weights or data does not pass them on."),
        _(
            "Nothing can stop that. Shares, grants and fingerprints make the honest way the easy one; they "
            "cannot make the other way impossible."
        ),
    ),
    Assumption(
        _("The contracts have no fault."),
        _(
            "They are tested by machines that try random attacks, and compared with others' code; nobody "
            "has audited them."
        ),
    ),
)


@router.page("/trust")
def trust(request: Request) -> Response:
    """Every key, quorum and assumption behind what is on screen."""
    ground = node(request)
    network = ground.chain.network
    operator = getattr(ground, "operator", None)
    return render(
        request,
        "trust.html",
        contracts=_fresh(request, ground),
        operator=operator.address if operator is not None else None,
        signer=network.signer,
        quorums=_quorums(network.test_money),
        assumptions=ASSUMPTIONS,
        development=ground.chain.network.test_money,
        node_url=getattr(ground, "rpc_url", ""),
        section="trust",
    )


def _fresh(request: Request, ground: Any) -> list[ContractTrust]:
    """The rights as the chain had them at most a minute ago."""
    state = request.app.state
    read_at, found = getattr(state, "trust", (-_REMEMBERED_S, []))
    if time.monotonic() - read_at >= _REMEMBERED_S:
        found = _contracts(ground)
        state.trust = time.monotonic(), found
    return list(found)


def _contracts(ground: Any) -> list[ContractTrust]:
    network = ground.chain.network
    named = {**network.contracts, **network.canonical}
    found = rights.read(ground.chain.rpc, named, own_contracts(network))
    return [
        ContractTrust(name, address, _whose(name, network), found[name], network.code_hashes.get(name, ""))
        for name, address in named.items()
    ]


def _whose(name: str, network: Any) -> str:
    if name in network.canonical:
        return "erc8004"
    if name in CANONICAL:
        return "x402"
    if name in FOREIGN:
        return "other"
    return "koinon" if name in RECIPE else "coin"


def _quorums(test_money: bool) -> tuple[Quorum, ...]:
    seats, _stake, lost, _fee, _deposit, seeds = COMMITTEE
    return (
        Quorum(
            _("A disputed promise (Bonds, Committee)"),
            _(
                "%(seats)s jurors drawn by stake; the majority decides, and votes against it or missing lose "
                "%(lost)s %% of a seat's stake. Each phase lasts %(phase)s seconds."
            ),
            {"seats": seats, "lost": lost // 100, "phase": TEST_PHASE_S if test_money else PHASE_S},
        ),
        Quorum(
            _("The draw of jurors"),
            _(
                "At least %(seeds)s secrets, committed before anyone reveals; whoever withholds one "
                "loses a deposit."
            ),
            {"seeds": seeds},
        ),
        Quorum(_("Everything else in the core"), _("No quorum and no key: the code alone decides."), {}),
    )
