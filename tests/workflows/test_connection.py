"""TLS towards Temporal: whom we trust, and who we say that we are."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from billing.settings import Settings, SettingsInvalid, TemporalTls
from workflows.connection import connect


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """One that signs itself, for 127.0.0.1: server, client and authority in one."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "worker-1")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    place = tmp_path_factory.mktemp("tls")
    cert_file, key_file = place / "cert.pem", place / "key.pem"
    cert_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return cert_file, key_file


def test_a_server_that_asks_who_we_are_is_told(certificate: tuple[Path, Path]) -> None:
    cert_file, key_file = certificate
    with _server(cert_file, key_file) as (address, greeted):
        _try_to_connect(address, TemporalTls(str(cert_file), str(cert_file), str(key_file)))

    assert greeted[0] == "worker-1"


def test_a_server_whom_nobody_vouches_for_is_told_nothing(certificate: tuple[Path, Path]) -> None:
    with _server(*certificate) as (address, greeted):
        _try_to_connect(address, TemporalTls())

    assert not [name for name in greeted if name]


def test_a_certificate_without_its_key_is_refused() -> None:
    with pytest.raises(SettingsInvalid, match="TEMPORAL_TLS_KEY_FILE"):
        TemporalTls.from_environment({"TEMPORAL_TLS_CERT_FILE": "/cert.pem"})


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"TEMPORAL_TLS": "1"}, TemporalTls()),
        ({"TEMPORAL_TLS_CA_FILE": "/ca.pem"}, TemporalTls("/ca.pem")),
        ({"TEMPORAL_TLS": "0"}, None),
    ],
)
def test_tls_is_on_when_anything_asks_for_it(environment: dict[str, str], expected: TemporalTls | None) -> None:
    assert TemporalTls.from_environment(environment) == expected


def _try_to_connect(address: str, tls: TemporalTls) -> None:
    """What answers is no Temporal, so it fails in any case."""

    async def trying() -> None:
        with pytest.raises(RuntimeError):
            await asyncio.wait_for(connect(Settings("postgresql://nowhere", address, temporal_tls=tls)), 30)

    asyncio.run(trying())


@contextmanager
def _server(cert_file: Path, key_file: Path) -> Iterator[tuple[str, list[str | None]]]:
    """Greets whoever comes, notes by which name it came, None when the greeting failed, and hangs up."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert_file, key_file)
    context.load_verify_locations(cert_file)
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["h2"])
    greeted: list[str | None] = []

    def greet(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connection.settimeout(10)
                with connection:
                    greeted.append(_name_of(connection, context))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=greet, args=(listener,), daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}", greeted
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def _name_of(connection: socket.socket, context: ssl.SSLContext) -> str | None:
    try:
        with context.wrap_socket(connection, server_side=True) as secured:
            subject = secured.getpeercert() or {}
            return dict(part[0] for part in subject["subject"])["commonName"]
    except OSError:
        return None
