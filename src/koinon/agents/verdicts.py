# SPDX-License-Identifier: Apache-2.0
"""What a host answers for each envelope: one word, so that its sender knows what to do with it."""

from __future__ import annotations

from typing import Final

ACCEPTED: Final = "accepted"
"""On the receiver's disk. It will be handled, or end in the receiver's list of dead letters."""

DUPLICATE: Final = "duplicate"
"""It was accepted before; to its sender this is the same."""

UNKNOWN_AGENT: Final = "agents.unknown_agent"
NOT_UNDERSTOOD: Final = "agents.not_understood"
REPLAYED: Final = "agents.replayed"
NOT_ITS_ACCOUNT: Final = "agents.not_its_account"
TOO_FAST: Final = "agents.too_fast"
MAILBOX_FULL: Final = "agents.mailbox_full"
CANNOT_TELL: Final = "agents.cannot_tell"

DELIVERED: Final = frozenset((ACCEPTED, DUPLICATE))
LATER: Final = frozenset((TOO_FAST, MAILBOX_FULL, CANNOT_TELL))
"""Not now; the same envelope may be handed in again."""

MEANING: Final = {
    UNKNOWN_AGENT: "That agent does not run on this host.",
    NOT_UNDERSTOOD: "The agent has no handler for this message type in this protocol.",
    REPLAYED: "Another envelope of the same sender had this nonce.",
    NOT_ITS_ACCOUNT: "The account that signed does not speak for the Work it names.",
    TOO_FAST: "The sender hands in more envelopes than a host takes of one.",
    MAILBOX_FULL: "Too many messages wait for the agent already, all in all or of this sender.",
    CANNOT_TELL: "The chain did not answer, so nobody can say whether the account speaks for the Work.",
}
