# SPDX-License-Identifier: Apache-2.0
"""Who a peer is on the wire: a certificate of its own, which its chain account announced when it joined.

Both ends of a connection show one, and accept exactly those announced for the run: the certificate itself is
compared, no name in it and no authority is believed. TLS 1.3 only.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from koinon.errors import BadInput, SetupError
from koinon.learning.certificates import create_certificate

LONGEST: Final = 1024
"""Bytes of a certificate, as `Swarm.vy` takes it."""
_VALID_DAYS: Final = 3_650


@dataclass(frozen=True)
class Identity:
    """A peer's certificate (DER) and where its files lie; the private key never leaves its file."""

    certificate: bytes
    certificate_path: Path
    key_path: Path

    @classmethod
    def open(cls, folder: Path, account: str) -> Identity:
        """The identity kept in a folder, made on first use.

        Raises
        ------
        SetupError
            The folder holds something else.
        """
        certificate_path, key_path = folder / "certificate.pem", folder / "certificate.key"
        if not certificate_path.exists() or not key_path.exists():
            create_certificate(folder, name=account, days=_VALID_DAYS)
        try:
            encoded = ssl.PEM_cert_to_DER_cert(certificate_path.read_text(encoding="ascii"))
        except (OSError, ValueError) as error:
            raise SetupError(
                f"There is no certificate in {folder}.",
                hint="Remove the folder's certificate files; new ones are made for the next run.",
                code="swarm.identity",
            ) from error
        return cls(encoded, certificate_path, key_path)

    def server_context(self, announced: Iterable[bytes] = ()) -> ssl.SSLContext:
        """For listening; asks for a certificate. `trust` adds those announced later."""
        context = self._context(ssl.PROTOCOL_TLS_SERVER)
        context.num_tickets = 0  # a resumed session would not show its certificate again
        for certificate in announced:
            trust(context, certificate)
        return context

    def client_context(self, announced: bytes) -> ssl.SSLContext:
        """For calling the one peer that announced this certificate."""
        context = self._context(ssl.PROTOCOL_TLS_CLIENT)
        trust(context, announced)
        return context

    def _context(self, protocol: ssl._SSLMethod) -> ssl.SSLContext:
        context = ssl.SSLContext(protocol)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname = False
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(self.certificate_path, self.key_path)
        return context


def trust(context: ssl.SSLContext, certificate: bytes) -> None:
    """Accept this certificate on new connections; BadInput where it is none."""
    try:
        context.load_verify_locations(cadata=certificate)
    except (ssl.SSLError, ValueError) as error:
        raise BadInput("A peer announced something that is no certificate.", code="swarm.identity") from error


def shown(connection: ssl.SSLSocket) -> bytes:
    """The certificate (DER) the other end showed; empty where it showed none."""
    return connection.getpeercert(binary_form=True) or b""
