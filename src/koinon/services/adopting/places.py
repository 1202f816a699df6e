# SPDX-License-Identifier: Apache-2.0
"""Reads documents from where others keep them: the web, within bounds, or the content store by CID."""

from __future__ import annotations

from typing import Any, Final

import orjson

from koinon.errors import PeerError
from koinon.services.adopting.found import malformed, web_address
from koinon.services.buying.transport import Http
from koinon.works.catalogue import URI_SCHEME, Blocks

WELL_KNOWN: Final = "/.well-known/agent-registration.json"
LARGEST: Final = 1 << 20
WITHIN_S: Final = 15.0


class Places:
    """Reads for one command; close it. Redirects are not followed: who answers is who was asked."""

    def __init__(self, store: Blocks, http: Http | None = None) -> None:
        self._store = store
        self._http = http or Http(WITHIN_S, whole_s=WITHIN_S, answer_limit=LARGEST)

    def document(self, uri: str) -> Any:
        """The JSON at an http, https or ipfs URI.

        Raises
        ------
        BadInput
            It is no such URI, or no JSON is there (``service.adopt_source``).
        NotFound, PeerError
            The store lacks it, or nobody answers.
        """
        if uri.startswith(URI_SCHEME):
            content = self._store.get(uri.removeprefix(URI_SCHEME).split("/")[0])
        elif web_address(uri):
            response = self._http.request("GET", uri, headers={"accept": "application/json"})
            if response.status != 200:
                raise malformed(uri, f"it answers with HTTP status {response.status}")
            content = response.body
        else:
            raise malformed(uri, "it is no address that can be read")
        try:
            return orjson.loads(content)
        except ValueError:
            raise malformed(uri, "what it answers is no JSON") from None

    def answers(self, url: str) -> bool:
        """Whether anything answers HTTP at an address."""
        try:
            self._http.request("GET", url)
        except PeerError:
            return False
        return True

    def close(self) -> None:
        self._http.close()
