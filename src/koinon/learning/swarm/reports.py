# SPDX-License-Identifier: Apache-2.0
"""What owners of a swarm tell each other of themselves at the end, as far as the recipe asks for it."""

from __future__ import annotations

from koinon.chain.eip712 import Domain
from koinon.errors import BadInput, IntegrityError
from koinon.learning.gains import OwnReport
from koinon.learning.messages import Report, payload_digest
from koinon.learning.recipe import Recipe


def read_report(frame: bytes, recipe: Recipe, run_id: int, domain: Domain) -> tuple[str, OwnReport]:
    """Who tells, and what.

    Raises
    ------
    BadInput, IntegrityError
        Malformed, forged, of another run, or more than the recipe asks for.
    """
    message, payload = Report.unpack(frame, domain)
    if message.run_id != run_id:
        raise BadInput(f"This is run {run_id}, not {message.run_id}.", code="learning.other_run")
    if payload_digest(payload) != message.report:
        raise IntegrityError("The report is not the one that was signed.", code="learning.digest")
    return message.owner, OwnReport.from_bytes(payload, recipe)
