# SPDX-License-Identifier: Apache-2.0
"""Why a vault takes no deposits now: one sentence for pages and commands alike."""

from __future__ import annotations

from koinon.errors import PaymentError
from koinon.treasury.vault import VaultState
from koinon.web import gettext


def no_deposits(state: VaultState) -> PaymentError:
    """What is said to whoever would deposit: a price is missing, or a gain is not believed yet."""
    if state.valid:
        return PaymentError(
            gettext(
                "%(name)s takes no deposits now: something it holds claims to be worth more than counts yet.",
                name=state.name,
            ),
            hint=gettext("Wait: a sudden gain is counted bit by bit, at most a tenth a week."),
            code="treasury.no_deposits",
        )
    return PaymentError(
        gettext("%(name)s takes no deposits now: something it holds has no valid price.", name=state.name),
        hint=gettext("Wait until its feeds answer."),
        code="treasury.no_deposits",
    )
