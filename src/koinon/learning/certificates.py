# SPDX-License-Identifier: Apache-2.0
"""Self-signed TLS certificates whose fingerprint the chain key signs: no other authority is needed."""

from __future__ import annotations

import hashlib
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from koinon.chain.keys import write_private


@dataclass(frozen=True)
class Certificate:
    """Where certificate and key lie, and the certificate's sha256 (of its DER form)."""

    certificate_path: Path
    key_path: Path
    fingerprint: bytes


def create_certificate(
    folder: Path, *, name: str = "Koinon federation", now: datetime | None = None, days: int = 30
) -> Certificate:
    """A fresh P-256 certificate; the private key is readable by its owner only. ``name`` is its subject."""
    from cryptography import x509  # noqa: PLC0415  only the serving side needs it
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    from cryptography.x509.oid import NameOID  # noqa: PLC0415

    moment = now or datetime.now(UTC)
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - timedelta(hours=1))
        .not_valid_after(moment + timedelta(days=days))
        .sign(private, hashes.SHA256())
    )
    found = Certificate(
        folder / "certificate.pem",
        folder / "certificate.key",
        hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).digest(),
    )
    write_private(found.certificate_path, certificate.public_bytes(serialization.Encoding.PEM))
    write_private(
        found.key_path,
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
    return found


def pinning_context() -> ssl.SSLContext:
    """TLS 1.3 without authorities; the caller compares the peer's fingerprint with the signed one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
