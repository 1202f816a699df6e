# SPDX-License-Identifier: Apache-2.0
"""Keeps what visitors want to change, and carries it out in threads, each with its visitor's account."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Mapping
from typing import Any, Final

import orjson

from koinon.chain.account import Account
from koinon.chain.contract import Call
from koinon.chain.receipts import Receipt
from koinon.console.explorer.decoding import Decoder
from koinon.console.guest import Guests
from koinon.console.records import Records
from koinon.console.tasks import ANSWER_S, Task
from koinon.console.wallet import KeptAccount, RemoteAccount
from koinon.errors import KeyFault, NotFound, UsageError
from koinon.web import Action, Outcome, Visitor, gettext, speaking

AT_ONCE: Final = 4
"""Actions one visitor may have running."""
IN_ALL: Final = 100
KEPT: Final = 200
"""Actions remembered for one visitor."""
KEPT_IN_ALL: Final = 50_000
FIELDS_LIMIT: Final = 2**20
_LOG: Final = logging.getLogger("koinon.console")


class Desk:
    """The actions of one node's visitors.

    Parameters
    ----------
    node : Node
    records : Records
    guests : Guests
    answer_s : float
        How long each answer of a wallet is waited for.
    """

    def __init__(self, node: Any, records: Records, guests: Guests, answer_s: float = ANSWER_S) -> None:
        self.streams = 0
        self._node = node
        self._records = records
        self._guests = guests
        self._answer_s = answer_s
        self._tasks: dict[str, tuple[str, Task]] = {}
        self._lock = threading.Lock()
        self._decoder = Decoder(node.chain)
        records.change("UPDATE action SET state = 'interrupted' WHERE state = 'running'")

    # Kept

    def keep(self, owner: str, name: str, fields: Mapping[str, str], language: str, title: str) -> str:
        """Keep a wish until its visitor agrees to it; its id."""
        text = orjson.dumps(dict(fields)).decode()
        if len(text) > FIELDS_LIMIT:
            raise UsageError("The form is too long.", hint="Put long texts into a file.", code="action.form")
        action_id, now = secrets.token_urlsafe(12), time.time()
        columns = ("id", "owner", "name", "fields", "language", "state", "title", "created_at", "changed_at")
        with self._records.together():
            self._records.insert(
                "action", columns, action_id, owner, name, text, language, "review", title, now, now
            )
            for where, parameters in (("owner = ?", (owner, KEPT)), ("1", (KEPT_IN_ALL,))):
                self._records.change(
                    f"DELETE FROM action WHERE state <> 'running' AND id IN (SELECT id FROM action "  # noqa: S608
                    f"WHERE {where} ORDER BY changed_at DESC LIMIT -1 OFFSET ?)",
                    *parameters,
                )
        return action_id

    def find(self, action_id: str, owner: str) -> dict[str, Any]:
        """One of a visitor's actions; `NotFound` for anybody else's."""
        rows = self._records.rows("SELECT * FROM action WHERE id = ? AND owner = ?", action_id, owner)
        if not rows:
            raise NotFound(
                "There is no such change of yours.",
                hint="Come in with the account that began it, or start it again.",
                code="action.unknown",
            )
        return _row(rows[0])

    def of(self, owner: str) -> list[dict[str, Any]]:
        """A visitor's actions, newest first."""
        found = self._records.rows(
            "SELECT * FROM action WHERE owner = ? ORDER BY changed_at DESC LIMIT ?", owner, KEPT
        )
        return [_row(row) for row in found]

    def hand_over(self, before: str, after: str) -> None:
        """What was asked for before coming in belongs to who came in."""
        self._records.change(
            "UPDATE action SET owner = ? WHERE owner = ? AND state = 'review'", after, before
        )

    def transactions(self, action_id: str) -> list[tuple[str, Receipt | None]]:
        """The transactions of an action, with what the chain says about each."""
        rows = self._records.rows(
            "SELECT hash FROM action_transaction WHERE action_id = ? ORDER BY position", action_id
        )
        if not rows:
            return []
        answers = self._node.chain.rpc.batch([("eth_getTransactionReceipt", [row["hash"]]) for row in rows])
        return [
            (row["hash"], None if answer is None else Receipt.from_rpc(answer))
            for row, answer in zip(rows, answers, strict=True)
        ]

    # Carried out

    def task(self, action_id: str) -> Task | None:
        """An action that is running now."""
        with self._lock:
            found = self._tasks.get(action_id)
        return None if found is None else found[1]

    def begin(self, row: Mapping[str, Any], action: Action, visitor: Visitor, title: str) -> Task:
        """Start it, once; `UsageError` where too many are running."""
        owner, action_id = row["owner"], row["id"]
        task = Task(self._records, action_id, self._answer_s)
        account = self._account(visitor, task)
        with self._lock:
            running = [who for who, _ in self._tasks.values()]
            if running.count(owner) >= AT_ONCE or len(running) >= IN_ALL:
                raise UsageError(
                    "Too many changes are under way.",
                    hint="Wait until one is done, or cancel one.",
                    code="action.too_many",
                )
            if not self._records.change(
                "UPDATE action SET state = 'running', title = ?, language = ?, changed_at = ? "
                "WHERE id = ? AND state = 'review'",
                title,
                visitor.language,
                time.time(),
                action_id,
            ):
                return self._tasks[action_id][1] if action_id in self._tasks else task
            self._tasks[action_id] = (owner, task)

        def work() -> Outcome:
            return action.run(self._node, account, row["fields"], task.say)

        def run() -> None:
            try:
                with speaking(visitor.language):
                    task.run(work)
            except Exception:
                _LOG.exception("action %s (%s) failed", action_id, action.name)
            finally:
                with self._lock:
                    self._tasks.pop(action_id, None)

        threading.Thread(target=run, name=f"action {action_id}", daemon=True).start()
        return task

    def cancel(self, row: Mapping[str, Any]) -> None:
        """Sign nothing more for it; a review is forgotten at once."""
        task = self.task(row["id"])
        if task is not None:
            task.cancel()
        else:
            self._records.change(
                "UPDATE action SET state = 'cancelled', changed_at = ? WHERE id = ? AND state = 'review'",
                time.time(),
                row["id"],
            )

    def _account(self, visitor: Visitor, task: Task) -> Account:
        if visitor.kind == "operator" and visitor.address == self._node.operator.address:
            return KeptAccount(self._node.operator, task)
        if visitor.kind == "guest" and visitor.address is not None:
            return KeptAccount(self._guests.key(visitor.address), task)
        if visitor.kind == "wallet" and visitor.address is not None:
            return RemoteAccount(self._node.chain, visitor.address, task, self._in_words)
        raise KeyFault("Nobody is signed in.", hint="Come in first.", code="action.nobody")

    def _in_words(self, call: Call) -> tuple[str, dict[str, str]]:
        decoded = self._decoder.call(call.to, call.data)
        words = {gettext("To"): call.to or gettext("a new contract")}
        if call.value:
            words[gettext("ETH sent along, in wei")] = f"{call.value:,}"
        if decoded is None:
            return gettext("Send a transaction"), words
        words |= {field.name: _text(field.value) for field in decoded.fields}
        return gettext(
            "Send a transaction: %(contract)s, %(name)s", contract=decoded.contract, name=decoded.name
        ), words


def _row(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "fields": orjson.loads(row["fields"]), "facts": orjson.loads(row["facts"])}


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, list | tuple):
        return ", ".join(_text(one) for one in value)
    return str(value)
