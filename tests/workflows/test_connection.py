"""The way to Temporal: whom we trust, who we say that we are, and the API key."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from billing.settings import Settings, SettingsInvalid, TemporalTls
from workflows.connection import connect

# Of letters whose codes stand below.
API_KEY = "area"
# HPACK's codes of these characters (RFC 7541, appendix B): values of headers are written in them.
HUFFMAN = {" ": "010100", "B": "1011101", "a": "00011", "e": "00101", "r": "101100"}
TLS_HANDSHAKE = b"\x16"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS = 1
NO_SETTINGS = bytes.fromhex("000000 04 00 00000000")
HEARD_FOR_S = 10


@dataclass
class Visit:
    """What a server saw of one connection: how it began, the name that was shown in greeting, and what was said."""

    opening: bytes
    name: str | None = None
    said: bytes = b""


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

    assert greeted[0].name == "worker-1"


def test_a_server_whom_nobody_vouches_for_is_told_nothing(certificate: tuple[Path, Path]) -> None:
    with _server(*certificate) as (address, greeted):
        _try_to_connect(address, TemporalTls())

    assert not [visit for visit in greeted if visit.name]


def test_the_api_key_is_said_to_a_server_that_somebody_vouches_for(certificate: tuple[Path, Path]) -> None:
    cert_file, key_file = certificate
    with _server(cert_file, key_file) as (address, greeted):
        _try_to_connect(address, TemporalTls(str(cert_file), str(cert_file), str(key_file)), API_KEY)

    assert _compressed(f"Bearer {API_KEY}") in greeted[0].said


def test_the_api_key_alone_turns_tls_on_and_is_said_to_no_other_server(certificate: tuple[Path, Path]) -> None:
    with _server(*certificate) as (address, greeted):
        _try_to_connect(address, None, API_KEY)

    assert greeted
    assert all((visit.opening, visit.said) == (TLS_HANDSHAKE, b"") for visit in greeted)


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


def _try_to_connect(address: str, tls: TemporalTls | None, api_key: str | None = None) -> None:
    """What answers is no Temporal, so it fails in any case."""
    settings = Settings("postgresql://nowhere", address, temporal_tls=tls, temporal_api_key=api_key)

    async def trying() -> None:
        with pytest.raises(RuntimeError):
            await asyncio.wait_for(connect(settings), 30)

    asyncio.run(trying())


def _compressed(header: str) -> bytes:
    bits = "".join(HUFFMAN[character] for character in header)
    bits += "1" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


@contextmanager
def _server(cert_file: Path, key_file: Path) -> Iterator[tuple[str, list[Visit]]]:
    """Greets whoever comes, hears the first call, and hangs up."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert_file, key_file)
    context.load_verify_locations(cert_file)
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["h2"])
    greeted: list[Visit] = []

    def greet(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connection.settimeout(HEARD_FOR_S)
                with connection:
                    greeted.append(visit := Visit(connection.recv(1, socket.MSG_PEEK)))
                    with suppress(OSError):
                        _hear(visit, connection, context)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=greet, args=(listener,), daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}", greeted
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def _hear(visit: Visit, connection: socket.socket, context: ssl.SSLContext) -> None:
    with context.wrap_socket(connection, server_side=True) as secured:
        subject = secured.getpeercert() or {}
        visit.name = dict(part[0] for part in subject["subject"])["commonName"]
        secured.sendall(NO_SETTINGS)
        while not _has_headers(visit.said) and (more := secured.recv(65536)):
            visit.said += more


def _has_headers(said: bytes) -> bool:
    """Whether a frame with the headers of a call has come, whole (RFC 9113, 4.1)."""
    at = len(PREFACE)
    while len(said) >= at + 9:
        size, kind = int.from_bytes(said[at : at + 3], "big"), said[at + 3]
        at += 9 + size
        if kind == HEADERS:
            return len(said) >= at
    return False
