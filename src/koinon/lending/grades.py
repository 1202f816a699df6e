# SPDX-License-Identifier: Apache-2.0
"""What tiers and features are called on pages: A is the best tier, which contracts and commands number 0."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from koinon.web import gettext
from koinon.web import marked as _

TITLES: Final[Mapping[str, str]] = {
    "borrows_30d": _("loans taken in 30 days"),
    "borrows_90d": _("loans taken in 90 days"),
    "borrows_365d": _("loans taken in a year"),
    "repays_30d": _("repayments in 30 days"),
    "repays_90d": _("repayments in 90 days"),
    "repays_365d": _("repayments in a year"),
    "liquidations_30d": _("liquidations in 30 days"),
    "liquidations_90d": _("liquidations in 90 days"),
    "liquidations_365d": _("liquidations in a year"),
    "repaid_to_borrowed": _("part of what was borrowed that is repaid"),
    "days_since_liquidation": _("days since the last liquidation"),
    "days_since_first_borrow": _("days since the first loan"),
    "health_last": _("health of the loans now (below 1 they can be sold)"),
    "health_min_90d": _("lowest health of the loans in 90 days"),
    "health_mean_90d": _("usual health of the loans in 90 days"),
    "days_health_below_1_2_90d": _("days with health below 1.2, of 90"),
    "loan_to_value": _("debt for collateral's worth"),
    "debt_value": _("debt now"),
    "top_ups_after_drop_90d": _("collateral added after a fall, in 90 days"),
    "assets_used": _("different tokens used for loans"),
    "protocols_used": _("different lenders used"),
    "volatility_7d": _("volatility of the collateral in 7 days"),
    "volatility_30d": _("volatility of the collateral in 30 days"),
    "beta_30d": _("how the collateral moves with the market, 30 days"),
    "drawdown_90d": _("the collateral's deepest fall in 90 days"),
    "depth_to_debt": _("market depth for the debt"),
    "sigmas_to_liquidation": _("usual daily moves up to a liquidation"),
    "age_days": _("days since the wallet's first transfer"),
    "active_days_365d": _("active days in a year"),
    "inflow_30d": _("money in, 30 days"),
    "outflow_30d": _("money out, 30 days"),
    "net_flow_share_30d": _("money in less money out, by both together, 30 days"),
    "inflow_gap_median_days": _("usual days between payments in"),
    "outflow_gap_median_days": _("usual days between payments out"),
    "stable_share_365d": _("part of the money in that came in the lent token, a year"),
    "contract_share_365d": _("part of the money out that went to contracts, a year"),
    "counterparties": _("accounts dealt with"),
    "fan_in_1h": _("most payers within an hour"),
    "fan_in_1d": _("most payers within a day"),
    "fan_in_7d": _("most payers within a week"),
    "fan_out_1h": _("most accounts paid within an hour"),
    "fan_out_1d": _("most accounts paid within a day"),
    "fan_out_7d": _("most accounts paid within a week"),
    "reciprocity": _("part of payments that came back"),
    "core_number": _("how closely knit its neighbours are"),
    "taint_share": _("part of its money that came from listed accounts"),
    "hops_from_listed": _("transfers away from a listed account"),
}
"""Features as people know them; columns of other scorecards keep their own names."""


def letter(tier: int) -> str:
    """A tier's name: A for 0, B for 1."""
    return chr(ord("A") + tier) if 0 <= tier < 26 else str(tier)


def titles() -> dict[str, str]:
    """Features in the reader's language."""
    return {name: gettext(title) for name, title in TITLES.items()}
