# SPDX-License-Identifier: Apache-2.0
"""What forms about vaults say: which vault, how much, which weights; and who may do what."""

from __future__ import annotations

from typing import Any, Final

from koinon.chain.account import Account
from koinon.chain.contract import Contract
from koinon.errors import BadInput, PaymentError
from koinon.treasury.api import Treasury
from koinon.treasury.vault import SLOTS, WHOLE_BPS, VaultState, vault_at
from koinon.web import Fields, Unit, amount_text, gettext
from koinon.web import marked as _
from koinon.works.forms import read_amount

GAS: Final = _("Gas for one transaction.")
BACK: Final = "/vaults"
IN_KIND: Final = _("Redeem in kind: your part of everything it holds is always to be had.")
UNKNOWN: Final = _("It was not made by this network's factory: nobody says what its code does.")


def path_of(address: str) -> str:
    """A vault's page."""
    return f"/vaults/{address}"


def asset_unit(state: VaultState) -> Unit:
    """What a vault's money is counted in."""
    return Unit(state.asset_symbol, state.asset_decimals)


def share_unit(state: VaultState) -> Unit:
    """What its shares are counted in."""
    return Unit(state.symbol, state.share_decimals)


def money(units: int, state: VaultState) -> str:
    """An amount of the vault's asset."""
    return f"{amount_text(units, asset_unit(state))} {state.asset_symbol}"


def in_shares(units: int, state: VaultState) -> str:
    """A number of the vault's shares."""
    return f"{amount_text(units, share_unit(state))} {state.symbol}"


def opened(ground: Any, fields: Fields, account: Account | None = None) -> tuple[Treasury, VaultState]:
    """The treasury and the vault that a form names; NotFound where there is none."""
    treasury = Treasury.of(ground, account)
    return treasury, treasury.vault(fields.get("vault", ""))


def contract_of(treasury: Treasury, state: VaultState) -> Contract:
    """The vault's functions."""
    return vault_at(treasury.chain, state.address)


def amount_of(fields: Fields, unit: Unit) -> int:
    """The form's amount, above 0; `BadInput` otherwise."""
    text = fields.get("amount", "").strip()
    found = read_amount(text, unit, text)
    if not found:
        raise BadInput(gettext("An amount is more than nothing."), code="treasury.amount")
    return found


def at_most(wanted: int, most: int, shown: str) -> int:
    """``wanted`` where so much can be had at once; `PaymentError` otherwise."""
    if wanted > most:
        raise PaymentError(
            gettext("At most %(most)s can be had at once.", most=shown),
            hint=gettext(IN_KIND),
            code="treasury.not_liquid",
        )
    return wanted


def part_of(fields: Fields, held: int) -> int:
    """So many percent of shares; `BadInput` for no such part, `PaymentError` where one has none."""
    text = fields.get("percent", "").strip().removesuffix("%").strip()
    part = read_amount(text, Unit("%", 2), text)
    if not 0 < part <= WHOLE_BPS:
        raise BadInput(gettext("Say how many percent, from 0.01 to 100."), code="treasury.percent")
    if held * part // WHOLE_BPS <= 0:
        raise PaymentError(
            gettext("You have no shares of this vault."),
            hint=gettext("Deposit first."),
            code="treasury.no_shares",
        )
    return held * part // WHOLE_BPS


def skipped(fields: Fields, state: VaultState) -> list[int]:
    """Slots whose box says that they are left behind."""
    return [slot.number for slot in state.slots if fields.get(f"skip_{slot.number}") == "1"]


def weights_of(fields: Fields, state: VaultState) -> dict[str, float]:
    """Slot number → its wanted part, from percent; empty fields leave it as it is. `BadInput` otherwise."""
    wanted = {}
    for number in range(SLOTS):
        text = fields.get(f"weight_{number}", "").strip().removesuffix("%").strip()
        if text:
            wanted[str(number)] = read_amount(text, Unit("%", 2), text) / WHOLE_BPS
    if sum(wanted.values()) > 1 + 1e-9:
        raise BadInput(
            gettext("Together the weights are more than the whole."),
            hint=gettext("What is left of 100 percent stays idle."),
            code="treasury.weights",
        )
    if not wanted:
        raise BadInput(
            gettext("No weight is named."),
            hint=gettext("Write percent beside at least one place."),
            code="treasury.weights",
        )
    unknown = set(wanted) - {str(slot.number) for slot in state.slots}
    if unknown:
        raise BadInput(gettext("The form names a slot that is empty."), code="treasury.weights")
    return wanted
