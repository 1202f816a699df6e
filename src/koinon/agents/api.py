# SPDX-License-Identifier: Apache-2.0
"""The agents' front door: publish one as a Work, run those that are here, ask and tell others."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from koinon.agents import flow
from koinon.agents.address import Address
from koinon.agents.asking import NO_WAY, Told, await_reply, handling, read_answer, read_json
from koinon.agents.client import MEDIA_TYPE, PATH, bundle
from koinon.agents.context import LIFETIME_S
from koinon.agents.directory import ACCOUNT_KEY, SERVICE, ChainReach, Contact, Directory
from koinon.agents.envelope import Envelope
from koinon.agents.heartbeat import Heartbeat
from koinon.agents.host import PORT, HostOptions, serve
from koinon.agents.kept import (
    ROOM,
    KeptAgent,
    expected_host,
    kept_agent,
    kept_agents,
    running_host,
)
from koinon.agents.loading import load_agent
from koinon.agents.manifest import called
from koinon.agents.purse import open_purse
from koinon.agents.stock import SKILLS
from koinon.agents.verdicts import DELIVERED, MEANING
from koinon.chain.address import to_bytes
from koinon.chain.handle import Chain
from koinon.chain.keyring import Keyring
from koinon.chain.keys import Key
from koinon.errors import KoinonError, NotFound, PeerError, SetupError
from koinon.process import Say
from koinon.services.buying.transport import Http
from koinon.services.doors.site import endpoints
from koinon.services.mandates.book import MandateBook
from koinon.services.selling.schema import absolute
from koinon.serving import loop_factory
from koinon.store import BlockStore
from koinon.works.api import Works
from koinon.works.registration import Card, Registration, Service

PATIENCE_S: Final = 5.0
_ANSWER_S: Final = 60.0


@dataclass(frozen=True)
class Seen:
    """An agent as its Work and its host tell. ``beat`` its signed word that it is there now, ``manifest``
    what its host says of it; both None where its host does not answer."""

    contact: Contact
    beat: Heartbeat | None
    manifest: Mapping[str, Any] | None


class Agents:
    """The agents of one data directory on one network.

    Parameters
    ----------
    chain : Chain
    store : BlockStore
        Where registration files are put and looked up.
    home : Path
        The room's folder in the data directory.
    keyring : Keyring
        Where agents' keys are kept.
    operator : Key
        Who owns the Works, and signs what is sent by hand.
    """

    def __init__(self, chain: Chain, store: BlockStore, home: Path, keyring: Keyring, operator: Key) -> None:
        self.home, self.directory = home, Directory(chain, store)
        self._chain, self._store, self._keyring, self._operator = chain, store, keyring, operator

    @classmethod
    def of(cls, node: Any) -> Agents:
        """A node's."""
        derivation: Any = "pbkdf2" if node.chain.network.test_money else "scrypt"
        ring = Keyring(node.settings.keys, derivation=derivation)
        return cls(node.chain, node.store, node.settings.home / ROOM, ring, node.operator)

    def create(
        self,
        target: str,
        *,
        name: str = "",
        description: str = "",
        url: str = "",
        arguments: Mapping[str, Any] | None = None,
        base: Path | None = None,
    ) -> KeptAgent:
        """Make an agent a Work of the operator's, with an account of its own that signs for it.

        Parameters
        ----------
        target : str
            ``path/to/file.py:Class`` or ``module:Class``.
        name, description : str
            For people; the class's own when not given.
        url : str
            Where its host will be reached; where this machine's host is, or will be, when not given.
        arguments : mapping, optional
            What the class is made with.
        base : Path, optional
            The folder that a relative path starts from; the current one by default.

        Raises
        ------
        BadInput
            The class is no agent or cannot be made; nothing was registered.
        """
        place = absolute(target, base or Path.cwd())
        class_name, about = called(load_agent(place, arguments))
        key_name = f"agent-{secrets.token_hex(4)}"
        key = self._keyring.open(key_name)
        here = self.running() or expected_host(self.home) or f"http://127.0.0.1:{PORT}"
        host = (url or here).rstrip("/")
        doors = endpoints(f"{host}/agents/{key.address}")
        summary = description or about
        published = Works(self._chain, self._store, self._operator).publish(
            Registration(
                name=name or class_name,
                description=summary,
                card=_card(summary, self._operator.address),
                services=(Service(SERVICE, host, "1"), *(Service(**each) for each in doors)),
            ),
            metadata=[(ACCOUNT_KEY, to_bytes(key.address))],
        )
        kept = KeptAgent(
            published.work_id, key.address, name or class_name, place, key_name, host, dict(arguments or {})
        )
        kept.save(self.home)
        return kept

    def kept(self) -> list[KeptAgent]:
        """The agents of this data directory."""
        return kept_agents(self.home)

    def running(self) -> str:
        """Where the process that runs them answers; '' where none does."""
        host = running_host(self.home)
        return "" if host is None else str(host["url"])

    def run(
        self,
        options: HostOptions,
        say: Say,
        work_ids: Sequence[int] = (),
        *,
        follow: bool = False,
    ) -> None:
        """Run the agents of this data directory, or some, until SIGINT or SIGTERM; with ``follow`` until the
        agents of this data directory are others.

        Raises
        ------
        NotFound
            There is none, or not the one named.
        SetupError
            They run already, or the port is taken.
        """
        chosen = [kept_agent(self.home, each) for each in work_ids] or self.kept()
        if not chosen:
            raise NotFound(
                "There is no agent in this data directory.",
                hint="Make one: koinon agent new app.py:Class",
                code="agents.none",
            )
        book = MandateBook(self._chain, self.home.parent)
        agents = []
        for each in chosen:
            agent, key = load_agent(each.target, each.arguments), self._keyring.open(each.key)
            agent.equip(open_purse(self._chain, key, book))
            agents.append((agent, key, each.work_id))
        reach, names = ChainReach(self.directory), self._names()

        def over() -> bool:
            return follow and self._names() != names

        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(serve(agents, self.directory.domain, self.home, options, say, reach=reach, over=over))

    def _names(self) -> list[str]:
        return sorted(file.name for file in self.home.glob("*.json") if file.stem.isdigit())

    def stop(self) -> bool:
        """Tell the process that runs them to end; whether there was one. It finishes what it holds first."""
        host = running_host(self.home)
        if host is None:
            return False
        os.kill(int(host["pid"]), signal.SIGTERM)
        end = time.monotonic() + _ANSWER_S
        while running_host(self.home) is not None:
            if time.monotonic() > end:
                raise SetupError("The agents' host does not end.", code="agents.no_end")
            time.sleep(0.05)
        return True

    def see(self, work_id: int) -> Seen:
        """An agent, wherever it runs; NotFound where the Work is no agent."""
        contact = self.directory.contact(work_id)
        place = f"{self._url_of(contact)}/agents/{contact.address.account}"
        http = Http(PATIENCE_S, whole_s=PATIENCE_S)
        try:
            found = read_json(http, f"{place}/heartbeat")
            beat = Heartbeat.check(found, contact.address, self.directory.domain, time.time())
            return Seen(contact, beat, read_json(http, place))
        except KoinonError:
            return Seen(contact, None, None)
        finally:
            http.close()

    def send(self, work_id: int, name: str, fields: Mapping[str, Any]) -> Told:
        """Ask one of an agent's skills and wait for its answer; any other message is sent in an envelope
        signed by the operator, and accepted or not. Its reply is seen where the agent runs here, and cannot
        come from elsewhere.

        Raises
        ------
        NotFound
            The Work is no agent, or the agent takes no such message.
        PeerError
            Its host does not answer, or refused.
        """
        seen = self.see(work_id)
        if seen.manifest is None:
            raise PeerError(
                f"The agent {work_id} does not answer at {seen.contact.url}.",
                hint="It may not be running now.",
                code="agents.away",
            )
        protocol, handled = handling(seen.manifest, name)
        host = self._url_of(seen.contact)
        body = orjson.dumps(dict(fields))
        http = Http(_ANSWER_S, whole_s=_ANSWER_S)
        try:
            if handled["skill"]:
                place = f"{host}/agents/{seen.contact.address.account}/{SKILLS}{name}"
                answer = http.request("POST", place, body, {"Content-Type": "application/json"})
                found = read_answer(answer.status, answer.body)
                return Told(answer_type=str(found["message"]), answer=found["result"])
            session = uuid.uuid4()
            envelope, identity = self._sealed(seen.contact.address, protocol, handled, body, session)
            answer = http.request("POST", f"{host}{PATH}", bundle([envelope]), {"Content-Type": MEDIA_TYPE})
            verdict = str(read_answer(answer.status, answer.body)["verdicts"][0])
        finally:
            http.close()
        if verdict not in DELIVERED:
            raise PeerError(MEANING.get(verdict, "The host refused the envelope."), code="agents.refused")
        if not handled["replies"]:
            return Told(identity.hex())
        if not self._is_here(seen.contact):
            return Told(identity.hex(), note=NO_WAY)
        return await_reply(self.home, session, Address(0, self._operator.address), identity)

    @staticmethod
    def told_by(http: Http, url: str) -> list[dict[str, Any]]:
        """What a host says of its agents. PeerError where it does not answer, or nonsense."""
        found = read_json(http, f"{url}/agents").get("agents")
        if not isinstance(found, list) or not all(isinstance(x, dict) and "account" in x for x in found):
            raise PeerError("What the agents' host says makes no sense.", code="agents.bad_answer")
        return found

    def flow(self, agent: Address | None = None, limit: int = 100) -> flow.Flow:
        """Who said what to whom here lately."""
        return flow.read_flow(self.home, agent, limit)

    def _url_of(self, contact: Contact) -> str:
        """Where an agent's host is asked: our own where it is, whatever its Work says."""
        return (self.running() if self._is_here(contact) else "") or contact.url

    def _is_here(self, contact: Contact) -> bool:
        return any(each.address == contact.address for each in self.kept())

    def _sealed(
        self, target: Address, protocol: bytes, handled: Mapping[str, Any], payload: bytes, session: uuid.UUID
    ) -> tuple[bytes, bytes]:
        envelope, identity = Envelope(
            Address(0, self._operator.address),
            target,
            session,
            bytes.fromhex(handled["digest"]),
            protocol,
            payload,
            int(time.time() + LIFETIME_S),
            os.urandom(16),
        ).signed(self._operator, self.directory.domain)
        return envelope.to_bytes(), identity


def _card(summary: str, owner: str) -> Card:
    return Card(
        kind="agent",
        summary=summary,
        data="None: a program.",
        limits=("It acts by itself: give it no more than it may lose.",),
        contest=f"Contest it on its page, or write to its owner, {owner}.",
        unmeasured="Its publisher stated no metric.",
    )
