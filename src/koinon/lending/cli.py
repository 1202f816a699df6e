# SPDX-License-Identifier: Apache-2.0
"""``koinon lending …``: scores with reasons, quotes, pools and their risk."""

from __future__ import annotations

import click

from koinon.lending.features.cli import FEATURES_COMMANDS
from koinon.lending.founding_cli import create, revoke
from koinon.lending.pool_cli import POOLS, pool
from koinon.lending.quote_cli import QUOTES
from koinon.lending.risk.cli import RISK
from koinon.lending.scoring.cli import SCORING


@click.group()
def group() -> None:
    """Scores with reasons, quotes, pools and their risk."""


for _command in (*QUOTES, revoke, *POOLS, *SCORING, *FEATURES_COMMANDS, *RISK):
    group.add_command(_command)
pool.add_command(create)
