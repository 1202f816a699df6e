# SPDX-License-Identifier: Apache-2.0
"""Publishing that was cut off, finished."""

from __future__ import annotations

from typing import Final

from koinon.errors import KoinonError
from koinon.works.api import Works

LATEST: Final = 50
"""How many of an account's newest Works are looked at: publishing is cut off by a crash, not years ago."""


def finish_interrupted(works: Works, owner: str) -> list[str]:
    """Write the roots that ``owner``, whose key ``works`` has, signed and did not write; a sentence for each.

    A Work that cannot be finished is named with the reason, and the others are finished all the same.
    """
    start = works.chain.network.start_block
    registered = works.contract.history("Registered", start, owner=owner)[-LATEST:]
    said = []
    for event in registered:
        work_id = int(event["agentId"])
        try:
            if works.unwritten(work_id) is None:
                continue
            works.finish(work_id)
            said.append(f"Publishing Work {work_id} had been cut off; its shares are written now.")
        except KoinonError as fault:
            said.append(f"Publishing Work {work_id} was cut off and could not be finished: {fault.message}")
    return said
