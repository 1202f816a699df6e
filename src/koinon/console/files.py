# SPDX-License-Identifier: Apache-2.0
"""Static files: read once, named by their digest so that browsers may keep them for ever.

``static("style.css")`` is ``/static/<digest>/style.css``. A style sheet's ``url("…")`` is rewritten to the
digest of the file it names, so that a changed font changes the sheet that uses it.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from koinon.errors import NotFound

_IN_A_SHEET: Final = re.compile(rb'url\("([^":]+)"\)')
_PACKED_ALREADY: Final = {".woff2", ".png", ".jpg", ".webp"}
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_TYPES: Final = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".woff2": "font/woff2",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True)
class File:
    """One file as it is sent."""

    body: bytes
    packed: bytes | None
    digest: str
    media_type: str


class Files:
    """Every static file of the console and the domains.

    Parameters
    ----------
    folders : mapping of str to Path
        What names begin with → folder; ``""`` for the console's own.
    """

    def __init__(self, folders: Mapping[str, Path]) -> None:
        found = {
            (f"{start}/" if start else "") + path.relative_to(folder).as_posix(): path
            for start, folder in folders.items()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        self._files: dict[str, File] = {}
        for name in sorted(found, key=lambda name: name.endswith(".css")):  # sheets last: they name others
            self._files[name] = self._read(name, found[name])

    def url(self, name: str) -> str:
        """Where a file lies; KeyError for one that is not there, which is a template's mistake."""
        return f"/static/{self._files[name].digest}/{name}"

    def respond(self, request: Request, digest: str, name: str) -> Response:
        """The answer to a request for a file."""
        file = self._files.get(name)
        if file is None:
            raise NotFound(f"There is no file {name[:80]}.", code="console.file")
        headers = {
            "ETag": f'"{file.digest}"',
            "Cache-Control": _FOR_EVER if digest == file.digest else "no-cache",
            "Vary": "Accept-Encoding",
        }
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        if file.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            headers["Content-Encoding"] = "gzip"
            return Response(file.packed, headers=headers, media_type=file.media_type)
        return Response(file.body, headers=headers, media_type=file.media_type)

    def _read(self, name: str, path: Path) -> File:
        body = path.read_bytes()
        if path.suffix == ".css":
            folder = name.rpartition("/")[0]
            body = _IN_A_SHEET.sub(lambda match: self._in_sheet(folder, match[1].decode()), body)
        packed = None if path.suffix in _PACKED_ALREADY else gzip.compress(body, mtime=0)
        media_type = _TYPES.get(path.suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
        return File(body, packed, hashlib.sha256(body).hexdigest()[:12], media_type)

    def _in_sheet(self, folder: str, name: str) -> bytes:
        return f'url("{self.url(f"{folder}/{name}" if folder else name)}")'.encode()
