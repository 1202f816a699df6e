# SPDX-License-Identifier: Apache-2.0
"""Adopt what stands elsewhere as a Work: look, prove control, register; and look again at any time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import orjson

from koinon.chain.account import Account
from koinon.chain.handle import Chain
from koinon.chain.hashing import keccak256
from koinon.chain.rpc import Rpc
from koinon.errors import BadInput, KeyFault, KoinonError, NotFound
from koinon.services.adopting.documents import is_card, is_snet, read_agent, read_card, read_snet
from koinon.services.adopting.found import KINDS, LONGEST, TOPIC, Found, malformed, web_address
from koinon.services.adopting.places import WELL_KNOWN, Places
from koinon.services.adopting.proofs import (
    Control,
    Proof,
    adoption_domain,
    check_token,
    control,
    sign_adoption,
)
from koinon.services.adopting.tokens import Token, is_token
from koinon.services.buying.transport import Http
from koinon.services.models.files.conversion import GRAPH, PICKLES
from koinon.services.models.files.prints import fingerprints_of, keep_probes
from koinon.services.selling.drafts import Words, model_draft
from koinon.services.selling.promises import Promises
from koinon.services.targets.address import MCP, Address
from koinon.services.targets.publishing import tools_at
from koinon.works.api import Works
from koinon.works.catalogue import Blocks
from koinon.works.fingerprints.record import TOPIC as FINGERPRINTS
from koinon.works.registration import TYPE, Card, Registration, Service

_LARGEST_DETAILS: Final = 65_536
_MODELS: Final = (".npz", GRAPH, *PICKLES)


@dataclass(frozen=True)
class Adopted:
    """A Work that stands for something elsewhere. ``well_known`` is the document that its host shows to prove
    control, where that is how."""

    work_id: int
    till: str
    uri: str
    kind: str
    source: str
    control: Control
    well_known: Mapping[str, Any] | None = None


class Adoptions:
    """Adopts for one owner; close it.

    Parameters
    ----------
    chain : Chain
    store : Blocks
    data_dir : Path
        The gateway's: probes of model files are kept there.
    key : Account
        Who will own the Works.
    rpc_url : str
        A node of the token's chain, where that is another than this network's.
    http : Http, optional
        Asks hosts; bounded by default (see `Places`).
    """

    def __init__(
        self,
        chain: Chain,
        store: Blocks,
        data_dir: Path,
        key: Account,
        *,
        rpc_url: str = "",
        http: Http | None = None,
    ) -> None:
        self.chain = chain
        self._key = key
        self._data_dir = data_dir
        self._works = Works(chain, store, key)
        self._places = Places(store, http)
        self._rpc = Rpc(rpc_url) if rpc_url else chain.rpc
        self._own_rpc = bool(rpc_url)
        register = self._works.contract.address
        self._register = f"eip155:{chain.chain_id}:{register}"
        self._domain = adoption_domain(chain.chain_id, register)

    # ------------------------------------------------------------ looking

    def look(self, source: str, *, kind: str = "", organization: Path | None = None) -> Found:
        """What stands at a source.

        Parameters
        ----------
        source : str
            ``eip155:<chain>:<register>/<id>``; an http or https URL of an agent card, an ERC-8004 or
            SingularityNET file, or a server; or the path of a model file or of a SingularityNET service's
            metadata.
        kind : str
            One of `KINDS`, where the source does not show it: a URL is an HTTP server unless it answers with
            a card or file that says otherwise.
        organization : Path, optional
            The SingularityNET organization's metadata.

        Raises
        ------
        BadInput
            It is nothing that can be adopted (``service.adopt_source``).
        NotFound, PeerError, WrongNetwork
            There is no such token, nobody answers, or the node is of another chain.
        """
        if kind and kind not in KINDS:
            raise malformed(kind, f"the kinds are {', '.join(KINDS)}")
        if is_token(source):
            return self._token(source).look(self._places)
        if web_address(source):
            return self._on_the_web(source, kind, organization)
        path = Path(source)
        if path.suffix in _MODELS and path.is_file():
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            return Found(
                "model",
                f"sha256:{digest}",
                path.stem,
                f"The model {path.stem}.",
                details={"path": str(path.resolve())},
            )
        if path.suffix == ".json" and path.is_file():
            return read_snet(_json(path), None if organization is None else _json(organization))
        raise malformed(source, "it is no token, address or file that is known")

    def _on_the_web(self, url: str, kind: str, organization: Path | None) -> Found:
        if kind == "mcp":
            tools = tools_at(Address(MCP, url))
            return Found(
                "mcp",
                url,
                url.split("/")[2],
                f"The MCP server at {url}.",
                (Service("MCP", url),),
                details={"tools": [tool.name for tool in tools][:100]},
            )
        document: Any = None
        try:
            document = self._places.document(url)
        except BadInput:
            if kind not in ("", "http"):
                raise
        if kind == "a2a" or (not kind and is_card(document)):
            return read_card(url, document)
        if kind == "snet" or (not kind and is_snet(document)):
            return read_snet(document, None if organization is None else _json(organization))
        if kind == "erc8004" or (not kind and isinstance(document, dict) and document.get("type") == TYPE):
            return read_agent(url, document)
        return Found("http", url, url.split("/")[2], f"The service at {url}.", (Service("web", url),))

    # ------------------------------------------------------------ adopting

    def sign_for(self, source: str, adopter: str) -> Proof:
        """Let somebody else adopt one's own token. KeyFault where it is another's."""
        token = self._token(source)
        if token.owner() != self._key.address:
            raise KeyFault(
                f"{token.name} belongs to another account.",
                hint="Its owner signs.",
                code="service.adopt_not_owner",
            )
        return sign_adoption(self._key, self._domain, token.name, adopter)

    def adopt(
        self,
        found: Found,
        *,
        proof: Proof | None = None,
        name: str = "",
        description: str = "",
        card: Card | None = None,
    ) -> Adopted:
        """Make a Work of it. It stays where it is; what is paid to the Work's till is its income.

        A token is adopted only with its owner's signature (the key's own, where it owns the token). Anything
        with a host is adopted unproven, until the host names the Work.

        Raises
        ------
        KeyFault
            The token's owner did not sign for this key (``service.adopt_not_owner``).
        BadInput
            Somebody else adopted it and proves control, or this key did before (``service.adopted_already``).
        """
        chosen = proof or self._own_proof(found)
        if chosen.method == "token":
            check_token(chosen, self._domain, self._token(found.source), self._key.address)
        self._refuse_second(found.source)
        about: dict[str, Any] = {TOPIC: self._record(found, chosen)}
        metadata = [(TOPIC, keccak256(found.source.encode()))]
        probes = None
        if found.kind == "model":
            prints, probes = self._prints(Path(str(found.details["path"])))
            metadata += prints.metadata()
            if prints:
                about[FINGERPRINTS] = prints.to_json()
        summary = description or found.description
        published = self._works.publish(
            Registration(
                name=name or found.name,
                description=summary,
                card=card or _plain_card(found, summary, self._key.address),
                services=found.services,
                registrations=found.registrations,
                about=about,
            ),
            metadata=metadata,
        )
        keep_probes(self._data_dir, published.work_id, probes)
        return self.status(published.work_id)

    def status(self, work_id: int) -> Adopted:
        """What a Work stands for, and whether its owner controls it now.

        Raises NotFound where it was not adopted, and BadInput where its file says so in a way that cannot be.
        """
        said = self._works.registration_of(work_id).registration.about.get(TOPIC)
        if said is None:
            raise NotFound(f"Work {work_id} was not adopted.", code="service.not_adopted")
        kind, source = said.get("kind"), said.get("source")
        if kind not in KINDS or not isinstance(source, str) or len(source) > LONGEST:
            raise malformed(f"Work {work_id}", "its file does not say what it stands for")
        proof = Proof.from_json(said.get("proof"))
        token = self._askable(source) if proof.method == "token" else None
        well_known = None
        if proof.method == "domain":
            well_known = {
                "path": WELL_KNOWN,
                "document": {"registrations": [{"agentId": work_id, "agentRegistry": self._register}]},
            }
        return Adopted(
            work_id,
            self._works.till_of(work_id),
            str(self._works.contract.call("tokenURI", work_id)),
            str(kind),
            source,
            control(
                proof,
                source,
                domain=self._domain,
                register=self._register,
                work_id=work_id,
                owner=self._works.owner_of(work_id),
                token=token,
                places=self._places,
            ),
            well_known,
        )

    def works_of(self, source: str) -> list[int]:
        """The Works that say they stand for a source, the oldest first."""
        digest = keccak256(source.encode())
        logs = self._works.contract.history(
            "MetadataSet", self.chain.network.start_block, indexedMetadataKey=TOPIC
        )
        return sorted({int(each["agentId"]) for each in logs if bytes(each["metadataValue"]) == digest})

    def close(self) -> None:
        self._places.close()
        if self._own_rpc:
            self._rpc.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ------------------------------------------------------------ inside

    def _token(self, name: str) -> Token:
        return Token(name, self._rpc)

    def _askable(self, name: str) -> Token | None:
        try:
            return self._token(name)
        except KoinonError:
            return None

    def _own_proof(self, found: Found) -> Proof:
        if is_token(found.source):
            return sign_adoption(self._key, self._domain, found.source, self._key.address)
        return Proof("domain" if found.host else "none")

    def _refuse_second(self, source: str) -> None:
        for work_id in self.works_of(source):
            mine = self._works.owner_of(work_id) == self._key.address
            try:
                proven = self.status(work_id).control.proven
            except KoinonError:  # its file is not here, or says nonsense: it proves nothing
                proven = False
            if mine or proven:
                raise BadInput(
                    f"{source[:200]} is Work {work_id} already.",
                    hint=f"See: koinon adopt --check {work_id}",
                    code="service.adopted_already",
                )

    def _record(self, found: Found, proof: Proof) -> dict[str, Any]:
        details = {name: value for name, value in found.details.items() if name != "path"}
        if len(orjson.dumps(details)) > _LARGEST_DETAILS:
            details = {}
        return {"kind": found.kind, "source": found.source, "proof": proof.to_json(), "details": details}

    def _prints(self, path: Path) -> Any:
        draft = model_draft(path, 1, Words(path.stem), Promises(), data_dir=self._data_dir)
        return fingerprints_of(draft)


def _plain_card(found: Found, summary: str, owner: str) -> Card:
    return Card(
        kind="model" if found.kind == "model" else "agent" if found.kind in ("erc8004", "a2a") else "service",
        summary=summary,
        data="Not stated: it was adopted from where it stands.",
        limits=("Its publisher stated none here; see its source.",),
        contest=f"Write to the owner of this Work, {owner}.",
        unmeasured="It was adopted from where it stands; nothing was measured here.",
    )


def _json(path: Path) -> Any:
    try:
        return orjson.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise malformed(path.name, f"it cannot be read ({type(error).__name__})") from None
