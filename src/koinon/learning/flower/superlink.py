# SPDX-License-Identifier: Apache-2.0
"""SuperLinks: one that runs already, or one of our own on this machine, over TLS."""

from __future__ import annotations

import socket
import ssl
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

import orjson

from koinon.chain.keys import write_private
from koinon.errors import PeerError, SetupError
from koinon.learning.flower.environment import FlowerEnvironment
from koinon.learning.flower.processes import FlowerProcess

CONNECTION: Final = "koinon"
START_S: Final = 120.0
LOCAL: Final = "127.0.0.1"


@dataclass(frozen=True)
class SuperLink:
    """Where a SuperLink answers.

    Attributes
    ----------
    address : str
        ``host:port``.
    roots : Path, optional
        Certificates, PEM, that its own must descend from; the system's when not given.
    """

    address: str
    roots: Path | None = None

    def options(self) -> list[str]:
        """How a SuperNode is told."""
        return [
            "--superlink",
            self.address,
            *(["--root-certificates", str(self.roots)] if self.roots else []),
        ]

    def configure(self, home: Path) -> None:
        """Write it into Flower's own settings, as the connection called ``koinon``."""
        lines = ["[superlink]", f'default = "{CONNECTION}"', f"[superlink.{CONNECTION}]"]
        lines.append(f"address = {orjson.dumps(self.address).decode()}")
        if self.roots is not None:
            lines.append(f"root-certificates = {orjson.dumps(str(self.roots)).decode()}")
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        (home / "config.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


class LocalSuperLink:
    """A SuperLink started for one run; stops with it."""

    def __init__(self, environment: FlowerEnvironment, home: Path) -> None:
        certificate, key = create_local_certificate(home / "tls")
        port = free_port()
        self.link = SuperLink(f"{LOCAL}:{port}", certificate)
        self.process = FlowerProcess(
            [
                str(environment.program("flower-superlink")),
                "--ssl-certfile",
                str(certificate),
                "--ssl-keyfile",
                str(key),
                "--ssl-ca-certfile",
                str(certificate),
                "--host",
                LOCAL,
                "--port",
                str(port),
                "--disable-runtime-dependency-installation",
            ],
            environment.variables(home),
            home / "superlink.log",
        )

    def wait(self, patience_s: float = START_S) -> None:
        """Until it answers; SetupError with its last words where it does not."""
        context = ssl.create_default_context(cafile=str(self.link.roots))
        host, _, port = self.link.address.rpartition(":")
        end = time.monotonic() + patience_s
        while self.process.running and time.monotonic() < end:
            try:
                with (
                    socket.create_connection((host, int(port)), 5) as line,
                    context.wrap_socket(line, server_hostname=host),
                ):
                    return
            except OSError:
                time.sleep(0.1)
        raise SetupError(
            f"Flower's SuperLink does not answer at {self.link.address}.",
            hint=self.process.last_words() or f"See {self.process.log}.",
            code="learning.superlink",
        )


def check_superlink(link: SuperLink) -> None:
    """PeerError where nobody answers at the address of a SuperLink that should run already."""
    host, _, port = link.address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), 10).close()
    except OSError as error:
        raise PeerError(
            f"Nobody answers at the SuperLink {link.address} ({error}).",
            hint="Is it running, and is KOINON_FLOWER_SUPERLINK right?",
            code="learning.superlink",
        ) from error


def free_port() -> int:
    """A port of this machine that nobody listens on now."""
    with socket.socket() as found:
        found.bind((LOCAL, 0))
        return int(found.getsockname()[1])


def create_local_certificate(folder: Path) -> tuple[Path, Path]:
    """Certificate and key for 127.0.0.1 that are their own authority, good for a month."""
    from cryptography import x509  # noqa: PLC0415  only a local SuperLink needs it
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    from cryptography.x509.oid import NameOID  # noqa: PLC0415

    now = datetime.now(UTC)
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Koinon SuperLink")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(LOCAL))]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
        .sign(private, hashes.SHA256())
    )
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    paths = folder / "superlink.pem", folder / "superlink.key"
    write_private(paths[0], certificate.public_bytes(serialization.Encoding.PEM))
    write_private(
        paths[1],
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    )
    return paths
