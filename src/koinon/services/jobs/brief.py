# SPDX-License-Identifier: Apache-2.0
"""What a job's description says: text for people, and, where the work is private, to whom it is sealed.

The keys stand in the last line, ``Seal to: age1…, age1…``, so that any explorer shows the description as it
is and any provider can follow it with the age command.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Self

from koinon.errors import BadInput

LONGEST: Final = 4_096
"""Bytes of a description, as the contract takes it."""

MOST_READERS: Final = 8

_KEY: Final = r"age1[02-9ac-hj-np-z]{58}"
_SEAL: Final = re.compile(rf"(?:\A|\n)Seal to: ({_KEY}(?:, {_KEY}){{0,{MOST_READERS - 1}}})\s*\Z")
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True)
class Brief:
    """``text`` what is asked for; ``readers`` the age keys the deliverable is sealed to, none where anyone
    may read it."""

    text: str
    readers: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The first line, at most 80 characters."""
        first = next((line.strip() for line in self.text.splitlines() if line.strip()), "")
        return first if len(first) <= 80 else first[:79] + "…"

    @property
    def body(self) -> list[str]:
        """The lines beneath the title; all of them where the title had to be cut."""
        lines = [line.strip() for line in self.text.splitlines() if line.strip()]
        return lines[1:] if lines[:1] == [self.title] else lines

    @property
    def private(self) -> bool:
        return bool(self.readers)

    def to_text(self) -> str:
        """The description as it stands on chain; BadInput where it is empty, too long or no text."""
        text = self.text.strip()
        if not text:
            raise BadInput("The job says nothing.", hint="Write what is to be done.", code="job.brief")
        if _CONTROLS.search(text) or _SEAL.search(text):
            raise BadInput(
                "The job's text holds control characters, or a line that is Koinon's own.",
                hint="Leave out the line “Seal to:”; choose a private deliverable instead.",
                code="job.brief",
            )
        if len(self.readers) > MOST_READERS or any(not re.fullmatch(_KEY, key) for key in self.readers):
            raise BadInput(
                f"A job is sealed to at most {MOST_READERS} readers, each an age key.",
                hint="Such a key starts with age1; koinon job reader tells yours.",
                code="job.readers",
            )
        whole = f"{text}\nSeal to: {', '.join(self.readers)}" if self.readers else text
        if len(whole.encode()) > LONGEST:
            raise BadInput(
                f"The job's text has {len(whole.encode())} bytes, and {LONGEST} fit on the chain.",
                hint="Publish the long version as a file and name it here.",
                code="job.brief_size",
            )
        return whole

    @classmethod
    def read(cls, description: str) -> Self:
        """From anybody's description, whatever it says."""
        found = _SEAL.search(description)
        if found is None:
            return cls(description.strip())
        return cls(description[: found.start()].strip(), tuple(found[1].split(", ")))
