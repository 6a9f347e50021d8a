from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import repeat
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.support.certificates import Authority
from tests.support.closed_port import closed_port
from tests.support.network import Network
from tests.support.receiver import Receiver, answering, silent, trickling
from workflows import outgoing
from workflows.outgoing import Outcome, Policy, post

NAME = "receiver.example"
DEVELOPMENT = Policy(allow_http=True, allow_private=True, timeout_s=60)
HURRIED = Policy(allow_http=True, allow_private=True, timeout_s=0.5)
# What a busy machine may need on top of the time that a call may take.
SLACK_S = 20
OK = b"HTTP/1.1 200 OK\r\n"
EVENT = b'{"type": "bill.closed"}'


def sent_to(receiver: Receiver, policy: Policy = DEVELOPMENT, **headers: str) -> Outcome:
    return post(receiver.url, EVENT, {"Content-Type": "application/json", **headers}, policy=policy)


def answered(answer: bytes, policy: Policy = DEVELOPMENT) -> Outcome:
    with Receiver(answering(answer)) as receiver:
        return sent_to(receiver, policy)


def with_body(body: bytes, head: bytes = OK) -> bytes:
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


# What goes out, and what comes back


def test_what_is_sent():
    with Receiver(answering(with_body(b"thanks"))) as receiver:
        outcome = post(f"{receiver.url}/%C3%A9?a=1", EVENT, {"webhook-id": "evt_1"}, policy=DEVELOPMENT)

    assert (outcome.status, outcome.excerpt, outcome.error, outcome.delivered) == (200, "thanks", None, True)
    assert outcome.latency_ms >= 0
    head, _, body = receiver.requests[0].partition(b"\r\n\r\n")
    line, *headers = head.decode().split("\r\n")
    assert line == "POST /hook/%C3%A9?a=1 HTTP/1.1"
    assert sorted(headers, key=str.lower) == [
        "Accept-Encoding: identity",
        "Connection: close",
        f"Content-Length: {len(EVENT)}",
        f"Host: 127.0.0.1:{receiver.port}",
        "User-Agent: PaveBilling-Webhooks/1",
        "webhook-id: evt_1",
    ]
    assert body == EVENT


def test_a_long_body_arrives_whole():
    body = bytes(range(256)) * 4096
    with Receiver(answering(with_body(b""))) as receiver:
        assert post(receiver.url, body, {}, policy=DEVELOPMENT).delivered

    assert receiver.requests[0].endswith(b"\r\n\r\n" + body)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_a_delivery(status: int):
    outcome = answered(b"HTTP/1.1 %d \r\nContent-Length: 0\r\n\r\n" % status)

    assert (outcome.status, outcome.error, outcome.delivered) == (status, None, True)


@pytest.mark.parametrize("status", [301, 302, 303, 304, 307, 308, 400, 401, 404, 410, 429, 500, 503, 599])
def test_any_other_answer_is_none(status: int):
    outcome = answered(b"HTTP/1.1 %d Whatever\r\nLocation: https://example.com/\r\nContent-Length: 0\r\n\r\n" % status)

    assert (outcome.status, outcome.error, outcome.delivered) == (status, None, False)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(status: int):
    with Receiver(answering(with_body(b""))) as inside:
        to_inside = b"HTTP/1.1 %d Moved\r\nLocation: %s\r\n\r\n" % (status, inside.url.encode())
        with Receiver(answering(to_inside)) as receiver:
            assert sent_to(receiver).status == status

    assert (receiver.accepted, inside.accepted) == (1, 0)


@pytest.mark.parametrize("head", [b"Refresh: 0; url=%s", b"Content-Location: %s", b'Alt-Svc: h2="%s"', b"Link: <%s>"])
def test_no_other_header_leads_elsewhere(head: bytes):
    with (
        Receiver(answering(with_body(b""))) as inside,
        Receiver(answering(OK + head % inside.url.encode() + b"\r\n\r\n")) as receiver,
    ):
        assert sent_to(receiver).delivered

    assert inside.accepted == 0


@pytest.mark.parametrize("status", [b"401 Unauthorized", b"407 Proxy Authentication Required", b"200 OK"])
def test_nothing_is_remembered_or_tried_again(status: bytes):
    asking = b"HTTP/1.1 %s\r\nSet-Cookie: a=b\r\nWWW-Authenticate: Basic\r\nRetry-After: 0\r\n\r\n" % status
    with Receiver(answering(asking)) as receiver:
        sent_to(receiver)
        assert receiver.accepted == 1
        sent_to(receiver)

    assert receiver.accepted == 2
    assert not any(word in request.lower() for request in receiver.requests for word in (b"cookie", b"authorization"))


def test_neither_proxies_nor_passwords_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login us password ours\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    with Receiver(answering(with_body(b""))) as proxy, Receiver(answering(with_body(b""))) as receiver:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert sent_to(receiver).delivered

    assert proxy.accepted == 0
    assert b"authorization" not in receiver.requests[0].lower()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("webhook-id", "a\r\nX-Other: b"),
        ("webhook-id", "a\nX-Other: b"),
        ("webhook-id", "a\r\n folded"),
        ("webhook-id", "a\rb"),
        ("webhook-id", "a\x00b"),
        ("webhook-id", "é"),
        ("webhook-id\r\nX-Other", "b"),
        ("webhook-id:", "b"),
        ("webhook id", "b"),
        ("", "b"),
        ("Host", "inside.example"),
        ("content-length", "0"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "keep-alive"),
        ("Cookie", "a=b"),
        ("User-Agent", "curl"),
        ("Expect", "100-continue"),
    ],
)
def test_headers_can_add_nothing_but_themselves(name: str, value: str):
    with Receiver(answering(with_body(b""))) as receiver, pytest.raises(ValueError, match="header"):
        post(receiver.url, EVENT, {name: value}, policy=DEVELOPMENT)

    assert receiver.accepted == 0


# What is kept of an answer


@pytest.mark.parametrize(
    ("body", "excerpt"),
    [
        (b"", ""),
        (b"  thanks \r\n", "thanks"),
        ("ხელი ✓".encode(), "ხელი ✓"),
        (b"one\r\ntwo\tthree", "one  two three"),
        (b"a\x00b\x1b[31mred\x07\x7f", "ab[31mred"),
        ("a\u202eb\u2066c\u200bd\ufeffe\u2028f\x85g".encode(), "abcde f g"),
        (b"\xff\xfe caf\xe9", "\ufffd\ufffd caf\ufffd"),
        (b"\xed\xa0\x80", "\ufffd\ufffd\ufffd"),
        (b"<script>alert(1)</script>", "<script>alert(1)</script>"),
        (b"\x1f\x8b\x08\x00", "\ufffd"),
    ],
)
def test_the_excerpt_is_text_without_control_characters(body: bytes, excerpt: str):
    assert answered(with_body(body)).excerpt == excerpt


@pytest.mark.parametrize("unit", [b"x", "é".encode(), "✓".encode(), "😀".encode(), b"\xff", b"\xe2\x9c"])
def test_the_excerpt_has_at_most_1_kb(unit: bytes):
    excerpt = answered(with_body(unit * 5_000)).excerpt

    assert 1000 < len(excerpt.encode()) <= 1024
    assert len(set(excerpt)) <= 2


@given(st.binary(max_size=3000))
def test_any_body_makes_an_excerpt_that_can_be_stored_and_shown(body: bytes):
    excerpt = outgoing._excerpt(body)

    assert len(excerpt.encode()) <= 1024
    assert excerpt == "" or excerpt.isprintable() or "\ufffd" in excerpt or " " in excerpt
    assert not any(character < " " or "\x7f" <= character <= "\x9f" for character in excerpt)


def test_of_a_long_answer_64_kb_are_read():
    sent = 0

    def endless(connected, ending):
        nonlocal sent
        connected.sendall(OK + b"\r\n")
        while not ending.is_set():
            sent += connected.send(b"x" * 1024)

    with Receiver(endless) as receiver:
        outcome = sent_to(receiver)

    assert (outcome.status, outcome.error, outcome.excerpt) == (200, None, "x" * 1024)
    assert sent < 20_000_000  # what the buffers of sockets hold; an endless answer has no such bound


@pytest.mark.parametrize(
    "head",
    [
        OK + b"X: " + b"x" * 60_000 + b"\r\nY: " + b"y" * 60_000 + b"\r\n\r\n",
        OK + b"".join(b"X-%d: %s\r\n" % (n, b"x" * 1000) for n in range(99)) + b"\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 5_000,
    ],
)
def test_headers_count_among_the_64_kb(head: bytes):
    outcome = answered(head)

    assert (outcome.status, outcome.error) == (None, "headers_too_large")


def test_what_stands_between_chunks_counts_among_them_too():
    outcome = answered(OK + b"Transfer-Encoding: chunked\r\n\r\n1" + b";x" * 60_000 + b"\r\nx\r\n0\r\n\r\n")

    assert (outcome.status, outcome.excerpt) == (200, "")


def test_exactly_what_is_read_is_enough():
    answer = with_body(b"x" * 100)

    assert answered(answer, Policy(allow_http=True, allow_private=True, most_bytes=len(answer))).delivered


def test_a_bomb_stays_packed():
    packed = OK + b"Content-Encoding: gzip\r\n"

    assert answered(with_body(b"\x1f\x8b" + b"\x00" * 2000, packed)).excerpt == "\ufffd"


# Servers that misbehave


@pytest.mark.parametrize(
    ("answer", "status", "error"),
    [
        (b"", None, "broken_off"),
        (b"HTTP/1.1 200", None, "broken_off"),
        (OK, None, "broken_off"),
        (OK + b"Content-Length: 0\r\n", None, "broken_off"),
        (b"HTTP/1.1", None, "not_http"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", None, "not_http"),
        (b"-ERR unknown command\r\n", None, "not_http"),
        (b"HTTP/1.1 abc OK\r\n\r\n", None, "not_http"),
        (b"HTTP/1.1 99 OK\r\n\r\n", None, "not_http"),
        (b"HTTP/9.9 200 OK\r\n\r\n", None, "not_http"),
        (b"<html>200 OK</html>", None, "not_http"),
        (OK + b"X: " + b"x" * 64_000, None, "broken_off"),
        (OK + b"X: " + b"x" * 65_000 + b"\r\n\r\n", 200, None),
        (OK + b"A: b\r\n" * 101 + b"\r\n", None, "not_http"),
        (OK + b"Content-Length: 10\r\n\r\nhalf", 200, "broken_off"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", 200, "broken_off"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\nhalf", 200, "broken_off"),
        (OK + b"Content-Length: -1\r\n\r\nhalf", 200, None),
        (OK + b"Content-Length: many\r\n\r\nhalf", 200, None),
        (OK + b"\r\nhalf", 200, None),
    ],
)
def test_an_answer_that_is_not_whole_is_no_delivery(answer: bytes, status: int | None, error: str | None):
    outcome = answered(answer)

    assert (outcome.status, outcome.error) == (status, error)
    assert outcome.delivered == (error is None)


def test_nobody_at_home():
    with closed_port() as port:
        outcome = post(f"http://127.0.0.1:{port}/", EVENT, {}, policy=DEVELOPMENT)

    assert (outcome.status, outcome.error) == (None, "unreachable")


@given(st.binary(max_size=200))
@example(OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n")
@example(OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nx")
@example(b"HTTP/1.1 200 \xff\xfe\r\n\xff: \xff\r\n\r\n")
@example(OK + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n")
@example(OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 5000 + b"\r\n")
@hypothesis_settings(max_examples=150)
def test_whatever_is_answered_there_is_an_outcome(answer: bytes):
    for whole in (answer, b"HTTP/1.1 " + answer, OK + answer, OK + b"Transfer-Encoding: chunked\r\n\r\n" + answer):
        outcome = answered(whole)

        assert outcome.error is None or outcome.error in set(outgoing.Failure)


SLOW = {
    "accepts and says nothing": silent(),
    "a status and no more": silent(OK),
    "headers that never end": trickling(OK, (b"X-%d: y\r\n" % n for n in range(10**9))),
    "headers byte by byte": trickling(OK + b"X: ", repeat(b"x")),
    "a body that never begins": silent(OK + b"Content-Length: 1\r\n\r\n"),
    "a body byte by byte": trickling(OK + b"\r\n", repeat(b"x")),
    "chunks of one byte": trickling(OK + b"Transfer-Encoding: chunked\r\n\r\n", repeat(b"1\r\nx\r\n")),
    "continue for ever": trickling(b"", repeat(b"HTTP/1.1 100 Continue\r\n\r\n")),
}


@pytest.mark.parametrize("script", SLOW.values(), ids=SLOW.keys())
def test_the_time_is_for_the_whole_call(script):
    with Receiver(script) as receiver:
        began = time.monotonic()
        outcome = sent_to(receiver, HURRIED)
        took_s = time.monotonic() - began

    assert outcome.error == "timeout"
    assert not outcome.delivered
    assert 0.5 <= took_s < 0.5 + SLACK_S
    assert 500 <= outcome.latency_ms <= took_s * 1000 + 1


def test_what_came_in_time_is_told():
    with Receiver(silent(OK + b"Content-Length: 100\r\n\r\nhalf")) as receiver:
        outcome = sent_to(receiver, HURRIED)

    assert (outcome.status, outcome.excerpt, outcome.error) == (200, "half", "timeout")


def test_a_receiver_that_reads_nothing_is_given_up():
    deaf = silent()
    with Receiver(answering(b""), before_tls=deaf) as receiver:
        outcome = post(receiver.url, b"x" * 50_000_000, {}, policy=HURRIED)

    assert outcome.error == "timeout"


def test_of_many_addresses_the_next_is_tried_and_the_name_is_looked_up_once(network: Network):
    network.names[NAME] = ["127.0.0.2", "127.0.0.3", "127.0.0.1", "127.0.0.4"]
    with Receiver(answering(with_body(b""))) as receiver:
        outcome = post(f"http://{NAME}:{receiver.port}/", EVENT, {}, policy=DEVELOPMENT)

    assert outcome.delivered
    assert [host for host, _ in network.tried] == ["127.0.0.2", "127.0.0.3", "127.0.0.1"]
    assert network.looked_up == [NAME]


def test_addresses_that_swallow_packets_share_the_time_and_only_some_are_tried(network: Network):
    network.names[NAME] = [f"127.0.0.{n}" for n in range(2, 40)]
    network.swallowed = set(network.names[NAME])
    began = time.monotonic()
    outcome = post(f"http://{NAME}:8000/", EVENT, {}, policy=HURRIED)

    assert outcome.error == "timeout"
    assert len(network.tried) == 4
    assert time.monotonic() - began < 0.5 + SLACK_S


# The address that is connected to


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    return Network(monkeypatch)


def test_what_is_connected_to_is_the_address_that_was_checked(network: Network):
    answers = iter([["93.184.216.34"], ["127.0.0.1"]])
    network.names[NAME] = lambda: next(answers)

    outcome = post(f"https://{NAME}/", EVENT, {}, policy=Policy())

    assert outcome.error == "unreachable"
    assert (network.looked_up, network.tried) == ([NAME], [("93.184.216.34", 443)])


def test_a_connection_that_was_led_elsewhere_carries_nothing(network: Network):
    network.names[NAME] = ["93.184.216.34"]
    network.lead("93.184.216.34", "127.0.0.1")
    with Receiver(answering(with_body(b""))) as receiver:
        outcome = post(f"https://{NAME}:{receiver.port}/", EVENT, {}, policy=Policy())

    assert outcome.error == "address_refused"
    assert receiver.requests == []


def test_a_look_up_counts_in_the_time(network: Network):
    def slow() -> list[str]:
        time.sleep(1.5)
        return ["127.0.0.1"]

    network.names[NAME] = slow
    outcome = post(f"http://{NAME}:8000/", EVENT, {}, policy=HURRIED)

    assert (outcome.error, network.tried) == ("timeout", [])
    assert outcome.latency_ms < 1500


# TLS


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch, network: Network) -> Iterator[Authority]:
    """As an operator has the machine trust another authority; the name leads to loopback."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    network.names[NAME] = ["127.0.0.1"]
    outgoing._trust.cache_clear()
    yield authority
    outgoing._trust.cache_clear()


def sent_by_tls(receiver: Receiver, policy: Policy = DEVELOPMENT) -> Outcome:
    return post(f"https://{NAME}:{receiver.port}/", EVENT, {}, policy=policy)


def test_the_name_is_what_is_asked_for_and_what_the_certificate_must_have(trusted: Authority):
    context = trusted.server(NAME)
    asked_for = []
    context.set_servername_callback(lambda _tls, name, _context: asked_for.append(name))
    with Receiver(answering(with_body(b"thanks")), tls=context) as receiver:
        outcome = sent_by_tls(receiver)

    assert (outcome.delivered, outcome.excerpt) == (True, "thanks")
    assert asked_for == [NAME]
    assert f"Host: {NAME}:{receiver.port}".encode() in receiver.requests[0]


def test_a_certificate_for_an_address(trusted: Authority):
    with Receiver(answering(with_body(b"")), tls=trusted.server("127.0.0.1")) as receiver:
        assert sent_to(receiver).delivered


@pytest.mark.parametrize("name", ["other.example", "sub.receiver.example", "*.receiver.example", "127.0.0.1"])
def test_a_certificate_for_another_name_is_told_nothing(name: str, trusted: Authority):
    with Receiver(answering(with_body(b"")), tls=trusted.server(name)) as receiver:
        outcome = sent_by_tls(receiver)

    assert (outcome.status, outcome.error, receiver.requests) == (None, "tls_failed", [])


def test_an_expired_certificate_is_told_nothing(trusted: Authority):
    with Receiver(answering(with_body(b"")), tls=trusted.server(NAME, expires=timedelta(days=-1))) as receiver:
        outcome = sent_by_tls(receiver)

    assert (outcome.error, receiver.requests) == ("tls_failed", [])


def test_an_authority_that_nobody_knows_is_told_nothing(trusted: Authority, tmp_path: Path):
    with Receiver(answering(with_body(b"")), tls=Authority(tmp_path).server(NAME)) as receiver:
        outcome = sent_by_tls(receiver)

    assert (outcome.error, receiver.requests) == ("tls_failed", [])


def test_old_tls_is_not_spoken():
    assert outgoing._trust().minimum_version >= ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    "instead", [answering(b"HTTP/1.1 200 OK\r\n\r\n"), answering(b""), answering(b"\x15\x03\x03\x00\x02\x02\x28")]
)
def test_a_server_without_tls_is_told_nothing(instead, trusted: Authority):
    with Receiver(answering(b""), before_tls=instead) as receiver:
        outcome = sent_by_tls(receiver)

    assert (outcome.status, outcome.error) == (None, "tls_failed")


@pytest.mark.parametrize("instead", [silent(), trickling(b"\x16\x03\x03\x40\x00", repeat(b"\x00"))])
def test_a_handshake_counts_in_the_time(instead, trusted: Authority):
    with Receiver(answering(b""), before_tls=instead) as receiver:
        began = time.monotonic()
        outcome = sent_by_tls(receiver, HURRIED)

    assert outcome.error in {"timeout", "tls_failed"}
    assert time.monotonic() - began < 0.5 + SLACK_S


def test_by_tls_too_the_time_is_for_the_whole_call(trusted: Authority):
    with Receiver(trickling(OK + b"\r\n", repeat(b"x")), tls=trusted.server(NAME)) as receiver:
        outcome = sent_by_tls(receiver, HURRIED)

    assert (outcome.status, outcome.error) == (200, "timeout")
