# SPDX-License-Identifier: Apache-2.0
"""One action on its way: what it does now, what it waits for, how it ends.

The action runs in a thread of its own; pages read, answer and cancel it from others. Each step is written
down before it is told, so that a killed console knows afterwards what it was doing.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import orjson

from koinon.console.records import Records
from koinon.errors import KeyFault, KoinonError
from koinon.web import Outcome

State = Literal["review", "running", "done", "failed", "cancelled", "interrupted"]
ANSWER_S: Final = 900
"""How long a wallet may take over one request."""


@dataclass(frozen=True)
class Wish:
    """What a wallet is asked for: an EIP-1193 request, and the same in words (label → value)."""

    method: str
    params: list[Any] = field(repr=False)
    title: str
    words: Mapping[str, str]
    id: str = field(default_factory=lambda: secrets.token_hex(8))

    def to_json(self) -> dict[str, Any]:
        """As the browser takes it."""
        return {"id": self.id, "method": self.method, "params": self.params}


class Task:
    """A running action.

    Parameters
    ----------
    records : Records
    action_id : str
    answer_s : float
        How long each answer of a wallet is waited for.
    """

    def __init__(self, records: Records, action_id: str, answer_s: float = ANSWER_S) -> None:
        self.id = action_id
        self.version = 0
        self.wish: Wish | None = None
        self._records = records
        self._answer_s = answer_s
        self._answered: tuple[str, str] | None = None
        self._cancelled = False
        self._changed = threading.Condition()

    def say(self, sentence: str) -> None:
        """Tell what is being done now; raises KeyFault where the visitor has cancelled."""
        self.check()
        self._note("UPDATE action SET stage = ?, changed_at = ? WHERE id = ?", sentence, time.time(), self.id)

    def check(self) -> None:
        """Raises KeyFault where the visitor has cancelled."""
        if self._cancelled:
            raise KeyFault(
                "You cancelled this.",
                hint="What was mined before that stays; nothing more was signed.",
                code="action.cancelled",
            )

    def ask(self, wish: Wish) -> str:
        """Hand a wish to the browser and wait for the wallet's answer; `KeyFault` where there is none."""
        deadline = time.monotonic() + self._answer_s
        with self._changed:
            self.check()
            self.wish, self._answered = wish, None
            self._move()
            while self._answered is None and not self._cancelled:
                left = deadline - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    break
            answered, self.wish = self._answered, None
            self._move()
        self.check()
        if answered is None:
            raise KeyFault(
                "The wallet did not answer in time.",
                hint="Start again when you have the wallet at hand.",
                code="action.no_answer",
            )
        kind, text = answered
        if kind == "refused":
            raise KeyFault(
                "The wallet refused to sign." + (f" It says: {text}" if text else ""),
                hint="Nothing more was signed. Start again if you want it after all.",
                code="action.refused",
            )
        return text

    def answer(self, wish_id: str, kind: Literal["result", "refused"], text: str) -> bool:
        """What the wallet said; False where nobody waits for that."""
        with self._changed:
            if self.wish is None or self.wish.id != wish_id or self._answered is not None:
                return False
            self._answered = (kind, text)
            self._changed.notify_all()
            return True

    def cancel(self) -> None:
        """Sign nothing more."""
        with self._changed:
            self._cancelled = True
            self._move()
            self._changed.notify_all()

    def sent(self, transaction_hash: str) -> None:
        """Note a transaction durably; `KeyFault` for one that an action noted already."""
        with self._records.together():
            known = self._records.rows(
                "SELECT action_id FROM action_transaction WHERE hash = ?", transaction_hash
            )
            if known:
                raise KeyFault(
                    "The wallet named a transaction that was sent earlier.",
                    hint="Look into your wallet for what it really sent, and start again.",
                    code="action.old_transaction",
                )
            self._records.change(
                "INSERT INTO action_transaction SELECT ?, count(*), ? FROM action_transaction "
                "WHERE action_id = ?",
                self.id,
                transaction_hash,
                self.id,
            )
        self._move()

    def run(self, work: Callable[[], Outcome]) -> None:
        """Do the work and write down how it ended."""
        try:
            outcome = work()
        except KoinonError as error:
            state: State = "cancelled" if error.code == "action.cancelled" else "failed"
            self._end(state, error.message, hint=error.hint, code=error.code)
        except Exception as error:
            self._end(
                "failed",
                f"Something unforeseen went wrong ({type(error).__name__}).",
                hint="Tell whoever runs this node; its log says more.",
                code="action.unforeseen",
            )
            raise
        else:
            self._end("done", outcome.sentence, outcome)

    def _end(
        self,
        state: State,
        sentence: str,
        outcome: Outcome | None = None,
        *,
        hint: str = "",
        code: str = "",
    ) -> None:
        come_to = outcome or Outcome("", "")
        self._note(
            "UPDATE action SET state = ?, sentence = ?, path = ?, facts = ?, "
            "title = coalesce(nullif(?, ''), title), link = ?, hint = ?, code = ?, "
            "changed_at = ? WHERE id = ?",
            state,
            sentence,
            come_to.path,
            orjson.dumps(dict(come_to.facts)).decode(),
            come_to.title,
            come_to.link,
            hint,
            code,
            time.time(),
            self.id,
        )

    def _note(self, sql: str, *parameters: Any) -> None:
        self._records.change(sql, *parameters)
        self._move()

    def _move(self) -> None:
        self.version += 1
