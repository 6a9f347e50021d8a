"""No way in: what would lead to ourselves or our neighbours is refused when it is saved, and when it is sent to, in
every spelling; nobody is connected to."""

# ruff: noqa: RUF001 - letters and digits of other scripts are what is tried

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from billing.errors import InvalidArgument
from billing.settings import Settings, SettingsInvalid
from tests.support.network import Network
from tests.support.receiver import Receiver, answering
from workflows import receivers
from workflows.outgoing import AddressRefused, Policy, check, post
from workflows.receivers import parse

DECISION = Path(__file__).parents[2] / "docs" / "decisions" / "0025-outgoing-requests.md"
OK = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
PUBLIC = Policy()
DEVELOPMENT = Policy(allow_http=True, allow_private=True)
ELSEWHERE = "93.184.216.34"

# With the port of a server that listens on loopback.
LOOPBACK_SPELLED = [
    "https://127.0.0.1:{port}/",
    "https://127.0.0.2:{port}/",
    "https://127.255.255.254:{port}/",
    "https://127.1:{port}/",
    "https://127.0.1:{port}/",
    "https://2130706433:{port}/",
    "https://017700000001:{port}/",
    "https://0x7f000001:{port}/",
    "https://0X7F000001:{port}/",
    "https://0x7f.1:{port}/",
    "https://0x7f.0x0.0x0.0x1:{port}/",
    "https://0177.0.0.1:{port}/",
    "https://0177.0.0.01:{port}/",
    "https://127.0.0.0x1:{port}/",
    "https://127.000.000.001:{port}/",
    "https://00000127.0.0.1:{port}/",
    "https://127.0.0.1.:{port}/",
    "https://127.0.0.257:{port}/",
    "https://383.0.0.1:{port}/",
    "https://6425673729:{port}/",
    "https://0:{port}/",
    "https://0.0.0.0:{port}/",
    "https://0.0.0.1:{port}/",
    "https://127。0。0。1:{port}/",
    "https://127．0．0．1:{port}/",
    "https://127｡0｡0｡1:{port}/",
    "https://１２７.0.0.1:{port}/",
    "https://①②⑦.0.0.1:{port}/",
    "https://𝟏𝟐𝟕.𝟎.𝟎.𝟏:{port}/",
    "https://١٢٧.٠.٠.١:{port}/",
    "https://%31%32%37.0.0.1:{port}/",
    "https://127%2e0%2e0%2e1:{port}/",
    "https://[::1]:{port}/",
    "https://[0:0:0:0:0:0:0:1]:{port}/",
    "https://[0000:0000:0000:0000:0000:0000:0000:0001]:{port}/",
    "https://[::0.0.0.1]:{port}/",
    "https://[::]:{port}/",
    "https://[::127.0.0.1]:{port}/",
    "https://[::ffff:127.0.0.1]:{port}/",
    "https://[::FFFF:7F00:1]:{port}/",
    "https://[0:0:0:0:0:ffff:127.0.0.1]:{port}/",
    "https://[::ffff:0:127.0.0.1]:{port}/",
    "https://[64:ff9b::127.0.0.1]:{port}/",
    "https://[64:ff9b:1::7f00:1]:{port}/",
    "https://[2002:7f00:1::]:{port}/",
    "https://[2001:0:7f00:1::]:{port}/",
    "https://[::ffff:7f00:0001]:{port}/",
    "https://[::ffff:127.0.0.1%251]:{port}/",
    "https://[64:ff9b::7f00:1]:{port}/",
    "https://[64:ff9b:1:ffff:ffff:ffff:7f00:1]:{port}/",
    "https://[2002:7f00:0001::1]:{port}/",
    "https://0x7f.0.1:{port}/",
    "https://017700000001.:{port}/",
    "https://public.example.:{port}/",
    "https://[fe80::1%2]:{port}/",
    "https://[::1%25lo]:{port}/",
    "https://[::1%lo]:{port}/",
    "https://[%3a%3a1]:{port}/",
    "https://[127.0.0.1]:{port}/",
    "https://[v1.127.0.0.1]:{port}/",
    "https://[::1:{port}/",
    "https://::1:{port}/",
    "https://[[::1]]:{port}/",
    "https://[::1].:{port}/",
    "https://localhost:{port}/",
    "https://LOCALHOST:{port}/",
    "https://localhost.:{port}/",
    "https://local%68ost:{port}/",
    "https://ｌｏｃａｌｈｏｓｔ:{port}/",
    "https://ⓛocalhost:{port}/",
    "https://local\u00adhost:{port}/",
    "https://localhost\u200b:{port}/",
    "https://billing.localhost:{port}/",
    "https://ip6-localhost:{port}/",
    "https://localhost.localdomain:{port}/",
    "https://127.0.0.1.nip.example:{port}/",
    "https://rebinding.example:{port}/",
    "https://both.example:{port}/",
    "https://mapped.example:{port}/",
    "https://user@127.0.0.1:{port}/",
    "https://user:password@public.example:{port}/",
    "https://public.example@127.0.0.1:{port}/",
    "https://public.example:443@127.0.0.1:{port}/",
    "https://127.0.0.1:{port}@public.example/",
    "https://@127.0.0.1:{port}/",
    "https://public.example%40127.0.0.1:{port}/",
    "https://127.0.0.1:{port}#@public.example/",
    "https://public.example#@127.0.0.1:{port}/",
    "https://127.0.0.1:{port}\\@public.example/",
    "https://public.example\\@127.0.0.1:{port}/",
    "https:\\\\127.0.0.1:{port}/",
    "https:127.0.0.1:{port}/",
    "https:/127.0.0.1:{port}/",
    "https:///127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    "127.0.0.1:{port}/",
    "https://127.0.0.1 :{port}/",
    "https://127.0.0.1\t:{port}/",
    "https://127.0.\n0.1:{port}/",
    " https://127.0.0.1:{port}/",
    "https://127.0.0.1:{port}\x00.public.example/",
    "https://127.0.0.1:{port}\r\nX: y/",
    "https://public.example,127.0.0.1:{port}/",
    "https://public.example;127.0.0.1:{port}/",
    "https://127.0.0.1:+{port}/",
    "https://127.0.0.1:{port}:443/",
    "https://a..b:{port}/",
    "https://.127.0.0.1:{port}/",
    "https://-.example:{port}/",
    "https://:{port}/",
    "http://127.0.0.1:{port}/",
    "http://localhost:{port}/",
    "http://public.example:{port}/",
    "HTTP://127.0.0.1:{port}/",
    "ftp://127.0.0.1:{port}/",
    "gopher://127.0.0.1:{port}/_POST",
    "file:///etc/passwd",
    "file://127.0.0.1:{port}/etc/passwd",
    "data:text/plain,127.0.0.1:{port}",
    "javascript:127.0.0.1:{port}",
    "unix:///run/postgresql/.s.PGSQL.{port}",
    "",
]
ELSEWHERE_NOT_PUBLIC = [
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://172.31.255.255:8443/",
    "https://192.168.1.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://2852039166/latest/meta-data/",
    "https://0xa9fea9fe/latest/meta-data/",
    "https://0251.0376.0251.0376/latest/meta-data/",
    "https://[::ffff:169.254.169.254]/latest/meta-data/",
    "https://[64:ff9b::a9fe:a9fe]/latest/meta-data/",
    "https://[2002:a9fe:a9fe::1]/latest/meta-data/",
    "https://[fd00:ec2::254]/latest/meta-data/",
    "https://168.63.129.16/machine",
    "https://100.100.100.200/latest/meta-data/",
    "https://192.0.0.192/latest/",
    "https://100.64.0.1/",
    "https://198.18.0.1/",
    "https://192.0.2.1/",
    "https://198.51.100.1/",
    "https://203.0.113.1/",
    "https://224.0.0.1/",
    "https://240.0.0.1/",
    "https://255.255.255.255/",
    "https://[fe80::1]/",
    "https://[fe80::1%25eth0]/",
    "https://[fc00::1]/",
    "https://[fec0::1]/",
    "https://[ff02::1]/",
    "https://[2001:db8::1]/",
    "https://[64:ff9b::8.8.8.8]/",
    "https://[::ffff:8.8.8.8]/",
    "https://metadata.google.internal/computeMetadata/v1/",
    "https://metadata/computeMetadata/v1/",
    "https://printer.local/",
    "https://router.home.arpa/",
    "https://private.example/",
    "https://neighbour.example/",
    "https://unknown.example/",
    "https://postgres/",
]
# Public, and still no business of ours.
PORTS = [
    *(f"https://public.example:{port}/" for port in (0, "00", 1, 22, 23, 25, 53, 80, 389, 445, 587, 993, 1023)),
    *(f"https://public.example:{port}/" for port in ("65536", "99999", "100443", "4e3", "-443", "0x1bb", "٤٤٣")),
]


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    network = Network(monkeypatch)
    turns = iter([[ELSEWHERE]])
    network.names = {
        "public.example": [ELSEWHERE],
        "localhost": ["127.0.0.1"],
        "billing.localhost": ["127.0.0.1"],
        "localhost.localdomain": ["127.0.0.1"],
        "127.0.0.1.nip.example": ["127.0.0.1"],
        "ip6-localhost": ["::1"],
        "rebinding.example": lambda: next(turns, ["127.0.0.1"]),
        "both.example": [ELSEWHERE, "127.0.0.1"],
        "mapped.example": ["::ffff:127.0.0.1"],
        "private.example": ["10.0.0.1"],
        "neighbour.example": ["fe80::1%1"],
        "metadata.google.internal": ["169.254.169.254"],
        "metadata": ["169.254.169.254"],
        "printer.local": ["192.168.1.9"],
        "router.home.arpa": ["192.168.1.1"],
        "postgres": ["127.0.0.1"],
    }
    return network


@pytest.fixture(scope="module")
def listening() -> Iterator[Receiver]:
    with Receiver(OK) as receiver:
        yield receiver


@pytest.mark.parametrize("spelled", [*LOOPBACK_SPELLED, *ELSEWHERE_NOT_PUBLIC, *PORTS])
def test_an_address_that_is_not_public_is_neither_saved_nor_connected_to(
    spelled: str, network: Network, listening: Receiver
):
    url = spelled.replace("{port}", str(listening.port))
    if "rebinding" in url:
        check(url, PUBLIC)  # as it was when it was saved
    before = listening.accepted

    outcome = post(url, b"{}", {}, policy=PUBLIC)

    assert (outcome.status, outcome.error, outcome.delivered) == (None, "address_refused", False)
    with pytest.raises(AddressRefused) as refused:
        check(url, PUBLIC)
    assert (refused.value.code, refused.value.field) == ("invalid_argument", "url")
    assert network.tried == []
    assert listening.accepted == before


def test_the_cases_are_many_and_each_is_another():
    cases = [*LOOPBACK_SPELLED, *ELSEWHERE_NOT_PUBLIC, *PORTS]

    assert len(cases) == len(set(cases)) >= 60
    (said,) = re.findall(r"(\d+) addresses in as many spellings", DECISION.read_text())
    assert len(cases) == int(said)


def test_the_listening_server_would_have_been_reached(network: Network, listening: Receiver):
    before = listening.accepted

    assert post(listening.url, b"{}", {}, policy=DEVELOPMENT).delivered
    assert listening.accepted == before + 1
    assert network.tried == [("127.0.0.1", listening.port)]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://public.example/", "https_required"),
        ("https://user@public.example/", "userinfo_not_allowed"),
        ("https://public.example/#part", "fragment_not_allowed"),
        ("https://public.example:25/", "port_not_allowed"),
        ("https://public.example:443x/", "url_malformed"),
        ("https://bücher.example/", "url_malformed"),
        ("https://public.example/" + "a" * 2048, "url_malformed"),
        ("https://2130706433/", "url_malformed"),
        ("https://127.0.0.1/", "address_not_public"),
        ("https://private.example/", "address_not_public"),
        ("https://unknown.example/", "address_not_public"),
    ],
)
def test_a_refusal_says_why_and_never_what_a_name_resolves_to(url: str, reason: str, network: Network):
    with pytest.raises(InvalidArgument) as refused:
        check(url, PUBLIC)

    assert refused.value.reason == reason
    assert "10.0.0.1" not in refused.value.message


@pytest.mark.parametrize(
    ("url", "host", "port", "target", "authority"),
    [
        ("https://public.example", "public.example", 443, "/", "public.example"),
        ("HTTPS://Public.Example:443/Hooks?a=1&b=%2F", "public.example", 443, "/Hooks?a=1&b=%2F", "public.example"),
        ("https://public.example:8443?a=1", "public.example", 8443, "/?a=1", "public.example:8443"),
        ("https://public.example//two", "public.example", 443, "//two", "public.example"),
        ("https://xn--bcher-kva.example/", "xn--bcher-kva.example", 443, "/", "xn--bcher-kva.example"),
        (f"https://{ELSEWHERE}/", ELSEWHERE, 443, "/", ELSEWHERE),
        ("https://[2606:4700:0::1111]:8443/", "2606:4700::1111", 8443, "/", "[2606:4700::1111]:8443"),
    ],
)
def test_an_address_as_it_is_read(url: str, host: str, port: int, target: str, authority: str):
    read = parse(url, PUBLIC)

    assert (read.is_https, read.host, read.port, read.target, read.authority) == (True, host, port, target, authority)


@pytest.mark.parametrize(
    "url", ["https://public.example/hook", f"https://{ELSEWHERE}:8443/", "https://both.v6.example"]
)
def test_public_addresses_are_accepted(url: str, network: Network):
    network.names["both.v6.example"] = [ELSEWHERE, "2606:4700::1111"]

    check(url, PUBLIC)

    assert network.tried == []


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:8000/", "http://localhost:8000/", "http://[::1]:80/", "https://10.1.2.3/", "http://postgres/"],
)
def test_in_development_this_machine_and_private_networks_are_open(url: str, network: Network):
    network.names["localhost"] = ["::1", "127.0.0.1"]

    check(url, DEVELOPMENT)


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://metadata.google.internal/",
        "http://[::ffff:127.0.0.1]/",
        "http://0.0.0.0:8000/",
        "http://2130706433/",
        "http://user@127.0.0.1/",
        "ftp://127.0.0.1/",
    ],
)
def test_in_development_other_special_addresses_and_spellings_stay_closed(url: str, network: Network):
    with pytest.raises(AddressRefused):
        check(url, DEVELOPMENT)


def test_a_name_that_nobody_answers_for_is_refused_in_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(receivers, "CHECKED_WITHIN_S", 0.2)
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: over.wait(60) and [])
    began = time.monotonic()
    try:
        with pytest.raises(AddressRefused):
            check("https://public.example/", PUBLIC)
    finally:
        over.set()

    assert time.monotonic() - began < 30


ENOUGH = {"DATABASE_URL": "postgresql://db/billing"}


@pytest.mark.parametrize("given", [{}, {"WEBHOOK_RECEIVERS": ""}, {"WEBHOOK_RECEIVERS": "public"}])
def test_unless_told_otherwise_receivers_are_public(given: dict[str, str]):
    assert Policy.from_settings(Settings.from_environment({**ENOUGH, **given})) == PUBLIC


def test_where_nobody_from_outside_comes_receivers_may_be_anywhere():
    settings = Settings.from_environment({**ENOUGH, "WEBHOOK_RECEIVERS": "anywhere", "PUBLIC_URL": "http://localhost"})

    assert Policy.from_settings(settings) == DEVELOPMENT


@pytest.mark.parametrize(
    "given",
    [{"WEBHOOK_RECEIVERS": "yes"}, {"WEBHOOK_RECEIVERS": "anywhere", "PUBLIC_URL": "https://billing.example"}],
)
def test_what_would_open_production_is_named(given: dict[str, str]):
    with pytest.raises(SettingsInvalid, match="WEBHOOK_RECEIVERS"):
        Settings.from_environment({**ENOUGH, **given})
